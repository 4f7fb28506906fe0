"""The containers: who met what, when, and how it was rated.

`Interactions` holds one row a meeting of a user and an item. `Dataset` adds what is known about the
users and the items themselves. Both speak the caller's own ids; the integer codes 0..n-1 that
the models compute with stay inside the package (`user_codes`, `item_codes`).

Nothing is shared with the caller: what comes in is copied, and the arrays that go out are read-only.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pandas as pd

RESERVED = ("event", "weight", "session", "propensity", "position")
DUPLICATES = ("raise", "last", "mean", "keep")
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # in a second, of pandas' units of time
MAX_ID = 2**63 - 1


def frozen(array: np.ndarray) -> np.ndarray:
    """The same memory, not to be written to through what is returned."""
    view = array.view()
    view.flags.writeable = False
    return view


# ---------------------------------------------------------------- ids


class IdIndex:
    """Distinct ids in order of first appearance, and their codes 0..n-1.

    ids : array of n distinct integers or strings; kept read-only, strings as Python's own (dtype object)
    """

    def __init__(self, ids: np.ndarray):
        # Of fixed width, one long string would make all as large, and a NUL at the end of one would be lost.
        self.ids = frozen(ids.astype(object) if ids.dtype.kind == "U" else ids)
        self._index = pd.Index(self.ids, dtype=self.ids.dtype)

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self):
        # NumPy forgets on the way through pickle and deepcopy that an array is read-only.
        return IdIndex, (self.ids,)

    def codes(self, ids) -> np.ndarray:
        """Codes of `ids`, int64, -1 for an id that is not here. Shape as `ids`."""
        given, ids = ids, np.asarray(ids)
        if ids.size == 0:
            return np.zeros(ids.shape, np.int64)
        # An integer is never equal to a string: "50" is not 50.
        if (ids.dtype.kind in "iu") != (self.ids.dtype.kind in "iu"):
            return np.full(ids.shape, -1, np.int64)
        if ids.dtype.kind == "U":
            ids = np.asarray(given, dtype=object)
        flat = pd.Index(ids.ravel(), dtype=object if ids.dtype == object else None)
        return self._index.get_indexer(flat).astype(np.int64).reshape(ids.shape)

    def extended(self, ids: np.ndarray, kind: str) -> IdIndex:
        """This index with those of `ids` that are new joined at the end, in their order.

        kind : "user" or "item", for the ValueError where integers meet strings
        """
        fresh = ids[self.codes(ids) < 0]
        if len(fresh) and (fresh.dtype.kind in "iu") != (self.ids.dtype.kind in "iu"):
            raise ValueError(
                f"{kind} ids are {_kind(self.ids)} so far, and {fresh[:1].tolist()[0]!r} is {_kind(fresh)}; "
                "use one kind"
            )
        return IdIndex(np.concatenate([self.ids, fresh]) if len(fresh) else self.ids)


def _kind(ids: np.ndarray) -> str:
    return "integers" if ids.dtype.kind in "iu" else "strings"


def as_ids(values, name: str) -> np.ndarray:
    """`values` as an array of ids: int64, or Python's strings (dtype object).

    Raises
    ------
    ValueError
        where a value is missing, is not a whole number or a string, or where both kinds are mixed;
        the message has the column's name, the first bad row and the remedy.
    """
    if getattr(values, "ndim", 1) != 1:
        raise ValueError(f"`{name}` has {values.ndim} dimensions; give a plain list of ids")
    if isinstance(values, np.ndarray) and values.dtype.kind == "i":
        return values.astype(np.int64, copy=False)
    if isinstance(values, np.ndarray) and values.dtype.kind in "UT":
        values = values.astype(object)
    values = pd.Series(values).reset_index(drop=True)
    missing = values.isna().to_numpy()
    if missing.any():
        row = int(missing.argmax())
        raise ValueError(
            f"column `{name}`, row {row}: the id is missing; drop such rows first: df.dropna(subset=['{name}'])"
        )
    if isinstance(values.dtype, pd.CategoricalDtype):
        return as_ids(values.astype(values.cat.categories.dtype), name)
    if pd.api.types.is_bool_dtype(values):
        raise ValueError(f"column `{name}` holds true/false; ids are integers or strings")
    if pd.api.types.is_integer_dtype(values):
        _check_id_sizes((values > MAX_ID).to_numpy(bool), name)
        return values.to_numpy(np.int64)
    if pd.api.types.is_float_dtype(values) and len(values):
        raise ValueError(
            f"column `{name}` holds real numbers (row 0: {values.iloc[0]}); ids are integers or strings: "
            f"df['{name}'].astype(int)"
        )
    ids = values.to_numpy(dtype=object)
    kind = pd.api.types.infer_dtype(ids, skipna=False)
    if kind in ("string", "empty"):
        # NumPy's strings are a kind of Python's, but of fixed width; what goes out shall be Python's.
        return np.array([str(v) for v in ids], object) if set(map(type, ids)) - {str} else ids
    if kind == "integer":
        _check_id_sizes(np.array([not -MAX_ID <= v + 1 <= MAX_ID + 1 for v in ids.tolist()]), name)
        return ids.astype(np.int64)
    raise _no_ids(ids, name)


def _check_id_sizes(too_large: np.ndarray, name: str) -> None:
    if too_large.any():
        raise ValueError(
            f"column `{name}`, row {int(too_large.argmax())}: the id exceeds 2**63 - 1; use strings"
        )


def _no_ids(ids: np.ndarray, name: str) -> ValueError:
    """The error about the first of `ids`, objects, that is neither a string nor a whole number, or of another kind."""
    of_kind = np.array(
        [
            "string"
            if isinstance(v, str)
            else "integer"
            if isinstance(v, int | np.integer) and not isinstance(v, bool)
            else ""
            for v in ids
        ]
    )
    if (of_kind == "").any():
        row = int((of_kind == "").argmax())
        bad = ids[row]
        remedy = f"df['{name}'].astype(str)"
        if isinstance(bad, bytes | bytearray):
            remedy = f"df['{name}'].str.decode('utf-8')"
        elif isinstance(bad, float | np.floating):
            remedy = f"df['{name}'].astype(int)"
        return ValueError(
            f"column `{name}`, row {row}: {bad!r} is a {type(bad).__name__}; ids are integers or strings: {remedy}"
        )
    row = int((of_kind != of_kind[0]).argmax())
    return ValueError(
        f"column `{name}`, row {row}: {ids[row]!r} is a {type(ids[row]).__name__}, row 0 is a "
        f"{type(ids[0]).__name__}; ids are all integers or all strings: df['{name}'].astype(str)"
    )


def as_text(values, name: str) -> np.ndarray:
    """`values`, which are ids, as strings (dtype object). Raises what `as_ids` raises."""
    ids = as_ids(values, name)
    return ids if ids.dtype == object else ids.astype(str).astype(object)


def as_column(ids: np.ndarray) -> pd.Series:
    """Ids as a table's column: of text or of integers, where there are none too."""
    return pd.Series(ids, dtype=str if ids.dtype == object else ids.dtype)


