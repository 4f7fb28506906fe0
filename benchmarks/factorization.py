"""Times matrix factorisation, SVD++ and NMF side by side with Surprise.

    python tasks.py bench factorization              # installs Surprise, then runs this
    python benchmarks/factorization.py --json out.json

The same five folds of MovieLens-100K, in turn (Surprise, PyTorch, Keras, Surprise, …): a first round that does not
count, then three; of each the best. Timed is the fit; making each library's own table is not, and neither is
predicting, which is shown beside it. Surprise runs its defaults. Ours run theirs, but for MatrixFactorization's
epochs: it stops after `EPOCHS_TO_934`, where its RMSE is at most .934, Surprise's own. Each library has a process
of its own, which sleeps while the others compute, and its default number of threads. Run it on a machine that does
nothing else: where seconds exceed CPU seconds, or two rounds differ much, something else was running.
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

MODELS = {"MatrixFactorization": "SVD", "SVDpp": "SVDpp", "NMF": "NMF"}
EPOCHS_TO_934 = 3
ROUNDS = 3
LIBRARIES = ("surprise", "torch", "keras")
# How many times as fast as Surprise's fit at least, and the largest RMSE; of MatrixFactorization by wing.
TARGETS = {
    "MatrixFactorization": ({"torch": 1.0, "keras": 0.5}, 0.934),
    "SVDpp": ({"torch": 3.0, "keras": 3.0}, 0.912),
    "NMF": ({"torch": 3.0, "keras": 3.0}, 0.945),
}

Contender = Callable[
    [str, int], tuple[float, float, np.ndarray]
]  # model, fold → seconds of fit, all, predictions


def surprise_contender(folds: list) -> Contender:
    tables = shared.surprise_tables(folds, "factorization")
    import surprise

    def run(name: str, fold: int) -> tuple[float, float, np.ndarray]:
        trainset, testset = tables[fold]
        start = time.perf_counter()
        model = getattr(surprise, MODELS[name])(random_state=0).fit(trainset)
        fitted = time.perf_counter()
        predictions = np.array([p.est for p in model.test(testset)])
        return fitted - start, time.perf_counter() - start, predictions

    return run


def wing_contender(wing: str, folds: list) -> Contender:
    module = importlib.import_module(f"recbook.{wing}")

    def run(name: str, fold: int) -> tuple[float, float, np.ndarray]:
        train, test = folds[fold]
        changes = {"epochs": EPOCHS_TO_934} if name == "MatrixFactorization" else {}
        start = time.perf_counter()
        model = getattr(module, name)(device="cpu", **changes).fit(train, progress=False)
        fitted = time.perf_counter()
        y = test.interactions
        predictions = model.predict(y.users, y.items, unknown="fallback")
        return fitted - start, time.perf_counter() - start, predictions

    return run


def contend(library: str) -> None:
    """One library's process: for every model's name that comes in, a round over all folds, its result as JSON."""
    folds = shared.the_folds()
    run = surprise_contender(folds) if library == "surprise" else wing_contender(library, folds)
    for line in sys.stdin:
        cpu_start = time.process_time()
        name = json.loads(line)
        fits, wholes, predictions = zip(*(run(name, fold) for fold in range(len(folds))), strict=True)
        spent = {
            "seconds": sum(fits),
            "with_predict": sum(wholes),
            "cpu_seconds": time.process_time() - cpu_start,
        }
        print(json.dumps({**spent, **shared.errors(list(predictions), folds)}), flush=True)


def time_in_turn() -> dict[str, dict[str, dict]]:
    """The best round of every model by library, with its ratio to Surprise's fit."""
    found = {}
    with shared.Contenders(__file__, LIBRARIES) as contenders:
        for model in MODELS:

            def words(library: str, one: dict, model: str = model) -> str:
                return f"{model:<20} {library:<9} {one['seconds']:7.2f} s"

            best = contenders.best(model, ROUNDS, words)
            theirs = best["surprise"]["seconds"]
            found[model] = {name: {**one, "ratio": theirs / one["seconds"]} for name, one in best.items()}
    return found


def print_table(results: dict) -> None:
    print("\nfit, five folds of MovieLens-100K; ratio: Surprise's fit by ours")
    print(
        f"{'':<20} {'':<9} {'fit s':>8} {'+ predict':>9} {'CPU s':>7} {'RMSE':>7} {'ratio':>7} {'target':>7}"
    )
    for model, by_library in results["time"].items():
        for name, one in by_library.items():
            target = f"{TARGETS[model][0][name]:.1f} ×" if name != "surprise" else ""
            figures = f"{one['seconds']:8.2f} {one['with_predict']:9.2f} {one['cpu_seconds']:7.2f} {one['rmse']:7.4f}"
            print(f"{model:<20} {name:<9} {figures} {one['ratio']:5.1f} × {target:>7}")
    print(
        f"\nMatrixFactorization: {EPOCHS_TO_934} epochs, to Surprise's RMSE of .934; all else at its defaults"
    )
    shared.print_circumstances(results)


def missed(results: dict) -> list[str]:
    behind = []
    for model, by_library in results["time"].items():
        ratios, limit = TARGETS[model]
        for name, ratio in ratios.items():
            if by_library[name]["ratio"] < ratio:
                behind.append(f"{model} in {name} is too slow")
            if by_library[name]["rmse"] > limit:
                behind.append(f"{model} in {name} has an RMSE above {limit}")
    return behind


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--contend", choices=LIBRARIES, help="only this, for the lines that come in")
    options = parser.parse_args(arguments)
    if options.contend:
        contend(options.contend)
        return 0
    results = {"time": time_in_turn(), "circumstances": shared.circumstances("scikit-surprise")}
    print_table(results)
    rows = [
        shared.beside(f"{model}: fit, five folds", found, "surprise", "Surprise 1.1.5")
        for model, found in results["time"].items()
    ]
    return shared.end(results, options.json, missed(results), rows)


if __name__ == "__main__":
    sys.exit(main())
