"""`{tools} PART`: what was found of other projects, from book/tools.toml; a PART is a key of PARTS."""

from __future__ import annotations

import datetime
import tomllib

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import BOOK
from .page_foot import day

DATA = BOOK / "tools.toml"
LINK = "https://pypi.org/project/{}/"


def load() -> dict:
    return tomllib.loads(DATA.read_text("utf-8"))


def month(text: str) -> str:
    """2026-05 -> May 2026"""
    return f"{datetime.date.fromisoformat(f'{text}-01'):%B %Y}"


def names(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def libraries(data: dict) -> str:
    """Two tables: what the documents name, and what they do not."""
    named = [one for one in data["library"] if one["where"]]
    others = [one for one in data["library"] if not one["where"]]
    told = (
        f"Looked up on {day(data['checked'].isoformat())}: the latest stable release on PyPI, its month, and whether "
        "there is a wheel for Linux on x86-64 and Python 3.11 and 3.13."
    )
    more = "In none of the articles; what we compare with, or would look at first:"
    return "\n\n".join([told, table(named), more, table(others)])


def table(libraries: list[dict]) -> str:
    rows = ["| Library | Serves | Release | Wheel |", "|---|---|---|---|"]
    for one in libraries:
        known = one["release"]
        link = f"[{one['name']}]({LINK.format(one['package'])})" if known else one["name"]
        release = f"{one['release']}, {month(one['month'])}" if known else "–"
        wheel = ("wheel" if one["wheel"] else "no wheel") if known else "–"
        rows.append(f"| {link} | {one['serves']} | {release} | {wheel} |")
    return "\n".join(rows)


def surprise(data: dict) -> str:
    found = data["surprise"]
    rows = ["| Surprise | here |", "|---|---|"]
    rows += [
        f"| `{theirs}` | {f'`{ours}`' if ours else '–'} |" for theirs, ours in found["algorithms"].items()
    ]
    return "\n".join([*rows, "", f"Its measures: {names(found['measures'])}. That is all."])


def lightfm(data: dict) -> str:
    return f"Its measures: {names(data['lightfm']['measures'])}."


def keras(data: dict) -> str:
    found = data["keras"]
    return f"Keras 3 computes on {names(found['backends'])}; for predictions alone also on {names(found['inference'])}."


PARTS = {"libraries": libraries, "surprise": surprise, "lightfm": lightfm, "keras": keras}


class ToolsDirective(SphinxDirective):
    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(DATA))
        part = PARTS.get(self.arguments[0])
        if part is None:
            raise self.error(f"tools: {self.arguments[0]!r} is none of {', '.join(PARTS)}")
        box = nodes.container(classes=["rb-rows"] if self.arguments[0] == "libraries" else [])
        self.state.nested_parse(StringList(part(load()).splitlines(), source=str(DATA)), 0, box)
        return [box]


def setup(app: Sphinx) -> None:
    app.add_directive("tools", ToolsDirective)
