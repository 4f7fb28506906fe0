"""Imports run downwards only, a wing stands without the other, and one file alone knows Keras' backends."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "recbook"

# The ground first. A folder, or a module that stands alone, imports from its own layer or from below. What is in a
# folder needs no entry: only a new part of the package does.
LAYERS = [
    {"core", "errors"},
    {"formulas", "interactions", "metrics", "sampling"},
    {"preprocessing", "features", "fields", "splits", "datasets", "worlds"},
    {"recommender"},
    {"shared"},
    {"numpy", "torch", "keras"},
    {"evaluation", "comparison", "tuning", "results", "tools"},
    {
        "baselines",
        "chains",
        "next_items",
        "sizes",
        "twins",
    },  # names that readers use, of things that live below
    {"contract", "notebook", "checks", "doctor", "cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
WINGS = {"torch": "keras", "keras": "torch"}
BACKENDS = {"tensorflow", "torch", "jax"}
MAY_KNOW_FRAMEWORKS = {"torch", "keras", "tools", "twins", *LAYERS[-1]}

FILES = sorted(PACKAGE.glob("**/*.py"))
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES
}


def imports(name: str) -> set[str]:
    """Full names of what a module imports, wherever in it the statement stands; what only types need is no import."""
    path = MODULES[name]
    parents = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from recbook import metrics` names a module; `from recbook.metrics import rmse` does not.
            found |= {full if (full := f"{base}.{alias.name}") in MODULES else base for alias in node.names}
    return found


def part(name: str) -> str:
    """recbook.torch._model -> torch, recbook.errors -> errors, recbook -> the empty string"""
    return (name.split(".") + [""])[1]


def within(name: str) -> set[str]:
    """The parts of recbook that a module imports, its own left out."""
    used = {part(other) for other in imports(name) if other.split(".")[0] == "recbook"}
    return used - {part(name)}


def frameworks(name: str) -> set[str]:
    return {other.split(".")[0] for other in imports(name)} & (BACKENDS | {"keras", "jaxlib"})


def test_the_reader_of_imports_sees_them():
    assert "recbook.errors" in imports("recbook.core.storage")
    assert "torch" in frameworks("recbook.torch._model")


def from_above(name: str) -> set[str]:
    """The parts above its own that a module imports; of the package itself, the wings: all else is its to offer."""
    if name == "recbook":
        return within(name) & set(WINGS)
    return {other for other in within(name) if other and LEVEL[other] > LEVEL[part(name)]}


def beside_its_wing(name: str) -> set[str]:
    """What a module of a wing must do without: the other wing, the formulas, the other's framework."""
    wing = part(name)
    if wing not in WINGS:
        return set()
    return within(name) & {WINGS[wing], "formulas"} | frameworks(name) & ({"keras"} - {wing})


def out_of_the_wings(name: str) -> set[str]:
    return frameworks(name) if part(name) not in MAY_KNOW_FRAMEWORKS else set()


