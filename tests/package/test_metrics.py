"""Measures: hand-worked cases, brute force over all orders of ties, and an independent library."""

from itertools import permutations, product

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from sklearn.metrics import mean_absolute_error, mean_squared_error, ndcg_score, root_mean_squared_error

from recbook import metrics as m
from tests.helpers.work import work_of

INF = np.inf


def recall_min(*lists, **more):
    return m.recall_at_k(*lists, **more, denominator="min")


def average_precision_min(*lists, **more):
    return m.average_precision_at_k(*lists, **more, denominator="min")


NEED_TARGETS = [
    m.recall_at_k,
    recall_min,
    m.f1_at_k,
    m.average_precision_at_k,
    average_precision_min,
    m.ndcg_at_k,
]
OF_LISTS = [m.precision_at_k, m.hit_rate_at_k, m.reciprocal_rank_at_k, m.accuracy_at_k, *NEED_TARGETS]
OF_CATALOGUE = [m.inclusion_at_k, m.coverage_at_k, m.gini_at_k]


def one(*relevant: int, n: int = 4) -> np.ndarray:
    """One user, to whom the given columns of n are relevant."""
    return np.isin(np.arange(n), relevant)[None]


# ---------------------------------------------------------------- ratings


def test_errors_by_hand():
    # Errors 1, -1, 2, 0: squares 1 + 1 + 4 + 0 = 6 of 4 pairs, magnitudes 1 + 1 + 2 + 0 = 4.
    ratings, predictions = [4, 2, 5, 3], [3, 3, 3, 3]
    assert m.mse(ratings, predictions) == 1.5
    assert m.rmse(ratings, predictions) == pytest.approx(1.224744871391589)
    assert m.mae(ratings, predictions) == 1.0


@given(arrays(float, st.integers(1, 30), elements=st.floats(-10, 10)), st.integers(0, 99))
def test_errors_are_scikit_learns(ratings, seed):
    predictions = np.random.default_rng(seed).normal(size=len(ratings))
    assert m.mse(ratings, predictions) == pytest.approx(mean_squared_error(ratings, predictions))
    assert m.rmse(ratings, predictions) == pytest.approx(root_mean_squared_error(ratings, predictions))
    assert m.mae(ratings, predictions) == pytest.approx(mean_absolute_error(ratings, predictions))
    assert m.mae(ratings, predictions) <= m.rmse(ratings, predictions) * (1 + 1e-12)


@pytest.mark.parametrize("measure", [m.mse, m.rmse, m.mae])
@pytest.mark.parametrize(
    "ratings, predictions, words",
    [
        ([1, 2], [1, 2, 3], ("(2,)", "(3,)", "equal length")),
        ([1.0, 2.0], [[1.0], [2.0]], ("(2, 1)", "ravel")),
        ([], [], ("`ratings` is empty",)),
        ([1, np.nan], [1, 1], ("`ratings`, row 1", "nan")),
        ([1, 1, 1], [1, 1, INF], ("`predictions`, row 2", "inf")),
    ],
)
def test_errors_refuse_what_has_no_error(measure, ratings, predictions, words):
    with pytest.raises(ValueError) as caught:
        measure(ratings, predictions)
    assert all(word in str(caught.value) for word in words), caught.value


# ---------------------------------------------------------------- lists


def test_lists_by_hand():
    # The order is 2, 0, 3, 1. Relevant: 0 (rank 2) and 1 (rank 4).
    scores, relevant = np.array([[0.7, 0.1, 0.9, 0.4]]), one(0, 1)
    assert m.precision_at_k(scores, relevant, 3) == pytest.approx(1 / 3)
    assert m.recall_at_k(scores, relevant, 3) == pytest.approx(1 / 2)
    assert m.hit_rate_at_k(scores, relevant, 1) == 0 and m.hit_rate_at_k(scores, relevant, 2) == 1
    # DCG 1 / log2(3) = .6309, best list 1 + .6309.
    assert m.ndcg_at_k(scores, relevant, 3) == pytest.approx(0.6309297535714575 / 1.6309297535714575)
    # At 4 the second one comes too, at rank 4: 1 / log2(5) = .4307.
    assert m.ndcg_at_k(scores, relevant, 4) == pytest.approx((0.63092975 + 0.43067656) / 1.63092975)


def test_the_two_denominators_of_recall():
    scores, relevant = np.array([[4.0, 3.0, 2.0, 1.0]]), one(0, 1, 3)
    assert m.recall_at_k(scores, relevant, 2) == pytest.approx(2 / 3)
    assert m.recall_at_k(scores, relevant, 2, denominator="min") == 1
    assert m.recall_at_k(scores, relevant, 4, denominator="min") == 1


def test_ties_by_hand():
    # Column 0 is above; columns 1, 2, 3 tie for the second of two places; column 1 alone is relevant.
    scores, relevant = np.array([[2.0, 1.0, 1.0, 1.0]]), one(1)
    assert m.hit_rate_at_k(scores, relevant, 2) == pytest.approx(1 / 3)
    assert m.precision_at_k(scores, relevant, 2) == pytest.approx(1 / 6)
    assert m.ndcg_at_k(scores, relevant, 2) == pytest.approx(0.6309297535714575 / 3)
    assert m.hit_rate_at_k(scores, relevant, 2, ties="first") == 1
    assert m.hit_rate_at_k(scores[:, ::-1], relevant[:, ::-1], 2, ties="first") == 0


