"""Turn the package's docstrings, which are plain text, into what autodoc expects.

The house style: paragraphs; lines "name : meaning" with a hanging indent; headings underlined with dashes
(Raises) over terms with indented text; indented paragraphs are listings; `code` in single backticks; "equation
(label)", or the label of a second one in brackets, for an equation of a chapter; "Resnick et al. 1994" for a paper.
"""

from __future__ import annotations

import re
import textwrap
from functools import cache

from pybtex.database import parse_file
from sphinx.application import Sphinx

from . import ROOT
from .names import sections_of_equations

ITEM = re.compile(r"^(\w[\w.]*(?:, \w[\w.]*)*) : (.*)$")
SEVERAL = re.compile(
    r"; +(?=\w[\w.]*(?:, \w[\w.]*)* : )"
)  # items on one line: "k : at most;  min_k : at least"
CODE = re.compile(r"(`[^`]+`)")
EQUATION = r"(?P<equation>(?:equation )?)\((?P<label>[a-z]+-[a-z][\w-]*)\)"
OTHERS = r"(?: et al\.|(?:, [A-Z][\w-]+)*,? (?:and|&) [A-Z][\w-]+)?"
PAPER = rf"(?P<who>[A-Z][\w-]+){OTHERS},? (?:[A-Z]{{3,7}} )?(?P<year>(?:19|20)\d\d)"
LINKED = re.compile(f"{EQUATION}|{PAPER}")


def blocks(lines: list[str]) -> list[tuple[str, str, str]]:
    """Split a docstring into blocks (kind, term, words); kind is text, item, heading or code."""
    found: list[list[str]] = []
    fresh = True  # the next line begins a paragraph
    terms = False  # under a heading: lines at the margin are terms
    i = 0
    while i < len(lines):
        line, after = lines[i].rstrip(), lines[i + 1].strip() if i + 1 < len(lines) else ""
        item = ITEM.match(line)
        if not line:
            fresh = True
        elif len(after) > 2 and set(after) == {"-"}:
            found.append(["heading", line.strip(), ""])
            terms, fresh = True, True
            i += 1
        elif fresh and not terms and line.startswith((" ", ">>>")):
            found.append(["code", "", line])
            fresh = False
        elif not fresh and found[-1][0] == "code":
            found[-1][2] += "\n" + line
        elif item:
            for part in SEVERAL.split(line):
                name, _, words = part.partition(" : ")
                found.append(["item", name, words])
            fresh = False
        elif terms and not line.startswith(" "):
            if fresh and found[-1][0] == "item":  # a paragraph after the list ends the section
                found.append(["text", "", line])
                terms = False
            else:
                found.append(["item", line, ""])
            fresh = False
        elif fresh or not found or (found[-1][0] == "item" and not line.startswith(" ")):
            found.append(["text", "", line.strip()])
            fresh = False
        else:
            found[-1][2] = f"{found[-1][2]} {line.strip()}".strip()
        i += 1
    return [tuple(block) for block in found]


def escaped(text: str) -> str:
    return re.sub(r"([\\*|_])", r"\\\1", text)


def link_of(match: re.Match) -> str | None:
    """A role for what was found; None for what is no equation and no paper of the book."""
    if match["label"]:
        # Without the word before it, it may be any word in brackets.
        known = match["equation"] or match["label"] in sections_of_equations()
        return f"{match['equation']}:eq:`{match['label']}`" if known else None
    keys = papers().get((match["who"], match["year"]), [])
    return f":cite:alp:`{keys[0]}`" if len(keys) == 1 else None


@cache
def papers() -> dict[tuple[str, str], list[str]]:
    """(first author's last name, year) → keys of the bibliography"""
    found: dict[tuple[str, str], list[str]] = {}
    for key, entry in parse_file(str(ROOT / "references.bib")).entries.items():
        first = entry.persons["author"][0]
        found.setdefault((" ".join(first.last_names), entry.fields["year"]), []).append(key)
    return found


def markup(text: str) -> str:
    """Escape what reStructuredText would read as its own, and set `code` and equations."""
    out = []
    for piece in CODE.split(text):
        if CODE.fullmatch(piece):
            out.append(f"`{piece}`")
            continue
        last = 0
        for match in LINKED.finditer(piece):
            if link := link_of(match):
                out += [escaped(piece[last : match.start()]), link]
                last = match.end()
        out.append(escaped(piece[last:]))
    return "".join(out)


def to_rst(lines: list[str]) -> list[str]:
    """Return the docstring as reStructuredText."""
    out: list[str] = []
    before = ""
    for kind, term, words in blocks(lines):
        if not (kind == before == "item"):
            out.append("")
        if kind == "text":
            out.append(markup(words))
        elif kind == "heading":
            out += [f".. rubric:: {markup(term)}"]
        elif kind == "code":
            language = "python" if words.startswith(">>>") else "text"
            out += [
                f".. code-block:: {language}",
                "",
                *(f"   {line}" for line in textwrap.dedent(words).splitlines()),
            ]
        else:
            names = ", ".join(f"``{name}``" for name in term.split(", "))
            out += [names, f"   {markup(words) or '…'}"]
        before = kind
    return [*out, ""]


def process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    if name.startswith("recbook"):
        lines[:] = to_rst(lines)


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", process)
