"""Tables of other libraries: read through narwhals, or as an Arrow stream; neither needs pyarrow."""

from __future__ import annotations

import narwhals as nw
import numpy as np
import pandas as pd

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
    known = nw.from_native(table, pass_through=True)
    if isinstance(known, nw.LazyFrame):
        known = known.collect()
    if isinstance(known, nw.DataFrame):
        return pd.DataFrame({column: _of_series(known[column]) for column in known.columns})
    if hasattr(table, "__arrow_c_stream__"):
        return _of_stream(table, name)
    raise TypeError(f"`{name}` is a {type(table).__name__}, not a DataFrame; wrap it: pd.DataFrame(...)")


def _of_series(series: nw.Series) -> np.ndarray:
    # Text as Python's own: in NumPy's, of fixed width, one long string would make all as large.
    if series.dtype.is_numeric() or series.dtype.is_temporal():
        return series.to_numpy()
    return _objects(series.to_list())


def _of_stream(table, name: str) -> pd.DataFrame:
    import nanoarrow

    rows = nanoarrow.ArrayStream(table).read_all()
    if rows.schema.type != nanoarrow.Type.STRUCT:
        raise TypeError(f"`{name}` is a stream of {rows.schema}, not of rows with named columns")
    names = [rows.schema.field(place).name for place in range(rows.n_children)]
    if len(set(names)) < len(names):
        double = next(one for one in names if names.count(one) > 1)
        raise ValueError(f"column `{double}` stands more than once in the table; keep one of each name")
    return pd.DataFrame(
        {column: _of_array(list(rows.child(place).iter_py())) for place, column in enumerate(names)}
    )


def _of_array(values: list) -> np.ndarray | pd.Series:
    """Numbers as numbers, times as times, all else as it is; what is missing is NaN, NaT or None."""
    return pd.Series(_objects(values)).infer_objects()


def _objects(values: list) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def made_by(backend: str, columns: dict[str, np.ndarray]):
    """A table of another library. Raises ImportError where it is not installed, ValueError where it is unknown."""
    if backend not in BACKENDS:
        raise ValueError(f"`backend` is {backend!r}; choose one of {BACKENDS}")
    # What is missing among texts is pandas' NaN, and None elsewhere.
    lists = {
        name: [None if value != value else value for value in column] if column.dtype == object else column
        for name, column in columns.items()
    }
    try:
        return nw.from_dict(lists, backend=backend).to_native()
    except ModuleNotFoundError as error:
        raise ImportError(f"`backend={backend!r}` is not installed: pip install {backend}") from error
