"""Checks of the exercises in the chapter `factorization_machines`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import factorization_machines as formulas

ROWS = [
    (np.array([1.0, 2.0, 0.5]), np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 4.0]])),
    (np.array([1.0, 0.0, 1.0, 1.0]), np.array([[0.5], [9.0], [-1.0], [2.0]])),
    (np.array([0.0, 3.0]), np.array([[1.0, 1.0, 1.0], [2.0, 0.0, -2.0]])),
]


@hints(
    "The square of a sum has every pair twice, and each feature with itself once.",
    "By equation (fm-identity): (x V)² less x² V², each a number per column; add up, halve.",
)
def crosses(answer: Callable) -> bool | None:
    """Exercise 1. answer(x, V): the crosses of one row by equation (fm-identity), without a loop over pairs."""

    def with_itself(x, V):
        return ((x @ V) ** 2).sum() / 2

    def twice(x, V):
        return 2 * formulas.pairs_at_once(x, V)

    def values_not_squared(x, V):
        return (((x @ V) ** 2) - x @ V**2).sum() / 2

    def squares_of_sums(x, V):
        return ((x @ V) ** 2 - (x**2 @ V) ** 2).sum() / 2

    mistakes = [
        Mistake(with_itself, "Each feature is crossed with itself too: take Σ v² x² off before you halve."),
        Mistake(twice, "Every pair is counted twice, as (a, b) and as (b, a): halve it."),
        Mistake(values_not_squared, "In the part that is taken off, x is squared as well as v."),
        Mistake(squares_of_sums, "In the part that is taken off, square first and then sum: Σ v² x², not (Σ v x²)²."),
    ]  # fmt: skip
    return check(answer, formulas.pairs_at_once, ROWS, mistakes)


FILMS = [
    (
        np.array([1.0, -1.0]),
        np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]),
        np.array([0.5, -0.5, 0.25]),
        np.array([True, False, True]),
    ),
    (np.array([0.5]), np.array([[2.0], [4.0]]), np.array([1.0, 0.0]), np.array([True, True])),
    (
        np.array([2.0, 1.0]),
        np.array([[1.0, 0.0], [0.0, 1.0]]),
        np.array([0.25, 0.75]),
        np.array([False, True]),
    ),
]


@hints(
    "Which value has each genre of a film with n genres? The same for vectors and for biases.",
    "x is `has` divided by its sum. The film's vector is x V, its bias x b; the score is p times "
    "the one, plus the other.",
)
def new_item(answer: Callable) -> bool | None:
    """Exercise 2. answer(p, V, b, has): the LightFM score, without b_u, of an item known by its genres alone.

    p : (k,) the user's vector;  V : (genres, k);  b : (genres,);  has : (genres,) bool. A genre weighs 1 / (number).
    """

    def right(p, V, b, has):
        x = has / has.sum()
        return p @ (x @ V) + x @ b

    def unweighted(p, V, b, has):
        return p @ V[has].sum(0) + b[has].sum()

    def without_bias(p, V, b, has):
        return p @ V[has].mean(0)

    def all_genres(p, V, b, has):
        return p @ V.mean(0) + b.mean()

    mistakes = [
        Mistake(unweighted, "You add the genres up. Each of n has the value 1/n, in the vectors and the biases."),
        Mistake(without_bias, "The vectors are right. The genres' biases belong to the score too."),
        Mistake(all_genres, "You took every genre. Only those that the film has are features of it."),
    ]  # fmt: skip
    return check(answer, right, FILMS, mistakes)


@hints(
    "Compute the sum x V once. What does feature a take out of it?",
    "Row a is x_a times (x V − v_a x_a). With `x[:, None]` all rows are had at once.",
)
def gradient(answer: Callable) -> bool | None:
    """Exercise 3. answer(x, V): ∂ŷ/∂V of equation (fm-gradient), (n, k)."""

    def right(x, V):
        return formulas.machine_gradient(x, V)[2]

    def with_itself(x, V):
        return x[:, None] * (x @ V)

    def not_by_x(x, V):
        return (x @ V) - V * x[:, None]

    def x_once(x, V):
        return x[:, None] * (x @ V - V)

    mistakes = [
        Mistake(with_itself, "Feature a does not meet itself: take v_a x_a out of the sum."),
        Mistake(not_by_x, "The chain rule's last factor is missing: all of it times x_a."),
        Mistake(x_once, "What you take out of the sum is v_a x_a, not v_a."),
    ]
    return check(answer, right, ROWS, mistakes)
