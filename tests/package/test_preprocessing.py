"""What is taken off ratings before a model sees them, and put back afterwards."""

import numpy as np
import pytest

from recbook.formulas import neighbors as nb
from recbook.preprocessing import CENTERS, REG_ITEM, REG_USER, Centering, fit_biases, shrunk_means

# Rows 0 1 2 gave columns 0 1 2: (5 3 –), (4 – 1), (– 2 2).
ROWS, COLUMNS = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 2, 1, 2])
RATINGS = np.array([5.0, 3, 4, 1, 2, 2])
TABLE = np.full((3, 3), np.nan)
TABLE[ROWS, COLUMNS] = RATINGS


def fit(kind, rows_are_users=True):
    return Centering.fit(kind, ROWS, COLUMNS, RATINGS, 3, 3, rows_are_users)


def test_shrunk_means_by_hand():
    codes, values = np.array([0, 0, 2]), np.array([3.0, 5.0, 1.0])
    assert shrunk_means(codes, values, 4, 0.0).tolist() == [4, 0, 1, 0]
    assert shrunk_means(codes, values, 4, 2.0).tolist() == [8 / 4, 0, 1 / 3, 0]


@pytest.mark.parametrize("epochs, reg_user, reg_item", [(1, 15, 10), (10, 15, 10), (3, 0.5, 2.0)])
def test_biases_are_the_formulas(epochs, reg_user, reg_item):
    found = fit_biases(ROWS, COLUMNS, RATINGS, 3, 3, epochs, reg_user, reg_item)
    for one, expected in zip(found, nb.biases(TABLE, epochs, reg_user, reg_item), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-12)


def test_biases_reach_the_minimum():
    mean, b_u, b_i = fit_biases(ROWS, COLUMNS, RATINGS, 3, 3, 500, 2.0, 1.0)
    error = RATINGS - mean - b_u[ROWS] - b_i[COLUMNS]
    np.testing.assert_allclose(np.bincount(ROWS, error), 2.0 * b_u, atol=1e-9)
    np.testing.assert_allclose(np.bincount(COLUMNS, error), 1.0 * b_i, atol=1e-9)


def test_centers_by_hand():
    mean = RATINGS.mean()
    none, means, zscore, baseline = map(fit, CENTERS)
    assert none.remove(ROWS, COLUMNS, RATINGS).tolist() == RATINGS.tolist()
    assert means.row.tolist() == [4, 2.5, 2]
    assert means.remove(ROWS, COLUMNS, RATINGS).tolist() == [1, -1, 1.5, -1.5, 0, 0]
    # Row 2 has no spread of its own: that of all ratings stands in.
    assert zscore.scale.tolist() == [1, 1.5, pytest.approx(RATINGS.std())]
    assert zscore.remove(ROWS, COLUMNS, RATINGS).tolist() == [1, -1, 1, -1, 0, 0]
    mean, b_u, b_i = nb.biases(TABLE)
    np.testing.assert_allclose(baseline.row, mean + b_u)
    np.testing.assert_allclose(baseline.column, b_i)


def test_with_items_for_rows_the_baseline_is_that_of_users_and_items():
    """Rows and columns change places, the biases do not: each keeps its own penalty and its turn."""
    turned = Centering.fit("baseline", COLUMNS, ROWS, RATINGS, 3, 3, rows_are_users=False)
    mean, b_u, b_i = nb.biases(TABLE)
    np.testing.assert_allclose(turned.row, mean + b_i)
    np.testing.assert_allclose(turned.column, b_u)
    assert (turned.reg_row, turned.reg_column) == (REG_ITEM, REG_USER)


@pytest.mark.parametrize("kind", CENTERS)
def test_restore_undoes_remove(kind):
    center = fit(kind)
    deviations = center.remove(ROWS, COLUMNS, RATINGS)
    np.testing.assert_allclose(center.restore(ROWS, COLUMNS, deviations), RATINGS, atol=1e-12)


@pytest.mark.parametrize("kind", CENTERS)
@pytest.mark.parametrize("rows_are_users", [True, False])
def test_a_row_that_comes_later_is_centred_as_in_the_fit(kind, rows_are_users):
    center = fit(kind, rows_are_users)
    row, scale = center.fit_rows(np.array([0, 0]), np.array([0, 2]), np.array([4.0, 1.0]), 2)
    if kind != "baseline" or rows_are_users:  # the fit's last half-step is the users'
        np.testing.assert_allclose([row[0], scale[0]], [center.row[1], center.scale[1]])
    # Row 1 came without ratings: nothing is known of it but the mean.
    assert row[1] == (0 if kind == "none" else pytest.approx(RATINGS.mean()))
    assert scale[1] == (pytest.approx(RATINGS.std()) if kind == "zscore" else 1)


def test_a_column_that_comes_later_gets_the_columns_bias():
    center = Centering.fit("baseline", COLUMNS, ROWS, RATINGS, 3, 3, rows_are_users=False)
    column = center.fit_columns(np.array([0, 2]), np.array([0, 0]), np.array([4.0, 1.0]), 2)
    np.testing.assert_allclose(column, [center.column[1], 0])
    assert fit("mean").fit_columns(np.array([0]), np.array([0]), np.array([4.0]), 2).tolist() == [0, 0]


@pytest.mark.parametrize("kind", CENTERS)
def test_what_is_expected_of_unknown_rows_and_columns(kind):
    center, mean = fit(kind), RATINGS.mean()
    found = center.expected(np.array([1, 1, -1, -1]), np.array([2, -1, 2, -1]))
    row = mean if kind == "none" else center.row[1]
    column = center.column[2] if kind == "baseline" else 0.0
    np.testing.assert_allclose(found, [row + column, row, mean + column, mean])


def test_ratings_that_are_all_alike_divide_by_nothing():
    same = np.full(6, 3.0)
    center = Centering.fit("zscore", ROWS, COLUMNS, same, 3, 3, True)
    assert center.scale.tolist() == [1, 1, 1] and center.remove(ROWS, COLUMNS, same).tolist() == [0] * 6
