"""Lists for everybody take little memory beyond the model, in either wing: 6,000 users and 3,700 items.

And what is known of the memory that there is, and models that would need more than there is.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recbook.torch as rt
from recbook.core import memory
from recbook.interactions import Dataset, Interactions
from recbook.tools import twins

ROOT = Path(__file__).resolve().parents[2]
USERS, ITEMS, ROWS, MIB = 6000, 3700, 18_000, 2**20
TASKS = {task: [] for task in ("ranking", "rating", "click", "next_item")}
for name, cls in twins.wing("torch").items():
    TASKS[cls.task].append(name)

# Peak memory is the process's, so it is set back before each model; "5" to clear_refs does that on Linux.
MEASURE = """
import json, pathlib, re, sys
import recbook.{wing} as wing

def status(name):
    return int(re.search(name + r":\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) * 1024

found = {{}}
for path in map(pathlib.Path, sys.argv[1:]):
    model = wing.load(path, device="cpu")
    model.recommend(model.user_ids_[:20], k=10)  # what a framework keeps for good
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    rows = len(model.recommend(k=10))
    found[path.stem] = [rows, status("VmHWM") - before]
print(json.dumps(found))
"""


def can_measure() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Callable[[str], list[Path]]:
    """Files of all models of a task, trained for an epoch; the widths are those of the defaults."""
    rng = np.random.default_rng(0)
    rows = {"user": np.arange(ROWS) % USERS, "item": rng.permutation(np.arange(ROWS) % ITEMS)}
    df = pd.DataFrame(rows).drop_duplicates()
    df["rating"] = rng.integers(1, 6, len(df))
    df["timestamp"] = np.arange(len(df))
    df["event"] = np.array(["browse", "click", "buy"])[df.timestamp % 3]

    def of(name: str) -> Path:
        cls, short = getattr(rt, name), {"device": "cpu", "epochs": 1, "batch_size": 8192}
        model = cls(**{key: short[key] for key in short.keys() & inspect.signature(cls).parameters.keys()})
        tables = {
            side: pd.DataFrame(
                {column: "Comedy" for column in cls.needs.get(side, [])}, index=df[side[:-1]].unique()
            )
            for side in ("users", "items")
        }
        rated = df.assign(rating=df.timestamp % 2) if cls.task == "click" else df
        path = tmp_path_factory.getbasetemp() / f"{name}.npz"
        model.fit(Dataset(Interactions.from_frame(rated), **tables), progress=False).save(path)
        return path

    return functools.cache(lambda task: [of(name) for name in TASKS[task]])


def cases():
    """What ranks is asked always; the models of the other tasks answer by the same code."""
    for task in TASKS:
        for wing in ("torch", "keras"):
            yield pytest.param(wing, task, marks=[] if task == "ranking" else pytest.mark.thorough)


@pytest.mark.torch_first
@pytest.mark.slow
@pytest.mark.skipif(not can_measure(), reason="peak memory is set back through /proc/self/clear_refs")
@pytest.mark.parametrize(("wing", "task"), list(cases()))
def test_recommend_for_everybody_stays_small(wing, task, files):
    """Less than 500 MiB above the model."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", MEASURE.format(wing=wing), *map(str, files(task))]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: rows for name, (rows, _) in found.items()} == dict.fromkeys(TASKS[task], 10 * USERS)
    assert all(above < 500 * MIB for _, above in found.values()), found
    assert max(above for _, above in found.values()) > 10 * MIB  # it measures something


# ---------------------------------------------------------------- neighbours of 20,000 users

NEIGHBORS = """
import json, pathlib, re, numpy as np
import recbook.{wing} as wing
from recbook.interactions import Interactions

def status(name):
    return int(re.search(name + r":\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) * 1024

rng = np.random.default_rng(0)
cells = np.unique(np.append(rng.integers(0, 20_000 * 300, 100_000), np.arange(20_000) * 300))
x = Interactions(cells // 300, cells % 300, rng.integers(1, 6, len(cells)).astype(float))
small = x.take(x.users < 400)
wing.UserKNN(device="cpu").fit(small, progress=False).recommend(k=3)  # what a framework keeps for good
pathlib.Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
model = wing.UserKNN(device="cpu").fit(x, progress=False)
rows = len(model.recommend(model.user_ids_[:50], k=10))
print(json.dumps([rows, status("VmHWM") - before]))
"""


@pytest.mark.torch_first
@pytest.mark.slow
@pytest.mark.skipif(not can_measure(), reason="peak memory is set back through /proc/self/clear_refs")
@pytest.mark.parametrize("wing", ["torch", "keras"])
def test_neighbours_of_many_users_fit_where_their_similarities_do_not(wing):
    """All similarities of 20,000 users would take 3 GiB, and twice that while they are made."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", NEIGHBORS.format(wing=wing)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows, above = json.loads(done.stdout.splitlines()[-1])
    assert rows == 500
    assert 10 * MIB < above < 600 * MIB


# ---------------------------------------------------------------- how much there is

FILES = {
    "proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable:    4000000 kB\n",
    "proc/self/status": "VmSize:\t 1000000 kB\n",
}
V2 = {
    "proc/self/cgroup": "0::/jobs/mine\n",
    "sys/fs/cgroup/jobs/mine/memory.max": "max\n",
    "sys/fs/cgroup/jobs/memory.max": "3000000000\n",
    "sys/fs/cgroup/jobs/memory.current": "2500000000\n",
    "sys/fs/cgroup/jobs/memory.stat": "anon 5\ninactive_file 500000000\n",
}
V1 = {
    "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/box\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "1700000000\n",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 100000000\n",
}


@pytest.mark.parametrize(
    "files, limit, expected",
    [
        (FILES, None, 4_096_000_000),
        (FILES | V2, None, 1_000_000_000),
        (FILES | V1, None, 400_000_000),
        (FILES, 1_524_000_000, 500_000_000),
        (FILES, 1_000_000_000, 0),
    ],
    ids=["machine", "cgroup v2", "cgroup v1", "ulimit -v", "ulimit -v, used up"],
)
def test_the_least_of_what_is_left_counts(files, limit, expected, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    soft = resource.RLIM_INFINITY if limit is None else limit
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, soft))
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    assert memory.available() == expected


def test_where_the_system_does_not_tell_half_the_machine_is_a_guess(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    monkeypatch.setattr(memory, "_of_address_space", lambda: None)
    monkeypatch.setattr(
        os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False
    )
    assert memory.available() == 1000 * 4096 // 2
    monkeypatch.delattr(os, "sysconf")
    assert memory.available() is None
    memory.require(2**60, "x", "y")  # nothing is known, so nothing is said


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 3 * memory.GIB)
    memory.require(3 * memory.GIB, "the letters", "write less")
    with pytest.raises(
        MemoryError, match=r"the letters take 3\.5 GiB .*, and 3\.0 GiB are there; write less"
    ):
        memory.require(7 * memory.GIB // 2, "the letters", "write less")


def test_this_machine_tells():
    there = memory.available()
    assert there is None or 2**20 < there < 2**50
