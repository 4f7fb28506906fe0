"""recbook: recommender systems, each algorithm in PyTorch and in Keras.

Neither framework is imported here: `import recbook.torch as rt` and `import recbook.keras as rk` do that, and
`import recbook.numpy as rn` needs neither. The names below are loaded when they are asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recbook.evaluation import evaluate
    from recbook.interactions import Dataset, Interactions
    from recbook.recommender import Recommender

__version__ = "0.1.0"
__all__ = ["Dataset", "Interactions", "evaluate", "load"]

_HOMES = {"Dataset": "interactions", "Interactions": "interactions", "evaluate": "evaluation"}
_WINGS = {"torch": "torch", "keras": "keras"}  # and the package that each needs


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f"recbook.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'recbook' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load(path: str | os.PathLike, *, wing: str | None = None, device: str = "auto") -> Recommender:
    """Reads a saved model of any class.

    wing : "torch" or "keras", what it will compute with; None takes PyTorch where it is installed, else Keras. The
        yardsticks and other models of `recbook.numpy` need neither.
    device : where it will compute

    Raises FileFormatError for what is no whole and consistent model, ImportError where the wing's framework is absent.
    """
    from recbook.core.storage import class_in
    from recbook.recommender import restore

    yardsticks = importlib.import_module("recbook.numpy")
    if wing is not None and wing not in _WINGS:
        raise ValueError(f"`wing` is {wing!r}; choose one of {tuple(_WINGS)}, or None")
    if class_in(path) in yardsticks.__all__:
        return restore([getattr(yardsticks, name) for name in yardsticks.__all__], path, device)
    there = [name for name, package in _WINGS.items() if importlib.util.find_spec(package)]
    if not (there if wing is None else wing in there):
        raise ImportError(
            f"{path} needs {wing or 'PyTorch or Keras'}, which is not installed: pip install recbook[{wing or 'torch'}]"
        )
    return importlib.import_module(f"recbook.{wing or there[0]}").load(path, device=device)
