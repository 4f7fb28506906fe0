"""What the chapter `data` claims and no other test guards; the checks of its exercises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from recbook import datasets, preprocessing, sampling, splits
from recbook.checks import data as check
from recbook.interactions import Interactions
from recbook.numpy.introduction import BiasOnly
from tests.helpers import known_mistakes


@pytest.fixture(scope="module")
def ml():
    return datasets.fetch_movielens("100k")


# ---------------------------------------------------------------- what is in the data


def test_movielens_100k_is_not_5000_by_5000(ml):
    x = ml.interactions
    assert (x.n_users, x.n_items, len(x)) == (943, 1682, 100_000)
    for ids, n in ((x.users, 943), (x.items, 1682)):
        assert (ids.min(), ids.max()) == (1, n)  # from 1, not 0: an id is no place in an array
    assert max(x.n_users, x.n_items) < 5000
    matrix = np.zeros((5000, 5000), bool)
    matrix[x.users, x.items] = True
    assert matrix.mean() == pytest.approx(100_000 / 25e6)  # most of such a matrix is people who do not exist
    assert matrix.any(axis=1).sum() == 943


def test_behaviour_keeps_who_what_when_and_how():
    rows = [["Ben", "lamp", "browse", 10], ["Ben", "lamp", "browse", 30], ["Ben", "lamp", "buy", 40]]
    table = pd.DataFrame(rows, columns=["user", "item", "event", "timestamp"])
    x = Interactions.from_frame(table, on_duplicate="keep")
    pd.testing.assert_frame_equal(x.to_frame()[table.columns.tolist()], table, check_dtype=False)
    assert x.ratings is None  # a kind of event is not a rating
    weighed = preprocessing.weigh_events(x, {"browse": 1, "buy": 5})
    assert (
        len(weighed) == 1 and weighed.extra["weight"].tolist() == [7] and weighed.timestamps.tolist() == [40]
    )
    with pytest.raises(ValueError, match="'buy' has no weight"):
        preprocessing.weigh_events(x, {"browse": 1})


def test_tables_are_read_by_pandas_where_loadtxt_stops(tmp_path):
    path = tmp_path / "user_item_ratings.csv"
    path.write_text("user_id,item_id,rating\nada,star wars,5\nben,alien,4\n", encoding="utf-8")
    for options in ({}, {"skiprows": 1}):  # the header, then the words
        with pytest.raises(ValueError, match="could not convert string"):
            np.loadtxt(path, delimiter=",", **options)
    x = Interactions.from_frame(pd.read_csv(path), user="user_id", item="item_id")
    assert x.users.tolist() == ["ada", "ben"] and x.ratings.tolist() == [5, 4]
    bare = tmp_path / "u.data"
    bare.write_text("1\t10\t5\t100\n2\t11\t4\t200\n", encoding="utf-8")
    assert len(np.loadtxt(bare, skiprows=1, ndmin=2)) == 1  # a rating taken for a header
    names = ["user", "item", "rating", "timestamp"]
    assert len(Interactions.from_frame(pd.read_csv(bare, sep="\t", names=names))) == 2


# ---------------------------------------------------------------- missing, cleaned, scaled


def test_most_of_what_people_would_like_is_unknown():
    shop = datasets.make_shop(seed=1)
    weighed = preprocessing.weigh_events(shop.data.interactions)
    X, known = preprocessing.interaction_matrix(weighed, users=shop.user_ids, items=shop.item_ids)
    met = known.toarray()
    assert (X.toarray()[~met] == 0).all() and (X.toarray()[met] >= 1).all()
    chance = shop.click[:, shop.item_categories]
    promising = chance > np.median(chance[met])
    assert promising[~met].sum() > promising[met].sum()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fill", ["mean", "zero"])
def test_filling_missing_ratings_is_a_worse_model(seed, fill):
    world = datasets.make_biases(n_users=80, n_items=60, seed=seed)
    x = world.data.interactions
    pairs = pd.MultiIndex.from_product([world.user_ids, world.item_ids], names=["user", "item"])
    filled = x.to_frame().set_index(["user", "item"]).rating.reindex(pairs)
    filled = filled.fillna(x.ratings.mean() if fill == "mean" else 0).reset_index()

    def error(rows):
        model = BiasOnly().fit(rows, progress=False)
        scores = model.score_matrix(world.user_ids, candidates=world.item_ids)
        return np.sqrt(np.mean((scores - world.scores) ** 2))

    assert error(Interactions.from_frame(filled)) > 1.5 * error(x)


def test_means_with_zeros_are_a_chart_of_popularity(ml):
    R, known = preprocessing.interaction_matrix(ml)
    count = pd.Series(known.sum(axis=0))
    with_zeros = pd.Series(R.sum(axis=0) / R.shape[0])
    of_known = pd.Series(R.sum(axis=0) / known.sum(axis=0))
    assert with_zeros.corr(count, method="spearman") > 0.97
    assert of_known.corr(count, method="spearman") < 0.6
    assert count[of_known.nlargest(5).index].max() <= 3


def test_scaling_before_the_split_tells_train_about_test():
    column = np.array([2.0, 4.0, 6.0, 8.0, 12.0])
    honest = preprocessing.MinMaxScaler().fit(column[:4])
    peeking = preprocessing.MinMaxScaler().fit(column)
    assert honest.transform(column).tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 5 / 3])
    assert not np.allclose(honest.transform(column[:4]), peeking.transform(column[:4]))
    for scaler in (honest, peeking):
        assert scaler.inverse_transform(scaler.transform(column)) == pytest.approx(column)
    more = np.append(column, 1000.0)  # whatever test brings, the honest one has not heard of it
    assert honest.transform(more)[:5].tolist() == honest.transform(column).tolist()


# ---------------------------------------------------------------- splits


def test_a_cut_at_row_4000_leaves_nearly_all_test_users_unseen(ml):
    x = ml.interactions
    by_user = x.take(np.argsort(x.users, kind="stable"))
    head, tail = by_user.take(np.arange(4000)), by_user.take(np.arange(4000, len(x)))
    strangers = ~np.isin(tail.user_ids, head.user_ids)
    assert (head.n_users, tail.n_users, strangers.sum()) == (32, 912, 911)
    assert (~np.isin(tail.users, head.users)).mean() > 0.999
    assert len(head) / len(x) == 0.04
    as_filed = ~np.isin(x.users[4000:], x.users[:4000])
    assert 0.6 < as_filed.mean() < 0.7
    honest, test = splits.random_split(x, test_size=0.96, seed=0)
    assert np.isin(test.user_ids, honest.user_ids).mean() > 0.8  # as few rows, chosen at random


def test_what_leaks_through_which_split(ml):
    def own_future(train, test):
        a, b = train.interactions, test.interactions
        latest = a.to_frame().groupby("user").timestamp.max()
        return (latest.reindex(b.users).to_numpy() > b.timestamps).mean()

    def later(train, test):
        return (test.interactions.timestamps > train.interactions.timestamps.max()).mean()

    assert own_future(*splits.random_split(ml)) > 0.95
    last = splits.leave_last_out(ml, n=10)
    assert own_future(*last) == 0 and later(*last) < 0.05  # nobody's own future, but that of others
    temporal = splits.temporal_split(ml, test_size=0.2)
    assert own_future(*temporal) == 0 and later(*temporal) == 1


# ---------------------------------------------------------------- batches


class Tuples(Dataset):
    """One row a time, as a tuple."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        return self.rows[place]


