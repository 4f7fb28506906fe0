"""Checks of the exercises in the chapter `data`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints

TABLES = [
    (np.array([[5.0, 0.0, 3.0], [4.0, 2.0, 0.0]]), np.array([[True, False, True], [True, True, False]])),
    (np.array([[1.0, 0.0], [0.0, 0.0], [4.0, 0.0]]), np.array([[True, False], [True, False], [True, False]])),
]


@hints(
    "A mean is a sum divided by a number. For each column: which sum, and how many cells?",
    "`known.sum(axis=0)` counts. Where it is 0, take the mean of `X[known]` instead of dividing.",
)
def means(answer: Callable) -> bool | None:
    """Exercise 1. answer(X, known): mean of each column over its known cells; without any, that of all known."""

    def right(X, known, empty=None):
        count = known.sum(axis=0)
        other = X[known].mean() if empty is None else empty
        return np.where(count > 0, (X * known).sum(axis=0) / np.maximum(count, 1), other)

    def not_zero(X, known):
        count = (X != 0).sum(axis=0)
        return np.where(count > 0, X.sum(axis=0) / np.maximum(count, 1), X[known].mean())

    mistakes = [
        Mistake(
            lambda X, known: X.mean(axis=0), "You count an unknown cell as 0: divide by the known cells."
        ),
        Mistake(not_zero, "You take a known 0 for unknown. Ask `known`, not whether the value is 0."),
        Mistake(lambda *case: right(*case).mean(), "One number came; one for each column is asked for."),
        Mistake(
            lambda *case: right(*case, empty=np.nan),
            "Right where something is known. A column without any: the mean of all known cells.",
        ),
        Mistake(
            lambda *case: right(*case, empty=0.0),
            "A column without any known cell is unknown, not 0: use the mean of all known cells.",
        ),
    ]
    return check(answer, right, TABLES, mistakes)


COLUMNS = [
    (np.array([2.0, 4.0, 6.0, 8.0]), np.array([5.0, 12.0, 1.0])),
    (np.array([-1.0, 0.0, 3.0]), np.array([0.5, 7.0])),
    (np.array([3.0, 3.0]), np.array([3.0, 5.0])),
]


@hints(
    "Minimum and maximum are learnt. Of which of the two arrays?",
    "Take train's minimum off the test values; divide by train's range only if that is not 0.",
)
def minmax(answer: Callable) -> bool | None:
    """Exercise 2. answer(train, test): test scaled by train's minimum and maximum, equation (da-minmax)."""

    def scaled(values, fitted_on, otherwise=1.0):
        low, high = fitted_on.min(), fitted_on.max()
        return (values - low) / (high - low if high > low else otherwise)

    def right(train, test):
        return scaled(test, train)

    mistakes = [
        Mistake(
            lambda train, test: scaled(test, np.concatenate([train, test])),
            "Fitted on train and test together: the maximum of test was not known yet.",
        ),
        Mistake(lambda train, test: scaled(test, test), "Fitted on test. Minimum and maximum are train's."),
        Mistake(
            lambda *case: np.clip(right(*case), 0, 1), "Right, then clipped: leave what lies beyond train."
        ),
        Mistake(lambda train, test: test / train.max(), "You forgot to take the minimum off."),
        Mistake(lambda train, test: scaled(train, train), "You scaled train. The test values are asked for."),
        Mistake(
            lambda train, test: right(train, test) if np.ptp(train) else 0 * test,
            "Right but for max = min: there x' = x - min, so that a new value shows.",
        ),
        Mistake(
            lambda train, test: right(train, test) if np.ptp(train) else np.nan * test,
            "Right but for max = min, where 0 is divided by 0: there x' = x - min.",
        ),
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        return check(answer, right, COLUMNS, mistakes)


ROWS = [
    (np.array([1, 2, 1, 2, 3, 1]), np.array([5, 9, 7, 9, 1, 7])),
    (np.array([4, 4, 5, 5, 6]), np.array([8, 3, 2, 2, 9])),
]


@hints(
    "Go user by user: which rows are theirs, and how many?",
    "Among a user's rows the latest is the last one after a stable sort by time. With one row "
    "alone, mark nothing.",
)
def last(answer: Callable) -> bool | None:
    """Exercise 3. answer(users, times): mask of each user's latest row; ties: the lower one; single rows stay."""

    def right(users, times, later_of_ties=True, singles=False, newest=True):
        mask = np.zeros(len(users), bool)
        for user in np.unique(users):
            rows = np.flatnonzero(users == user)
            if len(rows) == 1 and not singles:
                continue
            key = rows if later_of_ties else -rows
            order = np.lexsort((key, times[rows] if newest else -times[rows]))
            mask[rows[order[-1]]] = True
        return mask

    def all_latest(users, times):
        best = {user: times[users == user].max() for user in np.unique(users)}
        many = {user: (users == user).sum() > 1 for user in best}
        return np.array([many[u] and t == best[u] for u, t in zip(users, times, strict=True)])

    def lowest_row(users, times):
        return right(users, np.zeros_like(times))

    mistakes = [
        Mistake(
            lambda *case: right(*case, singles=True),
            "Who has a single row is left with nothing to train on: keep it in train.",
        ),
        Mistake(
            lambda *case: right(*case, later_of_ties=False),
            "Of equal times the row further down is the last.",
        ),
        Mistake(lambda *case: right(*case, newest=False), "These are the earliest rows; take the latest."),
        Mistake(all_latest, "Where times are equal you take several rows. One a user: the one further down."),
        Mistake(lowest_row, "You take each user's lowest row. Look at the times."),
        Mistake(lambda *case: ~right(*case), "Turned round: true is for testing."),
    ]
    return check(answer, right, ROWS, mistakes)
