"""People who are asked about: given in many ways, read once, fitted once however many blocks they are scored in."""

from __future__ import annotations

import functools
import importlib
import warnings

import numpy as np
import pandas as pd
import pytest

from recbook.core import ragged
from recbook.errors import DivergedError
from recbook.evaluation import evaluate
from recbook.interactions import Dataset, Interactions
from recbook.numpy.introduction import BiasOnly, Popularity
from recbook.numpy.sequences import MarkovChain
from recbook.recommender import Question
from recbook.tools import twins
from tests.helpers.small_data import data_for

WINGS = ["torch", "keras"]
BOTH = pytest.mark.parametrize("wing", WINGS)
NAMES = [pair.name for pair in twins.pairs()]
LISTS = {"Eve": [100, 95, 93], "Pat": [99], "Sam": [92, 98, 97, 90]}


def make(wing: str, name: str, **changes):
    """A model that is quick to fit and reads histories where it can."""
    model = getattr(importlib.import_module(f"recbook.{wing}"), name)(device="cpu", **changes)
    small = {"epochs": 1, "factors": 2, "layers": (3,), "mlp_factors": 2, "attention": (2,), "heads": 1}
    return model.clone(**{k: v for k, v in small.items() if k in model.get_params() and k not in changes})


@functools.cache
def fitted(wing: str, name: str, **changes):
    """Shared between tests, which leave it as it was."""
    model = make(wing, name, **changes)
    return model.fit(data_for(type(model)), progress=False)


def histories_for(model, lists=LISTS):
    """Interactions, with whatever columns the model's own data have."""
    rows = [
        (u, i, n % 2 if model.task == "click" else 1.0 + n % 4, n)
        for u, items in lists.items()
        for n, i in enumerate(items)
    ]
    df = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"])
    df["event"] = "browse"
    df["rating"] = df["rating"].astype(float)
    return Interactions.from_frame(df)


# ---------------------------------------------------------------- prepared once


@pytest.fixture
def small_blocks(monkeypatch):
    """Every model scores two or three people at a time."""
    monkeypatch.setattr("recbook.core.blocks.CELLS", 30)


@pytest.mark.torch_first
@BOTH
@pytest.mark.parametrize("name", NAMES)
def test_people_are_prepared_once_however_many_blocks_they_are_scored_in(
    name, wing, small_blocks, monkeypatch
):
    model = fitted(wing, name)
    if "histories" not in model.supports:
        pytest.skip(f"{name} takes no histories")
    calls = {"coded": 0, "prepared": 0, "grouped": 0}

    def counting(kind, function):
        def counted(*arguments, **more):
            calls[kind] += 1
            return function(*arguments, **more)

        return counted

    monkeypatch.setattr(model, "_code_histories", counting("coded", model._code_histories), raising=False)
    monkeypatch.setattr(model, "_people", counting("prepared", model._people), raising=False)
    group = ragged.Ragged.group
    monkeypatch.setattr(ragged.Ragged, "group", staticmethod(counting("grouped", group)))
    lists = {f"n{n}": LISTS["Sam"][n % 4 :] + LISTS["Eve"][: n % 3 + 1] for n in range(24)}
    people = histories_for(model, lists)
    table = model.recommend(histories=people, k=3)
    assert table.user.nunique() == 24 and calls["coded"] == 1
    once = dict(calls)
    assert once["prepared"] == 1 and once["grouped"] <= 4  # it may group rows for itself
    for kind in calls:
        calls[kind] = 0
    twice = Interactions.from_frame(
        pd.concat([people.to_frame(), people.to_frame().assign(user=lambda d: d.user + "'")])
    )
    model.recommend(histories=twice, k=3)
    assert calls == once


def test_evaluate_prepares_people_once(small_blocks, monkeypatch):
    model, calls = fitted("torch", "BPR"), []
    people = model._people
    monkeypatch.setattr(model, "_people", lambda h: calls.append(h.n_users) or people(h))
    lists = {f"n{n}": [100, 95, 93] for n in range(20)}
    test = Interactions.from_frame(pd.DataFrame({"user": list(lists), "item": [99] * 20}))
    evaluate(model, test, ["ndcg@5", "recall@5"], histories=lists)
    assert calls == [20]


# ---------------------------------------------------------------- in many ways


@pytest.mark.torch_first
@BOTH
@pytest.mark.parametrize("name", NAMES)
def test_a_history_is_any_iterable_and_is_read_once(name, wing):
    model = fitted(wing, name)
    if "histories" not in model.supports:
        pytest.skip(f"{name} takes no histories")
    expected = model.recommend(histories={"Eve": [100, 95, 93]}, k=5)
    for given in (
        (item for item in [100, 95, 93]),
        map(int, ["100", "95", "93"]),
        (100, 95, 93),
        np.array([100, 95, 93])[::1],
        np.array([93, 95, 100], ">i4")[::-1],
        pd.Series([100, 95, 93], index=["x", "y", "z"]),
        dict.fromkeys([100, 95, 93]).keys(),
        iter([100, 95, 93]),
    ):
        pd.testing.assert_frame_equal(model.recommend(histories={"Eve": given}, k=5), expected)


