"""The book's figures: one style, alt text demanded, SVG or PNG, whichever is smaller, the same bytes each time."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterMathtext, NullFormatter
from PIL import Image

# Okabe and Ito's palette: told apart by colour-blind readers, and legible on white and on near-black.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"]

# What is not data. The book's pages replace exactly these four values by the page's own colours, in light and dark
# (book/ext/recbook_sphinx/figures.py); every other colour stays as drawn. PAPER is a hair off white, so that white
# text in a dark cell stays white.
INK, GREY, LINE, PAPER = "#1c252c", "#56616b", "#ccd6dd", "#fffffe"

WIDE = (4.8, 3.0)  # inches: alone in a row. At 10 points its text is still 9 pixels high on a telephone
HALF = (3.4, 2.9)  # two of these, shown by one cell, stand side by side where there is room
STYLE = {
    "figure.figsize": WIDE,
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "font.size": 10,
    "text.color": INK,
    "axes.facecolor": PAPER,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.prop_cycle": plt.cycler(color=COLORS),  # pyright: ignore[reportPrivateImportUsage]  # it is public
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.facecolor": PAPER,  # no grid runs through its words
    "legend.edgecolor": "none",
    "legend.framealpha": 1,
    "legend.fontsize": 9.5,
    "lines.linewidth": 2,
    "scatter.edgecolors": "none",
}

SHORTEST_ALT = 40  # characters that say more than the figure's own titles
MOST_BYTES = 150_000
DPI = 180  # of PNG, and of what is raster inside an SVG
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def show(fig: Figure, alt: str) -> None:
    """Shows a figure as SVG or PNG, whichever a reader's browser gets in fewer bytes, and closes it.

    fig : a matplotlib figure, drawn in the style that `setup` sets. alt : what somebody learns who cannot see it:
    which quantities, which shape, where the turn is. It reaches the book, screen readers and plain-text terminals.
    TypeError if fig is no figure or alt no text, ValueError if alt says fewer than 40 characters beyond the titles
    in the figure, or if the figure is larger than 150 kB in either form.
    """
    if not isinstance(fig, Figure):
        raise TypeError(f"show takes a matplotlib Figure, not {type(fig).__name__}: of axes, pass ax.figure")
    alt = _checked(alt, fig)
    for ax in fig.axes:
        _plain_ticks(ax)
    svg, png = to_svg(fig, alt), to_png(fig)
    width, height = (round(96 * inches) for inches in fig.get_size_inches())
    plt.close(fig)
    sizes = {"image/svg+xml": len(gzip.compress(svg.encode(), mtime=0)), "image/png": len(png)}
    stored = {"image/svg+xml": len(svg.encode()), "image/png": len(png)}
    fitting = [kind for kind in sizes if stored[kind] <= MOST_BYTES]
    if not fitting:
        raise ValueError(
            f"the figure has {stored['image/svg+xml']:,} bytes as SVG and {stored['image/png']:,} as PNG, over "
            f"{MOST_BYTES:,}: draw fewer points, or pass rasterized=True for what has thousands of them"
        )
    kind = min(fitting, key=sizes.__getitem__)
    data = {kind: svg if kind == "image/svg+xml" else base64.b64encode(png).decode(), "text/plain": alt}
    about = {"alt": alt, "width": width, "height": height, "needs_background": "light"}
    display(data, metadata={kind: about}, raw=True)


def ink_on(color) -> str:
    """Black or white: which is easier to read on `color` (anything that matplotlib takes for a colour)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    luminance = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def _checked(alt: str, fig: Figure) -> str:
    remedy = 'pass alt="…" and say what there is to see: quantities, shape, where it turns'
    if not isinstance(alt, str):
        raise TypeError(f"alt is a text, not {type(alt).__name__}; {remedy}")
    alt = " ".join(alt.split())
    more = alt.casefold()
    titles = [ax.get_title(loc) for ax in fig.axes for loc in ("left", "center", "right")]
    for title in filter(None, [fig.get_suptitle(), *titles]):
        more = more.replace(" ".join(title.split()).casefold(), "")
    if len(more.strip()) < SHORTEST_ALT:
        raise ValueError(
            f"alt says {len(more.strip())} characters beyond the titles, fewer than {SHORTEST_ALT}: {alt!r}; {remedy}"
        )
    return alt


def _plain_ticks(ax) -> None:
    """Labels of logarithmic axes as plain numbers: formulas would be set letter by letter."""
    for axis in (ax.xaxis, ax.yaxis):
        if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
            axis.set_minor_formatter(NullFormatter())


# --- PNG ------------------------------------------------------------------------------------------------------------


