"""A course as slides: the cells with the tag `slide` of its sections, cut to what fits, with the whole text as notes.

On a slide stand headings, formulas, tables, lists, boxes, drawings, code and outputs as they are in the chapter. Of a
paragraph stand its first sentence, what is bold, and what leads to a formula; the speaker's notes have all of it.
"""

from __future__ import annotations

import base64
import copy
import html
import math
import re
from dataclasses import dataclass, field

from book.ext.recbook_sphinx.quizzes import LETTERS, VERDICTS, read_quiz

from . import exercises, library, timing
from .library import tags_of, text_of
from .plain import directive, inline, kind_of, plain
from .plain import block as plain_block
from .routes import Block, Route

LINES = 15  # of a slide's text
WIDTH = 88  # characters of such a line
CODE_LINES = 24  # more do not fit at a size that the last row can read
LABELS = {"torch": "PyTorch", "keras": "Keras"}
SUMMARY = "summary"
LEFT_OUT = {"published"}  # boxes that are for reading
OWN = re.compile(r"\$\$.*?\$\$|\$[^$]+\$|`[^`]*`|\{[a-z:]+\}`[^`]*`", re.S)
END = re.compile(r"(?<=[.?!:])(?P<closing>[*\"”)]*)\s+(?=[A-Z*\"“(\[{0-9\x00])")


@dataclass
class Slide:
    """text : Markdown below the title;  cell : a code cell below that;  part : of how many this is which"""

    title: str
    text: str = ""
    cell: dict | None = None
    notes: str = ""
    kind: str = "text"
    framework: str = ""
    minutes: float = 0.0
    part: tuple[int, int] = field(default=(1, 1))


# --- which parts of a chapter ---------------------------------------------------------------------------------


@dataclass
class Piece:
    """A stretch of a tagged cell under its section; parent : the section of level 2 that it stands in"""

    key: str
    parent: str
    title: str
    level: int
    blocks: list[tuple[str, list[str]]] = field(default_factory=list)
    cell: dict | None = None


def pieces(name: str) -> list[Piece]:
    """All that is tagged in a chapter, in order."""
    found = []
    key, parent, title = timing.START, timing.START, library.chapter(name).title
    above = {key: (parent, title)}
    for cell in library.notebook(name)["cells"]:
        shown = "slide" in tags_of(cell)
        if cell["cell_type"] != "markdown":
            if shown:
                found.append(Piece(key, parent, title, 0, cell=cell))
            continue
        for part in timing.parts(text_of(cell), key):
            if part.level:
                parent = parent if part.level > 2 else part.key
                above[part.key] = (parent, part.title)
            key = part.key
            parent, title = above[key]
            if shown:
                found.append(Piece(key, parent, title, part.level, part.blocks))
    return found


def section_keys(name: str) -> set[str]:
    return {key for piece in pieces(name) for key in (piece.key, piece.parent)}


def chosen(piece: Piece, block: Block) -> bool:
    if piece.key in (timing.START, SUMMARY):
        return True
    if "exercises" in piece.key:
        return False
    return not block.sections or bool({piece.key, piece.parent} & set(block.sections))


