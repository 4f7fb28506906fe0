"""Measures of scores and probabilities of clicks: their order, and how far they can be trusted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recbook.metrics._labels import check_labels


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a relevant pair has a higher score than one that is not.

    Over all couples of the two kinds, a tie counting ½ (Hanley and McNeil 1982). All pairs are thrown together, so
    that users with higher scores on average play a part: see `gauc`.

    labels : (n,) bool, or 0 and 1;  scores : (n,)

    Raises ValueError for different shapes, NaN, or labels of one class only.
    """
    labels, scores = check_labels(labels, scores, "scores")
    value = auc_by_group(labels, scores, np.zeros(len(labels), np.int64))[0]
    if np.isnan(value):
        raise ValueError(f"`labels` are all {bool(labels[0])}; AUC needs pairs of both classes")
    return float(value)


def auc_by_group(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """`auc` within each group, (n_groups,), NaN where a group's pairs are of one class only.

    labels : (n,) bool, or 0 and 1;  scores : (n,);  groups : (n,) whole numbers 0..n_groups-1, such as users

    Raises ValueError for different shapes, or NaN.
    """
    labels, scores = check_labels(labels, scores, "scores")
    groups = np.asarray(groups)
    if groups.shape != labels.shape or groups.dtype.kind not in "iu" or groups.min() < 0:
        raise ValueError(
            f"`groups` is {groups.dtype} of shape {groups.shape}; give one whole number from 0 on for each of "
            f"the {len(labels)} pairs: np.unique(users, return_inverse=True)[1]"
        )
    order = np.lexsort((scores, groups))
    labels, scores, groups = labels[order], scores[order], groups[order]
    new = np.append(True, (groups[1:] != groups[:-1]) | (scores[1:] != scores[:-1]))
    tie = np.cumsum(new) - 1
    # Ranks from 1 within the group; who ties shares the mean of the places.
    rank = np.flatnonzero(new)[tie] + (np.bincount(tie)[tie] + 1) / 2 - np.searchsorted(groups, groups)
    positive = np.bincount(groups, labels)
    negative = np.bincount(groups) - positive
    wins = np.bincount(groups, rank * labels) - positive * (positive + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(positive * negative > 0, wins / (positive * negative), np.nan)


class GroupedAUC(NamedTuple):
    """What `gauc` gives: its value, the groups it is over, and those left out because of one class only."""

    value: float
    n_groups: int
    left_out: int


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> GroupedAUC:
    """Mean of the AUC within each group, weighted by its impressions: Σ n_g AUC_g / Σ n_g (Zhou et al. 2018).

    Groups whose pairs are all of one class have no AUC: they are left out of both sums, and counted.

    labels, scores, groups : as in `auc_by_group`; n_g is how many pairs a group has

    Raises ValueError as `auc_by_group`, and where no group has both classes.
    """
    values = auc_by_group(labels, scores, groups)
    impressions = np.bincount(groups)
    there, usable = impressions > 0, ~np.isnan(values)
    if not usable.any():
        raise ValueError(f"none of the {int(there.sum())} groups has pairs of both classes; GAUC needs one")
    value = np.average(values[usable], weights=impressions[usable])
    return GroupedAUC(float(value), int(usable.sum()), int((there & ~usable).sum()))


def log_loss(
    labels: np.ndarray, predictions: np.ndarray, *, logits: bool = False, eps: float = 1e-7
) -> float:
    """Mean of -log of the probability that was given to what happened; natural logarithm.

    labels : (n,) bool, or 0 and 1
    predictions : (n,) probabilities of a 1; with logits=True z, where the probability is 1 / (1 + e^-z): exact however
        large z is
    eps : probabilities are first cut to [eps, 1 - eps], because a sigmoid in float32 is 1 from z = 17 on, and one such
        pair would make the mean infinite; 0 cuts nothing. Logits are never cut.

    Raises ValueError for different shapes, no pairs, NaN, probabilities outside [0, 1], or a bad eps.
    """
    return float(np.mean(log_losses(labels, predictions, logits=logits, eps=eps)))


def log_losses(
    labels: np.ndarray, predictions: np.ndarray, *, logits: bool = False, eps: float = 1e-7
) -> np.ndarray:
    """The terms whose mean is `log_loss`, (n,); arguments and errors are the same."""
    if not 0 <= eps < 0.5:
        raise ValueError(f"`eps` is {eps!r}; give a number from 0 to below 0.5, such as 1e-7")
    labels, predictions = check_labels(labels, predictions)
    if logits:
        return np.logaddexp(0.0, np.where(labels, -predictions, predictions))
    p = _check_probabilities(predictions).clip(eps, 1 - eps)
    with np.errstate(divide="ignore"):  # eps=0: infinity is what was asked for
        return -np.where(labels, np.log(p), np.log1p(-p))


def _check_probabilities(predictions: np.ndarray) -> np.ndarray:
    if (bad := (predictions < 0) | (predictions > 1)).any():
        raise ValueError(
            f"`predictions`, row {bad.argmax()}: {predictions[bad.argmax()]} is no probability; give "
            "numbers from 0 to 1 (log_loss takes logits as well, with logits=True)"
        )
    return predictions


class Reliability(NamedTuple):
    """What `reliability` gives, an entry for each bin that is not empty.

    predicted : mean probability;  observed : share that is relevant;  count : pairs in the bin
    """

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 10, *, by: str = "width"
) -> Reliability:
    """Of the pairs that were given about p, which share came true? Equal numbers mean: calibrated.

    labels : (n,) bool, or 0 and 1;  probabilities : (n,) in [0, 1]
    bins : how many. by="width": ((b-1) / bins, b / bins], the first with 0. by="count": cut at the quantiles, so that
        each has about n / bins pairs; equal probabilities stay together.

    Raises ValueError for different shapes, no pairs, NaN, probabilities outside [0, 1], or a bad option.
    """
    labels, p = check_labels(labels, probabilities)
    _check_probabilities(p)
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise ValueError(f"`bins` is {bins!r}; give a whole number, at least 1")
    if by not in ("width", "count"):
        raise ValueError(f"`by` is {by!r}; choose one of ('width', 'count')")
    shares = np.arange(1, bins) / bins
    inside = np.searchsorted(shares if by == "width" else np.quantile(p, shares), p)
    count = np.bincount(inside, minlength=bins)
    used = count > 0
    sums = np.bincount(inside, p, bins)[used], np.bincount(inside, labels, bins)[used]
    return Reliability(sums[0] / count[used], sums[1] / count[used], count[used])


def calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = 10, *, by: str = "width"
) -> float:
    """Expected calibration error: Σ_b (n_b / n) |observed_b - predicted_b| (Naeini et al. 2015).

    The bins and arguments are those of `reliability`. It depends on them: compare at equal bins only.
    """
    table = reliability(labels, probabilities, bins, by=by)
    return float(np.average(np.abs(table.observed - table.predicted), weights=table.count))
