"""Checks of the exercises in the chapter `frameworks`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints

SLICES = [
    (np.array([0, 0, 1]), np.array([[1.0, 2.0], [2.0, 0.5], [1.0, 1.0]]), 3),
    (np.array([2, 1, 2, 2]), np.array([[1.0], [4.0], [-3.0], [0.5]]), 4),
]


@hints(
    "Begin with a table of zeros for all rows. What if an id comes twice?",
    "`out[ids] += slices` adds each id once. `np.add.at` adds every slice.",
    called="exercises",
)
def dense_gradient(answer: Callable) -> bool | None:
    """Exercise 1. answer(ids, slices, n): (n, …) sums of the slices of each id."""

    def right(ids, slices, n):
        out = np.zeros((n, *slices.shape[1:]))
        np.add.at(out, ids, slices)
        return out

    def overwritten(ids, slices, n):
        out = np.zeros((n, *slices.shape[1:]))
        out[ids] = slices
        return out

    def averaged(ids, slices, n):
        return right(ids, slices, n) / np.maximum(np.bincount(ids, minlength=n), 1)[:, None]

    def present_only(ids, slices, n):
        return right(ids, slices, n)[np.unique(ids)]

    mistakes = [
        Mistake(
            overwritten,
            "The last slice of an id wins in your table: `out[ids] += slices` adds each id only once. See np.add.at.",
        ),
        Mistake(averaged, "You took the mean of an id's slices. A gradient is their sum."),
        Mistake(present_only, "Rows that the batch did not ask for are missing: their gradient is 0, and they count."),
    ]  # fmt: skip
    return check(answer, right, SLICES, mistakes)


@hints(
    "Write down both rules: new mean = … old mean + … batch mean.",
    "In PyTorch the momentum weighs the batch, in Keras the old mean. Together the two weigh 1.",
    called="exercises",
)
def momentum(answer: Callable) -> bool | None:
    """Exercise 2. answer(momentum): Keras' momentum of batch normalisation for PyTorch's."""
    mistakes = [
        Mistake(
            lambda m: m, "The same number means the opposite: PyTorch weighs the new batch with it, Keras the old mean."
        ),
        Mistake(lambda m: m / 10, "You guessed from the defaults, 0.1 and 0.99. Write both update rules down."),
        Mistake(lambda m: 1 / m, "A weight above 1? Old and new must weigh 1 together."),
    ]  # fmt: skip
    return check(answer, lambda m: 1 - m, [(0.1,), (0.25,), (0.01,)], mistakes)


@hints(
    "Cut the weights into three parts of equal height: which gate is which?",
    "PyTorch has reset, update, candidate; Keras update, reset, candidate. Stack them so, and transpose.",
    called="exercises",
)
def swap_gates(answer: Callable) -> bool | None:
    """Exercise 3. answer(weight): PyTorch's stacked GRU weights (3 · units, inputs) as Keras' kernel."""
    rng = np.random.default_rng(0)

    def stacked(weight, order):
        gates = np.split(weight, 3)
        return np.concatenate([gates[g] for g in order]).T

    def each_transposed(weight):
        reset, update, candidate = np.split(weight, 3)
        return np.concatenate([update, reset, candidate])

    mistakes = [
        Mistake(
            lambda w: w.T, "Transposed, and in PyTorch's order: Keras has the update gate first, then the reset gate."
        ),
        Mistake(each_transposed, "The order is right. Keras' kernel is (inputs, 3 · units): transpose it."),
        Mistake(
            lambda w: stacked(w, [2, 1, 0]), "The candidate is last in both frameworks: swap the first two gates only."
        ),
    ]  # fmt: skip
    cases = [(rng.normal(size=(6, 3)),), (rng.normal(size=(3, 2)),)]
    return check(answer, lambda w: stacked(w, [1, 0, 2]), cases, mistakes)
