"""What the benchmarks share: processes that take turns, the folds, peak memory, and what figures depend on.

Imported before any framework: they read the settings below when they are imported.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402

from recbook import datasets, splits  # noqa: E402
from recbook.metrics import mae, rmse  # noqa: E402

FOLDS = 5
WINGS = ("torch", "keras")


# ---------------------------------------------------------------- taking turns


class Contenders:
    """Processes of one script, one for each name: `SCRIPT --contend NAME` answers each line with a line of JSON.

    environments : more environment variables, by name
    """

    def __init__(
        self, script: str, names: Iterable[str], environments: dict[str, dict[str, str]] | None = None
    ):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.processes = {
            name: subprocess.Popen(
                [sys.executable, script, "--contend", name],
                env={**os.environ, **(environments or {}).get(name, {})},
                **pipes,
            )
            for name in names
        }

    def __enter__(self) -> Contenders:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes.values():
            process.kill()

    def ask(self, name: str, task: object) -> dict:
        """One answer of one of them, while the others sleep."""
        process = self.processes[name]
        try:
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())
        except (OSError, ValueError):
            raise SystemExit(f"{name} stopped; its own message stands above") from None

    def best(self, task: object, rounds: int, words: Callable[[str, dict], str]) -> dict[str, dict]:
        """The quickest answer of each to a task, in turn: a first round that does not count, then `rounds`.

        words : what to print of a name's answer
        """
        found: dict[str, list[dict]] = {name: [] for name in self.processes}
        for number in range(rounds + 1):
            for name in self.processes:
                found[name].append(self.ask(name, task))
                counts = f"round {number}" if number else "first call, not counted"
                print(f"  {words(name, found[name][-1])}  {counts}", flush=True)
        return {
            name: {**min(answers[1:], key=lambda a: a["seconds"]), "rounds": [a["seconds"] for a in answers]}
            for name, answers in found.items()
        }


def seconds_an_epoch(fit: Callable[[int], object], few: int, many: int) -> dict[str, float]:
    """(Seconds of `fit(many)` - seconds of `fit(few)`) / (many - few): what is done once does not count."""
    found = []
    for epochs in (few, many):
        start, cpu_start = time.perf_counter(), time.process_time()
        fit(epochs)
        found.append((time.perf_counter() - start, time.process_time() - cpu_start))
    seconds, cpu = ((more - less) / (many - few) for less, more in zip(*found, strict=True))
    return {"seconds": seconds, "cpu_seconds": cpu}


def measure_epochs(
    contenders: Contenders, tasks: dict[str, object], rounds: int, titles: dict[str, str], peer: str
) -> dict[str, dict]:
    """Seconds of an epoch, by model and contender; "ratio" is how many times as quick as the peer.

    tasks : what to ask, by model;  titles : what contenders are called in print;  peer : one of them
    """
    epochs = {}
    for model, task in tasks.items():

        def words(name: str, found: dict, model: str = model) -> str:
            return f"{titles[name]:<18} {found['seconds']:8.3f} s an epoch of {model}"

        epochs[model] = contenders.best(task, rounds, words)
        if peer in epochs[model]:
            for found in epochs[model].values():
                found["ratio"] = epochs[model][peer]["seconds"] / found["seconds"]
    return epochs


def print_epochs(results: dict, titles: dict[str, str]) -> None:
    """What `measure_epochs` found, as a table, and the circumstances."""
    print(f"\n{'an epoch':<10} {'':<18} {'seconds':>8} {'CPU s':>8} {'ratio':>8}")
    for model, by_name in results["epochs"].items():
        for name, found in by_name.items():
            ratio = f"{found['ratio']:6.1f} ×" if "ratio" in found else ""
            print(
                f"{model:<10} {titles[name]:<18} {found['seconds']:8.3f} {found['cpu_seconds']:8.3f} {ratio}"
            )
    print_circumstances(results)


# ---------------------------------------------------------------- data and errors


def the_folds() -> list:
    return list(splits.k_fold(datasets.fetch_movielens("100k"), FOLDS, seed=0, order="drawn"))


def surprise_tables(folds: list, benchmark: str) -> list[tuple]:
    """Surprise's own trainset and testset of each fold."""
    try:
        import pandas as pd
        import surprise
    except ImportError as error:
        raise not_installed("Surprise", benchmark, error) from error
    reader, tables = surprise.Reader(rating_scale=(1, 5)), []
    for train, test in folds:
        x, y = train.interactions, test.interactions
        df = pd.DataFrame({"user": x.users, "item": x.items, "rating": x.ratings})
        trainset = surprise.Dataset.load_from_df(df, reader).build_full_trainset()
        testset = list(zip(y.users.tolist(), y.items.tolist(), y.ratings.tolist(), strict=True))
        tables.append((trainset, testset))
    return tables


