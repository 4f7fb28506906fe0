"""The notebook comparison catches what changed and lets small drift pass."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.nbval_tolerance import Output, is_integer, rtol_of, texts_agree

ROOT = Path(__file__).resolve().parent.parent

SAME = {
    "hash that looks like a huge number": ("SHA-256 06416e597f82", "SHA-256 06416e597f82"),
    "equal": ("RMSE 0.9513", "RMSE 0.9513"),
    "drift of 3e-4": ("RMSE 0.9513", "RMSE 0.9516"),
    "exponent": ("1.2345e-05", "1.2346e-05"),
    "column grown by a digit": ("user  score\n   a  9.9999\n", "user   score\n   a  10.0001\n"),
    "ruler grown by a dash": ("a\n-----\n9.9999", "a\n------\n10.0001"),
    "zero of either sign": ("-0.0000", "0.0000"),
    "unit behind the number": ("12.34s", "12.342s"),
    "HTML": ("<td>3.1416</td><td>Alien</td>", "<td>3.1417</td><td>Alien</td>"),
}
DIFFERENT = {
    "off by 5 %": ("RMSE 0.9513", "RMSE 0.9989"),
    "off by 0.2 %": ("RMSE 0.9513", "RMSE 0.9532"),
    "integer off by one": ("100000 ratings", "100001 ratings"),
    "integer became a fraction": ("3", "3.0"),
    "sign": ("-0.5130", "0.5130"),
    "word": ("RMSE 0.9513", "MAE 0.9513"),
    "digit of a name": ("ndcg@x2 0.5000", "ndcg@x3 0.5000"),
    "digit of a hash": ("SHA-256 06416e597f82", "SHA-256 06417e597f82"),
    "one number more": ("1.000 2.000", "1.000 2.000 3.000"),
    "missing line": ("a\nb\n", "a\n"),
    "order": ("Alien\nBrazil", "Brazil\nAlien"),
    "not a number": ("0.5130", "nan"),
    "HTML word": ("<td>3.1416</td><td>Alien</td>", "<td>3.1416</td><td>Aliens</td>"),
}


@pytest.mark.parametrize("name", SAME)
def test_same(name):
    assert texts_agree(*SAME[name])


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(name):
    assert not texts_agree(*DIFFERENT[name])


def test_a_cell_may_set_its_own_tolerance():
    wide = {"metadata": {"tags": ["torch", "rtol=1e-2"]}}
    assert rtol_of(wide) == 0.01
    assert texts_agree("0.9513", "0.9590", rtol_of(wide))
    assert rtol_of({"metadata": {}}) == 1e-3


def test_output_compares_as_nbval_does():
    """nbval asks with `!=`, which str answers by itself."""
    left, right = Output("0.9513"), Output("0.9516")
    left.rtol = right.rtol = 1e-3
    assert left == right and not left != right
    assert is_integer("-7") and not is_integer("7.0")


# --- a real run of nbval: one small notebook, each of its cells stored in another state --------------------------

PRINTED = "print('RMSE 0.95134 over', 100_000, 'ratings')"
RESULT = "2 / 3"
# What a table and a figure leave in a notebook, without the seconds that pandas and matplotlib take to import.
TABLE = (
    "display({'text/plain': 'ItemKNN 0.97412', 'text/html': '<td>ItemKNN</td><td>0.97412</td>'}, raw=True)"
)
PICTURE = "display({'text/plain': '<Figure size 64x48>', 'image/png': 'iVBORw0KGgo='}, raw=True)"
DRAWING = (
    "display({'text/plain': 'A line falls to 0.97412.', 'image/svg+xml': '<svg><path/></svg>'}, raw=True)"
)


def unchanged(cell):
    pass


def replaced(old: str, new: str):
    """Makes one piece of the stored outputs another."""

    def change(cell):
        text = json.dumps(cell.outputs)
        assert old in text, f"the cell shows no {old}"
        cell.outputs = [nbformat.from_dict(output) for output in json.loads(text.replace(old, new))]

    return change


def with_stderr(cell):
    cell.outputs.append(nbformat.v4.new_output("stream", name="stderr", text="careful\n"))


def never_executed(cell):
    cell.execution_count, cell.outputs = None, []


def without_picture(cell):
    del cell.outputs[0].data["image/png"]


def without_drawing(cell):
    del cell.outputs[0].data["image/svg+xml"]


CASES = {  # name: (the cell's source, what happens to what it stored, whether the run accepts it)
    "unchanged text": (PRINTED, unchanged, True),
    "unchanged result": (RESULT, unchanged, True),
    "unchanged table": (TABLE, unchanged, True),
    "unchanged picture": (PICTURE, unchanged, True),
    "unchanged silence": ("2 / 3;", unchanged, True),
    "number drifts by 3e-4": (PRINTED, replaced("RMSE 0.95134", "RMSE 0.95163"), True),
    "table drifts by 3e-4": (TABLE, replaced("0.97412", "0.97441"), True),
    "another picture": (PICTURE, replaced("iVBORw0KGgo=", "iVBORw0KGgpB"), True),
    "another drawing": (DRAWING, replaced("<path/>", "<rect/>"), True),
    "drawing stored as picture": (DRAWING, replaced("image/svg+xml", "image/png"), True),
    "drawing's alt text drifts by 3e-4": (DRAWING, replaced("0.97412", "0.97441"), True),
    "drawing's alt text off by 5 %": (DRAWING, replaced("0.97412", "1.02283"), False),
    "drawing's alt text says another word": (DRAWING, replaced("falls", "rises"), False),
    "no drawing": (DRAWING, without_drawing, False),
    "number off by 5 %": (PRINTED, replaced("RMSE 0.95134", "RMSE 0.99891"), False),
    "result off by 5 %": (RESULT, replaced("0.6666666666666666", "0.7"), False),
    "HTML number off by 5 %": (TABLE, replaced("<td>0.97412</td>", "<td>1.02283</td>"), False),
    "integer off by one": (PRINTED, replaced("100000", "100001"), False),
    "word": (PRINTED, replaced("over", "under"), False),
    "HTML word": (TABLE, replaced("<td>ItemKNN</td>", "<td>SlopeOne</td>"), False),
    "stderr": (PRINTED, with_stderr, False),
    "never executed": (RESULT, never_executed, False),
    "no picture": (PICTURE, without_picture, False),
}


@pytest.fixture(scope="module")
def accepted(tmp_path_factory) -> dict[str, bool]:
    """Whether a run of nbval accepts each case's cell."""
    path = tmp_path_factory.mktemp("notebooks") / "small.ipynb"
    report = path.with_suffix(".xml")
    sources = [source for source, _, _ in CASES.values()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    for cell, (_, change, _) in zip(notebook.cells, CASES.values(), strict=True):
        change(cell)
    nbformat.write(notebook, path)
    command = [
        sys.executable, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "-p", "tests.nbval_tolerance",
        "-p", "no:cacheprovider", "--nbval", "--nbval-current-env", f"--junitxml={report}", path,
    ]  # fmt: skip
    run = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 1, run.stdout + run.stderr
    cells = list(ElementTree.parse(report).iter("testcase"))
    assert [cell.get("name") for cell in cells] == [f"Cell {number}" for number in range(len(CASES))], (
        run.stdout
    )
    return {
        name: cell.find("failure") is None and cell.find("error") is None
        for name, cell in zip(CASES, cells, strict=True)
    }


@pytest.mark.parametrize("name", CASES)
def test_nbval_run(accepted, name):
    assert accepted[name] is CASES[name][2]
