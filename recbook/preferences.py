"""What the models of implicit feedback share in both wings: who met what, people never seen, examples.

Each row of the data says that a user met an item; a rating, where there is one, is not looked at unless a model
is told to. Equations (im-…) are those of the chapter `implicit`.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recbook.errors import NotSupportedError
from recbook.recommender import Coded, Recommender, check_number

CELLS_PER_BLOCK = 2_000_000


def met(coded: Coded) -> sparse.csr_array:
    """Users × items, 1 where they met, however often; float32."""
    cells = np.unique(coded.users * coded.n_items + coded.items)
    shape = coded.n_users, coded.n_items
    return sparse.csr_array((np.ones(len(cells), np.float32), np.divmod(cells, coded.n_items)), shape)


# ---------------------------------------------------------------- items as each other's weights


class ItemWeightModel(Recommender):
    """Scores x_uᵀ B: what a user met, each item with its weight for every other; equation (im-item-scores)."""

    task = "ranking"

    # ---------------------------------------------------------------- the wing's part

    def _solve(self, gram: np.ndarray):
        """Equation (im-ease) of XᵀX (items, items), float64: B, a float32 tensor."""
        raise NotImplementedError

    def _product(self, rows: np.ndarray) -> np.ndarray:
        """rows B, for rows (n, items)."""
        raise NotImplementedError

    def _to_numpy(self, tensor) -> np.ndarray:
        raise NotImplementedError

    def _to_tensor(self, array: np.ndarray):
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _check_hyper_parameters(self) -> None:
        check_number("reg", self.reg, 0, above=True)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        X = met(train).astype(np.float64)
        self._weights = self._solve((X.T @ X).toarray())

    def _rows(self, histories: Coded | None) -> sparse.csr_array:
        """x of everybody known, or of the people of `histories`: a person never seen needs no training."""
        if histories is not None:
            return met(histories)
        if self._train is None:
            raise NotSupportedError(
                f"this {type(self).__name__} was saved without its history, so it knows nobody's items; pass "
                "`histories`, or save it with include_history=True"
            )
        if getattr(self, "_met_of", None) is not self._train:
            self._met_of, self._met = self._train, met(self._train)
        return self._met

    def _blocks(self, n: int):
        step = max(1, CELLS_PER_BLOCK // len(self._item_index))
        return (slice(start, start + step) for start in range(0, n, step))

    def _predict(self, users, items, histories, context) -> np.ndarray:
        X, (people, place) = self._rows(histories), np.unique(users, return_inverse=True)
        scores = np.empty(len(users), np.float32)
        order = np.argsort(place, kind="stable")
        for block in self._blocks(len(people)):
            first, last = np.searchsorted(place[order], [block.start, block.start + len(people[block])])
            here = order[first:last]
            scores[here] = self._product(X[people[block]].toarray())[place[here] - block.start, items[here]]
        return scores

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        X = self._rows(histories)
        n_columns = len(self._item_index) if items is None else len(items)
        scores = np.empty((len(users), n_columns), np.float32)
        for block in self._blocks(len(users)):
            found = self._product(X[users[block]].toarray())
            scores[block] = found if items is None else found[:, items]
        return scores

    def _prior(self, users, items, histories):
        """Nothing met, nothing scored: 0; an unknown item has no weight from any other."""
        return np.zeros(len(users))

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"weights": (n_items, n_items)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"weights": self._to_numpy(self._weights)}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._weights = self._to_tensor(parameters["weights"])
