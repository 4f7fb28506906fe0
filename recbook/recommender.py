"""The contract: what every model of both wings does, and how it is asked.

`Recommender` is a template: it checks what comes in, turns the caller's ids into codes, asks the
model for numbers, and turns the answer back into ids. A model writes the hooks at the end of this
file and nothing else, so that a model reads like its equations.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
import pandas as pd

from recbook.errors import DivergedError, FileFormatError, NotFittedError, NotSupportedError
from recbook.interactions import (
    Dataset,
    IdIndex,
    Interactions,
    as_column,
    as_ids,
    as_interactions,
    join_times,
    plain,
)
from recbook.questions import Question, ids_of, raise_unknown
from recbook.ragged import Ragged, top_k
from recbook.storage import MAX_BYTES, read_archive, write_archive

TASKS = ("rating", "ranking", "click", "next_item")
CAPABILITIES = ("histories", "warm_items", "context", "similar_items", "partial_fit")
UNKNOWN = ("raise", "fallback", "nan")
PAIRS_PER_BLOCK = 2_000_000


@dataclass(frozen=True, eq=False)
class Coded:
    """Interactions in codes: what models compute with.

    users : (n,) int64 in 0..n_users-1;  items : (n,) int64 in 0..n_items-1
    ratings : (n,) float64 or None;  timestamps : (n,) as in Interactions, or None
    extra : further columns of the interactions by name, (n,) each: what is known at the moment
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray | None
    timestamps: np.ndarray | None
    n_users: int
    n_items: int
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, make: Callable[[Coded], Any]) -> Any:
        """`make(self)`, called the first time alone: what a model makes of a question's people it makes once.

        What `make` reads of the model must not change meanwhile: the histories of a question are asked by one model, as
        it is now.
        """
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def by_user(self) -> Ragged:
        return self.once(_by_user)

    def by_item(self) -> Ragged:
        return Ragged.group(self.items, self.n_items)


