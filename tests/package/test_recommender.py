"""The contract, on one small model of this file, on the baselines, and on user neighbours."""

import io
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recbook.torch as rt
from recbook.core import ragged, storage
from recbook.errors import DivergedError, FileFormatError, NotFittedError, NotSupportedError, UnknownIdError
from recbook.interactions import Dataset, Interactions
from recbook.numpy.introduction import BiasOnly, GlobalMean, Popularity, Random
from recbook.recommender import Recommender, check_number
from tests.helpers.bad_inputs import refuses

GENRES = ["drama", "comedy", "war"]


class GenreMean(Recommender):
    """An item's score is the mean rating of its genre, plus `shift`, plus what context["boost"] says."""

    task = "rating"
    supports = frozenset({"warm_items", "context", "partial_fit"})
    needs = {"items": ["genres"]}
    _watches_validation = True

    def __init__(self, shift: float = 0.0, broken: bool = False):
        self.shift = shift
        self.broken = broken

    def _check_hyper_parameters(self):
        check_number("shift", self.shift, -10)

    def _read_tables(self, data):
        self._genres = data.items.genres

    def _genres_of(self, items):
        return np.array([GENRES.index(g) for g in self._genres.loc[items]], int)

    def _fit(self, train, validation, progress):
        self.watched_ = validation
        self._genre = self._genres_of(self.item_ids_)
        self._learn()

    def _partial_fit(self, new):
        self._genre = np.append(self._genre, self._genres_of(self.item_ids_[len(self._genre) :]))
        self._learn()

    def _learn(self):
        genre, ratings = self._genre[self._train.items], self._train.ratings
        count = np.bincount(genre, minlength=3)
        self._mean = ratings.mean()
        by_genre = np.where(count, np.bincount(genre, ratings, 3) / np.maximum(count, 1), self._mean)
        self._score = by_genre[self._genre] * (np.nan if self.broken else 1)

    def _predict(self, users, items, people, context):
        return self._score[items] + self.shift + (0 if context is None else context.boost.to_numpy())

    def _prior(self, users, items, people):
        return np.append(self._score, self._mean)[items] + self.shift

    def _parameter_shapes(self, n_users, n_items):
        return {"genre": (n_items,), "score": (n_items,), "mean": ()}

    def _get_parameters(self):
        return {"genre": self._genre, "score": self._score, "mean": np.asarray(self._mean)}

    def _set_parameters(self, parameters):
        self._genre, self._score = parameters["genre"], parameters["score"]
        self._mean = float(parameters["mean"])


def table(*rows) -> Interactions:
    return Interactions.from_frame(pd.DataFrame(rows, columns=["user", "item", "rating"]))


# Films 1, 2, 5 are dramas, 3 and 6 comedies, 4 is about war. 4, 5, 6 are warm; 99 is cold.
FILMS = pd.DataFrame({"genres": ["drama", "drama", "comedy", "war", "drama", "comedy"]}, index=range(1, 7))
X = table(("Ann", 2, 5.0), ("Ann", 3, 2.0), ("Bob", 2, 3.0), ("Bob", 1, 4.0))
DATA = Dataset(X, items=FILMS)
KNOWN = [2, 3, 1, 4, 5, 6]  # in order of first appearance, then the warm ones in the table's order
SCORES = [4.0, 2.0, 4.0, 3.5, 4.0, 2.0]  # drama 4, comedy 2, war the mean of all


def genre(**arguments) -> GenreMean:
    return GenreMean(**arguments).fit(DATA)


def bias() -> BiasOnly:
    return BiasOnly().fit(X)


