"""The scoreboard: every model that predicts ratings or ranks items, found in the package, under one protocol.

    make experiments ARGS=scoreboard

Rows whose own code and hyper-parameters are as they were are kept; `--all` measures everything anew.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recbook import results
from recbook.comparison import compare
from recbook.datasets import fetch_movielens
from recbook.errors import DataError
from recbook.evaluation import Report, evaluate
from recbook.interactions import Dataset
from recbook.recommender import Recommender
from recbook.splits import random_split
from recbook.tools.twins import wing

SCRIPT = Path(__file__).resolve()
SEEDS = [0, 1, 2]
TEST_SIZE = 0.2
RELEVANT = 4
RATING, LISTS = ["rmse", "mae"], ["ndcg@10", "recall@10", "coverage@10"]
# Which row a model's figure is held against: the best that needs no knowledge of who is asking whom.
YARDSTICKS = {"rmse": "BiasOnly", "ndcg@10": "Popularity"}
TWIN_TOLERANCE = 5e-4  # of a figure: float32 in another order may turn a near-tie
# With hidden layers a rounding grows from step to step: a ReLU is on here and off there, and from then on training
# goes another way. Of these the wings may differ as much as one training from the next.
MAGNIFYING = {"EmbeddingMLP", "MLP", "NeuMF"}

SECONDS = 25  # what a miniature may take, by the seconds that its rows once took
SPREADS = {}

TASKS = (
    "rating",
    "ranking",
)  # those of clicks and of the next item are measured on other splits, in their chapters


def models() -> dict[str, Recommender]:
    """Those of PyTorch's wing and the yardsticks, each with its defaults, by name: in the order of the book."""
    order = re.findall(r"chapters/(\w+)", (SCRIPT.parents[1] / "_toc.yml").read_text("utf-8"))
    classes = [cls for cls in [*wing("numpy").values(), *wing("torch").values()] if cls.task in TASKS]
    classes.sort(key=lambda cls: order.index(cls.__module__.rpartition(".")[2]))
    made = {cls.__name__: cls() for cls in classes}
    return {
        name: model.clone(device="cpu") if "device" in model.get_params() else model
        for name, model in made.items()
    }


MODELS = models()


def twin_module(model: Recommender) -> str | None:
    """The module of the Keras wing where the model has its twin; None for a yardstick, which has none."""
    module = type(model).__module__
    return module.replace("recbook.torch.", "recbook.keras.") if ".torch." in module else None


PROTOCOL = {
    "data": "MovieLens-100K, every rating",
    "split": f"random_split(test_size={TEST_SIZE}), seeds {SEEDS}: the same for every model",
    "parameters": "each model's defaults; a model that draws numbers gets the split's seed",
    "ratings": "RMSE and MAE over all pairs of test, clipped to the range of train; unknown ids get the model's prior",
    "candidates": "all items of train that the user has not rated there",
    "relevant": f"rating >= {RELEVANT} in test; a user without such a rating has no list",
    "lists": "length 10; of equal scores every order counts alike (expected value)",
    "recall": "denominator: all that is relevant to the user",
    "coverage": "share of the candidates that are in anybody's list",
    "spread": "mean and standard deviation (n - 1) over the seeds",
    "seconds": "of the processor, one thread, fit and evaluation, mean over the seeds",
    "better": "a paired bootstrap over users, 2,000 resamples: the 95 % interval excludes 0 in every seed",
    "wings": f"PyTorch; the Keras wing agrees within {TWIN_TOLERANCE} on seed {SEEDS[0]}; networks with hidden layers, "
    "whose training magnifies roundings, within a figure's standard deviation",
}


def measure(model: Recommender, train: Dataset, test: Dataset, seed: int) -> tuple[Report, dict[str, float]]:
    """The report of one model on one split, and seconds of the processor for fit and evaluation."""
    model = model.clone(**({"seed": seed} if "seed" in model.get_params() else {}))
    start = time.process_time()
    model.fit(train, progress=False)
    fitted = time.process_time()
    names = RATING + LISTS if model.task == "rating" else LISTS
    report = evaluate(model, test, names, relevant=RELEVANT)
    return report, {"fit": fitted - start, "evaluate": time.process_time() - fitted}


def row(model: Recommender, folds: dict[int, tuple], rivals: dict[str, dict[int, Report]]) -> dict[str, Any]:
    """One model's row: figures, verdicts against the yardsticks, seconds.

    folds : seed → (train, test);  rivals : metric → seed → the yardstick's report
    """
    found = {seed: measure(model, *fold, seed) for seed, fold in folds.items()}
    figures = {}
    for name in next(iter(found.values()))[0]:
        values = [report[name] for report, _ in found.values()]
        figures[name] = {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1)), "seeds": values}
    against = {}
    for metric, by_seed in rivals.items():
        if metric in figures:
            pairs = [compare(report, by_seed[seed], metric) for seed, (report, _) in found.items()]
            against[metric] = {
                "yardstick": YARDSTICKS[metric],
                "verdict": verdict([pair.winner for pair in pairs]),
                "differences": [pair.difference for pair in pairs],
                "intervals": [[pair.low, pair.high] for pair in pairs],
            }
    seconds = {
        part: float(np.mean([took[part] for _, took in found.values()])) for part in ("fit", "evaluate")
    }
    users = [report.protocol["ranked_users"] for report, _ in found.values()]
    return {"figures": figures, "against": against, "ranked_users": users, "seconds": seconds}


