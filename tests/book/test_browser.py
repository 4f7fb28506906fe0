"""The built book in a real browser, over http: pages open, can be read, ask nobody else, keep the reader's choice.

Each page is visited once wide and once on a phone (tests/helpers/visits.py); the tests judge what a visit tells.
"""

from __future__ import annotations

import gzip
import re
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import pytest

from book import browser, links
from tests.helpers.built_book import HTML, PAGES, ROOT, TABBED
from tests.helpers.visits import CUT

pytestmark = pytest.mark.browser

HEAVIEST = 500_000  # bytes of a page's own content, gzipped
MOST_SHIFT = 0.1
# What a reader waits for before the first words: files, and their bytes when gzipped. Each is a way to the server.
MOST_BLOCKING, HEAVIEST_BLOCKING = 30, 250_000
# Pages that must have drawings in them, so that the tests of drawings cannot pass for want of any.
DRAWN = {"index": 3, "chapters/introduction": 1}


@pytest.mark.parametrize("page", PAGES)
def test_page_opens_without_an_error_or_an_outside_request(wide, site, page) -> None:
    facts = wide(page)
    assert facts["console"] == []
    assert any(url.endswith(f"{page}.html") for url in facts["requests"])
    assert [url for url in facts["requests"] if not url.startswith(f"{site}/")] == []
    assert facts["title"]


@pytest.mark.parametrize("page", PAGES)
def test_formulas_are_set(wide, page) -> None:
    total, unset, errors = wide(page)["formulas"]
    assert (unset, errors) == (0, 0)
    if page in ("chapters/notation", "chapters/sources", TABBED):
        assert total >= 3


@pytest.mark.parametrize("page", PAGES)
def test_no_table_is_left_as_text(wide, page) -> None:
    assert wide(page)["raw tables"] == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_and_drawings_are_shown(wide, page) -> None:
    pictures = wide(page)["pictures"]
    assert [picture["name"] for picture in pictures if not picture["shown"]] == []
    assert sum(picture["drawing"] for picture in pictures) >= DRAWN.get(page, 0)


@pytest.mark.parametrize("page", PAGES)
def test_a_phone_needs_no_sideways_scrolling(phone, page) -> None:
    assert phone(page)["widths"] == [390, 390]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_cut_without_a_sign(wide, phone, page) -> None:
    cut = wide(page)["cut"] | phone(page)["cut"]
    assert {width: found for width, found in cut.items() if found} == {}


def test_what_is_cut_is_seen(window) -> None:
    long = "a-word " + "extraordinarily" * 9
    window.driver.get(
        "data:text/html,<!doctype html><html lang=en><div><article class=bd-article style='width:300px'>"
        f"<div style='overflow:hidden;white-space:nowrap'>hidden {long}</div>"
        f"<div style='overflow:auto;white-space:nowrap'>bare {long}</div>"
        f"<div style='overflow:auto;white-space:nowrap;background:linear-gradient(red,blue) local'>shaded {long}</div>"
        "<table style='table-layout:fixed;width:100px'><tr>"
        "<td style='width:5px;overflow-wrap:anywhere'>description<td>x"
        "</table><p style='width:3000px'>wide</p></article></div>"
    )
    found = [line.partition(":")[0] for line in window.run(CUT)]
    assert found == ["narrower than description", "hidden", "scrolls without a sign", "beyond the edge"]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_jumps_while_it_is_read(wide, phone, page) -> None:
    for visit in (wide, phone):
        shifts = visit(page)["shifts"]
        assert sum(shift[0] for shift in shifts) <= MOST_SHIFT, shifts


def weigh_blocking(addresses: list[str], site: str) -> int:
    files = {urllib.parse.urlsplit(address.removeprefix(f"{site}/")).path for address in addresses}
    return sum(
        len(gzip.compress((HTML / urllib.parse.unquote(name)).read_bytes(), mtime=0)) for name in files
    )


@pytest.mark.parametrize("page", PAGES)
def test_little_stands_before_the_first_words(wide, site, page) -> None:
    blocking = wide(page)["blocking"]
    assert len(blocking) > 3, "the browser no longer says what it waits for"
    assert len(blocking) <= MOST_BLOCKING, blocking
    assert weigh_blocking([address for address, _ in blocking], site) <= HEAVIEST_BLOCKING, blocking


# --- weight, without a browser ------------------------------------------------------------------------------------