RNG = np.random.default_rng(0)
DRAWN = RNG.choice(12 * 15, 90, replace=False)
WORLD = Interactions.from_frame(
    pd.DataFrame(
        {"user": DRAWN // 15 + 100, "item": DRAWN % 15, "rating": RNG.integers(1, 6, 90).astype(float)}
    )
)
MODELS = [GlobalMean(), BiasOnly(), Popularity(), Random(), rt.UserKNN(k=5)]


@pytest.fixture(params=MODELS, ids=lambda model: type(model).__name__)
def fitted(request):
    return request.param.clone().fit(WORLD)


# ---------------------------------------------------------------- hot, warm, cold


def test_hot_and_warm_are_known_and_cold_is_not():
    model = genre()
    assert model.user_ids_.tolist() == ["Ann", "Bob"] and model.item_ids_.tolist() == KNOWN
    assert model.predict("Ann", KNOWN).tolist() == SCORES
    assert model.score_matrix().tolist() == [SCORES, SCORES]
    with pytest.raises(UnknownIdError, match="unknown item 99.*'fallback'"):
        model.predict("Ann", [1, 99])
    assert GenreMean.supports >= {"warm_items"}
    without = BiasOnly().fit(DATA)
    assert without.item_ids_.tolist() == [2, 3, 1]  # the table is no help to it


@pytest.mark.parametrize("unknown, expected", [("fallback", [4, 4, 3.5, 3.5]), ("nan", [4] + [np.nan] * 3)])
def test_unknown_ids(unknown, expected):
    found = genre().predict(["Ann", "Zoe", "Ann", "Zoe"], [1, 1, 99, 99], unknown=unknown)
    np.testing.assert_array_equal(found, np.float32(expected))


def test_unknown_ids_are_listed_but_not_all():
    with pytest.raises(UnknownIdError) as caught:
        genre().predict("Ann", list(range(10, 30)) + [10])
    assert "10, 11, 12, 13, 14 and 15 more" in str(caught.value)
    with pytest.raises(UnknownIdError, match="unknown user 'Zoe'.*`histories`"):
        genre().recommend(["Ann", "Zoe"])
    assert isinstance(caught.value, KeyError)


def test_shapes_of_predict():
    model = genre()
    for users, items, n in [
        ("Ann", 3, 1),
        (["Ann"], [3], 1),
        ("Ann", [3, 1, 2], 3),
        (["Ann", "Bob"], 3, 2),
        (np.array(["Ann", "Bob"]), pd.Series([3, 1], index=[8, 9]), 2),
        (np.str_("Ann"), np.int64(3), 1),
        (np.array("Ann"), np.array(3), 1),
        ("Ann", range(1, 4), 3),
        ([], [], 0),
        (np.array([]), np.array([]), 0),
    ]:
        found = model.predict(users, items)
        assert found.shape == (n,) and found.dtype == np.float32
    assert model.predict("Ann", 3) == 2


def test_batch_equals_single(fitted):
    scores = fitted.score_matrix()
    assert scores.shape == (12, 15) and scores.dtype == np.float32
    users, items = np.repeat(fitted.user_ids_, 15), np.tile(fitted.item_ids_, 12)
    np.testing.assert_allclose(fitted.predict(users, items).reshape(12, 15), scores, rtol=1e-5)
    one = [fitted.predict(u, i).item() for u, i in zip(users[:20], items[:20], strict=True)]
    np.testing.assert_allclose(one, scores.ravel()[:20], rtol=1e-5)
    columns = fitted.item_ids_[[7, 2]]
    np.testing.assert_allclose(
        fitted.score_matrix(fitted.user_ids_[[3]], candidates=columns), scores[[3]][:, [7, 2]]
    )


class Stored(Popularity):
    """Answers with an array of its own."""

    def _fit(self, train, validation, progress):
        super()._fit(train, validation, progress)
        self._stored = np.arange(train.n_users * train.n_items, dtype=np.float32).reshape(train.n_users, -1)

    def _score_matrix(self, users, items, histories, context):
        return self._stored


def test_what_score_matrix_gives_is_the_callers():
    model = Stored().fit(X)
    model.score_matrix()[:] = -np.inf
    model.recommend()
    assert model.score_matrix().tolist() == [[0, 1, 2], [3, 4, 5]]


# ---------------------------------------------------------------- recommend


def test_recommend_by_hand():
    found = genre().recommend("Ann", k=3)
    # Ann met 2 and 3. Of the dramas at 4.0, film 1 came before film 5; war is at 3.5.
    assert found.values.tolist() == [["Ann", 1, 4.0, 1], ["Ann", 5, 4.0, 2], ["Ann", 4, 3.5, 3]]
    assert list(found) == ["user", "item", "score", "rank"] and found["rank"].dtype == np.int64


def test_recommend_against_a_sort(fitted):
    """The table is a stable sort by falling score of what is left, cut at k."""
    scores = pd.DataFrame(fitted.score_matrix(), fitted.user_ids_, fitted.item_ids_)
    met = WORLD.to_frame().groupby("user").item.agg(set)
    for exclude_seen in (True, False):
        found = fitted.recommend(k=4, exclude_seen=exclude_seen)
        assert found.user.unique().tolist() == fitted.user_ids_.tolist()
        for user, rows in found.groupby("user", sort=False):
            left = [i for i in fitted.item_ids_ if not (exclude_seen and i in met[user])]
            expected = sorted(left, key=lambda i, u=user: -scores.loc[u, i])[:4]
            assert rows.item.tolist() == expected
            assert rows["rank"].tolist() == list(range(1, len(expected) + 1))


def test_ties_go_to_the_item_that_came_first():
    model = GlobalMean().fit(table(("u", 9, 1.0), ("v", 3, 1.0), ("v", 7, 1.0), ("v", 1, 1.0)))
    assert model.recommend("u", k=2).item.tolist() == [3, 7]
    assert model.recommend("u", k=2, candidates=[1, 7]).item.tolist() == [7, 1]


def test_k_larger_than_what_is_left_gives_fewer_rows():
    assert genre().recommend("Ann", k=100).item.tolist() == [1, 5, 4, 6]
    assert len(genre().recommend("Ann", k=100, exclude_seen=False)) == 6


def test_candidates():
    model = genre()
    assert model.recommend("Ann", candidates=[4, 6, 5, 2]).item.tolist() == [5, 4, 6]  # 2 was met
    assert model.recommend("Ann", candidates=[4, 2], exclude_seen=False).item.tolist() == [2, 4]
    assert model.recommend("Ann", candidates=[5, 5, 4]).item.tolist() == [5, 4]
    assert model.recommend("Ann", candidates=6).item.tolist() == [6]
    for nothing in (
        model.recommend("Ann", candidates=[]),
        model.recommend([]),
        model.recommend("Ann", candidates=[2]),
    ):
        assert len(nothing) == 0 and list(nothing) == ["user", "item", "score", "rank"]
    with pytest.raises(UnknownIdError, match="unknown item 99"):
        model.recommend("Ann", candidates=[4, 99])


def test_users_in_the_order_asked_for():
    assert genre().recommend(["Bob", "Ann"], k=1).user.tolist() == ["Bob", "Ann"]
    assert genre().recommend(k=1).user.tolist() == ["Ann", "Bob"]


@pytest.mark.parametrize("pairs", [1, 15 * 5, 10**9], ids=["a user", "five users", "everybody"])
def test_blocks_change_nothing(fitted, monkeypatch, pairs):
    """Whatever a block holds: the same lists, for people it knows in any order, and for those it never saw."""
    people = fitted.user_ids_[::-1].tolist()
    strangers = {f"new {n}": fitted.item_ids_[n : n + 3].tolist() for n in range(9)}

    def answers():
        yield fitted.recommend(k=5)
        yield fitted.recommend(people, k=5, exclude_seen=False)
        yield fitted.recommend(people[:7], k=3, candidates=fitted.item_ids_[::2])
        yield fitted.recommend(histories=strangers, k=4)

    whole = list(answers())
    assert [table.user.nunique() for table in whole] == [12, 12, 7, 9]
    monkeypatch.setattr("recbook.core.blocks.CELLS", pairs)
    for table, expected in zip(answers(), whole, strict=True):
        pd.testing.assert_frame_equal(table, expected, rtol=1e-5)


def test_top_k_against_a_stable_sort():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (30, 9)).astype(float)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    for k in (1, 3, 9, 20):
        rows, columns = ragged.top_k(scores, k)
        for row in range(30):
            order = np.argsort(-scores[row], kind="stable")
            expected = [c for c in order if scores[row, c] > -np.inf][:k]
            assert columns[rows == row].tolist() == expected
    assert ragged.top_k(scores[:, :0], 3)[0].tolist() == []


# ---------------------------------------------------------------- context


def test_context():
    model = genre()
    boost = pd.DataFrame({"boost": [0.0, 1.0, 10.0]}, index=[7, 7, 7])  # the index means nothing
    assert model.predict("Ann", [1, 3, 4], context=boost).tolist() == [4, 3, 13.5]
    assert model.predict("Ann", [1, 99, 4], context=boost, unknown="nan")[[0, 2]].tolist() == [4, 13.5]
    matrix = model.score_matrix(["Ann", "Bob"], candidates=[1, 3], context=boost[1:])
    assert matrix.tolist() == [[5, 3], [14, 12]]
    found = model.recommend(["Bob", "Ann"], k=1, candidates=[4], context=boost[1:])
    assert found.score.tolist() == [4.5, 13.5]


