"""What a model is fitted on: ids, dtypes, arrays, columns, sizes, ratings. Each input costs a fit.

Many of these change how the data are written and not what they say: the scores must then be those of the model that
was fitted on the plain table. Others say something odd: then the answer is finite and sane, or refused.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
import warnings
from typing import Any

import numpy as np
import pandas as pd

from recbook.contract._core import WORDS, Subject, as_column, check, each, near
from recbook.interactions import Dataset, Interactions


def has(column: str):
    return lambda s: column in s.frame


# ---------------------------------------------------------------- ids

LOOKALIKES = ["nan", "None", "null", "NA", "<NA>", "NaT", "True", "-1", "1e3", "inf", "0x1", "1.0", "01", "1"]
IDS = {
    "signs": lambda n: "🎬" * (n + 1),
    "scripts": lambda n: ["电影", "фильм", "فيلم", "ταινία", "चलचित्र"][n % 5] + str(n),
    "accents in two ways": lambda n: ("é" if n % 2 else "e\u0301") + str(n // 2),
    "upper and lower case": lambda n: "".join("aA"[n >> bit & 1] for bit in range(5)),
    "2,000 characters": lambda n: "x" * 2000 + str(n),
    "one of 2,000 characters": lambda n: "x" * 2000 if n == 3 else f"x{n}",
    "NULs at the end": lambda n: "a" + "\x00" * n,
    "NULs within": lambda n: f"a\x00{n}",
    "spaces at the end": lambda n: "a" + " " * n,
    "one empty string": lambda n: "" if n == 2 else str(n),
    "digits": str,
    "digits with zeros before": lambda n: "0" * n + "1",
    "words that look like values": lambda n: LOOKALIKES[n],
    "tabs, lines, quotes, bars": lambda n: "\t\n\r\"'|,;\\/{}%\u2028"[n],
    "from zero": int,
    "negative": lambda n: -1 - n,
    "around zero": lambda n: n - 5,
    "2**62": lambda n: 2**62 + n,
    "neighbours beyond 2**53": lambda n: 2**53 + n,
    "the ends of 64 bits": lambda n: 2**63 - 1 - n if n % 2 else -(2**63) + n,
    "hashes": lambda n: uuid.uuid5(uuid.NAMESPACE_URL, str(n)).hex,
}


def _renamed(s: Subject, users, items, **options):
    """The model fitted on the same data under other ids; users, items : from a place to an id."""
    names = {}
    for side, rename in (("users", users), ("items", items)):
        known = getattr(s, side)
        table = getattr(s.data, side)
        more = [] if table is None else [i for i in table.index.tolist() if i not in set(known)]
        names[side] = {old: rename(at) for at, old in enumerate([*known, *more])}
    frame = s.frame
    frame["user"] = as_column([names["users"][u] for u in frame.user.tolist()])
    frame["item"] = as_column([names["items"][i] for i in frame.item.tolist()])
    return frame, names["users"].__getitem__, names["items"].__getitem__


@check(IDS, fits=True)
def check_names_mean_nothing(s: Subject, rename) -> None:
    """Ids are names: whatever they are, the scores are those of the same data under plain ones."""
    frame, users, items = _renamed(s, rename, rename)
    model = s.fit(s.dataset(frame, users, items))
    assert model.user_ids_.tolist() == [users(u) for u in s.users]
    s.same_scores(model, users, items)


ID_DTYPES = [
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4", ">i8", "<u2"),
    *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt32", "UInt64", "category", "object"),
]


@check(each(*ID_DTYPES), fits=True)
def check_dtypes_of_ids(s: Subject, dtype) -> None:
    """Whole numbers are the same ids in every dtype, in the table and in a question."""
    frame, users, items = _renamed(s, lambda n: n + 1, lambda n: 50 + n)
    for name in ("user", "item"):
        frame[name] = pd.Series(frame[name].to_numpy()).astype(dtype)
    model = s.fit(s.dataset(frame, users, items))
    s.same_scores(model, users, items)
    asked = pd.Series([users(u) for u in s.users]).astype(dtype)
    np.testing.assert_array_equal(model.predict(asked, items(s.items[0])), model.predict(asked.tolist(), 50))


@check(
    {
        "object": lambda names: pd.Series(names, dtype=object),
        "string": lambda names: pd.Series(names, dtype="string"),
        "string of Python": lambda names: pd.Series(names, dtype=pd.StringDtype("python")),
        "str": lambda names: pd.Series(names, dtype=str),
        "category": lambda names: pd.Series(names, dtype="category"),
        "category with more than are used": lambda names: pd.Series(
            pd.Categorical(names, categories=["unused", *sorted(set(names)), "nor this"])
        ),
        "category in an order": lambda names: pd.Series(
            pd.Categorical(names, categories=sorted(set(names), reverse=True), ordered=True)
        ),
        "NumPy's own strings": lambda names: pd.Series([np.str_(name) for name in names], dtype=object),
        "strings of a subclass": lambda names: pd.Series([_Name(name) for name in names], dtype=object),
    },
    fits=True,
)
def check_dtypes_of_strings(s: Subject, column) -> None:
    """Strings are the same ids in every dtype."""
    frame, users, items = _renamed(s, lambda n: f"u{n}", lambda n: f"i{n}")
    frame["user"] = column(frame.user.tolist()).array
    frame["item"] = column(frame.item.tolist()).array
    s.same_scores(s.fit(s.dataset(frame, users, items)), users, items)


class _Name(str):
    """A string that is also something else, as str enumerations are."""


@check(
    {
        "missing": None,
        "NaN": float("nan"),
        "of the other kind": None,
        "a real number": 2.5,
        "true": True,
        "bytes": b"u1",
        "a tuple": ("u", 1),
        "a day": datetime.date(2020, 1, 1),
        "a UUID": uuid.UUID(int=3),
        "beyond 64 bits": 2**70,
    },
    fits=True,
)
def check_bad_ids_in_train(s: Subject, bad) -> None:
    """One id that is none, among good ones, is refused before anything is learnt, by column and row."""
    for column in ("user", "item"):
        frame = s.frame
        values = frame[column].tolist()
        values[5] = (1 if isinstance(values[0], str) else "one") if bad is None else bad
        frame[column] = pd.Series(values, dtype=object)
        s.refused(lambda frame=frame: s.fit(s.dataset(frame)), ValueError, TypeError, words=(column,))


# ---------------------------------------------------------------- columns

RATING_DTYPES = [
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", ">f4", ">f8", ">i2"),
    *("Int8", "Int64", "UInt8", "Float32", "Float64", "object", "category"),
]


@check(each(*RATING_DTYPES), fits=True, when=has("rating"))
def check_dtypes_of_ratings(s: Subject, dtype) -> None:
    """Whole ratings are the same numbers in every dtype; what is not a dtype of numbers may be refused."""
    frame = s.frame
    if not (frame.rating == frame.rating.round()).all():
        return
    kinds = pd.Series(frame.rating.to_numpy())
    frame["rating"] = (kinds.astype(int) if "i" in dtype.lower() else kinds).astype(dtype).array
    model = s.answer(lambda: s.fit(s.dataset(frame)))
    assert model is not None or dtype in ("object", "category"), f"{dtype} is refused"
    if model is not None:
        s.same_scores(model)


@check(
    {
        "NaN": float("nan"),
        "None": None,
        "infinity": float("inf"),
        "minus infinity": float("-inf"),
        "words": "good",
        "numbers in words": "3",
        "complex": 1j,
        "Decimal": decimal.Decimal(3),
        "a list": [3],
        "days": pd.Timestamp("2020-01-01"),
    },
    fits=True,
    when=has("rating"),
)
def check_bad_ratings(s: Subject, bad) -> None:
    """A rating that is no finite number is refused by column and row; it never becomes one in silence."""
    frame = s.frame
    values = frame.rating.tolist()
    values[5] = bad
    frame["rating"] = (
        pd.Series(values) if isinstance(bad, float | complex) else pd.Series(values, dtype=object)
    )
    s.refused(lambda: s.fit(s.dataset(frame)), ValueError, TypeError, words=("rating",))


@check(
    {"NaN": float("nan"), "infinity": float("inf"), "minus infinity": float("-inf")},
    fits=True,
    when=has("rating"),
)
def check_bad_ratings_past_the_door(s: Subject, bad) -> None:
    """The constructor takes arrays that `from_frame` would refuse; then the model, or it, does."""
    x = s.data.interactions
    ratings = np.array(x.ratings)
    ratings[5] = bad
    s.refused(lambda: s.fit(s.dataset(Interactions(x.users, x.items, ratings, x.timestamps, x.extra))))


TIMES = {
    **{
        name: (lambda t, dtype=name: pd.Series(t).astype(dtype))
        for name in ("int32", "int64", "uint32", "uint64", "float64", "Int64", "Float64", ">i8", ">f8")
    },
    **{
        f"datetime64[{unit}]": (lambda t, unit=unit: pd.Series(t.astype(f"datetime64[{unit}]")))
        for unit in ("s", "ms", "us", "ns")
    },
    "UTC": lambda t: pd.Series(pd.to_datetime(t, unit="s", utc=True)),
    "a zone": lambda t: pd.Series(pd.to_datetime(t, unit="s", utc=True)).dt.tz_convert("Asia/Kathmandu"),
    "Timestamps as objects": lambda t: pd.Series(list(pd.to_datetime(t, unit="s")), dtype=object),
    "datetimes as objects": lambda t: pd.Series(pd.to_datetime(t, unit="s").to_pydatetime(), dtype=object),
    "before 1970": lambda t: pd.Series(t - 2 * 10**9),
    "from zero": lambda t: pd.Series(np.argsort(np.argsort(t))),
    "milliseconds": lambda t: pd.Series(t * 1000),
    "nanoseconds": lambda t: pd.Series(t * 10**9 % 2**62),
    "within one second": lambda t: pd.Series(
        (10**12 + np.argsort(np.argsort(t))).astype("datetime64[ms]").astype("datetime64[ns]")
    ),
    "parts of a second": lambda t: pd.Series(10**9 + np.argsort(np.argsort(t)) / 1000),
    "words": lambda t: pd.Series(pd.to_datetime(t, unit="s").astype(str).to_numpy(), dtype=object),
}


@check(TIMES, fits=True, when=has("timestamp"))
def check_dtypes_of_times(s: Subject, column) -> None:
    """The order of times is what counts, in whatever unit, zone or dtype; words may be refused."""
    frame = s.frame
    times = column(frame.timestamp.to_numpy(np.int64))
    frame["timestamp"] = times.array
    model = s.answer(lambda: s.fit(s.dataset(frame)))
    assert model is not None or times.dtype == object, f"{times.dtype} is refused"
    if model is not None:
        s.same_scores(model)


@check(each("without times", "with times"), fits=True, when=has("timestamp"))
def check_order_without_times(s: Subject, form) -> None:
    """A model of order that gets no times says once that the rows count as ordered; no other model says so."""
    frame = s.frame if form == "with times" else s.frame.drop(columns="timestamp")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        s.fit(s.dataset(frame))
    said = [str(one.message) for one in caught if "order of the table" in str(one.message)]
    expected = int(form == "without times" and s.model._reads_order)
    assert len(said) == expected, f"it is said {len(said)} times, not {expected}: {said}"


@check(
    {"NaT": pd.NaT, "NaN": float("nan"), "infinity": float("inf"), "None": None},
    fits=True,
    when=has("timestamp"),
)
def check_bad_times(s: Subject, bad) -> None:
    """A time that is none is refused by column and row."""
    frame = s.frame
    times = pd.to_datetime(frame.timestamp, unit="s") if bad is pd.NaT else frame.timestamp.astype(float)
    times[5] = bad
    frame["timestamp"] = times
    s.refused(lambda: s.fit(s.dataset(frame)), ValueError, TypeError, words=("timestamp",))


COLUMNS = [
    *(
        "users",
        "items",
        "ratings",
        "timestamps",
        "user_codes",
        "item_codes",
        "user_ids",
        "item_index",
        "extra",
    ),
    *(
        "n_users",
        "take",
        "self",
        "index",
        "level_0",
        "n",
        "target",
        "label",
        "score",
        "rank",
        "",
        " ",
        "3",
        "user_id",
    ),
    *("__class__", "電影", "a b", "a.b", "a*b"),
]
OTHER_COLUMNS = {"3 (a number)": 3, "a pair": ("a", "b"), "a date": datetime.date(2020, 1, 1), "2.5": 2.5}


@check({repr(name): name for name in COLUMNS} | OTHER_COLUMNS, fits=True)
def check_names_of_further_columns(s: Subject, name) -> None:
    """A further column may be called anything: whoever does not ask for it does not notice it."""
    frame = s.frame
    frame[name] = np.arange(len(frame)) % 3 * 1e6
    model = s.answer(lambda: s.fit(s.dataset(frame)))
    assert model is not None or not isinstance(name, str), "the column is refused"
    if model is not None:
        s.same_scores(model)


FURTHER = {
    "words": lambda n: [f"w{i % 3}" for i in range(n)],
    "lists": lambda n: [[i] for i in range(n)],
    "NaN": lambda n: np.full(n, np.nan),
    "None": lambda n: [None] * n,
    "times": lambda n: pd.date_range("2020", periods=n),
    "categories": lambda n: pd.Categorical([i % 3 for i in range(n)]),
    "pandas' missing": lambda n: pd.array([None] * n, "Int64"),
    "infinity": lambda n: np.full(n, np.inf),
}


@check(FURTHER, fits=True)
def check_contents_of_further_columns(s: Subject, values) -> None:
    """A further column may hold anything."""
    frame = s.frame
    frame["remark"] = values(len(frame))
    s.same_scores(s.fit(s.dataset(frame)))


TABLES = {
    "rows numbered from 7": lambda f: (f.set_axis(range(7, 7 + len(f))), {}),
    "one label for all rows": lambda f: (f.set_axis([0] * len(f)), {}),
    "labels of words": lambda f: (f.set_axis([f"row {n}" for n in range(len(f))]), {}),
    "labels backwards": lambda f: (f.set_axis(range(len(f))[::-1]), {}),
    "labels in two levels": lambda f: (f.set_axis(pd.MultiIndex.from_product([[1], range(len(f))])), {}),
    "an index called user": lambda f: (f.rename_axis("user"), {}),
    "columns in the other order": lambda f: (f[f.columns[::-1]], {}),
    "other names": lambda f: (
        f.rename(columns={"user": "uid", "item": "sku"}),
        {"user": "uid", "item": "sku"},
    ),
    "names exchanged": lambda f: (
        f.rename(columns={"user": "item", "item": "user"}),
        {"user": "item", "item": "user"},
    ),
    "pandas' own dtypes": lambda f: (f.convert_dtypes(), {}),
    "a slice of a larger table": lambda f: (pd.concat([f, f]).iloc[: len(f)], {}),
    "every second row of a larger one": lambda f: (f.loc[f.index.repeat(2)].iloc[::2], {}),
    "names of columns with a name": lambda f: (f.rename_axis(columns="what"), {}),
}


@check(TABLES, fits=True)
def check_forms_of_tables(s: Subject, form) -> None:
    """Rows are read in their order, columns by their names; labels mean nothing."""
    frame, names = form(s.frame)
    s.same_scores(s.fit(s.dataset(frame, **names)))


def _read_only(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


ARRAYS = {
    "read-only": _read_only,
    "every second": lambda a: np.repeat(a, 2)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a if a.dtype == object else a.astype(a.dtype.newbyteorder(">")),
    "a column of a matrix": lambda a: np.column_stack([a, a])[:, 1],
    "a broadcast": lambda a: np.broadcast_to(a, (2, len(a)))[1],
    "a subclass": lambda a: a.view(_Array),
    "not aligned": lambda a: a if a.dtype == object else _unaligned(a),
}


class _Array(np.ndarray):
    """An array that is also something else."""


def _unaligned(values: np.ndarray) -> np.ndarray:
    room = np.zeros(values.nbytes + 1, np.uint8)[1:].view(values.dtype)
    room[:] = values
    return room


@check(ARRAYS, fits=True)
def check_arrays(s: Subject, form) -> None:
    """However arrays lie in memory, they say the same."""
    x = s.data.interactions
    ratings = None if x.ratings is None else form(np.array(x.ratings))
    times = None if x.timestamps is None else form(np.array(x.timestamps))
    extra = {name: np.array(values) for name, values in x.extra.items()}
    made = Interactions(form(np.array(x.users)), form(np.array(x.items)), ratings, times, extra)
    s.same_scores(s.fit(s.dataset(made)))


# ---------------------------------------------------------------- how much, and how it is spread


def _pairs(pairs) -> pd.DataFrame:
    return pd.DataFrame([(f"u{u}", 100 - i) for u, i in pairs], columns=["user", "item"])


SIZES = {
    "one row": [(0, 0)],
    "two rows of one user": [(0, 0), (0, 1)],
    "two rows of one item": [(0, 0), (1, 0)],
    "two rows apart": [(0, 0), (1, 1)],
    "one user": [(0, i) for i in range(8)],
    "one item": [(u, 0) for u in range(8)],
    "everything seen": [(u, i) for u in range(5) for i in range(4)],
    "everything but one": [(u, i) for u in range(5) for i in range(4)][:-1],
    "everybody's own item": [(u, u) for u in range(8)],
    "a star": [(0, i) for i in range(8)] + [(u, 0) for u in range(1, 8)],
    "two worlds": [(u, i) for u in range(8) for i in range(8) if u // 4 == i // 4 and (u + i) % 4],
    "one apart": [(u, i) for u in range(4) for i in range(4) if u != i] + [(9, 9)],
    "many users, two items": [(u, (u * 7 + 1) % 2) for u in range(40)],
    "two users, many items": [(i % 2, i) for i in range(40)],
    "one user of all items, many of one": [(0, i) for i in range(12)] + [(u, u % 3) for u in range(1, 20)],
}


def _filled(s: Subject, frame: pd.DataFrame, rating=None) -> pd.DataFrame:
    """A table of pairs with what the model's task asks for besides."""
    n = len(frame)
    frame = frame.copy()
    if s.task == "rating" and rating is None:
        rating = [1.0 + 3 * at % 5 for at in range(n)]
    elif s.task == "click" and rating is None:
        rating = [float(at % 2) for at in range(n)]
    if rating is not None:
        frame["rating"] = rating
    frame["timestamp"] = 10**9 + np.arange(n)
    for name in s.data.interactions.extra:
        frame[name] = np.resize(s.data.interactions.extra[name], n)
    return frame


