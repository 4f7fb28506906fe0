"""Checks of the exercises in the chapter `autoencoders`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import autoencoders as formulas


def _row(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    r = np.where(rng.random(6) < 0.6, rng.integers(1, 6, 6), np.nan)
    r[0] = 4.0
    return r, rng.normal(3.5, 0.7, 6)


ROWS = [_row(seed) for seed in range(3)]


@hints(
    "Which places of `r` have a rating? Make a mask of them with `np.isnan`.",
    "Take both rows at these places only, and the mean of the squared differences: it divides by "
    "the number of ratings.",
)
def masked_error(answer: Callable) -> bool | None:
    """Exercise 1. answer(r, h): the mean squared error of h over the ratings that the row r has."""

    def squares(r, h):
        return np.square(r - h)

    mistakes = [
        Mistake(
            lambda r, h: np.square(np.nan_to_num(r) - h).mean(),
            "You count a missing rating as 0. Leave it out of the sum, and out of the number.",
        ),
        Mistake(
            lambda r, h: np.nansum(squares(r, h)) / len(r),
            "You divide by the length of the row. Divide by the number of ratings it has.",
        ),
        Mistake(lambda r, h: np.nansum(squares(r, h)), "That is the sum. The exercise asks for the mean."),
        Mistake(lambda r, h: np.nanmean(np.abs(r - h)), "You took absolute errors. Square them."),
        Mistake(
            lambda r, h: np.sqrt(np.nanmean(squares(r, h))), "That is its root. Leave the mean as it is."
        ),
    ]
    return check(answer, lambda r, h: np.nanmean(squares(r, h)), ROWS, mistakes)


NORMALS = [
    (np.random.default_rng(s).normal(size=3), np.random.default_rng(s + 9).normal(size=3)) for s in range(3)
]


@hints(
    "The argument `v` is log σ². What is σ², then, and what is log σ²?",
    "σ² is `np.exp(v)`. Inside the sum stands exp(v) + m² − 1 − v; a half stands before it.",
)
def divergence(answer: Callable) -> bool | None:
    """Exercise 2. answer(m, v): KL(N(m, e^v) ‖ N(0, 1)) over all dimensions; v is the logarithm of the variance."""
    right = formulas.kl_to_standard
    mistakes = [
        Mistake(lambda m, v: 2 * right(m, v), "A factor of 2 too many: the whole sum has a ½ before it."),
        Mistake(lambda m, v: -right(m, v), "The sign is turned round: a divergence is never negative."),
        Mistake(
            lambda m, v: 0.5 * (v + m**2 - 1 - np.log(np.abs(v))).sum(),
            "You took v for the variance. It is the logarithm of it: the variance is e^v.",
        ),
        Mistake(
            lambda m, v: 0.5 * (np.exp(2 * v) + m**2 - 1 - 2 * v).sum(),
            "You took v for the logarithm of the standard deviation. e^v is the variance itself.",
        ),
        Mistake(lambda m, v: right(m, v) / len(m), "That is the mean over dimensions. Divergences add up."),
        Mistake(
            lambda m, v: 0.5 * (np.exp(v) - 1 - v).sum(), "The centre is missing: m² belongs in the sum."
        ),
    ]
    return check(answer, right, NORMALS, mistakes)


LOGITS = [
    (np.array([1.0, 0, 1, 0]), np.array([2.0, 0.5, -1.0, 0.0])),
    (np.array([0.0, 1, 0, 0]), np.array([0.3, 0.1, 0.2, -2.0])),
    (np.array([1.0, 1, 1, 0]), np.array([800.0, 801.0, 799.0, 0.0])),
]


@hints(
    "log π is the logit less the logarithm of the sum of all exponentials. Add it up where x is 1.",
    "Take the largest logit off all of them before the exponential: the softmax stays the same, "
    "and nothing overflows.",
)
def log_likelihood(answer: Callable) -> bool | None:
    """Exercise 3. answer(x, logits): Σ x log π, π being the softmax of the logits, large ones included."""

    def right(x, logits):
        return formulas.multinomial(x, formulas.log_softmax(logits))

    def log_sigmoid(z):
        return -np.logaddexp(0, -z)

    def naive(x, logits):
        with np.errstate(all="ignore"):
            return (x * np.log(np.exp(logits) / np.exp(logits).sum())).sum()

    mistakes = [
        Mistake(
            lambda x, logits: (x * log_sigmoid(logits)).sum(),
            "That is a sigmoid for each item alone. A softmax makes them compete: they add up to 1.",
        ),
        Mistake(
            lambda x, logits: (x * log_sigmoid(logits) + (1 - x) * log_sigmoid(-logits)).sum(),
            "That is a Bernoulli for each item. The multinomial has one softmax and no term for what was not met.",
        ),
        Mistake(
            naive, "e^800 overflows. Take the largest logit off before the exponential: π stays the same."
        ),
        Mistake(
            lambda x, logits: -right(x, logits), "That is the loss. The log-likelihood has the other sign."
        ),
        Mistake(
            lambda x, logits: right(x, logits) / x.sum(), "That is the mean over the likes. Add them up."
        ),
    ]
    return check(answer, right, LOGITS, mistakes)
