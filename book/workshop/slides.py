"""A course as slides: the cells with the tag `slide` of its sections, cut to what fits, with the whole text as notes.

On a slide stand headings, formulas, tables, lists, boxes, drawings, code and outputs as they are in the chapter. Of a
paragraph stand its first sentence, what is bold, and what leads to a formula; the speaker's notes have all of it.
"""

from __future__ import annotations

import base64
import html
import math
import re
from dataclasses import dataclass, field, replace

from book.ext.recbook_sphinx.quizzes import LETTERS, VERDICTS, read_quiz

from . import exercises, library, timing
from .library import tags_of, text_of
from .plain import block as plain_block
from .plain import blocks, box, directive, inline, kind_of, plain
from .routes import Block, Route

LINES = 15.0  # of a slide's text
PIXELS = 36  # of such a line
WIDTH = 88  # characters of it
CODE = 0.66  # a line of code, in lines of text
ROW = 1.1  # a row of a table
LITTLE = 10  # lines that may stand as they are, every sentence
HEADING = 7  # words of a sentence that says little without the next one
SQUEEZE = 1.2  # how much more may go onto a slide: its letters are made smaller then
FIGURE = 9.5  # lines that a figure wants at least, if text stands above it
LABELS = {"torch": "PyTorch", "keras": "Keras"}
SUMMARY = "summary"
FURTHER = "further-reading"
LEFT_OUT = {"published"}  # boxes that are for reading
WHOLE = {"guess", "person", "tip"}  # boxes that make sense as a whole only
FOLDED = re.compile(r"<details.*?</details>", re.S)  # what a page folds is for reading
OWN = re.compile(r"\$\$.*?\$\$|\$[^$]+\$|`[^`]*`|\{[a-z:]+\}`[^`]*`", re.S)
END = re.compile(r"(?<=[.?!])(?P<closing>[*\"”)]*)\s+(?=[A-Z*\"“(\[{0-9\x00])")


@dataclass
class Slide:
    """text : Markdown below the title, of some `lines`;  cell : a code cell below that;  part : which of how many"""

    title: str
    text: str = ""
    cell: dict | None = None
    notes: str = ""
    kind: str = "text"
    framework: str = ""
    minutes: float = 0.0
    part: tuple[int, int] = (1, 1)
    lines: float = 0.0


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
    leads_on: bool = False  # a code cell comes next, and is shown


def pieces(name: str) -> list[Piece]:
    """All that is tagged in a chapter, in order."""
    found = []
    section = Piece(timing.START, timing.START, library.chapter(name).title, 0)
    here, box = section, section  # where text goes on, and the last box
    cells = [cell for cell in library.notebook(name)["cells"] if "remove-cell" not in tags_of(cell)]
    for cell, after in zip(cells, [*cells[1:], {"cell_type": "", "metadata": {}}], strict=True):
        shown = "slide" in tags_of(cell)
        if cell["cell_type"] != "markdown":
            if shown:  # a mistake is shown after the box that tells of it
                found.append(replace(box if "mistake" in tags_of(cell) else here, cell=cell, blocks=[]))
            continue
        for part in timing.parts(text_of(cell), here.key):
            if part.level == timing.BOX:
                now = box = Piece(part.key, part.key, part.title, part.level)
            elif part.level:
                now = here = box = Piece(
                    part.key, here.parent if part.level > 2 else part.key, part.title, part.level
                )
            else:
                now = here
            if shown:
                found.append(replace(now, blocks=part.blocks))
        if shown:
            found[-1].leads_on = after["cell_type"] == "code" and "slide" in tags_of(after)
    return found


def section_keys(name: str) -> set[str]:
    return {key for piece in pieces(name) for key in (piece.key, piece.parent)}


def chosen(piece: Piece, block: Block) -> bool:
    if piece.key in (timing.START, SUMMARY):
        return True
    if "exercises" in piece.key or piece.key == FURTHER:
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
    last = len(found) - 1
    keep = [
        one
        for number, one in enumerate(found)
        if number == 0
        or "**" in one
        or (number == last and (leads_on or one.endswith("?")))
        or (
            number
            and len(found[number - 1].split()) <= HEADING
            and ("**" in found[number - 1] or number == 1)
        )
    ]
    return balanced(" ".join(keep))


def led_nowhere(paragraph: str) -> str:
    """A paragraph without its last sentence, where that ends in a colon and what it announces is not shown."""
    found = sentences(paragraph)
    return " ".join(found[:-1] if found[-1].endswith(":") else found)


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


