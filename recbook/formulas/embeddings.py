"""Equations of the chapter `embeddings`. P is (users, d), Q is (items, d); a kernel W is (in, out)."""

from __future__ import annotations

import numpy as np

from recbook.formulas.losses import sigmoid


def lookup(table: np.ndarray, code: int) -> np.ndarray:
    """Equation (em-lookup): the row of an id is the one-hot vector of the id times the table."""
    one_hot = np.zeros(len(table))
    one_hot[code] = 1.0
    return one_hot @ table


def linear(p: np.ndarray, q: np.ndarray, w: np.ndarray, b: float) -> float:
    """Equation (em-additive): s = wᵀ[p; q] + b, one linear layer on both vectors side by side."""
    return float(np.concatenate([p, q]) @ w + b)


def two_linear(p: np.ndarray, q: np.ndarray, A: np.ndarray, a: np.ndarray, w: np.ndarray, c: float) -> float:
    """Equation (em-two-linear): s = wᵀ(Aᵀ[p; q] + a) + c, two linear layers and nothing between them."""
    return float((np.concatenate([p, q]) @ A + a) @ w + c)


def as_one_layer(A: np.ndarray, a: np.ndarray, w: np.ndarray, c: float) -> tuple[np.ndarray, float]:
    """Equation (em-collapse): weights and bias of the one linear layer that two linear layers are."""
    return A @ w, float(a @ w + c)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def mlp(p: np.ndarray, q: np.ndarray, kernels: list, biases: list, w: np.ndarray, b: float) -> float:
    """Equation (em-mlp): b + wᵀx_L with x_0 = [p; q] and x_l = relu(W_lᵀ x_(l-1) + b_l)."""
    x = np.concatenate([p, q])
    for kernel, bias in zip(kernels, biases, strict=True):
        x = relu(kernel.T @ x + bias)
    return float(w @ x + b)


def interaction(scores: np.ndarray) -> np.ndarray:
    """Equation (em-interaction): what of a table s_ui is no sum of a part of u and a part of i.

    s_ui less the row's mean, less the column's mean, plus the mean of all; 0 everywhere for an additive table.
    """
    return scores - scores.mean(1, keepdims=True) - scores.mean(0, keepdims=True) + scores.mean()


def n_rankings(scores: np.ndarray, decimals: int = 4) -> int:
    """In how many ways the users, rows of `scores`, rank the items; differences below rounding are none."""
    centred = np.round(scores - scores.mean(1, keepdims=True), decimals)
    return len(np.unique(np.argsort(-centred, axis=1, kind="stable"), axis=0))


def sigmoid_head(z: np.ndarray, lowest: float = 0.0, highest: float = 1.0) -> np.ndarray:
    """Equation (em-sigmoid): a score between `lowest` and `highest`; the documents' net has 0 and 1."""
    return lowest + (highest - lowest) * sigmoid(z)


def one_number_per_user(P, Q, W1, b1, w2, b2) -> np.ndarray:
    """Equation (em-row-net), a mistake: Dense layers on the rows of PQᵀ, (users,): one score for all items."""
    return relu(P @ Q.T @ W1 + b1) @ w2 + b2
