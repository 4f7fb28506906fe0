"""Worlds of ratings and of meetings: low rank, biases, groups of taste, popularity."""

from __future__ import annotations

import numpy as np

from recbook.interactions import Dataset
from recbook.worlds._world import (
    World,
    check_not_negative,
    check_sizes,
    draw_pairs,
    make_ids,
    make_world,
    rated_world,
)


def make_low_rank(
    n_users: int = 100,
    n_items: int = 80,
    rank: int = 3,
    density: float = 0.3,
    noise: float = 0.1,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Ratings of a matrix of low rank, some of them seen, with noise.

    r_ui = 3 + p_u · q_i + noise · ε_ui with ε ~ N(0, 1), entries of p_u and q_i (length `rank`) from
    N(0, rank**-½), so that p_u · q_i has variance 1. A share `density` of all pairs is seen, each
    equally likely. Ratings are real numbers, not clipped.

    truth : user_factors (n_users, rank), item_factors (n_items, rank), scores (n_users, n_items): r without
        noise

    Raises ValueError for sizes below 1, a density outside (0, 1], negative noise, or unknown `ids`.
    """
    check_sizes(n_users=n_users, n_items=n_items, rank=rank)
    rng = np.random.default_rng(seed)
    scale = rank**-0.25  # a standard deviation: the variance of an entry is rank**-½
    p = rng.normal(0, scale, (n_users, rank))
    q = rng.normal(0, scale, (n_items, rank))
    truth = {"user_factors": p, "item_factors": q, "scores": 3 + p @ q.T}
    return rated_world("low rank", truth, density, noise, rng, ids)


def make_biases(
    n_users: int = 100,
    n_items: int = 80,
    mean: float = 3.5,
    user_sd: float = 0.4,
    item_sd: float = 0.5,
    density: float = 0.3,
    noise: float = 0.1,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Ratings that are a mean and two biases: some users are kinder, some items are better.

    r_ui = mean + b_u + b_i + noise · ε_ui with b_u ~ N(0, user_sd²), b_i ~ N(0, item_sd²), ε ~ N(0, 1); each
    family of biases is shifted to sum to zero, so that the mean is theirs alone. A share `density`
    of all pairs is seen, each equally likely. Ratings are real numbers, not clipped.

    truth : mean (), user_biases (n_users,), item_biases (n_items,), scores (n_users, n_items): r without
        noise

    Raises ValueError as `make_low_rank`.
    """
    check_sizes(n_users=n_users, n_items=n_items)
    check_not_negative(user_sd=user_sd, item_sd=item_sd)
    rng = np.random.default_rng(seed)
    b_u = rng.normal(0, user_sd, n_users)
    b_i = rng.normal(0, item_sd, n_items)
    b_u, b_i = b_u - b_u.mean(), b_i - b_i.mean()
    scores = mean + b_u[:, None] + b_i
    truth = {"mean": np.array(mean, float), "user_biases": b_u, "item_biases": b_i, "scores": scores}
    return rated_world("biases", truth, density, noise, rng, ids)


def make_taste_groups(
    n_users: int = 90,
    n_items: int = 60,
    n_groups: int = 3,
    liked: float = 4.5,
    other: float = 2.0,
    density: float = 0.3,
    noise: float = 0.3,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Groups of users that like different groups of items.

    User u (0, 1, …) is of group u mod n_groups, likewise the items. r_ui = liked where the groups agree, else
    other, plus noise · ε_ui with ε ~ N(0, 1). A share `density` of all pairs is seen, each equally
    likely. What u should be shown are the unseen items of u's group. Ratings are not clipped.

    truth : user_groups (n_users,), item_groups (n_items,), likes (n_users, n_items) bool, scores: r without
        noise

    Raises ValueError as `make_low_rank`, and for more groups than users or items.
    """
    check_sizes(n_users=n_users, n_items=n_items, n_groups=n_groups)
    if n_groups > min(n_users, n_items):
        raise ValueError(
            f"`n_groups` is {n_groups}, above n_users or n_items ({n_users}, {n_items}); ask for fewer groups"
        )
    groups = np.arange(n_users) % n_groups, np.arange(n_items) % n_groups
    likes = groups[0][:, None] == groups[1]
    scores = np.where(likes, float(liked), float(other))
    truth = {"user_groups": groups[0], "item_groups": groups[1], "likes": likes, "scores": scores}
    return rated_world("taste groups", truth, density, noise, np.random.default_rng(seed), ids)


def make_checkerboard(n_users: int = 20, n_items: int = 20, ids: str = "int") -> World:
    """Users who met every item of their own parity but one: that one is the right recommendation.

    User u (0, 1, …) likes item i exactly if u + i is even. Withheld from u is the item of u's parity at place
    ⌊u/2⌋ (modulo their number) among these. No ratings, no chance. After an idea in the tests of implicit.

    truth : likes (n_users, n_items) bool, hidden (n_users,): the id of the one item to recommend

    Raises ValueError for fewer than 4 users or items.
    """
    if n_users < 4 or n_items < 4:
        raise ValueError(
            f"a checkerboard of {n_users} × {n_items} has nothing to learn from; make it 4 × 4 or larger"
        )
    u = np.arange(n_users)
    likes = (u[:, None] + np.arange(n_items)) % 2 == 0
    hidden = u % 2 + 2 * (u // 2 % likes.sum(axis=1))
    seen = likes.copy()
    seen[u, hidden] = False
    user_ids, item_ids = make_ids(n_users, n_items, ids)
    return make_world(
        "checkerboard",
        {"likes": likes, "hidden": item_ids[hidden]},
        np.nonzero(seen),
        None,
        user_ids,
        item_ids,
    )


def make_popularity(
    n_users: int = 200,
    n_items: int = 100,
    n_interactions: int = 4000,
    exponent: float = 1.0,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Meetings without taste: some items are met more often, by a power law, and that is all.

    Pairs are drawn one after another without putting back, item i with probability proportional to
    k_i**-exponent, k_i being its place in a random order of the items. Every user is equally likely.
    Because a pair is drawn only once, the counts of the top items flatten as users run out.

    truth : popularity (n_items,): the chance of each item in the first draw, summing to 1

    Raises ValueError for sizes below 1, more meetings than pairs, or a negative exponent.
    """
    check_sizes(n_users=n_users, n_items=n_items, n_interactions=n_interactions)
    check_not_negative(exponent=exponent)
    rng = np.random.default_rng(seed)
    weight = (1.0 + rng.permutation(n_items)) ** -exponent
    pairs = draw_pairs(rng, n_interactions, np.ones(n_users), weight)
    return make_world(
        "popularity", {"popularity": weight / weight.sum()}, pairs, None, *make_ids(n_users, n_items, ids)
    )


def make_ratings(
    n_users: int = 6000,
    n_items: int = 3700,
    n_ratings: int = 1_000_000,
    seed: int = 0,
    ids: str = "int",
) -> Dataset:
    """Many ratings from 1 to 5 in the manner of MovieLens, for measuring time and memory. No truth is kept.

    Pairs without putting back, with probability proportional to a_u · c_i: a_u is log-normal (σ = 1), c_i is
    1 / (10 + place of i). r_ui = 3.5 + b_u + b_i + p_u · q_i + ε, rounded and clipped to 1…5: biases from
    N(0, .4²), four factors a side with p_u · q_i of standard deviation .4, ε ~ N(0, .8²).

    Raises ValueError for sizes below 1, or more ratings than pairs.
    """
    check_sizes(n_users=n_users, n_items=n_items, n_ratings=n_ratings)
    rng = np.random.default_rng(seed)
    user_weight = rng.lognormal(0, 1, n_users)
    item_weight = 1 / (10 + rng.permutation(n_items))
    u, i = draw_pairs(rng, n_ratings, user_weight, item_weight)
    b_u, b_i = rng.normal(0, 0.4, n_users), rng.normal(0, 0.4, n_items)
    scale = np.sqrt(0.4 / 2)  # four products of two such entries: variance 4 · .2² = .4²
    p, q = rng.normal(0, scale, (n_users, 4)), rng.normal(0, scale, (n_items, 4))
    score = 3.5 + b_u[u] + b_i[i] + np.einsum("nf,nf->n", p[u], q[i]) + rng.normal(0, 0.8, n_ratings)
    ratings = np.clip(np.rint(score), 1, 5)
    return make_world("ratings", {}, (u, i), ratings, *make_ids(n_users, n_items, ids)).data
