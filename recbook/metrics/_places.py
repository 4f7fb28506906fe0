"""What the measures of lists share: the places of a list, and what each tie may put there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recbook.core.blocks import blocks
from recbook.core.ragged import top_k

TIES = ("expected", "first")


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
        for block in blocks_of(scores):
            some, good = scores[block], relevant[block]
            candidate = some > -np.inf
            counts = good.sum(1), candidate.sum(1), (good | candidate).sum(1)
            parts.append((*find(some, good, k), *counts))
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def cut(self, k: int) -> Places:
        """The first k of these places."""
        if not 1 <= k <= self.first.shape[1]:
            raise ValueError(f"`k` is {k!r}; these lists have {self.first.shape[1]} places")
        first, tied, good = (values[:, :k] for values in (self.first, self.tied, self.good))
        return Places(first, tied, good, self.targets, self.candidates, self.either)

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


def _places_first(scores: np.ndarray, relevant: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    rows, columns = top_k(scores, k)
    good = np.zeros((len(scores), k), np.int64)
    good[rows, np.arange(len(rows)) - np.searchsorted(rows, rows)] = relevant[rows, columns]
    return np.tile(np.arange(k), (len(scores), 1)), np.ones_like(good), good


def _places_expected(scores: np.ndarray, relevant: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    above, tie, places = cut_at(scores, k)
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


def cut_at(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is above the k-th score, the candidates that tie at the k-th, and the places left for these.

    Two boolean matrices and (n_users,) counts.
    """
    k_here = min(k, scores.shape[1])
    kth = np.partition(scores, scores.shape[1] - k_here, axis=1)[:, [-k_here]]
    above = scores > kth
    tie = (scores == kth) & (kth > -np.inf)
    return above, tie, k - above.sum(1)


def blocks_of(scores: np.ndarray) -> Iterator[slice]:
    return blocks(len(scores), scores.shape[1])


def _check_lists(scores, relevant, k: int, ties: str) -> tuple[np.ndarray, np.ndarray]:
    scores, relevant = np.asarray(scores), np.asarray(relevant)
    if scores.shape != relevant.shape:
        raise ValueError(
            f"`scores` has shape {scores.shape} and `relevant` {relevant.shape}; both are (n_users, n_items)"
        )
    if relevant.dtype != bool:
        raise ValueError(f"`relevant` holds {relevant.dtype}, not truth values; say what counts: r >= 4")
    return check_scores(scores, k, ties), relevant


def check_scores(scores, k: int, ties: str) -> np.ndarray:
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
