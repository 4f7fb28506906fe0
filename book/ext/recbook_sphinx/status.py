"""`{status}`: each notebook's minutes, seconds, size, cells and figures, and what they all were run with."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import ROOT
from .chapters import TOC, Chapter, link, pages_of_book, read_chapter
from .page_foot import data, day, versions

HEAD = ("notebook", "read, min", "run, s", "size, kB", "cells", "figures")


def row(chapter: Chapter) -> list[str]:
    return [
        link(chapter.page.rpartition("/")[2]),
        str(chapter.minutes or "–"),
        str(chapter.run.get("seconds", "–")),
        f"{chapter.size / 1000:.0f}",
        str(chapter.cells),
        str(chapter.figures),
    ]


def total(chapters: list[Chapter]) -> list[str]:
    return [
        "**all**",
        str(sum(chapter.minutes or 0 for chapter in chapters)),
        str(sum(chapter.run.get("seconds", 0) for chapter in chapters)),
        f"{sum(chapter.size for chapter in chapters) / 1000:.0f}",
        str(sum(chapter.cells for chapter in chapters)),
        str(sum(chapter.figures for chapter in chapters)),
    ]


def table(chapters: list[Chapter]) -> str:
    """The table in MyST Markdown, the sums in the last row."""
    rows = [HEAD, ["---", *["--:"] * (len(HEAD) - 1)], *map(row, chapters), total(chapters)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def runs(chapters: list[Chapter]) -> str:
    """When and with what: one sentence for all notebooks that agree, in the order of the book."""
    groups: dict[str, list[str]] = {}
    for chapter in chapters:
        run = chapter.run
        text = f"{day(run['date'])}, {versions(run)}. {data(run)}" if run else "not run yet."
        groups.setdefault(text, []).append(link(chapter.page.rpartition("/")[2]))
    if len(groups) == 1:
        return f"All of them: {next(iter(groups))}"
    return "\n".join(f"- {', '.join(names)}: {text}" for text, names in groups.items())


class StatusDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        chapters = [chapter for page in pages_of_book() if (chapter := read_chapter(page))]
        for path in (TOC, *(ROOT / f"{chapter.page}.ipynb" for chapter in chapters)):
            self.env.note_dependency(str(path))
        box = nodes.container(classes=["rb-status"])
        text = f"{table(chapters)}\n\n{runs(chapters)}"
        self.state.nested_parse(StringList(text.splitlines(), source=str(TOC)), 0, box)
        return [box]


def setup(app: Sphinx) -> None:
    app.add_directive("status", StatusDirective)
