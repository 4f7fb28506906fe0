"""What LaTeX cannot read, made into what it can: SVG into PDF, tables of HTML into tables, and columns that fit.

Every image whose file is an SVG, and every piece of raw HTML with a <table> or an <svg> in it, wherever it comes from.
Other raw HTML is left out in print.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.transforms.post_transforms.images import ImageConverter

from .diagrams import diagram, for_print, write_pdf
from .latex import has_class

NUMBER = re.compile(
    r"[-+−–]?[\d.,\s]*\d[\d.,\s]*(e[-+]?\d+)?\s?(%|s|ms|min|kB|MB|×)?(\s?±\s?[\d.]+)?(\s?[▲▼≈◆])?"
)
SVG = re.compile(r"<svg\b.*?</svg>", re.S)
LABEL = re.compile(r'aria-label="([^"]*)"')
# Letters of a line at the three sizes that a table may have; those of code count for more, those of formulas for less.
SIZES = {"": 88, "rb-small": 104, "rb-tiny": 122}
CODE, FORMULA = 1.15, 1.2
SHORT = 0.6  # of an even share: a column that needs no more than this keeps it
GAP = 2  # letters between two columns
LINES = 24  # a table that is higher may be broken over pages
HALF_LINE = "48.5%"  # the width of a picture that has a neighbour


# --- images ---------------------------------------------------------------------------------------------------------


class DrawForPrint(ImageConverter):
    """SVG files as PDF, in the colours of the light page."""

    conversion_rules = [("image/svg+xml", "application/pdf")]

    def is_available(self) -> bool:
        return True

    def convert(self, _from: str, _to: str) -> bool:
        write_pdf(for_print(Path(_from).read_text("utf-8")), _to)
        return True


class PlacePictures(SphinxPostTransform):
    """Neighbouring pictures of one cell stand side by side, where there is room."""

    default_priority = 300
    formats = ("latex",)

    def run(self, **kwargs) -> None:
        for image in list(self.document.findall(nodes.image)):
            if not image.get("rb_figure") or has_class("rb-pictures")(image.parent):
                continue
            place, row = image.parent, [image]
            for other in place.children[place.index(image) + 1 :]:
                if not (isinstance(other, nodes.image) and other.get("rb_figure")):
                    break
                row.append(other)
            for other in row[1:]:
                place.remove(other)
            if len(row) > 1:
                for one in row:
                    one["width"] = HALF_LINE
                    one.attributes.pop("height", None)
            words = [part for one in row for part in (nodes.Text(" "), one)][1:]
            image.replace_self(line := nodes.paragraph(classes=["rb-pictures"]))
            line += words


# --- tables ---------------------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """A cell of a table of HTML."""

    text: str = ""
    columns: int = 1
    rows: int = 1


@dataclass
class Table:
    head: list[list[Cell]] = field(default_factory=list)
    body: list[list[Cell]] = field(default_factory=list)


class TableReader(HTMLParser):
    """Reads the tables out of a piece of HTML; a row without <thead> around it is of the head if all of it is <th>."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.cell: Cell | None = None
        self.in_head = False

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        if tag == "table":
            self.tables.append(Table())
        elif not self.tables:
            return
        elif tag in ("thead", "tbody"):
            self.in_head = tag == "thead"
        elif tag == "tr":
            (self.tables[-1].head if self.in_head else self.tables[-1].body).append([])
        elif tag in ("td", "th"):
            rows = self.tables[-1].head if self.in_head else self.tables[-1].body
            self.cell = Cell("", int(given.get("colspan", 1)), int(given.get("rowspan", 1)))
            rows[-1].append(self.cell)
        elif tag == "br" and self.cell:
            self.cell.text += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.cell.text += data


def read_tables(html: str) -> list[Table]:
    reader = TableReader()
    reader.feed(html)
    return [table for table in reader.tables if table.body]


