"""`{sources}`: errata of the source documents, from book/sources.toml: as printed, right, and why.

Sums by document and verdict first, then the ids by chapter, then each document from its beginning to its end. An
entry's anchor is its id: sources.html#source-f13.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import BOOK
from .chapters import pages_of_book
from .linked_tests import test_link

DATA = BOOK / "sources.toml"
FIELDS = ("id", "where", "title", "verdict", "says", "wrong", "correction", "chapter", "place", "test")
OPTIONAL = ("place_text",)  # the words of the link, where `place` is no section with a title of its own
MORE = "Why, where in the book, and the test"
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
    """Read the data file. Its form is checked by tests/book/test_book.py."""
    return tomllib.loads(DATA.read_text("utf-8"))


def all_ids(data: dict) -> list[str]:
    """Every id of the catalogue, treated or not: F01 … F47, A01 … A48, and so on."""
    return [f"{letter}{i:02d}" for letter, n in data["catalogue"].items() for i in range(1, n + 1)]


def anchor(entry: dict) -> str:
    return f"source-{entry['id'].lower()}"


def documents(entry: dict) -> list[str]:
    """The documents that make a statement, the one under which it is listed first."""
    return re.findall(r"\bD\d\b", entry["where"])


def of_document(data: dict, name: str) -> list[dict]:
    """The entries that are listed under a document, in its order."""
    return sorted((e for e in data["source"] if documents(e)[0] == name), key=lambda e: (place(e), e["id"]))


def place(entry: dict) -> tuple:
    """Sorts places of a document: its chapters and sections, then its questions, then its appendix."""
    words = entry["where"].partition(" ")[2]
    number = re.search(r"\d+(?:\.\d+)*", words)
    part = 2 if "appendix" in words else 1 if words.startswith("question") else 0
    steps = tuple(int(step) for step in number[0].split(".")) if number else ()
    return (part, steps) if part < 2 else (part, words)


def sums(data: dict) -> list[str]:
    """A table: how many statements of each document have which verdict."""
    count = Counter((documents(entry)[0], entry["verdict"]) for entry in data["source"])
    rows = [f"| document | {' | '.join(VERDICTS)} | all |", "|---|" + "--:|" * (len(VERDICTS) + 1)]
    for name, title in data["documents"].items():
        figures = [count[name, verdict] for verdict in VERDICTS]
        shown = " | ".join(str(n or "–") for n in figures)
        rows.append(f"| [{name}](#document-{name.lower()}) {title} | {shown} | {sum(figures)} |")
    total = [sum(count[name, verdict] for name in data["documents"]) for verdict in VERDICTS]
    return [*rows, f"| **all** | {' | '.join(map(str, total))} | {sum(total)} |"]


def by_chapter(data: dict) -> list[str]:
    """A table: which statements each chapter treats, in the order of the book."""
    treated: dict[str, list[dict]] = {}
    for entry in data["source"]:
        treated.setdefault(entry["chapter"], []).append(entry)
    rows = ["| chapter | treats |", "|---|---|"]
    for label in sorted(treated, key=lambda label: order().get(label, len(order()))):
        links = [f"[{e['id']}](#{anchor(e)})" for e in sorted(treated[label], key=lambda e: e["id"])]
        rows.append(f"| {{ref}}`{label}` | {' '.join(links)} |")
    return rows


def order() -> dict[str, int]:
    """Label of a chapter → its place in the book; labels are the pages' names with dashes."""
    return {page.rpartition("/")[2].replace("_", "-"): i for i, page in enumerate(pages_of_book())}


def reference(label: str, text: str | None) -> str:
    return f"{{ref}}`{text} <{label}>`" if text else f"{{ref}}`{label}`"


