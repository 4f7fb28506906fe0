"""Holds the two wings side by side: the same classes, the same numbers."""

from __future__ import annotations

import importlib
import importlib.resources
import inspect
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recbook.interactions import Dataset, Interactions
from recbook.recommender import Recommender


@dataclass(frozen=True)
class Pair:
    """A class of the PyTorch wing and its twin; None where one is missing."""

    name: str
    torch: type[Recommender] | None
    keras: type[Recommender] | None

    def differences(self) -> list[str]:
        """In what the two classes differ that should be the same; empty for true twins."""
        if self.torch is None or self.keras is None:
            missing = "PyTorch" if self.torch is None else "Keras"
            return [f"{self.name} has no twin in the {missing} wing"]
        found = []
        if inspect.signature(self.torch.__init__) != inspect.signature(self.keras.__init__):
            found.append(f"{self.name}: the constructors' signatures differ")
        for attribute in ("task", "supports", "needs", "_keeps_ratings"):
            if getattr(self.torch, attribute) != getattr(self.keras, attribute):
                found.append(f"{self.name}: `{attribute}` differs")
        if inspect.getdoc(self.torch) != inspect.getdoc(self.keras):
            found.append(f"{self.name}: the docstrings differ")
        methods = [_own_methods(self.torch), _own_methods(self.keras)]
        if methods[0] != methods[1]:
            found.append(f"{self.name}: public methods differ: {sorted(set(methods[0]) ^ set(methods[1]))}")
        return found


def _own_methods(cls: type) -> dict[str, str]:
    """Public methods and their signatures, without annotations: tensors are of different types."""
    methods = {}
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_"):
            bare = [p.replace(annotation=p.empty) for p in inspect.signature(method).parameters.values()]
            methods[name] = str(inspect.Signature(bare))
    return methods


def wing(name: str) -> dict[str, type[Recommender]]:
    """The public models of "torch" or "keras", by name: every public class of every module of the wing."""
    package = importlib.import_module(f"recbook.{name}")
    found = {}
    for path in sorted(importlib.resources.files(package).iterdir(), key=lambda p: p.name):
        if path.name.endswith(".py") and not path.name.startswith("_"):
            module = importlib.import_module(f"{package.__name__}.{path.name.removesuffix('.py')}")
            for cls in vars(module).values():
                public = inspect.isclass(cls) and not cls.__name__.startswith("_")
                if public and cls.__module__ == module.__name__ and issubclass(cls, Recommender):
                    if hasattr(cls, "task"):
                        found[cls.__name__] = cls
    return found


def pairs() -> list[Pair]:
    """Every public model of either wing with its twin."""
    torch, keras = wing("torch"), wing("keras")
    return [Pair(name, torch.get(name), keras.get(name)) for name in sorted(torch | keras)]


def compare(a: Recommender, b: Recommender, data: Interactions | Dataset, users, items) -> pd.DataFrame:
    """Fits both on `data` and tells how far apart they are: a row for each learnt parameter, one for the scores.

    Columns: largest absolute difference, largest absolute value.
    """
    a.fit(data, progress=False)
    b.fit(data, progress=False)
    left, right = a.get_parameters(), b.get_parameters()
    left["(scores)"], right["(scores)"] = a.predict(users, items), b.predict(users, items)
    rows = {
        name: {"difference": np.abs(left[name] - right[name]).max(), "largest": np.abs(left[name]).max()}
        for name in left
    }
    return pd.DataFrame(rows).T
