"""What every generated world is made of: data, the truth behind them, and how pairs are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbook.interactions import Dataset, Interactions


@dataclass(frozen=True)
class World:
    """Generated data and the truth they were drawn from.

    `world.truth["scores"]` may be written `world.scores`.

    data : a Dataset. Its tables list every user and item, also those that met nobody.
    truth : name → array; rows and columns in the order of `user_ids` and `item_ids`, which are part of it
    """

    data: Dataset
    truth: dict[str, np.ndarray]

    def __getattr__(self, name: str) -> np.ndarray:
        truth = self.__dict__.get("truth", {})
        if name not in truth:
            raise AttributeError(f"this world has no `{name}`; its truth has {sorted(truth)}")
        return truth[name]


def rated_world(
    name: str, truth: dict[str, np.ndarray], density: float, noise: float, rng: np.random.Generator, ids: str
) -> World:
    """A share `density` of the pairs, with the truth's scores and noise as ratings."""
    check_not_negative(noise=noise)
    if not 0 < density <= 1:
        raise ValueError(
            f"`density` is {density!r}; give the share of pairs that are rated, above 0 and at most 1"
        )
    scores = truth["scores"]
    n_users, n_items = scores.shape
    n = max(1, round(density * scores.size))
    pairs = draw_pairs(rng, n, np.ones(n_users), np.ones(n_items))
    ratings = scores[pairs] + noise * rng.normal(size=n)
    return make_world(name, truth, pairs, ratings, *make_ids(n_users, n_items, ids))


def make_world(name, truth, pairs, ratings, user_ids, item_ids) -> World:
    rows = {"user": user_ids[pairs[0]], "item": item_ids[pairs[1]]}
    if ratings is not None:
        rows["rating"] = ratings
    data = Dataset(
        Interactions.from_frame(pd.DataFrame(rows)),
        users=pd.DataFrame(index=pd.Index(user_ids, name="user")),
        items=pd.DataFrame(index=pd.Index(item_ids, name="item")),
        name=name,
        source="generated",
    )
    return World(data, {"user_ids": user_ids, "item_ids": item_ids, **truth})


def draw_pairs(
    rng, n: int, user_weight: np.ndarray, item_weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """n distinct pairs (u, i), drawn one after another without putting back.

    Each pair's chance is proportional to user_weight[u] · item_weight[i]. The n smallest of
    Exp(1) / weight are such a draw, in its order (Efraimidis and Spirakis, 2006).
    """
    size = len(user_weight) * len(item_weight)
    if n > size:
        raise ValueError(
            f"{n:,} interactions were asked of {len(user_weight):,} × {len(item_weight):,} = {size:,} pairs; "
            "ask for fewer, or for more users or items"
        )
    keys = rng.standard_exponential((len(user_weight), len(item_weight)), dtype=np.float32)
    keys /= user_weight.astype(np.float32)[:, None]
    keys /= item_weight.astype(np.float32)
    keys = keys.ravel()
    threshold = np.partition(keys, n - 1)[n - 1]
    candidates = np.flatnonzero(keys <= threshold)  # a few more than n where float32 ties
    drawn = candidates[np.argsort(keys[candidates], kind="stable")[:n]]
    return np.divmod(drawn, len(item_weight))


def make_ids(n_users: int, n_items: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Ids 1, 2, … (never equal to a code), or "u1", "u2", … and "i1", "i2", …."""
    if kind not in ("int", "str"):
        raise ValueError(f"`ids` is {kind!r}; choose 'int' or 'str'")
    sides = []
    for letter, n in (("u", n_users), ("i", n_items)):
        numbers = np.arange(1, n + 1)
        sides.append(numbers if kind == "int" else np.array([f"{letter}{number}" for number in numbers]))
    return sides[0], sides[1]


def check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"`{name}` is {value!r}; give a whole number, at least 1")


def check_not_negative(**numbers: float) -> None:
    for name, value in numbers.items():
        if not value >= 0:
            raise ValueError(f"`{name}` is {value!r}; give a number of at least 0")


def draw_columns(rng, weights: np.ndarray) -> np.ndarray:
    """A column for each row, with chance proportional to its weight."""
    total = np.cumsum(weights, axis=1)
    return (rng.random((len(weights), 1)) * total[:, -1:] >= total[:, :-1]).sum(axis=1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
