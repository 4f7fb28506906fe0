"""Shuffles and negatives, drawn by NumPy for both wings: equal seeds give both the same.

All of it speaks the codes 0..n-1 that models compute with.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recbook.core.blocks import blocks
from recbook.interactions import Dataset, Interactions, as_interactions, plain

DISTRIBUTIONS = ("uniform", "popularity")
ROUNDS = 12


def batches(
    n: int, batch_size: int, seed: int | np.random.Generator, *, shuffle: bool = True, drop_last: bool = False
) -> Iterator[np.ndarray]:
    """The rows 0..n-1 of one epoch, in batches of `batch_size`, int64; the last may be shorter.

    seed : a number, or a Generator, whose stream goes on: one for a whole training shuffles each epoch anew
    drop_last : leave out a last batch that is shorter

    Raises ValueError, at the call, for sizes below 1, or where `drop_last` leaves no batch.
    """
    for name, value in {"n": n, "batch_size": batch_size}.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"`{name}` is {value!r}; give a whole number, at least 1")
    if drop_last and n < batch_size:
        raise ValueError(
            f"{n} rows fill no batch of {batch_size}; lower `batch_size`, or pass drop_last=False"
        )
    rows = np.random.default_rng(seed).permutation(n) if shuffle else np.arange(n)
    stop = n - n % batch_size if drop_last else n
    return (rows[start : start + batch_size] for start in range(0, stop, batch_size))


class NegativeSampler:
    """Draws items that a user has not met, each with chance ∝ its weight among all that this user has not met.

    users, items : (n,) codes of the positives; a pair may stand several times
    distribution : "uniform" (weight 1), or "popularity" (weight count**alpha, count being the item's number
        of rows; an item without any is never drawn)
    alpha : 1 is as often as met, 0 uniform over what was met at all; word2vec's 0.75 lies between
    user_ids : (n_users,) ids, for messages

    A positive is never drawn. Raises ValueError for codes out of range, another distribution, or an
    `alpha` that is negative or not finite.
    """

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        n_users: int,
        n_items: int,
        distribution: str = "uniform",
        alpha: float = 0.75,
        user_ids: np.ndarray | None = None,
    ):
        if distribution not in DISTRIBUTIONS:
            raise ValueError(f"`distribution` is {distribution!r}; choose one of {DISTRIBUTIONS}")
        if not 0 <= alpha < np.inf:
            raise ValueError(f"`alpha` is {alpha!r}; give a finite number of at least 0")
        users, items = _codes("users", users, n_users), _codes("items", items, n_items)
        if len(users) != len(items):
            raise ValueError(f"`users` has {len(users)} codes and `items` {len(items)}; give as many of both")
        self.n_users, self.n_items, self.user_ids = n_users, n_items, user_ids
        keys = np.sort(users * n_items + items)  # np.unique hashes, and takes thirty times as long
        keys = keys[np.diff(keys, prepend=-1) > 0]
        self._positives, self._looked_up = keys, np.append(keys, -1)
        self.weights = np.ones(n_items)
        if distribution == "popularity":
            counts = np.bincount(items, minlength=n_items)
            self.weights = np.where(counts > 0, (counts / max(counts.max(), 1)) ** alpha, 0.0)
        self._uniform = distribution == "uniform"
        self._total = np.cumsum(self.weights)
        drawable = self.weights > 0
        self._last = int(np.flatnonzero(drawable).max(initial=0))
        met = drawable[self._positives % n_items]
        met_of_user = np.bincount(self._positives[met] // n_items, minlength=n_users)
        self._exhausted = met_of_user >= drawable.sum()

    @classmethod
    def of(
        cls, x: Interactions | Dataset, distribution: str = "uniform", alpha: float = 0.75
    ) -> NegativeSampler:
        """A sampler of the codes of `x`: those of `x.user_ids` and `x.item_ids`."""
        x = as_interactions(x)
        return cls(x.user_codes, x.item_codes, x.n_users, x.n_items, distribution, alpha, x.user_ids)

    def draw(self, users: np.ndarray, n: int, seed: int | np.random.Generator) -> np.ndarray:
        """Negatives, (len(users), n) int64 codes, independent draws: one may come twice.

        users : (m,) codes, with repeats or without

        Raises ValueError, naming the user, where somebody has met everything that can be drawn.
        """
        users = _codes("users", users, self.n_users)
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ValueError(f"`n` is {n!r}; give a whole number, at least 1")
        if self._exhausted[users].any():
            user = users[self._exhausted[users].argmax()]
            who = f"with code {user}" if self.user_ids is None else repr(plain(self.user_ids[user]))
            raise ValueError(
                f"user {who} has met every item that can be drawn ({int((self.weights > 0).sum())} of them): there is "
                "no negative; leave such users out"
            )
        rng = np.random.default_rng(seed)
        people = np.repeat(users, n)
        drawn = self._draw_any(rng, len(people))
        wrong = np.flatnonzero(self.is_positive(people, drawn))
        for _ in range(ROUNDS):
            if not len(wrong):
                break
            drawn[wrong] = self._draw_any(rng, len(wrong))
            wrong = wrong[self.is_positive(people[wrong], drawn[wrong])]
        if len(wrong):  # people who have met nearly everything
            drawn[wrong] = self._draw_unmet(rng, people[wrong])
        return drawn.reshape(len(users), n)

    def is_positive(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether the user has met the item, bool; users and items are codes that broadcast."""
        keys = np.asarray(users) * self.n_items + np.asarray(items)
        places = np.searchsorted(self._positives, keys)
        return self._looked_up[places] == keys

    def in_batch(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Which items of a batch are negatives for which of its users, (b, b) bool.

        users, items : (b,) codes of the batch's positives. Entry (r, c) is false where user r has met item c;
        so on the diagonal. A row may be all false. An item is here as often as it is met: popular
        items are negatives more often than a uniform draw would have them.
        """
        users, items = _codes("users", users, self.n_users), _codes("items", items, self.n_items)
        return ~self.is_positive(users[:, None], items)

    def _draw_any(self, rng: np.random.Generator, n: int) -> np.ndarray:
        if self._uniform:
            return rng.integers(0, self.n_items, n)
        found = np.searchsorted(self._total, rng.random(n) * self._total[-1], side="right")
        return np.minimum(found, self._last)  # a product may be rounded up to the total itself

    def _draw_unmet(self, rng: np.random.Generator, people: np.ndarray) -> np.ndarray:
        """As `draw`, one item each, from each user's own table of weights: slow, and sure."""
        users, rows = np.unique(people, return_inverse=True)
        point = rng.random(len(people))
        drawn = np.empty(len(people), np.int64)
        for cut in blocks(len(users), self.n_items):
            block, start = users[cut], cut.start
            weights = np.where(self.is_positive(block[:, None], np.arange(self.n_items)), 0.0, self.weights)
            total = np.cumsum(weights, axis=1)
            total /= total[:, -1:]
            # One sorted search through all rows: row r occupies r … r + 1. The first total above the point
            # belongs to an item with weight, since the total rises there.
            here = (rows >= start) & (rows < cut.stop)
            row = rows[here] - start
            total += np.arange(len(block))[:, None]
            key = np.minimum(row + point[here], np.nextafter(row + 1.0, 0))
            drawn[here] = np.searchsorted(total.ravel(), key, side="right") - row * self.n_items
        return drawn


def _codes(name: str, codes, n: int) -> np.ndarray:
    codes = np.asarray(codes)
    if codes.ndim != 1 or codes.dtype.kind not in "iu" and len(codes):
        raise ValueError(
            f"`{name}` has dtype {codes.dtype} and shape {codes.shape}; give a list of codes 0..{n - 1}"
        )
    codes = codes.astype(np.int64)
    if len(codes) and not 0 <= codes.min() <= codes.max() < n:
        row = int(((codes < 0) | (codes >= n)).argmax())
        raise ValueError(f"`{name}`, row {row}: {codes[row]} is no code; they go from 0 to {n - 1}")
    return codes