def test_a_constant_scorer_is_worth_chance_and_not_what_the_column_order_gives_it():
    """Anchor: by tie rule alone a constant has a hit rate of 1 or 0."""
    scores = np.zeros((1, 100))
    assert m.hit_rate_at_k(scores, one(0, n=100), 10, ties="first") == 1
    assert m.hit_rate_at_k(scores, one(99, n=100), 10, ties="first") == 0
    assert m.hit_rate_at_k(scores, one(99, n=100), 10) == pytest.approx(0.1)
    # Two relevant among 100, ten drawn: 1 - (90 · 89) / (100 · 99).
    assert m.hit_rate_at_k(scores, one(3, 99, n=100), 10) == pytest.approx(1 - 90 * 89 / (100 * 99))


def test_what_is_no_candidate_is_never_reached_and_still_counts():
    scores, relevant = np.array([[-INF, 1.0, 0.0, -INF]]), one(0, 2)
    for ties in m.TIES:
        assert m.recall_at_k(scores, relevant, 4, ties=ties) == 1 / 2  # of two, one can be reached
        assert (
            m.precision_at_k(scores, relevant, 4, ties=ties) == 1 / 4
        )  # k is the denominator, of 2 candidates too
        assert m.ndcg_at_k(scores, relevant, 1, ties=ties) == 0
        nobody = np.full((1, 4), -INF)
        assert m.hit_rate_at_k(nobody, relevant, 4, ties=ties) == 0
        assert m.precision_at_k(nobody, relevant, 2, ties=ties) == 0


def test_a_list_longer_than_all_there_is():
    scores, relevant = np.array([[1.0, 2.0, 2.0]]), one(0, 1, n=3)
    for ties in m.TIES:
        assert m.recall_at_k(scores, relevant, 10, ties=ties) == 1
        assert m.hit_rate_at_k(scores, relevant, 10, ties=ties) == 1
        assert m.precision_at_k(scores, relevant, 10, ties=ties) == pytest.approx(0.2)


def plain(scores: np.ndarray, relevant: np.ndarray, k: int, order) -> dict[str, float]:
    """The measures of one user by definition; within a tie the columns stand in the given order."""
    ranked = sorted((c for c in order if scores[c] > -INF), key=lambda c: -scores[c])[:k]
    hits = [bool(relevant[c]) for c in ranked]
    n, targets = sum(hits), relevant.sum()
    dcg = sum(hit / np.log2(rank + 2) for rank, hit in enumerate(hits))
    best = sum(1 / np.log2(rank + 2) for rank in range(min(k, targets)))
    gain = sum(sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit)
    p, r = n / k, n / targets
    judged = [c for c in range(len(scores)) if scores[c] > -INF or relevant[c]]
    return {
        "precision_at_k": p,
        "recall_at_k": r,
        "recall_min": n / min(k, targets),
        "f1_at_k": 2 * p * r / (p + r) if n else 0.0,
        "accuracy_at_k": np.mean([(c in ranked) == relevant[c] for c in judged]),
        "hit_rate_at_k": float(any(hits)),
        "reciprocal_rank_at_k": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
        "average_precision_at_k": gain / targets,
        "average_precision_min": gain / min(k, targets),
        "ndcg_at_k": dcg / best,
    }


few = arrays(float, st.tuples(st.integers(1, 3), st.just(6)), elements=st.sampled_from([-INF, 0.0, 1.0, 2.0]))


@settings(max_examples=40, deadline=None)
@given(scores=few, seed=st.integers(0, 999), k=st.integers(1, 7))
def test_expected_is_the_mean_over_every_order_of_the_ties(scores, seed, k):
    relevant = np.random.default_rng(seed).random(scores.shape) < 0.4
    relevant[:, seed % 6] = True
    orders = list(permutations(range(6)))
    brute = [[plain(s, r, k, order) for order in orders] for s, r in zip(scores, relevant, strict=True)]
    for measure in OF_LISTS:
        expected = [np.mean([one[measure.__name__] for one in of_user]) for of_user in brute]
        np.testing.assert_allclose(
            measure(scores, relevant, k), expected, atol=1e-12, err_msg=measure.__name__
        )


@given(scores=few, seed=st.integers(0, 999), k=st.integers(1, 7))
def test_first_is_the_order_of_the_columns(scores, seed, k):
    relevant = np.random.default_rng(seed).random(scores.shape) < 0.4
    relevant[:, seed % 6] = True
    by_hand = [plain(s, r, k, range(6)) for s, r in zip(scores, relevant, strict=True)]
    for measure in OF_LISTS:
        expected = [one[measure.__name__] for one in by_hand]
        np.testing.assert_allclose(measure(scores, relevant, k, ties="first"), expected, atol=1e-12)


