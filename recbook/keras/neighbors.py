"""Neighbours in Keras: user and item k nearest neighbours, Slope One (chapter `neighbors`)."""

from __future__ import annotations

from typing import ClassVar

import keras
import numpy as np
from keras import ops

from recbook.keras._model import KerasModel
from recbook.preprocessing import ROUNDING
from recbook.shared import neighbors as shared
from recbook.shared.neighbors import SPLIT, STEP, Ratings

Table = tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]


def similarity(kind: str, a: Table, b: Table, shrinkage: float, min_support: int):
    """Similarity of every row of a to every row of b over co-rated columns, float64; 0 where undefined.

    Equations (nb-cosine), (nb-pearson), (nb-msd), (nb-jaccard), (nb-shrinkage) of the chapter.

    a, b : values and mask, each (rows, columns), and how many ratings each row has
    """
    (A, in_a, n_a), (B, in_b, n_b) = a, b
    same = A is B

    def over_shared(left, right):
        # `@`, for `ops.matmul` makes float32 of float64 on the torch backend
        return ops.cast(left @ ops.transpose(right), "float64")

    def settled(difference, size):
        """0 where it is no more than what rounding makes of sums of n terms; in float32 come sums that are exact."""
        if keras.backend.standardize_dtype(A.dtype) == "float32":
            return difference
        return ops.where(ops.abs(difference) > ROUNDING * n * size, difference, 0.0)

    n = over_shared(in_a, in_b)
    if kind == "jaccard":
        s = n / at_least(n_a[:, None] + n_b - n, 1.0)
    else:
        xy = over_shared(A, B)
        # Not a**2: a power on tensorflow rounds 2.5² in the last bit, and exact sums are what orders ties.
        xx = over_shared(ops.square(A), in_b)
        yy = ops.transpose(xx) if same else over_shared(in_a, ops.square(B))
        if kind == "msd":
            s = n / (settled(xx + yy - 2 * xy, xx + yy) + at_least(n, 1.0))
        elif kind == "pearson":
            x = over_shared(A, in_b)
            y = ops.transpose(x) if same else over_shared(in_a, B)
            v_x = settled(n * xx - x * x, n * xx)
            v_y = ops.transpose(v_x) if same else settled(n * yy - y * y, n * yy)
            covariance = settled(n * xy - x * y, n * ops.sqrt(xx * yy))
            s = _ratio(covariance, ops.sqrt(v_x * v_y))
        else:  # a cosine, of ratings or of what a level left of them
            lengths = ops.sqrt(xx * yy)
            s = _ratio(settled(xy, lengths), lengths)
    s = s * n / at_least(n + shrinkage, 1.0)
    return ops.where(n >= min_support, s, 0.0)


def _ratio(dot, lengths):
    """dot / lengths, from -1 to 1; 0 where a length is 0."""
    ratio = ops.where(lengths > 0, dot / ops.where(lengths > 0, lengths, 1.0), 0.0)
    return at_least(ops.where(ratio < 1, ratio, 1.0), -1.0)


def nearest(s, neighbors, real, k: int):
    """Weights of the k nearest: their similarity where it is positive, else 0. All (q, L)."""
    if s.shape[1] > k:
        split = s * SPLIT
        first_bits = split - (split - s)
        lower = first_bits * ops.cast(neighbors, "float64") * STEP
        order = ops.where(real, first_bits - lower, -float("inf"))
        kth = ops.top_k(order, k)[0][:, -1:]
        real = ops.logical_and(real, order >= kth)
    return at_least(ops.where(real, s, 0.0), 0.0)


def at_least(x, low: float):
    """max(x, low). On the torch backend `ops.maximum` of a float64 and a Python number is a float32."""
    return ops.where(x > low, x, low)


def cells(matrix, rows, columns):
    """matrix[rows, columns], entry by entry: `ops` has no such index of its own."""
    return ops.take(ops.reshape(matrix, (-1,)), rows * matrix.shape[1] + columns)


class Neighbors(KerasModel):
    """How alike rows are, and what the nearest of them say."""

    # Arguments that each model declares for itself.
    similarity: ClassVar[str]
    shrinkage: ClassVar[float]
    min_support: ClassVar[int]
    k: ClassVar[int]

    def _similarities(self, a: Ratings, b: Ratings):
        with self._scope():
            exact = a.exact and b.exact
            how = self.shrinkage, self.min_support
            if a is b and a.is_small:
                table = self._tensors(a, exact)
                return similarity(self.similarity, table, table, *how)
            strips = []
            for others in b.large_blocks():
                others = self._tensors(others, exact)
                blocks = (self._tensors(block, exact) for block in a.blocks())
                strip = [similarity(self.similarity, block, others, *how) for block in blocks]
                strips.append(ops.concatenate(strip))
            return strips[0] if len(strips) == 1 else ops.concatenate(strips, axis=1)

    def _tensors(self, table: Ratings, exact: bool) -> Table:
        values, mask = map(self._to_tensor, table.dense(exact))
        return values, mask, self._to_tensor(table.counts)

    def _nearest_mean(self, similarity, rows, neighbors, deviations, real) -> tuple[np.ndarray, np.ndarray]:
        with self._scope():
            rows, neighbors, deviations, real = map(self._to_tensor, (rows, neighbors, deviations, real))
            s = cells(similarity, rows[:, None], neighbors)
            weight = nearest(s, neighbors, real, self.k)
            total = ops.sum(weight, axis=1)
            mean = ops.sum(weight * deviations, axis=1) / ops.where(total > 0, total, 1.0)
            return self._to_numpy(mean), self._to_numpy(ops.sum(weight > 0, axis=1))


class UserKNN(shared.UserKNN, Neighbors):
    pass


class ItemKNN(shared.ItemKNN, Neighbors):
    pass


class SlopeOne(shared.SlopeOne, KerasModel):
    def _differences(self, ratings: Ratings):
        with self._scope():
            values, mask = map(self._to_tensor, ratings.dense(ratings.exact))
            support = ops.cast(mask @ ops.transpose(mask), "float64")
            total = ops.cast(values @ ops.transpose(mask), "float64")
            return (total - ops.transpose(total)) / at_least(support, 1.0), support

    def _mean_difference(self, items, rated, real) -> tuple[np.ndarray, np.ndarray]:
        with self._scope():
            items, rated, real = map(self._to_tensor, (items, rated, real))
            enough = cells(self._support, items[:, None], rated) >= self.min_support
            usable = ops.logical_and(ops.logical_and(real, enough), rated != items[:, None])
            total = ops.sum(ops.where(usable, cells(self._difference, items[:, None], rated), 0.0), axis=1)
            count = ops.sum(ops.cast(usable, "float64"), axis=1)
            return self._to_numpy(total / at_least(count, 1.0)), self._to_numpy(count)
