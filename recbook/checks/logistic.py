"""Checks of the exercises in the chapter `logistic`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import logistic as formulas

Z = np.array([0.0, 2.0, -2.0, 40.0, -800.0, 800.0, 800.0, -800.0])
LOSSES = [(np.array([1.0, 0, 1, 0, 1, 0, 1, 0]), Z), (np.array([0.0, 1.0]), np.array([0.3, -1.5]))]


@hints(
    "Which form of the loss has no logarithm of a probability?",
    "It is softplus(z) − y z, and `np.logaddexp(0, z)` is a softplus that never overflows.",
)
def loss(answer: Callable) -> bool | None:
    """Exercise 1. answer(y, z): the loss of each example from its logit, for every z."""

    def quiet(function: Callable) -> Callable:
        def run(y, z):
            with np.errstate(all="ignore"):
                return function(y, z)

        return run

    def clipped(y, z):
        p = np.clip(1 / (1 + np.exp(-z)), 1e-7, 1 - 1e-7)
        return -(y * np.log(p) + (1 - y) * np.log(1 - p))

    mistakes = [
        Mistake(
            quiet(formulas.loss_as_written),
            "Right for small z, infinite or NaN for large ones: P was rounded to 0 or 1 before the logarithm. "
            "Put softplus(z) in the place of P.",
        ),
        Mistake(
            quiet(clipped),
            "Cutting P at 1e-7 hides the overflow and changes the loss: no example can then cost more than 16.1.",
        ),
        Mistake(
            quiet(lambda y, z: np.log(1 + np.exp(z)) - y * z),
            "The right formula, and e^z still overflows from z = 710 on: use np.logaddexp(0, z), which never forms it.",
        ),
        Mistake(
            lambda y, z: np.logaddexp(0, z) + y * z,
            "The sign of yz: an event at a large z should cost nothing.",
        ),
        Mistake(lambda y, z: np.logaddexp(0, z), "That is the loss where y = 0. An event takes yz off."),
        Mistake(
            lambda y, z: formulas.loss(y, z).mean(), "One loss for each example: do not take the mean yet."
        ),
    ]
    return check(answer, formulas.loss, LOSSES, mistakes)


def _examples(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    y = (rng.random(6) < 0.5).astype(float)
    return rng.normal(size=(6, 3)), y, float(rng.normal()), rng.normal(size=3)


@hints(
    "For one example the slope is the error P − y times the features. And the mean over examples?",
    "With z = bias + X @ weights and P = σ(z), it is Xᵀ(P − y) divided by the number of examples.",
)
def gradient(answer: Callable) -> bool | None:
    """Exercise 2. answer(X, y, bias, weights): the slope of the mean loss by the weights, (d,)."""

    def right(X, y, bias, weights):
        return formulas.gradient(X, y, bias, weights, reg=0.0)[1]

    def by_errors(error):
        return lambda X, y, bias, weights: X.T @ error(y, formulas.logit(X, bias, weights)) / len(y)

    sigmoid = formulas.sigmoid
    mistakes = [
        Mistake(
            by_errors(lambda y, z: y - sigmoid(z)),
            "That points uphill: the slope is (P − y) x, and a step then takes it off.",
        ),
        Mistake(lambda *case: right(*case) * len(case[1]), "That is the slope of the sum. Divide by n."),
        Mistake(by_errors(lambda y, z: z - y), "The error is P − y, with P = σ(z), and not z − y."),
        Mistake(
            by_errors(lambda y, z: 2 * (sigmoid(z) - y) * sigmoid(z) * (1 - sigmoid(z))),
            "That is the slope of the squared error (P − y)². With cross-entropy the factor P(1 − P) cancels.",
        ),
        Mistake(
            lambda X, y, bias, weights: right(X, y, 0.0, weights), "You left the bias out of z.",
        ),
    ]  # fmt: skip
    return check(answer, right, [_examples(seed) for seed in range(3)], mistakes)


CROSSES = [
    (np.array([[1.0, 0], [0, 1]]), np.array([[0.5, 0.5, 0], [0, 0, 1.0]])),
    (np.array([[0.0, 1, 0]]), np.array([[0.5, 0.5]])),
    (np.array([[0.2, 0.8], [1, 0], [0, 0]]), np.array([[1.0, 0], [0.25, 0.75], [1, 0]])),
]


@hints(
    "How many features has the cross, and when is one of them not 0?",
    "`A[:, :, None] * B[:, None, :]` has all products, n × a × b; make one axis of the last two.",
)
def cross(answer: Callable) -> bool | None:
    """Exercise 3. answer(A, B): the cross of two fields, (n, a · b): all products of a pair's features, A's slowest."""

    def right(A, B):
        return (A[:, :, None] * B[:, None, :]).reshape(len(A), -1)

    mistakes = [
        Mistake(
            lambda A, B: np.hstack([A, B]),
            "Side by side the features only add up. A cross has a feature for each pair of features.",
        ),
        Mistake(
            lambda A, B: (A[:, None, :] * B[:, :, None]).reshape(len(A), -1),
            "All products are there, in the order of B. Let B's features run fastest.",
        ),
        Mistake(
            lambda A, B: ((A[:, :, None] > 0) & (B[:, None, :] > 0)).reshape(len(A), -1),
            "The right features with the wrong values: the value of a cross is the product of the two, not 1.",
        ),
        Mistake(
            lambda A, B: (A[:, :, None] + B[:, None, :]).reshape(len(A), -1),
            "You add the values. A cross is there where both features are: multiply.",
        ),
    ]
    return check(answer, right, CROSSES, mistakes)
