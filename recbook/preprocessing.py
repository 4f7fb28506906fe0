"""What is done to data before a model sees them: cleaning, choosing, weighing, centring.

What is learnt here is learnt from train alone. Attributes as numbers (`MinMaxScaler`, `OneHot`,
`FeatureTable`, …) are in `recbook.features`, and can be had here as well.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TypeVar, cast

import numpy as np
import pandas as pd
from scipy import sparse

from recbook.errors import UnknownIdError
from recbook.features import (  # noqa: F401  they are asked for as preprocessing.OneHot
    FeatureTable,
    MinMaxScaler,
    MultiHot,
    OneHot,
    Ordinal,
    StandardScaler,
)
from recbook.interactions import (
    NOT_GIVEN,
    Dataset,
    IdIndex,
    Interactions,
    as_data,
    as_frame,
    as_ids,
    as_interactions,
    check_scale,
    plain,
    together,
)

Data = TypeVar("Data", Interactions, Dataset)
CENTERS = ("none", "mean", "zscore", "baseline")
REG_USER, REG_ITEM, EPOCHS = 15.0, 10.0, 10
# A difference this small beside what was subtracted is nothing but rounding: 128 units in the last place.
ROUNDING = 2.0**-45
EVENT_WEIGHTS = {"browse": 1, "click": 2, "cart": 3, "buy": 5}
AGGREGATES = ("sum", "max")
SHOWN = 5  # labels that are named for each reason to drop a row
# Digits in threes behind a comma are thousands to some and thousandths to others.
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d{1,2}")
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.]\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
ZONE = re.compile(r":.*(Z|[+-]\d\d:?\d\d)$")

# ---------------------------------------------------------------- ratings: means and biases


def shrunk_means(codes: np.ndarray, residuals: np.ndarray, n: int, reg: float) -> np.ndarray:
    """Per code the sum of its residuals over (reg + their count), (n,); 0 for a code without any.

    With reg=0 it is their mean, which for residuals that are all alike is exactly what they are.
    """
    counts = np.bincount(codes, minlength=n)
    if reg > 0:
        return np.bincount(codes, weights=residuals, minlength=n) / (reg + counts)
    one = np.zeros(n)
    one[codes] = (
        residuals  # any one of a code's: sums of what differs from it are not rounded as sums of all are
    )
    return one + np.bincount(codes, weights=residuals - one[codes], minlength=n) / np.maximum(counts, 1)


def beyond_rounding(differences: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Differences of numbers of these sizes; 0 where they are so small that rounding alone can make them."""
    return np.where(np.abs(differences) > ROUNDING * np.abs(sizes), differences, 0.0)


