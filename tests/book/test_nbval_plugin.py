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

from book import spreads
from book.spreads import difference, digest, is_exact, measured, spreads_of, texts, tolerances

ROOT = Path(__file__).resolve().parents[2]

SAME = {
    "hash that looks like a huge number": ("SHA-256 06416e597f82", "SHA-256 06416e597f82"),
    "equal": ("RMSE 0.9513", "RMSE 0.9513"),
    "drift of 3e-4": ("RMSE 0.9513", "RMSE 0.9516"),
    "exponent": ("1.2345e-05", "1.2346e-05"),
    "column grown by a digit": ("user  score\n   a  9.9999\n", "user   score\n   a  10.0001\n"),
    "ruler grown by a dash": ("a\n-----\n9.9999", "a\n------\n10.0001"),
    "zero of either sign": ("-0.0000", "0.0000"),
    "unit behind the number": ("12.34s", "12.342s"),
    "another last digit of three": ("AUC 0.719", "AUC 0.720"),
    "HTML": ("<td>3.1416</td><td>Alien</td>", "<td>3.1417</td><td>Alien</td>"),
}
DIFFERENT = {
    "off by 5 %": ("RMSE 0.9513", "RMSE 0.9989"),
    "off by 0.2 %": ("RMSE 0.9513", "RMSE 0.9532"),
    "another last digit of two": ("AUC 0.71", "AUC 0.72"),
    "two steps in the last digit": ("AUC 0.719", "AUC 0.721"),
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
    assert difference(*SAME[name]) == ""


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(name):
    assert difference(*DIFFERENT[name]) != ""


def test_a_difference_is_told_in_a_few_words():
    assert (
        difference("RMSE 0.9513", "RMSE 0.9989")
        == "a number (within 0.001) after 'RMSE': 0.9513 became 0.9989"
    )
    assert difference("of 7 films", "of 8 films") == "an integer after 'of': 7 became 8"
    assert difference("it falls by 0.5", "it rises by 0.5") == "words: 'it falls by' became 'it rises by'"


def test_integers_and_what_is_beyond_all_floats_are_exact():
    assert is_exact("-7") and is_exact("06416e597") and not is_exact("7.0")


# --- spreads over variants, and the tolerances that follow --------------------------------------------------------


def test_a_spread_is_the_range_over_the_runs_as_a_share_of_the_number():
    runs = ["RMSE 1.00 of 7, loss 2.0e-3, nil 0.0", "RMSE 0.98 of 7, loss 2.0e-3, nil 0.0", "AUC 5.00"]
    assert spreads_of(runs) == {
        0: pytest.approx(0.02),
        2: 0.0,
        3: 0.0,
    }  # the third run says nothing of numbers


def test_a_tolerance_is_four_times_its_spread_or_the_typical_spread_of_its_text():
    stored = {"stdout": "1.000 2.000 3.000 4.000 of 5"}
    assert tolerances(stored, {}) == {"stdout": {}}
    assert tolerances(stored, {"stdout": {"1": 0.01}}) == {"stdout": {1: pytest.approx(0.04)}}
    most = {"stdout": {"0": 0.01, "1": 0.02, "2": 0.02}}  # the fourth had by chance no spread
    expected = {0: 0.06, 1: 0.08, 2: 0.08, 3: 0.06}
    assert tolerances(stored, most)["stdout"] == pytest.approx(expected)


def test_a_tolerance_is_that_of_one_number():
    rtols = {1: 0.04}
    assert difference("1.000 2.000", "1.000 2.070", rtols) == ""
    assert difference("1.000 2.000", "1.000 2.100", rtols) != ""
    assert difference("1.000 2.000", "1.030 2.000", rtols) != ""


def cell(text: str, *more: dict, **changes) -> dict:
    outputs = [{"output_type": "stream", "name": "stdout", "text": [text]}, *more]
    return {
        "id": "a",
        "cell_type": "code",
        "source": ["show()"],
        "metadata": {},
        "outputs": outputs,
    } | changes


def both(first: dict, second: dict) -> dict:
    return measured({"AVX2": {"cells": [first]}, "lowest": {"cells": [second]}}, {"AVX2": 1, "lowest": 1})


def test_what_is_measured_of_a_cell():
    found = both(cell("RMSE 0.95130 of 7"), cell("RMSE 0.95510 of 7"))
    assert found["cells"] == {"a": {"stdout": {"0": 0.004}}} and found["unlike"] == {}
    assert both(cell("RMSE 0.95130"), cell("RMSE 0.95132"))["cells"] == {}  # the default covers it


FAILED = {"output_type": "error", "ename": "AssertionError", "evalue": "no", "traceback": ["line 3"]}


def test_what_no_tolerance_covers_is_told():
    def unlike(*pair: dict) -> str:
        return both(*pair)["unlike"].get("a", {}).get("lowest", "")

    assert "7 became 8" in unlike(cell("of 7"), cell("of 8"))
    assert "words:" in unlike(cell("it falls"), cell("it rises"))
    assert unlike(cell("x"), cell("x", FAILED)) == "AssertionError: no"
    assert unlike(cell("x", FAILED), cell("x", {**FAILED, "traceback": ["line 4"]})) == ""
    result = {
        "output_type": "execute_result",
        "execution_count": 1,
        "data": {"text/plain": "7"},
        "metadata": {},
    }
    assert unlike(cell("x"), cell("x", result)) == "text/plain: was not shown before"
    assert unlike(cell("x", result), cell("x")) == "text/plain: is shown no more"
    ignored = {"metadata": {"tags": ["nbval-ignore-output"]}}
    assert unlike(cell("of 7", **ignored), cell("of 8", **ignored)) == ""
    assert unlike(cell("of 7", **ignored), cell("of 7", FAILED, **ignored)) == "AssertionError: no"


def test_pieces_of_a_stream_are_one_text_and_results_of_a_form_are_another():
    result = {"output_type": "execute_result", "execution_count": 1, "metadata": {}}
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["1.0\n", "2.0\n"]},
        result | {"data": {"text/plain": ["3.0"], "image/png": "AA=="}},
        {"output_type": "stream", "name": "stdout", "text": "4.0"},
        result | {"data": {"text/plain": "5.0"}},
    ]
    assert texts(outputs) == {"stdout": "1.0\n2.0\n4.0", "text/plain": "3.0\f5.0"}


# --- a real run of nbval: one small notebook, each of its cells stored in another state --------------------------

PRINTED = "print('RMSE 0.95134 over', 100_000, 'ratings')"
RESULT = "2 / 3"
MOVES = "print('RMSE 0.95134, MAE', 0.12345, 'and', 0.5)"
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
    "measured number drifts by 3 %": (MOVES, replaced("0.95134", "0.98011"), True),
    "measured number drifts by 6 %": (MOVES, replaced("0.95134", "1.01342"), False),
    "number beside it drifts by 3 %": (MOVES, replaced("0.12345", "0.12715"), False),
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
    path = tmp_path_factory.mktemp("book") / "chapters" / "small.ipynb"
    path.parent.mkdir()
    report = path.with_suffix(".xml")
    sources = [source for source, _, _ in CASES.values()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    moving = {c.id: {"stdout": {"0": 0.01}} for c in notebook.cells if c.source == MOVES}
    for cell, (_, change, _) in zip(notebook.cells, CASES.values(), strict=True):
        change(cell)
    nbformat.write(notebook, path)
    measurement = {"source": digest(notebook), "variants": {}, "cells": moving, "unlike": {}}
    spreads.store(path, measurement)
    assert spreads.read(path) == measurement
    command = [
        sys.executable, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "-p", "tests.helpers.nbval_tolerance",
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
