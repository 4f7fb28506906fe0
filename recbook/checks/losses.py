"""Checks of the exercises in the chapter `losses`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import losses as formulas

LABELS = [
    (np.array([1.0, 0.0, 1.0]), np.array([0.3, -1.2, -2.0])),
    (np.array([0.0, 1.0]), np.array([1.5, 0.0])),
    (np.array([1.0, 0.0, 1.0, 0.0]), np.array([800.0, 800.0, -800.0, -800.0])),
]


@hints(
    "Take the second form of (ls-bce), which is written in z. What in it can overflow?",
    "log(1 + e^z) is `np.logaddexp(0, z)`. Take y z off, and the mean.",
)
def cross_entropy(answer: Callable) -> bool | None:
    """Exercise 1. answer(y, z): mean cross-entropy of labels 0 or 1 and logits, finite for z = ±800."""

    def printed(y, z):
        with np.errstate(all="ignore"):
            p = 1 / (1 + np.exp(-z))
            return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def log_of_one_plus_exp(y, z):
        with np.errstate(all="ignore"):
            return np.mean(np.log(1 + np.exp(z)) - y * z)

    mistakes = [
        Mistake(printed, "Right while |z| is small. At 800 the sigmoid is exactly 0 or 1, and its logarithm is no "
                "number: use the form in z, and np.logaddexp."),
        Mistake(log_of_one_plus_exp,
                "Right while z is small. np.exp(800) overflows: np.logaddexp(0, z) is log(1 + e^z)."),
        Mistake(lambda y, z: -formulas.binary_cross_entropy(y, z),
                "The sign: a loss is small where the model is right."),
        Mistake(lambda y, z: formulas.binary_cross_entropy(y, z, "sum"), "That is the sum; the mean is asked for."),
        Mistake(lambda y, z: formulas.binary_cross_entropy(1 - y, z), "You have exchanged the two labels."),
    ]  # fmt: skip
    return check(answer, formulas.binary_cross_entropy, LABELS, mistakes)


VECTORS = [
    (np.array([3.0, -0.5, -2.0, 0.0, 1.0]), 1.0),
    (np.array([[0.2, -0.3], [-4.0, 4.0]]), 0.25),
    (np.array([-1.5, 2.5]), 0.0),
]


@hints(
    "Treat size and sign apart: what happens to the size, and where does it stop?",
    "The size becomes max(|θ| − τ, 0). Multiply by the sign of θ.",
)
def soft_threshold(answer: Callable) -> bool | None:
    """Exercise 2. answer(theta, tau): equation (ls-soft), entry by entry."""
    mistakes = [
        Mistake(lambda t, tau: np.where(np.abs(t) > tau, t, 0.0),
                "You set small ones to 0 and leave large ones as they are. They move towards 0 by tau too."),
        Mistake(lambda t, tau: t - tau * np.sign(t), "An entry smaller than tau jumps over 0. Stop it there."),
        Mistake(lambda t, tau: np.maximum(np.abs(t) - tau, 0.0), "The signs are lost: give each entry its own again."),
        Mistake(lambda t, tau: t / (1 + tau), "That shrinks all by one factor, as L2 does. No entry becomes 0."),
        Mistake(lambda t, tau: np.maximum(t - tau, 0.0), "Right for positive entries. Negative ones move up by tau."),
    ]  # fmt: skip
    return check(answer, formulas.soft_threshold, VECTORS, mistakes)


def _sampled(seed: int, scale: float = 1.0):
    rng = np.random.default_rng(seed)
    q, chances = rng.random(4) * 0.5, rng.random((4, 6)) * 0.5
    return scale * rng.normal(size=4), scale * rng.normal(size=(4, 6)), np.log(q), np.log(chances)


@hints(
    "First take log q off every score, the positive's too. Then it is a softmax whose first entry is right.",
    "The loss is log-sum-exp of all corrected scores less the positive's. Take the greatest out "
    "before `np.exp`.",
)
def sampled_softmax(answer: Callable) -> bool | None:
    """Exercise 3. answer(positive, negatives, log_q_positive, log_q_negatives): the mean of (ls-sampled)."""
    right = formulas.sampled_softmax

    def overflowing(s, t, a, b):
        with np.errstate(all="ignore"):
            top, rest = np.exp(s - a), np.exp(t - b)
            return -np.log(top / (top + rest.sum(axis=1))).mean()

    def without_positive(s, t, a, b):
        return np.mean(formulas.log_sum_exp(t - b) - (s - a))

    mistakes = [
        Mistake(lambda s, t, a, b: formulas.softmax(s, t), "You do not use q at all: popular items come out too low."),
        Mistake(lambda s, t, a, b: right(s, t, -a, -b), "The sign: log q is taken off, so that what is drawn often "
                "counts for less."),
        Mistake(lambda s, t, a, b: right(s, t, np.zeros_like(a), b), "The positive is corrected as well."),
        Mistake(without_positive, "The positive itself stands in the sum below the line, too."),
        Mistake(lambda *case: right(*case, reduction="sum"), "That is the sum; the mean is asked for."),
        Mistake(overflowing, "Right while scores are small. Take the greatest out before np.exp, as in log-sum-exp."),
    ]  # fmt: skip
    return check(answer, right, [_sampled(0), _sampled(1), _sampled(2, scale=600.0)], mistakes)
