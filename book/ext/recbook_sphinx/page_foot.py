"""`{page-foot}`: at the end of a chapter the package's names that it uses, and how its notebook was run last."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import names
from .chapters import read_chapter

SHORT = 12  # digits of a hash, of 64


def put_foot(source: str) -> str:
    """Enter the directive into a notebook's text, as a cell of its own at the end."""
    notebook = json.loads(source)
    cell = {"cell_type": "markdown", "id": "page-foot", "metadata": {}, "source": "```{page-foot}\n```"}
    notebook["cells"].append(cell)
    return json.dumps(notebook)


def day(date: str) -> str:
    """2026-01-31 -> 31 January 2026"""
    when = datetime.date.fromisoformat(date)
    return f"{when.day} {when:%B %Y}"


def versions(run: dict) -> str:
    """Python 3.11.2, torch 2.13.0, keras 3.15.1 on tensorflow 2.21.0, numpy 2.4.6"""
    known = dict(run["versions"])
    backend = run["backend"]
    under = f" on {backend} {known[backend]}" if backend else ""
    if backend not in (None, "torch"):
        del known[backend]
    parts = [f"{name} {number}{under if name == 'keras' else ''}" for name, number in known.items()]
    return ", ".join([f"Python {run['python']}", *parts])


def data(run: dict) -> str:
    parts = [
        f"{name.upper().replace('ML-', 'MovieLens-')}, sha256 `{digest[:SHORT]}…`"
        for name, digest in run["data"].items()
    ]
    return f"Data: {'; '.join(parts)}." if parts else "It fetches no data."


def foot(page: str, run: dict) -> str:
    """The foot in MyST Markdown."""
    if not run:
        return f"This notebook has not been run yet: `python tasks.py run {page}.ipynb`"
    return f"Run on {day(run['date'])} in {run['seconds']} seconds with {versions(run)}. {data(run)}"


def short(name: str) -> tuple[str, str]:
    """Sorts names by their last part."""
    return name.rpartition(".")[2].lower(), name


class PageFootDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        chapter = read_chapter(self.env.docname, self.env.srcdir)
        if chapter is None:
            raise self.error("page-foot: this page is no notebook")
        path = Path(self.env.srcdir, f"{self.env.docname}.ipynb")
        used = names.note(self.env, self.env.docname, path)
        box = nodes.container(classes=["rb-foot"])
        if used:
            self.parse(
                box, "rb-foot-names", f"**From the package:** {names.listing(sorted(used, key=short))}"
            )
        self.parse(box, "rb-foot-run", foot(chapter.page, chapter.run))
        return [box]

    def parse(self, box: nodes.container, name: str, text: str) -> None:
        part = nodes.container(classes=[name])
        self.state.nested_parse(StringList([text], source=self.env.docname), 0, part)
        box += part


def on_source(app: Sphinx, page: str, source: list[str]) -> None:
    if app.env.doc2path(page).endswith(".ipynb"):
        source[0] = put_foot(source[0])


def setup(app: Sphinx) -> None:
    app.add_directive("page-foot", PageFootDirective)
    app.connect("source-read", on_source)
