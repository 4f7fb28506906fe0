"""A lesson plan for a course: what happens when, for how long, and what to bring; from the slides and the notebooks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from . import exercises, library, timing
from .plain import inline
from .routes import Block, Route
from .slides import Slide, of_block

QUESTIONS = "The two questions"


@dataclass(frozen=True)
class Row:
    """A line of a plan: when it begins and how long it takes, in minutes since the day began."""

    begins: float
    minutes: float
    chapter: str
    what: str
    slides: int
    day: int = 0


@cache
def rows(route: Route) -> list[Row]:
    """The lines of a course's plan, in order."""
    found, now = [], 0.0
    for block in route.blocks:
        now = 0.0 if block.day else now
        for what, slides in stretches(block):
            minutes = sum(slide.minutes for slide in slides)
            found.append(Row(now, minutes, block.chapter, what, len(slides), block.day))
            now += minutes
    return found


def stretches(block: Block) -> list[tuple[str, list[Slide]]]:
    """(what, slides) of a stretch of a course: each section, the questions, each exercise."""
    titles = {one.label: one for one in exercises.of_chapter(block.chapter)} if block.chapter else {}
    asked = iter(block.exercises)
    found = []
    for group in of_block(block):
        if group[0].kind == "exercise":
            one = titles[next(asked)]
            found.append((f"Exercise ({one.level.lower()}): {inline(one.title, block.chapter)}", group))
        elif group[0].kind == "quiz":
            found.append((QUESTIONS, group))
        elif group[0].kind == "chapter":
            found.append(("Question and guess", group))
        else:
            found.append((group[0].title, group))
    return found


def total(route: Route) -> int:
    return math.ceil(sum(row.minutes for row in rows(route)))


def clock(minutes: float) -> str:
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}"


def chapters(route: Route) -> list[str]:
    return [block.chapter for block in route.blocks if block.chapter]


def spoken(minutes: int) -> str:
    """90 minutes; 4 hours; 15 hours."""
    return f"{minutes // 60} hours" if minutes % 60 == 0 else f"{minutes} minutes"


def plan(route: Route) -> str:
    """The lesson plan in Markdown."""
    names = chapters(route)
    found = rows(route)
    parts = [
        f"# {route.title}: lesson plan",
        route.goal,
        f"{total(route)} of {route.minutes} minutes, pauses included; {sum(row.slides for row in found)} slides.",
        "## Beforehand",
        before(route),
        "## What the chapters aim at",
        goals(names),
        "Where a course leaves sections out it leaves out what they are for: the table says what is shown.",
        "## Hour by hour",
        "Clock in hours and minutes from the beginning. Of a pair of slides for PyTorch and for Keras a room sees one.",
    ]
    days = by_day(found)
    for number, of_day in enumerate(days, start=1):
        if len(days) > 1:
            parts.append(f"### Day {number}")
        parts.append(table(of_day))
    parts += ["## How the minutes were found", reckoning()]
    return "\n\n".join(parts) + "\n"


def by_day(found: list[Row]) -> list[list[Row]]:
    """The rows of each day."""
    days: list[list[Row]] = []
    for row in found:
        if row.day or not days:
            days.append([])
        days[-1].append(row)
    return days


def table(found: list[Row]) -> str:
    lines = ["| clock | minutes | what | slides |", "|--:|--:|---|--:|"]
    for chapter, group in groupby(found, key=lambda row: row.chapter):
        for number, row in enumerate(group):
            if chapter and number == 0:
                lines.append(f"| | | **{library.chapter(chapter).title}** (`{chapter}.ipynb`) | |")
            lines.append(
                f"| {clock(row.begins)} | {max(1, round(row.minutes))} | {row.what} | {row.slides} |"
            )
    end = found[-1].begins + found[-1].minutes
    return "\n".join([*lines, f"| {clock(math.ceil(end))} | | End | |"])


def before(route: Route) -> str:
    names = chapters(route)
    seconds = sum(library.chapter(name).run.get("seconds", 0) for name in names)
    needs = dict.fromkeys(
        need
        for name in names
        for need in library.chapter(name).prerequisites
        if not need.startswith("The chapter")
    )
    lines = [
        "Send people the notebook `prerequisites.ipynb` a week ahead: it tests what is needed and says what to read.",
        f"Run the learners' notebooks of these {len(names)} chapters once on the machine that shows them: "
        f"{math.ceil(seconds / 60)} minutes in all on one thread, and the data are there afterwards.",
        f"Open `slides/{route.name}.html`; S opens the notes, which have the whole text of each section.",
        "Read the instructors' notebooks: minutes, answers, hints, and the mistakes that will come.",
    ]
    asked = "\n".join(f"- {inline(need, names[0])}" for need in needs)
    return "\n".join(f"- {line}" for line in lines) + f"\n\nPeople need:\n\n{asked}"


def goals(names: list[str]) -> str:
    lines = []
    for name in names:
        chapter = library.chapter(name)
        lines.append(f"- **{chapter.title}.** {' '.join(inline(goal, name) for goal in chapter.goals)}")
    return "\n".join(lines)


def reckoning() -> str:
    """How minutes are computed, in a paragraph."""
    return (
        f"The words of what is told, at {timing.WORDS_TOLD} a minute; {timing.MINUTES_A_CELL} minutes for each code, "
        f"table or figure; exercises by level: {timing.exercise_words()}; {timing.QUIZ_MINUTES} minutes for the two "
        "questions of a chapter. Seconds to run are those that each notebook took when its outputs were stored."
    )
