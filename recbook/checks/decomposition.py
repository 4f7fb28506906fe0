"""Checks of the exercises in the chapter `decomposition`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import decomposition as formulas

_ = np.nan


def _table(seed: int, n_users: int = 6, n_items: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 6, (n_users, n_items)).astype(float)


VECTORS = [(_table(seed)[0], formulas.svd(_table(seed), 2)[2]) for seed in range(3)]


@hints(
    "Which shape has V, and which must the vector have? One product of the two leads there.",
    "It is x times V: a number for each column of V. No mean is taken off, nothing is scaled.",
)
def user_vector(answer: Callable) -> bool | None:
    """Exercise 1. answer(x, V): the vector of a new person with ratings x, equation (dc-fold-in)."""
    mistakes = [
        Mistake(lambda x, V: V @ (V.T @ x), "That scores every film. The person's vector is what comes before."),
        Mistake(lambda x, V: x[:, None] * V, "You multiply entry by entry. Add up over the films: a matrix product."),
        Mistake(lambda x, V: (x - x.mean()) @ V, "You took a mean off. V is of the table as it was: use x as it is."),
        Mistake(lambda x, V: x @ V / np.linalg.norm(x @ V), "The direction is right. Keep the length: scores need it."),
    ]  # fmt: skip
    return check(answer, formulas.fold_in, VECTORS, mistakes)


@hints(
    "`np.linalg.svd(X, full_matrices=False)` gives U, the singular values, and V transposed.",
    "Keep the first k columns of U, the first k singular values and the first k rows of Vᵀ, and "
    "multiply the three.",
)
def truncate(answer: Callable) -> bool | None:
    """Exercise 2. answer(X, k): the matrix of rank K nearest to X, equation (dc-truncated)."""

    def parts(X):
        return np.linalg.svd(X, full_matrices=False)

    def without_sigma(X, k):
        U, s, Vt = parts(X)
        return U[:, :k] @ Vt[:k]

    def smallest(X, k):
        U, s, Vt = parts(X)
        return U[:, -k:] * s[-k:] @ Vt[-k:]

    def vectors(X, k):
        U, s, Vt = parts(X)
        return U[:, :k] * s[:k]

    def rows_of_v(X, k):
        U, s, Vt = parts(X)
        return U[:, :k] * s[:k] @ Vt[:, :k].T

    mistakes = [
        Mistake(lambda X, k: X, "That is X itself: nothing was cut. Keep the first k singular values only."),
        Mistake(without_sigma, "You left Σ out. Each direction counts with its singular value."),
        Mistake(smallest, "You kept the smallest singular values: NumPy puts the largest first."),
        Mistake(vectors, "These are the users' vectors, U_KΣ_K. Multiply by V_Kᵀ for the matrix."),
        Mistake(rows_of_v, "NumPy returns Vᵀ, not V: its first k rows are the vectors you need."),
    ]
    return check(
        answer, formulas.truncated, [(_table(seed, 5, 5), k) for seed, k in enumerate((1, 2, 3))], mistakes
    )


ROWS = [
    (np.array([5.0, _, 3, _, 1]), formulas.svd(_table(7), 2)[2], 0.5),
    (np.array([_, 4.0, _, 2, _]), formulas.svd(_table(8), 2)[2], 0.1),
    (np.array([1.0, 2, 3, 4, 5]), formulas.svd(_table(9), 3)[2], 1.5),
]


@hints(
    "Only rated films take part: choose the rows of Q and the entries of r where there is a rating.",
    "With those rows X and ratings y solve (XᵀX + λ n I) p = Xᵀy, n being how many there are: "
    "`np.linalg.solve`.",
)
def best_vector(answer: Callable) -> bool | None:
    """Exercise 3. answer(r, Q, reg): the p of equation (dc-als) for one user; r is NaN where there is no rating."""

    def solve(r, Q, reg, weight=None, zeros=False):
        rated = np.full(len(r), True) if zeros else ~np.isnan(r)
        X, y = Q[rated], np.nan_to_num(r)[rated]
        weight = rated.sum() if weight is None else weight
        A = X.T @ X + reg * weight * np.eye(Q.shape[1])
        return np.linalg.solve(A, X.T @ y)

    mistakes = [
        Mistake(
            lambda r, Q, reg: solve(r, Q, reg, zeros=True),
            "You count a missing rating as 0. Use the rows of Q of rated films only.",
        ),
        Mistake(lambda r, Q, reg: solve(r, Q, reg, weight=1), "λ must be weighted by the number of ratings."),
        Mistake(
            lambda r, Q, reg: solve(r, Q, 0), "That is least squares without λ: add λ n I to the matrix."
        ),
        Mistake(
            lambda r, Q, reg: solve(r, Q, reg, weight=len(r)),
            "You weighted λ by the number of all films. Count the ratings of this user.",
        ),
    ]
    return check(answer, solve, ROWS, mistakes)
