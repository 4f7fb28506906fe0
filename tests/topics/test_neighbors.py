"""Neighbours: the formulas by hand, formula = torch = keras, planted tastes, Surprise's published figures.

Tables are users × items, NaN where there is no rating. Users are called 1000, 999, …, items 500, 499, …: later
ones have smaller ids, so that a rule about order of appearance cannot pass as one about ids.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine as scipy_cosine

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, splits
from recbook.checks import neighbors as checks
from recbook.errors import DataError, NotSupportedError, UnknownIdError
from recbook.evaluation import evaluate
from recbook.formulas import neighbors as nb
from recbook.interactions import Dataset, Interactions
from recbook.metrics import rmse
from recbook.numpy.introduction import BiasOnly
from recbook.preprocessing import CENTERS
from recbook.shared import neighbors as neighborhoods
from recbook.shared.neighbors import SIMILARITIES
from tests.helpers.known_mistakes import each_gives_its_own_hint
from tests.helpers.small_tables import interactions, table_of

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
SIDES = pytest.mark.parametrize("side", ["user", "item"])
KINDS = pytest.mark.parametrize("kind", SIMILARITIES)
PLAIN = {"similarity": "msd", "center": "none", "shrinkage": 0.0}
ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30
_ = np.nan


# ---------------------------------------------------------------- tables and the slow way


def random_interactions(values: str, seed: int, n_users: int = 14, n_items: int = 10, density: float = 0.5):
    """A sparse table, its rows shuffled."""
    rng = np.random.default_rng(seed)
    drawn = {
        "whole": rng.integers(1, 6, (n_users, n_items)),
        "half": rng.integers(1, 11, (n_users, n_items)) / 2,
        "real": rng.normal(3, 1, (n_users, n_items)),
    }[values]
    R = np.where(rng.random((n_users, n_items)) < density, drawn, np.nan)
    return interactions(R, rng.permutation((~np.isnan(R)).sum()))


def knn(wing, side: str, **parameters):
    return (wing.UserKNN if side == "user" else wing.ItemKNN)(device="cpu", **parameters)


def base_of(R: np.ndarray) -> np.ndarray:
    mean, b_u, b_i = nb.biases(R)
    return mean + b_u[:, None] + b_i


def similarities_by_formula(R, side, similarity, shrinkage=0.0, min_support=1) -> np.ndarray:
    """(rows, rows) where rows are users or items."""
    if similarity == "pearson_baseline":  # the biases are those of users and items, whatever the side
        R, similarity = nb.beyond_rounding(R - base_of(R), R), "cosine"
    return nb.similarity_matrix(R if side == "user" else R.T, similarity, shrinkage, min_support)


def predictions_by_formula(
    R, side, k=40, similarity="msd", center="none", shrinkage=0.0, min_support=1, min_k=1
) -> np.ndarray:
    """Every cell of R, (users, items), one after the other."""
    S = similarities_by_formula(R, side, similarity, shrinkage, min_support)
    base = base_of(R)
    if side == "item":
        R, base = R.T, base.T
    means, spreads = np.nanmean(R, axis=1), np.nanstd(R, axis=1)
    scale = np.ones(len(R))
    if center == "zscore":
        scale = np.where(spreads > 1e-12 * np.nanmax(np.abs(R)), spreads, np.nanstd(R))
    centre = {"none": np.zeros_like(R), "baseline": base}.get(center, np.tile(means[:, None], R.shape[1]))
    alone = np.full_like(R, np.nanmean(R)) if center == "none" else centre
    deviations = (R - centre) / scale[:, None]
    found = alone.copy()
    for x in range(R.shape[0]):
        for y in range(R.shape[1]):
            near = nb.neighborhood(S[x], np.flatnonzero(~np.isnan(R[:, y])), k)
            if len(near) >= min_k:
                mean = nb.weighted_mean_of_deviations(S[x, near], deviations[near, y])
                found[x, y] = centre[x, y] + scale[x] * mean
    return found if side == "user" else found.T


def close(found, expected, tolerance: float = 2e-6) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


# ---------------------------------------------------------------- by hand


def test_cosine_by_hand():
    """F13: over co-rated items; 0 for a vector of zeros; no centring; SciPy's `cosine` is 1 minus it."""
    x, y = np.array([3, 4, 1, _]), np.array([4, 3, _, 5])
    assert nb.co_rated(x, y).tolist() == [True, True, False, False]
    assert nb.cosine(x, y) == pytest.approx((12 + 12) / (5 * 5)) == pytest.approx(0.96)
    assert scipy_cosine(x[:2], y[:2]) == pytest.approx(1 - 0.96)
    assert nb.cosine(np.zeros(2), np.array([1.0, 2.0])) == 0
    assert nb.cosine(np.array([1, _]), np.array([_, 1])) == 0
    # No centring: opposite tastes on a scale of 1 to 5 still have a positive cosine.
    love, hate = np.array([5.0, 5.0, 1.0]), np.array([1.0, 1.0, 5.0])
    assert nb.cosine(love, hate) == pytest.approx(15 / np.sqrt(51 * 27)) and nb.cosine(love, hate) > 0.4
    assert nb.pearson(love, hate) == pytest.approx(-1)


def test_pearson_uses_corated_items_only():
    """F14: sums and means over I_uv; a missing rating is no zero."""
    x, y = np.array([1, 2, 3, 5, _]), np.array([2, 1, 3, _, 4])
    # Co-rated: (1 2 3) and (2 1 3), deviations (-1 0 1) and (0 -1 1).
    assert nb.pearson(x, y) == pytest.approx(1 / 2)
    # With x's mean over all it rated (2.75) it would be .37, with zeros for ratings .11.
    x_all, y_all = x[:3] - 2.75, y[:3] - 2.5
    with_all_means = x_all @ y_all / np.sqrt((x_all @ x_all) * (y_all @ y_all))
    zeros_for_ratings = np.corrcoef(np.nan_to_num(x), np.nan_to_num(y))[0, 1]
    assert abs(with_all_means - 0.5) > 0.05 and abs(zeros_for_ratings - 0.5) > 0.05
    # Nothing in common: no similarity. Zeros for ratings make enemies of them: -12 / √(17 · 16).
    x, y = np.array([5, 1, _, _]), np.array([_, _, 4, 4])
    assert nb.pearson(x, y) == 0
    assert np.corrcoef(np.nan_to_num(x), np.nan_to_num(y))[0, 1] == pytest.approx(-0.7276, abs=1e-4)
    # A constant has no correlation, nor has a single item.
    assert nb.pearson(np.array([3.0, 3, 3]), np.array([1.0, 2, 3])) == 0
    assert nb.pearson(np.array([5, 1, _]), np.array([4, _, 2])) == 0