def shown(kind: str, lines: list[str], leads_on: bool, short: bool, name: str) -> str:
    """A block as its slide shows it, in plain Markdown; empty where it is for reading only."""
    if kind == "paragraph":
        text = " ".join(lines)
        text = shortened(text, leads_on) if short and len(text.split()) > 26 else text
        text = text if leads_on else led_nowhere(text)
        return plain_block(kind, [text], name) if text else ""
    if kind == "list" and short:
        return plain_block(kind, short_list(lines).split("\n"), name)
    if kind == "fence" and not told(lines):
        return ""
    if kind == "fence" and directive(lines)[0] == "admonition":
        _, title, options, body = directive(lines)
        about = options.get("class", "note").split()[0]
        short = short and about not in WHOLE
        inner = [text for one, part in blocks(body) if (text := shown(one, part, True, short, name))]
        return box(inline(title, name), "\n\n".join(inner), about)
    return plain_block(kind, lines, name)


def told(lines: list[str]) -> bool:
    """Whether a fenced block is told: exercises come on slides of their own, and some boxes are for reading."""
    name, _, options, _ = directive(lines)
    return name not in ("exercise", "literalinclude") and not set(options.get("class", "").split()) & LEFT_OUT


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
    """Blocks, page by page; a paragraph stays with the formula that follows it."""
    units: list[list[str]] = []
    for text in texts:
        if units and text.startswith("$$") and not units[-1][-1].startswith(("$$", "<")):
            units[-1].append(text)
        else:
            units.append([text])
    heights = [sum(map(lines_of, unit)) for unit in units]
    pages: list[list[str]] = []
    room = 0.0
    for number, (unit, height) in enumerate(zip(units, heights, strict=True)):
        rest = sum(heights[number:])  # a short end stays with what it belongs to
        if not pages or (height > room and rest > room + LINES * (SQUEEZE - 1)):
            pages.append([])
            room = LINES
        pages[-1] += unit
        room -= height if "rb-diagram" not in unit[0] else 2 * LINES  # nothing stands below a drawing
    return pages


def text_slides(piece: Piece, name: str) -> list[Slide]:
    notes = "\n\n".join(part for kind, lines in piece.blocks if (part := plain_block(kind, lines, name)))
    texts = all_shown(piece, False, name)
    if sum(map(lines_of, texts)) > LITTLE:
        texts = all_shown(piece, True, name)
    words = sum(
        len(" ".join(lines).split()) for kind, lines in piece.blocks if kind != "fence" or told(lines)
    )
    pages = paged(texts)
    found = [
        Slide(piece.title, "\n\n".join(page), part=(number, len(pages)), lines=sum(map(lines_of, page)))
        for number, page in enumerate(pages, start=1)
    ]
    for slide in found:
        slide.minutes = words / timing.WORDS_TOLD / len(found)
    if found:
        found[0].notes = notes
    return found


def all_shown(piece: Piece, short: bool, name: str) -> list[str]:
    """The blocks of a piece as its slides show them, those that show something."""
    if not piece.blocks:
        return []
    leads = [kind in ("equation", "list", "table", "fence", "quote") for kind, _ in piece.blocks[1:]]
    return [
        text
        for (kind, lines), on in zip(piece.blocks, [*leads, piece.leads_on], strict=True)
        if (text := shown(kind, lines, on, short, name))
    ]


# --- code -----------------------------------------------------------------------------------------------------


def code_slides(piece: Piece, above: Slide | None) -> list[Slide]:
    """Source and outputs, or the outputs alone where the page folds the source; below text that has room for it.

    above : the text slide before, which takes the cell in if it fits
    """
    cell = piece.cell
    framework = next((one for one in LABELS if one in tags_of(cell)), "")
    outputs = [one for one in map(for_slide, cell["outputs"]) if one]
    source = not ("hide-input" in tags_of(cell) or listing(outputs))
    height = text_of(cell).count("\n") * CODE + 1.5 if source else 0.0
    height += sum(map(output_lines, outputs))
    figures = any(map(is_figure, outputs))
    if not (source or outputs):
        return []
    room = LINES - (above.lines if above else 0)
    minutes = timing.MINUTES_A_CELL
    if (
        above
        and not above.cell
        and not framework
        and (room >= FIGURE if figures else height <= room * SQUEEZE)
    ):
        above.cell = code_cell(cell, source, [sized(one, room) for one in outputs])
        above.minutes += minutes
        return []
    outputs = [sized(one, LINES) for one in outputs]
    base = {"title": piece.title, "framework": framework, "kind": "code", "lines": height}
    if source and outputs and height > LINES * SQUEEZE:
        halves = ((True, []), (False, outputs))
        return [
            Slide(cell=code_cell(cell, *half), minutes=minutes / 2, part=(number, 2), **base)
            for number, half in enumerate(halves, start=1)
        ]
    return [Slide(cell=code_cell(cell, source, outputs), minutes=minutes, **base)]


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
        return {**output, "text": "".join(output["text"])}
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
    data = {kind: FOLDED.sub("", "".join(text)) for kind, text in data.items() if kind != "image/png"}
    best = next((kind for kind in ("text/html", "text/markdown", "text/plain") if kind in data), None)
    return {"output_type": "display_data", "metadata": {}, "data": {best: data[best]}} if best else None


