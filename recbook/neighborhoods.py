"""What the neighbour models of both wings share: which ratings a prediction looks at.

A neighbour model has rows and columns: users and items for user neighbours, items and users for item
neighbours. To predict row x at column y it takes the rows that have a rating in column y, keeps the k
most similar to x, and averages what they gave. A wing adds the two pieces of tensor algebra:
`_similarities` and `_nearest_mean`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from recbook.preprocessing import CENTERS, Centering, shrunk_means
from recbook.ragged import Ragged, blocks_by_length
from recbook.recommender import Coded, WingRecommender, check_choice, check_number

SIMILARITIES = ("cosine", "pearson", "adjusted_cosine", "msd", "jaccard", "pearson_baseline")
CELLS_PER_BLOCK = 1_500_000
# Smaller blocks take more memory, not less: pieces below 32 MiB stay with the C library when they are freed.
ROWS_PER_BLOCK = 1024
ROWS_AT_ONCE = 2048  # a table this small is compared with itself in one piece, which halves the work
# Similarities that are equal in theory differ in the last bits, and each framework has bits of its own.
# So they are compared on a grid of 2^-30, and of equals the row that came first is nearer:
# the order is that of the whole number `rint(s · 2^30) · 2^22 - row`, which float64 holds exactly.
GRID, ROOM = 2.0**30, 2.0**22


class Ratings:
    """A sparse table of ratings: the cells (rows, columns) and their values.

    rows, columns : (n,) codes;  values : (n,) float64;  shape : (n_rows, n_columns)
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: tuple[int, int]):
        self.rows, self.columns, self.values, self.shape = rows, columns, values, shape

    @property
    def exact(self) -> bool:
        """Whether sums of products over a row are exact in float32: halves of whole numbers, small enough."""
        doubled = 2 * self.values
        small = 4 * self.shape[1] * np.abs(self.values).max(initial=0) ** 2 < 2**24
        return bool(small and (doubled == np.rint(doubled)).all())

    def dense(self, exact: bool) -> tuple[np.ndarray, np.ndarray]:
        """The table as two rectangles: the values, 0 where there is none, and the mask of what is there.

        float32 where no sum can be rounded, float64 where one could: the wings then agree to the last tie.
        """
        values, mask = np.zeros((2, *self.shape), np.float32 if exact else np.float64)
        values[self.rows, self.columns] = self.values
        mask[self.rows, self.columns] = 1
        return values, mask

    def block(self, start: int, stop: int) -> Ratings:
        """Rows start..stop-1, renumbered from 0."""
        here = (self.rows >= start) & (self.rows < stop)
        shape = (min(stop, self.shape[0]) - start, self.shape[1])
        return Ratings(self.rows[here] - start, self.columns[here], self.values[here], shape)


