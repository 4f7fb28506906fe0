"""`{diagram} NAME`: the drawing book/static/NAME.svg, in the page's own colours; in print an image of it.

A drawing needs a <title> and a <desc>: they are its text for those who do not see it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from . import BOOK

STATIC = BOOK / "static"
SVG = "{http://www.w3.org/2000/svg}"
PAGE = re.compile(r'(?<= href=")page:([^"]+)')  # a link of a drawing to a page of the book
COLOUR = re.compile(r"var\((--[\w-]+)(?:, *(#[0-9a-f]{3,6}))?\)")  # of the page
PRINT_SCALE = 85  # per cent: drawn for a page of 390 pixels, their letters are larger than those of print
# matplotlib lays figures out with the first; drawings are laid out for a browser's font, which is narrower.
FIGURE_FONT, DRAWING_FONT = "DejaVu Sans", "DejaVu Sans Condensed"
PALETTE = re.compile(r"^  (--rb-[\w-]+): (#[0-9a-f]{6});", re.M)


class diagram(nodes.General, nodes.Element):  # noqa: N801  (docutils names its nodes so)
    """A drawing: its name and its SVG text; `alt`, where the SVG has no <title> and <desc>."""


def description(svg: str) -> str:
    """Title and description of a drawing; ValueError names the one that it lacks."""
    root = ElementTree.fromstring(svg)
    words = []
    for name in ("title", "desc"):
        text = " ".join((root.findtext(f"{SVG}{name}") or "").split())
        if not text:
            raise ValueError(f"it has no <{name}>")
        words.append(text.rstrip("."))
    role = (
        "group" if root.find(f".//{SVG}a") is not None else "img"
    )  # of an image, links could not be reached
    if root.get("role") != role or "aria-labelledby" not in root.attrib:
        raise ValueError(f'it lacks role="{role}" and aria-labelledby="…" with the ids of <title> and <desc>')
    return ". ".join(words) + "."


@cache
def palette() -> dict[str, str]:
    """The colours of the light page, which recbook.css names first."""
    found: dict[str, str] = {}
    for name, colour in PALETTE.findall((STATIC / "recbook.css").read_text("utf-8")):
        found.setdefault(name, colour)
    return found


def for_print(svg: str) -> str:
    """A drawing or a figure in the colours of the light page, in a font of every machine, and without links."""
    known = palette()
    svg = re.sub(r"</?a\b[^>]*>", "", svg).replace(' role="group"', ' role="img"', 1)
    svg = COLOUR.sub(lambda match: match[2] or known.get(match[1], known["--rb-text"]), svg)
    svg = svg.replace("currentColor", known["--rb-text"]).replace("font-family: inherit", "")
    head, rest = svg.split(">", 1)
    font = FIGURE_FONT if "font-family=" in head else DRAWING_FONT
    head = re.sub(r' font-family="[^"]*"', "", head)
    return f'{head} font-family="{font}">{rest}'


class DiagramDirective(SphinxDirective):
    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = STATIC / f"{name}.svg"
        if not path.is_file():
            known = ", ".join(sorted(path.stem for path in STATIC.glob("*.svg")))
            raise self.error(f"diagram: there is no {name}.svg in book/static; it has: {known}")
        self.env.note_dependency(str(path))
        svg = path.read_text("utf-8")
        try:
            description(svg)
        except ValueError as error:
            raise self.error(f"diagram: {path.name}: {error}") from error
        return [diagram(name=name, svg=svg)]


class DrawDiagrams(SphinxPostTransform):
    default_priority = 20

    def run(self, **kwargs) -> None:
        for node in list(self.document.findall(diagram)):
            if self.app.builder.format == "html":
                svg = PAGE.sub(self.address, node["svg"]).strip()
                drawn = nodes.raw("", f'<div class="rb-diagram">{svg}</div>', format="html")
            elif self.app.builder.format == "latex":
                drawn = self.image(node)
            else:
                drawn = nodes.paragraph("", description(node["svg"]))
            node.replace_self(drawn)

    def address(self, match: re.Match) -> str:
        return self.app.builder.get_relative_uri(self.env.docname, match[1])

    def image(self, node: diagram) -> nodes.image:
        folder = Path(self.app.doctreedir) / "diagrams"
        folder.mkdir(exist_ok=True)
        path = str(folder / f"{node['name']}.pdf")
        write_pdf(for_print(node["svg"]), path)
        self.env.images.add_file(self.env.docname, path)
        words = node.get("alt") or description(node["svg"])
        image = nodes.image(uri=path, candidates={"application/pdf": path}, alt=words, align="center")
        if "alt" not in node:
            image["scale"] = PRINT_SCALE
        return image


def write_pdf(svg: str, path: str) -> None:
    try:
        import cairosvg  # here: only print needs it
    except (ImportError, OSError) as error:  # OSError: the system's libcairo is missing
        raise ExtensionError(
            f"Diagrams in print need cairosvg and libcairo ({error}): pip install -r requirements.txt; "
            "on Debian also: apt-get install libcairo2"
        ) from error
    cairosvg.svg2pdf(bytestring=svg.encode("utf-8"), write_to=path)


def setup(app: Sphinx) -> None:
    app.add_node(diagram)
    app.add_directive("diagram", DiagramDirective)
    app.add_post_transform(DrawDiagrams)