def is_figure(output: dict) -> bool:
    return "<img " in output.get("data", {}).get("text/html", "")


def sized(output: dict, lines: float) -> dict:
    """A figure that is so many lines high; anything else as it is."""
    if not is_figure(output):
        return output
    style = f'style="max-height:{round(lines * PIXELS - 20)}px" '
    text = output["data"]["text/html"].replace("<img ", f"<img {style}")
    return {**output, "data": {"text/html": text}}


def output_lines(output: dict) -> float:
    """Lines of text that an output takes; a figure all of them."""
    if output["output_type"] == "stream":
        return output["text"].count("\n") * CODE + 0.5
    (text,) = output["data"].values()
    if is_figure(output):
        return LINES
    return max(text.count("<tr") * ROW, (text.count("\n") + 1) * CODE if "<tr" not in text else 0)


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
        if piece.cell:
            groups[-1] += code_slides(piece, above(groups[-1], piece))
        else:
            groups[-1] += text_slides(piece, name)
    for group in groups:
        join_pairs(group)
    if groups[0]:
        groups[0][0].kind = "chapter"
    asked = {one.label: one for one in exercises.of_chapter(name)}
    if block.quiz:
        groups.append(quiz_slides(name))
    groups += [[exercise_slide(asked[label])] for label in block.exercises]
    end = [slide for piece in pieces(name) if piece.key == SUMMARY for slide in text_slides(piece, name)]
    return [group for group in (*groups, end) if group]


def above(group: list[Slide], piece: Piece) -> Slide | None:
    """The text slide of the same section that a cell comes right after."""
    last = group[-1] if group else None
    return last if last and last.text and last.title == piece.title and not last.cell else None


def join_pairs(group: list[Slide]) -> None:
    """Put a short text that leads to a pair of frameworks on both of its slides, so that either can be left out."""
    for place in range(len(group) - 3, -1, -1):
        text, one, other = group[place : place + 3]
        pair = (one.framework, other.framework) == ("torch", "keras") and not one.text and not other.text
        if not pair or text.cell or text.framework or text.title != one.title or text.kind != "text":
            continue
        if max(one.lines, other.lines) + text.lines <= LINES * SQUEEZE and one.part[1] == other.part[1] == 1:
            for slide in (one, other):
                slide.text, slide.notes, slide.part = text.text, text.notes, text.part
                slide.lines += text.lines
            one.minutes += text.minutes
            del group[place]


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
            Slide(
                title,
                ask + "\n".join(lines),
                kind="quiz",
                minutes=half,
                notes=f"Right is {question.answer}).",
            ),
            Slide(title, ask + why, kind="quiz", minutes=half),
        ]
    return found


def exercise_slide(exercise: exercises.Exercise) -> Slide:
    cell = library.notebook(exercise.chapter)["cells"][exercise.asked]
    body = next(
        lines
        for kind, lines in blocks(text_of(cell))
        if kind == "fence" and f":label: {exercise.label}" in lines
    )
    minutes = timing.EXERCISE_MINUTES[exercise.level]
    where = f"\n\n*{minutes} minutes, in `{exercise.chapter}.ipynb`. A hint: `{exercise.call}.hint()`*"
    notes = "\n".join(
        f"- {one}" for one in (*exercise.hints, *(mistake.hint for mistake in exercise.mistakes))
    )
    return Slide(
        "Exercise",
        plain("\n".join(body), exercise.chapter) + where,
        kind="exercise",
        minutes=minutes,
        notes=notes,
    )


def deck(route: Route) -> list[list[Slide]]:
    """All slides of a course, column by column."""
    first = Slide(
        route.title,
        f"{route.goal}\n\n*Space goes on, S opens the notes, O shows all slides. With `?framework=torch` or "
        "`?framework=keras` behind the address the other one's slides are left out.*",
        kind="title",
    )
    return [[first], *(group for block in route.blocks for group in of_block(block))]
