"""Every notebook runs where one of the two frameworks is not installed, from the project's root, in any order.

`make test` runs each notebook once more with both, in a kernel of its own and from its own folder.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.run_without import HIDDEN
from tests.test_notebooks_gate import NOTEBOOKS, ROOT, code_cells, read


def cells_of(framework: str, notebook: dict) -> int:
    """How many cells say in their first line that they need this framework."""
    firsts = ["".join(cell["source"]).partition("\n")[0] for cell in code_cells(notebook)]
    return sum(first.strip() in (f"# {framework}", "# both") for first in firsts)


def test_what_a_notebook_says_of_its_frameworks_is_counted():
    texts = ("# torch\n1", "x = 1  # torch", "# keras", "# both\n2")
    cells = [{"cell_type": "code", "source": text} for text in texts]
    assert cells_of("torch", {"cells": cells}) == cells_of("keras", {"cells": cells}) == 2


@pytest.mark.slow
@pytest.mark.parametrize("absent", sorted(HIDDEN))
def test_every_notebook_runs_with_one_framework_absent(absent, tmp_path):
    paths = NOTEBOOKS[::-1]  # not the order of the book: no notebook needs another
    command = [sys.executable, "-m", "tests.run_without", absent, *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = {answer["name"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert {name: answer["error"] for name, answer in answers.items() if answer["error"]} == {}
    expected = {path.stem: cells_of(absent, read(path)) for path in paths}
    assert {name: answer["passed_over"] for name, answer in answers.items()} == expected


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
    command = [sys.executable, "-m", "tests.run_without", "keras", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert (
        answer["error"] is None and answer["passed_over"] == 1 if words is None else words in answer["error"]
    )
