"""A small dataset for any model: what its task and its needs say; and a small model, trained on it once."""

from __future__ import annotations

import functools
import inspect

import numpy as np
import pandas as pd

from recbook.interactions import Dataset, Interactions

WARM = 9999  # an item that is in the table and in no interaction


def data_for(cls, seed: int = 0) -> Dataset:
    """What `cls` can be fitted on: as its task and its needs say. Users are strings, items integers."""
    rng = np.random.default_rng(seed)
    u, i = np.nonzero(rng.random((16, 12)) < 0.55)
    rows = rng.permutation(len(u))
    df = pd.DataFrame({"user": [f"u{n}" for n in u[rows]], "item": 100 - i[rows]})
    if cls.task == "rating":
        df["rating"] = rng.integers(1, 11, len(df)) / 2
    elif cls.task == "click":
        df["rating"] = rng.integers(0, 2, len(df)).astype(float)
    df["timestamp"] = rng.integers(0, 10**6, len(df))
    df["position"] = rng.integers(0, 5, len(df))
    df["event"] = np.array(["browse", "click", "buy"])[df.position % 3]
    sides = {"users": sorted(df.user.unique()), "items": [*sorted(df.item.unique()), WARM]}
    words = np.array(["Comedy", "War|Drama", "Drama", "Comedy|Romance"])
    tables = {
        side: pd.DataFrame({c: rng.choice(words, len(ids)) for c in cls.needs.get(side, [])}, index=ids)
        for side, ids in sides.items()
    }
    return Dataset(Interactions.from_frame(df), **tables)


def make(cls, **changes):
    """A model that trains in no time.

    Adam makes whole steps of gradients that are nothing but rounding; of thousands of weights some have such: a
    transformer is small here, so that the wings can be held to one another weight by weight.
    """
    small = {"device": "cpu", "epochs": 2, "blocks": 1, "inner": 8}
    if "blocks" in inspect.signature(cls).parameters:
        small["factors"] = 8
    return cls(**{n: v for n, v in small.items() if n in inspect.signature(cls).parameters} | changes)


def fitted(cls, data=None, **changes):
    return make(cls, **changes).fit(data_for(cls) if data is None else data, progress=False)


@functools.cache
def shared(cls):
    """A model for all tests that only read it: training is what takes their time."""
    return fitted(cls)
