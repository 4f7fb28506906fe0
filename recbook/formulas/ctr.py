"""Equations of the chapter `ctr`. E is a list of embedding vectors, (m, d); a kernel W is (in, out)."""

from __future__ import annotations

import numpy as np

from recbook.formulas.factorization_machines import machine


def pooled(x: np.ndarray, factors: np.ndarray, field_of: np.ndarray) -> np.ndarray:
    """Equation (ctr-pooled): the vector of each field, Σ_a v_a x_a over the features a of the field.

    x : (n,);  factors : (n, d);  field_of : (n,) the field of each feature, 0, 1, …  Returns (fields, d).
    """
    found = np.zeros((int(field_of.max()) + 1, factors.shape[1]))
    for a, field in enumerate(field_of):
        found[field] += factors[a] * x[a]
    return found


def history(past: list[int] | np.ndarray, n_items: int) -> np.ndarray:
    """Equation (ctr-history): x_i = 1/√m for each of the m items of a history, as features of one field, (n_items,).

    past : (m,) codes of items. Without any, all are 0.
    """
    x = np.zeros(n_items)
    for item in past:
        x[item] += 1 / np.sqrt(len(past))
    return x


def network(x: np.ndarray, kernels: list[np.ndarray], biases: list[np.ndarray], head: np.ndarray) -> float:
    """Equation (ctr-deep): wᵀx_L with x_l = relu(W_lᵀ x_(l-1) + b_l)."""
    for kernel, bias in zip(kernels, biases, strict=True):
        x = np.maximum(x @ kernel + bias, 0)
    return float(x @ head)


def wide_and_deep(x, constant, weights, deep: np.ndarray, kernels, biases, head) -> float:
    """Equation (ctr-wide-deep), a logit: w₀ + wᵀx, x with its crosses, and a network on the fields' vectors.

    x, weights : (n,);  deep : (fields, d), of `pooled`. Cheng et al. 2016.
    """
    return float(constant + weights @ x + network(deep.ravel(), kernels, biases, head))


def deep_fm(x, constant, weights, factors, field_of, kernels, biases, head) -> float:
    """Equation (ctr-deepfm), a logit: a factorisation machine and a network on the same vectors. Guo et al. 2017."""
    deep = pooled(x, factors, field_of).ravel()
    return machine(x, constant, weights, factors) + network(deep, kernels, biases, head)


def activation_unit(e: np.ndarray, target: np.ndarray, kernel, bias, head: np.ndarray) -> float:
    """Equation (ctr-unit): a(e, v) = wᵀ relu(Wᵀ[e; e ⊙ v; v] + b), a number of any sign. Zhou et al. 2018."""
    return float(np.maximum(np.concatenate([e, e * target, target]) @ kernel + bias, 0) @ head)


def interest(E: np.ndarray, target: np.ndarray, kernel, bias, head: np.ndarray) -> np.ndarray:
    """Equation (ctr-interest): Σ_j a(e_j, v) e_j, without a softmax; zeros for an empty history.

    E : (m, d) the vectors of a history;  target : (d,)
    """
    found = np.zeros(len(target))
    for e in E:
        found += activation_unit(e, target, kernel, bias, head) * e
    return found


def dice(z: np.ndarray, mean: np.ndarray, variance: np.ndarray, alpha: np.ndarray, epsilon: float):
    """Equation (ctr-dice): p z + (1 - p) α z with p = σ((z - mean) / √(variance + ε)).

    z : (n, units) or (units,);  mean, variance, alpha : (units,). Zhou et al. 2018, equation 4.
    """
    p = 1 / (1 + np.exp(-(z - mean) / np.sqrt(variance + epsilon)))
    return p * z + (1 - p) * alpha * z


def batch_penalty(present: np.ndarray, counts: np.ndarray, factors: np.ndarray) -> float:
    """Equation (ctr-penalty): Σ_a [a in the batch] ‖v_a‖² / n_a. Zhou et al. 2018, equation 6.

    present : (n,) bool;  counts : (n,) how many examples of the data have the feature;  factors : (n, d)
    """
    return float(sum((factors[a] ** 2).sum() / counts[a] for a in np.flatnonzero(present)))
