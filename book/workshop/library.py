"""What the chapters say of each other: titles of sections, numbers of equations, glued values, names of papers."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

import jupytext
from pybtex.database import parse_file

from book.ext.recbook_sphinx import ROOT
from book.ext.recbook_sphinx.chapters import Chapter, describe, pages_of_book, read_topic
from book.ext.recbook_sphinx.citations import author_year

TARGET = re.compile(r"^\((?P<label>[\w-]+)\)=\n+(?:#+ (?P<title>.+))?", re.M)
EQUATION = re.compile(r"\$\$(?P<body>.+?)\$\$[ \t]*(?:\((?P<label>[a-z][\w-]*)\))?", re.S)
BOX = re.compile(r"^`{3,}\{exercise\} (?P<title>.+)\n:label: (?P<label>[\w-]+)", re.M)


PREREQUISITES = "prerequisites"  # no chapter, but a notebook of the kit: the self-test
SELF_TEST = Path(__file__).with_name("prerequisites.md")


def text_of(cell: dict) -> str:
    return "".join(cell["source"])


def tags_of(cell: dict) -> set[str]:
    return set(cell["metadata"].get("tags", ()))


@cache
def chapter_names() -> tuple[str, ...]:
    """The chapters in the order of the book: "introduction", "data", …; guides are none."""
    return tuple(page.rpartition("/")[2] for page in pages_of_book() if read_topic(page))


def path_of(name: str) -> Path:
    return ROOT / "chapters" / f"{name}.ipynb"


@cache
def _read(name: str) -> str:
    if name == PREREQUISITES:
        found = jupytext.read(SELF_TEST)
        for number, cell in enumerate(found.cells):
            cell["id"] = f"pre-{number:02d}"  # jupytext draws them; a kit must be the same each time
        found.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        return jupytext.writes(found, fmt="ipynb")
    return path_of(name).read_text("utf-8")


def notebook(name: str) -> dict:
    """A chapter's notebook, or the self-test's; a copy of its own for each who asks."""
    return json.loads(_read(name))


@cache
def chapter(name: str) -> Chapter:
    return describe(f"chapters/{name}", notebook(name), len(_read(name)))


def texts(name: str) -> list[str]:
    return [text_of(cell) for cell in notebook(name)["cells"] if cell["cell_type"] == "markdown"]


@cache
def titles() -> dict[str, str]:
    """Label -> title of the section, the exercise or the page."""
    pages = [page for page in pages_of_book() if (ROOT / f"{page}.md").is_file()]
    notebooks = [page.rpartition("/")[2] for page in pages_of_book() if (ROOT / f"{page}.ipynb").is_file()]
    written = [text for name in notebooks for text in texts(name)]
    written += [(ROOT / f"{page}.md").read_text("utf-8") for page in pages]
    found = {}
    for text in written:
        for match in (*TARGET.finditer(text), *BOX.finditer(text)):
            found[match["label"]] = (match["title"] or "").strip()
    return found


@cache
def equation_numbers() -> dict[str, int]:
    """Label -> number, counted through the whole book as its pages do."""
    labels = [
        match["label"]
        for name in chapter_names()
        for text in texts(name)
        for match in EQUATION.finditer(text)
        if match["label"]
    ]
    return {label: number for number, label in enumerate(labels, start=1)}


@cache
def exercise_numbers() -> dict[str, int]:
    """Label -> number, counted through the whole book as its pages do."""
    labels = [
        match["label"] for name in chapter_names() for text in texts(name) for match in BOX.finditer(text)
    ]
    return {label: number for number, label in enumerate(labels, start=1)}


@cache
def homes() -> dict[str, str]:
    """Label -> the chapter in which it stands."""
    return {
        match["label"]: name
        for name in chapter_names()
        for text in texts(name)
        for match in (*TARGET.finditer(text), *BOX.finditer(text))
    }


@cache
def _bibliography() -> dict:
    return dict(parse_file(ROOT / "references.bib").entries.items())


@cache
def papers() -> dict[str, str]:
    """Key -> "Resnick et al., 1994"."""
    return {key: author_year(entry) for key, entry in _bibliography().items()}


@cache
def paper_addresses() -> dict[str, str]:
    """Key -> where the paper is found: its DOI, or else its address."""
    found = {}
    for key, entry in _bibliography().items():
        doi, url = entry.fields.get("doi"), entry.fields.get("url")
        if doi or url:
            found[key] = f"https://doi.org/{quote(doi)}" if doi else url
    return found


@cache
def glued(name: str) -> dict[str, str]:
    """Name -> text, as the stored outputs of a chapter have it."""
    found = {}
    for cell in notebook(name)["cells"]:
        for output in cell.get("outputs", ()):
            about = output.get("metadata", {}).get("scrapbook")
            if about:
                (text,) = output["data"].values()
                found[about["name"]] = str(ast.literal_eval("".join(text)))
    return found
