"""What all models share that give users and items a bias, and perhaps a vector: r̂_ui = μ + b_u + b_i (+ p_uᵀq_i)."""

from __future__ import annotations

import numpy as np


def sum_of_biases(
    mean: float,
    user_bias: np.ndarray,
    item_bias: np.ndarray,
    users: np.ndarray,
    items: np.ndarray,
    unknown: float = 0.0,
) -> np.ndarray:
    """mean + b_u + b_i of n pairs of codes, (n,); code -1 stands for an id that is not known.

    unknown : its bias
    """
    return mean + np.append(user_bias, unknown)[users] + np.append(item_bias, unknown)[items]


def parameter_shapes(n_users: int, n_items: int, factors: int) -> dict[str, tuple[int, ...]]:
    """The parameters of biased factors, by their canonical names."""
    return {
        "mean": (),
        "user_bias": (n_users,),
        "item_bias": (n_items,),
        "user_factors": (n_users, factors),
        "item_factors": (n_items, factors),
    }
