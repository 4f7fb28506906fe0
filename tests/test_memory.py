"""Lists for everybody take little memory beyond the model, in either wing: 6,000 users and 3,700 items."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recbook.torch as rt
from recbook.interactions import Interactions

ROOT = Path(__file__).resolve().parents[1]
USERS, ITEMS, ROWS, MIB = 6000, 3700, 18_000, 2**20
MODELS = ["EASE", "ImplicitALS", "BPR", "GMF", "MLP", "NeuMF", "AutoRec", "MultVAE", "CFGAN"]

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
def models(tmp_path_factory) -> list[Path]:
    """A file of each model, trained for an epoch; the widths are those of the defaults."""
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"user": np.arange(ROWS) % USERS, "item": rng.permutation(np.arange(ROWS) % ITEMS)})
    data = Interactions.from_frame(df.drop_duplicates().assign(rating=1.0))
    paths = []
    for name in MODELS:
        model = getattr(rt, name)(device="cpu")
        changes = {"epochs": 1, "batch_size": 8192} if "batch_size" in model.get_params() else {}
        if name == "ImplicitALS":
            changes = {"epochs": 1}
        paths.append(tmp_path_factory.getbasetemp() / f"{name}.npz")
        model.clone(**changes).fit(data, progress=False).save(paths[-1])
    return paths


@pytest.mark.slow
@pytest.mark.skipif(not can_measure(), reason="peak memory is set back through /proc/self/clear_refs")
@pytest.mark.parametrize("wing", ["torch", "keras"])
def test_recommend_for_everybody_stays_small(wing, models):
    """Less than 500 MiB above the model."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", MEASURE.format(wing=wing), *map(str, models)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {name: rows for name, (rows, _) in found.items()} == dict.fromkeys(MODELS, 10 * USERS)
    assert all(above < 500 * MIB for _, above in found.values()), found
    assert max(above for _, above in found.values()) > 10 * MIB  # it measures something