def plain(value):
    """One id, taken from an array of them, as Python's own: for messages."""
    return value.item() if isinstance(value, np.generic) else value


# ---------------------------------------------------------------- ratings and times


def _first_bad(bad: np.ndarray, values: np.ndarray, name: str, what: str, remedy: str) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"column `{name}`, row {row}: {values[row]} {what}; {remedy}")


def _is_real(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)


def _series(values, name) -> pd.Series:
    if getattr(values, "ndim", 1) != 1:
        raise ValueError(f"`{name}` has {values.ndim} dimensions; give one value a row")
    return pd.Series(values).reset_index(drop=True)


def _as_ratings(column: pd.Series, name: str) -> np.ndarray:
    if not _is_real(column):
        raise ValueError(
            f"column `{name}` holds {column.dtype}, not numbers; convert it: pd.to_numeric(df['{name}'])"
        )
    ratings = column.to_numpy(np.float64, na_value=np.nan)
    _first_bad(
        np.isnan(ratings), ratings, name, "is no rating", "drop such rows: what is unknown is not a rating"
    )
    _first_bad(np.isinf(ratings), ratings, name, "is infinite", "repair or drop such rows")
    too_large = np.abs(ratings) > np.finfo(np.float32).max
    _first_bad(too_large, ratings, name, "is larger than a score of 32 bits can be", "use a larger unit")
    return ratings


