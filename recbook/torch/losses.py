"""Losses and penalties in PyTorch (chapter `losses`).

Tensors or NumPy arrays in, a tensor out, on the device and in the dtype of the predictions. A loss compares lists of
observed pairs; `reduction` says what becomes of its n values: their "mean" (divided by n), their "sum", or "none".

All raise ValueError for shapes that do not match, empty lists and hyper-parameters out of range. Labels and
other targets are looked at as well, for NaN and for what is none, where that is cheap: where they are NumPy arrays
or lie on the CPU. On another device that would make it wait, so a bad target shows there as a NaN, or not at all.
Predictions are never looked at: a NaN among them makes the loss NaN, which `fit` reports.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recbook.recommender import check_choice, check_number

REDUCTIONS = ("mean", "sum", "none")


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    check_choice("reduction", reduction, REDUCTIONS)
    return losses if reduction == "none" else getattr(losses, reduction)()


def _tensor(values) -> Tensor:
    """Shares memory where that can be written to; PyTorch has no tensors that cannot."""
    frozen = isinstance(values, np.ndarray) and not values.flags.writeable
    return torch.as_tensor(values.copy() if frozen else values)


def _floats(name: str, values) -> Tensor:
    values = _tensor(values)
    if not values.is_floating_point():
        raise ValueError(f"`{name}` is {values.dtype}; give floating-point numbers")
    if not values.numel():
        raise ValueError(f"`{name}` is empty; a loss needs at least one value")
    return values


def _alike(**tensors) -> list[Tensor]:
    """Tensors of one shape."""
    found = {name: _floats(name, values) for name, values in tensors.items()}
    (first, one), *others = found.items()
    for name, other in others:
        if other.shape != one.shape:
            raise ValueError(
                f"`{first}` has shape {tuple(one.shape)} and `{name}` {tuple(other.shape)}; give both the same "
                "(a column against a list would be paired each with each: ravel() it)"
            )
    return list(found.values())


def _target(target, prediction: Tensor) -> Tensor:
    """The target like the prediction; NaN found where the target is on the CPU."""
    target = _tensor(target)
    if target.device.type == "cpu" and not torch.isfinite(target).all():
        raise ValueError("`target` has NaN or infinity; leave such rows out: what is missing is not compared")
    return target.to(prediction)


def _labels(target, logit: Tensor) -> Tensor:
    target = _tensor(target)
    if target.device.type == "cpu" and not ((target == 0) | (target == 1)).all():
        wrong = target[~((target == 0) | (target == 1))][0]
        raise ValueError(
            f"`target` has {wrong:g}; a label is 0 or 1. Make labels of ratings first: ratings >= 4"
        )
    return target.to(logit)


# ---------------------------------------------------------------- a number against a number


def squared(target, prediction, reduction: str = "mean") -> Tensor:
    """Equation (ls-squared): (y - ŷ)².  target, prediction : of one shape"""
    prediction = _floats("prediction", prediction)
    y, p = _alike(target=_target(target, prediction), prediction=prediction)
    return _reduce(torch.square(y - p), reduction)


def absolute(target, prediction, reduction: str = "mean") -> Tensor:
    """Equation (ls-absolute): |y - ŷ|.  target, prediction : of one shape"""
    prediction = _floats("prediction", prediction)
    y, p = _alike(target=_target(target, prediction), prediction=prediction)
    return _reduce(torch.abs(y - p), reduction)


def huber(target, prediction, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Equation (ls-huber): e²/2 where |e| ≤ δ, else δ (|e| - δ/2).  target, prediction : of one shape"""
    check_number("delta", delta, 0, above=True)
    prediction = _floats("prediction", prediction)
    y, p = _alike(target=_target(target, prediction), prediction=prediction)
    e = torch.abs(y - p)
    return _reduce(torch.where(e <= delta, e * e / 2, delta * (e - delta / 2)), reduction)


# ---------------------------------------------------------------- a label against a logit


def binary_cross_entropy(target, logit, reduction: str = "mean") -> Tensor:
    """Equation (ls-bce): log(1 + e^z) - y z, for labels y of 0 or 1.  target, logit : of one shape"""
    logit = _floats("logit", logit)
    y, z = _alike(target=_labels(target, logit), logit=logit)
    return _reduce(-F.logsigmoid((2 * y - 1) * z), reduction)


def categorical_cross_entropy(target, logits, reduction: str = "mean") -> Tensor:
    """Equation (ls-cce): log Σ_c e^{z_c} - z_y.  target : (n,) classes 0..C-1;  logits : (n, C)"""
    target, z = _tensor(target), _floats("logits", logits)
    if z.ndim != 2 or target.shape != z.shape[:1]:
        raise ValueError(
            f"`target` has shape {tuple(target.shape)} and `logits` {tuple(z.shape)}; give (n,) and (n, classes)"
        )
    if target.is_floating_point():
        raise ValueError(f"`target` is {target.dtype}; classes are whole numbers")
    if target.device.type == "cpu" and not ((target >= 0) & (target < z.shape[1])).all():
        wrong = target[(target < 0) | (target >= z.shape[1])][0]
        raise ValueError(
            f"`target` has {wrong}; classes are numbered 0 to {z.shape[1] - 1}, as `logits` has columns"
        )
    y = target.to(z.device, torch.int64)
    return _reduce(torch.logsumexp(z, dim=1) - z.gather(1, y[:, None])[:, 0], reduction)


# ---------------------------------------------------------------- a positive against negatives


def bpr(positive, negative, reduction: str = "mean") -> Tensor:
    """Equation (ls-bpr): -log σ(s⁺ - s⁻).  positive, negative : scores, of one shape"""
    s, t = _alike(positive=positive, negative=negative)
    return _reduce(-F.logsigmoid(s - t), reduction)


