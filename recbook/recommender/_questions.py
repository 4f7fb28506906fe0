"""A question to a model: who is asked about, prepared once, and then scored block by block.

`predict`, `recommend` and `evaluate` all ask through a `Question`, so that people never seen are turned into codes
once and fitted once, however many blocks they are scored in.
"""

from __future__ import annotations

import warnings
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
    from recbook.recommender._coded import Coded

PULL = 10.0  # ratings: as strongly as the biases of items are pulled elsewhere


class Question:
    """The people that a model is asked about: those of train, or those of `histories`.

    people : their ids (an IdIndex), and with it their codes
    items : the model's item ids (an IdIndex)
    histories : what the people of `histories` have met, in codes; None for those of train
    """

    def __init__(self, model: Recommender, histories=None, unknown: str = "raise"):
        """unknown : of items of `histories` that the model does not know: "raise" or "ignore"; another is "raise" """
        self.model, self.items = model, model._item_index
        # (people,) who have met nothing; None where nobody is such
        self.without_history: np.ndarray | None = None
        if histories is None:  # whoever is known from train has met something there
            self.people, self.histories = model._user_index, None
            return
        self.people, self.histories = model._code_histories(histories, unknown)
        nothing = np.bincount(self.histories.users, minlength=len(self.people)) == 0
        if nothing.any() and model._reads_histories:
            self.without_history = nothing
            warnings.warn(self._said_of_strangers(nothing), UserWarning, stacklevel=4)

    def _said_of_strangers(self, nothing: np.ndarray) -> str:
        first, model = plain(self.people.ids[int(nothing.argmax())]), self.model
        name = type(model).__name__
        what = "what it would say of anybody"
        if model._blank_without_history:
            what = "what is popular in train" if model.task != "rating" else "each item's mean rating"
            if model._train is None:
                what = (
                    "no order at all, for it was saved without its history and does not know what is popular: "
                    "fit it anew, or save it with include_history=True"
                )
        return (
            f"{int(nothing.sum())} of {len(nothing)} people in `histories` have met nothing that {name} knows (the "
            f"first is {first!r}); it has for them {what}"
        )

    @cached_property
    def of_strangers(self) -> np.ndarray | None:
        """Scores of all items for whoever has met nothing, (n_items,) float32; None where the model has its own.

        The log of an item's share of train, as `popularity`; of a model of ratings, which are no shares, the item's
        mean rating, pulled to the mean of all.
        """
        train = self.model._train
        if self.without_history is None or not self.model._blank_without_history or train is None:
            return None
        return mean_ratings(train) if self.model.task == "rating" else popularity(train)

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

        unknown : of a pair with a code -1, for an id that is not known: the model's prior ("fallback", "ignore"), or
            "nan"
        """
        scores = np.full(len(users), np.nan, np.float32)
        known = (users >= 0) & (items >= 0)
        asked = [(known, self.model._predict)]
        if unknown in ("fallback", "ignore"):
            asked.append((~known, self.model._prior_now))
        for rows, score in asked:
            if rows.any():
                here = context if context is None else context[rows]
                scores[rows] = score(users[rows], items[rows], self.prepared, here)
        if self.without_history is not None and (instead := self.of_strangers) is not None:
            rows = known & self.without_history[users]
            scores[rows] = instead[items[rows]]
        return scores

    def scores(
        self, users: np.ndarray, items: np.ndarray | None = None, context: pd.DataFrame | None = None
    ) -> np.ndarray:
        """Scores of users × items (codes; None: all items), (n_users, n_items) float32, the caller's own."""
        n_items = len(self.items if items is None else items)
        if not (len(users) and n_items):  # no model needs to know of no pairs
            return np.zeros((len(users), n_items), np.float32)
        # A copy: whoever asked may write into it, and a model may have answered with its own array.
        found = np.array(self.model._score_matrix(users, items, self.prepared, context), np.float32)
        if self.without_history is not None and (instead := self.of_strangers) is not None:
            found[self.without_history[users]] = instead if items is None else instead[items]
        return found

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


def popularity(train: Coded) -> np.ndarray:
    """(n_items,) float32: log((n_i + 1) / (n + items)), n_i of the n events of train being of item i.

    What is expected of somebody of whom nothing is known; the 1 is for items that train never has.
    """
    count = np.bincount(train.items, minlength=train.n_items)
    return np.log((count + 1) / (count.sum() + len(count))).astype(np.float32)


def mean_ratings(train: Coded) -> np.ndarray:
    """(n_items,) float32: each item's mean rating, pulled to the mean of all by PULL ratings of that mean."""
    mean, count = train.rated.mean(), np.bincount(train.items, minlength=train.n_items)
    off = np.bincount(train.items, train.rated - mean, train.n_items)
    return (mean + off / (PULL + count)).astype(np.float32)


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
