"""What a visit to a page of the built book tells: one wide, light and then dark, and one on a phone.

Opening a page and setting its formulas takes longer than most questions: one visit serves all tests.
"""

from __future__ import annotations

from book import browser
from tests.helpers.built_book import TABBED

# A page of each kind: what the dark changes on one it changes on its like, and so with what a keyboard reaches.
OF_EACH_KIND = {"index", TABBED, "chapters/glossary", "chapters/api_models", "chapters/evaluation"}

# What the theme does and we leave: (rule of axe-core, where, why). A test fails when one is no longer needed.
THEIRS = [
    (
        "region",
        "#pst-primary-sidebar .navbar-brand",
        "the theme sets the logo outside any landmark; it is a named link to the first page, and reached first",
    ),
]

# --- what a visit asks --------------------------------------------------------------------------------------------

FORMULAS = """
const all = [...document.querySelectorAll('.math.notranslate')];
return [all.length, all.filter(e => !e.querySelector('mjx-container')).length,
        document.querySelectorAll('mjx-merror, [data-mjx-error]').length];
"""

# Every picture and drawing of the page's text that is meant to be seen: name, whether it is a drawing, its size.
PICTURES = """
return [...document.querySelectorAll('article.bd-article img, article.bd-article svg')]
  .filter(e => e.checkVisibility() && !e.closest('mjx-container, button') && !e.parentElement.closest('svg'))
  .map(e => {
    const box = e.getBoundingClientRect(), image = e.tagName === 'IMG';
    return {name: image ? e.getAttribute('src') : e.outerHTML.slice(0, 80),
            drawing: !image || e.src.split('?')[0].endsWith('.svg'),
            shown: box.width > 5 && box.height > 5 && (!image || (e.complete && e.naturalWidth > 0))};
  });
"""

# Read through the page as a reader scrolls; the sum of all shifts of its layout since it began to load.
SCROLL = """
const done = arguments[0], shifts = [];
new PerformanceObserver(list => {
  for (const e of list.getEntries()) {
    if (!e.hadRecentInput) shifts.push([e.value, ...e.sources.map(s => s.node?.className || s.node?.nodeName || '?')]);
  }
}).observe({type: 'layout-shift', buffered: true});
const step = () => {
  window.scrollBy(0, innerHeight);
  const end = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
  end ? setTimeout(() => done(shifts), 100) : requestAnimationFrame(step);
};
requestAnimationFrame(step);
"""
# Paragraphs that hold the source of a table: what the renderer did not read as one.
RAW_TABLES = r"""
return [...document.querySelectorAll('article.bd-article p')].map(e => e.textContent)
  .filter(text => /\|\s*:?(-{3,}|—)/.test(text)).map(text => text.slice(0, 80));
"""
# What the browser waits for before it shows the first words: [address, bytes as they are when unpacked].
BLOCKING = """
return performance.getEntriesByType('resource').filter(e => e.renderBlockingStatus === 'blocking')
  .map(e => [e.name, e.decodedBodySize]);
"""

