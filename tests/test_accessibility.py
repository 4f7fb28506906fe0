"""The built book for readers who use a keyboard or a screen reader, or cannot tell colours apart.

Each page is visited once, light and then dark; the visit collects facts, and the tests judge them.
"""

from __future__ import annotations

import functools
import re

import pytest

from book import browser, vendor
from tests.built_book import PAGES, TABBED
from tests.conftest import refresh

pytestmark = pytest.mark.browser

SHORTEST_ALT = 20  # characters
# Pages that must have pictures in them, so that the test of their texts cannot pass for want of any.
PICTURED = {"index": 1, "chapters/introduction": 1}

# What the theme does and we leave: (rule of axe-core, where, why). A test fails when one is no longer needed.
THEIRS = [
    (
        "region",
        "#pst-primary-sidebar .navbar-brand",
        "the theme sets the logo outside any landmark; it is a named link to the first page, and reached first",
    ),
]

# --- what a visit asks --------------------------------------------------------------------------------------------

STILL = """
const style = document.createElement('style');
style.textContent = '*, *::before, *::after { transition: none !important; animation: none !important }';
document.head.append(style);
"""

# The contrast of every piece of text with what lies behind it; a colour is read through a canvas, so that any
# CSS notation is understood. Text over a picture, hidden text and MathJax's copies for screen readers are left out.
CONTRAST = """
const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const known = new Map();
const read = (colour, under) => {
  const key = colour + under;
  if (!known.has(key)) {
    pen.globalCompositeOperation = 'copy';
    pen.fillStyle = under ? `rgb(${under})` : 'white'; pen.fillRect(0, 0, 1, 1);
    pen.globalCompositeOperation = 'source-over';
    pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    known.set(key, [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3));
  }
  return known.get(key);
};
const grounds = new Map();
const ground = element => {
  if (element === null) return [255, 255, 255];
  if (!grounds.has(element)) {
    grounds.set(element, read(getComputedStyle(element).backgroundColor, ground(element.parentElement)));
  }
  return grounds.get(element);
};
const luminance = rgb => rgb.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const low = [];
let seen = 0;
for (const e of document.body.querySelectorAll('*')) {
  if (e.closest('mjx-assistive-mml, svg, .headerlink, button') || !e.checkVisibility()) continue;
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
  const behind = ground(e);
  const [a, b] = [luminance(read(getComputedStyle(e).color, behind)), luminance(behind)].sort((x, y) => y - x);
  const ratio = (a + .05) / (b + .05);
  seen += 1;
  if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${e.tagName}.${e.className} «${e.textContent.trim().slice(0, 40)}»`);
}
return [seen, luminance(ground(document.querySelector('article.bd-article'))), low];
"""

# axe-core judges contrast slowly: CONTRAST reads every piece of text for it. In the dark only rules that look at
# colours or pictures can answer otherwise than in the light.
AXE = """
const done = arguments[2], dark = arguments[1], THEIRS = arguments[0];
const options = {resultTypes: ['violations'], preload: false, ...(dark
  ? {runOnly: ['image-alt', 'role-img-alt', 'svg-img-alt', 'link-in-text-block']}
  : {rules: {'color-contrast': {enabled: false}}})};
axe.run(document, options).then(found => done(found.violations.flatMap(rule => rule.nodes.map(node => [
  rule.id, node.target.join(' '), node.html.slice(0, 160), THEIRS.filter(([id, where]) =>
    id === rule.id && document.querySelector(node.target[0])?.closest(where)).map(entry => entry.join(' '))])))
).catch(error => done(String(error)));
"""

IMAGES = """
const pointed = e => (e.getAttribute('aria-labelledby') || '').split(' ')
  .map(id => document.getElementById(id)?.textContent || '').join(' ').trim();
const named = e =>
  e.getAttribute('aria-label') || pointed(e) || e.querySelector(':scope > title')?.textContent || null;
return [...document.querySelectorAll('article.bd-article img, article.bd-article svg')]
  .filter(e => !e.closest('mjx-container, button, .sd-summary-state-marker') && !e.parentElement.closest('svg'))
  .map(e => ({
    name: e.tagName === 'IMG' ? e.getAttribute('src') : e.outerHTML.slice(0, 80),
    content: e.closest('.cell_output, figure, .figure') !== null,
    hidden: e.closest('[aria-hidden=true], [role=presentation]') !== null,
    // A drawing is an image, or a group where it has links: those of an image could not be reached.
    alt: e.tagName === 'IMG' ? e.getAttribute('alt')
      : e.getAttribute('role') === (e.querySelector('a[href]') ? 'group' : 'img') ? named(e) : null,
  }));
"""

