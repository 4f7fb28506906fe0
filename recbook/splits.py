"""Ways to hold rows back for testing. A Dataset in, Datasets out; Interactions in, Interactions out.

No row can leak: every split marks its rows once, and each side takes the rows of its own mark. Rows are
meant, not pairs: where a pair stands several times (events), one of its rows may be in train and another
in test; `deduplicate` or `weigh_events` first where that is not wanted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from recbook.interactions import Dataset, Interactions, as_data, as_interactions, comparable, plain, seconds

Data = TypeVar("Data", Interactions, Dataset)
ORDERS = ("original", "drawn")
TIES = ("order", "random", "raise")
SIDES = ("user", "item")


def random_split(
    x: Data, test_size: float = 0.2, seed: int = 0, *, order: str = "original"
) -> tuple[Data, Data]:
    """(train, test), rows chosen at random.

    test_size : share of the n rows, above 0 and below 1; the test side has ⌈test_size · n⌉ rows
    seed : the test rows are the first of `np.random.RandomState(seed).permutation(n)`, as in
        scikit-learn's `train_test_split` of the same seed
    order : "original" keeps both sides in the order of `x`, "drawn" leaves them as the permutation has them

    Raises
    ------
    ValueError
        for a share out of range, one that leaves a side empty, a bad seed or order.
    TypeError
        where `x` is neither Interactions nor a Dataset, or an argument is no number.
    """
    x = as_data(x)
    n = len(x)
    rng = _rng(seed)
    _check_order(order)
    _check_share("test_size", test_size, "rows")
    n_test = math.ceil(test_size * n)
    if n_test >= n:
        raise ValueError(
            f"`test_size={test_size!r}` of {n} rows is {n_test}: nothing is left to train on; "
            "lower it, or bring more rows"
        )
    drawn = rng.permutation(n)
    return _cut(x, drawn[n_test:], order), _cut(x, drawn[:n_test], order)


def k_fold(
    x: Data, n_splits: int = 5, seed: int = 0, *, order: str = "original"
) -> Iterator[tuple[Data, Data]]:
    """Yields n_splits pairs (train, test); each row is in exactly one test side.

    seed : the rows 0..n-1 are shuffled by `np.random.RandomState(seed).shuffle` and cut into consecutive
        folds, the first n mod n_splits one row longer. These are the folds of Surprise's
        `KFold(n_splits, random_state=seed, shuffle=True)` over the same rows.
    order : "original" keeps both sides in the order of `x`; "drawn" leaves the rows shuffled, which is
        Surprise's order row for row (and so its inner ids, which settle its ties).

    Raises, at the call
    -------------------
    ValueError
        for fewer than 2 folds, more folds than rows, a bad seed or order.
    TypeError
        where `x` is neither Interactions nor a Dataset, or `n_splits` is no whole number.
    """
    x = as_data(x)
    n = len(x)
    rng = _rng(seed)
    _check_order(order)
    if isinstance(n_splits, bool) or not isinstance(n_splits, Integral):
        raise TypeError(f"`n_splits` is a {type(n_splits).__name__}; give a whole number, such as 5")
    if not 2 <= n_splits <= n:
        raise ValueError(f"`n_splits` is {n_splits}; with {n} rows give a whole number from 2 to {n}")
    drawn = np.arange(n)
    rng.shuffle(drawn)
    return _folds(x, drawn, int(n_splits), order)


def _folds(x: Data, drawn: np.ndarray, n_splits: int, order: str) -> Iterator[tuple[Data, Data]]:
    # A function of its own: k_fold's checks must run at the call, not at the first `next`.
    folds = np.array_split(drawn, n_splits)
    for k, test in enumerate(folds):
        train = np.concatenate(folds[:k] + folds[k + 1 :])
        yield _cut(x, train, order), _cut(x, test, order)


# ---------------------------------------------------------------- by time


def leave_last_out(x: Data, n: int = 1, ties: str = "order", seed: int = 0) -> tuple[Data, Data]:
    """(train, test): the last n rows of each user are for testing.

    n : rows a user; who has n or fewer stays in train entirely, and is not tested
    ties : which of a user's rows of the same time counts as later. The rule decides much: in
        MovieLens-100K 44 % of the users have more than one row at their last time.
        "order": the one further down in x.  "random": drawn by `seed`.  "raise": a ValueError where
        the rule would decide which row is held back.
    seed : for ties="random" only

    For validation data split train once more. Both sides keep the order of x. Within each user no test
    row is earlier than a train row; between users it may well be: see `temporal_split`.

    Raises ValueError where there are no timestamps, `n` or `ties` is wrong, or nobody has more than n rows.
    """
    x = as_data(x)
    inside = as_interactions(x)
    times = _times(inside, "leave_last_out", "random_split or stratified_split")
    _check_whole("n", n)
    if ties not in TIES:
        raise ValueError(f"`ties` is {ties!r}; choose one of {TIES}")
    rows = np.arange(len(inside))
    latest_last = np.lexsort((_rng(seed).permutation(len(rows)) if ties == "random" else rows, times))
    rank = _places_from_the_end(inside.user_codes, latest_last)
    many = np.bincount(inside.user_codes)[inside.user_codes] > n
    is_test = many & (rank < n)
    if not is_test.any():
        raise ValueError(f"`n` is {n}, and no user has more rows than that: nothing to test on; lower it")
    if ties == "raise":
        moment = np.unique(times, return_inverse=True)[1]
        first_tested = np.full(inside.n_users, len(moment))
        np.minimum.at(first_tested, inside.user_codes[is_test], moment[is_test])
        tied = ~is_test & many & (moment == first_tested[inside.user_codes])
        if tied.any():
            n_tied = len(np.unique(inside.user_codes[tied]))
            raise ValueError(
                f"user {plain(inside.users[tied.argmax()])!r} has a row in train of the same time as one in test, and "
                f"{n_tied} users have; choose ties='order' or 'random'"
            )
    return _sides(x, is_test)


def temporal_split(x: Data, time=None, test_size: float | None = None) -> tuple[Data, Data]:
    """(train, test): everything before a moment, and everything from it on. Give one of the two.

    time : the first moment of test, in the unit of the timestamps (seconds, where these were datetimes), or as a
        date ("2024-03-01", "2024-03-01 12:00:00.5", UTC)
    test_size : the share of rows from which the moment is found: the latest one with which test has at
        least that share. Rows of one moment are never parted, so test may have more.

    Every test row is later than every train row. People and items may be new in test: that is what
    the future is like.

    Raises ValueError where there are no timestamps, both or none of the two are given, or a side is empty.
    """
    x = as_data(x)
    inside = as_interactions(x)
    times = _times(inside, "temporal_split", "random_split")
    if (time is None) == (test_size is None):
        raise ValueError("give either `time` or `test_size`: temporal_split(x, test_size=0.2)")
    if test_size is not None:
        _check_share("test_size", test_size, "rows")
        time = np.sort(times)[len(times) - math.ceil(test_size * len(times))]
    else:
        time = _moment(time)
        if times.dtype.kind == "M" or isinstance(time, np.datetime64):
            times, (time,) = comparable(times, np.array([time]))
    is_test = times >= time
    if is_test.all() or not is_test.any():
        side, has = ("train", "earlier") if is_test.all() else ("test", "later")
        raise ValueError(
            f"{side} is empty: no row is {has} than {time}; the timestamps go from {times.min()} to {times.max()}: "
            "choose a moment in between"
        )
    return _sides(x, is_test)


# ---------------------------------------------------------------- by user or item


def stratified_split(x: Data, by: str = "user", test_size: float = 0.2, seed: int = 0) -> tuple[Data, Data]:
    """(train, test): of each user's (or item's) rows the same share, chosen at random.

    by : "user" or "item"
    test_size : of m rows of a user ⌊test_size · m + ½⌋ are for testing, at most m − 1: everybody stays in train

    Raises ValueError for a share out of range, another `by`, or where test would be empty.
    """
    x = as_data(x)
    inside = as_interactions(x)
    rng = _rng(seed)
    _check_share("test_size", test_size, "rows")
    if by not in SIDES:
        raise ValueError(f"`by` is {by!r}; choose one of {SIDES}")
    codes = inside.user_codes if by == "user" else inside.item_codes
    counts = np.bincount(codes)
    n_test = np.minimum(np.floor(test_size * counts + 0.5), counts - 1)
    is_test = _places_from_the_end(codes, rng.permutation(len(codes))) < n_test[codes]
    if not is_test.any():
        raise ValueError(
            f"`test_size={test_size!r}` is no whole row of any {by}, who have at most {counts.max()} rows; "
            "raise it, or bring more rows"
        )
    return _sides(x, is_test)


def cold_users(x: Data, test_size: float = 0.2, seed: int = 0) -> tuple[Data, Data]:
    """(train, test): a share of the users is drawn, and all their rows are for testing. Train knows none of them.

    test_size : of n users ⌈test_size · n⌉ are drawn

    Items that only these met are unknown in train as well. Raises ValueError for a share out of range,
    or where train would be empty.
    """
    return _cold(x, "user", test_size, seed)


def cold_items(x: Data, test_size: float = 0.2, seed: int = 0) -> tuple[Data, Data]:
    """(train, test): as `cold_users`, with items drawn."""
    return _cold(x, "item", test_size, seed)


class HeldOut(NamedTuple):
    """What `held_out_users` gives: three Interactions, or three Datasets."""

    train: Interactions | Dataset
    histories: Interactions | Dataset
    targets: Interactions | Dataset


def held_out_users(
    x: Data, test_size: float = 0.2, fold_in: float = 0.8, seed: int = 0, *, by: str = "random"
) -> HeldOut:
    """(train, histories, targets): people whom the model never sees bring a history, and the rest is to be guessed.

    test_size : of the users with two rows or more, of whom there are n, ⌈test_size · n⌉ are held out
    fold_in : of the m rows of each of them m − max(1, ⌊(1 − fold_in) · m⌋) are history, the others targets
    by : "random": which rows are targets is drawn.  "last": those latest in time (of equal times, those
        further down in x)

    Rows of held-out people whose item no one in train met are in none of the three: it could be neither
    taken in nor recommended. m counts the rows that are left; who has one row left has a history and no target.

        model.fit(train)
        evaluate(model, targets, metrics=["ndcg@10"], histories=histories)

    Raises ValueError for a share out of range, no timestamps with by="last", or where a part would be empty.

    Source: the protocol of Liang et al., Variational Autoencoders for Collaborative Filtering, WWW 2018.
    """
    x = as_data(x)
    inside = as_interactions(x)
    rng = _rng(seed)
    _check_share("test_size", test_size, "users")
    _check_share("fold_in", fold_in, "history")
    if by not in ("random", "last"):
        raise ValueError(f"`by` is {by!r}; choose 'random' or 'last'")
    able = np.flatnonzero(np.bincount(inside.user_codes, minlength=inside.n_users) >= 2)
    n_out = math.ceil(test_size * len(able))
    if not 0 < n_out < inside.n_users:
        raise ValueError(
            f"{n_out} of {inside.n_users} users would be held out (`test_size={test_size!r}` of the {len(able)} with "
            "two rows or more); train and test both need some: change it, or bring more users"
        )
    out = np.isin(inside.user_codes, rng.permutation(able)[:n_out])
    met = np.bincount(inside.item_codes[~out], minlength=inside.n_items) > 0
    rows = np.flatnonzero(out & met[inside.item_codes])
    codes = inside.user_codes[rows]
    counts = np.bincount(codes, minlength=inside.n_users)
    # The room of 1e-9 makes a fifth of ten rows two, though 1 − 0.8 is a little below 0.2.
    n_targets = np.maximum(1, np.floor((1 - fold_in) * counts + 1e-9))
    n_targets = np.minimum(n_targets, counts - 1)
    if by == "random":
        order = rng.permutation(len(rows))
    else:
        order = np.argsort(_times(inside, "by='last'", "by='random'")[rows], kind="stable")
    is_target = _places_from_the_end(codes, order) < n_targets[codes]
    if not is_target.any():
        raise ValueError(
            "no target is left: the people held out met hardly any item that train knows; lower `test_size`, or take "
            "k_core(x) first"
        )
    return HeldOut(x.take(~out), x.take(rows[~is_target]), x.take(rows[is_target]))


def _cold(x: Data, side: str, test_size: float, seed: int) -> tuple[Data, Data]:
    x = as_data(x)
    inside = as_interactions(x)
    rng = _rng(seed)
    _check_share("test_size", test_size, f"{side}s")
    codes, n = (inside.user_codes, inside.n_users) if side == "user" else (inside.item_codes, inside.n_items)
    n_test = math.ceil(test_size * n)
    if n_test >= n:
        raise ValueError(
            f"`test_size={test_size!r}` of {n} {side}s is {n_test}: nothing is left to train on; lower it, or bring "
            f"more {side}s"
        )
    return _sides(x, np.isin(codes, rng.permutation(n)[:n_test]))


# ---------------------------------------------------------------- what they share


def _sides(x: Data, is_test: np.ndarray) -> tuple[Data, Data]:
    """Train and test of one mark a row: a row cannot be on both sides, and none is lost."""
    return x.take(~is_test), x.take(is_test)


def _places_from_the_end(codes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """For each row how many rows of the same code stand behind it in `order`, (n,)."""
    backwards = order[::-1]
    place = pd.Series(codes[backwards]).groupby(codes[backwards]).cumcount().to_numpy()
    found = np.empty(len(codes), np.int64)
    found[backwards] = place
    return found


def _times(x: Interactions, who: str, instead: str) -> np.ndarray:
    if x.timestamps is None:
        raise ValueError(
            f"{who} needs timestamps; name their column: Interactions.from_frame(df, timestamp=...), or use {instead}"
        )
    return x.timestamps


def _moment(time) -> int | float | Real | np.datetime64:
    if isinstance(time, bool) or not isinstance(time, Real):
        try:
            moment = pd.Timestamp(time)
        except (TypeError, ValueError) as error:
            raise ValueError(f"`time` is {time!r}; give a number or a date such as '2024-03-01'") from error
        if isinstance(time, bool) or moment is pd.NaT:
            raise ValueError(f"`time` is {time!r}; give a number or a date such as '2024-03-01'")
        moment = moment if moment.tz is None else moment.tz_convert("UTC").tz_localize(None)
        return seconds(np.array([moment.to_datetime64()]))[0]
    return time


def _check_share(name: str, value: float, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` is a {type(value).__name__}; give a share between 0 and 1, such as 0.2")
    if not 0 < value < 1:
        raise ValueError(
            f"`{name}` is {value!r}; it is a share of the {what}, above 0 and below 1, such as 0.2"
        )


def _check_whole(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` is a {type(value).__name__}; give a whole number, such as 1")
    if value < 1:
        raise ValueError(f"`{name}` is {value}; give a whole number, at least 1")


def _cut(x: Data, rows: np.ndarray, order: str) -> Data:
    return x.take(np.sort(rows) if order == "original" else rows)


def _rng(seed: int) -> np.random.RandomState:
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(
            f"`seed` is a {type(seed).__name__}; give a whole number, so that the split can be repeated"
        )
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` is {seed}; give a whole number from 0 to 2**32 - 1")
    # RandomState, not default_rng: its stream is frozen for good, and scikit-learn and Surprise draw from it.
    return np.random.RandomState(int(seed))


def _check_order(order: str) -> None:
    if order not in ORDERS:
        raise ValueError(f"`order` is {order!r}; choose one of {ORDERS}")
