"""How the code is built, and how long its tests take, in numbers.

    python tasks.py bench house

Classes and modules are those of recbook that a public model stands on; repeated lines are those of the PyTorch wing
that stand in the Keras file of the same name, too. The seconds are those of the last `make test` on this machine, if
there was one; they hang on what else it had to do.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "_build" / "test"
MOST_CLASSES, MOST_MODULES, MOST_REPEATED, MOST_FILES = 6, 6, 900, 20


def lines(*patterns: str) -> int:
    """Lines that say something, of all files of some patterns."""
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sum(bool(line.strip()) for path in paths for line in path.read_text("utf-8").splitlines())


def files_of_a_topic() -> int:
    """How many files a new topic writes by hand: `make topic` makes them as a skeleton."""
    sys.path.insert(0, str(ROOT))
    from book import rooms

    return len(rooms.skeleton("tasting"))


def steps() -> dict[str, dict[str, float]]:
    """Of each step of the last `make test` that left a report: seconds and tests."""
    found = {}
    for path in sorted(REPORTS.glob("*.xml")):
        for suite in ET.parse(path).iter("testsuite"):
            numbers = {name: float(suite.get(name, 0)) for name in ("time", "tests", "failures", "errors")}
            found[path.stem] = {"seconds": numbers.pop("time"), **numbers}
    return found


def main(arguments: list[str] | None = None) -> int:
    options = shared.parser(__doc__).parse_args(arguments)
    from recbook.tools import house, twins

    classes, modules = house.longest_ladders()
    found = {
        "models": len(twins.pairs()),
        "classes under a model": classes,
        "modules under a model": modules,
        "lines of one wing repeated in the other": house.repeated_lines(),
        "files of a topic": files_of_a_topic(),
        "lines of the package": lines("recbook/**/*.py"),
        "lines of the tests": lines("tests/**/*.py"),
    }
    most = dict(zip(list(found)[1:5], (MOST_CLASSES, MOST_MODULES, MOST_REPEATED, MOST_FILES), strict=True))
    for name, number in found.items():
        print(f"{name:<42}{number:>8,}" + (f"   at most {most[name]}" if name in most else ""))
    results = {"house": found, "steps of the last make test": steps()}
    for name, step in results["steps of the last make test"].items():
        print(f"{name:<42}{step['seconds']:>8,.0f} s {step['tests']:>8,.0f} tests")
    behind = [
        f"{name}: {found[name]:,}, and {limit} were to be the most"
        for name, limit in most.items()
        if found[name] > limit
    ]
    results["circumstances"] = shared.circumstances()
    return shared.end(results, options.json, behind)


if __name__ == "__main__":
    sys.exit(main())