@check(SIZES, fits=True)
def check_sizes(s: Subject, pairs) -> None:
    """However little there is to learn from, the scores are finite and sane, or the model says what it lacks."""
    frame = _filled(s, _pairs(pairs))
    model = s.answer(lambda: s.fit(s.dataset(frame)))
    if model is None:
        return
    s.sane(model, frame)
    seen = frame.groupby("user").item.agg(set).to_dict()
    got = model.recommend(k=99)
    assert not [1 for u, i in zip(got.user.tolist(), got.item.tolist(), strict=True) if i in seen[u]], "seen"
    first = s.answer(lambda: model.predict("nobody", frame.item.iloc[0], unknown="fallback"))
    assert first is not None and np.isfinite(first).all(), "no prior for a stranger"
    if "histories" in s.supports:
        table = s.answer(
            lambda: model.recommend(histories={"new": [frame.item.iloc[0]]}, k=2, exclude_seen=False)
        )
        assert table is None or np.isfinite(table.score).all()
    if "similar_items" in s.supports:
        table = s.answer(lambda: model.similar_items(model.item_ids_, k=2))
        assert table is None or np.isfinite(table.score).all()


@check(each("shuffled", "sorted by item", "sorted by user", "sorted by time"), fits=True)
def check_order_of_rows(s: Subject, order) -> None:
    """Ids stand in the order of their first row, and the order of rows brings nothing that is not finite."""
    frame = s.frame
    frame = (
        frame.sample(frac=1, random_state=3)
        if order == "shuffled"
        else frame.sort_values({"item": ["item"], "user": ["user"], "time": ["timestamp"]}[order.split()[-1]])
        if "timestamp" in frame or order != "sorted by time"
        else frame
    )
    model = s.fit(s.dataset(frame))
    assert model.user_ids_.tolist() == frame.user.drop_duplicates().tolist()
    assert model.item_ids_.tolist()[: len(s.items)] == frame.item.drop_duplicates().tolist()
    s.sane(model, frame if "rating" in frame else None)


