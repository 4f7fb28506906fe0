"""How much is held at once: one budget of numbers for all that is computed block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

CELLS = 2_000_000  # numbers that a block has, at most, or one row


def blocks(n: int, width: int = 1) -> Iterator[slice]:
    """n rows of `width` numbers each, in blocks of rows that have no more than CELLS numbers."""
    step = max(1, CELLS // max(width, 1))
    return (slice(start, start + step) for start in range(0, n, step))


def cells_of_rows(
    rows: Callable[[np.ndarray], np.ndarray], own: np.ndarray, columns: np.ndarray, n_columns: int
) -> np.ndarray:
    """Cells of a table whose rows are made when they are asked for, each once: (n,) float32.

    rows : numbers of rows, each given once, to (len, n_columns)
    own, columns : (n,) the row and the column of each cell; column -1 stands for the mean of the row
    """
    found = np.empty(len(own), np.float32)
    asked, place = np.unique(own, return_inverse=True)
    order, done = np.argsort(place, kind="stable"), 0
    for block in blocks(len(asked), n_columns):
        stop = np.searchsorted(place[order], block.start + len(asked[block]))
        here = order[done:stop]
        table = rows(asked[block])
        table = np.column_stack([table, table.mean(1)])  # column -1 is the last
        found[here] = table[place[here] - block.start, columns[here]]
        done = stop
    return found


def power_of_two(n: int) -> int:
    """The least that is no less than n: whoever compiles for each shape is given few."""
    return 1 << max(0, int(n - 1).bit_length())
