"""Checks of the exercises in the chapter `embeddings`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints

TABLES = [
    (np.random.default_rng(seed).normal(size=shape),) for seed, shape in enumerate([(4, 6), (3, 3), (7, 2)])
]


@hints(
    "Take the mean of each row off, and the mean of each column. What was taken off twice?",
    "Add the mean of all once. `keepdims=True` keeps the shapes so that rows and columns broadcast.",
)
def interaction(answer: Callable) -> bool | None:
    """Exercise 1. answer(S): what of the table S, users × items, is no sum of a part of u and a part of i."""

    def right(S):
        return S - S.mean(1, keepdims=True) - S.mean(0, keepdims=True) + S.mean()

    mistakes = [
        Mistake(
            lambda S: S - S.mean(1, keepdims=True) - S.mean(0, keepdims=True),
            "The mean of all was taken away twice, once with the rows and once with the columns: put it back.",
        ),
        Mistake(
            lambda S: S - S.mean(1, keepdims=True),
            "The part of the item is still there: take away the means of the columns as well.",
        ),
        Mistake(
            lambda S: S - S.mean(0, keepdims=True),
            "The part of the user is still there: take away the means of the rows as well.",
        ),
        Mistake(
            lambda S: S - S.mean(), "That takes away the mean of all alone. Every user and item has a part."
        ),
    ]
    return check(answer, right, TABLES, mistakes)


def _layers(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(6, 4)), rng.normal(size=4), rng.normal(size=4), float(rng.normal())


@hints(
    "Write the second layer around the first and multiply out: what stands before x, and what stands alone?",
    "Before x stands A w. Alone stand aᵀw, for the first bias passes through the second layer, and c.",
)
def collapse(answer: Callable) -> bool | None:
    """Exercise 2. answer(A, a, w, c): weights and bias, joined in one array, of the one layer that both are."""

    def right(A, a, w, c):
        return np.append(A @ w, a @ w + c)

    mistakes = [
        Mistake(
            lambda A, a, w, c: np.append(A @ w, c),
            "The first layer's bias goes through the second: the joined bias is aᵀw + c.",
        ),
        Mistake(
            lambda A, a, w, c: np.append(A @ w, a @ w),
            "The second layer's own bias c is missing.",
        ),
        Mistake(lambda A, a, w, c: A @ w, "Those are the weights; append the bias as the last number."),
        Mistake(
            lambda A, a, w, c: np.append(A @ w, a.sum() + c),
            "The first layer's bias is weighted by the second: aᵀw, not its sum.",
        ),
    ]
    return check(answer, right, [_layers(seed) for seed in range(3)], mistakes)


def _network(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    sizes = (3,), (3,), (6, 5), (5,), (5, 4), (4,), (4,)
    return (*(rng.normal(size=size) for size in sizes), float(rng.normal()))


@hints(
    "Join the two vectors first, the user's before the item's. What follows is twice the same step.",
    "A step is `np.maximum(x @ W + b, 0)`. The last layer is a dot product and a bias, without a bend.",
)
def network(answer: Callable) -> bool | None:
    """Exercise 3. answer(p, q, W1, b1, W2, b2, w, b): the score of the network with two hidden layers."""

    def run(p, q, W1, b1, W2, b2, w, b, bend=lambda x: np.maximum(x, 0), last=lambda x: np.maximum(x, 0)):
        return last(bend(np.concatenate([p, q]) @ W1 + b1) @ W2 + b2) @ w + b

    def same(x):
        return x

    mistakes = [
        Mistake(
            lambda *case: run(*case, bend=same, last=same),
            "There is no ReLU: three linear layers are one, and everybody gets the same ranking.",
        ),
        Mistake(lambda *case: run(*case, last=same), "The second hidden layer has no ReLU."),
        Mistake(lambda *case: run(*case, bend=same), "The first hidden layer has no ReLU."),
        Mistake(lambda *case: max(run(*case), 0.0), "The score itself must not be bent: it may be negative."),
        Mistake(
            lambda p, q, *rest: run(q, p, *rest),
            "The user's vector comes first, then the item's: the first layer knows them by their places.",
        ),
    ]
    return check(answer, run, [_network(seed) for seed in range(4)], mistakes)
