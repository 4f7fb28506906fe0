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
    "recbook.torch.load",
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
    assert len(found) > 8
    assert len(found) == len(set(found))
    known = tuple(term for term in glossary() if not term.only_in or page.rpartition("/")[2] in term.only_in)
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
            found[name] = text
    return found


def test_each_public_name_leads_to_its_chapters() -> None:
    lost = []
    for name in names.public_names():
        text, twin = described()[name], names.both(name)[-1]
        if name.startswith(names.WINGS[1]):
            if "The same as" in text and f'#{twin}"' not in text:
                lost.append(name)
        elif (
            name.rpartition(".")[0] not in WITHOUT_CHAPTER
            and name != "recbook.torch.load"
            and 'rb-used-in">In <a ' not in text
        ):
            lost.append(name)
    assert lost == []


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_ends_with_the_names_that_it_uses(page: str) -> None:
    foot = article(page).partition("rb-foot-names")[2].partition("rb-foot-run")[0]
    listed = set(re.findall(r'href="api\w*\.html#(recbook[\w.]+)"', foot))
    notebook = chapters.json.loads((ROOT / f"{page}.ipynb").read_text("utf-8"))
    assert len(listed) >= 3
    assert listed == set(names.used_names(notebook, names.public_names()))
    for name in listed - {n for n in listed if n.startswith(names.WINGS[1])}:
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
