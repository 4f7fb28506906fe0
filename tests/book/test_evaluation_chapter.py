"""What the chapter `evaluation` claims and no other test guards; and the checks of its exercises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from recbook import metrics, worlds
from recbook.checks import evaluation as check
from recbook.evaluation import evaluate
from recbook.interactions import Interactions
from recbook.numpy.introduction import BiasOnly, Popularity


def one_hot(columns, shape) -> np.ndarray:
    found = np.zeros(shape, bool)
    found[np.arange(shape[0]), columns] = True
    return found


# ---------------------------------------------------------------- what the documents say


def test_f12_a_table_has_no_error_against_a_column_and_gathering_mends_it():
    rng = np.random.default_rng(0)
    ratings = rng.integers(1, 6, (30, 1)).astype(float)  # the documents' test_data: |T| × 1
    table = rng.normal(3, 1, (8, 9))  # their predictions: m × n
    users, items = rng.integers(8, size=30), rng.integers(9, size=30)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        sk.mean_squared_error(ratings, table)
    with pytest.raises(ValueError, match="give one list of each, of equal length"):
        metrics.rmse(ratings[:, 0], table)
    gathered = table[users, items]
    squares = [(ratings[t, 0] - table[users[t], items[t]]) ** 2 for t in range(30)]
    assert metrics.rmse(ratings[:, 0], gathered) == pytest.approx((sum(squares) / 30) ** 0.5)
    # NumPy would take the column and the list, and average 30 × 30 pairs.
    broadcast = np.sqrt(np.mean((ratings - gathered) ** 2))
    assert abs(broadcast - metrics.rmse(ratings[:, 0], gathered)) > 0.05
    with pytest.raises(ValueError, match="ravel"):
        metrics.rmse(ratings, gathered)


LABELS = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], bool)
PREDICTED = np.array([1, 1, 0, 1, 0, 0, 0, 0, 0, 0], bool)  # TP 2, FP 1, FN 1, TN 6


def test_f33_precision_as_worded_counts_true_negatives_and_exceeds_one():
    as_worded = (LABELS == PREDICTED).sum() / PREDICTED.sum()
    assert as_worded == pytest.approx(8 / 3) and as_worded > 1
    assert metrics.precision(LABELS, PREDICTED) == sk.precision_score(LABELS, PREDICTED) == 2 / 3


def test_f34_accuracy_and_recall_make_no_f1():
    accuracy, recall = metrics.accuracy(LABELS, PREDICTED), metrics.recall(LABELS, PREDICTED)
    assert (accuracy, recall) == (pytest.approx(0.8), pytest.approx(2 / 3))
    as_built = 2 * accuracy * recall / (accuracy + recall)
    assert as_built == pytest.approx(8 / 11)
    assert metrics.f1(LABELS, PREDICTED) == pytest.approx(2 / 3)
    assert metrics.f1(LABELS, PREDICTED) == pytest.approx(sk.f1_score(LABELS, PREDICTED))
    # The documents' table: its F1 is the harmonic mean of its other two rows, whatever these are.
    for share, found, f1 in ((0.85, 0.88, 0.86), (0.78, 0.80, 0.79)):
        assert 2 * share * found / (share + found) == pytest.approx(f1, abs=0.005)


def test_c10_equal_precision_recall_and_f1_may_hide_unequal_lists():
    scores = np.array([[9, 8, 7, 6, 5, 4.0]] * 2)
    relevant = np.array([[1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]], bool)
    for measure in (metrics.precision_at_k, metrics.recall_at_k, metrics.f1_at_k):
        first, last = measure(scores, relevant, 4)
        assert first == last
    for measure in (metrics.ndcg_at_k, metrics.reciprocal_rank_at_k, metrics.average_precision_at_k):
        first, last = measure(scores, relevant, 4)
        assert first > 2 * last > 0
    # Nor do they see that everybody is shown the same.
    same, varied = np.tile([3, 2, 1, 0.0], (4, 1)), np.roll(np.eye(4), 1, axis=1)
    assert metrics.coverage_at_k(same, 1) == 0.25 and metrics.coverage_at_k(varied, 1) == 1


def test_c31_the_two_senses_of_one_word_differ_and_accuracy_misjudges_lists():
    assert metrics.accuracy(LABELS, PREDICTED) == pytest.approx(8 / 10)  # right of all
    assert metrics.precision(LABELS, PREDICTED) == pytest.approx(2 / 3)  # right of those shown
    # A list with the one relevant item at the top, and the empty list: the empty one is the more "accurate".
    relevant = np.arange(1000)[None] == 0
    useful = metrics.accuracy_at_k(-np.arange(1000.0)[None], relevant, 10)[0]
    empty = metrics.accuracy(relevant[0], np.zeros(1000, bool))
    assert useful == pytest.approx(0.991) and empty == 0.999 > useful


def test_p16_a_list_is_masked_sorted_and_settles_ties_as_stated():
    world = worlds.make_popularity(n_users=40, n_items=30, n_interactions=300, seed=3)
    model = Popularity().fit(world.data)
    assert len(np.unique(model.score_matrix()[0])) < len(model.item_ids_)  # there are ties to settle
    x = world.data.interactions
    for user in x.user_ids[:10].tolist():
        score = model.score_matrix([user])[0].astype(float)
        score[np.isin(model.item_ids_, x.items[x.users == user])] = -np.inf
        order = np.argsort(-score, kind="stable")[: (score > -np.inf).sum()]
        found = model.recommend([user], k=30)
        assert found.item.tolist() == model.item_ids_[order].tolist()
        assert found["rank"].tolist() == list(range(1, len(order) + 1))


def test_p22_the_whole_suite_through_evaluate_is_scikit_learns():
    world = worlds.make_biases(n_users=30, n_items=20, density=0.5, noise=0.4, seed=0)
    x = world.data.interactions
    is_test = np.random.default_rng(0).random(len(x)) < 0.3
    train, test = x.take(~is_test), x.take(is_test)
    model = BiasOnly().fit(train)
    names = ["accuracy", "precision", "recall", "f1", "mae", "mse", "rmse"]
    report = evaluate(model, test, names, relevant=3.5, clip=None)
    predictions = model.predict(test.users, test.items, unknown="fallback").astype(float)
    labels, predicted = test.ratings >= 3.5, predictions >= 3.5
    theirs = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "precision": sk.precision_score(labels, predicted),
        "recall": sk.recall_score(labels, predicted),
        "f1": sk.f1_score(labels, predicted),
        "mae": sk.mean_absolute_error(test.ratings, predictions),
        "mse": sk.mean_squared_error(test.ratings, predictions),
        "rmse": sk.root_mean_squared_error(test.ratings, predictions),
    }
    assert dict(report) == pytest.approx(theirs, abs=1e-6)
    assert len({round(value, 3) for value in theirs.values()}) == 7  # no two could be exchanged unseen


# ---------------------------------------------------------------- traps


def flip(seed: int) -> dict[str, tuple[float, float]]:
    """HR@10 of "genre" and "some people" scorers, among 100 negatives and among all items."""
    world = worlds.make_taste_groups(300, 2000, n_groups=20, density=0.01, seed=seed)
    rng = np.random.default_rng(seed)
    right = one_hot([rng.choice(np.flatnonzero(row)) for row in world.likes], world.likes.shape)
    genre = world.likes.astype(float)
    some = rng.random(genre.shape)
    known = rng.random(300) < 0.3
    some[known] += 2 * right[known]
    draw = rng.random(genre.shape)
    draw[right] = -1
    kept = draw <= np.partition(draw, 100, axis=1)[:, [100]]  # the target and 100 others
    return {
        name: tuple(
            metrics.hit_rate_at_k(s, right, 10).mean() for s in (np.where(kept, scores, -np.inf), scores)
        )
        for name, scores in {"genre": genre, "some": some}.items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_negatives_turn_the_order_of_two_models_round(seed):
    found = flip(seed)
    assert found["genre"][0] > 0.95 and found["some"][0] < 0.5  # sampled: the first wins
    assert found["genre"][1] == pytest.approx(10 / 100)  # 100 items of the genre tie
    assert found["some"][1] > 2 * found["genre"][1]  # in full: the second does


def test_the_mean_of_the_peoples_rmse_is_another_number():
    rows = {"user": [1, 1, 1, 2], "item": [1, 2, 3, 1], "rating": [4.0, 2.0, 3.0, 3.0]}
    train = Interactions.from_frame(pd.DataFrame(rows))
    test = pd.DataFrame({"user": [1, 1, 1, 2], "item": [11, 12, 13, 11], "rating": [5.0, 5.0, 5.0, 3.0]})
    model = BiasOnly(reg_user=1e9, reg_item=1e9).fit(train)  # predicts the mean, 3
    report = evaluate(model, Interactions.from_frame(test), ["rmse"], clip=None)
    assert report["rmse"] == pytest.approx((3 * 4 / 4) ** 0.5, abs=1e-6)
    assert np.sqrt(report.per_user.squared_error).mean() == pytest.approx(1.0, abs=1e-6)


# ---------------------------------------------------------------- exercises


def said(function, answer, capsys) -> tuple[bool, str]:
    verdict = function(answer)
    return verdict, capsys.readouterr().out


def rmse_at_pairs(R_hat, users, items, ratings):
    return np.sqrt(np.mean((ratings - R_hat[users, items]) ** 2))


def expected_hit_rate(scores, target, k):
    above, tied = (scores > scores[target]).sum(), (scores == scores[target]).sum()
    return np.clip((k - above) / tied, 0, 1)


def paired_interval(a, b, n, seed):
    drawn = np.random.default_rng(seed).integers(len(a), size=(n, len(a)))
    return np.quantile((a - b)[drawn].mean(axis=1), [0.025, 0.975])


@pytest.mark.parametrize(
    ("function", "answer"),
    [(check.rmse, rmse_at_pairs), (check.hit_rate, expected_hit_rate), (check.interval, paired_interval)],
)
def test_right_answers_are_right_and_no_answer_is_none(function, answer, capsys):
    assert said(function, answer, capsys)[0] is True
    verdict, text = said(function, lambda *case: None, capsys)
    assert verdict is None and "Nothing to check yet" in text


@pytest.mark.parametrize(
    ("function", "answer", "hint"),
    [
        (check.rmse, lambda *case: rmse_at_pairs(*case) ** 2, "That is the MSE"),
        (check.rmse, lambda R, u, i, r: np.abs(r - R[u, i]).mean(), "That is the MAE"),
        (check.rmse, lambda R, u, i, r: ((r - R[u, i]) ** 2).sum() ** 0.5, "Divide by the number"),
        (
            check.rmse,
            lambda R, u, i, r: np.mean([(((r - R[u, i]) ** 2)[u == v]).mean() ** 0.5 for v in set(u)]),
            "over people first",
        ),
        (check.rmse, lambda R, u, i, r: ((r.reshape(-1, 1) - R[u, i]) ** 2).mean() ** 0.5, "broadcast"),
        (check.rmse, lambda R, u, i, r: ((r - R.ravel()[: len(r)]) ** 2).mean() ** 0.5, "test pairs"),
        (check.hit_rate, lambda s, t, k: t in np.argsort(-s, kind="stable")[:k], "order of the items"),
        (check.hit_rate, lambda s, t, k: (s > s[t]).sum() < k, "first in its tie"),
        (check.hit_rate, lambda s, t, k: (s >= s[t]).sum() <= k, "last in its tie"),
        (check.hit_rate, lambda s, t, k: (k - (s > s[t]).sum()) / (s == s[t]).sum(), "between 0 and 1"),
        (check.hit_rate, lambda s, t, k: max((k - (s > s[t]).sum()) / (s == s[t]).sum(), 0), "at most 1"),
        (check.hit_rate, lambda s, t, k: k / len(s), "k / n"),
        (check.interval, lambda a, b, n, seed: np.quantile(a - b, [0.025, 0.975]), "single users"),
        (check.interval, lambda a, b, n, seed: paired_interval(b, a, n, seed), "sign"),
        (check.interval, lambda a, b, n, seed: paired_interval(a, b, n, seed)[::-1], "lower one first"),
        (check.interval, lambda a, b, n, seed: paired_interval(a, 0 * b, n, seed), "of a alone"),
    ],
)
def test_known_mistakes_get_their_hint(function, answer, hint, capsys):
    verdict, text = said(function, answer, capsys)
    assert verdict is False and hint in text, text
