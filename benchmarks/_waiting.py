"""How threads that have nothing to do should wait: measured on an idle machine and on a busy one.

    python benchmarks/_waiting.py           # every setting, idle and busy: about a quarter of an hour
    python benchmarks/_waiting.py --settings default spin-1000 --kernels als

    # Where others compute on the same Linux, too, as root: the scheduler lets these processes go first.
    setsid sh -c "echo -20 >/proc/self/autogroup; python benchmarks/_waiting.py"

A pool of threads that shares out a small sum waits for its last thread. While it waits, it can spin, which answers at
once and takes a core for nothing, or sleep, which frees the core and has to be woken. Spinning costs nothing on an idle
machine. Beside another process it takes the core from the very thread that it waits for.

Each setting has a process of its own, because libraries read theirs when they are imported. `busy` means beside as many
endless loops as there are cores. Seconds are the median of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [path for path in (str(ROOT),) if path not in sys.path]

SETTINGS: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spin-0": {"GOMP_SPINCOUNT": "0"},
    "spin-100": {"GOMP_SPINCOUNT": "100"},
    "spin-1000": {"GOMP_SPINCOUNT": "1000"},
    "spin-10000": {"GOMP_SPINCOUNT": "10000"},
    "spin-100000": {"GOMP_SPINCOUNT": "100000"},
    "one-thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"},
    "kmp-0": {
        "KMP_BLOCKTIME": "0"
    },  # of LLVM's and Intel's OpenMP, on macOS and Windows: libgomp does not know it
    "kmp-1": {"KMP_BLOCKTIME": "1"},  # milliseconds; to try on Linux, set LD_PRELOAD to their library
    "blas-20": {"OPENBLAS_THREAD_TIMEOUT": "20"},
    "blas-16": {"OPENBLAS_THREAD_TIMEOUT": "16"},
    "blas-4": {"OPENBLAS_THREAD_TIMEOUT": "4"},
}
WAITS = {
    "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "OPENBLAS_THREAD_TIMEOUT", "TF_NUM_INTRAOP_THREADS",
}  # fmt: skip
TOO_LONG = 12  # seconds, after which a kernel is not run again
LOOP = "while True: pass"


def kernels() -> dict[str, Callable[[], object]]:
    """What is timed: fits on MovieLens-100K, small as in a chapter, and NumPy's products and inverses."""
    import numpy as np

    from recbook import datasets

    ml = datasets.fetch_movielens("100k")

    def fit(wing: str, name: str, **settings: object) -> Callable[[], object]:
        def run() -> object:
            import importlib

            model = getattr(importlib.import_module(f"recbook.{wing}"), name)
            return model(**settings, device="cpu").fit(ml, progress=False)

        return run

    def numpy() -> None:
        a = np.random.default_rng(0).normal(size=(300, 300)) + 300 * np.eye(300)
        for _ in range(60):
            a = np.linalg.inv(a) @ a + 300 * np.eye(300)

    def small() -> None:
        import torch

        x = torch.ones(50_000)  # a little more than PyTorch gives to one thread
        for _ in range(5_000):
            x.mul_(1.0)

    return {
        "numpy": numpy,
        "small": small,
        "als": fit("torch", "ImplicitALS", epochs=3),
        "bpr": fit("torch", "BPR", epochs=1),
        "sasrec": fit("torch", "SASRec", epochs=1),
        "keras-als": fit("keras", "ImplicitALS", epochs=3),
        "keras-sasrec": fit("keras", "SASRec", epochs=1),
    }


def work(names: list[str], rounds: int) -> None:
    """Time these kernels in this process, a first run left out, and print the seconds."""
    known, found = kernels(), {}
    for name in names:
        known[name]()
        took: list[float] = []
        while len(took) < rounds and sum(took) < TOO_LONG:
            started = time.perf_counter()
            known[name]()
            took.append(time.perf_counter() - started)
        found[name] = statistics.median(took)
    print("SECONDS", json.dumps(found))


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measure(setting: str, names: list[str], rounds: int, loops: int) -> dict[str, float]:
    """Seconds of each kernel under a setting, beside so many endless loops."""
    env = {name: value for name, value in os.environ.items() if name not in WAITS} | SETTINGS[setting]
    env |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--work", *names, "--rounds", str(rounds)]
    with busy(loops):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("SECONDS "))
    return json.loads(line.removeprefix("SECONDS "))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--kernels", nargs="+", default=["numpy", "small", "als", "bpr", "sasrec"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", nargs="+", default=["idle", "busy"], choices=["idle", "busy"])
    parser.add_argument("--work", nargs="+", help="time these kernels in this very process")
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.work, chosen.rounds)
        return 0
    loops = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    print(f"| run | setting | {' | '.join(chosen.kernels)} |")
    print("|:--|:--|" + "--:|" * len(chosen.kernels))
    for run in chosen.runs:
        for setting in chosen.settings:
            took = measure(setting, chosen.kernels, chosen.rounds, loops if run == "busy" else 0)
            cells = " | ".join(f"{took[name]:.3f}" for name in chosen.kernels)
            print(f"| {run} | {setting} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
