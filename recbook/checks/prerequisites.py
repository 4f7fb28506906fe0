"""Checks of the self-test: what of Python, NumPy, pandas and mathematics the chapters take for granted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from recbook.checks import Mistake, check, hints

TASKS = ("at_least", "known_mean", "best", "centre", "per_person", "cosine", "slope", "surprise")
ENOUGH = 6  # of the eight
READ = {
    "at_least": "Python: the tutorial's chapters on functions and on data structures, docs.python.org/3/tutorial",
    "known_mean": "NumPy: “boolean indexing” and NaN in the user guide, numpy.org/doc/stable/user",
    "best": "NumPy: sorting and `argsort`, numpy.org/doc/stable/user",
    "centre": "NumPy: “broadcasting”, numpy.org/doc/stable/user/basics.broadcasting.html",
    "per_person": "pandas: “group by: split-apply-combine”, pandas.pydata.org/docs/user_guide/groupby.html",
    "cosine": "Linear algebra: dot products, lengths and angles, in any first course",
    "slope": "Calculus: derivatives and the chain rule, in any first course",
    "surprise": "Probability: logarithms, and the mean of a function of an event, in any first course",
}
solved: set[str] = set()


def _noted(name: str, right: bool | None) -> bool | None:
    (solved.add if right else solved.discard)(name)
    return right


def score() -> int:
    """Prints how many tasks are solved, what that means, and what to read for the others."""
    done = [name for name in TASKS if name in solved]
    verdict = "Welcome: you are ready." if len(done) >= ENOUGH else f"{ENOUGH} are enough to follow. To read:"
    print(f"{len(done)} of {len(TASKS)} solved. {verdict}")
    for name in TASKS:
        if name not in solved:
            print(f"- {READ[name]}")
    return len(done)


FILMS = [
    ({"Heat": 3, "Alien": 5, "Emma": 4}, 4),
    ({"Clueless": 1, "Babe": 3}, 1),
    ({"Heat": 2, "Alien": 4, "Emma": 5, "Babe": 4}, 4),
]


@hints(
    "`ratings.values()` are the stars. A list comprehension with an `if` keeps some of them.",
    "`sorted(…, reverse=True)` puts the most stars first.",
)
def at_least(answer: Callable) -> bool | None:
    """Task 1. answer(ratings, least): the stars of at least `least` in a dictionary title -> stars, most first."""

    def right(ratings, least):
        return np.array(sorted((stars for stars in ratings.values() if stars >= least), reverse=True))

    mistakes = [
        Mistake(
            lambda ratings, least: right(ratings, least + 1),
            "At least: a film with exactly so many stars belongs to it.",
        ),
        Mistake(lambda *case: right(*case)[::-1], "The right stars; the most must come first."),
        Mistake(lambda ratings, least: right(ratings, 0), "Leave out the films with fewer stars."),
        Mistake(
            lambda ratings, least: [stars for stars in ratings.values() if stars >= least],
            "The right stars, in the order of the dictionary. The most must come first.",
        ),
    ]
    return _noted("at_least", check(answer, right, FILMS, mistakes))


_ = np.nan
ROWS = [(np.array([4.0, _, 2.0, _, 3.5]),), (np.array([_, 0.0, 1.0]),), (np.array([5.0]),)]


@hints(
    "`np.isnan(x)` is true where a number is missing; `~` turns it round.",
    "`x[mask]` keeps the entries where the mask is true. Take their mean.",
)
def known_mean(answer: Callable) -> bool | None:
    """Task 2. answer(x): the mean of the entries of x that are not NaN."""
    mistakes = [
        Mistake(lambda x: x.mean(), "One NaN makes the whole mean NaN. Leave the missing entries out."),
        Mistake(lambda x: np.nan_to_num(x).mean(), "You count a missing entry as 0. Leave it out."),
        Mistake(lambda x: np.nansum(x), "That is the sum. Divide by the number of entries that are known."),
        Mistake(
            lambda x: x[x > 0].mean() if (x > 0).any() else 0.0, "A 0 is a known entry: only NaN is missing."
        ),
    ]
    return _noted("known_mean", check(answer, lambda x: np.nanmean(x), ROWS, mistakes))


SCORES = [
    (np.array([0.1, 0.9, 0.5, 0.7]), 2),
    (np.array([3.0, -1.0, 2.0]), 1),
    (np.array([1.0, 4.0, 2.0]), 3),
]


@hints(
    "`np.argsort` gives the indices that sort upwards. What sorts downwards?",
    "Sort the scores with their sign turned, and take the first k indices.",
)
def best(answer: Callable) -> bool | None:
    """Task 3. answer(scores, k): the indices of the k highest scores, the highest first."""
    mistakes = [
        Mistake(lambda s, k: np.argsort(s)[:k], "These are the lowest: argsort sorts upwards."),
        Mistake(lambda s, k: np.argsort(s)[-k:], "The right indices, but the highest must come first."),
        Mistake(lambda s, k: np.sort(s)[::-1][:k], "These are the scores. Give their indices."),
    ]
    return _noted("best", check(answer, lambda s, k: np.argsort(-s)[:k], SCORES, mistakes))


TABLES = [(np.array([[5.0, 3.0], [1.0, 2.0], [4.0, 0.0]]),), (np.arange(9.0).reshape(3, 3) ** 2,)]


@hints(
    "`X.mean(axis=…)` gives a mean for each row or for each column: which number is which?",
    "The means of the rows need the shape (n, 1) to be taken off: `keepdims=True`.",
)
def centre(answer: Callable) -> bool | None:
    """Task 4. answer(X): X with the mean of each row taken off."""
    mistakes = [
        Mistake(lambda X: X - X.mean(axis=0), "You took the means of the columns off. `axis=1` is for rows."),
        Mistake(lambda X: X - X.mean(), "One mean for all was taken off. Each row has its own."),
        Mistake(lambda X: X.mean(axis=1), "These are the means. Take them off the rows."),
    ]
    return _noted("centre", check(answer, lambda X: X - X.mean(axis=1, keepdims=True), TABLES, mistakes))


LOGS = [
    (["b", "a", "b", "c"], [4, 1, 2, 5]),
    (["x", "x", "y"], [1, 2, 9]),
]


@hints(
    'Make a table of the two lists: `pd.DataFrame({"user": users, "stars": stars})`.',
    '`.groupby("user")` makes groups in the order of the names; take the column and its `.mean()`.',
)
def per_person(answer: Callable) -> bool | None:
    """Task 5. answer(users, stars): the mean of the stars of each user, by pandas, users in alphabetical order."""

    def by(users, stars, how):
        return pd.DataFrame({"user": users, "stars": stars}).groupby("user").stars.agg(how)

    mistakes = [
        Mistake(lambda u, s: by(u, s, "sum"), "These are sums. Take the mean of each group."),
        Mistake(lambda u, s: by(u, s, "count"), "These are numbers of rows. Take the mean of the stars."),
        Mistake(
            lambda u, s: by(u, s, "mean").reindex(dict.fromkeys(u)),
            "The right means, in order of appearance. Users in alphabetical order are asked for.",
        ),
        Mistake(lambda u, s: np.mean(s), "One mean for all. Each user has their own."),
    ]
    return _noted("per_person", check(answer, lambda u, s: by(u, s, "mean"), LOGS, mistakes))


PAIRS = [
    (np.array([3.0, 4.0]), np.array([4.0, 3.0])),
    (np.array([1.0, 0.0, 2.0]), np.array([-2.0, 5.0, 1.0])),
    (np.array([2.0, 2.0]), np.array([0.5, 0.0])),
]


@hints(
    "`x @ y` is the dot product. Which numbers is it divided by?",
    "By the two lengths: the length of x is the root of `x @ x`.",
)
def cosine(answer: Callable) -> bool | None:
    """Task 6. answer(x, y): the cosine of the angle between two vectors."""

    def right(x, y):
        return x @ y / np.sqrt((x @ x) * (y @ y))

    mistakes = [
        Mistake(lambda x, y: x @ y, "That is the dot product. Divide by the two lengths."),
        Mistake(lambda x, y: x @ y / ((x @ x) * (y @ y)), "The lengths are roots: √(x·x) and √(y·y)."),
        Mistake(lambda x, y: np.arccos(right(x, y)), "That is the angle. Its cosine is asked for."),
    ]
    return _noted("cosine", check(answer, right, PAIRS, mistakes))


POINTS = [(2.0, 3.0, 1.0), (0.5, -1.0, 2.0), (1.0, 2.0, 2.0)]


@hints(
    "The derivative of a square is twice what was squared, times the derivative of what stands inside.",
    "Inside stands w x − y, and its derivative by w is x.",
)
def slope(answer: Callable) -> bool | None:
    """Task 7. answer(w, x, y): the derivative by w of the squared error (w x − y)²."""
    mistakes = [
        Mistake(lambda w, x, y: 2 * (w * x - y), "The chain rule's last factor is missing: times x."),
        Mistake(lambda w, x, y: (w * x - y) * x, "A square's derivative has a 2."),
        Mistake(lambda w, x, y: 2 * (y - w * x) * x, "The sign: inside stands w x − y."),
        Mistake(lambda w, x, y: 2 * (w * x - y) * w, "That is the derivative by x. It is asked for by w."),
    ]
    return _noted("slope", check(answer, lambda w, x, y: 2 * (w * x - y) * x, POINTS, mistakes))


CHANCES = [(0.5, 0.5), (0.25, 0.9), (1.0, 0.3)]


@hints(
    "The event happens with chance p and costs −ln q; else it costs −ln(1 − q). What is the mean cost?",
    "Weigh the two costs with their chances, p and 1 − p, and add them up. `np.log` is the natural logarithm.",
)
def surprise(answer: Callable) -> bool | None:
    """Task 8. answer(p, q): the mean of −ln(chance given to what happened); p is the true chance, q the stated one."""

    def right(p, q):
        return -(p * np.log(q) + (1 - p) * np.log(1 - q))

    mistakes = [
        Mistake(lambda p, q: -right(p, q), "The sign: a logarithm of a chance is negative, the cost is positive."),
        Mistake(lambda p, q: -p * np.log(q), "And if it does not happen? That has the chance 1 − p."),
        Mistake(lambda p, q: right(p, q) / np.log(2), "These are bits. The natural logarithm is asked for."),
        Mistake(lambda p, q: -(q * np.log(p) + (1 - q) * np.log1p(-p)) if 0 < p < 1 else 17.5,
                "You have exchanged the two: the true chance weighs, the stated one stands in the logarithm."),
    ]  # fmt: skip
    return _noted("surprise", check(answer, right, CHANCES, mistakes))
