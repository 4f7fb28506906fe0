"""The first page: the map of the book and the result beside it; the table of chapters; the page of changes."""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from book.ext.recbook_sphinx import book_map, diagrams, headline, parts, scoreboard
from book.ext.recbook_sphinx.chapters import Part, describe, read_parts, read_topic
from book.shots import toc_pages
from tests.helpers.small_book import build

ROOT = Path(__file__).resolve().parents[2]
BOOK = book_map.book()
CHAPTERS = {chapter.page: chapter for _, own in BOOK for chapter in own}
SVG = diagrams.SVG


def chapter(name: str, *needs: str, title: str | None = None):
    """A small chapter that builds on others."""
    metadata = {
        "recbook": {"prerequisites": [f"The chapter {need}." for need in needs], "minutes": {"read": 7}}
    }
    source = f"(x)=\n# {title or name.title()}\n\n**Why {name}?**"
    return describe(f"chapters/{name}", {"cells": [{"source": source}], "metadata": metadata}, 1)


def small() -> list:
    """a → b → c in one lane, d below needs a and c, e below needs b alone; f, two lanes below, needs b."""
    return [
        (Part("One", ("chapters/one",)), [chapter("a"), chapter("b", "a"), chapter("c", "b", "a")]),
        (Part("Two", ("chapters/two",)), [chapter("d", "a", "c"), chapter("e", "b")]),
        (Part("Three", ("chapters/three",)), [chapter("f", "b")]),
    ]


def arrows(svg: str) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in re.findall(r'data-a="(\d+)" data-b="(\d+)"', svg)]


# --- the map --------------------------------------------------------------------------------------------------------


def test_the_map_has_every_chapter_of_the_book_once_as_a_link() -> None:
    svg = ElementTree.fromstring(book_map.draw(BOOK))
    led_to = [link.get("href") for link in svg.iter(f"{SVG}a")]
    pages = [page for part, own in BOOK for page in (part.pages[0], *(one.page for one in own))]
    assert led_to == [f"page:{page}" for page in pages]
    notebooks = [page for page in toc_pages(ROOT / "_toc.yml") if read_topic(page)]
    assert list(CHAPTERS) == notebooks and len(notebooks) >= 18


def test_links_of_the_map_say_where_they_lead() -> None:
    svg = ElementTree.fromstring(book_map.draw(BOOK))
    for link in svg.iter(f"{SVG}a"):
        words = " ".join(text.text for text in link.iter(f"{SVG}text"))
        assert words and words in link.get("aria-label")  # what is read aloud begins with what is seen
    assert svg.get("role") == "group", "what is in an image cannot be reached"
    told = diagrams.description(book_map.draw(BOOK))
    for one in CHAPTERS.values():
        assert one.title in told


def test_an_arrow_is_drawn_for_each_prerequisite_that_no_other_implies() -> None:
    assert arrows(book_map.draw(small())) == [(0, 1), (1, 2), (2, 3), (1, 4), (1, 5)]


def test_arrows_of_the_book_lead_from_every_chapter_to_all_that_it_needs() -> None:
    drawn = parts.arrows_of(CHAPTERS)
    for page, one in CHAPTERS.items():
        before, reached = [page], set()
        while before:
            now = before.pop()
            reached.add(now)
            before += [a for a, b in drawn if b == now]
        assert set(one.needs) <= reached, page
        direct = {a for a, b in drawn if b == page}
        assert direct <= set(one.needs)


def test_a_prerequisite_that_comes_later_is_refused() -> None:
    wrong = small()
    wrong[0][1][0] = chapter("a", "c")
    with pytest.raises(ValueError, match="chapters/a builds on chapters/c, which is no earlier chapter"):
        book_map.draw(wrong)


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    rects = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    return [tuple(float(rect.get(key)) for key in ("x", "y", "width", "height")) for rect in rects]


@pytest.mark.parametrize("book", [BOOK, small()], ids=["book", "small"])
def test_boxes_stand_apart_in_the_picture_and_hold_their_words(book) -> None:
    svg = book_map.draw(book)
    _, _, width, height = map(float, ElementTree.fromstring(svg).get("viewBox").split())
    placed = boxes(svg)
    for i, (x, y, w, h) in enumerate(placed):
        assert x >= book_map.LABELS and y >= 0 and x + w <= width and y + h <= height
        for other_x, other_y, other_w, other_h in placed[:i]:
            assert x >= other_x + other_w or other_x >= x + w or y >= other_y + other_h or other_y >= y + h
    for link in ElementTree.fromstring(svg).iter(f"{SVG}a"):
        for rect in link.iter(f"{SVG}rect"):
            lines = [text.text for text in link.iter(f"{SVG}text")]
            assert len(lines) * book_map.LINE <= float(rect.get("height"))
            assert max(map(len, lines)) * book_map.LETTER <= float(rect.get("width")), lines


@pytest.mark.parametrize("book", [BOOK, small()], ids=["book", "small"])
def test_no_arrow_runs_through_a_box(book) -> None:
    svg = book_map.draw(book)
    for path in re.findall(r'<path class="rb-arrow"[^>]* d="([^"]+)"', svg):
        for px, py in points(path):
            for x, y, w, h in boxes(svg):
                assert not (x + 1 < px < x + w - 1 and y + 1 < py < y + h - 1), path


