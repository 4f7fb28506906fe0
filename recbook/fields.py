"""Pairs of a user and an item as sparse rows of numbers: what linear models and factorisation machines read.

A model of this family names its *fields*:

    user, item                     the ids themselves, one feature an id of train
    users.gender, items.genres     columns of the dataset's tables
    position, hour                 columns of the interactions: what is known at the moment (context)
    users.gender*items.genres      a cross: a feature for each pair of the two fields' features

Columns are encoded as `recbook.features` does, fitted on train alone. Text with "|" in it is a list of several
categories, which share a weight of 1: "Comedy|War" has ½ and ½, so that rows are comparable whatever their
number. Other text, truth values, and whole numbers of the interactions are categories. Other numbers are
standardised: (x − mean) / σ. What train has not, and what is missing, has value 0: no feature at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from recbook.features import FeatureTable, MultiHot, OneHot, StandardScaler
from recbook.interactions import Dataset, IdIndex, Interactions, as_ids, as_interactions, plain

MAX_FEATURES = 10_000_000
SIDES = ("user", "item")
Rows = tuple[np.ndarray, np.ndarray]


# ---------------------------------------------------------------- one field


@dataclass(frozen=True, eq=False)
class _SideField:
    """A field of users or of items: one row an id, and a last one, of zeros, for code -1.

    index : (n_ids + 1, width) int32;  value : likewise, float32
    """

    side: str
    labels: np.ndarray
    index: np.ndarray
    value: np.ndarray

    @property
    def width(self) -> int:
        return self.index.shape[1]

    def rows(self, codes: Mapping[str, np.ndarray], context) -> Rows:
        return self.index[codes[self.side]], self.value[codes[self.side]]


@dataclass(frozen=True, eq=False)
class _ContextField:
    """A field that comes with each row; without it, zeros."""

    name: str
    encoder: OneHot | StandardScaler
    width: int = 1

    @property
    def labels(self) -> np.ndarray:
        return _array_of(self.encoder.names(self.name))

    def rows(self, codes: Mapping[str, np.ndarray], context) -> Rows:
        if context is None:
            n = len(codes["user"])
            return np.zeros((n, 1), np.int32), np.zeros((n, 1), np.float32)
        try:
            return _sparse(self.encoder, pd.Series(np.asarray(context[self.name])), width=1)
        except ValueError as error:
            raise ValueError(f"column `{self.name}` of the context: {error}") from error


def _sparse(encoder: OneHot | MultiHot | StandardScaler, column: pd.Series, width: int | None = None) -> Rows:
    """(n, width) places and weights of the categories of each row, or 0 and the standardised number."""
    n = len(column)
    if isinstance(encoder, StandardScaler):
        return np.zeros((n, 1), np.int32), encoder.transform(column).reshape(n, 1).astype(np.float32)
    rows, codes = encoder._codes(column.reset_index(drop=True))
    size = len(encoder.categories_)
    # Each category once a row, the unknown ones (whose code is `size`) left out.
    keys = np.unique((rows.astype(np.int64) * size + codes)[codes < size])
    rows, codes = np.divmod(keys, size)
    counts = np.bincount(rows, minlength=n)
    place = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows]
    shape = n, max(1, counts.max(initial=0)) if width is None else width
    index, value = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    index[rows, place], value[rows, place] = codes, 1 / counts[rows]
    return index, value


# ---------------------------------------------------------------- all of them


class Fields:
    """The fields of a model, fitted on train.

        fields = Fields.fit(("user", "item", "users.gender*items.genres"), ml)
        index, value = fields.rows(users, items)        # z = bias + (weights[index] * value).sum(1)

    spec : names as above
    user_ids, item_ids : the ids whose features it knows: those of train, then those of the tables alone
    """

    def __init__(
        self,
        spec: tuple[str, ...],
        ids: Mapping[str, IdIndex],
        simple: Mapping[str, _SideField | _ContextField],
    ):
        self.spec, self._ids, self._simple = spec, ids, simple
        sizes = [int(np.prod([len(simple[part].labels) for part in name.split("*")])) for name in spec]
        if sum(sizes) > MAX_FEATURES:
            largest = spec[int(np.argmax(sizes))]
            raise ValueError(
                f"the fields have {sum(sizes):,} features, {max(sizes):,} of them of {largest!r}; the limit is "
                f"{MAX_FEATURES:,}: leave it out, or cross coarser fields, such as users.gender*items.genres"
            )
        self.n_features, self._sizes = sum(sizes), sizes
        self._offsets = dict(zip(spec, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))

    @classmethod
    def fit(cls, spec: Sequence[str], data: Interactions | Dataset) -> Self:
        """Learns train's categories, means and deviations. data : train, with its tables

        Raises TypeError, or ValueError naming the field, for a name that is none, a table or column that is not
        there, and an id of train without a row in a table that a field needs.
        """
        spec = parse_spec(spec)
        x = as_interactions(data)
        data = data if isinstance(data, Dataset) else Dataset(x)
        ids = {}
        for side, index, table in (("user", x.user_index, data.users), ("item", x.item_index, data.items)):
            more = None if table is None else as_ids(table.index, f"{side}s.index")
            ids[side] = index if more is None else index.extended(more, side)
        simple = {name: _fit_field(name, data, ids) for name in _parts(spec)}
        return cls(spec, ids, simple)

    @property
    def user_ids(self) -> np.ndarray:
        return self._ids["user"].ids

    @property
    def item_ids(self) -> np.ndarray:
        return self._ids["item"].ids

    @property
    def column_fields(self) -> np.ndarray:
        """(width,) the place in `spec` of the field that each column of `rows` belongs to."""
        widths = [math.prod(self._simple[part].width for part in name.split("*")) for name in self.spec]
        return np.repeat(np.arange(len(widths)), widths)

    @property
    def width(self) -> int:
        """Columns of `rows`: the most features that one pair can have."""
        return len(self.column_fields)

    @property
    def context(self) -> list[str]:
        """The columns that `rows` needs in `context`."""
        return [name for name, field in self._simple.items() if isinstance(field, _ContextField)]

    @cached_property
    def labels(self) -> np.ndarray:
        """(n_features,) what each feature is: "item=50", "items.genres=War", "users.gender=F*items.genres=War"."""
        found = []
        for name in self.spec:
            first, *second = [self._simple[part].labels for part in name.split("*")]
            found += [f"{a}*{b}" for a in first for b in second[0]] if second else first.tolist()
        return _array_of(found)

    @cached_property
    def field_names(self) -> np.ndarray:
        """(n_features,) the field, as in `spec`, that each feature belongs to."""
        return np.repeat(self.spec, self._sizes)

    # ---------------------------------------------------------------- rows

    def rows(self, users, items, context: pd.DataFrame | Mapping | None = None) -> Rows:
        """The features of n pairs: index (n, width) int32 and value (n, width) float32, padded with value 0.

        users, items : n ids each;  context : n rows with the columns `self.context`

        An id that train has not is no feature of "user" or "item". Raises ValueError where it has no row in a
        table that a field needs, and where a column of the context is missing.
        """
        codes = []
        for side, given in zip(SIDES, (users, items), strict=True):
            given = as_ids(given, f"{side}s")
            codes.append(self._ids[side].codes(given))
            needs = [n for n in self._simple if n.startswith(f"{side}s.")]
            if needs and (codes[-1] < 0).any():
                raise _without_features(side, given[codes[-1] < 0], needs[0])
        if len(codes[0]) != len(codes[1]):
            raise ValueError(
                f"`users` has {len(codes[0])} ids and `items` {len(codes[1])}; give as many of both"
            )
        self.check_context(context, len(codes[0]))
        return self.coded_rows(codes[0], codes[1], context)

    def coded_rows(self, users: np.ndarray, items: np.ndarray, context=None) -> Rows:
        """As `rows`, of codes: places in `user_ids` and `item_ids`. What is unknown (code -1, or no context) is 0."""
        codes = {"user": users, "item": items}
        simple = {name: field.rows(codes, context) for name, field in self._simple.items()}
        index = np.zeros((len(users), self.width), np.int32)
        value = np.zeros((len(users), self.width), np.float32)
        start = 0
        for name, offset in self._offsets.items():
            places, weights = self._crossed(name, simple) if "*" in name else simple[name]
            here = slice(start, start + places.shape[1])
            index[:, here], value[:, here] = np.where(weights == 0, 0, places + offset), weights
            start = here.stop
        return index, value

    def _crossed(self, name: str, simple: Mapping[str, Rows]) -> Rows:
        """A feature for each pair of features; its value is the product of theirs."""
        left, right = name.split("*")
        (i, v), (j, w) = simple[left], simple[right]
        size = len(self._simple[right].labels)
        n = len(i)
        return (i[:, :, None] * size + j[:, None, :]).reshape(n, -1), (v[:, :, None] * w[:, None, :]).reshape(
            n, -1
        )

    def check_context(self, context, n: int) -> None:
        """Raises ValueError where a column is missing, or where there are not n rows."""
        for name in self.context:
            if context is None or name not in context:
                raise ValueError(
                    f"the field {name!r} is a column of the interactions; pass `context`, a table of one row a "
                    f"pair with the columns {self.context}"
                )
            if len(context[name]) != n:
                raise ValueError(
                    f"`context` has {len(context[name])} rows for {n} pairs; give one row a pair"
                )

    # ---------------------------------------------------------------- to a file and back

    @staticmethod
    def array_names(spec: Sequence[str]) -> set[str]:
        """The names of what `to_arrays` gives for such fields."""
        names = {"user_ids", "item_ids"}
        for name in _parts(parse_spec(spec)):
            parts = ("labels", "index", "value") if _side_of(name) else ("encoder",)
            names |= {f"{name}.{part}" for part in parts}
        return names

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All it knows, as arrays of numbers and text; users' columns are personal data."""
        arrays = {f"{side}_ids": index.ids for side, index in self._ids.items()}
        for name, field in self._simple.items():
            if isinstance(field, _SideField):
                parts = {"labels": field.labels, "index": field.index, "value": field.value}
                arrays |= {f"{name}.{part}": values for part, values in parts.items()}
            elif isinstance(field.encoder, StandardScaler):
                arrays[f"{name}.encoder"] = np.concatenate([field.encoder.offset_, field.encoder.scale_])
            else:
                arrays[f"{name}.encoder"] = _array_of(field.encoder.categories_.tolist())
        return arrays

    @classmethod
    def from_arrays(cls, spec: Sequence[str], arrays: Mapping[str, np.ndarray]) -> Self:
        """What `to_arrays` gave. Raises ValueError, naming the array, for what it cannot have given."""
        spec = parse_spec(spec)
        for name in sorted(cls.array_names(spec) ^ set(arrays)):
            raise ValueError(f"`{name}` is {'missing' if name not in arrays else 'of no field'}")
        ids = {}
        for side in SIDES:
            values = arrays[f"{side}_ids"]
            _check_array(f"{side}_ids", values, "iUO", 1, len(np.unique(values)) == values.size > 0)
            ids[side] = IdIndex(values)
        return cls(spec, ids, {name: _read_field(name, arrays, ids) for name in _parts(spec)})


