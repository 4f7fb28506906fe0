"""Every model of the book in both wings: quality, seconds, memory, and how far the wings are apart.

    python tasks.py bench models             # needs no other library
    python benchmarks/models.py --json out.json

Each model with its defaults, in a process of its own that knows one wing alone and computes with one thread. Seconds
are those of the processor, of a first fit (starting up and tracing count) and of what follows: ten items for everybody,
or for models of clicks a score for each row of test. Memory: the process's peak less what it held before the fit, which
is data and framework. Quality by the model's task; of the scores of test both wings are compared.
    rating, ranking   MovieLens-100K, a fifth at random is test (seed 0): RMSE and nDCG@10, relevant from 4 stars
    click             MovieLens-100K, the last fifth by time is test, a click is a rating from 4: AUC
    next_item         MovieLens-100K, everybody's last film is test: nDCG@10 among all that they have not met
    next_item, with kinds of events   generated paths, everybody's last step is test: nDCG@10
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402

from recbook import datasets, splits  # noqa: E402
from recbook.evaluation import evaluate  # noqa: E402
from recbook.interactions import Dataset, Interactions  # noqa: E402
from recbook.recommender import Recommender  # noqa: E402

K, RELEVANT, TEST_SIZE = 10, 4, 0.2
COMPARED = 10_000  # rows of test, at most, whose scores both wings are asked for
FIELDS = ("user", "item", "items.genres")
SETTINGS = {"LogisticRegression": {"fields": FIELDS}, "WideAndDeep": {"fields": (*FIELDS, "history")}}
SETTINGS |= {"DeepFM": {"fields": (*FIELDS, "history")}, "DIN": {"fields": FIELDS}}
METRICS = {
    "rating": ["rmse", f"ndcg@{K}"],
    "ranking": [f"ndcg@{K}"],
    "click": ["auc"],
    "next_item": [f"ndcg@{K}"],
}


def split(name: str, task: str) -> tuple[Dataset | Interactions, Dataset | Interactions]:
    """Train and test, as the model's task asks."""
    if name == "DecisionPath":
        return splits.leave_last_out(datasets.make_paths(memory=1, by_event=True, seed=0).data)
    ml = datasets.fetch_movielens("100k")
    if task == "next_item":
        return splits.leave_last_out(ml)
    if task == "click":
        return splits.temporal_split(clicks(ml), test_size=TEST_SIZE)
    return splits.random_split(ml, test_size=TEST_SIZE, seed=0)


def clicks(ml: Dataset) -> Dataset:
    frame = ml.interactions.to_frame()
    frame["rating"] = (frame.rating >= RELEVANT).astype(float)
    return Dataset(Interactions.from_frame(frame), users=ml.users, items=ml.items)


def made(wing: str, name: str) -> Recommender:
    return getattr(importlib.import_module(f"recbook.{wing}"), name)(**SETTINGS.get(name, {}))


def measure(wing: str, name: str, scores: Path) -> dict[str, object]:
    """One model in this process; its scores of test go to a file."""
    model = made(wing, name)
    train, test = split(name, model.task)
    before, start = shared.resident_bytes(), time.process_time()
    model.fit(train, progress=False)
    fitted = time.process_time()
    x = test if isinstance(test, Interactions) else test.interactions
    users, items = x.users[:COMPARED], x.items[:COMPARED]
    if model.task == "click":
        model.predict(x.users, x.items, unknown="fallback")
    else:
        model.recommend(k=K)
    served = time.process_time()
    peak = shared.peak_bytes()
    relevant = RELEVANT if model.task in ("rating", "ranking") else None
    report = evaluate(model, test, METRICS[model.task], relevant=relevant, unknown="fallback")
    np.save(scores, model.predict(users, items, unknown="fallback"))
    return {
        "task": model.task,
        "quality": {metric: float(report[metric]) for metric in METRICS[model.task]},
        "seconds": {"fit": fitted - start, "serve": served - fitted},
        "bytes": max(0, peak - before),
        "parameters": repr(model),
    }


def in_own_process(wing: str, name: str, scores: Path) -> dict[str, object]:
    command = [sys.executable, __file__, "--measure", wing, name, str(scores)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} in {wing} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of two models' scores, in standard deviations of the first's."""
    both = np.isfinite(one) & np.isfinite(other)
    if (np.isfinite(one) != np.isfinite(other)).any():
        return float("inf")
    return float(np.abs(one[both] - other[both]).max() / (one[both].std() or 1))


def measure_both(name: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        files = {wing: Path(folder) / f"{wing}.npy" for wing in shared.WINGS}
        wings = {wing: in_own_process(wing, name, files[wing]) for wing in shared.WINGS}
        scores = [np.load(files[wing]).astype(float) for wing in shared.WINGS]
    torch, keras = (wings[wing]["quality"] for wing in shared.WINGS)
    parity = {metric: abs(torch[metric] - keras[metric]) for metric in torch}
    return {
        "task": wings["torch"]["task"],
        "parameters": wings["torch"]["parameters"],
        "wings": {
            wing: {key: found[key] for key in ("quality", "seconds", "bytes")}
            for wing, found in wings.items()
        },
        "parity": {"quality": parity, "scores": apart(*scores)},
    }


def words(name: str, found: dict) -> str:
    parts = [f"{name:<22}"]
    for wing, one in found["wings"].items():
        quality = " ".join(f"{metric} {value:.4f}" for metric, value in one["quality"].items())
        parts.append(f"{wing} {quality} fit {one['seconds']['fit']:6.1f} s {one['bytes'] / 2**20:5.0f} MiB")
    return " | ".join([*parts, f"scores apart {found['parity']['scores']:.1e}"])


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--measure", nargs=3, metavar=("WING", "MODEL", "FILE"), help="only this, as JSON")
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="these models instead of all")
    options = parser.parse_args(arguments)
    if options.measure:
        wing, name, scores = options.measure
        print(json.dumps(measure(wing, name, Path(scores))))
        return 0
    from recbook import twins

    models = {}
    for name in options.only or [pair.name for pair in twins.pairs()]:
        models[name] = measure_both(name)
        print(words(name, models[name]), flush=True)
    results = {"models": models, "circumstances": shared.circumstances()}
    shared.print_circumstances(results)
    return shared.end(results, options.json, [])


if __name__ == "__main__":
    sys.exit(main())
