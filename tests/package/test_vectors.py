"""Cosines do not depend on the unit of a vector, and a vector of zeros is like nobody."""

from __future__ import annotations

import numpy as np
import pytest

from recbook.core.vectors import cosines, directions


def test_cosines_by_hand():
    vectors = np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 0.0], [-3.0, -4.0]])
    np.testing.assert_allclose(
        cosines(vectors, np.array([0, 2])), [[1, 0.96, 0, -1], [0, 0, 0, 0]], atol=1e-15
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [1e-30, 1e-13, 1e-6, 1.0, 1e6, 1e30])
def test_directions_do_not_depend_on_the_unit(unit, dtype):
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(dtype)
    moved = vectors.copy()
    moved[:3] *= dtype(unit)
    assert directions(moved).dtype == dtype
    np.testing.assert_allclose(directions(moved), directions(vectors), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(directions(moved), axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(cosines(moved, np.arange(6)), cosines(vectors, np.arange(6)), atol=2e-6)


def test_of_no_vectors_there_are_no_cosines():
    assert cosines(np.zeros((2, 0)), np.array([1])).tolist() == [[0, 0]]
    assert cosines(np.zeros((0, 3)), np.zeros(0, np.int64)).shape == (0, 0)
