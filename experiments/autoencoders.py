"""Autoencoders: how the defaults were chosen, what β and annealing do, and how far a figure hangs on the seed.

    make experiments ARGS=autoencoders

Choice, β and the curves: validation data cut from the train of the first split; its test rows are not looked at. The
confirmation looks at test rows once, with the defaults as they then stood.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402  (frameworks read the number of threads when they are imported)

import recbook.keras.autoencoders as rk  # noqa: E402
import recbook.torch.autoencoders as rt  # noqa: E402
from recbook import datasets, results, splits  # noqa: E402
from recbook.baselines import Popularity  # noqa: E402
from recbook.comparison import compare  # noqa: E402
from recbook.evaluation import evaluate  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402
from recbook.torch.factorization import MatrixFactorization  # noqa: E402

SCRIPT = Path(__file__).resolve()
SEEDS = [0, 1, 2]
BETAS = {0: [0.0, 0.1, 0.5, 2.0], 20: [0.5, 2.0]}  # by epochs of annealing
CURVES = [0, 1, 2]  # seeds of the models alone, on one split
MODELS = {"AutoRec": rt.AutoRec, "MultVAE": rt.MultVAE, "CFGAN": rt.CFGAN}
CHOICES: dict[str, list[dict]] = {  # the defaults of those who rank are the first of the curves
    "AutoRec": [{}, {"reg": 3.0}],
    "MultVAE": [{"reg": 0.005}, {"dropout": 0.0}],
    "CFGAN": [{"shown": 0.0}],
}

BEGINNING = 3  # epochs of a curve in a miniature
SPREADS = {}

PROTOCOL = {
    "data": "MovieLens-100K, every rating",
    "ratings": f"random_split(test_size=0.1), seeds {SEEDS}; RMSE clipped to the range of train, unknown ids by "
    "fallback",
    "lists": f"stratified_split(by='item', test_size=0.25), seeds {SEEDS}; every held-out rating is relevant; "
    "candidates are all items of train that the user has not met there; nDCG@10, ties by expected value",
    "choice": "the same split once more, of the train of seed 0: its second part is validation data; PyTorch",
    "beta": "nDCG@10 on that validation data, seed 0, by β and annealing: last epoch and best; KL in nats a user",
    "curves": f"nDCG@10 on that validation data after every epoch; one split, the model's seed is one of {CURVES}; "
    "the game alone has zeros_weight=0; floor is popularity there",
    "strangers": f"held_out_users(test_size=0.1, fold_in=0.8), seeds {SEEDS}: nDCG@10 of people who are not in train, "
    "from 80 % of their rows; every other row of theirs is relevant",
    "confirmation": "defaults; a model that draws numbers gets the split's seed; Keras and rows of users on seed 0",
    "better": "a paired bootstrap over users, 2,000 resamples: the 95 % interval excludes 0 in every seed",
}


def validated(model, train: Dataset, validation: Dataset) -> list[float]:
    """The measure on validation data after each epoch: RMSE, or nDCG@10."""
    model.fit(train, validation, progress=False)
    if model.task == "rating":
        return [record["validation_rmse"] for record in model.history_]
    return [1 - record["validation_error"] for record in model.history_]


def choice(parts: dict[str, tuple]) -> dict[str, list[dict]]:
    found = {}
    for name, rows in CHOICES.items():
        found[name] = []
        for changes in rows:
            model = MODELS[name](**changes, device="cpu")
            curve = validated(model, *parts[model.task])
            best = min(curve) if model.task == "rating" else max(curve)
            found[name].append({"arguments": changes, "last": curve[-1], "best": best})
    return found


def divergence(model, train: Dataset) -> float:
    """KL(q(z|x) ‖ N(0, 1)) in nats, the mean over the users of train."""
    rows = model._rows(model._train).filled(np.arange(len(model.user_ids_)))
    row = model._to_tensor(rows)
    centre, log_variance = (model._to_numpy(one).astype(float) for one in model.network.encode(row, row))
    return float(0.5 * (np.exp(log_variance) + centre**2 - 1 - log_variance).sum(1).mean())


def sweep(train: Dataset, validation: Dataset) -> list[dict]:
    found = []
    for annealing, betas in BETAS.items():
        for beta in betas:
            model = rt.MultVAE(beta=beta, annealing=annealing, device="cpu")
            curve = validated(model, train, validation)
            figures = {"last": curve[-1], "best": max(curve), "kl": divergence(model, train)}
            found.append({"beta": beta, "annealing": annealing, **figures})
    return found


def curved() -> dict[str, rt.MultVAE | rt.CFGAN]:
    return {
        "MultVAE": rt.MultVAE(device="cpu"),
        "CFGAN": rt.CFGAN(device="cpu"),
        "CFGAN, the game alone": rt.CFGAN(zeros_weight=0.0, device="cpu"),
    }


def curves(train: Dataset, validation: Dataset) -> dict[str, list[list[float]]]:
    return {
        name: [validated(model.clone(seed=seed), train, validation) for seed in CURVES]
        for name, model in curved().items()
    }


def ratings(data: Dataset) -> dict:
    """RMSE by model and seed, and AutoRec against factorisation."""
    models = {
        "AutoRec, rows of items": lambda seed: rt.AutoRec(seed=seed, device="cpu"),
        "MatrixFactorization": lambda seed: MatrixFactorization(seed=seed, device="cpu"),
    }
    once = {
        "AutoRec, rows of items, Keras": rk.AutoRec(device="cpu"),
        "AutoRec, rows of users": rt.AutoRec(rows="users", device="cpu"),
    }
    folds = {seed: splits.random_split(data, 0.1, seed=seed) for seed in SEEDS}
    return measured(models, once, folds, "rmse")


def lists(data: Dataset) -> dict:
    """nDCG@10 by model and seed, and Mult-VAE against the adversarial model."""
    models = {
        "MultVAE": lambda seed: rt.MultVAE(seed=seed, device="cpu"),
        "CFGAN": lambda seed: rt.CFGAN(seed=seed, device="cpu"),
        "Popularity": lambda seed: Popularity(),
    }
    folds = {seed: splits.stratified_split(data, by="item", test_size=0.25, seed=seed) for seed in SEEDS}
    return measured(models, {"MultVAE, Keras": rk.MultVAE(device="cpu")}, folds, "ndcg@10")


def strangers(data: Dataset) -> dict[str, list[float]]:
    """nDCG@10 of people held out, by model and seed."""
    found = {"MultVAE": [], "Popularity": []}
    for seed in SEEDS:
        train, history, targets = splits.held_out_users(data, test_size=0.1, fold_in=0.8, seed=seed)
        for model in (rt.MultVAE(seed=seed, device="cpu"), Popularity()):
            report = evaluate(model.fit(train, progress=False), targets, ["ndcg@10"], histories=history)
            found[type(model).__name__].append(report["ndcg@10"])
    return found


def measured(models: dict, once: dict, folds: dict, metric: str) -> dict:
    """models : by name, made of a seed, measured on all folds, the first two compared;  once : on seed 0 alone"""

    def report(model, seed: int):
        train, test = folds[seed]
        return evaluate(model.fit(train, progress=False), test, [metric])

    reports = {name: [report(make(seed), seed) for seed in folds] for name, make in models.items()}
    reports |= {name: [report(model, SEEDS[0])] for name, model in once.items()}
    a, b = list(models)[:2]
    against = [compare(one, other, metric) for one, other in zip(reports[a], reports[b], strict=True)]
    figures = {name: [one[metric] for one in found] for name, found in reports.items()}
    return {
        "metric": metric,
        "models": {name: {"mean": float(np.mean(v)), "seeds": v} for name, v in figures.items()},
        "against": {
            "models": [a, b],
            "differences": [one.difference for one in against],
            "intervals": [[one.low, one.high] for one in against],
            "winners": [one.winner for one in against],
        },
    }


def miniature(stored: dict) -> Iterator[tuple[tuple, float]]:
    """Fast models of the confirmation on the first seed, and the beginnings of the curves."""
    data, seed = datasets.fetch_movielens("100k"), SEEDS[0]

    def figure(model, train: Dataset, test: Dataset, metric: str) -> float:
        return evaluate(model.fit(train, progress=False), test, [metric])[metric]

    fold = splits.random_split(data, 0.1, seed=seed)
    for name, model in {
        "AutoRec, rows of items": rt.AutoRec(seed=seed, device="cpu"),
        "AutoRec, rows of items, Keras": rk.AutoRec(device="cpu"),
    }.items():
        yield ("ratings", "models", name, "seeds", 0), figure(model, *fold, "rmse")
    fold = splits.stratified_split(data, by="item", test_size=0.25, seed=seed)
    for name, model in {
        "Popularity": Popularity(),
        "MultVAE": rt.MultVAE(seed=seed, device="cpu"),
        "MultVAE, Keras": rk.MultVAE(device="cpu"),
    }.items():
        yield ("lists", "models", name, "seeds", 0), figure(model, *fold, "ndcg@10")
    parts = splits.stratified_split(fold[0], by="item", test_size=0.25, seed=0)
    for name, model in curved().items():
        for epoch, value in enumerate(validated(model.clone(seed=seed, epochs=BEGINNING), *parts)):
            yield ("curves", name, 0, epoch), value


def main() -> None:
    movielens = datasets.fetch_movielens("100k")
    of_ratings = splits.random_split(splits.random_split(movielens, 0.1, seed=0)[0], 0.1, seed=0)
    stratified = {"by": "item", "test_size": 0.25, "seed": 0}
    of_lists = splits.stratified_split(splits.stratified_split(movielens, **stratified)[0], **stratified)
    figures = {
        "ratings": ratings(movielens),
        "lists": lists(movielens),
        "strangers": strangers(movielens),
        "choice": choice({"rating": of_ratings, "ranking": of_lists}),
        "beta": sweep(*of_lists),
        "curves": curves(*of_lists),
        "floor": evaluate(Popularity().fit(of_lists[0]), of_lists[1], ["ndcg@10"], unknown="fallback")[
            "ndcg@10"
        ],
    }
    path = results.record(
        SCRIPT,
        protocol=PROTOCOL,
        seeds=SEEDS,
        data={"name": "MovieLens-100K", "sha256": movielens.sha256},
        figures=figures,
    )
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
