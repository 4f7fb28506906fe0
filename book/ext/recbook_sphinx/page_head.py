"""`{page-head}`: what a chapter teaches, asks for and how long it takes, put under the title of each notebook."""

from __future__ import annotations

import json

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .chapters import TITLE, Chapter, linked, read_chapter


def put_head(source: str) -> str:
    """Enter the directive into a notebook's text: below the title and the question in bold that may follow it."""
    notebook = json.loads(source)
    text = "".join(notebook["cells"][0]["source"])
    match = TITLE.match(text)
    if not match:
        return source
    head = text[: match.end()]
    if match["question"]:
        start = match.start("question") - len("**")
        head = f"{head[:start]}{{.rb-question}}\n{head[start:]}"
    notebook["cells"][0]["source"] = f"{head}\n\n```{{page-head}}\n```\n{text[match.end() :]}"
    return json.dumps(notebook)


def facts(chapter: Chapter) -> dict[str, str]:
    """How long a chapter takes, in words; keys are the classes of the lines."""
    found = {"rb-read": f"{chapter.minutes} minutes to read"} if chapter.minutes else {}
    if "seconds" in chapter.run:
        found["rb-run"] = f"{chapter.run['seconds']} seconds to run"
    return found


class PageHeadDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        chapter = read_chapter(self.env.docname, self.env.srcdir)
        if chapter is None:
            raise self.error("page-head: this page is no notebook")
        box = nodes.container(classes=["rb-head"])
        items = [
            nodes.list_item("", nodes.paragraph("", text), classes=[name])
            for name, text in facts(chapter).items()
        ]
        box += nodes.bullet_list("", *items, self.download(), classes=["rb-facts"])
        box += self.part("After this chapter you can", "rb-goals", chapter.goals)
        box += self.part("Before you start", "rb-needs", [linked(text) for text in chapter.prerequisites])
        return [box]

    def download(self) -> nodes.Node:
        name = self.env.docname.rpartition("/")[2] + ".ipynb"
        link = addnodes.download_reference(
            "", "", nodes.inline("", "Download the notebook"), reftarget=name, refdoc=self.env.docname
        )
        item = nodes.list_item("", nodes.paragraph("", "", link), classes=["rb-get"])
        return addnodes.only("", item, expr="html")

    def part(self, title: str, name: str, sentences) -> list[nodes.Node]:
        if not sentences:
            return []
        part = nodes.container(classes=[name])
        part += nodes.rubric(title, title)
        lines = [f"- {sentence}" for sentence in sentences]
        self.state.nested_parse(StringList(lines, source=self.env.docname), 0, part)
        return [part]


def on_source(app: Sphinx, page: str, source: list[str]) -> None:
    if app.env.doc2path(page).endswith(".ipynb"):
        source[0] = put_head(source[0])


def setup(app: Sphinx) -> None:
    app.add_directive("page-head", PageHeadDirective)
    app.connect("source-read", on_source)
