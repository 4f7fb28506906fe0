"""Decompositions: the formulas by hand, formula = torch = keras, planted ranks, figures on MovieLens-100K.

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
from scipy.sparse.linalg import svds
from sklearn.decomposition import PCA as SklearnPCA

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, splits
from recbook.checks import decomposition as checks
from recbook.errors import DataError, DivergedError
from recbook.evaluation import evaluate
from recbook.formulas import decomposition as dc
from recbook.interactions import Interactions
from recbook.numpy.introduction import BiasOnly, Popularity
from recbook.preprocessing import fit_biases, interaction_matrix
from recbook.recommender import popularity
from recbook.shared import decomposition as decompositions
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint
from tests.helpers.small_tables import interactions, table_of

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
WEIGHTED = pytest.mark.parametrize("weighted", [True, False], ids=["by_counts", "alike"])
ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30
_ = np.nan


# ---------------------------------------------------------------- tables


def random_interactions(seed: int = 0, n_users: int = 17, n_items: int = 12, density: float = 0.5):
    rng = np.random.default_rng(seed)
    R = rng.integers(1, 6, (n_users, n_items)).astype(float)
    R[rng.random(R.shape) >= density] = np.nan
    return interactions(R, rng.permutation((~np.isnan(R)).sum()))


def residuals(x: Interactions) -> np.ndarray:
    """The table less mean and biases."""
    mean, b_u, b_i = fit_biases(x.user_codes, x.item_codes, x.ratings, x.n_users, x.n_items)
    return table_of(x) - mean - b_u[:, None] - b_i


def start(n_users: int, factors: int, seed: int = 0) -> np.ndarray:
    """Where `ALS` starts."""
    return np.random.default_rng(seed).normal(0, factors**-0.5, (n_users, factors))


def close(found, expected, tolerance: float = 2e-6) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


# ---------------------------------------------------------------- the SVD, by hand


def test_svd_by_hand():
    """F28: U, V orthonormal, σ falling; two people of two tastes, three films."""
    X = np.array([[3.0, 3, 0], [0, 0, 2]])
    U, s, V = dc.svd(X)
    close(s, [np.sqrt(18), 2], 1e-12)
    close(V, [[0.5**0.5, 0], [0.5**0.5, 0], [0, 1]], 1e-12)
    close(U, [[1, 0], [0, 1]], 1e-12)
    close(U.T @ U, np.eye(2), 1e-12)
    close(V.T @ V, np.eye(2), 1e-12)
    close(dc.truncated(X, 1), [[3, 3, 0], [0, 0, 0]], 1e-12)


@given(seed=st.integers(0, 10**6), m=st.integers(1, 7), n=st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_svd_takes_a_matrix_apart_and_signs_are_fixed(seed, m, n):
    X = np.random.default_rng(seed).normal(size=(m, n))
    U, s, V = dc.svd(X)
    assert U.shape == (m, min(m, n)) and V.shape == (n, min(m, n)) and (np.diff(s) <= 0).all()
    close(U * s @ V.T, X, 1e-10)
    close(U.T @ U, np.eye(min(m, n)), 1e-10)
    close(V.T @ V, np.eye(min(m, n)), 1e-10)
    assert (dc.orient(V) == 1).all()
    flip = np.where(np.arange(min(m, n)) % 2, -1.0, 1.0)
    close(dc.orient(V * flip) * flip, np.ones(min(m, n)), 0)


def test_u_sigma_v_is_the_matrix_itself():
    """F29: UΣVᵀ has a row for each user and a column for each item; a user's vector is a row of U_KΣ_K = XV_K."""
    X = np.random.default_rng(0).normal(size=(6, 4))
    U, s, V = dc.svd(X)
    whole = U @ np.diag(s) @ V.T
    assert whole.shape == X.shape and whole.shape != (6, 2)
    close(whole, X, 1e-12)
    vectors = dc.user_vectors(X, 2)
    assert vectors.shape == (6, 2)
    close(vectors, (U * s)[:, :2], 1e-12)
    close(vectors, X @ V[:, :2], 1e-12)
    # Or with Σ shared out between users and items: the products are the same.
    left, right = U[:, :2] * np.sqrt(s[:2]), V[:, :2] * np.sqrt(s[:2])
    close(left @ right.T, dc.truncated(X, 2), 1e-12)
    # As printed it is no Python: `*` multiplies entry by entry, `^` is XOR of whole numbers.
    with pytest.raises(ValueError, match="broadcast"):
        U * np.diag(s) * V.T
    with pytest.raises(TypeError, match="bitwise_xor"):
        V ^ U[:4]
    assert (np.array([5, 1]) ^ 2).tolist() == [7, 3]


