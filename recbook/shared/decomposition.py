"""Alternating least squares, PureSVD and PCA: what both wings share (chapter `decomposition`).

Both alternating least squares and the truncated SVD go through everybody's ratings, user by user and item by
item, and add up something for each. Lists differ in length, frameworks want rectangles: so each list is cut
into pieces of equal length, and what a wing computes for pieces it adds up for their owners. Nothing here, nor
in the wings, has the size users × items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from recbook.core.blocks import power_of_two
from recbook.core.progress import bar
from recbook.core.ragged import Ragged
from recbook.errors import DivergedError
from recbook.preprocessing import REG_ITEM, REG_USER, fit_biases, shrunk_means
from recbook.recommender import Coded, Recommender, device, flag, number, seed, whole
from recbook.shared._training import rmse_of
from recbook.shared._vectors import (
    Side,
    lengthened,
    matrix_scores,
    needs_what_was_met,
    pair_scores,
    parameter_shapes,
    sum_of_biases,
)

PIECE = 32
PIECES_PER_BLOCK = 2048
OWNERS_PER_BLOCK = 512

FEW_ITEMS = 128  # so many singular vectors are computed all at once
# Of a singular value that repeats more often than a block is wide, block Lanczos may miss some vectors.
KRYLOV_BLOCK = 16
RESIDUAL = 1e-9  # of a singular value squared: when a singular vector is good enough
PURE_SVD_FACTORS = 20  # chosen on validation data of MovieLens-100K (experiments/decomposition.py)
NOTHING = 1e-12  # of the largest singular value squared: below it there is no direction, only rounding


@dataclass(frozen=True, eq=False)
class Block:
    """The lists of a few owners (users, or items), in pieces.

    owners : (start, stop) of their codes
    others : (pieces, PIECE) codes of what they rated; where a piece is not full, the number of others there are
    values : (pieces, PIECE), 0 where a piece is not full
    owner : (pieces,) whose piece it is, counted from `start`
    count : (owners,) lengths of the lists

    The first dimensions are rounded up to powers of two, so that a compiler meets few shapes; what is added has
    no ratings, and belongs to owners that stand behind the real ones.
    """

    owners: tuple[int, int]
    others: np.ndarray
    values: np.ndarray
    owner: np.ndarray
    count: np.ndarray


def in_blocks(owners: np.ndarray, others: np.ndarray, values: np.ndarray, n_owners: int, n_others: int):
    """Cuts a table of ratings (owner, other, value), in any order, into a list of `Block`s; values keep their dtype.

    A block has at most OWNERS_PER_BLOCK owners and PIECES_PER_BLOCK pieces, or one owner.
    """
    lists = Ragged.group(owners, n_owners)
    n_pieces = -(-lists.lengths // PIECE)
    first = np.concatenate([[0], np.cumsum(n_pieces)])
    owner = np.repeat(np.arange(n_owners), n_pieces)
    cell = lists.starts[owner] + (np.arange(first[-1]) - first[owner]) * PIECE
    cell = cell[:, None] + np.arange(PIECE)
    real = cell < lists.starts[owner + 1][:, None]
    rows = lists.rows[np.where(real, cell, 0)]
    padded_others = np.where(real, others[rows], n_others).astype(np.int32)
    padded_values = np.where(real, values[rows], 0).astype(values.dtype)
    blocks, start = [], 0
    while start < n_owners:
        stop = int(np.searchsorted(first, first[start] + PIECES_PER_BLOCK, side="right")) - 1
        stop = max(start + 1, min(stop, start + OWNERS_PER_BLOCK))
        here = slice(first[start], first[stop])
        pieces, members = power_of_two(first[stop] - first[start]), power_of_two(stop - start)
        blocks.append(
            Block(
                (start, stop),
                lengthened(padded_others[here], pieces, n_others),
                lengthened(padded_values[here], pieces, 0),
                lengthened((owner[here] - start).astype(np.int32), pieces, 0),
                lengthened(lists.lengths[start:stop].astype(values.dtype), members, 0),
            )
        )
        start = stop
    return blocks


# ---------------------------------------------------------------- alternating least squares


class ALS(Recommender):
    """Alternating least squares with a penalty weighted by counts (ALS-WR; Zhou et al. 2008).

    r̂_ui = μ + b_u + b_i + p_uᵀq_i. Mean and biases are fitted first (`preprocessing.fit_biases`); then q for
    all items while p stands still, and p for all users while q does, each a ridge regression solved exactly,
    `epochs` times. What falls from sweep to sweep is J = Σ (r_ui - r̂_ui)² + reg (Σ n_u ‖p_u‖² + Σ n_i ‖q_i‖²)
    over known pairs, n_u and n_i the numbers of ratings: equations (dc-objective) and (dc-als). `history_` has J
    after each sweep, and "validation_rmse" where `fit` got validation data.

    People never seen are folded in by the same equation, without training.

    partial_fit : those who rated something new, and new items, are solved for by the same equation, twice the people;
        all else stays as it is, which costs little and drifts from a fit of everything

    factors : length of p and q;  epochs : sweeps
    reg : λ;  weighted : False takes 1 for n_u and n_i, which needs a `reg` about a hundred times as large
    biased : False leaves μ, b_u and b_i out
    seed : of the normal start of p, with variance 1 / factors
    device : "auto", "cpu", "cuda"

    The defaults were chosen on a fifth of the first fold's train of MovieLens-100K (experiments/decomposition.py).
    Raises DivergedError where the equations have no single solution, as with reg=0 and few ratings.
    """

    task = "rating"
    supports = frozenset({"histories", "similar_items", "partial_fit"})
    _watches_validation = True

    factors: int = whole(16, search=(4, 64, "log"))
    epochs: int = whole(10, search=(3, 30, "log"))
    reg: float = number(0.15, 0, search=(0.03, 0.5, "log"))
    biased: bool = flag(True)
    weighted: bool = flag(True)
    seed: int = seed()
    device: str = device()

    @property
    def _blank_without_history(self) -> bool:
        return not self.biased

    # ---------------------------------------------------------------- the wing's part

    def _to_pieces(self, blocks: list[Block]) -> list:
        """The blocks as tensors, kept for all sweeps."""
        raise NotImplementedError

    def _least_squares(self, blocks: list, factors: np.ndarray) -> tuple[np.ndarray, float]:
        """Equation (dc-als) for all owners: their vectors (owners, factors), and Σ pᵀb.

        factors : (others, factors). b = Σ r q over an owner's ratings, the right side of the equations.
        Raises DivergedError where the equations have no single solution.
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._check_counts(train.users, train.n_users, "a user of train")
        self._check_counts(train.items, train.n_items, "an item of train")
        self._fit_biases(train)
        rest = self._rest(train, self._user_bias)
        by_user, by_item = self._pieces_by_user(train, rest), self._pieces_by_item(train, rest)
        squares = float((rest**2).sum())
        n_i = np.bincount(train.items, minlength=train.n_items)
        start = np.random.default_rng(self.seed).normal(0, self.factors**-0.5, (train.n_users, self.factors))
        self._user_factors = start.astype(np.float32)
        for epoch in bar(range(1, self.epochs + 1), type(self).__name__, progress):
            self._item_factors, _ = self._least_squares(by_item, self._user_factors)
            self._user_factors, explained = self._least_squares(by_user, self._item_factors)
            # With p_u the best for q, the users' part of the objective is Σ r² - Σ p_uᵀb_u: no ratings needed.
            q = self._item_factors.astype(np.float64)
            penalty = self.reg * float(((n_i if self.weighted else n_i > 0) * (q**2).sum(1)).sum())
            self._write_down(epoch, squares - explained + penalty, squares)
            if validation is not None:
                self._log[-1] |= [rmse_of(self, validation)]

    def _fit_biases(self, train: Coded) -> None:
        if self.biased:
            found = fit_biases(train.users, train.items, train.rated, train.n_users, train.n_items)
        else:
            found = train.rated.mean(), np.zeros(train.n_users), np.zeros(train.n_items)
        self._mean, self._user_bias, self._item_bias = found

    def _rest(self, coded: Coded, user_bias: np.ndarray) -> np.ndarray:
        """What the biases leave of each rating, (n,)."""
        if not self.biased:
            return coded.rated
        return coded.rated - self._mean - user_bias[coded.users] - self._item_bias[coded.items]

    def _pieces_by_user(self, x: Coded, rest: np.ndarray) -> list:
        return self._to_pieces(in_blocks(x.users, x.items, rest.astype(np.float32), x.n_users, x.n_items))

    def _pieces_by_item(self, x: Coded, rest: np.ndarray) -> list:
        return self._to_pieces(in_blocks(x.items, x.users, rest.astype(np.float32), x.n_items, x.n_users))

    def _write_down(self, epoch: int, objective: float, squares: float) -> None:
        """Exact solutions never raise the objective: where it rises, or is not finite, the equations were singular."""
        before = self._log[-1]["objective"] if self._log else 2 * squares
        if not objective <= before + 1e-3 * squares:
            raise self._singular(f"the objective went from {before:.6g} to {objective:.6g} in epoch {epoch}")
        self._log.append({"epoch": epoch, "objective": objective})

    def _singular(self, what: str) -> DivergedError:
        return DivergedError(
            f"{type(self).__name__}: {what}; its equations have no single solution where a user or an item has "
            f"fewer ratings than `factors` (it is {self.factors}); raise `reg` (it is {self.reg:g}), or lower `factors`"
        )

    def _check_counts(self, owners: np.ndarray, n: int, who: str) -> None:
        """Without `reg`, fewer ratings than factors have no single solution, whether or not roundings hide it."""
        fewest = np.bincount(owners, minlength=n).min()
        if self.reg == 0 and fewest < self.factors:
            raise self._singular(f"{who} has {'1 rating' if fewest == 1 else f'{fewest} ratings'}")

    def _partial_fit(self, new: Coded) -> None:
        """A part of a sweep: p of whoever rated something, q of new items, and then p again, all else as it is."""
        needs_what_was_met(self, new)
        # What people rated before is known, unless the model was saved without its history.
        rated = new if self._train is None else self._train
        people, first = np.unique(new.users), len(self._item_bias)
        self._user_bias = lengthened(self._user_bias, new.n_users, 0)
        self._item_bias = lengthened(self._item_bias, new.n_items, 0)
        # Whoever is new begins in the middle where there are no biases: from nothing, nothing would be learnt.
        p, q = (0, 0) if self.biased else (self._user_factors.mean(0), self._item_factors.mean(0))
        self._user_factors = lengthened(self._user_factors, new.n_users, p)
        self._item_factors = lengthened(self._item_factors, new.n_items, q)
        theirs = rated.of_users(people)
        self._user_factors[people], self._user_bias[people] = self._people(theirs)
        if first < new.n_items:
            self._learn_items(rated.of_items(np.arange(first, new.n_items)), first)
            self._user_factors[people], self._user_bias[people] = self._people(theirs)

    def _learn_items(self, rated: Coded, first: int) -> None:
        """b and q of items whose codes begin with `first`.  rated : their ratings, items counted from 0"""
        self._check_counts(rated.items, rated.n_items, "a new item")
        rest = rated.rated
        if self.biased:
            rest = rest - self._mean - self._user_bias[rated.users]
            bias = shrunk_means(rated.items, rest, rated.n_items, REG_ITEM)
            self._item_bias[first:], rest = bias, rest - bias[rated.items]
        self._item_factors[first:] = self._least_squares(
            self._pieces_by_item(rated, rest), self._user_factors
        )[0]

    def _people(self, histories: Coded | None) -> Side:
        """p and b; of new people by the two steps of a sweep that concern them, items as they are."""
        if histories is None:
            return self._user_factors, self._user_bias
        self._check_counts(histories.users, histories.n_users, "somebody in `histories`")
        bias = np.zeros(histories.n_users)
        if self.biased:
            residuals = histories.rated - self._mean - self._item_bias[histories.items]
            bias = shrunk_means(histories.users, residuals, histories.n_users, REG_USER)
        pieces = self._pieces_by_user(histories, self._rest(histories, bias))
        return self._least_squares(pieces, self._item_factors)[0], bias

    def _predict(self, users, items, people, context) -> np.ndarray:
        mean = self._mean if self.biased else 0.0
        return pair_scores(people, (self._item_factors, self._item_bias), users, items, mean)

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        mean = self._mean if self.biased else 0.0
        return matrix_scores(people, (self._item_factors, self._item_bias), users, items, mean)

    def _prior(self, users, items, people) -> np.ndarray:
        return sum_of_biases(self._mean, people[1], self._item_bias, users, items)

    def _item_vectors(self) -> np.ndarray:
        return self._item_factors

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return parameter_shapes(n_users, n_items, self.factors)

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {
            "mean": np.asarray(self._mean),
            "user_bias": self._user_bias,
            "item_bias": self._item_bias,
            "user_factors": self._user_factors,
            "item_factors": self._item_factors,
        }

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._mean = float(parameters["mean"])
        self._user_bias, self._item_bias = parameters["user_bias"], parameters["item_bias"]
        self._user_factors, self._item_factors = parameters["user_factors"], parameters["item_factors"]


