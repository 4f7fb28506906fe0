"""The training loop of the PyTorch wing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from recbook.torch.base import TorchRecommender
from recbook.torch.optimizers import make_optimizer
from recbook.training import Batch, GradientModel


class TorchGradientModel(TorchRecommender, GradientModel):
    """A model whose network is an `nn.Module`, trained on the objective of a batch.

    A model writes `_make_network` and `_objective`; the names in the network's `state_dict` are the
    canonical ones of the parameters.
    """

    _network: nn.Module

    def _make_network(self, n_users: int, n_items: int) -> nn.Module:
        raise NotImplementedError

    def _objective(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The mean over a batch's examples of what training makes small: loss and penalty."""
        raise NotImplementedError

    def _build(self, n_users: int, n_items: int) -> None:
        self._network = self._make_network(n_users, n_items).to(self.device_)

    def _train_network(self, feed: Iterator[Batch], steps: int) -> None:
        network = self._network.train()
        optimizer = make_optimizer(self.optimizer, network.parameters(), self.learning_rate)
        for _ in range(self.epochs):
            losses, sizes = [], []
            for arrays in islice(feed, steps):
                batch = {name: self._to_tensor(values) for name, values in arrays.items()}
                optimizer.zero_grad()
                loss = self._objective(network, batch)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
                sizes.append(len(next(iter(arrays.values()))))
            if self._after_epoch(float(np.average(self._to_numpy(torch.stack(losses)), weights=sizes))):
                break
        network.eval()

    @property
    def network(self) -> nn.Module:
        return self._network

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {name: self._to_numpy(values) for name, values in self._network.state_dict().items()}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        if not hasattr(self, "_network"):  # read from a file
            self._build(len(self._user_index), len(self._item_index))
        self._network.load_state_dict({name: self._to_tensor(values) for name, values in parameters.items()})