def test_context_is_cut_with_the_blocks(monkeypatch):
    monkeypatch.setattr("recbook.core.blocks.CELLS", 1)
    boost = pd.DataFrame({"boost": [1.0, 2.0]})
    assert genre().recommend(["Bob", "Ann"], k=1, candidates=[4], context=boost).score.tolist() == [4.5, 5.5]


# ---------------------------------------------------------------- histories


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_histories(model):
    model = model.clone().fit(WORLD)
    user = model.user_ids_[0]
    own = WORLD.take(WORLD.users == user)
    unseen = np.setdiff1d(model.item_ids_, own.items)
    as_rows = Interactions.from_frame(own.to_frame().assign(user="new"))
    as_lists = {"new": own.items.tolist(), "other": model.item_ids_[:2].tolist()}
    for histories in (as_rows, Dataset(as_rows), as_lists):
        found = model.recommend(histories=histories, k=100)
        rows = found[found.user == "new"]
        assert sorted(rows.item) == sorted(unseen)  # what the person has met is not shown
        one = model.predict("new", rows.item.to_numpy(), histories=histories)
        np.testing.assert_allclose(one, rows.score, rtol=1e-5)
        with pytest.raises(UnknownIdError, match="unknown user"):
            model.predict(user if histories is as_rows else "nobody", unseen, histories=histories)
    assert model.recommend(histories=as_lists, k=1).user.tolist() == ["new", "other"]
    assert len(model.recommend("other", histories=as_lists, k=3)) == 3
    assert "new" not in model.user_ids_.tolist()


def test_a_list_means_liked_as_much_as_anything_in_train():
    model = bias()
    best = table(("new", 2, 5.0), ("new", 1, 5.0))
    assert model.predict("new", 3, histories={"new": [2, 1]}) == model.predict("new", 3, histories=best)
    with pytest.warns(UserWarning, match="1 of 1 people in `histories` have met nothing that BiasOnly knows"):
        without = model.predict("new", 3, histories={"new": []})
    assert without == model.predict("nobody", 3, unknown="fallback")


# ---------------------------------------------------------------- capabilities


def test_what_is_not_supported_names_what_is():
    for call, word in [
        (lambda: genre().recommend(histories={"new": [1]}), "histories"),
        (lambda: genre().similar_items(1), "similar_items"),
        (lambda: bias().predict("Ann", 1, context=pd.DataFrame({"boost": [1]})), "context"),
        (lambda: bias().score_matrix(context=pd.DataFrame({"boost": [1]})), "context"),
    ]:
        with pytest.raises(NotSupportedError, match=f"does not support `{word}`"):
            call()
    with pytest.raises(
        NotSupportedError, match="UserKNN does not support `similar_items`; these do: .*ItemKNN"
    ):
        rt.UserKNN(device="cpu").fit(X).similar_items(1)
    with pytest.raises(
        NotSupportedError, match="Random does not support `partial_fit`; these do: GlobalMean, Popularity"
    ):
        Random().partial_fit(X)


@pytest.mark.parametrize("model", [GenreMean(), *MODELS], ids=lambda model: type(model).__name__)
def test_before_fit_nothing_is_known(model):
    model = model.clone()
    for ask in (
        lambda: model.predict(1, 1),
        lambda: model.recommend(),
        lambda: model.score_matrix(),
        lambda: model.similar_items(1),
        lambda: model.get_parameters(),
        lambda: model.set_parameters({}),
        lambda: model.save("nowhere.npz"),
        lambda: model.user_ids_,
        lambda: model.item_ids_,
    ):
        with pytest.raises(NotFittedError, match=type(model).__name__ + r".*\.fit\(train\)"):
            ask()
    assert not Path("nowhere.npz").exists()


def test_similar_items():
    found = rt.ItemKNN(k=5, similarity="cosine", device="cpu").fit(WORLD).similar_items([3, 4], k=2)
    assert list(found) == ["item", "similar", "score", "rank"] and found.item.tolist() == [3, 3, 4, 4]
    assert found["rank"].tolist() == [1, 2, 1, 2] and (found.item != found.similar).all()


# ---------------------------------------------------------------- fit


def test_fit_returns_itself_and_a_second_fit_starts_afresh(fitted):
    other = WORLD.take(np.arange(40))
    fresh = fitted.clone().fit(other)
    assert fitted.fit(other) is fitted
    np.testing.assert_array_equal(fitted.score_matrix(), fresh.score_matrix())
    assert fitted.item_ids_.tolist() == other.item_ids.tolist()


def test_constructors_only_store_and_fit_leaves_arguments_alone(fitted):
    before = fitted.get_params()
    assert fitted.fit(WORLD).get_params() == before


def test_rating_range_and_history():
    assert bias().rating_range_ == (2, 5) and bias().history_ == []
    assert Popularity().fit(Interactions.from_frame(X.to_frame()[["user", "item"]])).rating_range_ is None


def test_validation_is_coded_without_what_is_unknown():
    watched = table(("Ann", 5, 1.0), ("Zoe", 1, 2.0), ("Bob", 99, 3.0))
    model = GenreMean().fit(DATA, watched)
    assert model.watched_.ratings.tolist() == [1.0] and model.watched_.items.tolist() == [KNOWN.index(5)]


@pytest.mark.parametrize(
    "change, data, error, words",
    [
        ({"broken": True}, DATA, DivergedError, ("GenreMean", "`score` is not finite", "learning_rate")),
        ({"shift": "much"}, DATA, ValueError, ("`shift`", "'much'", "at least -10")),
        ({}, X, ValueError, ("GenreMean", "needs the table `items`", "Dataset")),
        ({}, Dataset(X), ValueError, ("needs the table `items`",)),
        (
            {},
            Dataset(X, items=FILMS.rename(columns={"genres": "kind"})),
            ValueError,
            ("column `genres`", "`items`"),
        ),
        ({}, Dataset(X, items=FILMS[1:]), KeyError, ("1",)),  # the model's own error
        ({}, X.to_frame().to_numpy(), TypeError, ("ndarray", "from_frame")),
        ({}, DATA.take([]), ValueError, ("GenreMean.fit got no interactions",)),
        (
            {},
            Dataset(Interactions.from_frame(X.to_frame().drop(columns="rating"))),
            ValueError,
            ("no column `rating`",),
        ),
    ],
)
def test_a_failed_fit_leaves_the_model_as_it_was(change, data, error, words):
    for model in (GenreMean(**change), genre()):
        vars(model).update(change)
        before = dict(vars(model))
        with pytest.raises(error) as caught:
            model.fit(data)
        assert all(word in str(caught.value) for word in words), caught.value
        assert vars(model) == before
        assert all(vars(model)[name] is value for name, value in before.items())


