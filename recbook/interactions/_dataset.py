"""Interactions, and what is known about users and items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np
import pandas as pd

from recbook.interactions._ids import frozen
from recbook.interactions._interactions import Interactions
from recbook.interactions._tables import is_table


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
            if table is not None and not isinstance(table, pd.DataFrame):
                raise TypeError(
                    f"`{side}` is a {type(table).__name__}; give a table of pandas, indexed by id"
                )
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
    """The interactions of a `Dataset`, the `Interactions` themselves, or those of a table (`Interactions.from_frame`).

    Raises TypeError for anything else, and for a table what `from_frame` raises.
    """
    if isinstance(data, Dataset):
        return data.interactions
    if isinstance(data, Interactions):
        return data
    if is_table(data):
        return Interactions.from_frame(data)
    raise TypeError(
        f"expected Interactions or a Dataset, got a {type(data).__name__}; make one: Interactions.from_frame(df)"
    )


Data = TypeVar("Data", bound=Interactions | Dataset)


def as_data(data: Data) -> Data:
    """`Interactions` or a `Dataset` as they are, a table as `Interactions`; for what gives rows of it back."""
    return cast("Data", data if isinstance(data, Dataset) else as_interactions(data))


def as_dataset(data) -> Dataset:
    """A `Dataset` as it is; of all else one that has no side tables."""
    return data if isinstance(data, Dataset) else Dataset(as_interactions(data))
