"""Equations of the chapter `losses`: what a prediction costs, what large parameters cost, and both gradients.

A loss compares lists of observed pairs; `reduction` says what becomes of its n values: their "mean" (divided
by the number of pairs, the N of the equations), their "sum", or "none". A gradient is that of the sum, value by value:
divide it by n for the mean's. A penalty is a sum over parameters by definition and has no reduction.

All of these raise ValueError, naming the argument, for shapes that do not match, empty lists, and values that are
NaN or infinite; losses of labels for a label that is none.
"""

from __future__ import annotations

import numpy as np

REDUCTIONS = ("mean", "sum", "none")


def reduce(losses: np.ndarray, reduction: str) -> np.ndarray | float:
    """The mean or the sum of (n,) losses, or the losses themselves."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"`reduction` is {reduction!r}; choose one of {REDUCTIONS}")
    return losses if reduction == "none" else float(getattr(np, reduction)(losses))


def _array(name: str, values) -> np.ndarray:
    """float64, finite, not empty."""
    values = np.asarray(values, float)
    if not values.size:
        raise ValueError(f"`{name}` is empty; a loss needs at least one value")
    if not np.isfinite(values).all():
        first = tuple(int(place) for place in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(
            f"`{name}` has {values[first]} at {first}; leave such rows out, or find where it arose"
        )
    return values


def _alike(**arrays) -> list[np.ndarray]:
    """Arrays of one shape."""
    found = {name: _array(name, values) for name, values in arrays.items()}
    (first, one), *others = found.items()
    for name, other in others:
        if other.shape != one.shape:
            raise ValueError(
                f"`{first}` has shape {one.shape} and `{name}` {other.shape}; give both the same "
                "(a column against a list would be paired each with each: ravel() it)"
            )
    return list(found.values())


def _labels(target: np.ndarray) -> np.ndarray:
    if not np.isin(target, (0, 1)).all():
        wrong = target[~np.isin(target, (0, 1))][0]
        raise ValueError(
            f"`target` has {wrong:g}; a label is 0 or 1. Make labels of ratings first: ratings >= 4"
        )
    return target


def _at_least(name: str, value: float, low: float, strictly: bool = False) -> None:
    if not (value > low if strictly else value >= low) or value == np.inf:
        raise ValueError(
            f"`{name}` is {value!r}; give a finite number {'above' if strictly else 'of at least'} {low}"
        )


def sigmoid(z) -> np.ndarray:
    """Equation (ls-sigmoid): 1 / (1 + e^-z), without overflow at either end."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(z, float)))


# ---------------------------------------------------------------- a number against a number


def squared(target, prediction, reduction: str = "mean"):
    """Equation (ls-squared): (y - ŷ)². Its best constant is the mean."""
    y, p = _alike(target=target, prediction=prediction)
    return reduce((y - p) ** 2, reduction)


def squared_gradient(target, prediction) -> np.ndarray:
    """∂/∂ŷ = 2 (ŷ - y)"""
    y, p = _alike(target=target, prediction=prediction)
    return 2 * (p - y)


def absolute(target, prediction, reduction: str = "mean"):
    """Equation (ls-absolute): |y - ŷ|. Its best constant is the median."""
    y, p = _alike(target=target, prediction=prediction)
    return reduce(np.abs(y - p), reduction)


def absolute_gradient(target, prediction) -> np.ndarray:
    """∂/∂ŷ = sign(ŷ - y), and 0 at the kink"""
    y, p = _alike(target=target, prediction=prediction)
    return np.sign(p - y)


def huber(target, prediction, delta: float = 1.0, reduction: str = "mean"):
    """Equation (ls-huber): e²/2 where |e| ≤ δ, else δ (|e| - δ/2). Source: Huber 1964."""
    _at_least("delta", delta, 0, strictly=True)
    y, p = _alike(target=target, prediction=prediction)
    e = np.abs(y - p)
    return reduce(np.where(e <= delta, e**2 / 2, delta * (e - delta / 2)), reduction)


