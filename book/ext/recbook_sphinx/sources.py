"""`{sources}`: the table of what the source documents state and what is right, from book/sources.toml."""

from __future__ import annotations

import tomllib
from functools import cache

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import BOOK
from .linked_tests import test_link

DATA = BOOK / "sources.toml"
FIELDS = ("id", "where", "title", "verdict", "says", "wrong", "correction", "chapter", "place", "test")
OPTIONAL = ("place_text",)  # the words of the link, where `place` is no section with a title of its own
VERDICTS = {
    "right": "right as it stands",
    "incomplete": "right, but something that is needed to use it is missing",
    "narrow": "true of a part, told of the whole",
    "loose": "the idea is right, the wording is not",
    "wrong": "the statement or formula is wrong",
    "absent": "named, never given",
    "fails": "the printed program does not run",
}


@cache
def load() -> dict:
    """Read the data file. Its form is checked by tests/test_book.py."""
    return tomllib.loads(DATA.read_text("utf-8"))


def all_ids(data: dict) -> list[str]:
    """Every id of the catalogue, treated or not: F01 … F47, A01 … A48, and so on."""
    return [f"{letter}{i:02d}" for letter, n in data["catalogue"].items() for i in range(1, n + 1)]


def reference(label: str, text: str | None) -> str:
    return f"{{ref}}`{text} <{label}>`" if text else f"{{ref}}`{label}`"


class SourcesDirective(SphinxDirective):
    """Write the status line, an overview table, and one entry an id, grouped by chapter."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(DATA))
        load.cache_clear()
        data = load()
        entries = data["source"]
        root = nodes.container(classes=["rb-sources"])
        self.parse(root, self.status(data))
        for chapter in dict.fromkeys(entry["chapter"] for entry in entries):
            mine = [entry for entry in entries if entry["chapter"] == chapter]
            heading = nodes.container(classes=["rb-sources-chapter"])
            self.parse(heading, f"Chapter {{ref}}`{chapter}`")
            root += heading
            root += self.overview(mine)
            root += [self.entry(data, entry) for entry in mine]
        return [root]

    def parse(self, parent: nodes.Element, text: str) -> None:
        """Parse a piece of MyST Markdown into `parent`."""
        lines = StringList(text.splitlines(), source=str(DATA))
        self.state.nested_parse(lines, 0, parent)

    def status(self, data: dict) -> str:
        treated, total = len(data["source"]), len(all_ids(data))
        kinds = ", ".join(
            f"{n} {name}"
            for (name, n) in zip(data["kinds"].values(), data["catalogue"].values(), strict=True)
        )
        return f"**{treated} of {total} treated.** The catalogue holds {kinds}; what the book treats is listed here."

    def overview(self, entries: list[dict]) -> nodes.Node:
        rows = ["| id | what | verdict |", "|---|---|---|"]
        rows += [
            f"| [{e['id']}](#source-{e['id'].lower()}) | {e['title']} | {e['verdict']} |" for e in entries
        ]
        box = nodes.container(classes=["rb-sources-overview"])
        self.parse(box, "\n".join(rows))
        return box

    def entry(self, data: dict, entry: dict) -> nodes.Node:
        box = nodes.container(classes=["rb-source"], names=[f"source-{entry['id'].lower()}"])
        self.state.document.note_explicit_target(box, box)
        head = nodes.paragraph(classes=["rb-source-head"])
        head += nodes.inline("", entry["id"], classes=["rb-source-id"])
        head += nodes.Text(" ")
        head += nodes.strong("", entry["title"])
        head += nodes.Text(" ")
        head += nodes.inline("", entry["verdict"], classes=["rb-verdict", f"rb-verdict-{entry['verdict']}"])
        box += head
        document = entry["where"].split()[0]
        parts = [
            (
                "It says",
                f"{entry['says']} ({data['documents'][document]}, {entry['where'].split(maxsplit=1)[1]})",
            ),
            ("What is wrong", entry["wrong"]),
            ("Correction", entry["correction"]),
            ("In the book", reference(entry["place"], entry.get("place_text"))),
        ]
        fields = nodes.field_list()
        for name, text in parts:
            body = nodes.field_body()
            self.parse(body, text.strip())
            fields += nodes.field("", nodes.field_name("", name), body)
        guard = nodes.paragraph("", "", test_link("", node_id=entry["test"]))
        fields += nodes.field("", nodes.field_name("", "Guarded by"), nodes.field_body("", guard))
        box += fields
        return box


class VerdictsDirective(SphinxDirective):
    """`{verdicts}`: the list of verdicts and what each one means."""

    def run(self) -> list[nodes.Node]:
        items = []
        for name, meaning in VERDICTS.items():
            term = nodes.term("", "", nodes.inline("", name, classes=["rb-verdict", f"rb-verdict-{name}"]))
            items.append(
                nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", meaning)))
            )
        return [nodes.definition_list("", *items, classes=["rb-verdicts"])]


def setup(app: Sphinx) -> None:
    app.add_directive("sources", SourcesDirective)
    app.add_directive("verdicts", VerdictsDirective)
