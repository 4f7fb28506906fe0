"""Fetch what the project does not keep but pins: MathJax for the pages, reveal.js for slides, axe-core for tests.

    python book/vendor.py            fetch MathJax into book/vendor/mathjax, unless it is there and whole
    python book/vendor.py --check    say whether it is there and whole; fetch nothing

So no page of the book asks another site. Two registries are tried: npm (`npm pack`), then pip (a wheel that carries
the same files). Each archive is pinned by its sha256, and the files chosen from it by one digest over all of them,
whichever way they came. Without either, a message says so and the book names the web's copy instead. Slides need
reveal.js and are not made without it (`python -m book.workshop`); the browser tests fetch axe-core by themselves, from
pip alone. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BOOK = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Archive:
    """A registry's archive: how its client names it, its file and sha256, and the folder in it that is ours."""

    spec: str
    file: str
    sha256: str
    prefix: str


@dataclass(frozen=True)
class Package:
    """Some files of a package, and where they go. `digest` is `tree_digest` of all of them."""

    name: str
    version: str
    home: Path
    wanted: tuple[str, ...]
    digest: str
    notice: str
    pip: Archive
    npm: Archive | None = None


MATHJAX = Package(
    name="MathJax",
    version="3.2.2",
    home=BOOK / "vendor" / "mathjax",
    # The page script, the fonts, extensions that it loads when a formula asks for one, and what its menu for readers
    # with a screen reader loads.
    wanted=(
        *("tex-chtml.js", "input/tex/extensions/", "output/chtml/fonts/"),
        *("a11y/", "sre/mathmaps/base.json", "sre/mathmaps/en.json"),
    ),
    digest="64f931a777fe08c9fe2f580b4158aeee8a304f665c98cb89242f4dacee0d756d",
    notice="MathJax 3.2.2, by The MathJax Consortium, under the Apache License 2.0:\n"
    "https://www.apache.org/licenses/LICENSE-2.0 · https://github.com/mathjax/MathJax\n"
    "A part of its files, unchanged.\n",
    npm=Archive(
        spec="mathjax@3.2.2",
        file="mathjax-3.2.2.tgz",
        sha256="1b9c0a1c44df864e915690558e72adb9cc5203360daefd385084ced3b6c64c09",
        prefix="package/es5/",
    ),
    pip=Archive(
        spec="sphinx-mathjax-offline==0.0.2",
        file="sphinx_mathjax_offline-0.0.2-py3-none-any.whl",
        sha256="206418155b2ff2f57496fb8501fdccae3da978e53031ff296c73729ba16062c4",
        prefix="sphinx-mathjax-offline/static/mathjax/",
    ),
)
REVEAL = Package(
    name="reveal.js",
    version="5.2.1",
    home=BOOK.parent / "_build" / "reveal",  # no part of the site: the workshop's slides take a copy
    wanted=("dist/reveal.js", "dist/reveal.css", "dist/reset.css", "plugin/notes/notes.js"),
    digest="6ff3012fe09e9a804b1a86e624986d78db3ef8556a275a26a83a76d93b18ff29",
    notice="reveal.js 5.2.1, by Hakim El Hattab, under the MIT licence:\n"
    "https://opensource.org/license/mit · https://github.com/hakimel/reveal.js\n"
    "A part of its files, unchanged.\n",
    npm=Archive(
        spec="reveal.js@5.2.1",
        file="reveal.js-5.2.1.tgz",
        sha256="359b575dd51bbda32f89b2fd4c7dc46ad7389a805572158916c29252f7a27333",
        prefix="package/",
    ),
    pip=Archive(
        spec="sphinx-revealjs==3.2.1",
        file="sphinx_revealjs-3.2.1-py3-none-any.whl",
        sha256="805bed3ca459346e0f01967d5ed1c40d6b7b917de1541e1e4566c8341fe7017b",
        prefix="sphinx_revealjs/_static/revealjs/",
    ),
)
# Not in requirements.txt: the wheel is taken for one file, and installing it would bring Playwright with it.
AXE = Package(
    name="axe-core",
    version="4.12.1",
    home=BOOK.parent / "_build" / "axe",  # outside book/vendor, which becomes a part of the site
    wanted=("axe.min.js",),
    digest="09f7ef42088049fa80e001533deac9c9410caab5a410e1b446fc3f42bb747183",
    notice="axe-core 4.12.1, by Deque Systems, under the Mozilla Public License 2.0:\n"
    "https://www.mozilla.org/MPL/2.0/ · https://github.com/dequelabs/axe-core\n"
    "Unchanged, from the Python package axe-playwright-python.\n",
    pip=Archive(
        spec="axe-playwright-python==0.1.8",
        file="axe_playwright_python-0.1.8-py3-none-any.whl",
        sha256="fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8",
        prefix="axe_playwright_python/",
    ),
)