TREC = {
    m.precision_at_k: ir_measures.P,
    m.recall_at_k: ir_measures.R,
    m.hit_rate_at_k: ir_measures.Success,
    m.reciprocal_rank_at_k: ir_measures.RR,
    m.average_precision_at_k: ir_measures.AP,
    m.ndcg_at_k: ir_measures.nDCG,
}


@settings(deadline=None)
@given(seed=st.integers(0, 999), k=st.integers(1, 40))
def test_lists_are_trec_evals(seed, k):
    """Where nothing ties: trec_eval orders ties by the document's name."""
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.arange(150.0).reshape(5, 30), axis=1)
    relevant = rng.random(scores.shape) < 0.2
    relevant[:, 0] = True
    qrels = {str(u): {str(i): int(r) for i, r in enumerate(row)} for u, row in enumerate(relevant)}
    run = {str(u): {str(i): float(s) for i, s in enumerate(row)} for u, row in enumerate(scores)}
    for ours, theirs in TREC.items():
        found = {one.query_id: one.value for one in ir_measures.iter_calc([theirs @ k], qrels, run)}
        np.testing.assert_allclose(
            ours(scores, relevant, k), [found[str(u)] for u in range(5)], atol=1e-6, err_msg=ours.__name__
        )


@given(seed=st.integers(0, 999), k=st.integers(1, 40), levels=st.sampled_from([3, 8, 10**9]))
def test_ndcg_is_scikit_learns(seed, k, levels):
    rng = np.random.default_rng(seed)
    scores = np.floor(rng.random((5, 30)) * levels)
    relevant = rng.random(scores.shape) < 0.2
    relevant[:, 0] = True
    ours = m.ndcg_at_k(scores, relevant, k)
    theirs = [ndcg_score(r[None], s[None], k=k) for r, s in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@given(seed=st.integers(0, 999), k=st.integers(1, 12), levels=st.integers(1, 20))
def test_properties(seed, k, levels):
    rng = np.random.default_rng(seed)
    scores = np.floor(rng.random((4, 12)) * levels)
    relevant = rng.random(scores.shape) < 0.3
    relevant[:, 5] = True
    shuffled = rng.permutation(12)
    for measure in OF_LISTS:
        value = measure(scores, relevant, k)
        assert value.shape == (4,) and ((value >= 0) & (value <= 1 + 1e-12)).all()
        # Neither the order of columns, nor any rising transform of scores, nor the type changes it.
        np.testing.assert_allclose(measure(scores[:, shuffled], relevant[:, shuffled], k), value, atol=1e-12)
        np.testing.assert_allclose(measure(np.exp(scores / 5) - 3, relevant, k), value, atol=1e-12)
        np.testing.assert_allclose(measure(scores.astype(np.float32), relevant, k), value, atol=1e-12)
        np.testing.assert_allclose(measure(scores.astype(int), relevant, k), value, atol=1e-12)
    assert (m.ndcg_at_k(relevant.astype(float), relevant, k) > 1 - 1e-12).all()  # the best list has 1
    some = [m.hit_rate_at_k(scores, relevant, n) for n in range(1, 13)]
    assert (np.diff(some, axis=0) >= -1e-12).all()  # a longer list hits no less
    np.testing.assert_allclose(m.recall_at_k(scores, relevant, 12), 1)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    scores, relevant = rng.integers(0, 5, (50, 20)).astype(float), rng.random((50, 20)) < 0.3
    relevant[:, 0] = True
    whole = [measure(scores, relevant, 5, ties=ties) for measure in OF_LISTS for ties in m.TIES]
    monkeypatch.setattr("recbook.core.blocks.CELLS", 60)
    for a, b in zip(whole, [f(scores, relevant, 5, ties=t) for f in OF_LISTS for t in m.TIES], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


S, R = np.zeros((2, 3)), np.ones((2, 3), bool)
NAN = np.array([[0, 0, 0], [0, np.nan, 0]])


@pytest.mark.parametrize("measure", OF_LISTS)
@pytest.mark.parametrize(
    "scores, relevant, k, ties, words",
    [
        (S, R[:, :2], 2, "expected", ("(2, 3)", "(2, 2)")),
        (S[0], R[0], 2, "expected", ("(3,)", "(n_users, n_items)")),
        (S[:0], R[:0], 2, "expected", ("(0, 3)", "at least one")),
        (S[:, :0], R[:, :0], 2, "first", ("(2, 0)", "at least one")),
        (NAN, R, 2, "expected", ("row 1, column 1", "NaN", "-inf")),
        (NAN, R, 2, "first", ("row 1, column 1", "NaN")),
        (S, R.astype(int), 2, "expected", ("`relevant`", "int64", "truth values")),
        (S.astype(str), R, 2, "expected", ("`scores`", "not numbers")),
        (S, R, 0, "expected", ("`k`", "at least 1")),
        (S, R, 2.0, "expected", ("`k`", "whole number")),
        (S, R, True, "expected", ("`k`", "True")),
        (S, R, 2, "random", ("`ties`", "'expected', 'first'")),
    ],
)
def test_lists_refuse(measure, scores, relevant, k, ties, words):
    with pytest.raises(ValueError) as caught:
        measure(scores, relevant, k, ties=ties)
    assert all(word in str(caught.value) for word in words), caught.value


def test_nothing_relevant_is_no_zero():
    relevant = np.array([[True, False, False], [False, False, False]])
    for measure in NEED_TARGETS:
        with pytest.raises(
            ValueError, match=r"`relevant`, row 1: nothing is relevant.*leave such users out \(1"
        ):
            measure(S, relevant, 2)
    assert m.precision_at_k(S, relevant, 3).tolist() == [1 / 3, 0]
    assert m.hit_rate_at_k(S, relevant, 3).tolist() == [1, 0]
    assert m.reciprocal_rank_at_k(S, relevant, 3)[1] == 0
    for measure in (m.recall_at_k, m.average_precision_at_k):
        with pytest.raises(ValueError, match="`denominator` is 'k'.*target.*min"):
            measure(S, R, 2, denominator="k")


def test_the_first_hit_and_the_mean_precision_by_hand():
    # The order is 2, 0, 3, 1. Relevant: 0 (rank 2) and 1 (rank 4): precision 1/2 and 2/4 there.
    scores, relevant = np.array([[0.7, 0.1, 0.9, 0.4]]), one(0, 1)
    assert m.reciprocal_rank_at_k(scores, relevant, 1) == 0
    assert m.reciprocal_rank_at_k(scores, relevant, 2) == 1 / 2
    assert m.average_precision_at_k(scores, relevant, 4) == pytest.approx((1 / 2 + 2 / 4) / 2)
    # A list of one: the best there is has 1/2 with the one denominator, 1 with the other.
    best = relevant.astype(float)
    assert m.average_precision_at_k(best, relevant, 1) == 1 / 2
    assert average_precision_min(best, relevant, 1) == 1
    # List 2, 0: one hit of two places, one of two targets. Wrongly judged: 2 and 1, of four.
    assert m.f1_at_k(scores, relevant, 2) == pytest.approx(1 / 2)
    assert m.accuracy_at_k(scores, relevant, 2) == 1 / 2


def test_ties_of_first_hit_and_mean_precision_by_hand():
    # Three tie, two of them relevant: the first hit is at rank 1 with chance 2/3, else at rank 2.
    scores, relevant = np.ones((1, 3)), one(0, 1, n=3)
    assert m.reciprocal_rank_at_k(scores, relevant, 3) == pytest.approx(2 / 3 + 1 / 3 / 2)
    # Orders by their relevant ranks: 12: 1, 13: (1 + 2/3) / 2, 23: (1/2 + 2/3) / 2, each one third.
    assert m.average_precision_at_k(scores, relevant, 3) == pytest.approx((1 + 5 / 6 + 7 / 12) / 3)


@given(n=st.integers(1, 200), k=st.integers(1, 200), column=st.integers(0, 199))
def test_a_constant_scorer_has_k_of_n(n, k, column):
    """With one relevant of n: precision 1 / n, and recall and hit rate k / n, however large n is."""
    scores, relevant, k = np.full((1, n), 3.3), one(column % n, n=n), min(k, n)
    assert m.recall_at_k(scores, relevant, k) == pytest.approx(k / n, rel=1e-12)
    assert m.hit_rate_at_k(scores, relevant, k) == pytest.approx(k / n, rel=1e-12)
    assert m.precision_at_k(scores, relevant, k) == pytest.approx(1 / n, rel=1e-12)
    harmonic = (1 / np.arange(1, k + 1)).sum() / n
    assert m.reciprocal_rank_at_k(scores, relevant, k) == pytest.approx(harmonic, rel=1e-12)
    assert m.average_precision_at_k(scores, relevant, k) == pytest.approx(harmonic, rel=1e-12)
    np.testing.assert_allclose(m.inclusion_at_k(scores, k), k / n, rtol=1e-12)


def test_predicting_nothing_is_999_of_1000_right():
    """F31: accuracy is useless for lists; so is accuracy@k."""
    labels = np.arange(1000) == 0
    nothing = np.zeros(1000, bool)
    assert m.accuracy(labels, nothing) == 0.999
    assert m.recall(labels, nothing) == m.f1(labels, nothing) == 0
    with pytest.raises(ValueError, match=r"none of the 1000 `predictions` is positive.*0 / 0.*threshold"):
        m.precision(labels, nothing)
    worst = -labels[None].astype(float)  # the one that is relevant comes last
    assert m.accuracy_at_k(worst, labels[None], 10)[0] == pytest.approx(0.989)
    assert m.ndcg_at_k(worst, labels[None], 10)[0] == 0


def test_places_are_computed_once_for_all_lengths():
    rng = np.random.default_rng(0)
    scores, relevant = rng.integers(0, 4, (30, 12)).astype(float), rng.random((30, 12)) < 0.3
    scores[rng.random(scores.shape) < 0.3] = -INF
    for ties in m.TIES:
        long = m.Places.of(scores, relevant, 11, ties=ties)
        for k in range(1, 12):
            short = m.Places.of(scores, relevant, k, ties=ties)
            np.testing.assert_allclose(long.cut(k).chance, short.chance, rtol=1e-12)
            np.testing.assert_allclose(long.cut(k).first_hit, short.first_hit, rtol=1e-12)
    with pytest.raises(ValueError, match="`k` is 12.*11 places"):
        long.cut(12)


# ---------------------------------------------------------------- labels and probabilities

LABELS = np.array([1, 1, 1, 0, 0, 0, 0, 0])
RATED = np.array([5, 4, 2, 4, 3, 1, 1, 1])


def test_labels_by_hand():
    # From 4 on: TP 2 (5, 4), FP 1 (4), FN 1 (2), TN 4.
    assert m.accuracy(LABELS, RATED, 4) == 6 / 8
    assert m.precision(LABELS, RATED, 4) == m.recall(LABELS, RATED, 4) == m.f1(LABELS, RATED, 4) == 2 / 3
    # From 3 on: FP 2.
    assert m.precision(LABELS, RATED >= 3) == 2 / 4 and m.f1(LABELS, RATED >= 3) == pytest.approx(4 / 7)


@given(seed=st.integers(0, 999), n=st.integers(2, 40))
def test_labels_are_scikit_learns(seed, n):
    rng = np.random.default_rng(seed)
    labels, predicted = rng.random(n) < 0.4, rng.random(n) < 0.5
    labels[0] = predicted[1] = True
    for ours, theirs in (
        (m.accuracy, sk.accuracy_score),
        (m.precision, sk.precision_score),
        (m.recall, sk.recall_score),
        (m.f1, sk.f1_score),
    ):
        assert ours(labels, predicted) == pytest.approx(theirs(labels, predicted), abs=1e-12)


def test_auc_by_hand():
    # Couples: .9 > .5, .9 > .1, .5 = .5 (a half), .5 > .1: 3.5 of 4.
    assert m.auc([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1]) == 3.5 / 4
    assert m.auc([1, 0], [7, 7]) == 0.5


def test_gauc_by_hand_weighs_impressions_and_leaves_out_who_has_one_class():
    # Group 0: AUC 1 of 2 impressions. Group 1: AUC 0 of 3. Group 2 is all relevant. Group 3 nowhere.
    labels = np.array([1, 0, 1, 0, 0, 1, 1, 1, 0])
    scores = np.array([2, 1, 1, 2, 3, 5, 6, 4, 4])
    groups = np.array([0, 0, 1, 1, 1, 2, 2, 4, 4])
    np.testing.assert_array_equal(m.auc_by_group(labels, scores, groups), [1, 0, np.nan, np.nan, 0.5])
    found = m.gauc(labels, scores, groups)
    assert found == (pytest.approx((2 * 1 + 3 * 0 + 2 * 0.5) / 7), 3, 1)


@settings(deadline=None)
@given(seed=st.integers(0, 999), levels=st.sampled_from([2, 5, 10**6]))
def test_auc_is_scikit_learns(seed, levels):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 4, 60)
    labels, scores = rng.random(60) < 0.4, np.floor(rng.normal(size=60) * levels)
    labels[:2] = True, False
    assert m.auc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores))
    assert m.auc(~labels, -scores) == pytest.approx(m.auc(labels, scores))
    for group, value in enumerate(m.auc_by_group(labels, scores, groups)):
        mine = groups == group
        if len(set(labels[mine])) == 2:
            assert value == pytest.approx(sk.roc_auc_score(labels[mine], scores[mine]))
        else:
            assert np.isnan(value)