def fit_biases(
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    n_users: int,
    n_items: int,
    epochs: int = EPOCHS,
    reg_user: float = REG_USER,
    reg_item: float = REG_ITEM,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean, user biases (n_users,) and item biases (n_items,) that minimise the squared error plus
    reg_user Σ b_u² + reg_item Σ b_i², by alternating least squares (Koren 2010).

    users, items : (n,) codes;  ratings : (n,)
    """
    mean = ratings.mean()
    user_bias, item_bias = np.zeros(n_users), np.zeros(n_items)
    for _ in range(epochs):
        item_bias = shrunk_means(items, ratings - mean - user_bias[users], n_items, reg_item)
        user_bias = shrunk_means(users, ratings - mean - item_bias[items], n_users, reg_user)
    return mean, user_bias, item_bias


@dataclass(frozen=True, eq=False)
class Centering:
    """What a rating is expected to be before anything is known of taste: a row part plus a column part.

    Rows are users for user neighbours and items for item neighbours.

    kind : "none" (0), "mean" (the row's mean), "zscore" (the same, in units of the row's standard
        deviation), "baseline" (mean and both biases)
    mean, spread : mean and standard deviation of all ratings
    row, scale : (n_rows,);  column : (n_columns,)
    reg_row, reg_column : how strongly the biases of rows and columns are shrunk
    """

    kind: str
    mean: float
    spread: float
    row: np.ndarray
    column: np.ndarray
    scale: np.ndarray
    reg_row: float
    reg_column: float

    @staticmethod
    def regs(rows_are_users: bool) -> dict[str, float]:
        row, column = (REG_USER, REG_ITEM) if rows_are_users else (REG_ITEM, REG_USER)
        return {"reg_row": row, "reg_column": column}

    @classmethod
    def fit(
        cls, kind: str, rows, columns, ratings, n_rows: int, n_columns: int, rows_are_users: bool
    ) -> Centering:
        """rows, columns : (n,) codes;  ratings : (n,)"""
        # Who gives one rating to everything has no spread of his own; where nobody has any, units do not matter.
        blank = cls(
            kind,
            ratings.mean(),
            float(beyond_rounding(ratings.std(), np.abs(ratings).max())) or 1.0,
            np.zeros(0),
            np.zeros(n_columns),
            np.zeros(0),
            **cls.regs(rows_are_users),
        )
        if kind != "baseline":
            row, scale = blank.fit_rows(rows, columns, ratings, n_rows)
            return replace(blank, row=row, scale=scale)
        if rows_are_users:
            mean, row_bias, column_bias = fit_biases(rows, columns, ratings, n_rows, n_columns)
        else:
            mean, column_bias, row_bias = fit_biases(columns, rows, ratings, n_columns, n_rows)
        return replace(blank, row=mean + row_bias, column=column_bias, scale=np.ones(n_rows))

    def fit_rows(self, rows, columns, ratings, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Row parts and scales, (n_rows,) each, of rows that may be new; a row without ratings gets the mean."""
        one = np.ones(n_rows)
        if self.kind == "none":
            return np.zeros(n_rows), one
        if self.kind == "baseline":
            residuals = ratings - self.mean - self.column[columns]
            return self.mean + shrunk_means(rows, residuals, n_rows, self.reg_row), one
        some = np.bincount(rows, minlength=n_rows) > 0
        row = np.where(some, shrunk_means(rows, ratings, n_rows, 0.0), self.mean)
        if self.kind == "mean":
            return row, one
        off = beyond_rounding(ratings - row[rows], ratings)
        scale = np.sqrt(shrunk_means(rows, off**2, n_rows, 0.0))
        return row, np.where(scale > 0, scale, self.spread)

    def fit_columns(self, rows, columns, ratings, n_columns: int) -> np.ndarray:
        """Column parts, (n_columns,), of columns that may be new; the row parts are known."""
        if self.kind != "baseline":
            return np.zeros(n_columns)
        return shrunk_means(columns, ratings - self.row[rows], n_columns, self.reg_column)

    def remove(self, rows, columns, ratings) -> np.ndarray:
        """What is left of each rating, in units of the row's scale, (n,); exactly 0 where only rounding is left."""
        row = self.row[rows]
        left = ratings - row - self.column[columns]
        return beyond_rounding(left, np.maximum(np.abs(ratings), np.abs(row))) / self.scale[rows]

    def restore(self, rows, columns, deviations) -> np.ndarray:
        """The inverse of `remove`."""
        return self.row[rows] + self.column[columns] + self.scale[rows] * deviations

    def expected(self, rows, columns) -> np.ndarray:
        """What can be said of pairs without any neighbour, (n,); code -1 stands for an unknown row or column."""
        if self.kind == "none":
            return np.full(len(rows), self.mean)
        row = np.where(rows >= 0, np.append(self.row, self.mean)[rows], self.mean)
        return row + np.where(columns >= 0, np.append(self.column, 0.0)[columns], 0.0)


# ---------------------------------------------------------------- tables, before they become Interactions


class Cleaned(tuple[pd.DataFrame, pd.DataFrame]):
    """What `clean` gives: the pair (kept, dropped), which prints what was done.

    kept : the rows that can be used;  dropped : the others as they came, with a column `reason`
    read : what was read as something else, one sentence a column
    """

    read: list[str]

    def __new__(cls, kept: pd.DataFrame, dropped: pd.DataFrame, read: Sequence[str] = ()) -> Cleaned:
        pair = super().__new__(cls, (kept, dropped))
        pair.read = list(read)
        return pair

    def __getnewargs__(self):
        return (*self, self.read)

    @property
    def kept(self) -> pd.DataFrame:
        return self[0]

    @property
    def dropped(self) -> pd.DataFrame:
        return self[1]

    def __repr__(self) -> str:
        rows = len(self.kept) + len(self.dropped)
        lines = [f"{len(self.kept):,} of {rows:,} rows kept, {len(self.dropped):,} dropped"]
        for reason, some in self.dropped.groupby("reason", sort=False):
            labels = ", ".join(repr(plain(label)) for label in some.index[:SHOWN])
            more = ", …" if len(some) > SHOWN else ""
            lines.append(f"  {len(some):,} × {reason}: labels {labels}{more}")
        return "\n".join(lines + self.read)


def clean(
    df: pd.DataFrame,
    *,
    user: str = "user",
    item: str = "item",
    rating: str | None = "rating",
    timestamp: str | None = "timestamp",
    scale: tuple[float, float] | None = None,
    required: Sequence[str] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    duplicates: bool = True,
) -> Cleaned:
    """(kept, dropped): the rows that can be used, and the others with a column `reason`.

        columns = {"user": "customer", "item": "film", "rating": "stars", "timestamp": "when"}
        kept, dropped = clean(df, **columns, scale=(1, 5))
        dropped["reason"].value_counts()
        x = Interactions.from_frame(kept, **columns)

    user, item, rating, timestamp : what the columns are called, as in `Interactions.from_frame`; those of ratings and
        times may be absent where their names are the defaults, or None
    scale : (lowest, highest) rating that there can be; what lies outside is dropped
    required : columns in which nothing may be missing (or infinite); None: the four above, those there are
    ranges : column → (lowest, highest) that is possible, as `scale` for any column; what lies outside is no rating
        or no time. None: nothing is called an outlier. A range is stated, never guessed from the data.
    duplicates : drop rows that repeat an earlier one in every column, as it was read. The same pair with another
        rating is no repeat but a second opinion: see `deduplicate`.

    What can be read in one way alone is read. Ids lose the blanks around them, an empty one is missing, and ids that
    are real numbers only because some are missing become whole again. Ratings and times that are text become numbers,
    "4,5" too, but not "1,234"; times that are text in the form of ISO 8601, as "2024-01-31 18:30", become datetimes,
    those without a zone as UTC. "31/01/24" is dropped, for nobody can tell which of its numbers is the month.

    A row stands in `dropped` once, as it came, with the first reason that applies. Both tables keep the order, the
    index and the columns of `df`. The pair prints what was dropped, by label, and what was read as something else.

    Missing ratings cannot be filled in here. That nobody rated is itself information, and whatever number
    would be written there (0, a mean) is a claim about taste: a model's task, not a cleaner's. A matrix
    filled with means is learnt as if everybody had judged everything.

    Raises
    ------
    ValueError
        for columns that are not there, a range of a column without numbers or turned round, or where
        nothing is left.
    TypeError
        where `df` is no DataFrame.
    """
    df = as_frame(df, "df")
    if "reason" in df.columns:
        raise ValueError(
            "the table has a column `reason`, which `dropped` needs; rename it: df.rename(columns=...)"
        )
    if not df.columns.is_unique:
        double = df.columns[df.columns.duplicated()][0]
        raise ValueError(f"column `{double}` stands more than once in the table; keep one of each name")
    check_scale(scale)
    asked = {"user": user, "item": item, "rating": rating, "timestamp": timestamp}
    named = {role: name for role, name in asked.items() if name in df.columns}
    _check_columns(df, asked, named, required, ranges or {}, scale)
    if required is None:
        required = list(named.values())
    limits = list((ranges or {}).items())
    if scale is not None:
        limits.insert(0, (named["rating"], (scale[0], scale[1])))
    reason, said = np.full(len(df), "", dtype=object), list[str]()

    def drop(rows: np.ndarray, why: str) -> None:
        reason[rows & (reason == "")] = why

    found, unread = {}, {}
    for role, name in named.items():
        found[name], unread[name], words = READERS[role](df[name])
        said += [f"`{name}`: {word}" for word in words]
    read = _with_columns(df, found)
    for name in [*named.values(), *(name for name in required if name not in named.values())]:
        no = unread.get(name, np.zeros(len(df), bool))
        if name in required:
            drop(read[name].isna().to_numpy() & ~no, f"{name} missing")
        drop(no, f"{name} is no {'number' if name == named.get('rating') else 'time that is certain'}")
        if name in required and pd.api.types.is_float_dtype(read[name]):
            drop(np.isinf(read[name].to_numpy(np.float64, na_value=np.nan)), f"{name} infinite")
    for name, (low, high) in limits:
        column = read[name]
        if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column):
            raise ValueError(
                f"column `{name}` holds {column.dtype}, not numbers; convert it: pd.to_numeric(df['{name}'])"
            )
        if not low <= high:
            raise ValueError(f"`ranges[{name!r}]` is {(low, high)}; give (lowest, highest)")
        drop((column < low).fillna(False).to_numpy(bool), f"{name} below {low}")
        drop((column > high).fillna(False).to_numpy(bool), f"{name} above {high}")
    if duplicates:
        drop(read.duplicated().to_numpy(), "repeats an earlier row")
    kept = reason == ""
    if not kept.any():
        counts = pd.Series(reason).value_counts().to_dict() or "the table is empty"
        raise ValueError(
            f"nothing is left after cleaning: {counts}; look at the columns, at `scale` and at `ranges`"
        )
    table = read[kept]
    for name in dict.fromkeys((user, item)):
        whole = _whole_again(table[name]) if name in named.values() else None
        if whole is not None:
            table = _with_columns(table, {name: whole})
            said.append(f"`{name}`: real numbers read as whole ones")
    return Cleaned(table, df[~kept].assign(reason=reason[~kept]), said)


