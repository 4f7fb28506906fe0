"""A chapter's notebook as a learner of a course gets it, as an instructor gets it, and as `make lab` opens it.

A learner's notebook is the book's, with its text in plain Markdown, without outputs, and with these changes in code,
each of which is marked: where the book has a solution for one framework there is its stub, and where it has another
solution there is a call of the hints, commented out.

An instructor's notebook keeps solutions and outputs, and has cells with minutes, hints, known mistakes and answers.

The notebook of `make lab` is for somebody who learns alone. It has the chapter's goals, the quiz with its answers and
the hints, all folded, the solutions under a folded heading, and a line above each cell that says which framework it is
for. Cells that the book's page leaves out are left out, but for what later cells need of them.

Each cell that is not the book's own, letter by letter, says so in its metadata: recbook.workshop is `text`, `stub`,
`hint`, `quiz`, `instructor`, or, in the lab, `head`, `label`, `solution` or `needed`.
"""

from __future__ import annotations

import ast
import copy
import re
from urllib.parse import quote

from nbconvert.filters import markdown2html

from book.ext.recbook_sphinx.chapters import TITLE, linked
from book.ext.recbook_sphinx.hints import EQUATION
from book.ext.recbook_sphinx.quizzes import EXERCISES, LEAD, LETTERS, VERDICTS, read_quiz

from . import exercises, hidden, library, timing
from .exercises import Exercise
from .library import tags_of, text_of
from .plain import KIT, Form, inline, plain

MARK = "# your turn"
HIDDEN = {"remove-cell", "hide-input"}  # folded on the page; folded in JupyterLab, too
FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras"}
LABELS = {
    "torch": "**PyTorch** (the next code cell does the same in Keras; run the one that you use, or both)",
    "keras": "**Keras** (the same as in the cell of PyTorch above)",
}


def learner(name: str) -> dict:
    """The learner's notebook of a chapter."""
    book = library.notebook(name)
    found = exercises.of_chapter(name, book["cells"])
    solved = {place: exercise for exercise in found for place in exercise.solutions}
    cells = []
    for place, cell in enumerate(book["cells"]):
        if cell["cell_type"] == "markdown":
            cells += with_quiz(cell, name, answers=False)
            continue
        cell = copy.deepcopy(cell)
        cell["outputs"], cell["execution_count"] = [], None
        if place in solved:
            cell = unsolved(cell, solved[place])
        if tags_of(cell) & HIDDEN:
            cell["metadata"]["jupyter"] = {"source_hidden": True}
        cells.append(cell)
    return assembled(book, cells)


def instructor(name: str) -> dict:
    """The instructor's notebook of a chapter."""
    book = library.notebook(name)
    asked: dict[int, list[Exercise]] = {}
    for exercise in exercises.of_chapter(name, book["cells"]):
        asked.setdefault(exercise.asked, []).append(exercise)
    cells = [] if name == library.PREREQUISITES else [text_cell("instructor", overview(name), "instructor")]
    for place, cell in enumerate(book["cells"]):
        if cell["cell_type"] == "markdown":
            cells += with_quiz(cell, name, answers=True)
            cells += [text_cell(one.label, about(one), "instructor") for one in asked.get(place, ())]
            continue
        cell = copy.deepcopy(cell)
        cell["metadata"]["tags"] = [tag for tag in cell["metadata"].get("tags", []) if tag != "hide-cell"]
        cells.append(cell)
    return assembled(book, cells)


def in_lab(name: str) -> dict:
    """The notebook of a chapter that `make lab` opens a copy of."""
    book = library.notebook(name)
    found = exercises.of_chapter(name, book["cells"])
    asked = {exercise.asked: exercise for exercise in found}
    solved = {exercise.solutions[0]: exercise for exercise in found}
    needed = hidden.needed(book["cells"])
    cells = []
    for place, cell in enumerate(book["cells"]):
        if cell["cell_type"] == "markdown":
            texts = with_quiz(cell, name, answers=True, form=LAB)
            if place == 0:
                texts[:1] = with_head(texts[0], cell, name)
            if place in asked:
                texts[-1]["source"] += f"\n\n{folded_hints(asked[place])}"
            cells += texts
            continue
        cell = copy.deepcopy(cell)
        cell["outputs"], cell["execution_count"] = [], None
        tags = tags_of(cell)
        if "remove-cell" in tags:
            if not needed[place]:
                continue
            cell["source"] = needed[place]
            mark(cell, "needed")
        if tags & HIDDEN:
            cell["metadata"]["jupyter"] = {"source_hidden": True}
        if place in solved:
            cells.append(folded_heading(solved[place]))
        cells += [text_cell(f"{one}-{cell['id']}", LABELS[one], "label") for one in LABELS if one in tags]
        cell["metadata"]["tags"] = [tag for tag in cell["metadata"].get("tags", []) if tag != "hide-cell"]
        cells.append(cell)
    return assembled(book, cells)


