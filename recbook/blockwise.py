"""Models that score a person against all items at once, a block of people at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from recbook.recommender import Coded, Recommender

CELLS_PER_BLOCK = 2_000_000  # scores that are held at once


class BlockwiseModel(Recommender):
    """Scores come as rows, one a person, with all items; a list for everybody never fills users × items."""

    # ---------------------------------------------------------------- hooks: what a model writes

    def _ready(self, histories: Coded | None) -> Any:
        """What `_scores_of` needs of the histories, or of train: made once for all blocks."""
        return histories

    def _scores_of(self, users: np.ndarray, ready: Any) -> np.ndarray:
        """(len(users), n_items); code -1 is somebody of whom nothing is known.

        ready : what `_ready` gave
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- what all share

    def _ready_for(self, histories: Coded | None) -> Any:
        return self._ready(None) if histories is None else histories.once(self._ready)

    def _blocks(self, people: np.ndarray) -> Iterator[np.ndarray]:
        step = max(1, CELLS_PER_BLOCK // len(self._item_index))
        return (people[start : start + step] for start in range(0, len(people), step))

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        ready = self._ready_for(histories)
        parts = [self._scores_of(block, ready) for block in self._blocks(users)]
        scores = np.concatenate(parts) if parts else np.zeros((0, len(self._item_index)), np.float32)
        return scores if items is None else scores[:, items]

    def _predict(self, users, items, histories, context) -> np.ndarray:
        ready = self._ready_for(histories)
        people, place = np.unique(users, return_inverse=True)
        order = np.argsort(place, kind="stable")
        scores, done = np.empty(len(users), np.float32), 0
        for block in self._blocks(people):
            table = self._scores_of(block, ready)
            table = np.column_stack([table, table.mean(1)])  # code -1 picks the last: the average item
            stop = np.searchsorted(users[order], block[-1], side="right")
            here = order[done:stop]
            scores[here] = table[np.searchsorted(block, users[here]), items[here]]
            done = stop
        return scores

    def _prior(self, users, items, histories) -> np.ndarray:
        """Somebody unknown is somebody of whom nothing is known; an unknown item is the average item."""
        return self._predict(users, items, histories, None)
