"""The training loop of the Keras wing: `compile` and `fit`."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from recbook.keras import backend
from recbook.keras.base import KerasRecommender
from recbook.keras.optimizers import make_optimizer
from recbook.training import Batch, GradientModel


class Trainer(keras.Model):
    """Lets `fit` make small what a model's `_objective` says of its network."""

    def __init__(self, network: keras.Model, objective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def build(self, shapes) -> None:
        self.built = True  # the network came with its weights

    def call(self, batch):
        return self.objective(self.network, batch)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return y_pred


class AfterEpoch(keras.callbacks.Callback):
    def __init__(self, after_epoch) -> None:
        super().__init__()
        self.after_epoch = after_epoch

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        backend.fetch_variables(self.model)
        self.model.stop_training = self.after_epoch(float(logs["loss"]))


class KerasGradientModel(KerasRecommender, GradientModel):
    """A model whose network is a `keras.Model`, trained on the objective of a batch.

    A model writes `_make_network` and `_objective`; the names of the network's weights are the canonical
    ones of the parameters.
    """

    _network: keras.Model

    def _make_network(self, n_users: int, n_items: int) -> keras.Model:
        raise NotImplementedError

    def _objective(self, network: keras.Model, batch: dict):
        """The mean over a batch's examples of what training makes small: loss and penalty."""
        raise NotImplementedError

    def _build(self, n_users: int, n_items: int) -> None:
        with keras.device(self.device_):
            self._network = self._make_network(n_users, n_items)

    def _train_network(self, feed: Iterator[Batch], steps: int) -> None:
        with keras.device(self.device_):
            trainer = Trainer(self._network, self._objective)
            optimizer = make_optimizer(self.optimizer, self.learning_rate)
            # Built beforehand: variables made while TensorFlow traces a function make it trace twice.
            optimizer.build(self._network.trainable_variables)
            trainer.compile(
                optimizer=optimizer,
                steps_per_execution=backend.steps_at_once(steps),
                jit_compile=backend.compiles(),
            )
            trainer.fit(
                ((batch,) for batch in feed),
                epochs=self.epochs,
                steps_per_epoch=steps,
                shuffle=False,
                verbose=0,
                callbacks=[AfterEpoch(self._after_epoch)],
            )

    @property
    def network(self) -> keras.Model:
        return self._network

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {weight.name: np.array(ops.convert_to_numpy(weight)) for weight in self._network.weights}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        if not hasattr(self, "_network"):  # read from a file
            self._build(len(self._user_index), len(self._item_index))
        for weight in self._network.weights:
            weight.assign(parameters[weight.name])
