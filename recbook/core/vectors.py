"""Lengths and angles of vectors, for whatever compares items by their factors."""

from __future__ import annotations

import numpy as np


def directions(vectors: np.ndarray) -> np.ndarray:
    """The vectors divided by their lengths, (n, d); a vector of zeros stays one.

    A direction does not depend on the unit: each vector is divided by its largest entry first, so that the
    squares of very small or very large ones are neither 0 nor infinite.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    vectors = vectors / np.where(largest > 0, largest, 1)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def cosines(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Cosines of some vectors with all, (len(rows), n); 0 where one of the two is all zeros.

    vectors : (n, d);  rows : which of them to compare with all
    """
    unit = directions(vectors)
    return unit[rows] @ unit.T