def address(target: str, name: str) -> str | None:
    """Where a link of a chapter leads in the lab: to a section of a copy. Other pages have no copy."""
    page = target.rpartition("/")[2]
    if page in library.chapter_names():
        return f"{page}.ipynb"
    home = library.homes().get(target)
    if home is None:
        return None
    section = quote(library.titles()[target].replace(" ", "-"), safe=",:;?!")
    # JupyterLab's own form, with the file's name even in the file: it also finds headings that it has not drawn yet.
    return f"{home}.ipynb" + f"#heading={section}" * bool(section)


LAB = Form(address, lambda key: library.paper_addresses().get(key), headed=True)


def with_head(cell: dict, theirs: dict, name: str) -> list[dict]:
    """The first cell in two, and between them what one can do after the chapter, and what it needs."""
    chapter, text = library.chapter(name), text_of(theirs)
    end = TITLE.match(text).end()
    goals = "\n".join(f"- {inline(goal, name, LAB)}" for goal in chapter.goals)
    needs = "\n".join(f"- {inline(linked(need), name, LAB)}" for need in chapter.prerequisites)
    takes = [f"{chapter.minutes} minutes to read"] if chapter.minutes else []
    takes += [f"{chapter.run['seconds']} seconds to run"] if chapter.run else []
    head = (
        f"{', '.join(takes)}\n\n**After this chapter you can**\n\n{goals}\n\n**Before you start**\n\n{needs}"
    )
    first, rest = copy.deepcopy(cell), copy.deepcopy(cell)
    first["source"], rest["source"] = plain(text[:end], name, LAB), plain(text[end:], name, LAB)
    rest["id"] += "-text"
    return [first, text_cell("head", head, "head"), *([rest] if rest["source"] else [])]


def folded_hints(exercise: Exercise) -> str:
    lines = [details(f"Hint {number}", numbered(text)) for number, text in enumerate(exercise.hints, start=1)]
    return "\n\n".join([*lines, f"Running `{exercise.call}.hint()` in a cell prints the hints, too."])


def folded_heading(exercise: Exercise) -> dict:
    """The heading of a solution: JupyterLab folds what stands below it, up to the next exercise."""
    number = library.exercise_numbers()[exercise.label]
    cell = text_cell(exercise.label, f"#### Solution of exercise {number}", "solution")
    cell["metadata"]["jp-MarkdownHeadingCollapsed"] = True
    return cell


def details(summary: str, text: str) -> str:
    """Folded text in HTML, which every notebook shows; formulas stay as they are."""
    return f"<details><summary>{as_html(summary)}</summary>\n\n{text}\n\n</details>"


def as_html(text: str) -> str:
    """A line of Markdown in HTML."""
    return re.sub(r"^<p>|</p>$", "", markdown2html(text).strip())


def assembled(book: dict, cells: list[dict]) -> dict:
    kept = {key: book["metadata"][key] for key in ("kernelspec", "language_info") if key in book["metadata"]}
    return {**book, "cells": cells, "metadata": kept}


def mark(cell: dict, kind: str) -> dict:
    cell["metadata"]["recbook"] = {"workshop": kind}
    return cell


def text_cell(name: str, text: str, kind: str) -> dict:
    return mark(
        {"cell_type": "markdown", "id": f"workshop-{name}"[:64], "metadata": {}, "source": text}, kind
    )


def with_quiz(cell: dict, name: str, answers: bool, form: Form = KIT) -> list[dict]:
    """A text cell in plain Markdown; the one with the exercises in two, with the questions between them."""
    text = text_of(cell)
    heading = EXERCISES.search(text)
    parts = [text[: heading.start()], text[heading.start() :]] if heading else [text]
    cells = []
    for number, part in enumerate(parts):
        if number:
            cells.append(text_cell("quiz", questions(name, answers, form), "quiz"))
        if part.strip():
            changed = copy.deepcopy(cell)
            changed["id"] += "-exercises" * number
            changed["source"] = plain(part, name, form)
            cells.append(mark(changed, "text"))
    return cells