class Recommender:
    """A recommender. Constructors only store; `fit` learns, and what it learns ends in `_`.

    task : what `fit` needs and `predict` means: "rating", "ranking", "click" or "next_item"
    supports : which of CAPABILITIES the class has
    needs : side tables and their columns, as {"items": ["genres"]}
    user_ids_, item_ids_ : the ids it knows, in order of first appearance
    rating_range_ : (lowest, highest) rating in train, or None
    history_ : what happened in each epoch, a list of dicts; empty for models without epochs
    """

    task: ClassVar[str]
    supports: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[Mapping[str, list[str]]] = {}
    # Neighbours compute with the ratings themselves: then the history is part of the model.
    _keeps_ratings: ClassVar[bool] = False
    # Whether `fit` measures validation data while it trains.
    _watches_validation: ClassVar[bool] = False
    # Whether it matters in which order the items of a history stand.
    _reads_order: ClassVar[bool] = False

    @property
    def _one_rating_a_pair(self) -> bool:
        """Whether ratings are what it computes with: those of a pair that stands twice must not count twice."""
        return self.task == "rating"

    # ---------------------------------------------------------------- parameters of the constructor

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [p for p in inspect.signature(cls.__init__).parameters if p != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, by name.  deep : as scikit-learn has it; no argument here is a model."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **changes) -> Self:
        """Changes arguments of the constructor, as scikit-learn has it.

        What was learnt stays until the next `fit`, and `save` writes it with the arguments it was learnt with. What
        only predictions depend on, such as the `k` of neighbours, counts at once.

        Raises ValueError for a name that the constructor does not have, and changes nothing then.
        """
        if unknown := sorted(set(changes) - set(self._parameter_names())):
            raise ValueError(
                f"{type(self).__name__} has no parameter `{unknown[0]}`; it has {self._parameter_names()}"
            )
        for name, value in changes.items():
            setattr(self, name, value)
        return self

    def clone(self, **changes) -> Self:
        """A new, unfitted model with the same arguments but for `changes`."""
        unknown = set(changes) - set(self._parameter_names())
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no parameter `{min(unknown)}`; it has {self._parameter_names()}"
            )
        return type(self)(**(copy.deepcopy(self.get_params()) | changes))

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        given = (f"{k}={v!r}" for k, v in self.get_params().items() if v != defaults[k].default)
        return f"{type(self).__name__}({', '.join(given)})"

    # ---------------------------------------------------------------- fit

    def fit(self, data: Interactions | Dataset, validation=None, *, progress: bool = True) -> Self:
        """Learns from `data`; a second fit starts afresh. Returns the model itself.

        validation : data that models watch which learn in epochs; the others warn that they do not. Rows whose
            user or item `data` has not are left out
        progress : show a bar where it takes more than a second

        Raises
        ------
        TypeError, ValueError
            where `data` or `validation` is not what the model needs; the model stays as it was.
        DivergedError
            where training gave NaN or infinity.
        """
        train = as_interactions(data)
        self._check_hyper_parameters()
        self._check_data(data, train)
        with self._as_before_on_failure():
            self._fitted_params = copy.deepcopy(self.get_params())
            self._remember(data, train)
            watched = None if validation is None else self._code_validation(as_interactions(validation))
            self._fit(self._train, watched, progress)
            self._check_finite()
        return self

    def _code_validation(self, validation: Interactions) -> Coded | None:
        """Validation data in codes, checked like train; None, after a warning, for a model that watches none."""
        if not self._watches_validation:
            warnings.warn(
                f"{type(self).__name__} does not learn in epochs and watches no validation data; measure it "
                "afterwards: evaluate(model, validation)",
                UserWarning,
                stacklevel=3,
            )
            return None
        try:
            if not len(validation):
                raise ValueError("it is empty; at least one interaction is needed")
            self._check_targets(validation)
            coded = self._code_known(validation)
            if not len(coded.users):
                raise ValueError(
                    "no row has both a user and an item of train, so nothing can be measured on it; cut it from "
                    "the same data as train, for instance by splits.random_split(train, 0.1)"
                )
        except ValueError as error:
            raise ValueError(f"`validation`: {error}") from error
        return coded

    def partial_fit(self, data: Interactions | Dataset) -> Self:
        """Learns from `data` on top of what is known; new users and items join at the end."""
        self._require("partial_fit")
        if not self._is_fitted:
            return self.fit(data, progress=False)
        more = as_interactions(data)
        self._check_data(data, more)
        with self._as_before_on_failure():
            old = self._train
            self._user_index = self._user_index.extended(more.user_ids, "user")
            self._item_index = self._item_index.extended(more.item_ids, "item")
            self._add_warm_items(data)
            self._dataset = data if isinstance(data, Dataset) else Dataset(data)
            new = self._code_known(more)
            if old is not None:  # None where the model was saved without its history
                self._train = Coded(
                    np.concatenate([old.users, new.users]),
                    np.concatenate([old.items, new.items]),
                    _join(old.ratings, new.ratings),
                    join_times(old.timestamps, new.timestamps),
                    new.n_users,
                    new.n_items,
                    {
                        name: np.concatenate([old.extra[name], new.extra[name]])
                        for name in old.extra
                        if name in new.extra
                    },
                )
                self._seen = self._train.by_user()
            if self.rating_range_ and more.ratings is not None:
                low, high = self.rating_range_
                self.rating_range_ = (
                    min(low, float(more.ratings.min())),
                    max(high, float(more.ratings.max())),
                )
            self._partial_fit(new)
            self._check_finite()
        return self

    @contextlib.contextmanager
    def _as_before_on_failure(self):
        """Whatever goes wrong inside, the model is then what it was."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _check_data(self, data: Interactions | Dataset, train: Interactions) -> None:
        if not len(train):
            raise ValueError(f"{type(self).__name__}.fit got no interactions; at least one is needed")
        self._check_targets(train)
        for side, columns in self.needs.items():
            table = getattr(data, side) if isinstance(data, Dataset) else None
            if table is None:
                raise ValueError(
                    f"{type(self).__name__} needs the table `{side}`; fit it on a Dataset that has one"
                )
            if missing := [c for c in columns if c not in table.columns]:
                raise ValueError(f"{type(self).__name__} needs column `{missing[0]}` of the table `{side}`")

    def _check_targets(self, x: Interactions) -> None:
        """Raises ValueError where the ratings of train, or of validation data, are not what the model learns from."""
        if self.task == "rating" and x.ratings is None:
            raise ValueError(
                f"{type(self).__name__} predicts ratings, but the data has no column `rating`; "
                "name it in Interactions.from_frame(df, rating=...), or choose a model whose task is 'ranking'"
            )
        if self._one_rating_a_pair and x.ratings is not None and (row := x.first_repeat) is not None:
            user, item = plain(x.users[row]), plain(x.items[row])
            raise ValueError(
                f"{type(self).__name__} takes one rating a pair, and row {row} repeats user {user!r} and "
                f"item {item!r}; "
                "choose one: Interactions.from_frame(df, on_duplicate='last' or 'mean'), or preprocessing.deduplicate"
            )

    def _remember(self, data: Interactions | Dataset, train: Interactions) -> None:
        self._user_index, self._item_index = train.user_index, train.item_index
        self._add_warm_items(data)
        self._dataset = data if isinstance(data, Dataset) else Dataset(data)
        self._train = self._code_known(train)
        self._seen = self._train.by_user()
        self.rating_range_ = (
            None if train.ratings is None else (float(train.ratings.min()), float(train.ratings.max()))
        )
        self._log: list[dict] = []

    def _add_warm_items(self, data: Interactions | Dataset) -> None:
        """Items that are in the table and in no interaction join at the end, where the model can score them."""
        if "warm_items" in self.supports and isinstance(data, Dataset) and data.items is not None:
            self._item_index = self._item_index.extended(as_ids(data.items.index, "items.index"), "item")

    def _code_known(self, x: Interactions) -> Coded:
        """Rows of `x` whose user and item are known, in codes."""
        users, items = self._user_index.codes(x.users), self._item_index.codes(x.items)
        known = (users >= 0) & (items >= 0)
        return Coded(
            users[known],
            items[known],
            None if x.ratings is None else x.ratings[known],
            None if x.timestamps is None else x.timestamps[known],
            len(self._user_index),
            len(self._item_index),
            {name: column[known] for name, column in x.extra.items()},
        )

    def _check_finite(self) -> None:
        for name, values in self._get_parameters().items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise DivergedError(
                    f"{type(self).__name__}: `{name}` is not finite after {max(len(self._log), 1)} epoch(s); "
                    "lower `learning_rate`, raise `reg`, or look for extreme ratings"
                )

    # ---------------------------------------------------------------- ids

    @property
    def _is_fitted(self) -> bool:
        return hasattr(self, "_user_index")

    def _check_fitted(self) -> None:
        if not self._is_fitted:
            raise NotFittedError(
                f"this {type(self).__name__} has learnt nothing yet; call .fit(train) or load a file"
            )

    @property
    def history_(self) -> list[dict]:
        """What happened in each epoch; a copy."""
        self._check_fitted()
        return copy.deepcopy(self._log)

    @property
    def user_ids_(self) -> np.ndarray:
        self._check_fitted()
        return self._user_index.ids

    @property
    def item_ids_(self) -> np.ndarray:
        self._check_fitted()
        return self._item_index.ids

    def _require(self, capability: str) -> None:
        if capability in self.supports:
            return
        able = sorted(
            c.__name__ for c in _descendants(Recommender) if _same_wing(c, self) and capability in c.supports
        )
        hint = f"these do: {', '.join(able)}" if able else "no model of this wing does yet"
        raise NotSupportedError(f"{type(self).__name__} does not support `{capability}`; {hint}")

    def _item_codes(self, items, what: str) -> np.ndarray:
        items = ids_of(items, what)
        codes = self._item_index.codes(items)
        raise_unknown("item", items[codes < 0])
        return codes

    def _code_histories(self, histories) -> tuple[IdIndex, Coded]:
        """People never seen: a mapping to ordered lists of items, or Interactions."""
        self._require("histories")
        if isinstance(histories, Interactions | Dataset):
            x = as_interactions(histories)
            if not len(x):
                raise ValueError("`histories` is empty; give at least one person")
            if self.task == "rating" and x.ratings is None:
                raise ValueError(f"`histories` has no ratings, and {type(self).__name__} computes with them")
            order = np.arange(len(x)) if x.timestamps is None else np.argsort(x.timestamps, kind="stable")
            x = x.take(order)
            people, users, items, ratings, times, extra = (
                x.user_index,
                x.user_codes,
                x.items,
                x.ratings,
                x.timestamps,
                x.extra,
            )
        elif isinstance(histories, Mapping):
            if not histories:
                raise ValueError("`histories` is empty; give at least one person: {'name': [item, …]}")
            people = IdIndex(as_ids(list(histories), "histories"))
            lists = [self._items_and_ratings(name, one) for name, one in histories.items()]
            users = np.repeat(np.arange(len(lists)), [len(met) for met, _ in lists])
            flat = [item for met, _ in lists for item in met]
            items = as_ids(flat, "histories") if flat else self.item_ids_[:0]
            times, extra = None, {}
            ratings = None
            if self.rating_range_ is not None:
                ratings = np.array([rating for _, given in lists for rating in given], np.float64)
        else:
            raise TypeError(
                f"`histories` is a {type(histories).__name__}; give {{name: [item, …]}} or Interactions with ratings"
            )
        codes = self._item_index.codes(items)
        raise_unknown("item", items[codes < 0], "leave them out of `histories`")
        double = pd.DataFrame({"user": users, "item": codes}).duplicated().to_numpy()
        if self._one_rating_a_pair and self.rating_range_ is not None and double.any():
            row = int(double.argmax())
            item, name = plain(items[row]), plain(people.ids[users[row]])
            raise ValueError(f"`histories`: item {item!r} stands twice for {name!r}; keep it once")
        return people, Coded(users, codes, ratings, times, len(people), len(self._item_index), extra)

    def _items_and_ratings(self, name, history) -> tuple[list, list[float]]:
        """One person's history as a list of items and a list of ratings; an iterator is read here, once.

        A list says "these I liked": as ratings, the best there is in train. A mapping gives the ratings themselves.
        """
        if isinstance(history, str | bytes | pd.DataFrame) or not isinstance(history, Iterable):
            shown = repr(history) if isinstance(history, str | bytes) else f"a {type(history).__name__}"
            raise TypeError(
                f"`histories[{name!r}]` is {shown}; give an ordered list of item ids, or a mapping from item to rating"
            )
        if isinstance(history, set | frozenset) and self._reads_order:
            raise TypeError(
                f"`histories[{name!r}]` is a set, which has no order, and a {type(self).__name__} reads the order; "
                "give a list, the earliest first"
            )
        met = list(history)
        if not isinstance(history, Mapping):
            best = 1.0 if self.rating_range_ is None else self.rating_range_[1]
            return met, [best] * len(met)
        for item, rating in history.items():
            check_number(f"histories[{name!r}][{item!r}]", rating, -float("inf"), above=True)
        return met, [float(rating) for rating in history.values()]

    def question(self, histories=None) -> Question:
        """The inner face of a fitted model: people of train or of `histories`, prepared once, scored in blocks."""
        self._check_fitted()
        self._check_changes()
        return Question(self, histories)

    def _check_changes(self) -> None:
        """Raises ValueError where an argument was changed after `fit` to what does not fit what was learnt."""
        if self.get_params() == self._fitted_params:
            return
        self._check_hyper_parameters()
        sizes = len(self._user_index), len(self._item_index)
        with self._as_fitted():
            learnt = self._parameter_shapes(*sizes)
        if self._parameter_shapes(*sizes) != learnt:
            now, then = self.get_params(), self._fitted_params
            changed = ", ".join(
                f"`{name}` from {then[name]!r} to {now[name]!r}" for name in now if now[name] != then[name]
            )
            raise ValueError(
                f"{type(self).__name__}: after `fit` you changed {changed}, which does not fit what was learnt; "
                "fit again, or change it back"
            )

    # ---------------------------------------------------------------- predict

    def predict(
        self,
        users,
        items,
        *,
        context: pd.DataFrame | None = None,
        histories=None,
        unknown: str = "raise",
    ) -> np.ndarray:
        """Scores of pairs, (n,) float32, never clipped.

        users, items : n ids each, or one id for all
        context : a table of n rows with what is known at the moment (models that support "context")
        histories : people never seen, as in `recommend`; then `users` are its keys
        unknown : for ids that are not known: "raise", "fallback" (what the model knows without
            them: a mean and the biases it has), or "nan"

        Raises NotFittedError, UnknownIdError, NotSupportedError, ValueError.
        """
        self._check_fitted()
        if unknown not in UNKNOWN:
            raise ValueError(f"`unknown` is {unknown!r}; choose one of {UNKNOWN}")
        if context is not None:
            self._require("context")
        question = self.question(histories)
        users, items = ids_of(users, "users"), ids_of(items, "items")
        if len(users) != len(items) and 1 not in (len(users), len(items)):
            raise ValueError(
                f"`users` has {len(users)} ids and `items` {len(items)}; give as many of both, or one"
            )
        users, items = np.broadcast_arrays(users, items)
        question.check_context(context, len(users), "pair")
        u, i = question.people.codes(users), question.items.codes(items)
        known = (u >= 0) & (i >= 0)
        if not known.all() and unknown == "raise":
            raise_unknown("user", users[u < 0], "pass `histories`, or unknown='fallback'")
            raise_unknown("item", items[i < 0], "pass unknown='fallback'")
        return question.pairs(u, i, unknown, context)

    def score_matrix(self, users=None, *, histories=None, candidates=None, context=None) -> np.ndarray:
        """Scores of users × items, (n_users, n_items) float32; ask for a few hundred users at a time.

        users : ids (default: all that are known, or all of `histories`)
        candidates : item ids of the columns (default: `item_ids_`)
        context : one row a user
        """
        self._check_fitted()
        if context is not None:
            self._require("context")
        question = self.question(histories)
        users, codes = question.asked(users)
        question.check_context(context, len(users), "user")
        columns = None if candidates is None else self._item_codes(candidates, "candidates")
        return question.scores(codes, columns, context)

    # ---------------------------------------------------------------- recommend

    def recommend(
        self,
        users=None,
        k: int = 10,
        *,
        histories=None,
        exclude_seen: bool = True,
        candidates=None,
        context: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """The k items with the highest scores for each user.

        users : ids; None for all users of train, or for everybody in `histories`
        histories : people never seen: {name: ordered list of items, or {item: rating}}, or Interactions with
            ratings and times
        exclude_seen : leave out what the user has met in train (or in the history)
        candidates : item ids to choose from (default: all that the model knows)

        Returns a table user, item, score, rank (from 1), users in the given order; of equal scores
        the item that appeared first in train comes first. Users with fewer than k candidates
        get fewer rows.
        """
        self._check_fitted()
        check_number("k", k, 1, whole=True)
        question = self.question(histories)
        users, codes = question.asked(users)
        question.check_context(context, len(users), "user")
        columns = (
            np.arange(len(self.item_ids_))
            if candidates is None
            else self._item_codes(candidates, "candidates")
        )
        columns = np.unique(columns)  # in order of first appearance: that order breaks ties
        ids = self.item_ids_[columns]
        if exclude_seen:
            question.met()  # raises before anything is computed where it is not known
        step = max(1, PAIRS_PER_BLOCK // max(len(columns), 1))
        tables = [
            pd.DataFrame(
                {
                    "user": as_column(users[:0]),
                    "item": as_column(ids[:0]),
                    "score": np.zeros(0, np.float32),
                    "rank": codes[:0],
                }
            )
        ]
        for start in range(0, len(users), step):
            block = slice(start, start + step)
            here = context if context is None else context.iloc[block]
            scores = question.scores(codes[block], columns, here)
            if exclude_seen:
                question.hide_met(scores, codes[block], columns)
            row, column = top_k(scores, k)
            rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
            tables.append(
                pd.DataFrame(
                    {
                        "user": users[block][row],
                        "item": ids[column],
                        "score": scores[row, column],
                        "rank": rank,
                    }
                )
            )
        return pd.concat(tables, ignore_index=True)

    def similar_items(self, items, k: int = 10) -> pd.DataFrame:
        """The k items most similar to each of `items`: a table item, similar, score, rank."""
        self._check_fitted()
        self._require("similar_items")
        self._check_changes()
        check_number("k", k, 1, whole=True)
        codes = self._item_codes(items, "items")
        scores = np.array(self._similar_items(codes), np.float32)
        scores[np.arange(len(codes)), codes] = -np.inf
        row, column = top_k(scores, k)
        rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
        return pd.DataFrame(
            {
                "item": self.item_ids_[codes[row]],
                "similar": self.item_ids_[column],
                "score": scores[row, column],
                "rank": rank,
            }
        )

    # ---------------------------------------------------------------- what was learnt, in and out

    @property
    def network(self):
        """The framework's own network (`nn.Module`, `keras.Model`), or None where there is none."""
        return None

    def get_parameters(self) -> dict[str, np.ndarray]:
        """What `fit` learnt, as NumPy arrays under the formulas' names and shapes; copies."""
        self._check_fitted()
        return {name: np.array(values) for name, values in self._get_parameters().items()}

    def set_parameters(self, parameters: Mapping[str, np.ndarray]) -> Self:
        """Puts other values in place of what was learnt; names and shapes as in `get_parameters`."""
        self._check_fitted()
        mine = self._get_parameters()
        if wrong := sorted(set(parameters) ^ set(mine)):
            raise ValueError(
                f"parameter `{wrong[0]}` is missing or unknown; {type(self).__name__} has {sorted(mine)}"
            )
        for name, values in parameters.items():
            if np.shape(values) != mine[name].shape:
                raise ValueError(
                    f"parameter `{name}` has shape {np.shape(values)}; it must be {mine[name].shape}"
                )
            if not np.isfinite(values).all():
                raise ValueError(f"parameter `{name}` holds NaN or infinity")
        self._set_parameters(
            {name: np.array(values, mine[name].dtype) for name, values in parameters.items()}
        )
        return self

    def save(self, path: str | os.PathLike, *, include_history: bool = True) -> None:
        """Writes the model to one npz file that both wings can load: what was fitted, whatever was set afterwards.

        include_history : keep what each user has seen, which `exclude_seen` needs; it is personal data

        Raises NotSupportedError for include_history=False where the history is the model.
        """
        self._check_fitted()
        if not include_history and self._keeps_ratings:
            raise NotSupportedError(
                f"the ratings are part of a {type(self).__name__}; it cannot be saved with include_history=False"
            )
        with self._as_fitted():
            head, arrays = self._to_head_and_arrays(include_history)
        write_archive(path, head, arrays)

    @contextlib.contextmanager
    def _as_fitted(self):
        """Inside, the arguments are those of the last `fit`."""
        now = self.get_params()
        if now == self._fitted_params:
            yield
            return
        self.__dict__.update(self._fitted_params)
        try:
            yield
        finally:
            self.__dict__.update(now)

    def _to_head_and_arrays(self, include_history: bool) -> tuple[dict, dict[str, np.ndarray]]:
        arrays = {"user_ids": self.user_ids_, "item_ids": self.item_ids_}
        if include_history and self._train is not None:
            arrays |= {"history/users": self._train.users, "history/items": self._train.items}
            if self._train.ratings is not None:
                arrays["history/ratings"] = self._train.ratings
        arrays |= {f"parameter/{name}": values for name, values in self.get_parameters().items()}
        arrays |= {f"features/{name}": values for name, values in self._get_features().items()}
        head = {
            "class": type(self).__name__,
            "hyper_parameters": {
                name: value for name, value in self.get_params().items() if name != "device"
            },
            "rating_range": self.rating_range_,
            "training_log": self._log,
        }
        return head, arrays

    def __reduce__(self):
        """For pickle, copy and joblib: the class, the arguments as they are now, and a saved model's bytes, if fitted.

        What comes out can do what a loaded model can: the data it was fitted on does not travel.
        """
        data = None
        if self._is_fitted:
            file = io.BytesIO()
            with self._as_fitted():
                write_archive(file, *self._to_head_and_arrays(include_history=True))
            data = file.getvalue()
        return _rebuilt, (type(self), self.get_params(), data)

    @classmethod
    def load(cls, path: str | os.PathLike, *, device: str = "auto", max_bytes: int = MAX_BYTES) -> Self:
        """Reads a model that `save` wrote, in this wing or in the other.

        device : where it will compute; a file does not say, for it may be read on another machine

        Raises FileFormatError where the file is foreign, damaged, or of another class.
        """
        return restore([cls], path, device, max_bytes)

    def _restore(self, head: dict, arrays: dict[str, np.ndarray]) -> None:
        """Takes what a file holds; raises ValueError, naming the array, where it is not consistent."""
        for side in ("user", "item"):
            ids = arrays[f"{side}_ids"]
            if ids.ndim != 1 or ids.dtype.kind not in "iUO" or len(np.unique(ids)) != len(ids):
                raise ValueError(f"`{side}_ids` is not a list of distinct ids")
            setattr(self, f"_{side}_index", IdIndex(ids))
        n_users, n_items = len(self._user_index), len(self._item_index)
        self.rating_range_ = _as_range(head["rating_range"])
        self._log = list(head["training_log"])
        self._dataset, self._train, self._seen = None, None, None
        if "history/users" in arrays:
            users, items = arrays["history/users"], arrays["history/items"]
            ratings = arrays.get("history/ratings")
            if users.shape != items.shape or (ratings is not None and ratings.shape != users.shape):
                raise ValueError("`history` has columns of different lengths")
            for name, codes, n in (("users", users, n_users), ("items", items, n_items)):
                if (
                    codes.dtype.kind != "i"
                    or codes.ndim != 1
                    or (len(codes) and not 0 <= codes.min() <= codes.max() < n)
                ):
                    raise ValueError(f"`history/{name}` has codes outside 0..{n - 1}")
            if ratings is not None and not _is_finite(ratings):
                raise ValueError("`history/ratings` holds what is not finite")
            self._train = Coded(users, items, ratings, None, n_users, n_items)
            self._seen = self._train.by_user()
        if self._keeps_ratings and (self._train is None or self._train.ratings is None):
            raise ValueError("`history` is missing, and this model computes with it")
        self._set_features({name: arrays[f"features/{name}"] for name in self._feature_names()})
        parameters = {}
        for name, shape in self._parameter_shapes(n_users, n_items).items():
            values = arrays[f"parameter/{name}"]
            if values.shape != shape or not _is_finite(values):
                raise ValueError(
                    f"parameter `{name}` has shape {values.shape}, not {shape}, or is not finite"
                )
            parameters[name] = values
        self._set_parameters(parameters)

    # ---------------------------------------------------------------- hooks: what a model writes

    def _check_hyper_parameters(self) -> None:
        """Raises ValueError that names the argument and what it may be."""

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        raise NotImplementedError

    def _partial_fit(self, new: Coded) -> None:
        raise NotImplementedError

    def _predict(self, users: np.ndarray, items: np.ndarray, histories: Coded | None, context) -> np.ndarray:
        """Scores of n pairs of codes; with `histories`, `users` are its codes."""
        raise NotImplementedError

    def _score_matrix(
        self, users: np.ndarray, items: np.ndarray | None, histories: Coded | None, context
    ) -> np.ndarray:
        """Scores of users × items (codes; None: all); a model with a faster way than pairs says so here."""
        items = np.arange(len(self._item_index)) if items is None else items
        if context is not None:
            context = context.iloc[np.repeat(np.arange(len(users)), len(items))]
        pairs = np.repeat(users, len(items)), np.tile(items, len(users))
        return self._predict(*pairs, histories, context).reshape(len(users), len(items))

    def _prior(self, users: np.ndarray, items: np.ndarray, histories: Coded | None) -> np.ndarray:
        """Scores where the user, the item or both are unknown (code -1)."""
        raise NotImplementedError

    def _prior_now(
        self, users: np.ndarray, items: np.ndarray, histories: Coded | None, context
    ) -> np.ndarray:
        """`_prior` at a moment, for models that support "context"."""
        return self._prior(users, items, histories)

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        """(len(items), n_items) similarities."""
        raise NotImplementedError

    def _get_parameters(self) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        raise NotImplementedError

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of everything that `_get_parameters` gives: what a file may hold."""
        raise NotImplementedError

    def _feature_names(self) -> set[str]:
        """Names of what `_get_features` gives, as the constructor's arguments say."""
        return set()

    def _get_features(self) -> dict[str, np.ndarray]:
        """What the model knows of users and items besides the parameters: numbers and text that a file must hold."""
        return {}

    def _set_features(self, features: dict[str, np.ndarray]) -> None:
        """Takes what a file holds, before the parameters; raises ValueError, naming the array, for what is wrong."""


