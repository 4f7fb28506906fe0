"""How the code is built, in numbers: what a topic costs to read and to change."""

from __future__ import annotations

from pathlib import Path

from recbook.recommender import Recommender
from recbook.tools import twins

PACKAGE = Path(__file__).resolve().parents[1]
SHORT = 3  # signs; a line this short, such as "):", is no repetition


def ladder(cls: type[Recommender]) -> list[type]:
    """The classes of recbook that a model stands on, itself first."""
    return [base for base in cls.__mro__ if base.__module__.split(".")[0] == "recbook"]


def longest_ladders() -> tuple[int, int]:
    """How many classes, and how many modules, a public model of the wings stands on at most."""
    models = [cls for pair in twins.pairs() for cls in (pair.torch, pair.keras) if cls]
    ladders = [ladder(cls) for cls in models]
    return max(map(len, ladders)), max(len({base.__module__ for base in one}) for one in ladders)


def repeated_lines() -> int:
    """Lines of the PyTorch wing that stand, but for indentation, in the Keras file of the same name, too."""
    total = 0
    for path in sorted((PACKAGE / "torch").glob("*.py")):
        other = PACKAGE / "keras" / path.name
        if other.is_file():
            there = {line.strip() for line in other.read_text("utf-8").splitlines()}
            lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
            total += sum(len(line) > SHORT and line in there for line in lines)
    return total
