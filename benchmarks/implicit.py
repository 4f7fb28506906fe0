"""Times ImplicitALS, BPR and lists for everybody side by side with implicit, and EASE with SciPy's solve.

    python tasks.py bench implicit              # installs implicit, then runs this
    python benchmarks/implicit.py --json out.json

Data: a million generated interactions of 6,000 people and 3,700 items, by taste and popularity; a fifth of each item's
is test. nDCG@10 over all items not met in train, of the first 2,000 people.
ImplicitALS: seconds of the quickest fit that reaches the same nDCG, the lower one of the two sides' best, less .5 %,
with 64 factors; implicit with conjugate gradients, its quicker solver, and the best of some penalties.
BPR: on MovieLens-100K, three quarters for training: seconds to the best nDCG@10 that implicit's BPR reaches in a grid.
Lists: ten items for everybody, after ALS; in turn, a first round that does not count, then three, the best of each.
EASE: the whole fit, beside SciPy's symmetric solve of the same system and the product of the table with itself.
Each library has a process of its own, which sleeps while the others compute. Run it on a machine that does nothing
else: where seconds exceed CPU seconds, something else was running.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import linalg, sparse

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import _shared as shared  # noqa: E402

from recbook import datasets, splits  # noqa: E402
from recbook.interactions import Interactions  # noqa: E402
from recbook.metrics import ndcg_at_k  # noqa: E402

N_USERS, N_ITEMS, FACTORS, K, ROUNDS = 6000, 3700, 64, 10, 3
JUDGED = 2000  # people whose lists are judged
ENOUGH = 0.995  # of the lower one of two best figures counts as equal
TARGETS = {"als": 3.0, "recommend": 1.0}  # times implicit's seconds, at most
TITLES = {
    "implicit": "implicit",
    "scipy": "SciPy",
    "torch": "recbook.torch",
    "keras": "recbook.keras",
}
RIVALS = ("implicit", *shared.WINGS)
PARTS = ("als", "bpr", "recommend", "ease")

# What each side is fitted with: settings, and the growing numbers of epochs.
EPOCHS = {"als": (1, 2, 3, 5, 8, 12, 15), "bpr": {"implicit": (25, 50, 100, 200), "recbook": (5, 10, 20, 40)}}
PEER_SETTINGS = {
    # alpha 10 beside 1 for what was not met is ImplicitALS' unobserved=0.1
    "als": [{"alpha": 10.0, "regularization": reg} for reg in (10.0, 30.0, 100.0, 200.0)],
    "bpr": [{"learning_rate": rate, "regularization": reg} for rate in (0.01, 0.05) for reg in (0.01, 0.03)],
}


# ---------------------------------------------------------------- data


@cache
def world(n: int) -> tuple[Interactions, Interactions]:
    """About n interactions: items of the highest score, taste + popularity + Gumbel noise; train and test."""
    rng = np.random.default_rng(0)
    activity = rng.lognormal(0, 1, N_USERS)
    n_items = min(N_ITEMS, max(100, n // 50))
    lengths = np.clip((activity / activity.sum() * n).astype(int), 10, n_items // 3)
    lengths = np.minimum((lengths * (n / lengths.sum())).astype(int) + 1, n_items // 2)
    P, Q = rng.normal(size=(N_USERS, 16)), rng.normal(size=(n_items, 16))
    popularity = rng.normal(0, 1.2, n_items)
    users, items = [], []
    for u, length in enumerate(lengths):
        scores = 0.4 * Q @ P[u] + popularity + rng.gumbel(size=n_items)
        users.append(np.full(length, u))
        items.append(np.argpartition(-scores, length)[:length])
    df = pd.DataFrame({"user": np.concatenate(users), "item": np.concatenate(items)})
    return splits.stratified_split(Interactions.from_frame(df), by="item", test_size=0.2, seed=0)


@cache
def movielens(_: int) -> tuple[Interactions, Interactions]:
    train, test = splits.stratified_split(datasets.fetch_movielens("100k"), by="item", test_size=0.25, seed=0)
    return train.interactions, test.interactions


def table(x: Interactions) -> sparse.csr_matrix:
    """Users × items, in the order in which train has them."""
    cells = np.ones(len(x), np.float32), (x.user_codes, x.item_codes)
    return sparse.csr_matrix(cells, (x.n_users, x.n_items))


def quality(scores: np.ndarray, train: Interactions, test: Interactions) -> float:
    """nDCG@10 of the scores of train's first people."""
    scores = np.array(scores, np.float32)
    n = len(scores)
    known = train.user_codes < n
    scores[train.user_codes[known], train.item_codes[known]] = -np.inf
    u = pd.Index(train.user_ids).get_indexer(test.users)
    i = pd.Index(train.item_ids).get_indexer(test.items)
    relevant = np.zeros(scores.shape, bool)
    here = (u >= 0) & (u < n) & (i >= 0)
    relevant[u[here], i[here]] = True
    judged = relevant.any(1)
    return float(ndcg_at_k(scores[judged], relevant[judged], K).mean())


