"""Splits: nothing is lost, nothing stands on both sides, what is tested is as far from train as is said.

The folds are those of other libraries.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, train_test_split

from recbook import datasets, splits
from recbook.interactions import Dataset, Interactions
from tests.helpers.bad_inputs import refuses


def rows(n: int) -> Interactions:
    """n meetings whose item is their row, so that a side tells which rows it holds."""
    row = np.arange(n)
    return Interactions.from_frame(pd.DataFrame({"user": row % 7, "item": row, "rating": row % 5 + 1.0}))


def dataset(n: int) -> Dataset:
    x = rows(n)
    items = pd.DataFrame({"title": [f"film {i}" for i in range(n)]}, index=pd.RangeIndex(n, name="item"))
    return Dataset(
        x, users=pd.DataFrame(index=x.user_ids), items=items, name="rows", source="here", sha256="0"
    )


# Printed by scikit-surprise 1.1.5: KFold(n_splits=3, random_state=0, shuffle=True) over 13 rows,
# (train, test) in its own order.
SURPRISE = [
    ([8, 1, 7, 9, 3, 0, 5, 12], [6, 11, 4, 10, 2]),
    ([6, 11, 4, 10, 2, 3, 0, 5, 12], [8, 1, 7, 9]),
    ([6, 11, 4, 10, 2, 8, 1, 7, 9], [3, 0, 5, 12]),
]


def test_k_fold_is_surprises_row_for_row():
    found = [
        (train.items.tolist(), test.items.tolist())
        for train, test in splits.k_fold(rows(13), 3, 0, order="drawn")
    ]
    assert found == SURPRISE


@given(n=st.integers(2, 60), k=st.integers(2, 10), seed=st.integers(0, 2**32 - 1))
def test_k_fold_tests_every_row_once(n, k, seed):
    k = min(k, n)
    folds = list(splits.k_fold(rows(n), k, seed))
    assert len(folds) == k
    tested = np.concatenate([test.items for _, test in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(n))
    for (train, test), (_, expected) in zip(
        folds, KFold(k, shuffle=True, random_state=seed).split(range(n)), strict=True
    ):
        np.testing.assert_array_equal(test.items, expected)  # scikit-learn's, which sorts them
        np.testing.assert_array_equal(train.items, np.setdiff1d(np.arange(n), expected))
    sizes = [len(test) for _, test in folds]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] - sizes[-1] <= 1


@given(n=st.integers(2, 60), test_size=st.floats(0.01, 0.5), seed=st.integers(0, 2**32 - 1))
def test_random_split_is_scikit_learns(n, test_size, seed):
    train, test = splits.random_split(rows(n), test_size, seed, order="drawn")
    expected = train_test_split(np.arange(n), test_size=test_size, random_state=seed)
    np.testing.assert_array_equal(train.items, expected[0])
    np.testing.assert_array_equal(test.items, expected[1])
    kept = splits.random_split(rows(n), test_size, seed)
    for side, rows_of_it in zip(kept, expected, strict=True):
        np.testing.assert_array_equal(side.items, np.sort(rows_of_it))


def test_a_seed_repeats_and_another_differs():
    x = rows(50)
    first, again, other = (splits.random_split(x, seed=seed)[1].items.tolist() for seed in (3, 3, 4))
    assert first == again != other
    first, again, other = (next(splits.k_fold(x, seed=seed))[1].items.tolist() for seed in (3, 3, 4))
    assert first == again != other


def test_columns_travel_with_their_rows():
    x = rows(40)
    train, test = splits.random_split(x)
    assert isinstance(train, Interactions) and len(test) == 8
    for side in (train, test):
        np.testing.assert_array_equal(side.users, side.items % 7)
        np.testing.assert_array_equal(side.ratings, side.items % 5 + 1.0)


def test_side_tables_travel_along():
    data = dataset(20)
    pairs = [splits.random_split(data), *splits.k_fold(data, 4)]
    assert len(pairs) == 5
    for side in (side for pair in pairs for side in pair):
        assert isinstance(side, Dataset)
        assert side.items is data.items and side.users is data.users
        assert (side.name, side.source, side.sha256) == ("rows", "here", "0")
    assert len(data) == 20, "the data given must stay as they were"


# ---------------------------------------------------------------- splits by time, by user, by item


@st.composite
def histories(draw) -> Interactions:
    """Few users, items and times, so that all kinds of ties and repeats come; column `row` tells the rows."""
    cell = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 4))
    table = pd.DataFrame(draw(st.lists(cell, min_size=2, max_size=40)), columns=["user", "item", "timestamp"])
    table["row"] = np.arange(len(table))
    return Interactions.from_frame(table, on_duplicate="keep")


def taken(*sides: Interactions) -> list[list[int]]:
    return [side.extra["row"].tolist() for side in sides]


SPLITS = {
    "random": lambda x: splits.random_split(x, 0.3),
    "fold": lambda x: next(splits.k_fold(x, 2)),
    "last": lambda x: splits.leave_last_out(x),
    "last two": lambda x: splits.leave_last_out(x, 2, "random", 3),
    "moment": lambda x: splits.temporal_split(x, 2),
    "latest": lambda x: splits.temporal_split(x, test_size=0.3),
    "by user": lambda x: splits.stratified_split(x, "user", 0.3),
    "by item": lambda x: splits.stratified_split(x, "item", 0.3),
    "cold users": lambda x: splits.cold_users(x, 0.3),
    "cold items": lambda x: splits.cold_items(x, 0.3),
}


def split(name: str, x: Interactions) -> tuple[Interactions, Interactions]:
    """The split, or no example where the data cannot be split so."""
    try:
        return SPLITS[name](x)
    except ValueError as error:
        assert any(word in str(error) for word in ("nothing", "empty", "raise it")), error
        reject()


@pytest.mark.parametrize("name", SPLITS)
@given(x=histories())
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_every_row_is_on_one_side_in_the_order_of_x(name, x):
    train, test = split(name, x)
    rows_of_train, rows_of_test = taken(train, test)
    assert sorted(rows_of_train + rows_of_test) == list(range(len(x)))
    assert rows_of_train and rows_of_test
    for side, kept in ((train, rows_of_train), (test, rows_of_test)):
        assert kept == sorted(kept)
        pd.testing.assert_frame_equal(side.to_frame(), x.take(kept).to_frame())


@given(x=histories(), n=st.integers(1, 3), ties=st.sampled_from(["order", "random"]), seed=st.integers(0, 9))
def test_leave_last_out_holds_back_the_last_of_each(x, n, ties, seed):
    if np.bincount(x.users).max() <= n:
        with pytest.raises(ValueError, match=f"`n` is {n}, and no user has more rows"):
            splits.leave_last_out(x, n, ties, seed)
        return
    train, test = splits.leave_last_out(x, n, ties, seed)
    for user in x.user_ids:
        mine, held = x.timestamps[x.users == user], test.timestamps[test.users == user]
        left = train.timestamps[train.users == user]
        assert len(held) == (n if len(mine) > n else 0) and len(left) >= 1
        if len(held):
            assert held.min() >= left.max()
    if ties == "order":
        frame = x.to_frame().sort_values("timestamp", kind="stable")
        many = frame.groupby("user")["user"].transform("size") > n
        assert sorted(frame[many].groupby("user").tail(n)["row"]) == taken(test)[0]


def test_leave_last_out_settles_ties_as_stated():
    x = Interactions.from_frame(
        pd.DataFrame({"user": [1, 1, 1, 2, 2], "item": [7, 8, 9, 7, 8], "timestamp": [5, 5, 1, 4, 3]})
    )
    assert splits.leave_last_out(x)[1].items.tolist() == [8, 7]
    drawn = {
        tuple(splits.leave_last_out(x, ties="random", seed=seed)[1].items.tolist()) for seed in range(20)
    }
    assert drawn == {(7, 7), (8, 7)}
    with pytest.raises(ValueError, match="user 1 has a row in train of the same time.*1 users.*'order'"):
        splits.leave_last_out(x, ties="raise")
    # Where both tied rows are held back, there is nothing to settle.
    assert splits.leave_last_out(x, 2, ties="raise")[1].items.tolist() == [7, 8]


def test_ties_at_the_last_time_are_common_in_movielens():
    x = datasets.fetch_movielens("100k").interactions
    last = pd.Series(x.timestamps).groupby(x.users).transform("max")
    tied = (x.timestamps == last).groupby(x.users).sum() > 1
    assert round(tied.mean(), 2) == 0.44
    train, test = splits.leave_last_out(x)
    assert len(test) == test.n_users == 943
    with pytest.raises(ValueError, match=f"{tied.sum()} users have"):
        splits.leave_last_out(x, ties="raise")


@given(x=histories(), share=st.floats(0.05, 0.95), moment=st.integers(0, 5))
def test_temporal_split_tests_the_future_alone(x, share, moment):
    for arguments in ({"test_size": share}, {"time": moment}):
        try:
            train, test = splits.temporal_split(x, **arguments)
        except ValueError as error:
            assert "is empty" in str(error) and "choose a moment in between" in str(error)
            continue
        assert train.timestamps.max() < test.timestamps.min()
        if "time" in arguments:
            assert train.timestamps.max() < moment <= test.timestamps.min()
        else:
            assert len(test) >= share * len(x)
            later = test.timestamps > test.timestamps.min()
            assert later.sum() < share * len(x), "a later moment would have done"


@pytest.mark.parametrize(
    "time", ["2024-03-01", pd.Timestamp("2024-03-01"), pd.Timestamp("2024-03-01 01:00+01:00"), 1709251200]
)
def test_temporal_split_knows_dates(time):
    times = pd.to_datetime(["2024-02-29 23:59:59", "2024-03-01 00:00:00"])
    x = Interactions.from_frame(pd.DataFrame({"user": 1, "item": [1, 2], "timestamp": times}))
    assert splits.temporal_split(x, time)[1].items.tolist() == [2]


@given(
    x=histories(), by=st.sampled_from(["user", "item"]), share=st.floats(0.05, 0.95), seed=st.integers(0, 9)
)
def test_stratified_split_takes_the_same_share_of_each(x, by, share, seed):
    ids = x.users if by == "user" else x.items
    counts = pd.Series(ids).value_counts()
    expected = np.minimum(np.floor(share * counts + 0.5), counts - 1).astype(int)
    if not expected.any():
        with pytest.raises(ValueError, match="no whole row"):
            splits.stratified_split(x, by, share, seed)
        return
    train, test = splits.stratified_split(x, by, share, seed)
    held = pd.Series(test.users if by == "user" else test.items).value_counts()
    assert held.reindex(counts.index, fill_value=0).to_dict() == expected.to_dict()
    assert set(train.users if by == "user" else train.items) == set(ids)


@given(
    x=histories(), side=st.sampled_from(["user", "item"]), share=st.floats(0.05, 0.6), seed=st.integers(0, 9)
)
def test_cold_ids_are_absent_from_train(x, side, share, seed):
    call = {"user": splits.cold_users, "item": splits.cold_items}[side]
    ids = getattr(x, f"{side}_ids")
    n_cold = int(np.ceil(share * len(ids)))
    if n_cold == len(ids):
        with pytest.raises(ValueError, match="nothing is left to train on"):
            call(x, share, seed)
        return
    train, test = call(x, share, seed)
    cold, warm = set(getattr(test, f"{side}_ids")), set(getattr(train, f"{side}_ids"))
    assert not cold & warm and cold | warm == set(ids) and len(cold) == n_cold


@given(
    x=histories(),
    share=st.floats(0.05, 0.9),
    fold_in=st.floats(0.1, 0.9),
    seed=st.integers(0, 9),
    by=st.sampled_from(["random", "last"]),
)
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_held_out_users_bring_a_history_and_are_unknown(x, share, fold_in, seed, by):
    try:
        train, history, targets = splits.held_out_users(x, share, fold_in, seed, by=by)
    except ValueError as error:
        assert "would be held out" in str(error) or "no target is left" in str(error)
        reject()
    rows_of = taken(train, history, targets)
    everything = sum(rows_of, [])
    assert len(set(everything)) == len(everything)
    # Whoever is not accounted for met an item that train does not know.
    left = np.setdiff1d(np.arange(len(x)), everything)
    assert not set(x.items[left]) & set(train.items) and not set(x.users[left]) & set(train.users)
    assert set(history.items) | set(targets.items) <= set(train.items)
    assert not set(train.users) & (set(history.users) | set(targets.users))
    assert set(targets.users) <= set(history.users)
    able = (np.bincount(x.user_codes) >= 2).sum()
    assert x.n_users - train.n_users == int(np.ceil(share * able))
    for user in targets.user_ids:
        mine, guessed = (history.users == user).sum(), (targets.users == user).sum()
        assert guessed == min(max(1, int((1 - fold_in) * (mine + guessed) + 1e-9)), mine + guessed - 1)
        if by == "last":
            latest = history.timestamps[history.users == user].max()
            assert latest <= targets.timestamps[targets.users == user].min()


def test_held_out_users_are_those_of_the_protocol():
    table = pd.DataFrame({"user": np.repeat(np.arange(50), 10), "item": np.tile(np.arange(10), 50)})
    data = Dataset(Interactions.from_frame(table), name="d")
    train, history, targets = parts = splits.held_out_users(data, test_size=0.1, fold_in=0.8)
    assert isinstance(train, Dataset) and history.name == "d" and parts.targets is targets
    assert train.interactions.n_users == 45 and history.interactions.n_users == 5
    assert np.unique(history.interactions.users, return_counts=True)[1].tolist() == [8] * 5
    assert np.unique(targets.interactions.users, return_counts=True)[1].tolist() == [2] * 5
    guessed = targets.interactions.to_frame().groupby("user")["item"].agg(tuple)
    assert guessed.nunique() > 1, "drawn for each by himself"


@pytest.mark.parametrize(
    "call",
    [
        lambda x, seed: splits.leave_last_out(x, ties="random", seed=seed),
        lambda x, seed: splits.stratified_split(x, seed=seed),
        lambda x, seed: splits.cold_users(x, seed=seed),
        lambda x, seed: splits.cold_items(x, seed=seed),
        lambda x, seed: splits.held_out_users(x, seed=seed)[1:],
    ],
)
def test_other_splits_repeat_by_seed(call):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"user": np.arange(300) % 20, "item": rng.integers(0, 40, 300), "timestamp": 0})
    x = Interactions.from_frame(table.assign(row=np.arange(300)), on_duplicate="keep")
    first, again, other = (taken(*call(x, seed)) for seed in (3, 3, 4))
    assert first == again != other


def test_side_tables_travel_with_every_split():
    data = dataset(20)
    x = Interactions(np.arange(20) % 7, np.arange(20) % 5, timestamps=np.arange(20))
    for name in SPLITS:
        for side in SPLITS[name](data.with_interactions(x)):
            assert isinstance(side, Dataset) and side.items is data.items and side.sha256 == "0"


def vars_of(x: Interactions) -> dict:
    return {"users": x.users, "items": x.items, "ratings": x.ratings}


BAD = {
    "share 0": (lambda x: splits.random_split(x, 0), ValueError, ["test_size", "0", "above 0"]),
    "share 1": (lambda x: splits.random_split(x, 1), ValueError, ["test_size", "1", "below 1"]),
    "a count for a share": (lambda x: splits.random_split(x, 20), ValueError, ["test_size", "20", "share"]),
    "share below 0": (lambda x: splits.random_split(x, -0.2), ValueError, ["test_size", "-0.2"]),
    "share NaN": (lambda x: splits.random_split(x, float("nan")), ValueError, ["test_size", "nan"]),
    "share is text": (lambda x: splits.random_split(x, "20%"), TypeError, ["test_size", "str", "0.2"]),
    "share is true": (lambda x: splits.random_split(x, True), TypeError, ["test_size", "bool"]),
    "nothing to train on": (
        lambda x: splits.random_split(x, 0.95),
        ValueError,
        ["test_size=0.95", "10 rows", "nothing is left to train on", "lower it"],
    ),
    "one row": (
        lambda x: splits.random_split(x.take([0])),
        ValueError,
        ["nothing is left to train on", "more rows"],
    ),
    "one fold": (lambda x: splits.k_fold(x, 1), ValueError, ["n_splits", "1", "from 2 to 10"]),
    "more folds than rows": (lambda x: splits.k_fold(x, 11), ValueError, ["n_splits", "11", "from 2 to 10"]),
    "half a fold": (lambda x: splits.k_fold(x, 2.5), TypeError, ["n_splits", "float", "whole number"]),
    "negative seed": (lambda x: splits.k_fold(x, seed=-1), ValueError, ["seed", "-1", "2**32"]),
    "no seed": (lambda x: splits.random_split(x, seed=None), TypeError, ["seed", "NoneType", "whole number"]),
    "unknown order": (
        lambda x: splits.k_fold(x, order="sorted"),
        ValueError,
        ["order", "'sorted'", "'drawn'"],
    ),
    "an array": (lambda x: splits.k_fold(x.to_frame().to_numpy()), TypeError, ["ndarray", "from_frame"]),
    "last: no times": (
        lambda x: splits.leave_last_out(x),
        ValueError,
        ["leave_last_out needs timestamps", "timestamp=", "stratified_split"],
    ),
    "last: none": (lambda x: splits.leave_last_out(timed(x), 0), ValueError, ["`n` is 0"]),
    "last: half": (lambda x: splits.leave_last_out(timed(x), 0.5), TypeError, ["`n`", "float"]),
    "last: all": (lambda x: splits.leave_last_out(timed(x), 5), ValueError, ["`n` is 5", "lower it"]),
    "last: rule": (
        lambda x: splits.leave_last_out(timed(x), ties="item"),
        ValueError,
        ["`ties`", "'item'", "'order'"],
    ),
    "time: no times": (
        lambda x: splits.temporal_split(x, 3),
        ValueError,
        ["temporal_split needs timestamps"],
    ),
    "time: neither": (
        lambda x: splits.temporal_split(timed(x)),
        ValueError,
        ["either `time` or `test_size`"],
    ),
    "time: both": (
        lambda x: splits.temporal_split(timed(x), 3, 0.2),
        ValueError,
        ["either `time` or `test_size`"],
    ),
    "time: before all": (
        lambda x: splits.temporal_split(timed(x), 0),
        ValueError,
        ["train is empty", "from 0 to 9", "in between"],
    ),
    "time: after all": (
        lambda x: splits.temporal_split(timed(x), 10),
        ValueError,
        ["test is empty", "from 0 to 9"],
    ),
    "time: words": (
        lambda x: splits.temporal_split(timed(x), "yesterday-ish"),
        ValueError,
        ["`time`", "2024-03-01"],
    ),
    "time: true": (lambda x: splits.temporal_split(timed(x), True), ValueError, ["`time`", "True"]),
    "time: share": (lambda x: splits.temporal_split(timed(x), test_size=2), ValueError, ["`test_size` is 2"]),
    "strata: by": (lambda x: splits.stratified_split(x, "genre"), ValueError, ["`by`", "'genre'", "'item'"]),
    "strata: share": (
        lambda x: splits.stratified_split(x, test_size=1.0),
        ValueError,
        ["`test_size` is 1.0"],
    ),
    "strata: too little": (
        lambda x: splits.stratified_split(x, "item"),
        ValueError,
        ["no whole row of any item", "at most 1 rows", "raise it"],
    ),
    "cold: share": (lambda x: splits.cold_users(x, 0), ValueError, ["`test_size` is 0", "users"]),
    "cold: all": (
        lambda x: splits.cold_items(x, 0.95),
        ValueError,
        ["0.95", "of 10 items is 10", "nothing is left to train on", "more items"],
    ),
    "held out: share": (lambda x: splits.held_out_users(x, 1.5), ValueError, ["`test_size` is 1.5"]),
    "held out: fold-in": (
        lambda x: splits.held_out_users(x, 0.5, 1),
        ValueError,
        ["`fold_in` is 1", "history"],
    ),
    "held out: by": (lambda x: splits.held_out_users(x, by="time"), ValueError, ["`by`", "'time'", "'last'"]),
    "held out: no times": (
        lambda x: splits.held_out_users(common(x), by="last"),
        ValueError,
        ["by='last' needs timestamps", "by='random'"],
    ),
    "held out: one row each": (
        lambda x: splits.held_out_users(x.take([0, 1, 2])),
        ValueError,
        ["0 of 3 users", "two rows or more", "more users"],
    ),
    "held out: nothing in common": (
        lambda x: splits.held_out_users(x),  # every item has one user
        ValueError,
        ["no target is left", "k_core"],
    ),
    "nothing at all": (lambda x: splits.random_split(None), TypeError, ["NoneType", "from_frame"]),
}


def timed(x: Interactions) -> Interactions:
    return Interactions(**vars_of(x), timestamps=np.arange(len(x)))


def common(x: Interactions) -> Interactions:
    """Five users who met the same two items."""
    return Interactions(np.repeat(np.arange(5), 2), np.tile([0, 1], 5))


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case):
    call, error, parts = BAD[case]
    # No `next`: a generator that checks late would pass a wrong argument on.
    with pytest.raises(error) as caught:
        call(rows(10))
    assert caught.type is error
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"


# ---------------------------------------------------------------- times finer than a second

START = pd.Timestamp("2024-03-01")


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_moment_may_be_as_fine_as_the_times(unit):
    times = [START + pd.Timedelta(n, unit) for n in (0, 1, 2, 3)]
    x = Interactions.from_frame(pd.DataFrame({"user": 1, "item": range(4), "timestamp": times}))
    moments = [
        times[2],
        times[2].tz_localize("UTC").tz_convert("Asia/Tokyo"),
        str(times[2]),
        times[2].to_datetime64(),
    ]
    if unit != "ns":
        moments += [times[2].to_pydatetime(), x.timestamps[2]]
    for moment in moments:
        assert splits.temporal_split(x, moment)[1].items.tolist() == [2, 3]
    for whole in ("2024-03-01", START.timestamp(), int(START.timestamp())):
        refuses(lambda whole=whole: splits.temporal_split(x, whole), ValueError, ("train is empty",))
    refuses(lambda: splits.temporal_split(x, START.timestamp() + 1), ValueError, ("test is empty",))


def test_a_fine_moment_parts_coarse_times():
    times = [START, START + pd.Timedelta(1500, "ms")]
    x = Interactions.from_frame(pd.DataFrame({"user": 1, "item": [7, 8], "timestamp": times}))
    for moment in (START + pd.Timedelta(1, "ns"), START + pd.Timedelta(1500, "ms"), START.timestamp() + 1.5):
        assert splits.temporal_split(x, moment)[1].items.tolist() == [8]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_ties_are_of_times_as_they_came(unit):
    times = [START + pd.Timedelta(n, unit) for n in (2, 1, 2, 3)]
    x = Interactions.from_frame(pd.DataFrame({"user": [1, 1, 2, 2], "item": range(4), "timestamp": times}))
    assert splits.leave_last_out(x, ties="raise")[1].items.tolist() == [0, 3]
    even = Interactions(x.users, x.items, timestamps=[times[0], times[0], times[2], times[3]])
    refuses(lambda: splits.leave_last_out(even, ties="raise"), ValueError, ("user 1", "1 users have"))
    named = Interactions(["Ann", "Ann"], [1, 2], timestamps=times[2:3] * 2)
    refuses(lambda: splits.leave_last_out(named, ties="raise"), ValueError, ("user 'Ann'",))