# ---------------------------------------------------------------- truncated SVD


class SpectralModel(Recommender):
    """The truncated SVD of a sparse matrix: scores are X V_K V_Kᵀ, people and items vectors of length k.

    The matrix is never filled: `_values` says what stands at the known places, and elsewhere it is 0. A wing adds

    - _to_pieces(blocks): `Block`s as tensors;
    - _multiply(blocks, V): X V, a tensor (owners, columns of V);
    - _new_directions(Z, basis, width): what Z, a tensor (n, b), holds beyond a basis, a tensor (n, m), or None for an
      empty one. Gives Q, a tensor (n, width), orthonormal and orthogonal to the basis, of the first columns of Z; and,
      as NumPy arrays, C = basisᵀ Z (m, b) and R = Qᵀ (Z - basis C) (width, b);
    - _side_by_side(left, right): one tensor of the columns of both.
    """

    # Arguments that each model declares for itself; without ClassVar they would be declared here.
    factors: ClassVar[int]
    seed: ClassVar[int]
    if TYPE_CHECKING:  # what a wing adds stands behind this class, which would hide it

        def _to_pieces(self, blocks: list[Block]) -> list: ...
        def _multiply(self, blocks: list, V: Any) -> Any: ...
        def _new_directions(self, Z: Any, basis: Any, width: int) -> tuple[Any, np.ndarray, np.ndarray]: ...
        def _side_by_side(self, left: Any, right: Any) -> Any: ...

    supports = frozenset({"histories", "similar_items"})

    # ---------------------------------------------------------------- hooks: what a matrix holds

    def _values(self, coded: Coded) -> np.ndarray:
        """(n,) float64: what the matrix holds at the known places."""
        raise NotImplementedError

    def _fit_level(self, train: Coded) -> None:
        """Learns what `_values` takes off."""

    def _level(self) -> np.ndarray:
        """(n_items,) what is added to the scores of items."""
        return np.zeros(len(self._item_index))

    def _rank(self, n_users: int, n_items: int) -> int:
        """How many directions are kept."""
        return min(self.factors, n_users, n_items)

    # ---------------------------------------------------------------- what both share

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._fit_level(train)
        values = self._values(train)
        if not np.abs(values).max() > 0:
            raise ValueError(
                f"{type(self).__name__}: nothing is left to decompose, all its matrix is 0; are all ratings equal?"
            )
        n_users, n_items = train.n_users, train.n_items
        by_user = self._to_pieces(in_blocks(train.users, train.items, values, n_users, n_items))
        by_item = self._to_pieces(in_blocks(train.items, train.users, values, n_items, n_users))
        products = lambda block: self._multiply(by_item, self._multiply(by_user, block))  # noqa: E731
        self._item_factors = self._right_vectors(products, n_items, self._rank(n_users, n_items))
        self._user_factors = self._to_numpy(self._multiply(by_user, self._to_tensor(self._item_factors)))

    def _right_vectors(self, products: Callable, n_items: int, k: int) -> np.ndarray:
        """V_K (n_items, k): the first k eigenvectors of XᵀX, by block Lanczos (Golub and Underwood 1977).

        From a random start the space spanned by Q, XᵀXQ, (XᵀX)²Q, … is built block by block, each made orthogonal
        to all before. In that space XᵀX is a small matrix H. Its eigenvectors are good enough when what XᵀX makes
        of them leaves the space by no more than RESIDUAL.

        products : XᵀX Q of a tensor Q (n_items, columns)
        """
        # Few items: the first block spans them all, and one step is exact.
        width = n_items if n_items <= FEW_ITEMS else KRYLOV_BLOCK
        start = np.random.default_rng(self.seed).normal(size=(n_items, width))
        basis, _, _ = self._new_directions(self._to_tensor(start), None, width)
        block, H = basis, np.zeros((0, 0))
        while True:
            Z = products(block)
            m, old = basis.shape[1], len(H)
            block, C, R = self._new_directions(Z, basis, min(KRYLOV_BLOCK, n_items - m))
            H = np.block([[H, C[:old]], [C[:old].T, C[old:]]])
            eigenvalues, W = np.linalg.eigh((H + H.T) / 2)
            eigenvalues, W = eigenvalues[::-1], W[:, ::-1]
            leaves = np.linalg.norm(R @ W[old:, :k], axis=0)
            whole = np.linalg.norm(R) <= NOTHING * eigenvalues[0]  # nothing new: XᵀX stays in this space
            if m >= k and (whole or (leaves <= RESIDUAL * np.abs(eigenvalues[:k])).all()):
                break
            basis = self._side_by_side(basis, block)
        V = self._to_numpy(basis) @ W[:, :k]
        V[:, eigenvalues[:k] <= NOTHING * eigenvalues[0]] = 0
        size = np.abs(V)
        first = (size > 0.9 * size.max(axis=0)).argmax(axis=0)
        return V * np.where(V[first, np.arange(k)] < 0, -1.0, 1.0)

    def _people(self, histories: Coded | None) -> np.ndarray:
        """The vectors of everybody known, or of people never seen: equation (dc-fold-in)."""
        if histories is None:
            return self._user_factors
        values = self._values(histories)
        blocks = in_blocks(histories.users, histories.items, values, histories.n_users, histories.n_items)
        return self._to_numpy(self._multiply(self._to_pieces(blocks), self._to_tensor(self._item_factors)))

    def _predict(self, users, items, people, context) -> np.ndarray:
        return pair_scores((people, np.zeros(len(people))), (self._item_factors, self._level()), users, items)

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        return matrix_scores(
            (people, np.zeros(len(people))), (self._item_factors, self._level()), users, items
        )

    def _item_vectors(self) -> np.ndarray:
        """The columns of X_K, turned: V_K Σ_K."""
        return self._item_factors * np.linalg.norm(self._user_factors, axis=0)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        k = self._rank(n_users, n_items)
        return {"user_factors": (n_users, k), "item_factors": (n_items, k)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"user_factors": self._user_factors, "item_factors": self._item_factors}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._user_factors, self._item_factors = parameters["user_factors"], parameters["item_factors"]