def test_gauc_forgives_what_auc_does_not():
    """Each user's order is right, and their levels differ: GAUC 1, AUC below."""
    labels, scores, users = [1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1], np.array([0, 0, 1, 1])
    assert m.gauc(labels, scores, users).value == 1 and m.auc(labels, scores) == 0.75


def test_log_loss_by_hand():
    assert m.log_loss([1, 0], [0.8, 0.4]) == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert m.log_loss([1, 0], [0, 0], logits=True) == pytest.approx(np.log(2))
    np.testing.assert_allclose(m.log_losses([1, 0], [0.5, 0.5]), np.log(2))


def test_log_loss_is_stable():
    assert m.log_loss([0, 1], [800.0, -800.0], logits=True) == 800
    assert m.log_loss([1, 0], [800.0, -800.0], logits=True) == 0
    assert m.log_loss([1], [40.0], logits=True) == pytest.approx(np.exp(-40.0))
    # In float32 a sigmoid is 1 from z = 17 on: one wrong pair costs -log(1e-7), not infinity.
    assert m.log_loss([0], [1.0]) == pytest.approx(-np.log(1e-7))
    assert m.log_loss([0], [1.0], eps=0) == INF
    assert m.log_loss([1], [1.0], eps=0) == 0


@given(seed=st.integers(0, 999))
def test_log_loss_and_calibration_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=50) * 3
    labels, p = rng.random(50) < 0.5, 1 / (1 + np.exp(-z))
    labels[:2] = True, False
    assert m.log_loss(labels, p) == pytest.approx(sk.log_loss(labels, p))
    assert m.log_loss(labels, z, logits=True) == pytest.approx(sk.log_loss(labels, p))
    for by, strategy in (("width", "uniform"), ("count", "quantile")):
        table = m.reliability(labels, p, 5, by=by)
        observed, predicted = calibration_curve(labels, p, n_bins=5, strategy=strategy)
        np.testing.assert_allclose(table.observed, observed)
        np.testing.assert_allclose(table.predicted, predicted)
        assert table.count.sum() == 50


