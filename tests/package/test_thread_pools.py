"""Threads that wait, sleep: what is set, when, and what a process is told that has PyTorch already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

import tasks
from recbook.core import instruction_set
from recbook.core.thread_pools import COUNTS, NAMES, WAITS, counts, let_sleep, waits

ROOT = Path(__file__).resolve().parents[2]
THERE = {"PATH": "/usr/bin"}  # an environment in which nothing is chosen


def told(code: str, **variables: str) -> tuple[list, str]:
    """What a new Python prints, as JSON, and what it writes to stderr; no variable of ours is set in it."""
    ours = {*NAMES, *instruction_set.NAMES}
    env = (
        {name: value for name, value in os.environ.items() if name not in ours}
        | {"MPLBACKEND": "agg"}
        | variables
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


# --- what is set --------------------------------------------------------------------------------------------------


def test_each_library_is_given_its_number_of_threads():
    one = counts(1, THERE)
    assert {one[name] for name in COUNTS} == {"1"}
    assert one["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false"
    assert counts(2, THERE) == dict.fromkeys(COUNTS, "2")
    assert "OMP_NUM_THREADS" not in counts(1, {"OMP_NUM_THREADS": "4"})


def test_threads_sleep_unless_somebody_has_decided():
    assert waits(THERE) == WAITS
    for name in WAITS:
        assert waits(THERE | {name: "7"}) == {other: value for other, value in WAITS.items() if other != name}
    assert set(waits(THERE | {"OMP_WAIT_POLICY": "ACTIVE"})) == {"OPENBLAS_THREAD_TIMEOUT"}
    environ = dict(THERE)
    let_sleep(environ), let_sleep(environ)
    assert environ == THERE | WAITS


def test_commands_let_their_children_sleep(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    assert WAITS.items() <= tasks.environment().items() and "OMP_NUM_THREADS" not in tasks.environment()
    assert tasks.environment(threads=2)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert tasks.environment(threads=2)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert "GOMP_SPINCOUNT" not in tasks.environment()


# --- when ---------------------------------------------------------------------------------------------------------

SHOW = f"import json, os; print(json.dumps([os.environ.get(name) for name in {[*WAITS]}]))"


@pytest.mark.parametrize(
    ("module", "sets"), [("recbook.evaluation", False), ("recbook.notebook", True), ("recbook.cli", True)]
)
def test_a_notebook_and_the_command_line_set_it_before_numpy_and_the_package_alone_does_not(module, sets):
    """A warning would be an error here: it comes before NumPy."""
    found, said = told(
        f"import warnings; warnings.simplefilter('error', UserWarning); import {module}; {SHOW}"
    )
    assert found == ([*WAITS.values()] if sets else [None] * len(WAITS)) and not said


def test_libgomp_reads_it():
    """What it prints when it is loaded with PyTorch."""
    pytest.importorskip("torch")
    if sys.platform != "linux":
        pytest.skip("PyTorch has another library for threads here")
    _, said = told(f"import recbook.notebook, torch; {SHOW}", OMP_DISPLAY_ENV="VERBOSE")
    assert f"GOMP_SPINCOUNT = '{WAITS['GOMP_SPINCOUNT']}'" in said


# --- too late -----------------------------------------------------------------------------------------------------


@pytest.fixture
def late(monkeypatch):
    """A process of several cores that has NumPy and PyTorch, and in which nothing is set."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    return monkeypatch


def test_a_process_that_has_the_libraries_already_is_told_once(late):
    with pytest.warns(
        UserWarning, match="torch and numpy came before .* set GOMP_SPINCOUNT=1000 OPENBLAS_THREAD"
    ):
        let_sleep()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        let_sleep()


@pytest.mark.parametrize(
    "fine",
    [
        {"OMP_NUM_THREADS": "1"},
        {"GOMP_SPINCOUNT": "5", "OPENBLAS_THREAD_TIMEOUT": "5"},
        {"platform": "darwin"},
        {"cpu_count": lambda: 1},
    ],
)
def test_nobody_is_told_who_need_not_know(late, fine):
    for name, value in fine.items():
        if callable(value):
            late.setattr(os, name, value)
        elif name == "platform":
            late.setattr(sys, name, value)
        else:
            late.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        let_sleep(dict(THERE))  # the environment of a child
        let_sleep()
