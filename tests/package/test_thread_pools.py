"""Threads that wait, sleep: what is set, when, and what a process is told that has PyTorch already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

import tasks
from recbook.core import instruction_set, thread_pools
from recbook.core.thread_pools import COUNTS, NAMES, SPINS, TURNS, counts, let_sleep, waits

ROOT = Path(__file__).resolve().parents[2]
THERE = {"PATH": "/usr/bin"}  # an environment in which nothing is chosen


def told(code: str, **variables: str) -> tuple[list, str]:
    """What a new Python prints, as JSON, and what it writes to stderr; no variable of ours is set in it."""
    ours = {*NAMES, *instruction_set.NAMES}
    env = {name: value for name, value in os.environ.items() if name not in ours} | {"MPLBACKEND": "agg"} | variables
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
    assert waits(THERE) == {SPINS: TURNS}
    for mine in ({SPINS: "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}):
        assert waits(THERE | mine) == {}
    environ = dict(THERE)
    let_sleep(environ), let_sleep(environ)
    assert environ == THERE | {SPINS: TURNS}


def test_commands_let_their_children_sleep(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    assert tasks.environment()[SPINS] == TURNS and "OMP_NUM_THREADS" not in tasks.environment()
    assert tasks.environment(threads=2)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert tasks.environment(threads=2)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert SPINS not in tasks.environment()


# --- when ---------------------------------------------------------------------------------------------------------

SHOW = f"import json, os, sys; print(json.dumps([os.environ.get({SPINS!r}), 'torch' in sys.modules]))"


def test_a_notebook_and_the_command_line_set_it_before_pytorch_and_the_package_alone_does_not():
    assert told(f"import recbook.evaluation; {SHOW}")[0] == [None, False]
    assert told(f"import recbook.notebook; {SHOW}")[0] == [TURNS, False]
    before = "import sys, recbook.cli as cli\ncli.models = lambda _: None\ncli.main(['models'])\n"
    assert told(before + SHOW)[0] == [TURNS, False]


def test_libgomp_reads_it():
    """What it prints when it is loaded with PyTorch."""
    pytest.importorskip("torch")
    if sys.platform != "linux":
        pytest.skip("PyTorch has another library for threads here")
    code = f"import recbook.notebook, torch; {SHOW}"
    _, said = told(code, OMP_DISPLAY_ENV="VERBOSE")
    assert f"{SPINS} = '{TURNS}'" in said


# --- too late -----------------------------------------------------------------------------------------------------


@pytest.fixture
def late(monkeypatch):
    """A process that has PyTorch with two threads, and in which nothing is set."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 2))
    return monkeypatch


def test_a_process_that_has_pytorch_already_is_told_once(late):
    with pytest.warns(UserWarning, match=f"PyTorch was imported before .* set {SPINS}={TURNS} before Python starts"):
        let_sleep()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        let_sleep()


def test_nobody_is_told_who_need_not_know(late):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        let_sleep(dict(THERE))  # the environment of a child
        late.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 1))
        let_sleep()
        late.delenv(SPINS)
        late.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 2))
        late.setattr(sys, "platform", "darwin")  # another library, which this variable does not concern
        let_sleep()
        late.setattr(sys, "platform", "linux")
        late.setenv(SPINS, "5")
        let_sleep()
    assert thread_pools.spins()
