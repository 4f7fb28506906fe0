"""Measures of lists: how good the first k places are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from recbook.metrics._places import Places

DENOMINATORS = ("target", "min")


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


# What `evaluate` asks of the places of lists, once they are found: by the name that stands before the @.
BY_PLACES: dict[str, Callable[[Places], np.ndarray]] = {
    "precision": _precision,
    "recall": _recall,
    "recall_min": partial(_recall, denominator="min"),
    "f1": _f1,
    "accuracy": _accuracy,
    "hit_rate": _hit_rate,
    "mrr": _reciprocal_rank,
    "map": _average_precision,
    "map_min": partial(_average_precision, denominator="min"),
    "ndcg": _ndcg,
}
