"""Decompositions in PyTorch: alternating least squares, PureSVD, PCA (chapter `decomposition`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recbook.decompositions import AlternatingModel, Block, MeanFilledModel, ZeroFilledModel
from recbook.torch.base import TorchRecommender


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


class _Decomposition(TorchRecommender):
    """Scores are dot products of two tables of vectors, plus a level."""

    def _to_blocks(self, blocks: list[Block]) -> list[Pieces]:
        tensors = [map(self._to_tensor, (b.others, b.values, b.owner, b.count)) for b in blocks]
        return [Pieces(block.owners, *four) for block, four in zip(blocks, tensors, strict=True)]

    def _dots(self, P: Tensor, users, items) -> np.ndarray:
        """p_uᵀq_i of n pairs."""
        users, items = self._to_tensor(users), self._to_tensor(items)
        return self._to_numpy((P[users] * self._item_factors[items]).sum(1))

    def _all_dots(self, P: Tensor, users, items) -> np.ndarray:
        """P Qᵀ, (len(users), len(items))."""
        return self._to_numpy(P[self._to_tensor(users)] @ self._item_factors[self._to_tensor(items)].T)

    def _cosines(self, Q: Tensor, items) -> np.ndarray:
        """Cosines of some rows of Q with all."""
        Q = F.normalize(Q)
        return self._to_numpy(Q[self._to_tensor(items)] @ Q.T)


class ALS(_Decomposition, AlternatingModel):
    """Alternating least squares with a penalty weighted by counts (ALS-WR; Zhou et al. 2008).

    r̂_ui = μ + b_u + b_i + p_uᵀq_i. Mean and biases are fitted first (`preprocessing.fit_biases`); then q for
    all items while p stands still, and p for all users while q does, each a ridge regression solved exactly,
    `epochs` times. What falls from sweep to sweep is J = Σ (r_ui - r̂_ui)² + reg (Σ n_u ‖p_u‖² + Σ n_i ‖q_i‖²)
    over known pairs, n_u and n_i the numbers of ratings: equations (dc-objective) and (dc-als). `history_` has J
    after each sweep, and "validation_rmse" where `fit` got validation data.

    People never seen are folded in by the same equation, without training.

    factors : length of p and q;  epochs : sweeps
    reg : λ;  weighted : False takes 1 for n_u and n_i, which needs a `reg` about a hundred times as large
    biased : False leaves μ, b_u and b_i out
    seed : of the normal start of p, with variance 1 / factors
    device : "auto", "cpu", "cuda"

    The defaults were chosen on a fifth of the first fold's train of MovieLens-100K (experiments/decomposition.py).
    Raises DivergedError where the equations have no single solution, as with reg=0 and few ratings.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 16,
        epochs: int = 10,
        reg: float = 0.15,
        biased: bool = True,
        weighted: bool = True,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.epochs = epochs
        self.reg = reg
        self.biased = biased
        self.weighted = weighted
        self.seed = seed
        self.device = device

    def _least_squares(self, blocks: list[Pieces], factors: Tensor) -> tuple[Tensor, float]:
        found, explained = [], 0.0
        for block in blocks:
            try:
                p, b = least_squares(block, factors, self.reg, self.weighted)
            except torch.linalg.LinAlgError as error:
                raise self._singular("a matrix could not be factorised") from error
            found.append(p[: block.n_owners])
            explained += (p * b).sum(dtype=torch.float64).item()
        return torch.cat(found), explained

    def _predict(self, users, items, histories, context) -> np.ndarray:
        P, bias = self._people_of(histories)
        return self._level(bias[users], items) + self._dots(P, users, items)

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        P, bias = self._people_of(histories)
        items = np.arange(len(self._item_index)) if items is None else items
        return self._level(bias[users][:, None], items) + self._all_dots(P, users, items)

    def _similar_items(self, items) -> np.ndarray:
        return self._cosines(self._item_factors, items)


class _SVD(_Decomposition):
    _needs_float64 = True

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

    def _predict(self, users, items, histories, context) -> np.ndarray:
        return self._level(items) + self._dots(self._people_of(histories), users, items)

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        items = np.arange(len(self._item_index)) if items is None else items
        return self._level(items) + self._all_dots(self._people_of(histories), users, items)

    def _similar_items(self, items) -> np.ndarray:
        sigma = torch.linalg.vector_norm(self._user_factors, dim=0)
        return self._cosines(self._item_factors * sigma, items)


class PureSVD(_SVD, ZeroFilledModel):
    """PureSVD: the truncated SVD of the ratings with zeros for what is unknown (Cremonesi et al. 2010).

    The score of u and i is x_uᵀ V_K V_K,iᵀ, x_u the row of u: equation (dc-scores). It orders items; it is no
    rating. Without ratings, x has ones, and rows that repeat a pair add
    up; with ratings a pair has one, or `fit` raises ValueError. People never seen are folded in, x_uᵀ V_K.
    `user_factors` are U_K Σ_K, `item_factors` V_K; in each column of V_K the first large entry is positive
    (above nine tenths of the largest). Similar items: the cosine of columns of X_K.

    The matrix is never filled: the singular vectors come from products with the known entries, by block
    Lanczos in float64. No more than min(users, items) factors are kept, and columns are zero where the
    singular value is nothing but rounding (below 10⁻⁶ of the largest). With all of them the scores are X itself,
    0 for every unseen item: the gain is in what is cut.

    factors : K; None takes 20, or a quarter of min(users, items) where that is less
    seed : of the start of block Lanczos, which the result does not depend on
    device : "auto", "cpu", "cuda"
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(self, factors: int | None = None, seed: int = 0, device: str = "auto"):
        self.factors = factors
        self.seed = seed
        self.device = device


class PCA(_SVD, MeanFilledModel):
    """Principal components of the ratings, each item's mean filled in for what is unknown (Goldberg et al. 2001).

    PCA is the SVD of the matrix less its column means, equation (dc-pca). Where means are filled in, what is left
    is zero at unknown places: the matrix stays sparse. r̂_ui = r̄_i + (x_u - r̄)ᵀ V_K V_K,iᵀ.
    `user_factors` are the scores U_K Σ_K (variances: their squares over users - 1), `item_factors` the
    loadings V_K, signs and computation as in `PureSVD`.

    factors : K;  seed : of the start of block Lanczos, which the result does not depend on
    device : "auto", "cpu", "cuda"
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(self, factors: int = 10, seed: int = 0, device: str = "auto"):
        self.factors = factors
        self.seed = seed
        self.device = device
