"""Tables of other libraries: read through narwhals, or as an Arrow stream; neither needs pyarrow."""

from __future__ import annotations

import importlib.util
import warnings

import nanoarrow
import narwhals as nw
import numpy as np
import pandas as pd
from nanoarrow.iterator import LossyConversionWarning

NOT_READ = (nanoarrow.Type.STRING_VIEW, nanoarrow.Type.BINARY_VIEW, nanoarrow.Type.RUN_END_ENCODED)
BACKENDS = ("pandas", "polars", "pyarrow", "modin", "cudf")  # whose tables narwhals makes


def is_table(data) -> bool:
    """Whether `as_frame` reads it."""
    if isinstance(data, pd.DataFrame) or hasattr(data, "__arrow_c_stream__"):
        return True
    return isinstance(nw.from_native(data, pass_through=True), nw.DataFrame | nw.LazyFrame)


def as_frame(table, name: str) -> pd.DataFrame:
    """A table of any library as one of pandas'. Raises TypeError, calling it `name`, for what is no table."""
    if isinstance(table, pd.DataFrame):
        return table
    try:
        known = nw.from_native(table, pass_through=True)
        if isinstance(known, nw.LazyFrame):
            known = known.collect()
        if isinstance(known, nw.DataFrame):
            return pd.DataFrame({column: _of_series(known[column]) for column in known.columns})
    except nw.exceptions.DuplicateError as error:
        raise ValueError(
            f"a column stands more than once in `{name}`; keep one of each name ({error})"
        ) from error
    if hasattr(table, "__arrow_c_stream__"):
        return _of_stream(table, name)
    raise TypeError(f"`{name}` is a {type(table).__name__}, not a DataFrame; wrap it: pd.DataFrame(...)")


def _of_series(series: nw.Series) -> np.ndarray:
    # Text as Python's own: in NumPy's, of fixed width, one long string would make all as large.
    whole = series.dtype == nw.Boolean and not series.null_count()
    if whole or series.dtype.is_numeric() or series.dtype.is_temporal():
        return series.to_numpy()
    return _objects(series.to_list())


def _of_stream(table, name: str) -> pd.DataFrame:
    stream = nanoarrow.c_array_stream(table)
    schema = nanoarrow.Schema(stream.get_schema())
    if schema.type != nanoarrow.Type.STRUCT:
        raise TypeError(f"`{name}` is a stream of {schema}, not of rows with named columns")
    names = [field.name for field in schema.fields]
    if len(set(names)) < len(names):
        double = next(one for one in names if names.count(one) > 1)
        raise ValueError(f"column `{double}` stands more than once in the table; keep one of each name")
    if strange := [field.name for field in schema.fields if field.type in NOT_READ]:
        return _by_another(stream, strange[0], name)
    rows = nanoarrow.ArrayStream(stream).read_all()
    return pd.DataFrame({column: _of_array(rows.child(place), column) for place, column in enumerate(names)})


def _by_another(stream, column: str, name: str) -> pd.DataFrame:
    """Of a stream with columns that nanoarrow cannot read: by whichever library is here."""
    if importlib.util.find_spec("pyarrow"):
        return as_frame(importlib.import_module("pyarrow").table(stream), name)
    if importlib.util.find_spec("polars"):
        return as_frame(importlib.import_module("polars").DataFrame(stream), name)
    raise TypeError(
        f"column `{column}` of `{name}` is of a type that needs pyarrow or Polars to be read, and neither is here; "
        "pip install pyarrow, or cast it to plain text or numbers"
    )


def _of_array(array, column: str) -> pd.Series:
    """Numbers as numbers, times as times, all else as it is; what is missing is NaN, NaT or None.

    Raises ValueError for what Python cannot hold, such as a nanosecond.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", LossyConversionWarning)
        try:
            values = list(array.iter_py())
        except (LossyConversionWarning, OverflowError, KeyError) as error:
            raise ValueError(
                f"column `{column}`, of type {array.schema}, cannot be read from a stream without loss ({error}); "
                "cast it, for instance to microseconds, or give a table of pandas or Polars"
            ) from error
    return pd.Series(_objects(values)).infer_objects()


def _plain(column: np.ndarray) -> np.ndarray | list:
    """What every library reads: missing among objects as None, and no times in days or seconds."""
    if column.dtype == object:
        return [None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in column]
    coarse = column.dtype.kind == "M" and np.datetime_data(column.dtype)[0] not in ("ms", "us", "ns")
    return column.astype("datetime64[ms]") if coarse else column


def _objects(values: list) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def made_by(backend: str, columns: dict[str, np.ndarray]):
    """A table of another library. Raises ImportError where it is not installed, ValueError where it is unknown."""
    if backend not in BACKENDS:
        raise ValueError(f"`backend` is {backend!r}; choose one of {BACKENDS}")
    try:
        return nw.from_dict(
            {str(name): _plain(column) for name, column in columns.items()}, backend=backend
        ).to_native()
    except ModuleNotFoundError as error:
        raise ImportError(f"`backend={backend!r}` is not installed: pip install {backend}") from error
