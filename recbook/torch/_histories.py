"""What the PyTorch wing's models of the next item share: scores of states, and what is made small."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class StepNetwork(nn.Module):
    """What makes states of steps, and has vectors, or vectors and biases, of items."""

    item_factors: Tensor
    item_bias: Tensor


def loss_of_steps(network: StepNetwork, states: Tensor, batch: dict[str, Tensor], loss: str) -> Tensor:
    """(people, width), of any value where a step is not real.

    loss : "softmax" over all items; "bpr" or "binary" against drawn ones
    """
    wanted = batch["next_items"].long().clamp(max=len(network.item_factors) - 1)
    if loss == "softmax":
        of_all = scores(network, states).flatten(0, 1)
        return F.cross_entropy(of_all, wanted.flatten(), reduction="none").view(wanted.shape)
    positive = scores_at(network, states, wanted[..., None])
    negative = scores_at(network, states, batch["negatives"].long())
    if loss == "bpr":
        return F.softplus(negative - positive).mean(-1)
    return F.softplus(-positive[..., 0]) + F.softplus(negative).sum(-1)


def over_real_steps(loss: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """The mean."""
    return (loss * batch["mask"]).sum() / batch["mask"].sum()


def scores(network: StepNetwork, states: Tensor) -> Tensor:
    """Of all items, (…, n_items): q · state + b."""
    found = states @ network.item_factors.T
    return found + network.item_bias if hasattr(network, "item_bias") else found


def scores_at(network: StepNetwork, states: Tensor, items: Tensor) -> Tensor:
    """Of some items: states (…, factors), items (…, k) -> (…, k)."""
    found = (network.item_factors[items] @ states[..., None])[..., 0]
    return found + network.item_bias[items] if hasattr(network, "item_bias") else found