def test_partial_fit():
    more = Dataset(
        table(("Ann", 6, 4.0), ("Cem", 7, 1.0)), items=pd.DataFrame({"genres": ["war", "war"]}, index=[7, 8])
    )
    model = genre().partial_fit(more)
    assert model.user_ids_.tolist() == ["Ann", "Bob", "Cem"] and model.item_ids_.tolist() == [*KNOWN, 7, 8]
    # Comedies now have 2 and 4, war has 1.
    assert model.predict("Cem", [3, 4, 8, 1]).tolist() == [3, 1, 1, 4]
    assert model.recommend("Cem", k=9).item.tolist() == [2, 1, 5, 3, 6, 4, 8]  # 7 was met
    assert 6 not in model.recommend("Ann", k=9).item.tolist() and model.rating_range_ == (1, 5)
    first = GenreMean().partial_fit(DATA)
    assert first.predict("Ann", KNOWN).tolist() == SCORES  # on nothing yet, it is a fit


@pytest.mark.parametrize(
    "more, error, words",
    [
        (table((7, 1, 2.0)), ValueError, ("user ids are strings", "7 is integers")),
        (table(("Ann", "film", 2.0)), ValueError, ("item ids are integers", "'film' is strings")),
        (
            Interactions.from_frame(pd.DataFrame({"user": ["Ann"], "item": [1]})),
            ValueError,
            ("no column `rating`",),
        ),
    ],
)
def test_a_failed_partial_fit_leaves_the_model_as_it_was(more, error, words):
    model = GlobalMean().fit(X)
    before, scores = dict(vars(model)), model.score_matrix()
    with np.errstate(over="ignore"), pytest.raises(error) as caught:
        model.partial_fit(more)
    assert all(word in str(caught.value) for word in words), caught.value
    assert vars(model) == before and np.array_equal(model.score_matrix(), scores)


def test_rankers_learn_on_from_rows_without_ratings():
    unrated = Interactions.from_frame(pd.DataFrame({"user": ["Zoe"], "item": [3], "timestamp": [1]}))
    model = Popularity().fit(X).partial_fit(unrated)
    assert model.predict("Zoe", [2, 3, 1]).tolist() == [2, 2, 1]
    assert model.recommend("Zoe").item.tolist() == [2, 1]


# ---------------------------------------------------------------- titles beside a list


def test_lists_with_columns_of_the_items():
    titles = pd.DataFrame({"title": ["Zero", "One"], "year": [1990, 1991]}, index=[3, 1])
    data = Dataset(X, items=titles)
    model, bare = Popularity().fit(data), Popularity().fit(X)
    table = model.recommend(["Bob"], k=9, with_items=["title"])
    pd.testing.assert_frame_equal(table.drop(columns="title"), bare.recommend(["Bob"], k=9))
    named = {
        item: title for item, title in zip(table.item, table.title, strict=True) if isinstance(title, str)
    }
    assert named and named == {item: titles.title[item] for item in table.item if item in titles.index}
    assert list(model.recommend(["Bob"], with_items="year")) == ["user", "item", "score", "rank", "year"]
    own = bare.recommend(["Bob"], k=9, with_items=titles)
    assert list(own)[4:] == ["title", "year"]
    with pytest.raises(ValueError, match="knows no table of items"):
        model.fit(X).recommend(["Bob"], with_items=["title"])


@pytest.mark.parametrize(
    ("with_items", "words"),
    [
        (["titel"], ("'titel'", "['title', 'score']")),
        (["score"], ("'score' is a column of the lists already",)),
        (pd.DataFrame({"title": ["a", "b"]}, index=[1, 1]), ("an item twice",)),
        (["title", "title"], ("names a column twice",)),
        (pd.DataFrame({"title": ["a", "b"]}, index=["1", "3"]), ("knows none of the items", "set_index")),
    ],
)
def test_columns_that_cannot_stand_beside_a_list(with_items, words):
    items = pd.DataFrame({"title": ["One", "Three"], "score": [3, 4]}, index=[1, 3])
    model = Popularity().fit(Dataset(X, items=items))
    refuses(lambda: model.recommend(["Bob"], with_items=with_items), ValueError, words)


def test_what_is_learnt_later_brings_titles_of_its_own():
    old, new = pd.DataFrame({"title": ["One"]}, index=[1]), pd.DataFrame({"title": ["Nine"]}, index=[9])
    model = Popularity().fit(Dataset(X, items=old)).partial_fit(Dataset(table(("Zoe", 9, 4.0)), items=new))
    lists = model.recommend(["Zoe", "Bob"], k=9, exclude_seen=False, with_items=["title"])
    assert {(1, "One"), (9, "Nine")} <= set(zip(lists.item, lists.title, strict=True))


def test_a_model_from_a_file_takes_a_table_of_items(tmp_path):
    items = pd.DataFrame({"title": ["One", "Three"]}, index=[1, 3])
    Popularity().fit(Dataset(X, items=items)).save(tmp_path / "p.npz")
    model = Popularity.load(tmp_path / "p.npz")
    refuses(lambda: model.recommend(["Bob"], with_items=["title"]), ValueError, ("from a file",))
    assert "title" in model.recommend(["Bob"], with_items=items)


# ---------------------------------------------------------------- parameters


def test_get_params_clone_and_repr():
    model = genre(shift=2.0)
    assert model.get_params() == {"shift": 2.0, "broken": False}
    other = model.clone(broken=True)
    assert type(other) is GenreMean and other.get_params() == {"shift": 2.0, "broken": True}
    assert not hasattr(other, "rating_range_")
    assert repr(model) == "GenreMean(shift=2.0)" and repr(GenreMean()) == "GenreMean()"
    with pytest.raises(TypeError, match=r"GenreMean has no parameter `shft`.*shift"):
        model.clone(shft=1)


def test_parameters_out_and_in(fitted):
    parameters = fitted.get_parameters()
    scores = fitted.score_matrix()
    for values in parameters.values():
        assert isinstance(values, np.ndarray)
        if values.shape:
            values[...] = 0  # a copy: the model does not see it
    np.testing.assert_array_equal(fitted.score_matrix(), scores)
    assert {n: v.shape for n, v in parameters.items()} == fitted._parameter_shapes(12, 15)
    twin = fitted.clone().fit(WORLD)
    assert twin.set_parameters(fitted.get_parameters()) is twin
    np.testing.assert_array_equal(twin.score_matrix(), scores)