class SourcesDirective(SphinxDirective):
    """Write the sums, the ids by chapter, and for each document its errata in the order of the document."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(DATA))
        load.cache_clear()
        data = load()
        top = nodes.container(classes=["rb-sources"])
        jumps = nodes.container(classes=["rb-jumps"])
        self.parse(jumps, " ".join(f"[{name}](#document-{name.lower()})" for name in data["documents"]))
        top += jumps
        self.parse(top, self.status(data))
        top += self.table("rb-sources-sums", sums(data))
        top += self.table("rb-sources-chapters", by_chapter(data))
        return [top, *(self.document(data, name) for name in data["documents"])]

    def parse(self, parent: nodes.Element, text: str) -> None:
        """Parse a piece of MyST Markdown into `parent`."""
        lines = StringList(text.splitlines(), source=str(DATA))
        self.state.nested_parse(lines, 0, parent)

    def table(self, name: str, rows: list[str]) -> nodes.container:
        box = nodes.container(classes=[name])
        self.parse(box, "\n".join(rows))
        return box

    def status(self, data: dict) -> str:
        treated, total = len(data["source"]), len(all_ids(data))
        done = Counter(entry["id"][0] for entry in data["source"])
        kinds = ", ".join(
            f"{done[kind]} of {n} {data['kinds'][kind]}" for kind, n in data["catalogue"].items()
        )
        return (
            f"**{treated} of the catalogue's {total} statements are treated** so far: {kinds}. "
            "The others belong to chapters yet to come."
        )

    def document(self, data: dict, name: str) -> nodes.section:
        """One document: what has to be changed in it, from its beginning to its end."""
        section = nodes.section(names=[f"document-{name.lower()}"], classes=["rb-sources-document"])
        self.state.document.note_explicit_target(section, section)
        title = f"{name}: {data['documents'][name]}"
        section += nodes.title(title, title)
        mine = of_document(data, name)
        for entry in mine:
            section += self.entry(data, entry, name)
        if elsewhere := [entry for entry in data["source"] if entry not in mine and name in documents(entry)]:
            line = ", ".join(f"[{entry['id']}](#{anchor(entry)}) {entry['title']}" for entry in elsewhere)
            self.parse(section, f"{name} states the same as another document in: {line}.")
        return section

    def entry(self, data: dict, entry: dict, document: str) -> nodes.Node:
        box = nodes.container(classes=["rb-source"], names=[anchor(entry)])
        self.state.document.note_explicit_target(box, box)
        head = nodes.paragraph(classes=["rb-source-head"])
        head += nodes.inline("", entry["id"], classes=["rb-source-id"])
        head += nodes.Text(" ")
        head += nodes.strong("", entry["title"])
        head += nodes.Text(" ")
        head += nodes.inline("", entry["verdict"], classes=["rb-verdict", f"rb-verdict-{entry['verdict']}"])
        head += nodes.inline(
            "", " " + entry["where"].removeprefix(f"{document} "), classes=["rb-source-where"]
        )
        box += head
        right = entry["verdict"] == "right"
        shown = (("As printed", "says"), ("In full" if right else "Right", "correction"))
        box += self.fields(entry, shown)
        # What explains is folded: a page of errata is read for what is printed and what is right.
        box += nodes.raw("", f'<details class="rb-source-more"><summary>{MORE}</summary>', format="html")
        box += self.fields(entry, (("Mind" if right else "Why", "wrong"),))
        foot = nodes.container(classes=["rb-source-foot"])
        self.parse(foot, f"In the book: {reference(entry['place'], entry.get('place_text'))}")
        foot += nodes.paragraph("", "Guarded by ", test_link("", node_id=entry["test"]))
        box += foot
        box += nodes.raw("", "</details>", format="html")
        return box

    def fields(self, entry: dict, parts: tuple[tuple[str, str], ...]) -> nodes.field_list:
        fields = nodes.field_list()
        for name, kind in parts:
            body = nodes.field_body(classes=[f"rb-source-{kind}"])
            self.parse(body, entry[kind].strip())
            fields += nodes.field("", nodes.field_name("", name), body)
        return fields


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
