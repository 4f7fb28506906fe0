"""What the models that read fields share in both wings: pairs as rows of features, sides, files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pandas as pd

from recbook.core.blocks import blocks
from recbook.fields import Fields, parse_spec
from recbook.interactions import Dataset
from recbook.recommender import Coded, Recommender, argument
from recbook.shared._training import Batch, GradientModel


def fields(default: tuple[str, ...]):
    """The hyper-parameter that says which features a pair has, as `recbook.fields.Fields` takes it."""
    return argument(default, lambda name, value: parse_spec(value))


def side_of(field: str) -> str | None:
    """ "left" (users and context), "right" (items), or None for a cross of both."""
    sides = {"right" if part == "item" or part.startswith("items.") else "left" for part in field.split("*")}
    return sides.pop() if len(sides) == 1 else None


def nobody(n: int) -> np.ndarray:
    """n codes of what has no features."""
    return np.full(n, -1)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(z / 2))


class FieldModel(GradientModel):
    """Reads pairs as sparse rows of features, as its hyper-parameter `fields` says."""

    # Arguments that each model declares for itself; without ClassVar they would be declared here.
    fields: ClassVar[tuple[str, ...]]

    @property
    def _spec(self) -> tuple[str, ...]:
        """The fields that rows have."""
        return tuple(self.fields)

    # ---------------------------------------------------------------- hook: what a model writes

    def _scores(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        """What `predict` gives for rows of features, (n,).  index, value : (n, width)"""
        raise NotImplementedError

    # ---------------------------------------------------------------- what all share

    def _read_tables(self, data: Dataset) -> None:
        self._fields: Fields = Fields.fit(self._spec, data)

    def _rows(self, x: Coded) -> Batch:
        index, value = self._fields.coded_rows(x.users, x.items, x.extra)
        return {"index": index, "value": value}

    def _blocks(self, n: int, width: int = 1) -> Iterator[slice]:
        """n pairs, of so many numbers beside each of their features."""
        return blocks(n, self._fields.width * width)

    def _predict(self, users, items, people, context) -> np.ndarray:
        self._fields.check_context(context, len(users))
        parts = []
        for block in self._blocks(len(users)):
            here = context if context is None else context.iloc[block]
            parts.append(self._scores(*self._fields.coded_rows(users[block], items[block], here)))
        return np.concatenate(parts)

    def _prior(self, users, items, people) -> np.ndarray:
        # Code -1 has no features, and neither has a moment that nobody told.
        return self._scores(*self._fields.coded_rows(users, items))

    def _prior_now(self, users, items, people, context: pd.DataFrame | None) -> np.ndarray:
        if context is None:
            return self._prior(users, items, people)
        return self._predict(users, items, people, context)

    def _n_features(self) -> int:
        """Asked for the names of parameters alone, before a file's features are read, there are none yet."""
        return self._fields.n_features if "_fields" in self.__dict__ else 0

    # ---------------------------------------------------------------- files

    def _feature_names(self) -> set[str]:
        return Fields.array_names(self._spec)

    def _get_features(self) -> dict[str, np.ndarray]:
        return self._fields.to_arrays()

    def _set_features(self, features: dict[str, np.ndarray]) -> None:
        self._fields = restored(self, self._spec, features)


def restored(model: Recommender, spec: tuple[str, ...], features: dict[str, np.ndarray]) -> Fields:
    """Fields of a file; raises ValueError where they are not those of the model's users and items."""
    read = Fields.from_arrays(spec, features)
    for side, known in (("user", model.user_ids_), ("item", model.item_ids_)):
        theirs = getattr(read, f"{side}_ids")
        if not np.array_equal(theirs[: len(known)], known):
            raise ValueError(f"`features/{side}_ids` are not the {side}s of the model")
    return read