# ---------------------------------------------------------------- ratings

RATINGS = {
    "all 3.3": lambda r, u, i: np.full(len(r), 3.3),
    "all 0": lambda r, u, i: np.zeros(len(r)),
    "all -2": lambda r, u, i: np.full(len(r), -2.0),
    "all but one alike": lambda r, u, i: np.where(np.arange(len(r)) == 4, 5.0, 3.3),
    "each user constant": lambda r, u, i: 1.0 + u % 5,
    "each item constant": lambda r, u, i: 1.1 + i % 5,
    "two values": lambda r, u, i: np.where(r > 2, 5.0, 1.0),
    "with zeros": lambda r, u, i: r - 1,
    "negative": lambda r, u, i: -r,
    "around zero": lambda r, u, i: r - 3,
    "0 to 100": lambda r, u, i: (r - 1) * 25,
    "thirds": lambda r, u, i: r / 3,
    "times 1e-4": lambda r, u, i: r * 1e-4,
    "times 1e-12": lambda r, u, i: r * 1e-12,
    "times 1e6": lambda r, u, i: r * 1e6,
    "times 1e30": lambda r, u, i: r * 1e30,
    "times 1e300": lambda r, u, i: r * 1e300,
    "above a million": lambda r, u, i: r + 1e6,
    "one of 1e9": lambda r, u, i: np.where(np.arange(len(r)) == 4, 1e9, r),
    "the smallest numbers": lambda r, u, i: r * 5e-324,
}


