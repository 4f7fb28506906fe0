"""Every model now and at an earlier commit, in turn: is anything slower than it was?

    python tasks.py bench before                         # all models; half an hour on two idle cores
    python benchmarks/before.py --only EASE BPR --base HEAD~20 --json out.json

The earlier code stands in a worktree of git's, `_build/before`. Both compute with one thread on MovieLens-100K,
gradient models for one epoch; a first round does not count, then the two take turns. Seconds are those of the
processor, of a fit, of 10,000 pairs predicted, of ten items recommended to everybody, of an evaluation. A ratio is
now / before, round by round; its median stands in the table. Behind its target is what is above 1.1 in every round.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np  # noqa: E402

sys.path.append(str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402
from models import METRICS, made, split  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / "_build" / "before"
BASE = "d4a0822"  # the first edition
ROUNDS, PAIRS, TARGET = 5, 10_000, 1.1
STEPS = ("fit", "predict", "recommend", "evaluate")


def checked_out(base: str) -> Path:
    """A worktree of the earlier commit."""
    subprocess.run(["git", "worktree", "remove", "--force", TREE], cwd=ROOT, capture_output=True, check=False)
    command = ["git", "worktree", "add", "--force", "--detach", TREE, base]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git has no commit {base}; name one: --base REVISION\n{done.stderr}")
    return TREE


def measured(wing: str, name: str) -> dict[str, float]:
    model = made(wing, name)
    if "epochs" in model.get_params():
        model = model.clone(epochs=1)
    train, test = split(name, model.task)
    x = getattr(test, "interactions", test)
    rows = np.arange(PAIRS) % len(x)
    users, items = x.users[rows], x.items[rows]
    tasks = {
        "fit": lambda: model.fit(train, progress=False),
        "predict": lambda: model.predict(users, items, unknown="fallback"),
        "recommend": lambda: model.recommend(k=10) if model.task != "click" else None,
        "evaluate": lambda: importlib.import_module("recbook.evaluation").evaluate(
            model, test, METRICS[model.task], relevant=4 if model.task in ("rating", "ranking") else None
        ),
    }
    seconds = {}
    for step, task in tasks.items():
        start = time.process_time()
        task()
        seconds[step] = time.process_time() - start
    return seconds


def contend() -> int:
    for line in sys.stdin:
        print(json.dumps(measured(*json.loads(line))), flush=True)
    return 0


def ratios(contenders: shared.Contenders, wing: str, name: str) -> dict[str, dict[str, float]]:
    """Of each step: the median of now / before over the rounds, the least of them, and the seconds now."""
    rounds = []
    for number in range(ROUNDS + 1):
        order = ("now", "before") if number % 2 else ("before", "now")
        rounds.append({side: contenders.ask(side, [wing, name]) for side in order})
    found = {}
    for step in STEPS:
        now, before = ([one[side][step] for one in rounds[1:]] for side in ("now", "before"))
        if max(before) > 0:
            each = sorted(a / max(b, 1e-4) for a, b in zip(now, before, strict=True))
            found[step] = {
                "ratio": statistics.median(each),
                "least": each[0],
                "seconds": statistics.median(now),
            }
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--contend", metavar="SIDE", help="answer questions, as one of the two sides")
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="these models instead of all")
    parser.add_argument("--base", default=BASE, help="the earlier commit")
    options = parser.parse_args(arguments)
    if options.contend:
        return contend()
    from recbook import twins

    base = checked_out(options.base)
    sides = {
        side: {"PYTHONPATH": str(tree), "RECBOOK_DATA": str(ROOT / "data")}
        for side, tree in {"now": ROOT, "before": base}.items()
    }
    figures, behind = {}, []
    print(f"{'now / before':<34}" + "".join(f"{step:>11}" for step in STEPS))
    with shared.Contenders(__file__, sides, sides) as contenders:
        for name in options.only or [pair.name for pair in twins.pairs()]:
            for wing in shared.WINGS:
                found = figures.setdefault(name, {})[wing] = ratios(contenders, wing, name)
                cells = (f"{found[step]['ratio']:11.2f}" if step in found else f"{'':>11}" for step in STEPS)
                print(f"{name:<26}{wing:<8}" + "".join(cells), flush=True)
                behind += [
                    f"{name} in {wing}: {step} takes {one['ratio']:.2f} times as long"
                    for step, one in found.items()
                    if one["least"] > TARGET
                ]
    results = {"base": options.base, "models": figures, "circumstances": shared.circumstances()}
    shared.print_circumstances(results)
    return shared.end(results, options.json, behind)


if __name__ == "__main__":
    sys.exit(main())
