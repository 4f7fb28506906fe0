"""Neighbours: what both wings share, which ratings a prediction looks at (chapter `neighbors`).

A neighbour model has rows and columns: users and items for user neighbours, items and users for item
neighbours. To predict row x at column y it takes the rows that have a rating in column y, keeps the k
most similar to x, and averages what they gave.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from recbook.core import blocks, memory
from recbook.core.ragged import Ragged, blocks_by_length
from recbook.preprocessing import CENTERS, Centering, beyond_rounding, shrunk_means
from recbook.recommender import Coded, Recommender, choice, device, number, whole

SIMILARITIES = ("cosine", "pearson", "adjusted_cosine", "msd", "jaccard", "pearson_baseline")
# Smaller blocks take more memory, not less: pieces below 32 MiB stay with the C library when they are freed.
ROWS_PER_BLOCK = 1024
ROWS_AT_ONCE = 2048  # a table this small is compared with itself in one piece, which halves the work
CELLS_AT_ONCE = 2**25  # of a table that is filled out, or of similarities that are made for one question
CELLS_KEPT = (
    2**28
)  # of similarities of all rows: 2 GiB, 16,384 rows; those of more rows are made when asked for
# Similarities that are equal in theory differ in the last bits, and each framework has bits of its own. So they are
# compared by their first 30 bits, x = s·SPLIT - (s·SPLIT - s) (Dekker 1971), and of equals the row that came first is
# nearer: the order is that of x (1 - row·STEP), for which float64 has just the room.
SPLIT, STEP, MOST_ROWS = 2.0**23 + 1, 2.0**-52, 2**21


class Ratings:
    """A sparse table of ratings: the cells (rows, columns) and their values.

    rows, columns : (n,) codes;  values : (n,) float64;  shape : (n_rows, n_columns)
    counts : (n_rows,) float64, how many ratings each row has; where columns were left out, with those
    """

    def __init__(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        values: np.ndarray,
        shape: tuple[int, int],
        counts: np.ndarray | None = None,
    ):
        self.rows, self.columns, self.values, self.shape = rows, columns, values, shape
        self.counts = np.bincount(rows, minlength=shape[0]).astype(float) if counts is None else counts

    @cached_property
    def exact(self) -> bool:
        """Whether sums of products over a row are exact in float32: halves of whole numbers, small enough."""
        largest = np.abs(self.values).max(initial=0)
        if largest > 2**11 or 4 * self.shape[1] * largest**2 >= 2**24:
            return False
        doubled = 2 * self.values
        return bool((doubled == np.rint(doubled)).all())

    @property
    def is_small(self) -> bool:
        return self.shape[0] <= ROWS_AT_ONCE and self.shape[0] * self.shape[1] <= CELLS_AT_ONCE

    def dense(self, exact: bool) -> tuple[np.ndarray, np.ndarray]:
        """The table as two rectangles: the values, 0 where there is none, and the mask of what is there.

        float32 where no sum can be rounded, float64 where one could: the wings then agree to the last tie.
        """
        values, mask = np.zeros((2, *self.shape), np.float32 if exact else np.float64)
        values[self.rows, self.columns] = self.values
        mask[self.rows, self.columns] = 1
        return values, mask

    def take(self, rows: np.ndarray) -> Ratings:
        """The given rows, each once, renumbered from 0."""
        place = np.full(self.shape[0], -1)
        place[rows] = np.arange(len(rows))
        here = place[self.rows] >= 0
        shape = (len(rows), self.shape[1])
        return Ratings(
            place[self.rows[here]], self.columns[here], self.values[here], shape, self.counts[rows]
        )

    def blocks(self) -> Iterator[Ratings]:
        """The table in blocks of rows, none with more than ROWS_PER_BLOCK."""
        return self._cut(ROWS_PER_BLOCK)

    def large_blocks(self) -> Iterator[Ratings]:
        """The table in as few blocks of rows as CELLS_AT_ONCE allows."""
        return self._cut(self.shape[0])

    def _cut(self, most: int) -> Iterator[Ratings]:
        step = max(1, min(most, CELLS_AT_ONCE // max(self.shape[1], 1)))
        if step >= self.shape[0]:
            yield self
            return
        for start in range(0, self.shape[0], step):
            yield self.take(np.arange(start, min(start + step, self.shape[0])))

    def without_the_columns_that(self, other: Ratings) -> tuple[Ratings, Ratings]:
        """This table and the other one without the columns in which this one has no rating."""
        used = np.bincount(self.columns, minlength=self.shape[1]) > 0
        place, n = np.cumsum(used) - 1, int(used.sum())
        there = used[other.columns]
        mine = Ratings(self.rows, place[self.columns], self.values, (self.shape[0], n), self.counts)
        theirs = Ratings(
            other.rows[there],
            place[other.columns[there]],
            other.values[there],
            (other.shape[0], n),
            other.counts,
        )
        return mine, theirs

    def scaled(self) -> Ratings:
        """Each row divided by a power of two that makes its largest value about 1; exact."""
        largest = np.zeros(self.shape[0])
        np.maximum.at(largest, self.rows, np.abs(self.values))
        _, exponents = np.frexp(largest)
        return Ratings(
            self.rows, self.columns, np.ldexp(self.values, -exponents[self.rows]), self.shape, self.counts
        )


def middles(codes: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Per code the lower median of its values, (n,), one of them; 0 for a code without any."""
    counts = np.bincount(codes, minlength=n)
    different, rank = np.unique(values, return_inverse=True)
    order = np.argsort(codes * max(len(different), 1) + rank)
    middle = np.zeros(n)
    middle[counts > 0] = values[order[(np.cumsum(counts) - counts + (counts - 1) // 2)[counts > 0]]]
    return middle


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """Everybody in train, or the people of `histories`: what a prediction for them looks at.

    center : the parts of their rows and columns
    table : the rows that are compared with those of train;  similarity : of all of them, where that was kept
    by_column : which ratings each column has
    neighbors, deviations : (n,) of each rating the row that gave it, and what is left of it
    """

    center: Centering
    table: Ratings
    similarity: Any
    by_column: Ragged
    neighbors: np.ndarray
    deviations: np.ndarray


class NeighborhoodModel(Recommender):
    """k nearest neighbours in either direction. A wing adds two pieces of tensor algebra:

    - _similarities(a, b): (a rows, b rows) similarities of two tables of `Ratings`, a float64 tensor;
    - _nearest_mean(similarity, rows, neighbors, deviations, real): per query the mean of its nearest neighbours'
      deviations, weighted by similarity, and their number; `similarity` as `_similarities` gave it, `rows` (q,), the
      others (q, L), padded, and `real` tells which of their cells exist.
    """

    # Arguments that each model declares for itself; without ClassVar they would be declared here.
    similarity: ClassVar[str]
    center: ClassVar[str]
    min_k: ClassVar[int]
    if TYPE_CHECKING:  # what a wing adds stands behind this class, which would hide it

        def _similarities(self, a: Ratings, b: Ratings) -> Any: ...
        def _nearest_mean(
            self, similarity, rows, neighbors, deviations, real
        ) -> tuple[np.ndarray, np.ndarray]: ...

    task = "rating"
    _keeps_ratings = True
    _rows_are_users: ClassVar[bool]

    @property
    def _blank_without_history(self) -> bool:
        """Whether nothing is known of an item but through neighbours: no bias, and no mean of its own."""
        return self.center == "none" or (self._rows_are_users and self.center != "baseline")

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        rows, columns, n_rows, n_columns = self._orient(train)
        self._check_size(n_rows)
        self._center = Centering.fit(
            self.center, rows, columns, train.ratings, n_rows, n_columns, self._rows_are_users
        )
        self._levels = self._fit_levels(rows, columns, train.ratings, n_rows, n_columns)
        self._index()
        self._similarity = self._similarities(self._table, self._table) if self._keeps(n_rows) else None

    @staticmethod
    def _keeps(n_rows: int) -> bool:
        return n_rows**2 <= CELLS_KEPT

    def _check_size(self, n_rows: int) -> None:
        side = "users" if self._rows_are_users else "items"
        if n_rows > MOST_ROWS:
            raise ValueError(
                f"{type(self).__name__} tells {MOST_ROWS:,} {side} apart, the data has {n_rows:,}; "
                "leave out the rarest: preprocessing.k_core"
            )
        if self._keeps(n_rows) and n_rows > ROWS_AT_ONCE:
            # The result and its pieces, and about ten numbers for each cell of the piece that is being made.
            needed = 8 * (2 * n_rows**2 + 10 * ROWS_PER_BLOCK * n_rows + 5 * CELLS_AT_ONCE)
            memory.require(
                needed,
                f"the similarities of {n_rows:,} {side}",
                f"leave out the rarest {side} (preprocessing.k_core), or take a model of factors",
            )

    def _orient(self, coded: Coded):
        by_user = coded.users, coded.items, coded.n_users, coded.n_items
        by_item = coded.items, coded.users, coded.n_items, coded.n_users
        return by_user if self._rows_are_users else by_item

    def _fit_levels(self, rows, columns, ratings, n_rows: int, n_columns: int) -> Centering:
        """What a similarity takes off each rating before it compares two rows."""
        kind = "baseline" if self.similarity == "pearson_baseline" else "none"
        levels = Centering.fit(kind, rows, columns, ratings, n_rows, n_columns, self._rows_are_users)
        if self.similarity == "adjusted_cosine":
            # The other side's mean: a user's for item neighbours, an item's for user neighbours.
            levels = replace(levels, column=shrunk_means(columns, ratings, n_columns, 0.0))
        return levels

    def _index(self) -> None:
        """Lookups that follow from the ratings and the centres."""
        rows, columns, n_rows, n_columns = self._orient(self._train)
        self._by_column = Ragged.group(columns, n_columns)
        self._deviations = self._center.remove(rows, columns, self._train.ratings)
        values = self._levels.remove(rows, columns, self._train.ratings)
        self._middle = np.partition(values, len(values) // 2)[len(values) // 2]
        self._table = self._comparable(rows, columns, values, (n_rows, n_columns))

    def _comparable(self, rows, columns, values, shape: tuple[int, int]) -> Ratings:
        """The table less all that its similarities do not depend on, so that no sum is rounded more than it must be.

        A correlation does not see a row's level, nor a mean squared difference that of the whole table. Neither
        a correlation nor a cosine sees a row's unit.
        """
        if self.similarity == "pearson":
            values = beyond_rounding(values - middles(rows, values, shape[0])[rows], values)
        elif self.similarity == "msd":
            values = values - self._middle
        table = Ratings(rows, columns, values, shape)
        return table if table.exact or self.similarity in ("msd", "jaccard") else table.scaled()

    def _people(self, histories: Coded | None) -> Neighborhood:
        """Everybody in train; or what the people of `histories` put in their place."""
        neighbors, _, _, _ = self._orient(self._train)
        everybody = Neighborhood(
            self._center, self._table, self._similarity, self._by_column, neighbors, self._deviations
        )
        if histories is None:
            return everybody
        rows, columns, n_rows, n_columns = self._orient(histories)
        if not self._rows_are_users:
            column = self._center.fit_columns(rows, columns, histories.ratings, n_columns)
            center = replace(self._center, column=column)
            deviations = center.remove(rows, columns, histories.ratings)
            by_column = Ragged.group(columns, n_columns)
            return replace(
                everybody, center=center, by_column=by_column, neighbors=rows, deviations=deviations
            )
        row, scale = self._center.fit_rows(rows, columns, histories.ratings, n_rows)
        center = replace(self._center, row=row, scale=scale)
        level_row, level_scale = self._levels.fit_rows(rows, columns, histories.ratings, n_rows)
        levels = replace(self._levels, row=level_row, scale=level_scale)
        values = levels.remove(rows, columns, histories.ratings)
        table = self._comparable(rows, columns, values, (n_rows, n_columns))
        self._warn_without_spread(table)
        return replace(everybody, center=center, table=table, similarity=None)

    def _warn_without_spread(self, people: Ratings) -> None:
        if self.similarity != "pearson":
            return
        # Less the middle one, ratings that are all alike are all 0.
        spread = np.bincount(people.rows, weights=people.values != 0, minlength=people.shape[0])
        alike = np.flatnonzero((people.counts > 0) & (spread == 0))
        if len(alike):
            warnings.warn(
                f"in `histories` {len(alike)} of {people.shape[0]} people rate everything alike (the first is the "
                f"{alike[0] + 1}. of them), and Pearson's correlation of a constant is undefined: they are told what "
                "is expected without neighbours; give Interactions with ratings that differ, or choose "
                "similarity='msd' or 'pearson_baseline'",
                UserWarning,
                stacklevel=2,
            )

    def _compare(self, table: Ratings):
        """Similarities of the rows of a table to those of train."""
        return self._similarities(*table.without_the_columns_that(self._table))

    def _with_similarities(self, people: Neighborhood, rows: np.ndarray):
        """Pairs with the similarities of their rows to those of train, as many as are held at once.

        rows : (n,) of each pair. Yields places in `rows`, similarities, and of each of these pairs its row therein.
        """
        if people.similarity is not None:
            yield np.arange(len(rows)), people.similarity, rows
            return
        asked, place = np.unique(rows, return_inverse=True)
        step = max(1, CELLS_AT_ONCE // self._table.shape[0])
        for start in range(0, len(asked), step):
            here = np.flatnonzero((place >= start) & (place < start + step))
            yield here, self._compare(people.table.take(asked[start : start + step])), place[here] - start

    def _predict(self, users, items, people, context):
        rows, columns = (users, items) if self._rows_are_users else (items, users)
        predictions = people.center.expected(rows, columns)
        lengths = people.by_column.lengths
        for pairs, similarity, row in self._with_similarities(people, rows):
            for block in blocks_by_length(lengths[columns[pairs]], blocks.CELLS):
                at = pairs[block]
                cells, real = people.by_column.padded(columns[at])
                neighbors, deviations = people.neighbors[cells], people.deviations[cells]
                mean, count = self._nearest_mean(similarity, row[block], neighbors, deviations, real)
                enough = count >= self.min_k
                at = at[enough]
                predictions[at] = people.center.restore(rows[at], columns[at], mean[enough])
        return predictions

    def _prior(self, users, items, people):
        center = people.center
        return center.expected(users, items) if self._rows_are_users else center.expected(items, users)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        n_rows, n_columns = (n_users, n_items) if self._rows_are_users else (n_items, n_users)
        similarity = {"similarity": (n_rows, n_rows)} if self._keeps(n_rows) else {}
        return {
            **similarity,
            "mean": (),
            "spread": (),
            "row_center": (n_rows,),
            "row_scale": (n_rows,),
            "column_center": (n_columns,),
            "level_row": (n_rows,),
            "level_column": (n_columns,),
        }

    def _get_parameters(self) -> dict[str, np.ndarray]:
        center, levels = self._center, self._levels
        kept = self._similarity is not None
        return {
            **({"similarity": self._to_numpy(self._similarity)} if kept else {}),
            "mean": np.asarray(center.mean),
            "spread": np.asarray(center.spread),
            "row_center": center.row,
            "row_scale": center.scale,
            "column_center": center.column,
            "level_row": levels.row,
            "level_column": levels.column,
        }

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        p = parameters
        regs = Centering.regs(self._rows_are_users)
        both = {"mean": float(p["mean"]), "spread": float(p["spread"])}
        one = np.ones_like(p["row_scale"])
        level_kind = "baseline" if self.similarity == "pearson_baseline" else "none"
        self._center = Centering(
            self.center, **both, row=p["row_center"], column=p["column_center"], scale=p["row_scale"], **regs
        )
        self._levels = Centering(
            level_kind, **both, row=p["level_row"], column=p["level_column"], scale=one, **regs
        )
        self._index()
        self._similarity = self._to_tensor(p["similarity"]) if "similarity" in p else None


class UserKNN(NeighborhoodModel):
    """User k nearest neighbours: what the k most similar users gave the item (Resnick et al. 1994).

    r̂_ui = c_ui + Σ_v s_uv (r_vi - c_vi) / Σ_v |s_uv|, over the k users v most similar to u among those
    who rated i, as far as s_uv > 0; equation (nb-user-prediction). Of equally similar users the one who
    came first in train is nearer. With fewer than `min_k` neighbours the prediction is c_ui alone
    (the mean of all ratings where center="none").

    k : neighbours at most;  min_k : neighbours at least
    similarity : "cosine", "pearson", "adjusted_cosine" (ratings less the item's mean), "msd", "jaccard",
        "pearson_baseline" (ratings less mean and biases); over co-rated items only
    center : c, "none", "mean" (of the user), "zscore" (the same, in the user's standard deviations),
        "baseline" (mean and both biases)
    shrinkage : β of n / (n + β), n the number of co-rated items;  min_support : fewest co-rated items
    device : "auto", "cpu", "cuda"
    """

    supports = frozenset({"histories"})
    _rows_are_users = True

    k: int = whole(40, search=(5, 200, "log"))
    similarity: str = choice("pearson_baseline", SIMILARITIES, search=list(SIMILARITIES))
    center: str = choice("baseline", CENTERS, search=["mean", "zscore", "baseline"])
    shrinkage: float = number(100.0, 0, search=(1.0, 300.0, "log"))
    min_support: int = whole(1)
    min_k: int = whole(1)
    device: str = device()


class ItemKNN(NeighborhoodModel):
    """Item k nearest neighbours: what the user gave the k items most similar to this one (Sarwar et al. 2001).

    r̂_ui = c_ui + Σ_j s_ij (r_uj - c_uj) / Σ_j |s_ij|, over the k items j most similar to i among those
    that u rated, as far as s_ij > 0; equation (nb-item-prediction). All else is as in `UserKNN`, with
    the roles of users and items exchanged: "adjusted_cosine" takes off the user's mean, center="mean" is
    the item's.
    """

    supports = frozenset({"histories", "similar_items"})
    _rows_are_users = False

    k: int = whole(40, search=(5, 200, "log"))
    similarity: str = choice("adjusted_cosine", SIMILARITIES, search=list(SIMILARITIES))
    center: str = choice("baseline", CENTERS, search=["mean", "zscore", "baseline"])
    shrinkage: float = number(100.0, 0, search=(1.0, 300.0, "log"))
    min_support: int = whole(1)
    min_k: int = whole(1)
    device: str = device()

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        if self._similarity is None:
            return self._to_numpy(self._compare(self._table.take(items)))
        return self._to_numpy(self._similarity)[items]


class SlopeOne(Recommender):
    """Slope One: r̂_ui = r̄_u + mean over rated j of (mean difference of i and j), equation (nb-slope-one).

    min_support : fewest users who rated both items
    device : "auto", "cpu", "cuda"
    """

    task = "rating"
    supports = frozenset({"histories"})
    _keeps_ratings = True
    _blank_without_history = True

    min_support: int = whole(1, search=(1, 30, "log"))
    device: str = device()

    # ---------------------------------------------------------------- the wing's part

    def _differences(self, ratings: Ratings):
        """(items, items) mean of r_ui - r_uj over users who rated both, and how many did; float64 tensors.

        ratings : rows are items, columns users
        """
        raise NotImplementedError

    def _mean_difference(self, items, rated, real) -> tuple[np.ndarray, np.ndarray]:
        """Per query the mean difference between its item and the rated ones, and over how many it was taken.

        items : (q,);  rated, real : (q, L), padded
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        n, m = train.n_items, train.n_users
        memory.require(
            8 * (6 * n**2 + 2 * n * m),
            f"the differences of {n:,} items",
            "leave out the rarest items (preprocessing.k_core), or take ItemKNN",
        )
        self._center = self._means(train)
        table = Ratings(train.items, train.users, train.rated, (train.n_items, train.n_users))
        self._difference, self._support = self._differences(table)

    def _means(self, coded: Coded) -> Centering:
        return Centering.fit(
            "mean", coded.users, coded.items, coded.ratings, coded.n_users, coded.n_items, True
        )

    def _people(self, histories: Coded | None) -> tuple[Coded, Centering]:
        """Whose ratings, and what these are expected to be."""
        if histories is None:
            return self._train, self._center
        row, scale = self._center.fit_rows(
            histories.users, histories.items, histories.ratings, histories.n_users
        )
        return histories, replace(self._center, row=row, scale=scale)

    def _predict(self, users, items, people, context):
        rated, center = people
        predictions = center.expected(users, items)
        for block in blocks_by_length(rated.by_user.lengths[users], blocks.CELLS):
            cells, real = rated.by_user.padded(users[block])
            mean, count = self._mean_difference(items[block], rated.items[cells], real)
            predictions[block] += np.where(count > 0, mean, 0.0)
        return predictions

    def _prior(self, users, items, people):
        return people[1].expected(users, items)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        square = (n_items, n_items)
        return {"difference": square, "support": square, "mean": (), "user_mean": (n_users,)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {
            "difference": self._to_numpy(self._difference),
            "support": self._to_numpy(self._support),
            "mean": np.asarray(self._center.mean),
            "user_mean": self._center.row,
        }

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._difference = self._to_tensor(parameters["difference"])
        self._support = self._to_tensor(parameters["support"])
        mean, row = float(parameters["mean"]), parameters["user_mean"]
        n_items = len(parameters["support"])
        regs = Centering.regs(rows_are_users=True)
        self._center = Centering("mean", mean, 1.0, row, np.zeros(n_items), np.ones_like(row), **regs)
