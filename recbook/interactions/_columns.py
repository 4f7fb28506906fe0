"""Ratings and times: checked where they come in."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from recbook.interactions._ids import MAX_ID, series

TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # in a second, of pandas' units of time


def _first_bad(bad: np.ndarray, values: np.ndarray, name: str, what: str, remedy: str) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"column `{name}`, row {row}: {values[row]} {what}; {remedy}")


def _is_real(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)


def series_of(values, name) -> pd.Series:
    if getattr(values, "ndim", 1) != 1:
        raise ValueError(f"`{name}` has {values.ndim} dimensions; give one value a row")
    return series(values).reset_index(drop=True)


def as_ratings(column: pd.Series, name: str) -> np.ndarray:
    if not _is_real(column):
        raise ValueError(
            f"column `{name}` holds {column.dtype}, not numbers; convert it: pd.to_numeric(df['{name}'])"
        )
    ratings = column.to_numpy(np.float64, na_value=np.nan)
    _first_bad(
        np.isnan(ratings), ratings, name, "is no rating", "drop such rows: what is unknown is not a rating"
    )
    _first_bad(np.isinf(ratings), ratings, name, "is infinite", "repair or drop such rows")
    too_large = np.abs(ratings) > np.finfo(np.float32).max
    _first_bad(too_large, ratings, name, "is larger than a score of 32 bits can be", "use a larger unit")
    return ratings


def as_timestamps(column: pd.Series, name: str) -> np.ndarray:
    missing = column.isna().to_numpy()
    _first_bad(missing, column.to_numpy(), name, "is no time", "drop such rows, or pass timestamp=None")
    if column.dtype == object:
        column = _of_objects(column, name)
    if pd.api.types.is_datetime64_any_dtype(column):
        if column.dt.tz is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return seconds(column.to_numpy())
    if not _is_real(column) or pd.api.types.is_bool_dtype(column):
        remedy = f"pd.to_datetime(df['{name}'])"
        if isinstance(column.dtype, pd.PeriodDtype):
            remedy = f"df['{name}'].dt.to_timestamp()"
        elif pd.api.types.is_timedelta64_dtype(column):
            remedy = f"df['{name}'].dt.total_seconds()"
        raise ValueError(f"column `{name}` holds {column.dtype}, not times; convert it: {remedy}")
    if pd.api.types.is_integer_dtype(column):
        too_large = (column > MAX_ID).to_numpy(bool)
        _first_bad(too_large, column.to_numpy(), name, "exceeds 2**63 - 1", "count in a larger unit")
        return column.to_numpy(np.int64)
    times = column.to_numpy(np.float64)
    _first_bad(~np.isfinite(times), times, name, "is no time", "drop such rows, or pass timestamp=None")
    whole = (times == np.floor(times)) & (np.abs(times) < 2.0**63)
    return times.astype(np.int64) if whole.all() else times


def _of_objects(column: pd.Series, name: str) -> pd.Series:
    """A column of Python's dates or whole numbers as one of datetimes or int64; another as it is."""
    dates = column.map(lambda v: isinstance(v, datetime.date | np.datetime64)).to_numpy(bool)
    if dates.all() and len(dates):
        zoned = column.map(lambda v: getattr(v, "tzinfo", None) is not None).to_numpy(bool)
        if (odd := zoned != zoned[0]).any():
            row = int(odd.argmax())
            raise ValueError(
                f"column `{name}`, row {row}: {column[row]} {'has' if zoned[row] else 'lacks'} a time zone, unlike "
                f"row 0; make them alike: pd.to_datetime(df['{name}'], utc=True)"
            )
        return pd.to_datetime(column, utc=True)
    if pd.api.types.infer_dtype(column, skipna=False) != "integer":
        return column
    too_large = np.array([not -MAX_ID <= v + 1 <= MAX_ID + 1 for v in column])
    _first_bad(too_large, column.to_numpy(), name, "exceeds 2**63 - 1", "count in a larger unit")
    return column.astype(np.int64)


def seconds(times: np.ndarray) -> np.ndarray:
    """Datetimes (n,) as seconds since 1970, exactly: int64 where all are whole, else float64.

    float64 tells microseconds apart, and nanoseconds not always: where it would lose something, the datetimes
    themselves, datetime64.
    """
    ticks = TICKS[np.datetime_data(times.dtype)[0]]
    whole, part = np.divmod(times.astype(np.int64), ticks)
    while ticks > 1 and not (part % 1000).any():
        part, ticks = part // 1000, ticks // 1000
    if ticks == 1:
        return whole
    found = whole + part / ticks
    return found if (np.rint((found - whole) * ticks) == part).all() else times


def comparable(times: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of timestamps, which may be numbers of seconds or datetimes, both as the one or as the other."""
    if (times.dtype.kind == "M") == (others.dtype.kind == "M"):
        return times, others
    return _as_datetimes(times), _as_datetimes(others)


def join_times(old: np.ndarray | None, new: np.ndarray | None) -> np.ndarray | None:
    """The timestamps of two sets of interactions, one behind the other; None where one of them has none."""
    return None if old is None or new is None else np.concatenate(comparable(old, new))


def _as_datetimes(times: np.ndarray) -> np.ndarray:
    if times.dtype.kind == "M":
        return times
    whole = np.floor(times).astype(np.int64)
    return (whole * TICKS["ns"] + np.rint((times - whole) * TICKS["ns"]).astype(np.int64)).view("M8[ns]")
