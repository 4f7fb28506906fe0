"""The rooms of a topic: what the wings offer, found and not listed, and the skeleton of a new one.

Standard library only.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WINGS = ("torch", "keras")
BEGIN = "# isort: split\n# Found in the rooms, and written by `python tasks.py format`:\n"
END = "# (end of what was found)\n"


def public_models(path: Path) -> list[str]:
    """The public classes of a room of a wing that derive from a head in `recbook.shared`."""
    found = []
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            heads = [ast.unparse(base).partition(".")[0] for base in node.bases]
            found += [node.name] * ("shared" in heads)
    return sorted(found, key=lambda name: (not name.isupper(), name))  # as ruff sorts imports


def exports(package: Path, wing: str) -> str:
    """The lines of a wing's `__init__.py` that its rooms make: an import for each topic, and `__all__`."""
    names, lines = [], []
    for path in sorted((package / wing).glob("[a-z]*.py")):
        if models := public_models(path):
            names += models
            lines.append(f"from recbook.{wing}.{path.stem} import {', '.join(models)}\n")
    listed = "".join(f'    "{name}",\n' for name in [*sorted(names, key=str.lower), "load"])
    return f"{''.join(lines)}\n__all__ = [\n{listed}]\n"


def write_exports(package: Path = ROOT / "recbook") -> list[Path]:
    """Brings the wings' `__init__.py` up to date; the files that changed."""
    changed = []
    for wing in WINGS:
        path = package / wing / "__init__.py"
        text = path.read_text("utf-8")
        before, _, rest = text.partition(BEGIN)
        new = before + BEGIN + exports(package, wing) + END + rest.partition(END)[2]
        if new != text:
            path.write_text(new, "utf-8")
            changed.append(path)
    return changed


# ---------------------------------------------------------------- the skeleton of a new topic


def skeleton(name: str) -> dict[str, str]:
    """The files of a new topic, by their places under the root: each says what is still to be written."""
    title = name.replace("_", " ").capitalize()
    cls = "".join(word.capitalize() for word in name.split("_")) + "Model"
    label = name.replace("_", "-")
    return {
        f"recbook/formulas/{name}.py": f'''"""The equations of the chapter `{name}` as plain NumPy."""

from __future__ import annotations

import numpy as np


def score(p: np.ndarray, q: np.ndarray) -> float:
    """pᵀq, equation ({label}-score).  p, q : (factors,)"""
    raise NotImplementedError("write the equation that the chapter calls {label}-score")
''',
        f"recbook/shared/{name}.py": f'''"""{title}: what both wings share (chapter `{name}`)."""

from __future__ import annotations

import numpy as np

from recbook.recommender import Coded, choice, device, number, seed, whole
from recbook.shared._training import OPTIMIZERS, Batch, GradientModel


class {cls}(GradientModel):
    """What it is, in a sentence (its source, with year).

    Its score and its objective: equations ({label}-score) and ({label}-objective).

    factors : length of p and q;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    task = "ranking"
    supports = frozenset()

    factors: int = whole(32, search=(8, 128, "log"))
    epochs: int = whole(10, search=(3, 40, "log"))
    learning_rate: float = number(0.01, above=0, search=(0.001, 0.1, "log"))
    reg: float = number(0.01, 0, search=(0.0001, 1.0, "log"))
    batch_size: int | None = whole(1024, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        raise NotImplementedError("the parameters that training starts from")

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        raise NotImplementedError("the examples of an epoch")

    def _validate(self, validation: Coded) -> tuple[str, float]:
        raise NotImplementedError("what is measured after each epoch, and its name")

    def _predict(self, users, items, people, context) -> np.ndarray:
        raise NotImplementedError("scores of n pairs of codes")

    def _prior(self, users, items, people) -> np.ndarray:
        raise NotImplementedError("scores where user or item is unknown, code -1")

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        raise NotImplementedError("name and shape of every learnt array")
''',
        f"recbook/torch/{name}.py": f'''"""{title} in PyTorch (chapter `{name}`)."""

from __future__ import annotations

from torch import Tensor, nn

from recbook.shared import {name} as shared
from recbook.torch._model import TorchModel


class {cls}(shared.{cls}, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> nn.Module:
        raise NotImplementedError("the network, its parameters under their canonical names")

    def _objective(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        raise NotImplementedError("the mean of what training makes small: equation ({label}-objective)")
''',
        f"recbook/keras/{name}.py": f'''"""{title} in Keras (chapter `{name}`)."""

from __future__ import annotations

import keras

from recbook.keras._model import KerasModel
from recbook.shared import {name} as shared


class {cls}(shared.{cls}, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> keras.Model:
        raise NotImplementedError("the network, its weights under their canonical names")

    def _objective(self, network: keras.Model, batch: dict):
        raise NotImplementedError("the mean of what training makes small: equation ({label}-objective)")
''',
        f"recbook/checks/{name}.py": f'''"""Checks of the exercises of the chapter `{name}`."""

from __future__ import annotations
''',
        f"tests/topics/test_{name}.py": f'''"""{title}: formula = PyTorch = Keras, and the published number."""

from __future__ import annotations

import numpy as np
import pytest

import recbook.keras as rk
import recbook.torch as rt
from recbook.formulas import {name} as formulas
from tests.helpers.small_data import data_for

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])


def test_the_score_by_hand():
    assert formulas.score(np.array([1.0, 2.0]), np.array([3.0, 0.5])) == 4.0


@WINGS
def test_it_learns(wing):
    cls = wing.{cls}
    model = cls(device="cpu", epochs=3).fit(data_for(cls), progress=False)
    assert model.history_[-1]["loss"] < model.history_[0]["loss"]


def test_a_planted_truth_is_found_again():
    raise NotImplementedError("a world of recbook.datasets whose answer is known")


def test_the_published_number():
    raise NotImplementedError("the figure, its source, and the band that was measured")
''',
        f"chapters/{name}.ipynb": notebook(name, title, label),
    }


def notebook(name: str, title: str, label: str) -> str:
    texts = [
        f"({label})=\n# {title}\n\n**A question?**\n\nA few sentences on what this chapter answers.",
        ":::{admonition} Guess first\n:class: guess\n\nWhat do you expect, and why?\n:::",
        "from recbook import notebook as nb\n\nnb.setup()",
        f"({label}-theory)=\n## The theory\n\n$$\n\\hat r_{{ui}} = \\mathbf p_u^\\top \\mathbf q_i\n$$ ({label}-score)",
    ]
    cells = [
        {
            "cell_type": "code" if text.startswith("from ") else "markdown",
            "id": f"{label}-{number:02}",
            "metadata": {},
            "source": text.splitlines(keepends=True),
        }
        | ({"execution_count": None, "outputs": []} if text.startswith("from ") else {})
        for number, text in enumerate(texts, start=1)
    ]
    book = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "recbook": {"goals": [], "prerequisites": []},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def write_topic(name: str, root: Path = ROOT) -> list[Path]:
    """Writes the rooms of a new topic, and enters its models in the wings; the files that were written.

    Raises ValueError for a name that is no module's, or that a topic has, and writes nothing then.
    """
    if not name.isidentifier() or name != name.lower() or name.startswith("_"):
        raise ValueError(f"{name!r} is no name of a topic; take lower-case words joined by underscores")
    files = {root / place: text for place, text in skeleton(name).items()}
    if there := [path for path in files if path.exists()]:
        raise ValueError(f"{there[0].relative_to(root).as_posix()} is there already; choose another name")
    for path, text in files.items():
        path.write_text(text, "utf-8")
    return [*files, *write_exports(root / "recbook")]
