"""Click models on MovieLens-100K: one budget of tuning each, a temporal split, a paired bootstrap over users.

make experiments ARGS=ctr
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402  (frameworks read the number of threads when they are imported)
import pandas as pd  # noqa: E402

import recbook.torch.ctr as rt  # noqa: E402
from recbook import metrics, results, splits  # noqa: E402
from recbook.datasets import fetch_movielens  # noqa: E402
from recbook.interactions import Dataset, Interactions  # noqa: E402
from recbook.recommender import Coded, Recommender  # noqa: E402
from recbook.shared.ctr import Behaviours  # noqa: E402
from recbook.torch.factorization_machines import FactorizationMachine  # noqa: E402
from recbook.torch.logistic import LogisticRegression  # noqa: E402

SCRIPT = Path(__file__).resolve()
SEEDS = [0, 1, 2]
TRIALS = 8
RESAMPLES = 1000
MEASURES = ("auc", "gauc", "log_loss")
CONTEXT = ("gender", "age", "occupation", "hour", "weekday")
FIELDS = ("user", "item", "items.genres", *CONTEXT)
CROSSES = tuple(f"{name}*items.genres" for name in ("gender", "age", "occupation"))
GIVEN = {"fields": FIELDS, "batch_size": 1024, "device": "cpu"}
READING = GIVEN | {"fields": (*FIELDS, "history"), "max_length": 30}
RATES = {"learning_rate": [0.002, 0.005, 0.01], "epochs": [2, 3, 5, 8]}
DEEP = {
    "reg": [0.0003, 0.001, 0.003, 0.01],
    "reg_layers": [1e-5, 1e-4, 1e-3],
    "layers": [(64, 32), (32,), (128,)],
}
MODELS: dict[str, tuple[Recommender, dict[str, list]]] = {
    "LR": (LogisticRegression(**GIVEN), {**RATES, "reg": [1e-6, 1e-5, 1e-4, 1e-3]}),
    "FM": (
        FactorizationMachine(**GIVEN, loss="logistic", factors=16),
        {**RATES, "reg": DEEP["reg"], "init_scale": [0.01, 0.1]},
    ),
    "plain network, no history": (rt.WideAndDeep(**GIVEN), RATES | DEEP),
    "plain network": (rt.WideAndDeep(**READING), RATES | DEEP),
    "Wide & Deep": (rt.WideAndDeep(**READING, crosses=CROSSES), RATES | DEEP),
    "DeepFM": (rt.DeepFM(**READING), RATES | DEEP),
    "DIN": (rt.DIN(**READING), {**RATES, **DEEP, "reg": [0.01, 0.03, 0.1, 0.3]}),
}
FAST = ("LR", "FM", "plain network, no history", "DeepFM", "DIN")
# Measured on two processors and with PyTorch's, oneDNN's and OpenBLAS' lowest instruction sets: up to 7e-5, 9e-5, 2e-3.
SPREADS = {"plain network, no history": 3e-4, "DeepFM": 3e-4, "DIN": 4e-3}
PAIRS = [
    ("FM", "LR"), ("plain network", "LR"), ("plain network", "FM"), ("DeepFM", "FM"), ("DeepFM", "LR"),
    ("DeepFM", "plain network"), ("Wide & Deep", "plain network"), ("DIN", "DeepFM"), ("DIN", "LR"),
    ("DIN", "plain network"), ("DIN", "DIN, histories of train"), ("DeepFM", "DeepFM, histories of train"),
    ("DIN, histories of train", "DeepFM, histories of train"), ("plain network", "plain network, no history"),
    ("plain network, no history", "LR"),
]  # fmt: skip

PROTOCOL = {
    "data": "MovieLens-100K, every rating; a click is a rating of 4 or 5; fields: person, film, genres, gender, age by "
    "decade, occupation, hour and weekday (UTC). Gender, age and occupation stand in each row, as in a log of clicks",
    "split": "temporal_split(test_size=0.2); people of test who are not in train have all fields but their own id",
    "tuning": f"{TRIALS} settings of each model, drawn with seed 0, by log-loss on the last 20 % of train; the best is "
    "fitted anew on all of train. PyTorch",
    "histories": "plain network, Wide & Deep, DeepFM (as one field) and DIN read for each pair of test (or of "
    "validation) the last 30 films that this person liked strictly earlier, in train or after it, without learning "
    "from them; who is read so has no id. '…, histories of train' is the same model with those of train alone; LR, FM "
    "and 'plain network, no history' read none",
    "plain network": "WideAndDeep without crosses: hidden layers on the fields' vectors beside a linear part, no FM",
    "figures": f"all pairs of test; GAUC over people with both kinds of pairs, weighted by pairs; model seeds {SEEDS}",
    "better": f"a paired bootstrap over users, {RESAMPLES:,} resamples, for each seed: better where the 95 % interval "
    "excludes 0 in every one",
}


def clicks() -> tuple[Dataset, str]:
    ml = fetch_movielens("100k")
    frame = ml.interactions.to_frame()
    frame["rating"] = (frame.rating >= 4).astype(float)
    people = ml.users.loc[frame.user]
    frame["gender"] = people.gender.to_numpy()
    frame["age"] = (people.age.to_numpy() // 10 * 10).astype(str)
    frame["occupation"] = people.occupation.to_numpy()
    when = pd.to_datetime(frame.timestamp, unit="s")
    frame["hour"], frame["weekday"] = when.dt.hour.astype(str), when.dt.day_of_week.astype(str)
    return Dataset(Interactions.from_frame(frame), users=ml.users, items=ml.items), ml.sha256


def histories_at(train: Interactions, test: Interactions, length: int) -> dict[int, list]:
    """For each row of test, the last films that its person liked strictly earlier, in train or test."""
    both = pd.concat([train.to_frame(), test.to_frame()], ignore_index=True)
    users, people = pd.factorize(both.user)
    x = Coded(users, both.item.to_numpy(), both.rating.to_numpy(), both.timestamp.to_numpy(), len(people), 0)
    behaviours, rows = Behaviours(x), np.arange(len(train), len(both))
    found = behaviours.padded(users[rows], behaviours.before[rows], length, empty=-1)
    return {row: [i for i in past if i >= 0] for row, past in enumerate(found.tolist())}


def chances(model: Recommender, train: Dataset, test: Dataset, growing: bool = True) -> np.ndarray:
    x = test.interactions
    context = pd.DataFrame({name: x.extra[name] for name in CONTEXT})
    if "history" in model.fields and growing:
        past = histories_at(train.interactions, x, model.max_length)
        return model.predict(list(past), x.items, histories=past, context=context).astype(float)
    return model.predict(x.users, x.items, context=context, unknown="fallback").astype(float)


def tuned(name: str, train: Dataset) -> tuple[dict, list[dict]]:
    """The best setting of `TRIALS`, and all of them."""
    model, space = MODELS[name]
    rest, validation = splits.temporal_split(train, test_size=0.2)
    y, rng, trials = validation.interactions.ratings, np.random.default_rng(0), []
    while len(trials) < TRIALS:
        setting = {key: values[rng.integers(len(values))] for key, values in space.items()}
        if any(setting == one["setting"] for one in trials):
            continue
        p = chances(model.clone(**setting).fit(rest, progress=False), rest, validation)
        trials.append(
            {"setting": setting, "log_loss": float(metrics.log_loss(y, p)), "auc": float(metrics.auc(y, p))}
        )
        print(name, trials[-1], flush=True)
    return min(trials, key=lambda one: one["log_loss"])["setting"], trials


def measured(y: np.ndarray, users: np.ndarray, p: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(len(draws), 3) the MEASURES, where each user counts as often as a row of `draws` says."""
    tie = np.unique(p, return_inverse=True)[1]
    losses = metrics.log_losses(y, p)
    n = np.bincount(users)
    own = metrics.auc_by_group(y, p, users)
    own, of_both = np.where(np.isnan(own), 0, own), ~np.isnan(own) * n
    found = []
    for weights in draws:
        w = weights[users]
        positive, negative = np.bincount(tie, w * y), np.bincount(tie, w * (1 - y))
        below = np.cumsum(negative) - negative / 2
        auc = positive @ below / (positive.sum() * negative.sum())
        found.append([auc, (weights * of_both) @ own / (weights @ of_both), w @ losses / w.sum()])
    return np.array(found)