@check(RATINGS, fits=True, when=lambda s: s.task in ("rating", "ranking"))
def check_units_of_ratings(s: Subject, change) -> None:
    """Whatever the scale, predictions are finite and stay near the ratings, or training says that it diverged."""
    frame = s.frame
    rng = np.random.default_rng(1)
    users, items = pd.factorize(frame.user)[0], pd.factorize(frame.item)[0]
    frame["rating"] = change(rng.integers(1, 6, len(frame)).astype(float), users, items)
    model = s.answer(lambda: s.fit(s.dataset(frame)))
    if model is not None:
        s.sane(model, frame)
        if "histories" in s.supports:
            new = frame[frame.user == frame.user.iloc[0]].assign(user="new")
            assert np.isfinite(model.score_matrix(histories=Interactions.from_frame(new))).all()


@check(
    {"all 1": 1.0, "all 0": 0.0, "one 1": "one", "one 0": "other"},
    fits=True,
    when=lambda s: s.task == "click",
)
def check_clicks(s: Subject, what) -> None:
    """Where all or none was clicked there is little to learn: finite, between 0 and 1, or refused."""
    frame = s.frame
    frame["rating"] = (
        np.where(np.arange(len(frame)) == 3, what == "one", what == "other") * 1.0
        if isinstance(what, str)
        else what
    )
    model = s.answer(lambda: s.fit(s.dataset(frame)))
    if model is not None:
        s.sane(model)
        scores = model.score_matrix()
        assert ((scores >= 0) & (scores <= 1)).all(), "a chance is not between 0 and 1"


