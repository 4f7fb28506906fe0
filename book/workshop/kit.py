"""Writes the whole kit into a folder."""

from __future__ import annotations

import argparse
import html
import json
import sys
from pathlib import Path

from nbconvert.filters import markdown2html

from book.ext.recbook_sphinx import ROOT

from . import export, library, notebooks, plans, routes

HERE = Path(__file__).parent / "deck"
OUT = ROOT / "_build" / "workshop"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def as_json(notebook: dict) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def write_notebooks(out: Path) -> None:
    for name in (library.PREREQUISITES, *library.chapter_names()):
        write(out / "learner" / f"{name}.ipynb", as_json(notebooks.learner(name)))
        write(out / "instructor" / f"{name}.ipynb", as_json(notebooks.instructor(name)))


def write_slides(out: Path, names: list[str] | None = None) -> None:
    """The decks of these courses (default: all), with what they need beside them."""
    export.put_assets(out / "slides")
    for route in routes.read_routes():
        if names is None or route.name in names:
            write(out / "slides" / f"{route.name}.html", export.to_html(route))


def write_plans(out: Path) -> None:
    """Each plan twice: Markdown to change, a page to read and print."""
    for route in routes.read_routes():
        text = plans.plan(route)
        write(out / "plans" / f"{route.name}.md", text)
        write(out / "plans" / f"{route.name}.html", page(f"{route.title}: lesson plan", text, "../slides/"))


def page(title: str, text: str, assets: str) -> str:
    """Markdown as a page of its own, with the slides' formulas."""
    template = (HERE / "page.html").read_text("utf-8")
    body = (
        markdown2html(text)
        .replace("<table>", '<div class="wide"><table>')
        .replace("</table>", "</table></div>")
    )
    return template.replace("TITLE", html.escape(title)).replace("ASSETS", assets).replace("BODY", body)


def index() -> str:
    """What the kit holds, in Markdown."""
    parts = [
        "# Workshop kit",
        "Made from the chapters of the book. To change something, change it there and make the kit again.",
        "## Courses",
        "| course | minutes | slides | lesson plan |\n|---|--:|---|---|\n"
        + "\n".join(
            f"| {route.title} | {plans.total(route)} | [slides](slides/{route.name}.html) | "
            f"[plan](plans/{route.name}.html) ([to change](plans/{route.name}.md)) |"
            for route in routes.read_routes()
        ),
        "## Notebooks",
        "Learners get the folder `learner`: text and code of the book, without outputs and without solutions. "
        "`instructor` is for you: solutions, outputs, minutes, hints and known mistakes. Both need the package "
        "`recbook` and its data, as the book does.",
        "| chapter | learner | instructor |\n|---|---|---|\n"
        + "\n".join(
            f"| {title} | [{name}](learner/{name}.ipynb) | [{name}](instructor/{name}.ipynb) |"
            for name, title in [
                (library.PREREQUISITES, "Are you ready? (self-test, to send ahead)"),
                *((name, library.chapter(name).title) for name in library.chapter_names()),
            ]
        ),
    ]
    return "\n\n".join(parts)


def make(out: Path) -> None:
    write_notebooks(out)
    write_slides(out)
    write_plans(out)
    write(out / "index.html", page("Workshop kit", index(), "slides/"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m book.workshop", description="Make the workshop kit.")
    parser.add_argument("--out", type=Path, default=OUT, help="where to (default: _build/workshop)")
    options = parser.parse_args(arguments)
    try:
        make(options.out)
    except export.WorkshopError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The workshop kit stands: {options.out / 'index.html'}")
    return 0