def join_head(rows: list[list[Cell]]) -> list[list[Cell]]:
    """pandas puts the name of the index into a line of its own: join it with the line above, which leaves room."""
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        return rows
    pairs = list(zip(*rows, strict=True))
    if any(a.text.strip() and b.text.strip() or a.columns * b.columns != 1 for a, b in pairs):
        return rows
    return [[Cell(a.text.strip() or b.text) for a, b in pairs]]


def as_node(table: Table) -> nodes.table:
    """A table of HTML as one of docutils."""
    table = Table(join_head(table.head), table.body)
    rows = table.head + table.body
    count = max(sum(cell.columns for cell in row) for row in rows)
    group = nodes.tgroup("", *[nodes.colspec(colwidth=1) for _ in range(count)], cols=count)
    if table.head:
        group += nodes.thead("", *map(row_node, table.head))
    group += nodes.tbody("", *map(row_node, table.body))
    return nodes.table("", group, classes=["rb-output"])


def row_node(cells: list[Cell]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry("", nodes.paragraph("", " ".join(cell.text.split())))
        if cell.columns > 1:
            entry["morecols"] = cell.columns - 1
        if cell.rows > 1:
            entry["morerows"] = cell.rows - 1
        row += entry
    return row


class ReadRawHtml(SphinxPostTransform):
    """Raw HTML: its tables and its drawings; after myst-nb has chosen among an output's forms, before `diagram`."""

    default_priority = 10
    formats = ("latex",)

    def run(self, **kwargs) -> None:
        for node in list(self.document.findall(nodes.raw)):
            if "html" in node.get("format", "").split():
                html = node.astext()
                drawings = list(map(as_diagram, SVG.findall(html)))
                node.parent.replace(node, [*map(as_node, read_tables(SVG.sub("", html))), *drawings])


def as_diagram(svg: str) -> diagram:
    label = LABEL.search(svg)
    name = f"raw-{hashlib.sha256(svg.encode()).hexdigest()[:12]}"
    return diagram(name=name, svg=svg, alt=label[1] if label else "A drawing.")


def columns(table: nodes.table) -> tuple[list[list[nodes.entry]], int]:
    """The entries of each column, those that span several left out; and the number of rows."""
    count = next(table.findall(nodes.tgroup))["cols"]
    found: list[list[nodes.entry]] = [[] for _ in range(count)]
    covered: dict[tuple[int, int], bool] = {}
    rows = list(table.findall(nodes.row))
    for y, row in enumerate(rows):
        x = 0
        for entry in row.children:
            while covered.get((x, y)):
                x += 1
            wide, high = entry.get("morecols", 0) + 1, entry.get("morerows", 0) + 1
            if wide == 1 and x < count:
                found[x].append(entry)
            for i in range(wide):
                for j in range(high):
                    covered[x + i, y + j] = True
            x += wide
    return found, len(rows)


def length(node: nodes.Node) -> float:
    """About how many letters wide a text is."""
    if isinstance(node, nodes.Text):
        return len(node.astext())
    if isinstance(node, nodes.math):
        return formula(node.astext())
    inside = sum(map(length, node.children))
    return CODE * inside if isinstance(node, nodes.literal) else inside


def formula(tex: str) -> float:
    """About how many letters wide a formula is: a command is one sign, braces and the marks of indices are none."""
    return FORMULA * len(re.sub(r"[{}_^\\\s]", "", re.sub(r"\\[a-zA-Z]+", "x", tex)))


def longest_word(entry: nodes.entry) -> float:
    """The letters of what cannot be broken: a formula, or a word up to one of the signs that it may break at."""
    formulas = [formula(node.astext()) for node in entry.findall(nodes.math)]
    words = [CODE * len(word) for word in re.split(r"[\s_./=-]+", entry.astext()) if "\\" not in word]
    return max(formulas + words, default=0)


def is_number(text: str) -> bool:
    return bool(NUMBER.fullmatch(text)) or text in ("", "–", "—", "NaN", "inf", "-inf")


def is_right(entries: list[nodes.entry]) -> bool:
    """Whether a column is set to the right: where it says so, or where all below its head are numbers."""
    body = [entry for entry in entries if not isinstance(entry.parent.parent, nodes.thead)]
    if any("text-right" in entry["classes"] for entry in body):
        return True
    texts = [entry.astext().strip() for entry in body]
    return any(texts) and all(map(is_number, texts))


def layout(table: nodes.table) -> tuple[str, str, bool]:
    """How a table is set: the columns for LaTeX, the class of its size, and whether it may be broken over pages."""
    found, rows = columns(table)
    widths = [max(map(length, entries), default=1) for entries in found]
    right = list(map(is_right, found))
    plain = all(
        len(entry.children) <= 1 and all(isinstance(child, nodes.paragraph) for child in entry.children)
        for entries in found
        for entry in entries
    )
    total = sum(widths) + GAP * (len(widths) - 1)
    steps = 1 if len(widths) <= 3 else 2 if len(widths) <= 5 else 3  # the words of few columns stay readable
    sizes = list(SIZES.items())[:steps]
    for size, letters in sizes:
        if plain and total <= letters:
            return "".join("r" if one else "l" for one in right), size, rows > LINES
    least = [max(map(longest_word, entries), default=1) for entries in found]
    size = sizes[-1][0]
    room = SIZES[size] - GAP * (len(widths) - 1)
    shares = share(widths, least, room)
    whole = sum(shares)
    parts = [
        rf">{{\{'raggedleft' if one else 'raggedright'}\arraybackslash}}\X{{{part}}}{{{whole}}}"
        for part, one in zip(shares, right, strict=True)
    ]
    lines = sum(
        max(math.ceil(10 * length(entry) / shares[x]) for x, entry in row) for row in by_row(found).values()
    )
    return "".join(parts), size, lines > LINES


def by_row(found: list[list[nodes.entry]]) -> dict[int, list[tuple[int, nodes.entry]]]:
    """The entries of each row with the numbers of their columns."""
    rows: dict[int, list[tuple[int, nodes.entry]]] = {}
    for x, entries in enumerate(found):
        for entry in entries:
            rows.setdefault(id(entry.parent), []).append((x, entry))
    return rows


def share(widths: list[float], least: list[float], room: float) -> list[int]:
    """Divide a line among columns: a short column gets what it needs, the others by the root of their length."""
    fair = room / len(widths)
    needs = [
        min(width, max(word, min(width, fair * SHORT))) for width, word in zip(widths, least, strict=True)
    ]
    left = max(0.0, room - sum(needs))
    wanted = [
        (width - need) ** 0.7 if width > need else 0.0 for width, need in zip(widths, needs, strict=True)
    ]
    whole = sum(wanted) or 1.0
    return [
        max(1, round(10 * (need + left * want / whole))) for need, want in zip(needs, wanted, strict=True)
    ]


class SetTables(SphinxPostTransform):
    """Chooses columns and size of every table that says nothing of its own."""

    default_priority = 410  # after latex.py has settled the classes
    formats = ("latex",)

    def run(self, **kwargs) -> None:
        for table in list(self.document.findall(nodes.table)):
            place = table.parent
            before = place.children[place.index(table) - 1] if place.index(table) else None
            nested = is_inside(table, nodes.entry)
            if nested:
                continue
            if isinstance(before, addnodes.tabular_col_spec):
                place.remove(before)
            spec, size, long = layout(table)
            breaks = long and not is_inside(table, nodes.Admonition)
            table["classes"] = ["longtable"] if breaks else []
            box = nodes.container(classes=[size] if size else [])
            table.replace_self(box)
            box += [addnodes.tabular_col_spec(spec=spec), table]


def is_inside(node: nodes.Node, kind: type) -> bool:
    while node := node.parent:
        if isinstance(node, kind):
            return True
    return False


def setup(app: Sphinx) -> None:
    app.add_post_transform(ReadRawHtml)
    app.add_post_transform(DrawForPrint)
    app.add_post_transform(PlacePictures)
    app.add_post_transform(SetTables)