@check(
    {"2": 2.0, "one half": 0.5, "minus 1": -1.0, "1.0000001": 1.0000001},
    fits=True,
    when=lambda s: s.task == "click",
)
def check_what_is_no_click(s: Subject, value) -> None:
    """A click is 0 or 1."""
    frame = s.frame
    frame.loc[5, "rating"] = value
    s.refused(lambda: s.fit(s.dataset(frame)), ValueError, words=("rating",))


@check({"once": 1, "five times": 5, "with another rating": -1, "all rows": 0}, fits=True)
def check_repeated_pairs(s: Subject, times) -> None:
    """Pairs that were kept twice: refused by models of ratings, which would count a vote twice; events for others."""
    frame = s.frame
    again = frame if times == 0 else pd.concat([frame.iloc[3:4]] * abs(times))
    if "timestamp" in frame:
        again = again.assign(timestamp=frame.timestamp.max() + 1 + np.arange(len(again)))
    if times == -1 and "rating" in frame:
        again = again.assign(rating=1 - again.rating if s.task == "click" else 6 - again.rating)
    double = pd.concat([frame, again], ignore_index=True)
    s.refused(lambda: s.dataset(double), ValueError, words=("on_duplicate",))
    if s.task == "rating":
        s.refused(lambda: s.fit(s.dataset(double, on_duplicate="keep")), ValueError, words=("on_duplicate",))
        return
    model = s.answer(lambda: s.fit(s.dataset(double, on_duplicate="keep")))
    if model is not None:
        s.sane(model)
        good = model.recommend(k=99)
        assert not [
            1 for u, i in zip(good.user.tolist(), good.item.tolist(), strict=True) if i in s.seen[u]
        ], "seen"


