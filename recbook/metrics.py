"""Measures: how far ratings are off, how good the top of a list is, and what lists do to a catalogue.

Measures of ratings, labels and probabilities take lists of pairs and give one number. Measures of lists take a
matrix of scores, and one of what is relevant, and give one value a user: the mean over users is the
caller's (`evaluate` takes it).

An item whose score is -inf is no candidate: it is never in a list. What is relevant and no candidate
still counts as relevant, and is missed.

Ties. A model that gives two items one score has not said which comes first. With ties="expected" a
measure is its exact expected value over all orders within each tie; with ties="first" the item
in the lower column comes first, as in `recommend`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recbook.core.blocks import blocks
from recbook.core.ragged import top_k

TIES = ("expected", "first")
DENOMINATORS = ("target", "min")


# ---------------------------------------------------------------- ratings


def mse(ratings: np.ndarray, predictions: np.ndarray) -> float:
    """Mean squared error, Σ (r - r̂)² / n, over n pairs; in squared units of the ratings.

    ratings, predictions : (n,) each

    Raises ValueError for different shapes, no pairs, NaN or infinity.
    """
    ratings, predictions = _check_pairs(ratings, predictions)
    return float(np.mean((ratings - predictions) ** 2))


def rmse(ratings: np.ndarray, predictions: np.ndarray) -> float:
    """Root mean squared error, √(Σ (r - r̂)² / n), over n pairs; in units of the ratings.

    The mean is over all pairs at once: a user with many ratings weighs more than one with few.

    ratings, predictions : (n,) each

    Raises ValueError for different shapes, no pairs, NaN or infinity.
    """
    return mse(ratings, predictions) ** 0.5


def mae(ratings: np.ndarray, predictions: np.ndarray) -> float:
    """Mean absolute error, Σ |r - r̂| / n, over n pairs; in units of the ratings.

    ratings, predictions : (n,) each

    Raises ValueError for different shapes, no pairs, NaN or infinity.
    """
    ratings, predictions = _check_pairs(ratings, predictions)
    return float(np.mean(np.abs(ratings - predictions)))


def _check_pairs(ratings, predictions) -> tuple[np.ndarray, np.ndarray]:
    ratings, predictions = np.asarray(ratings, np.float64), np.asarray(predictions, np.float64)
    # NumPy would broadcast (n,) against (n, 1) to n × n pairs, and average those in silence.
    if ratings.shape != predictions.shape or ratings.ndim != 1:
        raise ValueError(
            f"`ratings` has shape {ratings.shape} and `predictions` {predictions.shape}; give one list "
            "of each, of equal length: array.ravel() flattens a column"
        )
    if not len(ratings):
        raise ValueError("`ratings` is empty; an error needs at least one pair")
    for name, values in (("ratings", ratings), ("predictions", predictions)):
        if (bad := ~np.isfinite(values)).any():
            raise ValueError(
                f"`{name}`, row {bad.argmax()}: {values[bad.argmax()]} is no number, and has no error; "
                "leave such pairs out of both lists, and say how many"
            )
    return ratings, predictions


# ---------------------------------------------------------------- labels


def accuracy(labels: np.ndarray, predictions: np.ndarray, threshold: float | None = None) -> float:
    """Share of pairs that are judged rightly: (TP + TN) / n. Says little where one class is rare.

    labels : (n,) bool, or 0 and 1: what is relevant
    predictions : (n,) bool; or numbers, with `threshold`: what reaches it is predicted to be relevant

    Raises ValueError for different shapes, no pairs, NaN, or numbers without a threshold.
    """
    true_positive, false_positive, false_negative, n = _confusion(labels, predictions, threshold)
    return 1 - (false_positive + false_negative) / n


def precision(labels: np.ndarray, predictions: np.ndarray, threshold: float | None = None) -> float:
    """Share of what is predicted to be relevant that is so: TP / (TP + FP).

    labels, predictions, threshold : as in `accuracy`

    Raises ValueError as `accuracy`, and where nothing is predicted to be relevant: 0 / 0.
    """
    true_positive, false_positive, _, n = _confusion(labels, predictions, threshold)
    if not true_positive + false_positive:
        raise ValueError(
            f"none of the {n} `predictions` is positive, so precision is 0 / 0; lower the threshold, or "
            "take f1, which is 0 here"
        )
    return true_positive / (true_positive + false_positive)


def recall(labels: np.ndarray, predictions: np.ndarray, threshold: float | None = None) -> float:
    """Share of what is relevant that is predicted to be so: TP / (TP + FN).

    labels, predictions, threshold : as in `accuracy`

    Raises ValueError as `accuracy`, and where nothing is relevant: 0 / 0.
    """
    true_positive, _, false_negative, _ = _confusion(labels, predictions, threshold)
    if not true_positive + false_negative:
        raise ValueError("`labels` has nothing relevant, so the measure is 0 / 0; bring pairs that are")
    return true_positive / (true_positive + false_negative)


def f1(labels: np.ndarray, predictions: np.ndarray, threshold: float | None = None) -> float:
    """Harmonic mean of precision and recall, 2 P R / (P + R) = 2 TP / (2 TP + FP + FN).

    The second form holds where nothing is predicted to be relevant, too: 0.

    labels, predictions, threshold : as in `accuracy`

    Raises ValueError as `accuracy`, and where nothing is relevant: 0 / 0.
    """
    true_positive, false_positive, false_negative, _ = _confusion(labels, predictions, threshold)
    if not true_positive + false_negative:
        raise ValueError("`labels` has nothing relevant, so the measure is 0 / 0; bring pairs that are")
    return 2 * true_positive / (2 * true_positive + false_positive + false_negative)


def _confusion(labels, predictions, threshold: float | None) -> tuple[int, int, int, int]:
    """True positives, false positives, false negatives, pairs."""
    predictions = np.asarray(predictions)
    if threshold is None:
        labels, predictions = _check_labels(labels, predictions)
        predictions = _truth(predictions, "predictions", "or give a `threshold`")
    else:
        if isinstance(threshold, bool) or not np.isscalar(threshold) or not np.isfinite(threshold):
            raise ValueError(f"`threshold` is {threshold!r}; give the lowest prediction that counts")
        labels, predictions = _check_labels(labels, predictions)
        predictions = predictions >= threshold
    true_positive = int((labels & predictions).sum())
    return (
        true_positive,
        int(predictions.sum()) - true_positive,
        int(labels.sum()) - true_positive,
        len(labels),
    )


def _check_labels(labels, predictions, name: str = "predictions") -> tuple[np.ndarray, np.ndarray]:
    """Labels as bool and finite predictions, one of each a pair."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(
            f"`labels` has shape {labels.shape} and `{name}` {predictions.shape}; give one list "
            "of each, of equal length: array.ravel() flattens a column"
        )
    if not len(labels):
        raise ValueError("`labels` is empty; at least one pair is needed")
    if predictions.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` holds {predictions.dtype}, not numbers")
    predictions = predictions.astype(np.float64)
    if (bad := ~np.isfinite(predictions)).any():
        raise ValueError(
            f"`{name}`, row {bad.argmax()}: {predictions[bad.argmax()]} is no number; leave such pairs out, "
            "and say how many"
        )
    return _truth(labels, "labels", "say what counts: ratings >= 4"), predictions


def _truth(values: np.ndarray, name: str, remedy: str) -> np.ndarray:
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise ValueError(f"`{name}` holds more than truth values (False and True, or 0 and 1); {remedy}")
    return values.astype(bool)


# ---------------------------------------------------------------- order and probability


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a relevant pair has a higher score than one that is not.

    Over all couples of the two kinds, a tie counting ½ (Hanley and McNeil 1982). All pairs are thrown together, so
    that users with higher scores on average play a part: see `gauc`.

    labels : (n,) bool, or 0 and 1;  scores : (n,)

    Raises ValueError for different shapes, NaN, or labels of one class only.
    """
    labels, scores = _check_labels(labels, scores, "scores")
    value = auc_by_group(labels, scores, np.zeros(len(labels), np.int64))[0]
    if np.isnan(value):
        raise ValueError(f"`labels` are all {bool(labels[0])}; AUC needs pairs of both classes")
    return float(value)


def auc_by_group(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """`auc` within each group, (n_groups,), NaN where a group's pairs are of one class only.

    labels : (n,) bool, or 0 and 1;  scores : (n,);  groups : (n,) whole numbers 0..n_groups-1, such as users

    Raises ValueError for different shapes, or NaN.
    """
    labels, scores = _check_labels(labels, scores, "scores")
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
    labels, predictions = _check_labels(labels, predictions)
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
    labels, p = _check_labels(labels, probabilities)
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


# ---------------------------------------------------------------- lists


@dataclass(frozen=True, eq=False)
class Places:
    """The first k places of each user's list: which tie stands at a place, and how much of it is relevant.

    All measures of lists that know what is relevant are computed from this, exactly.

    first : (n_users, k) the place, counted from 0, at which the tie that holds this place begins
    tied : (n_users, k) candidates in that tie;  good : (n_users, k) relevant ones among them. Where a list
        is too short to have the place, the tie is of one, and is not relevant.
    targets, candidates, either : (n_users,) how many items are relevant, candidates, or one of the two
    """

    first: np.ndarray
    tied: np.ndarray
    good: np.ndarray
    targets: np.ndarray
    candidates: np.ndarray
    either: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected") -> Places:
        """Finds them.

        scores : (n_users, n_items), -inf for what is no candidate;  relevant : (n_users, n_items) bool
        ties : "expected" or "first"

        Raises ValueError for shapes that differ, an empty matrix, NaN, or an unknown option.
        """
        scores, relevant = _check_lists(scores, relevant, k, ties)
        find = _places_expected if ties == "expected" else _places_first
        parts = []
        for block in _blocks(scores):
            some, good = scores[block], relevant[block]
            candidate = some > -np.inf
            counts = good.sum(1), candidate.sum(1), (good | candidate).sum(1)
            parts.append((*find(some, good, k), *counts))
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def cut(self, k: int) -> Places:
        """The first k of these places."""
        if not 1 <= k <= self.first.shape[1]:
            raise ValueError(f"`k` is {k!r}; these lists have {self.first.shape[1]} places")
        short = (values[:, :k] for values in (self.first, self.tied, self.good))
        return Places(*short, self.targets, self.candidates, self.either)

    @property
    def k(self) -> int:
        return self.first.shape[1]

    @property
    def chance(self) -> np.ndarray:
        """(n_users, k) chance that the item at the place is relevant: 0 or 1 where nothing ties."""
        return self.good / self.tied

    @property
    def hits(self) -> np.ndarray:
        """(n_users,) expected number of relevant items in the list."""
        return self.chance.sum(1)

    @property
    def first_hit(self) -> np.ndarray:
        """(n_users, k) chance that the first relevant item stands at the place.

        In a tie of g items, t relevant, of which d were placed and none was relevant, the next one is so with
        chance t / (g - d).
        """
        left = self.tied - (np.arange(self.k) - self.first)
        miss = np.maximum(left - self.good, 0) / left
        before = np.hstack([np.ones((len(miss), 1)), miss.cumprod(1)[:, :-1]])
        return before * (1 - miss)

    def check_targets(self) -> np.ndarray:
        """`targets`; raises ValueError where a user has none."""
        if not self.targets.all():
            raise ValueError(
                f"`relevant`, row {int((self.targets == 0).argmax())}: nothing is relevant, so the measure is "
                f"0 / 0; leave such users out ({int((self.targets == 0).sum())} here), and say how many"
            )
        return self.targets


def precision_at_k(scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected") -> np.ndarray:
    """Share of the list that is relevant: |L_k ∩ T| / k, one value a user, (n_users,).

    L_k are the k candidates with the highest scores, T what is relevant. The denominator is k even where
    there are fewer than k candidates.

    scores : (n_users, n_items), -inf for what is no candidate;  relevant : (n_users, n_items) bool
    ties : "expected" or "first"

    Raises ValueError for shapes that differ, an empty matrix, NaN, or an unknown option.
    """
    return _precision(Places.of(scores, relevant, k, ties=ties))


def _precision(places: Places) -> np.ndarray:
    return places.hits / places.k


def recall_at_k(
    scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected", denominator: str = "target"
) -> np.ndarray:
    """Share of what is relevant that the list holds, one value a user, (n_users,).

    denominator="target": |L_k ∩ T| / |T|, which cannot reach 1 where |T| > k.
    denominator="min": |L_k ∩ T| / min(k, |T|), which can; papers on held-out users call this Recall too
    (Liang et al. 2018). Figures of the two cannot be compared.

    scores : (n_users, n_items), -inf for what is no candidate;  relevant : (n_users, n_items) bool
    ties : "expected" or "first"

    Raises ValueError for shapes that differ, an empty matrix, NaN, an unknown option, or a user for whom
    nothing is relevant.
    """
    _check_denominator(denominator)
    return _recall(Places.of(scores, relevant, k, ties=ties), denominator)


def _recall(places: Places, denominator: str = "target") -> np.ndarray:
    return places.hits / _denominator(places, denominator)


def f1_at_k(scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected") -> np.ndarray:
    """Harmonic mean of precision@k and recall@k (denominator |T|): 2 |L_k ∩ T| / (k + |T|), (n_users,).

    Arguments and errors as in `recall_at_k`. The mean over users is not the harmonic mean of the means.
    """
    return _f1(Places.of(scores, relevant, k, ties=ties))


def _f1(places: Places) -> np.ndarray:
    return 2 * places.hits / (places.k + places.check_targets())


def accuracy_at_k(scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected") -> np.ndarray:
    """Share of items judged rightly if the list is "relevant" and the rest is not: (TP + TN) / n, (n_users,).

    n counts the items that are candidates or relevant. With thousands of candidates it is near 1 for every
    list, the empty one too: here to show that, not to be used.

    Arguments and errors as in `precision_at_k`; also ValueError for a user without candidates and targets.
    """
    return _accuracy(Places.of(scores, relevant, k, ties=ties))


def _accuracy(places: Places) -> np.ndarray:
    if not places.either.all():
        raise ValueError(
            f"`scores`, row {int((places.either == 0).argmax())}: no candidate and nothing relevant, so the "
            "measure is 0 / 0; leave such users out, and say how many"
        )
    length = np.minimum(places.k, places.candidates)
    return 1 - (length + places.targets - 2 * places.hits) / places.either


def hit_rate_at_k(scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected") -> np.ndarray:
    """1 where the list holds anything relevant, else 0, one value a user, (n_users,).

    With ties="expected" it is the chance of that. Of the k places, let m be left for the candidates that
    tie at the k-th; g candidates tie there, t of them relevant. If nothing above them is relevant, the
    chance is 1 - C(g - t, m) / C(g, m).

    scores : (n_users, n_items), -inf for what is no candidate;  relevant : (n_users, n_items) bool
    ties : "expected" or "first"

    Raises ValueError for shapes that differ, an empty matrix, NaN, or an unknown option.
    """
    return _hit_rate(Places.of(scores, relevant, k, ties=ties))


def _hit_rate(places: Places) -> np.ndarray:
    return np.minimum(places.first_hit.sum(1), 1.0)


def reciprocal_rank_at_k(
    scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected"
) -> np.ndarray:
    """1 / rank of the first relevant item, 0 where the list has none, one value a user, (n_users,).

    The mean over users is MRR@k. With ties="expected" it is Σ_{r=1..k} P(the first one stands at r) / r.

    scores : (n_users, n_items), -inf for what is no candidate;  relevant : (n_users, n_items) bool
    ties : "expected" or "first"

    Raises ValueError for shapes that differ, an empty matrix, NaN, or an unknown option.
    """
    return _reciprocal_rank(Places.of(scores, relevant, k, ties=ties))


def _reciprocal_rank(places: Places) -> np.ndarray:
    return places.first_hit @ (1 / np.arange(1, places.k + 1))


def average_precision_at_k(
    scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected", denominator: str = "target"
) -> np.ndarray:
    """Mean of the precision at the ranks where something relevant stands, one value a user, (n_users,).

    AP = Σ_{r=1..k} [item at rank r is relevant] · precision@r / denominator; the mean over users is MAP@k.
    denominator="target": |T|, as in trec_eval, which cannot reach 1 where |T| > k.
    denominator="min": min(k, |T|), which can, as in Kaggle's contests. Figures of the two cannot be
    compared.

    scores : (n_users, n_items), -inf for what is no candidate;  relevant : (n_users, n_items) bool
    ties : "expected" or "first"

    Raises ValueError for shapes that differ, an empty matrix, NaN, an unknown option, or a user for whom
    nothing is relevant.
    """
    _check_denominator(denominator)
    return _average_precision(Places.of(scores, relevant, k, ties=ties), denominator)


def _average_precision(places: Places, denominator: str = "target") -> np.ndarray:
    # The expected number of relevant items up to a relevant one: itself, those of the ties above, and
    # those of its own tie, where two places are both relevant with chance t (t - 1) / (g (g - 1)).
    rank, good, tied = np.arange(places.k), places.good, places.tied
    chance = places.chance
    above = np.hstack([np.zeros((len(good), 1)), chance.cumsum(1)])
    above = np.take_along_axis(above, places.first, 1)
    both = good * (good - 1) / np.maximum(tied * (tied - 1), 1)
    gain = chance * (1 + above) + (rank - places.first) * both
    return gain @ (1 / (rank + 1)) / _denominator(places, denominator)


def ndcg_at_k(scores: np.ndarray, relevant: np.ndarray, k: int, *, ties: str = "expected") -> np.ndarray:
    """Normalised discounted cumulative gain, one value a user, (n_users,) (Järvelin and Kekäläinen 2002).

    DCG = Σ_{r=1..k} [item at rank r is relevant] / log2(r + 1). The denominator is the DCG of the best
    list of length k, Σ_{r=1..min(k, |T|)} 1 / log2(r + 1), T being what is relevant.

    scores : (n_users, n_items), -inf for what is no candidate;  relevant : (n_users, n_items) bool
    ties : "expected" or "first"

    Raises ValueError for shapes that differ, an empty matrix, NaN, an unknown option, or a user for whom
    nothing is relevant.
    """
    return _ndcg(Places.of(scores, relevant, k, ties=ties))


def _ndcg(places: Places) -> np.ndarray:
    discount = 1 / np.log2(np.arange(places.k) + 2)
    best = np.cumsum(discount)[np.minimum(places.k, places.check_targets()) - 1]
    return places.chance @ discount / best


def _denominator(places: Places, denominator: str) -> np.ndarray:
    targets = places.check_targets()
    return targets if denominator == "target" else np.minimum(places.k, targets)


def _check_denominator(denominator: str) -> None:
    if denominator not in DENOMINATORS:
        raise ValueError(f"`denominator` is {denominator!r}; choose one of {DENOMINATORS}")


# ---------------------------------------------------------------- what lists do to a catalogue


def inclusion_at_k(scores: np.ndarray, k: int, *, ties: str = "expected") -> np.ndarray:
    """Chance that an item is in a user's list, (n_users, n_items): 0 or 1 but for the tie that the list cuts.

    scores : (n_users, n_items), -inf for what is no candidate;  ties : "expected" or "first"

    Raises ValueError for an empty matrix, NaN, or an unknown option.
    """
    scores = _check_scores(scores, k, ties)
    return np.concatenate([_inclusion(scores[block], k, ties) for block in _blocks(scores)])


def _inclusion(scores: np.ndarray, k: int, ties: str) -> np.ndarray:
    inside, tie, places = _inside(scores, k, ties)
    chance = inside.astype(np.float64)
    rows = np.flatnonzero(tie.any(1))
    chance[rows] += tie[rows] * (places[rows] / tie[rows].sum(1))[:, None]
    return chance


def _inside(scores: np.ndarray, k: int, ties: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is in the list for certain, the tie that the list cuts, if it cuts one, and the places left for it."""
    if ties == "first":
        inside = np.zeros(scores.shape, bool)
        inside[top_k(scores, k)] = True
        return inside, np.zeros(scores.shape, bool), np.zeros(len(scores), np.int64)
    above, tie, places = _cut(scores, k)
    whole = tie.sum(1) <= places
    above[whole] |= tie[whole]
    tie[whole] = False
    return above, tie, places


def coverage_at_k(scores: np.ndarray, k: int, *, ties: str = "expected") -> float:
    """Share of the items that are in anybody's list.

    With ties="expected" it is the expected share, the users' ties falling independently: the mean over items
    of 1 - Π_u (1 - P(item in the list of u)).

    scores : (n_users, n_items), -inf for what is no candidate, which is an item all the same
    ties : "expected" or "first"

    Raises ValueError for an empty matrix, NaN, or an unknown option.
    """
    scores = _check_scores(scores, k, ties)
    missed = np.ones(scores.shape[1])
    for block in _blocks(scores):
        missed *= np.prod(1 - _inclusion(scores[block], k, ties), axis=0)
    return float(1 - missed.mean())


def gini_at_k(scores: np.ndarray, k: int, *, ties: str = "expected") -> float:
    """`gini` of the items' exposure: in how many lists each is (with ties="expected": is expected to be).

    It is the Gini index of expected exposures; the expected value of the index over ties would be higher.

    scores : (n_users, n_items), -inf for what is no candidate;  ties : "expected" or "first"

    Raises ValueError for an empty matrix, NaN, an unknown option, or lists that are all empty.
    """
    scores = _check_scores(scores, k, ties)
    return gini(sum(_inclusion(scores[block], k, ties).sum(0) for block in _blocks(scores)))


def gini(amounts: np.ndarray) -> float:
    """Gini index: 0 where all have the same, (n - 1) / n where one has everything.

    Half the mean absolute difference of two draws, divided by the mean: Σ_i (2 i - n - 1) x_i / (n Σ x), x sorted
    upwards, i from 1.

    amounts : (n,) at least 0, such as how often each item was shown

    Raises ValueError for an empty list, NaN, negative amounts, or nothing to share out.
    """
    x = np.sort(np.asarray(amounts, np.float64))
    if x.ndim != 1 or not len(x):
        raise ValueError(f"`amounts` has shape {x.shape}; give a list of at least one amount")
    if not np.isfinite(x).all() or x[0] < 0:
        raise ValueError("`amounts` has a number that is negative, infinite or NaN; amounts are at least 0")
    if not x[-1]:
        raise ValueError("`amounts` are all 0: nothing was shared out, and the index is 0 / 0")
    n = len(x)
    return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * x.sum()))


def novelty_at_k(scores: np.ndarray, k: int, shares: np.ndarray, *, ties: str = "expected") -> np.ndarray:
    """Mean self-information of the list's items, -log2 of the share of users who met them, in bits, (n_users,).

    The more is recommended that few people know, the higher (Zhou et al. 2010). The denominator is the length
    of the list: k, or the number of candidates where there are fewer.

    scores : (n_users, n_items), -inf for what is no candidate
    shares : (n_items,) share of all users who met an item, above 0 and at most 1
    ties : "expected" or "first"

    Raises ValueError for shapes that differ, an empty matrix, NaN, a share out of range, an unknown option,
    or a user without candidates.
    """
    scores = _check_scores(scores, k, ties)
    shares = np.asarray(shares, np.float64)
    if shares.shape != scores.shape[1:]:
        raise ValueError(f"`shares` has shape {shares.shape}; give one for each of {scores.shape[1]} items")
    if (bad := ~((shares > 0) & (shares <= 1))).any():
        raise ValueError(
            f"`shares`, item {bad.argmax()}: {shares[bad.argmax()]}; a share is above 0 and at most 1. What "
            "nobody met has no finite novelty: count it as met by one"
        )
    _check_lengths(scores, 1)
    bits = -np.log2(shares)
    parts = []
    for block in _blocks(scores):
        chance = _inclusion(scores[block], k, ties)
        parts.append(chance @ bits / chance.sum(1))
    return np.concatenate(parts)


def diversity_at_k(
    scores: np.ndarray,
    k: int,
    *,
    features: np.ndarray | None = None,
    similarity: np.ndarray | None = None,
    ties: str = "expected",
) -> np.ndarray:
    """Intra-list diversity: mean of 1 - similarity over all couples of the list, (n_users,) (Ziegler et al. 2005).

    With ties="expected" couples of the tie that the list cuts count by the chance that both are in it.

    scores : (n_users, n_items), -inf for what is no candidate
    features : (n_items, n_features), such as genres; similarity is then their cosine, and 0 with an item that
        has none.
    similarity : (n_items, n_items), symmetric, instead of features. A user whose list cuts a tie costs n_items²
        steps.
    ties : "expected" or "first"

    Raises ValueError for shapes that differ, an empty matrix, NaN, an unknown option, k < 2, or a user with
    fewer than two candidates.
    """
    scores = _check_scores(scores, k, ties)
    if k < 2:
        raise ValueError("`k` is 1: a list of one item has no couple; take k of at least 2")
    if (features is None) == (similarity is None):
        raise ValueError("give one of `features` and `similarity`")
    name = "features" if similarity is None else "similarity"
    given = np.asarray(features if similarity is None else similarity, np.float64)
    n_items = scores.shape[1]
    if given.ndim != 2 or len(given) != n_items or (name == "similarity" and given.shape[1] != n_items):
        wanted = (n_items, "n_features") if name == "features" else (n_items, n_items)
        raise ValueError(f"`{name}` has shape {given.shape}; it must be {wanted}")
    if not np.isfinite(given).all():
        raise ValueError(f"`{name}` has a number that is not finite")
    if name == "similarity" and not _is_symmetric(given):
        raise ValueError("`similarity` is not symmetric")
    if name == "features":
        given = given / np.maximum(np.linalg.norm(given, axis=1, keepdims=True), np.finfo(float).tiny)
    _check_lengths(scores, 2)
    return np.concatenate(
        [_diversity(scores[block], k, given, name == "features", ties) for block in _blocks(scores)]
    )


def _diversity(scores: np.ndarray, k: int, given: np.ndarray, is_features: bool, ties: str) -> np.ndarray:
    inside, tie, places = _inside(scores, k, ties)
    # Couples of what is in the list for certain, at most k items: rectangles of k × k, item -1 for nothing.
    rows, columns = np.nonzero(inside)
    members = np.full((len(scores), max(inside.sum(1).max(), 1)), -1)
    members[rows, np.arange(len(rows)) - np.searchsorted(rows, rows)] = columns
    real = members >= 0
    if is_features:
        vectors = given[members] * real[:, :, None]
        likeness = vectors @ vectors.transpose(0, 2, 1)
    else:
        likeness = given[members[:, :, None], members[:, None, :]]
    couples = real[:, :, None] & real[:, None, :] & ~np.eye(members.shape[1], dtype=bool)
    total = (likeness * couples).sum((1, 2))
    cut = np.flatnonzero(tie.any(1))
    if len(cut):
        drawn = tie[cut].astype(np.float64)
        g, m = drawn.sum(1), places[cut]
        reach = drawn @ given
        own = (given**2).sum(1) if is_features else given.diagonal()
        if is_features:
            across, among = (vectors[cut].sum(1) * reach).sum(1), (reach**2).sum(1)
        else:
            across = np.where(real[cut], np.take_along_axis(reach, np.maximum(members[cut], 0), 1), 0).sum(1)
            among = (reach * drawn).sum(1)
        total[cut] += 2 * across * m / g + (among - drawn @ own) * m * (m - 1) / (g * (g - 1))
    length = np.minimum(k, (scores > -np.inf).sum(1))
    return 1 - total / (length * (length - 1))


def _is_symmetric(x: np.ndarray, step: int = 512) -> bool:
    # Tile by tile: a whole transposed matrix is read against the grain of memory, which takes a second.
    tiles = [slice(start, start + step) for start in range(0, len(x), step)]
    return all(
        (np.abs(x[a, b] - x[b, a].T) <= 1e-6).all() for a in tiles for b in tiles if a.start <= b.start
    )


def _check_lengths(scores: np.ndarray, least: int) -> None:
    n = (scores > -np.inf).sum(1)
    if (bad := n < least).any():
        raise ValueError(
            f"`scores`, row {bad.argmax()}: {n[bad.argmax()]} candidates, and the measure needs a list of at least "
            f"{least}; leave such users out ({int(bad.sum())} here), and say how many"
        )


# ---------------------------------------------------------------- what the measures of lists share


def _places_first(scores: np.ndarray, relevant: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    rows, columns = top_k(scores, k)
    good = np.zeros((len(scores), k), np.int64)
    good[rows, np.arange(len(rows)) - np.searchsorted(rows, rows)] = relevant[rows, columns]
    return np.tile(np.arange(k), (len(scores), 1)), np.ones_like(good), good


def _places_expected(scores: np.ndarray, relevant: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    above, tie, places = _cut(scores, k)
    # At most k - 1 candidates of a row are above the tie that is cut: sort these.
    rows, columns = np.nonzero(above)
    value = scores[rows, columns]
    order = np.lexsort((-value, rows))
    rows, columns, value = rows[order], columns[order], value[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    new = np.append(True, (rows[1:] != rows[:-1]) | (value[1:] != value[:-1]))[: len(rows)]
    number = np.cumsum(new) - 1
    first = np.tile(np.arange(k), (len(scores), 1))
    tied, good = np.ones_like(first), np.zeros_like(first)
    if len(rows):
        first[rows, place] = place[new][number]
        tied[rows, place] = np.bincount(number)[number]
        good[rows, place] = np.bincount(number, relevant[rows, columns])[number]
    n_tied = tie.sum(1)
    start = k - places
    cut = (np.arange(k) >= start[:, None]) & (np.arange(k) < (start + np.minimum(places, n_tied))[:, None])
    here = np.nonzero(cut)[0]
    first[cut], tied[cut], good[cut] = start[here], n_tied[here], (tie & relevant).sum(1)[here]
    return first, tied, good


def _cut(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is above the k-th score, the candidates that tie at the k-th, and the places left for these.

    Two boolean matrices and (n_users,) counts.
    """
    k_here = min(k, scores.shape[1])
    kth = np.partition(scores, scores.shape[1] - k_here, axis=1)[:, [-k_here]]
    above = scores > kth
    tie = (scores == kth) & (kth > -np.inf)
    return above, tie, k - above.sum(1)


def _blocks(scores: np.ndarray) -> Iterator[slice]:
    return blocks(len(scores), scores.shape[1])


def _check_lists(scores, relevant, k: int, ties: str) -> tuple[np.ndarray, np.ndarray]:
    scores, relevant = np.asarray(scores), np.asarray(relevant)
    if scores.shape != relevant.shape:
        raise ValueError(
            f"`scores` has shape {scores.shape} and `relevant` {relevant.shape}; both are (n_users, n_items)"
        )
    if relevant.dtype != bool:
        raise ValueError(f"`relevant` holds {relevant.dtype}, not truth values; say what counts: r >= 4")
    return _check_scores(scores, k, ties), relevant


def _check_scores(scores, k: int, ties: str) -> np.ndarray:
    if ties not in TIES:
        raise ValueError(f"`ties` is {ties!r}; choose one of {TIES}")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"`k` is {k!r}; a list has a whole number of places, at least 1")
    scores = np.asarray(scores)
    if scores.ndim != 2:
        raise ValueError(f"`scores` has shape {scores.shape}; it must be (n_users, n_items)")
    if not scores.size:
        raise ValueError(f"`scores` has shape {scores.shape}; at least one user and one item are needed")
    if scores.dtype.kind != "f":
        if scores.dtype.kind not in "iu":
            raise ValueError(f"`scores` holds {scores.dtype}, not numbers")
        scores = scores.astype(np.float64)
    if np.isnan(scores.max()):  # the maximum of numbers with a NaN among them is NaN
        row, column = np.argwhere(np.isnan(scores))[0]
        raise ValueError(
            f"`scores`, row {row}, column {column} is NaN: it has no place in a list; mend the model, or "
            "put -inf for what is no candidate"
        )
    return scores
