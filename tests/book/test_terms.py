"""What counts as a use of a glossary's term, and what the extension makes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from docutils import nodes

from book.ext.recbook_sphinx import chapters, terms
from book.ext.recbook_sphinx.folds import fold, fold_summary
from tests.helpers.small_book import build

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = """# Glossary

:::{glossary}
.. also: rating matrix
.. not: matrix of ratings agencies
matrix of ratings
  [评分矩阵]{.zh} — Users down, items across.

MAE
  [平均绝对误差]{.zh} — Mean absolute error.

rating
  [评分]{.zh} — A number.

.. only in: b
state
  [状态]{.zh} — What is kept.

cold start
  [冷启动]{.zh} — Nothing is known.

similarity
  [相似度]{.zh} — How alike.

bias
  [偏置]{.zh} — How far above the mean.

.. noun
.. not in: b
split
  [数据划分]{.zh} — Two parts.
:::
"""
ENTRIES = tuple(terms.read(GLOSSARY))


def test_entries_and_remarks_are_read() -> None:
    first = ENTRIES[0]
    assert [entry.name for entry in ENTRIES][:3] == ["matrix of ratings", "MAE", "rating"]
    assert (first.also, first.never) == (("rating matrix",), ("matrix of ratings agencies",))
    assert ENTRIES[3].only_in == ("b",) and not ENTRIES[3].unused and not ENTRIES[3].noun
    assert ENTRIES[-1].noun and ENTRIES[-1].not_in == ("b",)
    assert [ENTRIES[-1].is_meant_in(chapter) for chapter in "ab"] == [True, False]
    assert [ENTRIES[3].is_meant_in(chapter) for chapter in "ab"] == [False, True]
    with pytest.raises(ValueError, match="glossary: MAE: no such remark: .. maybe: x"):
        terms.read(GLOSSARY.replace("MAE\n", ".. maybe: x\nMAE\n"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A matrix of ratings and ratings.", ["matrix of ratings", "ratings"]),
        ("The matrix\nof ratings", ["matrix\nof ratings"]),
        ("Rating matrix, rating matrices", ["Rating matrix", "rating"]),
        ("The matrix of ratings agencies", []),
        ("MAE, maes, Mae", ["MAE"]),
        ("cold-start and cold starts", ["cold-start", "cold starts"]),
        ("Similarities and biases", ["Similarities", "biases"]),
        ("user’s rating’s", ["rating"]),
        ("berating, rating-like, rated", []),
        ("A random split, two splits, Splits differ", ["split", "splits", "Splits"]),
        ("The split is old. Split: by time. The splits of each", ["split", "Split", "splits"]),
        ("It splits the data; to split, we split; that splits neither", []),
        ("Split it. Split into two. Split ", []),
    ],
)
def test_uses_of_terms_are_found(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end, _ in terms.uses(text, ENTRIES)] == found


CELLS = [
    "(a)=\n# Ratings, a title\n\n**A rating in the question**\n\nSee `rating`, $r$ and [a rating](b.md).",
    "## A rating in a heading\n\n| rating |\n|---|\n| cold start |\n\nHere a **rating** is a rating; a state is none.",
    ":::{framework} torch\nsimilarity in one tab\n:::\n\nThen the similarity of all.",
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """A glossary and two chapters, built."""
    cells = [
        {"cell_type": "markdown", "id": str(i), "metadata": {}, "source": text}
        for i, text in enumerate(CELLS)
    ]
    notebook = {"cells": cells, "metadata": {"recbook": {}}, "nbformat": 4, "nbformat_minor": 5}
    files = {
        "index.md": "# Index\n\n```{toctree}\nchapters/a\nchapters/b\nchapters/glossary\n```\n",
        "chapters/a.ipynb": json.dumps(notebook),
        "chapters/b.md": "# B\n\nOn this page, which is no notebook, a rating has no link.\n",
        "chapters/glossary.md": GLOSSARY,
    }
    return build(tmp_path_factory.mktemp("terms"), "html", files) / "chapters"


def test_the_first_use_in_prose_is_linked_and_no_other(pages: Path) -> None:
    html = (pages / "a.html").read_text("utf-8")
    links = re.findall(
        r'href="glossary.html#([\w-]+)"[^>]*><span class="[^"]*rb-term" id="([\w-]+)">([^<]+)', html
    )
    assert links == [
        ("term-cold-start", "use-cold-start", "cold start"),
        ("term-rating", "use-rating", "rating"),
        ("term-similarity", "use-similarity", "similarity"),
    ]
    assert re.search(r"Here a <strong><a [^>]*><span [^>]*>rating", html), (
        "the bold word is the first in prose"
    )
    assert html.index("one tab") < html.index('id="use-similarity"')
    assert "rb-term" not in (pages / "b.html").read_text("utf-8")


def test_no_link_stands_in_what_one_clicks_to_unfold() -> None:
    box = fold()
    box += [fold_summary("", "A rating"), nodes.paragraph("", "Of ratings.")]
    assert [text.astext() for text in terms.prose(box)] == ["Of ratings."]


def test_an_entry_names_the_chapters_that_use_it(pages: Path) -> None:
    html = (pages / "glossary.html").read_text("utf-8")
    assert re.findall(r'rb-used-in">In <a [^>]*href="([^"]+)"', html) == [
        "a.html#use-rating",
        "a.html#use-cold-start",
        "a.html#use-similarity",
    ]


def test_a_page_carries_the_definitions_that_it_links(pages: Path) -> None:
    store = (pages / "a.html").read_text("utf-8").partition('<template class="rb-previews">')[2]
    assert re.findall(r'data-for="([^"]+)"', store.partition("</template>")[0]) == [
        "glossary.html#term-cold-start",
        "glossary.html#term-rating",
        "glossary.html#term-similarity",
    ]
    assert "Nothing is known." in store


def test_remarks_of_the_glossary_name_chapters_of_the_book() -> None:
    known = {page.rpartition("/")[2] for part in chapters.read_parts() for page in part.pages}
    for entry in terms.read((ROOT / "chapters" / "glossary.md").read_text("utf-8")):
        assert {*entry.only_in, *entry.not_in} <= known, entry.name
        assert not (entry.unused and (entry.also or entry.only_in)), entry.name


def test_chinese_names_are_sorted_by_their_sound() -> None:
    names = ["准确率", "调整余弦", "校准", "长尾", "冷启动", "S型函数", "AUC"]
    assert [terms.letter(name) for name in names] == ["Z", "T", "J", "C", "L", "S", "A"]
    assert sorted(names, key=terms.sound)[2:] == ["长尾", "校准", "冷启动", "调整余弦", "准确率"]
    assert list(terms.grouped([(name, name) for name in names])) == sorted("ZTJCLSA")


def test_every_chinese_name_has_a_letter() -> None:
    for entry in terms.read((ROOT / "chapters" / "glossary.md").read_text("utf-8")):
        assert terms.letter(terms.CHINESE.search(entry.definition)[1]).isalpha(), entry.name
