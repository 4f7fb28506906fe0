"""The book's data and its Sphinx extension: nothing here needs a browser or the built site."""

from __future__ import annotations

import ast
import copy
import json
import re
from functools import cache
from pathlib import Path

import pytest
from pybtex.database import parse_file

from book import shots
from book.ext.recbook_sphinx import docstrings, linked_tests, sources, tabs
from tests.helpers.small_book import build

ROOT = Path(__file__).resolve().parents[2]
PAGES = shots.toc_pages(ROOT / "_toc.yml")


def page_path(page: str) -> Path:
    found = [ROOT / f"{page}{end}" for end in (".md", ".ipynb") if (ROOT / f"{page}{end}").is_file()]
    assert len(found) == 1, f"_toc.yml names {page}: there are {len(found)} such files"
    return found[0]


@cache
def page_text(page: str) -> str:
    """The Markdown of a page; of a notebook, its Markdown cells."""
    text = page_path(page).read_text("utf-8")
    if page_path(page).suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@cache
def labels() -> dict[str, str]:
    """label -> page, of every `(label)=` in the book."""
    found = {}
    for page in PAGES:
        for label in re.findall(r"^\(([\w:-]+)\)=\s*$", page_text(page), re.M):
            assert label not in found, f"label {label} stands on {found[label]} and on {page}"
            found[label] = page
    return found


@cache
def names_of_tests(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text("utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{child.name}" for child in node.body if isinstance(child, ast.FunctionDef)
            }
    return frozenset(name for name in names if name.split("::")[-1].startswith("test_"))


# --- the table of sources ----------------------------------------------------------------------------------------


def problems(data: dict) -> list[str]:
    """What is wrong with the data of the sources page, one line each."""
    found, seen = [], set()
    known = set(sources.all_ids(data))
    for entry in data["source"]:
        name = entry.get("id", "an entry without id")
        empty = [field for field in sources.FIELDS if not str(entry.get(field, "")).strip()]
        if empty:
            found.append(f"{name}: no {', '.join(empty)}")
            continue
        if extra := set(entry) - {*sources.FIELDS, *sources.OPTIONAL}:
            found.append(f"{name}: unknown fields {sorted(extra)}")
        if name not in known:
            found.append(f"{name}: not in the catalogue")
        if name in seen:
            found.append(f"{name}: twice")
        seen.add(name)
        if entry["verdict"] not in sources.VERDICTS:
            found.append(f"{name}: unknown verdict {entry['verdict']!r}")
        if entry["where"].split()[0] not in data["documents"]:
            found.append(f"{name}: unknown document in {entry['where']!r}")
        for field in ("chapter", "place"):
            if entry[field] not in labels():
                found.append(f"{name}: no page has the label {entry[field]!r} ({field})")
        if labels().get(entry["place"]) != labels().get(entry["chapter"]):
            found.append(f"{name}: {entry['place']!r} is not in the chapter {entry['chapter']!r}")
        file, _, function = entry["test"].partition("::")
        if not (ROOT / file).is_file():
            found.append(f"{name}: no file {file}")
        elif function not in names_of_tests(file):
            found.append(f"{name}: no test {function} in {file}")
    return found


def test_sources_are_complete_and_every_link_leads_somewhere() -> None:
    assert problems(sources.load()) == []


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("id", "F99", "not in the catalogue"),
        ("id", "F14", "twice"),
        ("verdict", "rubbish", "unknown verdict"),
        ("where", "D9 section 1", "unknown document"),
        ("place", "nb-nowhere", "no page has the label"),
        ("chapter", "nowhere", "no page has the label"),
        ("place", "glossary", "is not in the chapter"),
        ("test", "tests/test_nowhere.py::test_x", "no file"),
        ("test", "tests/book/test_book.py::test_nothing_of_that_name", "no test"),
        ("correction", " ", "no correction"),
        ("remark", "x", "unknown fields"),
    ],
)
def test_a_broken_entry_is_found(field: str, value: str, message: str) -> None:
    data = copy.deepcopy(sources.load())
    data["source"][0][field] = value
    assert any(message in problem for problem in problems(data))


