"""Optimisers in PyTorch, with every constant said (chapter `optimizers`)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from recbook.shared._training import BETAS, DECAY, EPSILON, MOMENTUM, WEIGHT_DECAY


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    """The optimiser of that name: one of `recbook.shared._training.OPTIMIZERS`."""
    parameters = list(parameters)
    match name:
        case "sgd":
            return torch.optim.SGD(parameters, lr=learning_rate, momentum=0.0)
        case "momentum":
            return torch.optim.SGD(parameters, lr=learning_rate, momentum=MOMENTUM)
        case "adagrad":
            return torch.optim.Adagrad(
                parameters, lr=learning_rate, eps=EPSILON, initial_accumulator_value=0.0
            )
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=learning_rate, alpha=DECAY, eps=EPSILON)
        case "adam":
            return torch.optim.Adam(parameters, lr=learning_rate, betas=BETAS, eps=EPSILON, fused=True)
        case "adamw":
            return torch.optim.AdamW(
                parameters,
                lr=learning_rate,
                betas=BETAS,
                eps=EPSILON,
                weight_decay=WEIGHT_DECAY,
                fused=True,
            )
    raise ValueError(f"`optimizer` is {name!r}; see recbook.shared._training.OPTIMIZERS")
