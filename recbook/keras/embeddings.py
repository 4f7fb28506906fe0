"""A network on the embeddings of user and item in Keras (chapter `embeddings`)."""

from __future__ import annotations

import keras
from keras import ops

from recbook.keras._model import KerasModel
from recbook.shared import embeddings as shared
from recbook.shared.embeddings import mlp_shapes

Vectors = list[keras.KerasTensor]  # one tensor (n, d) for each of a network's `kinds`


class PairNetwork(keras.Model):
    """Looks up the vectors of users and items, and makes scores of them; a kind is a table on either side."""

    kinds: tuple[str, ...]

    def vectors(self, side: str, codes) -> Vectors:
        """side : "user" or "item";  codes : (n,)"""
        return [ops.take(getattr(self, f"{side}_{kind}"), codes, axis=0) for kind in self.kinds]

    def call(self, users, items):
        return self.score(self.vectors("user", users), self.vectors("item", items))

    def size(self, users: Vectors, items: Vectors):
        """What the penalty makes small, (n,): the squares of the pair's vectors."""
        return sum(ops.sum(ops.square(vectors), axis=1) for vectors in (*users, *items))

    def layer_weights(self) -> list[keras.Variable]:
        """Kernels and the last layer's weights, which have a penalty of their own."""
        return []

    def add_weights(self, shapes: dict[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, name=name, initializer="zeros"))

    def score(self, users: Vectors, items: Vectors):
        """Scores of n pairs, (n,)."""
        raise NotImplementedError

    def score_all(self, users: Vectors, items: Vectors):
        """Scores of every user with every item, (users, items)."""
        raise NotImplementedError


class MLPNetwork(PairNetwork):
    """ŷ_ui = b + wᵀx_L with x_0 = [p_u; q_i] and x_l = relu(W_lᵀ x_(l-1) + b_l), equation (em-mlp)."""

    kinds = ("embedding",)

    def __init__(self, n_users: int, n_items: int, factors: int, layers: tuple[int, ...]):
        super().__init__()
        self.depth = len(layers)
        self.add_weights({"bias": (), **mlp_shapes(n_users, n_items, factors, layers)})

    def layer(self, n: int):
        return getattr(self, f"kernel_{n}"), getattr(self, f"bias_{n}")

    def layer_weights(self) -> list[keras.Variable]:
        return [*(self.layer(n)[0] for n in range(1, self.depth + 1)), self.mlp_head]

    def deeper(self, x, first: int):
        for n in range(first, self.depth + 1):
            kernel, bias = self.layer(n)
            x = ops.relu(x @ kernel + bias)
        return x

    def score(self, users: Vectors, items: Vectors):
        x = ops.concatenate([users[-1], items[-1]], axis=1)
        return self.bias + ops.matmul(self.deeper(x, first=1), self.mlp_head)

    def score_all(self, users: Vectors, items: Vectors):
        # The first layer is a part of the user and a part of the item: each is computed once, not once a pair.
        p, q = users[-1], items[-1]
        d = p.shape[1]
        if not self.depth:
            return self.bias + ops.matmul(p, self.mlp_head[:d])[:, None] + ops.matmul(q, self.mlp_head[d:])
        kernel, bias = self.layer(1)
        x = ops.relu((p @ kernel[:d])[:, None] + (q @ kernel[d:] + bias))
        return self.bias + ops.matmul(self.deeper(x, first=2), self.mlp_head)


def objective(network: PairNetwork, batch: dict, loss: str, reg: float, reg_layers: float = 0):
    """Equation (em-objective): the mean loss and penalty of a batch's pairs, and the penalty of the layers."""
    users, items = network.vectors("user", batch["user"]), network.vectors("item", batch["item"])
    score = network.score(users, items)
    if loss == "squared":
        each = ops.square(batch["target"] - score)
    else:
        each = ops.binary_crossentropy(batch["target"], score, from_logits=True)
    mean = ops.mean(each + reg * network.size(users, items))
    layers = network.layer_weights()
    return mean + reg_layers * sum(ops.sum(ops.square(w)) for w in layers) if layers else mean


class EmbeddingMLP(shared.EmbeddingMLP, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> MLPNetwork:
        return MLPNetwork(n_users, n_items, self.factors, tuple(self.layers))

    def _objective(self, network: MLPNetwork, batch: dict):
        return objective(network, batch, self.loss, self.reg, self.reg_layers)
