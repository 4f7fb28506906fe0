"""`{workshop} WHAT`: the courses of the workshop kit, from book/workshop/routes.toml: `courses` or `chapters`."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import BOOK, ROOT


def courses() -> str:
    """A table of the courses, in MyST Markdown."""
    from book.workshop import plans, routes  # here: only this page needs what makes the kit

    lines = ["| course | minutes | chapters | exercises | slides |", "|---|--:|--:|--:|--:|"]
    for route in routes.read_routes():
        solved = sum(len(block.exercises) for block in route.blocks)
        slides = sum(row.slides for row in plans.rows(route))
        cells = [route.name.replace("-", " "), plans.total(route), len(plans.chapters(route)), solved, slides]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def chapters() -> str:
    """For each course what it takes of which chapter, with minutes, in MyST Markdown."""
    from book.workshop import plans, routes

    parts = []
    for route in routes.read_routes():
        parts += [
            f"**{route.title}.** {route.goal}",
            "| minutes | what |\n|--:|---|\n" + "\n".join(lines_of(plans, route)),
        ]
    return "\n\n".join(parts)


def lines_of(plans, route) -> list[str]:
    """A line a stretch of a course: its minutes, and its chapter or the words of a pause."""
    lines = []
    rows = iter(plans.rows(route))
    for block in route.blocks:
        count = len(plans.stretches(block))
        minutes = round(sum(next(rows).minutes for _ in range(count)))
        what = f"{{doc}}`/chapters/{block.chapter}`" if block.chapter else block.words
        what = f"**Day {block.day}.** {what}" if block.day else what
        lines.append(f"| {minutes} | {what} |")
    return lines


PARTS = {"courses": courses, "chapters": chapters}


class WorkshopDirective(SphinxDirective):
    """One of the parts: `courses` or `chapters`."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        part = self.arguments[0]
        if part not in PARTS:
            raise self.error(f"workshop: {part!r} is none of {', '.join(PARTS)}")
        for path in (*(BOOK / "workshop").glob("*.*"), *(ROOT / "chapters").glob("*.ipynb")):
            self.env.note_dependency(str(path))  # the page is made anew where one of these has changed
        box = nodes.container(classes=[f"rb-workshop-{part}"])
        self.state.nested_parse(StringList(PARTS[part]().splitlines(), source=__file__), 0, box)
        return [box]


def setup(app: Sphinx) -> None:
    app.add_directive("workshop", WorkshopDirective)