def names_of_backends(name: str) -> set[str]:
    """Backends that a module imports, or names in a string of its own: import_module("jax"), backend() == "torch"."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    strings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return (frameworks(name) | strings) & BACKENDS


def out_of_keras_backend(name: str) -> set[str]:
    """What a backend must be asked goes into recbook/keras/_backend.py."""
    if part(name) != "keras" or name == "recbook.keras._backend":
        return set()
    return names_of_backends(name)


RULES = [from_above, beside_its_wing, out_of_the_wings, out_of_keras_backend]


def test_every_layer_is_declared():
    undeclared = {part(name) for name in MODULES if name != "recbook"} - LEVEL.keys()
    assert not undeclared, f"enter these in LAYERS of {Path(__file__).name}"


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule):
    assert {name: culprits for name in MODULES if (culprits := rule(name))} == {}


@pytest.mark.parametrize(
    "rule, name, line, culprits",
    [
        (from_above, "recbook.metrics", "from recbook.evaluation import evaluate", {"evaluation"}),
        (from_above, "recbook.formulas.ncf", "import recbook.torch.ncf", {"torch"}),
        (from_above, "recbook", "from . import keras", {"keras"}),
        (beside_its_wing, "recbook.torch.ncf", "from recbook.keras import base", {"keras"}),
        (beside_its_wing, "recbook.keras.ncf", "from ..torch._model import resolve_device", {"torch"}),
        (beside_its_wing, "recbook.torch.ncf", "from recbook.formulas import ncf", {"formulas"}),
        (beside_its_wing, "recbook.torch.ncf", "def f():\n    from keras import ops", {"keras"}),
        (out_of_the_wings, "recbook.shared._pairs", "def f():\n    import torch", {"torch"}),
        (out_of_keras_backend, "recbook.keras.ncf", "def f():\n    import jax.numpy", {"jax"}),
        (
            out_of_keras_backend,
            "recbook.keras.ncf",
            "keras.backend.backend() == 'tensorflow'",
            {"tensorflow"},
        ),
    ],
)
def test_a_rule_finds_who_breaks_it(rule, name, line, culprits, monkeypatch, tmp_path):
    assert rule(name) == set()
    broken = tmp_path / MODULES[name].name
    broken.write_text(MODULES[name].read_text(encoding="utf-8") + f"\n\n{line}\n", encoding="utf-8")
    monkeypatch.setitem(MODULES, name, broken)
    assert rule(name) == culprits


def circle() -> list[str]:
    """Parts of which each imports another of them; empty where imports run in no circle."""
    order = {}
    for name in MODULES:
        order.setdefault(part(name), set()).update(within(name) - {""})
    while free := [name for name, below in order.items() if not below & order.keys()]:
        for name in free:
            del order[name]
    return sorted(order)


def test_no_circle(monkeypatch, tmp_path):
    assert circle() == []
    broken = tmp_path / "errors.py"
    broken.write_text("from recbook.recommender import Recommender\n", encoding="utf-8")
    monkeypatch.setitem(MODULES, "recbook.errors", broken)
    assert {"errors", "recommender"} <= set(circle())


# --- in a fresh interpreter -------------------------------------------------------------------------------------


def fresh(code: str, absent: set[str] = frozenset(), **environment: str) -> None:
    """Run code in an interpreter of its own, in which some packages are as if they were not installed."""
    code = f"import sys\nfrom tests.helpers.hidden import hide\nhide(*{sorted(absent)})\n{code}"
    env = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"} | environment
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT)
    assert run.returncode == 0, run.stderr


def test_recbook_imports_no_framework():
    above = MAY_KNOW_FRAMEWORKS
    names = sorted(name for name in MODULES if part(name) not in above)
    fresh(
        f"import {', '.join(names)}\n"
        "loaded = {'torch', 'keras', 'tensorflow', 'jax'} & sys.modules.keys()\n"
        "assert not loaded, loaded"
    )


def test_torch_wing_without_keras():
    fresh("import recbook.torch as rt; rt.UserKNN()", absent={"keras", "tensorflow", "jax", "jaxlib"})


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_keras_wing_without_torch(backend):
    fresh("import recbook.keras as rk; rk.UserKNN()", absent={"torch"}, KERAS_BACKEND=backend)


@pytest.mark.parametrize(
    ("wing", "absent", "remedy"),
    [
        ("torch", {"torch"}, "pip install recbook[torch]"),
        ("keras", {"keras", "tensorflow", "torch", "jax"}, "pip install recbook[tensorflow]"),
    ],
)
def test_a_wing_whose_framework_is_absent_says_what_to_do(wing, absent, remedy):
    code = f"""
for name in ("recbook.{wing}", "recbook.{wing}.implicit"):
    try:
        __import__(name)
    except ImportError as error:
        assert type(error) is ImportError and {remedy!r} in str(error) and "recbook.numpy" in str(error), error
    else:
        raise AssertionError(name + " was imported")
import recbook.numpy
"""
    fresh(code, absent=absent)


def test_keras_wing_finds_the_one_backend(tmp_path):
    """With KERAS_BACKEND unset an installed backend is chosen.

    Twice, because Keras' first import writes a keras.json that names tensorflow whatever it computes with.
    """
    for _ in range(2):
        fresh(
            "import recbook.keras as rk, keras; rk.UserKNN(); assert keras.config.backend() == 'torch'",
            absent={"tensorflow", "jax", "jaxlib"},
            KERAS_HOME=str(tmp_path),
        )
