"""Neighbours in PyTorch: user and item k nearest neighbours, Slope One (chapter `neighbors`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recbook.neighborhoods import SPLIT, STEP, NeighborhoodModel, Ratings, SlopeOneModel
from recbook.preprocessing import ROUNDING
from recbook.torch.base import TorchRecommender

Table = tuple[Tensor, Tensor, Tensor]


def similarity(kind: str, a: Table, b: Table, shrinkage: float, min_support: int) -> Tensor:
    """Similarity of every row of a to every row of b over co-rated columns, float64; 0 where undefined.

    Equations (nb-cosine), (nb-pearson), (nb-msd), (nb-jaccard), (nb-shrinkage) of the chapter.

    a, b : values and mask, each (rows, columns), and how many ratings each row has
    """
    (a, in_a, n_a), (b, in_b, n_b) = a, b
    same = a is b

    def over_shared(left: Tensor, right: Tensor) -> Tensor:
        return (left @ right.T).double()

    def settled(difference: Tensor, size: Tensor) -> Tensor:
        """0 where it is no more than what rounding makes of sums of n terms; in float32 come sums that are exact."""
        if a.dtype == torch.float32:
            return difference
        return torch.where(difference.abs() > ROUNDING * n * size, difference, 0.0)

    n = over_shared(in_a, in_b)
    if kind == "jaccard":
        s = n / (n_a[:, None] + n_b - n).clamp(min=1)
    else:
        xy = over_shared(a, b)
        xx = over_shared(a**2, in_b)
        yy = xx.T if same else over_shared(in_a, b**2)
        if kind == "msd":
            s = n / (settled(xx + yy - 2 * xy, xx + yy) + n.clamp(min=1))
        elif kind == "pearson":
            x = over_shared(a, in_b)
            y = x.T if same else over_shared(in_a, b)
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


class _KNN(TorchRecommender, NeighborhoodModel):
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


class UserKNN(_KNN):
    """User k nearest neighbours: what the k most similar users gave the item (Resnick et al. 1994).

    r̂_ui = c_ui + Σ_v s_uv (r_vi - c_vi) / Σ_v |s_uv|, over the k users v most similar to u among those
    who rated i, as far as s_uv > 0; equation (nb-user-prediction). Of equally similar users the one who
    came first in train is nearer. With fewer than `min_k` neighbours the prediction is c_ui alone
    (the mean of all ratings where center="none").

    k : neighbours at most;  min_k : neighbours at least
    similarity : "cosine", "pearson", "adjusted_cosine" (ratings less the item's mean), "msd", "jaccard",
        "pearson_baseline" (ratings less mean and biases); over co-rated items only
    center : c, "none", "mean" (of the user), "zscore" (the same, in the user's standard deviations),
        "baseline" (mean and both biases)
    shrinkage : β of n / (n + β), n the number of co-rated items;  min_support : fewest co-rated items
    device : "auto", "cpu", "cuda"
    """

    supports = frozenset({"histories"})
    _rows_are_users = True

    def __init__(
        self,
        k: int = 40,
        similarity: str = "pearson_baseline",
        center: str = "baseline",
        shrinkage: float = 100.0,
        min_support: int = 1,
        min_k: int = 1,
        device: str = "auto",
    ):
        self.k = k
        self.similarity = similarity
        self.center = center
        self.shrinkage = shrinkage
        self.min_support = min_support
        self.min_k = min_k
        self.device = device


class ItemKNN(_KNN):
    """Item k nearest neighbours: what the user gave the k items most similar to this one (Sarwar et al. 2001).

    r̂_ui = c_ui + Σ_j s_ij (r_uj - c_uj) / Σ_j |s_ij|, over the k items j most similar to i among those
    that u rated, as far as s_ij > 0; equation (nb-item-prediction). All else is as in `UserKNN`, with
    the roles of users and items exchanged: "adjusted_cosine" takes off the user's mean, center="mean" is
    the item's.
    """

    supports = frozenset({"histories", "similar_items"})
    _rows_are_users = False

    def __init__(
        self,
        k: int = 40,
        similarity: str = "adjusted_cosine",
        center: str = "baseline",
        shrinkage: float = 100.0,
        min_support: int = 1,
        min_k: int = 1,
        device: str = "auto",
    ):
        self.k = k
        self.similarity = similarity
        self.center = center
        self.shrinkage = shrinkage
        self.min_support = min_support
        self.min_k = min_k
        self.device = device

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        if self._similarity is None:
            return self._to_numpy(self._compare(self._table.take(items)))
        return self._to_numpy(self._similarity[self._to_tensor(items)])


class SlopeOne(TorchRecommender, SlopeOneModel):
    """Slope One: r̂_ui = r̄_u + mean over rated j of (mean difference of i and j), equation (nb-slope-one).

    min_support : fewest users who rated both items
    device : "auto", "cpu", "cuda"
    """

    _needs_float64 = True

    def __init__(self, min_support: int = 1, device: str = "auto"):
        self.min_support = min_support
        self.device = device

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
