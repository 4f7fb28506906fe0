"""Matrix factorisation, SVD++ and non-negative matrix factorisation in PyTorch (chapter `factorization`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import factorization as shared
from recbook.shared.factorization import TINY
from recbook.torch._model import TorchModel


class FactorNetwork(nn.Module):
    """r̂_ui = μ + b_u + b_i + p_uᵀq_i, equation (mf-biased); without biases p_uᵀq_i alone, (mf-plain)."""

    mean: Tensor

    def __init__(self, n_users: int, n_items: int, factors: int, biased: bool):
        super().__init__()
        self.biased = biased
        self.register_buffer("mean", torch.zeros(()))
        self.user_bias = nn.Parameter(torch.zeros(n_users), requires_grad=bool(biased))
        self.item_bias = nn.Parameter(torch.zeros(n_items), requires_grad=bool(biased))
        self.user_factors = nn.Parameter(torch.zeros(n_users, factors))
        self.item_factors = nn.Parameter(torch.zeros(n_items, factors))

    def rows(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """b_u, b_i, p_u and q_i of n pairs."""
        p, q = F.embedding(users, self.user_factors), F.embedding(items, self.item_factors)
        return self.user_bias[users], self.item_bias[items], p, q

    def score(self, b_u: Tensor, b_i: Tensor, p: Tensor, q: Tensor) -> Tensor:
        dot = (p * q).sum(1)
        return self.mean + b_u + b_i + dot if self.biased else dot

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        return self.score(*self.rows(users, items))


class MatrixFactorization(shared.MatrixFactorization, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> FactorNetwork:
        return FactorNetwork(n_users, n_items, self.factors, self.biased)

    def _objective(self, network: FactorNetwork, batch: dict[str, Tensor]) -> Tensor:
        b_u, b_i, p, q = network.rows(batch["user"], batch["item"])
        score = network.score(b_u, b_i, p, q)
        if self.loss == "squared":
            loss = torch.square(batch["target"] - score)
        else:
            loss = F.binary_cross_entropy_with_logits(score, batch["target"], reduction="none")
        penalty = b_u**2 + b_i**2 + (p**2).sum(1) + (q**2).sum(1)
        return (loss + self.reg * penalty).mean()


class ImplicitSumNetwork(FactorNetwork):
    """r̂_ui = μ + b_u + b_i + q_iᵀ(p_u + |N(u)|^-½ Σ y_j), equation (mf-svdpp)."""

    def __init__(self, n_users: int, n_items: int, factors: int):
        super().__init__(n_users, n_items, factors, biased=True)
        self.implicit_factors = nn.Parameter(torch.zeros(n_items, factors))

    def sums(self, places: Tensor, items: Tensor, n: int) -> Tensor:
        """|N|^-½ Σ y_j of n lists, (n, factors): the items, list by list, and the list that each belongs to."""
        lengths = torch.bincount(places, minlength=n)
        begins = lengths.cumsum(0) - lengths
        y = F.embedding_bag(items.long(), self.implicit_factors, begins, mode="sum")
        return y * lengths.clamp(min=1).rsqrt()[:, None]


class SVDpp(shared.SVDpp, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> ImplicitSumNetwork:
        return ImplicitSumNetwork(n_users, n_items, self.factors)

    def _objective(self, network: ImplicitSumNetwork, batch: dict[str, Tensor]) -> Tensor:
        n = len(network.user_bias) + 1  # the last one is nobody: the batch is filled up with it
        implicit = network.sums(batch["member_user"], batch["member_item"], n)
        b_u, b_i, p, q = network.rows(batch["user"], batch["item"])
        y = F.embedding(batch["item"], network.implicit_factors)
        score = network.score(b_u, b_i, p + F.embedding(batch["user"], implicit), q)
        penalty = self.reg * (b_u**2 + b_i**2 + (p**2).sum(1) + (q**2).sum(1))
        loss = torch.square(batch["target"] - score) + penalty + self.reg_implicit * (y**2).sum(1)
        return (batch["weight"] * loss).sum() / batch["weight"].sum()


Factors = Sequence[Tensor]  # vectors (n, k) and biases (n,) of users, or of items


def multiplied(
    mine: Factors, across: Factors, side: tuple[Tensor, ...], half: Tensor, reg: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One multiplicative update of `mine`, equation (mf-nmf-update), and the mean squared error before it.

    side : (whose, across from whom, rating) of each rating;  half : what biases are pulled to
    """
    (x, b), (y, c), (own, other, r) = mine, across, side
    n = torch.bincount(own, minlength=len(x))
    y = F.embedding(other, y)
    score = (F.embedding(own, x) * y).sum(1) + b[own] + c[other]
    error = torch.square(r - score).mean()

    def total(values: Tensor) -> Tensor:
        return values.new_zeros(len(x), *values.shape[1:]).index_add(0, own, values)

    pull = reg * n
    x = x * total(r[:, None] * y) / (total(score[:, None] * y) + pull[:, None] * x + TINY)
    b = b * (total(r) + pull * half) / (total(score) + pull * b + TINY)
    return x, b, error


class NMF(shared.NMF, TorchModel):
    def _sweeps(self, start, sides) -> Iterator[tuple[dict[str, np.ndarray], float]]:
        by_user, by_item = [tuple(map(self._to_tensor, side)) for side in sides]
        learnt, n = {name: self._to_tensor(values) for name, values in start.items()}, len(by_user[0])
        n_u, n_i = (torch.bincount(side[0]) for side in (by_user, by_item))
        half = learnt["mean"] / 2
        for _ in range(self.epochs):
            users = learnt["user_factors"], learnt["user_bias"]
            items = learnt["item_factors"], learnt["item_bias"]
            *users, _ = multiplied(users, items, by_user, half, self.reg)
            penalty = sum(
                (m * ((x**2).sum(1) + (b - half) ** 2)).sum() for m, (x, b) in ((n_u, users), (n_i, items))
            )
            *items, error = multiplied(items, users, by_item, half, self.reg)
            learnt["user_factors"], learnt["user_bias"] = users
            learnt["item_factors"], learnt["item_bias"] = items
            arrays = {name: self._to_numpy(values) for name, values in learnt.items()}
            yield arrays, (error + self.reg * penalty / n).item()
