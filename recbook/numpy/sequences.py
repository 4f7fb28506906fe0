"""Two yardsticks for models of sequences, by counting: a Markov chain, and the cascade. NumPy alone."""

from __future__ import annotations

import numpy as np

from recbook.core.blocks import blocks
from recbook.core.vectors import directions
from recbook.interactions import Dataset, as_text
from recbook.recommender import Coded, Recommender, anything, number, popularity
from recbook.shared._histories import check_something_came_next, in_time


class MarkovChain(Recommender):
    """The next item hangs on the last one alone: a first-order Markov chain over items.

    P(j | i) = (n_ij + shrinkage · p_j) / (n_i + shrinkage): n_ij counts how often j came right after i, n_i how
    often anything did, and p_j is the share of j among all that came after something: equation (seq-markov). A score
    is log P(j | last item).

    shrinkage : how many observations p_j counts for; greater than 0, so that nothing is impossible

    Items that never came next have the smallest p_j, as if they had half an observation. Events go from the earliest
    to the latest; those of one time stand in the order of the table, and so do all where there are no timestamps.
    Somebody without a history gets scores that follow popularity. Two items are similar where the same items follow:
    the cosine of their rows of log P(j | i) - log p_j. Without what each person has, a file would hold no counts: it
    cannot be saved with include_history=False.
    """

    task = "next_item"
    supports = frozenset({"histories", "similar_items"})
    _keeps_ratings = True  # a score is computed from the history: without it nobody can be scored
    _reads_order = True
    _blank_without_history = True

    shrinkage: float = number(1.0, above=0, search=(0.1, 30.0, "log"))

    def _check_data(self, data: Dataset) -> None:
        super()._check_data(data)
        check_something_came_next(self, data.interactions)

    def _in_order(self, train: Coded) -> Coded:
        return in_time(train)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._count()

    def _count(self) -> None:
        """Which pairs came one after the other, and how often, sorted: `_first` says where each item's begin."""
        train, lists = self._train, self._train.by_user
        n = train.n_items
        items, users = train.items[lists.rows], train.users[lists.rows]
        same = users[1:] == users[:-1]
        pairs, counts = np.unique(items[:-1][same] * n + items[1:][same], return_counts=True)
        self._then, self._times = pairs % n, counts.astype(np.float64)
        self._first = np.searchsorted(pairs, np.arange(n + 1) * n)
        came = np.maximum(np.bincount(self._then, self._times, n), 0.5)
        self._share = came / came.sum()

    def _chances(self, last: np.ndarray) -> np.ndarray:
        """P(j | i) of each given item i, (len(last), n_items)."""
        n_next = self._first[last + 1] - self._first[last]
        row = np.repeat(np.arange(len(last)), n_next)
        cell = (
            np.arange(n_next.sum()) - np.repeat(np.cumsum(n_next) - n_next, n_next) + self._first[last][row]
        )
        counts = np.zeros((len(last), len(self._share)))
        counts[row, self._then[cell]] = self._times[cell]
        total = counts.sum(1, keepdims=True)
        return (counts + self.shrinkage * self._share) / (total + self.shrinkage)

    def _people(self, histories: Coded | None) -> Coded:
        return self._train if histories is None else histories

    def _score_rows(self, users, people):
        lists = people.by_user
        has_history = (users >= 0) & (lists.lengths[users] > 0)
        scores = np.tile(popularity(self._train), (len(users), 1))
        some = users[has_history]
        scores[has_history] = np.log(self._chances(people.items[lists.rows[lists.starts[some + 1] - 1]]))
        return scores

    def _prior(self, users, items, people):
        """Somebody unknown is somebody of whom nothing is known; an unknown item is the average item."""
        return self._predict(users, items, people, None)

    def _lifts(self, items: np.ndarray) -> np.ndarray:
        """log P(j | i) - log p_j of each given item i as rows of length 1, (len(items), n_items)."""
        return directions(np.log(self._chances(items)) - np.log(self._share))

    def _similar_items(self, items) -> np.ndarray:
        mine, everything = self._lifts(items), np.arange(len(self._share))
        parts = blocks(len(everything), len(everything))
        return np.concatenate([mine @ self._lifts(everything[part]).T for part in parts], axis=1)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"share": (n_items,)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"share": self._share}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        if "_share" not in self.__dict__:  # read from a file
            self._count()
        self._share = parameters["share"]


class CascadeModel(Recommender):
    """Somebody looks at one item after another and stops at the first that appeals (Craswell et al. 2008).

    P(chosen at place t) = a_t Π_{s<t} (1 - a_s), a_i being how appealing item i is: equation (seq-cascade). Every item
    that was looked at was either passed by or chosen, so the likeliest a_i is a count: how often i was chosen over
    how often it was looked at, and this is the score. Each row is a look; the column `event` says what came of it:
    the rows of `passed` were passed by, all others are choices.

    passed : the event of an item that was passed by
    prior_looks : looks that an item has before any is counted, with choices at the overall rate

    Nobody's history changes anything: the model has no memory, which makes it a yardstick for models that have.
    histories : accepted; they tell what was seen
    unknown="fallback" : the item's score; the overall rate for an item that nobody looked at
    Raises ValueError where train has no column `event`.
    """

    task = "next_item"
    supports = frozenset({"histories"})
    _reads_histories = False

    passed: str = anything("browse")
    prior_looks: float = number(1.0, above=0, search=(0.1, 30.0, "log"))

    def _check_data(self, data: Dataset) -> None:
        super()._check_data(data)
        if "event" not in data.interactions.extra:
            raise ValueError("CascadeModel needs a column `event` that says which looks were choices")

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        chosen = as_text(train.extra["event"], "event") != self.passed
        self._rate = chosen.mean()
        looks = np.bincount(train.items, minlength=train.n_items) + self.prior_looks
        choices = np.bincount(train.items, chosen, train.n_items) + self.prior_looks * self._rate
        self._appeal = choices / looks

    def chosen_at(self, items) -> np.ndarray:
        """How likely each place of a list is to be where somebody stops, (len(items),): equation (seq-cascade)."""
        self._check_fitted()
        appeal = self._appeal[self._item_codes(items, "items")]
        return appeal * np.cumprod(np.append(1.0, 1 - appeal[:-1]))

    def _predict(self, users, items, people, context):
        return self._appeal[items]

    def _score_matrix(self, users, items, people, context):
        return np.tile(self._appeal if items is None else self._appeal[items], (len(users), 1))

    def _prior(self, users, items, people):
        return np.append(self._appeal, self._rate)[items]

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"appeal": (n_items,), "rate": ()}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"appeal": self._appeal, "rate": np.asarray(self._rate)}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._appeal, self._rate = parameters["appeal"], float(parameters["rate"])