@given(seed=st.integers(0, 10**6), k=st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_no_matrix_of_rank_k_is_nearer(seed, k):
    """Eckart and Young: the error is √Σ σ² of what was cut, and every other matrix of rank K is further away."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(7, 5))
    nearest, s = dc.truncated(X, k), dc.svd(X)[1]
    error = np.linalg.norm(X - nearest)
    assert np.linalg.matrix_rank(nearest) == k
    assert error == pytest.approx(np.sqrt((s[k:] ** 2).sum()))
    U, s, V = dc.svd(X, k)
    for size in (0.01, 0.1, 1.0):
        P, Q = U * s + size * rng.normal(size=U.shape), V + size * rng.normal(size=V.shape)
        assert np.linalg.norm(X - P @ Q.T) > error
    # The best Q for some other P is not enough either.
    P = rng.normal(size=(7, k))
    assert np.linalg.norm(X - P @ np.linalg.lstsq(P, X, rcond=None)[0]) > error


@pytest.mark.backends
def test_fold_in_is_a_product_with_v():
    """A person of the matrix is folded in to the vector she has; a stranger needs no new decomposition."""
    x = random_interactions(2)
    X = dc.fill_zero(table_of(x))
    V = dc.svd(X, 3)[2]
    close(dc.fold_in(X[4], V), dc.user_vectors(X, 3)[4], 1e-12)
    new = np.zeros(x.n_items)
    new[[1, 5]] = [4.0, 2.0]
    history = Interactions.from_frame(
        pd.DataFrame({"user": "Ann", "item": x.item_ids[[1, 5]], "rating": [4.0, 2.0]})
    )
    for wing in (rt, rk):
        model = wing.PureSVD(factors=3, device="cpu").fit(x)
        close(model.score_matrix(histories=history)[0], V @ dc.fold_in(new, V))
        mine = x.take(x.users == x.user_ids[4])
        close(model.score_matrix(histories=mine)[0], model.score_matrix([x.user_ids[4]])[0])


def test_pca_is_the_svd_of_the_centred_matrix():
    """F30, A09: scores, loadings and variances are scikit-learn's; without centring they are something else."""
    X = np.random.default_rng(1).normal(3, 1, (9, 5))
    scores, loadings, variances = dc.pca(X, 3)
    other = SklearnPCA(3).fit(X)
    sign = dc.orient(other.components_.T)
    close(loadings, other.components_.T * sign, 1e-12)
    close(scores, other.transform(X) * sign, 1e-12)
    close(variances, other.explained_variance_, 1e-12)
    close(variances, scores.var(axis=0, ddof=1), 1e-12)
    U, s, V = dc.svd(X, 3)
    assert np.abs(V - loadings).max() > 0.1
    # Uncentred, the first direction is little more than the mean.
    mean = X.mean(axis=0) / np.linalg.norm(X.mean(axis=0))
    assert abs(V[:, 0] @ mean) > 0.99 and abs(loadings[:, 0] @ mean) < 0.9
    # Shifting a column changes the SVD and leaves PCA as it is.
    shifted = X + np.array([0, 10.0, 0, 0, 0])
    close(dc.pca(shifted, 3)[0], scores, 1e-10)
    assert np.abs(dc.svd(shifted, 3)[2] - V).max() > 0.1


@pytest.mark.backends
def test_missing_ratings_must_be_filled_first_and_with_what_matters():
    """C14: there is no SVD of a table with gaps. Zeros, means and no filling at all say different things."""
    world = datasets.make_low_rank(n_users=60, n_items=40, rank=2, density=0.4, noise=0.1, seed=3)
    x = world.data.interactions
    R = table_of(x)
    with pytest.raises(np.linalg.LinAlgError):
        dc.svd(R)
    truth = pd.DataFrame(world.scores, world.user_ids, world.item_ids).loc[x.user_ids, x.item_ids].to_numpy()
    hidden = np.isnan(R)

    def error(scores):
        return np.sqrt(np.mean((scores - truth)[hidden] ** 2))

    zero, mean = dc.truncated(dc.fill_zero(R), 3), dc.fill_mean(R)
    level = np.nanmean(R, axis=0)
    centred = level + dc.truncated(mean - level, 2)
    for wing in (rt, rk):
        close(wing.PureSVD(factors=3, device="cpu").fit(x).score_matrix(), zero, 1e-5)
        close(wing.PCA(factors=2, device="cpu").fit(x).score_matrix(), centred, 1e-5)
        als = wing.ALS(factors=2, reg=0.01, epochs=30, biased=False, device="cpu")
        # Ratings lie about 3: of the three only the model without filling finds what was planted.
        known = error(als.clone(factors=3).fit(x).score_matrix())
        assert known < 0.25 < 0.7 < error(centred) < 1.1 < 1.5 < error(zero)


# ---------------------------------------------------------------- alternating least squares, by hand


def test_als_by_hand():
    """A06: one factor, λ = ½. p = Σ r q / (Σ q² + λ n)."""
    R = np.array([[4, 2, _], [_, 1, 3], [_, _, _]])
    Q = np.array([[1.0], [2], [1]])
    P = dc.best_vectors(R, Q, reg=0.5)
    close(P, [[(4 + 4) / (1 + 4 + 0.5 * 2)], [(2 + 3) / (4 + 1 + 0.5 * 2)], [0]], 1e-12)
    alike = dc.best_vectors(R, Q, reg=0.5, weighted=False)
    close(alike, [[8 / 5.5], [5 / 5.5], [0]], 1e-12)
    # J = squares + λ (Σ n_u p² + Σ n_i q²), n_u = 2 2 0 and n_i = 1 2 1.
    p, q = P[:, 0], Q[:, 0]
    squares = (4 - p[0]) ** 2 + (2 - 2 * p[0]) ** 2 + (1 - 2 * p[1]) ** 2 + (3 - p[1]) ** 2
    penalty = 2 * p[0] ** 2 + 2 * p[1] ** 2 + 1 + 2 * 4 + 1
    assert dc.objective(R, P, Q, 0.5) == pytest.approx(squares + 0.5 * penalty)
    penalty = p[0] ** 2 + p[1] ** 2 + 1 + 4 + 1
    assert dc.objective(R, P, Q, 0.5, weighted=False) == pytest.approx(squares + 0.5 * penalty)
    assert (q == [1, 2, 1]).all()


@WEIGHTED
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_gradients_are_slopes_and_vanish_where_als_solves(weighted, seed):
    R = table_of(random_interactions(seed % 50, 7, 6))
    rng = np.random.default_rng(seed)
    P, Q = rng.normal(size=(len(R), 2)), rng.normal(size=(R.shape[1], 2))
    dP, dQ = dc.gradients(R, P, Q, 0.3, weighted)
    for matrix, slope in ((P, dP), (Q, dQ)):
        for cell in ((0, 0), (3, 1)):
            step = np.zeros_like(matrix)
            step[cell] = 1e-6

            def at(shift, matrix=matrix):
                both = (P + shift, Q) if matrix is P else (P, Q + shift)
                return dc.objective(R, *both, 0.3, weighted)

            assert (at(step) - at(-step)) / 2e-6 == pytest.approx(slope[cell], rel=1e-5, abs=1e-5)
    best = dc.best_vectors(R, Q, 0.3, weighted)
    close(dc.gradients(R, best, Q, 0.3, weighted)[0], np.zeros_like(P), 1e-10)
    best = dc.best_vectors(R.T, P, 0.3, weighted)
    close(dc.gradients(R, P, best, 0.3, weighted)[1], np.zeros_like(Q), 1e-10)


@given(seed=st.integers(0, 10**6), reg=st.floats(0.01, 2))
@settings(max_examples=20, deadline=None)
def test_no_sweep_raises_the_objective(seed, reg):
    R = table_of(random_interactions(seed % 50, 8, 7))
    P, Q, curve = dc.als(R, start(len(R), 3, seed), reg, epochs=6)
    assert (np.diff(curve) <= 1e-9 * curve[0]).all()
    # The objective without a second look at the ratings, as the models compute it.
    b = np.nan_to_num(R) @ Q
    penalty = reg * ((~np.isnan(R)).sum(axis=0) @ (Q**2).sum(axis=1))
    assert np.nansum(R**2) - (P * b).sum() + penalty == pytest.approx(curve[-1])


@WEIGHTED
def test_als_and_gradient_descent_reach_the_same_optimum(weighted):
    """C13: on a planted world, with as many factors as its rank or more, from starts of their own."""
    world = datasets.make_low_rank(n_users=24, n_items=18, rank=2, density=0.6, noise=0.1, seed=1)
    R = table_of(world.data.interactions) - 3
    reg = 0.05 if weighted else 0.5
    rng = np.random.default_rng(5)
    for factors in (2, 4):
        P, Q, exact = dc.als(R, start(len(R), factors), reg, 400, weighted)
        p, q = rng.normal(0, 0.3, P.shape), rng.normal(0, 0.3, Q.shape)
        p, q, stepped = dc.gradient_descent(R, p, q, reg, 6000, 0.02, weighted)
        for found in ((P, Q), (p, q)):
            assert max(np.abs(slope).max() for slope in dc.gradients(R, *found, reg, weighted)) < 1e-6
        assert stepped[-1] == pytest.approx(exact[-1], rel=1e-3)
        close(P @ Q.T, p @ q.T, 1e-4)
        # P itself is not unique: turned by any rotation, with Q, it is as good.
        turn = np.linalg.qr(rng.normal(size=(factors, factors)))[0]
        assert dc.objective(R, P @ turn, Q @ turn, reg, weighted) == pytest.approx(exact[-1])
        # And far fewer sweeps than steps are needed.
        near = 1.001 * exact[-1]
        assert 4 * np.argmax(np.array(exact) < near) < np.argmax(np.array(stepped) < near)


# ---------------------------------------------------------------- formula = torch = keras

CASES = [
    {"factors": 1, "reg": 0.1},
    {"factors": 3, "reg": 0.15},
    {"factors": 4, "reg": 0.5, "biased": False},
    {"factors": 3, "reg": 4.0, "weighted": False},
    {"factors": 20, "reg": 0.05},
    {"factors": 2, "reg": 1.0, "weighted": False, "biased": False, "seed": 3},
]


@pytest.mark.backends
@pytest.mark.parametrize("case", CASES, ids=str)
def test_als_equals_the_formula_entry_by_entry(case):
    for seed in (0, 1):
        x = random_interactions(seed)
        left = residuals(x) if case.get("biased", True) else table_of(x)
        begin = start(x.n_users, case["factors"], case.get("seed", 0))
        P, Q, curve = dc.als(left, begin, case["reg"], 5, case.get("weighted", True))
        level = (table_of(x) - left)[~np.isnan(left)]
        for wing in (rt, rk):
            model = wing.ALS(epochs=5, device="cpu", **case).fit(x)
            learnt = model.get_parameters()
            close(learnt["user_factors"], P, 2e-5)
            close(learnt["item_factors"], Q, 2e-5)
            close([one["objective"] for one in model.history_], curve, 1e-5 * curve[0])
            assert [one["epoch"] for one in model.history_] == [1, 2, 3, 4, 5]
            pairs = np.nonzero(~np.isnan(table_of(x)))
            found = model.predict(x.user_ids[pairs[0]], x.item_ids[pairs[1]])
            close(found, level + (P @ Q.T)[pairs], 2e-5)
            close(model.score_matrix()[pairs], found, 1e-6)


@pytest.mark.backends
@pytest.mark.parametrize("factors", [1, 3, 12, 50])
def test_svd_equals_numpys_entry_by_entry(factors):
    """With more factors than rows or columns all there are."""
    for seed in (0, 1):
        x = random_interactions(seed)
        X = dc.fill_zero(table_of(x))
        k = min(factors, *X.shape)
        U, s, V = dc.svd(X, k)
        scores, loadings, _variances = dc.pca(dc.fill_mean(table_of(x)), k)
        rank = int((np.linalg.norm(scores, axis=0) > 1e-5).sum())
        for wing in (rt, rk):
            model = wing.PureSVD(factors=factors, device="cpu").fit(x)
            learnt = model.get_parameters()
            close(learnt["item_factors"], V, 1e-9)
            close(learnt["user_factors"], U * s, 1e-9)
            close(model.score_matrix(), dc.truncated(X, k))
            close(model.predict(x.users, x.items), dc.truncated(X, k)[x.user_codes, x.item_codes])
            learnt = wing.PCA(factors=factors, device="cpu").fit(x).get_parameters()
            close(learnt["item_factors"][:, :rank], loadings[:, :rank], 1e-7)
            close(learnt["user_factors"], scores, 1e-7)


@pytest.mark.backends
@pytest.mark.parametrize("shape", [(90, 70), (70, 90), (40, 150)], ids=str)
@pytest.mark.parametrize("kind", ["dense", "low_rank", "repeated", "two_parts"])
def test_lanczos_finds_the_vectors_of_large_and_awkward_matrices(kind, shape, monkeypatch):
    """Wider than a block: low rank, singular values that repeat, parts that share nobody."""
    monkeypatch.setattr(decompositions, "FEW_ITEMS", 10)
    rng = np.random.default_rng(7)
    if kind == "dense":
        X = rng.normal(size=shape)
    elif kind == "low_rank":
        X = rng.normal(size=(shape[0], 5)) @ rng.normal(size=(5, shape[1]))
    elif kind == "repeated":
        X = np.zeros(shape)
        n = min(shape)
        X[np.arange(n), np.arange(n)] = 1 + np.arange(n) // 10  # each ten times
    else:
        X = np.zeros(shape)
        X[:30, :20] = rng.integers(1, 6, (30, 20))
        X[30:, 20:] = rng.integers(1, 6, (shape[0] - 30, shape[1] - 20))
    x = interactions(np.where(X == 0, np.nan, X))
    X = dc.fill_zero(table_of(x))
    s = dc.svd(X)[1]
    for factors in (3, 20, 500):
        k = min(factors, *X.shape)
        for wing in (rt, rk):
            learnt = wing.PureSVD(factors=factors, device="cpu").fit(x).get_parameters()
            sigma = np.linalg.norm(learnt["user_factors"], axis=0)
            close(sigma, s[:k], 1e-5)
            real = sigma > 1e-4
            V = learnt["item_factors"][:, real]
            close(V.T @ V, np.eye(real.sum()), 1e-9)
            assert (learnt["item_factors"][:, ~real] == 0).all()
            if k == len(s) or s[k] < s[k - 1] - 1e-9:  # else the nearest matrix is not unique
                close(learnt["user_factors"] @ learnt["item_factors"].T, dc.truncated(X, k), 1e-6)


@WINGS
def test_the_number_of_factors_that_pure_svd_takes_by_itself(wing):
    """20, or a quarter of the smaller side: with all directions no unseen item would have a score."""
    for n_users, n_items, expected in ((17, 12, 3), (100, 90, 20), (3, 3, 1)):
        x = random_interactions(0, n_users, n_items, density=1.0)
        learnt = wing.PureSVD(device="cpu").fit(x).get_parameters()
        assert learnt["item_factors"].shape == (n_items, expected)
    x = random_interactions(0)
    unseen = np.isnan(table_of(x))
    close(wing.PureSVD(factors=12, device="cpu").fit(x).score_matrix()[unseen], 0)
    assert np.abs(wing.PureSVD(device="cpu").fit(x).score_matrix()[unseen]).min() > 1e-3


@pytest.mark.backends
def test_signs_are_fixed_and_the_start_does_not_matter():
    x = random_interactions(4, 60, 50)
    for wing in (rt, rk):
        one, other = (wing.PureSVD(factors=5, seed=s, device="cpu").fit(x).get_parameters() for s in (0, 1))
        for name in one:
            close(one[name], other[name], 1e-7)
        assert (dc.orient(one["item_factors"]) == 1).all()


@pytest.mark.backends
def test_pieces_and_blocks_change_nothing(monkeypatch):
    x = random_interactions(5, 30, 25, density=0.7)
    models = [(name, wing) for name in ("ALS", "PureSVD", "PCA") for wing in (rt, rk)]
    whole = [getattr(wing, name)(device="cpu").fit(x).score_matrix() for name, wing in models]
    monkeypatch.setattr(decompositions, "PIECE", 3)
    monkeypatch.setattr(decompositions, "PIECES_PER_BLOCK", 5)
    monkeypatch.setattr(decompositions, "OWNERS_PER_BLOCK", 4)
    for (name, wing), expected in zip(models, whole, strict=True):
        close(getattr(wing, name)(device="cpu").fit(x).score_matrix(), expected, 1e-5)


@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    piece=st.integers(1, 4),
    pieces=st.integers(1, 6),
    owners=st.integers(1, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_blocks_hold_each_rating_once(lengths, piece, pieces, owners, seed):
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.repeat(np.arange(len(lengths)), lengths))
    other, value = rng.integers(0, 7, len(owner)), rng.normal(size=len(owner))
    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("PIECE", piece), ("PIECES_PER_BLOCK", pieces), ("OWNERS_PER_BLOCK", owners)):
            patch.setattr(decompositions, name, size)
        blocks = decompositions.in_blocks(owner, other, value, len(lengths), 7)
    found, counts, reached = [], [], 0
    for block in blocks:
        assert block.owners[0] == reached < block.owners[1] <= reached + owners
        reached = block.owners[1]
        assert block.others.shape == block.values.shape == (len(block.owner), piece)
        n = reached - block.owners[0]
        assert (block.count[n:] == 0).all() and len(block.count) & (len(block.count) - 1) == 0
        counts += block.count[:n].tolist()
        assert (block.values[block.others == 7] == 0).all()
        row, cell = np.nonzero(block.others < 7)
        found += zip(
            (block.owner[row] + block.owners[0]).tolist(),
            block.others[row, cell].tolist(),
            block.values[row, cell].tolist(),
            strict=True,
        )
    assert reached == len(lengths) and counts == lengths
    assert sorted(found) == sorted(zip(owner.tolist(), other.tolist(), value.tolist(), strict=True))