# ---------------------------------------------------------------- names


def parse_spec(spec: Sequence[str]) -> tuple[str, ...]:
    """The names of fields, checked as far as they can be without data. Raises TypeError, ValueError."""
    if isinstance(spec, str) or not isinstance(spec, Sequence) or not all(isinstance(n, str) for n in spec):
        raise TypeError(
            f"`fields` is {spec!r}; give names such as ('user', 'item', 'users.gender*items.genres')"
        )
    if not spec:
        raise ValueError("`fields` is empty; name one at least, such as 'item'")
    for name in spec:
        if name.count("*") > 1 or not all(name.split("*")):
            raise ValueError(f"`fields`: {name!r}; a cross has two fields, such as users.gender*items.genres")
        if "*" in name and len(set(name.split("*"))) == 1:
            raise ValueError(f"`fields`: {name!r} crosses a field with itself; name two different ones")
        if spec.count(name) > 1:
            raise ValueError(f"`fields`: {name!r} stands more than once; keep it once")
    return tuple(spec)


def _parts(spec: tuple[str, ...]) -> list[str]:
    """The single fields, those inside crosses too, each once."""
    return list(dict.fromkeys(part for name in spec for part in name.split("*")))


def _side_of(name: str) -> str | None:
    """The side that a single field belongs to; None for context."""
    return next((side for side in SIDES if name == side or name.startswith(f"{side}s.")), None)