# ---------------------------------------------------------------- contenders


def threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def timed(call: Callable[[], object]) -> tuple[object, dict[str, float]]:
    start, cpu_start = time.perf_counter(), time.process_time()
    found = call()
    return found, {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}


class Peer:
    """implicit, compiled; its tables are made beforehand."""

    def __init__(self):
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it runs its own threads, and says so
        sys.path[:] = [
            path for path in sys.path if Path(path).resolve() != HERE
        ]  # else this file would be `implicit`
        try:
            from implicit.als import AlternatingLeastSquares
            from implicit.bpr import BayesianPersonalizedRanking
        except ImportError as error:
            raise shared.not_installed("implicit", "implicit", error) from error
        self.classes = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking}

    def fit(self, kind: str, train: Interactions, epochs: int, settings: dict):
        model = self.classes[kind](
            factors=FACTORS, iterations=epochs, num_threads=threads(), random_state=0, **settings
        )
        X = table(train)
        _, spent = timed(lambda: model.fit(X, show_progress=False))
        return model, spent

    def scores(self, model, train: Interactions) -> np.ndarray:
        return np.asarray(model.user_factors)[:JUDGED] @ np.asarray(model.item_factors).T

    def recommend(self, model, train: Interactions) -> Callable[[], object]:
        X, everybody = table(train), np.arange(train.n_users)
        return lambda: model.recommend(everybody, X, N=K, filter_already_liked_items=True)


class Wing:
    """Ours, with the defaults."""

    def __init__(self, wing: str):
        module = importlib.import_module(f"recbook.{wing}")
        self.classes = {"als": module.ImplicitALS, "bpr": module.BPR, "ease": module.EASE}

    def fit(self, kind: str, train: Interactions, epochs: int | None, settings: dict):
        size = {} if kind == "ease" else {"factors": FACTORS, "epochs": epochs}
        model = self.classes[kind](**size, **settings, device="cpu")
        _, spent = timed(lambda: model.fit(train, progress=False))
        return model, spent

    def scores(self, model, train: Interactions) -> np.ndarray:
        return model.score_matrix(train.user_ids[:JUDGED])

    def recommend(self, model, train: Interactions) -> Callable[[], object]:
        return lambda: model.recommend(k=K)


def solve(train: Interactions, reg: float = 400.0) -> np.ndarray:
    """EASE as one would write it with SciPy."""
    X = table(train).astype(np.float64)
    G = (X.T @ X).toarray()
    G[np.diag_indices_from(G)] += reg
    M = linalg.solve(G, np.eye(len(G)), assume_a="pos", overwrite_a=True, overwrite_b=True)
    B = -M / np.diag(M)
    np.fill_diagonal(B, 0)
    return B


