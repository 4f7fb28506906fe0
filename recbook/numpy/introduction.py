"""The yardsticks: models so simple that every other model has to beat them. NumPy alone."""

from __future__ import annotations

import numpy as np

from recbook.preprocessing import EPOCHS, REG_ITEM, REG_USER, fit_biases, shrunk_means
from recbook.recommender import Coded, Recommender, number, seed, whole
from recbook.shared._vectors import sum_of_biases


class GlobalMean(Recommender):
    """Everybody gives everything the mean of all ratings: r̂_ui = μ.

    histories : accepted; they change nothing
    unknown="fallback" : μ
    partial_fit : exact, the mean of all ratings so far
    Of equal scores the first item wins, so `recommend` lists items in their order in train.
    """

    task = "rating"
    supports = frozenset({"histories", "partial_fit"})
    _reads_histories = False

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._mean, self._count = train.rated.mean(), len(train.rated)

    def _partial_fit(self, new: Coded) -> None:
        total = self._mean * self._count + new.rated.sum()
        self._count += len(new.rated)
        self._mean = total / self._count

    def _predict(self, users, items, people, context):
        return np.full(len(users), self._mean)

    def _score_matrix(self, users, items, people, context):
        return np.full((len(users), len(self.item_ids_) if items is None else len(items)), self._mean)

    def _prior(self, users, items, people):
        return np.full(len(users), self._mean)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"mean": (), "count": ()}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"mean": np.asarray(self._mean, np.float64), "count": np.asarray(self._count, np.int64)}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._mean, self._count = float(parameters["mean"]), int(parameters["count"])


class BiasOnly(Recommender):
    """A mean, kind and strict users, good and bad items: r̂_ui = μ + b_u + b_i (Koren 2010, section 2.1).

    The biases minimise Σ (r_ui - μ - b_u - b_i)² + reg_user Σ b_u² + reg_item Σ b_i² by alternating least
    squares, the items' first: b_i = Σ_u (r_ui - μ - b_u) / (reg_item + n_i), then likewise b_u.

    epochs : rounds of both
    reg_user, reg_item : how strongly biases are pulled to zero, as a number of ratings
    histories : a new person's b_u is the last half-step's, from what the person rated; b_i stay
    unknown="fallback" : μ and the bias that is known
    """

    task = "rating"
    supports = frozenset({"histories"})

    epochs: int = whole(EPOCHS)
    reg_user: float = number(REG_USER, 0, search=(1.0, 50.0, "log"))
    reg_item: float = number(REG_ITEM, 0, search=(1.0, 50.0, "log"))

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._mean, self._user_bias, self._item_bias = fit_biases(
            train.users,
            train.items,
            train.rated,
            train.n_users,
            train.n_items,
            self.epochs,
            self.reg_user,
            self.reg_item,
        )

    def _people(self, histories: Coded | None) -> np.ndarray:
        """b_u."""
        if histories is None:
            return self._user_bias
        residuals = histories.rated - self._mean - self._item_bias[histories.items]
        return shrunk_means(histories.users, residuals, histories.n_users, self.reg_user)

    def _predict(self, users, items, people, context):
        return self._mean + people[users] + self._item_bias[items]

    def _score_matrix(self, users, items, people, context):
        item_bias = self._item_bias if items is None else self._item_bias[items]
        return self._mean + people[users, None] + item_bias

    def _prior(self, users, items, people):
        return sum_of_biases(self._mean, people, self._item_bias, users, items)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"mean": (), "user_bias": (n_users,), "item_bias": (n_items,)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"mean": np.asarray(self._mean), "user_bias": self._user_bias, "item_bias": self._item_bias}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._mean = float(parameters["mean"])
        self._user_bias, self._item_bias = parameters["user_bias"], parameters["item_bias"]


class Popularity(Recommender):
    """What many have met: an item's score is the number of its interactions in train, ratings ignored.

    histories : accepted; they tell what was seen, and change no score
    unknown="fallback" : the item's count; 0 for an item that nobody met
    partial_fit : exact, counts are added
    """

    task = "ranking"
    supports = frozenset({"histories", "partial_fit"})
    _reads_histories = False

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._count = np.bincount(train.items, minlength=train.n_items)

    def _partial_fit(self, new: Coded) -> None:
        more = np.bincount(new.items, minlength=new.n_items)
        more[: len(self._count)] += self._count
        self._count = more

    def _predict(self, users, items, people, context):
        return self._count[items]

    def _score_matrix(self, users, items, people, context):
        count = self._count if items is None else self._count[items]
        return np.tile(count, (len(users), 1))

    def _prior(self, users, items, people):
        return np.append(self._count, 0)[items]

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"count": (n_items,)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"count": self._count}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._count = parameters["count"].astype(np.int64)


class Random(Recommender):
    """Chance: the scores of user u (0, 1, …) are the first draws of `np.random.default_rng([seed, u])`.

    Each is uniform on [0, 1). Item i, counted in order of first appearance in train, has the i-th draw.
    Scores hang on the seed and the order in train alone, not on what else is asked.

    histories : people are counted on from the last user of train
    unknown="fallback" : ½, the mean of a score
    """

    task = "ranking"
    supports = frozenset({"histories"})
    _reads_histories = False

    seed: int = seed()

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        pass  # there is nothing to learn

    def _people(self, histories: Coded | None) -> int:
        """The number that people are counted on from."""
        return 0 if histories is None else len(self.user_ids_)

    def _score_rows(self, users, people):
        rows = (np.random.default_rng([self.seed, people + user]) for user in users)
        return np.stack([row.random(len(self.item_ids_), np.float32) for row in rows])

    def _prior(self, users, items, people):
        return np.full(len(users), 0.5)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        pass
