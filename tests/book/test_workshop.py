"""The workshop kit: notebooks that differ from the book's only where marked, slides that fit, plans that add up."""

from __future__ import annotations

import ast
import difflib
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from book import vendor
from book.ext.recbook_sphinx.quizzes import read_quiz
from book.workshop import exercises, export, kit, library, notebooks, plans, routes, slides, timing
from book.workshop.library import tags_of, text_of
from book.workshop.plain import PlainError, plain
from tests.helpers.built_book import ROOT

NAMES = library.chapter_names()
ROUTES = routes.read_routes()


def kind(cell: dict) -> str | None:
    return cell["metadata"].get("recbook", {}).get("workshop")


# --- notebooks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_learners_notebook_differs_only_where_it_is_marked(name) -> None:
    book = {cell["id"]: cell for cell in library.notebook(name)["cells"]}
    mine = notebooks.learner(name)
    nbformat.validate(nbformat.from_dict(mine))
    cells = {cell["id"]: cell for cell in mine["cells"]}
    texts = [cell for cell in book.values() if cell["cell_type"] == "markdown"]
    assert set(book) <= set(cells)  # nothing is left out
    for name_of, cell in cells.items():
        theirs = book.get(name_of)
        match kind(cell):
            case None:  # letter by letter the book's
                assert text_of(cell) == text_of(theirs) and cell["cell_type"] == "code"
            case "stub" | "hint":
                assert "solution" in tags_of(theirs)
                changes = list(difflib.ndiff(text_of(theirs).split("\n"), text_of(cell).split("\n")))
                assert all(notebooks.MARK in line for line in changes if line.startswith("+ "))
            case "quiz":
                assert theirs is None
            case "text":
                assert theirs is None or theirs in texts
            case other:
                pytest.fail(f"{name_of}: {other}")
        assert not cell.get("outputs") and not cell.get("execution_count")
    # The text is the book's, in plain Markdown: nothing added, nothing left out.
    told = "\n\n".join(text_of(cell) for cell in mine["cells"] if kind(cell) == "text")
    assert told == "\n\n".join(plain(text_of(cell), name) for cell in texts)


@pytest.mark.parametrize("name", NAMES)
def test_a_learners_notebook_gives_no_solution_and_runs(name, capsys) -> None:
    book, mine = library.notebook(name)["cells"], notebooks.learner(name)["cells"]
    solutions = [cell for cell in book if "solution" in tags_of(cell)]
    kept = [cell for cell in mine if cell["cell_type"] == "code"]
    assert not any(text_of(one) == text_of(other) for one in solutions for other in kept)
    # What a solution made, no later cell of the book asks for.
    made = {
        node.name for cell in solutions for node in ast.parse(text_of(cell)).body if hasattr(node, "name")
    }
    stubs = [cell for cell in kept if kind(cell) or "exercise" in tags_of(cell)]
    defined = {
        node.name for cell in stubs for node in ast.walk(ast.parse(text_of(cell))) if hasattr(node, "name")
    }
    others = [cell for cell in kept if cell not in stubs]
    asked = {
        node.id
        for cell in others
        for node in ast.walk(ast.parse(text_of(cell)))
        if isinstance(node, ast.Name)
    }
    written = {
        node.name if hasattr(node, "name") else node.id
        for cell in others
        for node in ast.walk(ast.parse(text_of(cell)))
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    }
    assert not (made - defined - written) & asked
    # Stubs and their checks, by themselves.
    names: dict = {}
    exec(
        f"import numpy as np, torch, keras\nfrom keras import ops\nfrom recbook.checks import {name} as check",
        names,
    )
    for cell in stubs:
        exec(text_of(cell), names)
    told = capsys.readouterr().out.splitlines()
    asked_for = [cell for cell in stubs if kind(cell) != "hint"]
    assert len(told) == len(asked_for) >= 3
    assert all(line.startswith("✗ Nothing to check yet") for line in told)


def test_a_hint_in_a_learners_notebook_is_one_that_can_be_asked_for(capsys) -> None:
    cells = [cell for cell in notebooks.learner("neighbors")["cells"] if kind(cell) == "hint"]
    names: dict = {}
    exec("from recbook.checks import neighbors as check", names)
    for cell in cells:
        exec(text_of(cell).removeprefix("# "), names)
    assert len(cells) == 2 and capsys.readouterr().out.count("Hint 1 of 2") == 2


def test_a_solution_that_is_not_checked_cannot_become_a_stub() -> None:
    with pytest.raises(ValueError, match=r"not checked by `assert check.cosine\(…\)`"):
        notebooks.stub("def cosine(x, y):\n    return x @ y", "check.cosine")


