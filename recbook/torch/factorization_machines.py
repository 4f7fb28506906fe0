"""Factorisation machines and LightFM in PyTorch (chapter `factorization_machines`)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.machines import HybridModel, MachineModel
from recbook.torch import losses
from recbook.torch.training import TorchGradientModel


class MachineNetwork(nn.Module):
    """ŷ = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b, the crosses by equation (fm-identity)."""

    def __init__(self, n_features: int, factors: int):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(()))
        self.weights = nn.Parameter(torch.zeros(n_features))
        self.factors = nn.Parameter(torch.zeros(n_features, factors))

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """w and v of the features in `index`: (n, width) and (n, width, factors)."""
        return F.embedding(index, self.weights[:, None])[..., 0], F.embedding(index, self.factors)

    def sums(self, w: Tensor, v: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Of each row of features: wᵀx and the crosses among them, (n,); and Σ_a v_a x_a, (n, factors)."""
        v = v * value[..., None]
        total = v.sum(1)
        crosses = (torch.square(total) - torch.square(v).sum(1)).sum(1) / 2
        return (w * value).sum(1) + crosses, total

    def forward(self, index: Tensor, value: Tensor) -> Tensor:
        return self.constant + self.sums(*self.rows(index), value)[0]


class FactorizationMachine(TorchGradientModel, MachineModel):
    """A factorisation machine: every two features have a weight, the dot product of their vectors (Rendle 2010).

    ŷ = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b, trained on the mean over examples of
    ℓ(y, ŷ) + reg Σ_{a: x_a ≠ 0} (w_a² + ‖v_a‖²): equations (fm-model) and (fm-objective). With the fields user and
    item alone it scores as `MatrixFactorization` does. A field that an item lacks in train says nothing
    of it; one that only the side table knows is scored from its other fields.

    fields : what x is made of, as `recbook.fields.Fields` takes it: "user", "item", "users.<column>",
        "items.<column>", a column of the interactions, or a product of two of these, "a*b"
    factors : length of v;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each feature that an example has
    loss : "squared" on ratings; "logistic" on clicks: then `task` is "click" and `predict` gives probabilities
    negatives : with "logistic", items drawn for each row among those the user did not meet, anew in each
        epoch; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of v
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    supports = frozenset({"histories", "warm_items", "context", "similar_items"})

    def __init__(
        self,
        fields: tuple[str, ...] = ("user", "item"),
        factors: int = 32,
        epochs: int = 20,
        learning_rate: float = 0.005,
        reg: float = 0.1,
        loss: str = "squared",
        negatives: int = 0,
        batch_size: int = 1024,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.fields = fields
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.loss = loss
        self.negatives = negatives
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> MachineNetwork:
        return MachineNetwork(self._fields.n_features, self.factors)

    def _objective(self, network: MachineNetwork, batch: dict[str, Tensor]) -> Tensor:
        w, v = network.rows(batch["index"])
        score = network.constant + network.sums(w, v, batch["value"])[0]
        if self.loss == "squared":
            loss = torch.square(batch["target"] - score)
        else:
            loss = F.binary_cross_entropy_with_logits(score, batch["target"], reduction="none")
        penalty = (batch["value"] != 0) * (torch.square(w) + torch.square(v).sum(2))
        return (loss + self.reg * penalty.sum(1)).mean()

    # ---------------------------------------------------------------- scores

    @torch.no_grad()
    def _scores(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        return self._to_numpy(self._network(self._to_tensor(index), self._to_tensor(value)))

    @torch.no_grad()
    def _sums(self, index: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = self._network.rows(self._to_tensor(index))
        own, total = self._network.sums(*rows, self._to_tensor(value))
        return self._to_numpy(own), self._to_numpy(total)


class HybridNetwork(nn.Module):
    """r̂_ui = p_u · q_i + b_u + b_i, equation (fm-lightfm): each of the four is a sum over features."""

    def __init__(self, user_rows, item_rows, n_features: int, factors: int):
        super().__init__()
        for side, rows in (("user", user_rows), ("item", item_rows)):
            for name, values in zip(("index", "value"), rows, strict=True):
                self.register_buffer(f"{side}_{name}", torch.as_tensor(values), persistent=False)
        self.embeddings = nn.Parameter(torch.zeros(n_features, factors))
        self.biases = nn.Parameter(torch.zeros(n_features))

    def users(self, users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """p_u, b_u, and the squares of the vectors and biases that they are made of."""
        return self.sums(self.user_index[users], self.user_value[users])

    def items(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same of all items at once: a batch asks for more items than there are, with repeats."""
        return self.sums(self.item_index, self.item_value)

    def sums(self, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        e, b = F.embedding(index, self.embeddings), F.embedding(index, self.biases[:, None])[..., 0]
        squares = (value != 0) * (torch.square(e).sum(2) + torch.square(b))
        return (e * value[..., None]).sum(1), (b * value).sum(1), squares.sum(1)


class LightFM(TorchGradientModel, HybridModel):
    """A hybrid ranker: users and items are the sums of their features' vectors (Kula 2015).

    r̂_ui = p_u · q_i + b_u + b_i, equation (fm-lightfm), trained on the mean over rows of ℓ plus `reg` times the
    squares of the vectors and biases in use: equation (fm-lightfm-objective). An item that nobody met is ranked
    by its other features. Every row of the data is a positive, whatever its rating. Of the losses of the LightFM
    package, k-OS WARP is left out.

    fields : what users and items are made of: "user", "users.<column>", "item", "items.<column>"
    factors : length of a vector;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each feature in use. Each loss has its own scale: on MovieLens-100K about 0.03 suits "logistic",
        0.01 "bpr" and 0.4 "warp", whose weights are larger
    loss : "logistic" (met or not), "bpr" (met before not met), or "warp" (the first negative that comes too
        near, weighed by the place it gives the positive); equations (ls-bce), (ls-bpr), (ls-warp)
    negatives : with "logistic" and "bpr", items drawn for each positive among those the user did not meet
    max_sampled : with "warp", how many are drawn at most until one comes too near
    init_scale : standard deviation of the start of the vectors
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    task = "ranking"
    supports = frozenset({"histories", "warm_items", "similar_items"})

    def __init__(
        self,
        fields: tuple[str, ...] = ("user", "item"),
        factors: int = 32,
        epochs: int = 20,
        learning_rate: float = 0.02,
        reg: float = 0.03,
        loss: str = "logistic",
        negatives: int = 4,
        max_sampled: int = 10,
        batch_size: int = 4096,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.fields = fields
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.loss = loss
        self.negatives = negatives
        self.max_sampled = max_sampled
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> HybridNetwork:
        return HybridNetwork(*self._sides(), self._fields.n_features, self.factors)

    def _objective(self, network: HybridNetwork, batch: dict[str, Tensor]) -> Tensor:
        p, b_u, user_squares = network.users(batch["user"])
        q, b_i, squares = network.items()
        table = torch.cat([q, b_i[:, None], squares[:, None]], dim=1)
        met, drawn = F.embedding(batch["item"], table), F.embedding(batch["negative"], table)
        positive = (p * met[:, :-2]).sum(1) + met[:, -2]
        negative = (drawn[..., :-2] @ p[..., None])[..., 0] + drawn[..., -2]
        penalty = user_squares + met[:, -1] + drawn[..., -1].mean(1)
        return (self._loss(positive, negative, b_u) + self.reg * penalty).mean()

    def _loss(self, positive: Tensor, negative: Tensor, b_u: Tensor) -> Tensor:
        # Between two items of one user b_u cancels; left in, its rounding errors would be all that Adam sees.
        if self.loss == "warp":
            return losses.warp(positive, negative, self._sampler.n_items, reduction="none")
        if self.loss == "bpr":
            return losses.bpr(positive[:, None].expand_as(negative), negative, reduction="none").mean(1)
        return -F.logsigmoid(positive + b_u) - F.logsigmoid(-negative - b_u[:, None]).sum(1)

    # ---------------------------------------------------------------- scores

    @torch.no_grad()
    def _user_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        everybody = torch.arange(len(self._network.user_index), device=self.device_)
        p, b, _ = self._network.users(everybody)
        return self._to_numpy(p), self._to_numpy(b)

    @torch.no_grad()
    def _item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        q, b, _ = self._network.items()
        return self._to_numpy(q), self._to_numpy(b)
