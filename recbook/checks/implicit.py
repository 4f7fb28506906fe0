"""Checks of the exercises in the chapter `implicit`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import implicit as formulas


def _met(seed: int, n_users: int = 9, n_items: int = 5) -> np.ndarray:
    return (np.random.default_rng(seed).random((n_users, n_items)) < 0.5).astype(float)


TABLES = [(_met(0), 1.0), (_met(1), 3.0), (_met(2), 0.5)]


@hints(
    "Compute M, the inverse of XᵀX + λI, first. (im-ease) tells each entry from M.",
    "Divide column i by M_ii and change the sign; then write zeros on the diagonal.",
)
def item_weights(answer: Callable) -> bool | None:
    """Exercise 1. answer(X, reg): the weights B of equation (im-ease)."""

    def inverse(X, reg):
        return np.linalg.inv(X.T @ X + reg * np.eye(X.shape[1]))

    def emptied(B):
        B = B.copy()
        np.fill_diagonal(B, 0)
        return B

    def full(X, reg):
        M = inverse(X, reg)
        return -M / np.diag(M)

    def by_rows(X, reg):
        M = inverse(X, reg)
        return emptied(-M / np.diag(M)[:, None])

    mistakes = [
        Mistake(full, "Its diagonal is -1. An item may not explain itself: write zeros there."),
        Mistake(by_rows, "You divided rows. Column i belongs to item i: divide it by M_ii."),
        Mistake(lambda X, reg: -formulas.ease(X, reg), "The sign is the wrong way round: B = -M / M_ii."),
        Mistake(lambda X, reg: emptied(-inverse(X, reg)), "Divide each column by its own entry of the diagonal."),
        Mistake(
            lambda X, reg: formulas.ease(X, 1e-9), "That is without λ: add λ to the diagonal of XᵀX first."
        ),
    ]  # fmt: skip
    return check(answer, formulas.ease, TABLES, mistakes)


def _user(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    return (rng.random(8) < 0.4).astype(float), rng.normal(size=(8, 3)), 0.1, 0.5 + seed


USERS = [_user(seed) for seed in range(1, 4)]


@hints(
    "Begin with w₀ QᵀQ, which holds for all items. What does an item that was met add?",
    "It adds (1 − w₀) q qᵀ to the matrix, which gets λI as well; on the right stands the sum of "
    "the q that were met.",
)
def user_vector(answer: Callable) -> bool | None:
    """Exercise 2. answer(x, Q, unobserved, reg): p of equation (im-als), confidences 1, λ as it is."""

    def solve(x, Q, w, reg):
        A = (Q.T * w) @ Q + reg * np.eye(Q.shape[1])
        return np.linalg.solve(A, Q.T @ x)

    def right(x, Q, unobserved, reg):
        return solve(x, Q, np.where(x > 0, 1.0, unobserved), reg)

    mistakes = [
        Mistake(
            lambda x, Q, unobserved, reg: solve(x, Q, x, reg),
            "You left out what was not met. It weighs w₀, and says: near zero.",
        ),
        Mistake(
            lambda x, Q, unobserved, reg: solve(x, Q, np.ones(len(x)), reg),
            "All pairs weigh the same with you. What was not met weighs w₀, less than 1.",
        ),
        Mistake(
            lambda x, Q, unobserved, reg: solve(x, Q, x + unobserved, reg),
            "What was met weighs 1 in all, not 1 + w₀: add (1 - w₀) q qᵀ for it to w₀ QᵀQ.",
        ),
        Mistake(
            lambda x, Q, unobserved, reg: right(x, Q, unobserved, 0.0), "λ is missing: add λI to the matrix."
        ),
    ]
    return check(answer, right, USERS, mistakes)


def _triple(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    return *rng.normal(size=(3, 4)), 0.1


TRIPLES = [_triple(seed) for seed in range(3)]


@hints(
    "z is p times (q_i − q_j). How strong is the pull where the order is wrong?",
    "The pull is σ(−z). All three vectors move from where they were: p along q_i − q_j, q_i along "
    "p, q_j against p.",
)
def pair_step(answer: Callable) -> bool | None:
    """Exercise 3. answer(p, q_i, q_j, learning_rate): p, q_i, q_j after one step of (im-bpr-step), stacked; λ = 0."""

    def right(p, q_i, q_j, rate):
        return np.stack(formulas.bpr_step(p, q_i, q_j, 0.0, 0.0, rate, 0.0)[:3])

    def other_sigmoid(p, q_i, q_j, rate):
        pull = rate * formulas.sigmoid(p @ (q_i - q_j))
        return np.stack([p + pull * (q_i - q_j), q_i + pull * p, q_j - pull * p])

    def moved_first(p, q_i, q_j, rate):
        pull = rate * formulas.sigmoid(-p @ (q_i - q_j))
        new = p + pull * (q_i - q_j)
        return np.stack([new, q_i + pull * new, q_j - pull * new])

    def both_up(p, q_i, q_j, rate):
        new = right(p, q_i, q_j, rate)
        return np.stack([new[0], new[1], 2 * q_j - new[2]])

    mistakes = [
        Mistake(
            lambda p, q, r, rate: right(p, q, r, -rate), "You went uphill: the loss grows. Turn the sign."
        ),
        Mistake(
            other_sigmoid, "The pull is σ(-z): strong where the order is wrong, nothing where it is right."
        ),
        Mistake(
            moved_first, "You moved p before you used it for q. One step takes all gradients at one place."
        ),
        Mistake(both_up, "q_j goes the other way: the item that was not met is pushed down."),
    ]
    return check(answer, right, TRIPLES, mistakes)
