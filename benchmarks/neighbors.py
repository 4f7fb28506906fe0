"""Times user neighbours with means side by side with Surprise, and measures the memory of a million ratings.

    python tasks.py bench neighbors                  # installs Surprise, then runs this
    python benchmarks/neighbors.py --json out.json

Time: fit and predict on the same five folds of MovieLens-100K, in turn (Surprise, PyTorch, Keras, Surprise, …):
a first round that does not count, then three; of each the best. Making each library's own table of the
training data is not timed. Each library has a process of its own, which sleeps while the others compute, and
its default number of threads. Run it on a machine that does nothing else: where seconds exceed CPU seconds, or
two rounds differ much, something else was running.
Memory: each wing in a process of its own, with the generated ratings of `datasets.make_ratings`.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402

from recbook import datasets  # noqa: E402

K, ROUNDS = 40, 3
TARGETS = {"torch": 8.0, "keras": 5.0}
TARGET_BYTES = 2 * 2**30
TITLES = {
    "surprise": "Surprise KNNWithMeans",
    "torch": "recbook.torch UserKNN",
    "keras": "recbook.keras UserKNN",
}

Contender = Callable[[int], np.ndarray]  # the number of a fold → predictions, NaN or the mean for unknown ids


def surprise_contender(folds: list) -> Contender:
    """Surprise's KNNWithMeans(k=40), whose similarity is MSD of users."""
    tables = shared.surprise_tables(folds, "neighbors")
    import surprise

    def run(fold: int) -> np.ndarray:
        trainset, testset = tables[fold]
        model = surprise.KNNWithMeans(k=K, verbose=False).fit(trainset)
        return np.array([p.est for p in model.test(testset)])

    return run


def wing_contender(wing: str, folds: list) -> Contender:
    """UserKNN with the same arguments; "torch" or "keras"."""
    module = importlib.import_module(f"recbook.{wing}")

    def run(fold: int) -> np.ndarray:
        train, test = folds[fold]
        model = module.UserKNN(k=K, similarity="msd", center="mean", shrinkage=0.0, device="cpu")
        model.fit(train, progress=False)
        return model.predict(test.interactions.users, test.interactions.items, unknown="nan")

    return run


def contend(name: str) -> None:
    """One contender's process: for every line that comes in, a round over all folds, and its result as JSON."""
    folds = shared.the_folds()
    run = surprise_contender(folds) if name == "surprise" else wing_contender(name, folds)
    for _ in sys.stdin:
        start, cpu_start = time.perf_counter(), time.process_time()
        predictions = [run(fold) for fold in range(len(folds))]
        spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
        print(json.dumps({**spent, **shared.errors(predictions, folds)}), flush=True)


def time_in_turn() -> dict[str, dict]:
    """Seconds of every round over all folds, the errors, and the ratio to Surprise, by contender."""
    with shared.Contenders(__file__, TITLES) as contenders:
        best = contenders.best(
            "go", ROUNDS, lambda name, found: f"{TITLES[name]:<24} {found['seconds']:7.2f} s"
        )
    return {
        name: {**found, "ratio": best["surprise"]["seconds"] / found["seconds"]}
        for name, found in best.items()
    }


def measure_memory(wing: str) -> dict[str, float]:
    """Peak resident memory of this process after fit, 1,000 predictions and lists for 10 users."""
    module = importlib.import_module(f"recbook.{wing}")
    data = datasets.make_ratings()
    x = data.interactions
    start = time.perf_counter()
    model = module.UserKNN(k=K, similarity="msd", center="mean", shrinkage=0.0, device="cpu")
    model.fit(data, progress=False)
    pairs = np.random.default_rng(0).integers(0, [x.n_users, x.n_items], (1000, 2))
    scores = model.predict(x.user_ids[pairs[:, 0]], x.item_ids[pairs[:, 1]])
    lists = model.recommend(x.user_ids[:10], k=10)
    return {
        "wing": wing,
        "ratings": len(x),
        "predictions": int(np.isfinite(scores).sum()),
        "recommendations": len(lists),
        "seconds": time.perf_counter() - start,
        "peak_bytes": shared.peak_bytes(),
    }


def print_table(results: dict) -> None:
    print(
        f"\nfit + predict, {shared.FOLDS} folds of MovieLens-100K, k = {K}, MSD, centred on the user's mean"
    )
    print(f"{'':<24} {'seconds':>8} {'CPU s':>6} {'RMSE':>7} {'MAE':>7} {'ratio':>7} {'target':>7}")
    for name, found in results["time"].items():
        target = f"{TARGETS[name]:.0f} ×" if name in TARGETS else ""
        ratio = f"{found['ratio']:.1f} ×"
        figures = (
            f"{found['seconds']:8.2f} {found['cpu_seconds']:6.2f} {found['rmse']:7.4f} {found['mae']:7.4f}"
        )
        print(f"{TITLES[name]:<24} {figures} {ratio:>7} {target:>7}")
    print("\n1,000,000 generated ratings, 6,000 × 3,700: fit, 1,000 predictions, lists for 10 users")
    for name, found in results["memory"].items():
        print(
            f"{TITLES[name]:<24} {found['seconds']:8.2f} s   peak {found['peak_bytes'] / 2**30:.2f} GiB (target 2.00)"
        )
    shared.print_circumstances(results)


def missed(results: dict) -> list[str]:
    slow = [name for name, target in TARGETS.items() if results["time"][name]["ratio"] < target]
    large = [name for name, found in results["memory"].items() if found["peak_bytes"] > TARGET_BYTES]
    return [f"{name} is too slow" for name in slow] + [f"{name} takes too much memory" for name in large]


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--measure-memory", choices=shared.WINGS, help="only this, in this process, as JSON")
    parser.add_argument("--contend", choices=list(TITLES), help="only this, for the lines that come in")
    options = parser.parse_args(arguments)
    if options.contend:
        contend(options.contend)
        return 0
    if options.measure_memory:
        print(json.dumps(measure_memory(options.measure_memory)))
        return 0
    memory = {wing: shared.memory_in_own_process(__file__, wing) for wing in shared.WINGS}
    circumstances = shared.circumstances("scikit-surprise")
    results = {"time": time_in_turn(), "memory": memory, "circumstances": circumstances}
    print_table(results)
    row = shared.beside("UserKNN: fit and predict, five folds", results["time"], "surprise", "Surprise 1.1.5")
    return shared.end(results, options.json, missed(results), [row])


if __name__ == "__main__":
    sys.exit(main())
