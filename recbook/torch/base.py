"""What every model of the PyTorch wing shares: its device."""

from __future__ import annotations

import numpy as np
import torch

from recbook.recommender import Recommender, check_choice

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


class TorchRecommender(Recommender):
    """A recommender that computes with PyTorch on `self.device`."""

    _needs_float64 = False

    @property
    def device_(self) -> torch.device:
        device = resolve_device(self.device)
        if device.type == "mps" and self._needs_float64:
            raise RuntimeError(f"`device='mps'` has no float64, which {type(self).__name__} needs; use 'cpu'")
        return device

    def _to_numpy(self, tensor: torch.Tensor) -> np.ndarray:
        return tensor.detach().cpu().numpy()

    def _to_tensor(self, array: np.ndarray) -> torch.Tensor:
        # A tensor on the CPU shares the array's memory, and PyTorch cannot keep it from being written to.
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self.device_)