def to_png(fig: Figure) -> bytes:
    """The figure at 180 dots an inch, with a palette of 256 colours."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return _smaller(buffer.getvalue())


def _smaller(png: bytes) -> bytes:
    """The same picture with at most 256 colours, transparency kept, unless that takes more bytes."""
    with Image.open(io.BytesIO(png)) as picture:
        opaque = picture.mode != "RGBA" or picture.getchannel("A").getextrema() == (255, 255)
        if opaque:
            few = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        else:
            few = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, format="PNG", optimize=True)
    return min(buffer.getvalue(), png, key=len)


# --- SVG ------------------------------------------------------------------------------------------------------------


def to_svg(fig: Figure, alt: str) -> str:
    """The figure as a small SVG with text that stays text, named by `alt`.

    What matplotlib writes is shortened: hundredths of a point, no metadata, no group that does nothing, names only
    where something refers to them, made from `alt`, so that two figures of a page share none.
    """
    name = "f" + hashlib.sha256(alt.encode()).hexdigest()[:6]
    buffer = io.BytesIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        fig.savefig(buffer, format="svg", dpi=DPI, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _shorten(element)
    _rename(root, name)
    _share_styles(root)
    _unwrap(root)
    box = [float(number) for number in root.attrib["viewBox"].split()]
    title = ElementTree.Element(f"{{{SVG}}}title")
    title.text = alt
    root.insert(0, title)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": f"{box[2] * 4 / 3:.0f}",
        "height": f"{box[3] * 4 / 3:.0f}",
        "role": "img",
        "aria-label": alt,
        "font-family": FONTS,
        "stroke-linejoin": "round",
    }
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _rounded(text: str) -> str:
    return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip(".") or "0", text)


def _shorten(element: ElementTree.Element) -> None:
    """Rounds an element's coordinates, shortens its style and its pictures, drops white space between elements."""
    get, put = element.get, element.set
    for key in ("d", "x", "y", "width", "height"):
        if (value := get(key)) and element.tag != f"{{{SVG}}}svg":
            put(key, " ".join(_rounded(value).split()))
    if move := get("transform"):
        move = re.sub(r"rotate\(-?0(?: [^)]*)?\)", "", move)  # matplotlib turns every text by -0 degrees
        move = re.sub(r"(?:translate|rotate)\([^)]*\)", lambda found: _rounded(found[0]), move).strip()
        put("transform", move) if move else element.attrib.pop("transform")
    if style := get("style"):
        style = re.sub(r"font-family: 'DejaVu Sans'[^;]*(?:; |$)", "", style)
        parts = [part.strip().replace(": ", ":") for part in style.split(";") if part.strip()]
        put("style", ";".join(_rounded(part) for part in parts)) if parts else element.attrib.pop("style")
    picture = get(f"{{{XLINK}}}href", "")
    if picture.startswith("data:image/png;base64,"):
        small = _smaller(base64.b64decode(picture.partition(",")[2]))
        put(f"{{{XLINK}}}href", "data:image/png;base64," + base64.b64encode(small).decode())
    letters = element.tag in (f"{{{SVG}}}text", f"{{{SVG}}}tspan")
    if not letters and not (element.text or "").strip():
        element.text = None
    if not (element.tail or "").strip():
        element.tail = None


def _rename(root: ElementTree.Element, name: str) -> None:
    """Gives what is referred to the names NAME1, NAME2, …, and takes all other names away."""
    text = " ".join(value for element in root.iter() for value in element.attrib.values())
    used = dict.fromkeys(re.findall(r"url\(#([^)]+)\)", text))
    used |= dict.fromkeys(
        href[1:] for element in root.iter() if (href := element.get(f"{{{XLINK}}}href", "")).startswith("#")
    )
    new = {old: f"{name}{number}" for number, old in enumerate(used, start=1)}
    for element in root.iter():
        if (old := element.attrib.pop("id", None)) in new:
            element.set("id", new[old])
        for key, value in element.attrib.items():
            value = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{new[found[1]]})", value)
            if key == f"{{{XLINK}}}href" and value.startswith("#"):
                value = "#" + new[value[1:]]
            element.set(key, value)


def _share_styles(root: ElementTree.Element) -> None:
    """Says once, in their group, what all markers of a line have in common."""
    for group in root.iter(f"{{{SVG}}}g"):
        styles = {child.get("style") if child.tag == f"{{{SVG}}}use" else None for child in group}
        style = styles.pop() if len(styles) == 1 else None
        if style is not None and "style" not in group.attrib:
            group.set("style", style)
            for child in group:
                del child.attrib["style"]


def _unwrap(element: ElementTree.Element) -> None:
    """Puts the children of a group that says nothing in the group's place, from the leaves upwards."""
    children = []
    for child in element:
        _unwrap(child)
        plain = child.tag == f"{{{SVG}}}g" and not child.attrib
        children += list(child) if plain else [child]
    element[:] = children
