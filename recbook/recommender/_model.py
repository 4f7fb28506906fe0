"""The template that every model fills in."""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, cast, dataclass_transform

import numpy as np
import pandas as pd

from recbook.core import arguments
from recbook.core.arguments import check_number
from recbook.core.blocks import blocks, cells_of_rows
from recbook.core.ragged import top_k
from recbook.core.storage import MAX_BYTES
from recbook.core.vectors import cosines
from recbook.errors import DivergedError, NotFittedError, NotSupportedError
from recbook.interactions import (
    Dataset,
    IdIndex,
    Interactions,
    as_column,
    as_dataset,
    as_ids,
    as_interactions,
    is_table,
    plain,
)
from recbook.recommender import _files
from recbook.recommender._coded import Coded
from recbook.recommender._histories import code_histories
from recbook.recommender._questions import Question, ids_of, raise_unknown

TASKS = ("rating", "ranking", "click", "next_item")
CAPABILITIES = ("histories", "warm_items", "context", "similar_items", "partial_fit")
UNKNOWN = ("raise", "fallback", "nan", "ignore")  # of pairs, and "ignore" of histories, too
OF_HISTORIES = ("raise", "ignore")


# Without `field_specifiers`: of these a checker takes a default by its keyword alone, and models give it by place.
@dataclass_transform()
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
    # Whether what a person has met changes what is said of other items.
    _reads_histories: ClassVar[bool] = True
    # Whether all items score alike for somebody without a history: what is popular then stands in (`Question`).
    _blank_without_history: ClassVar[bool] = False

    @property
    def _one_rating_a_pair(self) -> bool:
        """Whether ratings are what it computes with: those of a pair that stands twice must not count twice."""
        return self.task == "rating"

    # ---------------------------------------------------------------- parameters of the constructor

    # What the body of a class says with `number`, `choice`, … of recbook.core.arguments, by name.
    _arguments: ClassVar[dict[str, arguments.Argument]] = {}

    def __init_subclass__(cls, **more) -> None:
        super().__init_subclass__(**more)
        arguments.declare(cls)

    def __init__(self) -> None:
        """Without arguments, unless a class declares some, or has a constructor of its own."""

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

        Warns where a model of order, such as SASRec, gets data without times: then rows count as ordered.

        Raises
        ------
        TypeError, ValueError
            where `data` or `validation` is not what the model needs; the model stays as it was.
        DivergedError
            where training gave NaN or infinity.
        """
        data = as_dataset(data)
        self._check_hyper_parameters()
        self._check_data(data)
        if self._reads_order and data.interactions.timestamps is None:
            warnings.warn(
                f"{type(self).__name__} learns from the order of events, and the data has no times: rows are taken in "
                "the order of the table; name their column in Interactions.from_frame(df, timestamp=...)",
                UserWarning,
                stacklevel=2,
            )
        with self._as_before_on_failure():
            self._fitted_params = copy.deepcopy(self.get_params())
            self._remember(data)
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
            coded = Coded.of_known(validation, self._user_index, self._item_index)
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
        self._check_unchanged()
        data = as_dataset(data)
        more = data.interactions
        self._check_data(data)
        self._check_new(more)
        with self._as_before_on_failure():
            self._user_index = self._user_index.extended(more.user_ids, "user")
            self._item_index = self._item_index.extended(more.item_ids, "item")
            self._look_at(data)
            new = Coded.of_known(more, self._user_index, self._item_index)
            if self._train is not None:  # None where the model was saved without its history
                self._train = self._train.followed_by(new)
            if self.rating_range_ and more.ratings is not None:
                low, high = self.rating_range_
                self.rating_range_ = (
                    min(low, float(more.ratings.min())),
                    max(high, float(more.ratings.max())),
                )
            self._partial_fit(new)
            self._check_finite()
        return self

    def _check_unchanged(self) -> None:
        """Raises ValueError where an argument was changed after `fit`: what is learnt on must be learnt alike."""
        now, then = self.get_params(), self._fitted_params
        changed = [name for name in now if name != "device" and now[name] != then[name]]
        if changed:
            name = changed[0]
            raise ValueError(
                f"{type(self).__name__}: after `fit` you changed `{name}` from {then[name]!r} to {now[name]!r}; "
                "`partial_fit` goes on as it began: fit again, or change it back"
            )

    def _check_new(self, more: Interactions) -> None:
        """Raises ValueError where a rating is of a pair that was rated before: it would count twice."""
        if not self._one_rating_a_pair or self._train is None:
            return
        users, items = self._user_index.codes(more.users), self._item_index.codes(more.items)
        known = self._train.users * len(self._item_index) + self._train.items
        again = (users >= 0) & (items >= 0) & np.isin(users * len(self._item_index) + items, known)
        if again.any():
            row = int(again.argmax())
            raise ValueError(
                f"row {row}: user {plain(more.users[row])!r} and item {plain(more.items[row])!r} stand in what "
                "was learnt already, and would count twice; leave such rows out, or fit anew on the newest ratings"
            )

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

    def _check_data(self, data: Dataset) -> None:
        if not len(data):
            raise ValueError(f"{type(self).__name__}.fit got no interactions; at least one is needed")
        self._check_targets(data.interactions)
        for side, columns in self.needs.items():
            table = getattr(data, side)
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

    def _remember(self, data: Dataset) -> None:
        train = data.interactions
        self._user_index, self._item_index, self._item_table = train.user_index, train.item_index, None
        self._look_at(data)
        self._train = self._in_order(Coded.of_known(train, self._user_index, self._item_index))
        self.rating_range_ = (
            None if train.ratings is None else (float(train.ratings.min()), float(train.ratings.max()))
        )
        self._log: list[dict] = []

    def _look_at(self, dataset: Dataset) -> None:
        """Items that are in the table and in no interaction join at the end, where the model can score them."""
        if "warm_items" in self.supports and dataset.items is not None:
            self._item_index = self._item_index.extended(as_ids(dataset.items.index, "items.index"), "item")
        if dataset.items is not None:
            before = self._item_table
            kept = None if before is None else before[~before.index.isin(dataset.items.index)]
            self._item_table = (
                dataset.items if kept is None or kept.empty else pd.concat([kept, dataset.items])
            )
        self._read_tables(dataset)

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

    def _code_histories(self, histories, unknown: str = "raise") -> tuple[IdIndex, Coded]:
        return code_histories(self, histories, unknown)

    def question(self, histories=None, unknown: str = "raise") -> Question:
        """The inner face of a fitted model: people of train or of `histories`, prepared once, scored in blocks.

        unknown : of items of `histories` that the model does not know: "ignore" leaves them out
        """
        self._check_fitted()
        self._check_changes()
        return Question(self, histories, unknown)

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
            them: a mean and the biases it has), or "nan"; "ignore" is "fallback", and leaves items that are not
            known out of `histories`, too

        Warns where somebody of `histories` has met nothing, as `recommend` does.
        Raises NotFittedError, UnknownIdError, NotSupportedError, ValueError.
        """
        self._check_fitted()
        if unknown not in UNKNOWN:
            raise ValueError(f"`unknown` is {unknown!r}; choose one of {UNKNOWN}")
        if context is not None:
            self._require("context")
        question = self.question(histories, unknown)
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

    def score_matrix(
        self, users=None, *, histories=None, candidates=None, context=None, unknown: str = "raise"
    ) -> np.ndarray:
        """Scores of users × items, (n_users, n_items) float32; ask for a few hundred users at a time.

        users : ids (default: all that are known, or all of `histories`)
        candidates : item ids of the columns (default: `item_ids_`)
        context : one row a user
        unknown : of items of `histories`, as in `recommend`
        """
        self._check_fitted()
        arguments.check_choice("unknown", unknown, OF_HISTORIES)
        if context is not None:
            self._require("context")
        question = self.question(histories, unknown)
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
        with_items: Sequence[str] | pd.DataFrame | None = None,
        unknown: str = "raise",
    ) -> pd.DataFrame:
        """The k items with the highest scores for each user.

        users : ids; None for all users of train, or for everybody in `histories`
        histories : people never seen: {name: ordered list of items, or {item: rating}}, or Interactions with
            ratings and times
        exclude_seen : leave out what the user has met in train (or in the history)
        candidates : item ids to choose from (default: all that the model knows)
        with_items : columns of the table of items that the model was fitted with, such as ["title"], to stand beside
            the items; or a table of one's own, indexed by item id, with all its columns
        unknown : of items of `histories` that the model does not know: "raise" an UnknownIdError, or "ignore" them

        Somebody of `histories` who has met nothing, or nothing that is known, gets what the model expects of anybody,
        and a UserWarning says so, one for all of them. A model that without a history scores all items alike, such as
        EASE, lists what is popular in train, or, where its scores are ratings, what is rated best on average.

        Returns a table user, item, score, rank (from 1), users in the given order; of equal scores
        the item that appeared first in train comes first. Users with fewer than k candidates
        get fewer rows.
        """
        self._check_fitted()
        check_number("k", k, 1, whole=True)
        arguments.check_choice("unknown", unknown, OF_HISTORIES)
        question = self.question(histories, unknown)
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
        found = [(users[:0], ids[:0], np.zeros(0, np.float32), codes[:0])]
        for block in blocks(len(users), len(columns)):
            here = context if context is None else context.iloc[block]
            scores = question.scores(codes[block], columns, here)
            if exclude_seen:
                question.hide_met(scores, codes[block], columns)
            row, column = top_k(scores, k)
            rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
            found.append((users[block][row], ids[column], scores[row, column], rank))
        person, item, score, rank = map(np.concatenate, zip(*found, strict=True))
        table = pd.DataFrame(
            {"user": as_column(person), "item": as_column(item), "score": score, "rank": rank}
        )
        return table if with_items is None else self._beside(table, with_items)

    def _beside(self, table: pd.DataFrame, with_items: Sequence[str] | pd.DataFrame) -> pd.DataFrame:
        """A table with further columns: what is known of its items."""
        if isinstance(with_items, pd.DataFrame):
            known = cast("pd.DataFrame", with_items)
            columns = list(known.columns)
        elif is_table(with_items):
            raise TypeError(
                f"`with_items` is a {type(with_items).__name__}; give a table of pandas, indexed by item id"
            )
        else:
            known = self._item_table
            columns = [with_items] if isinstance(with_items, str) else list(with_items)
            if known is None:
                raise ValueError(
                    f"this {type(self).__name__} knows no table of items: it was fitted without one, or is a "
                    "copy, or from a file; give it: with_items=ml.items[['title']]"
                )
        for name in columns:
            if name not in known.columns or name in table.columns:
                state = (
                    "is a column of the lists already"
                    if name in table.columns
                    else "is no column of the items"
                )
                raise ValueError(f"`with_items`: {name!r} {state}; the items have {list(known.columns)}")
        if not known.index.is_unique:
            raise ValueError("`with_items` has an item twice; keep one row an item")
        if len(set(columns)) < len(columns):
            raise ValueError(f"`with_items` names a column twice: {columns}")
        if len(table) and not table["item"].isin(known.index).any():
            raise ValueError(
                f"`with_items` knows none of the items, such as {table['item'].tolist()[0]!r}: its index begins with "
                f"{known.index[:1].tolist()}; index it by item id: table.set_index('item')"
            )
        beside = known[columns].reindex(table["item"])
        return table.assign(**{name: beside[name].to_numpy() for name in columns})

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
                "item": as_column(self.item_ids_[codes[row]]),
                "similar": as_column(self.item_ids_[column]),
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
        _files.write(self, path, include_history)

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

    def __reduce__(self):
        """For pickle, copy and joblib. What comes out can do what a loaded model can."""
        return _files.reduced(self)

    @classmethod
    def load(cls, path: str | os.PathLike, *, device: str = "auto", max_bytes: int = MAX_BYTES) -> Self:
        """Reads a model that `save` wrote, in this wing or in the other.

        device : where it will compute; a file does not say, for it may be read on another machine

        Raises FileFormatError where the file is foreign, damaged, or of another class.
        """
        return _files.restore([cls], path, device, max_bytes)

    # ---------------------------------------------------------------- hooks: what a wing writes

    # recbook/torch/_model.py and recbook/keras/_model.py, for the models that have a part in both. A tensor is the
    # framework's own, whatever that is.

    device: ClassVar[str]  # an argument that each of these models declares for itself
    device_: ClassVar[Any]

    def _to_tensor(self, array: np.ndarray) -> Any:
        raise NotImplementedError

    def _to_numpy(self, tensor: Any) -> np.ndarray:
        raise NotImplementedError

    def _build(self, n_users: int, n_items: int) -> None:
        """Makes the network, on the device."""
        raise NotImplementedError

    def _train_network(self, feed: Iterator[dict[str, np.ndarray]], steps: int) -> None:
        """Goes through the epochs, of `steps` batches each."""
        raise NotImplementedError

    def _after_epoch(self, loss: float) -> bool:
        """What a model that trains does then; whether to stop."""
        raise NotImplementedError

    def _compute(self, method: str, *given: Any) -> Any:
        """What a method of the network makes of arrays."""
        raise NotImplementedError

    def _read(self, method: str, *given: Any) -> Any:
        """The same, of a batch of histories."""
        raise NotImplementedError

    # ---------------------------------------------------------------- hooks: what a model writes

    def _check_hyper_parameters(self) -> None:
        """Raises ValueError that names the argument and what it may be; a model adds what hangs together."""
        for name, argument in self._arguments.items():
            argument.check(name, getattr(self, name))

    def _read_tables(self, data: Dataset) -> None:
        """Takes what the model needs of the side tables: the data itself is not kept."""

    def _in_order(self, train: Coded) -> Coded:
        """Train, in the order that the model reads it in."""
        return train

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        raise NotImplementedError

    def _partial_fit(self, new: Coded) -> None:
        raise NotImplementedError

    def _people(self, histories: Coded | None) -> Any:
        """What stands for the people who are asked about: those of train (None), or those of histories.

        Called once for a question, however many blocks they are scored in; what it gives comes back as `people`.
        """
        return histories

    def _predict(self, users: np.ndarray, items: np.ndarray, people: Any, context) -> np.ndarray:
        """Scores of n pairs of codes; `users` count the people who are asked about. By rows, unless a model has a way.

        Of a model of rows code -1, an item that is not known, is the average item.
        """
        n_items = len(self._item_index)
        return cells_of_rows(lambda block: self._score_rows(block, people), users, items, n_items)

    def _score_rows(self, users: np.ndarray, people: Any) -> np.ndarray:
        """Scores of some people with all items, (len(users), n_items): for a model that knows no single pairs."""
        raise NotImplementedError

    def _score_matrix(self, users: np.ndarray, items: np.ndarray | None, people: Any, context) -> np.ndarray:
        """Scores of users × items (codes; None: all); a model with a faster way than pairs, or rows, says so here."""
        if type(self)._score_rows is not Recommender._score_rows:
            rows = [
                self._score_rows(users[block], people) for block in blocks(len(users), len(self._item_index))
            ]
            return np.concatenate(rows) if items is None else np.concatenate(rows)[:, items]
        items = np.arange(len(self._item_index)) if items is None else items
        if context is not None:
            context = context.iloc[np.repeat(np.arange(len(users)), len(items))]
        pairs = np.repeat(users, len(items)), np.tile(items, len(users))
        return self._predict(*pairs, people, context).reshape(len(users), len(items))

    def _prior(self, users: np.ndarray, items: np.ndarray, people: Any) -> np.ndarray:
        """Scores where the user, the item or both are unknown (code -1)."""
        raise NotImplementedError

    def _prior_now(self, users: np.ndarray, items: np.ndarray, people: Any, context) -> np.ndarray:
        """`_prior` at a moment, for models that support "context"."""
        return self._prior(users, items, people)

    def _item_vectors(self) -> np.ndarray:
        """(n_items, d) what stands for the items; those are similar whose vectors point the same way."""
        raise NotImplementedError

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        """(len(items), n_items) similarities: cosines, unless a model has some of its own."""
        return cosines(self._item_vectors(), items)

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


def _descendants(cls: type) -> Iterable[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)


def _same_wing(cls: type, model: Recommender) -> bool:
    wing = type(model).__module__.split(".")[:2]
    return cls.__module__.split(".")[:2] == wing and not cls.__name__.startswith("_")
