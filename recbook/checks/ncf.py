"""Checks of the exercises in the chapter `ncf`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints


def _pair(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    return rng.normal(size=5), rng.normal(size=5), rng.normal(size=5), float(rng.normal())


@hints(
    "Which product has a number for each place?",
    "Multiply p and q place by place, weigh with h, add up, add b.",
)
def gmf(answer: Callable) -> bool | None:
    """Exercise 1. answer(p, q, h, b): the score of generalised matrix factorisation."""

    def right(p, q, h, b):
        return h @ (p * q) + b

    mistakes = [
        Mistake(lambda p, q, h, b: p @ q + b, "That is the plain dot product: h weighs its terms."),
        Mistake(lambda p, q, h, b: h @ (p + q) + b, "The vectors are multiplied place by place, not added."),
        Mistake(lambda p, q, h, b: h @ (p * q), "The constant b is missing."),
        Mistake(lambda p, q, h, b: h * p * q + b, "That is one number a place. Their sum is the score."),
        Mistake(
            lambda p, q, h, b: 1 / (1 + np.exp(-right(p, q, h, b))),
            "That is the probability. The exercise asks for the score, the logit.",
        ),
    ]
    return check(answer, right, [_pair(seed) for seed in range(4)], mistakes)


def _examples(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, 8).astype(float), 3 * rng.normal(size=8)


@hints(
    "Minus the log-likelihood of one example can be written in z without any probability.",
    "It is `np.logaddexp(0, z) - y * z`; then the mean. Both labels take part.",
)
def likelihood(answer: Callable) -> bool | None:
    """Exercise 2. answer(y, z): the mean of the logistic loss of logits z, safe for large ones."""

    def right(y, z):
        return (np.logaddexp(0, z) - y * z).mean()

    mistakes = [
        Mistake(
            lambda y, z: -right(y, z), "The sign: the log-likelihood is made large, the loss is made small."
        ),
        Mistake(lambda y, z: (np.logaddexp(0, z) - y * z).sum(), "That is the sum; the mean is asked for."),
        Mistake(
            lambda y, z: -(y * -np.logaddexp(0, -z)).mean(),
            "The negatives are left out: without them nothing speaks against any pair.",
        ),
        Mistake(
            lambda y, z: right(y, 0.5 * (1 + np.tanh(z / 2))),
            "The sigmoid stands there twice: z are logits, and the loss takes logits.",
        ),
        Mistake(lambda y, z: np.square(y - 0.5 * (1 + np.tanh(z / 2))).mean(), "That is the squared error."),
    ]
    return check(
        answer,
        right,
        [*map(_examples, range(3)), (np.array([1.0, 0.0]), np.array([800.0, -800.0]))],
        mistakes,
    )


def _sampling(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    chance, drawn = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
    return chance, drawn, seed + 2


@hints(
    "The sum falls apart into one small task for each item: set its derivative by z to 0.",
    "p (1 − σ(z)) = n q σ(z). So σ/(1 − σ) is p over n q: what is z?",
)
def optimum(answer: Callable) -> bool | None:
    """Exercise 3. answer(p, q, n): the logits that maximise Σ p log σ(z) + n Σ q log(1 - σ(z))."""

    def right(p, q, n):
        return np.log(p) - np.log(n * q)

    mistakes = [
        Mistake(
            lambda p, q, n: np.log(p) - np.log(q), "That is right for one negative; n of them are drawn."
        ),
        Mistake(lambda p, q, n: -right(p, q, n), "The other way round: what is met often has a high score."),
        Mistake(
            lambda p, q, n: p / (p + n * q),
            "That is the probability σ(z). Solve it for z.",
        ),
        Mistake(
            lambda p, q, n: np.log(p) + 0 * q,
            "How the negatives are drawn matters: what is drawn often is pushed down often.",
        ),
    ]
    return check(answer, right, [_sampling(seed) for seed in range(3)], mistakes)
