"""What non-negative matrix factorisation shares in both wings (chapter `factorization`).

r̂_ui = b_u + b_i + p_uᵀq_i with nothing below 0, equation (mf-nmf).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import nnls

from recbook.biased import parameter_shapes, sum_of_biases
from recbook.interactions import Interactions
from recbook.progress import bar
from recbook.recommender import Coded, Recommender, check_number

TINY = 1e-9  # of 0/0 it makes 0
SPREAD = (0.25, 0.5)  # of the first factors, in units of √(μ/k): p_uᵀq_i begins near a seventh of the mean

Side = tuple[np.ndarray, np.ndarray, np.ndarray]


class NonNegativeModel(Recommender):
    """Every parameter is multiplied by a ratio of two sums that are not negative, so none becomes negative."""

    task = "rating"
    _watches_validation = True

    def _check_hyper_parameters(self) -> None:
        check_number("factors", self.factors, 1, whole=True)
        check_number("epochs", self.epochs, 1, whole=True)
        check_number("reg", self.reg, 0)
        check_number("seed", self.seed, 0, whole=True)

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        check_not_negative(type(self).__name__, x)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._set_parameters(self._start(train, np.random.default_rng(self.seed)))
        with bar(range(self.epochs), type(self).__name__, progress) as shown:
            for loss in self._sweeps(train):
                record = {"epoch": len(self._log) + 1, "loss": loss}
                if validation is not None:
                    scores = self._predict(validation.users, validation.items, None, None)
                    record["validation_rmse"] = float(np.sqrt(np.square(scores - validation.ratings).mean()))
                self._log.append(record)
                shown.update()

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        mean = float(train.ratings.mean())
        unit = np.sqrt(mean / self.factors)

        def first(n: int) -> np.ndarray:
            return (unit * rng.uniform(*SPREAD, (n, self.factors))).astype(np.float32)

        return {
            "mean": np.asarray(mean, np.float32),
            "user_bias": np.full(train.n_users, mean / 2, np.float32),
            "item_bias": np.full(train.n_items, mean / 2, np.float32),
            "user_factors": first(train.n_users),
            "item_factors": first(train.n_items),
        }

    def _sweeps(self, train: Coded) -> Iterator[float]:
        """`epochs` times an update of the users and one of the items, the parameters in place after each.

        Yields the mean objective of each sweep, as it is before the items' update.
        """
        raise NotImplementedError

    @staticmethod
    def _sides(train: Coded) -> tuple[Side, Side]:
        """The ratings sorted by user, and by item: whose, across from whom, how many stars."""

        def side(own: np.ndarray, other: np.ndarray) -> Side:
            rows = np.argsort(own, kind="stable")
            ratings = train.ratings[rows].astype(np.float32)
            return own[rows].astype(np.int32), other[rows].astype(np.int32), ratings

        return side(train.users, train.items), side(train.items, train.users)

    # ---------------------------------------------------------------- people it never saw, ids it does not know

    def _fold_in(self, histories: Coded) -> tuple[np.ndarray, np.ndarray]:
        """p_u and b_u of new people: what makes their own part of the objective smallest, and is not negative.

        Returns (n_users, factors) and (n_users,), float32; 0 and μ/2 for whoever has no history.
        """
        learnt = {name: values.astype(np.float64) for name, values in self._get_parameters().items()}
        x = np.column_stack([learnt["item_factors"], np.ones(len(learnt["item_factors"]))])
        pulled_to = np.append(np.zeros(self.factors), learnt["mean"] / 2)
        found = np.tile(pulled_to, (histories.n_users, 1))
        by_user = histories.by_user()
        for user in np.flatnonzero(by_user.lengths):
            rows = by_user.rows[by_user.starts[user] : by_user.starts[user + 1]]
            items = histories.items[rows]
            # The penalty as more rows of the least squares: √(λn) w is to be √(λn) times what it is pulled to.
            pull = np.sqrt(self.reg * len(rows))
            left = np.vstack([x[items], pull * np.eye(self.factors + 1)])
            right = np.append(histories.ratings[rows] - learnt["item_bias"][items], pull * pulled_to)
            found[user] = nnls(left, right)[0]
        return found[:, :-1].astype(np.float32), found[:, -1].astype(np.float32)

    def _prior(self, users, items, histories):
        learnt = self._get_parameters()
        user_bias = learnt["user_bias"] if histories is None else histories.once(self._fold_in)[1]
        half = learnt["mean"] / 2
        return sum_of_biases(0.0, user_bias, learnt["item_bias"], users, items, unknown=half)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return parameter_shapes(n_users, n_items, self.factors)


def check_not_negative(who: str, train: Interactions) -> None:
    """Raises ValueError where a rating is below 0."""
    wrong = train.ratings < 0
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"`rating`, row {row}: {train.ratings[row]:g} is negative, and {who} adds up only what is not; "
            "shift the ratings, such as df['rating'] - df['rating'].min(), or choose MatrixFactorization"
        )
