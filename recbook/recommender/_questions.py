"""A question to a model: who is asked about, prepared once, and then scored block by block.

`predict`, `recommend` and `evaluate` all ask through a `Question`, so that people never seen are turned into codes
once and fitted once, however many blocks they are scored in.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recbook.core.ragged import Ragged
from recbook.errors import NotSupportedError, UnknownIdError
from recbook.interactions import as_ids, plain

if TYPE_CHECKING:
    from recbook.recommender import Recommender


class Question:
    """The people that a model is asked about: those of train, or those of `histories`.

    people : their ids (an IdIndex), and with it their codes
    items : the model's item ids (an IdIndex)
    histories : what the people of `histories` have met, in codes; None for those of train
    """

    def __init__(self, model: Recommender, histories=None):
        self.model, self.items = model, model._item_index
        if histories is None:
            self.people, self.histories = model._user_index, None
        else:
            self.people, self.histories = model._code_histories(histories)

    @cached_property
    def prepared(self) -> Any:
        """What stands for the people in the model: made once, when it is first needed."""
        return self.model._people(self.histories)

    def asked(self, users) -> tuple[np.ndarray, np.ndarray]:
        """Ids and codes of `users`, (n,) each; of everybody where it is None. Raises UnknownIdError."""
        ids = self.people.ids if users is None else ids_of(users, "users")
        codes = self.people.codes(ids)
        raise_unknown("user", ids[codes < 0], "pass `histories` for people never seen")
        return ids, codes

    def check_context(self, context: pd.DataFrame | None, n: int, what: str) -> None:
        """Raises NotSupportedError where the model takes no context, ValueError where it has not a row a `what`."""
        if context is None:
            return
        self.model._require("context")
        if not isinstance(context, pd.DataFrame):
            raise TypeError(
                f"`context` is a {type(context).__name__}; give a DataFrame with one row a {what}"
            )
        if len(context) != n:
            raise ValueError(f"`context` has {len(context)} rows for {n} {what}s; give one row a {what}")

    # ---------------------------------------------------------------- scores

    def pairs(
        self,
        users: np.ndarray,
        items: np.ndarray,
        unknown: str = "fallback",
        context: pd.DataFrame | None = None,
    ) -> np.ndarray:
        """Scores of n pairs of codes, (n,) float32.

        unknown : of a pair with a code -1, for an id that is not known: the model's prior ("fallback"), or "nan"
        """
        scores = np.full(len(users), np.nan, np.float32)
        known = (users >= 0) & (items >= 0)
        asked = [(known, self.model._predict)]
        if unknown == "fallback":
            asked.append((~known, self.model._prior_now))
        for rows, score in asked:
            if rows.any():
                here = context if context is None else context[rows]
                scores[rows] = score(users[rows], items[rows], self.prepared, here)
        return scores

    def scores(
        self, users: np.ndarray, items: np.ndarray | None = None, context: pd.DataFrame | None = None
    ) -> np.ndarray:
        """Scores of users × items (codes; None: all items), (n_users, n_items) float32, the caller's own."""
        n_items = len(self.items if items is None else items)
        if not (len(users) and n_items):  # no model needs to know of no pairs
            return np.zeros((len(users), n_items), np.float32)
        # A copy: whoever asked may write into it, and a model may have answered with its own array.
        return np.array(self.model._score_matrix(users, items, self.prepared, context), np.float32)

    # ---------------------------------------------------------------- what was met

    @property
    def knows_met(self) -> bool:
        """Whether it is known what the people have met: a model of train can be saved without that."""
        return self.histories is not None or self.model._train is not None

    def met(self) -> tuple[np.ndarray, Ragged]:
        """The items that were met, in train or in the histories, and which rows of them are whose.

        Raises NotSupportedError where the model was saved without its history.
        """
        if self.histories is not None:
            return self.histories.items, self.histories.by_user
        if not self.knows_met:
            raise NotSupportedError(
                "this model was saved without its history, so it cannot leave out what was seen; "
                "pass exclude_seen=False, or save it with include_history=True"
            )
        return self.model._train.items, self.model._train.by_user

    def shares(self) -> np.ndarray:
        """Share of the users of train who met each item, (n_items,); what nobody met counts as met by one.

        Raises NotSupportedError where the model was saved without its history.
        """
        train = self.model._train
        if train is None:
            raise NotSupportedError(
                "novelty: this model was saved without its history, so who met what in train is not known; "
                "save it with include_history=True"
            )
        by_item = np.asarray(train.met.sum(axis=0)).astype(np.int64)
        return np.maximum(by_item, 1) / np.count_nonzero(train.by_user.lengths)

    def hide_met(self, scores: np.ndarray, users: np.ndarray, columns: np.ndarray) -> None:
        """Puts -inf where a user has met an item.

        scores : (len(users), len(columns)), changed in place;  users, columns : codes
        """
        items, by_user = self.met()
        position = np.full(len(self.items), -1)
        position[columns] = np.arange(len(columns))
        rows, real = by_user.padded(users)
        row, cell = np.nonzero(real)
        column = position[items[rows[row, cell]]]
        scores[row[column >= 0], column[column >= 0]] = -np.inf


def ids_of(values, name: str) -> np.ndarray:
    """One id, or many, as an array; [1, "a"] is an error here, where NumPy would make both strings."""
    if getattr(values, "ndim", None) == 0:
        values = values.item()
    if isinstance(values, set | frozenset):
        raise TypeError(
            f"`{name}` is a {type(values).__name__}, which has no order; give a list: sorted({name})"
        )
    return as_ids([values] if isinstance(values, str) or not isinstance(values, Iterable) else values, name)


def raise_unknown(kind: str, ids: np.ndarray, remedy: str = "see model.item_ids_") -> None:
    """Raises UnknownIdError that lists the first few of `ids`, if there are any."""
    if len(ids):
        shown = ", ".join(repr(plain(i)) for i in pd.unique(ids)[:5])
        more = f" and {len(pd.unique(ids)) - 5} more" if len(pd.unique(ids)) > 5 else ""
        raise UnknownIdError(
            f"unknown {kind} {shown}{more}: not in the data the model was fitted on; {remedy}"
        )
