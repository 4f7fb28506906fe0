"""A network on the embeddings of user and item in PyTorch (chapter `embeddings`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import embeddings as shared
from recbook.shared.embeddings import mlp_shapes
from recbook.torch._model import TorchModel

Vectors = list[Tensor]  # one tensor (n, d) for each of a network's `kinds`


class PairNetwork(nn.Module):
    """Looks up the vectors of users and items, and makes scores of them; a kind is a table on either side."""

    kinds: tuple[str, ...]

    def vectors(self, side: str, codes: Tensor) -> Vectors:
        """side : "user" or "item";  codes : (n,)"""
        return [F.embedding(codes, getattr(self, f"{side}_{kind}")) for kind in self.kinds]

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        return self.score(self.vectors("user", users), self.vectors("item", items))

    def size(self, users: Vectors, items: Vectors) -> Tensor:
        """What the penalty makes small, (n,): the squares of the pair's vectors."""
        return sum((vectors**2).sum(1) for vectors in (*users, *items))  # pyright: ignore[reportReturnType]  # of some

    def layer_weights(self) -> list[nn.Parameter]:
        """Kernels and the last layer's weights, which have a penalty of their own."""
        return []

    def add_parameters(self, shapes: dict[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def score(self, users: Vectors, items: Vectors) -> Tensor:
        """Scores of n pairs, (n,)."""
        raise NotImplementedError

    def score_all(self, users: Vectors, items: Vectors) -> Tensor:
        """Scores of every user with every item, (users, items)."""
        raise NotImplementedError


class MLPNetwork(PairNetwork):
    """ŷ_ui = b + wᵀx_L with x_0 = [p_u; q_i] and x_l = relu(W_lᵀ x_(l-1) + b_l), equation (em-mlp)."""

    kinds = ("embedding",)
    bias: Tensor
    mlp_head: nn.Parameter

    def __init__(self, n_users: int, n_items: int, factors: int, layers: tuple[int, ...]):
        super().__init__()
        self.depth = len(layers)
        self.add_parameters({"bias": (), **mlp_shapes(n_users, n_items, factors, layers)})

    def layer(self, n: int) -> tuple[nn.Parameter, nn.Parameter]:
        return getattr(self, f"kernel_{n}"), getattr(self, f"bias_{n}")

    def layer_weights(self) -> list[nn.Parameter]:
        return [*(self.layer(n)[0] for n in range(1, self.depth + 1)), self.mlp_head]

    def deeper(self, x: Tensor, first: int) -> Tensor:
        for n in range(first, self.depth + 1):
            kernel, bias = self.layer(n)
            x = F.relu(x @ kernel + bias)
        return x

    def score(self, users: Vectors, items: Vectors) -> Tensor:
        x = torch.cat([users[-1], items[-1]], dim=1)
        return self.bias + self.deeper(x, first=1) @ self.mlp_head

    def score_all(self, users: Vectors, items: Vectors) -> Tensor:
        # The first layer is a part of the user and a part of the item: each is computed once, not once a pair.
        p, q = users[-1], items[-1]
        d = p.shape[1]
        if not self.depth:
            return self.bias + (p @ self.mlp_head[:d])[:, None] + q @ self.mlp_head[d:]
        kernel, bias = self.layer(1)
        x = F.relu((p @ kernel[:d])[:, None] + (q @ kernel[d:] + bias))
        return self.bias + self.deeper(x, first=2) @ self.mlp_head


def objective(
    network: PairNetwork, batch: dict[str, Tensor], loss: str, reg: float, reg_layers: float = 0
) -> Tensor:
    """Equation (em-objective): the mean loss and penalty of a batch's pairs, and the penalty of the layers."""
    users, items = network.vectors("user", batch["user"]), network.vectors("item", batch["item"])
    score = network.score(users, items)
    if loss == "squared":
        each = torch.square(batch["target"] - score)
    else:
        each = F.binary_cross_entropy_with_logits(score, batch["target"], reduction="none")
    mean = (each + reg * network.size(users, items)).mean()
    layers = network.layer_weights()
    return mean + reg_layers * sum((w**2).sum() for w in layers) if layers else mean


class EmbeddingMLP(shared.EmbeddingMLP, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> MLPNetwork:
        return MLPNetwork(n_users, n_items, self.factors, tuple(self.layers))

    def _objective(self, network: MLPNetwork, batch: dict[str, Tensor]) -> Tensor:
        return objective(network, batch, self.loss, self.reg, self.reg_layers)
