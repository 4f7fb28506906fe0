"""Implicit feedback in PyTorch: EASE, weighted least squares, BPR (chapter `implicit`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import implicit as shared
from recbook.shared.implicit import Tile
from recbook.torch._model import TorchModel


class EASE(shared.EASE, TorchModel):
    _needs_float64 = True

    def _solve(self, gram: np.ndarray) -> Tensor:
        G = self._to_tensor(gram)
        G.diagonal().add_(self.reg)
        M = torch.cholesky_inverse(torch.linalg.cholesky(G))
        B = (-M / M.diagonal()).float()
        return B.fill_diagonal_(0)

    def _product(self, rows: np.ndarray) -> np.ndarray:
        return self._to_numpy(self._to_tensor(rows) @ self._weights)


class Lists(NamedTuple):
    """A `Tile` as tensors."""

    owners: Tensor
    others: Tensor
    root: Tensor
    target: Tensor
    ridge: Tensor


def block_pass(lists: Lists, mine: Tensor, others: Tensor, gram: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Equation (im-als-block) for the owners of a tile, (rows, factors), and what is left of the targets.

    mine : (rows, factors), where it starts;  gram : w₀ QᵀQ
    """
    p = mine.clone()
    q = F.embedding(lists.others, others).mul_(lists.root[:, :, None])
    rest = torch.bmm(q, p[:, :, None])[:, :, 0] - lists.target
    for start in range(0, p.shape[1], block):
        here = slice(start, start + block)
        x = q[:, :, here]
        gradient = (
            torch.bmm(rest[:, None, :], x)[:, 0] + p @ gram[:, here] + lists.ridge[:, None] * p[:, here]
        )
        hessian = torch.bmm(x.transpose(1, 2), x) + gram[here, here]
        hessian.diagonal(dim1=1, dim2=2).add_(lists.ridge[:, None])
        step = torch.cholesky_solve(gradient[:, :, None], torch.linalg.cholesky(hessian))
        p[:, here] -= step[:, :, 0]
        rest -= torch.bmm(x, step)[:, :, 0]
    return p, rest


class ImplicitALS(shared.ImplicitALS, TorchModel):
    def _to_lists(self, tiles: list[Tile]) -> list[Lists]:
        return [Lists(*map(self._to_tensor, (t.owners, t.others, t.root, t.target, t.ridge))) for t in tiles]

    def _pass(self, tiles: list[Lists], mine: np.ndarray, others: np.ndarray, block: int) -> tuple:
        own, across = self._to_tensor(mine), self._to_tensor(others)
        found, squares = own.clone(), 0.0
        gram = self.unobserved * (across.T @ across)
        for lists in tiles:
            n = len(lists.owners)
            start = F.pad(own[lists.owners], (0, 0, 0, len(lists.others) - n))
            try:
                p, rest = block_pass(lists, start, across, gram, block)
            except torch.linalg.LinAlgError as error:  # pyright: ignore[reportPrivateImportUsage]  # it is public
                raise self._singular("a matrix could not be factorised") from error
            found[lists.owners] = p[:n]
            squares += torch.square(rest).sum()
        return self._to_numpy(found), float(squares)


class PairNetwork(nn.Module):
    """r̂_ui = p_uᵀq_i + b_i, equation (im-pair-score)."""

    def __init__(self, n_users: int, n_items: int, factors: int):
        super().__init__()
        self.user_factors = nn.Parameter(torch.zeros(n_users, factors))
        self.item_factors = nn.Parameter(torch.zeros(n_items, factors))
        self.item_bias = nn.Parameter(torch.zeros(n_items))
        self.register_buffer("draw", torch.ones(n_items))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        p, q = F.embedding(users, self.user_factors), F.embedding(items, self.item_factors)
        return (p * q).sum(1) + self.item_bias[items]


class BPR(shared.BPR, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> PairNetwork:
        return PairNetwork(n_users, n_items, self.factors)

    def _objective(self, network: PairNetwork, batch: dict[str, Tensor]) -> Tensor:
        p = F.embedding(batch["user"], network.user_factors)
        q, b = F.embedding(batch["item"], network.item_factors), network.item_bias[batch["item"]]
        r, c = F.embedding(batch["negative"], network.item_factors), network.item_bias[batch["negative"]]
        above = (p * q).sum(1) + b
        below = torch.bmm(r, p[:, :, None])[:, :, 0] + c
        loss = F.softplus(below - above[:, None]).mean(1)
        sizes = (p**2).sum(1) + (q**2).sum(1) + b**2 + ((r**2).sum(2) + c**2).mean(1)
        return (loss + self.reg * sizes).mean()
