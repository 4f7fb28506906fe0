"""Equations of the chapter `neighbors`. A table R is users × items, NaN where there is no rating.

Similarities compare two rows of a table; for items, pass columns: `pearson(R[:, i], R[:, j])`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROUNDING = 2.0**-45  # a difference this small beside what was subtracted is nothing but rounding


def co_rated(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """I_uv, equation (nb-co-rated): where both rows have a rating, a mask of their length."""
    return ~np.isnan(x) & ~np.isnan(y)


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    """Equation (nb-cosine): Σ x y / (√Σ x² √Σ y²) over co-rated items; 0 where undefined."""
    both = co_rated(x, y)
    x, y = x[both], y[both]
    lengths = np.linalg.norm(x) * np.linalg.norm(y)
    return _fraction(x @ y, lengths, noise=ROUNDING * len(x) * lengths)


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Equation (nb-pearson): the correlation of the co-rated items, their means taken over the same items."""
    both = co_rated(x, y)
    # A correlation does not see a level. Less their first, ratings that are all alike are exactly 0, and small
    # differences of large numbers are not lost among their squares.
    x, y = (beyond_rounding(z - z[:1], z) for z in (x[both], y[both]))
    # The textbook form Σ(x-x̄)(y-ȳ)/…, multiplied by n²: whole numbers then stay whole, and ties stay ties.
    n = len(x)
    covariance = n * (x @ y) - x.sum() * y.sum()
    spreads = np.sqrt(n * (x @ x) - x.sum() ** 2) * np.sqrt(n * (y @ y) - y.sum() ** 2)
    return _fraction(covariance, spreads, noise=ROUNDING * n**2 * np.linalg.norm(x) * np.linalg.norm(y))


def beyond_rounding(differences: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Differences of numbers of these sizes; 0 where rounding alone can make them, NaN where a number is missing."""
    return np.where(np.abs(differences) <= ROUNDING * np.abs(sizes), 0.0, differences)


def _fraction(dot: Any, lengths: Any, noise: Any) -> float:
    """dot / lengths, from -1 to 1; 0 where a length is 0, or where the dot is no more than noise."""
    return float(np.clip(dot / lengths, -1, 1)) if lengths > 0 and abs(dot) > noise else 0.0


def adjusted_cosine(R: np.ndarray, a: int, b: int) -> float:
    """Equation (nb-adjusted-cosine): cosine of columns a and b of R after each row's mean is taken off.

    Rows are users and columns items for item neighbours; for user neighbours pass R.T.
    """
    centered = beyond_rounding(R - np.nanmean(R, axis=1, keepdims=True), R)
    return cosine(centered[:, a], centered[:, b])


def msd(x: np.ndarray, y: np.ndarray) -> float:
    """Equation (nb-msd): 1 / (1 + mean squared difference) over co-rated items; 0 without any."""
    both = co_rated(x, y)
    n, squares = both.sum(), ((x - y)[both] ** 2).sum()
    return float(n / (squares + n)) if n else 0.0


def jaccard(x: np.ndarray, y: np.ndarray) -> float:
    """Equation (nb-jaccard): items that both rated over items that either rated."""
    either = (~np.isnan(x) | ~np.isnan(y)).sum()
    return float(co_rated(x, y).sum() / either) if either else 0.0


def shrunk(similarity: float, n: int, shrinkage: float, min_support: int = 1) -> float:
    """Equation (nb-shrinkage): s · n / (n + β), and 0 for fewer than `min_support` co-rated items."""
    return similarity * n / (n + shrinkage) if n >= max(min_support, 1) else 0.0


def biases(R: np.ndarray, epochs: int = 10, reg_user: float = 15.0, reg_item: float = 10.0):
    """Equation (nb-baseline): mean, user biases and item biases by alternating ridge regressions."""
    mean, b_u, b_i = np.nanmean(R), np.zeros(R.shape[0]), np.zeros(R.shape[1])
    there = ~np.isnan(R)
    for _ in range(epochs):
        b_i = np.nansum(R - mean - b_u[:, None], axis=0) / (reg_item + there.sum(axis=0))
        b_u = np.nansum(R - mean - b_i, axis=1) / (reg_user + there.sum(axis=1))
    return mean, b_u, b_i


def similarity_matrix(R: np.ndarray, kind: str, shrinkage: float = 0.0, min_support: int = 1) -> np.ndarray:
    """Every pair of rows of R, (n, n), one after the other; kinds as in `UserKNN`.

    For items pass R.T; but with "pearson_baseline" take `biases(R)` off first and ask for "cosine", for users and
    items are not shrunk alike.
    """
    if kind == "pearson_baseline":
        mean, b_u, b_i = biases(R)
        R, kind = beyond_rounding(R - mean - b_u[:, None] - b_i, R), "cosine"
    pairwise = {"cosine": cosine, "pearson": pearson, "msd": msd, "jaccard": jaccard}
    S = np.zeros((len(R), len(R)))
    for u in range(len(R)):
        for v in range(len(R)):
            n = int(co_rated(R[u], R[v]).sum())
            s = adjusted_cosine(R.T, u, v) if kind == "adjusted_cosine" else pairwise[kind](R[u], R[v])
            S[u, v] = shrunk(s, n, shrinkage, min_support)
    return S


def neighborhood(similarities: np.ndarray, raters: np.ndarray, k: int) -> np.ndarray:
    """N_k(u; i): of `raters`, the k with the highest similarity, nearest first; none with s ≤ 0.

    similarities : (n,) of one row to all;  raters : codes. Similarities are compared by their first 30 bits,
    so that what is equal in theory is equal here; of equals the lower code is nearer.
    """
    digits, exponents = np.frexp(similarities[raters])
    rounded = np.ldexp(np.rint(digits * 2.0**30), exponents)
    nearest = raters[np.lexsort((raters, -rounded))][:k]
    return nearest[similarities[nearest] > 0]


def weighted_mean_of_deviations(similarities: np.ndarray, deviations: np.ndarray) -> float:
    """The fraction of equations (nb-user-prediction) and (nb-item-prediction): Σ s d / Σ |s|."""
    return float(similarities @ deviations / np.abs(similarities).sum())


def predict_user_knn(R: np.ndarray, S: np.ndarray, u: int, i: int, k: int) -> float:
    """Equation (nb-user-prediction) with center="mean": r̄_u + Σ s (r_vi - r̄_v) / Σ |s|.

    For item neighbours pass R.T and exchange u and i.
    """
    means = np.nanmean(R, axis=1)
    raters = np.flatnonzero(~np.isnan(R[:, i]))
    near = neighborhood(S[u], raters, k)
    if not len(near):
        return float(means[u])
    return float(means[u] + weighted_mean_of_deviations(S[u, near], R[near, i] - means[near]))


def mean_difference(x: np.ndarray, y: np.ndarray) -> float:
    """Equation (nb-slope-one): the mean of x - y over co-rated rows; NaN without any."""
    both = co_rated(x, y)
    return float((x - y)[both].mean()) if both.any() else np.nan


def predict_slope_one(R: np.ndarray, u: int, i: int) -> float:
    """Equation (nb-slope-one): r̄_u + the mean over rated j ≠ i of the mean difference of i and j."""
    rated = [j for j in np.flatnonzero(~np.isnan(R[u])) if j != i]
    differences = np.array([mean_difference(R[:, i], R[:, j]) for j in rated])
    differences = differences[~np.isnan(differences)]
    return float(np.nanmean(R[u]) + (differences.mean() if len(differences) else 0.0))
