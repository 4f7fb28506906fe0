"""Logistic regression in PyTorch (chapter `logistic`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import logistic as shared
from recbook.torch._model import TorchModel


class LogisticNetwork(nn.Module):
    """z = θ₀ + θᵀx, equation (lr-logit), x sparse: row i has value[i, j] at place index[i, j]."""

    def __init__(self, n_features: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))
        self.weights = nn.Parameter(torch.zeros(n_features))

    def forward(self, index: Tensor, value: Tensor) -> Tensor:
        return self.bias + (self.weights[index] * value).sum(1)


class LogisticRegression(shared.LogisticRegression, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> LogisticNetwork:
        return LogisticNetwork(self._fields.n_features)

    def _objective(self, network: LogisticNetwork, batch: dict[str, Tensor]) -> Tensor:
        z = network(batch["index"], batch["value"])
        loss = F.binary_cross_entropy_with_logits(z, batch["target"])
        return loss + self.reg * torch.square(network.weights).sum()