class WingRecommender(Recommender):
    """The framework-free half of a model that both wings share: what it asks of a wing, besides its own pieces."""

    def _to_numpy(self, tensor) -> np.ndarray:
        raise NotImplementedError

    def _to_tensor(self, array: np.ndarray):
        raise NotImplementedError


def _rebuilt(cls: type[Recommender], parameters: dict[str, Any], data: bytes | None) -> Recommender:
    """What `Recommender.__reduce__` says: an unfitted model, or one read from the bytes of a saved model."""
    if data is None:
        return cls(**parameters)
    model = restore([cls], io.BytesIO(data), parameters.get("device", "auto"))
    return model.set_params(**parameters)


def _by_user(coded: Coded) -> Ragged:
    return Ragged.group(coded.users, coded.n_users)


def restore(
    classes: Iterable[type[Recommender]],
    path: str | os.PathLike | BinaryIO,
    device: str = "auto",
    max_bytes: int = MAX_BYTES,
) -> Recommender:
    """Reads a saved model of one of `classes`.  path : of a file, or a binary file that is open for reading

    Raises
    ------
    FileFormatError
        where the file is not a whole and consistent model of these classes.
    ValueError, RuntimeError
        where `device` is no device, or is not there.
    """
    by_name = {cls.__name__: cls for cls in classes}
    blank: list[Recommender] = []

    def expected(head: dict) -> set[str]:
        if head["class"] not in by_name:
            raise FileFormatError(
                f"{path} holds a {head['class']}; here can be read: {', '.join(sorted(by_name))}"
            )
        cls = by_name[head["class"]]
        where = {"device": device} if "device" in cls._parameter_names() else {}
        try:
            # JSON has no tuples; hyper-parameters that are sequences are tuples.
            given = {k: tuple(v) if isinstance(v, list) else v for k, v in head["hyper_parameters"].items()}
            blank.append(cls(**given, **where))
            blank[0]._check_hyper_parameters()
        except (TypeError, ValueError) as error:
            raise FileFormatError(
                f"{path}: its hyper-parameters do not fit a {head['class']}: {error}"
            ) from error
        ids_and_history = {"user_ids", "item_ids", "history/users", "history/items", "history/ratings"}
        features = {f"features/{name}" for name in blank[0]._feature_names()}
        return ids_and_history | features | {f"parameter/{name}" for name in blank[0]._parameter_shapes(0, 0)}

    head, arrays = read_archive(path, expected, max_bytes)
    model = blank[0]
    if "device" in model._parameter_names():
        _ = model.device_  # a device that is not there is no fault of the file
    try:
        model._restore(head, arrays)
        model._fitted_params = copy.deepcopy(model.get_params())
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path}: its parts do not fit together ({error}); save the model again"
        ) from error
    return model


