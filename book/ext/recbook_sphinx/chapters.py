"""The book's parts, from _toc.yml, and what a chapter's notebook says of itself, from its metadata."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from . import ROOT

TOC = ROOT / "_toc.yml"
TITLE = re.compile(
    r"\A(?:\([\w-]+\)=\n)?# (?P<title>[^\n]+)\n+(?:\*\*(?P<question>.+?)\*\*(?=\n\n|\Z))?", re.S
)
# "The chapter data.", "The chapter on data.", "The chapters data and evaluation: its splits."
NEEDS = re.compile(r"(The chapters? (?:on )?)(\w+(?:(?:, | and )\w+)*)(\.|:.*)", re.S)


@dataclass(frozen=True)
class Part:
    """A part of the book: its caption and its pages in order, named as in _toc.yml."""

    caption: str
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """A notebook: what its page's head and foot, the status page and the part's map show.

    minutes : to read; run : date, seconds, versions, as `tasks.py run` notes them, empty before the first run
    """

    page: str
    title: str
    question: str
    goals: tuple[str, ...]
    prerequisites: tuple[str, ...]
    minutes: int | None
    run: dict = field(default_factory=dict)
    size: int = 0
    cells: int = 0
    figures: int = 0

    @property
    def needs(self) -> list[str]:
        """The pages that this one builds on."""
        found = [NEEDS.fullmatch(sentence) for sentence in self.prerequisites]
        return [f"chapters/{name}" for match in found if match for name in re.split(", | and ", match[2])]


def read_parts(toc: Path = TOC) -> list[Part]:
    found = yaml.safe_load(toc.read_text("utf-8"))["parts"]
    return [Part(part["caption"], tuple(page["file"] for page in part["chapters"])) for part in found]


def part_of(page: str, parts: list[Part]) -> Part | None:
    return next((part for part in parts if page in part.pages), None)


def read_chapter(page: str, root: Path = ROOT) -> Chapter | None:
    """A page's notebook; None where the page is none."""
    path = root / f"{page}.ipynb"
    if not path.is_file():
        return None
    return describe(page, json.loads(path.read_text("utf-8")), path.stat().st_size)


def describe(page: str, notebook: dict, size: int) -> Chapter:
    metadata = notebook["metadata"].get("recbook", {})
    cells = notebook["cells"]
    first = TITLE.match("".join(cells[0]["source"])) if cells else None
    if not first:
        raise ValueError(f"{page}: its first cell does not begin with `(label)=` and `# Title`")
    return Chapter(
        page,
        first["title"].strip(),
        " ".join((first["question"] or "").split()),
        tuple(metadata.get("goals", ())),
        tuple(metadata.get("prerequisites", ())),
        metadata.get("minutes", {}).get("read"),
        metadata.get("run", {}),
        size,
        len(cells),
        sum(has_picture(output) for cell in cells for output in cell.get("outputs", ())),
    )


def has_picture(output: dict) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def linked(prerequisite: str) -> str:
    """A prerequisite in MyST Markdown, the chapters that it names as links."""
    match = NEEDS.fullmatch(prerequisite)
    if not match:
        return prerequisite
    names = re.sub(r"\w+", lambda word: word[0] if word[0] == "and" else link(word[0]), match[2])
    return f"{match[1]}{names}{match[3]}"


def link(name: str) -> str:
    return f"{{doc}}`/chapters/{name}`"
