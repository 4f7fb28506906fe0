"""Checks of the exercises in the chapter `introduction`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints

TOPS = [
    (np.array([0.1, 0.9, 0.5, 0.7, 0.2]), np.array([False, True, False, False, False]), 2),
    (np.array([3.0, -1.0, 2.0, 5.0]), np.array([False, False, False, True]), 3),
    (np.array([-4.0, -2.0, -3.0, -1.0]), np.array([True, False, False, False]), 2),
]


@hints(
    "An item that was seen must not win, whatever its score. Which score is lower than every other?",
    "Give seen items −∞, sort the negated scores with `np.argsort`, and take the first k.",
)
def top(answer: Callable) -> bool | None:
    """Exercise 1. answer(scores, seen, k): indices of the k highest scores among the unseen, best first."""

    def right(scores, seen, k, hide=-np.inf):
        return np.argsort(-np.where(seen, hide, scores), kind="stable")[:k]

    mistakes = [
        Mistake(lambda s, seen, k: np.argsort(-s)[:k], "Your list has items that were seen: leave them out."),
        Mistake(
            lambda s, seen, k: np.argsort(np.where(seen, np.inf, s))[:k],
            "Your list begins with the worst: sort downwards.",
        ),
        Mistake(lambda *case: right(*case)[::-1], "The right items, but the best must come first."),
        Mistake(
            lambda *case: right(*case, hide=0.0),
            "You give seen items the score 0, which wins where all others are negative: use -inf.",
        ),
        Mistake(
            lambda s, seen, k: np.argsort(-s[~seen])[:k],
            "These are places among the unseen items. Say them as indices of all items.",
        ),
        Mistake(
            lambda *case: np.sort(case[0][right(*case)])[::-1], "These are the scores; give the indices."
        ),
    ]
    return check(answer, right, TOPS, mistakes)


def _looks(seed: int, n: int, rows: int) -> tuple:
    rng = np.random.default_rng(seed)
    taste, category = rng.integers(0, n, rows), rng.integers(0, n, rows)
    taste[:2], category[:2] = 0, 1
    empty = (taste == n - 1) & (category == 0)  # one cell that nobody looked at
    return (
        taste[~empty],
        category[~empty],
        (rng.random(rows) < 0.3 + 0.4 * (taste == category))[~empty] * 1.0,
        n,
    )


@hints(
    "Count two things for each cell: looks, and looks that led to a click. `np.add.at` counts pairs.",
    "Divide where there are looks. Elsewhere stands the share over all looks, `clicked.mean()`.",
)
def theta(answer: Callable) -> bool | None:
    """Exercise 2. answer(taste, category, clicked, n): (n, n) shares of looks that were clicked."""

    def counts(taste, category, clicked, n):
        clicks, seen = np.zeros((n, n)), np.zeros((n, n))
        np.add.at(clicks, (taste, category), clicked)
        np.add.at(seen, (taste, category), 1)
        return clicks, seen

    def right(*case, empty=None):
        clicks, seen = counts(*case)
        return np.where(seen > 0, clicks / np.maximum(seen, 1), case[2].mean() if empty is None else empty)

    mistakes = [
        Mistake(lambda *case: right(*case).T, "Turned round: tastes are the rows, categories the columns."),
        Mistake(lambda *case: counts(*case)[0], "These are numbers of clicks. Divide by the looks."),
        Mistake(
            lambda *case: counts(*case)[0] / len(case[2]), "Divide by the looks of that cell, not by all."
        ),
        Mistake(
            lambda *case: right(*case, empty=np.nan),
            "Right where somebody looked. Elsewhere 0/0: use the share over all looks.",
        ),
        Mistake(
            lambda *case: right(*case, empty=0.0),
            "A cell that nobody looked at is unknown, not 0: use the share over all looks.",
        ),
    ]
    return check(answer, right, [_looks(0, 3, 60), _looks(1, 4, 80)], mistakes)


def _experiment(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    shown = rng.random(90) < 0.4
    return rng.poisson(2.0 + shown, 90).astype(float), shown


@hints(
    "Two groups, two means. What varies is each mean, by variance over number.",
    "The error is the root of var(a)/n_a + var(b)/n_b with `ddof=1`; the ends lie 1.96 of it to each side.",
)
def effect(answer: Callable) -> bool | None:
    """Exercise 3. answer(outcome, shown): difference of the means and the ends of its 95 % interval, (3,)."""

    def interval(outcome, shown, error, sign=1):
        a, b = outcome[shown], outcome[~shown]
        difference = sign * (a.mean() - b.mean())
        return np.array([difference, difference - 1.96 * error(a, b), difference + 1.96 * error(a, b)])

    def welch(a, b):
        return np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))

    def spread(a, b):
        return np.sqrt(a.var(ddof=1) + b.var(ddof=1))

    def population(a, b):
        return np.sqrt(a.var() / len(a) + b.var() / len(b))

    def ratio(outcome, shown):
        return np.array(
            [outcome[shown].mean() / outcome[~shown].mean(), *interval(outcome, shown, welch)[1:]]
        )

    mistakes = [
        Mistake(
            lambda o, s: interval(o, s, spread), "That is how people vary. Divide each variance by its n."
        ),
        Mistake(lambda o, s: interval(o, s, welch, sign=-1), "Turned round: shown minus not shown."),
        Mistake(
            lambda o, s: interval(o, s, population), "Nearly: a sample's variance divides by n - 1 (ddof=1)."
        ),
        Mistake(ratio, "The first number is a ratio; the difference is asked for."),
        Mistake(
            lambda o, s: interval(o, s, welch)[0], "The difference alone: add the two ends of the interval."
        ),
    ]
    return check(
        answer, lambda o, s: interval(o, s, welch), [_experiment(seed) for seed in range(3)], mistakes
    )