# --- text -----------------------------------------------------------------------------------------------------


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph, but never within a formula, code or a role."""
    kept: list[str] = []

    def away(match: re.Match) -> str:
        kept.append(match[0])
        return f"\x00{len(kept) - 1}\x00"

    def back(text: str) -> str:
        return re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match[1])], text)

    covered = OWN.sub(away, " ".join(paragraph.split()))
    cut = END.sub(lambda match: match["closing"] + "\n", covered)
    return [back(one) for one in cut.split("\n") if one.strip()]


def shortened(paragraph: str, leads_on: bool) -> str:
    """What of a paragraph a slide shows. leads_on : a formula, a list or code comes right after it"""
    found = sentences(paragraph)
    if len(paragraph.split()) <= 26:
        return " ".join(found)
    last = len(found) - 1
    keep = [
        one
        for number, one in enumerate(found)
        if number == 0 or "**" in one or (number == last and (leads_on or one.endswith((":", "?"))))
    ]
    return balanced(" ".join(keep))


def balanced(text: str) -> str:
    """A text without a bold mark that nothing closes."""
    return text if text.count("**") % 2 == 0 else text.replace("**", "")


def short_list(lines: list[str]) -> str:
    """Each item with its first sentence, and its bold words."""
    items: list[list[str]] = []
    for line in lines:
        if kind_of(line or " ") == "list":
            items.append([line])
        elif items:
            items[-1].append(line.strip())
    out = []
    for item in items:
        mark, _, text = " ".join(" ".join(item).split()).partition(" ")
        found = sentences(text)
        short = found[0]
        if len(found) > 1 and len(short.split()) < 9:  # "**Names from nowhere.** …"
            short = f"{short} {found[1]}"
        out.append(f"{mark} {balanced(short)}")
    return "\n".join(out)


def shown(kind: str, lines: list[str], leads_on: bool, name: str) -> str:
    """A block as its slide shows it, in plain Markdown; empty where it is for reading only."""
    if kind == "paragraph":
        return plain_block(kind, [shortened("\n".join(lines), leads_on)], name)
    if kind == "list":
        return plain_block(kind, short_list(lines).split("\n"), name)
    if kind == "fence":
        about, title, options, body = directive(lines)
        if about == "exercise" or about == "literalinclude":
            return ""
        if about == "admonition":
            if set(options.get("class", "").split()) & LEFT_OUT:
                return ""
            kinds = [(one, part) for one, part in box_blocks(body)]
            inner = "\n\n".join(
                text for number, (one, part) in enumerate(kinds)
                if (text := shown(one, part, number + 1 < len(kinds), name))
            )
            return plain_box(title, inner, options, name)
    return plain_block(kind, lines, name)


def box_blocks(body: str) -> list[tuple[str, list[str]]]:
    from .plain import blocks

    return blocks(body)


def plain_box(title: str, inner: str, options: dict, name: str) -> str:
    from .plain import box

    return box(inline(title, name), inner, options.get("class", "note").split()[0])


def lines_of(text: str) -> float:
    """About how many lines a block of plain Markdown takes on a slide."""
    if "rb-diagram" in text:
        return LINES
    if text.startswith("$$"):
        rows = text.count("\\\\") + text.count("\n") / 3 + 1
        return (2.4 if "frac" in text or "sum" in text else 1.7) * rows + 0.4
    total = 0.5
    for line in text.split("\n"):
        if line.startswith("<div"):
            total += 1.2
        elif line.startswith("|"):
            total += 1.25 if len(line) < 110 else 2.2
        elif line.strip() and not line.startswith("</div"):
            length = len(re.sub(r"\\[a-zA-Z]+|[{}$]", "", line))
            total += 1.15 * max(1, math.ceil(length / WIDTH))
    return total


def paged(texts: list[str]) -> list[list[str]]:
    """Blocks, page by page."""
    pages: list[list[str]] = []
    room = 0.0
    for text in texts:
        if not pages or lines_of(text) > room:
            pages.append([])
            room = LINES
        pages[-1].append(text)
        room -= lines_of(text)
    return pages


def text_slides(piece: Piece, name: str) -> list[Slide]:
    notes = "\n\n".join(part for kind, lines in piece.blocks if (part := plain_block(kind, lines, name)))
    follows = [kind for kind, _ in piece.blocks[1:]] + ["end"]
    texts = [
        text
        for (kind, lines), after in zip(piece.blocks, follows, strict=True)
        if (text := shown(kind, lines, after in ("equation", "list", "table", "fence", "end"), name))
    ]
    words = sum(len(" ".join(lines).split()) for _, lines in piece.blocks if kind_shown(lines))
    pages = paged(texts)
    return [
        Slide(piece.title, "\n\n".join(page), notes=notes if number == 1 else "", minutes=words / timing.WORDS_TOLD / len(pages),
              part=(number, len(pages)))
        for number, page in enumerate(pages, start=1)
    ]  # fmt: skip


def kind_shown(lines: list[str]) -> bool:
    """Whether a block is told: boxes that are for reading are not."""
    name, _, options, _ = directive(lines) if lines[0].startswith(("```{", ":::")) else (None, "", {}, "")
    return name not in ("exercise", "literalinclude") and not set(options.get("class", "").split()) & LEFT_OUT


# --- code -----------------------------------------------------------------------------------------------------


def code_slides(piece: Piece) -> list[Slide]:
    """Source and outputs on one slide, or on two, or the outputs alone where the page folds the source."""
    cell = copy.deepcopy(piece.cell)
    framework = next((one for one in LABELS if one in tags_of(cell)), "")
    outputs = [one for one in map(for_slide, cell["outputs"]) if one]
    source = [] if "hide-input" in tags_of(cell) or listing(outputs) else text_of(cell).split("\n")
    height = sum(map(output_lines, outputs))
    base = {"title": piece.title, "framework": framework, "kind": "code"}
    if source and outputs and len(source) + height > CODE_LINES:
        return [
            Slide(cell=code_cell(cell, True, []), minutes=timing.MINUTES_A_CELL / 2, part=(1, 2), **base),
            Slide(cell=code_cell(cell, False, outputs), minutes=timing.MINUTES_A_CELL / 2, part=(2, 2), **base),
        ]
    if not source and not outputs:
        return []
    return [Slide(cell=code_cell(cell, bool(source), outputs), minutes=timing.MINUTES_A_CELL, **base)]


def listing(outputs: list[dict]) -> bool:
    """Whether the outputs are source code of the package: then the call that shows it is of no interest."""
    return bool(outputs) and all("text/markdown" in one.get("data", {}) for one in outputs)


def code_cell(cell: dict, source: bool, outputs: list[dict]) -> dict:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {} if source else {"transient": {"remove_source": True}},
        "source": text_of(cell),
        "outputs": outputs,
    }


def for_slide(output: dict) -> dict | None:
    """An output as a slide can show it; None for what a page does not show."""
    if output["output_type"] == "stream":
        return output
    data = output.get("data", {})
    if any(kind.startswith("application/papermill") for kind in data):
        return None
    words = html.escape("".join(data.get("text/plain", "")), quote=True)
    for kind, coded in (("image/svg+xml", False), ("image/png", True)):
        if kind in data:
            raw = "".join(data[kind])
            code = raw.strip() if coded else base64.b64encode(raw.encode()).decode()
            picture = f'<img alt="{words}" src="data:{kind};base64,{code}">'
            return {"output_type": "display_data", "metadata": {}, "data": {"text/html": picture}}
    best = next((kind for kind in ("text/html", "text/markdown", "text/plain") if kind in data), None)
    return {"output_type": "display_data", "metadata": {}, "data": {best: "".join(data[best])}} if best else None


def output_lines(output: dict) -> int:
    if output["output_type"] == "stream":
        return "".join(output["text"]).count("\n") + 1
    (text,) = output["data"].values()
    return CODE_LINES if "<img " in text else text.count("<tr") * 2 or text.count("\n") + 1


# --- a course -------------------------------------------------------------------------------------------------


def of_block(block: Block) -> list[list[Slide]]:
    """The slides of a stretch of a course, in groups: each group is a column of the deck."""
    if block.pause:
        return [[Slide(block.words or "Break", f"{block.pause} minutes", kind="break", minutes=block.pause)]]
    name = block.chapter
    groups: list[list[Slide]] = [[]]
    last = timing.START
    for piece in pieces(name):
        if piece.key == SUMMARY or not chosen(piece, block):
            continue
        if piece.parent != last:
            groups.append([])
            last = piece.parent
        groups[-1] += code_slides(piece) if piece.cell else text_slides(piece, name)
    if groups[0]:
        groups[0][0].kind = "chapter"
    asked = {one.label: one for one in exercises.of_chapter(name)}
    if block.quiz:
        groups.append(quiz_slides(name))
    groups += [[exercise_slide(asked[label])] for label in block.exercises]
    end = [slide for piece in pieces(name) if piece.key == SUMMARY for slide in text_slides(piece, name)]
    return [group for group in (*groups, end) if group]


def quiz_slides(name: str) -> list[Slide]:
    found = []
    for number, question in enumerate(read_quiz(name), start=1):
        lines = [
            f"- **{letter})** {inline(choice.says, name)}"
            for letter, choice in zip(LETTERS, question.choices, strict=False)
        ]
        ask = f"**{inline(question.ask, name)}**\n\n"
        why = "\n".join(
            f"- **{letter})** *{VERDICTS[choice.right]}* {inline(choice.why, name)}"
            for letter, choice in zip(LETTERS, question.choices, strict=False)
        )
        half = timing.QUIZ_MINUTES / 4
        title = f"Question {number}"
        found += [
            Slide(title, ask + "\n".join(lines), kind="quiz", minutes=half, notes=f"Right is {question.answer})."),
            Slide(title, ask + why, kind="quiz", minutes=half),
        ]
    return found


def exercise_slide(exercise: exercises.Exercise) -> Slide:
    cell = library.notebook(exercise.chapter)["cells"][exercise.asked]
    body = next(
        lines
        for kind, lines in box_blocks(text_of(cell))
        if kind == "fence" and f":label: {exercise.label}" in lines
    )
    minutes = timing.EXERCISE_MINUTES[exercise.level]
    where = f"\n\n*{minutes} minutes, in the notebook `{exercise.chapter}.ipynb`. `{exercise.call}.hint()` gives a hint.*"
    notes = "\n".join(f"- {one}" for one in (*exercise.hints, *(mistake.hint for mistake in exercise.mistakes)))
    return Slide(
        "Exercise", plain("\n".join(body), exercise.chapter) + where, kind="exercise", minutes=minutes, notes=notes
    )


def deck(route: Route) -> list[list[Slide]]:
    """All slides of a course, column by column."""
    first = Slide(
        route.title,
        f"{route.goal}\n\n*Space goes on, S opens the notes, O shows all slides. The address with `?framework=torch` or "
        "`?framework=keras` leaves the other one's slides out.*",
        kind="title",
    )
    return [[first], *(group for block in route.blocks for group in of_block(block))]