def _as_timestamps(column: pd.Series, name: str) -> np.ndarray:
    missing = column.isna().to_numpy()
    _first_bad(missing, column.to_numpy(), name, "is no time", "drop such rows, or pass timestamp=None")
    if column.dtype == object:
        column = _of_objects(column, name)
    if pd.api.types.is_datetime64_any_dtype(column):
        if column.dt.tz is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return seconds(column.to_numpy())
    if not _is_real(column) or pd.api.types.is_bool_dtype(column):
        remedy = f"pd.to_datetime(df['{name}'])"
        if isinstance(column.dtype, pd.PeriodDtype):
            remedy = f"df['{name}'].dt.to_timestamp()"
        elif pd.api.types.is_timedelta64_dtype(column):
            remedy = f"df['{name}'].dt.total_seconds()"
        raise ValueError(f"column `{name}` holds {column.dtype}, not times; convert it: {remedy}")
    if pd.api.types.is_integer_dtype(column):
        too_large = (column > MAX_ID).to_numpy(bool)
        _first_bad(too_large, column.to_numpy(), name, "exceeds 2**63 - 1", "count in a larger unit")
        return column.to_numpy(np.int64)
    times = column.to_numpy(np.float64)
    _first_bad(~np.isfinite(times), times, name, "is no time", "drop such rows, or pass timestamp=None")
    whole = (times == np.floor(times)) & (np.abs(times) < 2.0**63)
    return times.astype(np.int64) if whole.all() else times


def _of_objects(column: pd.Series, name: str) -> pd.Series:
    """A column of Python's dates or whole numbers as one of datetimes or int64; another as it is."""
    dates = column.map(lambda v: isinstance(v, datetime.date | np.datetime64)).to_numpy(bool)
    if dates.all() and len(dates):
        zoned = column.map(lambda v: getattr(v, "tzinfo", None) is not None).to_numpy(bool)
        if (odd := zoned != zoned[0]).any():
            row = int(odd.argmax())
            raise ValueError(
                f"column `{name}`, row {row}: {column[row]} {'has' if zoned[row] else 'lacks'} a time zone, unlike "
                f"row 0; make them alike: pd.to_datetime(df['{name}'], utc=True)"
            )
        return pd.to_datetime(column, utc=True)
    if pd.api.types.infer_dtype(column, skipna=False) != "integer":
        return column
    too_large = np.array([not -MAX_ID <= v + 1 <= MAX_ID + 1 for v in column])
    _first_bad(too_large, column.to_numpy(), name, "exceeds 2**63 - 1", "count in a larger unit")
    return column.astype(np.int64)


def seconds(times: np.ndarray) -> np.ndarray:
    """Datetimes (n,) as seconds since 1970, exactly: int64 where all are whole, else float64.

    float64 tells microseconds apart, and nanoseconds not always: where it would lose something, the datetimes
    themselves, datetime64.
    """
    ticks = TICKS[np.datetime_data(times.dtype)[0]]
    whole, part = np.divmod(times.astype(np.int64), ticks)
    while ticks > 1 and not (part % 1000).any():
        part, ticks = part // 1000, ticks // 1000
    if ticks == 1:
        return whole
    found = whole + part / ticks
    return found if (np.rint((found - whole) * ticks) == part).all() else times


