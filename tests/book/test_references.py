"""The built book's references to itself: terms, names, papers and corrections, there and back."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import pytest

from book.ext.recbook_sphinx import chapters, names, sources, terms
from tests.helpers.built_book import HTML, PAGES, ROOT

pytestmark = pytest.mark.browser
CHAPTERS = [page for page in PAGES if (ROOT / f"{page}.ipynb").is_file()]
WITHOUT_CHAPTER = {  # what no chapter teaches: how the package is told to work, and what it answers
    "recbook.results",
    "recbook.contract",
    "recbook.recommender",
    "recbook.tuning",
    "recbook.errors",
}


@pytest.fixture(autouse=True, scope="module")
def built(site) -> None:
    """All tests here read the built site."""


@cache
def article(page: str) -> str:
    text = (HTML / f"{page}.html").read_text("utf-8")
    return text[text.index("<article") : text.index("</article>")]


@cache
def glossary() -> tuple[terms.Term, ...]:
    return tuple(terms.read((ROOT / "chapters" / "glossary.md").read_text("utf-8")))


LINK = re.compile(
    r'<a [^>]*href="glossary\.html#term-[^"]+"[^>]*><span class="[^"]*rb-term" id="(use-[\w-]+)">'
)


@cache
def linked(page: str) -> list[str]:
    """Names of the terms that a page links, in the order of the page."""
    by_id = {term.id: term.name for term in glossary()}
    return [by_id[anchor] for anchor in LINK.findall(article(page))]


class Prose(HTMLParser):
    """A page's prose by what the page itself shows: no heading, code, formula, link.

    words : the prose;  places : id of a link to a term → its place in the words
    """

    SKIPPED = {
        "h1",
        "h2",
        "h3",
        "h4",
        "code",
        "pre",
        "a",
        "th",
        "svg",
        "script",
        "button",
        "summary",
        "template",
        "dt",
    }
    CLASSES = set(
        "rb-question rb-head rb-foot math admonition-title cell_output cell_input pasted-text sd-tab-set tag_torch "
        "tag_keras rubric caption-text".split()
    )
    EMPTY = {"img", "br", "input", "hr", "link", "meta", "path", "wbr", "source"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.depth = self.skipped = 0
        self.words, self.places = "", {}
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        given = dict(attributes)
        if (given.get("id") or "").startswith("use-"):
            self.places[given["id"]] = len(self.words)
        if tag in self.EMPTY:
            return
        self.depth += 1
        if not self.skipped and (
            tag in self.SKIPPED or self.CLASSES & set((given.get("class") or "").split())
        ):
            self.skipped = self.depth
            self.words += " ¶ "

    def handle_endtag(self, tag) -> None:
        if tag in self.EMPTY:
            return
        if self.skipped == self.depth:
            self.skipped = 0
        self.words += " ¶ " if tag in ("p", "li", "div", "td") else ""
        self.depth -= 1

    def handle_data(self, data) -> None:
        self.words += "" if self.skipped else data


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_links_each_term_once_and_first(page: str) -> None:
    found = linked(page)
    assert len(found) > (4 if chapters.read_chapter(page).guide else 8)
    assert len(found) == len(set(found))
    known = tuple(term for term in glossary() if term.is_meant_in(page.rpartition("/")[2]))
    prose = Prose(article(page))
    assert set(prose.places) == {term.id for term in known if term.name in found}
    early = {
        used.name: prose.words[max(0, start - 30) : end + 20]
        for start, end, used in terms.uses(prose.words, known)
        if start < prose.places.get(used.id, len(prose.words))
    }
    assert early == {}, "terms that stand in the chapter before their link, or without one"


def test_the_glossary_names_the_chapters_of_each_term() -> None:
    entries = re.split(r'<dt id="term-', article("chapters/glossary"))[1:]
    told = {}
    for entry in entries:
        ids = re.findall(r'href="(\w+)\.html#(use-[\w-]+)"', entry)
        for page, anchor in ids:
            told.setdefault(anchor, []).append(f"chapters/{page}")
    for term in glossary():
        assert told.get(term.id, []) == [page for page in CHAPTERS if term.name in linked(page)], term.name


def test_every_term_of_the_glossary_is_used_or_said_to_wait() -> None:
    used = {name for page in CHAPTERS for name in linked(page)}
    assert sorted({term.name for term in glossary() if not term.unused} - used) == [], "used in no chapter"
    assert sorted({term.name for term in glossary() if term.unused} & used) == [], "used: its remark is wrong"


@cache
def described() -> dict[str, str]:
    """Public name → the HTML of its description, up to the next one."""
    found = {}
    for page in names.PAGES:
        parts = re.split(r'<dt class="sig sig-object py" id="([\w.]+)">', article(page))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in found, f"{name} is described twice"
            for one in (name, *re.findall(r'<span id="([\w.]+)"></span>', text.partition("</dt>")[0])):
                found[one] = text
    return found


def test_each_public_name_leads_to_its_chapters() -> None:
    lost = [
        name
        for name in names.public_names()
        if name.rpartition(".")[0] not in WITHOUT_CHAPTER
        and not name.endswith(".load")
        and 'rb-used-in">In <a ' not in described()[name]
    ]
    assert lost == []


def test_each_name_says_how_it_is_imported() -> None:
    for name in names.public_names():
        text = re.sub(r"<[^>]+>", "", described()[name])
        if ".losses." in name or ".formulas." in name:
            continue  # said once, at the head of the section
        found = (
            [text]
            if name.endswith(".load")
            else [line for line in text.splitlines() if line.startswith("from ")]
        )
        last = name.rpartition(".")[2]
        told = {f"from {path.rpartition('.')[0]} import {last}" for path in names.package().all_names(name)}
        assert any(line in "\n".join(found) for line in told), name


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_ends_with_the_names_that_it_uses(page: str) -> None:
    foot = article(page).partition("rb-foot-names")[2].partition("rb-foot-run")[0]
    listed = set(re.findall(r'href="api\w*\.html#(recbook[\w.]+)"', foot))
    notebook = chapters.json.loads((ROOT / f"{page}.ipynb").read_text("utf-8"))
    assert len(listed) >= 3
    assert listed == set(names.used_names(notebook, names.public_names()))
    for name in listed:
        back = described()[name]
        assert (
            f'href="{page.rpartition("/")[2]}.html' in back.partition("rb-used-in")[2].partition("</p>")[0]
        ), name


def test_each_paper_leads_back_to_the_pages_that_cite_it() -> None:
    text = article("chapters/bibliography")
    entries = dict(re.findall(r'<div class="citation" id="(id\d+)"(.*?)</div>', text, re.S))
    assert len(entries) > 40
    cited = 0
    for page in CHAPTERS:
        for anchor in set(re.findall(r'href="bibliography\.html#(id\d+)"', article(page))):
            assert f'href="{page.rpartition("/")[2]}.html#id' in entries[anchor], (page, anchor)
            cited += 1
    assert cited > 100


def test_citations_are_by_author_and_year() -> None:
    texts = [
        text
        for page in CHAPTERS
        for text in re.findall(r'<span class="bibtex-citation"[^>]*>(.*?)</span>', article(page), re.S)
    ]
    assert len(texts) > 100
    for text in texts:
        words = re.sub(r"<[^>]+>", "", text)
        assert re.search(r"[A-ZÄÖÜØ][\w’'.-]+.*\b(19|20)\d\d[a-z]?\]", words, re.S), words


def test_the_errata_stand_by_document_with_what_is_printed_and_what_is_right() -> None:
    data, text = sources.load(), article("chapters/sources")
    parts = re.split(r'<section class="rb-sources-document" id="document-(d\d)">', text)
    assert parts[1::2] == [name.lower() for name in data["documents"]]
    for name, part in zip(data["documents"], parts[2::2], strict=True):
        ids = re.findall(r'<div class="rb-source docutils container" id="source-(\w+)">', part)
        assert ids == [entry["id"].lower() for entry in sources.of_document(data, name)]
        for entry in re.split(r'<div class="rb-source ', part)[1:]:
            heads = re.findall(r"<dt[^>]*>(.*?)<span", entry)
            assert heads in (["As printed", "Right", "Why"], ["As printed", "In full", "Mind"]), entry[:80]
    row = re.search(r"<strong>all</strong>.*?</tr>", text, re.S)[0]
    assert int(re.findall(r"<p>(\d+)</p>", row)[-1]) == len(data["source"])


def test_every_statement_of_the_chapters_written_so_far_is_treated() -> None:
    """An id whose kind and number lie in the catalogue is treated, or waits for a chapter: none is lost."""
    ids = [entry["id"] for entry in sources.load()["source"]]
    text = article("chapters/sources")
    by_chapter = text.partition("rb-sources-chapters")[2].partition("</table>")[0]
    assert sorted(re.findall(r'href="#source-(\w+)"', by_chapter)) == sorted(i.lower() for i in ids)


# --- previews -----------------------------------------------------------------------------------------------------

TIP = "const tip = document.getElementById('rb-preview'); return tip.hidden ? null : tip.innerText"
KINDS = {
    "term": ("a:has(> #use-shrinkage)", "Pulling a number that rests on little evidence"),
    "paper": (".bibtex-citation a[href^='bibliography.html#']", "GroupLens: an open architecture"),
    "equation": ("p a[href^='#equation-nb-']", ""),
}


def find(window, selector: str):
    return window.run("return document.querySelector(`article.bd-article ${arguments[0]}`)", selector)


def test_a_link_shows_what_it_leads_to_on_a_wide_screen(window, site) -> None:
    from selenium.webdriver import ActionChains, Keys

    window.open(f"{site}/chapters/neighbors.html")
    for kind, (selector, words) in KINDS.items():
        link = find(window, selector)
        window.run("arguments[0].scrollIntoView({block: 'center'})", link)
        ActionChains(window.driver).move_to_element(link).perform()
        window.wait("!document.getElementById('rb-preview').hidden")
        assert words in window.run(TIP)
        assert window.run("return arguments[0].getAttribute('aria-describedby')", link) == "rb-preview"
        if kind == "equation":
            window.wait("document.querySelector('#rb-preview mjx-container')")
        box = window.run(
            "const box = document.getElementById('rb-preview').getBoundingClientRect(); return [box.left, box.right]"
        )
        assert 0 <= box[0] < box[1] <= window.run("return innerWidth")
        window.press(Keys.ESCAPE)
        assert window.run(TIP) is None
        window.run("arguments[0].focus()", link)
        assert words in window.run(TIP)
        window.run("document.activeElement.blur()")
        assert window.run(TIP) is None
    window.look(390, 844)
    link = find(window, KINDS["term"][0])
    window.run("arguments[0].focus()", link)
    assert window.run(TIP) is None
    assert window.run("return arguments[0].getAttribute('href')", link) == "glossary.html#term-shrinkage"


def tap(window, element) -> None:
    """A finger's tap on the middle of an element's first line."""
    window.run("arguments[0].scrollIntoView({block: 'center'})", element)
    box = window.run("return arguments[0].getClientRects()[0].toJSON()", element)
    point = {"x": box["left"] + box["width"] / 2, "y": box["top"] + box["height"] / 2}
    send = window.driver.execute_cdp_cmd
    send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_tap_shows_what_a_term_means_and_a_second_one_follows_it(window, site) -> None:
    from selenium.webdriver import Keys

    term, words = KINDS["term"]
    window.look(390, 844)
    window.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        window.open(f"{site}/chapters/neighbors.html")
        link = find(window, term)
        for close in ("escape", "outside"):
            tap(window, link)
            window.wait("!document.getElementById('rb-preview').hidden")
            assert words in window.run(TIP)
            assert window.run("return location.pathname").endswith("/neighbors.html")
            box = window.run("return document.getElementById('rb-preview').getBoundingClientRect().toJSON()")
            assert 0 <= box["left"] < box["right"] <= 390
            if close == "escape":
                window.press(Keys.ESCAPE)
            else:
                tap(window, find(window, "h1"))
            window.wait("document.getElementById('rb-preview').hidden")
        tap(window, link)
        window.wait("!document.getElementById('rb-preview').hidden")
        on = window.run("return document.querySelector('#rb-preview a.rb-preview-on').href")
        assert on.endswith("glossary.html#term-shrinkage")
        tap(window, link)
        window.wait("location.pathname.endsWith('/glossary.html')")
    finally:
        window.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


# --- ways into the glossary and the sources ------------------------------------------------------------------------

SEEN = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).map(e => e.innerText)"


@pytest.mark.parametrize(
    ("page", "entries", "typed", "word"),
    [
        ("glossary", "dl.glossary > dt", "冷启动", "cold start"),
        ("glossary", "dl.glossary > dt", "F1", "F1"),
        ("sources", ".rb-source", "f13", "F13"),
        ("api_models", ".rb-model-index tbody tr", "next item", "SASRec"),
    ],
)
def test_a_box_filters_the_entries_and_escape_shows_all(window, site, page, entries, typed, word) -> None:
    from selenium.webdriver import Keys

    window.open(f"{site}/chapters/{page}.html")
    everything = window.run(SEEN, entries)
    window.run("document.querySelector('.rb-filter input').focus()")
    window.press(typed)
    found = window.run(SEEN, entries)
    assert 0 < len(found) < len(everything) / 3 and any(word in text for text in found)
    told = window.run("return document.querySelector('.rb-filter output').textContent")
    assert told.startswith(f"{len(found)} of ")
    window.press(Keys.ESCAPE)
    assert window.run(SEEN, entries) == everything


def test_the_glossary_has_a_jump_for_each_letter_and_an_index_of_all_chinese_names() -> None:
    text = article("chapters/glossary")
    jumps = text.partition("rb-jumps")[2].partition("</div>")[0]
    first = dict(re.findall(r'href="#term-([\w-]+)"[^>]*>(?:<[^>]+>)*([A-Z])<', jumps))
    assert list(first.values()) == sorted({term.name[0].upper() for term in glossary()})
    assert all(entry[0].upper() == letter for entry, letter in first.items())
    index = text.partition('class="rb-chinese')[2]
    names_there = re.findall(r'href="#term-[^"]+"[^>]*>(?:<[^>]+>)*([^<]+)<', index)
    assert sorted(names_there) == sorted(terms.CHINESE.search(term.definition)[1] for term in glossary())


def test_the_sources_have_a_jump_for_each_document() -> None:
    jumps = article("chapters/sources").partition("rb-jumps")[2].partition("</div>")[0]
    assert re.findall(r'href="#document-(d\d)"', jumps) == [
        name.lower() for name in sources.load()["documents"]
    ]


def test_a_solution_is_called_a_solution() -> None:
    for page in CHAPTERS:
        assert "Show code cell" not in article(page), page
        assert article(page).count("Show the solution") >= (0 if chapters.read_chapter(page).guide else 3), (
            page
        )