def test_calibration_by_hand():
    # Two bins: (0, .5] has .1 .3 .5, one of three true; (.5, 1] has .9, true.
    labels, p = [0, 1, 0, 1], [0.1, 0.3, 0.5, 0.9]
    table = m.reliability(labels, p, 2)
    np.testing.assert_allclose(table.predicted, [0.3, 0.9])
    np.testing.assert_allclose(table.observed, [1 / 3, 1])
    assert table.count.tolist() == [3, 1]
    assert m.calibration_error(labels, p, 2) == pytest.approx(3 / 4 * (1 / 3 - 0.3) + 1 / 4 * 0.1)
    assert m.calibration_error([0, 0, 1, 1], [0.0, 0.0, 1.0, 1.0]) == 0


def test_calibration_finds_a_planted_bias():
    rng = np.random.default_rng(0)
    p = rng.random(50_000) * 0.8
    assert m.calibration_error(rng.random(50_000) < p, p) < 0.01
    assert m.calibration_error(rng.random(50_000) < p + 0.1, p) == pytest.approx(0.1, abs=0.01)


A, B = np.array([1, 0]), np.array([0.5, 0.5])
BAD_PAIRS = {
    "shapes": (lambda: m.auc(A, B[:1]), ("(2,)", "(1,)", "equal length")),
    "column": (lambda: m.log_loss(A, B[:, None]), ("(2, 1)", "ravel")),
    "empty": (lambda: m.accuracy([], []), ("`labels` is empty",)),
    "labels": (lambda: m.auc([1, 3], B), ("`labels`", "0 and 1", "ratings >= 4")),
    "labels NaN": (lambda: m.auc([1, np.nan], B), ("`labels`", "truth values")),
    "text": (lambda: m.auc(A, ["a", "b"]), ("`scores`", "not numbers")),
    "NaN": (lambda: m.auc(A, [0, np.nan]), ("`scores`, row 1", "nan")),
    "inf": (lambda: m.log_loss(A, [0, INF], logits=True), ("`predictions`, row 1", "inf")),
    "no threshold": (lambda: m.f1(A, [3.5, 2.0]), ("`predictions`", "`threshold`")),
    "threshold": (lambda: m.recall(A, B, np.nan), ("`threshold`", "nan")),
    "NaN prediction": (lambda: m.precision(A, [1, np.nan], 0.5), ("`predictions`, row 1", "nan")),
    "one class": (lambda: m.auc([1, 1], B), ("all True", "both classes")),
    "nothing relevant": (lambda: m.recall([0, 0], A), ("`labels`", "0 / 0")),
    "nothing relevant f1": (lambda: m.f1([0, 0], A), ("`labels`", "0 / 0")),
    "no probability": (lambda: m.log_loss(A, [0.2, 1.2]), ("`predictions`, row 1", "1.2", "logits=True")),
    "negative": (lambda: m.calibration_error(A, [-0.1, 0]), ("row 0", "-0.1")),
    "eps": (lambda: m.log_loss(A, B, eps=0.5), ("`eps`", "0.5")),
    "bins": (lambda: m.reliability(A, B, 0), ("`bins`", "at least 1")),
    "by": (lambda: m.reliability(A, B, by="size"), ("`by`", "'width', 'count'")),
    "groups": (lambda: m.gauc(A, B, np.array([0.0, 1.0])), ("`groups`", "float64", "return_inverse")),
    "groups short": (lambda: m.gauc(A, B, np.array([0])), ("`groups`", "(1,)")),
    "no group": (lambda: m.gauc(A, B, np.array([0, 1])), ("none of the 2 groups", "both classes")),
}