def contend(name: str) -> None:
    """One contender's process: each line is [what, interactions, epochs, settings]; seconds and quality, as JSON."""
    side = None if name == "scipy" else Peer() if name == "implicit" else Wing(name)
    fitted: dict[int, object] = {}
    for line in sys.stdin:
        what, n, epochs, settings = json.loads(line)
        train, test = (movielens if what == "bpr" else world)(n)
        if what == "ease":
            answer = (
                timed(lambda t=train: solve(t))[1] if side is None else side.fit("ease", train, None, {})[1]
            )
        elif what == "recommend":
            if n not in fitted:
                fitted[n] = side.fit("als", train, 3, {})[0]
            answer = timed(side.recommend(fitted[n], train))[1]
        else:
            model, answer = side.fit(what, train, epochs, settings)
            answer["ndcg@10"] = quality(side.scores(model, train), train, test)
        print(json.dumps(answer), flush=True)


# ---------------------------------------------------------------- the course of the benchmark


def curves(
    contenders: shared.Contenders, what: str, n: int, epochs: dict[str, tuple]
) -> dict[str, list[dict]]:
    """Every fit of every contender: its settings, epochs, seconds and nDCG@10; a first fit each does not count."""
    found = {}
    for name in RIVALS:
        grid = PEER_SETTINGS[what] if name == "implicit" else [{}]
        contenders.ask(name, [what, n, 1, grid[0]])
        found[name] = []
        for settings in grid:
            for number in epochs[name]:
                answer = contenders.ask(name, [what, n, number, settings])
                found[name].append({"settings": settings, "epochs": number, **answer})
                words = f"{number:>4} epochs {answer['seconds']:8.2f} s   nDCG@10 {answer['ndcg@10']:.4f}"
                print(f"  {what} {TITLES[name]:<14} {words}  {settings or ''}", flush=True)
    return found


def first_to(fits: list[dict], figure: float) -> dict | None:
    """The quickest fit with at least this nDCG@10."""
    there = [one for one in fits if one["ndcg@10"] >= figure]
    return min(there, key=lambda one: one["seconds"], default=None)


def best_of(fits: list[dict]) -> float:
    return max(one["ndcg@10"] for one in fits)


def duels(fits: dict[str, list[dict]], goal: Callable[[float, float], float]) -> dict[str, dict]:
    """For each wing: the figure to reach, the quickest fit of both sides that does, and the ratio of seconds."""
    found, peer = {}, fits["implicit"]
    for name in shared.WINGS:
        figure = goal(best_of(peer), best_of(fits[name]))
        ours, theirs = first_to(fits[name], figure), first_to(peer, figure)
        ratio = ours["seconds"] / theirs["seconds"] if ours and theirs else None
        found[name] = {"goal": figure, "ours": ours, "implicit": theirs, "ratio": ratio}
    return found


def in_turn(names: tuple[str, ...], what: str, n: int) -> dict[str, dict]:
    def words(name: str, found: dict) -> str:
        return f"{what} {TITLES[name]:<14} {1e3 * found['seconds']:9.1f} ms"

    with shared.Contenders(__file__, names) as contenders:
        return contenders.best([what, n, None, {}], ROUNDS, words)


def in_words(fit: dict | None) -> str:
    return f"{fit['seconds']:.2f} s ({fit['epochs']} epochs)" if fit else "never"


def print_table(results: dict) -> None:
    for what, title in (("als", "ImplicitALS, equal nDCG@10"), ("bpr", "BPR, implicit's best nDCG@10")):
        if what not in results:
            continue
        print(f"\n{title}")
        for name, duel in results[what]["duels"].items():
            ours, theirs = in_words(duel["ours"]), in_words(duel["implicit"])
            ratio = f"{duel['ratio']:.2f} ×" if duel["ratio"] else ""
            print(f"{TITLES[name]:<14} to {duel['goal']:.4f}: {ours:<22} implicit {theirs:<22} {ratio}")
    for what, peer in (("recommend", "implicit"), ("ease", "scipy")):
        if what not in results:
            continue
        print(f"\n{what}, beside {TITLES[peer]}")
        for name, found in results[what].items():
            ratio = found["seconds"] / results[what][peer]["seconds"]
            print(f"{TITLES[name]:<14} {1e3 * found['seconds']:9.1f} ms {ratio:6.2f} ×")
    shared.print_circumstances(results)


