"""Neighbours in PyTorch: user and item k nearest neighbours, Slope One (chapter `neighbors`)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from recbook.preprocessing import ROUNDING
from recbook.shared import neighbors as shared
from recbook.shared.neighbors import SPLIT, STEP, Ratings
from recbook.torch._model import TorchModel

Table = tuple[Tensor, Tensor, Tensor]


def similarity(kind: str, a: Table, b: Table, shrinkage: float, min_support: int) -> Tensor:
    """Similarity of every row of a to every row of b over co-rated columns, float64; 0 where undefined.

    Equations (nb-cosine), (nb-pearson), (nb-msd), (nb-jaccard), (nb-shrinkage) of the chapter.

    a, b : values and mask, each (rows, columns), and how many ratings each row has
    """
    (A, in_a, n_a), (B, in_b, n_b) = a, b
    same = A is B

    def over_shared(left: Tensor, right: Tensor) -> Tensor:
        return (left @ right.T).double()

    def settled(difference: Tensor, size: Tensor) -> Tensor:
        """0 where it is no more than what rounding makes of sums of n terms; in float32 come sums that are exact."""
        if A.dtype == torch.float32:
            return difference
        return torch.where(difference.abs() > ROUNDING * n * size, difference, 0.0)

    n = over_shared(in_a, in_b)
    if kind == "jaccard":
        s = n / (n_a[:, None] + n_b - n).clamp(min=1)
    else:
        xy = over_shared(A, B)
        xx = over_shared(A**2, in_b)
        yy = xx.T if same else over_shared(in_a, B**2)
        if kind == "msd":
            s = n / (settled(xx + yy - 2 * xy, xx + yy) + n.clamp(min=1))
        elif kind == "pearson":
            x = over_shared(A, in_b)
            y = x.T if same else over_shared(in_a, B)
            v_x = settled(n * xx - x * x, n * xx)
            v_y = v_x.T if same else settled(n * yy - y * y, n * yy)
            covariance = settled(n * xy - x * y, n * (xx * yy).sqrt())
            s = _ratio(covariance, (v_x * v_y).sqrt())
        else:  # a cosine, of ratings or of what a level left of them
            lengths = (xx * yy).sqrt()
            s = _ratio(settled(xy, lengths), lengths)
    s = s * n / (n + shrinkage).clamp(min=1)
    return torch.where(n >= min_support, s, 0.0)


def _ratio(dot: Tensor, lengths: Tensor) -> Tensor:
    """dot / lengths, from -1 to 1; 0 where a length is 0."""
    return torch.where(lengths > 0, dot / lengths, 0.0).clamp(-1, 1)


def nearest(s: Tensor, neighbors: Tensor, real: Tensor, k: int) -> Tensor:
    """Weights of the k nearest: their similarity where it is positive, else 0. All (q, L)."""
    if s.shape[1] > k:
        split = s * SPLIT
        first_bits = split - (split - s)
        order = torch.where(real, first_bits - first_bits * neighbors * STEP, -torch.inf)
        kth = order.topk(k, dim=1).values[:, -1:]
        real = real & (order >= kth)
    return torch.where(real, s, 0.0).clamp(min=0)


class Neighbors(TorchModel):
    """How alike rows are, and what the nearest of them say."""

    # Arguments that each model declares for itself.
    similarity: ClassVar[str]
    shrinkage: ClassVar[float]
    min_support: ClassVar[int]
    k: ClassVar[int]

    _needs_float64 = True

    def _similarities(self, a: Ratings, b: Ratings) -> Tensor:
        exact = a.exact and b.exact
        how = self.shrinkage, self.min_support
        if a is b and a.is_small:
            table = self._tensors(a, exact)
            return similarity(self.similarity, table, table, *how)
        strips = []
        for others in b.large_blocks():
            others = self._tensors(others, exact)
            blocks = (self._tensors(block, exact) for block in a.blocks())
            strips.append(torch.cat([similarity(self.similarity, block, others, *how) for block in blocks]))
        return strips[0] if len(strips) == 1 else torch.cat(strips, dim=1)

    def _tensors(self, table: Ratings, exact: bool) -> Table:
        values, mask = map(self._to_tensor, table.dense(exact))
        return values, mask, self._to_tensor(table.counts)

    def _nearest_mean(self, similarity, rows, neighbors, deviations, real) -> tuple[np.ndarray, np.ndarray]:
        rows, neighbors, deviations, real = map(self._to_tensor, (rows, neighbors, deviations, real))
        s = similarity[rows[:, None], neighbors]
        weight = nearest(s, neighbors, real, self.k)
        total = weight.sum(1)
        mean = (weight * deviations).sum(1) / torch.where(total > 0, total, 1.0)
        return self._to_numpy(mean), self._to_numpy((weight > 0).sum(1))


class UserKNN(shared.UserKNN, Neighbors):
    pass


class ItemKNN(shared.ItemKNN, Neighbors):
    pass


class SlopeOne(shared.SlopeOne, TorchModel):
    _needs_float64 = True

    def _differences(self, ratings: Ratings) -> tuple[Tensor, Tensor]:
        values, mask = map(self._to_tensor, ratings.dense(ratings.exact))
        support = (mask @ mask.T).double()
        total = (values @ mask.T).double()
        return (total - total.T) / support.clamp(min=1), support

    def _mean_difference(self, items, rated, real) -> tuple[np.ndarray, np.ndarray]:
        items, rated, real = map(self._to_tensor, (items, rated, real))
        usable = real & (self._support[items[:, None], rated] >= self.min_support) & (rated != items[:, None])
        total = torch.where(usable, self._difference[items[:, None], rated], 0.0).sum(1)
        count = usable.sum(1)
        return self._to_numpy(total / count.clamp(min=1)), self._to_numpy(count)