@pytest.mark.parametrize("name", BAD_PAIRS)
def test_pairs_refuse(name):
    call, words = BAD_PAIRS[name]
    with pytest.raises(ValueError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


# ---------------------------------------------------------------- what lists do to a catalogue

# Lists of two: user 0 has items 0, 1; user 1 has 0 and one of 2, 3, which tie.
TWO = np.array([[9.0, 8, 1, 0], [9.0, -INF, 5, 5]])
SHARES = np.array([1.0, 0.5, 0.25, 0.125])
GENRES = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])


def test_catalogue_by_hand():
    np.testing.assert_array_equal(m.inclusion_at_k(TWO, 2), [[1, 1, 0, 0], [1, 0, 0.5, 0.5]])
    assert m.coverage_at_k(TWO, 2) == (1 + 1 + 0.5 + 0.5) / 4
    assert m.coverage_at_k(TWO, 2, ties="first") == 3 / 4
    # Exposures 2, 1, .5, .5: sorted .5 .5 1 2 with weights -3 -1 1 3.
    assert m.gini_at_k(TWO, 2) == pytest.approx((-1.5 - 0.5 + 1 + 6) / (4 * 4))
    # Bits 0 1 2 3: (0 + 1) / 2, and (0 + 2.5) / 2.
    np.testing.assert_allclose(m.novelty_at_k(TWO, 2, SHARES), [0.5, 1.25])
    # Genres 0 and 1 differ wholly; 0 and 2 are alike by √½, 0 and 3 not at all.
    np.testing.assert_allclose(m.diversity_at_k(TWO, 2, features=GENRES), [1, 1 - 0.5 * 0.5**0.5], atol=1e-12)