@check({"the same twice": 0, "an older one before": -1}, fits=True, when=has("timestamp"))
def check_the_last_of_repeated_pairs(s: Subject, shift) -> None:
    """`on_duplicate="last"` keeps the latest row: then nothing has changed."""
    frame = s.frame
    older = frame.iloc[[3, 9]]
    older = older.assign(timestamp=older.timestamp + shift)
    if "rating" in frame and shift:
        older = older.assign(rating=0.0)
    rows = pd.concat([frame.iloc[:4], older.iloc[:0], frame.iloc[4:], older if not shift else older.iloc[:0]])
    if shift:  # older rows at the end: time decides, not place, and everybody is known before
        rows = pd.concat([frame, older])
        frame_model = s.fit(s.dataset(rows, on_duplicate="last"))
        s.same_scores(frame_model)
        return
    model = s.fit(s.dataset(rows, on_duplicate="last"))
    assert len(s.dataset(rows, on_duplicate="last")) == len(frame)
    s.sane(model)


# ---------------------------------------------------------------- what is not data


@check(
    {
        "None": lambda s: None,
        "a list": lambda s: [("a", 1, 2.0)],
        "an array": lambda s: np.ones((3, 3)),
        "a path": lambda s: "ratings.csv",
        "a dict": lambda s: {"user": [1], "item": [2]},
        "the class": lambda s: Interactions,
    },
    fits=True,
)
def check_what_is_no_data(s: Subject, bad) -> None:
    """`fit` takes Interactions, a Dataset or a table, and says how to make them."""
    s.refused(lambda: s.fit(bad(s)), TypeError, words=("Interactions",))


