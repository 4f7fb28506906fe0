"""`{book-map}`: all chapters as one picture, a lane a part, an arrow from each to what builds on it; each is a link.

On a phone the parts' own maps stand one below the other instead. `{chapter-table}`: the same as a table.

The wide map is also drawn in the notebook that `make lab` opens: nothing here needs Sphinx's application.
"""

from __future__ import annotations

import ast
import html
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import ROOT, parts
from .chapters import TOC, Chapter, Part, link, read_parts, read_topic
from .diagrams import diagram

# Sizes of the wide map, in pixels of a page.
WIDTH, LABELS, GAP, HEIGHT, BETWEEN, TOP, LINE = 1000, 104, 16, 46, 26, 14, 14
LETTER = 7.4  # the mean width of a letter

Chapters = dict[str, Chapter]  # by page, in the order of the book


def book() -> list[tuple[Part, list[Chapter]]]:
    """The parts that have chapters, in order; guides are none."""
    found = [
        (part, [chapter for page in part.pages if (chapter := read_topic(page))]) for part in read_parts()
    ]
    return [(part, chapters) for part, chapters in found if chapters]


def places_of(
    book: list[tuple[Part, list[Chapter]]], arrows: list[tuple[str, str]]
) -> dict[str, tuple[int, int]]:
    """page -> (lane, column): in reading order, as near as can be below what each chapter builds on."""
    columns = max(len(chapters) for _, chapters in book)
    places: dict[str, tuple[int, int]] = {}
    for lane, (_, chapters) in enumerate(book):
        column = -1
        for i, chapter in enumerate(chapters):
            above = [places[a][1] for a, b in arrows if b == chapter.page and places[a][0] < lane]
            wanted = round(sum(above) / len(above)) if above else 0
            column = min(max(wanted, column + 1), columns - (len(chapters) - i))
            places[chapter.page] = (lane, column)
    return places


def wrapped(title: str, width: float) -> list[str]:
    """A title in lines of about equal length, none wider than `width` pixels unless a word is."""
    words, best = title.split(), None
    for count in range(1, len(words) + 1):
        for cuts in cut(len(words), count):
            lines = [" ".join(words[a:b]) for a, b in zip((0, *cuts), (*cuts, len(words)), strict=True)]
            if best is None or max(map(len, lines)) < max(map(len, best)):
                best = lines
        if max(map(len, best)) * LETTER <= width:
            break
    return best


def cut(words: int, count: int) -> Iterator[tuple[int, ...]]:
    """Every way to cut so many words into `count` pieces."""
    yield from combinations(range(1, words), count - 1)


def draw(book: list[tuple[Part, list[Chapter]]], name: str = "map", href: str = "page:{}") -> str:
    """The wide map as SVG. href : what a chapter's link leads to, its page for {}."""
    chapters = {chapter.page: chapter for _, own in book for chapter in own}
    arrows = parts.arrows_of(chapters)
    places = places_of(book, arrows)
    grid = Grid(1 + max(column for _, column in places.values()), frozenset(places.values()))
    words = [sentence(chapter, chapters) for chapter in chapters.values()]
    number = {page: i for i, page in enumerate(chapters)}
    height = TOP + len(book) * (HEIGHT + BETWEEN) - BETWEEN / 2 + 2
    lines = [
        f'<svg class="rb-map" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'role="group" aria-labelledby="{name}-title {name}-text">',
        f'<title id="{name}-title">The chapters of the book, and which builds on which</title>',
        f'<desc id="{name}-text">In reading order: {html.escape(" ".join(words))}</desc>',
        f'<defs><marker id="{name}-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L10 5 L0 10 z" '
        'style="fill:var(--rb-grey, #56616b)"/></marker></defs>',
    ]
    for a, b in arrows:
        lines.append(
            f'<path class="rb-arrow" data-a="{number[a]}" data-b="{number[b]}" '
            f'd="{grid.way(places[a], places[b])}" marker-end="url(#{name}-tip)" '
            'style="fill:none;stroke:var(--rb-grey, #56616b);stroke-width:1.5"/>'
        )
    for lane, (part, own) in enumerate(book):
        lines.append(caption(part, grid.y(lane), href))
        for chapter in own:
            lane, column = places[chapter.page]
            lines.append(box(chapter, number[chapter.page], grid.x(column), grid.y(lane), grid.width, href))
    return "\n".join([*lines, "</svg>"])


