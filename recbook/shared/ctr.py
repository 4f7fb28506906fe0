"""WideAndDeep, DeepFM and DIN: what both wings share (chapter `ctr`).

Equations (ctr-…) are those of the chapter. A model reads pairs as rows of features (`recbook.fields`); the
vectors of the features of one field are summed up, and the fields' vectors, side by side, go into a network. What
the person liked strictly earlier is one more field, "history".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pandas as pd

from recbook.core.blocks import blocks
from recbook.errors import NotSupportedError
from recbook.fields import Fields, parse_spec
from recbook.interactions import Dataset, Interactions
from recbook.recommender import Coded, argument, choice, device, number, seed, whole, widths
from recbook.shared._fields import fields, nobody, restored, side_of
from recbook.shared._training import OPTIMIZERS, Batch, GradientModel, check_binary

Shapes = dict[str, tuple[int, ...]]
HISTORY = "history"  # the field of what the person liked strictly earlier
DICE_EPSILON = 1e-5
DICE_MOMENTUM = 0.9  # of the running statistics, which are divided by what their weights sum to


def layer_shapes(prefix: str, width: int, layers: tuple[int, ...], head: str) -> Shapes:
    """Kernels and biases of a network on `width` numbers, and the weights of its last, linear layer."""
    shapes: Shapes = {}
    for n, size in enumerate(layers, start=1):
        shapes |= {f"{prefix}kernel_{n}": (width, size), f"{prefix}bias_{n}": (size,)}
        width = size
    return shapes | {head: (width,)}


def pooling(field_of: np.ndarray) -> np.ndarray:
    """(fields, width) the 0/1 matrix that adds up the columns of each field, equation (ctr-pooled)."""
    return (field_of == np.unique(field_of)[:, None]).astype(np.float32)


# ---------------------------------------------------------------- what all share


class Behaviours:
    """What each person liked, in order of time, and how far it goes at each row of a table.

    A row is liked where its rating is 1, or where there are no ratings. Rows of one person are ordered by time,
    those of one time as they stand in the table; without times the table's order is that of time.

    liked : (m,) item codes, person by person, each in order of time
    starts : (n_users + 1,) where each person's begin
    before : (n,) for each row of the table, up to where in `liked` stands what its person liked strictly earlier
    order : (n,) the rows by person and time
    """

    def __init__(self, x: Coded, order: np.ndarray | None = None):
        n = len(x.users)
        if order is None:
            times = np.arange(n) if x.timestamps is None else x.timestamps
            order = np.lexsort((times, x.users))  # stable: equal times stay in the table's order
        else:
            times = None
        self.order = order
        users = x.users[order]
        liked = np.ones(n, bool) if x.ratings is None else x.ratings[order] == 1
        until = np.concatenate([[0], np.cumsum(liked)])
        self.liked = x.items[order][liked]
        self.starts = until[np.searchsorted(users, np.arange(x.n_users + 1))]
        if times is None:  # read from a file, for predictions: what stands before a row is not asked again
            return
        times = times[order]
        new = np.ones(n, bool)
        new[1:] = (users[1:] != users[:-1]) | (times[1:] != times[:-1])
        first_of_tie = np.maximum.accumulate(np.where(new, np.arange(n), 0))
        self.before = np.empty(n, np.int64)
        self.before[order] = until[first_of_tie]

    def padded(self, users: np.ndarray, ends: np.ndarray, width: int, empty: int) -> np.ndarray:
        """The last `width` items before `ends` of each person, (n, width) int32, `empty` in front of the first."""
        place = ends[:, None] + np.arange(-width, 0)
        real = place >= self.starts[users][:, None]
        if not len(self.liked):
            return np.full(place.shape, empty, np.int32)
        return np.where(real, self.liked[np.where(real, place, 0)], empty).astype(np.int32)

    def latest(self, users: np.ndarray, width: int, empty: int) -> np.ndarray:
        """The last `width` items of each person, as `padded`; of nobody (code -1), nothing."""
        # The list of nobody ends at 0, where nothing stands before.
        return self.padded(users, self.starts[users + 1], width, empty)


class ClickModel(GradientModel):
    """The chance of a click from rows of features, and from what the person liked: logistic loss on ratings of 0 and 1.

    A batch holds the rows of the fields without "history", and what `_with_past` makes of them and of the histories.
    The network makes the chances of a batch: `chances(batch)`.
    """

    # Arguments that each model declares for itself; without ClassVar they would be declared here.
    fields: ClassVar[tuple[str, ...]]
    factors: ClassVar[int]
    layers: ClassVar[tuple[int, ...]]
    max_length: ClassVar[int]
    init_scale: ClassVar[float]

    task = "click"
    supports = frozenset({"context", "warm_items", "histories"})
    _reads_histories = False  # a history is one field of many: whoever has none is told apart by the others

    @property
    def _spec(self) -> tuple[str, ...]:
        """All the fields that rows have; "history" is none, what the hyper-parameters add to `fields` is."""
        return tuple(name for name in self.fields if name != HISTORY)

    @property
    def _reads_behaviours(self) -> bool:
        return HISTORY in self.fields

    @property
    def _keeps_ratings(self) -> bool:
        """What a person liked is what the model reads."""
        return self._reads_behaviours

    @property
    def _reads_order(self) -> bool:
        """The last `max_length` likes are read."""
        return self._reads_behaviours

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        if not self._spec:
            raise ValueError("`fields` is 'history' alone; name one more at least, such as 'item'")
        parse_spec(self._spec)
        for name in self._spec:
            if HISTORY in name.split("*"):
                raise ValueError(f"{name!r} crosses 'history', which stands alone; leave the cross out")

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        check_binary(type(self).__name__, x, "or choose a model whose task is 'rating' or 'ranking'")

    # ---------------------------------------------------------------- hooks: what a kind of model writes

    def _with_past(self, rows: Batch, items: np.ndarray, past: np.ndarray, most: int) -> Batch:
        """What the network reads of rows and histories.

        items : (n,) codes;  past : (n, length) codes, that of nothing in front;  most : rows that a batch can have
        """
        raise NotImplementedError

    def _length(self, behaviours: Behaviours) -> int:
        """How many places a history has in a batch."""
        raise NotImplementedError

    def _cells(self, length: int) -> int:
        """How many numbers the widest array has for one pair."""
        width = self._fields.width + (length if self._reads_behaviours else 0)
        return max(width * self.factors, *self.layers, 1)

    # ---------------------------------------------------------------- training

    def _read_tables(self, data: Dataset) -> None:
        self._fields: Fields = Fields.fit(self._spec, data)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._behaviours = Behaviours(train) if self._reads_behaviours else None
        try:
            super()._fit(train, validation, progress)
        finally:
            self.__dict__.pop("_same_every_epoch", None)

    def _liked(self) -> Behaviours:
        """What everybody in train liked, of a model that reads histories."""
        assert self._behaviours is not None
        return self._behaviours

    def _rows(self, x: Coded) -> Batch:
        index, value = self._fields.coded_rows(x.users, x.items, x.extra)
        return {"index": index, "value": value}

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        shapes = self._parameter_shapes(train.n_users, train.n_items)
        start = {name: self._first_values(name, shape, rng) for name, shape in shapes.items()}
        positive = (train.rated.sum() + 1) / (len(train.rated) + 2)
        start["constant"] = np.asarray(np.log(positive / (1 - positive)))
        return {name: np.asarray(values, np.float32) for name, values in start.items()}

    def _first_values(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Vectors small; kernels such that a layer keeps the size of what it is given (He et al. 2015)."""
        if name == "factors":
            return rng.normal(0.0, self.init_scale, shape)
        if "kernel_" in name:
            return rng.normal(0.0, math.sqrt(2 / shape[0]), shape)
        return rng.normal(0.0, math.sqrt(1 / shape[0]), shape) if name.endswith("head") else np.zeros(shape)

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        if "_same_every_epoch" not in self.__dict__:
            rows = {**self._rows(train), "target": train.rated.astype(np.float32)}
            if self._reads_behaviours:
                rows["row"] = np.arange(len(train.users))
            self._same_every_epoch = rows
        return self._same_every_epoch

    def _batches(self, train: Coded, examples: Batch, rng: np.random.Generator) -> Iterator[Batch]:
        """Histories are looked up batch by batch: all at once they would be n · max_length codes."""
        if not self._reads_behaviours:
            yield from super()._batches(train, examples, rng)
            return
        past, most = self._liked(), self._size_of_batches(len(train.users))
        length = self._length(past)
        for batch in super()._batches(train, examples, rng):
            rows = batch.pop("row")
            codes = past.padded(train.users[rows], past.before[rows], length, train.n_items)
            yield self._with_past(batch, train.items[rows], codes, most)

    def _validate(self, validation: Coded) -> tuple[str, float]:
        p = self._by_blocks(validation.users, validation.items, None, validation.extra)
        p = p.astype(np.float64).clip(1e-7, 1 - 1e-7)
        loss = -np.where(validation.ratings == 1, np.log(p), np.log1p(-p))
        return "validation_loss", float(loss.mean())

    # ---------------------------------------------------------------- scores

    def _code_histories(self, histories, unknown: str = "raise"):
        if not self._reads_behaviours:
            raise NotSupportedError(
                f"this {type(self).__name__} reads no histories: its `fields` are {tuple(self.fields)!r}; "
                "add 'history' to them and fit again"
            )
        people, coded = super()._code_histories(histories, unknown)
        if coded.ratings is not None and not np.isin(coded.ratings, (0.0, 1.0)).all():
            wrong = coded.ratings[~np.isin(coded.ratings, (0.0, 1.0))][0]
            raise ValueError(
                f"`histories` has the rating {wrong:g}; {type(self).__name__} reads 1 as liked and 0 as not: make them "
                "of ratings, such as df['rating'] >= 4, or give lists of what was liked"
            )
        return people, coded

    def _people(self, histories: Coded | None) -> Behaviours | None:
        """What people never seen liked; of those of train it is known, and so are their features."""
        return None if histories is None else Behaviours(histories)

    def _predict(self, users, items, people, context) -> np.ndarray:
        self._fields.check_context(context, len(users))
        return self._by_blocks(users, items, people, context)

    def _prior(self, users, items, people) -> np.ndarray:
        return self._by_blocks(users, items, people, None)

    def _prior_now(self, users, items, people, context) -> np.ndarray:
        return (
            self._prior(users, items, people)
            if context is None
            else self._predict(users, items, people, context)
        )

    def _by_blocks(self, users, items, people: Behaviours | None, context) -> np.ndarray:
        """Chances of pairs, each with all that the person liked; who is unknown (code -1) has liked nothing."""
        past = None
        if self._reads_behaviours:
            past = self._liked() if people is None else people
        length = 0 if past is None else self._length(past)
        parts = [np.zeros(0, np.float32)]
        for block in blocks(len(users), self._cells(length)):
            known = users[block] if people is None else nobody(len(users[block]))
            index, value = self._fields.coded_rows(known, items[block], self._moment(context, block))
            batch = {"index": index, "value": value}
            if past is not None:
                codes = past.latest(users[block], length, len(self._item_index))
                batch = self._with_past(batch, items[block], codes, block.stop - block.start)
            parts.append(self._compute("chances", batch))
        return np.concatenate(parts)

    def _moment(self, context, block: slice) -> Batch | None:
        """The columns of the context that the fields read, of a block of rows."""
        if context is None:
            return None
        return {name: np.asarray(context[name])[block] for name in self._fields.context}

    # ---------------------------------------------------------------- files

    def _feature_names(self) -> set[str]:
        return Fields.array_names(self._spec) | ({"time_order"} if self._reads_behaviours else set())

    def _get_features(self) -> dict[str, np.ndarray]:
        order = {"time_order": self._liked().order} if self._reads_behaviours else {}
        return self._fields.to_arrays() | order

    def _set_features(self, features: dict[str, np.ndarray]) -> None:
        order = features.pop("time_order", None)
        self._fields, self._behaviours = restored(self, self._spec, features), None
        if not self._reads_behaviours:
            return
        assert order is not None  # it is one of `_feature_names`
        users = self._train.users
        right = order.dtype.kind == "i" and order.shape == users.shape
        if not (
            right
            and np.array_equal(np.sort(order), np.arange(len(users)))
            and (np.diff(users[order]) >= 0).all()
        ):
            raise ValueError("`time_order` does not put the rows of the history in order")
        self._behaviours = Behaviours(self._train, order)


