"""Matrix factorisation, SVD++ and non-negative matrix factorisation in PyTorch (chapter `factorization`)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.factors import FactorModel
from recbook.implicit_sums import ImplicitSumModel
from recbook.nonnegative import TINY, NonNegativeModel
from recbook.torch.base import TorchRecommender
from recbook.torch.training import TorchGradientModel


class FactorNetwork(nn.Module):
    """r̂_ui = μ + b_u + b_i + p_uᵀq_i, equation (mf-biased); without biases p_uᵀq_i alone, (mf-plain)."""

    def __init__(self, n_users: int, n_items: int, factors: int, biased: bool):
        super().__init__()
        self.biased = biased
        self.register_buffer("mean", torch.zeros(()))
        self.user_bias = nn.Parameter(torch.zeros(n_users), requires_grad=bool(biased))
        self.item_bias = nn.Parameter(torch.zeros(n_items), requires_grad=bool(biased))
        self.user_factors = nn.Parameter(torch.zeros(n_users, factors))
        self.item_factors = nn.Parameter(torch.zeros(n_items, factors))

    def rows(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """b_u, b_i, p_u and q_i of n pairs."""
        p, q = F.embedding(users, self.user_factors), F.embedding(items, self.item_factors)
        return self.user_bias[users], self.item_bias[items], p, q

    def score(self, b_u: Tensor, b_i: Tensor, p: Tensor, q: Tensor) -> Tensor:
        dot = (p * q).sum(1)
        return self.mean + b_u + b_i + dot if self.biased else dot

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        return self.score(*self.rows(users, items))


class _Factors(TorchGradientModel, FactorModel):
    """What is scored by vectors and biases of users and items."""

    supports = frozenset({"histories", "similar_items"})

    def _users(self, users: np.ndarray, histories) -> tuple[Tensor, Tensor]:
        """Vectors and biases of the given users: (n, factors), (n,)."""
        users = self._to_tensor(users)
        if histories is None:
            return self._network.user_factors[users], self._network.user_bias[users]
        p, b = histories.once(self._person)
        return self._to_tensor(p)[users], self._to_tensor(b)[users]

    @torch.no_grad()
    def _predict(self, users, items, histories, context) -> np.ndarray:
        p, b = self._users(users, histories)
        items = self._to_tensor(items)
        q, b_i = self._network.item_factors[items], self._network.item_bias[items]
        return self._to_numpy(self._network.score(b, b_i, p, q))

    @torch.no_grad()
    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        p, b = self._users(users, histories)
        q, b_i = self._network.item_factors, self._network.item_bias
        if items is not None:
            items = self._to_tensor(items)
            q, b_i = q[items], b_i[items]
        scores = p @ q.T
        return self._to_numpy(self._network.mean + b[:, None] + b_i + scores if self.biased else scores)

    @torch.no_grad()
    def _similar_items(self, items) -> np.ndarray:
        q = F.normalize(self._network.item_factors)
        return self._to_numpy(q[self._to_tensor(items)] @ q.T)


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

    def _objective(self, network: FactorNetwork, batch: dict[str, Tensor]) -> Tensor:
        b_u, b_i, p, q = network.rows(batch["user"], batch["item"])
        score = network.score(b_u, b_i, p, q)
        if self.loss == "squared":
            loss = torch.square(batch["target"] - score)
        else:
            loss = F.binary_cross_entropy_with_logits(score, batch["target"], reduction="none")
        penalty = b_u**2 + b_i**2 + (p**2).sum(1) + (q**2).sum(1)
        return (loss + self.reg * penalty).mean()


class ImplicitSumNetwork(FactorNetwork):
    """r̂_ui = μ + b_u + b_i + q_iᵀ(p_u + |N(u)|^-½ Σ y_j), equation (mf-svdpp)."""

    def __init__(self, n_users: int, n_items: int, factors: int):
        super().__init__(n_users, n_items, factors, biased=True)
        self.implicit_factors = nn.Parameter(torch.zeros(n_items, factors))

    def sums(self, places: Tensor, items: Tensor, n: int) -> Tensor:
        """|N|^-½ Σ y_j of n lists, (n, factors): the items, list by list, and the list that each belongs to."""
        lengths = torch.bincount(places, minlength=n)
        begins = lengths.cumsum(0) - lengths
        y = F.embedding_bag(items.long(), self.implicit_factors, begins, mode="sum")
        return y * lengths.clamp(min=1).rsqrt()[:, None]


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

    def _objective(self, network: ImplicitSumNetwork, batch: dict[str, Tensor]) -> Tensor:
        n = len(network.user_bias) + 1  # the last one is nobody: the batch is filled up with it
        implicit = network.sums(batch["member_user"], batch["member_item"], n)
        b_u, b_i, p, q = network.rows(batch["user"], batch["item"])
        y = F.embedding(batch["item"], network.implicit_factors)
        score = network.score(b_u, b_i, p + F.embedding(batch["user"], implicit), q)
        penalty = self.reg * (b_u**2 + b_i**2 + (p**2).sum(1) + (q**2).sum(1))
        loss = torch.square(batch["target"] - score) + penalty + self.reg_implicit * (y**2).sum(1)
        return (batch["weight"] * loss).sum() / batch["weight"].sum()

    @torch.no_grad()
    def _implicit(self, users: np.ndarray, histories) -> np.ndarray:
        places, items = map(self._to_tensor, self._members(users, histories))
        return self._to_numpy(self._network.sums(places, items, len(users)))

    def _users(self, users: np.ndarray, histories) -> tuple[Tensor, Tensor]:
        people, place = np.unique(users, return_inverse=True)
        p, b = super()._users(people, histories)
        place = self._to_tensor(place)
        return (p + self._to_tensor(self._implicit(people, histories)))[place], b[place]


Factors = tuple[Tensor, Tensor]  # vectors (n, k) and biases (n,) of users, or of items


def multiplied(
    mine: Factors, across: Factors, side: tuple[Tensor, Tensor, Tensor], half: float, reg: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One multiplicative update of `mine`, equation (mf-nmf-update), and the mean squared error before it.

    side : (whose, across from whom, rating) of each rating;  half : what biases are pulled to
    """
    (x, b), (y, c), (own, other, r) = mine, across, side
    n = torch.bincount(own, minlength=len(x))
    y = F.embedding(other, y)
    score = (F.embedding(own, x) * y).sum(1) + b[own] + c[other]
    error = torch.square(r - score).mean()

    def total(values: Tensor) -> Tensor:
        return values.new_zeros(len(x), *values.shape[1:]).index_add(0, own, values)

    pull = reg * n
    x = x * total(r[:, None] * y) / (total(score[:, None] * y) + pull[:, None] * x + TINY)
    b = b * (total(r) + pull * half) / (total(score) + pull * b + TINY)
    return x, b, error


