"""Baselines: planted truths, closed forms, and the published figures of BiasOnly."""

import inspect

import numpy as np
import pandas as pd
import pytest

from recbook import datasets, splits
from recbook.errors import DataError, NotSupportedError
from recbook.evaluation import evaluate
from recbook.interactions import Interactions
from recbook.numpy import introduction as baselines
from recbook.numpy.introduction import BiasOnly, GlobalMean, Popularity, Random
from recbook.recommender import Recommender

ALL = [c for c in vars(baselines).values() if inspect.isclass(c) and c.__module__ == baselines.__name__]

# Ann gave 5 and 3, Bob 4, 2 and 1, Cem 5; film 20 has three ratings, 10 two, 30 one.
TABLE = pd.DataFrame(
    {
        "user": ["Ann", "Ann", "Bob", "Bob", "Bob", "Cem"],
        "item": [10, 20, 20, 10, 30, 20],
        "rating": [5.0, 3.0, 4.0, 2.0, 1.0, 5.0],
    }
)
X = Interactions.from_frame(TABLE)
MORE = Interactions.from_frame(pd.DataFrame({"user": ["Cem", "Dia"], "item": [40, 10], "rating": [2.0, 5.0]}))
BOTH = Interactions.from_frame(pd.concat([TABLE, MORE.to_frame()]))


def test_all_baselines_are_tested_here():
    assert set(ALL) == {GlobalMean, BiasOnly, Popularity, Random}
    assert all(issubclass(c, Recommender) for c in ALL)


def test_global_mean():
    model = GlobalMean().fit(X)
    assert model.predict(["Ann", "Cem"], [30, 10]).tolist() == pytest.approx([20 / 6] * 2)
    assert model.predict("nobody", 99, unknown="fallback") == pytest.approx(20 / 6)
    assert model.score_matrix(["Bob"], candidates=[30, 10]).tolist() == [pytest.approx([20 / 6] * 2)]
    assert model.recommend("Cem").item.tolist() == [10, 30]  # ties: in order of first appearance


def test_popularity_counts_and_ignores_ratings():
    model = Popularity().fit(X)
    assert model.item_ids_.tolist() == [10, 20, 30]
    assert model.score_matrix(["Ann"]).tolist() == [[2, 3, 1]]
    assert model.predict(["Ann", "nobody", "Ann"], [20, 30, 99], unknown="fallback").tolist() == [3, 1, 0]
    assert model.recommend("Cem")[["item", "score", "rank"]].values.tolist() == [[10, 2, 1], [30, 1, 2]]
    assert model.recommend(histories={"new": [10]}).item.tolist() == [20, 30]
    unrated = Interactions.from_frame(TABLE[["user", "item"]])
    assert Popularity().fit(unrated).score_matrix(["Ann"]).tolist() == [[2, 3, 1]]


def by_hand(epochs, reg_user, reg_item):
    """The same least squares, one bias at a time."""
    mean = TABLE.rating.mean()
    users, items = dict.fromkeys(TABLE.user, 0.0), dict.fromkeys(TABLE.item, 0.0)
    for _ in range(epochs):
        for i in items:
            rows = TABLE[TABLE.item == i]
            items[i] = sum(r - mean - users[u] for u, r in zip(rows.user, rows.rating, strict=True))
            items[i] /= reg_item + len(rows)
        for u in users:
            rows = TABLE[TABLE.user == u]
            users[u] = sum(r - mean - items[i] for i, r in zip(rows.item, rows.rating, strict=True))
            users[u] /= reg_user + len(rows)
    return mean, users, items


