"""Click models with deep networks in PyTorch: WideAndDeep, DeepFM, DIN (chapter `ctr`)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import ctr as shared
from recbook.shared.ctr import DICE_EPSILON, DICE_MOMENTUM, Shapes
from recbook.torch._model import TorchModel
from recbook.torch.factorization_machines import MachineNetwork


class DeepNetwork(nn.Module):
    """Parameters under their names, and hidden layers on the vectors of fields."""

    constant: Tensor
    factors: Tensor
    mlp_head: Tensor
    pooling: Tensor

    def __init__(self, shapes: Shapes):
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self.depth = sum(name.startswith("kernel_") for name in shapes)

    def kernels(self) -> list[Tensor]:
        """All weights of layers, which have a penalty of their own; not the biases."""
        return [
            values for name, values in self.named_parameters() if "kernel_" in name or name.endswith("head")
        ]

    def layer(self, n: int, x: Tensor) -> Tensor:
        return x @ getattr(self, f"kernel_{n}") + getattr(self, f"bias_{n}")

    def deep(self, x: Tensor) -> Tensor:
        """w_Lᵀx_L of x_0, (n,)."""
        for n in range(1, self.depth + 1):
            x = F.relu(self.layer(n, x))
        return x @ self.mlp_head


class WideAndDeepNetwork(DeepNetwork):
    """z = w₀ + wᵀx + w_Lᵀx_L, equation (ctr-wide-deep)."""

    weights: Tensor

    def __init__(self, shapes: Shapes, pooling: np.ndarray):
        super().__init__(shapes)
        self.register_buffer("pooling", torch.as_tensor(pooling), persistent=False)

    def logits(self, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """z, and the squares of the weights and vectors in use, both (n,)."""
        w = F.embedding(index, self.weights[:, None])[..., 0]
        here = slice(self.pooling.shape[1])  # the columns of the fields; crosses stand behind them
        v = F.embedding(index[:, here], self.factors)
        deep = self.pooling @ (v * value[:, here, None])
        z = self.constant + (w * value).sum(1) + self.deep(deep.flatten(1))
        squares = ((value != 0) * torch.square(w)).sum(1)
        return z, squares + ((value[:, here] != 0) * torch.square(v).sum(2)).sum(1)

    def forward(self, index: Tensor, value: Tensor) -> Tensor:
        return self.logits(index, value)[0]

    def chances(self, batch: dict[str, Tensor]) -> Tensor:
        return torch.sigmoid(self(batch["index"], batch["value"]))


class DeepFMNetwork(WideAndDeepNetwork):
    """z = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b + w_Lᵀx_L, equation (ctr-deepfm)."""

    rows, sums = MachineNetwork.rows, MachineNetwork.sums

    def logits(self, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        w, v = self.rows(index)
        deep = self.pooling @ (v * value[..., None])
        z = self.constant + self.sums(w, v, value)[0] + self.deep(deep.flatten(1))
        return z, ((value != 0) * (torch.square(w) + torch.square(v).sum(2))).sum(1)


def objective(network: WideAndDeepNetwork, batch: dict[str, Tensor], reg: float, reg_layers: float) -> Tensor:
    """Equation (ctr-objective), of a batch of rows of features."""
    z, squares = network.logits(batch["index"], batch["value"])
    loss = F.binary_cross_entropy_with_logits(z, batch["target"], reduction="none")
    kernels = sum(torch.square(kernel).sum() for kernel in network.kernels())
    return (loss + reg * squares).mean() + reg_layers * kernels


class WideAndDeep(shared.WideAndDeep, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> WideAndDeepNetwork:
        return WideAndDeepNetwork(self._parameter_shapes(n_users, n_items), self._pooling())

    def _objective(self, network: WideAndDeepNetwork, batch: dict[str, Tensor]) -> Tensor:
        return objective(network, batch, self.reg, self.reg_layers)


class DeepFM(shared.DeepFM, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> DeepFMNetwork:
        return DeepFMNetwork(self._parameter_shapes(n_users, n_items), self._pooling())

    def _objective(self, network: DeepFMNetwork, batch: dict[str, Tensor]) -> Tensor:
        return objective(network, batch, self.reg, self.reg_layers)


class DINNetwork(DeepNetwork):
    """z = w₀ + w_Lᵀx_L, where x_0 is [the fields beside; Σ_j a(e_j, v) e_j; v], equation (ctr-din)."""

    item_index: Tensor
    item_value: Tensor
    item_pooling: Tensor
    attention_head: Tensor
    dice_weight: Tensor

    def __init__(self, shapes: Shapes, item_rows, poolings):
        super().__init__({name: shape for name, shape in shapes.items() if not is_state(name)})
        for name in filter(is_state, shapes):
            self.register_buffer(name, torch.zeros(shapes[name]))
        names = ("item_index", "item_value", "pooling", "item_pooling")
        for name, values in zip(names, (*item_rows, *poolings), strict=True):
            self.register_buffer(name, torch.as_tensor(values), persistent=False)
        self.attention_depth = sum(name.startswith("attention_kernel_") for name in shapes)

    def items(self, codes: Tensor) -> Tensor:
        """The vectors of items, (n, numbers); those of nothing are zeros.  codes : (n,)"""
        v = F.embedding(self.item_index[codes], self.factors) * self.item_value[codes][..., None]
        return (self.item_pooling @ v).flatten(1)

    def attention(self, e: Tensor, target: Tensor) -> Tensor:
        """a(e_j, v), equation (ctr-unit).  e : (n, length, m);  target : (n, m).  Returns (n, length)."""
        target = target[:, None].expand_as(e)
        x = torch.cat([e, e * target, target], dim=2)
        for n in range(1, self.attention_depth + 1):
            x = F.relu(x @ getattr(self, f"attention_kernel_{n}") + getattr(self, f"attention_bias_{n}"))
        return x @ self.attention_head

    def dice(self, n: int, z: Tensor, training: bool) -> Tensor:
        """Equation (ctr-dice), with the batch's statistics in training, else with the running ones."""
        mean, variance = (getattr(self, f"dice_{name}_{n}") for name in ("mean", "variance"))
        if training:
            batch_mean = z.mean(0)
            batch_variance = torch.square(z - batch_mean).mean(0)
            for running, now in ((mean, batch_mean), (variance, batch_variance)):
                running.add_((1 - DICE_MOMENTUM) * (now.detach() - running))
            mean, variance = batch_mean, batch_variance
        else:
            mean, variance = mean / self.dice_weight, variance / self.dice_weight
        p = torch.sigmoid((z - mean) / torch.sqrt(variance + DICE_EPSILON))
        return p * z + (1 - p) * getattr(self, f"dice_alpha_{n}") * z

    def forward(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        if training:
            self.dice_weight.add_((1 - DICE_MOMENTUM) * (1 - self.dice_weight))
        items = self.items(batch["met"])
        target, e = F.embedding(batch["item"], items), F.embedding(batch["behaviours"], items)
        # Nothing has the vector 0, and so no part in the sum, whatever its weight.
        interest = (self.attention(e, target)[..., None] * e).sum(1)
        v = F.embedding(batch["index"], self.factors) * batch["value"][..., None]
        x = torch.cat([(self.pooling @ v).flatten(1), interest, target], dim=1)
        for n in range(1, self.depth + 1):
            x = self.dice(n, self.layer(n, x), training)
        return self.constant + x @ self.mlp_head

    def chances(self, batch: dict[str, Tensor]) -> Tensor:
        return torch.sigmoid(self(batch))

    def attention_of(self, behaviours: Tensor, target: Tensor) -> Tensor:
        """a(e_j, v) of one history, (length,), for a target.  behaviours : (length,) codes;  target : (1,)"""
        return self.attention(self.items(behaviours)[None], self.items(target))[0]

    def present(self, batch: dict[str, Tensor]) -> Tensor:
        """(n_features,) whether a feature occurs in the batch, in a row or in a history."""
        found = torch.zeros(len(self.factors), dtype=torch.bool, device=self.factors.device)
        of_items = self.item_index[batch["met"]], self.item_value[batch["met"]]
        for index, value in ((batch["index"], batch["value"]), of_items):
            found[index[value != 0]] = True
        return found


def is_state(name: str) -> bool:
    """Whether a parameter is not trained: a running statistic."""
    return name.startswith(("dice_mean", "dice_variance", "dice_weight"))


class DIN(shared.DIN, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> DINNetwork:
        return DINNetwork(self._parameter_shapes(n_users, n_items), self._item_rows(), self._poolings())

    def _objective(self, network: DINNetwork, batch: dict[str, Tensor]) -> Tensor:
        z = network(batch, training=True)
        loss = F.binary_cross_entropy_with_logits(z, batch["target"])
        shares = network.present(batch) / self._to_tensor(self._counts)
        kernels = sum(torch.square(kernel).sum() for kernel in network.kernels())
        return loss + self.reg * shares @ torch.square(network.factors).sum(1) + self.reg_layers * kernels
