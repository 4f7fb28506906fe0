"""Factorisation machines and LightFM in PyTorch (chapter `factorization_machines`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import factorization_machines as shared
from recbook.torch import losses
from recbook.torch._model import TorchModel


class MachineNetwork(nn.Module):
    """ŷ = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b, the crosses by equation (fm-identity)."""

    def __init__(self, n_features: int, factors: int):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(()))
        self.weights = nn.Parameter(torch.zeros(n_features))
        self.factors = nn.Parameter(torch.zeros(n_features, factors))

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """w and v of the features in `index`: (n, width) and (n, width, factors)."""
        return F.embedding(index, self.weights[:, None])[..., 0], F.embedding(index, self.factors)

    def sums(self, w: Tensor, v: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Of each row of features: wᵀx and the crosses among them, (n,); and Σ_a v_a x_a, (n, factors)."""
        v = v * value[..., None]
        total = v.sum(1)
        crosses = (torch.square(total) - torch.square(v).sum(1)).sum(1) / 2
        return (w * value).sum(1) + crosses, total

    def sums_of_rows(self, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        return self.sums(*self.rows(index), value)

    def forward(self, index: Tensor, value: Tensor) -> Tensor:
        return self.constant + self.sums_of_rows(index, value)[0]


class FactorizationMachine(shared.FactorizationMachine, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> MachineNetwork:
        return MachineNetwork(self._fields.n_features, self.factors)

    def _objective(self, network: MachineNetwork, batch: dict[str, Tensor]) -> Tensor:
        w, v = network.rows(batch["index"])
        score = network.constant + network.sums(w, v, batch["value"])[0]
        if self.loss == "squared":
            loss = torch.square(batch["target"] - score)
        else:
            loss = F.binary_cross_entropy_with_logits(score, batch["target"], reduction="none")
        penalty = (batch["value"] != 0) * (torch.square(w) + torch.square(v).sum(2))
        return (loss + self.reg * penalty.sum(1)).mean()


class HybridNetwork(nn.Module):
    """r̂_ui = p_u · q_i + b_u + b_i, equation (fm-lightfm): each of the four is a sum over features."""

    user_index: Tensor
    user_value: Tensor
    item_index: Tensor
    item_value: Tensor

    def __init__(self, user_rows, item_rows, n_features: int, factors: int):
        super().__init__()
        for side, rows in (("user", user_rows), ("item", item_rows)):
            for name, values in zip(("index", "value"), rows, strict=True):
                self.register_buffer(f"{side}_{name}", torch.as_tensor(values), persistent=False)
        self.embeddings = nn.Parameter(torch.zeros(n_features, factors))
        self.biases = nn.Parameter(torch.zeros(n_features))

    def users(self, users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """p_u, b_u, and the squares of the vectors and biases that they are made of."""
        return self.sums(self.user_index[users], self.user_value[users])

    def all_users(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.sums(self.user_index, self.user_value)

    def items(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same of all items at once: a batch asks for more items than there are, with repeats."""
        return self.sums(self.item_index, self.item_value)

    def sums(self, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        e, b = F.embedding(index, self.embeddings), F.embedding(index, self.biases[:, None])[..., 0]
        squares = (value != 0) * (torch.square(e).sum(2) + torch.square(b))
        return (e * value[..., None]).sum(1), (b * value).sum(1), squares.sum(1)


class LightFM(shared.LightFM, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> HybridNetwork:
        return HybridNetwork(*self._feature_rows(), self._fields.n_features, self.factors)

    def _objective(self, network: HybridNetwork, batch: dict[str, Tensor]) -> Tensor:
        p, b_u, user_squares = network.users(batch["user"])
        q, b_i, squares = network.items()
        table = torch.cat([q, b_i[:, None], squares[:, None]], dim=1)
        met, drawn = F.embedding(batch["item"], table), F.embedding(batch["negative"], table)
        positive = (p * met[:, :-2]).sum(1) + met[:, -2]
        negative = (drawn[..., :-2] @ p[..., None])[..., 0] + drawn[..., -2]
        penalty = user_squares + met[:, -1] + drawn[..., -1].mean(1)
        return (self._loss(positive, negative, b_u) + self.reg * penalty).mean()

    def _loss(self, positive: Tensor, negative: Tensor, b_u: Tensor) -> Tensor:
        # Between two items of one user b_u cancels; left in, its rounding errors would be all that Adam sees.
        if self.loss == "warp":
            return losses.warp(positive, negative, self._sampler.n_items, reduction="none")
        if self.loss == "bpr":
            return losses.bpr(positive[:, None].expand_as(negative), negative, reduction="none").mean(1)
        return -F.logsigmoid(positive + b_u) - F.logsigmoid(-negative - b_u[:, None]).sum(1)