def verdict(winners: list[str | None]) -> str:
    """Of "a" is better, in every seed or not at all."""
    if len(set(winners)) == 1 and winners[0] is not None:
        return "better" if winners[0] == "a" else "worse"
    return "not told apart"


def twin_differences(model: Recommender, fold: tuple, figures: dict) -> dict[str, float]:
    """How far the Keras wing's figures are from those of PyTorch, on the first seed."""
    twin = importlib.import_module(twin_module(model))
    other = getattr(twin, type(model).__name__)(**model.get_params())
    report, _ = measure(other, *fold, SEEDS[0])
    return {name: abs(report[name] - figures[name]["seeds"][0]) for name in figures}


def allowed_difference(name: str, figure: dict) -> float:
    """How far the wings may be apart in one figure of the model of that name."""
    return max(TWIN_TOLERANCE, figure["sd"]) if name in MAGNIFYING else TWIN_TOLERANCE


def row_hash(model: Recommender) -> str:
    """Changes with what a row hangs on: the model, how it is measured, and its hyper-parameters."""
    name = type(model).__name__
    roots = ["row", "twin_differences", "SEEDS", "TEST_SIZE", "recbook.splits.random_split"]
    roots += [f"{module}.{name}" for module in (type(model).__module__, twin_module(model)) if module]
    roots += [f"{type(MODELS[one]).__module__}.{one}" for one in YARDSTICKS.values()]
    return f"{results.part_hash(SCRIPT, roots)[:32]} {model!r}"


def miniature(stored: dict[str, Any]) -> Iterator[tuple[tuple, float]]:
    """Of the rows whose code has changed, the cheapest that fit into SECONDS: all figures of the first seed.

    Where none has, of all rows. Of the very cheap ones, how far the Keras wing is off, too.
    """
    costs = {name: sum(one["seconds"].values()) for name, one in stored.items()}
    changed = [name for name, model in MODELS.items() if stored[name]["code"] != row_hash(model)]
    fold, spent = random_split(fetch_movielens("100k"), TEST_SIZE, SEEDS[0]), 0.0
    for name in sorted(changed or MODELS, key=costs.__getitem__):
        spent += costs[name]
        if spent > SECONDS and spent > costs[name]:
            return
        report, _ = measure(MODELS[name], *fold, SEEDS[0])
        found = {metric: {"seeds": [report[metric]]} for metric in stored[name]["figures"]}
        for metric, one in found.items():
            yield (name, "figures", metric, "seeds", 0), one["seeds"][0]
        if twin_module(MODELS[name]) and costs[name] < 1:
            for metric, difference in twin_differences(MODELS[name], fold, found).items():
                yield (name, "twin_differences", metric), difference


def stamped(stored: dict[str, Any]) -> dict[str, Any]:
    """The rows with the hashes of the code as it is, each with the day on which its hash was set without measuring.

    Raises DataError for a row that only a renewal can give.
    """
    rows, today = {}, datetime.date.today().isoformat()
    for name, model in MODELS.items():
        if name not in stored or stored[name]["model"] != repr(model):
            raise DataError(f"the row of {model!r} was never measured: {results.renewal(SCRIPT.stem)}")
        code = row_hash(model)
        rows[name] = stored[name] | (
            {} if stored[name]["code"] == code else {"code": code, "confirmed": today}
        )
    return rows


def main(everything: bool) -> None:
    ml = fetch_movielens("100k")
    data = {"name": ml.name, "sha256": ml.sha256}
    try:
        before = results.load(SCRIPT.stem)
    except DataError:
        before = {"figures": {}, "data": data}
    kept = before["figures"] if before["data"] == data and not everything else {}
    folds = {seed: random_split(ml, TEST_SIZE, seed) for seed in SEEDS}
    rivals = {
        metric: {seed: measure(MODELS[name], *fold, seed)[0] for seed, fold in folds.items()}
        for metric, name in YARDSTICKS.items()
    }
    figures = {}
    for name, model in MODELS.items():
        code = row_hash(model)
        if kept.get(name, {}).get("code") == code:
            figures[name] = kept[name]
            print(f"{name}: kept", flush=True)
            continue
        started = time.perf_counter()
        task = {"model": repr(model), "task": model.task, "code": code}
        figures[name] = task | row(model, folds, rivals)
        if twin_module(model):
            differences = twin_differences(model, folds[SEEDS[0]], figures[name]["figures"])
            for metric, difference in differences.items():
                if difference > allowed_difference(name, figures[name]["figures"][metric]):
                    raise SystemExit(
                        f"{name}: the wings differ by {difference:.2g} in {metric}; see tests/package/test_twins.py"
                    )
            figures[name]["twin_differences"] = differences
        short = {metric: round(one["mean"], 4) for metric, one in figures[name]["figures"].items()}
        print(f"{name}: {json.dumps(short)} in {time.perf_counter() - started:.0f} s", flush=True)
    path = results.record(SCRIPT, protocol=PROTOCOL, seeds=SEEDS, data=data, figures=figures)
    print(f"wrote {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="measure every row anew")
    main(parser.parse_args().all)
