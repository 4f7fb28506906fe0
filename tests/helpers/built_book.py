"""The built book, as the browser tests need it: built anew where it is missing or older than what it is made of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from book import shots
from book.ext.recbook_sphinx.site import STAMP

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
PAGES = shots.toc_pages(ROOT / "_toc.yml")
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"  # as its own command does; `-m` runs nothing
TABBED = "chapters/neighbors"  # a page with tabs, formulas, folded boxes and figures


def sources() -> Iterator[Path]:
    yield from (ROOT / name for name in ("_config.yml", "_toc.yml", "index.md", "references.bib"))
    for folder, patterns in (
        ("chapters", "*.md *.ipynb"),
        ("book", "ext/**/*.* static/*.* inventory/*.* quizzes/*.* workshop/*.* *.toml vendor.py"),
        ("recbook", "**/*.py"),
        ("tests", "**/*.py"),
    ):
        for pattern in patterns.split():
            yield from (ROOT / folder).glob(pattern)


def is_stale() -> bool:
    """Whether the site is missing, or older than something that it is made of."""
    stamp = HTML / STAMP
    if not stamp.is_file():
        return True
    built = stamp.stat().st_mtime
    return any(
        path.stat().st_mtime > built
        for path in sources()
        if path.is_file() and "__pycache__" not in path.parts
    )


def build() -> None:
    """Build the site if it is stale. Of several test workers one builds, and the others wait."""
    HTML.parent.mkdir(exist_ok=True)
    with FileLock(HTML.parent / "build.lock", timeout=1800):
        if not is_stale():
            return
        for command in (
            [sys.executable, "book/vendor.py"],
            [sys.executable, "-c", JUPYTER_BOOK, "build", ".", "-W", "-n", "--keep-going"],
        ):
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=900
            )
            lines = (done.stdout + done.stderr).splitlines()
            told = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-20:]
            assert done.returncode == 0, "the book does not build:\n" + "\n".join(told)
