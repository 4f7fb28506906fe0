"""Scores that are dot products: r̂_ui = μ + b_u + b_i + p_uᵀq_i, whatever the vectors were learnt by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recbook.core.blocks import blocks
from recbook.errors import NotSupportedError

if TYPE_CHECKING:
    from recbook.recommender import Coded, Recommender

Number = float | np.floating | np.ndarray  # one number; NumPy's floats are no `float`, nor are arrays of none
Side = tuple[np.ndarray, np.ndarray]  # vectors (n, factors) and biases (n,) of users, or of items


def pair_scores(
    people: Side, things: Side, users: np.ndarray, items: np.ndarray, mean: Number = 0.0
) -> np.ndarray:
    """mean + b_u + b_i + p_uᵀq_i of n pairs of codes, (n,)."""
    (p, b), (q, c) = people, things
    found = np.asarray(mean + b[users] + c[items])
    for block in blocks(len(users), 2 * p.shape[1]):
        found[block] += (p[users[block]] * q[items[block]]).sum(1)
    return found


def matrix_scores(
    people: Side, things: Side, users: np.ndarray, items: np.ndarray | None, mean: Number = 0.0
) -> np.ndarray:
    """The same of users × items (codes; None: all), (len(users), items)."""
    (p, b), (q, c) = people, things
    if items is not None:
        q, c = q[items], c[items]
    return mean + b[users, None] + c + p[users] @ q.T


def sum_of_biases(
    mean: Number,
    user_bias: np.ndarray,
    item_bias: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    unknown: Number = 0.0,
) -> np.ndarray:
    """mean + b_u + b_i of n pairs of codes, (n,); code -1 stands for an id that is not known.

    unknown : its bias
    """
    return mean + np.append(user_bias, unknown)[users] + np.append(item_bias, unknown)[items]


def with_average(side: Side, average: Side | None = None) -> Side:
    """A side with one more at its end, whom code -1 picks: the average of the side, or of another."""
    vectors, bias = side
    of = side if average is None else average
    return np.vstack([vectors, of[0].mean(0)]), np.append(bias, of[1].mean())


def parameter_shapes(n_users: int, n_items: int, factors: int) -> dict[str, tuple[int, ...]]:
    """The parameters of biased factors, by their canonical names."""
    return {
        "mean": (),
        "user_bias": (n_users,),
        "item_bias": (n_items,),
        "user_factors": (n_users, factors),
        "item_factors": (n_items, factors),
    }


def lengthened(array: np.ndarray, n: int, value) -> np.ndarray:
    """An array with `value` behind it, n in all; a copy."""
    return np.concatenate([array, np.full((n - len(array), *array.shape[1:]), value, array.dtype)])


def needs_what_was_met(model: Recommender, new: Coded) -> None:
    """Raises NotSupportedError where somebody known is to be solved for, and what they met before was not saved."""
    known = int(new.users.min()) < model._get_parameters()["user_factors"].shape[0]
    if model._train is None and known:
        raise NotSupportedError(
            f"this {type(model).__name__} was saved without its history, so that new rows of somebody known would "
            "stand for all of theirs; save it with include_history=True, or give rows of new people alone"
        )
