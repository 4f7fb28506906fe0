"""Small tables of ratings, users × items with NaN where there is none; what a model learnt; derivatives by differences.

Users are called 1000, 999, …, items 500, 499, …
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbook.interactions import Interactions


def table(seed: int = 0, n_users: int = 7, n_items: int = 5, density: float = 0.6) -> np.ndarray:
    """Whole stars; everybody and everything has a rating."""
    rng = np.random.default_rng(seed)
    R = np.where(rng.random((n_users, n_items)) < density, rng.integers(1, 6, (n_users, n_items)), np.nan)
    R[np.arange(n_users), np.arange(n_users) % n_items] = rng.integers(1, 6, n_users)
    return R


def interactions(R: np.ndarray, order=None, **columns) -> Interactions:
    """The ratings of a table, row by row, or in the given order.  columns : more of them, row by row"""
    u, i = np.nonzero(~np.isnan(R))
    df = pd.DataFrame({"user": 1000 - u, "item": 500 - i, "rating": R[u, i], **columns})
    return Interactions.from_frame(df if order is None else df.iloc[order])


def table_of(x: Interactions) -> np.ndarray:
    """The inverse, in the order of codes: a user's row is the user's place in `user_ids`."""
    R = np.full((x.n_users, x.n_items), np.nan)
    R[x.user_codes, x.item_codes] = x.ratings
    return R


def learnt(model) -> dict[str, np.ndarray]:
    return {name: values.astype(np.float64) for name, values in model.get_parameters().items()}


def numerical_gradient(function, arrays: dict[str, np.ndarray], name: str, step: float = 1e-5) -> np.ndarray:
    """Central differences of function(**arrays) by the array called `name`."""
    found = np.zeros_like(arrays[name])
    for cell in np.ndindex(found.shape):
        values = []
        for sign in (1, -1):
            moved = arrays[name].copy()
            moved[cell] += sign * step
            values.append(function(**{**arrays, name: moved}))
        found[cell] = (values[0] - values[1]) / (2 * step)
    return found