@pytest.mark.backends
def test_item_pearson_by_hand_and_adjusted_cosine_differs():
    """F15: columns, over the users of both; Sarwar's adjusted cosine takes off the user's mean instead."""
    R = np.array([[1, 2, 3], [2, 1, 3], [4, 5, 3], [5, 4, 3], [_, 5, 5]])
    a, b = R[:, 0], R[:, 1]
    # Deviations from the columns' means, 3 and 3: (-2 -1 1 2) and (-1 -2 2 1).
    assert nb.pearson(a, b) == pytest.approx(8 / 10)
    # Deviations from the users' means, 2 2 4 4: (-1 0 0 1) and (0 -1 1 0).
    assert nb.adjusted_cosine(R, 0, 1) == 0
    # And columns 0 and 2: (-1 0 0 1) and (1 1 -1 -1), -2 / √(2 · 4).
    assert nb.adjusted_cosine(R, 0, 2) == pytest.approx(-1 / np.sqrt(2))
    for wing in (rt, rk):
        S = {
            kind: knn(wing, "item", **PLAIN | {"similarity": kind})
            .fit(interactions(R))
            .get_parameters()["similarity"]
            for kind in ("pearson", "adjusted_cosine")
        }
        close(
            [S["pearson"][0, 1], S["adjusted_cosine"][0, 1], S["adjusted_cosine"][0, 2]],
            [0.8, 0, -(0.5**0.5)],
        )


def test_msd_and_jaccard_by_hand():
    x, y = np.array([5, 3, 1, _]), np.array([4, 1, _, 2])
    assert nb.msd(x, y) == pytest.approx(1 / (1 + (1 + 4) / 2))
    assert nb.msd(x, x) == 1
    assert nb.jaccard(x, y) == 2 / 4
    nothing = np.array([_, _, _, 3])
    assert nb.msd(x, nothing) == nb.jaccard(x, nothing) == 0
    assert nb.jaccard(nothing * np.nan, nothing * np.nan) == 0


def test_shrinkage_and_support_by_hand():
    assert nb.shrunk(0.8, 4, 0) == 0.8
    assert nb.shrunk(0.8, 4, 12) == pytest.approx(0.8 * 4 / 16)
    assert nb.shrunk(0.8, 4, 0, min_support=4) == 0.8
    assert nb.shrunk(0.8, 4, 0, min_support=5) == 0
    assert nb.shrunk(0.8, 0, 0) == 0


def test_baseline_by_hand():
    """Mean 3. One round: b_i = Σ (r - 3) / (10 + n_i), then b_u = Σ (r - 3 - b_i) / (15 + n_u)."""
    mean, b_u, b_i = nb.biases(np.array([[5, 4], [1, 2]]), epochs=1)
    assert (mean, b_i.tolist(), b_u.tolist()) == (3, [0, 0], [3 / 17, -3 / 17])
    mean, b_u, b_i = nb.biases(np.array([[5, 4], [_, 3]]), epochs=1)
    assert mean == 4
    assert b_i == pytest.approx([1 / 11, -1 / 12])
    assert b_u == pytest.approx([(1 - 1 / 11 + 1 / 12) / 17, (-1 + 1 / 12) / 16])


def test_neighborhood_by_hand():
    s = np.array([1.0, 0.5, 0.9, 0.5, -0.3, 0.5])
    raters = np.array([1, 2, 3, 4, 5])
    assert nb.neighborhood(s, raters, 2).tolist() == [2, 1]
    assert nb.neighborhood(s, raters, 3).tolist() == [2, 1, 3]
    assert nb.neighborhood(s, raters, 9).tolist() == [2, 1, 3, 5]  # never one that is not similar
    # What differs by rounding alone is a tie, and the lower code is nearer.
    s[3] += 1e-13
    assert nb.neighborhood(s, raters, 2).tolist() == [2, 1]


@pytest.mark.backends
def test_weighted_mean_of_deviations_by_hand():
    """F19: the user form, with means, and the item form."""
    assert nb.weighted_mean_of_deviations(np.array([1, 0.5]), np.array([1, -1])) == pytest.approx(1 / 3)
    # |s| in the denominator: with Σ s it would be a division by zero.
    assert nb.weighted_mean_of_deviations(np.array([0.5, -0.5]), np.array([1, -1])) == pytest.approx(1)

    R = np.array([[5, 3, _], [4, 4, 5], [1, 3, 1], [_, 2, 4]])
    # MSD with user 0: user 1 (1 + 1) / 2 = 1 → 1/2; user 2 (16 + 0) / 2 = 8 → 1/9; user 3 (1) / 1 → 1/2.
    # Means 4, 13/3, 5/3, 3; deviations at item 2: 2/3, -2/3, 1.
    S = similarities_by_formula(R, "user", "msd")
    assert S[0, 1:].tolist() == pytest.approx([1 / 2, 1 / 9, 1 / 2])
    by_hand = 4 + (1 / 2 * 2 / 3 - 1 / 9 * 2 / 3 + 1 / 2 * 1) / (1 / 2 + 1 / 9 + 1 / 2)
    assert nb.predict_user_knn(R, S, 0, 2, k=3) == pytest.approx(by_hand)
    # k = 1: users 1 and 3 tie, user 1 came first.
    assert nb.predict_user_knn(R, S, 0, 2, k=1) == pytest.approx(4 + 2 / 3)
    # The item form without centring, Σ s r / Σ |s|: item 2 with item 0 (1 + 0) / 2 → 2/3, with 1 9/3 → 1/4.
    S = similarities_by_formula(R, "item", "msd")
    assert S[2, :2].tolist() == pytest.approx([2 / 3, 1 / 4])
    item_form = (2 / 3 * 5 + 1 / 4 * 3) / (2 / 3 + 1 / 4)
    for wing in (rt, rk):
        user = knn(wing, "user", **PLAIN | {"center": "mean"}).fit(interactions(R))
        close(user.predict(1000, 498), by_hand)
        close(user.clone(k=1).fit(interactions(R)).predict(1000, 498), 4 + 2 / 3)
        close(knn(wing, "item", **PLAIN).fit(interactions(R)).predict(1000, 498), item_form)


@pytest.mark.backends
def test_slope_one_by_hand():
    R = np.array([[5, 3, 2], [3, 4, _], [_, 2, 5]])
    # Item 0 over 1: (2 - 1) / 2 = .5; over 2: 3. User 2's mean is 3.5.
    assert nb.mean_difference(R[:, 0], R[:, 1]) == 0.5
    assert nb.mean_difference(R[:, 0], R[:, 2]) == 3
    assert np.isnan(nb.mean_difference(np.array([1, _]), np.array([_, 1])))
    assert nb.predict_slope_one(R, 2, 0) == 3.5 + (0.5 + 3) / 2
    for wing in (rt, rk):
        assert wing.SlopeOne(device="cpu").fit(interactions(R)).predict(998, 500) == pytest.approx(5.25)
        # With at least two raters of both only item 1 is left.
        strict = wing.SlopeOne(min_support=2, device="cpu").fit(interactions(R))
        assert strict.predict(998, 500) == pytest.approx(3.5 + 0.5)


# ---------------------------------------------------------------- properties

rating = st.one_of(st.just(np.nan), st.integers(1, 5).map(float), st.sampled_from([0.5, 1.5, 2.5, 3.5, 4.5]))
pair_of_rows = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.lists(rating, min_size=n, max_size=n).map(np.array)] * 2)
)
PAIRWISE = [nb.cosine, nb.pearson, nb.msd, nb.jaccard]


@pytest.mark.parametrize("similarity", PAIRWISE, ids=lambda f: f.__name__)
@given(rows=pair_of_rows)
@settings(max_examples=60, deadline=None)
def test_similarities_are_symmetric_bounded_and_blind_to_what_is_not_shared(similarity, rows):
    x, y = rows
    s = similarity(x, y)
    assert s == similarity(y, x) and np.isfinite(s)
    low = -1 if similarity is nb.pearson else 0
    assert low - 1e-12 <= s <= 1 + 1e-12
    if not nb.co_rated(x, y).any():
        assert s == 0
    if similarity is not nb.jaccard:  # Jaccard is about what is not shared
        shared = nb.co_rated(x, y)
        assert s == similarity(np.where(shared, x, np.nan), np.where(shared, y, np.nan))


