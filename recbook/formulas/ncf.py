"""Equations of the chapter `ncf`. P is (users, k), Q is (items, k); y is 1 for who met what, 0 for a negative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recbook.formulas.embeddings import mlp


def gmf(p: np.ndarray, q: np.ndarray, h: np.ndarray, b: float) -> float:
    """Equation (ncf-gmf): b + hᵀ(p ⊙ q)."""
    return float(h @ (p * q) + b)


def neumf(p, q, h, p_mlp, q_mlp, kernels: list, biases: list, w, b: float) -> float:
    """Equation (ncf-neumf): b + hᵀ(p ⊙ q) + wᵀx_L, x_L of the other branch's own vectors."""
    return gmf(p, q, h, 0.0) + mlp(p_mlp, q_mlp, kernels, biases, w, b)


def log_likelihood(y: np.ndarray, z: np.ndarray) -> float:
    """Equation (ncf-likelihood): Σ y log σ(z) + (1 - y) log(1 - σ(z)) over the examples, z the logits.

    Raises ValueError where a target is neither 0 nor 1: then there is no likelihood, and no upper bound.
    """
    y, z = np.asarray(y, float), np.asarray(z, float)
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError(f"`y` holds {y[~np.isin(y, (0.0, 1.0))][0]:g}; a Bernoulli target is 0 or 1")
    return float((y * z - np.logaddexp(0, z)).sum())


def weighed(h: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    """Equation (ncf-penalty): Σ_k |h_k| (p_k² + q_k²), the same for (h, p, q) and (h / c², c p, c q)."""
    return float(np.abs(h) @ (p**2 + q**2))


def objective(
    y: np.ndarray,
    z: np.ndarray,
    sizes: np.ndarray,
    reg: float,
    layers: Sequence[np.ndarray] = (),
    reg_layers: float = 0.0,
) -> float:
    """Equation (ncf-objective): the mean over examples of -log-likelihood + λ · size, plus λ_W Σ ‖layers‖².

    sizes : (n,), what the penalty counts of each example's vectors;  layers : kernels and w
    """
    held = sum(np.square(values).sum() for values in layers)
    return float((np.logaddexp(0, z) - y * z + reg * sizes).mean() + reg_layers * held)


def as_printed(y: float, z: np.ndarray) -> np.ndarray:
    """Equation (ncf-stars), a mistake: -[y log σ(z) + (1 - y) log(1 - σ(z))] with stars for y: falls without end."""
    z = np.asarray(z, float)
    return np.logaddexp(0, z) - y * z


def best_constant(positives: int, negatives: int) -> float:
    """Equation (ncf-collapse): the logit, the same for all pairs, of greatest likelihood; inf without negatives."""
    return float("inf") if negatives == 0 else float(np.log(positives / negatives))


def best_logit(chance: np.ndarray, drawn: np.ndarray, n: float) -> np.ndarray:
    """Equation (ncf-optimum): log of p(i|u) / (n q(i|u)), the best score where n negatives are drawn from q.

    chance : p, with which the user's positives are item i;  drawn : q, with which a negative is
    """
    return np.log(chance) - np.log(n * drawn)
