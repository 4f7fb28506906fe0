"""Factorisation: how the defaults were chosen and confirmed, and how an epoch's time grows with the ratings.

    make experiments ARGS=factorization

Choice: a fifth of the first fold's train of MovieLens-100K is validation, the rest trains; the test rows of no fold
are looked at. Confirmation: the five folds of Surprise's protocol; the first fold's train was used for the choice,
the other four were not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402  (frameworks read the number of threads when they are imported)

import recbook.keras.factorization as rk  # noqa: E402
import recbook.torch.factorization as rt  # noqa: E402
from recbook import datasets, results, splits  # noqa: E402
from recbook.evaluation import evaluate  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402
from recbook.recommender import Recommender  # noqa: E402

SCRIPT = Path(__file__).resolve()
MODELS = {
    "torch": {"MatrixFactorization": rt.MatrixFactorization, "SVDpp": rt.SVDpp, "NMF": rt.NMF},
    "keras": {"MatrixFactorization": rk.MatrixFactorization, "SVDpp": rk.SVDpp, "NMF": rk.NMF},
}
# What was tried around each default, one change at a time.
CHOICES: dict[str, list[dict]] = {
    "MatrixFactorization": [{}, {"reg": 0.1}, {"reg": 0.15}, {"factors": 50}, {"learning_rate": 0.03}],
    "SVDpp": [{}, {"reg": 0.1}, {"reg_implicit": 1.0}, {"factors": 20}, {"epochs": 20}],
    "NMF": [{}, {"reg": 0.05}, {"reg": 0.2}, {"factors": 15}, {"epochs": 40}],
}
PARTS = [1 / 8, 1 / 4, 1 / 2, 1]
FEW, MANY = 1, 3
SPREADS = {}

PROTOCOL = {
    "data": "MovieLens-100K, every rating; for time 1,000,000 generated ratings and the first part of them",
    "choice": "random_split(test_size=0.2, seed=0) of the train of fold 0 of k_fold(5, seed=0); PyTorch",
    "confirmation": "k_fold(5, seed=0), defaults, both wings; RMSE clipped as train is, unknown ids by fallback",
    "time": f"CPU seconds of one epoch: (fit of {MANY} epochs - fit of {FEW}) / {MANY - FEW}; defaults",
}


def quality(model: Recommender, train: Dataset, test: Dataset) -> dict[str, float]:
    report = evaluate(model.fit(train, progress=False), test, ["rmse", "mae"])
    return {"rmse": report["rmse"], "mae": report["mae"]}


def choice(train: Dataset) -> dict[str, list[dict]]:
    """Each candidate's figure on validation data cut from `train`."""
    inner, validation = splits.random_split(train, 0.2, seed=0)
    return {
        name: [
            {
                "arguments": changes,
                **quality(MODELS["torch"][name](**changes, device="cpu"), inner, validation),
            }
            for changes in rows
        ]
        for name, rows in CHOICES.items()
    }


def confirmation(folds: list) -> dict[str, dict]:
    """The defaults on every fold, by model and wing."""
    found: dict[str, dict] = {name: {} for name in CHOICES}
    for name in CHOICES:
        for wing, models in MODELS.items():
            rows = [quality(models[name](device="cpu"), *fold) for fold in folds]
            found[name][wing] = {
                metric: {
                    "mean": float(np.mean([r[metric] for r in rows])),
                    "folds": [r[metric] for r in rows],
                }
                for metric in ("rmse", "mae")
            }
    return found


def growth(data: Dataset) -> dict[str, dict[str, list[dict]]]:
    """CPU seconds of an epoch, by model and wing, for growing parts of the ratings."""

    def fit(cls, part: Dataset, epochs: int) -> float:
        start = time.process_time()
        cls(epochs=epochs, device="cpu").fit(part, progress=False)
        return time.process_time() - start

    found: dict[str, dict[str, list[dict]]] = {name: {wing: [] for wing in MODELS} for name in CHOICES}
    for name in CHOICES:
        for wing, models in MODELS.items():
            cls = models[name]
            fit(cls, data.take(slice(0, 1000)), FEW)  # what a first call starts up is not counted
            for share in PARTS:
                part = data.take(slice(0, int(share * len(data.interactions))))
                spent = (fit(cls, part, MANY) - fit(cls, part, FEW)) / (MANY - FEW)
                found[name][wing].append({"ratings": len(part.interactions), "seconds": spent})
                print(name, wing, found[name][wing][-1], flush=True)
    return found


def miniature(stored: dict) -> Iterator[tuple[tuple, float]]:
    """The defaults on the first fold, both wings."""
    train, test = next(iter(splits.k_fold(datasets.fetch_movielens("100k"), 5, seed=0)))
    for wing, models in MODELS.items():
        for name, cls in models.items():
            for metric, value in quality(cls(device="cpu"), train, test).items():
                yield ("confirmation", name, wing, metric, "folds", 0), value


def main() -> None:
    movielens = datasets.fetch_movielens("100k")
    folds = list(splits.k_fold(movielens, 5, seed=0))
    figures = {
        "choice": choice(folds[0][0]),
        "confirmation": confirmation(folds),
        "growth": growth(datasets.make_ratings()),
    }
    path = results.record(
        SCRIPT,
        protocol=PROTOCOL,
        seeds=[0],
        data={"name": "MovieLens-100K", "sha256": movielens.sha256},
        figures=figures,
    )
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
