"""Decompositions in Keras: alternating least squares, PureSVD, PCA (chapter `decomposition`)."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from recbook.keras import _backend as backend
from recbook.keras._model import KerasModel
from recbook.shared import decomposition as shared
from recbook.shared.decomposition import Block


class Pieces(NamedTuple):
    """A `Block` as tensors."""

    owners: tuple[int, int]
    others: keras.KerasTensor
    values: keras.KerasTensor
    owner: keras.KerasTensor
    count: keras.KerasTensor

    @property
    def n_owners(self) -> int:
        return self.owners[1] - self.owners[0]


def gather(others, vectors):
    """The vectors of what was rated, (pieces, PIECE, factors); zeros where a piece is not full."""
    return ops.take(ops.pad(vectors, [[0, 1], [0, 0]]), others, axis=0)


def per_owner(owner, count, parts):
    """Adds up what was computed for pieces: (pieces, …) → (owners, …)."""
    return backend.segment_sum(parts, owner, ops.shape(count)[0])


@backend.compiled
def least_squares(others, values, owner, count, vectors, identity, reg, weighted):
    """p = (Σ q qᵀ + λ n I)⁻¹ Σ r q for every owner at once, (owners, factors): equation (dc-als).

    Also b = Σ r q, of the same shape. Where `weighted` is 0, n is 1. Who has no rating gets zeros.
    """
    q = gather(others, vectors)
    gram = per_owner(owner, count, ops.transpose(q, (0, 2, 1)) @ q)
    b = per_owner(owner, count, (values[:, None, :] @ q)[:, 0])
    ridge = reg * (weighted * count + (1 - weighted))
    ridge = ops.where(count > 0, ridge, ops.ones_like(ridge))
    root = ops.cholesky(gram + ridge[:, None, None] * identity)
    half = ops.solve_triangular(root, b[:, :, None], lower=True)
    return ops.solve_triangular(ops.transpose(root, (0, 2, 1)), half, lower=False)[:, :, 0], b


@backend.compiled
def weighted_sums(others, values, owner, count, vectors):
    """Σ x q for every owner, (owners, factors)."""
    return per_owner(owner, count, (values[:, None, :] @ gather(others, vectors))[:, 0])


def to_pieces(model: KerasModel, blocks: list[Block]) -> list[Pieces]:
    tensors = [map(model._to_tensor, (b.others, b.values, b.owner, b.count)) for b in blocks]
    return [Pieces(block.owners, *four) for block, four in zip(blocks, tensors, strict=True)]


class ALS(shared.ALS, KerasModel):
    def _to_pieces(self, blocks: list[Block]) -> list[Pieces]:
        return to_pieces(self, blocks)

    def _least_squares(self, blocks: list[Pieces], factors: np.ndarray) -> tuple[np.ndarray, float]:
        across, found, explained = self._to_tensor(factors), [], 0.0
        with self._scope():
            more = ops.eye(self.factors), np.float32(self.reg), np.float32(self.weighted)
            for block in blocks:
                try:
                    p, b = least_squares(*block[1:], across, *more)
                except backend.not_positive_definite() as error:
                    raise self._singular("a matrix could not be factorised") from error
                found.append(p[: block.n_owners])
                explained += float(self._to_numpy(ops.sum(ops.cast(p * b, "float64"))))
            return self._to_numpy(ops.concatenate(found)), explained


class SpectralParts(KerasModel):
    """Products with a sparse matrix, and new directions of a space."""

    def _to_pieces(self, blocks: list[Block]) -> list[Pieces]:
        return to_pieces(self, blocks)

    def _multiply(self, blocks: list[Pieces], V):
        with self._scope():
            return ops.concatenate([weighted_sums(*block[1:], V)[: block.n_owners] for block in blocks])

    def _new_directions(self, Z, basis, width: int):
        with self._scope():
            if basis is None:
                basis = Z[:, :0]
            C = ops.transpose(basis) @ Z
            beyond = Z - basis @ C
            Q = beyond[:, :width]
            for _ in range(3):  # once is not enough where little lies beyond the basis
                Q = ops.qr(Q - basis @ (ops.transpose(basis) @ Q))[0]
            return Q, self._to_numpy(C), self._to_numpy(ops.transpose(Q) @ beyond)

    def _side_by_side(self, left, right):
        with self._scope():
            return ops.concatenate([left, right], axis=1)


class PureSVD(shared.PureSVD, SpectralParts):
    pass


class PCA(shared.PCA, SpectralParts):
    pass
