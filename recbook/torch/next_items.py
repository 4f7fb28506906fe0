"""What the PyTorch wing's models of the next item share: the objective of a batch, and states."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.next_items import SequenceModel
from recbook.torch.training import TorchGradientModel
from recbook.training import Batch


class TorchSequenceModel(TorchGradientModel, SequenceModel):
    """A model whose network gives a state at each step of a batch.

    The network's parameters `item_factors` (n_items, factors) and, where it has one, `item_bias` (n_items,) make
    scores of states.
    """

    def _hidden(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The states at all steps, (people, width, factors)."""
        return network(batch["items"])

    def _objective(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        loss = self._loss_of_steps(network, self._hidden(network, batch), batch)
        mean = (loss * batch["mask"]).sum() / batch["mask"].sum()
        return mean + self.reg * self._penalty(network) if self.reg else mean

    def _penalty(self, network: nn.Module) -> Tensor:
        """The squares of all kernels and item vectors."""
        return sum(values.square().sum() for values in network.parameters() if values.ndim > 1)

    def _loss_of_steps(self, network: nn.Module, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """(people, width), of any value where a step is not real."""
        wanted = batch["next_items"].long().clamp(max=len(network.item_factors) - 1)
        if not self._draws_negatives():
            of_all = scores(network, states).flatten(0, 1)
            return F.cross_entropy(of_all, wanted.flatten(), reduction="none").view(wanted.shape)
        positive = scores_at(network, states, wanted[..., None])
        negative = scores_at(network, states, batch["negatives"].long())
        if self.loss == "bpr":
            return F.softplus(negative - positive).mean(-1)
        return F.softplus(-positive[..., 0]) + F.softplus(negative).sum(-1)

    @torch.no_grad()
    def _states(self, steps: Batch) -> np.ndarray:
        batch = {name: self._to_tensor(values) for name, values in steps.items()}
        states = self._hidden(self._network, batch)
        return self._to_numpy(states[torch.arange(len(states)), batch["length"].long() - 1])


def scores(network: nn.Module, states: Tensor) -> Tensor:
    """Of all items, (…, n_items): q · state + b."""
    found = states @ network.item_factors.T
    return found + network.item_bias if hasattr(network, "item_bias") else found


def scores_at(network: nn.Module, states: Tensor, items: Tensor) -> Tensor:
    """Of some items: states (…, factors), items (…, k) -> (…, k)."""
    found = (network.item_factors[items] @ states[..., None])[..., 0]
    return found + network.item_bias[items] if hasattr(network, "item_bias") else found
