"""What a model's head asks of its wing, and the wing of the head: declared once, so that either can be checked alone.

A wing is `recbook/torch/_model.py` or `recbook/keras/_model.py`, a head a class of `recbook/shared`. An annotation in
the body of a `Recommender` would be read as an argument of its constructor; here it is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class WingParts:
    """`device` is an argument that each model declares; what computes with it is the wing's.

    A tensor is the framework's own, whatever that is.
    """

    device: str
    device_: Any

    def _to_tensor(self, array: np.ndarray) -> Any:
        raise NotImplementedError

    def _to_numpy(self, tensor: Any) -> np.ndarray:
        raise NotImplementedError

    def _build(self, n_users: int, n_items: int) -> None:
        """Makes the network, on the device."""
        raise NotImplementedError

    def _train_network(self, feed: Iterator[dict[str, np.ndarray]], steps: int) -> None:
        """Goes through the epochs, of `steps` batches each."""
        raise NotImplementedError

    def _after_epoch(self, loss: float) -> bool:
        """Of the head: writes the epoch down, and says whether to stop."""
        raise NotImplementedError

    def _compute(self, method: str, *given: Any) -> Any:
        """What a method of the network makes of arrays."""
        raise NotImplementedError

    def _read(self, method: str, *given: Any) -> Any:
        """The same, of a batch of histories."""
        raise NotImplementedError
