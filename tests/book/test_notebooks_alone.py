"""Every notebook runs where one of the two frameworks is not installed, from the project's root, in any order.

What nearly always goes wrong can be read: a cell for everybody uses a name that only a cell of one framework gives, or
imports that framework. So `make test` reads all of them and runs one; `make test-all` runs all of them without each.
`make test` runs each notebook once more with both, in a kernel of its own and from its own folder.
"""

from __future__ import annotations

import ast
import builtins
import json
import subprocess
import sys
from pathlib import Path

import pytest

from book.ext.recbook_sphinx.names import code
from tests.book.test_notebooks_gate import NOTEBOOKS, ROOT, code_cells, read
from tests.helpers.run_without import HIDDEN


def cells_of(framework: str, notebook: dict) -> int:
    """How many cells say in their first line that they need this framework."""
    firsts = ["".join(cell["source"]).partition("\n")[0] for cell in code_cells(notebook)]
    return sum(first.strip() in (f"# {framework}", "# both") for first in firsts)


def test_what_a_notebook_says_of_its_frameworks_is_counted():
    texts = ("# torch\n1", "x = 1  # torch", "# keras", "# both\n2")
    cells = [{"cell_type": "code", "source": text} for text in texts]
    assert cells_of("torch", {"cells": cells}) == cells_of("keras", {"cells": cells}) == 2


# --- read ---------------------------------------------------------------------------------------------------------


def packages_of(framework: str) -> set[str]:
    return {*HIDDEN[framework], f"recbook.{framework}"}


def imported(tree: ast.Module) -> set[str]:
    """The modules that a cell imports, and what of them: recbook, recbook.keras, keras.ops."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


class Decided(ast.NodeTransformer):
    """A cell as it runs: where it asks whether a name is there, only what it then does remains."""

    def __init__(self, given: set[str], known: dict[str, bool]):
        self.given, self.known = given, known

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        asked, operator, whole = node.left, node.ops[0], ast.unparse(node.comparators[0])
        if isinstance(asked, ast.Constant) and whole == "globals()":
            return ast.Constant((asked.value in self.given) is isinstance(operator, ast.In))
        if isinstance(asked, ast.Set) and isinstance(operator, ast.LtE) and whole == "set(globals())":
            return ast.Constant({one.value for one in asked.elts} <= self.given)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        asked = isinstance(node.ctx, ast.Load) and node.id in self.known
        return ast.Constant(self.known[node.id]) if asked else node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        self.generic_visit(node)
        target = node.targets[0]
        if isinstance(target, ast.Name):
            self.given = self.given | {target.id}
            self.known.pop(target.id, None)
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, bool):
                self.known[target.id] = node.value.value
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        end = isinstance(node.op, ast.Or)  # what decides it, and what comes after is not looked at
        values = []
        for value in map(self.visit, node.values):
            values.append(value)
            if isinstance(value, ast.Constant) and value.value is end:
                break
        if all(isinstance(value, ast.Constant) for value in values):
            return ast.Constant((any if end else all)(value.value for value in values))
        return ast.BoolOp(node.op, values)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self.visit(node.body if test.value else node.orelse)
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            kept = [self.visit(one) for one in (node.body if test.value else node.orelse)]
            return kept or ast.Pass()
        node.test = test
        node.body = [self.visit(one) for one in node.body]
        node.orelse = [self.visit(one) for one in node.orelse]
        return node


def bound_and_used(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The names that a cell gives, and those that it wants of the cells before it."""
    bound, used = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return bound, used - bound


def what_lacks(notebook: dict, absent: str) -> list[str]:
    """What of a notebook cannot run where this framework is absent, one line for each cell and culprit."""
    given, lost, known, found = set(dir(builtins)), set(), {}, []
    for number, cell in enumerate(code_cells(notebook)):
        tree = code(cell)
        if tree is None:  # a command of the shell
            continue
        if "".join(cell["source"]).partition("\n")[0].strip() in (f"# {absent}", "# both"):
            lost |= bound_and_used(tree)[0] - given
            continue
        tree = Decided(given, known).visit(tree)
        bound, used = bound_and_used(tree)
        foreign = {
            name for name in imported(tree) for top in packages_of(absent) if f"{name}.".startswith(f"{top}.")
        }
        found += [f"cell {number} imports {name}" for name in sorted(foreign)]
        if "globals" in used:  # asks in another way: what it asks for is left to the run
            used -= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        found += [f"cell {number} uses {name}" for name in sorted(used & lost)]
        given |= bound
        lost -= bound
    return found