class NMF(TorchRecommender, NonNegativeModel):
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
        n_u, n_i = (torch.bincount(side[0]) for side in (by_user, by_item))
        half = learnt["mean"] / 2
        for _ in range(self.epochs):
            users = learnt["user_factors"], learnt["user_bias"]
            items = learnt["item_factors"], learnt["item_bias"]
            *users, _ = multiplied(users, items, by_user, half, self.reg)
            penalty = sum(
                (m * ((x**2).sum(1) + (b - half) ** 2)).sum() for m, (x, b) in ((n_u, users), (n_i, items))
            )
            *items, error = multiplied(items, users, by_item, half, self.reg)
            learnt["user_factors"], learnt["user_bias"] = users
            learnt["item_factors"], learnt["item_bias"] = items
            yield (error + self.reg * penalty / n).item()

    def _scores(self, users: Tensor, items: Tensor, own: Factors | None = None) -> Tensor:
        """r̂ of n pairs; own : of the users, in place of what was learnt."""
        learnt = self._learnt
        p, b = own or (learnt["user_factors"], learnt["user_bias"])
        return b[users] + learnt["item_bias"][items] + (p[users] * learnt["item_factors"][items]).sum(1)

    def _own(self, histories) -> Factors | None:
        return None if histories is None else tuple(map(self._to_tensor, histories.once(self._fold_in)))

    def _predict(self, users, items, histories, context) -> np.ndarray:
        users, items = self._to_tensor(users), self._to_tensor(items)
        return self._to_numpy(self._scores(users, items, self._own(histories)))

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        learnt, users = self._learnt, self._to_tensor(users)
        p, b = self._own(histories) or (learnt["user_factors"], learnt["user_bias"])
        q, b_i = learnt["item_factors"], learnt["item_bias"]
        if items is not None:
            items = self._to_tensor(items)
            q, b_i = q[items], b_i[items]
        return self._to_numpy(b[users, None] + b_i + p[users] @ q.T)

    def _similar_items(self, items) -> np.ndarray:
        q = F.normalize(self._learnt["item_factors"])
        return self._to_numpy(q[self._to_tensor(items)] @ q.T)

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {name: self._to_numpy(values) for name, values in self._learnt.items()}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._learnt = {name: self._to_tensor(values) for name, values in parameters.items()}