def by_measure(found: np.ndarray) -> dict[str, dict]:
    """found : (seeds, measures)"""
    columns = zip(MEASURES, found.T.tolist(), strict=True)
    return {measure: {"mean": float(np.mean(values)), "seeds": values} for measure, values in columns}


def miniature(stored: dict) -> Iterator[tuple[tuple, float]]:
    """The chosen settings of the models that train fast, on the first seed."""
    train, test = splits.temporal_split(clicks()[0], test_size=0.2)
    x = test.interactions
    yield ("rows", "train"), len(train.interactions)
    yield ("rows", "clicks_in_test"), float(x.ratings.mean())
    for name in FAST:
        chosen = stored["tuning"][name]["chosen"].items()
        setting = {key: tuple(value) if isinstance(value, list) else value for key, value in chosen}
        model = MODELS[name][0].clone(**setting, seed=SEEDS[0])
        p = chances(model.fit(train, progress=False), train, test)
        found = measured(x.ratings, x.user_codes, p, np.ones((1, x.n_users)))[0]
        for metric, value in zip(MEASURES, found.tolist(), strict=True):
            yield ("models", name, metric, "seeds", 0), value


def main() -> None:
    data, sha256 = clicks()
    train, test = splits.temporal_split(data, test_size=0.2)
    x = test.interactions
    y, users = x.ratings, x.user_codes
    draws = np.random.default_rng(0).multinomial(x.n_users, np.full(x.n_users, 1 / x.n_users), RESAMPLES)
    once = np.ones((1, x.n_users))
    figures, resampled, tuning = {}, {}, {}
    for name in MODELS:
        setting, trials = tuned(name, train)
        tuning[name] = {"chosen": setting, "trials": trials}
        for seed in SEEDS:
            model = MODELS[name][0].clone(**setting, seed=seed).fit(train, progress=False)
            ways = {name: True} | (
                {f"{name}, histories of train": False} if name in ("DeepFM", "DIN") else {}
            )
            for way, growing in ways.items():
                p = chances(model, train, test, growing)
                figures.setdefault(way, []).append(measured(y, users, p, once)[0])
                resampled.setdefault(way, []).append(measured(y, users, p, draws))
                print(way, seed, figures[way][-1].round(4), flush=True)
    against = []
    for a, b in PAIRS:
        for place, measure in enumerate(MEASURES):
            better = -1 if measure == "log_loss" else 1
            pairs = list(zip(resampled[a], resampled[b], strict=True))
            intervals = [
                np.quantile((one - other)[:, place], [0.025, 0.975]).tolist() for one, other in pairs
            ]
            signs = {better * int(np.sign(low)) if low * high > 0 else 0 for low, high in intervals}
            winner = {1: a, -1: b}.get(signs.pop()) if len(signs) == 1 else None
            means = [float(np.mean([one[place] for one in figures[name]])) for name in (a, b)]
            against.append(
                {"a": a, "b": b, "measure": measure, "difference": means[0] - means[1], "intervals": intervals,
                 "winner": winner}
            )  # fmt: skip
    known = np.isin(x.users, train.interactions.user_ids)
    one_class = np.isnan(metrics.auc_by_group(y, np.zeros(len(y)), users)).sum()
    path = results.record(
        SCRIPT,
        protocol=PROTOCOL,
        seeds=SEEDS,
        data={"name": "MovieLens-100K", "sha256": sha256},
        figures={
            "rows": {
                "train": len(train.interactions), "test": len(x), "test_people": x.n_users,
                "test_of_known_people": int(known.sum()), "people_of_one_class": int(one_class),
                "clicks_in_test": float(y.mean()),
            },
            "models": {name: by_measure(np.array(found)) for name, found in figures.items()},
            "against": against,
            "tuning": tuning,
        },
    )  # fmt: skip
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
