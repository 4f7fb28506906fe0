"""The chapters' figures: alt text demanded, the smaller form, the same bytes; in the book they follow the page."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from book.ext.recbook_sphinx import figures as in_book
from recbook import notebook as nb
from recbook.notebook import figures
from tests.helpers.small_book import build

ALT = "Two lines against x from 1 to 100: one rises from 0.2 to 0.5, the other falls from 0.3 to 0.1."
OTHER_ALT = "The same two lines once more, and this sentence exists so that the text is another one."
HREF = f"{{{figures.XLINK}}}href"


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context(figures.STYLE):
        yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch) -> list[tuple[dict, dict]]:
    """What `show` hands to Jupyter: (data, metadata) of each figure."""
    found = []
    monkeypatch.setattr(figures, "display", lambda data, metadata, raw: found.append((data, metadata)))
    return found


def lines(figsize=figures.WIDE, title="Rise and fall"):
    fig, ax = plt.subplots(figsize=figsize)
    ax.plot([1, 10, 100], [0.2, 0.3, 0.5], "-o", label="up")
    ax.plot([1, 10, 100], [0.3, 0.1, 0.1], label="down")
    ax.fill_between([1, 10, 100], [0.3, 0.1, 0.1], hatch="//", alpha=0.3)
    ax.set(xscale="log", xlabel="x", ylabel="share", title=title)
    ax.legend()
    return fig


def noise():
    fig, ax = plt.subplots()
    ax.pcolormesh(np.random.default_rng(0).random((60, 60)))
    return fig


def much_noise():
    fig, ax = plt.subplots()
    ax.imshow(np.random.default_rng(0).random((600, 900)), interpolation="none")
    return fig


def stored(fig, alt=ALT) -> str:
    """The SVG that `show` keeps of a figure."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "display", lambda data, metadata, raw: found.append(data))
        nb.show(fig, alt=alt)
    return found[0]["image/svg+xml"]


def svg_of(shown) -> ElementTree.Element:
    return ElementTree.fromstring(shown[-1][0]["image/svg+xml"])


# --- alt text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alt", "error", "words"),
    [
        (None, TypeError, "alt is a text, not NoneType; pass alt="),
        ("", ValueError, "0 characters"),
        ("A figure of two lines.", ValueError, "22 characters beyond the titles, fewer than 40"),
        ("rise and FALL of a quantity, in forty-six letters", ValueError, "35 characters beyond the titles"),
        ("  Two  lines\n" + " " * 60, ValueError, "9 characters"),
    ],
)
def test_alt_text_must_tell_something(shown, alt, error, words):
    with pytest.raises(error, match=re.escape(words)):
        nb.show(lines(), alt=alt)
    assert not shown


def test_alt_text_cannot_be_left_out():
    with pytest.raises(TypeError, match="alt"):
        nb.show(lines())


def test_axes_are_no_figure():
    with pytest.raises(TypeError, match="not Axes: of axes, pass ax.figure"):
        nb.show(lines().axes[0], alt=ALT)


def test_alt_text_is_in_every_form(shown):
    nb.show(lines(), alt=ALT)
    data, metadata = shown[-1]
    assert data["text/plain"] == ALT == metadata["image/svg+xml"]["alt"]
    assert svg_of(shown).get("aria-label") == ALT and svg_of(shown).get("role") == "img"
    assert svg_of(shown).find(f"{{{figures.SVG}}}title").text == ALT
    nb.show(noise(), alt=ALT)
    data, metadata = shown[-1]
    assert data["text/plain"] == ALT == metadata["image/png"]["alt"]
    assert metadata["image/png"]["needs_background"] == "light"


# --- size and form --------------------------------------------------------------------------------------------------


def test_the_form_with_fewer_bytes_is_shown(shown):
    for draw, kind in ((lines, "image/svg+xml"), (noise, "image/png")):
        svg, png = figures.to_svg(draw(), ALT), figures.to_png(draw())
        smaller = "image/svg+xml" if len(gzip.compress(svg.encode())) < len(png) else "image/png"
        nb.show(draw(), alt=ALT)
        assert set(shown[-1][0]) == {kind, "text/plain"} and kind == smaller


def test_a_large_figure_is_refused():
    with pytest.raises(ValueError, match=r"bytes as SVG and [\d,]+ as PNG, over 150,000: draw fewer points"):
        nb.show(much_noise(), alt=ALT)


def test_png_is_at_print_quality_with_few_colours(shown):
    nb.show(noise(), alt=ALT)
    (data, metadata), (width, height) = shown[-1], figures.WIDE
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.size == (180 * width, 180 * height) and picture.mode == "P"
    assert (metadata["image/png"]["width"], metadata["image/png"]["height"]) == (461, 288)


