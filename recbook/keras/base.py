"""What every model of the Keras wing shares: its device."""

from __future__ import annotations

import contextlib

import keras
import numpy as np
from keras import ops

from recbook.keras import backend
from recbook.recommender import Recommender, check_choice

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


class KerasRecommender(Recommender):
    """A recommender that computes with Keras, on any of its backends, on `self.device`."""

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
