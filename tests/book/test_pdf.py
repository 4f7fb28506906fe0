"""The book in print: what the LaTeX writer makes of each thing of ours, and what `make pdf` demands of xelatex."""

from __future__ import annotations

import ctypes.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from book import pdf
from book.ext.recbook_sphinx import diagrams, printed
from tests.book.test_pages import RUN, notebook
from tests.helpers.small_book import build

ROOT = Path(__file__).resolve().parents[2]
needs_cairo = pytest.mark.skipif(
    not ctypes.util.find_library("cairo"), reason="no libcairo: apt-get install libcairo2"
)

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20" width="{width}" height="20" role="img" '
    'font-family="system-ui">{shape}</svg>'
)
CIRCLE = '<circle cx="9" cy="9" r="5" fill="currentColor"/>'
SQUARE = '<rect width="9" height="9" style="fill:var(--rb-blue)"/>'
FRAME = """<div><style>td {color: red}</style><table><thead>
<tr style="text-align: right;"><th></th><th>title</th><th>rmse</th></tr><tr><th>rank</th><th></th><th></th></tr></thead>
<tbody><tr><th>1</th><td>A &amp; B</td><td>0.91</td></tr><tr><th>2</th><td>C_d</td><td>inf</td></tr></tbody></table>
</div>"""
INDEX = f"""(home)=
# All of it

Before the parts: {{ref}}`first`, {{ref}}`home`. Signs: α ≈ ½ ▲ → ᵀ ₁₀ 中文.

## Within the front

```{{scoreboard}} plot
```

```{{scoreboard}} protocol
```

```{{status}}
```

```{{raw}} html
<b>Of a screen</b> {SVG.format(width=40, shape=CIRCLE)}
```

:::{{div}} rb-screen
For a screen alone.
:::

```{{admonition}} Mistakes you will meet
:class: mistakes dropdown
Words of a box.
```

```{{toctree}}
chapters/foundations
chapters/a
chapters/sources
```
"""
PART = (
    "(first)=\n# Foundations\n\nThe part.\n\n## Under the part\n\n```{part}\n```\n\n```{diagram} loop\n```\n"
)
SOURCES = "# Sources\n\n```{verdicts}\n```\n\n```{sources}\n```\n"


def cell(name: str, source: str, *tags: str, outputs: tuple = ()) -> dict:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {"tags": list(tags)},
        "source": [source],
        "outputs": list(outputs),
        "execution_count": 1,
    }


def shown(**data: str) -> dict:
    data = {kind.replace("_svg", "/svg+xml").replace("__", "/"): text for kind, text in data.items()}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def chapter() -> str:
    found = notebook(run=RUN)
    picture = [
        shown(image_svg=SVG.format(width=n, shape=shape), text__plain="alt")
        for n, shape in ((40, CIRCLE), (41, SQUARE))
    ]
    for output in picture:
        output["metadata"] = {"image/svg+xml": {"width": 40, "height": 20}}
    found["cells"] += [
        cell("t", "# torch\nby_torch = 1", "torch"),
        cell("k", "# keras\nby_keras = 1", "keras"),
        cell("d", "only_draws = 1", "hide-input", outputs=picture),
        cell("f", "frame", outputs=(shown(text__html=FRAME, text__plain="not this"),)),
        cell("st", "# torch\nsolved_by_torch", "torch", "solution", "hide-cell"),
        cell("sk", "# keras\nsolved_by_keras", "keras", "solution", "hide-cell"),
        cell("s", "solved_by_numpy", "solution", "hide-cell"),
        cell("a", "asserted = 1", "assert", "remove-cell"),
    ]
    return json.dumps(found)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, str, str]:
    """A book with one of each: the folder of its LaTeX, the text, and what Sphinx warned of."""
    folder, said = tmp_path_factory.mktemp("print"), io.StringIO()
    files = {
        "index.md": INDEX,
        "chapters/foundations.md": PART,
        "chapters/sources.md": SOURCES,
        "chapters/a.ipynb": chapter(),
    }
    out = build(folder, "latex", files, said)
    return out, (out / "recbook.tex").read_text("utf-8"), said.getvalue()