# ---------------------------------------------------------------- histories and unknown ids


@pytest.mark.backends
@pytest.mark.parametrize("biased", [True, False], ids=["biased", "plain"])
@WEIGHTED
def test_a_known_persons_own_ratings_as_a_history_predict_the_same(weighted, biased):
    """Users are solved last, with the items as they stay: folded in, a person is what `fit` made of her."""
    x = random_interactions(5)
    mine = x.take(np.isin(x.users, x.user_ids[[3, 8]]))
    for wing in (rt, rk):
        model = wing.ALS(factors=3, reg=0.4, weighted=weighted, biased=biased, device="cpu").fit(x)
        close(model.score_matrix(mine.user_ids, histories=mine), model.score_matrix(mine.user_ids), 1e-6)
        model = wing.PCA(factors=3, device="cpu").fit(x)
        close(model.score_matrix(mine.user_ids, histories=mine), model.score_matrix(mine.user_ids), 1e-6)


@pytest.mark.backends
def test_histories_of_strangers_equal_the_formula():
    x = random_interactions(6)
    mean, _b_u, b_i = fit_biases(x.user_codes, x.item_codes, x.ratings, x.n_users, x.n_items)
    rated = pd.DataFrame({"user": "Ann", "item": x.item_ids[[2, 7, 4]], "rating": [5.0, 1.0, 4.0]})
    Q = dc.als(residuals(x), start(x.n_users, 3), 0.2, 10)[1]
    b = (rated.rating - mean - b_i[[2, 7, 4]]).sum() / (15 + 3)
    row = np.full((1, x.n_items), np.nan)
    row[0, [2, 7, 4]] = rated.rating - mean - b_i[[2, 7, 4]] - b
    expected = mean + b + b_i + dc.best_vectors(row, Q, 0.2)[0] @ Q.T
    level = np.nanmean(table_of(x), axis=0)
    deviations = np.zeros(x.n_items)
    deviations[[2, 7, 4]] = rated.rating - level[[2, 7, 4]]
    V = dc.pca(dc.fill_mean(table_of(x)), 3)[1]
    for wing in (rt, rk):
        model = wing.ALS(factors=3, reg=0.2, device="cpu").fit(x)
        for order in (rated, rated.iloc[::-1]):
            close(model.score_matrix(histories=Interactions.from_frame(order))[0], expected, 2e-5)
        model = wing.PCA(factors=3, device="cpu").fit(x)
        found = model.score_matrix(histories=Interactions.from_frame(rated))[0]
        close(found, level + V @ dc.fold_in(deviations, V))