@check(when=lambda s: not s.model.needs, fits=True)
def check_a_table_is_taken(s: Subject, _) -> None:
    """A table with the usual names of columns is what `Interactions.from_frame` makes of it."""
    one, other = s.fit(s.frame), s.fit(Interactions.from_frame(s.frame))
    near(one.score_matrix(), other.score_matrix())


@check(when=lambda s: s.task in ("rating", "click"), fits=True)
def check_train_without_ratings(s: Subject, _) -> None:
    """Who learns from ratings needs them."""
    s.refused(lambda: s.fit(s.dataset(s.frame.drop(columns="rating"))), ValueError, words=("rating",))


@check(when=lambda s: bool(s.model.needs), fits=True)
def check_train_without_tables(s: Subject, _) -> None:
    """Who needs a side table, or a column of it, says which."""
    for side, columns in s.model.needs.items():
        tables: dict[str, Any] = {"users": s.data.users, "items": s.data.items}
        s.refused(
            lambda t=tables | {side: None}: s.fit(Dataset(s.data.interactions, **t)),
            ValueError,
            words=(side,),
        )
        for column in columns:
            less = tables | {side: tables[side].drop(columns=column)}
            s.refused(lambda t=less: s.fit(Dataset(s.data.interactions, **t)), ValueError, words=(column,))


@check(each("in another order", "more rows", "more columns", "an index of objects"), fits=True)
def check_side_tables(s: Subject, what) -> None:
    """A side table is read by its ids, whatever else is in it. (Warm items stand in its order.)"""
    tables = {}
    for side in ("users", "items"):
        table = getattr(s.data, side)
        if table is None:
            return
        if what == "in another order":
            known = table.index.isin(getattr(s, side))
            table = pd.concat([table[known][::-1], table[~known]])
        elif what == "more rows" and "warm_items" not in s.supports:
            more = table.iloc[:3].set_axis(
                ["x1", "x2", "x3"] if isinstance(table.index[0], str) else [-1, -2, -3]
            )
            table = pd.concat([table, more])
        elif what == "more columns":
            table = table.assign(users=1, rating=np.nan, words=np.resize(WORDS, len(table)))
        elif what == "an index of objects":
            table = table.set_axis(table.index.astype(object))
        tables[side] = table
    s.same_scores(s.fit(Dataset(s.data.interactions, **tables)))
