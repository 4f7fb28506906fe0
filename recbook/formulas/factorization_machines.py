"""Equations of the chapter `factorization_machines`.

A row x holds one number for each of n features, most of them 0; factors V is (n, k), a vector for each feature.
"""

from __future__ import annotations

import numpy as np


def pairs(x: np.ndarray, factors: np.ndarray) -> float:
    """The crosses as equation (fm-model) writes them, Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b: a loop over O(n²) pairs.

    x : (n,);  factors : (n, k)
    """
    total = 0.0
    for a in range(len(x)):
        for b in range(a + 1, len(x)):
            total += float(factors[a] @ factors[b]) * x[a] * x[b]
    return total


def pairs_at_once(x: np.ndarray, factors: np.ndarray) -> float:
    """Equation (fm-identity), the same number in O(nk): ½ Σ_f [(Σ_a v_af x_a)² - Σ_a v_af² x_a²]. Rendle 2010."""
    sums, squares = x @ factors, x**2 @ factors**2
    return float((sums**2 - squares).sum() / 2)


def machine(x: np.ndarray, constant: float, weights: np.ndarray, factors: np.ndarray) -> float:
    """Equation (fm-model): w₀ + wᵀx + the crosses.  x, weights : (n,);  factors : (n, k). Rendle 2010, equation 1."""
    return float(constant + weights @ x + pairs_at_once(x, factors))


def machine_gradient(x: np.ndarray, factors: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Equation (fm-gradient): ∂ŷ by w₀, by w (n,), by V (n, k), which is x_a (Σ_b v_bf x_b - v_af x_a)."""
    sums = x @ factors
    return 1.0, x.astype(float), x[:, None] * (sums - factors * x[:, None])


def machine_parts(user: np.ndarray, item: np.ndarray, factors: np.ndarray) -> dict[str, float]:
    """Equation (fm-parts): the crosses of a row that is user features, then item features, in three parts.

    user : (n_u,);  item : (n_i,);  factors : (n_u + n_i, k), those of the user's features first
    """
    of_users, of_items = factors[: len(user)], factors[len(user) :]
    return {
        "user × item": float((user @ of_users) @ (item @ of_items)),
        "within user": pairs_at_once(user, of_users),
        "within item": pairs_at_once(item, of_items),
    }


def hybrid(
    user: np.ndarray,
    item: np.ndarray,
    user_embeddings: np.ndarray,
    item_embeddings: np.ndarray,
    user_biases: np.ndarray,
    item_biases: np.ndarray,
) -> float:
    """Equation (fm-lightfm): p_u · q_i + b_u + b_i, each a sum over features. Kula 2015.

    user, user_biases : (n_u,);  item, item_biases : (n_i,);  user_embeddings : (n_u, k);  item_embeddings : (n_i, k)
    """
    p, q = user @ user_embeddings, item @ item_embeddings
    return float(p @ q + user @ user_biases + item @ item_biases)