def hinge(positive, negative, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """Equation (ls-hinge): max(0, margin - s⁺ + s⁻).  positive, negative : scores, of one shape"""
    check_number("margin", margin, 0)
    s, t = _alike(positive=positive, negative=negative)
    return _reduce(F.relu(margin - s + t), reduction)


def warp_weight(trials, n_items: int) -> Tensor:
    """Equation (ls-warp-weight): Φ(r) = 1 + 1/2 + … + 1/r of the rank r = max(1, ⌊(n_items - 1) / trials⌋).

    trials : NumPy, whole numbers of at least 1: how many negatives were drawn until one violated the margin
    """
    check_number("n_items", n_items, 2, whole=True)
    trials = np.asarray(trials)
    if trials.min(initial=1) < 1:
        raise ValueError(f"`trials` has {trials.min()}; the first draw is number 1")
    harmonic = np.cumsum(1 / np.arange(1, n_items))
    return torch.as_tensor(harmonic[np.maximum(1, (n_items - 1) // trials) - 1])


def warp(positive, negatives, n_items: int, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """Equation (ls-warp): Φ · (margin - s⁺ + s⁻) of the first violator among the negatives, and 0 without any.

    positive : (n,) scores;  negatives : (n, t) scores of items not met, in the order of their drawing
    n_items : how many items compete. The weight Φ is held constant in the gradient.
    """
    check_number("margin", margin, 0)
    s, t = _rows(positive, negatives)
    gaps = margin - s[:, None] + t
    n = t.shape[1]
    # The first violator has the greatest of n, n-1, …, 1; one that violates nothing has 0.
    turn, first = ((gaps > 0) * torch.arange(n, 0, -1, device=gaps.device)).max(dim=1)
    gap = gaps.gather(1, first[:, None])[:, 0]
    weight = warp_weight(np.arange(1, n + 1), n_items).to(gaps)[first]
    return _reduce(torch.where(turn > 0, weight * gap, torch.zeros_like(gap)), reduction)


def softmax(positive, negatives, reduction: str = "mean") -> Tensor:
    """Equation (ls-softmax): -log of e^{s⁺} / (e^{s⁺} + Σ_j e^{s_j}).  positive : (n,);  negatives : (n, m)"""
    s, t = _rows(positive, negatives)
    return _reduce(torch.logsumexp(torch.cat([s[:, None], t], dim=1), dim=1) - s, reduction)


def sampled_softmax(positive, negatives, log_q_positive, log_q_negatives, reduction: str = "mean") -> Tensor:
    """Equation (ls-sampled): the softmax of s - log q, q being the chance with which the sampler draws an item.

    positive, log_q_positive : (n,);  negatives, log_q_negatives : (n, m). q may be off by one factor for all.
    """
    s, t = _rows(positive, negatives)
    s, a = _alike(positive=s, log_q_positive=_tensor(log_q_positive).to(s))
    t, b = _alike(negatives=t, log_q_negatives=_tensor(log_q_negatives).to(t))
    return softmax(s - a, t - b, reduction)


def _rows(positive, negatives) -> tuple[Tensor, Tensor]:
    s, t = _floats("positive", positive), _floats("negatives", negatives)
    if s.ndim != 1 or t.ndim != 2 or len(s) != len(t):
        raise ValueError(
            f"`positive` has shape {tuple(s.shape)} and `negatives` {tuple(t.shape)}; give (n,) and (n, m)"
        )
    return s, t


# ---------------------------------------------------------------- penalties


def l1(parameter, reg: float) -> Tensor:
    """Equation (ls-l1): λ Σ |θ|."""
    check_number("reg", reg, 0)
    return reg * torch.abs(_floats("parameter", parameter)).sum()


def soft_threshold(parameter, threshold: float) -> Tensor:
    """Equation (ls-soft): sign(θ) max(|θ| - τ, 0): small ones become 0."""
    check_number("threshold", threshold, 0)
    parameter = _floats("parameter", parameter)
    return torch.sign(parameter) * F.relu(torch.abs(parameter) - threshold)


def l2(parameter, reg: float) -> Tensor:
    """Equation (ls-l2): λ Σ θ², without a ½."""
    check_number("reg", reg, 0)
    return reg * torch.square(_floats("parameter", parameter)).sum()


def elastic_net(parameter, reg: float, l1_ratio: float = 0.5) -> Tensor:
    """Equation (ls-elastic): λ (ρ Σ|θ| + (1-ρ) Σ θ²), without a ½."""
    if not 0 <= l1_ratio <= 1:
        raise ValueError(f"`l1_ratio` is {l1_ratio!r}; give a number from 0 (L2 alone) to 1 (L1 alone)")
    return l1(parameter, reg * l1_ratio) + l2(parameter, reg * (1 - l1_ratio))


def count_weighted_l2(parameter, counts, reg: float) -> Tensor:
    """Equation (ls-counted): λ Σ_r n_r ‖θ_r‖².

    parameter : (rows,) or (rows, k);  counts : (rows,), each row's number of ratings
    """
    check_number("reg", reg, 0)
    theta, counts = _floats("parameter", parameter), _tensor(counts)
    if counts.ndim != 1 or len(counts) != len(theta):
        raise ValueError(
            f"`parameter` has shape {tuple(theta.shape)} and `counts` {tuple(counts.shape)}; "
            "give a count for each row"
        )
    return reg * (counts.to(theta) * torch.square(theta).reshape(len(theta), -1).sum(dim=1)).sum()