@WINGS
def test_a_history_of_nothing_gets_what_is_known_without_it(wing):
    x = random_interactions(6)
    mean, _b_u, b_i = fit_biases(x.user_codes, x.item_codes, x.ratings, x.n_users, x.n_items)
    liked = x.item_ids[[4, 1]].tolist()
    histories = {"nobody": [], "one": liked[:1], "two": liked}
    als, svd, pca = (model.fit(x) for model in (
        wing.ALS(factors=3, device="cpu"), wing.PureSVD(factors=3, device="cpu"), wing.PCA(factors=3)
    ))  # fmt: skip
    with pytest.warns(UserWarning, match="met nothing"):
        found, of_svd, of_pca = (model.score_matrix(histories=histories) for model in (als, svd, pca))
        table = als.recommend(histories=histories, k=3)
    close(found[0], mean + b_i)
    assert np.abs(found[1] - found[0]).max() > 0.01 and np.abs(found[2] - found[1]).max() > 0.01
    close(of_svd[0], popularity(svd._train))
    close(of_pca[0], np.nanmean(table_of(x), axis=0))
    assert table.user.tolist() == ["nobody"] * 3 + ["one"] * 3 + ["two"] * 3
    assert not set(table.item[6:]) & set(liked)


@WINGS
def test_likes_without_ratings_are_folded_in_as_what_train_has(wing):
    """Ratings in train: a like is the best of them. None in train: ones, whatever a history says."""
    x = random_interactions(6)
    liked = x.item_ids[[4, 1]]
    bare = Interactions.from_frame(pd.DataFrame({"user": "new", "item": liked}))
    rated = Interactions.from_frame(pd.DataFrame({"user": "new", "item": liked, "rating": 5.0}))
    model = wing.PureSVD(factors=3, device="cpu").fit(x)
    close(model.score_matrix(histories=bare), model.score_matrix(histories=rated))
    close(model.score_matrix(histories=bare), model.score_matrix(histories={"new": liked.tolist()}))
    model.fit(Interactions.from_frame(x.to_frame()[["user", "item"]]))
    close(model.score_matrix(histories=bare), model.score_matrix(histories=rated))
    close(model.score_matrix(histories=bare), model.score_matrix(histories={"new": liked.tolist()}))


