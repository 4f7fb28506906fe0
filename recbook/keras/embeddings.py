"""A network on the embeddings of user and item in Keras (chapter `embeddings`)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from recbook.keras.training import KerasGradientModel
from recbook.neural import PairModel, mlp_shapes

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


class _Pairs(KerasGradientModel, PairModel):
    """What is scored by a network on vectors of users and items."""

    supports = frozenset({"similar_items"})

    def _objective(self, network: PairNetwork, batch: dict):
        users, items = network.vectors("user", batch["user"]), network.vectors("item", batch["item"])
        score = network.score(users, items)
        if self.loss == "squared":
            loss = ops.square(batch["target"] - score)
        else:
            loss = ops.binary_crossentropy(batch["target"], score, from_logits=True)
        loss = ops.mean(loss + self.reg * network.size(users, items))
        layers = network.layer_weights()
        return loss + self.reg_layers * sum(ops.sum(ops.square(w)) for w in layers) if layers else loss

    def _user_vectors(self, users: np.ndarray, histories) -> Vectors:
        return self._network.vectors("user", users)

    def _predict(self, users, items, histories, context) -> np.ndarray:
        step, found = self._rows_at_once(1), [np.zeros(0, np.float32)]
        for start in range(0, len(users), step):
            block = slice(start, start + step)
            with keras.device(self.device_):
                p = self._user_vectors(users[block], histories)
                q = self._network.vectors("item", items[block])
                found.append(self._to_numpy(self._network.score(p, q)))
        return np.concatenate(found)

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        items = np.arange(len(self._item_index)) if items is None else items
        step, found = self._rows_at_once(len(items)), [np.zeros((0, len(items)), np.float32)]
        with keras.device(self.device_):
            q = self._network.vectors("item", items)
            for start in range(0, len(users), step):
                p = self._user_vectors(users[start : start + step], histories)
                found.append(self._to_numpy(self._network.score_all(p, q)))
        return np.concatenate(found)

    def _score_vectors(self, users, items) -> np.ndarray:
        with keras.device(self.device_):
            p, q = ([self._to_tensor(table) for table in side] for side in (users, items))
            return self._to_numpy(self._network.score(p, q))

    def _similar_items(self, items) -> np.ndarray:
        with keras.device(self.device_):
            everything = np.arange(len(self._item_index))
            q = ops.normalize(ops.concatenate(self._network.vectors("item", everything), axis=1))
            return self._to_numpy(ops.take(q, items, axis=0) @ ops.transpose(q))


class EmbeddingMLP(_Pairs):
    """A deep model on the embeddings of user and item: Dense layers with ReLU on both vectors side by side.

    ŷ_ui = b + wᵀx_L with x_0 = [p_u; q_i] and x_l = relu(W_lᵀ x_(l-1) + b_l), equation (em-mlp). Trained on the mean
    over examples of ℓ(y_ui, ŷ_ui) + reg (‖p_u‖² + ‖q_i‖²), plus reg_layers (Σ_l ‖W_l‖² + ‖w‖²): equation
    (em-objective). The vectors are learnt together with the layers. Without the second penalty the layers would
    grow while the vectors shrink, and nothing would be held.
    Without a hidden layer, `layers=()`, the score is a part of the user plus a part of the item, and all users
    rank alike: equation (em-additive).

    factors : length of p and q;  layers : widths of the hidden layers
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ of the vectors, of each example;  reg_layers : λ of the layers' weights, once
    loss : "squared" on ratings, or "logistic" on who met what: then the score is a logit
    negatives : with "logistic", items drawn for each positive among those the user did not meet, anew in each
        epoch, a pair that stands twice being two positives; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of p and q
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    _kinds = ("embedding",)

    def __init__(
        self,
        factors: int = 32,
        layers: tuple[int, ...] = (64, 32),
        epochs: int = 12,
        learning_rate: float = 0.005,
        reg: float = 0.02,
        reg_layers: float = 0.003,
        loss: str = "squared",
        negatives: int = 4,
        batch_size: int = 1024,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.layers = layers
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.reg_layers = reg_layers
        self.loss = loss
        self.negatives = negatives
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> MLPNetwork:
        return MLPNetwork(n_users, n_items, self.factors, tuple(self.layers))

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return mlp_shapes(n_users, n_items, self.factors, self.layers) | {"bias": ()}
