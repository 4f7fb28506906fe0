"""Who met what, when, and how it was rated."""

from __future__ import annotations

import importlib.util
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from recbook.interactions._columns import read_column
from recbook.interactions._ids import IdIndex, Places, as_ids, plain, read_ids, series, together
from recbook.interactions._tables import as_frame, made_by

DUPLICATES = ("raise", "last", "mean", "keep")
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
    if TYPE_CHECKING:  # made of the columns by `_checked` and `take`; no fields, for nobody gives them
        user_codes: np.ndarray = field(init=False)
        item_codes: np.ndarray = field(init=False)
        _user_index: IdIndex = field(init=False)
        _item_index: IdIndex = field(init=False)

    @classmethod
    def from_frame(
        cls,
        df,
        user: str = "user",
        item: str = "item",
        rating: str | None = "rating",
        timestamp: str | None = "timestamp",
        on_duplicate: str = "raise",
        scale: tuple[float, float] | None = None,
    ) -> Interactions:
        """Interactions of a table; every column is checked here, once, and all that is wrong is said together.

        df : one row a meeting: a DataFrame of pandas or Polars, or of another library that narwhals reads, a
            pyarrow.Table, or whatever gives an Arrow stream (`__arrow_c_stream__`). `user` and `item` name columns
            that must exist; `rating` and `timestamp` columns may be absent where their names are the defaults.
        on_duplicate : what to do where a pair stands more than once: "raise", keep the "last" row
            (latest timestamp, else latest row), "mean" (of the ratings, at the last row's place), or
            "keep" all, for events: who clicks twice clicked twice.
        scale : (lowest, highest) rating that there can be; None takes any. It is stated, never guessed.

        Nothing is repaired here: `preprocessing.clean` does that, and says what it dropped.

        Raises
        ------
        ValueError
            for a missing column, an empty table, missing or mixed ids, a rating that is NaN, infinite or outside
            the scale, times that are text, duplicates; with the column, the first bad row (its number, and its
            label where the table has an index of its own) and the remedy. Where several things are wrong, it
            lists them all.
        TypeError
            where `df` is no table.
        """
        df = as_frame(df, "df")
        if on_duplicate not in DUPLICATES:
            raise ValueError(f"`on_duplicate` is {on_duplicate!r}; choose one of {DUPLICATES}")
        check_scale(scale)
        optional = {"rating": rating, "timestamp": timestamp}
        asked = {"user": user, "item": item} | optional
        asked = {
            parameter: name
            for parameter, name in asked.items()
            if parameter not in optional or name is not None
        }
        if not df.columns.is_unique:
            double = df.columns[df.columns.duplicated()][0]
            raise ValueError(f"column `{double}` stands more than once in the table; keep one of each name")
        faults = [
            f"`{parameter}={name!r}`: the table has no column of that name; it has {list(df.columns)}"
            for parameter, name in asked.items()
            if name not in df.columns and not (parameter in optional and name == parameter)
        ]
        if not len(df):
            raise together(faults or ["the table is empty; at least one interaction is needed"])
        if scale is not None and (rating is None or rating not in df.columns) and not faults:
            faults.append(
                f"`scale={scale!r}` is of ratings, and the table has no column of them; name it: rating=..."
            )
        named = {parameter: name for parameter, name in asked.items() if name in df.columns}
        x, more = cls._read(
            {f"{parameter}s": df[name] for parameter, name in named.items()},
            {f"{parameter}s": name for parameter, name in named.items()},
            {c: df[c].to_numpy() for c in df.columns if c not in named.values()},
            scale,
        )
        faults += more
        places = Places(df)
        if on_duplicate == "raise" and {"user", "item"} <= set(named):
            again = _pairs_again(df[user], df[item]) if x is None else x._repeats()
            if again.any():
                row = int(again.argmax())
                one, other = plain(df[user].iloc[row]), plain(df[item].iloc[row])
                faults.append(_stands_twice(places(row), one, other, int(again.sum())))
        if faults:
            raise together(faults)
        assert x is not None
        return x._without_duplicates(on_duplicate)

    @classmethod
    def from_csv(
        cls, path: str | os.PathLike, *, separator: str = ",", text_ids: bool = False, **columns
    ) -> Interactions:
        """Interactions of a text file whose first line names the columns.

        Ids are numbers where all of a column are written as one writes whole numbers, and else text, as they stand:
        007, NA and 1e5 are text. Further columns are what `pandas.read_csv` makes of them.

        path : a file, or an address that pandas reads;  separator : between two columns
        text_ids : True takes ids as text always, so that files of which only some have all-digit ids agree
        columns : user, item, rating, timestamp, on_duplicate and scale, as in `from_frame`

        Raises ValueError where a row has more fields than names, and what `from_frame` raises.
        """
        ids = [columns.get(name, name) for name in ("user", "item")]
        # The first pass reads ids as they are written; what is missing is missing in a column of ids alone.
        as_written = {"dtype": dict.fromkeys(ids, str), "keep_default_na": False}
        quick = len(separator) == 1 or separator == r"\s+"
        engine = {"engine": "c", "low_memory": False} if quick else {"engine": "python"}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # more fields than names
                table = pd.read_csv(path, sep=separator, index_col=False, **engine, **as_written)
        except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
            raise ValueError(
                f"{path} is no table of columns parted by {separator!r}: {error}; name another `separator`, or mend it"
            ) from error
        return cls.from_frame(_with_guessed_types(table, ids, text_ids), **columns)

    @classmethod
    def from_parquet(cls, path: str | os.PathLike, **columns) -> Interactions:
        """Interactions of a Parquet file, which needs pyarrow: pip install recbook[parquet].

        columns : user, item, rating, timestamp, on_duplicate and scale, as in `from_frame`
        """
        if not importlib.util.find_spec("pyarrow"):
            raise ImportError(
                f"reading {path} needs pyarrow, which is not installed: pip install recbook[parquet]"
            )
        return cls.from_frame(pd.read_parquet(path, engine="pyarrow"), **columns)

    @classmethod
    def from_csr(cls, matrix, users=None, items=None) -> Interactions:
        """Interactions of a sparse matrix, users × items, whose entries are ratings: one row an entry, row by row.

        matrix : of scipy.sparse, of any format; an entry that is stored and 0 is a rating of 0
        users, items : ids of its rows and of its columns; None counts from 0
        """
        if not sparse.issparse(matrix) or matrix.ndim != 2 or matrix.dtype.kind not in "buif":
            raise TypeError(
                f"`matrix` is a {type(matrix).__name__}{_form(matrix)}; give users × items, of real numbers, of "
                "scipy.sparse: scipy.sparse.csr_array(...)"
            )
        entries = matrix.tocoo()
        row, column = (codes.astype(np.int64) for codes in (entries.row, entries.col))
        order = np.lexsort((column, row))
        places = (row * matrix.shape[1] + column)[order]
        if (places[1:] == places[:-1]).any():
            raise ValueError("`matrix` has an entry twice; add them up first: matrix.sum_duplicates()")
        ids = []
        for name, given, n in zip(("users", "items"), (users, items), matrix.shape, strict=True):
            found = np.arange(n) if given is None else as_ids(given, name)
            if len(found) != n:
                raise ValueError(f"`{name}` has {len(found)} ids, and `matrix` {n} of them")
            if (double := pd.Series(found).duplicated()).any():
                raise ValueError(
                    f"`{name}` has {plain(found[double][0])!r} twice; each row and column is somebody else"
                )
            ids.append(found)
        return cls(ids[0][row[order]], ids[1][column[order]], entries.data[order].astype(np.float64))

    def to_csr(self, values: str = "ratings") -> sparse.csr_array:
        """A sparse matrix, users × items, in the order of `user_ids` and `item_ids`, float64.

        values : "ratings", or "ones": then a pair counts once, however often it stands here

        Raises ValueError where there are no ratings, or two of one pair.
        """
        if values not in ("ratings", "ones"):
            raise ValueError(f"`values` is {values!r}; choose 'ratings' or 'ones'")
        if values == "ratings" and self.ratings is None:
            raise ValueError("there are no ratings; choose values='ones'")
        if values == "ratings" and self.first_repeat is not None:
            row = self.first_repeat
            raise ValueError(
                f"row {row}: user {plain(self.users[row])!r} and item {plain(self.items[row])!r} stand together more "
                "than once; choose one rating a pair: preprocessing.deduplicate, or values='ones'"
            )
        data = np.ones(len(self)) if values == "ones" else self.ratings
        places = self.user_codes, self.item_codes
        matrix = sparse.coo_array((data, places), shape=(self.n_users, self.n_items)).tocsr()
        if values == "ones":
            matrix.data[:] = 1
        return matrix

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
        x, faults = cls._read(given, called, extra)
        if faults:
            raise together(faults)
        assert x is not None
        return x

    @classmethod
    def _read(
        cls, given: Mapping, called: Mapping, extra: Mapping, scale: tuple[float, float] | None = None
    ) -> tuple[Interactions | None, list[str]]:
        """The same, and all that is wrong; where something is, None."""
        made, faults, n = {}, [], 0
        for name, values in given.items():
            if name in ("users", "items"):
                ids, wrong = read_ids(values, called[name])
                codes, distinct = pd.factorize(ids)
                made[f"{name[:-1]}_codes"] = codes.astype(np.int64, copy=False)
                made[f"_{name[:-1]}_index"] = IdIndex(distinct)
                # Strings that are equal become the same object: a row costs eight bytes, however long its id is.
                made[name] = distinct[codes] if ids.dtype == object else np.array(ids)
            else:
                times = name == "timestamps"
                found, wrong = read_column(values, called[name], None if times else scale, times=times)
                made[name] = np.array(found)
            faults += wrong
            if not faults:
                n = len(next(iter(made.values())))  # of the users, who come first
                _check_length(called[name], made[name], n)
        if faults or not {"users", "items"} <= set(given):
            return None, faults
        further = {}
        for name, values in extra.items():
            values = np.asarray(values)
            further[name] = np.array(values, values.dtype.newbyteorder("="))
            _check_length(name, further[name], n)
        return cls._made(made, further), []

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

    def to_frame(self, backend: str = "pandas"):
        """A table: user, item, rating, timestamp (those there are), then further columns.

        backend : the library whose table it is: "pandas", "polars", "pyarrow", "modin" or "cudf"

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
        table = {name: column.copy() for name, column in table.items()}
        if backend == "pandas":
            return pd.DataFrame({name: series(column) for name, column in table.items()})
        return made_by(backend, table)

    def _without_duplicates(self, on_duplicate: str) -> Interactions:
        pairs, again = self._pairs(), self._repeats()
        if on_duplicate == "keep" or not again.any():
            return self
        if on_duplicate == "raise":
            row = int(again.argmax())
            user, item = plain(self.users[row]), plain(self.items[row])
            raise ValueError(_stands_twice(f"row {row}", user, item, int(again.sum())))
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


NOT_GIVEN = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


def _with_guessed_types(table: pd.DataFrame, ids: list[str], text_ids: bool) -> pd.DataFrame:
    """Numbers instead of texts: of ids where all are whole and written plainly, of other columns as pandas does."""
    found = {}
    for name, column in table.items():
        if name in ids:
            column = column.mask(column == "", None)
            whole = not text_ids and column.str.fullmatch(r"0|-?[1-9][0-9]{0,17}").all()
            found[name] = column.astype(np.int64) if whole and column.notna().all() else column
        elif not pd.api.types.is_numeric_dtype(column):
            known = column.mask(column.isin(NOT_GIVEN), None)
            numbers = pd.to_numeric(known, errors="coerce")
            found[name] = numbers if (numbers.notna() == known.notna()).all() else known
        else:
            found[name] = column
    return pd.DataFrame(found)


def check_scale(scale) -> None:
    """Raises ValueError for what is not (lowest, highest), finite numbers."""
    if scale is None:
        return
    good = isinstance(scale, tuple | list) and len(scale) == 2
    if good and all(isinstance(one, Real) and not isinstance(one, bool) for one in scale):
        if -math.inf < scale[0] < scale[1] < math.inf:
            return
    raise ValueError(f"`scale` is {scale!r}; give the lowest and the highest rating: (1, 5)")


def _pairs_again(users: pd.Series, items: pd.Series) -> np.ndarray:
    """(n,) which rows repeat the pair of an earlier one, of columns that are no ids yet; a pair has no gap."""
    pairs = pd.DataFrame({"user": users, "item": items})
    try:
        again = pairs.duplicated().to_numpy()
    except TypeError:  # what cannot be compared, such as lists, is no id anyway
        return np.zeros(len(pairs), bool)
    return again & pairs.notna().all(axis=1).to_numpy()


def _stands_twice(place: str, user, item, n: int) -> str:
    return (
        f"{place}: user {user!r} and item {item!r} stand together more than once ({n} such rows); choose "
        "on_duplicate='last' or 'mean', or 'keep' for events"
    )


def _form(matrix) -> str:
    if not sparse.issparse(matrix):
        return ""
    return f" of shape {matrix.shape} and {matrix.dtype}"


def _check_length(name, column: np.ndarray, n: int) -> None:
    if column.shape != (n,):
        raise ValueError(
            f"column `{name}` has shape {column.shape}; give one value a row: there are {n} `users`"
        )