@given(rows=pair_of_rows, a=st.floats(0.25, 8), b=st.floats(-5, 5))
@settings(max_examples=60, deadline=None)
def test_pearson_does_not_see_scale_or_level(rows, a, b):
    x, y = rows
    s = nb.pearson(x, y)
    assert nb.pearson(a * x + b, y) == pytest.approx(s, abs=1e-6)
    assert nb.pearson(-x, y) == pytest.approx(-s, abs=1e-9)
    assert nb.cosine(a * x, y) == pytest.approx(nb.cosine(x, y), abs=1e-9)


@given(rows=pair_of_rows)
@settings(max_examples=60, deadline=None)
def test_pearson_is_numpys_correlation_of_what_is_shared(rows):
    x, y = rows
    shared = nb.co_rated(x, y)
    if shared.sum() >= 2 and np.ptp(x[shared]) and np.ptp(y[shared]):
        assert nb.pearson(x, y) == pytest.approx(np.corrcoef(x[shared], y[shared])[0, 1], abs=1e-9)
    else:
        assert nb.pearson(x, y) == 0


@given(s=st.lists(st.floats(0.001, 1), min_size=1, max_size=9), n=st.integers(0, 50), beta=st.floats(0, 200))
@settings(max_examples=60, deadline=None)
def test_averages_stay_between_and_shrinkage_shrinks(s, n, beta):
    s, d = np.array(s), np.linspace(-2, 3, len(s))
    assert d.min() - 1e-9 <= nb.weighted_mean_of_deviations(s, d) <= d.max() + 1e-9
    assert 0 <= nb.shrunk(s[0], n, beta) <= s[0] + 1e-12
    assert nb.shrunk(s[0], n + 1, beta) >= nb.shrunk(s[0], n, beta) - 1e-12
    assert n == 0 or nb.shrunk(s[0], n, float(n)) == pytest.approx(s[0] / 2)


# ---------------------------------------------------------------- formula = torch = keras

CASES = [
    {"center": "none", "k": 3},
    {"center": "mean", "k": 2, "shrinkage": 5.0},
    {"center": "zscore", "k": 4, "min_k": 2},
    {"center": "baseline", "k": 3, "min_support": 3},
    {"center": "mean", "k": 40, "shrinkage": 1.5, "min_support": 2, "min_k": 3},
    {"center": "baseline", "k": 1, "shrinkage": 100.0},
]


def test_the_cases_cover_every_center():
    assert {case["center"] for case in CASES} == set(CENTERS)


@pytest.mark.backends
@pytest.mark.parametrize("values", ["whole", "half", "real"])
@SIDES
@KINDS
def test_models_equal_the_formulas_entry_by_entry(kind, side, values):
    for seed, case in enumerate(CASES):
        case = {"shrinkage": 0.0, "similarity": kind, **case}
        x = random_interactions(values, seed)
        R = table_of(x)
        support = {name: case[name] for name in ("shrinkage", "min_support") if name in case}
        S = similarities_by_formula(R, side, kind, **support)
        expected = predictions_by_formula(R, side, **case)
        assert np.ptp(expected) > 0.1
        for wing in (rt, rk):
            model = knn(wing, side, **case).fit(x)
            close(model.get_parameters()["similarity"], S, 1e-9)
            close(model.score_matrix(), expected)
            close(model.predict(x.users, x.items), expected[x.user_codes, x.item_codes])


@pytest.mark.backends
@pytest.mark.parametrize("values", ["whole", "half", "real"])
def test_slope_one_equals_the_formula_entry_by_entry(values):
    x = random_interactions(values, 3)
    R = table_of(x)
    expected = [[nb.predict_slope_one(R, u, i) for i in range(x.n_items)] for u in range(x.n_users)]
    for wing in (rt, rk):
        model = wing.SlopeOne(device="cpu").fit(x)
        close(model.score_matrix(), expected)
        difference = model.get_parameters()["difference"]
        close(difference, -difference.T, 1e-12)


@pytest.mark.backends
@SIDES
@KINDS
def test_blocks_change_nothing(kind, side, monkeypatch):
    """Similarities and predictions are computed a block of rows at a time; how large is a matter of memory."""
    x = random_interactions("half", 8)
    whole = [knn(wing, side, similarity=kind, k=3).fit(x).score_matrix() for wing in (rt, rk)]
    small = {"ROWS_AT_ONCE": 0, "ROWS_PER_BLOCK": 4, "CELLS_AT_ONCE": 50}
    for name, value in small.items():
        monkeypatch.setattr(neighborhoods, name, value)
    monkeypatch.setattr("recbook.core.blocks.CELLS", 17)
    for wing, expected in zip((rt, rk), whole, strict=True):
        close(knn(wing, side, similarity=kind, k=3).fit(x).score_matrix(), expected, 1e-6)


# ---------------------------------------------------------------- ties


@pytest.mark.backends
@SIDES
@pytest.mark.parametrize("kind", [s for s in SIMILARITIES if s != "pearson_baseline"])
@pytest.mark.parametrize("values", ["whole", "real"])
def test_of_equally_similar_neighbours_the_first_in_train_win(values, kind, side):
    """Eight copies of one row differ in the last column alone, which row 0 lacks: all eight tie.

    Four opposites, who lack the last column too, give the columns means that are not the copies' own.
    """
    shared = np.array([5, 1, 4, 2, 2] if values == "whole" else [4.7, 1.3, 3.9, 2.2, 2.6])
    last = np.array([_, 2, 5, 1, 4, 5, 5, 5, 5])
    copies = np.column_stack([np.tile(shared, (9, 1)), last])
    copies[0, 0] -= 0.5  # like the copies, but not one of them
    R = np.vstack([copies, np.tile(np.append(6 - shared, np.nan), (4, 1))])
    if side == "item":
        R = R.T
    x = interactions(R)
    if side == "item":  # its items must come in the order 0, 1, …
        u, i = np.nonzero(~np.isnan(R))
        x = interactions(R, np.lexsort((u, i)))
    at = (1000, 495) if side == "user" else (995, 500)
    similar = similarities_by_formula(table_of(x), side, kind)[0, 1:9]
    assert np.ptp(similar) < 1e-12 < similar[0]
    for k, mean in [(1, 2), (2, 3.5), (3, 8 / 3), (4, 3)]:
        case = {**PLAIN, "similarity": kind, "k": k}
        formula = predictions_by_formula(table_of(x), side, **case)
        assert (formula[0, 5] if side == "user" else formula[5, 0]) == pytest.approx(mean)
        for wing in (rt, rk):
            close(knn(wing, side, **case).fit(x).predict(*at), mean)


@pytest.mark.backends
@SIDES
def test_many_ties_at_the_last_place(side):
    """Ratings of 1 and 2 alone: nearly every place k is tied, in every prediction."""
    rng = np.random.default_rng(4)
    R = np.where(rng.random((40, 30)) < 0.6, rng.integers(1, 3, (40, 30)), np.nan)
    x = interactions(R, rng.permutation((~np.isnan(R)).sum()))
    R = table_of(x)
    for kind in ("msd", "jaccard", "cosine", "pearson"):
        case = {**PLAIN, "similarity": kind, "k": 5}
        expected = predictions_by_formula(R, side, **case)
        for wing in (rt, rk):
            close(knn(wing, side, **case).fit(x).score_matrix(), expected)


