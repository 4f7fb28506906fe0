"""Decompositions: how the defaults were chosen and confirmed, and how the time of a sweep grows with the ratings.

    make experiments ARGS=decomposition

Choice: a fifth of the first fold's train of MovieLens-100K is validation, the rest trains; the test rows of no fold
are looked at. Confirmation: the five folds of Surprise's protocol, each default as it then stood; the first fold's
train was used for the choice, the other four were not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402  (frameworks read the number of threads when they are imported)

import recbook.keras.decomposition as rk  # noqa: E402
import recbook.torch.decomposition as rt  # noqa: E402
from recbook import datasets, results, splits  # noqa: E402
from recbook.evaluation import evaluate  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402
from recbook.recommender import Recommender  # noqa: E402

SCRIPT = Path(__file__).resolve()
FOLDS = 5
MODELS = {
    "torch": {"ALS": rt.ALS, "PureSVD": rt.PureSVD, "PCA": rt.PCA},
    "keras": {"ALS": rk.ALS, "PureSVD": rk.PureSVD, "PCA": rk.PCA},
}
CHOICES: dict[str, list[dict]] = {
    "ALS": [
        *[{"factors": k, "reg": reg} for k in (8, 16, 32) for reg in (0.1, 0.15, 0.2)],
        *[{"factors": 16, "reg": reg, "weighted": False} for reg in (5.0, 10.0, 15.0, 20.0)],
        *[{"factors": 16, "reg": reg, "biased": False} for reg in (0.05, 0.1, 0.15)],
    ],
    "PureSVD": [{"factors": k} for k in (5, 10, 20, 40, 80)],
    "PCA": [{"factors": k} for k in (2, 5, 10, 20, 40)],
}
METRICS = {"ALS": "rmse", "PureSVD": "ndcg@10", "PCA": "rmse"}
PARTS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]
FEW, MANY, ROUNDS = 2, 7, 3
SPREADS = {}

PROTOCOL = {
    "data": "MovieLens-100K, every rating; for time 1,000,000 generated ratings and the first part of them",
    "choice": "random_split(test_size=0.2, seed=0) of the train of fold 0 of k_fold(5, seed=0); PyTorch",
    "confirmation": "k_fold(5, seed=0), defaults, both wings; RMSE clipped as train is, unknown ids by fallback",
    "ndcg@10": "every held-out rating is relevant; candidates are all items not rated in train",
    "time": f"CPU seconds of one thread: (fit of {MANY} epochs - fit of {FEW}) / {MANY - FEW}, the least of {ROUNDS}",
}


def quality(model: Recommender, train: Dataset, test: Dataset) -> float:
    metric = METRICS[type(model).__name__]
    return evaluate(model.fit(train, progress=False), test, [metric])[metric]


def choice(train: Dataset) -> dict[str, list[dict]]:
    """Each candidate's figure on validation data cut from `train`."""
    inner, validation = splits.random_split(train, 0.2, seed=0)

    def one(name: str, changes: dict) -> dict:
        model = MODELS["torch"][name](**changes, device="cpu")
        return {"arguments": changes, METRICS[name]: quality(model, inner, validation)}

    return {name: [one(name, changes) for changes in rows] for name, rows in CHOICES.items()}


def confirmation(folds: list) -> dict[str, dict]:
    """The defaults on every fold, by model and wing."""
    found = {}
    for name, metric in METRICS.items():
        by_wing = {
            wing: [quality(models[name](device="cpu"), *fold) for fold in folds]
            for wing, models in MODELS.items()
        }
        found[name] = {
            "metric": metric,
            **{wing: {"mean": float(np.mean(values)), "folds": values} for wing, values in by_wing.items()},
        }
    return found


def growth(data: Dataset) -> dict[str, list[dict]]:
    """CPU seconds of a sweep of ALS, by wing, for growing parts of the ratings."""

    def fit(cls, part: Dataset, epochs: int) -> float:
        start = time.process_time()
        cls(epochs=epochs, device="cpu").fit(part, progress=False)
        return time.process_time() - start

    found: dict[str, list[dict]] = {}
    for wing, models in MODELS.items():
        als, found[wing] = models["ALS"], []
        for share in PARTS:
            part = data.take(slice(0, int(share * len(data.interactions))))
            fit(als, part, 1)  # what is compiled once does not count
            spent = [(fit(als, part, MANY) - fit(als, part, FEW)) / (MANY - FEW) for _ in range(ROUNDS)]
            found[wing].append({"ratings": len(part.interactions), "seconds": min(spent)})
    return found


def miniature(stored: dict) -> Iterator[tuple[tuple, float]]:
    """The defaults on the first fold, both wings."""
    train, test = next(iter(splits.k_fold(datasets.fetch_movielens("100k"), FOLDS, seed=0)))
    for wing, models in MODELS.items():
        for name, cls in models.items():
            yield ("confirmation", name, wing, "folds", 0), quality(cls(device="cpu"), train, test)


def main() -> None:
    movielens = datasets.fetch_movielens("100k")
    folds = list(splits.k_fold(movielens, FOLDS, seed=0))
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