@pytest.mark.parametrize("name", NAMES)
def test_an_instructors_notebook_has_solutions_outputs_and_what_to_know(name) -> None:
    book, mine = library.notebook(name), notebooks.instructor(name)
    nbformat.validate(nbformat.from_dict(mine))
    theirs = [(text_of(cell), cell["outputs"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [
        (text_of(cell), cell["outputs"]) for cell in mine["cells"] if cell["cell_type"] == "code"
    ] == theirs
    assert not any("hide-cell" in tags_of(cell) for cell in mine["cells"])
    text = "\n".join(text_of(cell) for cell in mine["cells"] if kind(cell))
    for title, words, minutes in timing.sections(name):
        assert f"| {title} | {words} | {minutes} |" in text
    for one in exercises.of_chapter(name):
        assert f"{one.title}** ({one.level.lower()}, {timing.EXERCISE_MINUTES[one.level]} minutes)" in text
        assert all(f"- {mistake.hint}" in text for mistake in one.mistakes)
    for question in read_quiz(name):
        assert all(plain(choice.why, name) in text for choice in question.choices)


# --- text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_no_role_or_directive_is_left_in_plain_text(name) -> None:
    for text in library.texts(name):
        told = plain(text, name)
        assert not re.search(r"\{[\w:-]+\}`|^[`:]{3,}\{|^\([\w-]+\)=$", told, re.M)
        assert told.count("<div") == told.count("</div>")
        assert told.count("$$") == text.count("$$")
        for title in re.findall(r"^`{3}\{(?:admonition|exercise)\} (.+)$", text, re.M):
            assert f"{plain(title, name)}**" in told
        # Words stay words: what is gone are targets, options and marks of boxes, what is new are citations.
        assert len(told.split()) > 0.9 * len(text.split()) - 8


def test_plain_text_says_what_it_cannot_say() -> None:
    with pytest.raises(PlainError, match="neighbors: the directive 'video' has no plain form"):
        plain("```{video} x\n```", "neighbors")
    with pytest.raises(PlainError, match="nothing is glued under 'no-such'"):
        plain("{glue:text}`no-such`", "neighbors")


@pytest.mark.browser
def test_numbers_of_equations_are_those_of_the_pages(site) -> None:
    """site : the built book, of which the pages are read."""
    from tests.helpers.built_book import HTML

    numbers = library.equation_numbers()
    page = (HTML / "chapters" / "transformers.html").read_text("utf-8")
    drawn = re.findall(
        r'<span class="eqno">\((\d+)\).*?id="equation-([\w-]+)"|id="equation-([\w-]+)">\s*<span class="eqno">\((\d+)\)',
        page,
    )
    found = {label or other: int(number or last) for number, label, other, last in drawn}
    assert len(found) > 10 and all(numbers[label] == number for label, number in found.items())


# --- courses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_course_fills_its_time_and_no_more(route) -> None:
    assert 0.9 * route.minutes <= plans.total(route) <= route.minutes
    text = plans.plan(route)
    for block in route.blocks:
        asked = {one.label: one for one in exercises.of_chapter(block.chapter)} if block.chapter else {}
        for label in block.exercises:
            assert plain(asked[label].title, block.chapter) in text
    begins = [row.begins for row in plans.rows(route)]
    days = max((block.day for block in route.blocks), default=0) or 1
    assert (
        text.count("| 0:00 |") == days
        and sorted(begins[: len(plans.by_day(plans.rows(route))[0])])
        == begins[: len(plans.by_day(plans.rows(route))[0])]
    )


def test_the_three_courses_grow() -> None:
    assert [route.minutes for route in ROUTES] == sorted(route.minutes for route in ROUTES)
    assert [len(plans.chapters(route)) for route in ROUTES] == [3, 5, 15]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (routes.Block(chapter="magic"), "there is no chapter magic"),
        (routes.Block(chapter="neighbors", sections=("nb-nothing",)), "neighbors has no section nb-nothing"),
        (routes.Block(chapter="neighbors", exercises=("nb-ex",)), "neighbors has no exercise nb-ex"),
        (routes.Block(), "a chapter or a pause"),
    ],
)
def test_a_course_that_names_what_there_is_not_is_refused(block, words) -> None:
    with pytest.raises(ValueError, match=words):
        routes.check("my course", block)


def test_paragraphs_are_shortened_but_never_within_a_formula() -> None:
    text = (
        "First it says this, at some length, so that it is worth shortening. Then $a. B$ and `c. D` and more words "
        "follow. **This** is bold, so that it stays whatever comes. The last one leads on:"
    )
    assert slides.sentences(text)[1] == "Then $a. B$ and `c. D` and more words follow."
    assert slides.shortened(text, False) == (
        "First it says this, at some length, so that it is worth shortening. **This** is bold, so that "
        "it stays whatever comes."
    )
    assert slides.shortened(text, True).endswith("The last one leads on:")


# --- slides ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kit_folder(tmp_path_factory) -> Path:
    """A kit with the shortest deck only; what slides are shown with comes from where the book keeps it."""
    folder = tmp_path_factory.mktemp("kit")
    if not (vendor.MATHJAX.home / "tex-chtml.js").is_file():
        vendor.fetch(vendor.MATHJAX)
    kit.write_slides(folder, ["90-minutes"])
    kit.write_plans(folder)
    return folder


class Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        for name, value in attributes:
            if name == "src" or (name == "href" and tag == "link"):
                self.found.append(value)


def test_slides_ask_nobody_and_show_what_the_course_states(kit_folder) -> None:
    html = (kit_folder / "slides" / "90-minutes.html").read_text("utf-8")
    addresses = Addresses()
    addresses.feed(html)
    local = [address for address in addresses.found if not address.startswith("data:")]
    assert local and all((kit_folder / "slides" / address).is_file() for address in local)
    route = ROUTES[0]
    for name in plans.chapters(route):
        assert f"<h2>{library.chapter(name).title}" in html or f">{library.chapter(name).title}" in html
    assert html.count('data-kind="exercise"') == sum(len(block.exercises) for block in route.blocks)
    assert html.count('data-kind="quiz"') == 4 * len(plans.chapters(route))
    assert html.count('data-framework="torch"') == html.count('data-framework="keras"') > 0
    assert html.count('class="notes"') > 10
    assert "{glue" not in html and "{cite" not in html


def test_without_a_registry_slides_are_refused_with_the_remedy(tmp_path, monkeypatch) -> None:
    def fails(package) -> str:
        raise vendor.VendorError("npm: not installed; pip: no route to host")

    monkeypatch.setattr(vendor, "is_whole", lambda package: False)
    monkeypatch.setattr(vendor, "fetch", fails)
    with pytest.raises(export.WorkshopError, match="reveal.js 5.2.1.*no route to host.*Make npm or pip work"):
        export.put_assets(tmp_path)


@pytest.mark.browser
def test_slides_fit_and_their_formulas_are_set(kit_folder, running) -> None:
    from book import browser

    with browser.serve(kit_folder) as address:
        running.look(1280, 720)
        running.driver.get(f"{address}/plans/90-minutes.html")
        running.requests(), running.console()
        running.driver.get(f"{address}/slides/90-minutes.html?framework=keras")
        running.wait("document.documentElement.dataset.ready")
        facts = running.run(
            """return Reveal.getSlides().map(slide => ({
                 title: slide.querySelector('h2').textContent, over: slide.dataset.over, fit: Number(slide.dataset.fit),
                 framework: slide.dataset.framework || '',
                 raw: [...slide.querySelectorAll('.jp-RenderedMarkdown')].some(
                   e => !e.closest('aside') && /\\$\\$|\\\\tag/.test(e.textContent)),
               }))"""
        )
        assert running.console() == []
        assert all(url.startswith(address) for url in running.requests())
    assert len(facts) > 40
    assert [one for one in facts if one["over"] != "false" or one["fit"] < 0.8 or one["raw"]] == []
    assert {one["framework"] for one in facts} == {"", "keras"}


@pytest.mark.browser
def test_a_question_is_answered_by_keyboard(window, site) -> None:
    from selenium.webdriver import Keys

    window.open(f"{site}/chapters/neighbors.html")
    window.run("document.querySelectorAll('.rb-choice > summary')[1].focus()")
    window.press(Keys.ENTER)
    opened = (
        "[...document.querySelectorAll('.rb-choice[open]')].map(e => e.querySelector('p strong').textContent)"
    )
    assert window.run(f"return {opened}") == ["Right."]
    window.run("document.querySelectorAll('.rb-choice > summary')[0].focus()")
    window.press(Keys.SPACE)
    assert window.run(f"return {opened}") == ["No."]  # of one question one answer is open
    window.run("document.querySelector('.rb-hint > summary').focus()")
    window.press(Keys.ENTER)
    assert window.run("return document.querySelectorAll('.rb-hint[open]').length") == 1


def test_the_page_to_teach_with_names_every_course() -> None:
    from book.ext.recbook_sphinx import workshop

    for route in ROUTES:
        assert f"| {route.name.replace('-', ' ')} | {plans.total(route)} |" in workshop.courses()
        assert f"**{route.title}.** {route.goal}" in workshop.chapters()
    assert (ROOT / "chapters" / "workshop.md").read_text("utf-8").count("```{workshop}") == 2
