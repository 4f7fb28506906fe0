"""What the Keras wing's models of the next item share: the objective of a batch, and states."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from recbook.keras import backend
from recbook.keras.training import KerasGradientModel
from recbook.next_items import SequenceModel
from recbook.training import Batch


class Reader(keras.Model):
    """Gives the states of a batch; a graph for each shape, made once, where a recurrence would make one each time."""

    def __init__(self, network: keras.Model, hidden) -> None:
        super().__init__()
        self.network = network
        self.hidden = hidden
        self.compile(jit_compile=backend.compiles())

    def build(self, shapes) -> None:
        self.built = True  # the network came with its weights

    def call(self, batch):
        return self.hidden(self.network, batch)


class KerasSequenceModel(KerasGradientModel, SequenceModel):
    """A model whose network gives a state at each step of a batch.

    The network's parameters `item_factors` (n_items, factors) and, where it has one, `item_bias` (n_items,) make
    scores of states.
    """

    def _hidden(self, network: keras.Model, batch: dict):
        """The states at all steps, (people, width, factors)."""
        return network(batch["items"])

    def _objective(self, network: keras.Model, batch: dict):
        loss = self._loss_of_steps(network, self._hidden(network, batch), batch)
        mean = ops.sum(loss * batch["mask"]) / ops.sum(batch["mask"])
        return mean + self.reg * self._penalty(network) if self.reg else mean

    def _penalty(self, network: keras.Model):
        """The squares of all kernels and item vectors."""
        kernels = [weight for weight in network.trainable_weights if len(weight.shape) > 1]
        return sum(ops.sum(ops.square(kernel)) for kernel in kernels)

    def _loss_of_steps(self, network: keras.Model, states, batch: dict):
        """(people, width), of any value where a step is not real."""
        wanted = ops.minimum(batch["next_items"], network.item_factors.shape[0] - 1)
        positive = scores_at(network, states, wanted[..., None])
        if not self._draws_negatives():
            return ops.logsumexp(scores(network, states), axis=-1) - positive[..., 0]
        negative = scores_at(network, states, batch["negatives"])
        if self.loss == "bpr":
            return ops.mean(ops.softplus(negative - positive), axis=-1)
        return ops.softplus(-positive[..., 0]) + ops.sum(ops.softplus(negative), axis=-1)

    def _build(self, n_users: int, n_items: int) -> None:
        super()._build(n_users, n_items)
        self._reader = Reader(self._network, self._hidden)

    def _states(self, steps: Batch) -> np.ndarray:
        with keras.device(self.device_):
            states = self._reader.predict_on_batch(steps)
        return states[np.arange(len(states)), steps["length"] - 1]


def scores(network: keras.Model, states):
    """Of all items, (…, n_items): q · state + b."""
    found = states @ ops.transpose(network.item_factors)
    return found + network.item_bias if hasattr(network, "item_bias") else found


def scores_at(network: keras.Model, states, items):
    """Of some items: states (…, factors), items (…, k) -> (…, k)."""
    vectors = ops.take(network.item_factors, items, axis=0)
    found = ops.sum(vectors * states[..., None, :], axis=-1)
    return found + ops.take(network.item_bias, items) if hasattr(network, "item_bias") else found