@WINGS
def test_what_is_said_of_unknown_ids(wing):
    x = random_interactions(2)
    mean, b_u, b_i = fit_biases(x.user_codes, x.item_codes, x.ratings, x.n_users, x.n_items)
    pairs = [x.user_ids[4], -1, -1], [-2, x.item_ids[6], -2]
    item_mean = np.nanmean(table_of(x)[:, 6])
    for model, expected in (
        (wing.ALS(), [mean + b_u[4], mean + b_i[6], mean]),
        (wing.ALS(biased=False), [mean, mean, mean]),
        (wing.PureSVD(), [0, 0, 0]),
        (wing.PCA(), [mean, item_mean, mean]),
    ):
        close(model.fit(x).predict(*pairs, unknown="fallback"), expected)


@pytest.mark.backends
def test_similar_items_are_cosines():
    x = random_interactions(3)
    Q = dc.als(residuals(x), start(x.n_users, 3), 0.15, 10)[1]
    X = dc.truncated(dc.fill_zero(table_of(x)), 3)
    for wing in (rt, rk):
        for name, vectors in (("ALS", Q), ("PureSVD", X.T)):
            unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            expected = unit @ unit[2]
            expected[2] = -np.inf
            table = getattr(wing, name)(factors=3, device="cpu").fit(x).similar_items(x.item_ids[2], k=4)
            order = np.argsort(-expected)[:4]
            assert table.similar.tolist() == x.item_ids[order].tolist()
            close(table.score, expected[order], 1e-4)


