"""Matrix factorisation, SVD++ and non-negative matrix factorisation in Keras (chapter `factorization`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras
import numpy as np
from keras import ops

from recbook.keras import _backend as backend
from recbook.keras._model import KerasModel
from recbook.shared import factorization as shared
from recbook.shared.factorization import TINY


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


class MatrixFactorization(shared.MatrixFactorization, KerasModel):
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


class SVDpp(shared.SVDpp, KerasModel):
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


Factors = Sequence[keras.KerasTensor]  # vectors (n, k) and biases (n,) of users, or of items


@backend.compiled
def multiplied(mine: Factors, across: Factors, side: tuple, half, reg: float) -> tuple:
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


class NMF(shared.NMF, KerasModel):
    def _sweeps(self, start, sides) -> Iterator[tuple[dict[str, np.ndarray], float]]:
        by_user, by_item = [tuple(map(self._to_tensor, side)) for side in sides]
        learnt, n = {name: self._to_tensor(values) for name, values in start.items()}, len(sides[0][0])
        counts = [np.bincount(side[0]).astype(np.float32) for side in sides]
        n_u, n_i = map(self._to_tensor, counts)
        half = learnt["mean"] / 2
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
            arrays = {name: self._to_numpy(values) for name, values in learnt.items()}
            yield arrays, float(self._to_numpy(loss))