@pytest.mark.parametrize("absent", sorted(HIDDEN))
def test_no_cell_wants_what_only_an_absent_framework_gives(absent):
    found = {path.stem: what_lacks(read(path), absent) for path in NOTEBOOKS}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "cells, found",
    [
        (["# keras\nmodel = 1", "model"], ["cell 1 uses model"]),
        (["# both\ndef f(): pass", "def g():\n    return f()"], ["cell 1 uses f"]),
        (["# torch\nmodel = 1", "# keras\nmodel = 2", "model"], []),
        (["model = None", "# keras\nmodel = 2", "model"], []),
        (["# keras\nmodel = 2", "# both\nmodel", "model = 3\nmodel"], []),
        (["# keras\nk = 2", "m = t if 't' in globals() else k"], ["cell 1 uses k"]),
        (["# keras\nk = 2", "t = 1", "m = t if 't' in globals() else k"], []),
        (["t = 1", "# keras\nk = 2", "if 't' in globals() and 'k' in globals():\n    k"], []),
        (["# keras\nk = 2", "here = 'k' in globals()\nif here:\n    k\nelse:\n    m = k"], ["cell 1 uses k"]),
        (["# keras\nk = 2", "if {'t', 'k'} <= set(globals()):\n    k"], []),
        (["# keras\nk = 2", "t = 1", "if {'t'} <= set(globals()):\n    k"], ["cell 2 uses k"]),
        (["# keras\nk = 2", "made = [n for n in ('t', 'k') if n in globals()]\nif made:\n    k"], []),
        (["import recbook.keras as rk"], ["cell 0 imports recbook.keras"]),
        (["from recbook import keras"], ["cell 0 imports recbook.keras"]),
        (["from keras import ops"], ["cell 0 imports keras", "cell 0 imports keras.ops"]),
        (["import kerastuner, recbook.kerasify"], []),
    ],
)
def test_what_lacks_is_found(cells, found):
    cells = [{"cell_type": "code", "source": text} for text in cells]
    assert what_lacks({"cells": cells}, "keras") == found


# --- run ----------------------------------------------------------------------------------------------------------


def quickest() -> Path:
    """Of the notebooks with cells of either framework, the one that took least time when it was run."""
    both = [path for path in NOTEBOOKS if all(cells_of(name, read(path)) for name in HIDDEN)]
    return min(both, key=lambda path: (read(path)["metadata"]["recbook"]["run"]["seconds"], path))


def run_all(paths: list[Path], absent: str) -> None:
    command = [sys.executable, "-m", "tests.helpers.run_without", absent, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = {answer["name"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert {name: answer["error"] for name, answer in answers.items() if answer["error"]} == {}
    expected = {path.stem: cells_of(absent, read(path)) for path in paths}
    assert {name: answer["passed_over"] for name, answer in answers.items()} == expected


@pytest.mark.slow
@pytest.mark.parametrize("absent", sorted(HIDDEN))
def test_a_notebook_runs_with_one_framework_absent(absent):
    run_all([quickest()], absent)


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("absent", sorted(HIDDEN))
def test_every_notebook_runs_with_one_framework_absent(absent):
    run_all(NOTEBOOKS[::-1], absent)  # not the order of the book: no notebook needs another


@pytest.mark.parametrize(
    "cell, words",
    [
        ("# keras\nimport keras\nx = 1", None),
        ("# both\nimport keras\nx = 1", None),
        ("import keras", "ModuleNotFoundError"),
        ("import sys; print('so', file=sys.stderr)", "stderr: so"),
        ("y = x_of_another_cell", "NameError"),
    ],
)
def test_what_goes_wrong_is_said(cell, words, tmp_path):
    sources = ["from recbook import notebook as nb\nnb.setup()", cell]
    cells = [{"cell_type": "code", "id": f"c-{n}", "source": text} for n, text in enumerate(sources)]
    path = tmp_path / "small.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    command = [sys.executable, "-m", "tests.helpers.run_without", "keras", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert (
        answer["error"] is None and answer["passed_over"] == 1 if words is None else words in answer["error"]
    )
