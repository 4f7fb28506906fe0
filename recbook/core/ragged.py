"""Lists of different lengths, kept in two flat arrays.

A user's items, an item's raters, a history: each is a list, and no two have the same length. List `i`
is `values[starts[i]:starts[i + 1]]`. Frameworks want rectangles, so lists are padded, in blocks
whose members are of similar length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """Which rows of a table belong to key 0, 1, …, n-1.

    rows : (nnz,) row numbers, key by key; within a key in the table's order
    starts : (n + 1,) where each key's rows begin
    """

    rows: np.ndarray
    starts: np.ndarray

    @classmethod
    def group(cls, keys: np.ndarray, n: int) -> Ragged:
        """Groups rows 0..len(keys)-1 by their key, an integer in 0..n-1."""
        counts = np.bincount(keys, minlength=n)
        return cls(np.argsort(keys, kind="stable"), np.concatenate([[0], np.cumsum(counts)]))

    @property
    def lengths(self) -> np.ndarray:
        """(n,) how many rows each key has."""
        return np.diff(self.starts)

    def padded(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the given keys as a rectangle, and which of its cells are real.

        Returns (len(keys), longest) row numbers, 0 where padded, and a boolean mask of that shape.
        """
        lengths = self.lengths[keys]
        column = np.arange(lengths.max(initial=0))
        real = column < lengths[:, None]
        cell = np.where(real, self.starts[keys][:, None] + column, 0)
        return self.rows[cell] if len(self.rows) else cell, real


def blocks_by_length(lengths: np.ndarray, max_cells: int) -> Iterator[np.ndarray]:
    """Positions 0..len(lengths)-1 in blocks of similar length, longest first.

    Padded to its longest member, a block has at most `max_cells` cells (or one member), and at most half of
    its members are padded to more than twice their length.
    """
    order = np.argsort(-lengths, kind="stable")
    falling = -lengths[order]
    start = 0
    while start < len(order):
        longest = max(-falling[start], 1)
        stop = np.searchsorted(falling, -(longest // 2), side="right") if longest > 64 else len(order)
        stop = max(min(stop, start + max_cells // longest), start + 1)
        yield order[start:stop]
        start = stop


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest of each row, highest first; of equal scores the lower column first.

    scores : (n, m). Returns rows and columns of the winners, flat, row by row; -inf never wins, so a
    row may have fewer than k.
    """
    k = min(int(k), scores.shape[1])  # of a NumPy number without a sign, -k is no index
    if k == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, [-k]]
    rows, columns = np.nonzero((scores >= kth) & (scores > -np.inf))
    order = np.lexsort((columns, -scores[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    starts = np.searchsorted(rows, np.arange(len(scores)))
    kept = np.arange(len(rows)) - starts[rows] < k
    return rows[kept], columns[kept]
