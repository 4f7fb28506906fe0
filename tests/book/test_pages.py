"""What the book's own directives make: heads and feet of chapters, the status page, parts and their maps, diagrams."""

from __future__ import annotations

import ctypes.util
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest

from book.ext.recbook_sphinx import chapters, diagrams, page_foot, page_head, parts, status
from book.shots import toc_pages
from tests.helpers.small_book import build

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [page for page in toc_pages(ROOT / "_toc.yml") if (ROOT / f"{page}.ipynb").is_file()]
DIAGRAMS = ["loop", "rooms", "taxonomy"]
RUN = {
    "date": "2026-01-31",
    "seconds": 17,
    "python": "3.11.2",
    "versions": {"torch": "2.13.0", "keras": "3.15.1", "numpy": "2.4.6", "jax": "0.10.2"},
    "backend": "jax",
    "data": {"ml-100k": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"},
}


def notebook(
    first: str = "(a)=\n# A title\n\n**Which\nof two?**\n\nText.", outputs: tuple = (), **own: object
) -> dict:
    facts = {"goals": ["Count `n`."], "prerequisites": ["Sums."], "minutes": {"read": 12, "run": 0.3}, **own}
    cells = [
        {"cell_type": "markdown", "id": "one", "metadata": {}, "source": first.splitlines(keepends=True)},
        {
            "cell_type": "code",
            "id": "two",
            "metadata": {},
            "source": [],
            "outputs": list(outputs),
            "execution_count": 1,
        },
    ]
    return {"cells": cells, "metadata": {"recbook": facts}, "nbformat": 4, "nbformat_minor": 5}


def chapter(page: str = "chapters/a", size: int = 1000, **own: object) -> chapters.Chapter:
    return chapters.describe(page, notebook(**own), size)


# --- what a notebook says of itself -------------------------------------------------------------------------------


def test_a_chapter_is_read_from_its_notebook() -> None:
    picture = {"output_type": "display_data", "data": {"image/png": "", "text/plain": ""}}
    words = {"output_type": "display_data", "data": {"text/plain": ""}}
    found = chapter(outputs=(picture, words, picture), run=RUN)
    assert (found.title, found.question) == ("A title", "Which of two?")
    assert (found.goals, found.prerequisites, found.minutes) == (("Count `n`.",), ("Sums.",), 12)
    assert (found.size, found.cells, found.figures, found.run) == (1000, 2, 2, RUN)
    assert chapter(first="(a)=\n# A title\n\nText with **bold**.").question == ""
    with pytest.raises(ValueError, match="chapters/a: its first cell"):
        chapter(first="No title")


@pytest.mark.parametrize(
    ("sentence", "needs", "text"),
    [
        ("The chapter data.", ["chapters/data"], "The chapter {doc}`/chapters/data`."),
        (
            "The chapters data, losses and factorization_machines: their equations.",
            ["chapters/data", "chapters/losses", "chapters/factorization_machines"],
            "The chapters {doc}`/chapters/data`, {doc}`/chapters/losses` and "
            "{doc}`/chapters/factorization_machines`: their equations.",
        ),
        ("The chapter on losses.", ["chapters/losses"], "The chapter on {doc}`/chapters/losses`."),
        (
            "The chapters on logistic regression and factorisation machines: fields.",
            ["chapters/logistic", "chapters/factorization_machines"],
            "The chapters on {doc}`/chapters/logistic` and {doc}`/chapters/factorization_machines`: fields.",
        ),
        (
            "Biases, from the chapter on neighbours; RMSE, from the chapter on evaluation.",
            ["chapters/neighbors", "chapters/evaluation"],
            "Biases, from the chapter on {doc}`/chapters/neighbors`; "
            "RMSE, from the chapter on {doc}`/chapters/evaluation`.",
        ),
        (
            "No model: this chapter has four, each a line.",
            [],
            "No model: this chapter has four, each a line.",
        ),
        ("Means, shares and logarithms.", [], "Means, shares and logarithms."),
        ("The chapter on matrices of any book.", [], "The chapter on matrices of any book."),
    ],
)
def test_prerequisites_that_are_chapters_become_links(sentence: str, needs: list[str], text: str) -> None:
    assert chapter(prerequisites=[sentence]).needs == needs
    assert chapters.linked(sentence) == text


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_chapters_build_on_earlier_chapters_of_the_book(page: str) -> None:
    found = chapters.read_chapter(page)
    told = [sentence for sentence in found.prerequisites if re.search(r"(?<!this )\bchapters?\b", sentence)]
    unread = [sentence for sentence in told if chapters.linked(sentence) == sentence]
    assert not unread, f"{page}: which chapter is meant? {unread}"
    assert set(found.needs) <= set(NOTEBOOKS[: NOTEBOOKS.index(page)]), f"{page} builds on {found.needs}"
    assert found.question, f"{page}: its title is followed by a question in bold"


def test_parts_are_those_of_the_table_of_contents() -> None:
    found = chapters.read_parts()
    assert ["index", *(page for part in found for page in part.pages)] == toc_pages(ROOT / "_toc.yml")
    assert chapters.part_of("chapters/data", found).caption == "Foundations"
    assert chapters.part_of("index", found) is None


def test_every_part_begins_with_a_page_of_its_own() -> None:
    for part in chapters.read_parts():
        text = (ROOT / f"{part.pages[0]}.md").read_text("utf-8")
        assert re.search(rf"^# {part.caption}$", text, re.M), f"{part.pages[0]}.md: its title is the caption"
        if any(chapters.read_topic(page) for page in part.pages):
            assert "```{part}" in text


# --- head and foot --------------------------------------------------------------------------------------------------


def test_the_head_stands_below_title_and_question() -> None:
    changed = json.loads(page_head.put_head(json.dumps(notebook())))["cells"][0]["source"]
    wanted = "(a)=\n# A title\n\n{.rb-question}\n**Which\nof two?**\n\n```{page-head}\n```\n\n\nText."
    assert changed == wanted
    plain = json.dumps(notebook(first="(a)=\n# A title\n\nText."))
    assert json.loads(page_head.put_head(plain))["cells"][0]["source"].index("{page-head}") < 30
    untitled = json.dumps(notebook(first="Text"))
    assert page_head.put_head(untitled) == untitled


def test_the_foot_is_the_last_cell() -> None:
    changed = json.loads(page_foot.put_foot(json.dumps(notebook())))
    assert len(changed["cells"]) == 3 and changed["cells"][-1]["source"] == "```{page-foot}\n```"


@pytest.mark.parametrize(
    ("backend", "versions"),
    [
        ("jax", "Python 3.11.2, torch 2.13.0, keras 3.15.1 on jax 0.10.2, numpy 2.4.6"),
        ("torch", "Python 3.11.2, torch 2.13.0, keras 3.15.1 on torch 2.13.0, numpy 2.4.6, jax 0.10.2"),
        (None, "Python 3.11.2, torch 2.13.0, keras 3.15.1, numpy 2.4.6, jax 0.10.2"),
    ],
)
def test_the_foot_names_versions_and_the_backend_beside_keras(backend: str | None, versions: str) -> None:
    assert page_foot.versions({**RUN, "backend": backend}) == versions


def test_the_foot_says_when_how_long_and_on_what() -> None:
    text = page_foot.foot("chapters/a", RUN)
    assert text.startswith("Run on 31 January 2026 in 17 seconds with Python 3.11.2, ")
    assert text.endswith("Data: MovieLens-100K, sha256 `06416e597f82…`.")
    assert page_foot.foot("chapters/a", {**RUN, "data": {}}).endswith("It fetches no data.")
    assert "python tasks.py run chapters/a.ipynb" in page_foot.foot("chapters/a", {})


@pytest.mark.parametrize("builder", ["html", "latex"])
def test_head_and_foot_on_the_page(builder: str, tmp_path: Path) -> None:
    own = json.dumps(notebook(run=RUN, prerequisites=["The chapter b."]))
    other = "(b)=\n# The other\n"
    index = "# Index\n\n```{toctree}\nchapters/a\nchapters/b\n```\n"
    out = build(tmp_path, builder, {"index.md": index, "chapters/a.ipynb": own, "chapters/b.md": other})
    if builder == "html":
        html = (out / "chapters" / "a.html").read_text("utf-8")
        order = [
            "<h1>A title",
            "rb-question",
            "Which",
            "12 minutes",
            "17 seconds",
            "a.ipynb",
            "you can",
            "Count",
        ]
        order += ["Before you start", 'href="b.html"', "Text.", "rb-foot", "Run on 31 January"]
        places = [html.index(words, html.index("<h1>")) for words in order]
        assert places == sorted(places)
        assert next(out.glob("_downloads/*/a.ipynb")).read_text("utf-8") == own
    else:
        tex = next(out.glob("*.tex")).read_text("utf-8")
        places = [
            tex.index(words) for words in ("12 minutes to read", "you can", "Text.", "Run on 31 January")
        ]
        assert places == sorted(places)
        assert "Download" not in tex


# --- status -------------------------------------------------------------------------------------------------------


def test_the_status_table_ends_with_sums() -> None:
    shown = [chapter(size=1500, run=RUN), chapter("chapters/b", size=2600, run=RUN)]
    lines = status.table(shown).splitlines()
    assert lines[2] == "| {doc}`/chapters/a` | 12 | 17 | 2 | 2 | 0 |"
    assert lines[-1] == "| **all** | 24 | 34 | 4 | 4 | 0 |"
    assert len(lines) == 5


def test_status_says_once_what_all_share_and_apart_what_differs() -> None:
    shown = [chapter(run=RUN), chapter("chapters/b", run=RUN)]
    assert status.runs(shown).startswith("All of them: 31 January 2026, Python 3.11.2")
    shown += [chapter("chapters/c", run={**RUN, "date": "2026-02-01"}), chapter("chapters/d")]
    lines = status.runs(shown).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "- {doc}`/chapters/a`, {doc}`/chapters/b`",
        "- {doc}`/chapters/c`",
        "- {doc}`/chapters/d`",
    ]
    assert lines[-1].endswith("not run yet.")


