"""Checks of the exercises in the chapter `evaluation`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints

PAIRS = [
    (
        np.array([[3.0, 4.0, 2.0], [5.0, 3.0, 1.0]]),
        np.array([0, 0, 1, 1]),
        np.array([0, 2, 1, 2]),
        np.array([4.0, 1.0, 5.0, 1.0]),
    ),
    (
        np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 2.5], [2.0, 3.5, 4.0]]),
        np.array([2, 2, 2, 0, 1]),
        np.array([1, 0, 2, 0, 1]),
        np.array([5.0, 2.0, 2.0, 1.0, 3.0]),
    ),
]


@hints(
    "First gather: from the table, the prediction of each test pair.",
    "`R_hat[users, items]` is that list. Then differences, squares, the mean, the root: in this order.",
)
def rmse(answer: Callable) -> bool | None:
    """Exercise 1. answer(R_hat, users, items, ratings): RMSE over the test pairs (equation ev-rmse)."""

    def errors(R_hat, users, items, ratings):
        return ratings - R_hat[users, items]

    def over_people(R_hat, users, items, ratings):
        squared = errors(R_hat, users, items, ratings) ** 2
        return np.mean([np.sqrt(squared[users == u].mean()) for u in np.unique(users)])

    mistakes = [
        Mistake(lambda *case: np.mean(errors(*case) ** 2), "That is the MSE, in squared stars: take the root."),
        Mistake(lambda *case: np.mean(np.abs(errors(*case))), "That is the MAE. Square, average, take the root."),
        Mistake(lambda *case: np.sqrt(np.sum(errors(*case) ** 2)), "Divide by the number of pairs."),
        Mistake(over_people, "You average over people first. Average over all test pairs at once."),
        Mistake(
            lambda R_hat, users, items, ratings: np.sqrt(
                np.mean((ratings[:, None] - R_hat[users, items]) ** 2)
            ),
            "Every rating is compared with every prediction: your shapes broadcast to |T| × |T|.",
        ),
        Mistake(
            lambda R_hat, users, items, ratings: np.sqrt(np.mean((ratings - R_hat.ravel()[: len(ratings)]) ** 2)),
            "You take the first entries of the table. Pick those of the test pairs: R_hat[users, items].",
        ),
    ]  # fmt: skip
    return check(answer, lambda *case: np.sqrt(np.mean(errors(*case) ** 2)), PAIRS, mistakes)


TIED = [
    (np.array([0.9, 0.5, 0.5, 0.5, 0.1]), 2, 2),
    (np.zeros(20), 7, 5),
    (np.array([3.0, 1.0, 2.0]), 0, 1),
    (np.array([3.0, 1.0, 2.0]), 1, 2),
    (np.array([1.0, 1.0, 0.0]), 1, 2),
    (np.array([2.0, 2.0, 1.0, 1.0]), 2, 1),
    (np.zeros(6), 0, 2),
    (np.array([3.0, 1.0, 2.0]), 0, 2),
]


@hints(
    "How many items stand above the target, and how many are tied with it, itself included?",
    "The tied share the places that are left, k − above. The chance is that over the number tied, "
    "held between 0 and 1.",
)
def hit_rate(answer: Callable) -> bool | None:
    """Exercise 2. answer(scores, target, k): the chance that the target is in the list, ties in random order."""

    def counts(scores, target):
        return (scores > scores[target]).sum(), (scores == scores[target]).sum()

    def right(scores, target, k):
        above, tied = counts(scores, target)
        return np.clip((k - above) / tied, 0, 1)

    def first(scores, target, k):
        return float(target in np.argsort(-scores, kind="stable")[:k])

    def unclipped(scores, target, k):
        above, tied = counts(scores, target)
        return (k - above) / tied

    def unclipped_above(scores, target, k):
        return max(unclipped(scores, target, k), 0)

    def lucky(scores, target, k):
        return float(counts(scores, target)[0] < k)

    def unlucky(scores, target, k):
        return float(sum(counts(scores, target)) <= k)

    mistakes = [
        Mistake(first, "Ties go by the order of the items here. Give the chance over all orders."),
        Mistake(lucky, "You put the target first in its tie: every tie is a hit. Give the chance."),
        Mistake(unlucky, "You put the target last in its tie. Give the chance over all orders."),
        Mistake(unclipped, "A chance lies between 0 and 1. What if more than k are above, or all tied fit?"),
        Mistake(unclipped_above, "A chance is at most 1: there may be more places left than items tied."),
        Mistake(
            lambda scores, target, k: k / len(scores),
            "k / n is right where all scores are equal. Here some stand above.",
        ),
        Mistake(
            lambda scores, target, k: float(right(scores, target, k) >= 0.5),
            "You rounded. Half a chance is half a hit.",
        ),
    ]
    return check(answer, right, TIED, mistakes)


def _two_models(seed: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    rng = np.random.default_rng(seed)
    ease = rng.random(60)
    return ease + rng.normal(0.03, 0.1, 60), ease, 500, seed


@hints(
    "People are drawn, not values: one draw of numbers serves a and b.",
    "Index `a - b` by the draw, take the mean of each row, then the quantiles 0.025 and 0.975 of "
    "these means.",
)
def interval(answer: Callable) -> bool | None:
    """Exercise 3. answer(a, b, n, seed): low and high of the 95 % interval of mean(a - b), paired bootstrap."""

    def draws(a, n, seed):
        return np.random.default_rng(seed).integers(len(a), size=(n, len(a)))

    def right(a, b, n, seed, level=(0.025, 0.975)):
        return np.quantile((a - b)[draws(a, n, seed)].mean(1), level)

    def unpaired(a, b, n, seed):
        rng = np.random.default_rng(seed)
        one, other = (rng.integers(len(a), size=(n, len(a))) for _ in range(2))
        return np.quantile(a[one].mean(1) - b[other].mean(1), [0.025, 0.975])

    mistakes = [
        Mistake(unpaired, "You draw other users for b. Draw once, and take a and b of the same users."),
        Mistake(
            lambda a, b, n, seed: np.quantile(a - b, [0.025, 0.975]),
            "That is where single users lie. Draw users anew, and take quantiles of the means.",
        ),
        Mistake(
            lambda a, b, n, seed: np.quantile((a - b)[draws(a, n, seed)], [0.025, 0.975]),
            "Take the mean of each resample first, then the quantiles of the means.",
        ),
        Mistake(lambda *case: right(*case, level=(0.05, 0.95)), "That is a 90 % interval: 5 % lie on each side."),
        Mistake(lambda *case: right(*case)[::-1], "The two ends are right. Give the lower one first."),
        Mistake(lambda a, b, n, seed: right(b, a, n, seed), "The sign is turned round: it is a − b."),
        Mistake(lambda a, b, n, seed: right(a, 0 * b, n, seed), "That is the interval of a alone."),
    ]  # fmt: skip
    return check(answer, right, [_two_models(seed) for seed in (0, 1)], mistakes)
