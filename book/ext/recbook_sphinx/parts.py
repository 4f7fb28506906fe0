"""`{part}`: the chapters of the part that a page opens: a map of what builds on what, and a list.

Also: the links to the previous and the next page name the part that they lead to.
"""

from __future__ import annotations

import html

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import ROOT
from .chapters import TOC, Chapter, link, part_of, read_chapter, read_parts
from .diagrams import diagram

# Sizes of the map, in pixels of a phone's page.
WIDTH, LEFT, ROW, HEIGHT, BEND = 360, 64, 64, 48, 13


def draw(
    name: str, chapters: list[Chapter], titles: dict[str, str], arrows: list[tuple[str, str]] | None = None
) -> str:
    """A map of a part as SVG: a box a chapter, in reading order; an arrow from each to what builds on it.

    titles : page -> title, of all chapters up to the end of this part
    arrows : those of the whole book that are drawn or, from other parts, named; default: all that chapters name
    """
    if arrows is None:
        arrows = [(need, chapter.page) for chapter in chapters for need in chapter.needs]
    places = {chapter.page: i for i, chapter in enumerate(chapters)}
    boxes, lines, words = [], [], []
    for i, chapter in enumerate(chapters):
        if unknown := [page for page in chapter.needs if page not in titles]:
            raise ValueError(
                f"{chapter.page} builds on {unknown[0]}, which is no earlier chapter of the book"
            )
        for page in chapter.needs:
            if places.get(page, -1) >= i:
                raise ValueError(f"{chapter.page} builds on {page}, which comes after it")
        direct = [a for a, b in arrows if b == chapter.page]
        lines += [arrow(places[page], i) for page in direct if page in places]
        outside = [titles[page] for page in direct if page not in places]
        note = f"{chapter.minutes} minutes" + (f", after {', '.join(outside)}" if outside else "")
        boxes.append(box(i, chapter, note))
        needs = [titles[page] for page in chapter.needs]
        words.append(f"{chapter.title} builds on {' and '.join(needs)}." if needs else f"{chapter.title}.")
    return "\n".join(
        [
            f'<svg class="rb-figure" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {ROW * len(chapters)}" '
            f'role="group" aria-labelledby="{name}-title {name}-text">',
            f'<title id="{name}-title">The chapters of this part, and which builds on which</title>',
            f'<desc id="{name}-text">In reading order: {html.escape(" ".join(words))}</desc>',
            f'<defs><marker id="{name}-tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" '
            'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L10 5 L0 10 z" '
            'style="fill:var(--rb-grey, #56616b)"/></marker></defs>',
            *(line.replace("TIP", f"{name}-tip") for line in lines),
            *boxes,
            "</svg>",
        ]
    )


def arrows_of(chapters: dict[str, Chapter]) -> list[tuple[str, str]]:
    """(a, b) for every b that builds on a, without those that follow from others: a to b to c says a to c."""
    above: dict[str, set[str]] = {}
    found = []
    for page, chapter in chapters.items():
        if unknown := [need for need in chapter.needs if need not in above]:
            raise ValueError(f"{page} builds on {unknown[0]}, which is no earlier chapter of the book")
        found += [
            (need, page)
            for need in chapter.needs
            if not any(need in above[other] for other in chapter.needs if other != need)
        ]
        above[page] = set(chapter.needs).union(*(above[need] for need in chapter.needs))
    return found


def box(i: int, chapter: Chapter, note: str) -> str:
    top = i * ROW + (ROW - HEIGHT) // 2
    lines = ((21, 14, 600, "text, #1c252c", chapter.title), (39, 13, 400, "grey, #56616b", note))
    words = "".join(
        f'<text x="{LEFT + 14}" y="{top + down}" style="font-size:{size}px;font-weight:{weight};'
        f'fill:var(--rb-{colour});text-anchor:start">{html.escape(text)}</text>'
        for down, size, weight, colour, text in lines
    )
    return (
        f'<a href="page:{chapter.page}"><rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 2}" height="{HEIGHT}" rx="8" '
        f'style="fill:var(--rb-soft, #f3f6f8);stroke:var(--rb-blue, #0b62a3);stroke-width:2"/>{words}</a>'
    )


def arrow(start: int, end: int) -> str:
    """From the lower half of one box to the upper half of another, bent the wider the further it goes."""
    a, b = (start + 0.5) * ROW + HEIGHT / 4, (end + 0.5) * ROW - HEIGHT / 4
    x = max(-10, LEFT - 8 - BEND * 2 * (end - start))
    return (
        f'<path d="M{LEFT} {a:g} C{x} {a:g} {x} {b:g} {LEFT - 2} {b:g}" marker-end="url(#TIP)" '
        'style="fill:none;stroke:var(--rb-grey, #56616b);stroke-width:2"/>'
    )


def listing(chapters: list[Chapter]) -> str:
    """The chapters with their questions, in MyST Markdown."""
    return "\n".join(
        f"{link(chapter.page.rpartition('/')[2])}\n: {chapter.question or chapter.goals[0]}\n"
        for chapter in chapters
    )


class PartDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        parts = read_parts()
        mine = part_of(self.env.docname, parts)
        if mine is None:
            raise self.error(f"part: {self.env.docname} stands in no part of _toc.yml")
        upto = [page for part in parts[: parts.index(mine) + 1] for page in part.pages]
        known = {page: chapter for page in upto if (chapter := read_chapter(page))}
        for path in (TOC, *(ROOT / f"{page}.ipynb" for page in known)):
            self.env.note_dependency(str(path))
        chapters = [known[page] for page in mine.pages if page in known]
        name = self.env.docname.rpartition("/")[2]
        try:
            titles = {page: chapter.title for page, chapter in known.items()}
            svg = draw(name, chapters, titles, arrows_of(known))
        except ValueError as error:
            raise self.error(f"part: {error}") from error
        box = nodes.container(classes=["rb-part-chapters"])
        self.state.nested_parse(StringList(listing(chapters).splitlines(), source=str(TOC)), 0, box)
        return [diagram(name=name, svg=svg), box]


def name_parts(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Let the theme's links to the previous and the next page begin with the part's caption, or be it."""
    parts = read_parts()
    paths = {app.builder.get_relative_uri(page, other): part for part in parts for other in part.pages}
    for way in ("prev", "next"):
        part = paths.get((context.get(way) or {}).get("link"))
        if part and html.escape(part.caption) != context[way]["title"]:
            context[f"{way}_title"] = (
                f'<span class="rb-part">{html.escape(part.caption)}</span> {context[way]["title"]}'
            )


def setup(app: Sphinx) -> None:
    app.add_directive("part", PartDirective)
    app.connect("html-page-context", name_parts)
