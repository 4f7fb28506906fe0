"""Checks of the exercises in the chapter `ctr`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import ctr as formulas

HISTORIES = [
    (np.array([5, 3, 8, 4]), np.array([10, 20, 20, 30]), 30),
    (np.array([7, 1, 2]), np.array([3, 1, 2]), 3),
    (np.array([4, 6, 9]), np.array([2, 2, 1]), 5),
]


@hints(
    "Two things are asked for: an order, and who may stand in it. Do them one after the other.",
    'Sort with `np.argsort(times, kind="stable")`, which leaves equal times as they stand; then '
    "keep those with a time `< now`.",
)
def history(answer: Callable) -> bool | None:
    """Exercise 1. answer(items, times, now): the items met strictly before `now`, in order of time, ties as given."""

    def right(items, times, now):
        order = np.argsort(times, kind="stable")
        return items[order][times[order] < now]

    mistakes = [
        Mistake(
            lambda items, times, now: items[np.argsort(times, kind="stable")][np.sort(times) <= now],
            "An event of the same moment is no earlier one: the click itself would stand in its own history.",
        ),
        Mistake(
            lambda items, times, now: items[times < now],
            "The items are those, but in the order of the table. Sort them by time.",
        ),
        Mistake(
            lambda items, times, now: right(items, times, now)[::-1],
            "The latest stands first. Turn the order round.",
        ),
    ]
    return check(answer, right, HISTORIES, mistakes)


def _interest(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, 3)), rng.normal(size=4)


INTERESTS = [_interest(seed) for seed in range(3)]


@hints(
    "Equation (ctr-interest) is a sum of vectors, each times its weight. Nothing is divided.",
    "A sum of weighted rows is one product of a vector with a matrix: what shape must come out?",
)
def interest(answer: Callable) -> bool | None:
    """Exercise 2. answer(E, a): the interest of a history with vectors E (m, d) and weights a (m,), as DIN has it."""
    mistakes = [
        Mistake(
            lambda E, a: np.exp(a) / np.exp(a).sum() @ E,
            "That is a softmax: its weights sum to 1, and the strength of an interest is lost.",
        ),
        Mistake(
            lambda E, a: a / a.sum() @ E, "You divide by the sum of the weights. DIN takes them as they are."
        ),
        Mistake(lambda E, a: a @ E / len(a), "That is the mean. DIN sums: a longer history weighs more."),
        Mistake(lambda E, a: E.sum(0), "The weights are missing: all items count alike here."),
    ]
    return check(answer, lambda E, a: a @ E, INTERESTS, mistakes)


def _units(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    return rng.normal(size=4), rng.normal(size=4), rng.uniform(0.5, 3, 4), np.full(4, 0.25)


UNITS = [_units(seed) for seed in range(3)]


@hints(
    "Find p first: how far z lies from the mean, in standard deviations, through the logistic function.",
    "The standard deviation is the root of the variance. Then mix z and αz, with the shares p and 1 − p.",
)
def dice(answer: Callable) -> bool | None:
    """Exercise 3. answer(z, mean, variance, alpha): Dice, equation (ctr-dice), with ε = 0."""

    def right(z, mean, variance, alpha):
        return formulas.dice(z, mean, variance, alpha, 0.0)

    mistakes = [
        Mistake(
            lambda z, m, v, a: formulas.dice(z, m, v**2, a, 0.0),
            "You divide by the variance. Divide by its root, the standard deviation.",
        ),
        Mistake(
            lambda z, m, v, a: np.where(z > 0, z, a * z), "That is PReLU: its step stands at 0, and is hard."
        ),
        Mistake(
            lambda z, m, v, a: formulas.dice(z, 0 * m, 0 * v + 1, a, 0.0),
            "You take z as it is. Take the mean off, and divide by the deviation.",
        ),
        Mistake(
            lambda z, m, v, a: a * right(z, m, v, 1 / a),
            "α stands before the wrong part: it scales z where p is small.",
        ),
    ]
    return check(answer, right, UNITS, mistakes)
