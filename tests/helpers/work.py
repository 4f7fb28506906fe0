"""How much is done, counted: the same on a fast machine and a slow one, idle or busy. Seconds are for `make bench`."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple


class Work(NamedTuple):
    """calls : functions called, of Python and of C: what a loop over rows makes many of
    peak : bytes allocated at one time beyond what there was: what a table wider than a block makes much of
    result : what the call gave
    """

    calls: int
    peak: int
    result: object


def work_of(call: Callable[[], object]) -> Work:
    """What a call costs. NumPy's loops are one call, however long: their temporaries tell of them."""
    calls = 0

    def count(frame, event: str, argument) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    tracemalloc.start()
    sys.setprofile(count)
    try:
        result = call()
    finally:
        sys.setprofile(before)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return Work(calls, peak, result)