def test_the_catalogue_has_235_ids() -> None:
    ids = sources.all_ids(sources.load())
    assert len(ids) == len(set(ids)) == 235
    assert {"F01", "F47", "A48", "C81", "P59"} <= set(ids)


def test_node_ids_are_split_into_file_and_function() -> None:
    assert linked_tests.split_node_id("tests/test_x.py::TestA::test_b[1]") == ("tests/test_x.py", "test_b")
    assert linked_tests.page_name("tests/test_x.py") == "_tests/test_x"


# --- pages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_page_exists_and_begins_with_a_label(page: str) -> None:
    assert re.match(r"(---\n.*?\n---\n+)?\([\w-]+\)=\n# ", page_text(page), re.S), (
        f"{page}: (label)= before the title"
    )


def test_labels_that_pages_refer_to_exist() -> None:
    defined = set(labels())
    for page in PAGES:
        used = re.findall(r"\{(?:num)?ref\}`(?:[^`<]*<)?([\w:-]+)>?`", page_text(page))
        sections = {name for name in used if not name.startswith(("fig", "tab", "ex-", "sol-", "nb-ex"))}
        assert sections <= defined, f"{page}: {sorted(sections - defined)}"


# --- glossary and bibliography ------------------------------------------------------------------------------------


def glossary() -> dict[str, str]:
    body = page_text("chapters/glossary").partition(":::{glossary}\n")[2].partition("\n:::")[0]
    entries = re.findall(r"^(\S.*)\n  (.+)$", body, re.M)
    assert len(entries) == len(dict(entries)), "a term stands twice"
    return dict(entries)


def test_glossary_is_in_order_and_has_the_chinese_of_every_term() -> None:
    terms = glossary()
    assert len(terms) >= 40
    assert list(terms) == sorted(terms, key=lambda term: term.lower().replace("-", " "))
    for term, definition in terms.items():
        assert re.match(r"\[[^\]]*[\u4e00-\u9fff][^\]]*\]\{\.zh\} — \S.*\.$", definition), term


def test_words_in_italics_in_the_glossary_have_an_entry() -> None:
    terms = {term.lower() for term in glossary()}
    for term, definition in glossary().items():
        for word in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", definition):
            name = word.lower().removesuffix("’s").removesuffix("'s")
            assert terms & {name, name.removesuffix("s")}, f"{term}: *{word}* has no entry"


def test_every_paper_has_what_finds_it() -> None:
    entries = parse_file(str(ROOT / "references.bib")).entries
    where = {key: entry.fields.get("doi") or entry.fields["url"] for key, entry in entries.items()}
    assert len(where) == len(set(where.values()))
    for key, entry in entries.items():
        assert entry.persons["author"], key
        assert re.fullmatch(r"(19|20)\d\d", entry.fields["year"]), key
        assert re.match(r"(10\.\d{4,}|https?://\S+?)/\S+$", where[key]), key  # some proceedings give no DOI
        assert entry.fields["title"], key
        if entry.type == "book":
            assert entry.fields["publisher"], key
        elif entry.type == "misc":  # a preprint, or proceedings without pages
            assert entry.fields["howpublished"], key
        else:
            assert entry.fields["pages"] and (entry.fields.get("journal") or entry.fields.get("booktitle")), (
                key
            )
        assert key.startswith(entry.persons["author"][0].last_names[-1].lower()), key


def test_cited_papers_exist() -> None:
    known = set(parse_file(str(ROOT / "references.bib")).entries)
    texts = [page_text(page) for page in PAGES] + [(ROOT / "book" / "sources.toml").read_text("utf-8")]
    groups = [keys for text in texts for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)]
    cited = {key.strip() for keys in groups for key in keys.split(",")}
    assert cited and cited <= known, sorted(cited - known)