class NeighborhoodModel(WingRecommender):
    """k nearest neighbours in either direction."""

    task = "rating"
    _keeps_ratings = True
    _rows_are_users: ClassVar[bool]

    # ---------------------------------------------------------------- the wing's part

    def _similarities(self, a: Ratings, b: Ratings):
        """(a rows, b rows) similarities, a float64 tensor of the wing."""
        raise NotImplementedError

    def _nearest_mean(self, similarity, rows, neighbors, deviations, real) -> tuple[np.ndarray, np.ndarray]:
        """Per query the mean of its nearest neighbours' deviations, weighted by similarity, and their number.

        similarity : as `_similarities` gave it;  rows : (q,)
        neighbors, deviations, real : (q, L), padded; `real` tells which cells exist
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _check_hyper_parameters(self) -> None:
        check_choice("similarity", self.similarity, SIMILARITIES)
        check_choice("center", self.center, CENTERS)
        check_number("k", self.k, 1, whole=True)
        check_number("min_k", self.min_k, 1, whole=True)
        check_number("min_support", self.min_support, 1, whole=True)
        check_number("shrinkage", self.shrinkage, 0)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        rows, columns, n_rows, n_columns = self._orient(train)
        self._center = Centering.fit(
            self.center, rows, columns, train.ratings, n_rows, n_columns, self._rows_are_users
        )
        self._levels = self._fit_levels(rows, columns, train.ratings, n_rows, n_columns)
        self._index()
        self._similarity = self._similarities(self._table, self._table)

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
        self._table = Ratings(rows, columns, values, (n_rows, n_columns))

    def _fold_in(self, histories: Coded) -> tuple:
        """The pieces of `_predict` with the rows (users) or columns (items) that `histories` adds."""
        rows, columns, n_rows, n_columns = self._orient(histories)
        if not self._rows_are_users:
            column = self._center.fit_columns(rows, columns, histories.ratings, n_columns)
            center = replace(self._center, column=column)
            deviations = center.remove(rows, columns, histories.ratings)
            return center, self._similarity, Ragged.group(columns, n_columns), rows, deviations
        self._check_has_spread(histories)
        row, scale = self._center.fit_rows(rows, columns, histories.ratings, n_rows)
        center = replace(self._center, row=row, scale=scale)
        level_row, level_scale = self._levels.fit_rows(rows, columns, histories.ratings, n_rows)
        levels = replace(self._levels, row=level_row, scale=level_scale)
        values = levels.remove(rows, columns, histories.ratings)
        people = Ratings(rows, columns, values, (n_rows, n_columns))
        neighbors, _, _, _ = self._orient(self._train)
        return center, self._similarities(people, self._table), self._by_column, neighbors, self._deviations

    def _check_has_spread(self, histories: Coded) -> None:
        if self.similarity == "pearson" and len(histories.ratings) and np.ptp(histories.ratings) == 0:
            raise ValueError(
                "`histories` rates everything alike, and Pearson's correlation of a constant is undefined; "
                "give Interactions with ratings, or choose similarity='msd' or 'pearson_baseline'"
            )

    def _predict(self, users, items, histories, context):
        rows, columns = (users, items) if self._rows_are_users else (items, users)
        if histories is None:
            neighbors, _, _, _ = self._orient(self._train)
            center, similarity, by_column, deviations = (
                self._center, self._similarity, self._by_column, self._deviations,
            )  # fmt: skip
        else:
            center, similarity, by_column, neighbors, deviations = self._fold_in(histories)
        predictions = center.expected(rows, columns)
        for block in blocks_by_length(by_column.lengths[columns], CELLS_PER_BLOCK):
            cells, real = by_column.padded(columns[block])
            mean, count = self._nearest_mean(
                similarity, rows[block], neighbors[cells], deviations[cells], real
            )
            enough = count >= self.min_k
            at = block[enough]
            predictions[at] = center.restore(rows[at], columns[at], mean[enough])
        return predictions

    def _prior(self, users, items, histories):
        center = self._center if histories is None else self._fold_in(histories)[0]
        return center.expected(users, items) if self._rows_are_users else center.expected(items, users)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        n_rows, n_columns = (n_users, n_items) if self._rows_are_users else (n_items, n_users)
        return {
            "similarity": (n_rows, n_rows),
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
        return {
            "similarity": self._to_numpy(self._similarity),
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
        self._similarity = self._to_tensor(p["similarity"])


class SlopeOneModel(WingRecommender):
    """Slope One (Lemire & Maclachlan 2005): how much higher item i is rated than item j, on average.

    A prediction is the user's mean plus the mean of those differences over what the user rated.
    """

    task = "rating"
    supports = frozenset({"histories"})
    _keeps_ratings = True

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

    def _check_hyper_parameters(self) -> None:
        check_number("min_support", self.min_support, 1, whole=True)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._center = self._means(train)
        table = Ratings(train.items, train.users, train.ratings, (train.n_items, train.n_users))
        self._difference, self._support = self._differences(table)

    def _means(self, coded: Coded) -> Centering:
        return Centering.fit(
            "mean", coded.users, coded.items, coded.ratings, coded.n_users, coded.n_items, True
        )

    def _person(self, histories: Coded | None) -> tuple[Coded, Ragged, Centering]:
        if histories is None:
            return self._train, self._seen, self._center
        row, scale = self._center.fit_rows(
            histories.users, histories.items, histories.ratings, histories.n_users
        )
        return histories, histories.by_user(), replace(self._center, row=row, scale=scale)

    def _predict(self, users, items, histories, context):
        rated, by_user, center = self._person(histories)
        predictions = center.expected(users, items)
        for block in blocks_by_length(by_user.lengths[users], CELLS_PER_BLOCK):
            cells, real = by_user.padded(users[block])
            mean, count = self._mean_difference(items[block], rated.items[cells], real)
            predictions[block] += np.where(count > 0, mean, 0.0)
        return predictions

    def _prior(self, users, items, histories):
        return self._person(histories)[2].expected(users, items)

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