# Numbers every control that a keyboard should reach, and notes which get the focus, in order, and whether it is seen.
LISTEN = """
const all = 'a[href], button, input, select, textarea, summary, [tabindex], audio[controls], video[controls]';
const shadow = new Map(), log = window.rbFocus = [];
const reachable = e => e.tabIndex >= 0 && !e.disabled && e.type !== 'hidden'
  && e.checkVisibility({visibilityProperty: true})
  && !(e.type === 'radio' && !e.checked && document.querySelector(`input[name="${e.name}"]:checked`));
const controls = [...document.querySelectorAll(all)].filter(reachable);
const marks = e => [e, ...(e.matches('input[type=radio], input[type=checkbox]') ? e.labels : [])];
controls.forEach((e, i) => {
  e.dataset.rbTab = i;
  marks(e).forEach(m => shadow.set(m, getComputedStyle(m).boxShadow));
});
const seen = m => {
  const s = getComputedStyle(m);
  const line = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1
    && !/(, 0\\)|\\/ 0\\)|transparent)$/.test(s.outlineColor);
  return line || (shadow.has(m) && s.boxShadow !== shadow.get(m));
};
document.addEventListener('focusin', ({target}) => {
  log.push([Number(target.dataset.rbTab ?? -1), marks(target).some(seen)]);
});
return controls.map(e => e.outerHTML.slice(0, 120));
"""


def press_through(window: browser.Browser, count: int) -> tuple[list[list], list[list]]:
    """Press Tab until every control has had the focus or no new one gets it, then Shift+Tab a few times.

    Returns what got the focus forwards and backwards: [number of the control or -1, whether that was seen].
    """
    from selenium.webdriver import ActionChains, Keys

    reached: set[int] = set()
    while True:
        before = len(reached)
        window.press(Keys.TAB * 60)
        log = window.run("return window.rbFocus")
        reached = {number for number, _ in log if number >= 0}
        if len(reached) in (before, count):
            break
    window.run("window.rbFocus.length = 0")
    ActionChains(window.driver).key_down(Keys.SHIFT).send_keys(Keys.TAB * 8).key_up(Keys.SHIFT).perform()
    return log, window.run("return window.rbFocus")


