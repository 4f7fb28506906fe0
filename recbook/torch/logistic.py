"""Logistic regression in PyTorch (chapter `logistic`)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.field_models import LogisticModel
from recbook.torch.training import TorchGradientModel


class LogisticNetwork(nn.Module):
    """z = θ₀ + θᵀx, equation (lr-logit), x sparse: row i has value[i, j] at place index[i, j]."""

    def __init__(self, n_features: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))
        self.weights = nn.Parameter(torch.zeros(n_features))

    def forward(self, index: Tensor, value: Tensor) -> Tensor:
        return self.bias + (self.weights[index] * value).sum(1)


class LogisticRegression(TorchGradientModel, LogisticModel):
    """Logistic regression: the probability of an event, P(y = 1) = σ(θ₀ + θᵀx), equation (lr-model).

    x are the features of a user, an item and the moment, and their crosses. Trained on the mean over observed
    pairs of softplus(z) − yz, plus reg ‖θ‖², θ₀ left out: equation (lr-objective). Targets are ratings of 0 and 1;
    `predict` gives probabilities.

    fields : names of the features, as in `recbook.fields`: "user", "item", "users.gender", "items.genres",
        "position" (a column of the interactions, which `predict` then needs as context), and crosses such as
        "users.gender*items.genres". Without a cross of user and item, everybody gets the same ranking
    epochs, learning_rate, optimizer : of the training;  batch_size : None takes all examples at once
    reg : λ, of the sum of all squared weights
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    def __init__(
        self,
        fields: tuple[str, ...] = ("user", "item"),
        epochs: int = 10,
        learning_rate: float = 0.03,
        reg: float = 1e-5,
        batch_size: int | None = 2048,
        optimizer: str = "adam",
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.fields = fields
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> LogisticNetwork:
        return LogisticNetwork(self._fields.n_features)

    def _objective(self, network: LogisticNetwork, batch: dict[str, Tensor]) -> Tensor:
        z = network(batch["index"], batch["value"])
        loss = F.binary_cross_entropy_with_logits(z, batch["target"])
        return loss + self.reg * torch.square(network.weights).sum()

    @torch.no_grad()
    def _scores(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        # Summed in float64 and rounded at the end: pairs of the same features then have the same score, in any block.
        bias, weights = self._network.bias.double(), self._network.weights.double()
        z = bias + (weights[self._to_tensor(index)] * self._to_tensor(value).double()).sum(1)
        return self._to_numpy(torch.sigmoid(z).float())