class Shown(HTMLParser):
    """The files that a page shows: pictures and embedded objects, not scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.files: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = dict(attributes)
        if tag in ("img", "source", "object", "embed", "iframe", "video"):
            found = [names.get(key) or "" for key in ("src", "data", "poster")]
            found += [
                choice.split()[0] for choice in (names.get("srcset") or "").split(",") if choice.split()
            ]
            self.files |= {name for name in found if name and not links.is_outer(name)}


def weigh(page: Path) -> int:
    """Return the bytes of a page and of all that it shows, each file gzipped."""
    text = page.read_text("utf-8")
    files = {(page.parent / urllib.parse.unquote(name).split("?")[0]).resolve() for name in Shown(text).files}
    return sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in {page.resolve(), *files})


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_light(site, page) -> None:
    assert weigh(HTML / f"{page}.html") <= HEAVIEST


def test_the_scales_count_pictures_once_and_compressed(tmp_path) -> None:
    (tmp_path / "noise.png").write_bytes(noise := bytes(i * i % 251 for i in range(5000)))
    (tmp_path / "page.html").write_text("<p>" + "a" * 9000 + "<script src='no.js'></script>")
    bare = weigh(tmp_path / "page.html")
    assert bare < 100
    (tmp_path / "page.html").write_text("<p>" + "a" * 9000 + "<img src='noise.png'><img src='noise.png?1'>")
    picture = len(gzip.compress(noise, mtime=0))
    assert picture < weigh(tmp_path / "page.html") < picture + bare + 60


def test_no_link_of_the_book_is_dead(site) -> None:
    dead, followed = links.dead_links(HTML, links.read_pages(HTML))
    assert followed > 500
    assert dead == []


# --- tabs ---------------------------------------------------------------------------------------------------------


def shown(window: browser.Browser) -> set[str]:
    """The frameworks whose tabs are open on this page."""
    return set(
        window.run(
            "return [...document.querySelectorAll('.rb-framework > input:checked + label')].map(e => e.dataset.syncId)"
        )
    )


def choose(window: browser.Browser, name: str) -> None:
    window.run(f"document.querySelector('.rb-framework > label[data-sync-id={name}]').click()")


def test_tabs_switch_together_and_stay(window, site) -> None:
    address = f"{site}/{TABBED}.html"
    window.open(address)
    assert window.run("return document.querySelectorAll('.rb-framework').length") >= 2
    assert shown(window) == {"torch"}
    choose(window, "keras")
    assert shown(window) == {"keras"}
    visible = window.run(
        "return [...document.querySelectorAll('.rb-framework .tag_keras')].every(e => e.checkVisibility())"
    )
    hidden = window.run(
        "return [...document.querySelectorAll('.rb-framework .tag_torch')].every(e => !e.checkVisibility())"
    )
    assert visible and hidden
    window.driver.refresh()
    window.wait("document.readyState === 'complete'")
    assert shown(window) == {"keras"}
    window.open(f"{site}/index.html")
    window.open(address)
    assert shown(window) == {"keras"}
    choose(window, "torch")
    assert shown(window) == {"torch"}


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        (f"{TABBED}.html?framework=keras", None, "keras"),
        (f"{TABBED}.html?framework=torch", None, "torch"),
        ("index.html?framework=keras", f"{TABBED}.html", "keras"),
        (f"{TABBED}.html?framework=keras", f"{TABBED}.html", "keras"),
        (f"{TABBED}.html?framework=keras", f"{TABBED}.html?framework=cobol", "keras"),
        (f"{TABBED}.html?framework=cobol", None, "torch"),
    ],
)
def test_a_link_chooses_the_framework(window, site, first, then, expected) -> None:
    for address in filter(None, (first, then)):
        window.open(f"{site}/{address}")
    assert shown(window) == {expected}


# --- search -------------------------------------------------------------------------------------------------------

# What the search page finds, without waiting for it to print: [page, place] of each result, best first.
ASK = """
const [query, ...terms] = Search._parseQuery(arguments[0]);
return Search._performSearch(query, ...terms).reverse().map(result => [result[0], result[2]]);
"""


def glossary() -> dict[str, str]:
    """The Chinese names of the glossary, each with the English term it stands under."""
    text = (ROOT / "chapters" / "glossary.md").read_text("utf-8")
    return {name: term for term, name in re.findall(r"^(\S.*)\n  \[(.+?)\]\{\.zh\}", text, re.M)}


def letters(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


@pytest.mark.parametrize(
    ("query", "page", "place"),
    [
        ("Pearson", "chapters/glossary.html", ""),
        ("Pearson correlation", "chapters/glossary.html", "#term-Pearson-correlation"),
        ("pearson", TABBED + ".html", ""),
        ("余弦相似度", "chapters/glossary.html", "#term-cosine-similarity"),
        ("相似", "chapters/glossary.html", ""),
        ("相似度", "chapters/glossary.html", ""),
    ],
)
def test_search_finds(window, site, query, page, place) -> None:
    window.open(f"{site}/search.html?q={urllib.parse.quote(query)}")
    window.wait("document.querySelector('#search-results p.search-summary')?.innerText.includes('found')")
    found = window.run("return [...document.querySelectorAll('#search-results li > a')].map(a => a.href)")
    assert f"{site}/{page}{place}" in found
    window.open(f"{site}/{page}{place}")
    assert window.run("return !location.hash || document.querySelector(':target') !== null")


def test_search_says_when_there_is_nothing(window, site) -> None:
    window.open(f"{site}/search.html?q={urllib.parse.quote('齉龘 xyzzy')}")
    window.wait(
        "document.querySelector('#search-results p.search-summary')?.innerText.includes('did not match')"
    )


def test_search_finds_every_chinese_name_of_the_glossary(window, site) -> None:
    names = glossary()
    assert len(names) > 50
    window.open(f"{site}/search.html")
    window.wait("Search.hasIndex()")
    for name, term in names.items():
        page, place = window.run(ASK, name)[0]
        entry = place.removeprefix("#term-").lower()
        assert (page, letters(entry)) == ("chapters/glossary", letters(term)), name


def test_search_opens_and_asks_by_keyboard(window, site) -> None:
    from selenium.webdriver import ActionChains, Keys

    window.open(f"{site}/{TABBED}.html")
    ActionChains(window.driver).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
    window.wait("document.activeElement.matches('input[type=search]')")
    window.press("Pearson", Keys.ENTER)
    window.wait(
        "location.pathname.endsWith('/search.html') && document.querySelector('#search-results li > a')"
    )


# --- the first page, and the way through the book ------------------------------------------------------------------


def test_the_first_page_shows_in_one_screen_what_the_book_is(window, site) -> None:
    window.open(f"{site}/index.html")
    parts = [
        ".rb-lead",
        ".rb-whom",
        ".rb-map-wide svg",
        ".rb-headline svg",
        ".rb-headline-words > p:first-child",
    ]
    for part in parts:
        place = window.run(
            "const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.top, b.bottom]",
            part,
        )
        assert 0 < place[0] < place[1] <= 900, (part, place)


@pytest.mark.parametrize(("width", "shown"), [(1440, "wide"), (390, "narrow")])
def test_the_map_of_the_book_is_reached_and_followed_by_keyboard(window, site, width, shown) -> None:
    window.look(width, 900)
    window.open(f"{site}/index.html")
    for kind in ("wide", "narrow"):
        seen = window.run(f"return document.querySelector('.rb-map-{kind} svg').checkVisibility()")
        assert seen == (kind == shown)
    link = f".rb-map-{shown} a[href$='chapters/evaluation.html']"
    window.run(f'document.querySelector("{link}").focus()')
    assert window.run(
        "return document.activeElement.matches(arguments[0]) && document.activeElement.matches(':focus')",
        link,
    )
    box = window.run(f'return document.querySelector("{link}").getBoundingClientRect().toJSON()')
    assert box["left"] >= 0 and box["right"] <= width and box["height"] >= 24  # large enough for a finger
    from selenium.webdriver import Keys

    window.press(Keys.ENTER)
    window.wait("location.pathname.endsWith('/chapters/evaluation.html')")


LETTERS = """
return [...document.querySelectorAll('svg.rb-map a, svg.rb-figure a')]
  .filter(a => a.checkVisibility())
  .flatMap(a => {
    const frame = a.querySelector('rect')?.getBoundingClientRect();
    return frame ? [...a.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect(), frame]) : [];
  }).filter(([words, t, f]) => t.left < f.left || t.right > f.right || t.top < f.top || t.bottom > f.bottom + 1)
  .map(([words]) => words);
"""


@pytest.mark.parametrize("width", [1440, 820, 390])
def test_words_of_the_maps_stay_in_their_boxes(window, site, width) -> None:
    for page in ("index", "chapters/foundations", "chapters/neural"):
        window.look(width, 900)
        window.open(f"{site}/{page}.html")
        assert window.run("return document.querySelectorAll('svg a rect').length") > 0
        assert window.run(LETTERS) == [], page


def test_the_book_can_be_read_from_the_first_page_to_the_last_by_the_links_at_the_foot(site) -> None:
    found = {way: [] for way in ("left-prev", "right-next")}
    for page in PAGES:
        text = (HTML / f"{page}.html").read_text("utf-8")
        for way, led in found.items():
            link = re.search(rf'<a class="{way}"\s+href="([^"]+)"', text)
            led.append(link and (HTML / page).parent.joinpath(link[1]).resolve())
    files = [(HTML / f"{page}.html").resolve() for page in PAGES]
    assert found["right-next"] == [*files[1:], None]
    assert found["left-prev"] == [None, *files[:-1]]
