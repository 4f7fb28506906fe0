"""Implicit feedback in Keras: EASE, weighted least squares, BPR (chapter `implicit`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from recbook.keras import _backend as backend
from recbook.keras._model import KerasModel
from recbook.shared import implicit as shared
from recbook.shared.implicit import Tile


class EASE(shared.EASE, KerasModel):
    def _solve(self, gram: np.ndarray):
        with self._scope():
            identity = np.eye(len(gram))
            root = ops.cholesky(self._to_tensor(gram + self.reg * identity))
            half = ops.solve_triangular(root, self._to_tensor(identity), lower=True)
            M = ops.transpose(half) @ half
            B = -M / ops.diagonal(M)
            return ops.cast(B * self._to_tensor(1 - identity), "float32")

    def _product(self, rows: np.ndarray) -> np.ndarray:
        with self._scope():
            return self._to_numpy(self._to_tensor(rows) @ self._weights)


class Lists(NamedTuple):
    """A `Tile` as tensors."""

    owners: np.ndarray
    others: keras.KerasTensor
    root: keras.KerasTensor
    target: keras.KerasTensor
    ridge: keras.KerasTensor


@functools.cache
def block_pass(factors: int, block: int) -> Callable[..., tuple]:
    """Equation (im-als-block) for the owners of a tile, as one compiled function.

    It takes a tile's others, root, target and ridge; mine (rows, factors), where it starts; the others' vectors; and
    w₀ QᵀQ. It gives the new vectors, (rows, factors), and Σ of what is left of the targets, squared.
    """
    blocks = [slice(start, min(start + block, factors)) for start in range(0, factors, block)]

    @backend.compiled
    def run(others, root, target, ridge, mine, vectors, gram):
        parts = [mine[:, here] for here in blocks]
        q = ops.take(vectors, others, axis=0) * root[:, :, None]
        rest = (q @ mine[:, :, None])[:, :, 0] - target
        for number, here in enumerate(blocks):
            x, p = q[:, :, here], ops.concatenate(parts, axis=1)
            gradient = (rest[:, None, :] @ x)[:, 0] + p @ gram[:, here] + ridge[:, None] * parts[number]
            hessian = ops.transpose(x, (0, 2, 1)) @ x + gram[here, here]
            triangle = ops.cholesky(hessian + ridge[:, None, None] * ops.eye(here.stop - here.start))
            half = ops.solve_triangular(triangle, gradient[:, :, None], lower=True)
            step = ops.solve_triangular(ops.transpose(triangle, (0, 2, 1)), half, lower=False)
            parts[number] = parts[number] - step[:, :, 0]
            rest = rest - (x @ step)[:, :, 0]
        return ops.concatenate(parts, axis=1), ops.sum(ops.square(rest))

    return run


class ImplicitALS(shared.ImplicitALS, KerasModel):
    def _to_lists(self, tiles: list[Tile]) -> list[Lists]:
        return [Lists(t.owners, *map(self._to_tensor, (t.others, t.root, t.target, t.ridge))) for t in tiles]

    def _pass(self, tiles: list[Lists], mine: np.ndarray, others: np.ndarray, block: int) -> tuple:
        with self._scope():
            across = self._to_tensor(others)
            found, squares = mine.copy(), 0.0
            gram = self.unobserved * (ops.transpose(across) @ across)
            run = block_pass(self.factors, block)
            for owners, *lists in tiles:
                start = np.zeros((lists[0].shape[0], self.factors), np.float32)
                start[: len(owners)] = mine[owners]
                try:
                    p, left = run(*lists, self._to_tensor(start), across, gram)
                except backend.not_positive_definite() as error:
                    raise self._singular("a matrix could not be factorised") from error
                found[owners] = self._to_numpy(p)[: len(owners)]
                squares += float(self._to_numpy(left))
            return found, squares


class PairNetwork(keras.Model):
    """r̂_ui = p_uᵀq_i + b_i, equation (im-pair-score)."""

    def __init__(self, n_users: int, n_items: int, factors: int):
        super().__init__()
        add = self.add_weight
        self.user_factors = add(shape=(n_users, factors), name="user_factors", initializer="zeros")
        self.item_factors = add(shape=(n_items, factors), name="item_factors", initializer="zeros")
        self.item_bias = add(shape=(n_items,), name="item_bias", initializer="zeros")
        self.draw = add(shape=(n_items,), name="draw", initializer="ones", trainable=False)

    def call(self, users, items):
        p, q = ops.take(self.user_factors, users, axis=0), ops.take(self.item_factors, items, axis=0)
        return ops.sum(p * q, axis=1) + ops.take(self.item_bias, items)


class BPR(shared.BPR, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> PairNetwork:
        return PairNetwork(n_users, n_items, self.factors)

    def _objective(self, network: PairNetwork, batch: dict):
        p = ops.take(network.user_factors, batch["user"], axis=0)
        q, b = (
            ops.take(network.item_factors, batch["item"], axis=0),
            ops.take(network.item_bias, batch["item"]),
        )
        r = ops.take(network.item_factors, batch["negative"], axis=0)
        c = ops.take(network.item_bias, batch["negative"])
        above = ops.sum(p * q, axis=1) + b
        below = ops.sum(r * p[:, None, :], axis=2) + c
        loss = ops.mean(ops.softplus(below - above[:, None]), axis=1)
        sizes = ops.sum(ops.square(p), axis=1) + ops.sum(ops.square(q), axis=1) + ops.square(b)
        sizes = sizes + ops.mean(ops.sum(ops.square(r), axis=2) + ops.square(c), axis=1)
        return ops.mean(loss + self.reg * sizes)
