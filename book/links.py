"""Check the links of the built book.

    python book/links.py              every link to a page, a place in a page or a picture of the book; asks nobody
    python book/links.py --list       the addresses outside the book too, each with a page that links it
    python book/links.py --online     asks each of those addresses whether it is still there

Exit status 1 where a link is dead; each is named with its page. Standard library only.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GONE = (404, 410)  # other refusals may be meant for programs only


class Links(HTMLParser):
    """The places of a page that can be linked, and what the page links and shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = dict(attributes)
        self.ids |= {names[key] for key in ("id", "name") if names.get(key)}
        target = names.get({"a": "href", "img": "src"}.get(tag, ""))
        if target:
            self.targets.append(target)


def read_pages(html: Path) -> dict[Path, Links]:
    """Return every page of a built book, keyed by its resolved path."""
    return {path.resolve(): Links(path.read_text("utf-8")) for path in sorted(html.rglob("*.html"))}


def is_outer(target: str) -> bool:
    parts = urllib.parse.urlsplit(target)
    return bool(parts.scheme or parts.netloc)


def dead_links(html: Path, pages: dict[Path, Links]) -> tuple[list[str], int]:
    """Return the dead links within the book, each as "page: link", and how many links were followed."""
    dead, followed = [], 0
    for path, page in pages.items():
        for target in page.targets:
            if is_outer(target):
                continue
            followed += 1
            parts = urllib.parse.urlsplit(target)
            file = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            place = urllib.parse.unquote(parts.fragment)
            if not file.is_file() or (place and file in pages and place not in pages[file].ids):
                dead.append(f"{path.relative_to(html.resolve()).as_posix()}: {target}")
    return dead, followed


def outer_links(html: Path, pages: dict[Path, Links]) -> dict[str, str]:
    """Return the web addresses that the book links, without the place in a page, each with the first page."""
    found: dict[str, str] = {}
    for path, page in pages.items():
        for target in filter(is_outer, page.targets):
            address = urllib.parse.urldefrag(target).url
            if address.startswith(("http://", "https://")):
                found.setdefault(address, path.relative_to(html.resolve()).as_posix())
    return found


def ask(address: str, seconds: float = 20) -> str:
    """Return "ok", "gone" with the reason, or "unsure" with the reason, for one web address."""
    for method in ("HEAD", "GET"):  # some servers know no HEAD
        request = urllib.request.Request(address, method=method, headers={"User-Agent": "recbook linkcheck"})
        try:
            with urllib.request.urlopen(request, timeout=seconds):
                return "ok"
        except urllib.error.HTTPError as error:
            answer = f"{'gone' if error.code in GONE else 'unsure'}: {error.code} {error.reason}"
        except (OSError, ValueError) as error:
            return f"unsure: {error}"
    return answer


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check the links of the built book.")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--list", action="store_true", help="list the addresses outside the book")
    parser.add_argument("--online", action="store_true", help="ask those addresses too (needs a network)")
    options = parser.parse_args(arguments)
    if not (options.html / "index.html").is_file():
        print(f"no book in {options.html}: run make book", file=sys.stderr)
        return 1
    pages = read_pages(options.html)
    dead, followed = dead_links(options.html, pages)
    outer = outer_links(options.html, pages)
    print(
        f"{len(pages)} pages, {followed} links within the book, {len(dead)} dead; {len(outer)} addresses outside"
    )
    for line in dead:
        print(f"  dead    {line}")
    if options.list and not options.online:
        for address, page in sorted(outer.items()):
            print(f"  {address}  ({page})")
    gone = 0
    if options.online:
        with ThreadPoolExecutor(8) as pool:
            for (address, page), answer in zip(outer.items(), pool.map(ask, outer), strict=True):
                gone += answer.startswith("gone")
                if answer != "ok" or options.list:
                    print(f"  {answer}  {address}  ({page})")
        print(f"{gone} of {len(outer)} addresses outside are gone")
    return 1 if dead or gone else 0


if __name__ == "__main__":
    sys.exit(main())
