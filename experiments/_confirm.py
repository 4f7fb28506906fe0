"""Confirms results whose code has changed: a miniature of each experiment must give the stored figures again.

    make experiments ARGS="--confirm [TOPIC ...]"        (without a topic: all results that are stale)

An experiment's `miniature(figures)` yields places in its figures, as tuples of keys, and what is measured there now: at
most a minute of the protocol that the result was made by. Its SPREADS says by how much figures of a model may differ;
all else must come out to 1e-6. Where all do, the result is stamped: it gets the hash of the code as it is, and
`confirmed` tells when, on what, and which figures were measured again. Where one does not, nothing is written.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from types import ModuleType
from typing import Any

from recbook import datasets, results
from recbook.errors import DataError

RELATIVE = 1e-6
ROUNDED = 10.0**-results.DIGITS  # stored figures are


def confirm(topic: str) -> None:
    """Measures a result's miniature and stamps the result. Raises DataError, and writes nothing, where that fails."""
    experiment = importlib.import_module(f"experiments.{topic}")
    stored = results.load(topic)
    refuse_another(experiment, stored)
    stamped = getattr(experiment, "stamped", lambda figures: figures)(stored["figures"])
    measured, worst, started = [], (0.0, "no figure"), time.perf_counter()
    for place, fresh in experiment.miniature(stored["figures"]):
        name, old = " / ".join(map(str, place)), at(stored["figures"], place)
        difference, allowed = abs(fresh - old), tolerance(old, place, experiment.SPREADS)
        if not difference <= allowed:
            raise DataError(
                f"{topic}: {name} was {old}, and is {fresh:.6f} now, {difference:.2g} apart where {allowed:.2g} is "
                f"allowed; nothing was written. If the change is meant, renew the result: {results.renewal(topic)}"
            )
        print(f"{topic}: {name} is {fresh:.6f}, was {old}", flush=True)
        measured.append(name)
        worst = max(worst, (difference, name))
    if not measured:
        raise DataError(f"{topic}: its miniature measured nothing; nothing was written")
    path = results.stamp(results.EXPERIMENTS / f"{topic}.py", stored | {"figures": stamped}, measured)
    seconds = time.perf_counter() - started
    print(f"stamped {path} in {seconds:.0f} s; furthest off by {worst[0]:.2g}: {worst[1]}", flush=True)


def refuse_another(experiment: ModuleType, stored: dict[str, Any]) -> None:
    """Raises DataError where protocol or data are no longer those of the result: no miniature speaks for that."""
    topic = stored["topic"]
    if stored["protocol"] != json.loads(json.dumps(experiment.PROTOCOL)):
        raise DataError(f"{topic}: the protocol has changed; renew the result: {results.renewal(topic)}")
    if stored["data"]["sha256"] != datasets.fetch_movielens("100k").sha256:
        raise DataError(f"{topic}: the data has changed; renew the result: {results.renewal(topic)}")


def at(figures: Any, place: tuple) -> float:
    """The figure at a place. Raises DataError where there is none."""
    found = figures
    try:
        for key in place:
            found = found[key]
    except (KeyError, IndexError, TypeError):
        raise DataError(f"the result has no figure at {' / '.join(map(str, place))}; renew it") from None
    return found


def tolerance(stored: float, place: tuple, spreads: dict[str, float]) -> float:
    """How far a fresh figure may be off: what its model's spread says, or else a rounding."""
    return max([RELATIVE * abs(stored) + ROUNDED, *(spreads[key] for key in place if key in spreads)])


def main(topics: list[str]) -> int:
    scripts = [path for path in sorted(results.EXPERIMENTS.glob("*.py")) if not path.stem.startswith("_")]
    stale = [one.stem for one in scripts if results.load(one.stem)["code"] != results.code_hash(one)]
    chosen, failed = topics or stale, []
    if not chosen:
        print("no result is stale")
    for topic in chosen:
        try:
            confirm(topic)
        except DataError as error:
            print(error, file=sys.stderr, flush=True)
            failed.append(topic)
    if failed:
        print(f"not confirmed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
