"""The built book for readers who use a keyboard or a screen reader, or cannot tell colours apart.

Each page is visited once (tests/helpers/visits.py); the tests judge what the visit tells.
"""

from __future__ import annotations

import re

import pytest

from tests.helpers.built_book import PAGES, TABBED
from tests.helpers.visits import AXE, CONTRAST, OF_EACH_KIND, THEIRS

pytestmark = pytest.mark.browser

SHORTEST_ALT = 20  # characters
# Pages that must have pictures in them, so that the test of their texts cannot pass for want of any.
PICTURED = {"index": 1, "chapters/introduction": 1}

# --- colours and markup -------------------------------------------------------------------------------------------

MODES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


CLOSELY = [
    pytest.param(page, marks=[] if page in OF_EACH_KIND else [pytest.mark.thorough], id=page)
    for page in PAGES
]


@pytest.mark.parametrize(
    ("page", "dark"),
    [*((page, False) for page in PAGES), *((page, True) for page in sorted(OF_EACH_KIND))],
)
def test_axe_finds_nothing_of_ours(wide, page, dark) -> None:
    assert [entry[:3] for entry in wide(page)[dark]["axe"] if not entry[3]] == []


def test_every_exemption_is_still_needed(wide) -> None:
    wanted = {" ".join(entry) for entry in THEIRS}
    for page in PAGES:  # until all were needed: most are on every page
        wanted -= {name for dark in (False, True) for entry in wide(page)[dark]["axe"] for name in entry[3]}
        if not wanted:
            break
    assert wanted == set()


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
def test_text_stands_out_from_its_ground(wide, page, dark) -> None:
    seen, ground, low = wide(page)[dark]["contrast"]
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
def test_pictures_tell_what_they_show(wide, page) -> None:
    images = wide(page)["images"]
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


@pytest.mark.parametrize("page", CLOSELY)
def test_every_control_is_reached_by_keyboard_and_seen(wide, page) -> None:
    told = wide(page)
    controls = told["controls"]
    assert len(controls) > 10
    reached = {number for number, _ in told["forwards"]}
    assert [html for number, html in enumerate(controls) if number not in reached] == []
    assert [controls[number] for number, seen in told["forwards"] if number >= 0 and not seen] == []


@pytest.mark.parametrize("page", CLOSELY)
def test_the_keyboard_is_not_trapped(wide, page) -> None:
    backwards = [number for number, _ in wide(page)["backwards"]]
    assert len(backwards) >= 5
    assert all(first != then for first, then in zip(backwards, backwards[1:], strict=False))


@pytest.mark.parametrize("page", PAGES)
def test_every_control_has_a_name(wide, page) -> None:
    assert wide(page)["nameless"] == []


def test_tabs_are_switched_by_keyboard(window, site) -> None:
    from selenium.webdriver import Keys

    from tests.book.test_browser import shown

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
