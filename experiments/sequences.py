"""Sequences on MovieLens-100K: who ranks the next film, what the order is worth, how the defaults were chosen.

    make experiments ARGS=sequences

Choice: validation data, everybody's last row of train; test rows are not looked at. The confirmation looks at test rows
once, with the defaults as they then stood.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402  (frameworks read the number of threads when they are imported)

import recbook.keras.sequences as rk  # noqa: E402
import recbook.torch.sequences as rt  # noqa: E402
from recbook import datasets, results, splits  # noqa: E402
from recbook.baselines import Popularity  # noqa: E402
from recbook.chains import MarkovChain  # noqa: E402
from recbook.comparison import compare  # noqa: E402
from recbook.evaluation import Report, evaluate  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402
from recbook.next_items import shuffled  # noqa: E402
from recbook.torch.implicit import BPR, EASE  # noqa: E402

SCRIPT = Path(__file__).resolve()
SEEDS = [0, 1, 2]
METRICS = ["hit_rate@10", "ndcg@10"]
ASKED = "GRU4Rec, asked on shuffled histories"
CHOICES: list[dict] = [{}, {"epochs": 25}, {"reg": 3e-5}]

SPREADS = {}

PROTOCOL = {
    "data": "MovieLens-100K, every rating",
    "split": "leave_last_out, rows of one time in the order of the file; everybody's last row is the target",
    "lists": "candidates are all items of train that the user has not met there; ties by expected value; targets that "
    "train does not have count as missed",
    "models": f"defaults; a model that draws numbers has the seeds {SEEDS}; Keras, and the models that draw none, once",
    "order": "GRU4Rec trained on the same events, each person's in random order; and that of the true order, "
    "asked with shuffled histories",
    "choice": "GRU4Rec on PyTorch, seed 0, on everybody's last row of train: of the last epoch",
    "ties": "neighbouring: the share of neighbours in a person's history that have one time; last: the share of people "
    "whose last two rows have one time",
    "better": "nDCG@10, a paired bootstrap over users, 2,000 resamples: the 95 % interval excludes 0 in every seed",
}


def ties(data: Dataset) -> dict[str, float]:
    x = data.interactions
    order = np.lexsort((x.timestamps, x.user_codes))
    user, time = x.user_codes[order], x.timestamps[order]
    same = user[1:] == user[:-1]
    tied = same & (time[1:] == time[:-1])
    last = np.append(user[1:] != user[:-1], True)
    return {"neighbouring": float(tied[same].mean()), "last": float(np.append(False, tied)[last].mean())}


def report(model, train: Dataset, test: Dataset) -> Report:
    return evaluate(model.fit(train, progress=False), test, METRICS, unknown="fallback")


def choice(train: Dataset, validation: Dataset) -> list[dict]:
    found = []
    for changes in CHOICES:
        model = rt.GRU4Rec(**changes, device="cpu")
        measured = report(model, train, validation)
        found.append({"arguments": changes, "metrics": {name: measured[name] for name in METRICS}})
    return found


def miniature(stored: dict) -> Iterator[tuple[tuple, float]]:
    """The fastest models of each kind, on the first seed."""
    movielens, seed = datasets.fetch_movielens("100k"), SEEDS[0]
    train, test = splits.leave_last_out(movielens)
    for name, value in ties(movielens).items():
        yield ("ties", name), value
    for name, model, data in [
        ("Popularity", Popularity(), train),
        ("MarkovChain", MarkovChain(), train),
        ("MarkovChain, shuffled", MarkovChain(), shuffled(train, seed=0)),
        ("EASE", EASE(device="cpu"), train),
        ("GRU4Rec, gru", rt.GRU4Rec(cell="gru", seed=seed, device="cpu"), train),
    ]:
        found = report(model, data, test)
        for metric in METRICS:
            yield ("models", name, metric, "seeds", 0), found[metric]


def main() -> None:
    movielens = datasets.fetch_movielens("100k")
    train, test = splits.leave_last_out(movielens)
    mixed = shuffled(train, seed=0)
    cells = {f"GRU4Rec, {cell}": cell for cell in ("gru", "lstm", "rnn")}
    reports = {name: [] for name in cells} | {ASKED: []}
    for name, cell in cells.items():
        for seed in SEEDS:
            model = rt.GRU4Rec(cell=cell, seed=seed, device="cpu")
            reports[name].append(report(model, train, test))
            if cell == "gru":
                asked = evaluate(model, test, METRICS, histories=mixed, unknown="fallback")
                reports[ASKED].append(asked)
    reports["GRU4Rec, trained and asked on shuffled histories"] = [
        report(rt.GRU4Rec(seed=seed, device="cpu"), mixed, test) for seed in SEEDS
    ]
    reports["BPR"] = [report(BPR(seed=seed, device="cpu"), train, test) for seed in SEEDS]
    once = {
        "GRU4Rec, gru, Keras": rk.GRU4Rec(device="cpu"),
        "Popularity": Popularity(),
        "MarkovChain": MarkovChain(),
        "MarkovChain, shuffled": None,
        "EASE": EASE(device="cpu"),
    }
    for name, model in once.items():
        data = mixed if model is None else train
        reports[name] = [report(model or MarkovChain(), data, test)]
    ours = reports["GRU4Rec, gru"]
    against = {}
    for name, other in reports.items():
        if name not in ("GRU4Rec, gru", ASKED):  # what is asked has candidates of its own
            pairs = zip(ours, other * (len(ours) // len(other)), strict=True)
            found = [compare(one, two, "ndcg@10") for one, two in pairs]
            against[name] = {
                "differences": [one.difference for one in found],
                "intervals": [[one.low, one.high] for one in found],
                "winners": [one.winner for one in found],
            }
    figures = {
        "ties": ties(movielens),
        "models": {
            name: {metric: {"mean": float(np.mean([r[metric] for r in found])), "seeds": [r[metric] for r in found]}
                   for metric in METRICS}
            for name, found in reports.items()
        },
        "against": {"model": "GRU4Rec, gru", "metric": "ndcg@10", "others": against},
        "choice": choice(*splits.leave_last_out(train)),
    }  # fmt: skip
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