@pytest.mark.parametrize(
    "amounts, index",
    [([1, 1, 1], 0), ([0, 0, 5], 2 / 3), ([7], 0), ([1, 3], 1 / 4), ([3, 1], 1 / 4), ([10, 30], 1 / 4)],
)
def test_gini_by_hand(amounts, index):
    assert m.gini(amounts) == pytest.approx(index, abs=1e-12)


@given(arrays(float, st.integers(2, 12), elements=st.floats(0.01, 100)))
def test_gini_is_half_the_mean_difference_over_the_mean(x):
    by_definition = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert m.gini(x) == pytest.approx(by_definition, abs=1e-12)


def lists_of(scores: np.ndarray, k: int) -> list[tuple[int, ...]]:
    """The list of one user under each order of the columns."""
    orders = permutations(range(len(scores)))
    return [
        tuple(sorted((c for c in order if scores[c] > -INF), key=lambda c: -scores[c])[:k])
        for order in orders
    ]


five = arrays(float, st.just((2, 4)), elements=st.sampled_from([-INF, 0.0, 1.0]))


@settings(max_examples=25, deadline=None)
@given(scores=five, k=st.integers(1, 5), seed=st.integers(0, 99))
def test_catalogue_is_the_mean_over_every_order_of_the_ties(scores, k, seed):
    scores[:, :2] = np.maximum(scores[:, :2], 0)  # two candidates at least
    rng = np.random.default_rng(seed)
    features, shares = rng.normal(size=(4, 2)), rng.uniform(0.1, 1, 4)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    a, b = (lists_of(row, k) for row in scores)
    together = [set(x) | set(y) for x, y in product(set(a), set(b))]
    weights = [a.count(x) * b.count(y) for x, y in product(set(a), set(b))]
    covered = np.average([len(both) / 4 for both in together], weights=weights)
    assert m.coverage_at_k(scores, k) == pytest.approx(covered)
    for row, lists in enumerate((a, b)):
        chance = [np.mean([item in one for one in lists]) for item in range(4)]
        np.testing.assert_allclose(m.inclusion_at_k(scores, k)[row], chance)
        bits = np.mean([np.mean(-np.log2(shares[list(one)])) for one in lists])
        assert m.novelty_at_k(scores, k, shares)[row] == pytest.approx(bits)
        if k > 1:
            apart = np.mean(
                [np.mean([1 - unit[i] @ unit[j] for i, j in permutations(one, 2)]) for one in lists]
            )
            for given_as in ({"features": features}, {"similarity": unit @ unit.T}):
                assert m.diversity_at_k(scores, k, **given_as)[row] == pytest.approx(apart, abs=1e-12)
    if k > 1:
        firsts = [
            sorted(range(4), key=lambda c: (-row[c], c))[: min(k, (row > -INF).sum())] for row in scores
        ]
        apart = [np.mean([1 - unit[i] @ unit[j] for i, j in permutations(one, 2)]) for one in firsts]
        np.testing.assert_allclose(
            m.diversity_at_k(scores, k, features=features, ties="first"), apart, atol=1e-12
        )


