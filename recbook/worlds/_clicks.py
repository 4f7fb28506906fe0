"""A world of clicks with planted crosses, and the best AUC that can be had in it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbook.interactions import Dataset
from recbook.worlds._world import (
    World,
    check_not_negative,
    check_sizes,
    draw_pairs,
    make_ids,
    make_world,
    sigmoid,
)


def make_ctr(
    n_users: int = 400,
    n_items: int = 300,
    n_interactions: int = 60_000,
    main: float = 0.5,
    cross: float = 1.5,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Clicks (ratings of 0 and 1) that hang on single fields and on two crosses of a user's field with an item's.

    P(click) = σ(-0.5 + main · (sum of four fields' effects) + cross · √2 (cos(α_group - β_kind) + cos(α_town -
    β_tier))). The users' table has the columns group (6 values) and town (4), the items' kind (5) and tier (4);
    effects are standardised draws, angles stand evenly around the circle. Averaged over either of its fields
    a cross is 0: what it tells is in no field alone. All pairs are equally likely.

    truth : scores (n_users, n_items), the chances; bayes_auc (), the `expected_auc` of the chances themselves, which
        no score exceeds; additive_auc (), that of the additive logit of the four fields that fits the chances best:
        the limit of logistic regression

    Raises ValueError for sizes below 1, negative `main` or `cross`, more interactions than pairs, or unknown `ids`.
    """
    check_sizes(n_users=n_users, n_items=n_items, n_interactions=n_interactions)
    check_not_negative(main=main, cross=cross)
    rng = np.random.default_rng(seed)
    user_ids, item_ids = make_ids(n_users, n_items, ids)
    sides = {"users": (n_users, {"group": 6, "town": 4}), "items": (n_items, {"kind": 5, "tier": 4})}
    codes = {name: rng.permutation(n) % size for n, fields in sides.values() for name, size in fields.items()}
    sizes = {name: size for _, fields in sides.values() for name, size in fields.items()}
    effects = {name: _standardised(rng.normal(size=size)) for name, size in sizes.items()}
    angles = {name: 2 * np.pi * codes[name] / sizes[name] for name in sizes}
    logits = np.full((n_users, n_items), -0.5)
    for user_field, item_field in (("group", "kind"), ("town", "tier")):
        own, other = effects[user_field][codes[user_field]], effects[item_field][codes[item_field]]
        logits += main * (own[:, None] + other)
        logits += cross * np.sqrt(2) * np.cos(angles[user_field][:, None] - angles[item_field])
    scores = sigmoid(logits)
    additive = _additive_fit(scores, codes, sizes)
    pairs = draw_pairs(rng, n_interactions, np.ones(n_users), np.ones(n_items))
    clicks = (rng.random(n_interactions) < scores[pairs]).astype(float)
    truth = {
        "scores": scores,
        "bayes_auc": np.array(expected_auc(scores, scores)),
        "additive_auc": np.array(expected_auc(scores, additive)),
    }
    world = make_world("ctr", truth, pairs, clicks, user_ids, item_ids)
    tables = {
        side: pd.DataFrame(
            {name: [f"{name} {code}" for code in codes[name].tolist()] for name in fields},
            index=getattr(world.data, side).index,
        )
        for side, (_, fields) in sides.items()
    }
    data = Dataset(world.data.interactions, **tables, name="ctr", source="generated")
    return World(data, world.truth)


def expected_auc(chances: np.ndarray, scores: np.ndarray) -> float:
    """The AUC of scores where each pair is a click with the chance given, over all pairs: ties count ½.

    chances, scores : of one shape. Raises ValueError for different shapes, or NaN among the scores.
    """
    chances, scores = np.asarray(chances, np.float64).ravel(), np.asarray(scores).ravel()
    if chances.shape != scores.shape or np.isnan(scores).any():
        raise ValueError(f"`scores` are {scores.shape} for chances of {chances.shape}, or hold NaN")
    tie = np.unique(scores, return_inverse=True)[1]
    positive, negative = np.bincount(tie, chances), np.bincount(tie, 1 - chances)
    below = np.cumsum(negative) - negative
    return float(positive @ (below + negative / 2) / (positive.sum() * negative.sum()))


def _standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / x.std()


def _additive_fit(chances: np.ndarray, codes: dict[str, np.ndarray], sizes: dict[str, int]) -> np.ndarray:
    """The additive logit of four fields that fits all pairs' chances best, (n_users, n_items): Newton's method."""
    of_users = np.hstack([np.eye(sizes[name])[codes[name]] for name in ("group", "town")])
    of_items = np.hstack([np.eye(sizes[name])[codes[name]] for name in ("kind", "tier")])
    left, at_left = np.unique(of_users, axis=0, return_inverse=True)
    right, at_right = np.unique(of_items, axis=0, return_inverse=True)
    # One row a kind of pair: few, whatever the number of users and items.
    cell = at_left.reshape(-1, 1) * len(right) + at_right.reshape(-1)
    counts = np.bincount(cell.ravel(), minlength=len(left) * len(right))
    share = np.bincount(cell.ravel(), chances.ravel(), minlength=len(counts)) / np.maximum(counts, 1)
    x = np.hstack([np.repeat(left, len(right), axis=0), np.tile(right, (len(left), 1))])
    theta = np.zeros(x.shape[1])
    for _ in range(50):
        p = sigmoid(x @ theta)
        curvature = (x * (counts * p * (1 - p))[:, None]).T @ x
        # Fields' shares overlap, so that the matrix is singular; of all solutions the shortest is taken.
        step = np.linalg.lstsq(curvature, x.T @ (counts * (share - p)), rcond=1e-10)[0]
        theta += step
        if np.abs(step).max() < 1e-12:
            break
    return np.round(x @ theta, 9)[cell]  # equal pairs stay equal