def points(path: str) -> list[tuple[float, float]]:
    """Points along a path of moves, lines and curves."""
    found, here = [], None
    for letter, numbers in re.findall(r"([MLC])([^MLC]+)", path):
        values = [float(value) for value in numbers.split()]
        pairs = list(zip(values[::2], values[1::2], strict=True))
        if letter != "M":
            corners = [here, *pairs]
            for i in range(41):
                level = corners
                while len(level) > 1:  # de Casteljau
                    t = i / 40
                    level = [
                        ((1 - t) * a + t * c, (1 - t) * b + t * d)
                        for (a, b), (c, d) in zip(level, level[1:], strict=False)
                    ]
                found.append(level[0])
        here = pairs[-1]
    return found


@pytest.mark.parametrize(
    ("title", "width", "lines"),
    [
        ("Data", 100, ["Data"]),
        ("Losses and penalties", 100, ["Losses and", "penalties"]),
        ("Where the two frameworks differ", 125, ["Where the two", "frameworks", "differ"]),
        ("Incomprehensibilities", 20, ["Incomprehensibilities"]),
    ],
)
def test_titles_are_cut_into_lines(title: str, width: float, lines: list[str]) -> None:
    assert book_map.wrapped(title, width) == lines


def test_the_map_and_the_table_stand_on_a_page(tmp_path: Path) -> None:
    names = [page for part in read_parts() for page in part.pages]
    files = {f"{page}.md": f"({page.rpartition('/')[2]})=\n# {page}\n" for page in names}
    tree = "\n".join(["```{toctree}", *names, "```"])
    files["index.md"] = f"# Index\n\n```{{book-map}}\n```\n\n```{{chapter-table}}\n```\n\n{tree}\n"
    html = (build(tmp_path, "html", files) / "index.html").read_text("utf-8")
    drawn, table = html.split("rb-chapter-table")
    for page, one in CHAPTERS.items():
        assert drawn.count(f'href="{page}.html"') == 2  # wide, and for a phone
        assert f'href="{page}.html"' in table and one.question.split("?")[0][:20] in table
    ids = re.findall(r'\bid="([^"]+)"', drawn)
    assert len(ids) == len(set(ids))
    assert f'a[data-n="{len(CHAPTERS) - 1}"]' in drawn and "page:" not in drawn


def test_in_print_the_map_is_one_picture_without_links() -> None:
    svg = diagrams.for_print(book_map.draw(BOOK))
    assert "<a" not in svg and 'role="img"' in svg and "var(" not in svg
    assert svg.count("<rect") == len(CHAPTERS)


def test_the_table_names_the_models_of_each_topic() -> None:
    assert book_map.models_of("ctr") == ["DIN", "DeepFM", "WideAndDeep"]
    assert book_map.models_of("introduction") == []
    rows = book_map.table(BOOK).splitlines()
    assert len(rows) == 2 + len(BOOK) + len(CHAPTERS)
    assert any("`SASRec`" in row and "{doc}`/chapters/transformers`" in row for row in rows)


# --- the result -----------------------------------------------------------------------------------------------------


@pytest.fixture
def result() -> dict:
    return copy.deepcopy(scoreboard.load())


def test_the_result_is_counted_from_the_scoreboard(result) -> None:
    found = headline.facts(result)
    figures = result["figures"]
    better = [
        name for name, row in figures.items() if row["against"].get("rmse", {}).get("verdict") == "better"
    ]
    assert found["good"] == better and len(better) >= 5
    claim = headline.claim(result)
    assert claim.startswith(f"**{len(better)} models predict stars better")
    winners = [name for name in better if figures[name]["against"]["ndcg@10"]["verdict"] == "better"]
    assert found["both"] == winners
    assert ("Not one of them" in claim) == (not winners)


def test_a_model_that_is_good_at_both_changes_the_sentence(result) -> None:
    name = headline.facts(result)["good"][0]
    result["figures"][name]["against"]["ndcg@10"]["verdict"] = "better"
    assert f"Only `{name}` makes better lists" in headline.claim(result)


def test_the_picture_shows_every_model_of_the_scoreboard_where_it_belongs(result) -> None:
    svg = headline.draw(result)
    labels = [title.text for circle in ElementTree.fromstring(svg).iter(f"{SVG}circle") for title in circle]
    yard = headline.facts(result)["yard"]["ndcg@10"]
    shown = {
        name
        for name, row in result["figures"].items()
        if name != yard and row["figures"].get("rmse", {"mean": 0})["mean"] < headline.WORST
    }
    assert {label.partition(":")[0] for label in labels} == shown
    _, _, width, height = map(float, ElementTree.fromstring(svg).get("viewBox").split())
    for circle in ElementTree.fromstring(svg).iter(f"{SVG}circle"):
        assert headline.AXIS < float(circle.get("cx")) < width
        assert headline.TOP < float(circle.get("cy")) <= headline.BOTTOM
    assert f"{headline.mean(result, yard, 'ndcg@10'):.3f}" in diagrams.description(svg)


def test_the_protocol_of_the_result_is_that_of_the_scoreboard(result) -> None:
    told = headline.protocol(result)
    for key in ("data", "candidates", "better"):
        assert result["protocol"][key] in told
    assert "{ref}`evaluation`" in headline.words(result)


# --- pages --------------------------------------------------------------------------------------------------------


def test_the_page_of_changes_is_the_file_of_changes() -> None:
    page = (ROOT / "chapters" / "changelog.md").read_text("utf-8")
    assert "```{include} ../CHANGELOG.md" in page and len(page) < 400  # included, not copied


def test_the_first_page_types_no_chapter_twice() -> None:
    text = (ROOT / "index.md").read_text("utf-8")
    assert all(f"```{{{name}}}" in text for name in ("book-map", "headline", "chapter-table"))
    typed = [one.title for one in CHAPTERS.values() if one.question[:30] in text]
    assert not typed