def test_set_parameters_changes_scores_and_keeps_no_hold_of_the_callers_arrays():
    model = bias()
    parameters = model.get_parameters()
    parameters["item_bias"] = np.array([1.0, 2.0, 3.0])
    model.set_parameters(parameters)
    found = model.predict("Ann", KNOWN[:3])
    np.testing.assert_allclose(np.diff(found), 1, rtol=1e-6)
    parameters["item_bias"][:] = 0
    np.testing.assert_array_equal(model.predict("Ann", KNOWN[:3]), found)


# ---------------------------------------------------------------- save and load


def same(a: Recommender, b: Recommender) -> None:
    assert type(a) is type(b) and a.get_params() == b.get_params()
    assert a.user_ids_.tolist() == b.user_ids_.tolist() and a.item_ids_.tolist() == b.item_ids_.tolist()
    assert a.rating_range_ == b.rating_range_ and a.history_ == b.history_
    for name, values in a.get_parameters().items():
        np.testing.assert_array_equal(b.get_parameters()[name], values)
    np.testing.assert_array_equal(a.score_matrix(), b.score_matrix())
    pd.testing.assert_frame_equal(a.recommend(k=5), b.recommend(k=5))


def test_saved_and_loaded_is_the_same(fitted, tmp_path):
    for path in (tmp_path / "model.npz", str(tmp_path / "no suffix")):
        fitted.save(path)
        loaded = type(fitted).load(path)
        same(fitted, loaded)
        if "histories" in fitted.supports:
            histories = {"new": fitted.item_ids_[:3].tolist()}
            pd.testing.assert_frame_equal(
                fitted.recommend(histories=histories), loaded.recommend(histories=histories)
            )
    assert sorted(os.listdir(tmp_path)) == ["model.npz", "no suffix"]


def test_a_file_does_not_bind_a_model_to_the_machine_it_was_saved_on(tmp_path):
    rt.UserKNN(device="cpu").fit(X).save(tmp_path / "n.npz")
    assert rt.UserKNN.load(tmp_path / "n.npz").device == "auto"
    assert rt.load(tmp_path / "n.npz", device="cpu").device == "cpu"


def test_text_ids_warm_items_and_odd_letters_survive(tmp_path):
    x = table(("Zoë", "数据", 5.0), ("a/b", "x" * 300, 1.0))
    bias = BiasOnly(reg_user=np.float64(2.5), epochs=np.int64(3)).fit(x)
    bias.save(tmp_path / "m.npz")
    same(bias, BiasOnly.load(tmp_path / "m.npz"))
    genre().save(tmp_path / "m.npz")
    same(genre(), GenreMean.load(tmp_path / "m.npz"))


def test_without_history(tmp_path):
    for model in (BiasOnly().fit(X), Popularity().fit(X), genre()):
        model.save(tmp_path / "m.npz", include_history=False)
        with zipfile.ZipFile(tmp_path / "m.npz") as archive:
            assert not [name for name in archive.namelist() if "history" in name]
        loaded = type(model).load(tmp_path / "m.npz")
        np.testing.assert_array_equal(loaded.score_matrix(), model.score_matrix())
        with pytest.raises(
            NotSupportedError, match="without its history.*exclude_seen=False.*include_history=True"
        ):
            loaded.recommend("Ann")
        assert loaded.recommend("Ann", k=9, exclude_seen=False).equals(
            model.recommend("Ann", k=9, exclude_seen=False)
        )
        loaded.save(tmp_path / "again.npz")  # there is no history to save
        np.testing.assert_array_equal(
            type(model).load(tmp_path / "again.npz").score_matrix(), model.score_matrix()
        )
    with pytest.raises(NotSupportedError, match="UserKNN.*include_history=False"):
        rt.UserKNN(device="cpu").fit(X).save(tmp_path / "n.npz", include_history=False)
    assert not (tmp_path / "n.npz").exists()


def test_without_history_a_model_still_learns_on(tmp_path):
    Popularity().fit(X).save(tmp_path / "p.npz", include_history=False)
    learnt = Popularity.load(tmp_path / "p.npz").partial_fit(table(("Ann", 3, 1.0), ("Zoe", 9, 1.0)))
    assert learnt.predict("Zoe", [2, 3, 1, 9]).tolist() == [2, 2, 1, 1]