def missed(results: dict) -> list[str]:
    behind = []
    for name, duel in results.get("als", {"duels": {}})["duels"].items():
        # The target is the PyTorch wing's; Keras reports.
        if name == "torch" and (duel["ratio"] is None or duel["ratio"] > TARGETS["als"]):
            behind.append(f"ImplicitALS of {name} takes more than {TARGETS['als']:g} times implicit's time")
    behind += [
        f"BPR of {name} does not reach implicit's nDCG@10"
        for name, duel in results.get("bpr", {"duels": {}})["duels"].items()
        if duel["ours"] is None
    ]
    lists = results.get("recommend")
    behind += [
        f"recommend of {name} is slower than implicit's"
        for name in (shared.WINGS if lists else ())
        if lists[name]["seconds"] > TARGETS["recommend"] * lists["implicit"]["seconds"]
    ]
    return behind


def beside(results: dict) -> list[dict]:
    """Rows of the page `benchmarks`: those parts that were run."""
    rows = []
    for part, what in (
        ("als", "ImplicitALS: to the same nDCG@10"),
        ("bpr", "BPR: to implicit's best nDCG@10"),
    ):
        duels = results.get(part, {}).get("duels", {})
        found = {name: duel["ours"] and {"seconds": duel["ratio"]} for name, duel in duels.items()}
        if duels:
            rows.append(
                shared.beside(what, found | {"implicit": {"seconds": 1}}, "implicit", "implicit 0.7.3")
            )
    if "recommend" in results:
        what = "ImplicitALS: ten items for everybody"
        rows.append(shared.beside(what, results["recommend"], "implicit", "implicit 0.7.3"))
    if "ease" in results:
        rows.append(shared.beside("EASE: fit", results["ease"], "scipy", "SciPy's solve"))
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--interactions", type=int, default=1_000_000, help="how many are generated")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument(
        "--fewer", action="store_true", help="two numbers of epochs a side: to see that it runs"
    )
    parser.add_argument("--contend", choices=list(TITLES), help="only this, for the lines that come in")
    options = parser.parse_args(arguments)
    if options.contend:
        contend(options.contend)
        return 0
    n, few = options.interactions, slice(2 if options.fewer else None)
    als = {name: EPOCHS["als"][few] for name in RIVALS}
    bpr = {name: EPOCHS["bpr"]["implicit" if name == "implicit" else "recbook"][few] for name in RIVALS}
    results: dict = {}
    with shared.Contenders(__file__, RIVALS) as contenders:
        if "als" in options.parts:
            fits = curves(contenders, "als", n, als)
            found = duels(fits, lambda theirs, ours: ENOUGH * min(theirs, ours))
            results["als"] = {"fits": fits, "duels": found}
        if "bpr" in options.parts:
            fits = curves(contenders, "bpr", n, bpr)
            results["bpr"] = {"fits": fits, "duels": duels(fits, lambda theirs, ours: theirs)}
    if "recommend" in options.parts:
        results["recommend"] = in_turn(RIVALS, "recommend", n)
    if "ease" in options.parts:
        results["ease"] = in_turn(("scipy", *shared.WINGS), "ease", n)
    results["circumstances"] = {**shared.circumstances("implicit", "scipy"), "threads of implicit": threads()}
    print_table(results)
    return shared.end(results, options.json, missed(results), beside(results))


if __name__ == "__main__":
    sys.exit(main())
