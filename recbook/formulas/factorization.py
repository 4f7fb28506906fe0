"""Equations of the chapter `factorization`. A table R is users × items, NaN where there is no rating.

P is (users, k), Q and Y are (items, k), b_u (users,), b_i (items,). Sums run over observed cells alone.
"""

from __future__ import annotations

import numpy as np


def predict_plain(P: np.ndarray, Q: np.ndarray, u: int, i: int) -> float:
    """Equation (mf-plain): r̂_ui = p_uᵀq_i."""
    return float(P[u] @ Q[i])


def predict(
    mean: float, b_u: np.ndarray, b_i: np.ndarray, P: np.ndarray, Q: np.ndarray, u: int, i: int
) -> float:
    """Equation (mf-biased): r̂_ui = μ + b_u + b_i + p_uᵀq_i."""
    return float(mean + b_u[u] + b_i[i] + P[u] @ Q[i])


def objective(R: np.ndarray, mean: float, b_u, b_i, P: np.ndarray, Q: np.ndarray, reg: float) -> float:
    """Equation (mf-objective): the mean over observed cells of
    (r_ui - r̂_ui)² + λ(b_u² + b_i² + ‖p_u‖² + ‖q_i‖²).
    """
    total, cells = 0.0, np.argwhere(~np.isnan(R))
    for u, i in cells:
        error = R[u, i] - predict(mean, b_u, b_i, P, Q, u, i)
        total += error**2 + reg * (b_u[u] ** 2 + b_i[i] ** 2 + P[u] @ P[u] + Q[i] @ Q[i])
    return float(total / len(cells))


def gradients(R: np.ndarray, mean: float, b_u, b_i, P: np.ndarray, Q: np.ndarray, reg: float):
    """Equation (mf-gradient): the objective's gradients by b_u, b_i, P and Q, in the shapes of these."""
    g_bu, g_bi, g_P, g_Q = (np.zeros_like(x, float) for x in (b_u, b_i, P, Q))
    cells = np.argwhere(~np.isnan(R))
    for u, i in cells:
        error = R[u, i] - predict(mean, b_u, b_i, P, Q, u, i)
        g_bu[u] += -2 * error + 2 * reg * b_u[u]
        g_bi[i] += -2 * error + 2 * reg * b_i[i]
        g_P[u] += -2 * error * Q[i] + 2 * reg * P[u]
        g_Q[i] += -2 * error * P[u] + 2 * reg * Q[i]
    return tuple(g / len(cells) for g in (g_bu, g_bi, g_P, g_Q))


def matrix_gradients(
    R: np.ndarray, P: np.ndarray, Q: np.ndarray, reg: float
) -> tuple[np.ndarray, np.ndarray]:
    """Equation (mf-matrix-gradient): of ‖E‖² + λ(‖P‖² + ‖Q‖²) with E = M ⊙ (R - PQᵀ), by P and Q.

    M is 1 where R has a rating, else 0. The penalty is outside of the sum here, not count-weighted.
    """
    E = np.where(np.isnan(R), 0.0, R - P @ Q.T)
    return -2 * E @ Q + 2 * reg * P, -2 * E.T @ P + 2 * reg * Q


def logistic_objective(
    Y: np.ndarray, mean: float, b_u, b_i, P: np.ndarray, Q: np.ndarray, reg: float
) -> float:
    """Equation (mf-logistic): as `objective`, with -y log σ(r̂) - (1 - y) log(1 - σ(r̂)) for the squared error.

    Y : 1, 0, or NaN where there is no example
    """
    total, cells = 0.0, np.argwhere(~np.isnan(Y))
    for u, i in cells:
        z = predict(mean, b_u, b_i, P, Q, u, i)
        penalty = b_u[u] ** 2 + b_i[i] ** 2 + P[u] @ P[u] + Q[i] @ Q[i]
        total += np.logaddexp(0, z) - Y[u, i] * z + reg * penalty
    return float(total / len(cells))


