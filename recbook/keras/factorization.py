"""Matrix factorisation, SVD++ and non-negative matrix factorisation in Keras (chapter `factorization`)."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from recbook.factors import FactorModel
from recbook.implicit_sums import ImplicitSumModel
from recbook.keras import backend
from recbook.keras.base import KerasRecommender
from recbook.keras.training import KerasGradientModel
from recbook.nonnegative import TINY, NonNegativeModel


class FactorNetwork(keras.Model):
    """r̂_ui = μ + b_u + b_i + p_uᵀq_i, equation (mf-biased); without biases p_uᵀq_i alone, (mf-plain)."""

    def __init__(self, n_users: int, n_items: int, factors: int, biased: bool):
        super().__init__()
        self.biased = biased
        add = self.add_weight
        self.mean = add(shape=(), name="mean", initializer="zeros", trainable=False)
        self.user_bias = add(shape=(n_users,), name="user_bias", initializer="zeros", trainable=biased)
        self.item_bias = add(shape=(n_items,), name="item_bias", initializer="zeros", trainable=biased)
        self.user_factors = add(shape=(n_users, factors), name="user_factors", initializer="zeros")
        self.item_factors = add(shape=(n_items, factors), name="item_factors", initializer="zeros")

    def rows(self, users, items):
        """b_u, b_i, p_u and q_i of n pairs."""
        b_u, b_i = ops.take(self.user_bias, users, axis=0), ops.take(self.item_bias, items, axis=0)
        return (
            b_u,
            b_i,
            ops.take(self.user_factors, users, axis=0),
            ops.take(self.item_factors, items, axis=0),
        )

    def score(self, b_u, b_i, p, q):
        dot = ops.sum(p * q, axis=1)
        return self.mean + b_u + b_i + dot if self.biased else dot

    def call(self, users, items):
        return self.score(*self.rows(users, items))


class _Factors(KerasGradientModel, FactorModel):
    """What is scored by vectors and biases of users and items."""

    supports = frozenset({"histories", "similar_items"})

    def _users(self, users: np.ndarray, histories):
        """Vectors and biases of the given users: (n, factors), (n,)."""
        p, b = self._network.user_factors, self._network.user_bias
        if histories is not None:
            p, b = map(self._to_tensor, histories.once(self._person))
        return ops.take(p, users, axis=0), ops.take(b, users, axis=0)

    def _predict(self, users, items, histories, context) -> np.ndarray:
        with keras.device(self.device_):
            p, b = self._users(users, histories)
            q = ops.take(self._network.item_factors, items, axis=0)
            b_i = ops.take(self._network.item_bias, items, axis=0)
            return self._to_numpy(self._network.score(b, b_i, p, q))

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        with keras.device(self.device_):
            p, b = self._users(users, histories)
            q, b_i = self._network.item_factors, self._network.item_bias
            if items is not None:
                q, b_i = ops.take(q, items, axis=0), ops.take(b_i, items, axis=0)
            scores = p @ ops.transpose(q)
            return self._to_numpy(self._network.mean + b[:, None] + b_i + scores if self.biased else scores)

    def _similar_items(self, items) -> np.ndarray:
        with keras.device(self.device_):
            q = ops.normalize(self._network.item_factors)
            return self._to_numpy(ops.take(q, items, axis=0) @ ops.transpose(q))


class MatrixFactorization(_Factors):
    """Matrix factorisation: users and items as vectors whose dot product is the score (Koren et al. 2009).

    r̂_ui = μ + b_u + b_i + p_uᵀq_i, trained on the mean over observed pairs of
    ℓ(r_ui, r̂_ui) + reg (b_u² + b_i² + ‖p_u‖² + ‖q_i‖²): equations (mf-biased) and (mf-objective). The penalty
    stands inside the sum, so that who rated much is held more.

    factors : length of p and q;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each rating;  biased : False leaves μ, b_u and b_i out
    loss : "squared" on ratings, or "logistic" on who met what
    negatives : with "logistic", items drawn for each positive among those the user did not meet, anew in each
        epoch, a pair that stands twice being two positives; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of p and q
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    def __init__(
        self,
        factors: int = 100,
        epochs: int = 20,
        learning_rate: float = 0.015,
        reg: float = 0.12,
        biased: bool = True,
        loss: str = "squared",
        negatives: int = 4,
        batch_size: int = 4096,
        optimizer: str = "adam",
        init_scale: float = 0.05,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.biased = biased
        self.loss = loss
        self.negatives = negatives
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> FactorNetwork:
        return FactorNetwork(n_users, n_items, self.factors, self.biased)

    def _objective(self, network: FactorNetwork, batch: dict):
        b_u, b_i, p, q = network.rows(batch["user"], batch["item"])
        score = network.score(b_u, b_i, p, q)
        if self.loss == "squared":
            loss = ops.square(batch["target"] - score)
        else:
            loss = ops.binary_crossentropy(batch["target"], score, from_logits=True)
        squares = ops.sum(ops.square(p), axis=1) + ops.sum(ops.square(q), axis=1)
        penalty = ops.square(b_u) + ops.square(b_i) + squares
        return ops.mean(loss + self.reg * penalty)


class ImplicitSumNetwork(FactorNetwork):
    """r̂_ui = μ + b_u + b_i + q_iᵀ(p_u + |N(u)|^-½ Σ y_j), equation (mf-svdpp)."""

    def __init__(self, n_users: int, n_items: int, factors: int):
        super().__init__(n_users, n_items, factors, biased=True)
        shape = (n_items, factors)
        self.implicit_factors = self.add_weight(shape=shape, name="implicit_factors", initializer="zeros")

    def sums(self, places, items, n: int, by_item=None):
        """|N|^-½ Σ y_j of n lists, (n, factors): the items, list by list, and the list that each belongs to.

        by_item : the order that sorts `items`, for the gradient's sake
        """
        lengths = ops.segment_sum(ops.ones_like(places, dtype=self.implicit_factors.dtype), places, n)
        y = backend.sums_of_rows(self.implicit_factors, items, places, n, by_item)
        return y * ops.rsqrt(ops.maximum(lengths, 1))[:, None]


class SVDpp(_Factors, ImplicitSumModel):
    """SVD++: matrix factorisation where what a user rated is part of the user, too (Koren 2008).

    r̂_ui = μ + b_u + b_i + q_iᵀ(p_u + |N(u)|^-½ Σ_{j∈N(u)} y_j), N(u) being the items that u rated in train:
    equation (mf-svdpp). Trained on the mean over observed pairs of
    (r_ui - r̂_ui)² + reg (b_u² + b_i² + ‖p_u‖² + ‖q_i‖²) + reg_implicit ‖y_i‖². Batches are drawn from blocks of
    whole users, so that each user's sum is made once for a batch.

    factors : length of p, q and y;  epochs, learning_rate, batch_size, optimizer : of the training
    reg, reg_implicit : λ, of each rating
    init_scale : standard deviation of the start of p, q and y
    patience : epochs without a better validation RMSE before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    def __init__(
        self,
        factors: int = 50,
        epochs: int = 12,
        learning_rate: float = 0.025,
        reg: float = 0.13,
        reg_implicit: float = 3.0,
        batch_size: int = 8192,
        optimizer: str = "adam",
        init_scale: float = 0.05,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.reg_implicit = reg_implicit
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> ImplicitSumNetwork:
        return ImplicitSumNetwork(n_users, n_items, self.factors)

    def _objective(self, network: ImplicitSumNetwork, batch: dict):
        n = network.user_bias.shape[0] + 1  # the last one is nobody: the batch is filled up with it
        implicit = network.sums(batch["member_user"], batch["member_item"], n, batch["by_item"])
        b_u, b_i, p, q = network.rows(batch["user"], batch["item"])
        y = ops.take(network.implicit_factors, batch["item"], axis=0)
        score = network.score(b_u, b_i, p + ops.take(implicit, batch["user"], axis=0), q)
        squares = ops.sum(ops.square(p), axis=1) + ops.sum(ops.square(q), axis=1)
        penalty = self.reg * (ops.square(b_u) + ops.square(b_i) + squares)
        penalty = penalty + self.reg_implicit * ops.sum(ops.square(y), axis=1)
        loss = ops.square(batch["target"] - score) + penalty
        return ops.sum(batch["weight"] * loss) / ops.sum(batch["weight"])

    def _implicit(self, users: np.ndarray, histories) -> np.ndarray:
        with keras.device(self.device_):
            return self._to_numpy(self._network.sums(*self._members(users, histories), len(users)))

    def _users(self, users: np.ndarray, histories):
        people, place = np.unique(users, return_inverse=True)
        p, b = super()._users(people, histories)
        p = p + self._to_tensor(self._implicit(people, histories))
        return ops.take(p, place, axis=0), ops.take(b, place, axis=0)


Factors = tuple[keras.KerasTensor, keras.KerasTensor]  # vectors (n, k) and biases (n,) of users, or of items


@backend.compiled
def multiplied(mine: Factors, across: Factors, side: tuple, half: float, reg: float) -> tuple:
    """One multiplicative update of `mine`, equation (mf-nmf-update), and the mean squared error before it.

    side : (whose, across from whom, rating) of each rating;  half : what biases are pulled to
    """
    (x, b), (y, c), (own, other, r) = mine, across, side
    y = ops.take(y, other, axis=0)
    score = ops.sum(ops.take(x, own, axis=0) * y, axis=1) + ops.take(b, own) + ops.take(c, other)
    error = ops.mean(ops.square(r - score))

    def total(values):
        return backend.sums_by_place(values, own, x.shape[0])

    pull = reg * total(ops.ones_like(r))
    x = x * total(r[:, None] * y) / (total(score[:, None] * y) + pull[:, None] * x + TINY)
    b = b * (total(r) + pull * half) / (total(score) + pull * b + TINY)
    return x, b, error


class NMF(KerasRecommender, NonNegativeModel):
    """Non-negative matrix factorisation of the observed ratings (Lee & Seung 2001; Luo et al. 2014).

    r̂_ui = b_u + b_i + p_uᵀq_i, equation (mf-nmf), no parameter below 0: a score is a sum of parts, and no part
    takes anything away. Multiplicative updates make smaller, over observed pairs alone,
    (r_ui - r̂_ui)² + reg (‖p_u‖² + ‖q_i‖² + (b_u - μ/2)² + (b_i - μ/2)²): equation (mf-nmf-update).

    factors : length of p and q;  epochs : updates of all users and all items;  reg : λ, of each rating
    device : "auto", "cpu", "cuda", "mps"

    Raises ValueError where a rating is negative.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self, factors: int = 8, epochs: int = 10, reg: float = 0.1, seed: int = 0, device: str = "auto"
    ):
        self.factors = factors
        self.epochs = epochs
        self.reg = reg
        self.seed = seed
        self.device = device

    def _sweeps(self, train) -> Iterator[float]:
        by_user, by_item = [tuple(map(self._to_tensor, side)) for side in self._sides(train)]
        learnt, n = self._learnt, len(train.users)
        half = learnt["mean"] / 2
        counts = [np.bincount(codes).astype(np.float32) for codes in (train.users, train.items)]
        n_u, n_i = map(self._to_tensor, counts)
        for _ in range(self.epochs):
            with keras.device(self.device_):
                users = learnt["user_factors"], learnt["user_bias"]
                items = learnt["item_factors"], learnt["item_bias"]
                *users, _ = multiplied(users, items, by_user, half, self.reg)
                penalty = sum(
                    ops.sum(m * (ops.sum(ops.square(x), axis=1) + ops.square(b - half)))
                    for m, (x, b) in ((n_u, users), (n_i, items))
                )
                *items, error = multiplied(items, users, by_item, half, self.reg)
                learnt["user_factors"], learnt["user_bias"] = users
                learnt["item_factors"], learnt["item_bias"] = items
                loss = error + self.reg * penalty / n
            yield float(self._to_numpy(loss))

    def _scores(self, users, items, own: Factors | None = None):
        """r̂ of n pairs; own : of the users, in place of what was learnt."""
        learnt = self._learnt
        p, b = own or (learnt["user_factors"], learnt["user_bias"])
        p, q = ops.take(p, users, axis=0), ops.take(learnt["item_factors"], items, axis=0)
        return ops.take(b, users) + ops.take(learnt["item_bias"], items) + ops.sum(p * q, axis=1)

    def _own(self, histories) -> Factors | None:
        return None if histories is None else tuple(map(self._to_tensor, histories.once(self._fold_in)))

    def _predict(self, users, items, histories, context) -> np.ndarray:
        with keras.device(self.device_):
            return self._to_numpy(self._scores(users, items, self._own(histories)))

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        with keras.device(self.device_):
            learnt = self._learnt
            p, b = self._own(histories) or (learnt["user_factors"], learnt["user_bias"])
            p, b = ops.take(p, users, axis=0), ops.take(b, users)
            q, b_i = learnt["item_factors"], learnt["item_bias"]
            if items is not None:
                q, b_i = ops.take(q, items, axis=0), ops.take(b_i, items)
            return self._to_numpy(b[:, None] + b_i + p @ ops.transpose(q))

    def _similar_items(self, items) -> np.ndarray:
        with keras.device(self.device_):
            q = ops.normalize(self._learnt["item_factors"])
            return self._to_numpy(ops.take(q, items, axis=0) @ ops.transpose(q))

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {name: self._to_numpy(values) for name, values in self._learnt.items()}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._learnt = {name: self._to_tensor(values) for name, values in parameters.items()}
