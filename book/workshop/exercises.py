"""The exercises of a chapter: what is asked, where its stub and solutions stand, check, hints and mistakes."""

from __future__ import annotations

import importlib
import inspect
import re
import types
from collections.abc import Callable
from dataclasses import dataclass

from recbook.checks import Mistake

from . import library
from .library import tags_of, text_of
from .plain import FENCE, blocks, directive

LEVELS = ("Easy", "Medium", "Hard")
LEVEL = re.compile(r"\*(\w+)\.\*")
CALL = re.compile(r"\b(?P<call>(?:check|exercises)\.(?P<function>\w+))\(")


@dataclass(frozen=True)
class Exercise:
    """asked, stub, solutions : places of cells in the notebook;  call : the check as the notebook names it"""

    chapter: str
    label: str
    title: str
    level: str
    asked: int
    stub: int
    solutions: tuple[int, ...]
    call: str
    check: Callable

    @property
    def hints(self) -> tuple[str, ...]:
        return getattr(self.check, "hints", ())

    @property
    def mistakes(self) -> list[Mistake]:
        return known_mistakes(self.check)


def known_mistakes(check: Callable) -> list[Mistake]:
    """The mistakes that a check of recbook.checks knows."""
    check = inspect.unwrap(check)
    seen: list[Mistake] = []

    def listen(answer, right, cases, mistakes, *rest) -> bool:
        seen.extend(mistakes)
        return False

    # The same function, with another `check` in its sight.
    heard = types.FunctionType(check.__code__, {**check.__globals__, "check": listen}, check.__name__)
    heard(None)
    return seen


def of_chapter(name: str, cells: list[dict] | None = None) -> list[Exercise]:
    """The exercises of a chapter in their order. ValueError where one has no stub or names no check."""
    cells = library.notebook(name)["cells"] if cells is None else cells
    module = importlib.import_module(f"recbook.checks.{name}")
    found = []
    for place, cell in enumerate(cells):
        for title, label, level in asked_in(cell):
            stub = place + 1
            if stub >= len(cells) or "exercise" not in tags_of(cells[stub]):
                raise ValueError(f"{name}: no cell with the tag `exercise` follows the exercise {label}")
            call = CALL.search(text_of(cells[stub]))
            if not call or not hasattr(module, call["function"]):
                raise ValueError(f"{name}: the stub of {label} calls no check of recbook/checks/{name}.py")
            end = stub + 1
            while end < len(cells) and "solution" in tags_of(cells[end]):
                end += 1
            check = getattr(module, call["function"])
            solutions = tuple(range(stub + 1, end))
            found.append(Exercise(name, label, title, level, place, stub, solutions, call["call"], check))
    return found


def asked_in(cell: dict) -> list[tuple[str, str, str]]:
    """(title, label, level) of each exercise in a text cell."""
    if cell["cell_type"] != "markdown":
        return []
    found = []
    for kind, lines in blocks(text_of(cell)):
        if kind == "fence" and FENCE.match(lines[0])["name"] == "exercise":
            _, title, options, body = directive(lines)
            level = LEVEL.match(body)
            found.append((title, options["label"], level[1] if level else ""))
    return found