def _check_columns(df, asked: Mapping, named: Mapping, required, ranges: Mapping, scale) -> None:
    """Raises one ValueError about all columns that are asked for and are not there."""
    has = f"it has {list(df.columns)}"
    faults = []
    for role, name in asked.items():
        if role in named or (
            name in (None, role) and (role in ("rating", "timestamp") or required is not None)
        ):
            continue
        faults.append(
            f"the table has no column `{name}`; {has}: name the one of {role}s, clean(df, {role}=...)"
            if name == role
            else f"`{role}={name!r}`: the table has no column of that name; {has}"
        )
    for name in [*(required or []), *ranges]:
        if name not in df.columns:
            faults.append(f"the table has no column `{name}`; {has}")
    if scale is not None and "rating" not in named:
        faults.append(
            f"`scale={scale!r}` is of ratings, and the table has no column of them; name it: rating=..."
        )
    if faults:
        raise together(faults)


# Each gives the column as it is read, which rows cannot be read, and what it did.
Reading = tuple[pd.Series, np.ndarray, list[str]]


def _texts(column: pd.Series) -> np.ndarray:
    """(n,) which values are text."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return np.zeros(len(column), bool)
    return column.map(lambda value: isinstance(value, str)).to_numpy(bool)


def _stripped(column: pd.Series, nothing: Sequence[str]) -> pd.Series:
    """Objects: texts without blanks around them, and None for what says that nothing is given."""
    values = [value.strip() if isinstance(value, str) else value for value in column.tolist()]
    values = [None if isinstance(value, str) and value in nothing else value for value in values]
    return pd.Series(values, index=column.index, dtype=object)


def _read_ids(column: pd.Series) -> Reading:
    texts, readable = _texts(column), np.zeros(len(column), bool)
    if not texts.any() or isinstance(column.dtype, pd.CategoricalDtype):
        return column, readable, []
    found = _stripped(column, [""])
    changed = int((found[texts].to_numpy(object) != column[texts].to_numpy(object)).sum())
    if not changed:
        return column, readable, []
    return found, readable, [f"blanks taken off {_of(changed, 'id')}"]


def _read_ratings(column: pd.Series) -> Reading:
    texts = _texts(column)
    if not texts.any():
        return column, np.zeros(len(column), bool), []
    given = _stripped(column, NOT_GIVEN)
    comma = given.map(lambda value: isinstance(value, str) and bool(DECIMAL_COMMA.fullmatch(value)))
    given = given.where(
        ~comma, given.map(lambda value: value.replace(",", ".") if isinstance(value, str) else value)
    )
    found = pd.to_numeric(given, errors="coerce").astype(np.float64)
    unread = (given.notna() & found.isna()).to_numpy()
    n = int((texts & found.notna().to_numpy()).sum())
    commas = f", {int(comma.sum()):,} of them with a decimal comma" if comma.any() else ""
    return found, unread, [f"{_of(n, 'text')} read as numbers{commas}"] if n else []


def _read_times(column: pd.Series) -> Reading:
    texts = _texts(column)
    if not texts.any():
        return column, np.zeros(len(column), bool), []
    given = _stripped(column, NOT_GIVEN)
    there = given.notna().to_numpy()
    numbers = pd.to_numeric(given, errors="coerce")
    if (numbers.notna().to_numpy() == there).all():  # what a file of texts has where the clock counts seconds
        return (
            numbers,
            np.zeros(len(column), bool),
            [f"{_of(int((texts & there).sum()), 'text')} read as numbers"],
        )
    written = given.map(lambda value: isinstance(value, str) and bool(ISO_8601.fullmatch(value)))
    stamps = given.map(lambda value: isinstance(value, datetime.date | np.datetime64))
    found = pd.to_datetime(given.where(written | stamps, None), format="ISO8601", errors="coerce", utc=True)
    zoned = given[written].map(lambda value: bool(ZONE.search(value))).to_numpy(bool)
    n = int((written & found.notna()).sum())
    word = f"{_of(n, 'text')} read as times"
    if zoned.any() and not zoned.all():
        word += f", the {int((~zoned).sum()):,} without a zone as UTC"
    if not zoned.any():
        found = found.dt.tz_localize(None)
    return found, there & found.isna().to_numpy(), [word] if n else []


READERS = {"user": _read_ids, "item": _read_ids, "rating": _read_ratings, "timestamp": _read_times}


def _with_columns(table: pd.DataFrame, columns: Mapping) -> pd.DataFrame:
    """A table with other columns of the same names, which need not be texts as those of `assign` are."""
    found = table.copy(deep=False)
    for name, column in columns.items():
        found[name] = column
    return found


def _whole_again(ids: pd.Series) -> pd.Series | None:
    """Ids that are real numbers because some were missing, as whole ones; None where they are anything else."""
    if not pd.api.types.is_float_dtype(ids) or ids.isna().any():
        return None
    values = ids.to_numpy(np.float64)
    if not (np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2.0**53)).all():
        return None
    return ids.astype(np.int64)


def _of(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


# ---------------------------------------------------------------- Interactions in, Interactions out


def deduplicate(x: Data, keep: str = "last") -> Data:
    """One row a pair of user and item.

    keep : "last" (latest timestamp, else latest row), or "mean" (of the ratings, at the last row's place)

    Events are not duplicates of each other: see `weigh_events`. Raises ValueError for another `keep`.
    """
    if keep not in ("last", "mean"):
        raise ValueError(f"`keep` is {keep!r}; choose 'last' or 'mean'")
    return _replaced(x, as_interactions(x)._without_duplicates(keep))


def k_core(x: Data, user: int = 5, item: int = 5) -> Data:
    """The largest part in which each user met at least `user` items, and each item at least `item` users.

    To drop an item may leave a user with too few, and so on: both are dropped until nothing changes.
    A pair that stands several times counts once; all its rows stay or go together.

    Raises ValueError for counts below 0, or where nothing remains.
    """
    for name, value in {"user": user, "item": item}.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
            raise ValueError(f"`{name}` is {value!r}; give a whole number, at least 0")
    x = as_data(x)
    inside = as_interactions(x)
    row_of_pair, pair = np.unique(inside.user_codes * inside.n_items + inside.item_codes, return_inverse=True)
    users, items = np.divmod(row_of_pair, inside.n_items)
    alive, before = np.ones(len(users), bool), -1
    while before != alive.sum():
        before = alive.sum()
        alive &= np.bincount(users[alive], minlength=inside.n_users)[users] >= user
        alive &= np.bincount(items[alive], minlength=inside.n_items)[items] >= item
    if not alive.any():
        most = np.bincount(users).max(initial=0), np.bincount(items).max(initial=0)
        raise ValueError(
            f"no row is in the core of user={user}, item={item}; ask for less: here a user has at most {most[0]} "
            f"items, an item at most {most[1]} users"
        )
    return x.take(alive[pair])


def implicit_from_explicit(x: Data, threshold: float) -> Data:
    """The rows rated `threshold` or higher, as likes: without ratings.

    What was rated lower becomes unknown, like everything never met: this throws information away, and is
    done to compare with models that know of likes only.

    Raises ValueError where there are no ratings, or none so high.
    """
    ratings = _ratings(as_interactions(x), "implicit_from_explicit")
    liked = ratings >= threshold
    if not liked.any():
        raise ValueError(
            f"`threshold` is {threshold!r}; no rating is so high: they reach {ratings.max()}; lower it"
        )
    return _replaced(x, replace(as_interactions(x).take(liked), ratings=None))


def weigh_events(x: Data, weights: Mapping[str, float] | None = None, aggregate: str = "sum") -> Data:
    """One row a pair, with a column `weight`: x_ui = Σ or max of weights[event] over the events of u and i.

    weights : kind of event → its weight, in a column `event`; None: EVENT_WEIGHTS. That a purchase
        is worth five looks is an assumption, to be chosen on validation data.
    aggregate : "sum" (who looks often is interested) or "max" (the furthest step counts)

    Rows stand where the pair first stood; a timestamp is the pair's latest. Ratings and other
    columns are left out. A pair without a row is unknown, not disliked (Hu, Koren and Volinsky, ICDM 2008).

    Raises ValueError where there is no column `event`, an event has no weight, or a weight is not finite.
    """
    weights = EVENT_WEIGHTS if weights is None else dict(weights)
    inside = as_interactions(x)
    if "event" not in inside.extra:
        raise ValueError(
            "there is no column `event`; let it travel along: Interactions.from_frame(df, on_duplicate='keep')"
        )
    if aggregate not in AGGREGATES:
        raise ValueError(f"`aggregate` is {aggregate!r}; choose one of {AGGREGATES}")
    for event, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, Real) or not np.isfinite(weight):
            raise ValueError(f"`weights[{event!r}]` is {weight!r}; give a finite number")
    events = pd.Series(inside.extra["event"])
    value = events.map(weights)
    if value.isna().any():
        row = int(value.isna().argmax())
        raise ValueError(
            f"column `event`, row {row}: {events[row]!r} has no weight; `weights` knows {list(weights)}: add it, or "
            "drop such rows"
        )
    table = pd.DataFrame(
        {"pair": inside.user_codes * inside.n_items + inside.item_codes, "weight": value.astype(float)}
    )
    if inside.timestamps is not None:
        table["timestamp"] = inside.timestamps
    groups = table.groupby("pair", sort=False)
    first = np.flatnonzero(~table["pair"].duplicated())
    one = Interactions(
        inside.users[first],
        inside.items[first],
        timestamps=None if inside.timestamps is None else groups["timestamp"].max().to_numpy(),
        extra={"weight": groups["weight"].agg(aggregate).to_numpy()},
    )
    return _replaced(x, one)


def interaction_matrix(
    x: Interactions | Dataset, values: str | None = None, *, users=None, items=None
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """(X, known): users × items as scipy CSR; X_ui is the value, and known_ui says whether there is one.

    Where `known` is false X reads 0, and this 0 means unknown: not a rating, not a dislike. A rating
    of 0 is stored, and known. Never compute a mean over X without `known`.

    values : "rating", "weight" or another column of numbers, or "one"; None: the first that there is of
        rating and weight, else "one"
    users, items : ids of rows and columns; None: x.user_ids, x.item_ids. Give those of train to align test.

    Returns X float64 and known bool, both (n_users, n_items), with the same stored places, columns in order.

    Raises ValueError where a pair stands twice, or for another column; UnknownIdError for an id of x that
    is not among `users` or `items`.
    """
    inside = as_interactions(x)
    if values is None:
        values = "rating" if inside.ratings is not None else "weight" if "weight" in inside.extra else "one"
    column = _values(inside, values)
    places = []
    for side, ids in (("user", users), ("item", items)):
        mine = getattr(inside, f"{side}s")
        index = (
            getattr(inside, f"{side}_index") if ids is None else IdIndex(pd.unique(as_ids(ids, f"{side}s")))
        )
        codes = index.codes(mine)
        if (codes < 0).any():
            raise UnknownIdError(
                f"{side} {plain(mine[(codes < 0).argmax()])!r} is not among `{side}s`; leave it out of x"
            )
        places.append((codes, len(index)))
    (u, n_users), (i, n_items) = places
    double = pd.Series(u * n_items + i).duplicated().to_numpy()
    if double.any():
        row = int(double.argmax())
        raise ValueError(
            f"row {row}: user {plain(inside.users[row])!r} and item {plain(inside.items[row])!r} stand together "
            "more than once; use deduplicate(x) or weigh_events(x) first"
        )
    order = np.lexsort((i, u))
    starts = np.concatenate([[0], np.cumsum(np.bincount(u, minlength=n_users))])
    shape = (n_users, n_items)
    X = sparse.csr_array((column[order], i[order], starts), shape=shape)
    return X, sparse.csr_array((np.ones(len(inside), bool), i[order], starts), shape=shape)


def _values(x: Interactions, name: str) -> np.ndarray:
    if name == "one":
        return np.ones(len(x))
    if name == "rating":
        return _ratings(x, "interaction_matrix")
    if name not in x.extra or not pd.api.types.is_numeric_dtype(x.extra[name]):
        raise ValueError(
            f"`values` is {name!r}; there is no such column of numbers; x has {['one', *x.to_frame()]}"
        )
    return np.asarray(x.extra[name], np.float64)


def _ratings(x: Interactions, who: str) -> np.ndarray:
    if x.ratings is None:
        raise ValueError(f"{who} needs ratings; name their column: Interactions.from_frame(df, rating=...)")
    return x.ratings


def _replaced(x: Data, inside: Interactions) -> Data:
    return cast("Data", x.with_interactions(inside) if isinstance(x, Dataset) else inside)