class PureSVD(SpectralModel):
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

    task = "ranking"
    _blank_without_history = True

    factors: int | None = whole(None, or_none=True, search=(5, 100, "log"))
    seed: int = seed()
    device: str = device()

    @property
    def _one_rating_a_pair(self) -> bool:
        return True

    def _rank(self, n_users: int, n_items: int) -> int:
        if self.factors is None:
            return max(1, min(PURE_SVD_FACTORS, min(n_users, n_items) // 4))
        return super()._rank(n_users, n_items)

    def _values(self, coded: Coded) -> np.ndarray:
        """The ratings, or ones where there are none."""
        if self.rating_range_ is None:
            return np.ones(len(coded.items))
        if coded.ratings is None:  # a history that only says what was liked
            return np.full(len(coded.items), self.rating_range_[1])
        return coded.ratings.astype(np.float64)

    def _prior(self, users, items, people) -> np.ndarray:
        return np.zeros(len(users))


class PCA(SpectralModel):
    """Principal components of the ratings, each item's mean filled in for what is unknown (Goldberg et al. 2001).

    PCA is the SVD of the matrix less its column means, equation (dc-pca). Where means are filled in, what is left
    is zero at unknown places: the matrix stays sparse. r̂_ui = r̄_i + (x_u - r̄)ᵀ V_K V_K,iᵀ.
    `user_factors` are the scores U_K Σ_K (variances: their squares over users - 1), `item_factors` the
    loadings V_K, signs and computation as in `PureSVD`.

    factors : K;  seed : of the start of block Lanczos, which the result does not depend on
    device : "auto", "cpu", "cuda"
    """

    task = "rating"

    factors: int = whole(10, search=(2, 50, "log"))
    seed: int = seed()
    device: str = device()

    def _fit_level(self, train: Coded) -> None:
        self._mean = float(train.rated.mean())
        self._item_mean = shrunk_means(train.items, train.rated, train.n_items, 0.0)

    def _values(self, coded: Coded) -> np.ndarray:
        """The ratings less their items' means: 0 where a pair is unknown, as if the mean had been filled in."""
        return coded.rated - self._item_mean[coded.items]

    def _level(self) -> np.ndarray:
        return self._item_mean

    def _prior(self, users, items, people) -> np.ndarray:
        return np.append(self._item_mean, self._mean)[items]

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {"mean": (), "item_mean": (n_items,), **super()._parameter_shapes(n_users, n_items)}

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {"mean": np.asarray(self._mean), "item_mean": self._item_mean, **super()._get_parameters()}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._mean, self._item_mean = float(parameters["mean"]), parameters["item_mean"]
        super()._set_parameters(parameters)
