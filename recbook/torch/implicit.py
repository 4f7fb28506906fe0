"""Implicit feedback in PyTorch: EASE, weighted least squares, BPR (chapter `implicit`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recbook.preferences import ItemWeightModel
from recbook.torch.base import TorchRecommender


class EASE(TorchRecommender, ItemWeightModel):
    """EASE: each item as a weighted sum of what else a user met, in closed form (Steck 2019).

    The score of u and i is Σ_j x_uj B_ji, x_uj = 1 where u met j: equation (im-item-scores). B makes
    ‖X - XB‖² + reg ‖B‖² smallest with zeros on its diagonal, which has one solution: with M = (XᵀX + reg I)⁻¹
    B_ji = -M_ji / M_ii, equation (im-ease). One inverse of the size items × items, in float64, is the whole training,
    and its time grows with the cube of the number of items: for catalogues up to some ten thousands.

    A user is nothing but the items met, so that people never seen need no training. Ratings are not looked at: each
    row is a positive, and a pair that stands twice counts once. Similar items: ±√(B_ij B_ji), the partial correlation
    of their columns, equation (im-partial).

    reg : λ; the larger, the more a weight must rest on
    device : "auto", "cpu", "cuda"

    A model saved with include_history=False knows no user, and recommends for `histories` alone.
    """

    supports = frozenset({"histories", "similar_items"})
    _needs_float64 = True

    def __init__(self, reg: float = 400.0, device: str = "auto"):
        self.reg = reg
        self.device = device

    def _solve(self, gram: np.ndarray) -> Tensor:
        G = self._to_tensor(gram)
        G.diagonal().add_(self.reg)
        M = torch.cholesky_inverse(torch.linalg.cholesky(G))
        B = (-M / M.diagonal()).float()
        return B.fill_diagonal_(0)

    def _product(self, rows: np.ndarray) -> np.ndarray:
        return self._to_numpy(self._to_tensor(rows) @ self._weights)

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        items = self._to_tensor(items)
        there, back = self._weights[items], self._weights[:, items].T
        return self._to_numpy(torch.sign(there) * torch.sqrt(torch.abs(there * back)))