@pytest.mark.parametrize("epochs, reg_user, reg_item", [(1, 15, 10), (10, 15, 10), (3, 0.5, 2.0)])
def test_bias_only_is_its_equation(epochs, reg_user, reg_item):
    mean, users, items = by_hand(epochs, reg_user, reg_item)
    model = BiasOnly(epochs, reg_user, reg_item).fit(X)
    found = model.get_parameters()
    assert found["mean"] == pytest.approx(mean)
    assert found["user_bias"] == pytest.approx([users[u] for u in model.user_ids_])
    assert found["item_bias"] == pytest.approx([items[i] for i in model.item_ids_])
    expected = [[mean + users[u] + items[i] for i in (30, 10)] for u in ("Cem", "Ann")]
    np.testing.assert_allclose(model.score_matrix(["Cem", "Ann"], candidates=[30, 10]), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict("Cem", [30, 10]), expected[0], rtol=1e-6)
    # The prior: the mean and whichever bias is known.
    got = model.predict(["Cem", "nobody", "nobody"], [99, 10, 99], unknown="fallback")
    np.testing.assert_allclose(got, [mean + users["Cem"], mean + items[10], mean], rtol=1e-6)


def test_bias_only_reaches_the_minimum():
    """At the optimum no bias can be moved: the gradient of the penalised squared error is zero."""
    model = BiasOnly(epochs=200, reg_user=2.0, reg_item=1.0).fit(X)
    p = model.get_parameters()
    error = X.ratings - p["mean"] - p["user_bias"][X.user_codes] - p["item_bias"][X.item_codes]
    np.testing.assert_allclose(np.bincount(X.user_codes, error), 2.0 * p["user_bias"], atol=1e-9)
    np.testing.assert_allclose(np.bincount(X.item_codes, error), 1.0 * p["item_bias"], atol=1e-9)


def test_bias_only_finds_planted_biases():
    world = datasets.make_biases(n_users=200, n_items=150, density=0.4, noise=0.05, seed=1)
    model = BiasOnly(epochs=30, reg_user=0.0, reg_item=0.0).fit(world.data)
    truth = pd.DataFrame(world.scores, world.truth["user_ids"], world.truth["item_ids"])
    found = model.score_matrix()
    assert np.abs(found - truth.loc[model.user_ids_, model.item_ids_]).max().max() < 0.05


@pytest.mark.parametrize("change", [{"epochs": 1}, {"reg_user": 1.0}, {"reg_item": 1.0}])
def test_each_argument_of_bias_only_matters(change):
    a, b = BiasOnly().fit(X).score_matrix(), BiasOnly(**change).fit(X).score_matrix()
    assert np.abs(a - b).max() > 1e-4


def test_bias_only_folds_in_a_history_as_the_last_half_step_did():
    model = BiasOnly().fit(X)
    again = Interactions.from_frame(TABLE[TABLE.user == "Bob"].replace("Bob", "new"))
    np.testing.assert_allclose(
        model.predict("new", [10, 20, 30], histories=again), model.predict("Bob", [10, 20, 30]), rtol=1e-6
    )
    by_matrix = model.score_matrix(["new"], histories=again)
    np.testing.assert_allclose(by_matrix[0], model.predict("Bob", model.item_ids_), rtol=1e-6)
    assert model.predict("new", 99, histories=again, unknown="fallback") == pytest.approx(
        model.predict("Bob", 99, unknown="fallback")
    )


def test_random_is_a_fixed_function_of_user_and_item():
    model = Random(seed=3).fit(X)
    matrix = model.score_matrix()
    assert ((matrix >= 0) & (matrix < 1)).all() and len(np.unique(matrix)) == matrix.size
    np.testing.assert_array_equal(matrix[1], np.random.default_rng([3, 1]).random(3, np.float32))
    np.testing.assert_array_equal(
        model.score_matrix(["Cem", "Ann"], candidates=[30, 10]), matrix[[2, 0]][:, [2, 0]]
    )
    pairs = ["Cem", "Ann", "Cem", "Bob"], [10, 30, 20, 20]
    np.testing.assert_array_equal(model.predict(*pairs), matrix[[2, 0, 2, 1], [0, 2, 1, 1]])
    np.testing.assert_array_equal(Random(seed=3).fit(X).score_matrix(), matrix)
    assert not np.array_equal(Random(seed=4).fit(X).score_matrix(), matrix)
    new = model.score_matrix(histories={"new": [10], "newer": []})
    assert len(np.unique(np.vstack([matrix, new]))) == matrix.size + new.size  # nobody shares his draws
    assert model.predict("nobody", [10, 99], unknown="fallback").tolist() == [0.5, 0.5]