# What a reader at this width cannot read: a column of a table, or of a list of arguments, that is narrower than its
# longest word (of which fourteen letters count; code may be broken); text that ends at an edge without a sign that more
# lies behind it. A sign is a box that scrolls and shades the edge, by a ground that moves with its content.
CUT = """
const article = document.querySelector('article.bd-article'), found = [];
const pen = document.createElement('canvas').getContext('2d');
const width = (word, style) => { pen.font = style.font; return pen.measureText(word).width; };
const say = (what, e) => found.push(`${what}: ${e.tagName}.${String(e.className).slice(0, 40)} «${
  e.textContent.trim().replace(/\\s+/g, ' ').slice(0, 50)}»`);
const ARGUMENTS = 'dl.py dd > dl:not([class*=py]) > :is(dt, dd)';
for (const e of article.querySelectorAll(`td, th, ${ARGUMENTS}`)) {
  if (!e.checkVisibility() || e.closest('mjx-container')) continue;
  const words = e.innerText.split(/[\\s\u2007\u2008\u2060-]+/)
    .filter(word => !/[_.=(/]|[\u3000-\u9fff]/.test(word));
  const longest = words.reduce((a, b) => (b.length > a.length ? b : a), '').slice(0, 14);
  const style = getComputedStyle(e);
  const room = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  if (room + 2 < width(longest, style)) say(`narrower than ${longest}`, e);
}
for (const e of article.querySelectorAll('*')) {
  if (e.scrollWidth <= e.clientWidth + 1 || !e.clientWidth) continue;
  if (e.closest('mjx-container > *, svg, button, .visually-hidden')) continue;
  const style = getComputedStyle(e), formula = e.matches('span.math') && e.querySelector('mjx-math');
  if (style.overflowX === 'visible' || !e.checkVisibility()) continue;
  // MathJax keeps a copy for screen readers beside a formula: what is seen of it decides.
  if (formula && formula.getBoundingClientRect().right <= e.getBoundingClientRect().right + 1) continue;
  const scrolls = ['auto', 'scroll'].includes(style.overflowX);
  if (!scrolls) say('hidden', e);
  else if (!style.backgroundAttachment.includes('local')) say('scrolls without a sign', e);
}
const edge = Math.max(...[article, article.parentElement].map(e => e.getBoundingClientRect().right));
for (const e of article.querySelectorAll('p, li, td, th, dt, dd, pre, h1, h2, h3, table, figure, svg, img')) {
  const box = e.getBoundingClientRect();
  if (box.right <= edge + 1 || !e.checkVisibility() || e.closest('mjx-container')) continue;
  let inside = e.parentElement;
  while (inside !== article && getComputedStyle(inside).overflowX === 'visible') inside = inside.parentElement;
  if (inside === article) say('beyond the edge', e);
}
return found;
"""

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


def visit_wide(window: browser.Browser, address: str, axe: str, closely: bool = True) -> dict:
    """At 1440 px: as it opens, as one reads through it, what a screen reader and a keyboard find.

    closely : ask axe-core again in the dark, and press Tab through all controls
    """

    def judge(dark: bool) -> dict:
        window.look(dark=dark)
        window.wait(f"document.documentElement.dataset.theme === '{'dark' if dark else 'light'}'")
        found = [] if dark and not closely else window.run_async(AXE, THEIRS, dark)
        assert isinstance(found, list), found
        return {"contrast": window.run(CONTRAST), "axe": found}

    window.open(address)
    told = {
        "blocking": window.run(BLOCKING),
        "shifts": window.run_async(SCROLL),
        "title": window.run("return document.querySelector('h1').innerText.trim()"),
        "formulas": window.run(FORMULAS),
        "pictures": window.run(PICTURES),
        "raw tables": window.run(RAW_TABLES),
        "console": window.console(),
        "requests": window.requests(),
    }
    window.run("window.scrollTo(0, 0)")
    window.run(STILL)
    window.run(axe)
    told |= {"images": window.run(IMAGES), False: judge(dark=False), True: judge(dark=True)}
    told["nameless"] = nameless(window)
    if closely:
        told["controls"] = window.run(LISTEN)
        told["forwards"], told["backwards"] = press_through(window, len(told["controls"]))
    told["cut"] = {1440: window.run(CUT)}
    window.resize(820, 1180)  # the same page on a tablet: laid out anew, not loaded again
    told["cut"][820] = window.run(CUT)
    return told


def visit_on_a_phone(window: browser.Browser, address: str) -> dict:
    """At 390 px."""
    window.look(390, 844)
    window.open(address)
    return {
        "shifts": window.run_async(SCROLL),
        "widths": window.run("return [innerWidth, document.documentElement.scrollWidth]"),
        "cut": {390: window.run(CUT)},
    }