def test_the_same_figure_has_the_same_bytes(shown, monkeypatch):
    for draw in (lines, noise):
        nb.show(draw(), alt=ALT)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
        with matplotlib.rc_context({"svg.hashsalt": "another", "svg.fonttype": "path"}):
            nb.show(draw(), alt=ALT)
        assert shown[-1] == shown[-2]


def test_a_figure_is_closed_and_not_shown_twice(shown):
    nb.show(lines(), alt=ALT)
    assert plt.get_fignums() == [] and len(shown) == 1


# --- inside the SVG -------------------------------------------------------------------------------------------------


def names_and_references(root: ElementTree.Element) -> tuple[list[str], set[str]]:
    names = [element.get("id") for element in root.iter() if element.get("id")]
    text = " ".join(value for element in root.iter() for key, value in element.attrib.items() if key != HREF)
    used = set(re.findall(r"url\(#([^)]+)\)", text))
    used |= {href[1:] for element in root.iter() if (href := element.get(HREF, "")).startswith("#")}
    return names, used


def test_text_stays_text_in_a_font_of_the_reader(shown):
    nb.show(lines(), alt=ALT)
    root = svg_of(shown)
    texts = ["".join(element.itertext()) for element in root.iter(f"{{{figures.SVG}}}text")]
    assert {"Rise and fall", "up", "down", "x", "share", "1", "10", "100", "0.2"} <= set(texts)
    assert root.get("font-family").startswith("system-ui") and root.get("font-family").endswith("sans-serif")
    assert "DejaVu" not in ElementTree.tostring(root, "unicode").replace(root.get("font-family"), "")


def test_nothing_of_the_day_or_for_the_whole_page_is_stored(shown):
    nb.show(lines(), alt=ALT)
    text = shown[-1][0]["image/svg+xml"]
    assert "<metadata" not in text and "<style" not in text and "<!--" not in text and "<?xml" not in text
    assert not re.search(r"\d\.\d{3}", text), "hundredths of a point are enough"


def test_names_lead_somewhere_and_two_figures_share_none(shown):
    nb.show(lines(), alt=ALT)
    names, used = names_and_references(svg_of(shown))
    assert sorted(names) == sorted(used) and len(names) > 3
    nb.show(lines(), alt=OTHER_ALT)
    others, _ = names_and_references(svg_of(shown))
    assert not set(names) & set(others)


def test_markers_look_the_same_after_shortening(shown):
    """The style that markers share stands in their group; it is that of the line."""
    nb.show(lines(), alt=ALT)
    (group,) = [
        g for g in svg_of(shown).iter(f"{{{figures.SVG}}}g") if len(g) == 3 and "clip-path" in g.attrib
    ]
    assert group.get("style") == "fill:#0072b2;stroke:#0072b2"
    assert all("style" not in marker.attrib for marker in group)


