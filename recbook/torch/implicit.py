"""Implicit feedback in PyTorch: EASE, weighted least squares, BPR (chapter `implicit`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.preferences import BLOCK, ItemWeightModel, PairwiseModel, Tile, WeightedAlternatingModel
from recbook.torch.base import TorchRecommender
from recbook.torch.training import TorchGradientModel


class EASE(TorchRecommender, ItemWeightModel):
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
    _needs_float64 = True

    def __init__(self, reg: float = 400.0, device: str = "auto"):
        self.reg = reg
        self.device = device

    def _solve(self, gram: np.ndarray) -> Tensor:
        G = self._to_tensor(gram)
        G.diagonal().add_(self.reg)
        M = torch.cholesky_inverse(torch.linalg.cholesky(G))
        B = (-M / M.diagonal()).float()
        return B.fill_diagonal_(0)

    def _product(self, rows: np.ndarray) -> np.ndarray:
        return self._to_numpy(self._to_tensor(rows) @ self._weights)

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        items = self._to_tensor(items)
        there, back = self._weights[items], self._weights[:, items].T
        return self._to_numpy(torch.sign(there) * torch.sqrt(torch.abs(there * back)))


class Lists(NamedTuple):
    """A `Tile` as tensors."""

    owners: Tensor
    others: Tensor
    root: Tensor
    target: Tensor
    ridge: Tensor


def block_pass(lists: Lists, mine: Tensor, others: Tensor, gram: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Equation (im-als-block) for the owners of a tile, (rows, factors), and what is left of the targets.

    mine : (rows, factors), where it starts;  gram : w₀ QᵀQ
    """
    p = mine.clone()
    q = F.embedding(lists.others, others).mul_(lists.root[:, :, None])
    rest = torch.bmm(q, p[:, :, None])[:, :, 0] - lists.target
    for start in range(0, p.shape[1], block):
        here = slice(start, start + block)
        x = q[:, :, here]
        gradient = (
            torch.bmm(rest[:, None, :], x)[:, 0] + p @ gram[:, here] + lists.ridge[:, None] * p[:, here]
        )
        hessian = torch.bmm(x.transpose(1, 2), x) + gram[here, here]
        hessian.diagonal(dim1=1, dim2=2).add_(lists.ridge[:, None])
        step = torch.cholesky_solve(gradient[:, :, None], torch.linalg.cholesky(hessian))
        p[:, here] -= step[:, :, 0]
        rest -= torch.bmm(x, step)[:, :, 0]
    return p, rest


class ImplicitALS(TorchRecommender, WeightedAlternatingModel):
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
        return [Lists(*map(self._to_tensor, (t.owners, t.others, t.root, t.target, t.ridge))) for t in tiles]

    def _pass(self, tiles: list[Lists], mine: Tensor, others: Tensor, block: int) -> tuple[Tensor, float]:
        found, squares = mine.clone(), 0.0
        gram = self.unobserved * (others.T @ others)
        for lists in tiles:
            n = len(lists.owners)
            start = F.pad(mine[lists.owners], (0, 0, 0, len(lists.others) - n))
            try:
                p, rest = block_pass(lists, start, others, gram, block)
            except torch.linalg.LinAlgError as error:
                raise self._singular("a matrix could not be factorised") from error
            found[lists.owners] = p[:n]
            squares += torch.square(rest).sum()
        return found, float(squares)

    def _predict(self, users, items, histories, context) -> np.ndarray:
        p = self._people_of(histories)[self._to_tensor(users)]
        return self._to_numpy((p * self._item_factors[self._to_tensor(items)]).sum(1))

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        q = self._item_factors if items is None else self._item_factors[self._to_tensor(items)]
        return self._to_numpy(self._people_of(histories)[self._to_tensor(users)] @ q.T)

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        q = F.normalize(self._item_factors)
        return self._to_numpy(q[self._to_tensor(items)] @ q.T)


class PairNetwork(nn.Module):
    """r̂_ui = p_uᵀq_i + b_i, equation (im-pair-score)."""

    def __init__(self, n_users: int, n_items: int, factors: int):
        super().__init__()
        self.user_factors = nn.Parameter(torch.zeros(n_users, factors))
        self.item_factors = nn.Parameter(torch.zeros(n_items, factors))
        self.item_bias = nn.Parameter(torch.zeros(n_items))
        self.register_buffer("draw", torch.ones(n_items))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        p, q = F.embedding(users, self.user_factors), F.embedding(items, self.item_factors)
        return (p * q).sum(1) + self.item_bias[items]


class BPR(TorchGradientModel, PairwiseModel):
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

    def _objective(self, network: PairNetwork, batch: dict[str, Tensor]) -> Tensor:
        p = F.embedding(batch["user"], network.user_factors)
        q, b = F.embedding(batch["item"], network.item_factors), network.item_bias[batch["item"]]
        r, c = F.embedding(batch["negative"], network.item_factors), network.item_bias[batch["negative"]]
        above = (p * q).sum(1) + b
        below = torch.bmm(r, p[:, :, None])[:, :, 0] + c
        loss = F.softplus(below - above[:, None]).mean(1)
        sizes = (p**2).sum(1) + (q**2).sum(1) + b**2 + ((r**2).sum(2) + c**2).mean(1)
        return (loss + self.reg * sizes).mean()

    def _users(self, users: np.ndarray, histories) -> Tensor:
        """Vectors of the given users, (n, factors)."""
        p = (
            self._network.user_factors
            if histories is None
            else self._to_tensor(histories.once(self._fold_in))
        )
        return p[self._to_tensor(users)]

    @torch.no_grad()
    def _predict(self, users, items, histories, context) -> np.ndarray:
        p, items = self._users(users, histories), self._to_tensor(items)
        scores = (p * self._network.item_factors[items]).sum(1) + self._network.item_bias[items]
        return self._to_numpy(scores)

    @torch.no_grad()
    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        q, b = self._network.item_factors, self._network.item_bias
        if items is not None:
            items = self._to_tensor(items)
            q, b = q[items], b[items]
        return self._to_numpy(self._users(users, histories) @ q.T + b)

    @torch.no_grad()
    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        q = F.normalize(self._network.item_factors)
        return self._to_numpy(q[self._to_tensor(items)] @ q.T)
