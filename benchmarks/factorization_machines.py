"""Times factorisation machines: the identity beside the double loop, both wings, and growth with the ratings.

    python benchmarks/factorization_machines.py
    python benchmarks/factorization_machines.py --json out.json

CPU seconds of one thread, so that other programs on the machine count little. Of the fits, the least of some rounds,
after one that does not count: what is traced or compiled once is not what grows.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402

from recbook import datasets  # noqa: E402
from recbook.formulas import factorization_machines as formulas  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402

SIZES, FACTORS = (30, 100, 300), 8
PARTS = (1 / 8, 1 / 4, 1 / 2, 1)
FEW, MANY, ROUNDS = 1, 3, 2
MOST = 1.3  # times as fast as the ratings, at most
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


def growth(data: Dataset, wings: list[str]) -> dict[str, dict]:
    """Seconds an epoch for growing parts of the ratings, by wing and model, and how much faster than them it grows."""
    found = {}
    for wing in wings:
        for name in MODELS:
            points = []
            for share in PARTS:
                part = data.take(slice(0, int(share * len(data.interactions))))
                points.append({"ratings": len(part), "seconds": epoch_seconds(wing, name, part)})
                words = f"{len(part):>9,} ratings {points[-1]['seconds']:7.2f} s an epoch"
                print(f"  {wing:<6} {name:<21} {words}", flush=True)
            more = {key: points[-1][key] / points[0][key] for key in ("ratings", "seconds")}
            found[f"{wing} {name}"] = {"points": points, "grows": more["seconds"] / more["ratings"]}
    return found


def print_table(results: dict) -> None:
    print("\nhow much longer the double loop takes than the identity")
    for row in results["identity"]:
        print(f"  {row['features']:>4} features {row['ratio']:10,.0f} ×")
    print(f"\ntime grows by, for each time that the ratings grow (target: at most {MOST})")
    for name, found in results["growth"].items():
        print(f"  {name:<28} {found['grows']:.2f} ×")
    shared.print_circumstances(results)


def missed(results: dict) -> list[str]:
    return [f"{name} grows faster" for name, found in results["growth"].items() if found["grows"] > MOST]


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--ratings", type=int, default=1_000_000, help="how many are generated")
    parser.add_argument("--wings", nargs="+", default=list(shared.WINGS), choices=shared.WINGS)
    options = parser.parse_args(arguments)
    grown = growth(datasets.make_ratings(n_ratings=options.ratings), options.wings)
    results = {"identity": identity(), "growth": grown, "circumstances": shared.circumstances()}
    print_table(results)
    return shared.end(results, options.json, missed(results))


if __name__ == "__main__":
    sys.exit(main())