# ---------------------------------------------------------------- fitting one field


def _fit_field(name: str, data: Dataset, ids: Mapping[str, IdIndex]) -> _SideField | _ContextField:
    side = _side_of(name)
    if side is None:
        return _fit_context(name, data.interactions)
    x = data.interactions
    train = x.user_ids if side == "user" else x.item_ids
    if name == side:
        column = pd.Series(ids[side].ids)
        encoder = OneHot(categories=train.tolist(), unknown="zero").fit(train)
    else:
        column, encoder = _fit_column(name, side, data, ids[side], train)
    try:
        index, value = _sparse(encoder, column)
    except ValueError as error:
        raise ValueError(f"the field {name!r}: {error}") from error
    nothing = [(0, 1), (0, 0)]
    return _SideField(side, _array_of(encoder.names(name)), np.pad(index, nothing), np.pad(value, nothing))


def _fit_column(name: str, side: str, data: Dataset, ids: IdIndex, train: np.ndarray):
    """A table's column in the order of `ids`, and its encoder, fitted on those of train."""
    table = data.users if side == "user" else data.items
    column = name.partition(".")[2]
    if table is None:
        raise ValueError(f"the field {name!r} needs the table `{side}s`; fit on a Dataset that has one")
    if column not in table.columns:
        raise ValueError(f"the field {name!r}: the table `{side}s` has the columns {list(table.columns)}")
    places = IdIndex(as_ids(table.index, f"{side}s.index")).codes(ids.ids)
    if (places < 0).any():
        raise _without_features(side, ids.ids[places < 0], name)
    encoder = _encoder_for(table[column])
    FeatureTable({column: encoder}).fit(table, ids=train)
    return table[column].iloc[places].reset_index(drop=True), encoder