def sentence(chapter: Chapter, chapters: Chapters) -> str:
    needs = [chapters[page].title for page in chapter.needs]
    return f"{chapter.title} builds on {' and '.join(needs)}." if needs else f"{chapter.title}."


@dataclass(frozen=True)
class Grid:
    """Where boxes stand, and how an arrow goes from one to another without running through a third."""

    columns: int
    taken: frozenset[tuple[int, int]]

    @property
    def step(self) -> float:
        return (WIDTH - LABELS) / self.columns

    @property
    def width(self) -> float:
        return self.step - GAP

    def x(self, column: int) -> float:
        return LABELS + GAP + column * self.step - 1

    def y(self, lane: int) -> float:
        return TOP + lane * (HEIGHT + BETWEEN)

    def way(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        """Along a lane to the next box, over or under those between, or down from lane to lane."""
        (lane, column), (to_lane, to_column) = start, end
        x, to_x, y = self.x(column), self.x(to_column), self.y(lane)
        if lane == to_lane and to_column == column + 1:
            return f"M{x + self.width:g} {y + HEIGHT / 2:g} L{to_x - 1:g} {y + HEIGHT / 2:g}"
        if lane == to_lane:
            # Below the last lane nothing else runs; above it the arrows from other lanes come in.
            below = lane > 0 and lane == max(lane for lane, _ in self.taken)
            side, away = (y + HEIGHT, 1) if below else (y, -1)
            a, b, over = x + self.width * 0.8, to_x + self.width * 0.2, side + away * BETWEEN * 0.62
            return f"M{a:g} {side:g} C{a + 8:g} {over:g} {b - 14:g} {over:g} {b:g} {side + away:g}"
        aside = max(-1, min(1, to_column - column)) * self.width * 0.22
        a, b = x + self.width / 2 + aside, to_x + self.width / 2 - aside
        path, here = f"M{a:g} {y + HEIGHT:g}", a
        for between in range(lane + 1, to_lane):
            there = self.free(between, a + (b - a) * (between - lane) / (to_lane - lane))
            path += self.bow(here, there, between) + f" L{there:g} {self.y(between) + HEIGHT:g}"
            here = there
        return path + self.bow(here, b, to_lane, short=1)

    def bow(self, x: float, to_x: float, lane: int, short: float = 0) -> str:
        """From the lower edge of the lane above to the upper edge of this one."""
        y, to_y = self.y(lane) - BETWEEN, self.y(lane) - short
        return f" C{x:g} {y + BETWEEN * 0.8:g} {to_x:g} {to_y - BETWEEN * 0.8:g} {to_x:g} {to_y:g}"

    def free(self, lane: int, wanted: float) -> float:
        """The place nearest to `wanted` at which a lane can be crossed: an empty column, or the gap beside a box."""
        places = [self.x(column) - GAP / 2 for column in range(self.columns)]
        for column in range(self.columns):
            if (lane, column) not in self.taken:
                left, right = self.x(column), self.x(column) + self.width
                places.append(min(max(wanted, left), right))
        return min(places, key=lambda place: abs(place - wanted))


def caption(part: Part, y: float, href: str) -> str:
    """The name of a part beside its lane, a link to the part's page."""
    lines = wrapped(part.caption, LABELS)
    first = y + HEIGHT / 2 + 4.5 - (len(lines) - 1) * LINE / 2
    return (
        f'<a class="rb-map-part" href="{html.escape(href.format(part.pages[0]))}" '
        f'aria-label="Part: {html.escape(part.caption)}">'
        + text(lines, 0, first, "font-weight:650;fill:var(--rb-blue, #0b62a3);text-anchor:start")
        + "</a>"
    )


def box(chapter: Chapter, number: int, x: float, y: float, width: float, href: str) -> str:
    lines = wrapped(chapter.title, width - 8)
    first = y + HEIGHT / 2 + 4.5 - (len(lines) - 1) * LINE / 2
    about = f"{chapter.title}: {chapter.question}" if chapter.question else chapter.title
    return (
        f'<a data-n="{number}" href="{html.escape(href.format(chapter.page))}" aria-label="{html.escape(about)}">'
        f"<title>{html.escape(chapter.question or chapter.title)}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="8" '
        'style="fill:var(--rb-soft, #f3f6f8);stroke:var(--rb-blue, #0b62a3);stroke-width:1.5"/>'
        + text(lines, x + width / 2, first, "font-weight:600;fill:var(--rb-text, #1c252c);text-anchor:middle")
        + "</a>"
    )


def text(lines: list[str], x: float, y: float, style: str) -> str:
    return "".join(
        f'<text x="{x:g}" y="{y + i * LINE:g}" style="font-size:12.5px;{style}">{html.escape(line)}</text>'
        for i, line in enumerate(lines)
    )


def lit(count: int) -> str:
    """The style that lights a chapter's arrows while the pointer or the keyboard is on it."""
    rules = [
        f'.rb-map:has(a[data-n="{i}"]:is(:hover, :focus-visible)) .rb-arrow:is([data-a="{i}"], [data-b="{i}"])'
        for i in range(count)
    ]
    return f"<style>{', '.join(rules)} {{ stroke: var(--rb-orange) !important; stroke-width: 3 !important; }}</style>"


def models_of(topic: str) -> list[str]:
    """The models that a topic brings: what the PyTorch wing exports from the file of this name."""
    tree = ast.parse((ROOT / "recbook" / "torch" / "__init__.py").read_text("utf-8"))
    return [
        name.asname or name.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == f"recbook.torch.{topic}"
        for name in node.names
    ]


def table(book: list[tuple[Part, list[Chapter]]]) -> str:
    """All chapters in MyST Markdown: what each asks, how long it takes, which models it brings."""
    rows = ["| Chapter | Question | Models | Minutes |", "|---|---|---|--:|"]
    for part, own in book:
        rows.append(f"| {{doc}}`{part.caption} </{part.pages[0]}>` | | | |")
        for chapter in own:
            name = chapter.page.rpartition("/")[2]
            models = ", ".join(f"`{model}`" for model in models_of(name))
            rows.append(f"| {link(name)} | {chapter.question} | {models} | {chapter.minutes or ''} |")
    return "\n".join(rows)


def note_sources(env) -> None:
    """Have the page built again when a notebook or the table of contents changes."""
    for path in (TOC, *(ROOT / f"{chapter.page}.ipynb" for _, own in book() for chapter in own)):
        env.note_dependency(str(path))


class BookMapDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        note_sources(self.env)
        found = book()
        chapters = {chapter.page: chapter for _, own in found for chapter in own}
        titles = {page: chapter.title for page, chapter in chapters.items()}
        try:
            wide, arrows = draw(found), parts.arrows_of(chapters)
        except ValueError as error:
            raise self.error(f"book-map: {error}") from error
        result = nodes.container(classes=["rb-book-map"])
        result += nodes.raw("", lit(len(chapters)), format="html")
        result += nodes.container("", diagram(name="book-map", svg=wide), classes=["rb-map-wide"])
        narrow = nodes.container(classes=["rb-map-narrow"])
        for i, (part, own) in enumerate(found):
            svg = parts.draw(f"map-{i}", own, titles, arrows)
            head = nodes.container(classes=["rb-map-caption"])
            self.state.nested_parse(StringList([f"{{doc}}`{part.caption} </{part.pages[0]}>`"]), 0, head)
            narrow += nodes.container("", head, diagram(name=f"map-{i}", svg=svg))
        if self.env.app.builder.format == "html":  # in print one picture is enough
            result += narrow
        return [result]


class ChapterTableDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        note_sources(self.env)
        box = nodes.container(classes=["rb-chapter-table", "rb-rows"])
        self.state.nested_parse(StringList(table(book()).splitlines(), source=str(TOC)), 0, box)
        return [box]


def setup(app: Sphinx) -> None:
    app.add_directive("book-map", BookMapDirective)
    app.add_directive("chapter-table", ChapterTableDirective)
