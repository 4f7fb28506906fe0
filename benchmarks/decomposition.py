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

import argparse
import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402  (frameworks read these settings when they are imported)
import pandas as pd  # noqa: E402

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
        raise SystemExit(
            f"cmfrec is not installed ({error}); run `python tasks.py bench decomposition`, or "
            "`pip install -r benchmarks/requirements.txt`"
        ) from error
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
        found = []
        for epochs in (FEW, MANY):
            start, cpu_start = time.perf_counter(), time.process_time()
            run(data, epochs)
            found.append((time.perf_counter() - start, time.process_time() - cpu_start))
        seconds, cpu = ((many - few) / (MANY - FEW) for few, many in zip(*found, strict=True))
        answer = {"seconds": seconds, "cpu_seconds": cpu, "ratings": len(data.interactions)}
        print(json.dumps(answer), flush=True)


def time_in_turn() -> tuple[dict, dict]:
    """Seconds of every round, by data set and contender; and by wing and share of the generated ratings."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = {
        name: subprocess.Popen([sys.executable, __file__, "--contend", name], **pipes) for name in TITLES
    }
    rounds: dict = {title: {name: [] for name in workers} for title in DATA}
    growth: dict = {}
    try:
        for title, which in DATA.items():
            for number in range(ROUNDS + 1):
                for name, worker in workers.items():
                    answer = ask(worker, name, which, 1)
                    rounds[title][name].append(answer)
                    counts = "first call, not counted" if number == 0 else f"round {number}"
                    sweep = f"{1e3 * answer['seconds']:8.1f} ms a sweep"
                    print(f"  {TITLES[name]:<28} {sweep}  {title}, {counts}", flush=True)
        for name in ("torch", "keras"):
            growth[name] = []
            for part in PARTS:
                tried = [ask(workers[name], name, DATA["1,000,000 generated"], part) for _ in range(ROUNDS)]
                growth[name].append(min(tried, key=lambda answer: answer["seconds"]))
    finally:
        for worker in workers.values():
            worker.kill()
    best = {}
    for title, by_name in rounds.items():
        best[title] = {
            name: {
                **min(found[1:], key=lambda r: r["seconds"]),
                "rounds": [r["seconds"] for r in found],
            }
            for name, found in by_name.items()
        }
        peer = min(best[title][name]["seconds"] for name in PEERS)
        for found in best[title].values():
            found["ratio"] = peer / found["seconds"]
    return best, growth


def ask(worker: subprocess.Popen, name: str, which: str, share: float) -> dict:
    """One answer of a contender."""
    try:
        worker.stdin.write(json.dumps([which, share]) + "\n")
        worker.stdin.flush()
        return json.loads(worker.stdout.readline())
    except (OSError, ValueError):
        raise SystemExit(f"{TITLES[name]} stopped; its own message stands above") from None


def measure_memory(wing: str) -> dict[str, float]:
    """Peak resident memory of this process after fitting ALS and PureSVD, with lists for 10 users of each."""
    import resource

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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "wing": wing,
        "ratings": len(x),
        "users": x.n_users,
        "items": x.n_items,
        "recommendations": lists,
        "seconds": time.perf_counter() - start,
        "peak_bytes": peak if sys.platform == "darwin" else peak * 1024,  # macOS counts bytes, Linux KiB
    }


def memory_in_own_process(wing: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure-memory", wing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"measuring the memory of {wing} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def circumstances() -> dict[str, object]:
    """What figures depend on: machine, threads, versions, day."""
    import keras
    import torch

    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
        ]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    packages = ("numpy", "torch", "keras", keras.backend.backend(), "cmfrec")
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{processor}, {os.cpu_count()} cores, {platform.system()}",
        "threads": f"torch {torch.get_num_threads()}, cmfrec {threads()}, "
        f"OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'unset')}",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "keras_backend": keras.backend.backend(),
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
    print()
    for name, value in results["circumstances"].items():
        print(f"{name:<14} {value}")


def missed(results: dict) -> list[str]:
    wings = ("torch", "keras")
    slow = [
        f"{name} is slower than cmfrec on {title}"
        for title, by_name in results["sweep"].items()
        for name in wings
        if by_name[name]["ratio"] < 1
    ]
    for name in wings:
        first, last = results["growth"][name][0], results["growth"][name][-1]
        if last["seconds"] / first["seconds"] > 1.2 * last["ratings"] / first["ratings"]:
            slow.append(f"{name}: time grows faster than the ratings")
    large = [name for name, found in results["memory"].items() if found["peak_bytes"] > TARGET_BYTES]
    return slow + [f"{name} takes too much memory" for name in large]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="PATH", help="write the figures there")
    parser.add_argument(
        "--measure-memory", choices=["torch", "keras"], help="only this, in this process, as JSON"
    )
    parser.add_argument("--contend", choices=list(TITLES), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.contend:
        contend(options.contend)
        return 0
    if options.measure_memory:
        print(json.dumps(measure_memory(options.measure_memory)))
        return 0
    memory = {wing: memory_in_own_process(wing) for wing in ("torch", "keras")}
    sweep, growth = time_in_turn()
    results = {"sweep": sweep, "growth": growth, "memory": memory, "circumstances": circumstances()}
    print_table(results)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1), encoding="utf-8")
    if behind := missed(results):
        print(f"\nbehind its target: {'; '.join(behind)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
