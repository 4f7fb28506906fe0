"""Losses and penalties in Keras (chapter `losses`), on any of its backends.

Tensors or NumPy arrays in, a tensor out, in the dtype of the predictions. A loss compares lists of observed pairs;
`reduction` says what becomes of its n values: their "mean" (divided by n), their "sum", or "none".

All raise ValueError for shapes that do not match, empty lists and hyper-parameters out of range. Labels and
other targets are looked at as well, for NaN and for what is none, where that is cheap: where they are NumPy arrays,
or lie on the CPU outside of a compiled graph. Elsewhere that would make a device wait, so a bad target shows as a
NaN, or not at all. Predictions are never looked at: a NaN among them makes the loss NaN, which `fit` reports.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from recbook.keras import _backend as backend
from recbook.recommender import check_choice, check_number

REDUCTIONS = ("mean", "sum", "none")


def _reduce(losses, reduction: str):
    check_choice("reduction", reduction, REDUCTIONS)
    if reduction == "none":
        return losses
    # Not ops.mean: on jax and torch it takes float64 through float32.
    total = ops.sum(losses)
    return total / math.prod(losses.shape) if reduction == "mean" else total


def _dtype(tensor) -> str:
    return keras.backend.standardize_dtype(tensor.dtype)


def _floats(name: str, values):
    values = ops.convert_to_tensor(values)
    if "float" not in _dtype(values):
        raise ValueError(f"`{name}` is {_dtype(values)}; give floating-point numbers")
    if 0 in values.shape:
        raise ValueError(f"`{name}` is empty; a loss needs at least one value")
    return values


def _alike(**tensors) -> list:
    """Tensors of one shape."""
    found = {name: _floats(name, values) for name, values in tensors.items()}
    (first, one), *others = found.items()
    for name, other in others:
        if tuple(other.shape) != tuple(one.shape):
            raise ValueError(
                f"`{first}` has shape {tuple(one.shape)} and `{name}` {tuple(other.shape)}; give both the same "
                "(a column against a list would be paired each with each: ravel() it)"
            )
    return list(found.values())


def _like(values, tensor):
    return ops.cast(ops.convert_to_tensor(values), tensor.dtype)


def _peek(values) -> np.ndarray | None:
    """The values, where looking at them does not make a device wait."""
    if isinstance(values, np.ndarray | list | tuple):
        return np.asarray(values)
    return backend.peek(ops.convert_to_tensor(values))


def _target(target, prediction):
    """The target like the prediction; NaN found where the target can be looked at."""
    values = _peek(target)
    if values is not None and not np.isfinite(values).all():
        raise ValueError("`target` has NaN or infinity; leave such rows out: what is missing is not compared")
    return _like(target, prediction)


def _labels(target, logit):
    values = _peek(target)
    if values is not None and not np.isin(values, (0, 1)).all():
        wrong = values[~np.isin(values, (0, 1))][0]
        raise ValueError(
            f"`target` has {wrong:g}; a label is 0 or 1. Make labels of ratings first: ratings >= 4"
        )
    return _like(target, logit)


def _abs(x):
    """|x| with the gradient sign(x), which is 0 at 0: that of ops.abs is 1 there on jax."""
    return ops.sign(x) * x


# ---------------------------------------------------------------- a number against a number


def squared(target, prediction, reduction: str = "mean"):
    """Equation (ls-squared): (y - ŷ)².  target, prediction : of one shape"""
    prediction = _floats("prediction", prediction)
    y, p = _alike(target=_target(target, prediction), prediction=prediction)
    return _reduce(ops.square(y - p), reduction)


def absolute(target, prediction, reduction: str = "mean"):
    """Equation (ls-absolute): |y - ŷ|.  target, prediction : of one shape"""
    prediction = _floats("prediction", prediction)
    y, p = _alike(target=_target(target, prediction), prediction=prediction)
    return _reduce(_abs(y - p), reduction)


def huber(target, prediction, delta: float = 1.0, reduction: str = "mean"):
    """Equation (ls-huber): e²/2 where |e| ≤ δ, else δ (|e| - δ/2).  target, prediction : of one shape"""
    check_number("delta", delta, 0, above=True)
    prediction = _floats("prediction", prediction)
    y, p = _alike(target=_target(target, prediction), prediction=prediction)
    e = _abs(y - p)
    return _reduce(ops.where(e <= delta, e * e / 2, delta * (e - delta / 2)), reduction)


# ---------------------------------------------------------------- a label against a logit


def binary_cross_entropy(target, logit, reduction: str = "mean"):
    """Equation (ls-bce): log(1 + e^z) - y z, for labels y of 0 or 1.  target, logit : of one shape"""
    logit = _floats("logit", logit)
    y, z = _alike(target=_labels(target, logit), logit=logit)
    # Not ops.softplus: on the torch backend it is linear from 20 on, which costs ten digits of float64's.
    return _reduce(-ops.log_sigmoid((2 * y - 1) * z), reduction)


def categorical_cross_entropy(target, logits, reduction: str = "mean"):
    """Equation (ls-cce): log Σ_c e^{z_c} - z_y.  target : (n,) classes 0..C-1;  logits : (n, C)"""
    z, values = _floats("logits", logits), _peek(target)
    target = ops.convert_to_tensor(target)
    if len(z.shape) != 2 or tuple(target.shape) != tuple(z.shape[:1]):
        raise ValueError(
            f"`target` has shape {tuple(target.shape)} and `logits` {tuple(z.shape)}; give (n,) and (n, classes)"
        )
    if "float" in _dtype(target):
        raise ValueError(f"`target` is {_dtype(target)}; classes are whole numbers")
    if values is not None and not np.isin(values, np.arange(z.shape[1])).all():
        wrong = values[~np.isin(values, np.arange(z.shape[1]))][0]
        raise ValueError(
            f"`target` has {wrong}; classes are numbered 0 to {z.shape[1] - 1}, as `logits` has columns"
        )
    return _reduce(ops.logsumexp(z, axis=1) - _pick(z, ops.cast(target, "int32")), reduction)


def _pick(table, columns):
    """(n,) entry of each row of (n, c) that stands in the given column."""
    return ops.take_along_axis(table, columns[:, None], axis=1)[:, 0]


# ---------------------------------------------------------------- a positive against negatives


def bpr(positive, negative, reduction: str = "mean"):
    """Equation (ls-bpr): -log σ(s⁺ - s⁻).  positive, negative : scores, of one shape"""
    s, t = _alike(positive=positive, negative=negative)
    return _reduce(-ops.log_sigmoid(s - t), reduction)


def hinge(positive, negative, margin: float = 1.0, reduction: str = "mean"):
    """Equation (ls-hinge): max(0, margin - s⁺ + s⁻).  positive, negative : scores, of one shape"""
    check_number("margin", margin, 0)
    s, t = _alike(positive=positive, negative=negative)
    return _reduce(ops.relu(margin - s + t), reduction)


def warp_weight(trials, n_items: int):
    """Equation (ls-warp-weight): Φ(r) = 1 + 1/2 + … + 1/r of the rank r = max(1, ⌊(n_items - 1) / trials⌋).

    trials : NumPy, whole numbers of at least 1: how many negatives were drawn until one violated the margin
    """
    check_number("n_items", n_items, 2, whole=True)
    trials = np.asarray(trials)
    if trials.min(initial=1) < 1:
        raise ValueError(f"`trials` has {trials.min()}; the first draw is number 1")
    harmonic = np.cumsum(1 / np.arange(1, n_items))
    return ops.convert_to_tensor(harmonic[np.maximum(1, (n_items - 1) // trials) - 1])


def warp(positive, negatives, n_items: int, margin: float = 1.0, reduction: str = "mean"):
    """Equation (ls-warp): Φ · (margin - s⁺ + s⁻) of the first violator among the negatives, and 0 without any.

    positive : (n,) scores;  negatives : (n, t) scores of items not met, in the order of their drawing
    n_items : how many items compete. The weight Φ is held constant in the gradient.
    """
    check_number("margin", margin, 0)
    s, t = _rows(positive, negatives)
    gaps = margin - s[:, None] + t
    n = t.shape[1]
    # The first violator has the greatest of n, n-1, …, 1; one that violates nothing has 0.
    turns = ops.where(gaps > 0, ops.arange(n, 0, -1, dtype="int32"), 0)
    first, violated = ops.argmax(turns, axis=1), ops.max(turns, axis=1) > 0
    gap = _pick(gaps, first)
    weight = ops.take(_like(warp_weight(np.arange(1, n + 1), n_items), gap), first)
    return _reduce(ops.where(violated, weight * gap, ops.zeros_like(gap)), reduction)


def softmax(positive, negatives, reduction: str = "mean"):
    """Equation (ls-softmax): -log of e^{s⁺} / (e^{s⁺} + Σ_j e^{s_j}).  positive : (n,);  negatives : (n, m)"""
    s, t = _rows(positive, negatives)
    return _reduce(ops.logsumexp(ops.concatenate([s[:, None], t], axis=1), axis=1) - s, reduction)


def sampled_softmax(positive, negatives, log_q_positive, log_q_negatives, reduction: str = "mean"):
    """Equation (ls-sampled): the softmax of s - log q, q being the chance with which the sampler draws an item.

    positive, log_q_positive : (n,);  negatives, log_q_negatives : (n, m). q may be off by one factor for all.
    """
    s, t = _rows(positive, negatives)
    s, a = _alike(positive=s, log_q_positive=_like(log_q_positive, s))
    t, b = _alike(negatives=t, log_q_negatives=_like(log_q_negatives, t))
    return softmax(s - a, t - b, reduction)


def _rows(positive, negatives) -> tuple:
    s, t = _floats("positive", positive), _floats("negatives", negatives)
    if len(s.shape) != 1 or len(t.shape) != 2 or s.shape[0] != t.shape[0]:
        raise ValueError(
            f"`positive` has shape {tuple(s.shape)} and `negatives` {tuple(t.shape)}; give (n,) and (n, m)"
        )
    return s, t


# ---------------------------------------------------------------- penalties


def l1(parameter, reg: float):
    """Equation (ls-l1): λ Σ |θ|."""
    check_number("reg", reg, 0)
    return reg * ops.sum(_abs(_floats("parameter", parameter)))


def soft_threshold(parameter, threshold: float):
    """Equation (ls-soft): sign(θ) max(|θ| - τ, 0): small ones become 0."""
    check_number("threshold", threshold, 0)
    parameter = _floats("parameter", parameter)
    return ops.sign(parameter) * ops.relu(ops.abs(parameter) - threshold)


def l2(parameter, reg: float):
    """Equation (ls-l2): λ Σ θ², without a ½."""
    check_number("reg", reg, 0)
    return reg * ops.sum(ops.square(_floats("parameter", parameter)))


def elastic_net(parameter, reg: float, l1_ratio: float = 0.5):
    """Equation (ls-elastic): λ (ρ Σ|θ| + (1-ρ) Σ θ²), without a ½."""
    if not 0 <= l1_ratio <= 1:
        raise ValueError(f"`l1_ratio` is {l1_ratio!r}; give a number from 0 (L2 alone) to 1 (L1 alone)")
    return l1(parameter, reg * l1_ratio) + l2(parameter, reg * (1 - l1_ratio))


def count_weighted_l2(parameter, counts, reg: float):
    """Equation (ls-counted): λ Σ_r n_r ‖θ_r‖².

    parameter : (rows,) or (rows, k);  counts : (rows,), each row's number of ratings
    """
    check_number("reg", reg, 0)
    theta, counts = _floats("parameter", parameter), ops.convert_to_tensor(counts)
    if len(counts.shape) != 1 or counts.shape[0] != theta.shape[0]:
        raise ValueError(
            f"`parameter` has shape {tuple(theta.shape)} and `counts` {tuple(counts.shape)}; "
            "give a count for each row"
        )
    squares = ops.sum(ops.reshape(ops.square(theta), (theta.shape[0], -1)), axis=1)
    return reg * ops.sum(_like(counts, theta) * squares)
