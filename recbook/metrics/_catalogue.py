"""What lists do to a catalogue: coverage, concentration, novelty, diversity."""

from __future__ import annotations

import numpy as np

from recbook.core.ragged import top_k
from recbook.metrics._places import blocks_of, check_scores, cut_at


def inclusion_at_k(scores: np.ndarray, k: int, *, ties: str = "expected") -> np.ndarray:
    """Chance that an item is in a user's list, (n_users, n_items): 0 or 1 but for the tie that the list cuts.

    scores : (n_users, n_items), -inf for what is no candidate;  ties : "expected" or "first"

    Raises ValueError for an empty matrix, NaN, or an unknown option.
    """
    scores = check_scores(scores, k, ties)
    return np.concatenate([_inclusion(scores[block], k, ties) for block in blocks_of(scores)])


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
    above, tie, places = cut_at(scores, k)
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
    scores = check_scores(scores, k, ties)
    missed = np.ones(scores.shape[1])
    for block in blocks_of(scores):
        missed *= np.prod(1 - _inclusion(scores[block], k, ties), axis=0)
    return float(1 - missed.mean())


def gini_at_k(scores: np.ndarray, k: int, *, ties: str = "expected") -> float:
    """`gini` of the items' exposure: in how many lists each is (with ties="expected": is expected to be).

    It is the Gini index of expected exposures; the expected value of the index over ties would be higher.

    scores : (n_users, n_items), -inf for what is no candidate;  ties : "expected" or "first"

    Raises ValueError for an empty matrix, NaN, an unknown option, or lists that are all empty.
    """
    scores = check_scores(scores, k, ties)
    return gini(np.asarray(sum(_inclusion(scores[block], k, ties).sum(0) for block in blocks_of(scores))))


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
    scores = check_scores(scores, k, ties)
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
    for block in blocks_of(scores):
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
    scores = check_scores(scores, k, ties)
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
        [_diversity(scores[block], k, given, name == "features", ties) for block in blocks_of(scores)]
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