def comparable(times: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of timestamps, which may be numbers of seconds or datetimes, both as the one or as the other."""
    if (times.dtype.kind == "M") == (others.dtype.kind == "M"):
        return times, others
    return _as_datetimes(times), _as_datetimes(others)


def join_times(old: np.ndarray | None, new: np.ndarray | None) -> np.ndarray | None:
    """The timestamps of two sets of interactions, one behind the other; None where one of them has none."""
    return None if old is None or new is None else np.concatenate(comparable(old, new))


def _as_datetimes(times: np.ndarray) -> np.ndarray:
    if times.dtype.kind == "M":
        return times
    whole = np.floor(times).astype(np.int64)
    return (whole * TICKS["ns"] + np.rint((times - whole) * TICKS["ns"]).astype(np.int64)).view("M8[ns]")


# ---------------------------------------------------------------- the containers

# The fields of Interactions, and what they are called in tables.
COLUMNS = {"users": "user", "items": "item", "ratings": "rating", "timestamps": "timestamp"}


@dataclass(frozen=True, eq=False)
class Interactions:
    """One row a meeting of a user and an item. Make it with `from_frame`.

    users, items : (n,) arrays of the caller's ids, int64, or Python's strings (dtype object)
    ratings : (n,) float64, or None where nothing was rated
    timestamps : (n,) seconds since 1970, or the caller's own clock, or None: int64 where all are whole, float64
        where they are finer; datetime64 where nanoseconds were given that float64 would not tell apart
    extra : further columns by name, whatever it is; reserved names: event, weight, session, propensity, position

    All arrays are copies of what was given, and read-only. What is given here is checked like the columns of a
    table in `from_frame`, and raises what is raised there, but that a pair may stand more than once.
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray | None = None
    timestamps: np.ndarray | None = None
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        user: str = "user",
        item: str = "item",
        rating: str | None = "rating",
        timestamp: str | None = "timestamp",
        on_duplicate: str = "raise",
    ) -> Interactions:
        """Interactions of a table; every column is checked here, once.

        df : one row a meeting. `user` and `item` name columns that must exist; `rating` and
            `timestamp` columns may be absent where their names are the defaults.
        on_duplicate : what to do where a pair stands more than once: "raise", keep the "last" row
            (latest timestamp, else latest row), "mean" (of the ratings, at the last row's place), or
            "keep" all, for events: who clicks twice clicked twice.

        Raises
        ------
        ValueError
            for a missing column, an empty table, missing or mixed ids, a rating that is NaN or
            infinite, duplicates; with the column, the first bad row and the remedy.
        TypeError
            where `df` is no DataFrame.
        """
        if not isinstance(df, pd.DataFrame):
            raise TypeError(f"`df` is a {type(df).__name__}, not a DataFrame; wrap it: pd.DataFrame(...)")
        if on_duplicate not in DUPLICATES:
            raise ValueError(f"`on_duplicate` is {on_duplicate!r}; choose one of {DUPLICATES}")
        optional = {"rating": rating, "timestamp": timestamp}
        for parameter, name in {"user": user, "item": item, **optional}.items():
            if name is None and parameter in optional:
                continue
            if name not in df.columns and not (parameter in optional and name == parameter):
                raise ValueError(
                    f"`{parameter}={name!r}`: the table has no column of that name; it has {list(df.columns)}"
                )
        if not df.columns.is_unique:
            double = df.columns[df.columns.duplicated()][0]
            raise ValueError(f"column `{double}` stands more than once in the table; keep one of each name")
        if not len(df):
            raise ValueError("the table is empty; at least one interaction is needed")
        named = [name for name in (user, item, rating, timestamp) if name is not None and name in df.columns]
        x = cls._checked(
            {"users": df[user], "items": df[item]}
            | {
                place: df[name]
                for place, name in {"ratings": rating, "timestamps": timestamp}.items()
                if name in named
            },
            {"users": user, "items": item, "ratings": rating, "timestamps": timestamp},
            {c: df[c].to_numpy() for c in df.columns if c not in named},
        )
        return x._without_duplicates(on_duplicate)

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in COLUMNS}
        given = {name: column for name, column in given.items() if column is not None}
        self.__dict__.update(
            self._checked(given, dict(zip(COLUMNS, COLUMNS, strict=True)), self.extra).__dict__
        )

    @classmethod
    def _checked(cls, given: Mapping, called: Mapping, extra: Mapping) -> Interactions:
        """Of what came from outside: copied, checked and coded.

        given : name of a field → its values;  called : the same → what the caller calls it
        """
        made, n = {}, None
        for name, values in given.items():
            if name in ("users", "items"):
                ids = as_ids(values, called[name])
                codes, distinct = pd.factorize(ids)
                made[f"{name[:-1]}_codes"] = codes.astype(np.int64, copy=False)
                made[f"_{name[:-1]}_index"] = IdIndex(distinct)
                # Strings that are equal become the same object: a row costs eight bytes, however long its id is.
                made[name] = distinct[codes] if ids.dtype == object else np.array(ids)
            else:
                checked = _as_ratings if name == "ratings" else _as_timestamps
                made[name] = np.array(checked(_series(values, called[name]), called[name]))
            n = len(made["users"]) if n is None else n
            _check_length(called[name], made[name], n)
        further = {}
        for name, values in extra.items():
            values = np.asarray(values)
            further[name] = np.array(values, values.dtype.newbyteorder("="))
            _check_length(name, further[name], n)
        return cls._made(made, further)

    @classmethod
    def _made(cls, fields: Mapping, extra: Mapping) -> Interactions:
        """Of arrays that are nobody else's, checked and coded; they are made read-only."""
        x = object.__new__(cls)
        x.__dict__.update({"ratings": None, "timestamps": None} | dict(fields), extra=extra)
        x._freeze()
        return x

    def _freeze(self) -> None:
        for column in (*self.__dict__.values(), *self.extra.values()):
            if isinstance(column, np.ndarray):
                column.flags.writeable = False
        self.__dict__["extra"] = MappingProxyType(dict(self.extra))

    def __getstate__(self) -> dict:
        return self.__dict__ | {"extra": dict(self.extra)}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._freeze()

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        known = ["ratings"] * (self.ratings is not None) + ["timestamps"] * (self.timestamps is not None)
        tail = f", with {', '.join(known + [*map(str, self.extra)])}" if known or self.extra else ""
        return f"{len(self):,} interactions of {self.n_users:,} users and {self.n_items:,} items{tail}"

    @property
    def user_index(self) -> IdIndex:
        return self._user_index

    @property
    def item_index(self) -> IdIndex:
        return self._item_index

    @property
    def user_ids(self) -> np.ndarray:
        """Distinct user ids in order of first appearance, (n_users,)."""
        return self._user_index.ids

    @property
    def item_ids(self) -> np.ndarray:
        """Distinct item ids in order of first appearance, (n_items,)."""
        return self._item_index.ids

    @property
    def n_users(self) -> int:
        return len(self._user_index)

    @property
    def n_items(self) -> int:
        return len(self._item_index)

    @cached_property
    def first_repeat(self) -> int | None:
        """The first row whose user and item stand together in an earlier row; None where no pair stands twice."""
        again = self._repeats()
        return int(again.argmax()) if again.any() else None

    def _pairs(self) -> np.ndarray:
        """(n,) int64, a number for each pair of a user and an item."""
        return self.user_codes * self.n_items + self.item_codes

    def _repeats(self) -> np.ndarray:
        """(n,) which rows repeat the pair of an earlier one."""
        return pd.Series(self._pairs()).duplicated().to_numpy()

    def take(self, rows) -> Interactions:
        """The given rows, in the given order. rows : int array or boolean mask of length n."""
        fields = {name: getattr(self, name) for name in COLUMNS}
        fields = {name: column[rows] for name, column in fields.items() if column is not None}
        for side in ("user", "item"):
            codes, kept = pd.factorize(getattr(self, f"{side}_codes")[rows])
            fields[f"{side}_codes"] = codes.astype(np.int64, copy=False)
            fields[f"_{side}_index"] = IdIndex(getattr(self, f"{side}_ids")[kept])
        return self._made(fields, {name: column[rows] for name, column in self.extra.items()})

    def to_frame(self) -> pd.DataFrame:
        """A table: user, item, rating, timestamp (those there are), then further columns.

        A further column that is called like one of these, as `user` beside user="uid", is called `user_1` here.
        """
        table = {name: getattr(self, field) for field, name in COLUMNS.items()}
        table = {name: column for name, column in table.items() if column is not None}
        for name, column in self.extra.items():
            free, number = name, 0
            while free in table or (number and free in self.extra):
                number += 1
                free = f"{name}_{number}"
            table[free] = column
        # A copy of each: pandas would keep text in the memory it is given, which is read-only.
        return pd.DataFrame({name: column.copy() for name, column in table.items()})

    def _without_duplicates(self, on_duplicate: str) -> Interactions:
        pairs, again = self._pairs(), self._repeats()
        if on_duplicate == "keep" or not again.any():
            return self
        if on_duplicate == "raise":
            row = int(again.argmax())
            raise ValueError(
                f"row {row}: user {plain(self.users[row])!r} and item {plain(self.items[row])!r} stand together more "
                f"than once ({int(again.sum())} such rows); choose on_duplicate='last' or 'mean', or 'keep' for events"
            )
        order = (
            np.arange(len(self)) if self.timestamps is None else np.argsort(self.timestamps, kind="stable")
        )
        last = pd.Series(order).groupby(pairs[order], sort=False).last().to_numpy()
        kept = self.take(np.sort(last))
        if on_duplicate == "last" or self.ratings is None:
            return kept
        mean = pd.Series(self.ratings).groupby(pairs).mean()
        ratings = mean.loc[pairs[np.sort(last)]].to_numpy(copy=True)
        return self._made(kept.__dict__ | {"ratings": ratings}, kept.extra)


