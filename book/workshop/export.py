"""Slides as one page of reveal.js, made by nbconvert; scripts and styles lie beside it, nothing is fetched."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from pygments.formatters import HtmlFormatter

from book import vendor

from .routes import Route
from .slides import LABELS, Slide, deck

HERE = Path(__file__).parent
MATHJAX = (
    "tex-chtml.js",
    "input",
    "output",
)  # what formulas need; the rest serves a menu that slides have not
COLUMN = re.compile(
    r"<section [^>]*>(?=\s*<section)"
)  # nbconvert gives a column what belongs to its first slide
STYLE = "a11y-high-contrast-light"


class WorkshopError(RuntimeError):
    """Something that the kit needs is not there; the message says what to do."""


def need(package: vendor.Package) -> Path:
    """The folder of a pinned package, fetched where it is missing or damaged."""
    if not vendor.is_whole(package):
        try:
            vendor.fetch(package)
        except vendor.VendorError as error:
            raise WorkshopError(
                f"{package.name} {package.version}, which slides are shown with, could not be fetched ({error}). "
                "Make npm or pip work, and run this again."
            ) from error
    return package.home


def put_assets(folder: Path) -> None:
    """reveal.js, MathJax and the styles, into the folder of the slides."""
    reveal, mathjax = need(vendor.REVEAL), need(vendor.MATHJAX)
    shutil.copytree(reveal, folder / "reveal", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.map"))
    for name in (*MATHJAX, "NOTICE.txt"):
        if (mathjax / name).is_dir():
            shutil.copytree(mathjax / name, folder / "mathjax" / name, dirs_exist_ok=True)
        else:
            (folder / "mathjax").mkdir(parents=True, exist_ok=True)
            shutil.copy(mathjax / name, folder / "mathjax" / name)
    for name in ("deck.css", "deck.js", "page.css"):
        shutil.copy(HERE / "deck" / name, folder / name)
    colours = HtmlFormatter(style=STYLE).get_style_defs(".highlight")
    (folder / "code.css").write_text(colours + "\n", encoding="utf-8")


def as_notebook(route: Route) -> nbformat.NotebookNode:
    """The slides as a notebook with slideshow metadata, which nbconvert reads."""
    cells = []
    for column, group in enumerate(deck(route)):
        for row, slide in enumerate(group):
            cells += cells_of(slide, f"s{column}-{row}", "subslide" if row else "slide")
    about = {"title": route.title, "language_info": {"name": "python"}}
    return nbformat.from_dict({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5})


def cells_of(slide: Slide, name: str, place: str) -> list[dict]:
    number, of = slide.part
    badge = f' <span class="fw">{LABELS[slide.framework]}</span>' if slide.framework else ""
    count = f' <span class="count">{number}/{of}</span>' if of > 1 else ""
    data = {"kind": slide.kind} | ({"framework": slide.framework} if slide.framework else {})
    text = f"## {slide.title}{badge}{count}\n\n{slide.text}"
    found = [text_cell(name, text, {"slide_type": place, "data": data})]
    if slide.cell:
        found.append({**slide.cell, "id": f"{name}-code"})
        found[-1]["metadata"] = {**slide.cell["metadata"], "slideshow": {"slide_type": "-"}}
    if slide.notes:
        found.append(text_cell(f"{name}-notes", slide.notes, {"slide_type": "notes"}))
    return found


def text_cell(name: str, text: str, slideshow: dict) -> dict:
    return {"cell_type": "markdown", "id": name, "metadata": {"slideshow": slideshow}, "source": text}


def to_html(route: Route) -> str:
    exporter = SlidesExporter(
        template_name="deck",
        extra_template_basedirs=[str(HERE)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    html, _ = exporter.from_notebook_node(as_notebook(route), resources={"metadata": {"name": route.title}})
    return COLUMN.sub("<section>", html)