# --- framework tabs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("siblings", "spans"),
    [
        ("", []),
        ("--", []),
        ("tk", [(0, 2)]),
        ("-tk-", [(1, 3)]),
        ("ttkk", [(0, 4)]),
        ("tktk", [(0, 2), (2, 4)]),
        ("tk-tk", [(0, 2), (3, 5)]),
        ("ktk", [(0, 2), (2, 3)]),
        ("t", [(0, 1)]),
        ("ttktkk", [(0, 3), (3, 6)]),
    ],
)
def test_runs_of_cells_are_split_into_tab_sets(siblings: str, spans: list[tuple[int, int]]) -> None:
    names = [{"t": "torch", "k": "keras", "-": None}[letter] for letter in siblings]
    assert tabs.split_runs(names) == spans


@pytest.mark.parametrize("page", [page for page in PAGES if page_path(page).suffix == ".ipynb"])
def test_torch_and_keras_cells_of_a_chapter_come_in_pairs(page: str) -> None:
    names = []
    for cell in json.loads(page_path(page).read_text("utf-8"))["cells"]:
        tags = set(cell["metadata"].get("tags", []))
        assert not {"torch", "keras"} <= tags, f"{page}: a cell is tagged torch and keras"
        name = next((name for name in tabs.LABELS if name in tags), None)
        names.append(None if "alone" in tags else name)
    for start, end in tabs.split_runs(names):
        assert {"torch", "keras"} == set(names[start:end]), (
            f"{page}: cells {start} to {end - 1} lack the other framework"
        )


PAGE = """# Title

:::{framework} torch
Words of PyTorch.
:::

:::{framework} keras
Words of Keras.
:::
"""


@pytest.mark.parametrize("builder", ["html", "latex"])
def test_html_has_tabs_and_print_has_one_after_the_other(builder: str, tmp_path: Path) -> None:
    out = build(tmp_path, builder, {"index.md": PAGE})
    if builder == "html":
        html = (out / "index.html").read_text("utf-8")
        synced = re.findall(r'data-sync-group="(\w+)" data-sync-id="(\w+)"', html)
        assert synced == [("framework", "torch"), ("framework", "keras")]
    else:
        tex = next(out.glob("*.tex")).read_text("utf-8")
        assert 0 < tex.index("Words of PyTorch.") < tex.index("Words of Keras.")
        assert "sd-tab" not in tex


# --- docstrings ---------------------------------------------------------------------------------------------------


def test_docstrings_of_the_house_become_restructured_text() -> None:
    text = """Learns from `data`; ends in `_`. See equation (nb-x) and a_b, 2 * 3.

k, min_k : neighbours
    at most and at least
seed : a number;  n : another

    shell command --flag

Raises
------
ValueError
    where k_ is bad.
TypeError
    where it is no number.

Source: a paper.
"""
    assert "\n".join(docstrings.to_rst(text.splitlines())).strip().splitlines() == [
        r"Learns from ``data``; ends in ``_``. See equation :eq:`nb-x` and a\_b, 2 \* 3.",
        "",
        "``k``, ``min_k``",
        "   neighbours at most and at least",
        "``seed``",
        "   a number",
        "``n``",
        "   another",
        "",
        ".. code-block:: text",
        "",
        "   shell command --flag",
        "",
        ".. rubric:: Raises",
        "",
        "``ValueError``",
        r"   where k\_ is bad.",
        "``TypeError``",
        "   where it is no number.",
        "",
        "Source: a paper.",
    ]


# --- what pages load ----------------------------------------------------------------------------------------------


STATIC = sorted(
    path for path in (ROOT / "book" / "static").iterdir() if path.suffix in (".css", ".js", ".svg")
)


@pytest.mark.parametrize("path", STATIC, ids=lambda path: path.name)
def test_static_files_name_no_other_site(path: Path) -> None:
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.[a-z]", text), path.name


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize(
    ("selector", "ground"), [(":root", "#ffffff"), ('html[data-theme="dark"]', "#222832")]
)
def test_colours_of_words_can_be_read(selector: str, ground: str) -> None:
    css = (ROOT / "book" / "static" / "recbook.css").read_text("utf-8")
    block = css.partition(f"{selector} {{")[2].partition("}")[0]
    colours = dict(re.findall(r"--rb-(\w+): (#[0-9a-f]{6})", block))
    assert len(colours) >= 9
    for name in colours.keys() - {"line", "soft"}:
        low, high = sorted((luminance(colours[name]), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{name} on {ground}"
