"""What `make lab` opens: a notebook with the map of the book, and beside it a copy of every chapter to work in.

    python book/lab.py                      # writes _build/lab/start.ipynb, and the copies that are missing
    python book/lab.py --reset neighbors    # begins this copy anew, and keeps what the reader had of it

The map's notebook is made of _toc.yml and of what the chapters' notebooks say of themselves, and is made anew each
time. The copies are the reader's (book/copies.py).
"""

from __future__ import annotations

import argparse
import html
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [path for path in (str(ROOT),) if path not in sys.path]

from book import copies  # noqa: E402
from book.ext.recbook_sphinx import book_map  # noqa: E402
from book.ext.recbook_sphinx.diagrams import SVG  # noqa: E402

START = copies.FOLDER / "start.ipynb"
# JupyterLab's own colours, which follow its theme, for those of the book's pages.
THEME = {
    "text": "--jp-content-font-color1",
    "grey": "--jp-content-font-color2",
    "soft": "--jp-layout-color2",
    "blue": "--jp-content-link-color",
}
WELCOME = """\
# recbook

Every chapter is a notebook. An arrow leads from a chapter to what builds on it. **Click one**, here or in the table
below; new readers begin with [{title}]({first}).
"""
HOW = f"""\
## How to work with a chapter

- **The chapters here are your copies**, in the folder `_build/lab`. Change them as you like: they are kept when you
  close JupyterLab, when the book changes, and by `make clean`. To begin one anew, run
  `{copies.RESET.format("neighbors")}` in a terminal; your own version is put aside.
- **Begin** with *Run → Restart Kernel and Run All Cells…* (or the button with two arrows). On an idle machine with
  two cores a chapter takes less than a minute. You can read the chapters in any order, and none needs another to
  have run. Then change numbers and run single cells with Shift+Enter.
- **Frameworks**: code that depends on the framework stands twice, under **PyTorch** and under **Keras**. Read and run
  the one that you know. Where a framework is not installed, its cells are passed over.
- **Exercises** stand at the end. Put your answer in place of the `...` and run the cell: its check says *right*, or
  what went wrong. The hints unfold below each exercise, and the **solution** stands under a folded heading. Look at
  it when you have an answer of your own.
- **Code that draws** is folded; click on the three dots to read it.
- **A GPU** is used when you ask for it with `RECBOOK_GPU=1 make lab`. Without that, chapters compute on the
  processor, so that their numbers are the book's. The page *Running the book* says what changes.

This notebook is made anew whenever `make lab` runs, so keep notes in a file of your own.
"""
ASK = """\
## Is all there?

This cell looks at Python, the packages, both frameworks, threads, load, memory and data, and says what to do. It takes
some seconds.
"""


def file(page: str) -> str:
    """The copy of a chapter, seen from the notebook beside it."""
    return copies.path_of(page.rpartition("/")[2]).name


def picture() -> str:
    """The map as HTML for a notebook, in the colours of JupyterLab's theme.

    JupyterLab opens notebooks from links of HTML and stumbles over those inside a drawing: here they lie on top of it.
    """
    found = book_map.book()
    firsts = {
        part.pages[0]: own[0].page for part, own in found
    }  # a part's page is no notebook; its first chapter is
    svg = book_map.draw(found)
    _, _, width, height = map(float, ElementTree.fromstring(svg).get("viewBox").split())
    links = []
    for link in ElementTree.fromstring(svg).iter(f"{SVG}a"):
        page = link.get("href").removeprefix("page:")
        x, y, w, h = frame(link)
        place = (
            f"left:{x / width:.2%};top:{y / height:.2%};width:{w / width:.2%};height:{h / height:.2%};"
            "position:absolute;border-radius:8px"
        )
        words = html.escape(link.get("aria-label"))
        links.append(
            f'<a href="{file(firsts.get(page, page))}" title="{words}" aria-label="{words}" style="{place}"></a>'
        )
    drawn = re.sub(r"</?a\b[^>]*>", "", svg).replace('role="group"', 'role="img"', 1)
    for name, theirs in THEME.items():
        drawn = drawn.replace(f"var(--rb-{name}, ", f"var({theirs}, ")
    shape = "position:relative;max-width:1000px;min-width:700px;font-family:var(--jp-content-font-family,sans-serif)"
    return f'<div style="{shape}">{drawn}{"".join(links)}</div>'


def frame(link: ElementTree.Element) -> tuple[float, float, float, float]:
    """Left, top, width and height of a link of the map: its box, or the place of its words."""
    box = link.find(f"{SVG}rect")
    if box is not None:
        return tuple(float(box.get(key)) for key in ("x", "y", "width", "height"))
    first = link.find(f"{SVG}text")
    lines = len(link.findall(f"{SVG}text"))
    return 0, float(first.get("y")) - book_map.LINE, book_map.LABELS, (lines + 0.5) * book_map.LINE


def cell_safe(text: str) -> str:
    return text.replace("|", "\\|")


def table() -> str:
    """Every chapter with what one can do after it, in Markdown."""
    lines = []
    for part, own in book_map.book():
        lines += [
            f"### {part.caption}",
            "",
            "| Chapter | After it you can | Read | Run |",
            "|:--|:--|--:|--:|",
        ]
        for chapter in own:
            goals = "<br>".join(f"• {cell_safe(goal)}" for goal in chapter.goals)
            run = f"{chapter.run['seconds']}\u00a0s" if chapter.run else ""
            lines.append(
                f"| [{chapter.title}]({file(chapter.page)}) | {goals} | {chapter.minutes}\u00a0min | {run} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def notebook() -> dict:
    first = book_map.book()[0][1][0]
    shown = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": picture(), "text/plain": "The map of the chapters"},
    }
    cells = [
        markdown("welcome", WELCOME.format(title=first.title, first=file(first.page))),
        code("map", "from book import lab\n\nlab.show()", [shown], hidden=True),
        markdown("how", HOW),
        markdown("ask", ASK),
        code("doctor", 'import sys\n\n!"{sys.executable}" -m recbook.doctor'),
        markdown("chapters", f"## All chapters\n\n{table()}"),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def markdown(name: str, source: str) -> dict:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source.strip()}


def code(name: str, source: str, outputs: list | None = None, hidden: bool = False) -> dict:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {"jupyter": {"source_hidden": True}} if hidden else {},
        "source": source,
        "execution_count": None,
        "outputs": outputs or [],
    }


def show() -> None:
    """Draw the map in a notebook."""
    from IPython.display import HTML, display

    display(HTML(picture()))


def write(path: Path = START) -> Path:
    """Write the notebook, and note that it is to be trusted: JupyterLab shows no links of one that is not."""
    import nbformat
    from nbformat.sign import NotebookNotary

    made = nbformat.from_dict(notebook())
    nbformat.validate(made)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode("utf-8"))
    try:
        NotebookNotary().sign(made)
    except Exception as error:  # a home that cannot be written to: the table has the same links
        print(f"The map will open without links ({error}); the table below it has them.", file=sys.stderr)
    return path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write what `make lab` opens.")
    parser.add_argument(
        "--reset", nargs="+", metavar="CHAPTER", help="begin these copies anew, and do nothing else"
    )
    chosen = parser.parse_args(arguments)
    if chosen.reset:
        try:
            print(copies.reset(chosen.reset))
        except copies.UnknownChapter as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    if words := copies.refresh():
        print(words)
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
