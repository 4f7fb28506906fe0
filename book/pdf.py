"""Make the book as one PDF: Sphinx writes LaTeX, xelatex sets it, and its log must be clean.

    python book/pdf.py              _build/pdf/recbook.pdf
    python book/pdf.py --missing    name what this machine lacks for it; make nothing

It ends with an error, and names the places, where a character has no letter in any font, a reference leads nowhere, or
something stands out of the page. Standard library only: what is missing can be told before anything is installed.
"""

from __future__ import annotations

import argparse
import ctypes.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "_build" / "pdf"
RESULT = FOLDER / "recbook.pdf"
STEM = "recbook"  # of the file that latex.py names
WIDE = 15  # points that a line may stand out into the margin: 5 mm, half of what code stands out by

# What is asked for, and the Debian package that has it.
PROGRAMS = {
    "xelatex": "texlive-xetex",
    "latexmk": "latexmk",
    "xindy": "xindy",
    "kpsewhich": "texlive-binaries",
}
FILES = {
    "cmap.sty": "texlive-latex-recommended",
    "polyglossia.sty": "texlive-latex-recommended",
    "unicode-math.sty": "texlive-latex-recommended",
    "tcolorbox.sty": "texlive-latex-extra",
    "titlesec.sty": "texlive-latex-extra",
    "tabulary.sty": "texlive-latex-extra",
    "pzdr.tfm": "texlive-fonts-recommended",
    "texgyrepagella-regular.otf": "fonts-texgyre",
    "texgyrepagella-math.otf": "fonts-texgyre-math",
    "DejaVuSansMono.ttf": "fonts-dejavu-core",
    "DejaVuSansMono-Oblique.ttf": "fonts-dejavu-extra",
}
CHINESE = ("Noto Sans CJK SC", "fonts-noto-cjk")


class PdfError(Exception):
    """The PDF could not be made; the message says what to do."""


def lacking() -> dict[str, str]:
    """What is not on this machine, each with the Debian package that has it."""
    found = {name: package for name, package in PROGRAMS.items() if not shutil.which(name)}
    if not ctypes.util.find_library("cairo"):
        found["libcairo"] = "libcairo2"  # cairosvg draws with it
    if "kpsewhich" in found:
        return found | FILES | dict([CHINESE])
    answer = subprocess.run(["kpsewhich", *FILES], capture_output=True, text=True).stdout
    there = {Path(line).name for line in answer.splitlines()}
    found |= {name: package for name, package in FILES.items() if name not in there}
    name, package = CHINESE
    if shutil.which("fc-list"):
        fonts = subprocess.run(["fc-list", name], capture_output=True, text=True, errors="replace").stdout
        if not fonts.strip():
            found[name] = package
    return found


def missing() -> str:
    """What is lacking and how to get it, in words; empty when all is there."""
    found = lacking()
    if not found:
        return ""
    packages = " ".join(sorted(set(found.values()) - {"texlive-binaries"} or {"texlive-xetex"}))
    return (
        f"The PDF needs what is not on this machine: {', '.join(found)}.\n"
        f"On Debian and Ubuntu:  apt-get install --no-install-recommends {packages}\n"
        "Elsewhere: TeX Live (MacTeX, MiKTeX) with xelatex, latexmk and xindy, and the fonts TeX Gyre, DejaVu and "
        "Noto Sans CJK SC."
    )


def faults(log: str, wide: float = WIDE) -> list[str]:
    """What a log of xelatex has to say against the book: each kind of fault once, with how often it was seen."""
    found = []
    for pattern, words in (
        (r"^! .*", "{}"),
        (
            r"Missing character: There is no (.) \(U\+([0-9A-F]+)\) in font ([^\[/\s]*\[?[\w.-]+)",
            "no {} (U+{}) in {}",
        ),
        (r"(?:Reference|Hyper reference) `([^']*)' on page \S+ undefined", "the reference {} leads nowhere"),
        (r"Citation `([^']*)' on page \S+ undefined", "the citation {} leads nowhere"),
    ):
        for match in re.finditer(pattern, log, re.M):
            found.append(words.format(*(match.groups() or (match[0],))))
    for match in re.finditer(r"Overfull \\hbox \(([\d.]+)pt too wide\) (.*)", log):
        if float(match[1]) > wide:
            found.append(f"{float(match[1]):.0f} pt too wide {match[2].strip()}")
    return [
        f"{text} ({found.count(text)} times)" if found.count(text) > 1 else text
        for text in dict.fromkeys(found)
    ]


def pages(log: str) -> int:
    match = re.findall(r"Output written on \S+ \((\d+) pages", log)
    return int(match[-1]) if match else 0


def write_latex() -> Path:
    """Let Sphinx write the book as LaTeX; returns the folder."""
    run = "from jupyter_book.cli.main import main; main()"  # its module cannot be run by itself
    command = [sys.executable, "-c", run, "build", str(ROOT), "-W", "-n", "--keep-going"]
    command += ["--builder", "latex", "--path-output", str(FOLDER)]
    folder = FOLDER / "_build" / "latex"
    shutil.rmtree(folder, ignore_errors=True)  # so that nothing of an older book is set
    if subprocess.run(command, cwd=ROOT).returncode:
        raise PdfError("The book could not be written as LaTeX; the lines above say why.")
    return folder


def typeset(folder: Path, stem: str = STEM) -> str:
    """Run xelatex and xindy as often as the references need; returns the log of the last run."""
    log = folder / f"{stem}.log"
    log.unlink(missing_ok=True)
    command = ["latexmk", "-pdfxe", "-dvi-", "-ps-", "-silent", "-interaction=nonstopmode", f"{stem}.tex"]
    env = {
        **os.environ,
        "max_print_line": "10000",  # lines of the log as they are, not cut after 79 bytes
        "LATEXOPTS": "",
        "XINDYOPTS": "-L english -C utf8 -M sphinx.xdy",  # as Sphinx' own Makefile calls it
    }
    with (folder / "latexmk.log").open("w", encoding="utf-8") as said:
        status = subprocess.run(
            command, cwd=folder, env=env, stdout=said, stderr=subprocess.STDOUT
        ).returncode
    text = log.read_text("utf-8", errors="replace") if log.is_file() else ""
    if status:
        told = [fault for fault in faults(text) if fault.startswith("!")] or ["an error of the tools"]
        raise PdfError(
            "xelatex did not set the book:\n  " + "\n  ".join(told) + f"\nSee {log} and {said.name}."
        )
    return text


def make() -> None:
    started = time.monotonic()
    folder = write_latex()
    print("\nxelatex sets the book, three or four times over: some minutes …", flush=True)
    log = typeset(folder)
    RESULT.unlink(missing_ok=True)
    if found := faults(log):
        raise PdfError(
            f"The book was set, but not as it should be ({folder / STEM}.log):\n  " + "\n  ".join(found[:40])
        )
    shutil.copyfile(folder / f"{STEM}.pdf", RESULT)
    print(
        f"\nThe PDF stands ({time.monotonic() - started:.0f} s): {RESULT}\n"
        f"{pages(log)} pages, {RESULT.stat().st_size / 1e6:.1f} MB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the book as one PDF.")
    parser.add_argument("--missing", action="store_true", help="say what is missing; make nothing")
    arguments = parser.parse_args()
    try:
        if words := missing():
            raise PdfError(words)
        if not arguments.missing:
            make()
    except PdfError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
