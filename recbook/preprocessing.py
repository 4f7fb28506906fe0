"""What is done to data before a model sees them: cleaning, choosing, weighing, centring.

What is learnt here is learnt from train alone. Attributes as numbers (`MinMaxScaler`, `OneHot`,
`FeatureTable`, …) are in `recbook.features`, and can be had here as well.
"""

from __future__ import annotations

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
    Dataset,
    IdIndex,
    Interactions,
    as_data,
    as_frame,
    as_ids,
    as_interactions,
    plain,
)

Data = TypeVar("Data", Interactions, Dataset)
CENTERS = ("none", "mean", "zscore", "baseline")
REG_USER, REG_ITEM, EPOCHS = 15.0, 10.0, 10
# A difference this small beside what was subtracted is nothing but rounding: 128 units in the last place.
ROUNDING = 2.0**-45
EVENT_WEIGHTS = {"browse": 1, "click": 2, "cart": 3, "buy": 5}
AGGREGATES = ("sum", "max")

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


def clean(
    df: pd.DataFrame,
    *,
    required: Sequence[str] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    duplicates: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(kept, dropped): the rows that can be used, and the others with a column `reason`.

        kept, dropped = clean(df, ranges={"rating": (1, 5)})
        dropped["reason"].value_counts()

    required : columns in which nothing may be missing (or infinite); None: those of user, item, rating and
        timestamp that there are
    ranges : column → (lowest, highest) that is possible; what lies outside is no rating or no time.
        None: nothing is called an outlier. A range is stated, never guessed from the data.
    duplicates : drop rows that repeat an earlier one in every column. The same pair with another rating
        is no repeat but a second opinion: see `deduplicate`.

    A row stands in `dropped` once, with the first reason that applies. Both tables keep the order and the
    index of `df`.

    Missing ratings cannot be filled in here. That nobody rated is itself information, and whatever number
    would be written there (0, a mean) is a claim about taste: a model's task, not a cleaner's. A matrix
    filled with means is learnt as if everybody had judged everything.

    Raises
    ------
    ValueError
        for a column that is not there, a range of a column without numbers or turned round, or where
        nothing is left.
    TypeError
        where `df` is no DataFrame.
    """
    df = as_frame(df, "df")
    if "reason" in df.columns:
        raise ValueError(
            "the table has a column `reason`, which `dropped` needs; rename it: df.rename(columns=...)"
        )
    if required is None:
        required = [name for name in ("user", "item", "rating", "timestamp") if name in df.columns]
    reason = np.full(len(df), "", dtype=object)

    def drop(rows: np.ndarray, why: str) -> None:
        reason[rows & (reason == "")] = why

    for name in [*required, *(ranges or {})]:
        if name not in df.columns:
            raise ValueError(f"the table has no column `{name}`; it has {list(df.columns)}")
    for name in required:
        drop(df[name].isna().to_numpy(), f"{name} missing")
        if pd.api.types.is_float_dtype(df[name]):
            drop(np.isinf(df[name].to_numpy(np.float64, na_value=np.nan)), f"{name} infinite")
    for name, (low, high) in (ranges or {}).items():
        if not pd.api.types.is_numeric_dtype(df[name]) and not pd.api.types.is_datetime64_any_dtype(df[name]):
            raise ValueError(
                f"column `{name}` holds {df[name].dtype}, not numbers; convert it: pd.to_numeric(df['{name}'])"
            )
        if not low <= high:
            raise ValueError(f"`ranges[{name!r}]` is {(low, high)}; give (lowest, highest)")
        drop((df[name] < low).fillna(False).to_numpy(bool), f"{name} below {low}")
        drop((df[name] > high).fillna(False).to_numpy(bool), f"{name} above {high}")
    if duplicates:
        drop(df.duplicated().to_numpy(), "repeats an earlier row")
    kept = reason == ""
    if not kept.any():
        counts = pd.Series(reason).value_counts().to_dict() or "the table is empty"
        raise ValueError(f"nothing is left after cleaning: {counts}; look at the columns and at `ranges`")
    return df[kept], df[~kept].assign(reason=reason[~kept])


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
