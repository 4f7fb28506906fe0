"""A look at everything, cheap enough to be had twice: here, and by `make test-lowest` with the lowest versions.

It needs pytest and what the package itself needs, nothing else: no other library, no data, no built book.
"""

from __future__ import annotations

import importlib.metadata
import re

import numpy as np
import pandas as pd
import pytest

import recbook.keras as rk
import recbook.torch as rt
import tasks
from recbook import metrics, preprocessing, splits, worlds
from recbook.core.storage import read_archive, write_archive
from recbook.errors import FileFormatError
from recbook.evaluation import evaluate
from recbook.interactions import Interactions
from recbook.keras import _backend as backend
from recbook.numpy.introduction import BiasOnly, Popularity
from recbook.tools import twins
from tests.helpers.small_data import data_for

pytestmark = pytest.mark.lowest

PYPROJECT = (tasks.ROOT / "pyproject.toml").read_text(encoding="utf-8")


# ---------------------------------------------------------------- the versions


def version(text: str) -> tuple[int, ...]:
    """The numbers of a release, without zeros at the end: 2.13 is 2.13.0, and 2.13.0+cpu."""
    return tuple(int(n) for n in re.sub(r"(\.0)+$", "", text.partition("+")[0]).split("."))


FLOORS = {name: version(floor) for name, floor in tasks.floors(PYPROJECT).items()}


@pytest.mark.parametrize("name", FLOORS)
def test_what_is_installed_is_in_its_range(name):
    assert version(importlib.metadata.version(name)) >= FLOORS[name]


