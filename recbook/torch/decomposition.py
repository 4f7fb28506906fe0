"""Decompositions in PyTorch: alternating least squares, PureSVD, PCA (chapter `decomposition`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recbook.shared import decomposition as shared
from recbook.shared.decomposition import Block
from recbook.torch._model import TorchModel


class Pieces(NamedTuple):
    """A `Block` as tensors."""

    owners: tuple[int, int]
    others: Tensor
    values: Tensor
    owner: Tensor
    count: Tensor

    @property
    def n_owners(self) -> int:
        return self.owners[1] - self.owners[0]


def gather(block: Pieces, vectors: Tensor) -> Tensor:
    """The vectors of what was rated, (pieces, PIECE, factors); zeros where a piece is not full."""
    return F.embedding(block.others, F.pad(vectors, (0, 0, 0, 1)))


def per_owner(block: Pieces, parts: Tensor) -> Tensor:
    """Adds up what was computed for pieces: (pieces, …) → (owners, …)."""
    return parts.new_zeros(len(block.count), *parts.shape[1:]).index_add_(0, block.owner, parts)


def least_squares(block: Pieces, vectors: Tensor, reg: float, weighted: bool) -> tuple[Tensor, Tensor]:
    """p = (Σ q qᵀ + λ n I)⁻¹ Σ r q for every owner at once, (owners, factors): equation (dc-als).

    Also b = Σ r q, of the same shape. Without `weighted` n is 1. Who has no rating gets zeros.
    """
    q = gather(block, vectors)
    gram = per_owner(block, q.transpose(1, 2) @ q)
    b = per_owner(block, (block.values[:, None, :] @ q)[:, 0])
    ridge = reg * block.count if weighted else torch.full_like(block.count, reg)
    ridge = torch.where(block.count > 0, ridge, 1.0)
    identity = torch.eye(vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
    root = torch.linalg.cholesky(gram + ridge[:, None, None] * identity)
    return torch.cholesky_solve(b[:, :, None], root)[:, :, 0], b


def to_pieces(model: TorchModel, blocks: list[Block]) -> list[Pieces]:
    tensors = [map(model._to_tensor, (b.others, b.values, b.owner, b.count)) for b in blocks]
    return [Pieces(block.owners, *four) for block, four in zip(blocks, tensors, strict=True)]


class ALS(shared.ALS, TorchModel):
    def _to_pieces(self, blocks: list[Block]) -> list[Pieces]:
        return to_pieces(self, blocks)

    def _least_squares(self, blocks: list[Pieces], factors: np.ndarray) -> tuple[np.ndarray, float]:
        across, found, explained = self._to_tensor(factors), [], 0.0
        for block in blocks:
            try:
                p, b = least_squares(block, across, self.reg, self.weighted)
            except torch.linalg.LinAlgError as error:  # pyright: ignore[reportPrivateImportUsage]  # it is public
                raise self._singular("a matrix could not be factorised") from error
            found.append(p[: block.n_owners])
            explained += (p * b).sum(dtype=torch.float64).item()
        return self._to_numpy(torch.cat(found)), explained


class SpectralParts(TorchModel):
    """Products with a sparse matrix, and new directions of a space."""

    _needs_float64 = True

    def _to_pieces(self, blocks: list[Block]) -> list[Pieces]:
        return to_pieces(self, blocks)

    def _multiply(self, blocks: list[Pieces], V: Tensor) -> Tensor:
        def rows(block: Pieces) -> Tensor:
            return per_owner(block, (block.values[:, None, :] @ gather(block, V))[:, 0])[: block.n_owners]

        return torch.cat([rows(block) for block in blocks])

    def _new_directions(self, Z: Tensor, basis: Tensor | None, width: int):
        if basis is None:
            basis = Z[:, :0]
        C = basis.T @ Z
        beyond = Z - basis @ C
        Q = beyond[:, :width]
        for _ in range(3):  # once is not enough where little lies beyond the basis
            Q = torch.linalg.qr(Q - basis @ (basis.T @ Q)).Q
        return Q, self._to_numpy(C), self._to_numpy(Q.T @ beyond)

    def _side_by_side(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.cat([left, right], dim=1)


class PureSVD(shared.PureSVD, SpectralParts):
    pass


class PCA(shared.PCA, SpectralParts):
    pass