def unsolved(cell: dict, exercise: Exercise) -> dict:
    """A cell with a solution, the solution taken out."""
    if tags_of(cell) & {"torch", "keras"}:
        cell["source"] = stub(text_of(cell), exercise.call)
        mark(cell, "stub")
    else:
        cell["source"] = (
            f"# {exercise.call}.hint()  {MARK}: take the first # away for a hint; run it again for the next"
        )
        mark(cell, "hint")
    tags = [tag for tag in cell["metadata"]["tags"] if tag not in ("solution", "hide-cell")]
    cell["metadata"]["tags"] = [*tags, "stub"]
    return cell


def stub(source: str, call: str) -> str:
    """The solution's functions without their bodies, its check as a question; each changed line is marked."""
    lines = source.split("\n")
    for statement in reversed(ast.parse(source).body):
        if isinstance(statement, ast.FunctionDef):
            first, last = statement.body[0].lineno, statement.body[-1].end_lineno
            lines[first - 1 : last] = [f"    ...  {MARK}"]
        elif isinstance(statement, ast.Assert):
            first, last = statement.lineno, statement.end_lineno
            lines[first - 1 : last] = [f"{ast.unparse(statement.test)};  {MARK}"]
    if not any(call in line and line.endswith(MARK) for line in lines):
        raise ValueError(f"the solution is not checked by `assert {call}(…)`:\n{source}")
    return "\n".join(lines)


def questions(name: str, answers: bool, form: Form = KIT) -> str:
    """The quiz in Markdown; the answers for those who may see them, folded where exercises are."""
    parts = ["## Two questions"] + [LEAD] * form.headed
    for number, question in enumerate(read_quiz(name), start=1):
        parts.append(f"**{number}.** {inline(question.ask, name, form)}")
        lines = []
        for letter, choice in zip(LETTERS, question.choices, strict=False):
            says, verdict = inline(choice.says, name, form), f"*{VERDICTS[choice.right]}*"
            why = f"{verdict} {inline(choice.why, name, form)}"
            if form.headed:
                lines.append(details(f"**{letter})** {says}", why))
            else:
                lines.append(f"- **{letter})** {says}" + f" — {why}" * answers)
        parts.append("\n".join(lines))
    if not answers:
        parts.append("*The page of this chapter in the book says why each answer is right or wrong.*")
    return "\n\n".join(parts)


def overview(name: str) -> str:
    """What an instructor wants to know before the hour."""
    chapter, sections = library.chapter(name), timing.sections(name)
    rows = [f"| {title} | {words} | {minutes} |" for title, words, minutes in sections]
    goals = "\n".join(f"- {inline(goal, name)}" for goal in chapter.goals)
    needs = "\n".join(f"- {inline(need, name)}" for need in chapter.prerequisites)
    seconds = chapter.run.get("seconds")
    return (
        f"# For the instructor: {chapter.title}\n\n"
        f"**Afterwards people can**\n\n{goals}\n\n**They need**\n\n{needs}\n\n"
        f"The notebook runs in {seconds} seconds from top to bottom on one thread: run it before the hour.\n\n"
        f"| section | words | minutes to tell |\n|---|--:|--:|\n" + "\n".join(rows) + "\n\n"
        f"Minutes are words at {timing.WORDS_TOLD} a minute, and {timing.MINUTES_A_CELL} for each cell that is shown. "
        f"Exercises come on top: {timing.exercise_words()}; the two questions {timing.QUIZ_MINUTES} minutes. "
        "Solutions and outputs are in place below; so are the chapter's box of mistakes, and before each exercise "
        "the hints and the mistakes that its check knows."
    )


def about(exercise: Exercise) -> str:
    """An exercise for the instructor: minutes, hints, known mistakes."""
    hints = "\n".join(f"{number}. {numbered(text)}" for number, text in enumerate(exercise.hints, start=1))
    mistakes = "\n".join(f"- {mistake.hint}" for mistake in exercise.mistakes)
    return (
        f"**For the instructor: {exercise.title}** ({exercise.level.lower()}, "
        f"{timing.EXERCISE_MINUTES[exercise.level]} minutes)\n\n"
        f"Hints, as `{exercise.call}.hint()` gives them one after the other:\n\n{hints}\n\n"
        f"Mistakes that the check knows, with what it says:\n\n{mistakes}"
    )


def numbered(text: str) -> str:
    """A hint with numbers of equations for their labels."""
    return EQUATION.sub(lambda match: f"({library.equation_numbers()[match['label']]})", text)