def test_the_pins_are_in_their_ranges():
    text = (tasks.ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = {name: version(pin) for name, pin in re.findall(r"^([\w.-]+)==(\d+(?:\.\d+)*)", text, re.M)}
    assert {name for name in FLOORS if pins[name] < FLOORS[name]} == set()


def test_floors_are_of_every_range():
    text = """
        [project]
        name = "recbook"
        dependencies = ["numpy>=1.26", "pandas >=2.2.1,<4"]
        [project.optional-dependencies]
        torch = ["torch>=2.13"]
        keras = ["keras>=3.10"]
        tensorflow = ["recbook[keras]", "tensorflow>=2.18"]
        jax = ["recbook[keras]", "jax>=0.5; python_version < '3.14'"]
        test = ["pytest>=8.2", "ruff>=0.9"]
        """
    assert tasks.floors(text) == {
        "numpy": "1.26",
        "pandas": "2.2.1",
        "torch": "2.13",
        "keras": "3.10",
        "tensorflow": "2.18",
        "jax": "0.5",
        "pytest": "8.2",
    }
    with pytest.raises(tasks.TaskError, match="`numpy<3` names no lowest version.*numpy>="):
        tasks.floors(text.replace("numpy>=1.26", "numpy<3"))


# ---------------------------------------------------------------- containers

IDS = {
    "int64": lambda n: np.array(n),
    "int8": lambda n: np.array(n, np.int8),
    "uint16": lambda n: np.array(n, np.uint16),
    "Int32": lambda n: pd.array(n, "Int32"),
    "category of int": lambda n: pd.Categorical(n),
    "objects": lambda n: np.array(n, object),
    "list of str": lambda n: [f"i{x}" for x in n],
    "objects of str": lambda n: np.array([f"i{x}" for x in n], object),
    "str of fixed width": lambda n: np.array([f"i{x}" for x in n]),
    "string": lambda n: pd.array([f"i{x}" for x in n], "string"),
    "category of str": lambda n: pd.Categorical([f"i{x}" for x in n]),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_every_kind(kind):
    items = [7, 3, 7, 9, 3]
    x = Interactions.from_frame(pd.DataFrame({"user": IDS[kind]([1, 1, 2, 2, 3]), "item": IDS[kind](items)}))
    expected = [f"i{n}" for n in items] if "str" in kind else items
    assert x.items.tolist() == x.to_frame()["item"].tolist() == expected
    assert {type(item) for item in x.items} == {str if "str" in kind else np.int64}
    assert x.item_codes.tolist() == [0, 1, 0, 2, 1] and x.item_ids.tolist() == [*dict.fromkeys(expected)]
    again = Interactions.from_frame(x.to_frame())
    assert again.items.tolist() == expected and again.items.dtype == x.items.dtype
    learnt = Popularity().fit(x)
    assert learnt.predict(x.users[:1], x.items[:1]).tolist() == [2]


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8", "uint8", "Int64", "Float32"])
def test_ratings_of_every_kind(kind):
    ratings = pd.Series([1, 5, 3]).astype(kind)
    x = Interactions.from_frame(pd.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": ratings}))
    assert x.ratings.dtype == np.float64 and x.ratings.tolist() == [1, 5, 3]
    if kind in ("Int64", "Float32"):
        with pytest.raises(ValueError, match="row 1: nan is no rating"):
            ratings[1] = pd.NA
            Interactions.from_frame(pd.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": ratings}))


MOMENTS = pd.to_datetime(["2001-09-09 01:46:40", "1970-01-01 00:00:00", "2001-09-09 01:46:39"])
TIMES = {
    "int64": MOMENTS.as_unit("s").astype(np.int64),
    "float64": MOMENTS.as_unit("s").astype(np.int64).astype(float),
    "Int64": pd.array([1_000_000_000, 0, 999_999_999], "Int64"),
    "days, in ns": MOMENTS.as_unit("ns"),
    "days, in us": MOMENTS.as_unit("us"),
    "days, in s": MOMENTS.as_unit("s"),
    "days of a zone": MOMENTS.tz_localize("UTC").tz_convert("Asia/Tokyo"),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_of_every_kind(kind):
    df = pd.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3], "timestamp": TIMES[kind]})
    x = Interactions.from_frame(df)
    assert x.timestamps.dtype == np.int64
    assert np.argsort(x.timestamps).tolist() == [1, 2, 0]
    train, test = splits.leave_last_out(x)
    assert test.items.tolist() == [1] and train.items.tolist() == [2, 3]
    _, late = splits.temporal_split(x, time="2001-01-01")
    assert late.items.tolist() == [1, 3]


def test_further_columns_and_pairs_that_stand_twice():
    df = pd.DataFrame(
        {
            "user": ["a", "a", "b"],
            "item": [1, 1, 2],
            "rating": [2.0, 5.0, 3.0],
            "event": ["see", "buy", "see"],
        }
    )
    kept = Interactions.from_frame(df, on_duplicate="last")
    assert kept.ratings.tolist() == [5, 3] and list(kept.extra["event"]) == ["buy", "see"]
    assert Interactions.from_frame(df, on_duplicate="mean").ratings.tolist() == [3.5, 3]
    weighed = preprocessing.weigh_events(
        Interactions.from_frame(df, on_duplicate="keep"), {"see": 1, "buy": 4}
    )
    assert weighed.extra["weight"].tolist() == [5, 1]


# ---------------------------------------------------------------- splits, measures, files

WORLD = worlds.make_biases(n_users=30, n_items=20, seed=1).data
HALVES = {
    "random": lambda x: splits.random_split(x, test_size=0.25),
    "stratified": lambda x: splits.stratified_split(x, test_size=0.25),
    "cold users": lambda x: splits.cold_users(x),
    "cold items": lambda x: splits.cold_items(x),
    "fold": lambda x: next(iter(splits.k_fold(x, 4))),
}


@pytest.mark.parametrize("kind", HALVES)
def test_splits_lose_nothing(kind):
    x = WORLD.interactions
    train, test = HALVES[kind](x)
    assert 0 < len(test) < len(train) and len(train) + len(test) == len(x)
    both = pd.concat([train.to_frame(), test.to_frame()]).sort_values(["user", "item"], ignore_index=True)
    pd.testing.assert_frame_equal(both, x.to_frame().sort_values(["user", "item"], ignore_index=True))
    if kind.startswith("cold"):
        side = f"{kind[5:-1]}_ids"
        assert not set(getattr(train, side)) & set(getattr(test, side))


def test_measures_worked_by_hand():
    scores = np.array([[0.9, 0.5, 0.5, 0.1], [0.1, 0.2, 0.3, -np.inf]])
    relevant = np.array([[0, 1, 0, 0], [1, 0, 0, 1]], bool)
    # In row 0 the relevant item is in places 2 and 3 of equal chance; in row 1 one comes third, one is no candidate.
    discount = 1 / np.log2([3, 4])
    np.testing.assert_allclose(metrics.recall_at_k(scores, relevant, 2), [0.5, 0])
    np.testing.assert_allclose(
        metrics.reciprocal_rank_at_k(scores, relevant, 3), [(1 / 2 + 1 / 3) / 2, 1 / 3]
    )
    np.testing.assert_allclose(
        metrics.ndcg_at_k(scores, relevant, 3), [discount.mean(), discount[1] / (1 + discount[0])]
    )
    assert metrics.rmse([1, 2, 3], [2, 2, 5]) == pytest.approx((5 / 3) ** 0.5)
    assert metrics.auc([0, 1, 1, 0], [0.1, 0.4, 0.4, 0.4]) == pytest.approx(0.75)


def test_an_evaluation_is_what_its_measures_say():
    train, test = splits.random_split(WORLD.interactions, test_size=0.25)
    model = BiasOnly().fit(train)
    report = evaluate(model, test, ["rmse", "ndcg@5", "coverage@5"], relevant=4, clip=None)
    predicted = model.predict(test.users, test.items)
    assert report["rmse"] == pytest.approx(metrics.rmse(test.ratings, predicted))
    assert 0 < report["ndcg@5"] < 1 and 0 < report["coverage@5"] <= 1
    assert len(report.per_user) == test.n_users and "rmse" in repr(report)


def test_a_file_holds_what_was_put_in(tmp_path):
    arrays = {
        "numbers": np.arange(6.0).reshape(2, 3),
        "text": np.array(["ä", "bb"]),
        "none": np.zeros((0, 2)),
    }
    paths = [tmp_path / name for name in ("a.npz", "b.npz")]
    for path in paths:
        write_archive(path, {"class": "X", "hyper_parameters": {"k": np.int64(3)}}, arrays)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    head, found = read_archive(paths[0], expected=lambda head: set(arrays))
    assert head["hyper_parameters"] == {"k": 3} and list(found) == sorted(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    with np.load(paths[0]) as file:  # NumPy alone reads it, too
        assert set(file.files) == {"head", *arrays}
    with pytest.raises(FileFormatError, match="member `text` does not belong"):
        read_archive(paths[0], expected=lambda head: {"numbers", "none"})


# ---------------------------------------------------------------- models


def of_each_family() -> list[type]:
    """The first class of every module with models, of both wings."""
    return [
        cls
        for wing in ("torch", "keras")
        for cls in {cls.__module__: cls for cls in reversed(twins.wing(wing).values())}.values()
    ]


@pytest.mark.backends
@pytest.mark.parametrize("cls", of_each_family(), ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_a_model_of_each_family(cls, tmp_path):
    small = {"device": "cpu", "epochs": 1, "blocks": 1, "inner": 8, "factors": 8}
    model = cls(**{name: value for name, value in small.items() if name in cls._parameter_names()})
    data = data_for(cls)
    model.fit(data, progress=False)
    scores = model.score_matrix()
    assert scores.shape == (data.interactions.n_users, len(model.item_ids_))
    assert np.isfinite(scores).all() and scores.std() > 0
    near = {"rtol": 0, "atol": 1e-4 * np.abs(scores).max()}
    row = scores[model.user_ids_ == "u3"][0]
    np.testing.assert_allclose(model.predict("u3", model.item_ids_), row, **near)
    lists = model.recommend(["u3", "u5"], k=3)
    seen = set(data.interactions.items[data.interactions.users == "u3"])
    assert lists.groupby("user").size().max() <= 3 and not seen & set(lists.loc[lists.user == "u3", "item"])
    report = evaluate(model, data, ["auc" if model.task == "click" else "ndcg@3"])
    assert 0 <= next(iter(report.values())) <= 1

    model.save(tmp_path / "model.npz")
    for wing in (rt, rk):
        loaded = wing.load(tmp_path / "model.npz", device="cpu")
        assert type(loaded).__module__.startswith(wing.__name__) and type(loaded).__name__ == cls.__name__
        np.testing.assert_allclose(loaded.score_matrix(), scores, **near)
        assert loaded.recommend(["u3", "u5"], k=3)[["user", "item"]].equals(lists[["user", "item"]])


@pytest.mark.backends
def test_the_backend_is_as_exact_as_is_asked():
    import keras

    third = np.array([1 / 3])
    with backend.float64():
        assert keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(third) * 3.0) == third * 3