def huber_gradient(target, prediction, delta: float = 1.0) -> np.ndarray:
    """∂/∂ŷ = ŷ - y, clipped to ±δ"""
    y, p = _alike(target=target, prediction=prediction)
    return np.clip(p - y, -delta, delta)


# ---------------------------------------------------------------- a label against a logit


def binary_cross_entropy(target, logit, reduction: str = "mean"):
    """Equation (ls-bce): -[y log σ(z) + (1-y) log(1-σ(z))] = log(1 + e^z) - y z, for y in {0, 1}."""
    y, z = _alike(target=target, logit=logit)
    # (1 - 2y) z is -z for a label of 1; one logaddexp then serves both, and neither cancels.
    return reduce(np.logaddexp(0.0, (1 - 2 * _labels(y)) * z), reduction)


def binary_cross_entropy_gradient(target, logit) -> np.ndarray:
    """∂/∂z = σ(z) - y"""
    y, z = _alike(target=target, logit=logit)
    return sigmoid(z) - _labels(y)


def categorical_cross_entropy(target, logits, reduction: str = "mean"):
    """Equation (ls-cce): log Σ_c e^{z_c} - z_y.  target : (n,) classes 0..C-1;  logits : (n, C)"""
    y, z = _classes(target, logits)
    return reduce(log_sum_exp(z) - z[np.arange(len(z)), y], reduction)


def categorical_cross_entropy_gradient(target, logits) -> np.ndarray:
    """∂/∂z_c = p_c - [c = y], (n, C), p being the softmax of z"""
    y, z = _classes(target, logits)
    return np.exp(z - log_sum_exp(z)[:, None]) - np.eye(z.shape[1])[y]


def log_sum_exp(z: np.ndarray) -> np.ndarray:
    """log Σ_c e^{z_c} of each row; the greatest is taken out first, so that nothing overflows."""
    top = z.max(axis=-1)
    return top + np.log(np.exp(z - top[..., None]).sum(axis=-1))


def _classes(target, logits) -> tuple[np.ndarray, np.ndarray]:
    y, z = _array("target", target), _array("logits", logits)
    if z.ndim != 2 or y.shape != z.shape[:1]:
        raise ValueError(f"`target` has shape {y.shape} and `logits` {z.shape}; give (n,) and (n, classes)")
    if not np.isin(y, np.arange(z.shape[1])).all():
        wrong = y[~np.isin(y, np.arange(z.shape[1]))][0]
        raise ValueError(
            f"`target` has {wrong:g}; classes are numbered 0 to {z.shape[1] - 1}, as `logits` has columns"
        )
    return y.astype(int), z


# ---------------------------------------------------------------- a positive against negatives


def bpr(positive, negative, reduction: str = "mean"):
    """Equation (ls-bpr): -log σ(s⁺ - s⁻), scores of an item met and of one not met. Source: Rendle et al. 2009."""
    s, t = _alike(positive=positive, negative=negative)
    return reduce(np.logaddexp(0.0, t - s), reduction)


def bpr_gradient(positive, negative) -> tuple[np.ndarray, np.ndarray]:
    """∂/∂s⁺ = -σ(s⁻ - s⁺) and ∂/∂s⁻, its opposite"""
    s, t = _alike(positive=positive, negative=negative)
    return -sigmoid(t - s), sigmoid(t - s)


def hinge(positive, negative, margin: float = 1.0, reduction: str = "mean"):
    """Equation (ls-hinge): max(0, margin - s⁺ + s⁻)."""
    _at_least("margin", margin, 0)
    s, t = _alike(positive=positive, negative=negative)
    return reduce(np.maximum(0.0, margin - s + t), reduction)