def _encoder_for(column: pd.Series) -> OneHot | MultiHot | StandardScaler:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return StandardScaler(missing="mean")
    several = column.map(lambda v: isinstance(v, str) and "|" in v).any()
    return MultiHot("|", unknown="zero") if several else OneHot(unknown="zero")


def _fit_context(name: str, x: Interactions) -> _ContextField:
    if name not in x.extra:
        raise ValueError(
            f"the field {name!r} is none: it is neither 'user' nor 'item', no 'users.column' or 'items.column', and "
            f"the interactions have the further columns {list(x.extra)}"
        )
    column = pd.Series(x.extra[name])
    encoder = (
        StandardScaler(missing="mean") if pd.api.types.is_float_dtype(column) else OneHot(unknown="zero")
    )
    try:
        encoder.fit(column)
    except ValueError as error:
        raise ValueError(f"the field {name!r}: {error}") from error
    if isinstance(encoder, OneHot) and not _can_be_saved(encoder.categories_.tolist()):
        raise ValueError(f"the field {name!r} holds {column.dtype}; make it numbers or text")
    return _ContextField(name, encoder)


def _without_features(side: str, ids: np.ndarray, field: str) -> ValueError:
    first, more = pd.unique(ids)[0], len(pd.unique(ids)) - 1
    return ValueError(
        f"features missing for {side} {plain(first)!r}{f' and {more} more' if more else ''}: the table `{side}s` has "
        f"no row for it, and the field {field!r} needs one; add it and fit again, or leave the {side} out"
    )


# ---------------------------------------------------------------- reading one field


def _read_field(name: str, arrays: Mapping[str, np.ndarray], ids: Mapping[str, IdIndex]):
    side = _side_of(name)
    if side is None:
        return _ContextField(name, _read_encoder(f"{name}.encoder", arrays[f"{name}.encoder"]))
    labels, index, value = (arrays[f"{name}.{part}"] for part in ("labels", "index", "value"))
    _check_array(f"{name}.labels", labels, "UO", 1, labels.size > 0)
    rows = len(ids[side]) + 1
    _check_array(f"{name}.index", index, "i", 2, index.shape[0] == rows and index.shape[-1] > 0)
    inside = index.size and 0 <= index.min() <= index.max() < len(labels)
    _check_array(f"{name}.index", index, "i", 2, inside)
    _check_array(f"{name}.value", value, "f", 2, value.shape == index.shape and np.isfinite(value).all())
    return _SideField(side, labels, index.astype(np.int32), value.astype(np.float32))


def _read_encoder(name: str, values: np.ndarray) -> OneHot | StandardScaler:
    if values.dtype.kind == "f":
        _check_array(
            name, values, "f", 1, values.shape == (2,) and np.isfinite(values).all() and values[1] > 0
        )
        scaler = StandardScaler(missing="mean")
        scaler.offset_, scaler.mean_, scaler.scale_ = values[:1], values[:1], values[1:]
        return scaler
    _check_array(name, values, "biUO", 1, len(np.unique(values)) == values.size > 0)
    return OneHot(categories=values.tolist(), unknown="zero").fit(values)


def _array_of(values: list) -> np.ndarray:
    """Text as Python's strings: of fixed width, one long name would make all as large."""
    return np.array(values, object if _is_text(values) else None)


def _is_text(values: list) -> bool:
    return all(isinstance(value, str) for value in values)


def _can_be_saved(values: list) -> bool:
    return _is_text(values) or np.array(values).dtype.kind in "bi"


def _check_array(name: str, values: np.ndarray, kinds: str, dimensions: int, right) -> None:
    if values.dtype.kind not in kinds or values.ndim != dimensions or not right:
        raise ValueError(f"`{name}` is {values.dtype} of shape {values.shape}, which does not fit the fields")
