"""Times a sweep of ALS side by side with cmfrec, shows how time grows with ratings, and measures memory.

    python tasks.py bench decomposition              # installs cmfrec, then runs this
    python benchmarks/decomposition.py --json out.json

Sweep: (seconds of fit with 12 epochs - seconds with 2) / 10, so that what is done once (reading, biases, starting
up) does not count. Every library with the same number of factors, λ weighted by counts, in float32, on
MovieLens-100K and on a million generated ratings. cmfrec is timed with both of its solvers, exact (Cholesky) and
approximate (three steps of conjugate gradients), and the faster one is the one to beat. In turn: a first round
that does not count, then three; of each the best. Each library has a process of its own, which sleeps while
the others compute. Run it on a machine that does nothing else: where seconds exceed CPU seconds, or two rounds
differ much, something else was running.
Growth: seconds a sweep for 1/16, 1/8, … of the million ratings.
Memory: each wing in a process of its own, 300,000 ratings of 50,000 users and 50,000 items.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402

from recbook import datasets  # noqa: E402
from recbook.interactions import Dataset, Interactions  # noqa: E402

FACTORS, REG, FEW, MANY, ROUNDS = 16, 0.15, 2, 12, 3
PARTS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]
TARGET_BYTES = 2 * 2**30
DATA = {"MovieLens-100K": "100k", "1,000,000 generated": "1m generated"}
TITLES = {
    "cmfrec exact": "cmfrec, Cholesky",
    "cmfrec approximate": "cmfrec, conjugate gradients",
    "torch": "recbook.torch ALS",
    "keras": "recbook.keras ALS",
}
PEERS = ("cmfrec exact", "cmfrec approximate")

Contender = Callable[[Dataset, int], None]  # data, epochs


def cmfrec_contender(exact: bool) -> Contender:
    """cmfrec's CMF with biases, without side information: the same model, fitted by the same method."""
    try:
        import cmfrec
    except ImportError as error:
        raise shared.not_installed("cmfrec", "decomposition", error) from error
    same = {"k": FACTORS, "lambda_": REG, "scale_lam": True, "use_float": True, "nthreads": threads()}

    def run(data: Dataset, epochs: int) -> None:
        x = data.interactions
        df = pd.DataFrame({"UserId": x.user_codes, "ItemId": x.item_codes, "Rating": x.ratings})
        cmfrec.CMF(
            **same, use_cg=not exact, finalize_chol=False, niter=epochs, precompute_for_predictions=False
        ).fit(df)

    return run


def wing_contender(wing: str) -> Contender:
    """ALS with its defaults but for the number of epochs; "torch" or "keras"."""
    module = importlib.import_module(f"recbook.{wing}")

    def run(data: Dataset, epochs: int) -> None:
        module.ALS(factors=FACTORS, reg=REG, epochs=epochs, device="cpu").fit(data, progress=False)

    return run


def threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def contender(name: str) -> Contender:
    return cmfrec_contender(name == "cmfrec exact") if name in PEERS else wing_contender(name)


def the_data(which: str) -> Dataset:
    return datasets.fetch_movielens("100k") if which == "100k" else datasets.make_ratings()


def contend(name: str) -> None:
    """One contender's process: for every line (a data set and a share of it) seconds a sweep, as JSON."""
    run, kept = contender(name), {}
    for line in sys.stdin:
        which, share = json.loads(line)
        if which not in kept:
            kept[which] = the_data(which)
        data = kept[which]
        data = data.take(slice(0, int(share * len(data.interactions))))
        answer = shared.seconds_an_epoch(partial(run, data), FEW, MANY)
        answer["ratings"] = len(data.interactions)
        print(json.dumps(answer), flush=True)


def time_in_turn() -> tuple[dict, dict]:
    """Seconds of a sweep, by data set and contender; and by wing and share of the generated ratings."""
    sweep, growth = {}, {}
    with shared.Contenders(__file__, TITLES) as contenders:
        for title, which in DATA.items():

            def words(name: str, found: dict, title: str = title) -> str:
                return f"{TITLES[name]:<28} {1e3 * found['seconds']:8.1f} ms a sweep  {title},"

            sweep[title] = contenders.best([which, 1], ROUNDS, words)
            peer = min(sweep[title][name]["seconds"] for name in PEERS)
            for found in sweep[title].values():
                found["ratio"] = peer / found["seconds"]
        for wing in shared.WINGS:
            growth[wing] = []
            for part in PARTS:
                tried = [contenders.ask(wing, [DATA["1,000,000 generated"], part]) for _ in range(ROUNDS)]
                growth[wing].append(min(tried, key=lambda answer: answer["seconds"]))
    return sweep, growth


