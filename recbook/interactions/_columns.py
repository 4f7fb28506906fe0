"""Ratings and times: checked where they come in."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd

from recbook.interactions._ids import MAX_ID, Places, first_of, series

TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # in a second, of pandas' units of time


def _is_real(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)


def read_column(
    values, name: str, scale: tuple[float, float] | None = None, *, times: bool = False
) -> tuple[np.ndarray, list[str]]:
    """Ratings, float64, or timestamps, as `Interactions` holds them, and all that is wrong with them.

    scale : the lowest and the highest rating that there can be;  times : whether they are timestamps

    Where something is wrong, there is no array to use.
    """
    if getattr(values, "ndim", 1) != 1:
        return np.zeros(0), [f"`{name}` has {values.ndim} dimensions; give one value a row"]
    places, column = Places(values), series(values).reset_index(drop=True)
    faults = Faults(name, places)
    found = _times(column, faults) if times else _ratings(column, scale, faults)
    return found, faults.said


class Faults:
    """What is wrong with a column, one message a kind of fault."""

    def __init__(self, name: str, places: Places):
        self.name, self.places, self.said = name, places, list[str]()

    def find(self, bad: np.ndarray, values: np.ndarray, what: str, remedy: str) -> np.ndarray:
        """Says it of the first of the rows that are bad, if there are any; returns `bad`."""
        if bad.any():
            value = values[int(bad.argmax())]
            self.said.append(f"column `{self.name}`, {first_of(bad, self.places)}: {value} {what}; {remedy}")
        return bad


def _ratings(column: pd.Series, scale: tuple[float, float] | None, faults: Faults) -> np.ndarray:
    if not _is_real(column):
        faults.said.append(
            f"column `{faults.name}` holds {column.dtype}, not numbers; convert it: "
            f"pd.to_numeric(df['{faults.name}'])"
        )
        return np.zeros(0)
    ratings = column.to_numpy(np.float64, na_value=np.nan)
    faults.find(np.isnan(ratings), ratings, "is no rating", "drop such rows: what is unknown is not a rating")
    infinite = faults.find(np.isinf(ratings), ratings, "is infinite", "repair or drop such rows")
    too_large = ~infinite & (np.abs(ratings) > np.finfo(np.float32).max)
    faults.find(too_large, ratings, "is larger than a score of 32 bits can be", "use a larger unit")
    if scale is not None:
        outside = ~infinite & ((ratings < scale[0]) | (ratings > scale[1]))
        faults.find(
            outside,
            ratings,
            f"is outside the scale from {scale[0]:g} to {scale[1]:g}",
            "repair or drop such rows: preprocessing.clean(df, scale=...)",
        )
    return ratings


def _times(column: pd.Series, faults: Faults) -> np.ndarray:
    remedy = "drop such rows, or pass timestamp=None"
    missing = faults.find(column.isna().to_numpy(), column.to_numpy(), "is no time", remedy)
    if missing.any():  # what is wrong with the others is said as well
        given = np.flatnonzero(~missing)
        column = column.iloc[given].reset_index(drop=True)
        faults.places = faults.places.of(given)
        if not len(column):
            return np.zeros(0)
    if column.dtype == object:
        column = _of_objects(column, faults)
    if pd.api.types.is_datetime64_any_dtype(column):
        if column.dt.tz is not None:
            column = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return seconds(column.to_numpy())
    if not _is_real(column) or pd.api.types.is_bool_dtype(column):
        remedy = f"pd.to_datetime(df['{faults.name}'])"
        if isinstance(column.dtype, pd.PeriodDtype):
            remedy = f"df['{faults.name}'].dt.to_timestamp()"
        elif pd.api.types.is_timedelta64_dtype(column):
            remedy = f"df['{faults.name}'].dt.total_seconds()"
        if len(faults.said) == missing.any():  # of objects it may have been said what is wrong with them
            faults.said.append(
                f"column `{faults.name}` holds {column.dtype}, not times; convert it: {remedy}"
            )
        return np.zeros(0)
    if pd.api.types.is_integer_dtype(column):
        too_large = (column > MAX_ID).to_numpy(bool)
        faults.find(too_large, column.to_numpy(), "exceeds 2**63 - 1", "count in a larger unit")
        return np.zeros(0) if too_large.any() else column.to_numpy(np.int64)
    times = column.to_numpy(np.float64)
    infinite = faults.find(~np.isfinite(times), times, "is no time", remedy)
    whole = ~infinite & (times == np.floor(times)) & (np.abs(times) < 2.0**63)
    return times.astype(np.int64) if whole.all() else times


def _of_objects(column: pd.Series, faults: Faults) -> pd.Series:
    """A column of Python's dates or whole numbers as one of datetimes or int64; another as it is."""
    dates = column.map(lambda v: isinstance(v, datetime.date | np.datetime64)).to_numpy(bool)
    if dates.all() and len(dates):
        zoned = column.map(lambda v: getattr(v, "tzinfo", None) is not None).to_numpy(bool)
        if (odd := zoned != zoned[0]).any():
            row = int(odd.argmax())
            faults.said.append(
                f"column `{faults.name}`, {faults.places(row)}: {column[row]} {'has' if zoned[row] else 'lacks'} a "
                f"time zone, unlike {faults.places(0)}; make them alike: pd.to_datetime(df['{faults.name}'], utc=True)"
            )
        return pd.to_datetime(column, utc=True)
    if pd.api.types.infer_dtype(column, skipna=False) != "integer":
        return column
    too_large = np.array([not -MAX_ID <= v + 1 <= MAX_ID + 1 for v in column])
    faults.find(too_large, column.to_numpy(), "exceeds 2**63 - 1", "count in a larger unit")
    return column if too_large.any() else column.astype(np.int64)


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
