"""Figures of `nb.show`: SVG stands in the page, in the page's own colours; alt text reaches every format.

A drawing's ink, lines and paper follow the theme in light and dark, its data keep their colours. A drawing whose text
would be under 9 pixels on a telephone scrolls in a box of its own instead of shrinking. Neighbouring figures of one
cell stand side by side where there is room. A PNG keeps its light paper.
"""

from __future__ import annotations

import posixpath
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from recbook.notebook.figures import GREY, INK, LINE, PAPER, SVG, XLINK

FOLLOWS = {
    INK: "var(--rb-text)",
    GREY: "var(--rb-grey)",
    LINE: "var(--rb-line)",
    PAPER: "var(--pst-color-background)",
}
TEXT_PIXELS = 9  # the smallest text that a page shows
PHONE = 340  # pixels that a page leaves a figure on a telephone of 375


class drawing(nodes.General, nodes.Element):  # noqa: N801  (docutils names its nodes so)
    """An SVG that stands in the page."""


class picture(nodes.image):  # noqa: N801
    """A PNG with its size, so that nothing moves while it loads."""


def in_page(svg: str, prefix: str) -> str:
    """A stored SVG as it stands in a page: theme's colours, names that begin with `prefix`, no hover text."""
    root = ElementTree.fromstring(svg)
    for title in root.findall(
        f"{{{SVG}}}title"
    ):  # a browser would show it as a tooltip; aria-label says the same
        root.remove(title)
    root.attrib.pop("font-family", None)  # the page's
    root.set("class", "rb-plot")
    for element in root.iter():
        for key in ("fill", "stroke"):  # var() is for styles, not for attributes
            if element.get(key) in FOLLOWS:
                element.set("style", f"{key}:{element.attrib.pop(key)};{element.get('style', '')}")
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, prefix + value)
            elif key == f"{{{XLINK}}}href" and value.startswith("#"):
                element.set(key, f"#{prefix}{value[1:]}")
            elif key != "aria-label":
                value = re.sub(r"url\(#", f"url(#{prefix}", value)
                element.set(
                    key, re.sub(r"#[0-9a-f]{6}\b", lambda found: FOLLOWS.get(found[0], found[0]), value)
                )
    if (least := least_width(root)) > PHONE:
        root.set("style", f"min-width:{least}px")
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def least_width(root: ElementTree.Element) -> int:
    """Pixels that a drawing must be wide for its smallest text to be readable; 0 without text."""
    styles = [
        element.get("style", "") for element in root.iter() if element.tag.endswith(("}text", "}tspan"))
    ]
    sizes = [float(size) for style in styles for size in re.findall(r"font-size:([\d.]+)px", style)]
    width = float(root.get("viewBox").split()[2])
    return round(TEXT_PIXELS * width / min(sizes)) if sizes else 0


class NameFigures(SphinxPostTransform):
    """Gives a figure's image its alt text, in every format; before myst-nb chooses one of an output's forms."""

    default_priority = 3

    def run(self, **kwargs) -> None:
        for bundle in self.document.findall(nodes.container):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            forms = {form["mime_type"]: form for form in bundle.children}
            for image in [image for form in forms.values() for image in form.findall(nodes.image)]:
                if "text/plain" in forms and "width" in image:  # `show` gives both; a bare plot has no width
                    image["alt"] = forms["text/plain"].astext().strip()
                    image["rb_figure"] = True


class PlaceFigures(SphinxPostTransform):
    """In HTML: puts figures into the page, and neighbours side by side; after myst-nb has chosen."""

    default_priority = 5
    formats = ("html",)

    def run(self, **kwargs) -> None:
        found = [image for image in self.document.findall(nodes.image) if image.get("rb_figure")]
        for number, image in enumerate(found, start=1):
            if image["uri"].endswith(".svg"):
                path = Path(self.app.srcdir, image["uri"].lstrip("/"))
                image.replace_self(drawing(svg=in_page(path.read_text("utf-8"), f"p{number}-")))
            else:
                image.replace_self(picture(**image.attributes))
        for parent in {id(node.parent): node.parent for node in self.document.findall(is_figure)}.values():
            place_side_by_side(parent)


def is_figure(node: nodes.Node) -> bool:
    return isinstance(node, drawing | picture)


def place_side_by_side(parent: nodes.Element) -> None:
    """Wraps each run of neighbouring figures among a node's children into one container."""
    children, run = [], None
    for child in parent.children:
        if not is_figure(child):
            run = None
            children.append(child)
            continue
        if run is None:
            run = nodes.container(classes=["rb-plots"])
            children.append(run)
        run += child
    parent.children = []
    parent += children


def visit_drawing(translator, node: drawing) -> None:
    scrolls = "min-width:" in node["svg"].partition(">")[0]
    about = ' tabindex="0" role="group" aria-label="A wide figure: scroll sideways"' if scrolls else ""
    translator.body.append(f'<div class="rb-plot-box"{about}>{node["svg"]}</div>\n')
    raise nodes.SkipNode


def visit_picture(translator, node: picture) -> None:
    name = translator.builder.images[node["uri"]]
    source = posixpath.join(translator.builder.imgpath, urllib.parse.quote(name))
    size = {key: node[key] for key in ("width", "height")}
    tag = translator.emptytag(node, "img", "", CLASS="rb-plot", src=source, alt=node["alt"], **size)
    translator.body.append(f'<div class="rb-plot-box">{tag}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_node(drawing, html=(visit_drawing, None))
    app.add_node(picture, html=(visit_picture, None))
    app.add_post_transform(NameFigures)
    app.add_post_transform(PlaceFigures)