def check_choice(name: str, value, choices: Iterable) -> None:
    """Raises ValueError where `value` is none of `choices`."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"`{name}` is {value!r}; choose one of {choices}")


def check_number(name: str, value, low: float, whole: bool = False, above: bool = False) -> None:
    """Raises ValueError where `value` is no number of at least `low`, or, with `above`, none greater than it."""
    kinds = int | np.integer if whole else int | float | np.number
    right = not isinstance(value, bool) and isinstance(value, kinds) and low <= value < float("inf")
    if not right or (above and value == low):
        bound = f"greater than {low}" if above else f"of at least {low}"
        raise ValueError(f"`{name}` is {value!r}; it must be a {'whole ' if whole else ''}number {bound}")


def _is_finite(values: np.ndarray) -> bool:
    return values.dtype.kind in "biuf" and bool(np.isfinite(values).all())


def _as_range(value) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(limit, float) for limit in value):
        raise ValueError(f"`rating_range` is {value!r}, not two numbers")
    return value[0], value[1]


def _join(old: np.ndarray | None, new: np.ndarray | None) -> np.ndarray | None:
    return None if old is None or new is None else np.concatenate([old, new])


def _descendants(cls: type) -> Iterable[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)


def _same_wing(cls: type, model: Recommender) -> bool:
    wing = type(model).__module__.split(".")[:2]
    return cls.__module__.split(".")[:2] == wing and not cls.__name__.startswith("_")