# ---------------------------------------------------------------- arguments and bad input

CHANGES = {
    "ALS": {"factors": 2, "epochs": 2, "reg": 1.0, "biased": False, "weighted": False, "seed": 1},
    "PureSVD": {"factors": 2},
    "PCA": {"factors": 2},
}


@WINGS
@pytest.mark.parametrize("name", CHANGES)
def test_each_argument_matters(wing, name):
    x = random_interactions(11, 20, 15)
    small = {"epochs": 5} if name == "ALS" else {}
    before = getattr(wing, name)(factors=4, device="cpu", **small).fit(x)
    # The start of block Lanczos must not matter: that is tested above.
    assert set(CHANGES[name]) == set(before.get_params()) - {"device"} - (
        {"seed"} if name != "ALS" else set()
    )
    for argument, value in CHANGES[name].items():
        after = before.clone(**{argument: value}).fit(x)
        assert np.abs(after.score_matrix() - before.score_matrix()).max() > 1e-3, argument


@WINGS
def test_validation_data_are_watched(wing):
    train, held_out = splits.random_split(random_interactions(11, 40, 30), 0.2, seed=0)
    model = wing.ALS(factors=3, epochs=4, device="cpu").fit(train, held_out)
    watched = [one["validation_rmse"] for one in model.history_]
    known = np.isin(held_out.users, train.users) & np.isin(held_out.items, train.items)
    x = held_out.take(known)
    error = np.sqrt(np.mean((model.predict(x.users, x.items) - x.ratings) ** 2))
    assert watched[-1] == pytest.approx(error, rel=1e-5) and len(set(watched)) == 4
    assert "validation_rmse" not in model.fit(train).history_[0]


BAD = {
    "ALS": [
        *[("factors", value) for value in (0, -3, 2.5, True, "16", None)],
        *[("epochs", value) for value in (0, 1.5)],
        *[("reg", value) for value in (-0.1, float("nan"), float("inf"), "0.1")],
        ("biased", "yes"),
        ("weighted", None),
        ("seed", -1),
    ],
    "PureSVD": [("factors", 0), ("factors", 2.0), ("seed", 0.5)],
    "PCA": [("factors", 0), ("factors", -1), ("seed", None)],
}


@WINGS
@pytest.mark.parametrize("name, argument, value", [(n, a, v) for n, rows in BAD.items() for a, v in rows])
def test_bad_arguments_are_named(wing, name, argument, value):
    model = getattr(wing, name)(**{argument: value})  # constructors only store
    refuses(lambda: model.fit(random_interactions()), ValueError, (f"`{argument}`", f"is {value!r}"))


@WINGS
def test_ratings_are_needed_where_ratings_are_predicted(wing):
    bare = Interactions.from_frame(pd.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1]}))
    for model in (wing.ALS(), wing.PCA()):
        refuses(lambda model=model: model.fit(bare), ValueError, ("no column `rating`", "task is 'ranking'"))
        model.fit(random_interactions())
        likes = Interactions.from_frame(pd.DataFrame({"user": [1], "item": model.item_ids_[:1]}))
        refuses(
            lambda model=model, likes=likes: model.recommend(histories=likes),
            ValueError,
            ("`histories` has no ratings",),
        )
    assert np.isfinite(wing.PureSVD(factors=2).fit(bare).score_matrix()).all()


@WINGS
def test_a_rating_twice_in_a_history_is_refused(wing):
    x = random_interactions()
    item = x.item_ids[0].item()
    model = wing.ALS(factors=2).fit(x)
    refuses(
        lambda: model.recommend(histories={"new": [item, item]}),
        ValueError,
        ("twice for 'new'", "keep it once"),
    )