# ---------------------------------------------------------------- rounding, units, levels

UNITS = [1e-30, 1e-6, 3e-4, 1e6]
CONSTANTS = [3.3, 0.1, 7 / 3, 1e7 + 0.1]
WITHOUT_A_UNIT = [kind for kind in SIMILARITIES if kind != "msd"]
WITHOUT_A_LEVEL = [kind for kind in SIMILARITIES if kind != "cosine"]


def similarities_of(wing, side, R: np.ndarray, kind: str, **parameters) -> np.ndarray:
    model = knn(wing, side, **PLAIN | {"similarity": kind, **parameters}).fit(interactions(R))
    return model.get_parameters()["similarity"]


@pytest.mark.backends
@SIDES
@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("n", [2, 3, 24, 38, 200])
def test_a_constant_is_like_nobody(n, constant, side):
    """Sums of 3.3 are rounded: a norm that should be 0 must not be what is left of them."""
    rng = np.random.default_rng(n)
    R = np.full((4, n + 3), np.nan)
    R[0, :n] = constant
    R[1, :n] = constant * rng.uniform(0.5, 1.5, n)
    R[2] = np.append(np.full(n, constant), constant * rng.uniform(0.5, 1.5, 3))  # constant where others rated
    R[3, :n] = constant / 7  # a constant that is not the others'
    # Once more, but for the last bits: a mean of three equal ratings may be one.
    R[3, rng.permutation(n)[: n // 2]] = np.nextafter(constant / 7, 9e9)
    expected = np.zeros((4, 4))
    expected[1, 1] = expected[2, 2] = 1
    found = [nb.similarity_matrix(R, "pearson")]
    found += [similarities_of(wing, side, R if side == "user" else R.T, "pearson") for wing in (rt, rk)]
    for S in found:
        close(S, expected, 1e-9)
        assert (S[expected == 0] == 0).all()


@pytest.mark.backends
@SIDES
@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("kind", ["adjusted_cosine", "pearson_baseline", "pearson"])
def test_a_world_without_taste_has_no_neighbours(kind, constant, side):
    """Less the column's mean, or less the biases, nothing is left where everybody gives everything the same."""
    R = np.full((30, 23), constant)
    R[np.random.default_rng(0).random(R.shape) < 0.2] = np.nan
    assert (similarities_by_formula(R, side, kind) == 0).all()
    for wing in (rt, rk):
        assert (similarities_of(wing, side, R, kind) == 0).all()
        for center in CENTERS:
            model = knn(wing, side, similarity=kind, center=center).fit(interactions(R))
            np.testing.assert_allclose(model.score_matrix(), constant, rtol=1e-6)


@pytest.mark.backends
@pytest.mark.parametrize("constant", CONSTANTS)
def test_who_has_no_spread_gets_that_of_all(constant):
    """center="zscore" divides by a standard deviation: the one of [3.3] * 24 is 4e-16, and means 0."""
    R = constant * np.random.default_rng(1).uniform(0.5, 1.5, (9, 24))
    R[0] = constant
    for wing in (rt, rk):
        model = knn(wing, "user", similarity="jaccard", center="zscore").fit(interactions(R))
        close(model.get_parameters()["row_scale"][0] / np.std(R), 1, 1e-9)
        np.testing.assert_allclose(model.get_parameters()["row_scale"][1:], R[1:].std(axis=1))


@pytest.mark.backends
@SIDES
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", WITHOUT_A_UNIT)
def test_the_unit_of_ratings_is_the_unit_of_predictions(kind, unit, side):
    for values, center in (("whole", "baseline"), ("half", "zscore"), ("real", "mean"), ("whole", "none")):
        x = random_interactions(values, 3)
        other = Interactions(x.users, x.items, x.ratings * unit)
        case = {"similarity": kind, "center": center, "k": 3, "shrinkage": 2.0}
        expected = predictions_by_formula(table_of(x), side, **case)
        close(predictions_by_formula(table_of(other), side, **case) / unit, expected)
        for wing in (rt, rk):
            model = knn(wing, side, **case).fit(other)
            S = knn(wing, side, **case).fit(x).get_parameters()["similarity"]
            close(model.get_parameters()["similarity"], S, 1e-9)
            close(model.score_matrix() / np.float32(unit), expected, 1e-5)
            mine = other.take(other.users == x.user_ids[3])
            close(model.score_matrix(histories=mine)[0] / np.float32(unit), expected[3], 1e-5)


@pytest.mark.backends
@SIDES
@pytest.mark.parametrize("level", [-3.0, 1000.0, 1e8])
@pytest.mark.parametrize("kind", WITHOUT_A_LEVEL)
def test_the_level_of_ratings_is_the_level_of_predictions(kind, level, side):
    """Large numbers must not swallow the differences between them; what 1e8 itself rounds away is lost before."""
    for values, center in (("whole", "baseline"), ("half", "zscore"), ("real", "mean")):
        x = random_interactions(values, 4)
        other = Interactions(x.users, x.items, x.ratings + level)
        case = {"similarity": kind, "center": center, "k": 3, "shrinkage": 2.0}
        for wing in (rt, rk):
            a, b = (knn(wing, side, **case).fit(data) for data in (x, other))
            S, moved = a.get_parameters()["similarity"], b.get_parameters()["similarity"]
            close(moved, S, 1e-9 if abs(level) < 1e8 else 1e-6)
            assert np.abs(moved).max() <= 1
            if abs(level) < 1e8:  # scores are float32
                close(b.score_matrix() - level, a.score_matrix(), 1e-4)


@WINGS
def test_msd_has_a_unit(wing):
    """1 / (1 + msd) is what was published: its 1 is a star, squared. So other units have other similarities."""
    x = random_interactions("whole", 3)
    R = table_of(x)
    S = similarities_of(wing, "user", R, "msd")
    close(
        similarities_of(wing, "user", R * 1e3, "msd"), similarities_by_formula(R * 1e3, "user", "msd"), 1e-9
    )
    assert np.abs(similarities_of(wing, "user", R * 1e3, "msd") - S).max() > 0.1
    # However large the unit, the nearest are told apart: their order is relative.
    for unit in (1e6, 1e9):
        case = {"similarity": "msd", "k": 2, "center": "mean"}
        expected = predictions_by_formula(R * unit, "user", **case) / unit
        model = knn(wing, "user", **PLAIN | case).fit(interactions(R * unit))
        users, items = R.shape
        found = model.score_matrix(1000 - np.arange(users), candidates=500 - np.arange(items))
        close(found / unit, expected, 1e-5)


@pytest.mark.backends
@SIDES
@KINDS
def test_the_nearest_are_told_apart_however_much_they_are_shrunk(kind, side):
    """β far beyond any number of co-rated items makes every similarity tiny, in proportion to s · n."""
    x = random_interactions("real", 5)
    case = {"similarity": kind, "k": 2, "center": "mean", "shrinkage": 1e13}
    expected = predictions_by_formula(table_of(x), side, **case)
    for wing in (rt, rk):
        close(knn(wing, side, **case).fit(x).score_matrix(), expected)


far_apart = st.floats(-4, 9).map(lambda e: 10.0**e)
wide_row = st.lists(st.one_of(st.just(np.nan), far_apart, st.just(3.3)), min_size=6, max_size=6)


@given(R=st.lists(wide_row, min_size=2, max_size=4).map(np.array))
@settings(max_examples=60, deadline=None)
def test_nothing_correlates_more_than_wholly(R):
    """Whatever the sizes: from -1 to 1, finite, symmetric, and 0 for who rates everything alike."""
    R = np.where(np.isnan(R) & ~(~np.isnan(R)).any(axis=1, keepdims=True), 1.0, R)
    x = interactions(R)
    by_code = table_of(x)
    for kind in ("pearson", "cosine", "adjusted_cosine", "pearson_baseline"):
        found = [similarities_by_formula(by_code, "user", kind)]
        found += [
            knn(wing, "user", **PLAIN | {"similarity": kind}).fit(x).get_parameters()["similarity"]
            for wing in (rt, rk)
        ]
        for S in found:
            assert np.isfinite(S).all() and np.abs(S).max() <= 1
            close(S, S.T, 1e-9)
            if kind == "pearson":
                flat = [np.ptp(row[~np.isnan(row)]) == 0 for row in by_code]
                assert (S[flat] == 0).all()


# ---------------------------------------------------------------- more rows than similarities can be kept of


@pytest.mark.backends
@SIDES
@KINDS
def test_similarities_that_are_not_kept_are_made_when_asked_for(kind, side, monkeypatch, tmp_path):
    """Above a size the model keeps no table of all pairs; predictions, lists and files are the same."""
    x = random_interactions("half", 8)
    mine = x.take(np.isin(x.users, x.user_ids[[3, 5]]))
    case = {"similarity": kind, "k": 3, "center": "zscore", "shrinkage": 2.0}
    kept = {wing: knn(wing, side, **case).fit(x) for wing in (rt, rk)}
    kept[rt].save(tmp_path / "kept.npz")
    small = {"CELLS_KEPT": 9, "ROWS_AT_ONCE": 0, "ROWS_PER_BLOCK": 4, "CELLS_AT_ONCE": 50}
    for name, value in small.items():
        monkeypatch.setattr(neighborhoods, name, value)
    monkeypatch.setattr("recbook.core.blocks.CELLS", 17)
    for wing, other in ((rt, rk), (rk, rt)):
        model = knn(wing, side, **case).fit(x)
        assert "similarity" not in model.get_parameters()
        model.save(tmp_path / "model.npz")
        for one in (model, other.load(tmp_path / "model.npz"), wing.load(tmp_path / "kept.npz")):
            close(one.score_matrix(), kept[wing].score_matrix())
            close(one.predict(x.users, x.items), kept[wing].predict(x.users, x.items))
            close(one.score_matrix(histories=mine), kept[wing].score_matrix(histories=mine))
            if side == "item":
                table, expected = (m.similar_items(x.item_ids[:3], k=4) for m in (one, kept[wing]))
                assert table.similar.tolist() == expected.similar.tolist()
                close(table.score, expected.score)


@WINGS
def test_memory_that_is_not_there_is_said_before_it_is_asked_for(wing, monkeypatch):
    x = random_interactions("whole", 0)
    monkeypatch.setattr(neighborhoods, "ROWS_AT_ONCE", 0)
    monkeypatch.setattr("recbook.core.memory.available", lambda: 1000)
    for model, what in (
        (wing.UserKNN(), "14 users"),
        (wing.ItemKNN(), "10 items"),
        (wing.SlopeOne(), "10 items"),
    ):
        with pytest.raises(MemoryError, match=f"of {what} take .* GiB.* 0.0 GiB are there; leave out"):
            model.fit(x)
        assert not model._is_fitted
    monkeypatch.setattr(neighborhoods, "MOST_ROWS", 9)
    with pytest.raises(ValueError, match="UserKNN tells 9 users apart, the data has 14; leave out"):
        wing.UserKNN().fit(x)


# ---------------------------------------------------------------- histories


@pytest.mark.backends
@SIDES
@KINDS
@pytest.mark.parametrize("center", CENTERS)
def test_a_known_persons_own_ratings_as_a_history_predict_the_same(center, kind, side):
    """Folded in, a person is what `fit` made of the same ratings: the same neighbours, the same centre.

    The person of train is then a neighbour of similarity 1 (before shrinkage) to the person of the history, as
    it is to itself in train.
    """
    x = random_interactions("half", 5)
    mine = x.take(x.users == x.user_ids[3])
    for wing in (rt, rk):
        model = knn(wing, side, similarity=kind, center=center, k=4, shrinkage=2.0).fit(x)
        found = model.score_matrix(histories=mine)
        assert found.shape == (1, x.n_items)
        close(found[0], model.score_matrix([x.user_ids[3]])[0])


@pytest.mark.backends
def test_a_history_finds_itself_in_train():
    """With k = 1 and no centre, a copy of a person of train is told that person's own ratings."""
    x = random_interactions("real", 6)
    R = table_of(x)
    rated = ~np.isnan(R[2])
    for wing in (rt, rk):
        model = knn(wing, "user", **PLAIN | {"k": 1}).fit(x)
        found = model.score_matrix(histories=x.take(x.user_codes == 2))
        close(found[0, rated], R[2, rated])


@pytest.mark.backends
@pytest.mark.parametrize("kind", ["cosine", "pearson", "msd", "jaccard"])
def test_histories_of_strangers_equal_the_formulas(kind):
    """A stranger is one more row of the table, and a neighbour of nobody."""
    x = random_interactions("half", 7)
    R = table_of(x)
    rng = np.random.default_rng(0)
    new = np.where(rng.random((2, x.n_items)) < 0.6, rng.integers(1, 11, (2, x.n_items)) / 2, np.nan)
    u, i = np.nonzero(~np.isnan(new))
    histories = Interactions.from_frame(
        pd.DataFrame({"user": np.array(["Ann", "Bob"])[u], "item": x.item_ids[i], "rating": new[u, i]})
    )
    S = similarities_by_formula(np.vstack([R, new]), "user", kind, shrinkage=3.0)
    expected = np.full(new.shape, np.nan)
    for p in range(2):
        for y in range(x.n_items):
            near = nb.neighborhood(S[len(R) + p, : len(R)], np.flatnonzero(~np.isnan(R[:, y])), 3)
            deviations = R[near, y] - np.nanmean(R[near], axis=1)
            shift = nb.weighted_mean_of_deviations(S[len(R) + p, near], deviations) if len(near) else 0
            expected[p, y] = np.nanmean(new[p]) + shift
    for wing in (rt, rk):
        model = knn(wing, "user", similarity=kind, center="mean", k=3, shrinkage=3.0).fit(x)
        close(model.score_matrix(histories=histories), expected)
        close(
            model.predict(["Bob", "Ann"], x.item_ids[:2], histories=histories),
            [expected[1, 0], expected[0, 1]],
        )


@pytest.mark.backends
@SIDES
def test_a_list_says_liked_and_the_order_of_ratings_says_nothing(side):
    x = random_interactions("whole", 9)
    liked = x.item_ids[[4, 1, 6]]
    rated = pd.DataFrame({"user": "new", "item": liked, "rating": 5.0})
    timed = rated.assign(timestamp=[30, 10, 20])
    for wing in (rt, rk):
        model = knn(wing, side, similarity="msd", center="baseline", k=3).fit(x)
        by_list = model.score_matrix(histories={"new": liked.tolist()})
        for df in (rated, timed, timed.iloc[::-1]):
            close(model.score_matrix(histories=Interactions.from_frame(df)), by_list, 1e-6)
        table = model.recommend(histories={"new": liked.tolist(), "newer": liked[:1]}, k=4)
        assert (
            table.user.tolist() == ["new"] * 4 + ["newer"] * 4 and table["rank"].tolist() == [1, 2, 3, 4] * 2
        )
        assert not set(table.item[:4]) & set(liked.tolist()) and liked[0] not in set(table.item[4:])
        assert (np.diff(table.score[:4]) <= 0).all()


@WINGS
def test_a_history_of_equal_ratings_has_no_pearson(wing):
    """Who rates everything alike gets the prior and a warning; the others are not held up."""
    x = random_interactions("whole", 1)
    model = knn(wing, "user", similarity="pearson", center="mean").fit(x)
    items = model.item_ids_[:2].tolist()
    with pytest.warns(UserWarning, match=r"1 of 1 people rate everything alike.*similarity='msd'"):
        found = model.score_matrix(histories={"new": items})
    close(found, np.full((1, x.n_items), 5.0))
    rows = [("a", 5.0), ("a", 1.0), ("b", 3.3), ("b", 3.3), ("c", 1.0), ("c", 5.0)]
    df = pd.DataFrame(rows, columns=["user", "rating"]).assign(item=items * 3)
    with pytest.warns(
        UserWarning, match=r"1 of 3 people rate everything alike \(the first is the 2\. of them"
    ):
        found = model.score_matrix(histories=Interactions.from_frame(df))
    close(found[1], np.full(x.n_items, 3.3))
    assert np.ptp(found[[0, 2]], axis=1).max() > 0.1
    mixed = Interactions.from_frame(df[df.user != "b"])
    close(model.score_matrix(histories=mixed), found[[0, 2]])  # and without b nothing is said
    # Item neighbours do not compare people: a list will do.
    items_model = knn(wing, "item", similarity="pearson").fit(x)
    assert len(items_model.recommend(histories={"new": items}, k=3)) == 3


@pytest.mark.backends
def test_slope_one_with_histories():
    x = random_interactions("half", 5)
    liked = x.item_ids[[4, 1]]
    rated = Interactions.from_frame(pd.DataFrame({"user": "new", "item": liked, "rating": 5.0}))
    for wing in (rt, rk):
        model = wing.SlopeOne(device="cpu").fit(x)
        mine = x.take(x.users == x.user_ids[3])
        close(model.score_matrix(histories=mine), model.score_matrix([x.user_ids[3]]))
        # The best rating of train, 5, is what a list stands for.
        close(model.score_matrix(histories=rated), model.score_matrix(histories={"new": liked.tolist()}))
        expected = 5 + model.get_parameters()["difference"][0, [4, 1]].mean()
        close(model.predict("new", x.item_ids[0], histories=rated), expected)


# ---------------------------------------------------------------- unknown ids


@pytest.mark.backends
@SIDES
@pytest.mark.parametrize("center", CENTERS)
def test_what_is_said_of_unknown_ids(center, side):
    x = random_interactions("half", 2)
    R = table_of(x)
    mean, b_u, b_i = nb.biases(R)
    user, item = x.user_ids[4], x.item_ids[6]
    of_user = {"baseline": mean + b_u[4]}
    of_item = {"baseline": mean + b_i[6]}
    if side == "user":
        of_user |= dict.fromkeys(("mean", "zscore"), np.nanmean(R[4]))
    else:
        of_item |= dict.fromkeys(("mean", "zscore"), np.nanmean(R[:, 6]))
    expected = [of_user.get(center, mean), of_item.get(center, mean), mean]
    for wing in (rt, rk):
        model = knn(wing, side, center=center).fit(x)
        close(model.predict([user, -1, -1], [-2, item, -2], unknown="fallback"), expected)
        mixed = model.predict([user, -1], [item, item], unknown="nan")
        assert np.isnan(mixed).tolist() == [False, True]
        close(mixed[0], model.predict(user, item)[0])
        with pytest.raises(UnknownIdError, match="unknown user -1"):
            model.predict([user, -1], item)


@WINGS
def test_slope_one_says_the_users_mean_of_an_unknown_item(wing):
    x = random_interactions("half", 2)
    model = wing.SlopeOne(device="cpu").fit(x)
    expected = [np.nanmean(table_of(x)[4]), x.ratings.mean(), x.ratings.mean()]
    close(model.predict([x.user_ids[4], -1, -1], [-2, x.item_ids[0], -2], unknown="fallback"), expected)


# ---------------------------------------------------------------- arguments

CHANGES = {
    "k": 2,
    "similarity": "jaccard",
    "center": "mean",
    "shrinkage": 0.5,
    "min_support": 4,
    "min_k": 3,
}


@SIDES
@WINGS
def test_each_argument_matters(wing, side):
    x = random_interactions("whole", 11)
    before = knn(wing, side, k=6).fit(x)
    assert set(CHANGES) == set(before.get_params()) - {"device"}
    for name, value in CHANGES.items():
        after = before.clone(**{name: value}).fit(x)
        assert np.abs(after.score_matrix() - before.score_matrix()).max() > 1e-3, name
    one = wing.SlopeOne(device="cpu").fit(x)
    assert np.abs(one.clone(min_support=4).fit(x).score_matrix() - one.score_matrix()).max() > 1e-3


@SIDES
@WINGS
def test_each_similarity_and_each_center_is_its_own(wing, side):
    x = random_interactions("whole", 12)
    for name, choices in (("similarity", SIMILARITIES), ("center", CENTERS)):
        scores = [knn(wing, side, k=3, shrinkage=0.0, **{name: c}).fit(x).score_matrix() for c in choices]
        for a in range(len(choices)):
            for b in range(a):
                assert np.abs(scores[a] - scores[b]).max() > 1e-3, (choices[a], choices[b])


BAD = [
    ("k", 0),
    ("k", 2.5),
    ("k", True),
    ("k", "40"),
    ("similarity", "Pearson"),
    ("similarity", None),
    ("center", "median"),
    ("shrinkage", -1),
    ("shrinkage", float("nan")),
    ("shrinkage", float("inf")),
    ("min_support", 0),
    ("min_k", 0),
    ("min_k", 1.0),
    ("device", "gpu"),
]


@SIDES
@WINGS
@pytest.mark.parametrize("name, value", BAD)
def test_bad_arguments_are_named(wing, side, name, value):
    cls = wing.UserKNN if side == "user" else wing.ItemKNN
    model = cls(**{name: value})  # constructors only store
    with pytest.raises(
        ValueError, match=f"`{name}`.* is {value!r}" if name != "device" else "`device` is 'gpu'"
    ):
        model.fit(random_interactions("whole", 0))


@WINGS
@pytest.mark.parametrize("value", [0, -3, 1.5, None])
def test_bad_arguments_of_slope_one_are_named(wing, value):
    with pytest.raises(ValueError, match="`min_support`.*at least 1"):
        wing.SlopeOne(min_support=value).fit(random_interactions("whole", 0))


@WINGS
def test_ratings_are_needed(wing):
    x = Interactions.from_frame(pd.DataFrame({"user": [1, 2], "item": [1, 1]}))
    for model in (wing.UserKNN(), wing.ItemKNN(), wing.SlopeOne()):
        with pytest.raises(ValueError, match=r"no column `rating`.*rating=.*task is 'ranking'"):
            model.fit(x)
        fitted = model.fit(random_interactions("whole", 0))
        without = Interactions.from_frame(pd.DataFrame({"user": [1], "item": fitted.item_ids_[:1]}))
        with pytest.raises(ValueError, match="`histories` has no ratings"):
            fitted.recommend(histories=without)


@WINGS
def test_similar_items_is_a_matter_of_item_neighbours(wing):
    x = random_interactions("whole", 3)
    model = wing.ItemKNN(similarity="msd", shrinkage=0.0, device="cpu").fit(x)
    S = similarities_by_formula(table_of(x), "item", "msd")
    S[2, 2] = -np.inf
    order = np.lexsort((np.arange(x.n_items), -np.round(S[2], 9)))[:4]
    table = model.similar_items(x.item_ids[2], k=4)
    assert table.similar.tolist() == x.item_ids[order].tolist()
    assert table["rank"].tolist() == [1, 2, 3, 4] and set(table.item) == {x.item_ids[2]}
    close(table.score, S[2, order])
    for other in (wing.UserKNN(), wing.SlopeOne()):
        with pytest.raises(NotSupportedError, match="`similar_items`.*ItemKNN"):
            other.fit(x).similar_items(x.item_ids[:1])


@pytest.mark.backends
@SIDES
@KINDS
def test_a_file_keeps_what_histories_need(kind, side, tmp_path):
    """Levels and centres are in the file: after loading, in either wing, strangers get the same answer."""
    x = random_interactions("half", 5)
    mine = x.take(x.users == x.user_ids[3])
    for wing, other in ((rt, rk), (rk, rt)):
        model = knn(wing, side, similarity=kind, center="zscore", k=3, shrinkage=1.0).fit(x)
        model.save(tmp_path / "model.npz")
        loaded = other.load(tmp_path / "model.npz")
        close(loaded.score_matrix(histories=mine), model.score_matrix(histories=mine))
        close(loaded.score_matrix(), model.score_matrix())


# ---------------------------------------------------------------- two functions of a document, and a definition

D3 = np.array([[5, 1, _], [5, 1, 4], [1, 5, 2], [4, 2, _]])


def printed_user_function(similarity, target, n):
    """The faults of the printed function: names that nobody defined, self among the nearest, no-rating as 0."""
    near = np.argsort(similarity[target])[-n:]
    return ratings[near][:, target_user_ratings_index].mean(axis=0)  # noqa: F821


def printed_item_function(similarity, target, n):
    """The same, and an index of users laid on the axis of neighbours."""
    near = np.argsort(similarity[target])[-n:]
    return ratings.T[near][target_item_ratings_index].mean(axis=0)  # noqa: F821


def with_names(function, **names):
    """The function, with the names defined that it lacks."""
    return types.FunctionType(function.__code__, {"np": np, **names})


@pytest.mark.backends
def test_d3_user_function_fails_as_printed_and_mended():
    """A01."""
    S = similarities_by_formula(D3, "user", "msd")
    assert S[0].tolist() == pytest.approx([1, 1, 1 / 17, 1 / 2])
    with pytest.raises(NameError, match="ratings"):
        printed_user_function(S, 0, 2)
    with pytest.raises(NameError, match="target_user_ratings_index"):
        with_names(printed_user_function, ratings=D3)(S, 0, 2)
    defined = with_names(printed_user_function, ratings=np.nan_to_num(D3), target_user_ratings_index=[2])
    # Of the two nearest one is user 0 herself, who has not seen film 2: (0 + 4) / 2.
    assert sorted(np.argsort(S[0])[-2:]) == [0, 1]
    assert defined(S, 0, 2).tolist() == [2.0]
    # Of the three nearest two have not seen it: (0 + 4 + 0) / 3. A film loved is a film to avoid.
    assert defined(S, 0, 3).tolist() == pytest.approx([4 / 3])
    # Mended: only who has seen it, herself left out, weighted: (1 · 4 + 1/17 · 2) / (1 + 1/17).
    for wing in (rt, rk):
        model = knn(wing, "user", **PLAIN | {"k": 2}).fit(interactions(D3))
        close(model.predict(1000, 498), (4 + 2 / 17) / (18 / 17))
        close(model.clone(k=1).fit(interactions(D3)).predict(1000, 498), 4)


@pytest.mark.backends
def test_d3_item_function_fails_as_printed_and_mended():
    """A02."""
    S = similarities_by_formula(D3, "item", "msd")
    # Item 2 with item 0: (1 + 1) / 2 → 1/2; with item 1: (9 + 9) / 2 → 1/10.
    assert S[2].tolist() == pytest.approx([1 / 2, 1 / 10, 1])
    with pytest.raises(NameError, match="ratings"):
        printed_item_function(S, 2, 2)
    with pytest.raises(NameError, match="target_item_ratings_index"):
        with_names(printed_item_function, ratings=D3)(S, 2, 2)
    ratings = np.nan_to_num(D3)
    # User 3 is row 3 of an axis that has two neighbours.
    with pytest.raises(IndexError):
        with_names(printed_item_function, ratings=ratings, target_item_ratings_index=3)(S, 2, 2)
    # User 0 is taken for neighbour 0, item 0: the answer is everybody's mean of item 0.
    found = with_names(printed_item_function, ratings=ratings, target_item_ratings_index=0)(S, 2, 2)
    assert found == pytest.approx((5 + 5 + 1 + 4) / 4)
    # With the axis mended too, the item itself is a neighbour, and its missing rating a 0: (5 + 0) / 2.
    near = np.argsort(S[2])[-2:]
    assert ratings.T[near][:, 0].mean() == 2.5
    # Mended: what user 0 gave to similar films, weighted: (1/2 · 5 + 1/10 · 1) / (1/2 + 1/10).
    for wing in (rt, rk):
        model = knn(wing, "item", **PLAIN).fit(interactions(D3))
        close(model.predict(1000, 498), (5 / 2 + 1 / 10) / (6 / 10))


@WINGS
def test_both_user_and_item_neighbours_are_collaborative_filtering(wing):
    """C05: similar users are one way, similar items another; both read the ratings and nothing else."""
    world = datasets.make_taste_groups(n_users=24, n_items=18, density=0.5, seed=2)
    x = world.data.interactions
    rng = np.random.default_rng(0)
    ages = pd.DataFrame({"age": rng.integers(10, 80, x.n_users)}, index=x.user_ids)
    genres = pd.DataFrame({"genres": rng.choice(["War", "Comedy"], x.n_items)}, index=x.item_ids)
    shuffled = [t.set_axis(rng.permutation(t.index)) for t in (ages, genres)]
    scores = {}
    for side in ("user", "item"):
        fits = [
            knn(wing, side).fit(data).score_matrix()
            for data in (
                x,
                Dataset(x, users=ages, items=genres),
                Dataset(x, users=shuffled[0], items=shuffled[1]),
            )
        ]
        np.testing.assert_array_equal(fits[0], fits[1])
        np.testing.assert_array_equal(fits[0], fits[2])
        # Names carry nothing either.
        renamed = x.to_frame().assign(user="u" + x.to_frame().user.astype(str))
        np.testing.assert_array_equal(
            knn(wing, side).fit(Interactions.from_frame(renamed)).score_matrix(), fits[0]
        )
        # The ratings do.
        other = x.to_frame().assign(rating=rng.permutation(x.ratings))
        assert (
            np.abs(knn(wing, side).fit(Interactions.from_frame(other)).score_matrix() - fits[0]).max() > 0.1
        )
        scores[side] = fits[0]
    assert np.abs(scores["user"] - scores["item"]).max() > 0.01
    # And one is the other on the table turned over.
    turned = Interactions.from_frame(x.to_frame().rename(columns={"user": "item", "item": "user"}))
    plain = {**PLAIN, "center": "mean", "k": 5}
    there = knn(wing, "user", **plain).fit(x)
    back = knn(wing, "item", **plain).fit(turned)
    close(back.score_matrix(there.item_ids_, candidates=there.user_ids_).T, there.score_matrix())


# ---------------------------------------------------------------- planted truth


@pytest.mark.backends
@SIDES
def test_planted_groups_are_found_and_the_biases_beaten(side):
    world = datasets.make_taste_groups(seed=3)
    train, test = splits.random_split(world.data, 0.2, seed=0)
    group = {
        "user": dict(zip(world.user_ids, world.user_groups, strict=True)),
        "item": dict(zip(world.item_ids, world.item_groups, strict=True)),
    }
    yardstick = evaluate(BiasOnly().fit(train), test, ["rmse"])["rmse"]
    for wing in (rt, rk):
        model = knn(wing, side, k=10).fit(train)
        mine = np.array(
            [group[side][name] for name in (model.user_ids_ if side == "user" else model.item_ids_)]
        )
        S = model.get_parameters()["similarity"]
        np.fill_diagonal(S, -np.inf)
        nearest = np.argsort(-S, axis=1)[:, :10]
        assert (mine[nearest] == mine[:, None]).mean() > 0.97
        assert evaluate(model, test, ["rmse"])["rmse"] < 0.6 * yardstick
        first = model.recommend(k=1)
        liked = [group["user"][u] == group["item"][i] for u, i in zip(first.user, first.item, strict=True)]
        assert np.mean(liked) > 0.95
        if side == "item":
            near = model.similar_items(model.item_ids_, k=5)
            assert np.mean(near.item.map(group["item"]) == near.similar.map(group["item"])) > 0.97


@pytest.mark.backends
@SIDES
@KINDS
def test_checkerboard(kind, side):
    """Everybody gives 5 to the items of their parity and 1 to the others; two of them are withheld."""
    world = datasets.make_checkerboard()
    R = np.where(world.likes, 5.0, 1.0)
    users, hidden = np.arange(20), world.hidden - 1
    other = (hidden + 1) % 20
    R[users, hidden] = R[users, other] = np.nan
    if kind == "jaccard":  # it sees what was rated, not how: here the likes alone
        R[~world.likes] = np.nan
    x = interactions(R)
    for wing in (rt, rk):
        model = knn(wing, side, similarity=kind, center="none", k=4, shrinkage=0.0).fit(x)
        scores = model.score_matrix(1000 - users, candidates=500 - np.arange(20))
        assert (scores[users, hidden] == 5).all()
        if kind != "jaccard":
            assert model.recommend(1000 - users, k=1).item.tolist() == (500 - hidden).tolist()


# ---------------------------------------------------------------- published figures


@pytest.fixture(scope="module")
def folds():
    try:
        movielens = datasets.fetch_movielens("100k")
    except DataError as error:
        pytest.skip(f"MovieLens-100K is not to be had here: {error}")
    return list(splits.k_fold(movielens, 5, seed=0))


SURPRISE = {
    "KNNBasic": ("UserKNN", {"similarity": "msd", "shrinkage": 0, "k": 40, "center": "none"}, 0.980, 0.774),
    "KNNWithMeans": (
        "UserKNN",
        {"similarity": "msd", "shrinkage": 0, "k": 40, "center": "mean"},
        0.951,
        0.749,
    ),
    "KNNBaseline": (
        "UserKNN",
        {"similarity": "msd", "shrinkage": 0, "k": 40, "center": "baseline"},
        0.931,
        0.733,
    ),
    "SlopeOne": ("SlopeOne", {}, 0.946, 0.743),
}


@pytest.mark.torch_first
@pytest.mark.slow
@WINGS
@pytest.mark.parametrize("published", SURPRISE)
def test_surprises_figures_on_movielens(published, wing, folds):
    """Five folds, clipped to 1–5; with our fallback for unknown ids, and with Surprise's, the mean of train."""
    name, parameters, rmse_of_surprise, mae_of_surprise = SURPRISE[published]
    ours, theirs = [], []
    for train, test in folds:
        model = getattr(wing, name)(**parameters, device="cpu").fit(train, progress=False)
        report = evaluate(model, test, ["rmse", "mae"])
        assert report.protocol["clip"] == (1, 5) and report.protocol["pairs_left_out"] == 0
        ours.append([report["rmse"], report["mae"]])
        x = test.interactions
        scores = model.predict(x.users, x.items, unknown="nan")
        assert 0 < np.isnan(scores).sum() < 100
        scores = np.where(np.isnan(scores), train.interactions.ratings.mean(), scores)
        theirs.append(rmse(x.ratings, np.clip(scores, 1, 5)))
    assert np.mean(ours, axis=0) == pytest.approx([rmse_of_surprise, mae_of_surprise], abs=0.005)
    assert np.mean(theirs) == pytest.approx(rmse_of_surprise, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, parameters",
    [
        ("UserKNN", {}),
        ("UserKNN", {"similarity": "msd", "shrinkage": 0, "center": "mean"}),
        ("UserKNN", {"similarity": "pearson", "shrinkage": 0, "center": "zscore"}),
        ("ItemKNN", {}),
        ("ItemKNN", {"similarity": "adjusted_cosine", "center": "none"}),
        ("ItemKNN", {"similarity": "jaccard", "center": "mean", "shrinkage": 0}),
        ("SlopeOne", {}),
    ],
    ids=str,
)
def test_twins_agree_in_every_prediction_on_movielens(name, parameters, folds):
    train, test = folds[0]
    x = test.interactions
    scores = [
        getattr(wing, name)(**parameters, device="cpu")
        .fit(train, progress=False)
        .predict(x.users, x.items, unknown="fallback")
        for wing in (rt, rk)
    ]
    assert len(scores[0]) == 20_000 and np.ptp(scores[0]) > 2
    close(scores[0], scores[1], 1e-5)


# ---------------------------------------------------------------- memory


@pytest.mark.torch_first
@pytest.mark.slow
@pytest.mark.parametrize("wing", ["torch", "keras"])
def test_a_million_ratings_fit_into_two_gib(wing):
    """6,000 × 3,700: fit, predict 1,000 pairs, recommend for 10 users, in a process of its own."""
    pytest.importorskip("resource", reason="peak memory is measured where the system tells it")
    command = [sys.executable, str(ROOT / "benchmarks" / "neighbors.py"), "--measure-memory", wing]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["ratings"], found["predictions"], found["recommendations"]) == (1_000_000, 1_000, 100)
    assert found["peak_bytes"] > 6000 * 6000 * 8  # the similarities alone
    assert found["peak_bytes"] < 2 * GIB


# ---------------------------------------------------------------- the chapter's exercises


@pytest.mark.parametrize(
    "exercise", [checks.cosine, checks.predict, checks.recommend], ids=lambda e: e.__name__
)
def test_each_mistake_in_an_exercise_gets_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)