def test_random_draws_are_uniform():
    rng = np.random.default_rng(0)
    x = Interactions.from_frame(pd.DataFrame({"user": rng.permutation(500), "item": np.arange(500)}))
    scores = Random().fit(x).score_matrix()
    share = np.histogram(scores, bins=10, range=(0, 1))[0] / scores.size
    assert np.abs(share - 0.1).max() < 0.003  # five standard deviations
    assert abs(np.corrcoef(scores[:-1].ravel(), scores[1:].ravel())[0, 1]) < 0.01


@pytest.mark.parametrize("model", [GlobalMean, Popularity])
def test_partial_fit_is_a_fit_on_everything(model):
    known = ["partial_fit" in c.supports for c in ALL]
    assert [c for c, able in zip(ALL, known, strict=True) if able] == [GlobalMean, Popularity]
    step, whole = model().fit(X).partial_fit(MORE), model().fit(BOTH)
    assert step.user_ids_.tolist() == whole.user_ids_.tolist() == ["Ann", "Bob", "Cem", "Dia"]
    assert step.item_ids_.tolist() == whole.item_ids_.tolist() == [10, 20, 30, 40]
    for name, values in whole.get_parameters().items():
        np.testing.assert_allclose(step.get_parameters()[name], values, rtol=1e-12)
    pd.testing.assert_frame_equal(step.recommend(), whole.recommend())
    assert step.rating_range_ == whole.rating_range_


@pytest.mark.parametrize("model", [BiasOnly, Random])
def test_what_cannot_be_done_in_part_names_what_can(model):
    with pytest.raises(
        NotSupportedError, match=f"{model.__name__} does not support `partial_fit`.*GlobalMean, Popularity"
    ):
        model().fit(X).partial_fit(MORE)


@pytest.mark.parametrize(
    "model, words",
    [
        (BiasOnly(epochs=0), ("`epochs`", "at least 1")),
        (BiasOnly(epochs=2.5), ("`epochs`", "whole")),
        (BiasOnly(reg_user=-1), ("`reg_user`", "at least 0")),
        (BiasOnly(reg_item=float("nan")), ("`reg_item`", "nan")),
        (Random(seed=-1), ("`seed`", "at least 0")),
        (Random(seed=None), ("`seed`", "None")),
    ],
)
def test_bad_arguments(model, words):
    with pytest.raises(ValueError) as caught:
        model.fit(X)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("model", [GlobalMean(), BiasOnly()])
def test_models_of_ratings_need_ratings(model):
    with pytest.raises(ValueError, match=r"no column `rating`.*task is 'ranking'"):
        model.fit(Interactions.from_frame(TABLE[["user", "item"]]))


@pytest.fixture(scope="module")
def movielens():
    try:
        return datasets.fetch_movielens("100k")
    except DataError as error:
        pytest.skip(f"MovieLens-100K is not to be had here: {error}")


def test_bias_only_has_surprises_figures(movielens):
    """Surprise's BaselineOnly, five folds, clipped to 1–5: RMSE .944, MAE .748."""
    found = []
    for train, test in splits.k_fold(movielens, 5, seed=0):
        report = evaluate(BiasOnly().fit(train), test, ["rmse", "mae"])
        assert report.protocol["clip"] == (1, 5) and report.protocol["pairs_left_out"] == 0
        found.append([report["rmse"], report["mae"]])
    assert np.mean(found, 0) == pytest.approx([0.944, 0.748], abs=0.005)


def test_popularity_beats_chance_and_everything_beats_the_mean(movielens):
    train, test = splits.random_split(movielens, 0.2, seed=0)
    ndcg = {c: evaluate(c().fit(train), test, ["ndcg@10"])["ndcg@10"] for c in (Popularity, Random)}
    assert ndcg[Popularity] > 10 * ndcg[Random]
    rmse = {c: evaluate(c().fit(train), test, ["rmse"])["rmse"] for c in (GlobalMean, BiasOnly)}
    assert rmse[BiasOnly] < rmse[GlobalMean] - 0.15