def hinge_gradient(positive, negative, margin: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """-1 and 1 where the margin is violated, else 0"""
    s, t = _alike(positive=positive, negative=negative)
    violated = (margin - s + t > 0).astype(float)
    return -violated, violated


def warp_weight(trials, n_items: int) -> np.ndarray:
    """Equation (ls-warp-weight): Φ(r) = 1 + 1/2 + … + 1/r of the rank r = max(1, ⌊(n_items - 1) / trials⌋).

    trials : how many negatives were drawn until one violated the margin: few draws mean a low-placed positive.
    Source: Weston, Bengio and Usunier 2011.
    """
    trials = np.asarray(trials)
    if n_items < 2 or trials.min(initial=1) < 1:
        raise ValueError(
            f"`trials` {trials.min(initial=1)}, `n_items` {n_items}; give at least 1 trial and 2 items"
        )
    ranks = np.maximum(1, (n_items - 1) // trials)
    return np.array([sum(1 / place for place in range(1, rank + 1)) for rank in ranks.ravel()]).reshape(
        ranks.shape
    )


def first_violator(positive: np.ndarray, negatives: np.ndarray, margin: float) -> np.ndarray:
    """(n,) column of the first negative of each row with margin - s⁺ + s⁻ > 0, or -1."""
    violates = margin - positive[:, None] + negatives > 0
    return np.where(violates.any(axis=1), violates.argmax(axis=1), -1)


def warp(positive, negatives, n_items: int, margin: float = 1.0, reduction: str = "mean"):
    """Equation (ls-warp): Φ · (margin - s⁺ + s⁻) of the first violator among the negatives, and 0 without any.

    positive : (n,) scores;  negatives : (n, t) scores of items not met, in the order of their drawing
    n_items : how many items compete. The weight Φ is held constant in the gradient.
    """
    s, t = _rows(positive, negatives)
    _at_least("margin", margin, 0)
    first = first_violator(s, t, margin)
    gap = margin - s + t[np.arange(len(s)), first]
    return reduce(np.where(first >= 0, warp_weight(first.clip(0) + 1, n_items) * gap, 0.0), reduction)


def warp_gradient(positive, negatives, n_items: int, margin: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """-Φ for the positive and Φ for the first violator, 0 for every other negative"""
    s, t = _rows(positive, negatives)
    first = first_violator(s, t, margin)
    weight = np.where(first >= 0, warp_weight(first.clip(0) + 1, n_items), 0.0)
    return -weight, weight[:, None] * (np.arange(t.shape[1]) == first[:, None])


def softmax(positive, negatives, reduction: str = "mean"):
    """Equation (ls-softmax): -log of e^{s⁺} / (e^{s⁺} + Σ_j e^{s_j}).  positive : (n,);  negatives : (n, m)

    With all other items as negatives it is `categorical_cross_entropy` over items.
    """
    s, t = _rows(positive, negatives)
    return reduce(log_sum_exp(np.column_stack([s, t])) - s, reduction)


def softmax_gradient(positive, negatives) -> tuple[np.ndarray, np.ndarray]:
    """p⁺ - 1 and p_j, p being the softmax over the positive and its negatives"""
    s, t = _rows(positive, negatives)
    total = log_sum_exp(np.column_stack([s, t]))
    return np.exp(s - total) - 1, np.exp(t - total[:, None])


def sampled_softmax(positive, negatives, log_q_positive, log_q_negatives, reduction: str = "mean"):
    """Equation (ls-sampled): the softmax of s - log q, q being the chance with which the sampler draws an item.

    positive, log_q_positive : (n,);  negatives, log_q_negatives : (n, m). q may be off by one factor for all.
    Source: Bengio and Senécal 2008.
    """
    s, t = _rows(positive, negatives)
    s, a = _alike(positive=s, log_q_positive=log_q_positive)
    t, b = _alike(negatives=t, log_q_negatives=log_q_negatives)
    return softmax(s - a, t - b, reduction)


def sampled_softmax_gradient(positive, negatives, log_q_positive, log_q_negatives):
    """As `softmax_gradient`, of the corrected scores"""
    return softmax_gradient(
        np.asarray(positive, float) - log_q_positive, np.asarray(negatives, float) - log_q_negatives
    )


def _rows(positive, negatives) -> tuple[np.ndarray, np.ndarray]:
    s, t = _array("positive", positive), _array("negatives", negatives)
    if s.ndim != 1 or t.ndim != 2 or len(s) != len(t):
        raise ValueError(f"`positive` has shape {s.shape} and `negatives` {t.shape}; give (n,) and (n, m)")
    return s, t


# ---------------------------------------------------------------- penalties


def l1(parameter, reg: float) -> float:
    """Equation (ls-l1): λ Σ |θ|. Source: Tibshirani 1996."""
    _at_least("reg", reg, 0)
    return float(reg * np.abs(_array("parameter", parameter)).sum())


def l1_gradient(parameter, reg: float) -> np.ndarray:
    """λ sign(θ), and 0 at the kink: one of its subgradients"""
    return reg * np.sign(_array("parameter", parameter))


def soft_threshold(parameter, threshold: float) -> np.ndarray:
    """Equation (ls-soft): sign(θ) max(|θ| - τ, 0), what minimises (θ' - θ)²/2 + τ |θ'|: small ones become 0."""
    _at_least("threshold", threshold, 0)
    parameter = _array("parameter", parameter)
    return np.sign(parameter) * np.maximum(np.abs(parameter) - threshold, 0.0)


def l2(parameter, reg: float) -> float:
    """Equation (ls-l2): λ Σ θ², without the ½ of some books. Source: Hoerl and Kennard 1970."""
    _at_least("reg", reg, 0)
    return float(reg * (_array("parameter", parameter) ** 2).sum())


def l2_gradient(parameter, reg: float) -> np.ndarray:
    """2 λ θ"""
    return 2 * reg * _array("parameter", parameter)


def elastic_net(parameter, reg: float, l1_ratio: float = 0.5) -> float:
    """Equation (ls-elastic): λ (ρ Σ|θ| + (1-ρ) Σ θ²), without a ½. Source: Zou and Hastie 2005."""
    _check_ratio(l1_ratio)
    return l1(parameter, reg * l1_ratio) + l2(parameter, reg * (1 - l1_ratio))


def elastic_net_gradient(parameter, reg: float, l1_ratio: float = 0.5) -> np.ndarray:
    """λ (ρ sign(θ) + 2 (1-ρ) θ)"""
    return l1_gradient(parameter, reg * l1_ratio) + l2_gradient(parameter, reg * (1 - l1_ratio))


def _check_ratio(l1_ratio: float) -> None:
    if not 0 <= l1_ratio <= 1:
        raise ValueError(f"`l1_ratio` is {l1_ratio!r}; give a number from 0 (L2 alone) to 1 (L1 alone)")


def count_weighted_l2(parameter, counts, reg: float) -> float:
    """Equation (ls-counted): λ Σ_r n_r ‖θ_r‖², a row for a user or an item, n_r its number of ratings.

    parameter : (rows,) or (rows, k);  counts : (rows,). It is what λ ‖θ_u‖² in every rating's own term adds up to.
    """
    _at_least("reg", reg, 0)
    theta, n = _counted(parameter, counts)
    return float(reg * (n * theta**2).sum())


def count_weighted_l2_gradient(parameter, counts, reg: float) -> np.ndarray:
    """2 λ n_r θ_r"""
    theta, n = _counted(parameter, counts)
    return 2 * reg * n * theta


def _counted(parameter, counts) -> tuple[np.ndarray, np.ndarray]:
    theta, n = _array("parameter", parameter), _array("counts", counts)
    if n.ndim != 1 or len(n) != len(theta):
        raise ValueError(
            f"`parameter` has shape {theta.shape} and `counts` {n.shape}; give a count for each row"
        )
    if n.min() < 0:
        raise ValueError(f"`counts` has {n.min():g}; a count is at least 0")
    return theta, n.reshape(-1, *[1] * (theta.ndim - 1))