def measure_memory(wing: str) -> dict[str, float]:
    """Peak resident memory of this process after fitting ALS and PureSVD, with lists for 10 users of each."""
    module = importlib.import_module(f"recbook.{wing}")
    rng = np.random.default_rng(0)
    # Ten groups of taste, so that there are directions to find; items of all degrees of popularity.
    users, place = rng.integers(0, 50_000, 450_000), (5_000 * rng.random(450_000) ** 2).astype(int)
    rows = pd.DataFrame({"user": users, "item": 10 * place + users % 10}).drop_duplicates()[:300_000]
    rows["rating"] = rng.integers(1, 6, len(rows)).astype(float)
    x = Interactions.from_frame(rows)
    start = time.perf_counter()
    lists = 0
    for model in (module.ALS(epochs=2, device="cpu"), module.PureSVD(factors=5, device="cpu")):
        model.fit(x, progress=False)
        lists += len(model.recommend(x.user_ids[:10], k=10))
    return {
        "wing": wing,
        "ratings": len(x),
        "users": x.n_users,
        "items": x.n_items,
        "recommendations": lists,
        "seconds": time.perf_counter() - start,
        "peak_bytes": shared.peak_bytes(),
    }


def print_table(results: dict) -> None:
    for title, by_name in results["sweep"].items():
        print(f"\na sweep, {FACTORS} factors, {title}")
        print(f"{'':<28} {'ms':>8} {'CPU ms':>8} {'ratio':>8} {'target':>8}")
        for name, found in by_name.items():
            target = "" if name in PEERS else "≥ 1 ×"
            figures = f"{1e3 * found['seconds']:8.1f} {1e3 * found['cpu_seconds']:8.1f}"
            print(f"{TITLES[name]:<28} {figures} {found['ratio']:6.1f} × {target:>8}")
    print("\ngrowth: ms a sweep by number of generated ratings")
    for name, found in results["growth"].items():
        print(
            f"{TITLES[name]:<28} " + "  ".join(f"{p['ratings']:,}: {1e3 * p['seconds']:.1f}" for p in found)
        )
    print("\n300,000 ratings, 50,000 × 50,000: ALS and PureSVD, lists for 10 users")
    for name, found in results["memory"].items():
        peak = f"{found['peak_bytes'] / 2**30:.2f} GiB (target 2.00)"
        print(f"{TITLES[name]:<28} {found['seconds']:8.2f} s   peak {peak}")
    shared.print_circumstances(results)


def missed(results: dict) -> list[str]:
    slow = [
        f"{name} is slower than cmfrec on {title}"
        for title, by_name in results["sweep"].items()
        for name in shared.WINGS
        if by_name[name]["ratio"] < 1
    ]
    for name in shared.WINGS:
        first, last = results["growth"][name][0], results["growth"][name][-1]
        if last["seconds"] / first["seconds"] > 1.2 * last["ratings"] / first["ratings"]:
            slow.append(f"{name}: time grows faster than the ratings")
    large = [name for name, found in results["memory"].items() if found["peak_bytes"] > TARGET_BYTES]
    return slow + [f"{name} takes too much memory" for name in large]


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--measure-memory", choices=shared.WINGS, help="only this, in this process, as JSON")
    parser.add_argument("--contend", choices=list(TITLES), help="only this, for the lines that come in")
    options = parser.parse_args(arguments)
    if options.contend:
        contend(options.contend)
        return 0
    if options.measure_memory:
        print(json.dumps(measure_memory(options.measure_memory)))
        return 0
    memory = {wing: shared.memory_in_own_process(__file__, wing) for wing in shared.WINGS}
    sweep, growth = time_in_turn()
    circumstances = {**shared.circumstances("cmfrec"), "threads of cmfrec": threads()}
    results = {"sweep": sweep, "growth": growth, "memory": memory, "circumstances": circumstances}
    print_table(results)
    rows = []
    for title, found in results["sweep"].items():
        quicker = min(PEERS, key=lambda name: found[name]["seconds"])
        rows.append(shared.beside(f"ALS: a sweep, {title}", found, quicker, "cmfrec 3.5.1"))
    return shared.end(results, options.json, missed(results), rows)


if __name__ == "__main__":
    sys.exit(main())