# ---------------------------------------------------------------- DeepFM and Wide & Deep


class DeepFM(ClickModel):
    """A factorisation machine and a network on the same vectors (Guo et al. 2017).

    P(click) = σ(w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b + w_Lᵀx_L): x_L comes out of hidden layers with ReLU on the
    fields' vectors side by side, and these are sums of the machine's own v, equation (ctr-deepfm). Trained on the
    mean over rows of the logistic loss + reg Σ_{a: x_a ≠ 0} (w_a² + ‖v_a‖²), plus reg_layers times the squares of
    all kernels: equation (ctr-objective). `predict` gives probabilities.

    fields : names of the features, as in `recbook.fields`, and "history": the items that the person liked (rating 1)
        strictly earlier, 1/√m each of m, equation (ctr-history). In `predict` they are all liked in train, or in
        `histories`: then nobody needs to have been seen
    factors : length of v;  layers : widths of the hidden layers
    max_length : the last so many of a history are read
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each feature that an example has;  reg_layers : λ of the layers' weights, once
    init_scale : standard deviation of the start of v
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    fields: tuple[str, ...] = fields(("user", "item", HISTORY))
    factors: int = whole(16, search=(4, 32, "log"))
    layers: tuple[int, ...] = widths((64, 32), search=[(32,), (64, 32), (128, 64)])
    max_length: int = whole(20, search=(5, 100, "log"))
    epochs: int = whole(5, search=(2, 20, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.003, 0, search=(1e-4, 0.1, "log"))
    reg_layers: float = number(0.0001, 0, search=(1e-6, 1e-2, "log"))
    batch_size: int | None = whole(1024, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    # A history is a field like another, equation (ctr-history): its features are the items, apart from "item"'s. Its
    # columns, as its features, stand before all others: `max_length` and n_items of them.

    def _with_past(self, rows: Batch, items: np.ndarray, past: np.ndarray, most: int) -> Batch:
        n_items = len(self._item_index)
        real = past < n_items
        share = 1 / np.sqrt(np.maximum(real.sum(1, keepdims=True), 1))
        index, value = np.where(real, past, 0), np.where(real, share, 0)
        return rows | {
            "index": np.hstack([index, rows["index"] + n_items]).astype(np.int32),
            "value": np.hstack([value, rows["value"]]).astype(np.float32),
        }

    def _pooling(self) -> np.ndarray:
        """Of the fields alone, whose columns and features stand before those of crosses in a wide part."""
        field_of = self._fields.column_fields
        self._places = self.max_length
        if self._reads_behaviours:
            field_of = np.concatenate([np.zeros(self._places, int), field_of + 1])
        return pooling(field_of[field_of < len(self.fields)])

    def _length(self, behaviours: Behaviours) -> int:
        """As many as the network was built for."""
        return self._places

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        n, deep = 0, 0
        if "_fields" in self.__dict__:
            own = n_items if self._reads_behaviours else 0
            n = own + self._fields.n_features
            deep = own + int(np.isin(self._fields.field_names, self.fields).sum())
        shapes: Shapes = {"constant": (), "weights": (n,), "factors": (deep, self.factors)}
        return shapes | layer_shapes("", len(self.fields) * self.factors, self.layers, "mlp_head")


class WideAndDeep(ClickModel):
    """A linear model on fields and their crosses beside a network on the fields' vectors (Cheng et al. 2016).

    P(click) = σ(w₀ + wᵀx + w_Lᵀx_L): x holds the fields and the crosses, x_L comes out of hidden layers with ReLU on
    the fields' vectors side by side, equation (ctr-wide-deep). Trained on the mean over rows of the logistic loss +
    reg Σ_{a: x_a ≠ 0} (w_a² + ‖v_a‖²), plus reg_layers times the squares of all kernels: equation (ctr-objective).
    Both parts with one optimiser; the paper trains the wide one with FTRL. Without crosses it is a plain network
    with a linear part. `predict` gives probabilities.

    fields : names of the features, as in `recbook.fields`, and "history": the items that the person liked (rating 1)
        strictly earlier, 1/√m each of m, equation (ctr-history). In `predict` they are all liked in train, or in
        `histories`: then nobody needs to have been seen
    crosses : products of two fields, "a*b", that the linear part alone reads
    factors : length of v;  layers : widths of the hidden layers
    max_length : the last so many of a history are read
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each feature that an example has;  reg_layers : λ of the layers' weights, once
    init_scale : standard deviation of the start of v
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    fields: tuple[str, ...] = fields(("user", "item", HISTORY))
    crosses: tuple[str, ...] = argument((), lambda name, value: check_crosses(value))
    factors: int = whole(16, search=(4, 32, "log"))
    layers: tuple[int, ...] = widths((64, 32), search=[(32,), (64, 32), (128, 64)])
    max_length: int = whole(20, search=(5, 100, "log"))
    epochs: int = whole(5, search=(2, 20, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.003, 0, search=(1e-4, 0.1, "log"))
    reg_layers: float = number(0.0001, 0, search=(1e-6, 1e-2, "log"))
    batch_size: int | None = whole(1024, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    # The history is the field that it is in DeepFM; crosses are of the linear part alone.
    _with_past, _pooling, _parameter_shapes = DeepFM._with_past, DeepFM._pooling, DeepFM._parameter_shapes
    _length = DeepFM._length

    @property
    def _spec(self) -> tuple[str, ...]:
        return (*super()._spec, *self.crosses)


def check_crosses(crosses) -> None:
    """Raises ValueError for what is no list of products of two fields."""
    listed = isinstance(crosses, list | tuple)
    if not listed or any(not isinstance(cross, str) or "*" not in cross for cross in crosses):
        raise ValueError(
            f"`crosses` is {crosses!r}; give products of two fields, such as ('users.gender*items.genres',)"
        )


# ---------------------------------------------------------------- DIN


class DIN(ClickModel):
    """Deep interest network: what of a history matters depends on the item asked for (Zhou et al. 2018).

    The history's vectors e_j are summed up with weights a(e_j, v), a small network of e_j, e_j ⊙ v and the target's
    v; they may have any sign and size, no softmax makes them sum to 1: equation (ctr-interest). Sum, target and
    the vectors of the other fields go through hidden layers with Dice, equation (ctr-dice). Trained on the mean over
    rows of the logistic loss + reg Σ_{a in the batch} ‖v_a‖² / n_a, where n_a is how often a feature occurs in train
    (mini-batch-aware, equation (ctr-penalty)), plus reg_layers times the squares of all kernels. `predict` gives
    probabilities, with running means of Dice's statistics: what is predicted hangs on no batch.

    A history is what the person liked (rating 1) strictly earlier: of rows of one time none stands in the history
    of another, and they are ordered as the table has them; without timestamps, the table's order is that of time. In
    `predict` it is all that the person liked in train, or in `histories`: nobody needs to have been seen.

    fields : names of the features, as in `recbook.fields`. Fields of items ("item", "items.…") make the vector of
        an item, as target and in a history; where none is named, "item" is added. "history" is read, named or not
    factors : length of a feature's vector;  layers : widths of the hidden layers
    attention_layers : widths of the hidden layers of a, with ReLU
    max_length : the last so many of a history are read
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ of the features' vectors;  reg_layers : λ of all kernels, once
    init_scale : standard deviation of the start of the vectors
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    fields: tuple[str, ...] = fields(("user", "item"))
    factors: int = whole(16, search=(4, 32, "log"))
    layers: tuple[int, ...] = widths((64, 32), search=[(32,), (64, 32), (128, 64)])
    attention_layers: tuple[int, ...] = widths((32,))
    max_length: int = whole(50, search=(5, 100, "log"))
    epochs: int = whole(5, search=(2, 20, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.1, 0, search=(0.001, 1.0, "log"))
    reg_layers: float = number(0.0001, 0, search=(1e-6, 1e-2, "log"))
    batch_size: int | None = whole(1024, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    # An item is the vectors of its own fields side by side, those on the right; the fields of users, of the moment, and
    # crosses stand beside. A batch holds, besides index and value of the latter, the codes `met` of the items in it,
    # and as places in these the target `item` and the `behaviours` (n, length): a catalogue may be large, and a batch
    # needs few vectors of it. The code n_items is nothing.

    @property
    def _reads_behaviours(self) -> bool:
        """Whether `fields` names "history" or not."""
        return True

    @property
    def _spec(self) -> tuple[str, ...]:
        spec = super()._spec
        return spec if any(side_of(name) == "right" and "*" not in name for name in spec) else (*spec, "item")

    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Which columns of the rows are those of items, (width,) bool, and each column's field."""
        field_of = self._fields.column_fields
        right = np.array([side_of(name) == "right" and "*" not in name for name in self._spec])
        return right[field_of], field_of

    def _item_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Index and value of the features of all items, and of nothing at the end: (n_items + 1, width)."""
        n = len(self._item_index)
        index, value = self._fields.coded_rows(nobody(n + 1), np.append(np.arange(n), -1))
        of_items = self._sides()[0]
        return index[:, of_items], value[:, of_items]

    def _poolings(self) -> tuple[np.ndarray, np.ndarray]:
        """`pooling` of the columns beside the items, and of those of items."""
        of_items, field_of = self._sides()
        return pooling(field_of[~of_items]), pooling(field_of[of_items])

    def _widths(self) -> tuple[int, int]:
        """Numbers that stand for what is beside the items, and for an item."""
        if "_fields" not in self.__dict__:
            return 0, 0
        beside, items = (len(matrix) * self.factors for matrix in self._poolings())
        return beside, items

    def _length(self, behaviours: Behaviours) -> int:
        return int(max(1, min(self.max_length, np.diff(behaviours.starts).max(initial=0))))

    def _cells(self, length: int) -> int:
        return length * max(3 * self._widths()[1], *self.attention_layers, 1)

    def _with_past(self, rows: Batch, items: np.ndarray, past: np.ndarray, most: int) -> Batch:
        """`met`, padded with nothing to one length for all batches; `item` and `behaviours` as places in it."""
        n_items = len(self._item_index)
        items = np.where(items < 0, n_items, items)
        here = np.zeros(n_items + 1, bool)
        here[items] = here[past] = True
        met = np.full(min(n_items + 1, most * (past.shape[1] + 1)), n_items, np.int32)
        found = np.flatnonzero(here)
        met[: len(found)] = found
        place = (np.cumsum(here) - 1).astype(np.int32)
        beside = ~self._sides()[0]
        rows = rows | {"index": rows["index"][:, beside], "value": rows["value"][:, beside]}
        return rows | {"met": met, "item": place[items], "behaviours": place[past]}

    # ---------------------------------------------------------------- training

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        super()._fit(train, validation, progress)
        self.__dict__.pop("_counts", None)

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        if "_counts" not in self.__dict__:
            self._counts = self._feature_counts(train)
        return super()._examples(train, rng)

    def _feature_counts(self, train: Coded) -> np.ndarray:
        """(n_features,) float32: how often each feature occurs in all examples, rows and histories; at least 1."""
        n, n_items = self._fields.n_features, len(self._item_index)
        index, value = self._rows(train).values()
        counts = np.bincount(index[value != 0], minlength=n).astype(np.float64)
        of_items = np.zeros(n_items)
        # A column at a time: all histories at once would not fit.
        past = self._liked()
        ends, starts = past.before, past.starts[train.users]
        for back in range(1, self._length(past) + 1):
            place = ends - back
            of_items += np.bincount(past.liked[place[place >= starts]], minlength=n_items)
        item_index, item_value = (rows[:-1] for rows in self._item_rows())
        shares = np.repeat(of_items[:, None], item_index.shape[1], axis=1)[item_value != 0]
        counts += np.bincount(item_index[item_value != 0], shares, minlength=n)
        return np.maximum(counts, 1).astype(np.float32)

    # ---------------------------------------------------------------- scores

    def attention(self, history, target) -> pd.DataFrame:
        """The weight a(e_j, v) that each item of a history has for the target: a table item, weight, in order.

        history : ordered list of item ids;  target : an item's id. Raises UnknownIdError, NotFittedError.
        """
        self._check_fitted()
        past, codes = self._item_codes(history, "history"), self._item_codes(target, "target")
        if len(codes) != 1:
            raise ValueError(f"`target` has {len(codes)} ids; give one")
        past = past[-self.max_length :]
        weights = self._compute("attention_of", past.astype(np.int32), codes.astype(np.int32))
        return pd.DataFrame({"item": self.item_ids_[past], "weight": weights})

    # ---------------------------------------------------------------- files

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        n = self._fields.n_features if "_fields" in self.__dict__ else 0
        beside, item = self._widths()
        shapes: Shapes = {"constant": (), "factors": (n, self.factors)}
        shapes |= layer_shapes("attention_", 3 * item, self.attention_layers, "attention_head")
        shapes |= layer_shapes("", beside + 2 * item, self.layers, "mlp_head")
        for layer, size in enumerate(self.layers, start=1):
            shapes |= {f"dice_{name}_{layer}": (size,) for name in ("alpha", "mean", "variance")}
        return shapes | {"dice_weight": ()}
