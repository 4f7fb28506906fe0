"""Times factorisation machines: the identity beside the double loop, both wings, and growth with the ratings.

    python benchmarks/factorization_machines.py
    python benchmarks/factorization_machines.py --json out.json

CPU seconds of one thread, so that other programs on the machine count little. Of the fits, the least of some rounds,
after one that does not count: what is traced or compiled once is not what grows.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402  (frameworks read these settings when they are imported)

from recbook import datasets  # noqa: E402
from recbook.formulas import factorization_machines as formulas  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402

SIZES, FACTORS = (30, 100, 300), 8
PARTS = (1 / 8, 1 / 4, 1 / 2, 1)
FEW, MANY, ROUNDS = 1, 3, 2
MODELS = {"FactorizationMachine": {}, "LightFM": {"loss": "bpr"}}


def least(call: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the quickest of some calls."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return min(spent)


def identity() -> list[dict]:
    """Seconds a row, by the number of features."""
    rng = np.random.default_rng(0)
    found = []
    for n in SIZES:
        x, V = rng.normal(size=n), rng.normal(size=(n, FACTORS))
        loop = least(lambda x=x, V=V: formulas.pairs(x, V), 5)
        many = least(lambda x=x, V=V: [formulas.pairs_at_once(x, V) for _ in range(1000)], 5) / 1000
        found.append({"features": n, "double loop": loop, "identity": many, "ratio": loop / many})
    return found


def epoch_seconds(wing: str, name: str, data: Dataset) -> float:
    """Of one epoch: a long fit less a short one, so that what happens once drops out."""
    cls = getattr(importlib.import_module(f"recbook.{wing}"), name)

    def fit(epochs: int) -> float:
        model = cls(**MODELS[name], epochs=epochs, batch_size=8192, device="cpu")
        return least(lambda: model.fit(data, progress=False), ROUNDS)

    fit(FEW)
    return (fit(MANY) - fit(FEW)) / (MANY - FEW)


def growth(data: Dataset, wings: list[str]) -> list[dict]:
    """Seconds an epoch for growing parts of the ratings."""
    found = []
    for wing in wings:
        for name in MODELS:
            for share in PARTS:
                part = data.take(slice(0, int(share * len(data.interactions))))
                seconds = epoch_seconds(wing, name, part)
                found.append({"wing": wing, "model": name, "ratings": len(part), "seconds": seconds})
                print(f"  {wing:<6} {name:<21} {len(part):>9,} ratings {seconds:7.2f} s an epoch", flush=True)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--ratings", type=int, default=1_000_000, help="how many are generated")
    parser.add_argument("--wings", nargs="+", default=["torch", "keras"], choices=["torch", "keras"])
    asked = parser.parse_args(arguments)
    figures = {"identity": identity()}
    for row in figures["identity"]:
        print(
            f"  {row['features']:>4} features: the double loop takes {row['ratio']:,.0f} times the identity"
        )
    figures["growth"] = growth(datasets.make_ratings(n_ratings=asked.ratings), asked.wings)
    slow = []
    for wing in asked.wings:
        for name in MODELS:
            first, *_, last = (r for r in figures["growth"] if (r["wing"], r["model"]) == (wing, name))
            grows = (last["seconds"] / first["seconds"]) / (last["ratings"] / first["ratings"])
            print(f"  {wing:<6} {name:<21} time grows {grows:.2f} times as fast as the ratings")
            slow += [(wing, name)] if grows > 1.3 else []
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if slow:
        print(f"grows faster than the ratings: {slow}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