@pytest.mark.backends
@pytest.mark.parametrize(
    "case",
    ["too_few_ratings", "too_many_factors", "alike"],
)
def test_equations_without_a_single_solution_are_refused(case):
    """reg=0: a user with one rating and three factors has as many best vectors as one likes."""
    R = np.random.default_rng(0).integers(1, 6, (12, 9)).astype(float)
    factors = 3
    if case == "too_few_ratings":
        R[4, 1:] = np.nan
    elif case == "too_many_factors":
        factors = 15
    else:
        R[:] = np.arange(1.0, 10)  # everybody alike: one direction is all there is
    for wing in (rt, rk):
        model = wing.ALS(factors=factors, reg=0.0, biased=False, device="cpu")
        refuses(
            lambda model=model, R=R: model.fit(interactions(R)),
            DivergedError,
            ("raise `reg`", f"it is {factors}"),
        )
        # A failed fit leaves the model as it was; a little `reg` is enough.
        assert not model._is_fitted
        assert np.isfinite(model.clone(reg=0.01).fit(interactions(R)).score_matrix()).all()
    # With ratings enough it is plain least squares.
    R = np.random.default_rng(1).normal(3, 1, (12, 9))
    for wing in (rt, rk):
        plain = wing.ALS(factors=2, reg=0.0, biased=False, epochs=300, device="cpu").fit(interactions(R))
        close(plain.score_matrix(), dc.truncated(R, 2), 1e-3)


@WINGS
def test_a_fold_in_without_a_single_solution_is_refused(wing):
    model = wing.ALS(factors=2, reg=0.0, biased=False, device="cpu")
    model.fit(interactions(np.random.default_rng(1).normal(3, 1, (12, 9))))
    one = {"new": model.item_ids_[:1].tolist()}
    refuses(lambda: model.recommend(histories=one), DivergedError, ("raise `reg`",))


@WINGS
def test_ratings_that_are_all_alike(wing):
    """Nothing is left for PCA; ALS says what everybody says."""
    x = interactions(np.full((5, 4), 3.0))
    refuses(lambda: wing.PCA().fit(x), ValueError, ("PCA", "all ratings equal"))
    close(wing.ALS().fit(x).score_matrix(), np.full((5, 4), 3.0), 1e-5)
    close(wing.PureSVD(factors=1).fit(x).score_matrix(), np.full((5, 4), 3.0), 1e-5)
    zeros = interactions(np.zeros((3, 3)))
    refuses(lambda: wing.PureSVD().fit(zeros), ValueError, ("PureSVD", "nothing is left"))


@WINGS
def test_pairs_that_repeat_add_up_in_pure_svd(wing):
    df = pd.DataFrame({"user": [1, 1, 1, 2], "item": [1, 1, 2, 2]})
    x = Interactions.from_frame(df, on_duplicate="keep")
    close(wing.PureSVD(factors=2).fit(x).score_matrix(), [[2, 1], [0, 1]], 1e-6)


@pytest.mark.backends
def test_a_file_keeps_what_histories_need(tmp_path):
    x = random_interactions(5)
    mine = x.take(x.users == x.user_ids[3])
    for name in ("ALS", "PureSVD", "PCA"):
        for wing, other in ((rt, rk), (rk, rt)):
            model = getattr(wing, name)(factors=3, device="cpu").fit(x)
            model.save(tmp_path / "model.npz", include_history=False)
            loaded = getattr(other, name).load(tmp_path / "model.npz", device="cpu")
            close(loaded.score_matrix(histories=mine), model.score_matrix(histories=mine), 1e-5)
            close(loaded.score_matrix(), model.score_matrix(), 1e-5)


# ---------------------------------------------------------------- listings of the documents


def printed_by_factorisation(behavior_data):
    """The second listing, `*` and `^` as printed."""
    data = preprocess_data(behavior_data)  # noqa: F821
    X = build_interactive_matrix(data)  # noqa: F821
    U, S, V = matrix_factorization(X)  # noqa: F821
    return U * S * V ^ X.T


def printed_by_learning(behavior_data, user_id):
    """The first listing: the same beginning, and a model that nobody defines."""
    data = preprocess_data(behavior_data)  # noqa: F821
    X = build_interactive_matrix(data)  # noqa: F821
    model = train_model(X)  # noqa: F821
    return model.predict_user_representation(user_id)


def with_names(function, **names):
    """The function, with the names defined that it lacks."""
    return types.FunctionType(function.__code__, {"np": np, **names})


def test_the_two_listings_of_a_users_vector_fail_as_printed_and_disagree_when_mended():
    """A08, A44: functions that nobody defines, operators of another language, and two meanings of u."""
    x = random_interactions(8)
    for listing in ((printed_by_factorisation, (x,)), (printed_by_learning, (x, x.user_ids[2]))):
        with pytest.raises(NameError, match="preprocess_data"):
            listing[0](*listing[1])
    names = {
        "preprocess_data": lambda data: data,
        "build_interactive_matrix": lambda data: dc.fill_zero(table_of(data)),
        "matrix_factorization": dc.svd,
    }
    with pytest.raises((ValueError, TypeError)):
        with_names(printed_by_factorisation, **names)(x)
    with pytest.raises(NameError, match="train_model"):
        with_names(printed_by_learning, **names)(x, x.user_ids[2])
    # Mended, the one gives the whole matrix, and a vector of length k; the other whatever was learnt.
    X = dc.fill_zero(table_of(x))
    U, s, V = dc.svd(X)
    close(U @ np.diag(s) @ V.T, X, 1e-12)
    for wing in (rt, rk):
        svd, als = wing.PureSVD(factors=3).fit(x), wing.ALS(factors=3).fit(x)
        vectors = [model.get_parameters()["user_factors"][2] for model in (svd, als)]
        close(vectors[0], X[2] @ V[:, :3], 1e-9)
        assert vectors[0].shape == vectors[1].shape == (3,)
        assert np.abs(vectors[0] - vectors[1]).max() > 0.1


