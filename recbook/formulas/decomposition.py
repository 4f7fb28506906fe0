"""Equations of the chapter `decomposition`.

X is a complete matrix, users × items. R is a table of ratings of the same shape, NaN where there is no
rating. P (users, factors) and Q (items, factors) hold a vector a row.
"""

from __future__ import annotations

import numpy as np

# ---------------------------------------------------------------- the singular value decomposition


def svd(X: np.ndarray, factors: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U (users, k), σ (k,), V (items, k) of X = U diag(σ) Vᵀ, equation (dc-svd); σ falling, signs by `orient`."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    k = len(s) if factors is None else factors
    sign = orient(Vt.T)
    return (U * sign)[:, :k], s[:k], (Vt.T * sign)[:, :k]


def orient(V: np.ndarray) -> np.ndarray:
    """±1 per column: what makes its first large entry positive; large is over nine tenths of the largest."""
    size = np.abs(V)
    first = (size > 0.9 * size.max(axis=0)).argmax(axis=0)
    return np.where(V[first, np.arange(V.shape[1])] < 0, -1.0, 1.0)


def truncated(X: np.ndarray, factors: int) -> np.ndarray:
    """X_K, equation (dc-truncated): the nearest matrix to X among those of rank K (Eckart and Young 1936)."""
    U, s, V = svd(X, factors)
    return U * s @ V.T


def user_vectors(X: np.ndarray, factors: int) -> np.ndarray:
    """Equation (dc-user-vectors): row u of U_K Σ_K = X V_K is the vector of user u, (users, k)."""
    return X @ svd(X, factors)[2]


def fold_in(x: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Equation (dc-fold-in): xᵀ V_K, the vector of somebody whose row x was not in X, (k,)."""
    return x @ V


def pca(X: np.ndarray, factors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equation (dc-pca), the SVD of X less its column means: scores (users, k), loadings (items, k), variances (k,)."""
    U, s, V = svd(X - X.mean(axis=0), factors)
    return U * s, V, s**2 / (len(X) - 1)


def fill_zero(R: np.ndarray) -> np.ndarray:
    """Zeros for ratings that are missing: what PureSVD decomposes."""
    return np.nan_to_num(R)


def fill_mean(R: np.ndarray) -> np.ndarray:
    """The item's mean for ratings that are missing: what `PCA` decomposes."""
    return np.where(np.isnan(R), np.nanmean(R, axis=0), R)


# ---------------------------------------------------------------- alternating least squares


def objective(R: np.ndarray, P: np.ndarray, Q: np.ndarray, reg: float, weighted: bool = True) -> float:
    """Equation (dc-objective): Σ (r_ui - p_uᵀq_i)² over known pairs + λ (Σ n_u ‖p_u‖² + Σ n_i ‖q_i‖²).

    weighted : False takes 1 in place of the numbers of ratings n_u and n_i
    """
    n_u, n_i = _weights(R, weighted)
    penalty = n_u @ (P**2).sum(axis=1) + n_i @ (Q**2).sum(axis=1)
    return float(np.nansum((R - P @ Q.T) ** 2) + reg * penalty)


def gradients(R, P, Q, reg: float, weighted: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """∂J/∂P and ∂J/∂Q of `objective`, equation (dc-gradient)."""
    n_u, n_i = _weights(R, weighted)
    error = np.nan_to_num(R - P @ Q.T)
    return 2 * (reg * n_u[:, None] * P - error @ Q), 2 * (reg * n_i[:, None] * Q - error.T @ P)


def best_vectors(R: np.ndarray, Q: np.ndarray, reg: float, weighted: bool = True) -> np.ndarray:
    """Equation (dc-als): P that makes `objective` smallest while Q stands still, a ridge regression a user.

    For the items pass R.T and P. Who has no rating gets zeros.
    """
    P = np.zeros((len(R), Q.shape[1]))
    for u, row in enumerate(R):
        rated = np.flatnonzero(~np.isnan(row))
        if len(rated):
            X, weight = Q[rated], len(rated) if weighted else 1
            P[u] = np.linalg.solve(X.T @ X + reg * weight * np.eye(Q.shape[1]), X.T @ row[rated])
    return P


def als(R: np.ndarray, P: np.ndarray, reg: float, epochs: int, weighted: bool = True):
    """P, Q and the objective after each sweep: items first, then users. P : where it starts."""
    curve = []
    for _ in range(epochs):
        Q = best_vectors(R.T, P, reg, weighted)
        P = best_vectors(R, Q, reg, weighted)
        curve.append(objective(R, P, Q, reg, weighted))
    return P, Q, curve


def gradient_descent(R, P, Q, reg: float, epochs: int, learning_rate: float, weighted: bool = True):
    """P, Q and the objective after each of `epochs` steps against the gradients, equation (dc-descent)."""
    curve = []
    for _ in range(epochs):
        dP, dQ = gradients(R, P, Q, reg, weighted)
        P, Q = P - learning_rate * dP, Q - learning_rate * dQ
        curve.append(objective(R, P, Q, reg, weighted))
    return P, Q, curve


def _weights(R: np.ndarray, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
    there = ~np.isnan(R)
    if weighted:
        return there.sum(axis=1).astype(float), there.sum(axis=0).astype(float)
    return there.any(axis=1).astype(float), there.any(axis=0).astype(float)