def test_the_file_of_any_class_of_the_wing(tmp_path):
    model = rt.UserKNN(k=3).fit(WORLD)
    model.save(tmp_path / "m.npz")
    same(model, rt.load(tmp_path / "m.npz"))


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX'")
@pytest.mark.parametrize("mask, rights", [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_rights_are_what_umask_says(tmp_path, mask, rights):
    before = os.umask(mask)
    try:
        bias().save(tmp_path / "m.npz")
    finally:
        assert os.umask(before) == mask  # and saving left it alone
    assert stat.S_IMODE((tmp_path / "m.npz").stat().st_mode) == rights


@pytest.mark.parametrize("culprit", ["os.replace", "os.fsync", "_write_members"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch, culprit, error):
    bias().save(tmp_path / "m.npz")
    before = (tmp_path / "m.npz").read_bytes()

    def fail(file, *_, **__):
        if culprit == "_write_members":
            file.write(b"half a file")
        raise error

    monkeypatch.setattr(f"recbook.core.storage.{culprit}", fail)
    with pytest.raises(type(error)):
        BiasOnly(epochs=1).fit(X).save(tmp_path / "m.npz")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["m.npz"] and (tmp_path / "m.npz").read_bytes() == before
    same(bias(), BiasOnly.load(tmp_path / "m.npz"))


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX'")
def test_a_save_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.npz"
    Popularity().fit(X).save(path)
    before = path.read_bytes()
    code = f"""
        import os, signal
        from recbook.core import storage
        from recbook.numpy.introduction import Popularity

        def half(file, arrays):
            file.write({before[: len(before) // 2]!r})
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        model = Popularity.load({str(path)!r})
        storage._write_members = half
        model.save({str(path)!r})
        """
    root = Path(storage.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert path.read_bytes() == before
    left = [name for name in os.listdir(tmp_path) if name != "m.npz"]
    assert len(left) == 1 and left[0].endswith(".part")  # it was writing when it was killed
    same(Popularity().fit(X), Popularity.load(path))
    Popularity().fit(WORLD).save(path)  # and what was left is in nobody's way
    same(Popularity().fit(WORLD), Popularity.load(path))


def test_what_cannot_be_saved_is_named(tmp_path):
    model = GenreMean(broken=frozenset()).fit(DATA)  # as good as False, and nothing that JSON can say
    with pytest.raises(TypeError, match=r"cannot save frozenset\(.*hyper-parameters are numbers and text"):
        model.save(tmp_path / "m.npz")
    with pytest.raises(TypeError, match="array `x` is of object"):
        storage.write_archive(tmp_path / "m.npz", {}, {"x": np.array([None])})
    with pytest.raises(FileNotFoundError, match="no folder .*elsewhere; make it first"):
        bias().save(tmp_path / "elsewhere" / "m.npz")
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------- files that are not what they should be


class Bomb:
    """Unpickled, it makes a file: the proof that something ran."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def npy(values, **options) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(values), **options)
    return file.getvalue()


def header(shape: str, descr: str = "<f8", data: bytes = b"", pad: int = 0) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode() + b" " * pad + b"\n"
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text + data


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def pack(path: Path, *parts: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts:
            archive.writestr(name, data)


def with_parts(**changed):
    """A change of a good file: members replaced, added, or (None) removed; "__" stands for "/"."""

    def change(path: Path) -> None:
        parts = members(path)
        for name in changed:  # text may be in two members
            parts = {key: data for key, data in parts.items() if not key.startswith(f"{name}/")}
        parts = parts | {name.replace("__", "/") + ".npy": data for name, data in changed.items()}
        pack(path, *((name, data) for name, data in parts.items() if data is not None))

    return change


def with_head(**changed):
    """A change of the head's entries; None removes one."""

    def change(path: Path) -> None:
        head = json.loads(np.load(io.BytesIO(members(path)["head.npy"])).item()) | changed
        head = {key: value for key, value in head.items() if value != "REMOVED"}
        with_parts(head=npy(json.dumps(head)))(path)

    return change


def twice(path: Path) -> None:
    parts = members(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        pack(path, *parts.items(), ("item_ids.npy", parts["item_ids.npy"]))


def without_everywhere(path: Path) -> None:
    """A parameter is missing, and the head does not list it either."""
    head = json.loads(np.load(io.BytesIO(members(path)["head.npy"])).item())
    with_head(arrays=[name for name in head["arrays"] if name != "parameter/user_bias"])(path)
    with_parts(parameter__user_bias=None)(path)


def damaged_data(path: Path) -> None:
    """One byte of the last parameter's packed data: only reading it can tell."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("parameter/user_bias.npy")
    data = bytearray(path.read_bytes())
    data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2 + 20] ^= 0xFF
    path.write_bytes(data)


FILES = {
    "empty": (lambda p: p.write_bytes(b""), ("not a recbook model", "model.save(path)")),
    "text": (lambda p: p.write_text("user,item\n1,2\n"), ("not a recbook model",)),
    "pickle": (lambda p: p.write_bytes(pickle.dumps(Bomb(p.parent / "ran"))), ("not a recbook model",)),
    "bare array": (lambda p: p.write_bytes(npy(np.arange(3))), ("not a recbook model",)),
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-40]), ("cut short", "save it again")),
    "first half": (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), ("cut short",)),
    "damaged": (damaged_data, ("damaged", "save it again")),
    "foreign npz": (lambda p: np.savez(p, weights=np.zeros(3)), ("no member `head`", "model.save(path)")),
    "foreign zip": (lambda p: pack(p, ("readme.txt", b"hello")), ("`readme.txt` is no array",)),
    "member that is no array": (
        with_parts(parameter__mean=b"hello"),
        ("parameter/mean.npy", "no readable header"),
    ),
    "empty member": (with_parts(parameter__mean=b""), ("parameter/mean.npy", "no readable header")),
    "pickled member": (
        lambda p: with_parts(parameter__mean=npy(np.array([Bomb(p.parent / "ran")]), allow_pickle=True))(p),
        ("parameter/mean.npy", "object", "run code", "refused"),
    ),
    "pickled head": (
        lambda p: with_parts(head=npy(np.array([Bomb(p.parent / "ran")]), allow_pickle=True))(p),
        ("head.npy", "object", "refused"),
    ),
    "records": (
        with_parts(parameter__mean=npy(np.zeros(1, [("a", "f8")]))),
        ("parameter/mean.npy", "refused"),
    ),
    "member twice": (twice, ("`item_ids` stands twice", "tampered")),
    "strange member": (
        with_parts(parameter__secret=npy(1.0)),
        ("`parameter/secret` does not belong in a BiasOnly",),
    ),
    "path that climbs": (with_parts(**{"..__..__evil": npy(1.0)}), ("`../../evil` does not belong",)),
    "member missing": (
        with_parts(parameter__user_bias=None),
        ("`parameter/user_bias` is missing", "save it again"),
    ),
    "member missing, unlisted": (without_everywhere, ("parameter/user_bias", "do not fit together")),
    "huge promise": (
        with_parts(parameter__mean=header("(1000000000000,)", data=bytes(8))),
        ("parameter/mean.npy", "promises 8,000,000,000,000 bytes and has 8", "tampered"),
    ),
    "negative shape": (
        with_parts(parameter__mean=header("(-1,)", data=bytes(8))),
        ("parameter/mean.npy", "promises"),
    ),
    "huge header": (
        with_parts(parameter__mean=header("()", data=bytes(8), pad=200_000)),
        ("parameter/mean.npy", "no readable header"),
    ),
    "header that is code": (
        with_parts(parameter__mean=header("__import__('os').getpid()", data=bytes(8))),
        ("parameter/mean.npy", "no readable header"),
    ),
    "other version": (with_head(format_version=99), ("format version 99", "reads 1 and 2", "update recbook")),
    "no version": (with_head(format_version="REMOVED"), ("format version None",)),
    "other format": (with_head(format="something"), ("head is not that of a recbook model",)),
    "head no JSON": (with_parts(head=npy("{")), ("head is not that of a recbook model",)),
    "head a number": (with_parts(head=npy(1.0)), ("head is not that of a recbook model",)),
    "head nested too deep": (with_parts(head=npy("[" * 100_000)), ("head is not that of a recbook model",)),
    "no class": (with_head(**{"class": "REMOVED"}), ("head lacks `class`",)),
    "other class": (with_head(**{"class": "UserKNN"}), ("holds a UserKNN", "can be read: BiasOnly")),
    "arrays no names": (with_head(arrays=[["user_ids"]]), ("head lacks `arrays`",)),
    "no training log": (with_head(training_log="REMOVED"), ("training_log", "do not fit together")),
    "rating range of three": (with_head(rating_range=[1, 2, 3]), ("rating_range", "do not fit together")),
    "rating range of text": (with_head(rating_range="15"), ("rating_range", "do not fit together")),
    "unknown argument": (with_head(hyper_parameters={"depth": 3}), ("hyper-parameters", "BiasOnly", "depth")),
    "bad argument": (with_head(hyper_parameters={"epochs": -3}), ("hyper-parameters", "`epochs`", "-3")),
    "parameter of another shape": (
        with_parts(parameter__user_bias=npy(np.zeros(3))),
        ("`user_bias`", "(3,), not (2,)"),
    ),
    "parameter of NaN": (with_parts(parameter__user_bias=npy([np.nan, 0])), ("`user_bias`", "not finite")),
    "parameter of text": (
        with_parts(parameter__user_bias=npy(["a", "b"])),
        ("do not fit together", "user_bias"),
    ),
    "ids twice": (with_parts(item_ids=npy([1, 2, 1])), ("`item_ids`", "distinct")),
    "ids that are real numbers": (with_parts(item_ids=npy([1.0, 2.0, 3.0])), ("`item_ids`", "distinct ids")),
    "history out of range": (
        with_parts(history__items=npy([0, 1, 0, 3])),
        ("`history/items`", "outside 0..2"),
    ),
    "history below zero": (
        with_parts(history__users=npy([0, 0, 1, -1])),
        ("`history/users`", "outside 0..1"),
    ),
    "history of another length": (with_parts(history__users=npy([0, 1])), ("`history`", "different lengths")),
    "history without items": (
        lambda p: (with_head(arrays=[])(p), with_parts(history__items=None)(p)),
        ("history/items", "do not fit together"),
    ),
    "history of real ratings": (
        with_parts(history__ratings=npy([1.0, np.inf, 1.0, 1.0])),
        ("`history/ratings`", "not finite"),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_what_it_should_be(name, tmp_path):
    path = tmp_path / "m.npz"
    spoil, words = FILES[name]
    bias().save(path)
    spoil(path)
    with pytest.raises(FileFormatError) as caught:
        BiasOnly.load(path)
    assert type(caught.value) is FileFormatError and isinstance(caught.value, ValueError)
    assert all(word in str(caught.value) for word in (path.name, *words)), caught.value
    assert not (tmp_path / "ran").exists()


def test_the_bomb_would_have_gone_off(tmp_path):
    """So that the test above can fail: unpickled, the file above does run."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran"))).close()
    assert (tmp_path / "ran").exists()


def test_a_file_without_its_ratings_is_no_neighbour_model(tmp_path):
    path = tmp_path / "m.npz"
    rt.UserKNN(device="cpu").fit(X).save(path)
    with_head(arrays=[])(path)
    with_parts(history__ratings=None)(path)
    with pytest.raises(FileFormatError, match="`history` is missing"):
        rt.load(path)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*m.npz"):
        BiasOnly.load(tmp_path / "m.npz")
    with pytest.raises(IsADirectoryError):
        BiasOnly.load(tmp_path)


def test_a_file_that_unpacks_to_too_much(tmp_path):
    path = tmp_path / "m.npz"
    bias().save(path)
    with_parts(parameter__user_bias=npy(np.zeros(2_000_000)))(path)
    assert path.stat().st_size < 40_000
    with pytest.raises(
        FileFormatError, match=r"unpacks to 16,\d+,\d+ bytes, the limit is 1,000,000.*max_bytes=16"
    ):
        BiasOnly.load(path, max_bytes=1_000_000)
    bias().save(path)
    same(bias(), BiasOnly.load(path, max_bytes=1_000_000))


@pytest.mark.parametrize("seed", range(4))
def test_any_damage_is_found_or_harmless(tmp_path, seed):
    """Bytes changed at random: the file is refused with our own error, or nothing that counts was changed."""
    path = tmp_path / "m.npz"
    bias().save(path)
    good = path.read_bytes()
    rng = np.random.default_rng(seed)
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(256)
        if rng.random() < 0.3:
            data = data[: rng.integers(1, len(data))]
        path.write_bytes(data)
        try:
            same(bias(), BiasOnly.load(path))
        except FileFormatError:
            refused += 1
    assert refused > 100


# ---------------------------------------------------------------- bad input, in one table

EMPTY_HISTORY = table(("new", 2, 5.0)).take([])
UNRATED = Interactions.from_frame(pd.DataFrame({"user": ["new"], "item": [2]}))
BOOST = pd.DataFrame({"boost": [1.0, 2.0]})

BAD = {
    "predict: users and items": (
        lambda: bias().predict(["Ann", "Bob"], [1, 2, 3]),
        ValueError,
        ("`users` has 2", "`items` 3", "as many of both, or one"),
    ),
    "predict: unknown": (
        lambda: bias().predict("Ann", 1, unknown="zero"),
        ValueError,
        ("`unknown`", "'zero'", "nan"),
    ),
    "predict: missing id": (
        lambda: bias().predict(["Ann", None], 1),
        ValueError,
        ("`users`", "row 1", "missing"),
    ),
    "predict: NaN": (lambda: bias().predict("Ann", [1, np.nan]), ValueError, ("`items`", "row 1", "missing")),
    "predict: real numbers": (
        lambda: bias().predict("Ann", [1.0, 2.0]),
        ValueError,
        ("`items`", "astype(int)"),
    ),
    "predict: mixed": (lambda: bias().predict(["Ann", 7], 1), ValueError, ("`users`", "row 1", "7 is a int")),
    "predict: truth values": (lambda: bias().predict("Ann", True), ValueError, ("`items`", "true/false")),
    "predict: a rectangle": (
        lambda: bias().predict("Ann", np.ones((2, 2), int)),
        ValueError,
        ("`items` has 2 dimensions",),
    ),
    "predict: text for numbers": (lambda: bias().predict("Ann", "2"), UnknownIdError, ("unknown item '2'",)),
    "predict: context too short": (
        lambda: genre().predict("Ann", [1, 2, 3], context=BOOST),
        ValueError,
        ("`context` has 2 rows for 3 pairs", "one row a pair"),
    ),
    "recommend: context too long": (
        lambda: genre().recommend("Ann", context=BOOST),
        ValueError,
        ("`context` has 2 rows for 1 users", "one row a user"),
    ),
    "score_matrix: context": (
        lambda: genre().score_matrix(["Ann"], context=BOOST),
        ValueError,
        ("`context` has 2 rows for 1 users",),
    ),
    "score_matrix: user": (lambda: bias().score_matrix(["Zoe"]), UnknownIdError, ("'Zoe'", "`histories`")),
    "score_matrix: candidate": (
        lambda: bias().score_matrix(candidates=[9]),
        UnknownIdError,
        ("unknown item 9",),
    ),
    "recommend: k of 0": (lambda: bias().recommend(k=0), ValueError, ("`k` is 0", "at least 1")),
    "recommend: k real": (lambda: bias().recommend(k=2.0), ValueError, ("`k` is 2.0", "whole number")),
    "recommend: k text": (lambda: bias().recommend(k="ten"), ValueError, ("`k` is 'ten'",)),
    "recommend: k true": (lambda: bias().recommend(k=True), ValueError, ("`k` is True",)),
    "similar_items: k": (
        lambda: rt.ItemKNN(device="cpu").fit(X).similar_items(1, k=-1),
        ValueError,
        ("`k` is -1", "at least 1"),
    ),
    "similar_items: item": (
        lambda: rt.ItemKNN(device="cpu").fit(X).similar_items([1, 77]),
        UnknownIdError,
        ("unknown item 77",),
    ),
    "histories: a list": (
        lambda: bias().recommend(histories=[1, 2]),
        TypeError,
        ("`histories`", "list", "{name:"),
    ),
    "histories: an array": (
        lambda: bias().recommend(histories=X.to_frame().to_numpy()),
        TypeError,
        ("`histories`", "ndarray", "Interactions"),
    ),
    "histories: empty": (
        lambda: bias().recommend(histories={}),
        ValueError,
        ("`histories` is empty", "at least one"),
    ),
    "histories: no rows": (
        lambda: bias().recommend(histories=EMPTY_HISTORY),
        ValueError,
        ("`histories` is empty", "at least one"),
    ),
    "histories: text for a list": (
        lambda: bias().recommend(histories={"new": "12"}),
        TypeError,
        ("`histories['new']`", "'12'", "ordered list"),
    ),
    "histories: one id for a list": (
        lambda: bias().recommend(histories={"new": 1}),
        TypeError,
        ("`histories['new']`", "ordered list"),
    ),
    "histories: unknown item": (
        lambda: bias().recommend(histories={"new": [1, 77]}),
        UnknownIdError,
        ("unknown item 77", "leave them out of `histories`"),
    ),
    "histories: item twice": (
        lambda: bias().recommend(histories={"new": [1, 2, 1]}),
        ValueError,
        ("item 1 stands twice", "'new'", "keep it once"),
    ),
    "histories: without ratings": (
        lambda: bias().recommend(histories=UNRATED),
        ValueError,
        ("`histories` has no ratings", "BiasOnly"),
    ),
    "histories: mixed names": (
        lambda: bias().recommend(histories={"new": [1], 7: [2]}),
        ValueError,
        ("`histories`", "row 1", "7"),
    ),
    "histories: missing item": (
        lambda: bias().recommend(histories={"new": [1, None]}),
        ValueError,
        ("`histories`", "row 1", "missing"),
    ),
    "histories: user not among them": (
        lambda: bias().predict("Ann", 1, histories={"new": [1]}),
        UnknownIdError,
        ("unknown user 'Ann'",),
    ),
    "set_parameters: missing": (
        lambda: bias().set_parameters({"mean": 1.0}),
        ValueError,
        ("`item_bias` is missing or unknown", "user_bias"),
    ),
    "set_parameters: unknown": (
        lambda: bias().set_parameters(bias().get_parameters() | {"depth": 1}),
        ValueError,
        ("`depth` is missing or unknown",),
    ),
    "set_parameters: shape": (
        lambda: bias().set_parameters(bias().get_parameters() | {"user_bias": np.zeros(3)}),
        ValueError,
        ("`user_bias` has shape (3,)", "must be (2,)"),
    ),
    "set_parameters: NaN": (
        lambda: bias().set_parameters(bias().get_parameters() | {"mean": np.nan}),
        ValueError,
        ("`mean` holds NaN",),
    ),
    "device": (lambda: rt.UserKNN(device="gpu").fit(X), ValueError, ("`device`", "'gpu'", "'cuda'")),
    "choice": (
        lambda: rt.UserKNN(similarity="cos").fit(X),
        ValueError,
        ("`similarity`", "'cos'", "'cosine'"),
    ),
    "number": (lambda: rt.UserKNN(k=0).fit(X), ValueError, ("`k` is 0", "at least 1")),
    "number of another kind": (lambda: rt.UserKNN(k=2.5).fit(X), ValueError, ("`k` is 2.5", "whole")),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name):
    refuses(*BAD[name])


def test_there_are_at_least_forty_bad_inputs():
    assert len(BAD) + len(FILES) >= 80


# ---------------------------------------------------------------- text in files

TORN_TEXT = {
    "bytes": (with_parts(user_ids__utf8=npy(np.array([65, 255], np.uint8))), ("`user_ids`", "ends")),
    "ends": (
        with_parts(user_ids__utf8=npy(np.array([0xC3, 0x28], np.uint8)), user_ids__ends=npy([1, 2])),
        ("`user_ids`", "read"),
    ),
    "falling": (
        with_parts(user_ids__utf8=npy(np.array([65, 66], np.uint8)), user_ids__ends=npy([3, 2])),
        ("`user_ids`", "ends"),
    ),
    "no ends": (with_parts(user_ids__ends=None), ("`user_ids`", "not whole")),
    "both kinds": (
        with_parts(user_ids=npy(["Ann", "Bob"]), user_ids__ends=npy([3, 6])),
        ("`user_ids`", "stands twice"),
    ),
}


@pytest.mark.parametrize("name", TORN_TEXT)
def test_text_that_is_not_whole(name, tmp_path):
    path = tmp_path / "m.npz"
    spoil, words = TORN_TEXT[name]
    bias().save(path)
    spoil(path)
    refuses(lambda: BiasOnly.load(path), FileFormatError, words)


def test_a_file_of_the_first_version_is_read(tmp_path):
    """Its text was of fixed width."""
    path = tmp_path / "m.npz"
    model = bias()
    model.save(path)
    with_head(format_version=1)(path)
    with_parts(user_ids=npy(model.user_ids_.astype(str)))(path)
    assert "user_ids.npy" in members(path) and "user_ids/utf8.npy" not in members(path)
    again = BiasOnly.load(path)
    assert again.user_ids_.tolist() == model.user_ids_.tolist()
    assert again.predict("Bob", 3) == model.predict("Bob", 3)
