"""Neural collaborative filtering beside what it was to replace: one split, one tuning budget, paired bootstrap.

    make experiments ARGS=ncf

MovieLens-100K, three quarters of each film's ratings for training, every rating a positive. Each model gets the same
number of random trials on the same validation data, cut from train; the best setting is then trained on all of
train with seeds that took no part in the choice, and measured on test over all films not seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from recbook import comparison, datasets, results, splits, tuning  # noqa: E402  (threads are set first)
from recbook.baselines import Popularity  # noqa: E402
from recbook.evaluation import Report, evaluate  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402
from recbook.recommender import Recommender  # noqa: E402
from recbook.torch.decomposition import PureSVD  # noqa: E402
from recbook.torch.factorization import MatrixFactorization  # noqa: E402
from recbook.torch.implicit import EASE, ImplicitALS  # noqa: E402
from recbook.torch.ncf import GMF, MLP, NeuMF  # noqa: E402

SCRIPT = Path(__file__).resolve()
TRIALS, SEEDS = 5, (1, 2)
METRICS = ["ndcg@10", "recall@10", "hit_rate@10"]
CPU = {"device": "cpu"}
STEPS = {"learning_rate": (0.002, 0.02, "log"), "epochs": [4, 8, 12], "reg": (0.003, 0.03, "log")}
LAYERS = STEPS | {"reg_layers": (1e-5, 1e-3, "log")}

# Name → (model, what is searched). A further model is one further line.
MODELS: dict[str, tuple[Recommender, dict]] = {
    "PureSVD": (PureSVD(**CPU), {"factors": [5, 10, 15, 20, 30, 40, 60]}),
    "EASE": (EASE(**CPU), {"reg": (50.0, 2000.0, "log")}),
    "ImplicitALS": (ImplicitALS(**CPU), {"factors": [16, 32, 64, 128], "reg": (0.003, 0.3, "log")}),
    "logistic MF": (MatrixFactorization(loss="logistic", factors=32, batch_size=2048, **CPU), STEPS),
    "GMF": (GMF(factors=32, **CPU), STEPS),
    "MLP": (MLP(factors=32, layers=(32, 16, 8), **CPU), LAYERS),
    "NeuMF 8": (NeuMF(factors=8, mlp_factors=16, layers=(16, 8), **CPU), LAYERS),
    "NeuMF 32": (NeuMF(factors=32, mlp_factors=64, layers=(64, 32), **CPU), LAYERS),
}
BASELINE = "logistic MF"
FAST = ("PureSVD", "EASE", "ImplicitALS", "logistic MF", "GMF")
SPREADS = {}

PROTOCOL = {
    "data": "MovieLens-100K, every rating is a positive",
    "split": "stratified_split(by='item', test_size=0.25, seed=0)",
    "choice": f"random_search(n_trials={TRIALS}, seed=0, metric='ndcg@10'); a fifth of train is validation; PyTorch",
    "test": f"the best setting on all of train, seeds {SEEDS}; all films not seen in train; expected value over ties",
    "interval": "paired bootstrap over users, 2,000 resamples, 95 %",
}


def fitted(model: Recommender, train: Dataset, test: Dataset) -> Report:
    return evaluate(model.fit(train, progress=False), test, METRICS)


def figures_of(report: Report) -> dict[str, float]:
    return {metric: float(report[metric]) for metric in METRICS}


def one(model: Recommender, space: dict, train: Dataset, test: Dataset) -> tuple[dict, list[Report]]:
    """What the search found, and a report for each seed."""
    start = time.process_time()
    found = tuning.random_search(model, space, train, "ndcg@10", TRIALS, seed=0, progress=False)
    spent = time.process_time() - start
    seeded = "seed" in model.get_params()
    changes = [{"seed": seed} if seeded else {} for seed in SEEDS]
    reports = [fitted(model.clone(**found.params, **change), train, test) for change in changes]
    row = {
        "chosen": found.params,
        "validation": found.figure,
        "validation of all trials": found.trials["ndcg@10"].tolist(),
        "CPU seconds of the search": spent,
        "test": [figures_of(report) for report in reports],
    }
    return row, reports


def against(a: list[Report], b: list[Report]) -> list[dict]:
    """b minus a in nDCG@10, seed by seed."""
    rows = []
    for left, right in zip(a, b, strict=True):
        found = comparison.compare(right, left, "ndcg@10")
        rows.append({"difference": found.difference, "low": found.low, "high": found.high})
    return rows


def fold() -> tuple[Dataset, Dataset, str]:
    """train, test, and the sha256 of what they are parts of"""
    movielens = datasets.fetch_movielens("100k")
    return *splits.stratified_split(movielens, by="item", test_size=0.25, seed=0), movielens.sha256


def miniature(stored: dict) -> Iterator[tuple[tuple, float]]:
    """The chosen settings of the models that train fast, on the first seed."""
    train, test, _ = fold()
    for metric, value in figures_of(fitted(Popularity(), train, test)).items():
        yield ("popularity", metric), value
    for name in FAST:
        model, _ = MODELS[name]
        seed = {"seed": SEEDS[0]} if "seed" in model.get_params() else {}
        report = fitted(model.clone(**stored["models"][name]["chosen"], **seed), train, test)
        for metric, value in figures_of(report).items():
            yield ("models", name, "test", 0, metric), value


def main() -> None:
    train, test, sha256 = fold()
    rows, reports = {}, {}
    for name, (model, space) in MODELS.items():
        rows[name], reports[name] = one(model, space, train, test)
        print(name, rows[name]["chosen"], rows[name]["test"][0], flush=True)
    figures = {
        "popularity": figures_of(fitted(Popularity(), train, test)),
        "models": rows,
        "baseline": BASELINE,
        "against the baseline": {
            name: against(reports[BASELINE], reports[name]) for name in MODELS if name != BASELINE
        },
    }
    path = results.record(
        SCRIPT,
        protocol=PROTOCOL,
        seeds=[0, *SEEDS],
        data={"name": "MovieLens-100K", "sha256": sha256},
        figures=figures,
    )
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
