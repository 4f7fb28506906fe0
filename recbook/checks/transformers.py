"""Checks of the exercises in the chapter `transformers`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import transformers as formulas


def _sequence(seed: int, n: int, d: int) -> tuple:
    return tuple(np.random.default_rng(seed).normal(size=(3, n, d)))


SEQUENCES = [_sequence(0, 3, 2), _sequence(1, 4, 3), _sequence(2, 5, 4)]


def _softmax(logits: np.ndarray, axis: int = 1) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis, keepdims=True))
    return odds / odds.sum(axis, keepdims=True)


@hints(
    "First all products of queries and keys, a table; then a softmax of each row.",
    "Divide the table by the root of the keys' length before the softmax, and multiply the shares with V.",
)
def attention(answer: Callable) -> bool | None:
    """Exercise 1. answer(Q, K, V): every position's mean of the values, weighed by softmax(Q Kᵀ / √d)."""

    def logits(Q, K):
        return Q @ K.T / np.sqrt(Q.shape[1])

    mistakes = [
        Mistake(lambda Q, K, V: _softmax(Q @ K.T) @ V, "√d is missing: divide the products by it."),
        Mistake(
            lambda Q, K, V: _softmax(Q @ K.T / Q.shape[1]) @ V, "You divide by d. Divide by its square root."
        ),
        Mistake(
            lambda Q, K, V: _softmax(logits(Q, K), 0) @ V,
            "Your softmax runs down the columns. Each row, one position's shares, must add up to 1.",
        ),
        Mistake(
            lambda Q, K, V: _softmax(logits(K, Q)) @ V,
            "Queries and keys have changed places: a row belongs to the query.",
        ),
        Mistake(lambda Q, K, V: logits(Q, K) @ V, "There is no softmax: these are no shares yet."),
    ]
    return check(answer, formulas.attention, SEQUENCES, mistakes)


@hints(
    "A position may not see what comes later. Which entries of the table of products are these?",
    "Set them to −∞ before the softmax: `np.tri(len(Q))` is 1 where looking is allowed. Then each "
    "row still sums to 1.",
)
def causal_weights(answer: Callable) -> bool | None:
    """Exercise 2. answer(Q, K): the shares where each position looks at itself and at what was before, (n, n)."""

    def right(Q, K):
        return formulas.attention_weights(Q, K, formulas.causal(len(Q)))

    def logits(Q, K):
        return Q @ K.T / np.sqrt(Q.shape[1])

    def blind(Q, K):
        return formulas.attention_weights(Q, K, np.tri(len(Q), k=-1, dtype=bool))

    mistakes = [
        Mistake(
            lambda Q, K: formulas.attention_weights(Q, K, formulas.causal(len(Q)).T),
            "You look ahead: row t may see columns 0 … t.",
        ),
        Mistake(
            lambda Q, K: _softmax(np.where(formulas.causal(len(Q)), logits(Q, K), 0.0)),
            "A logit of 0 is no ban: e⁰ is 1. Put -∞ there.",
        ),
        Mistake(
            lambda Q, K: np.tril(_softmax(logits(Q, K))),
            "You hide after the softmax: the rows do not add up to 1, and the future is in their sums.",
        ),
        Mistake(blind, "A position may look at itself: keep the diagonal."),
        Mistake(lambda Q, K: _softmax(logits(Q, K)), "Nothing is hidden yet: the future is in every row."),
    ]
    return check(answer, right, [(Q, K) for Q, K, _ in SEQUENCES], mistakes)


SIZES = [(1682, 50, 64, 2), (30522, 512, 768, 12), (100, 10, 8, 1)]


@hints(
    "Count the tables first: what is read and what is multiplied at the end, are these the same vectors?",
    "A block has 4 d², two layers of d² + d, and two normalisations of 2 d; one normalisation "
    "stands at the end.",
)
def size(answer: Callable) -> bool | None:
    """Exercise 3. answer(items, places, d, blocks): how many numbers a SASRec learns whose `inner` is d."""

    def right(items, places, d, blocks):
        return (items + places) * d + blocks * (6 * d * d + 6 * d) + 2 * d

    mistakes = [
        Mistake(
            lambda i, p, d, b: right(i, p, d, b) - b * 2 * d, "The biases of the two layers are missing."
        ),
        Mistake(
            lambda i, p, d, b: right(i, p, d, b) - b * d * d,
            "A block has six kernels: four of attention (wq, wk, wv, wo), two of the layers.",
        ),
        Mistake(
            lambda i, p, d, b: right(i, p, d, b) - p * d,
            "Places have vectors, too: one for each that is read.",
        ),
        Mistake(
            lambda i, p, d, b: right(i, p, d, b) - 2 * d,
            "One normalisation is missing: after the last block stands another.",
        ),
        Mistake(
            lambda i, p, d, b: right(i, p, d, b) + i * d,
            "You count the items' vectors twice: those that are read are those that are scored with.",
        ),
        Mistake(
            lambda i, p, d, b: (i + p) * d + (6 * d * d + 6 * d) + 2 * d, "That is one block. There are more."
        ),
    ]
    return check(answer, right, SIZES, mistakes)
