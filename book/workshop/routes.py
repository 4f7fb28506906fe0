"""The courses that routes.toml states: which chapters, sections, exercises and breaks, in order."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import exercises, library

DATA = Path(__file__).with_name("routes.toml")


@dataclass(frozen=True)
class Block:
    """A stretch of a course: a chapter, or a pause of some minutes, which a word explains.

    sections : keys as in `timing.parts`, empty for all that is tagged;  exercises : labels;  quiz : its two questions;
    day : the day that begins here, 0 for none
    """

    chapter: str = ""
    sections: tuple[str, ...] = ()
    exercises: tuple[str, ...] = ()
    quiz: bool = True
    pause: int = 0
    words: str = ""
    day: int = 0


@dataclass(frozen=True)
class Route:
    """A course. minutes : what it may take, pauses included"""

    name: str
    title: str
    minutes: int
    goal: str
    blocks: tuple[Block, ...]


@cache
def read_routes() -> tuple[Route, ...]:
    """The courses; ValueError names a chapter, section or exercise that there is not."""
    found = []
    for entry in tomllib.loads(DATA.read_text("utf-8"))["route"]:
        blocks = []
        for one in entry["block"]:
            block = Block(**{key: tuple(v) if isinstance(v, list) else v for key, v in one.items()})
            check(entry["name"], block)
            blocks.append(block)
        found.append(Route(entry["name"], entry["title"], entry["minutes"], entry["goal"], tuple(blocks)))
    return tuple(found)


def check(route: str, block: Block) -> None:
    if bool(block.chapter) == bool(block.pause):
        raise ValueError(f"{route}: a block is a chapter or a pause: {block}")
    if block.pause:
        return
    if block.chapter not in library.chapter_names():
        raise ValueError(f"{route}: there is no chapter {block.chapter}")
    from .slides import section_keys

    known = {one.label for one in exercises.of_chapter(block.chapter)}
    for name, asked, there in (
        ("section", block.sections, section_keys(block.chapter)),
        ("exercise", block.exercises, known),
    ):
        for key in asked:
            if key not in there:
                raise ValueError(
                    f"{route}: {block.chapter} has no {name} {key}; it has {', '.join(sorted(there))}"
                )
