"""Transformers on MovieLens-100K: who ranks the next film, what a sampled list says of it, what size is worth.

    make experiments ARGS=transformers

Choice and sizes: validation data, everybody's last row of train; test rows are not looked at. The confirmation looks
at test rows once, with the defaults as they then stood.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402  (frameworks read the number of threads when they are imported)

import recbook.torch.transformers as rt  # noqa: E402
from recbook import datasets, results, splits  # noqa: E402
from recbook.baselines import Popularity  # noqa: E402
from recbook.comparison import compare  # noqa: E402
from recbook.evaluation import Report, evaluate  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402
from recbook.sampling import NegativeSampler  # noqa: E402
from recbook.sizes import count_parameters  # noqa: E402
from recbook.torch.implicit import BPR  # noqa: E402
from recbook.torch.sequences import GRU4Rec  # noqa: E402

SCRIPT = Path(__file__).resolve()
SEEDS = [0, 1]
METRICS = ["hit_rate@10", "ndcg@10"]
SAMPLED = 100
KINDS = {"uniform": "uniform", "popular": "popularity"}
FACTORS = [8, 16, 32, 128]  # beside the default
CHOICES: dict[str, dict] = {
    "softmax": {},
    "binary": {"loss": "binary"},
    "cloze": {},
    "cloze, the newest alone often": {"last_only": 0.5},
}

BEGINNING = 1  # epochs of a miniature
# The first epoch was measured on two processors and with the lowest instruction sets: up to 2e-5. After the second it
# is 2e-4, at the end 3e-3.
SPREADS = dict.fromkeys(CHOICES, 1e-4)

PROTOCOL = {
    "data": "MovieLens-100K, every rating",
    "split": "leave_last_out, rows of one time in the order of the file; everybody's last row is the target",
    "full": "candidates are all items of train that the user has not met there; ties by expected value; targets that "
    "train does not have count as missed",
    "sampled": f"the target and {SAMPLED} items that the user has not met, uniform, or by how often they were met "
    "(popular), seed 0; people whose target train has",
    "models": f"PyTorch; defaults; seeds {SEEDS}; Popularity once",
    "choice": "nDCG@10 on everybody's last row of train, PyTorch, seed 0: of the last epoch, and of the best",
    "sizes": "SASRec with cross-entropy, inner = factors, on the same validation data: of the last epoch, and of the "
    "best",
    "better": "nDCG@10, a paired bootstrap over users, 2,000 resamples: the 95 % interval excludes 0 in every seed",
}


def chosen_class(name: str) -> type:
    return rt.BERT4Rec if name.startswith("cloze") else rt.SASRec


def validated(model, train: Dataset, validation: Dataset) -> dict:
    model.fit(train, validation, progress=False)
    curve = [1 - record["validation_error"] for record in model.history_]
    best = int(np.argmax(curve))
    return {
        "last": curve[-1],
        "best": curve[best],
        "best_epoch": best + 1,
        "parameters": count_parameters(model),
        "loss": model.history_[-1]["loss"],
        "curve": curve,
    }


def candidates(data: Dataset, train: Dataset, test: Dataset, distribution: str) -> dict[int, list]:
    """For everybody whose target train has: the target, and items that are drawn."""
    known = np.isin(test.interactions.items, train.interactions.item_ids)
    x, targets = train.interactions, test.interactions.take(known)
    codes = {item: code for code, item in enumerate(x.item_ids.tolist())}
    whole = data.interactions
    met = np.isin(whole.items, x.item_ids)
    users = {user: code for code, user in enumerate(x.user_ids.tolist())}
    sampler = NegativeSampler(
        np.array([users[u] for u in whole.users[met].tolist()]),
        np.array([codes[i] for i in whole.items[met].tolist()]),
        len(users),
        len(codes),
        distribution,
        alpha=1.0,
    )
    drawn = sampler.draw(np.array([users[u] for u in targets.users.tolist()]), SAMPLED, 0)
    return {
        user: [target, *x.item_ids[row].tolist()]
        for user, target, row in zip(targets.users.tolist(), targets.items.tolist(), drawn, strict=True)
    }


def summary(reports: dict[str, list[Report]]) -> dict:
    return {
        name: {metric: {"mean": float(np.mean([r[metric] for r in found])), "seeds": [r[metric] for r in found]}
               for metric in METRICS}
        for name, found in reports.items()
    }  # fmt: skip


def against(ours: list[Report], reports: dict[str, list[Report]]) -> dict:
    found = {}
    for name, other in reports.items():
        pairs = zip(ours, other * (len(ours) // len(other)), strict=True)
        made = [compare(one, two, "ndcg@10") for one, two in pairs if one is not two]
        if made:
            found[name] = {
                "differences": [one.difference for one in made],
                "intervals": [[one.low, one.high] for one in made],
                "winners": [one.winner for one in made],
            }
    return found


def miniature(stored: dict) -> Iterator[tuple[tuple, float]]:
    """Popularity on all lists, and the beginnings of the curves of the choice: later epochs magnify roundings."""
    movielens = datasets.fetch_movielens("100k")
    train, test = splits.leave_last_out(movielens)
    popular = Popularity().fit(train)
    report = evaluate(popular, test, METRICS, unknown="fallback")
    for metric in METRICS:
        yield ("full", "Popularity", metric, "seeds", 0), report[metric]
    for kind, distribution in KINDS.items():
        offered = candidates(movielens, train, test, distribution)
        known = test.interactions.take(np.isin(test.interactions.users, list(offered)))
        report = evaluate(popular, known, METRICS, candidates=offered)
        for metric in METRICS:
            yield ("sampled", kind, "Popularity", metric, "seeds", 0), report[metric]
    parts = splits.leave_last_out(train)
    for name, changes in CHOICES.items():
        found = validated(chosen_class(name)(**changes, epochs=BEGINNING, device="cpu"), *parts)
        yield ("choice", name, "parameters"), found["parameters"]
        for epoch, value in enumerate(found["curve"]):
            yield ("choice", name, "curve", epoch), value


def main() -> None:
    movielens = datasets.fetch_movielens("100k")
    train, test = splits.leave_last_out(movielens)
    models = {
        "SASRec, cross-entropy": lambda seed: rt.SASRec(loss="softmax", seed=seed, device="cpu"),
        "SASRec, binary": lambda seed: rt.SASRec(loss="binary", seed=seed, device="cpu"),
        "BERT4Rec": lambda seed: rt.BERT4Rec(seed=seed, device="cpu"),
        "GRU4Rec": lambda seed: GRU4Rec(seed=seed, device="cpu"),
        "BPR": lambda seed: BPR(seed=seed, device="cpu"),
        "Popularity": None,
    }
    lists = {kind: candidates(movielens, train, test, name) for kind, name in KINDS.items()}
    targets = test.interactions
    known = targets.take(np.isin(targets.users, list(lists["uniform"])))
    full: dict[str, list[Report]] = {}
    sampled: dict[str, dict[str, list[Report]]] = {kind: {} for kind in lists}
    parameters = {}
    for name, make in models.items():
        for model in [Popularity()] if make is None else [make(seed) for seed in SEEDS]:
            model.fit(train, progress=False)
            parameters[name] = count_parameters(model)
            full.setdefault(name, []).append(evaluate(model, test, METRICS, unknown="fallback"))
            for kind, offered in lists.items():
                report = evaluate(model, known, METRICS, candidates=offered)
                sampled[kind].setdefault(name, []).append(report)
    parts = splits.leave_last_out(train)
    chosen = {}
    for name, changes in CHOICES.items():
        model = chosen_class(name)(**changes, device="cpu")
        chosen[name] = {"arguments": changes} | validated(model, *parts)
    sizes = [
        {"factors": factors} | validated(rt.SASRec(factors=factors, inner=factors, device="cpu"), *parts)
        for factors in FACTORS
    ]
    default = rt.SASRec().factors
    sizes = sorted([*sizes, {"factors": default} | chosen["softmax"]], key=lambda row: row["factors"])
    ours = full["SASRec, cross-entropy"]
    figures = {
        "full": summary(full),
        "sampled": {kind: summary(found) for kind, found in sampled.items()},
        "against": {"model": "SASRec, cross-entropy", "metric": "ndcg@10", "others": against(ours, full)},
        "parameters": parameters,
        "choice": chosen,
        "sizes": sizes,
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