def nameless(window: browser.Browser) -> list[str]:
    """The controls that the browser itself has no name for: what a screen reader would call "button"."""
    tree = window.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = []
    for node in tree:
        role = node.get("role", {}).get("value")
        focusable = any(
            p["name"] == "focusable" and p["value"].get("value") for p in node.get("properties", [])
        )
        if (
            node["ignored"]
            or not focusable
            or role in ("RootWebArea", "generic", "none", "region", "group", "Pre")
        ):
            continue  # a box that scrolls can have the focus, and is no control
        if not node.get("name", {}).get("value", "").strip():
            shown = window.driver.execute_cdp_cmd(
                "DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]}
            )
            found.append(f"{role} {shown['node']['localName']} {shown['node'].get('attributes')}")
    return found


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, fetched once and checked against its pinned hash."""
    if not vendor.is_whole(vendor.AXE):
        vendor.fetch(vendor.AXE)
    return (vendor.AXE.home / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="session")
def facts(running, site, axe):
    """What one visit to a page tells."""

    def judge(dark: bool) -> dict:
        running.look(dark=dark)
        running.wait(f"document.documentElement.dataset.theme === '{'dark' if dark else 'light'}'")
        found = running.run_async(AXE, THEIRS, dark)
        assert isinstance(found, list), found
        return {"contrast": running.run(CONTRAST), "axe": found}

    @functools.cache
    def visit(page: str) -> dict:
        refresh(running, site)
        running.open(f"{site}/{page}.html")
        running.run(STILL)
        running.run(axe)
        told = {"images": running.run(IMAGES), False: judge(dark=False), True: judge(dark=True)}
        told["nameless"] = nameless(running)
        told["controls"] = running.run(LISTEN)
        told["forwards"], told["backwards"] = press_through(running, len(told["controls"]))
        return told

    return visit


# --- colours and markup -------------------------------------------------------------------------------------------

MODES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@MODES
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_of_ours(facts, page, dark) -> None:
    assert [entry[:3] for entry in facts(page)[dark]["axe"] if not entry[3]] == []


def test_every_exemption_is_still_needed(facts) -> None:
    used = {
        name
        for page in PAGES
        for dark in (False, True)
        for entry in facts(page)[dark]["axe"]
        for name in entry[3]
    }
    assert used == {" ".join(entry) for entry in THEIRS}


@MODES
def test_axe_sees_what_is_wrong(window, axe, dark) -> None:
    window.driver.get(
        "data:text/html,<html lang=en><title>x</title><main><h1>x</h1><img src='x.png'><p style='color:black'>"
        "here is <a href='x' style='color:%23222;text-decoration:none'>a link</a> that looks like text</main>"
    )
    window.run(axe)
    found = window.run_async(AXE, [["image-alt", "main", "known"]], dark)
    assert [(entry[0], entry[3]) for entry in found] == [
        ("image-alt", ["image-alt main known"]),
        ("link-in-text-block", []),
    ]


@MODES
@pytest.mark.parametrize("page", PAGES)
def test_text_stands_out_from_its_ground(facts, page, dark) -> None:
    seen, ground, low = facts(page)[dark]["contrast"]
    assert seen > 1
    assert ground < 0.05 if dark else ground > 0.9
    assert low == []


def test_pale_text_is_seen(window) -> None:
    window.driver.get(
        "data:text/html,<html lang=en><body style='background:white'><nav><p style='color:%23767676'>enough</p></nav>"
        "<p style='color:%23999'>pale</p><div style='background:black'><p style='color:%23444'>dark on dark</p></div>"
    )
    seen, ground, low = window.run(CONTRAST)
    assert (seen, ground) == (3, 1)
    assert [line.split("«")[1].rstrip("»") for line in low] == ["pale", "dark on dark"]


# --- pictures -----------------------------------------------------------------------------------------------------


def what_is_wrong(image: dict) -> str | None:
    """Say what is wrong with the text of a picture; None for a telling one, or for mere decoration."""
    alt = image["alt"]
    if image["hidden"] and not image["content"]:
        return None
    if alt is None:
        return "no text"
    if not alt.strip():
        return "a figure without a text" if image["content"] else None
    if re.fullmatch(r"[\w./%-]+\.(png|svg|jpe?g|gif|webp)", alt.strip(), re.I):
        return f"a file name: {alt}"
    return f"too short: {alt}" if len(alt.strip()) < SHORTEST_ALT else None


@pytest.mark.parametrize("page", PAGES)
def test_pictures_tell_what_they_show(facts, page) -> None:
    images = facts(page)["images"]
    assert [f"{image['name']}: {wrong}" for image in images if (wrong := what_is_wrong(image))] == []
    assert len([image for image in images if image["alt"]]) >= PICTURED.get(page, 0)


@pytest.mark.parametrize(
    ("alt", "content", "hidden", "wrong"),
    [
        ("Five films and how Ada rated them", True, False, None),
        ("", False, False, None),
        (None, False, True, None),
        ("", True, False, "a figure without a text"),
        (None, True, True, "no text"),
        (None, False, False, "no text"),
        ("_images/3f2a77aab54c12.png", True, False, "a file name: _images/3f2a77aab54c12.png"),
        ("A diagram", False, False, "too short: A diagram"),
    ],
    ids=["telling", "decoration", "hidden", "empty", "hidden figure", "none", "file name", "short"],
)
def test_texts_of_pictures_are_judged(alt, content, hidden, wrong) -> None:
    assert what_is_wrong({"alt": alt, "content": content, "hidden": hidden}) == wrong


# --- keyboard -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_control_is_reached_by_keyboard_and_seen(facts, page) -> None:
    told = facts(page)
    controls = told["controls"]
    assert len(controls) > 10
    reached = {number for number, _ in told["forwards"]}
    assert [html for number, html in enumerate(controls) if number not in reached] == []
    assert [controls[number] for number, seen in told["forwards"] if number >= 0 and not seen] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_keyboard_is_not_trapped(facts, page) -> None:
    backwards = [number for number, _ in facts(page)["backwards"]]
    assert len(backwards) >= 5
    assert all(first != then for first, then in zip(backwards, backwards[1:], strict=False))


@pytest.mark.parametrize("page", PAGES)
def test_every_control_has_a_name(facts, page) -> None:
    assert facts(page)["nameless"] == []


def test_tabs_are_switched_by_keyboard(window, site) -> None:
    from selenium.webdriver import Keys

    from tests.test_browser import shown

    window.open(f"{site}/{TABBED}.html")
    window.run("document.querySelector('.rb-framework > input:checked').focus()")
    window.press(Keys.ARROW_RIGHT)
    assert shown(window) == {"keras"}  # in every tab-set of the page
    window.driver.refresh()
    window.wait("document.readyState === 'complete'")
    assert shown(window) == {"keras"}
    window.run("document.querySelector('.rb-framework > input:checked').focus()")
    window.press(Keys.ARROW_LEFT)
    assert shown(window) == {"torch"}


FOLDS = {
    "cell": ("article details > summary", "arguments[0].parentElement.open"),
    "box": (
        "article .admonition.toggle button.toggle-button",
        "!arguments[0].classList.contains('toggle-button-hidden')",
    ),
}


@pytest.mark.parametrize("kind", FOLDS)
def test_folded_things_open_and_close_by_keyboard(window, site, kind) -> None:
    from selenium.webdriver import Keys

    selector, is_open = FOLDS[kind]
    window.open(f"{site}/{TABBED}.html")
    fold = window.run(f"return [...document.querySelectorAll('{selector}')].find(e => e.checkVisibility())")
    assert fold is not None
    states = [window.run(f"return {is_open}", fold)]
    for key in (Keys.ENTER, Keys.SPACE):
        window.run("arguments[0].focus()", fold)
        window.press(key)
        states.append(window.run(f"return {is_open}", fold))
    assert states == [False, True, False]