class VendorError(RuntimeError):
    """A package could not be had this way; the message says why."""


def tree_digest(folder: Path, wanted: tuple[str, ...]) -> str:
    """Return one sha256 over the names and contents of all files wanted in `folder`; "" when it is not there."""
    if not folder.is_dir():
        return ""
    total = hashlib.sha256()
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    for name in names:
        if name.startswith(wanted):
            total.update(f"{name} {hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def is_whole(package: Package) -> bool:
    return tree_digest(package.home, package.wanted) == package.digest


def check_archive(path: Path, sha256: str) -> Path:
    if not path.is_file():
        raise VendorError(f"the registry sent no {path.name}")
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != sha256:
        raise VendorError(f"{path.name} has sha256 {got}, not the pinned {sha256}: it is not used")
    return path


def call(command: list[str], folder: Path) -> None:
    """Run a registry's client in `folder`; its error becomes ours."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VendorError(f"{command[0]}: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise VendorError(f"{Path(command[0]).name} failed: {last}")


def from_npm(archive: Archive, folder: Path) -> Iterator[tuple[str, bytes]]:
    npm = shutil.which("npm")
    if npm is None:
        raise VendorError("npm is not installed")
    call([npm, "pack", archive.spec], folder)
    with tarfile.open(check_archive(folder / archive.file, archive.sha256)) as files:
        for member in files:
            if member.isfile():
                yield member.name.removeprefix(archive.prefix), files.extractfile(member).read()


def from_pip(archive: Archive, folder: Path) -> Iterator[tuple[str, bytes]]:
    call([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
          "--dest", str(folder), archive.spec], folder)  # fmt: skip
    with zipfile.ZipFile(check_archive(folder / archive.file, archive.sha256)) as files:
        for name in files.namelist():
            if not name.endswith("/"):
                yield name.removeprefix(archive.prefix), files.read(name)


def unpack(files: Iterator[tuple[str, bytes]], package: Package, target: Path) -> None:
    for name, data in files:
        if name.startswith(package.wanted) and ".." not in Path(name).parts:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (target / "NOTICE.txt").write_text(package.notice, encoding="utf-8")


def fetch(package: Package) -> str:
    """Fetch a package from the first registry that has it, and put it in place in one step. Returns where from."""
    home = package.home
    home.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for name, source, archive in (("npm", from_npm, package.npm), ("pip", from_pip, package.pip)):
        if archive is None:
            continue
        with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as temporary:
            fresh = Path(temporary) / home.name
            fresh.mkdir()
            try:
                unpack(source(archive, Path(temporary)), package, fresh)
            except VendorError as error:
                reasons.append(f"{name}: {error}")
                continue
            if tree_digest(fresh, package.wanted) != package.digest:
                reasons.append(f"{name}: the files differ from the pinned ones")
                continue
            if home.exists():
                os.replace(home, Path(temporary) / "old")
            os.replace(fresh, home)
            return name
    raise VendorError("; ".join(reasons))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Fetch MathJax for the book.")
    parser.add_argument(
        "--check", action="store_true", help="fetch nothing; exit 1 if it is not there and whole"
    )
    options = parser.parse_args(arguments)
    if is_whole(MATHJAX):
        print(f"MathJax {MATHJAX.version}: already in {MATHJAX.home}")
        return 0
    if options.check:
        print(f"MathJax {MATHJAX.version}: missing or damaged in {MATHJAX.home}; run: python book/vendor.py")
        return 1
    try:
        name = fetch(MATHJAX)
    except VendorError as error:
        print(
            f"MathJax {MATHJAX.version} could not be fetched ({error}).\n"
            "The book will name the web's copy: formulas then need a network. To mend it, make npm or pip work "
            "and run: python book/vendor.py",
            file=sys.stderr,
        )
        if MATHJAX.home.exists() and not is_whole(MATHJAX):
            shutil.rmtree(MATHJAX.home)  # damaged: the web's copy is better
        return 0
    print(f"MathJax {MATHJAX.version}: fetched with {name} into {MATHJAX.home}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