def channels(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one: str, other: str) -> float:
    low, high = sorted(np.dot([0.2126, 0.7152, 0.0722], channels(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_guidelines():
    assert np.isclose(contrast("#000000", "#ffffff"), 21) and round(contrast("#777777", "#ffffff"), 2) == 4.48


def test_ink_on_a_colour_can_be_read():
    assert nb.ink_on("yellow") == "#000000" and nb.ink_on("navy") == "#ffffff"
    for name in ("cividis", "RdBu", "viridis"):
        colours = matplotlib.colormaps[name](np.linspace(0, 1, 64))
        assert all(contrast(matplotlib.colors.to_hex(c), nb.ink_on(c)) >= 4.5 for c in colours)


@pytest.mark.parametrize("ground", ["#ffffff", "#121212"])
def test_data_can_be_told_from_the_page(ground):
    assert all(contrast(colour, ground) >= 2.1 for colour in nb.COLORS)
    assert all(contrast(colour, ground) >= 3 for colour in nb.COLORS[:3])


# --- in the book ----------------------------------------------------------------------------------------------------


def heat_map():
    fig, ax = plt.subplots(figsize=figures.HALF)
    cells = ax.pcolormesh([[0, 1], [1, 0]], cmap="Greys")
    for value, row in ((0, 0), (1, 1)):
        ax.text(0.5, row + 0.5, f"{value}", color=nb.ink_on(cells.to_rgba(value)))
    return fig


def test_ink_lines_and_paper_follow_the_page_and_data_stay():
    text = in_book.in_page(stored(lines()), "p1-")
    for colour, follows in in_book.FOLLOWS.items():
        assert colour not in text and follows in text
    assert "#0072b2" in text.lower() and "#d55e00" in text.lower()
    assert not re.search(r'(?:fill|stroke)="var', text), "var() is for styles"


def test_words_in_cells_keep_their_colour():
    root = ElementTree.fromstring(in_book.in_page(stored(heat_map()), "p1-"))
    words = {
        "".join(element.itertext()): element.get("style") for element in root.iter(f"{{{figures.SVG}}}text")
    }
    assert "fill:#ffffff" in words["1"] and "fill" not in words["0"]
    assert "fill:#ffffff" in ElementTree.tostring(root, "unicode"), "a white cell stays white"


def test_a_figure_in_a_page_is_named_once_and_has_its_size():
    root = ElementTree.fromstring(in_book.in_page(stored(lines()), "p1-"))
    assert root.get("role") == "img" and root.get("aria-label") == ALT
    assert root.find(f"{{{figures.SVG}}}title") is None, "it would be shown as a tooltip"
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("461", "288", "0 0 345.6 216")
    names, used = names_and_references(root)
    assert sorted(names) == sorted(used) and all(name.startswith("p1-f") for name in names)


@pytest.mark.parametrize(
    ("figsize", "scrolls"), [(figures.HALF, False), (figures.WIDE, False), ((7, 3), True)]
)
def test_text_is_never_smaller_than_nine_pixels(figsize, scrolls):
    root = ElementTree.fromstring(in_book.in_page(stored(lines(figsize)), "p1-"))
    least = re.fullmatch(r"min-width:(\d+)px", root.get("style", ""))
    assert bool(least) is scrolls
    width = float(root.get("viewBox").split()[2])
    shown_at = int(least[1]) if least else min(in_book.PHONE, int(root.get("width")))
    assert 9.5 * shown_at / width > 8.99  # ticks have 9.5 points


def notebook_of(outputs: list[list[tuple[dict, dict]]]) -> str:
    cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A page"}]
    for number, shown in enumerate(outputs):
        displays = [{"output_type": "display_data", "data": d, "metadata": m} for d, m in shown]
        cells.append({
            "cell_type": "code", "id": f"c{number}", "metadata": {}, "source": "draw()",
            "execution_count": number + 1, "outputs": displays,
        })  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """A page with one drawing, the same twice in one cell, a wide one, a PNG, and a picture that is not by `show`."""
    with matplotlib.rc_context(figures.STYLE), pytest.MonkeyPatch.context() as patch:
        found = []
        patch.setattr(figures, "display", lambda data, metadata, raw: found.append((data, metadata)))
        for fig, alt in ((lines(), ALT), (lines(), ALT), (lines((7, 3)), OTHER_ALT), (noise(), OTHER_ALT)):
            nb.show(fig, alt=alt)
        one, same, wide, png = found
    bare = ({"image/png": png[0]["image/png"], "text/plain": "<Figure size 640x480>"}, {})
    folder = tmp_path_factory.mktemp("book")
    text = notebook_of([[one], [one, same], [wide], [png], [bare]])
    said = io.StringIO()
    out = build(folder, "html", {"index.ipynb": text}, said, extensions=("myst_nb", "recbook_sphinx.figures"))
    assert said.getvalue() == ""
    return (out / "index.html").read_text("utf-8")


def test_drawings_stand_in_the_page_with_names_of_their_own(page):
    drawings = [ElementTree.fromstring(text) for text in re.findall(r"<svg .*?</svg>", page, re.S)]
    assert [drawing.get("aria-label") for drawing in drawings] == [ALT, ALT, ALT, OTHER_ALT]
    assert ".svg" not in page
    names = [name for drawing in drawings for name in names_and_references(drawing)[0]]
    assert len(names) == len(set(names)) > 12
    for drawing in drawings:
        own, used = names_and_references(drawing)
        assert set(own) == used


def test_figures_of_one_cell_stand_in_one_row(page):
    rows = re.split(r'<div class="[^"]*rb-plots', page)[1:]
    assert [row.count('class="rb-plot-box"') for row in rows] == [1, 2, 1, 1]


def test_only_the_wide_figure_scrolls_and_by_keyboard(page):
    boxes = re.findall(r'<div class="rb-plot-box"([^>]*)><(?:svg|img)([^>]*)>', page)
    assert [("tabindex" in box, "min-width" in tag) for box, tag in boxes] == [
        *[(False, False)] * 3,
        (True, True),
        (False, False),
    ]


def test_a_png_has_alt_text_and_its_size(page):
    (tag,) = re.findall(r'<img [^>]*class="rb-plot"[^>]*>', page)
    assert f'alt="{OTHER_ALT}"' in tag and 'width="461"' in tag and 'height="288"' in tag
    assert re.search(r'src="_images/\w+\.png"', tag)


def test_a_picture_that_is_not_by_show_is_left_alone(page):
    (tag,) = [tag for tag in re.findall(r"<img [^>]*>", page) if "rb-plot" not in tag]
    assert "Figure size" not in tag
