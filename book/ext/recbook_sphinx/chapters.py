"""The book's parts, from _toc.yml, and what a chapter's notebook says of itself, from its metadata."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from . import ROOT

TOC = ROOT / "_toc.yml"
TITLE = re.compile(
    r"\A(?:\([\w-]+\)=\n)?# (?P<title>[^\n]+)\n+(?:\*\*(?P<question>.+?)\*\*(?=\n\n|\Z))?", re.S
)
# A chapter's name or title: "The chapters data and evaluation: its splits.", "RMSE, from the chapter on neighbours."
# One word before a full stop or a colon is taken for a name unseen, so that a wrong one is found.
LISTED = r"\b(chapters? (?:on )?)((?:NAME)(?:(?:, | and )(?:NAME))*|\w+(?:(?:, | and )\w+)*(?=\.|:))"


@dataclass(frozen=True)
class Part:
    """A part of the book: its caption and its pages in order, named as in _toc.yml."""

    caption: str
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """A notebook: what its page's head and foot, the status page and the part's map show.

    minutes : to read; run : date, seconds, versions, as `tasks.py run` notes them, empty before the first run
    guide : says its metadata, `recbook.guide`, that it is no topic: a page of use among those of reference, that has
        no rooms, no exercises and no questions, and stands on no map
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
    guide: bool = False

    @property
    def needs(self) -> list[str]:
        """The pages that this one builds on."""
        lists = [match[2] for sentence in self.prerequisites for match in listed().finditer(sentence)]
        return list(dict.fromkeys(page_of(name[0]) for names in lists for name in one_name().finditer(names)))


def read_parts(toc: Path = TOC) -> list[Part]:
    found = yaml.safe_load(toc.read_text("utf-8"))["parts"]
    return [Part(part["caption"], tuple(page["file"] for page in part["chapters"])) for part in found]


@cache
def pages_of_book() -> tuple[str, ...]:
    """All pages below the first, in reading order."""
    return tuple(page for part in read_parts() for page in part.pages)


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
        bool(metadata.get("guide", False)),
    )


def read_topic(page: str, root: Path = ROOT) -> Chapter | None:
    """A page's notebook; None where the page is none, or a guide."""
    chapter = read_chapter(page, root)
    return None if chapter is None or chapter.guide else chapter


def has_picture(output: dict) -> bool:
    return any(kind.startswith("image/") for kind in output.get("data", {}))


@cache
def known_names() -> dict[str, str]:
    """What a prerequisite may call a chapter -> its page: its name, and its title in small letters."""
    names = {}
    for page in pages_of_book():
        if chapter := read_chapter(page):
            names |= {page.rpartition("/")[2]: page, chapter.title.lower(): page}
    return names


@cache
def one_name() -> re.Pattern:
    """Finds the names in a list of chapters one by one, the longest first."""
    known = "|".join(map(re.escape, sorted(known_names(), key=len, reverse=True)))
    return re.compile(rf"\b(?:{known}|(?!and\b)\w+)\b")


@cache
def listed() -> re.Pattern:
    """Finds a list of chapters in a prerequisite."""
    return re.compile(LISTED.replace("NAME", one_name().pattern.replace(r"|(?!and\b)\w+", "")))


def page_of(name: str) -> str:
    return known_names().get(name, f"chapters/{name}")


def linked(prerequisite: str) -> str:
    """A prerequisite in MyST Markdown, the chapters that it names as links."""

    def links(match: re.Match) -> str:
        return match[1] + one_name().sub(lambda name: link(page_of(name[0]).rpartition("/")[2]), match[2])

    return listed().sub(links, prerequisite)


def link(name: str) -> str:
    return f"{{doc}}`/chapters/{name}`"