# ---------------------------------------------------------------- planted truth


@pytest.mark.backends
def test_a_planted_rank_is_found_and_the_biases_beaten():
    world = datasets.make_low_rank(n_users=150, n_items=100, rank=3, density=0.4, noise=0.1, seed=2)
    train, test = splits.random_split(world.data, 0.2, seed=0)
    yardstick = evaluate(BiasOnly().fit(train), test, ["rmse"])["rmse"]
    truth = pd.DataFrame(world.scores, world.user_ids, world.item_ids)
    for wing in (rt, rk):
        # Rank 3 and a level: four factors, without biases.
        model = wing.ALS(factors=4, reg=0.01, epochs=30, biased=False, device="cpu").fit(train)
        found = evaluate(model, test, ["rmse"])["rmse"]
        short = evaluate(model.clone(factors=1).fit(train), test, ["rmse"])["rmse"]
        assert 0.1 < found < 0.13 < 0.5 * yardstick < short  # the noise alone is .1
        scores = truth.loc[model.user_ids_, model.item_ids_].to_numpy()
        assert np.sqrt(np.mean((model.score_matrix() - scores) ** 2)) < 0.08


@pytest.mark.backends
def test_planted_groups_are_the_first_directions():
    world = datasets.make_taste_groups(seed=3)
    group = dict(zip(world.item_ids, world.item_groups, strict=True))
    for wing in (rt, rk):
        for model in (wing.ALS(device="cpu"), wing.PCA(factors=2, device="cpu")):
            near = model.fit(world.data).similar_items(model.item_ids_, k=5)
            assert np.mean(near.item.map(group) == near.similar.map(group)) > 0.97


# ---------------------------------------------------------------- figures on MovieLens-100K


@pytest.fixture(scope="module")
def folds():
    try:
        movielens = datasets.fetch_movielens("100k")
    except DataError as error:
        pytest.skip(f"MovieLens-100K is not to be had here: {error}")
    return list(splits.k_fold(movielens, 5, seed=0))


@pytest.mark.slow
def test_als_on_movielens(folds):
    """Five folds, clipped, every default: RMSE at most .930 in either wing, and the wings agree to 1e-4."""
    found = {}
    for wing in (rt, rk):
        reports = [evaluate(wing.ALS(device="cpu").fit(tr, progress=False), te, ["rmse"]) for tr, te in folds]
        assert reports[0].protocol["clip"] == (1, 5) and reports[0].protocol["pairs_left_out"] == 0
        found[wing] = np.array([report["rmse"] for report in reports])
        assert 0.90 < found[wing].mean() <= 0.930
    assert np.abs(found[rt] - found[rk]).max() < 1e-4


@pytest.mark.slow
@pytest.mark.backends
def test_learning_curves_of_the_twins_lie_on_each_other(folds):
    train, test = folds[0]
    curves = [
        pd.DataFrame(wing.ALS(epochs=20, device="cpu").fit(train, test, progress=False).history_)
        for wing in (rt, rk)
    ]
    assert len(curves[0]) == 20
    for column in ("objective", "validation_rmse"):
        left, right = (curve[column].to_numpy() for curve in curves)
        np.testing.assert_allclose(left, right, rtol=1e-5)
        assert left[-1] < left[0]


@pytest.mark.slow
def test_svd_of_movielens_is_scipys(folds):
    train, test = folds[0]
    x = train.interactions
    X, _known = interaction_matrix(x)
    U, s, Vt = svds(X, k=20, random_state=0)
    order = np.argsort(-s)
    U, s, V = U[:, order], s[order], Vt[order].T
    sign = dc.orient(V)
    for wing in (rt, rk):
        model = wing.PureSVD(device="cpu").fit(train, progress=False)
        learnt = model.get_parameters()
        close(learnt["item_factors"], V * sign, 1e-7)
        close(learnt["user_factors"], U * s * sign, 1e-5)
        # A ranker: twice as good as the chart, while ALS, which is best at ratings, ranks worse than it.
        ndcg = evaluate(model, test, ["ndcg@10"])["ndcg@10"]
        chart = evaluate(Popularity().fit(train), test, ["ndcg@10"])["ndcg@10"]
        als = evaluate(wing.ALS(device="cpu").fit(train, progress=False), test, ["ndcg@10"])["ndcg@10"]
        assert ndcg > 1.5 * chart > 1.5 * als


# ---------------------------------------------------------------- memory


@pytest.mark.torch_first
@pytest.mark.slow
@pytest.mark.parametrize("wing", ["torch", "keras"])
def test_nothing_has_the_size_users_times_items(wing):
    """50,000 × 50,000 with 300,000 ratings: as a rectangle of float32 that would be 9.3 GiB."""
    pytest.importorskip("resource", reason="peak memory is measured where the system tells it")
    command = [sys.executable, str(ROOT / "benchmarks" / "decomposition.py"), "--measure-memory", wing]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["ratings"] == 300_000 and min(found["users"], found["items"]) > 45_000
    assert found["recommendations"] == 2 * 100
    assert found["peak_bytes"] < 2 * GIB


# ---------------------------------------------------------------- the chapter's exercises


@pytest.mark.parametrize(
    "exercise", [checks.user_vector, checks.truncate, checks.best_vector], ids=lambda e: e.__name__
)
def test_each_mistake_in_an_exercise_gets_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)