def not_installed(library: str, benchmark: str, error: ImportError) -> SystemExit:
    return SystemExit(
        f"{library} is not installed ({error}); run `python tasks.py bench {benchmark}`, or "
        "`pip install -r benchmarks/requirements.txt`"
    )


def errors(predictions: list[np.ndarray], folds: list) -> dict[str, float]:
    """Means over the folds; clipped to 1–5, the mean of train for ids that train does not know, as Surprise has it."""
    found = []
    for scores, (train, test) in zip(predictions, folds, strict=True):
        scores = np.clip(np.where(np.isnan(scores), train.interactions.ratings.mean(), scores), 1, 5)
        found.append([rmse(test.interactions.ratings, scores), mae(test.interactions.ratings, scores)])
    return dict(zip(("rmse", "mae"), np.mean(found, axis=0).tolist(), strict=True))


# ---------------------------------------------------------------- memory


def peak_bytes() -> int:
    """Peak resident memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss begins at the peak of the process that started this one
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others KiB


def resident_bytes() -> int:
    """Resident memory of this process now; 0 where the system does not say."""
    status = Path("/proc/self/status")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status.read_text())[1]) * 1024 if status.exists() else 0


def memory_in_own_process(script: str, wing: str) -> dict[str, float]:
    """What `SCRIPT --measure-memory WING` prints last."""
    command = [sys.executable, script, "--measure-memory", wing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"measuring the memory of {wing} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


# ---------------------------------------------------------------- circumstances and end


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def circumstances(*peers: str) -> dict[str, object]:
    """What figures depend on: machine, threads, versions, day.

    peers : packages compared with
    """
    import keras
    import torch

    backend = keras.backend.backend()
    packages = ("numpy", "torch", "keras", backend, *peers)
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "threads": f"torch {torch.get_num_threads()}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'unset')}",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "keras_backend": backend,
    }


def print_circumstances(results: dict) -> None:
    print()
    for name, value in results["circumstances"].items():
        print(f"{name:<14} {value}")


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments of every benchmark."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    return made


def beside(what: str, found: dict[str, dict], peer: str, title: str) -> dict[str, object]:
    """A row of the page `benchmarks`: how many times the seconds of another library each wing takes.

    found : by name, with "seconds" of the clock and perhaps "cpu_seconds" of the processor
    peer : the library's name in `found`;  title : what the page calls it
    """
    row: dict[str, object] = {"what": what, "peer": title}
    for wing in WINGS:
        if found.get(wing) and found.get(peer):
            names = [name for name in ("seconds", "cpu_seconds") if name in found[wing]]
            row[wing] = {name: found[wing][name] / found[peer][name] for name in names}
    return row


def beside_epochs(results: dict, peer: str, title: str) -> list[dict]:
    """`beside` for what `measure_epochs` found: a row a model that the other library has."""
    rows = results["epochs"].items()
    return [beside(f"{model}: an epoch", found, peer, title) for model, found in rows if peer in found]


def end(results: dict, path: Path | None, behind: list[str], rows: Iterable[dict] = ()) -> int:
    """Write the figures, say which targets were missed, and give the exit status.

    rows : what `beside` made, for the page `benchmarks`
    """
    if path:
        results = results | {"beside": list(rows)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if behind:
        print(f"\nbehind its target: {'; '.join(behind)}")
    return 1 if behind else 0
