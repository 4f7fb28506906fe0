"""Equations of the chapter `implicit`.

X is a table users × items: 1 where they met, else 0. C, of the same shape, holds the confidence c_ui of what
was met (1, if nothing else is known), 0 elsewhere. P (users, factors) and Q (items, factors) hold a vector a row.
"""

from __future__ import annotations

import numpy as np

from recbook.formulas.losses import sigmoid

# ---------------------------------------------------------------- items as each other's weights


def jaccard(X: np.ndarray) -> np.ndarray:
    """Equation (im-jaccard): of those who met i or j, the share that met both, (items, items); 0 on the diagonal."""
    both = X.T @ X
    n = np.diag(both)
    either = n[:, None] + n - both
    S = np.divide(both, either, out=np.zeros_like(both, dtype=float), where=either > 0)
    np.fill_diagonal(S, 0)
    return S


def item_scores(X: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Equation (im-item-scores): the score of u and i is Σ_j x_uj B_ji, what u met, weighted, (users, items)."""
    return X @ B


def ease_objective(X: np.ndarray, B: np.ndarray, reg: float) -> float:
    """Equation (im-ease-objective): ‖X - XB‖² + λ ‖B‖², for a B with zeros on its diagonal."""
    return float(((X - X @ B) ** 2).sum() + reg * (B**2).sum())


def ease(X: np.ndarray, reg: float) -> np.ndarray:
    """Equation (im-ease): B_ji = -M_ji / M_ii off the diagonal, M = (XᵀX + λI)⁻¹, (items, items); Steck 2019."""
    M = np.linalg.inv(X.T @ X + reg * np.eye(X.shape[1]))
    B = -M / np.diag(M)
    np.fill_diagonal(B, 0)
    return B


def partial_correlation(B: np.ndarray) -> np.ndarray:
    """Equation (im-partial): ±√|B_ij B_ji|, with the sign of B_ij: how alike two items are, all others held still."""
    return np.sign(B) * np.sqrt(np.abs(B * B.T))


# ---------------------------------------------------------------- weighted least squares on all pairs


def weights(C: np.ndarray, unobserved: float) -> np.ndarray:
    """Equation (im-weights): c_ui where u met i, w₀ everywhere else."""
    return np.where(C > 0, C, unobserved)


def als_objective(C, P, Q, unobserved: float, reg: float, weighted: bool = True) -> float:
    """Equation (im-als-objective): Σ w_ui (x_ui - p_uᵀq_i)² over all pairs + Σ λ_u ‖p_u‖² + Σ λ_i ‖q_i‖²."""
    W = weights(C, unobserved)
    squares = (W * ((C > 0) - P @ Q.T) ** 2).sum()
    ridge_u, ridge_i = _ridges(W, reg, weighted), _ridges(W.T, reg, weighted)
    return float(squares + ridge_u @ (P**2).sum(1) + ridge_i @ (Q**2).sum(1))


def als_gradient(C, P, Q, unobserved: float, reg: float, weighted: bool = True) -> np.ndarray:
    """∂J/∂P of `als_objective`, (users, factors). For the items pass C.T, Q, P."""
    W = weights(C, unobserved)
    return 2 * ((W * (P @ Q.T - (C > 0))) @ Q + _ridges(W, reg, weighted)[:, None] * P)


def als_vectors(C, Q, unobserved: float, reg: float, weighted: bool = True) -> np.ndarray:
    """Equation (im-als): P that makes `als_objective` smallest while Q stands still, a system of equations a user."""
    return als_block_pass(C, np.zeros((len(C), Q.shape[1])), Q, unobserved, reg, weighted, Q.shape[1])


def als_block_pass(C, P, Q, unobserved: float, reg: float, weighted: bool, block: int) -> np.ndarray:
    """Equation (im-als-block): `block` entries of each p at a time, the best while all else stands still.

    The first block of entries, then the next, to the last: P after one pass. A block of all entries is `als_vectors`.
    """
    W = weights(C, unobserved)
    ridge = _ridges(W, reg, weighted)
    P = P.copy()
    for u, (w, x) in enumerate(zip(W, C > 0, strict=True)):
        for start in range(0, Q.shape[1], block):
            here = slice(start, start + block)
            q = Q[:, here]
            gradient = q.T @ (w * (Q @ P[u] - x)) + ridge[u] * P[u, here]
            hessian = (q.T * w) @ q + ridge[u] * np.eye(q.shape[1])
            P[u, here] -= np.linalg.solve(hessian, gradient)
    return P


def als(C, P, unobserved: float, reg: float, weighted: bool, epochs: int, block: int):
    """P, Q and the objective after each sweep: items first, from zeros, then users, from P."""
    Q, curve = np.zeros((C.shape[1], P.shape[1])), []
    for _ in range(epochs):
        Q = als_block_pass(C.T, Q, P, unobserved, reg, weighted, block)
        P = als_block_pass(C, P, Q, unobserved, reg, weighted, block)
        curve.append(als_objective(C, P, Q, unobserved, reg, weighted))
    return P, Q, curve


def _ridges(W: np.ndarray, reg: float, weighted: bool) -> np.ndarray:
    """λ_u: λ times the weights of the user's row, added up; or λ for everybody."""
    return reg * (W.sum(axis=1) if weighted else np.ones(len(W)))


# ---------------------------------------------------------------- pairs of items


def pair_loss(z: np.ndarray) -> np.ndarray:
    """Equation (im-bpr): ℓ(z) = -ln σ(z), of the difference z = r̂_ui - r̂_uj; Rendle et al. 2009."""
    return np.logaddexp(0, -np.asarray(z, float))


def auc(scores: np.ndarray, x: np.ndarray) -> float:
    """Equation (im-auc): how often an item that was met (x = 1) stands above one that was not; a tie is half."""
    z = scores[x == 1][:, None] - scores[x == 0]
    return float(((z > 0) + 0.5 * (z == 0)).mean())


def expected_pair_loss(scores: np.ndarray, x: np.ndarray, draw: np.ndarray) -> float:
    """Equation (im-expected): mean over one user's positives of Σ_j π_j ℓ(r̂_ui - r̂_uj), j among the others.

    draw : (items,) weights π of the negatives, of any sum
    """
    others = x == 0
    pi = draw[others] / draw[others].sum()
    return float((pair_loss(scores[x == 1][:, None] - scores[others]) * pi).sum(1).mean())


def bpr_objective(X, P, Q, b, reg: float, draw: np.ndarray | None = None) -> float:
    """Equation (im-bpr-objective): the mean of ℓ + λ (‖p_u‖² + ‖q_i‖² + ‖q_j‖² + b_i² + b_j²) over all triples.

    A triple is a positive (u, i), all alike, and a negative j of this user, drawn with weights `draw` (default: alike).
    """
    total, n = 0.0, 0
    draw = np.ones(X.shape[1]) if draw is None else draw
    for u, x in enumerate(X):
        scores = Q @ P[u] + b
        pi = np.where(x == 0, draw, 0.0) / np.where(x == 0, draw, 0.0).sum()
        for i in np.flatnonzero(x):
            size = (P[u] ** 2).sum() + (Q[i] ** 2).sum() + b[i] ** 2 + (Q**2).sum(1) + b**2
            total += pi @ (pair_loss(scores[i] - scores) + reg * size)
            n += 1
    return total / n


def bpr_step(p, q_i, q_j, b_i: float, b_j: float, learning_rate: float, reg: float):
    """Equation (im-bpr-step): one step of gradient descent on one triple; p, q_i, q_j, b_i, b_j after it."""
    pull = sigmoid(-(p @ (q_i - q_j) + b_i - b_j))  # -ℓ′(z): near 1 where the order is wrong
    return (
        p + learning_rate * (pull * (q_i - q_j) - 2 * reg * p),
        q_i + learning_rate * (pull * p - 2 * reg * q_i),
        q_j - learning_rate * (pull * p + 2 * reg * q_j),
        b_i + learning_rate * (pull - 2 * reg * b_i),
        b_j - learning_rate * (pull + 2 * reg * b_j),
    )


def sampled_log_ratio(met: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Equation (im-log-ratio): ln(share among positives / share among negatives), (items,).

    What the scores of a model that can say anything become under the logistic loss, but for a constant: with
    negatives drawn uniformly the log of popularity, with negatives drawn as often as positives 0 for everything.
    """
    return np.log(met / met.sum()) - np.log(drawn / drawn.sum())
