"""The Keras half of every model: its device, arrays as tensors, and its network, trained by `compile` and `fit`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from recbook.core.arguments import check_choice
from recbook.keras import _backend as backend
from recbook.keras.optimizers import make_optimizer
from recbook.recommender import Recommender
from recbook.shared._training import Batch

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: str) -> str:
    """Keras' name of the device to compute on: "auto" takes cuda where the backend sees one, else the cpu.

    Raises ValueError for another name, RuntimeError where the backend cannot compute there.
    """
    check_choice("device", device, DEVICES)
    if device == "auto":
        device = "cuda" if backend.has_gpu() else "cpu"
    if device == "mps":
        raise RuntimeError(
            "`device='mps'` is for PyTorch alone; in the Keras wing use device='auto' or 'cpu'"
        )
    if device == "cuda" and not backend.has_gpu():
        raise RuntimeError(
            f"`device='cuda'`: the {backend.name()} backend sees no such device; use device='auto' or 'cpu'"
        )
    return backend.device_name(device)


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


class Reader(keras.Model):
    """Gives what a method of a network makes of a batch; a graph for each shape, made once, where a recurrence would
    make one each time."""

    def __init__(self, network: keras.Model, method: str) -> None:
        super().__init__()
        self.network = network
        self.method = method
        self.compile(jit_compile=backend.compiles())

    def build(self, shapes) -> None:
        self.built = True

    def call(self, batch):
        return getattr(self.network, self.method)(batch)


class AfterEpoch(keras.callbacks.Callback):
    def __init__(self, after_epoch) -> None:
        super().__init__()
        self.after_epoch = after_epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        backend.fetch_variables(self.model)
        self.model.stop_training = self.after_epoch(float(logs["loss"]))


class KerasModel(Recommender):
    """A model that computes with Keras, on any of its backends, on `self.device`.

    One that learns by gradient descent writes two hooks, the network and what training makes small. The names of the
    network's weights are the canonical ones of the parameters.
    """

    # Arguments that each model that trains declares for itself.
    epochs: ClassVar[int]
    learning_rate: ClassVar[float]
    optimizer: ClassVar[str]

    # ---------------------------------------------------------------- hooks: what a model with a network writes

    def _make_network(self, n_users: int, n_items: int) -> keras.Model:
        raise NotImplementedError

    def _objective(self, network: keras.Model, batch: dict):
        """The mean over a batch's examples of what training makes small: loss and penalty."""
        raise NotImplementedError

    # ---------------------------------------------------------------- device and arrays

    @property
    def device_(self) -> str:
        return resolve_device(self.device)

    @contextlib.contextmanager
    def _scope(self):
        """Everything inside is computed on the model's device, in float64 where it says so."""
        with keras.device(self.device_), backend.float64():
            yield

    def _to_numpy(self, tensor) -> np.ndarray:
        with self._scope():
            return np.asarray(ops.convert_to_numpy(tensor))

    def _to_tensor(self, array: np.ndarray):
        with self._scope():
            return ops.convert_to_tensor(array)

    # ---------------------------------------------------------------- network

    @property
    def network(self) -> keras.Model | None:
        return self.__dict__.get("_network")

    def _build(self, n_users: int, n_items: int) -> None:
        with keras.device(self.device_):
            self._network: keras.Model = self._make_network(n_users, n_items)
        self._readers: dict[str, Reader] = {}

    def _train_network(self, feed: Iterator[Batch], steps: int) -> None:
        """Goes through `self.epochs` epochs of `steps` batches; calls `_after_epoch`, and stops where it says so."""
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

    def _compute(self, method: str, *given):
        """What a method of the network makes of arrays, or of lists and dicts of them; an array, or a tuple of some."""

        def tensors(one):
            if isinstance(one, dict):
                return {name: tensors(values) for name, values in one.items()}
            return [tensors(values) for values in one] if isinstance(one, list) else self._to_tensor(one)

        with keras.device(self.device_):
            found = getattr(self._network, method)(*map(tensors, given))
            return tuple(map(self._to_numpy, found)) if isinstance(found, tuple) else self._to_numpy(found)

    def _read(self, method: str, batch: Batch) -> np.ndarray:
        """What a method of the network makes of a batch, by a graph that is compiled once for each shape."""
        if method not in self._readers:
            self._readers[method] = Reader(self._network, method)
        with keras.device(self.device_):
            return self._readers[method].predict_on_batch(batch)

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {weight.name: ops.convert_to_numpy(weight) for weight in self._network.weights}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        if self.network is None:  # read from a file
            self._build(len(self._user_index), len(self._item_index))
        self._assign(parameters)

    def _assign(self, parameters: dict[str, np.ndarray]) -> None:
        for weight in self._network.weights:
            weight.assign(parameters[weight.name])
