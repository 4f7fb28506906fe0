"""Interactions in codes: what models compute with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from recbook.core.ragged import Ragged
from recbook.interactions import IdIndex, Interactions, join_times


@dataclass(frozen=True, eq=False)
class Coded:
    """Interactions in codes.

    users : (n,) int64 in 0..n_users-1;  items : (n,) int64 in 0..n_items-1
    ratings : (n,) float64 or None;  timestamps : (n,) as in Interactions, or None
    extra : further columns of the interactions by name, (n,) each: what is known at the moment
    by_user, by_item : which rows are whose;  met : who met what, as a sparse matrix
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray | None
    timestamps: np.ndarray | None
    n_users: int
    n_items: int
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of_known(cls, x: Interactions, users: IdIndex, items: IdIndex) -> Coded:
        """The rows of `x` whose user and item are known."""
        u, i = users.codes(x.users), items.codes(x.items)
        known = (u >= 0) & (i >= 0)
        return cls(
            u[known],
            i[known],
            None if x.ratings is None else x.ratings[known],
            None if x.timestamps is None else x.timestamps[known],
            len(users),
            len(items),
            {name: column[known] for name, column in x.extra.items()},
        )

    def followed_by(self, more: Coded) -> Coded:
        """These rows and then those of `more`, whose users and items are these and others behind them."""

        def joined(mine: np.ndarray | None, theirs: np.ndarray | None) -> np.ndarray | None:
            return None if mine is None or theirs is None else np.concatenate([mine, theirs])

        return Coded(
            np.concatenate([self.users, more.users]),
            np.concatenate([self.items, more.items]),
            joined(self.ratings, more.ratings),
            join_times(self.timestamps, more.timestamps),
            more.n_users,
            more.n_items,
            {
                name: np.concatenate([column, more.extra[name]])
                for name, column in self.extra.items()
                if name in more.extra
            },
        )

    def of_users(self, users: np.ndarray) -> Coded:
        """The rows of some users, who are counted from 0 in the given, ascending order."""
        return self._of("users", users)

    def of_items(self, items: np.ndarray) -> Coded:
        """The rows of some items, which are counted from 0 in the given, ascending order."""
        return self._of("items", items)

    def _of(self, side: str, codes: np.ndarray) -> Coded:
        here = np.flatnonzero(np.isin(getattr(self, side), codes))
        columns: dict[str, Any] = {
            name: getattr(self, name) for name in ("users", "items", "ratings", "timestamps")
        }
        columns = {name: None if column is None else column[here] for name, column in columns.items()}
        columns[side] = np.searchsorted(codes, columns[side])
        columns |= {"n_users": self.n_users, "n_items": self.n_items} | {f"n_{side}": len(codes)}
        return Coded(**columns, extra={name: column[here] for name, column in self.extra.items()})

    @property
    def rated(self) -> np.ndarray:
        """The ratings, for a model that was found to have some: `ratings` without the None."""
        assert self.ratings is not None
        return self.ratings

    @cached_property
    def by_user(self) -> Ragged:
        return Ragged.group(self.users, self.n_users)

    @cached_property
    def by_item(self) -> Ragged:
        return Ragged.group(self.items, self.n_items)

    @cached_property
    def met(self) -> sparse.csr_array:
        """Users × items, 1 where they met, however often; float32."""
        cells = np.sort(self.users * self.n_items + self.items)
        cells = cells[np.diff(cells, prepend=-1) > 0]  # np.unique hashes, and takes much longer
        shape = self.n_users, self.n_items
        return sparse.csr_array((np.ones(len(cells), np.float32), np.divmod(cells, self.n_items)), shape)
