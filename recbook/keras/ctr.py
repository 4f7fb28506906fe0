"""Click models with deep networks in Keras: WideAndDeep, DeepFM, DIN (chapter `ctr`)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from recbook.keras import _backend as backend
from recbook.keras._model import KerasModel
from recbook.keras.factorization_machines import MachineNetwork
from recbook.shared import ctr as shared
from recbook.shared.ctr import DICE_EPSILON, DICE_MOMENTUM, Shapes


def flat(x):
    """(n, …) as (n, numbers): in a traced function n is not known, the others are."""
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2]))


class DeepNetwork(keras.Model):
    """Parameters under their names, and hidden layers on the vectors of fields."""

    def __init__(self, shapes: Shapes):
        super().__init__()
        for name, shape in shapes.items():
            weight = self.add_weight(
                shape=shape, name=name, initializer="zeros", trainable=not is_state(name)
            )
            # keras.Model has a `weights` of its own: all of them.
            setattr(self, "weight_vector" if name == "weights" else name, weight)
        self.depth = sum(name.startswith("kernel_") for name in shapes)

    def kernels(self) -> list:
        """All weights of layers, which have a penalty of their own; not the biases."""
        return [w for w in self.trainable_weights if "kernel_" in w.name or w.name.endswith("head")]

    def layer(self, n: int, x):
        return x @ getattr(self, f"kernel_{n}") + getattr(self, f"bias_{n}")

    def deep(self, x):
        """w_Lᵀx_L of x_0, (n,)."""
        for n in range(1, self.depth + 1):
            x = ops.relu(self.layer(n, x))
        return ops.matmul(x, self.mlp_head)


class WideAndDeepNetwork(DeepNetwork):
    """z = w₀ + wᵀx + w_Lᵀx_L, equation (ctr-wide-deep)."""

    def __init__(self, shapes: Shapes, pooling: np.ndarray):
        super().__init__(shapes)
        self.pooling = ops.convert_to_tensor(pooling)

    def logits(self, index, value):
        """z, and the squares of the weights and vectors in use, both (n,)."""
        w = ops.take(self.weight_vector, index, axis=0)
        here = slice(self.pooling.shape[1])  # the columns of the fields; crosses stand behind them
        v = ops.take(self.factors, index[:, here], axis=0)
        deep = ops.matmul(self.pooling, v * value[:, here, None])
        z = self.constant + ops.sum(w * value, axis=1) + self.deep(flat(deep))
        active = ops.cast(value != 0, "float32")
        squares = ops.sum(active * ops.square(w), axis=1)
        return z, squares + ops.sum(active[:, here] * ops.sum(ops.square(v), axis=2), axis=1)

    def call(self, index, value):
        return self.logits(index, value)[0]

    def chances(self, batch: dict):
        return ops.sigmoid(self(batch["index"], batch["value"]))


class DeepFMNetwork(WideAndDeepNetwork):
    """z = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b + w_Lᵀx_L, equation (ctr-deepfm)."""

    rows, sums = MachineNetwork.rows, MachineNetwork.sums

    def logits(self, index, value):
        w, v = self.rows(index)
        deep = ops.matmul(self.pooling, v * value[..., None])
        z = self.constant + self.sums(w, v, value)[0] + self.deep(flat(deep))
        active = ops.cast(value != 0, "float32")
        return z, ops.sum(active * (ops.square(w) + ops.sum(ops.square(v), axis=2)), axis=1)


def objective(network: WideAndDeepNetwork, batch: dict, reg: float, reg_layers: float):
    """Equation (ctr-objective), of a batch of rows of features."""
    z, squares = network.logits(batch["index"], batch["value"])
    loss = ops.binary_crossentropy(batch["target"], z, from_logits=True)
    kernels = sum(ops.sum(ops.square(kernel)) for kernel in network.kernels())
    return ops.mean(loss + reg * squares) + reg_layers * kernels


class WideAndDeep(shared.WideAndDeep, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> WideAndDeepNetwork:
        return WideAndDeepNetwork(self._parameter_shapes(n_users, n_items), self._pooling())

    def _objective(self, network: WideAndDeepNetwork, batch: dict):
        return objective(network, batch, self.reg, self.reg_layers)


class DeepFM(shared.DeepFM, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> DeepFMNetwork:
        return DeepFMNetwork(self._parameter_shapes(n_users, n_items), self._pooling())

    def _objective(self, network: DeepFMNetwork, batch: dict):
        return objective(network, batch, self.reg, self.reg_layers)


class DINNetwork(DeepNetwork):
    """z = w₀ + w_Lᵀx_L, where x_0 is [the fields beside; Σ_j a(e_j, v) e_j; v], equation (ctr-din)."""

    def __init__(self, shapes: Shapes, item_rows, poolings):
        super().__init__(shapes)
        self.item_index, self.item_value = map(ops.convert_to_tensor, item_rows)
        self.pooling, self.item_pooling = map(ops.convert_to_tensor, poolings)
        self.attention_depth = sum(name.startswith("attention_kernel_") for name in shapes)

    def items(self, codes):
        """The vectors of items, (n, numbers); those of nothing are zeros.  codes : (n,)"""
        index, value = (ops.take(rows, codes, axis=0) for rows in (self.item_index, self.item_value))
        v = ops.take(self.factors, index, axis=0) * value[..., None]
        return flat(ops.matmul(self.item_pooling, v))

    def attention(self, e, target):
        """a(e_j, v), equation (ctr-unit).  e : (n, length, m);  target : (n, m).  Returns (n, length)."""
        target = target[:, None] + ops.zeros_like(e)
        x = ops.concatenate([e, e * target, target], axis=2)
        for n in range(1, self.attention_depth + 1):
            layer = getattr(self, f"attention_kernel_{n}"), getattr(self, f"attention_bias_{n}")
            x = ops.relu(ops.matmul(x, layer[0]) + layer[1])
        return ops.matmul(x, self.attention_head)

    def dice(self, n: int, z, training: bool):
        """Equation (ctr-dice), with the batch's statistics in training, else with the running ones."""
        mean, variance = (getattr(self, f"dice_{name}_{n}") for name in ("mean", "variance"))
        if training:
            batch_mean = ops.mean(z, axis=0)
            batch_variance = ops.mean(ops.square(z - batch_mean), axis=0)
            for running, now in ((mean, batch_mean), (variance, batch_variance)):
                running.assign(running + (1 - DICE_MOMENTUM) * (ops.stop_gradient(now) - running))
            mean, variance = batch_mean, batch_variance
        else:
            mean, variance = mean / self.dice_weight, variance / self.dice_weight
        p = ops.sigmoid((z - mean) / ops.sqrt(variance + DICE_EPSILON))
        return p * z + (1 - p) * getattr(self, f"dice_alpha_{n}") * z

    def call(self, batch: dict, training: bool = False):
        if training:
            weight = self.dice_weight
            weight.assign(weight + (1 - DICE_MOMENTUM) * (1 - weight))
        items = self.items(batch["met"])
        target = ops.take(items, batch["item"], axis=0)
        e = ops.take(items, batch["behaviours"], axis=0)
        # Nothing has the vector 0, and so no part in the sum, whatever its weight.
        interest = ops.sum(self.attention(e, target)[..., None] * e, axis=1)
        parts = [interest, target]
        if self.pooling.shape[0]:  # TensorFlow cannot reshape what has no columns
            v = ops.take(self.factors, batch["index"], axis=0) * batch["value"][..., None]
            parts = [flat(ops.matmul(self.pooling, v)), *parts]
        x = ops.concatenate(parts, axis=1)
        for n in range(1, self.depth + 1):
            x = self.dice(n, self.layer(n, x), training)
        return self.constant + ops.matmul(x, self.mlp_head)

    def chances(self, batch: dict):
        return ops.sigmoid(self(batch))

    def attention_of(self, behaviours, target):
        """a(e_j, v) of one history, (length,), for a target.  behaviours : (length,) codes;  target : (1,)"""
        return self.attention(self.items(behaviours)[None], self.items(target))[0]

    def present(self, batch: dict):
        """(n_features,) 1 where a feature occurs in the batch, in a row or in a history, else 0."""
        of_items = (ops.take(rows, batch["met"], axis=0) for rows in (self.item_index, self.item_value))
        n, found = self.factors.shape[0], 0
        for index, value in ((batch["index"], batch["value"]), of_items):
            active = ops.reshape(ops.cast(value != 0, "float32"), (-1,))
            found = found + backend.segment_sum(active, ops.reshape(index, (-1,)), n)
        return ops.cast(found > 0, "float32")


def is_state(name: str) -> bool:
    """Whether a parameter is not trained: a running statistic."""
    return name.startswith(("dice_mean", "dice_variance", "dice_weight"))


class DIN(shared.DIN, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> DINNetwork:
        return DINNetwork(self._parameter_shapes(n_users, n_items), self._item_rows(), self._poolings())

    def _objective(self, network: DINNetwork, batch: dict):
        z = network(batch, training=True)
        loss = ops.mean(ops.binary_crossentropy(batch["target"], z, from_logits=True))
        shares = network.present(batch) / ops.convert_to_tensor(self._counts)
        kernels = sum(ops.sum(ops.square(kernel)) for kernel in network.kernels())
        penalty = ops.sum(shares * ops.sum(ops.square(network.factors), axis=1))
        return loss + self.reg * penalty + self.reg_layers * kernels