# --- parts --------------------------------------------------------------------------------------------------------


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{diagrams.SVG}text")]


def test_a_map_has_a_box_a_chapter_and_an_arrow_a_prerequisite() -> None:
    titles = {"chapters/z": "Earlier", "chapters/a": "A & B", "chapters/b": "Second"}
    shown = [
        chapter(first="(a)=\n# A & B\n\n**Which?**", prerequisites=["The chapter z.", "Sums."]),
        chapter("chapters/b", first="(b)=\n# Second\n\n**Why?**", prerequisites=["The chapters z and a."]),
    ]
    svg = parts.draw("map", shown, titles)
    assert texts(svg) == ["A & B", "12 minutes, after Earlier", "Second", "12 minutes, after Earlier"]
    root = ElementTree.fromstring(svg)
    assert sum("marker-end" in element.attrib for element in root.iter()) == 1
    assert "A & B builds on Earlier. Second builds on Earlier and A & B." in diagrams.description(svg)
    assert root.get("viewBox") == f"0 0 360 {2 * parts.ROW}"


@pytest.mark.parametrize(
    ("needs", "message"),
    [("b", "chapters/b, which comes after it"), ("x", "chapters/x, which is no earlier")],
)
def test_a_map_refuses_a_prerequisite_that_is_not_earlier(needs: str, message: str) -> None:
    shown = [chapter(prerequisites=[f"The chapter {needs}."]), chapter("chapters/b")]
    with pytest.raises(ValueError, match=f"chapters/a builds on {message}"):
        parts.draw("map", shown, {"chapters/a": "A", "chapters/b": "B"})


