"""Equations of the chapter `logistic`: the chance of an event as a function of weighted features.

X : (n, d) features, dense;  y : (n,) labels of 0 and 1;  bias : θ₀;  weights : (d,) θ
"""

from __future__ import annotations

import numpy as np

from recbook.formulas.losses import sigmoid


def logit(X: np.ndarray, bias: float, weights: np.ndarray) -> np.ndarray:
    """Equation (lr-logit): z = θ₀ + θᵀx, (n,)."""
    return bias + X @ weights


def probability(X: np.ndarray, bias: float, weights: np.ndarray) -> np.ndarray:
    """Equation (lr-model): P(y = 1) = σ(z), (n,), without overflow."""
    return sigmoid(logit(X, bias, weights))


def loss_as_written(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Equation (lr-loss) in the order in which it is written: −[y log P + (1 − y) log(1 − P)], (n,).

    Right on paper. In float64 it is infinite or NaN from z = 37 on, where P rounds to 1, and below z = −745, where
    P rounds to 0; and it has lost digits long before.
    """
    p = 1 / (1 + np.exp(-z))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def loss(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Equation (lr-softplus): softplus(z) − yz, softplus(z) = log(1 + e^z), (n,); for every z."""
    # (1 - 2y) z is -z for a label of 1: softplus(z) - z = softplus(-z), and nothing cancels.
    return np.logaddexp(0.0, (1 - 2 * y) * z)


def objective(X: np.ndarray, y: np.ndarray, bias: float, weights: np.ndarray, reg: float) -> float:
    """Equation (lr-objective): the mean loss, plus λ‖θ‖²; θ₀ is left free."""
    return float(loss(y, logit(X, bias, weights)).mean() + reg * (weights**2).sum())


def gradient(X: np.ndarray, y: np.ndarray, bias: float, weights: np.ndarray, reg: float):
    """Equation (lr-gradient): ∂/∂θ₀ = mean(P − y), ∂/∂θ = mean((P − y) x) + 2λθ.

    Returns a number and (d,).
    """
    error = probability(X, bias, weights) - y
    return error.mean(), X.T @ error / len(y) + 2 * reg * weights


def descend(X: np.ndarray, y: np.ndarray, reg: float, learning_rate: float, steps: int):
    """Equation (lr-step), `steps` times from zero: θ ← θ − η∇.

    Returns bias, weights (d,) and the objective before each step, (steps,).
    """
    bias, weights, curve = 0.0, np.zeros(X.shape[1]), []
    for _ in range(steps):
        curve.append(objective(X, y, bias, weights, reg))
        d_bias, d_weights = gradient(X, y, bias, weights, reg)
        bias, weights = bias - learning_rate * d_bias, weights - learning_rate * d_weights
    return bias, weights, np.array(curve)


def newton(X: np.ndarray, y: np.ndarray, reg: float, steps: int = 25):
    """The optimum of (lr-objective) by Newton's method: θ ← θ − H⁻¹∇, H = mean(P(1 − P) xxᵀ) + 2λI.

    Needs reg > 0, or data that no weights separate. Returns bias and weights (d,).
    """
    one = np.column_stack([np.ones(len(X)), X])
    pull = 2 * reg * np.diag([0.0] + [1.0] * X.shape[1])
    theta = np.zeros(one.shape[1])
    for _ in range(steps):
        p = sigmoid(one @ theta)
        slope = one.T @ (p - y) / len(y) + pull @ theta
        curvature = (one * (p * (1 - p))[:, None]).T @ one / len(y) + pull
        theta = theta - np.linalg.solve(curvature, slope)
    return theta[0], theta[1:]


def odds_ratio(weight: float) -> float:
    """Equation (lr-odds): e^θ_j. One more of feature j multiplies the odds P / (1 − P) by it, all else equal."""
    return float(np.exp(weight))


def net_benefit(y: np.ndarray, p: np.ndarray, threshold: float) -> float:
    """Equation (lr-net-benefit): (hits − false alarms · t / (1 − t)) / n, where all with P ≥ t are acted on.

    threshold : t in (0, 1): how sure one must be to act. Raises ValueError for another.
    Source: Vickers and Elkin 2006.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"`threshold` is {threshold!r}; give a probability between 0 and 1")
    acted = p >= threshold
    hits, false_alarms = (acted & (y == 1)).sum(), (acted & (y == 0)).sum()
    return float((hits - false_alarms * threshold / (1 - threshold)) / len(y))
