"""Optimisers in Keras as their papers write them (chapters `optimizers` and `frameworks`).

Keras' own differ from the papers, and from PyTorch's, in two ways. On TensorFlow an embedding's gradient
arrives as slices, one for each row of the batch, and Adam squares each slice: a row that comes twice adds
Σg² to its second moment where (Σg)² is right. And epsilon is added before the bias is corrected, not after.
Here a gradient is made dense first, and epsilon stands where the equations have it.
"""

from __future__ import annotations

import math

import keras
from keras import ops

from recbook.shared._training import BETAS, DECAY, EPSILON, MOMENTUM, WEIGHT_DECAY


class _Optimizer(keras.optimizers.Optimizer):
    """Gives `_step` dense gradients, and the slots that it names."""

    slots: tuple[str, ...] = ()

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self._slots = {
            name: [self.add_variable_from_reference(v, name=name) for v in variables] for name in self.slots
        }

    def update_step(self, gradient, variable, learning_rate) -> None:
        # Adding zeros makes a tensor of TensorFlow's slices; the rows of one id are summed.
        g = ops.add(gradient, ops.zeros(variable.shape, variable.dtype))
        lr = ops.cast(learning_rate, variable.dtype)
        index = self._get_variable_index(variable)
        self._step(variable, g, lr, *(self._slots[name][index] for name in self.slots))

    def _correction(self, beta: float, dtype):
        """1 - βᵗ, a number. A power in float32 would lose digits: 1 - 0.999 has only four of them."""
        t = ops.cast(self.iterations + 1, dtype)
        return -ops.expm1(t * math.log(beta))


class SGD(_Optimizer):
    """θ ← θ - ηg."""

    def _step(self, variable, g, lr) -> None:
        self.assign_sub(variable, lr * g)


class Momentum(_Optimizer):
    """v ← μv + g;  θ ← θ - ηv."""

    slots = ("velocity",)

    def _step(self, variable, g, lr, velocity) -> None:
        self.assign(velocity, MOMENTUM * velocity + g)
        self.assign_sub(variable, lr * velocity)


class AdaGrad(_Optimizer):
    """G ← G + g²;  θ ← θ - ηg / (√G + ε)."""

    slots = ("squares",)

    def _step(self, variable, g, lr, squares) -> None:
        self.assign_add(squares, ops.square(g))
        self.assign_sub(variable, lr * g / (ops.sqrt(squares) + EPSILON))


class RMSProp(_Optimizer):
    """v ← ρv + (1 - ρ)g²;  θ ← θ - ηg / (√v + ε)."""

    slots = ("mean_square",)

    def _step(self, variable, g, lr, mean_square) -> None:
        self.assign(mean_square, DECAY * mean_square + (1 - DECAY) * ops.square(g))
        self.assign_sub(variable, lr * g / (ops.sqrt(mean_square) + EPSILON))


class Adam(_Optimizer):
    """m ← β₁m + (1 - β₁)g;  v ← β₂v + (1 - β₂)g²;  θ ← θ - η m̂ / (√v̂ + ε)."""

    slots = ("first", "second")

    def _step(self, variable, g, lr, first, second) -> None:
        self.assign_add(first, (1 - BETAS[0]) * (g - first))
        self.assign_add(second, (1 - BETAS[1]) * (ops.square(g) - second))
        # m̂ and v̂ are m and v divided by numbers: those go into η and ε, and spare passes over the arrays.
        c1, c2 = (self._correction(beta, variable.dtype) for beta in BETAS)
        root = ops.sqrt(c2)
        self.assign_sub(variable, (lr * root / c1) * first / (ops.sqrt(second) + EPSILON * root))


class AdamW(Adam):
    """θ ← (1 - ηλ)θ, then a step of Adam."""

    def _step(self, variable, g, lr, first, second) -> None:
        self.assign(variable, variable * (1 - lr * WEIGHT_DECAY))
        super()._step(variable, g, lr, first, second)


CLASSES = {
    "sgd": SGD, "momentum": Momentum, "adagrad": AdaGrad, "rmsprop": RMSProp, "adam": Adam, "adamw": AdamW,
}  # fmt: skip


def make_optimizer(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """The optimiser of that name: one of `recbook.shared._training.OPTIMIZERS`."""
    if name not in CLASSES:
        raise ValueError(f"`optimizer` is {name!r}; see recbook.shared._training.OPTIMIZERS")
    return CLASSES[name](learning_rate=learning_rate)
