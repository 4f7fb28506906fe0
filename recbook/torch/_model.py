"""The PyTorch half of every model: its device, arrays as tensors, and its network, trained batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from recbook.core.arguments import check_choice
from recbook.recommender import Recommender
from recbook.shared._training import Batch
from recbook.torch.optimizers import make_optimizer

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: str) -> torch.device:
    """The device to compute on: "auto" takes cuda where there is one, else the cpu.

    Raises ValueError for another name, RuntimeError where the device is not there.
    """
    check_choice("device", device, DEVICES)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[device]:
        raise RuntimeError(
            f"`device={device!r}`: this PyTorch sees no such device; use device='auto' or 'cpu'"
        )
    return torch.device(device)


class TorchModel(Recommender):
    """A model that computes with PyTorch on `self.device`.

    One that learns by gradient descent writes two hooks, the network and what training makes small. The names in the
    network's `state_dict` are the canonical ones of the parameters.
    """

    # Arguments that each model that trains declares for itself.
    epochs: ClassVar[int]
    learning_rate: ClassVar[float]
    optimizer: ClassVar[str]

    _needs_float64: ClassVar[bool] = False

    # ---------------------------------------------------------------- hooks: what a model with a network writes

    def _make_network(self, n_users: int, n_items: int) -> nn.Module:
        raise NotImplementedError

    def _objective(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """The mean over a batch's examples of what training makes small: loss and penalty."""
        raise NotImplementedError

    # ---------------------------------------------------------------- device and arrays

    @property
    def device_(self) -> torch.device:
        device = resolve_device(self.device)
        if device.type == "mps" and self._needs_float64:
            raise RuntimeError(f"`device='mps'` has no float64, which {type(self).__name__} needs; use 'cpu'")
        return device

    def _to_numpy(self, tensor: Tensor) -> np.ndarray:
        return tensor.detach().cpu().numpy()

    def _to_tensor(self, array: np.ndarray) -> Tensor:
        # A tensor on the CPU shares the array's memory, and PyTorch cannot keep it from being written to.
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self.device_)

    # ---------------------------------------------------------------- network

    @property
    def network(self) -> nn.Module | None:
        return self.__dict__.get("_network")

    def _build(self, n_users: int, n_items: int) -> None:
        self._network: nn.Module = self._make_network(n_users, n_items).to(self.device_)

    def _train_network(self, feed: Iterator[Batch], steps: int) -> None:
        """Goes through `self.epochs` epochs of `steps` batches; calls `_after_epoch`, and stops where it says so."""
        network = self._network.train()
        optimizer = make_optimizer(self.optimizer, network.parameters(), self.learning_rate)
        for _ in range(self.epochs):
            losses, sizes = [], []
            for arrays in islice(feed, steps):
                batch = {name: self._to_tensor(values) for name, values in arrays.items()}
                optimizer.zero_grad()
                loss = self._objective(network, batch)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
                sizes.append(len(next(iter(arrays.values()))))
            if self._after_epoch(float(np.average(self._to_numpy(torch.stack(losses)), weights=sizes))):
                break
        network.eval()

    @torch.no_grad()
    def _compute(self, method: str, *given):
        """What a method of the network makes of arrays, or of lists and dicts of them; an array, or a tuple of some."""

        def tensors(one):
            if isinstance(one, dict):
                return {name: tensors(values) for name, values in one.items()}
            return [tensors(values) for values in one] if isinstance(one, list) else self._to_tensor(one)

        found = getattr(self._network, method)(*map(tensors, given))
        return tuple(map(self._to_numpy, found)) if isinstance(found, tuple) else self._to_numpy(found)

    _read = _compute  # in Keras the steps of a history are read by a compiled graph

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return {name: self._to_numpy(values) for name, values in self._network.state_dict().items()}

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        if self.network is None:  # read from a file
            self._build(len(self._user_index), len(self._item_index))
        self._network.load_state_dict({name: self._to_tensor(values) for name, values in parameters.items()})