@BOTH
@pytest.mark.parametrize(
    "name, changes, best",
    [
        ("MatrixFactorization", {"loss": "logistic", "negatives": 0}, 1),
        ("FactorizationMachine", {"loss": "logistic", "negatives": 0}, 1),
        ("ImplicitALS", {"confidence": "ratings", "unobserved": 0.1}, 5),
        ("PureSVD", {}, 5),
    ],
)
def test_a_table_without_ratings_says_what_was_liked_as_a_list_does(name, changes, best, wing):
    rng = np.random.default_rng(0)
    users, items = np.divmod(rng.permutation(96)[:60], 8)
    train = Interactions(users, items, np.where(rng.random(60) < 0.5, best, best - 1.0))
    model = make(wing, name, **changes).fit(train, progress=False)
    table = Interactions(np.array(["Eve", "Eve"]), items[:2])
    expected = model.score_matrix(histories={"Eve": items[:2].tolist()})
    np.testing.assert_array_equal(model.score_matrix(histories=table), expected)


@BOTH
def test_a_mapping_gives_the_ratings(wing):
    for name in ("UserKNN", "MatrixFactorization", "PCA", "SlopeOne", "ALS", "NMF", "SVDpp"):
        model = fitted(wing, name)
        ratings = {100: 1.0, 95: 4.5, 93: 2}
        rows = [("Eve", item, float(rating)) for item, rating in ratings.items()]
        table = Interactions.from_frame(pd.DataFrame(rows, columns=["user", "item", "rating"]))
        expected = model.recommend(histories=table, k=5)
        pd.testing.assert_frame_equal(model.recommend(histories={"Eve": ratings}, k=5), expected)
        liked = model.recommend(histories={"Eve": list(ratings)}, k=5)
        assert not np.allclose(liked.score, expected.score)  # a list says "the best"


@pytest.mark.parametrize("rating", [float("nan"), float("inf"), "5", None, True])
def test_what_is_no_rating_is_named(rating):
    model = fitted("torch", "MatrixFactorization")
    with pytest.raises(ValueError, match=r"histories\['Eve'\]\[95\]"):
        model.recommend(histories={"Eve": {100: 3.0, 95: rating}})


@pytest.mark.parametrize("given", [{100, 95}, frozenset([100, 95])], ids=["set", "frozenset"])
@pytest.mark.parametrize(
    "wing, name", [*[(w, n) for w in WINGS for n in ("GRU4Rec", "SASRec", "DIN")], ("numpy", "")]
)
def test_a_set_is_refused_where_the_order_is_read(wing, name, given):
    model = fitted(wing, name) if name else MarkovChain().fit(data_for(MarkovChain))
    with pytest.raises(TypeError, match=r"`histories\['Eve'\]` is a set.*no order.*give a list"):
        model.recommend(histories={"Eve": given})


def test_a_set_is_taken_where_it_is_not():
    model = fitted("torch", "EASE")
    found = model.recommend(histories={"Eve": {100, 95}}, k=4)
    pd.testing.assert_frame_equal(found, model.recommend(histories={"Eve": [95, 100]}, k=4))


@pytest.mark.parametrize("given", ["100", b"100", 100, None, pd.DataFrame({"item": [100]})])
def test_what_is_no_list_is_named(given):
    with pytest.raises(TypeError, match=r"`histories\['Eve'\]` is .*give an ordered list of item ids"):
        fitted("torch", "EASE").recommend(histories={"Eve": given})


# ---------------------------------------------------------------- validation data

LEARNERS = [pair.name for pair in twins.pairs() if pair.torch._watches_validation]
OTHERS = sorted(set(NAMES) - set(LEARNERS))


def validation(model, change: str) -> Interactions:
    df = data_for(type(model)).interactions.to_frame().head(20)
    if change == "strangers":
        df = df.assign(user=[f"x{n}" for n in range(len(df))])
    if change == "strange items":
        df = df.assign(item=range(5000, 5000 + len(df)))
    if change == "no ratings":
        df = df.drop(columns="rating")
    x = Interactions.from_frame(df)
    return x.take(np.zeros(0, int)) if change == "empty" else x