def zero_filled_objective(R: np.ndarray, P: np.ndarray, Q: np.ndarray, reg: float) -> float:
    """Equation (mf-zero-filled), a mistake: 1/(mn) ‖R₀ - PQᵀ‖² + λ(‖P‖² + ‖Q‖²), R₀ being R with 0 for NaN."""
    R0 = np.nan_to_num(R)
    return float(np.square(R0 - P @ Q.T).mean() + reg * (np.square(P).sum() + np.square(Q).sum()))


def zero_filled_optimum(R: np.ndarray, reg: float) -> np.ndarray:
    """Equation (mf-threshold): the matrix PQᵀ with the smallest `zero_filled_objective`, whatever k is.

    R₀'s singular values, each less λmn, and 0 where that is negative.
    """
    U, s, Vt = np.linalg.svd(np.nan_to_num(R), full_matrices=False)
    return U * np.maximum(s - reg * R.size, 0) @ Vt


def implicit_sum(R: np.ndarray, Y: np.ndarray, u: int) -> np.ndarray:
    """Equation (mf-svdpp): |N(u)|^-½ Σ_{j∈N(u)} y_j, N(u) being the items that u rated; 0 without any."""
    rated = ~np.isnan(R[u])
    return Y[rated].sum(0) / np.sqrt(max(rated.sum(), 1))


def predict_svdpp(R, mean: float, b_u, b_i, P, Q, Y, u: int, i: int) -> float:
    """Equation (mf-svdpp): r̂_ui = μ + b_u + b_i + q_iᵀ(p_u + |N(u)|^-½ Σ_{j∈N(u)} y_j)."""
    return float(mean + b_u[u] + b_i[i] + Q[i] @ (P[u] + implicit_sum(R, Y, u)))


def svdpp_objective(R, mean: float, b_u, b_i, P, Q, Y, reg: float, reg_implicit: float) -> float:
    """Equation (mf-svdpp-objective): as `objective`, with λ_y ‖y_i‖² more in each observed cell."""
    total, cells = 0.0, np.argwhere(~np.isnan(R))
    for u, i in cells:
        error = R[u, i] - predict_svdpp(R, mean, b_u, b_i, P, Q, Y, u, i)
        penalty = b_u[u] ** 2 + b_i[i] ** 2 + P[u] @ P[u] + Q[i] @ Q[i]
        total += error**2 + reg * penalty + reg_implicit * (Y[i] @ Y[i])
    return float(total / len(cells))


def predict_nmf(b_u, b_i, P, Q, u: int, i: int) -> float:
    """Equation (mf-nmf): r̂_ui = b_u + b_i + p_uᵀq_i, nothing negative."""
    return float(b_u[u] + b_i[i] + P[u] @ Q[i])


def nmf_objective(R, b_u, b_i, P, Q, half: float, reg: float) -> float:
    """Equation (mf-nmf): the mean over observed cells of
    (r_ui - r̂_ui)² + λ(‖p_u‖² + ‖q_i‖² + (b_u - μ/2)² + (b_i - μ/2)²); half : μ/2.
    """
    total, cells = 0.0, np.argwhere(~np.isnan(R))
    for u, i in cells:
        error = R[u, i] - predict_nmf(b_u, b_i, P, Q, u, i)
        penalty = P[u] @ P[u] + Q[i] @ Q[i] + (b_u[u] - half) ** 2 + (b_i[i] - half) ** 2
        total += error**2 + reg * penalty
    return float(total / len(cells))


def nmf_update(R, b_u, b_i, P, Q, half: float, reg: float) -> tuple[np.ndarray, np.ndarray]:
    """Equation (mf-nmf-update): P and b_u after one multiplicative update. For the items pass R.T and swap sides."""
    new_P, new_b = np.zeros_like(P, float), np.zeros_like(b_u, float)
    for u in range(len(P)):
        rated = np.flatnonzero(~np.isnan(R[u]))
        n, r = len(rated), R[u, rated]
        scores = np.array([predict_nmf(b_u, b_i, P, Q, u, i) for i in rated.tolist()])
        new_P[u] = P[u] * (r @ Q[rated]) / (scores @ Q[rated] + reg * n * P[u])
        new_b[u] = b_u[u] * (r.sum() + reg * n * half) / (scores.sum() + reg * n * b_u[u])
    return new_P, new_b