def in_order(text: str, *words: str) -> None:
    places = [text.index(one) for one in words]
    assert places == sorted(places), dict(zip(words, places, strict=True))


# --- what the writer makes of our nodes -------------------------------------------------------------------------------


@needs_cairo
def test_parts_chapters_and_the_page_before_them(small) -> None:
    tex = small[1]
    in_order(
        tex, r"\rbtitlepage", r"\rbcontents", r"\rbfrontmatter", r"\chapter{All of it}",
        r"\section{Within the front}", r"\rbmainmatter", r"\part{Foundations}", r"\section{Under the part}",
        r"\chapter{A title}", r"\chapter{Sources}",
    )  # fmt: skip
    assert tex.count(r"\part{") == 1
    for label in ("index:home", "chapters/foundations:first"):  # what links lead to
        assert tex.count(rf"\label{{\detokenize{{{label}}}}}") == 1


@needs_cairo
def test_both_frameworks_one_after_the_other_under_their_names(small) -> None:
    in_order(
        small[1], r"\rbframework{rbtorch}{PyTorch}", "by\\PYGZus{}torch", r"\rbframework{rbkeras}{Keras}",
        "by\\PYGZus{}keras", r"\rbframework{rbtorch}{Solution, PyTorch}", "solved\\PYGZus{}by\\PYGZus{}torch",
        r"\rbframework{rbkeras}{Solution, Keras}", "solved\\PYGZus{}by\\PYGZus{}keras",
        r"\begin{sphinxuseclass}{tag_solution}", "solved\\PYGZus{}by\\PYGZus{}numpy",
    )  # fmt: skip


@needs_cairo
def test_what_only_draws_asserts_or_is_for_a_screen_is_left_out(small) -> None:
    tex = small[1]
    for words in (
        "only\\PYGZus{}draws",
        "asserted",
        "For a screen alone",
        "Of a screen",
        "not this",
        "sd-",
        "<div",
    ):
        assert words not in tex


