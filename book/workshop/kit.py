"""Writes the whole kit into a folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from book.ext.recbook_sphinx import ROOT

from . import export, library, notebooks, routes

OUT = ROOT / "_build" / "workshop"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def as_json(notebook: dict) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def write_notebooks(out: Path) -> None:
    for number, name in enumerate(library.chapter_names(), start=1):
        write(out / "learner" / f"{name}.ipynb", as_json(notebooks.learner(name)))
        write(out / "instructor" / f"{name}.ipynb", as_json(notebooks.instructor(name)))


def write_slides(out: Path, names: list[str] | None = None) -> None:
    export.put_assets(out / "slides")
    for route in routes.read_routes():
        if names is None or route.name in names:
            write(out / "slides" / f"{route.name}.html", export.to_html(route))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m book.workshop", description="Make the workshop kit.")
    parser.add_argument("--out", type=Path, default=OUT, help="where to (default: _build/workshop)")
    options = parser.parse_args(arguments)
    try:
        write_notebooks(options.out)
        write_slides(options.out)
    except export.WorkshopError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The workshop kit is in {options.out}")
    return 0
