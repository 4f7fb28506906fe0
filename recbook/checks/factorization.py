"""Checks of the exercises in the chapter `factorization`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints

_ = np.nan


def _case(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    R = np.where(rng.random((4, 6)) < 0.6, rng.integers(1, 6, (4, 6)), np.nan)
    R[:, 0] = rng.integers(1, 6, 4)
    return R, rng.normal(size=(4, 2)), rng.normal(size=(6, 2)), 0.1


CASES = [_case(seed) for seed in range(3)]


@hints(
    "Which cells have a rating? Everything is summed over these pairs, the penalty too.",
    "`u, i = np.nonzero(~np.isnan(R))` lists the pairs; `P[u]` and `Q[i]` are their vectors, a row each.",
)
def objective(answer: Callable) -> bool | None:
    """Exercise 1. answer(R, P, Q, reg): the sum over observed cells of (r - pᵀq)² + reg (‖p‖² + ‖q‖²)."""

    def errors(R, P, Q):
        return np.where(np.isnan(R), 0.0, R - P @ Q.T)

    def right(R, P, Q, reg):
        seen = ~np.isnan(R)
        penalty = seen.sum(1) @ (P**2).sum(1) + seen.sum(0) @ (Q**2).sum(1)
        return (errors(R, P, Q) ** 2).sum() + reg * penalty

    def zeros(R, P, Q, reg):
        everywhere = R.shape[1] * (P**2).sum() + R.shape[0] * (Q**2).sum()
        return ((np.nan_to_num(R) - P @ Q.T) ** 2).sum() + reg * everywhere

    def outside(R, P, Q, reg):
        return (errors(R, P, Q) ** 2).sum() + reg * ((P**2).sum() + (Q**2).sum())

    mistakes = [
        Mistake(
            zeros, "You sum over every cell. What is missing is unknown, not 0: sum over observed cells."
        ),
        Mistake(outside, "Your penalty stands outside of the sum. Each rating pays for its p and its q."),
        Mistake(lambda R, P, Q, reg: right(R, P, Q, 0.0), "The penalty is missing."),
        Mistake(
            lambda R, P, Q, reg: right(R, P, Q, reg) / (~np.isnan(R)).sum(),
            "That is the mean over the ratings. The exercise asks for the sum.",
        ),
    ]
    return check(answer, right, CASES, mistakes)


@hints(
    "Begin with the matrix of errors, 0 where there is no rating. Which product with it has the shape of P?",
    "The error's part is −2 E Q, (users × items) times (items × K). The penalty's is 2 λ P.",
)
def gradient(answer: Callable) -> bool | None:
    """Exercise 2. answer(R, P, Q, reg): the gradient of ‖M ⊙ (R - PQᵀ)‖² + reg (‖P‖² + ‖Q‖²) by P, (users, k)."""

    def errors(R, P, Q):
        return np.where(np.isnan(R), 0.0, R - P @ Q.T)

    def right(R, P, Q, reg):
        return -2 * errors(R, P, Q) @ Q + 2 * reg * P

    mistakes = [
        Mistake(
            lambda R, P, Q, reg: 2 * errors(R, P, Q) @ Q + 2 * reg * P,
            "The sign of the error's part is wrong: E = R - PQᵀ falls where P Q grows. With `-=` you would climb.",
        ),
        Mistake(
            lambda R, P, Q, reg: -right(R, P, Q, reg),
            "That is the step, not the gradient: you have changed the sign of all of it.",
        ),
        Mistake(
            lambda R, P, Q, reg: -2 * (np.nan_to_num(R) - P @ Q.T) @ Q + 2 * reg * P,
            "You count a missing rating as 0. Mask the error: it is 0 where there is no rating.",
        ),
        Mistake(lambda R, P, Q, reg: right(R, P, Q, 0.0), "The penalty's gradient, 2λP, is missing."),
        Mistake(lambda R, P, Q, reg: right(R, P, Q, reg / 2), "A square's derivative has a 2: 2λP."),
        Mistake(lambda R, P, Q, reg: right(R, P, Q, reg) / 2, "Both parts lack a factor of 2."),
        Mistake(
            lambda R, P, Q, reg: -2 * errors(R, P, Q).T @ P + 2 * reg * Q,
            "That is the gradient by Q: it has a row for each item. By P it has a row for each user.",
        ),
    ]  # fmt: skip
    return check(answer, right, CASES, mistakes)


@hints(
    "Look at (mf-threshold): all singular values must vanish. Which one vanishes last?",
    "Fill the holes with 0, take the largest singular value, and divide it by the number of all cells.",
)
def threshold(answer: Callable) -> bool | None:
    """Exercise 3. answer(R): the λ from which on the zero matrix is the best PQᵀ of the zero-filled loss."""

    def first_singular_value(R):
        return np.linalg.svd(np.nan_to_num(R), compute_uv=False)[0]

    def right(R):
        return first_singular_value(R) / R.size

    mistakes = [
        Mistake(first_singular_value, "The mean divides by mn, and λ is not divided by it: σ₁ = λmn."),
        Mistake(
            lambda R: first_singular_value(R) / (~np.isnan(R)).sum(),
            "This loss is a mean over all mn cells, also over those that were filled with 0.",
        ),
        Mistake(
            lambda R: first_singular_value(R) / (2 * R.size),
            "A 2 too many: ‖P‖² + ‖Q‖² is at least 2 ‖PQᵀ‖ (nuclear), and the square's derivative has a 2 as well.",
        ),
        Mistake(
            lambda R: np.sqrt(np.nansum(R**2)) / R.size,
            "That is the Frobenius norm, over all singular values. The largest one alone decides.",
        ),
    ]
    return check(answer, right, [(R,) for R, *_rest in CASES], mistakes)