class Rows(Dataset):
    """A whole batch at once: an array of rows in, arrays out."""

    def __init__(self, x):
        self.columns = x.user_codes, x.item_codes, x.ratings.astype(np.float32)

    def __getitem__(self, rows):
        return [column[rows] for column in self.columns]


def test_tuples_are_stacked_for_numbers_only():
    numbers = next(iter(DataLoader(Tuples([(0, 7, 1.0), (1, 8, 0.0)]), batch_size=2)))
    assert [part.tolist() for part in numbers] == [[0, 1], [7, 8], [1.0, 0.0]]
    words = next(iter(DataLoader(Tuples([("ada", "alien", "buy"), ("ben", "emma", "click")]), batch_size=2)))
    assert not any(isinstance(part, torch.Tensor) for part in words)
    assert [list(part) for part in words] == [["ada", "ben"], ["alien", "emma"], ["buy", "click"]]
    with pytest.raises(IndexError):  # ids of the file are no codes: 8 stands behind the end
        torch.nn.Embedding(2, 3)(numbers[1])
    table = pd.DataFrame({"user": ["ada", "ben"], "item": ["alien", "emma"], "rating": [5.0, 4.0]})
    codes = next(
        iter(DataLoader(Rows(Interactions.from_frame(table)), sampler=[np.arange(2)], batch_size=None))
    )
    assert [part.tolist() for part in codes] == [[0, 1], [0, 1], [5, 4]]


@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000])
def test_both_loaders_give_the_same_batches_of_every_row(batch_size):
    x = datasets.make_low_rank(n_users=30, n_items=20, seed=0).data.interactions

    def stream(rng):  # what keras.Model.fit takes
        while True:
            for rows in sampling.batches(len(x), batch_size, rng):
                yield (x.user_codes[rows], x.item_codes[rows]), x.ratings[rows].astype(np.float32)

    keras_epochs, rng = stream(np.random.default_rng(3)), np.random.default_rng(3)
    orders = []
    for _ in range(2):
        order = list(sampling.batches(len(x), batch_size, rng))
        loader = DataLoader(Rows(x), sampler=order, batch_size=None)
        for rows, got in zip(order, loader, strict=True):
            (users, items), ratings = next(keras_epochs)
            for ours, theirs in zip(got, (users, items, ratings), strict=True):
                assert isinstance(ours, torch.Tensor) and np.array_equal(ours.numpy(), theirs)
            assert len(rows) <= batch_size
        orders.append(np.concatenate(order))
        assert np.array_equal(np.sort(orders[-1]), np.arange(len(x)))
    assert not np.array_equal(*orders)  # shuffled anew in each epoch


# ---------------------------------------------------------------- exercises


@pytest.mark.parametrize("exercise", [check.means, check.minmax, check.last], ids=lambda e: e.__name__)
def test_exercises_know_their_mistakes(exercise, monkeypatch, capsys):
    known_mistakes.each_gives_its_own_hint(check, exercise, monkeypatch, capsys)