def test_blocks_change_nothing_of_the_catalogue(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 5, (50, 20)).astype(float)
    shares, features = rng.uniform(0.1, 1, 20), rng.random((20, 3))

    def all_of_them():
        some = [f(scores, 5, ties=t) for f in OF_CATALOGUE for t in m.TIES]
        return [*some, m.novelty_at_k(scores, 5, shares), m.diversity_at_k(scores, 5, features=features)]

    whole = all_of_them()
    monkeypatch.setattr("recbook.core.blocks.CELLS", 60)
    for a, b in zip(whole, all_of_them(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("measure", OF_CATALOGUE)
@pytest.mark.parametrize(
    "scores, k, ties, words",
    [
        (S[0], 2, "expected", ("(3,)", "(n_users, n_items)")),
        (S[:0], 2, "expected", ("(0, 3)", "at least one")),
        (NAN, 2, "expected", ("row 1, column 1", "NaN")),
        (S.astype(str), 2, "expected", ("`scores`", "not numbers")),
        (S, 0, "expected", ("`k`", "at least 1")),
        (S, 2, "random", ("`ties`", "'expected', 'first'")),
    ],
)
def test_catalogue_refuses(measure, scores, k, ties, words):
    with pytest.raises(ValueError) as caught:
        measure(scores, k, ties=ties)
    assert all(word in str(caught.value) for word in words), caught.value


ALONE = np.array([[0.0, 1, 2], [0, -INF, -INF]])
BAD_CATALOGUE = {
    "nothing shown": (lambda: m.gini_at_k(np.full((2, 3), -INF), 2), ("all 0", "0 / 0")),
    "gini empty": (lambda: m.gini([]), ("`amounts`", "(0,)")),
    "gini negative": (lambda: m.gini([1, -1]), ("`amounts`", "negative")),
    "gini NaN": (lambda: m.gini([1, np.nan]), ("`amounts`", "NaN")),
    "shares": (lambda: m.novelty_at_k(S, 2, [1, 1]), ("`shares`", "(2,)", "3 items")),
    "share 0": (lambda: m.novelty_at_k(S, 2, [1, 0, 1]), ("`shares`, item 1", "above 0", "met by one")),
    "share NaN": (lambda: m.novelty_at_k(S, 2, [1, 1, np.nan]), ("`shares`, item 2", "nan")),
    "no list": (lambda: m.novelty_at_k(np.full((1, 3), -INF), 2, [1, 1, 1]), ("row 0", "0 candidates")),
    "one item": (
        lambda: m.diversity_at_k(ALONE, 2, features=np.eye(3)),
        ("row 1", "1 candidates", "(1 here)"),
    ),
    "k 1": (lambda: m.diversity_at_k(S, 1, features=np.eye(3)), ("`k` is 1", "couple")),
    "neither": (lambda: m.diversity_at_k(S, 2), ("`features`", "`similarity`")),
    "both": (lambda: m.diversity_at_k(S, 2, features=S.T, similarity=np.eye(3)), ("one of",)),
    "features": (lambda: m.diversity_at_k(S, 2, features=S), ("`features`", "(2, 3)", "n_features")),
    "similarity": (lambda: m.diversity_at_k(S, 2, similarity=S.T), ("`similarity`", "(3, 2)", "(3, 3)")),
    "features NaN": (lambda: m.diversity_at_k(S, 2, features=NAN.T), ("`features`", "not finite")),
    "skew": (
        lambda: m.diversity_at_k(S, 2, similarity=np.triu(np.ones((3, 3)))),
        ("`similarity`", "not symmetric"),
    ),
}


@pytest.mark.parametrize("name", BAD_CATALOGUE)
def test_catalogue_refuses_what_has_no_value(name):
    call, words = BAD_CATALOGUE[name]
    with pytest.raises(ValueError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


# ---------------------------------------------------------------- work


N_MANY, N_WIDE = 2000, 3706  # users, and the items of MovieLens-1M
BLOCK = 2_000_000  # cells


@pytest.fixture(scope="module", params=[5, 10**9], ids=["ties", "no ties"])
def large(request):
    rng = np.random.default_rng(0)
    scores = np.floor(rng.random((N_MANY, N_WIDE), np.float32) * request.param)
    relevant = rng.random(scores.shape, np.float32) < 0.01
    relevant[:, 0] = True
    return scores, relevant


def no_step_for_each(n: int, n_bytes: float, call) -> None:
    """A call for each of n is n calls; a table of all users in float64 is more than `n_bytes`."""
    work = work_of(call)
    assert work.calls < n / 2 and work.peak < n_bytes, work[:2]


@pytest.mark.parametrize("measure", OF_LISTS)
def test_lists_of_many_are_measured_in_blocks(large, measure):
    no_step_for_each(N_MANY, 10 * BLOCK, lambda: measure(*large, 10))


def test_the_catalogue_of_many_is_measured_in_blocks(large):
    scores, _ = large
    rng = np.random.default_rng(0)
    shares, features = rng.uniform(0.001, 1, N_WIDE), rng.random((N_WIDE, 19)) < 0.15
    # One number for each cell is the result of some; one more of eight bytes would pass the bar.
    whole = 8 * scores.size + 20 * BLOCK
    for call in (
        lambda: m.coverage_at_k(scores, 10),
        lambda: m.gini_at_k(scores, 10),
        lambda: m.novelty_at_k(scores, 10, shares),
        lambda: m.diversity_at_k(scores, 10, features=features),
    ):
        no_step_for_each(N_MANY, whole, call)


def test_a_million_pairs_take_no_step_for_each():
    rng = np.random.default_rng(0)
    z, users = rng.normal(size=10**6), rng.integers(0, 6040, 10**6)
    labels, p = rng.random(10**6) < 0.1, 1 / (1 + np.exp(-z))
    for call in (
        lambda: m.auc(labels, z),
        lambda: m.gauc(labels, z, users),
        lambda: m.log_loss(labels, p),
        lambda: m.calibration_error(labels, p),
    ):
        no_step_for_each(1000, 8 * 12 * len(z), call)


def test_work_is_counted():
    """What the tests above would not forgive."""
    table = np.zeros((1000, 100))
    assert work_of(lambda: [row.sum() for row in table]).calls >= 1000
    assert work_of(lambda: table.sum(axis=1)).calls < 20
    assert work_of(lambda: table + 1).peak >= table.nbytes
    assert work_of(lambda: table[:10] + 1).peak < table.nbytes / 10
    assert work_of(lambda: 7).result == 7
