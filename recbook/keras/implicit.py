"""Implicit feedback in Keras: EASE, weighted least squares, BPR (chapter `implicit`)."""

from __future__ import annotations

import functools
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from recbook.keras import backend
from recbook.keras.base import KerasRecommender
from recbook.keras.training import KerasGradientModel
from recbook.preferences import BLOCK, ItemWeightModel, PairwiseModel, Tile, WeightedAlternatingModel


class EASE(KerasRecommender, ItemWeightModel):
    """EASE: each item as a weighted sum of what else a user met, in closed form (Steck 2019).

    The score of u and i is Σ_j x_uj B_ji, x_uj = 1 where u met j: equation (im-item-scores). B makes
    ‖X - XB‖² + reg ‖B‖² smallest with zeros on its diagonal, which has one solution: with M = (XᵀX + reg I)⁻¹
    B_ji = -M_ji / M_ii, equation (im-ease). One inverse of the size items × items, in float64, is the whole training,
    and its time grows with the cube of the number of items: for catalogues up to some ten thousands.

    A user is nothing but the items met, so that people never seen need no training. Ratings are not looked at: each
    row is a positive, and a pair that stands twice counts once. Similar items: ±√(B_ij B_ji), the partial correlation
    of their columns, equation (im-partial).

    reg : λ; the larger, the more a weight must rest on
    device : "auto", "cpu", "cuda"

    A model saved with include_history=False knows no user, and recommends for `histories` alone.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(self, reg: float = 400.0, device: str = "auto"):
        self.reg = reg
        self.device = device

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

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        with self._scope():
            there = ops.take(self._weights, items, axis=0)
            back = ops.transpose(ops.take(self._weights, items, axis=1))
            return self._to_numpy(ops.sign(there) * ops.sqrt(ops.abs(there * back)))


class Lists(NamedTuple):
    """A `Tile` as tensors."""

    owners: np.ndarray
    others: keras.KerasTensor
    root: keras.KerasTensor
    target: keras.KerasTensor
    ridge: keras.KerasTensor


@functools.cache
def block_pass(factors: int, block: int):
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


class ImplicitALS(KerasRecommender, WeightedAlternatingModel):
    """Implicit ALS: weighted least squares on all pairs, met or not (Hu et al. 2008), by blocks (Rendle et al. 2021).

    r̂_ui = p_uᵀq_i is to be 1 where u met i and 0 elsewhere. What falls is
    J = Σ w_ui (x_ui - r̂_ui)² + Σ λ_u ‖p_u‖² + Σ λ_i ‖q_i‖² over all pairs, w_ui = c_ui where u met i and
    `unobserved` everywhere else: equation (im-als-objective). That a user has not met an item says little, so it
    weighs little; but it weighs, or every r̂ would be 1.

    Sums over everything unmet cost nothing: they are the product of one matrix factors × factors. Items, then users,
    are solved for `epochs` times, `block` factors at a time and in turn, all else standing still: equation
    (im-als-block). With a block of all factors that is alternating least squares itself; small blocks take a little
    less from J in a sweep and far less time for it. `history_` has J after each sweep. People never seen
    are folded in by equation (im-als), without training.

    factors : length of p and q;  epochs : sweeps
    unobserved : w₀, weight of a pair that was not met, below every confidence
    reg : λ;  weighted : λ_u is λ times the sum of the weights of u's row; False takes λ itself, which then must be
        hundreds of times as large
    confidence : c, "ones", or "ratings", those of a pair that stands twice added up
    block : factors solved for at a time
    seed : of the normal start of p; q starts at 0
    device : "auto", "cpu", "cuda"

    Raises ValueError where a confidence is no more than `unobserved`.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 64,
        epochs: int = 15,
        unobserved: float = 0.1,
        reg: float = 0.03,
        weighted: bool = True,
        confidence: str = "ones",
        block: int = BLOCK,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.epochs = epochs
        self.unobserved = unobserved
        self.reg = reg
        self.weighted = weighted
        self.confidence = confidence
        self.block = block
        self.seed = seed
        self.device = device

    def _to_tiles(self, tiles: list[Tile]) -> list[Lists]:
        return [Lists(t.owners, *map(self._to_tensor, (t.others, t.root, t.target, t.ridge))) for t in tiles]

    def _pass(self, tiles: list[Lists], mine, others, block: int) -> tuple:
        with self._scope():
            mine = self._to_numpy(mine)
            found, squares = np.array(mine), 0.0
            gram = self.unobserved * (ops.transpose(others) @ others)
            run = block_pass(self.factors, block)
            for owners, *lists in tiles:
                start = np.zeros((lists[0].shape[0], self.factors), np.float32)
                start[: len(owners)] = mine[owners]
                try:
                    p, left = run(*lists, self._to_tensor(start), others, gram)
                except backend.not_positive_definite() as error:
                    raise self._singular("a matrix could not be factorised") from error
                found[owners] = self._to_numpy(p)[: len(owners)]
                squares += float(self._to_numpy(left))
            return self._to_tensor(found), squares

    def _predict(self, users, items, histories, context) -> np.ndarray:
        P = self._people_of(histories)
        with self._scope():
            p, q = ops.take(P, users, axis=0), ops.take(self._item_factors, items, axis=0)
            return self._to_numpy(ops.sum(p * q, axis=1))

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        P = self._people_of(histories)
        with self._scope():
            q = self._item_factors if items is None else ops.take(self._item_factors, items, axis=0)
            return self._to_numpy(ops.take(P, users, axis=0) @ ops.transpose(q))

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        with self._scope():
            length = ops.sqrt(ops.sum(ops.square(self._item_factors), axis=1, keepdims=True))
            q = self._item_factors / ops.where(length > 1e-12, length, ops.ones_like(length))
            return self._to_numpy(ops.take(q, items, axis=0) @ ops.transpose(q))


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


