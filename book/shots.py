"""Take pictures of the built book's pages, light and dark, wide and narrow.

    python book/shots.py [page ...] [--out _build/shots] [--widths 390 820 1440]

A page is named as in _toc.yml (chapters/neighbors); without names, all pages of the book are taken. A long page
becomes several pictures: chapters-neighbors-1440-light-1.png, -2.png and so on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import browser  # noqa: E402  (after the path is set: this file is run, not imported)


def toc_pages(toc: Path) -> list[str]:
    """Return the pages of _toc.yml in order, without asking for a YAML package."""
    pages = []
    for line in toc.read_text("utf-8").splitlines():
        key, _, value = line.strip().removeprefix("- ").partition(": ")
        if key in ("root", "file"):
            pages.append(value.strip())
    return pages


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="pages, as in _toc.yml (default: all)")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "shots")
    parser.add_argument("--widths", type=int, nargs="+", default=[390, 820, 1440])
    options = parser.parse_args(arguments)
    why = browser.missing()
    if why is None and not (options.html / "index.html").is_file():
        why = f"no book in {options.html}: run make book"
    if why:
        print(f"no pictures: {why}", file=sys.stderr)
        return 1
    pages = [page.removesuffix(".html") for page in options.pages] or toc_pages(ROOT / "_toc.yml")
    unknown = [page for page in pages if not (options.html / f"{page}.html").is_file()]
    if unknown:
        print(f"no such page in {options.html}: {', '.join(unknown)}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with browser.serve(options.html) as address, browser.open_browser() as window:
        for page in pages:
            for width in options.widths:
                for theme in ("light", "dark"):
                    window.look(width, 900, dark=theme == "dark")
                    window.open(f"{address}/{page}.html")
                    for path in window.screenshots(options.out, f"{page.replace('/', '-')}-{width}-{theme}"):
                        print(path, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
