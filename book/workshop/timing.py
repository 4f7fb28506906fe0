"""How long things take in a room: words told, cells shown, exercises solved, questions asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache

from . import library
from .library import tags_of, text_of
from .plain import blocks, directive

WORDS_TOLD = 110  # a minute, aloud and with pauses; `recbook.minutes` counts 200, for who reads alone
MINUTES_A_CELL = 1.5  # to look at code, a table or a figure together
EXERCISE_MINUTES = {"Easy": 5, "Medium": 10, "Hard": 15}
QUIZ_MINUTES = 4  # two questions: think, raise hands, say why
BOX = 9
START = "start"  # the key of what stands before the first section
BOXES = {"mistakes", "work", "published"}  # classes of boxes that a course takes or leaves like a section


def exercise_words() -> str:
    return ", ".join(f"{level.lower()} {minutes} minutes" for level, minutes in EXERCISE_MINUTES.items())


def told(words: int, cells: int) -> float:
    """Minutes to tell so many words and show so many cells."""
    return words / WORDS_TOLD + cells * MINUTES_A_CELL


@dataclass
class Part:
    """A stretch of a text cell that belongs to one section.

    key : the section's label, or else its title in small letters with hyphens;  level : of its heading, 2 or 3, of
    which 3 belongs to the 2 before it; BOX for a box; 0 where no heading stands here, and what was before goes on
    """

    key: str
    title: str = ""
    level: int = 0
    blocks: list[tuple[str, list[str]]] = field(default_factory=list)


def parts(text: str, key: str) -> list[Part]:
    """Split a text cell at its headings, and before and after each box that is a section of its own (`BOXES`)."""
    found = [Part(key)]
    label = ""
    for kind, lines in blocks(text):
        if kind == "target":
            label = lines[0].strip("()=")
        elif kind == "heading":
            marks, _, title = lines[0].partition(" ")
            found.append(Part(START if marks == "#" else label or slug(title), title.strip(), len(marks)))
            label = ""
        elif about := box_of(lines) if kind == "fence" else "":
            own = Part(label or slug(about), about, BOX, [(kind, lines)])
            found += [own, Part(found[-1].key)]
            label = ""
        else:
            found[-1].blocks.append((kind, lines))
    return [part for part in found if part.title or part.blocks]


def box_of(lines: list[str]) -> str:
    """The title of a box that is a section of its own; else empty."""
    name, title, options, _ = directive(lines)
    return title if name == "admonition" and set(options.get("class", "").split()) & BOXES else ""


def words_of(part: Part) -> int:
    return sum(len(" ".join(lines).split()) for _, lines in part.blocks)


def slug(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


@cache
def sections(name: str) -> list[tuple[str, int, int]]:
    """(title, words, minutes to tell) of each section of a chapter, without exercises and questions."""
    counts: dict[str, list] = {START: [library.chapter(name).title, 0, 0]}
    key = START
    for cell in library.notebook(name)["cells"]:
        if cell["cell_type"] == "markdown":
            for part in parts(text_of(cell), key):
                counts.setdefault(part.key, [part.title, 0, 0])[1] += words_of(part)
                key = key if part.level == BOX else part.key
        elif not tags_of(cell) & {
            "remove-cell",
            "exercise",
            "solution",
            "keras",
        }:  # a room sees one framework
            counts[key][2] += 1
    return [
        (title, words, max(1, math.ceil(told(words, cells))))
        for title, words, cells in counts.values()
        if title != "Exercises"
    ]
