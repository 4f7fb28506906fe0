"""The copies of the chapters that `make lab` opens: _build/lab/NAME.ipynb, for a reader to run, change and keep.

A copy is made where it is missing. It is made anew where its chapter has changed, unless the reader has changed it,
too: what a reader has written is never overwritten. `reset` begins one anew, and puts the reader's own aside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from book.ext.recbook_sphinx import ROOT
from book.workshop import library, notebooks

FOLDER = ROOT / "_build" / "lab"
RESET = 'make lab ARGS="--reset {}"'


class UnknownChapter(ValueError):
    """There is no chapter of this name; the message names those that there are."""


def path_of(name: str, folder: Path = FOLDER) -> Path:
    return folder / f"{name}.ipynb"


def fingerprint(notebook: dict) -> str:
    """Of what a reader can write: kinds and sources of the cells, not what running or folding them leaves."""
    cells = [(cell["cell_type"], library.text_of(cell)) for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def made(name: str) -> dict:
    """The copy of a chapter as it is before anybody has worked in it; it notes its own fingerprint."""
    notebook = notebooks.in_lab(name)
    notebook["metadata"]["recbook"] = {"chapter": name, "made": fingerprint(notebook)}
    return notebook


def as_json(notebook: dict) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def write(name: str, folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path_of(name, folder).with_suffix(".part")
    unfinished.write_text(as_json(made(name)), encoding="utf-8", newline="\n")
    unfinished.replace(path_of(name, folder))


def is_changed(path: Path) -> bool:
    """Whether a copy is no longer as it was made; so is one that cannot be read, or that says nothing of itself."""
    try:
        notebook = json.loads(path.read_text("utf-8"))
        return fingerprint(notebook) != notebook["metadata"]["recbook"]["made"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return True


def is_stale(path: Path, name: str) -> bool:
    """Whether a copy was made of another state of its chapter."""
    try:
        return json.loads(path.read_text("utf-8"))["metadata"]["recbook"]["made"] != fingerprint(made(name))
    except (ValueError, KeyError, TypeError):
        return True


def refresh(folder: Path = FOLDER) -> str:
    """Make what is missing, and anew what is stale and unchanged; return what to tell the reader, often nothing."""
    changed, behind = [], []
    for name in library.chapter_names():
        path = path_of(name, folder)
        if not path.is_file():
            write(name, folder)
        elif is_changed(path):
            changed.append(name)
            behind += [name] * is_stale(path, name)
        elif is_stale(path, name):
            write(name, folder)
    if not changed:
        return ""
    words = f"Your changes were kept in {', '.join(changed)}."
    if behind:
        words += f" The book has a newer version of {', '.join(behind)}."
    return f"{words} To begin one anew: {RESET.format((behind or changed)[0])}"


def reset(names: Iterable[str], folder: Path = FOLDER) -> str:
    """Make these copies anew, and put changed ones aside as NAME-1.ipynb, NAME-2.ipynb …; return what was done."""
    names = list(names)
    for name in names:
        if name not in library.chapter_names():
            raise UnknownChapter(
                f"There is no chapter {name}. There are: {', '.join(library.chapter_names())}."
            )
    lines = []
    for name in names:
        path = path_of(name, folder)
        aside = put_aside(path) if path.is_file() and is_changed(path) else None
        write(name, folder)
        lines.append(
            f"{name} is as in the book again" + (f"; your version is {aside.name}." if aside else ".")
        )
    return "\n".join([*lines, "Where one is open in JupyterLab: File, Reload Notebook from Disk."])


def put_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_stem(f"{path.stem}-{number}")).exists():
        number += 1
    return path.rename(aside)
