"""A chapter's text as plain Markdown: what JupyterLab and nbconvert can show, without MyST's roles and directives.

Glued values, citations, references, numbers of equations and of exercises are filled in; boxes and exercises become
HTML boxes; drawings become pictures. A `Form` says what else there may be where the text is read.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from book.ext.recbook_sphinx import ROOT
from book.ext.recbook_sphinx.diagrams import STATIC, description, for_print

from . import library

FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})(?:\{(?P<name>[\w-]+)\})?(?P<rest>.*)$")
ROLE = re.compile(r"\{(?P<role>[a-z:]+)\}`(?P<text>[^`]+)`")
NAMED = re.compile(r"(?P<text>.+?)\s*<(?P<target>[^>]+)>", re.S)
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\[]+)\]\((?P<target>[^)\s]+)\)")
# The boxes of the book: colours that JupyterLab has, and a class of our own for the slides.
COLOURS = {"mistakes": "danger", "work": "success"}


@dataclass(frozen=True)
class Form:
    """What plain text may use where it is read.

    address : from the label or the page that a link of the chapter names to what opens it; None drops the link
    cited : from a paper's key to its address; None leaves its name alone
    headed : whether an exercise is a section with a heading, which can be folded, and no box
    """

    address: Callable[[str, str], str | None] = lambda target, name: None
    cited: Callable[[str], str | None] = lambda key: None
    headed: bool = False


KIT = Form()  # of the workshop: notebooks and slides that may stand alone


class PlainError(ValueError):
    """Something in a text that cannot be said in plain Markdown; the message names it."""


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """Split a text into blocks (kind, lines): fence, target, heading, equation, list, table, quote, paragraph."""
    found: list[tuple[str, list[str]]] = []
    lines = text.split("\n")
    i = 0
    while i < len(lines):
        line = lines[i]
        opened = FENCE.match(line)
        if not line.strip():
            i += 1
            continue
        if opened:
            end = closing(lines, i, opened["fence"])
            kind = "fence"
        elif line.startswith("$$"):
            end = i
            while not re.search(r"\$\$[ \t]*(\([\w-]+\))?\s*$", lines[end][2 if end == i else 0 :]):
                end += 1
            kind = "equation"
        elif re.match(r"\([\w-]+\)=$", line):
            end, kind = i, "target"
        elif line.startswith("#"):
            end, kind = i, "heading"
        else:
            kind = kind_of(line)
            end = i
            while end + 1 < len(lines) and goes_on(kind, lines, end + 1):
                end += 1
        found.append((kind, [part for part in lines[i : end + 1]]))
        i = end + 1
    return found


def kind_of(line: str) -> str:
    if re.match(r"(- |\* |\d+\. )", line):
        return "list"
    return {"|": "table", ">": "quote"}.get(line[0], "paragraph")


def goes_on(kind: str, lines: list[str], i: int) -> bool:
    """Whether line i belongs to the block of this kind that the line before it belongs to."""
    line = lines[i]
    if kind == "list":  # items may hold paragraphs and formulas, which are indented
        ahead = next((later for later in lines[i:] if later.strip()), "")
        return bool(re.match(r"( {2,}\S|- |\* |\d+\. )", line if line.strip() else ahead)) or (
            bool(line.strip()) and not starts_block(line)
        )
    return bool(line.strip()) and not starts_block(line)


def starts_block(line: str) -> bool:
    return bool(FENCE.match(line)) or line.startswith(("$$", "#")) or bool(re.match(r"\([\w-]+\)=$", line))


def closing(lines: list[str], start: int, fence: str) -> int:
    """The line that ends the fence opened at `start`."""
    for i in range(start + 1, len(lines)):
        if lines[i].strip() == fence:
            return i
    raise PlainError(f"nothing ends the block that begins with {lines[start]!r}")


def directive(lines: list[str]) -> tuple[str | None, str, dict[str, str], str]:
    """Name, argument, options and body of a fenced block; the name is None for plain code."""
    opened = FENCE.match(lines[0])
    body = lines[1:-1]
    options = {}
    while opened["name"] and body and (option := re.match(r":([\w-]+):\s*(.*)$", body[0])):
        options[option[1]] = option[2].strip()
        body = body[1:]
    return opened["name"], opened["rest"].strip(), options, "\n".join(body).strip("\n")


def plain(text: str, name: str, form: Form = KIT) -> str:
    """The text of chapter `name` as plain Markdown."""
    return "\n\n".join(part for kind, lines in blocks(text) if (part := block(kind, lines, name, form)))


def block(kind: str, lines: list[str], name: str, form: Form = KIT) -> str:
    if kind == "fence":
        return fence(lines, name, form)
    if kind == "target":
        return ""
    if kind == "equation":
        return equation("\n".join(lines))
    return inline(library.EQUATION.sub(lambda match: equation(match[0]), "\n".join(lines)), name, form)


def equation(text: str) -> str:
    match = library.EQUATION.match(text)
    number = library.equation_numbers().get(match["label"])
    tag = f" \\tag{{{number}}}" if number else ""
    return f"$$ {match['body'].strip()}{tag} $$"


def fence(lines: list[str], name: str, form: Form = KIT) -> str:
    kind, argument, options, body = directive(lines)
    if kind is None:
        return "\n".join(lines)
    if kind == "admonition":
        about = options.get("class", "note").split()[0]
        return box(inline(argument, name, form), plain(body, name, form), about)
    if kind == "exercise":
        title = f"Exercise {library.exercise_numbers()[options['label']]}: {inline(argument, name, form)}"
        text = plain(body, name, form)
        return f"### {title}\n\n{text}" if form.headed else box(title, text, "exercise")
    if kind == "diagram":
        return picture(argument)
    if kind == "literalinclude":
        path = (ROOT / "chapters" / argument).resolve()
        return f"```{options.get('language', '')}\n{path.read_text('utf-8').rstrip()}\n```"
    raise PlainError(f"{name}: the directive {kind!r} has no plain form; give it one in {__name__}")


def box(title: str, body: str, about: str) -> str:
    colour = COLOURS.get(about, "info")
    return f'<div class="alert alert-block alert-{colour} rb-{about}">\n\n**{title}**\n\n{body}\n\n</div>'


def picture(name: str) -> str:
    svg = (STATIC / f"{name}.svg").read_text("utf-8")
    data = base64.b64encode(for_print(svg).encode()).decode()
    words = html.escape(description(svg), quote=True)
    return f'<img class="rb-diagram" alt="{words}" src="data:image/svg+xml;base64,{data}">'


def inline(text: str, name: str, form: Form = KIT) -> str:
    """Roles and links of a text without blocks; code in backticks stays."""
    text = LINK.sub(lambda match: link(match["text"], match["target"], name, form), text)
    return ROLE.sub(lambda match: role(match["role"], match["text"], name, form), text)


def role(kind: str, text: str, name: str, form: Form = KIT) -> str:
    if kind == "glue:text":
        values = library.glued(name)
        if text not in values:
            raise PlainError(f"{name}: nothing is glued under {text!r}")
        return values[text]
    if kind in ("cite:p", "cite:t"):
        return citation([key.strip() for key in text.split(",")], kind == "cite:t", form)
    if kind == "eq":
        return f"({library.equation_numbers()[text]})"
    if kind in ("ref", "doc"):
        if named := NAMED.fullmatch(text):
            return link(named["text"], named["target"], name, form)
        title = library.titles()[text] if kind == "ref" else library.chapter(text.rpartition("/")[2]).title
        return f"*{link(title, text, name, form)}*"
    raise PlainError(f"{name}: the role {kind!r} has no plain form; give it one in {__name__}")


def citation(keys: list[str], told: bool, form: Form) -> str:
    """Papers in a sentence, "Hug (2020)", or after it, "(Hug, 2020)"."""
    papers = [(library.papers()[key], form.cited(key)) for key in keys]
    if told:
        papers = [
            (f"{who} ({year})", to) for paper, to in papers for who, _, year in [paper.rpartition(", ")]
        ]
    named = [f"[{paper}]({to})" if to else paper for paper, to in papers]
    return ", ".join(named) if told else f"({'; '.join(named)})"


def link(text: str, target: str, name: str, form: Form = KIT) -> str:
    address = target if target.startswith("http") else form.address(target, name)
    return f"[{text}]({address})" if address else text
