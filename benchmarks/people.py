"""People never seen, ten times as many: does it take more than ten times as long?

    python tasks.py bench people
    python benchmarks/people.py --only BPR --json out.json

Every model that takes histories, in both wings, trained for one epoch on MovieLens-100K. The people are train's own
under other names, each with 20 events. Seconds of the processor, one thread, the best of two: ten items for each of 300
and of 3,000 people, and an evaluation of one held-out item each. Behind its target is a ratio above 12.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

sys.path.append(str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402
from models import made, split  # noqa: E402

from recbook.evaluation import evaluate  # noqa: E402
from recbook.interactions import Interactions  # noqa: E402

FEW, MANY, EVENTS, ROUNDS, TARGET = 300, 3000, 20, 2, 12


def people(train: Interactions, n: int) -> tuple[Interactions, Interactions]:
    """n people's histories, and one more event each."""
    frame = train.to_frame()
    by_user = [rows.head(EVENTS + 1) for _, rows in frame.groupby("user", sort=False) if len(rows) > EVENTS]
    rows = pd.concat(
        [by_user[number % len(by_user)].assign(user=f"new {number}") for number in range(n)],
        ignore_index=True,
    )
    last = np.arange(len(rows)) % (EVENTS + 1) == EVENTS
    return Interactions.from_frame(rows[~last]), Interactions.from_frame(rows[last])


def seconds(task) -> float:
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        task()
        found.append(time.process_time() - start)
    return min(found)


def measured(wing: str, name: str) -> dict[str, dict[str, float]] | None:
    model = made(wing, name)
    if "histories" not in model.supports or (model.task == "click" and "history" not in model.fields):
        return None
    if "epochs" in model.get_params():
        model = model.clone(epochs=1)
    train, _ = split(name, model.task)
    model.fit(train, progress=False)
    found = {"recommend": {}, "evaluate": {}}
    for n in (FEW, MANY):
        histories, test = people(getattr(train, "interactions", train), n)
        found["recommend"][str(n)] = seconds(lambda h=histories: model.recommend(histories=h, k=10))
        found["evaluate"][str(n)] = seconds(
            lambda h=histories, t=test: evaluate(model, t, ["ndcg@10"], histories=h)
        )
    return {step: {**by_n, "ratio": by_n[str(MANY)] / by_n[str(FEW)]} for step, by_n in found.items()}


def contend() -> int:
    for line in sys.stdin:
        print(json.dumps(measured(*json.loads(line))), flush=True)
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--contend", metavar="WING", help="answer questions, as one wing")
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="these models instead of all")
    options = parser.parse_args(arguments)
    if options.contend:
        return contend()
    from recbook import twins

    figures, behind = {}, []
    print(f"{MANY} / {FEW} people{'':<16}{'recommend':>11}{'evaluate':>11}")
    with shared.Contenders(__file__, shared.WINGS) as contenders:
        for name in options.only or [pair.name for pair in twins.pairs()]:
            for wing in shared.WINGS:
                found = contenders.ask(wing, [wing, name])
                if found is None:
                    continue
                figures.setdefault(name, {})[wing] = found
                ratios = {step: one["ratio"] for step, one in found.items()}
                cells = "".join(f"{ratio:11.1f}" for ratio in ratios.values())
                print(f"{name:<24}{wing:<8}{cells}", flush=True)
                behind += [
                    f"{name} in {wing}: {step} takes {ratio:.1f} times as long for ten times the people"
                    for step, ratio in ratios.items()
                    if ratio > TARGET
                ]
    results = {"models": figures, "circumstances": shared.circumstances()}
    shared.print_circumstances(results)
    return shared.end(results, options.json, behind)


if __name__ == "__main__":
    sys.exit(main())
