"""Neural collaborative filtering in PyTorch: GMF, MLP, NeuMF (chapter `ncf`)."""

from __future__ import annotations

import torch
from torch import Tensor

from recbook.shared import ncf as shared
from recbook.shared.ncf import gmf_shapes
from recbook.torch._model import TorchModel
from recbook.torch.embeddings import MLPNetwork, PairNetwork, Vectors, objective


class GMFNetwork(PairNetwork):
    """ŷ_ui = b + hᵀ(p_u ⊙ q_i), equation (ncf-gmf)."""

    kinds = ("factors",)
    bias: Tensor
    gmf_head: Tensor

    def __init__(self, n_users: int, n_items: int, factors: int):
        super().__init__()
        self.add_parameters({"bias": (), **gmf_shapes(n_users, n_items, factors)})

    def score(self, users: Vectors, items: Vectors) -> Tensor:
        return self.bias + (users[0] * items[0]) @ self.gmf_head

    def score_all(self, users: Vectors, items: Vectors) -> Tensor:
        return self.bias + (users[0] * self.gmf_head) @ items[0].T

    def size(self, users: Vectors, items: Vectors) -> Tensor:
        return weighed(self.gmf_head, users[0], items[0])


def weighed(head: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """Σ_k |h_k| (p_k² + q_k²): without |h_k|, h could grow while p and q shrink, and nothing would be held."""
    return (p**2 + q**2) @ torch.abs(head)


class NeuMFNetwork(MLPNetwork):
    """ŷ_ui = b + hᵀ(p_u ⊙ q_i) + wᵀx_L: both branches, each with vectors of its own, equation (ncf-neumf)."""

    kinds = ("factors", "embedding")
    gmf_head: Tensor

    def __init__(self, n_users: int, n_items: int, factors: int, mlp_factors: int, layers: tuple[int, ...]):
        super().__init__(n_users, n_items, mlp_factors, layers)
        self.add_parameters(gmf_shapes(n_users, n_items, factors))

    def score(self, users: Vectors, items: Vectors) -> Tensor:
        return super().score(users, items) + (users[0] * items[0]) @ self.gmf_head

    def score_all(self, users: Vectors, items: Vectors) -> Tensor:
        return super().score_all(users, items) + (users[0] * self.gmf_head) @ items[0].T

    def size(self, users: Vectors, items: Vectors) -> Tensor:
        return super().size(users[1:], items[1:]) + weighed(self.gmf_head, users[0], items[0])


class GMF(shared.GMF, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> GMFNetwork:
        return GMFNetwork(n_users, n_items, self.factors)

    def _objective(self, network: GMFNetwork, batch: dict[str, Tensor]) -> Tensor:
        return objective(network, batch, "logistic", self.reg)


class MLP(shared.MLP, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> MLPNetwork:
        return MLPNetwork(n_users, n_items, self.factors, tuple(self.layers))

    def _objective(self, network: MLPNetwork, batch: dict[str, Tensor]) -> Tensor:
        return objective(network, batch, "logistic", self.reg, self.reg_layers)


class NeuMF(shared.NeuMF, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> NeuMFNetwork:
        return NeuMFNetwork(n_users, n_items, self.factors, self.mlp_factors, tuple(self.layers))

    def _objective(self, network: NeuMFNetwork, batch: dict[str, Tensor]) -> Tensor:
        return objective(network, batch, "logistic", self.reg, self.reg_layers)