@needs_cairo
def test_drawings_are_pdf_and_neighbours_share_a_line(small) -> None:
    out, tex, _ = small
    names = re.findall(r"\\sphinxincludegraphics(\[[^]]*\])?\{\{([\w-]+)\}\.pdf\}", tex)
    assert len(names) == 6, names  # the scoreboard, the raw circle, the part's map, the loop, two of one cell
    for _, name in names:
        assert (out / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    pair = tex[tex.index("{rb-pictures}") :].partition(r"\end{sphinxuseclass}")[0]
    assert pair.count(r"[width=0.485\linewidth]") == 2
    assert tex.count("{rb-pictures}") == 1


@needs_cairo
def test_a_table_of_html_is_one_of_latex(small) -> None:
    table = small[1][small[1].index("A \\& B") - 600 :].partition(r"\end{tabulary}")[0]
    assert r"\begin{tabulary}{\linewidth}[t]{rlr}" in table  # numbers to the right, `inf` is one
    in_order(table, "rank", "title", "rmse", r"\sphinxmidrule", "0.91", r"C\_d", "inf")


@needs_cairo
def test_head_foot_boxes_and_sources_have_their_places(small) -> None:
    out, tex, said = small
    in_order(
        tex, r"\chapter{A title}", "{rb-question}", "\\sphinxstylestrong{Which", "{rb-head}",
        "12 minutes to read · 17 seconds to run\n",
        "you can", "{rb-foot}", "Run on 31 January",
    )  # fmt: skip
    assert r"\begin{sphinxadmonition}{mistakes}{Mistakes you will meet}" in tex
    for entry in re.findall(r"hyperref\[\\detokenize\{(chapters/sources:source-\w+)\}\]", tex):
        assert rf"\label{{\detokenize{{{entry}}}}}" in tex, f"nothing to lead to: {entry}"
    assert "rb-verdict," not in tex  # LaTeX knows one class of a piece of text
    assert not re.search("unknown node|conversion|no visitor", said, re.I)
    assert (out / "recbook.sty").is_file()


def test_colours_and_letters_of_drawings_are_those_of_the_light_page() -> None:
    svg = diagrams.for_print(
        '<svg width="9"><g fill="var(--rb-blue)" stroke="currentColor"/>'
        '<a href="page:x"><g b="var(--x, #123456)"/></a></svg>'
    )
    assert svg == (
        '<svg width="9" font-family="DejaVu Sans Condensed">'
        '<g fill="#0b62a3" stroke="#1c252c"/><g b="#123456"/></svg>'
    )
    figure = diagrams.for_print('<svg font-family="system-ui"><text/></svg>')
    assert figure == '<svg font-family="DejaVu Sans"><text/></svg>'


def test_long_columns_share_a_line() -> None:
    shares = printed.share([5, 120, 40], [5, 10, 10], 80)
    assert shares[0] == 50 and shares[1] > shares[2] > 100 and abs(sum(shares) - 800) <= 2
    assert printed.formula(r"\lvert\Omega_u\rvert") < printed.formula("abcdefgh")


# --- what is demanded of xelatex ----------------------------------------------------------------------------------


def test_a_log_tells_its_faults() -> None:
    log = """
Missing character: There is no ᵀ (U+1D40) in font [texgyrepagella-regular.otf]/OT:script=latn!
Missing character: There is no ᵀ (U+1D40) in font [texgyrepagella-regular.otf]/OT:script=latn!
LaTeX Warning: Reference `chapters/data:data' on page 3 undefined on input line 7.
LaTeX Warning: Hyper reference `equation:chapters/data:x' on page 3 undefined on input line 7.
Overfull \\hbox (44.16pt too wide) in paragraph at lines 12--13
Overfull \\hbox (3.2pt too wide) in paragraph at lines 14--15
LaTeX Font Warning: Font shape `TU/x/b/n' undefined
! Undefined control sequence.
Output written on recbook.pdf (401 pages, 3333 bytes).
"""
    assert pdf.faults(log) == [
        "! Undefined control sequence.",
        "no ᵀ (U+1D40) in [texgyrepagella-regular.otf (2 times)",
        "the reference chapters/data:data leads nowhere",
        "the reference equation:chapters/data:x leads nowhere",
        "44 pt too wide in paragraph at lines 12--13",
    ]
    assert pdf.pages(log) == 401
    assert pdf.faults("Output written on recbook.pdf (1 page).") == []


def test_what_is_missing_is_named_with_its_remedy(tmp_path: Path) -> None:
    env = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tasks.py"), "pdf"], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr and not done.stdout
    assert "xelatex" in done.stderr and "Noto Sans CJK SC" in done.stderr
    assert re.search(r"apt-get install .*fonts-noto-cjk .*latexmk .*texlive-xetex", done.stderr)


def signs() -> str:
    """Every sign beyond ASCII that the book's texts, programs and results have."""
    texts = [
        *ROOT.glob("chapters/*.*"),
        ROOT / "index.md",
        ROOT / "references.bib",
        ROOT / "book" / "sources.toml",
    ]
    texts += ROOT.glob("recbook/**/*.py")
    found: set[str] = set()
    for path in texts:
        text = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            text = "".join(strings(json.loads(text)["cells"]))
        found |= {sign for sign in text if ord(sign) > 127}
    return "".join(sorted(found - set("\u200b\ufeff\u00ad\n")))


def strings(value: object):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)


@pytest.mark.latex
def test_xelatex_sets_the_small_book_and_every_sign_without_a_fault(small) -> None:
    out, tex, _ = small
    every = " ".join(signs()).replace("%", r"\%")
    page = rf"\chapter{{Signs}} {every} \textbf{{{every}}} \textit{{{every}}} \sphinxcode{{\sphinxupquote{{{every}}}}}"
    # Links to chapters that the small book does not have are not its fault.
    (out / "signs.tex").write_text(
        tex.replace(r"\end{document}", f"{page}\n\\end{{document}}"), encoding="utf-8"
    )
    log = pdf.typeset(out, "signs")
    assert pdf.pages(log) > 5
    assert pdf.faults(log, wide=200) == []
