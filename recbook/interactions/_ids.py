"""Ids: the caller's own in public, codes 0..n-1 inside."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd

MAX_ID = 2**63 - 1


def frozen(array: np.ndarray) -> np.ndarray:
    """The same memory, not to be written to through what is returned."""
    view = array.view()
    view.flags.writeable = False
    return view


class IdIndex:
    """Distinct ids in order of first appearance, and their codes 0..n-1.

    ids : array of n distinct integers or strings; kept read-only, strings as Python's own (dtype object)
    """

    def __init__(self, ids: np.ndarray):
        # Of fixed width, one long string would make all as large, and a NUL at the end of one would be lost.
        self.ids = frozen(ids.astype(object) if ids.dtype.kind == "U" else ids)
        self._index = pd.Index(self.ids, dtype=self.ids.dtype)

    def __len__(self) -> int:
        return len(self.ids)

    def __reduce__(self):
        # NumPy forgets on the way through pickle and deepcopy that an array is read-only.
        return IdIndex, (self.ids,)

    def codes(self, ids) -> np.ndarray:
        """Codes of `ids`, int64, -1 for an id that is not here. Shape as `ids`."""
        given, ids = ids, np.asarray(ids)
        if ids.size == 0:
            return np.zeros(ids.shape, np.int64)
        # An integer is never equal to a string: "50" is not 50.
        if (ids.dtype.kind in "iu") != (self.ids.dtype.kind in "iu"):
            return np.full(ids.shape, -1, np.int64)
        if ids.dtype.kind == "U":
            ids = np.asarray(given, dtype=object)
        flat = pd.Index(ids.ravel(), dtype=object if ids.dtype == object else None)
        return self._index.get_indexer(flat).astype(np.int64).reshape(ids.shape)

    def extended(self, ids: np.ndarray, kind: str) -> IdIndex:
        """This index with those of `ids` that are new joined at the end, in their order.

        kind : "user" or "item", for the ValueError where integers meet strings
        """
        fresh = ids[self.codes(ids) < 0]
        if len(fresh) and (fresh.dtype.kind in "iu") != (self.ids.dtype.kind in "iu"):
            raise ValueError(
                f"{kind} ids are {_kind(self.ids)} so far, and {fresh[:1].tolist()[0]!r} is {_kind(fresh)}; "
                "use one kind"
            )
        return IdIndex(np.concatenate([self.ids, fresh]) if len(fresh) else self.ids)


def _kind(ids: np.ndarray) -> str:
    return "integers" if ids.dtype.kind in "iu" else "strings"


def check_same_kind(ids: np.ndarray, known: np.ndarray, name: str) -> None:
    """Raises ValueError where one of two arrays of ids holds strings and the other integers, which never are equal."""
    if len(ids) and len(known) and _kind(ids) != _kind(known):
        remedy = "int" if _kind(known) == "integers" else "str"
        raise ValueError(
            f"column `{name}` holds {_kind(ids)}, such as {plain(ids[0])!r}, and the model was fitted on "
            f"{_kind(known)}, such as {plain(known[0])!r}: none is equal to any; use df['{name}'].astype({remedy})"
        )


class Places:
    """What the rows of a column are called in messages: their numbers from 0 and, where the caller's table has an
    index of its own, their labels.

    values : the column as it came; a series of pandas has an index
    """

    def __init__(self, values):
        index: Any = getattr(values, "index", None)
        self._labels: pd.Index | None = None
        if isinstance(index, pd.Index) and not index.equals(pd.RangeIndex(len(index))):
            self._labels = index
        self._numbers: np.ndarray | None = None

    def __call__(self, row: int) -> str:
        number = row if self._numbers is None else int(self._numbers[row])
        if self._labels is None:
            return f"row {number}"
        return f"row {number} (label {plain(self._labels[number])!r})"

    def of(self, rows: np.ndarray) -> Places:
        """The places of some of the rows, (m,) numbers, which are counted from 0 from then on."""
        some = copy.copy(self)
        some._numbers = rows
        return some


def together(faults: list[str]) -> ValueError:
    """One error about all that is wrong; a single fault is its own message."""
    if len(faults) == 1:
        return ValueError(faults[0])
    lines = [f"  {number}. {fault}" for number, fault in enumerate(faults, start=1)]
    return ValueError("\n".join([f"the table has {len(faults)} faults:", *lines]))


def first_of(bad: np.ndarray, places: Places) -> str:
    """The first of the rows that are bad, and how many more there are."""
    more = int(bad.sum()) - 1
    return places(int(bad.argmax())) + (f" and {more:,} more" if more else "")


def as_ids(values, name: str) -> np.ndarray:
    """`values` as an array of ids: int64, or Python's strings (dtype object).

    Raises
    ------
    ValueError
        where a value is missing, is not a whole number or a string, or where both kinds are mixed;
        the message has the column's name, the first bad row and the remedy. A row is named by its number, and by its
        label too where `values` has an index of its own.
    """
    ids, faults = read_ids(values, name)
    if faults:
        raise together(faults)
    return ids


def read_ids(values, name: str) -> tuple[np.ndarray, list[str]]:
    """`values` as `as_ids` gives them, and all that is wrong with them; where something is, no array to use."""
    nothing = np.zeros(0, np.int64)
    if getattr(values, "ndim", 1) != 1:
        return nothing, [f"`{name}` has {values.ndim} dimensions; give a plain list of ids"]
    if isinstance(values, np.ndarray) and values.dtype.kind == "i":
        return values.astype(np.int64, copy=False), []
    if isinstance(values, np.ndarray) and values.dtype.kind in "UT":
        values = values.astype(object)
    places, values = Places(values), series(values).reset_index(drop=True)
    missing = values.isna().to_numpy()
    if not missing.any():
        return _of_whole(values, name, places)
    fault = (
        f"column `{name}`, {first_of(missing, places)}: the id is missing; drop such rows first: "
        f"df.dropna(subset=['{name}'])"
    )
    given = np.flatnonzero(~missing)
    left = values.iloc[given].reset_index(drop=True)
    if pd.api.types.is_float_dtype(left) and (left == np.floor(left)).all():
        return nothing, [fault]  # whole numbers, which are real ones because some are missing
    return nothing, [fault, *(_of_whole(left, name, places.of(given))[1] if len(left) else [])]


def _of_whole(values: pd.Series, name: str, places: Places) -> tuple[np.ndarray, list[str]]:
    """Of ids of which none is missing."""
    nothing = np.zeros(0, np.int64)
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _of_whole(values.astype(values.cat.categories.dtype), name, places)
    if pd.api.types.is_bool_dtype(values):
        return nothing, [f"column `{name}` holds true/false; ids are integers or strings"]
    if pd.api.types.is_integer_dtype(values):
        faults = _too_large((values > MAX_ID).to_numpy(bool), name, places)
        return (nothing if faults else values.to_numpy(np.int64)), faults
    if pd.api.types.is_float_dtype(values) and len(values):
        return nothing, [
            f"column `{name}` holds real numbers ({places(0)}: {values.iloc[0]}); ids are integers or strings: "
            f"df['{name}'].astype(int)"
        ]
    ids = values.to_numpy(dtype=object)
    kind = pd.api.types.infer_dtype(ids, skipna=False)
    if kind in ("string", "empty"):
        # NumPy's strings are a kind of Python's, but of fixed width; what goes out shall be Python's.
        return (np.array([str(v) for v in ids], object) if set(map(type, ids)) - {str} else ids), []
    if kind == "integer":
        large = np.array([not -MAX_ID <= v + 1 <= MAX_ID + 1 for v in ids.tolist()])
        faults = _too_large(large, name, places)
        return (nothing if faults else ids.astype(np.int64)), faults
    return nothing, [_no_ids(ids, name, places)]


def _too_large(too_large: np.ndarray, name: str, places: Places) -> list[str]:
    if not too_large.any():
        return []
    return [f"column `{name}`, {first_of(too_large, places)}: the id exceeds 2**63 - 1; use strings"]


def _no_ids(ids: np.ndarray, name: str, places: Places) -> str:
    """What is said of the first of `ids`, objects, that is neither a string nor a whole number, or of another kind."""
    of_kind = np.array(
        [
            "string"
            if isinstance(v, str)
            else "integer"
            if isinstance(v, int | np.integer) and not isinstance(v, bool)
            else ""
            for v in ids
        ]
    )
    if (of_kind == "").any():
        row = int((of_kind == "").argmax())
        bad = ids[row]
        remedy = f"df['{name}'].astype(str)"
        if isinstance(bad, bytes | bytearray):
            remedy = f"df['{name}'].str.decode('utf-8')"
        elif isinstance(bad, float | np.floating):
            remedy = f"df['{name}'].astype(int)"
        what = f"{bad!r} is a {type(bad).__name__}"
        return f"column `{name}`, {places(row)}: {what}; ids are integers or strings: {remedy}"
    row = int((of_kind != of_kind[0]).argmax())
    return (
        f"column `{name}`, {places(row)}: {ids[row]!r} is a {type(ids[row]).__name__}, {places(0)} is a "
        f"{type(ids[0]).__name__}; ids are all integers or all strings: df['{name}'].astype(str)"
    )


def as_text(values, name: str) -> np.ndarray:
    """`values`, which are ids, as strings (dtype object). Raises what `as_ids` raises."""
    ids = as_ids(values, name)
    return ids if ids.dtype == object else ids.astype(str).astype(object)


def series(values, dtype=None) -> pd.Series:
    """Values as a series; as objects where it is text that pandas cannot keep.

    Beside pyarrow pandas keeps text as UTF-8, which half of a character, as cut texts have it, is not.
    """
    try:
        return pd.Series(values, dtype=dtype)
    except UnicodeEncodeError:
        return pd.Series(values, dtype=object)


def as_column(ids: np.ndarray) -> pd.Series:
    """Ids as a table's column: of text or of integers, where there are none too."""
    return series(ids, str if ids.dtype == object else ids.dtype)


def plain(value):
    """One id, taken from an array of them, as Python's own: for messages."""
    return value.item() if isinstance(value, np.generic) else value
