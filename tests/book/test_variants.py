"""What `make run` and `make test ARGS=--variants` do with the variants, on runs that are made up."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import pytest

import tasks
from book import spreads
from tests.book.test_nbval_plugin import FAILED, cell


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A notebook, and a way of saying what it shows under each variant."""
    path = tmp_path / "chapters" / "small.ipynb"
    path.parent.mkdir()
    made = {"cells": [cell("never run")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(made), encoding="utf-8")
    monkeypatch.setattr(tasks, "setup", lambda: None)
    monkeypatch.setattr(tasks, "facts_of_run", lambda path: {})
    asked = []

    def run(shown: dict, once: bool = False) -> list[tuple[str, bool]]:
        """shown: variant → its cell, or None where the run breaks off; the first one's for all that are not named."""

        def execute(path, folder, variant, keep_going):
            asked.append((variant.name, keep_going))
            outcome = shown.get(variant.name, shown["AVX2"])
            if outcome is None:
                raise tasks.TaskError("the kernel died")
            return json.loads(json.dumps(made | {"cells": [outcome]}))

        monkeypatch.setattr(tasks, "execute", execute)
        monkeypatch.setattr(tasks.os, "cpu_count", lambda: 1)
        tasks.run(argparse.Namespace(notebooks=[str(path)], once=once))
        return asked

    return path, run


def outputs(path) -> str:
    return spreads.texts(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["outputs"])["stdout"]


def test_a_run_stores_the_first_outputs_and_the_spreads_of_all(chapter):
    path, run = chapter
    asked = run({"AVX2": cell("RMSE 0.9500"), "lowest": cell("RMSE 0.9510"), "busy": cell("RMSE 0.9490")})
    assert asked[0] == ("AVX2", False)  # an error there stops the command
    assert set(asked[1:]) == {(name, True) for name in ("as found", "lowest", "two threads", "busy")}
    assert outputs(path) == "RMSE 0.9500"
    found = spreads.read(path)
    assert found["cells"] == {"a": {"stdout": {"0": 0.0022}}} and found["unlike"] == {}
    assert list(found["variants"]) == [variant.name for variant in spreads.VARIANTS]
    assert spreads.load(path, json.loads(path.read_text(encoding="utf-8"))) == found["cells"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (cell("RMSE 0.9500 of 8"), "7 became 8"),
        (cell("MAE 0.9500 of 7"), "words:"),
        (cell("RMSE 0.9500 of 7", FAILED), "AssertionError: no"),
        (None, "did not come to its end"),
    ],
    ids=["integer", "word", "assert", "broken off"],
)
def test_what_no_tolerance_covers_is_printed_and_fails(chapter, other, words, capsys):
    path, run = chapter
    with pytest.raises(tasks.TaskError, match="1 cells or runs say another thing"):
        run({"AVX2": cell("RMSE 0.9500 of 7"), "two threads": other})
    assert words in capsys.readouterr().out
    assert outputs(path) == "RMSE 0.9500 of 7"


def test_once_measures_nothing_and_old_spreads_of_other_cells_count_no_more(chapter):
    path, run = chapter
    run({"AVX2": cell("RMSE 0.9500"), "lowest": cell("RMSE 0.9510")})
    asked = run({"AVX2": cell("RMSE 0.9400", source=["show(2)"])}, once=True)
    assert asked[-1] == ("AVX2", False) and len(asked) == 6
    assert spreads.load(path, json.loads(path.read_text(encoding="utf-8"))) == {}


def test_an_error_under_the_first_variant_leaves_the_notebook_as_it_was(chapter):
    path, run = chapter
    before = path.read_bytes()
    with pytest.raises(tasks.TaskError, match="the kernel died"):
        run({"AVX2": None})
    assert path.read_bytes() == before and spreads.read(path) is None


def test_the_busy_end_with_what_they_keep_company():
    with tasks.beside_busy_processes() as processes:
        assert processes and all(process.poll() is None for process in processes)
    assert all(process.poll() is not None for process in processes)
    with tasks.beside_busy_processes(False) as processes:
        assert processes == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows leaves a child the number of its dead parent")
def test_the_busy_end_with_a_parent_that_is_killed():
    code = (
        "import os, time, tasks\n"
        "with tasks.beside_busy_processes() as processes:\n"
        "    print(processes[0].pid, flush=True)\n"
        "    time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tasks.ROOT)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(600):
        if subprocess.run(["ps", "-p", str(child), "-o", "stat="], capture_output=True).stdout[:1] in (
            b"",
            b"Z",
        ):
            return
        time.sleep(0.1)
    pytest.fail("a busy process outlived its parent")


REPORT = """<testsuites><testsuite>
<testcase classname="chapters.losses.ipynb" name="Cell 0"/>
<testcase classname="chapters.losses.ipynb" name="Cell 1"><failure/></testcase>
<testcase classname="tests.package.test_twins" name="test_a[MF]"/>
<testcase classname="tests.package.test_twins.TestB" name="test_b"><error/></testcase>
</testsuite></testsuites>"""


def test_a_table_counts_cells_and_tests_by_file_and_variant(tmp_path, capsys):
    (tmp_path / "a.xml").write_text(REPORT)
    found = tasks.failures_by_file(tmp_path / "a.xml")
    assert found == {"losses": (1, 2), "test_twins": (1, 2)}
    assert tasks.failures_by_file(tmp_path / "missing.xml") == {}
    tasks.print_variants({"variant-AVX2": found, "variant-busy": {}})
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].split() == ["losses", "1", "of", "2", "-"]


def test_each_variant_reaches_pytest(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(tasks, "setup", lambda: None)
    monkeypatch.setattr(tasks, "data", lambda: None)
    monkeypatch.setattr(tasks, "REPORTS", tmp_path)
    monkeypatch.setattr(tasks.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(tasks, "call", lambda *command, env: seen.append((command, env)) or 0)
    tasks.test(argparse.Namespace(variants=True))
    for variant, (command, env) in zip(spreads.VARIANTS, seen, strict=True):
        assert env["RECBOOK_INSTRUCTION_SET"] == variant.instructions
        assert env["OMP_NUM_THREADS"] == str(variant.threads)
        assert command[command.index("-n") + 1] == ("2" if variant.threads == 1 else "1")
        assert (
            "--nbval" in command
            and "chapters" in command
            and any("test_twins" in str(part) for part in command)
        )
