"""The yardsticks: models so simple that every other model has to beat them. NumPy alone."""

from __future__ import annotations

import numpy as np

from recbook.biased import sum_of_biases
from recbook.preprocessing import EPOCHS, REG_ITEM, REG_USER, fit_biases, shrunk_means
from recbook.recommender import Coded, Recommender, check_number


class GlobalMean(Recommender):
    """Everybody gives everything the mean of all ratings: r̂_ui = μ.

    histories : accepted; they change nothing
    unknown="fallback" : μ
    partial_fit : exact, the mean of all ratings so far
    Of equal scores the first item wins, so `recommend` lists items in their order in train.
    """

    task = "rating"
    supports = frozenset({"histories", "partial_fit"})

    def __init__(self):
        pass

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._mean, self._count = train.ratings.mean(), len(train.ratings)

    def _partial_fit(self, new: Coded) -> None:
        total = self._mean * self._count + new.ratings.sum()
        self._count += len(new.ratings)
        self._mean = total / self._count

    def _predict(self, users, items, histories, context):
        return np.full(len(users), self._mean)

    def _score_matrix(self, users, items, histories, context):
        return np.full((len(users), len(self.item_ids_) if items is None else len(items)), self._mean)

    def _prior(self, users, items, histories):
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

    def __init__(self, epochs: int = EPOCHS, reg_user: float = REG_USER, reg_item: float = REG_ITEM):
        self.epochs = epochs
        self.reg_user = reg_user
        self.reg_item = reg_item

    def _check_hyper_parameters(self) -> None:
        check_number("epochs", self.epochs, 1, whole=True)
        check_number("reg_user", self.reg_user, 0)
        check_number("reg_item", self.reg_item, 0)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._mean, self._user_bias, self._item_bias = fit_biases(
            train.users,
            train.items,
            train.ratings,
            train.n_users,
            train.n_items,
            self.epochs,
            self.reg_user,
            self.reg_item,
        )

    def _biases_of_users(self, histories: Coded | None) -> np.ndarray:
        if histories is None:
            return self._user_bias
        return histories.once(self._fold_in)

    def _fold_in(self, histories: Coded) -> np.ndarray:
        residuals = histories.ratings - self._mean - self._item_bias[histories.items]
        return shrunk_means(histories.users, residuals, histories.n_users, self.reg_user)

    def _predict(self, users, items, histories, context):
        return self._mean + self._biases_of_users(histories)[users] + self._item_bias[items]

    def _score_matrix(self, users, items, histories, context):
        item_bias = self._item_bias if items is None else self._item_bias[items]
        return self._mean + self._biases_of_users(histories)[users, None] + item_bias

    def _prior(self, users, items, histories):
        user_bias = self._biases_of_users(histories)
        return sum_of_biases(self._mean, user_bias, self._item_bias, users, items)

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

    def __init__(self):
        pass

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._count = np.bincount(train.items, minlength=train.n_items)

    def _partial_fit(self, new: Coded) -> None:
        more = np.bincount(new.items, minlength=new.n_items)
        more[: len(self._count)] += self._count
        self._count = more

    def _predict(self, users, items, histories, context):
        return self._count[items]

    def _score_matrix(self, users, items, histories, context):
        count = self._count if items is None else self._count[items]
        return np.tile(count, (len(users), 1))

    def _prior(self, users, items, histories):
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

    def __init__(self, seed: int = 0):
        self.seed = seed

    def _check_hyper_parameters(self) -> None:
        check_number("seed", self.seed, 0, whole=True)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        pass  # there is nothing to learn

    def _row(self, user: int, histories: Coded | None) -> np.ndarray:
        number = user if histories is None else len(self.user_ids_) + user
        return np.random.default_rng([self.seed, number]).random(len(self.item_ids_), np.float32)

    def _predict(self, users, items, histories, context):
        who, row = np.unique(users, return_inverse=True)
        scores = np.empty(len(users), np.float32)
        order = np.argsort(row, kind="stable")
        for user, pairs in zip(who, np.split(order, np.cumsum(np.bincount(row))[:-1]), strict=True):
            scores[pairs] = self._row(user, histories)[items[pairs]]
        return scores

    def _score_matrix(self, users, items, histories, context):
        scores = np.empty((len(users), len(self.item_ids_) if items is None else len(items)), np.float32)
        for at, user in enumerate(users):
            row = self._row(user, histories)
            scores[at] = row if items is None else row[items]
        return scores

    def _prior(self, users, items, histories):
        return np.full(len(users), 0.5)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        pass