class BPR(KerasGradientModel, PairwiseModel):
    """BPR: what a user met is to stand above what the user did not meet (Rendle et al. 2009).

    r̂_ui = p_uᵀq_i + b_i. For each pair (u, i) of train and in each epoch anew, items j are drawn that u never met.
    Made smaller is the mean of -ln σ(r̂_ui - r̂_uj) + reg (‖p_u‖² + ‖q_i‖² + ‖q_j‖² + b_i² + b_j²): equations
    (im-bpr) and (im-bpr-objective). Only differences count: a score means nothing by itself. A pair
    that stands twice in the data counts twice.

    What is drawn decides what is learnt, equation (im-log-ratio). Uniform draws order items by how likely they are to
    be met; draws by popularity by how much likelier than for everybody, and favour rare items.

    People never seen are folded in by Newton's method, equation (im-bpr-fold-in). `draw` among the parameters are
    the weights of the draws, which that needs.

    factors : length of p and q;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each example
    negatives : items drawn for each pair; the mean over them is taken
    sampling : "uniform", or "popularity", weight count**alpha
    init_scale : standard deviation of the start of p and q
    patience : epochs without fewer wrong pairs of validation before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 64,
        epochs: int = 20,
        learning_rate: float = 0.01,
        reg: float = 0.015,
        negatives: int = 4,
        sampling: str = "uniform",
        alpha: float = 0.75,
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
        self.negatives = negatives
        self.sampling = sampling
        self.alpha = alpha
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

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

    def _users(self, users: np.ndarray, histories):
        """Vectors of the given users, (n, factors)."""
        p = (
            self._network.user_factors
            if histories is None
            else self._to_tensor(histories.once(self._fold_in))
        )
        return ops.take(p, users, axis=0)

    def _predict(self, users, items, histories, context) -> np.ndarray:
        with keras.device(self.device_):
            q, b = self._network.item_factors, self._network.item_bias
            dots = ops.sum(self._users(users, histories) * ops.take(q, items, axis=0), axis=1)
            return self._to_numpy(dots + ops.take(b, items))

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        with keras.device(self.device_):
            q, b = self._network.item_factors, self._network.item_bias
            if items is not None:
                q, b = ops.take(q, items, axis=0), ops.take(b, items)
            return self._to_numpy(self._users(users, histories) @ ops.transpose(q) + b)

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        with keras.device(self.device_):
            q = ops.normalize(self._network.item_factors)
            return self._to_numpy(ops.take(q, items, axis=0) @ ops.transpose(q))