@pytest.mark.torch_first
@BOTH
@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("change", ["strangers", "strange items", "empty", "no ratings"])
def test_validation_data_are_checked_like_train(change, name, wing):
    patient = {"patience": 1} if "patience" in make(wing, name).get_params() else {}
    model = make(wing, name, **patient)
    if change == "no ratings" and model.task not in ("rating", "click"):
        pytest.skip(f"{name} needs no ratings")
    data = data_for(type(model))
    with pytest.raises(ValueError, match="`validation`: "):
        model.fit(data, validation(model, change), progress=False)
    assert not hasattr(model, "_user_index")
    model.fit(data, validation(model, ""), progress=False)
    assert any(measure.startswith("validation_") for measure in model.history_[0])


@BOTH
@pytest.mark.parametrize("name", OTHERS)
def test_models_without_epochs_say_that_they_watch_nothing(name, wing):
    model = make(wing, name)
    with pytest.warns(UserWarning, match=f"{name} does not learn in epochs and watches no validation data"):
        model.fit(data_for(type(model)), validation(model, ""), progress=False)


def test_a_measure_that_is_not_finite_stops_with_an_error(monkeypatch):
    model = make("torch", "MatrixFactorization", patience=1, epochs=4)
    monkeypatch.setattr(type(model), "_validate", lambda self, v: ("validation_rmse", float("nan")))
    with pytest.raises(DivergedError, match="`validation_rmse` is nan in epoch 1"):
        model.fit(data_for(type(model)), validation(model, ""), progress=False)


# ---------------------------------------------------------------- arguments changed after the fit


@BOTH
def test_a_size_changed_after_the_fit_is_named(wing):
    for name in ("MatrixFactorization", "GMF", "BPR", "ImplicitALS"):
        model = fitted(wing, name, factors=3)
        before = model.recommend(k=2)
        model.factors = 8
        for ask in (
            lambda m: m.predict("u0", 100),
            lambda m: m.recommend(k=1),
            lambda m: m.similar_items(100),
        ):
            with pytest.raises(
                ValueError, match=r"changed `factors` from 3 to 8.*fit again, or change it back"
            ):
                ask(model)
        pd.testing.assert_frame_equal(model.set_params(factors=3).recommend(k=2), before)


def test_what_predictions_alone_depend_on_counts_at_once():
    model = fitted("torch", "UserKNN", k=5).clone()
    model.fit(data_for(type(model)))
    before = model.score_matrix()
    assert not np.allclose(model.set_params(k=1).score_matrix(), before)
    with pytest.raises(ValueError, match="`k` is 0"):
        model.set_params(k=0).predict("u0", 100)


def test_the_log_is_a_copy():
    model = fitted("torch", "MatrixFactorization")
    model.history_[0]["loss"] = -1.0
    model.history_.clear()
    assert len(model.history_) == 1 and model.history_[0]["loss"] > 0


# ---------------------------------------------------------------- strangers in test data


@pytest.mark.parametrize(
    "foreign_users, foreign_items, warns",
    [
        (10, 10, True),
        (6, 6, True),
        (10, 6, True),
        (10, 0, False),
        (0, 10, False),
        (9, 5, False),
        (5, 5, False),
    ],
)
def test_evaluate_warns_where_ids_seem_foreign(foreign_users, foreign_items, warns):
    """New people alone, or new items alone, may be meant; where both are unknown, one may doubt the ids."""
    model = BiasOnly().fit(data_for(BiasOnly))
    test = data_for(BiasOnly, seed=1).interactions.to_frame().head(10)
    test["user"] = [f"x{n}" if n < foreign_users else user for n, user in enumerate(test.user)]
    test["item"] = [5000 + n if n < foreign_items else item for n, item in enumerate(test.item)]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        evaluate(model, Interactions.from_frame(test), ["rmse"])
    assert [str(one.message).endswith("Do ids mean the same in train and test?") for one in found] == [
        True
    ] * warns


def test_a_question_is_of_train_or_of_histories():
    model = Popularity().fit(data_for(Popularity))
    question = model.question()
    assert isinstance(question, Question) and question.knows_met
    ids, codes = question.asked(["u3", "u1"])
    assert ids.tolist() == ["u3", "u1"] and question.people.ids[codes].tolist() == ["u3", "u1"]
    scores = question.scores(codes)
    question.hide_met(scores, codes, np.arange(len(question.items)))
    seen = data_for(Popularity).interactions.to_frame()
    for row, user in zip(scores, ids, strict=True):
        assert set(question.items.ids[row == -np.inf]) == set(seen.item[seen.user == user])
    scores[:] = 0  # the caller's own
    assert question.scores(codes).max() > 0


def test_a_dataset_may_be_given_for_validation():
    model = make("torch", "MatrixFactorization")
    data = data_for(type(model))
    model.fit(data, Dataset(data.interactions), progress=False)
    assert "validation_rmse" in model.history_[0]