def test_previous_and_next_name_the_part() -> None:
    def relative(page: str, other: str) -> str:
        return f"{other.rpartition('/')[2]}.html"

    app = SimpleNamespace(builder=SimpleNamespace(get_relative_uri=relative))
    context = {
        "prev": {"link": "foundations.html", "title": "Foundations"},
        "next": {"link": "data.html", "title": "Data"},
    }
    parts.name_parts(app, "chapters/introduction", "page.html", context, None)
    assert context["next_title"] == '<span class="rb-part">Foundations</span> Data'
    assert "prev_title" not in context  # its title is the part's
    context = {"prev": None, "next": {"link": "elsewhere.html", "title": "Elsewhere"}}
    parts.name_parts(app, "index", "page.html", context, None)
    assert "next_title" not in context and "prev_title" not in context


# --- diagrams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIAGRAMS)
def test_diagrams_have_a_text_and_the_colours_of_the_page(name: str) -> None:
    svg = (diagrams.STATIC / f"{name}.svg").read_text("utf-8")
    assert len(diagrams.description(svg)) > 60
    assert texts(svg), "words are text, not outlines"
    colours = re.findall(r"(?:fill|stroke):\s*([^;\"]+)", svg)
    assert colours and all(c == "none" or diagrams.COLOUR.fullmatch(c) for c in colours)
    assert "var(" not in diagrams.for_print(svg) and "#" in diagrams.for_print(svg)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<title>T</title>", "", "no <title>"),
        ("<desc>D</desc>", "<desc> </desc>", "no <desc>"),
        ('role="img" ', "", "lacks role"),
    ],
)
def test_a_diagram_without_its_text_is_refused(old: str, new: str, message: str) -> None:
    head = '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t d">'
    svg = f"{head}<title>T</title><desc>D</desc></svg>"
    assert diagrams.description(svg) == "T. D."
    with pytest.raises(ValueError, match=message):
        diagrams.description(svg.replace(old, new))


def test_diagrams_stand_in_the_page(tmp_path: Path) -> None:
    out = build(tmp_path, "html", {"index.md": "# Index\n\n```{diagram} loop\n```\n"})
    html = (out / "index.html").read_text("utf-8")
    assert re.search(r'<div class="rb-diagram"><svg [^>]*role="img"', html)
    assert "The recommendation loop</title>" in html


@pytest.mark.skipif(not ctypes.util.find_library("cairo"), reason="no libcairo: apt-get install libcairo2")
def test_diagrams_in_print_are_images(tmp_path: Path) -> None:
    out = build(tmp_path, "latex", {"index.md": "# Index\n\n```{diagram} loop\n```\n"})
    tex = next(out.glob("*.tex")).read_text("utf-8")
    assert re.search(r"\\sphinxincludegraphics.*\{loop\}\.pdf|\\sphinxincludegraphics.*loop\.pdf", tex)
    assert (out / "loop.pdf").read_bytes().startswith(b"%PDF")


def test_an_unknown_diagram_is_named(tmp_path: Path) -> None:
    said = io.StringIO()
    build(tmp_path, "html", {"index.md": "# Index\n\n```{diagram} nothing\n```\n"}, said)
    assert "there is no nothing.svg in book/static" in said.getvalue()