def _check_length(name, column: np.ndarray, n: int) -> None:
    if column.shape != (n,):
        raise ValueError(
            f"column `{name}` has shape {column.shape}; give one value a row: there are {n} `users`"
        )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions, and what is known about the users and the items.

    users, items : tables indexed by id; copies of those given
    content : name → array aligned to the item table's rows (text, images, vectors); may be large, or read from a
        disk when asked: not copied, but read-only
    links : name → table of typed edges between ids (social, knowledge)
    name, source, sha256 : what it is, where it came from, the hash of its interactions' bytes
    """

    interactions: Interactions
    users: pd.DataFrame | None = None
    items: pd.DataFrame | None = None
    content: Mapping[str, np.ndarray] = field(default_factory=dict)
    links: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    name: str = ""
    source: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.interactions, Interactions):
            raise TypeError(
                f"`interactions` is a {type(self.interactions).__name__}; make it with Interactions.from_frame(df)"
            )
        for side in ("users", "items"):
            table = getattr(self, side)
            if table is not None and not table.index.is_unique:
                double = table.index[table.index.duplicated()].tolist()[0]
                raise ValueError(
                    f"table `{side}`: id {double!r} stands more than once in its index; keep one row an id"
                )
        for name, values in self.content.items():
            if self.items is None or len(values) != len(self.items):
                rows = "no `items` table" if self.items is None else f"{len(self.items)} rows in `items`"
                raise ValueError(
                    f"content `{name}` has {len(values)} entries, but there are {rows}; align them"
                )
        self.__dict__.update(
            users=None if self.users is None else self.users.copy(),
            items=None if self.items is None else self.items.copy(),
            content={k: frozen(v) if isinstance(v, np.ndarray) else v for k, v in self.content.items()},
            links={k: v.copy() if isinstance(v, pd.DataFrame) else v for k, v in self.links.items()},
        )

    def __len__(self) -> int:
        return len(self.interactions)

    def __repr__(self) -> str:
        return f"{self.name or 'Dataset'}: {self.interactions!r}"

    def with_interactions(self, interactions: Interactions) -> Dataset:
        """The same side tables beside other interactions."""
        # Not through the constructor: the tables are ours already, and need not be copied for each split.
        beside = object.__new__(type(self))
        beside.__dict__.update(self.__dict__, interactions=as_interactions(interactions))
        return beside

    def take(self, rows) -> Dataset:
        """The given rows of the interactions; side tables travel along."""
        return self.with_interactions(self.interactions.take(rows))


def as_interactions(data) -> Interactions:
    """The interactions of a `Dataset`, or the `Interactions` themselves.

    Raises TypeError for anything else.
    """
    if isinstance(data, Dataset):
        return data.interactions
    if isinstance(data, Interactions):
        return data
    raise TypeError(
        f"expected Interactions or a Dataset, got a {type(data).__name__}; make one: Interactions.from_frame(df)"
    )
