"""What `make lab` opens: the map, the copies of the chapters, JupyterLab itself; and what a chapter says of devices."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.sign import NotebookNotary

import tasks
from book import copies, lab
from book.ext.recbook_sphinx import book_map
from book.ext.recbook_sphinx.chapters import linked
from book.ext.recbook_sphinx.quizzes import read_quiz
from book.workshop import exercises, hidden, library, notebooks
from book.workshop.library import tags_of, text_of
from book.workshop.plain import plain
from recbook import notebook as nb

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = {chapter.page: chapter for _, own in book_map.book() for chapter in own}
NAMES = library.chapter_names()
MADE = {name: copies.made(name) for name in NAMES}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home of its own for Jupyter's signatures."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def texts(notebook: dict) -> str:
    return "\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")


class Anchors(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag == "a":
            self.found.append(dict(attributes))


def test_every_chapter_is_in_the_map_and_in_the_table_with_its_goals_and_minutes() -> None:
    made = lab.notebook()
    text = texts(made)
    links = [anchor["href"] for anchor in Anchors(lab.picture()).found]
    for page, chapter in CHAPTERS.items():
        file = f"{page.removeprefix('chapters/')}.ipynb"
        assert file in links
        row = next(line for line in text.splitlines() if line.startswith(f"| [{chapter.title}]({file})"))
        assert all(lab.cell_safe(goal) in row for goal in chapter.goals)
        assert f"| {chapter.minutes}\u00a0min | {chapter.run['seconds']}\u00a0s |" in row


def test_all_links_of_the_map_lead_to_copies_beside_it() -> None:
    made = lab.notebook()
    links = re.findall(r"\]\(([^)]+)\)", texts(made)) + [a["href"] for a in Anchors(lab.picture()).found]
    assert len(links) >= 2 * len(CHAPTERS)
    assert set(links) == {f"{name}.ipynb" for name in NAMES}


def test_links_of_the_map_lie_on_their_boxes_outside_the_drawing() -> None:
    """JupyterLab reports an error for every link within a drawing."""
    picture = lab.picture()
    drawing = picture[picture.index("<svg") : picture.index("</svg>")]
    assert "<a" not in drawing and "--rb-" not in drawing
    for anchor in Anchors(picture).found:
        left, top, width, height = (
            float(re.search(rf"{name}:([\d.]+)%", anchor["style"])[1])
            for name in ("left", "top", "width", "height")
        )
        assert left + width <= 100 and top + height <= 100 and width > 5 and height > 5
        assert anchor["aria-label"] and "position:absolute" in anchor["style"]


def test_it_says_how_to_begin() -> None:
    text = texts(lab.notebook())
    said = (
        "Restart Kernel and Run All Cells",
        "solution",
        "check",
        "RECBOOK_GPU=1",
        "made anew",
        "--reset neighbors",
    )
    for word in said:
        assert word in text, word
    code = [cell["source"] for cell in lab.notebook()["cells"] if cell["cell_type"] == "code"]
    assert any("-m recbook.doctor" in source for source in code)


def test_it_is_written_valid_and_trusted(home) -> None:
    path = lab.write(home / "start.ipynb")
    made = nbformat.read(path, as_version=4)
    nbformat.validate(made)
    assert NotebookNotary().check_signature(made)
    assert not NotebookNotary().check_signature(nbformat.from_dict({**made, "cells": made["cells"][:-1]}))


def test_running_it_draws_what_it_was_written_with(monkeypatch) -> None:
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda drawn: shown.append(drawn.data))
    cell = next(cell for cell in lab.notebook()["cells"] if cell["id"] == "map")
    monkeypatch.chdir(ROOT)
    exec(compile(cell["source"], "map", "exec"), {})
    assert shown == [cell["outputs"][0]["data"]["text/html"]]


def test_it_is_no_page_of_the_book() -> None:
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    assert lab.START.stem not in re.findall(r"file: (\S+)", toc)
    assert json.dumps(lab.notebook()) == json.dumps(lab.notebook())  # the same each time


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def done(monkeypatch) -> list:
    """What the command has done: the commands that it would have called."""
    found: list = []
    monkeypatch.setattr(tasks, "setup", lambda: found.append(["setup"]))
    monkeypatch.setattr(tasks, "data", lambda: found.append(["data"]))
    for name in ("must", "call"):
        monkeypatch.setattr(tasks, name, lambda *words, **how: found.append([str(word) for word in words]))
    return found


FIXED = [f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/_build/lab/start.ipynb"]


def test_the_command_writes_copies_and_opens_the_map(done, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    tasks.lab(tasks.parse(["lab"]))
    assert [words[-1] for words in done[:2]] == ["setup", "data"]
    assert done[2][1:] == [str(ROOT / "book" / "lab.py")]
    assert done[3][1:] == ["-m", "jupyter", "lab", *FIXED]
    assert tasks.START == lab.START and tasks.COPIES == copies.FOLDER == lab.START.parent
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert "_build/" in ignored and copies.FOLDER.is_relative_to(ROOT / "_build")


def test_options_are_passed_on_and_the_superuser_may_start_it(done, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    given = ["--no-browser", "--ip", "0.0.0.0", "--port", "9000", "--IdentityProvider.token=x"]
    tasks.lab(tasks.parse(["lab", *given]))
    assert done[-1][4:] == [*FIXED, "--allow-root", *given]


def test_other_commands_take_no_unknown_options(capsys) -> None:
    assert tasks.parse(["serve", "--port", "9000"]).port == 9000
    with pytest.raises(SystemExit):
        tasks.parse(["serve", "--no-browser"])
    assert "unrecognized arguments: --no-browser" in capsys.readouterr().err


def test_reset_begins_copies_anew_and_opens_nothing(done) -> None:
    tasks.lab(tasks.parse(["lab", "--reset", "neighbors", "data"]))
    assert done[1:] == [[str(tasks.PYTHON), str(ROOT / "book" / "lab.py"), "--reset", "neighbors", "data"]]


def test_jupyterlab_is_told_where_the_project_is_and_asks_nothing(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "mine")
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    env = tasks.lab_environment()
    assert env["PYTHONPATH"] == os.pathsep.join([str(ROOT), "mine"])
    page = json.loads(
        (Path(env["JUPYTER_CONFIG_PATH"]) / "labconfig" / "page_config.json").read_text("utf-8")
    )
    off = page["disabledExtensions"]
    assert off["@jupyterlab/apputils-extension:announcements"]  # would ask whether to fetch news
    assert off["jupyterlab-myst"]  # would number formulas a second time


def test_cleaning_keeps_the_copies(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "COPIES", tmp_path / "_build" / "lab")
    for name in ("_build/lab/data.ipynb", "_build/html/index.html", "_build/note", "book/vendor/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    tasks.clean(argparse.Namespace(all=True))
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == [
        "_build/lab/data.ipynb"
    ]
    assert not (tmp_path / "_build" / "note").exists() and not (tmp_path / "book" / "vendor").exists()
    assert "Kept: " in capsys.readouterr().out


# --- copies: what is kept -------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    """A folder with the copies of two short chapters."""
    monkeypatch.setattr(library, "chapter_names", lambda: ("data", "ncf"))
    monkeypatch.setattr(copies, "made", lambda name: json.loads(json.dumps(MADE[name])))
    assert copies.refresh(tmp_path) == ""
    return tmp_path


def write(path: Path, change) -> None:
    notebook = json.loads(path.read_text("utf-8"))
    change(notebook)
    path.write_text(json.dumps(notebook), "utf-8")


def solve(notebook: dict) -> None:
    next(cell for cell in notebook["cells"] if "exercise" in tags_of(cell))["source"] = "my own work"


def run(notebook: dict) -> None:
    """What JupyterLab writes when cells are run and folded."""
    for number, cell in enumerate(cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
        cell["execution_count"] = number + 1
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["1"]}]
        cell["source"] = text_of(cell).splitlines(keepends=True)
        cell["metadata"]["collapsed"] = True


def changed_book(monkeypatch) -> None:
    """The chapter on data gets another sentence."""
    made = copies.made

    def longer(name: str) -> dict:
        notebook = json.loads(json.dumps(MADE[name]))
        if name == "data":
            notebook["cells"][1]["source"] += "\n\nA new sentence."
            notebook["metadata"]["recbook"]["made"] = copies.fingerprint(notebook)
        return notebook

    assert made("data") == MADE["data"]
    monkeypatch.setattr(copies, "made", longer)


def test_what_a_reader_wrote_is_never_overwritten(desk, monkeypatch) -> None:
    write(desk / "data.ipynb", solve)
    mine = (desk / "data.ipynb").read_bytes()
    assert copies.refresh(desk) == (
        'Your changes were kept in data. To begin one anew: make lab ARGS="--reset data"'
    )
    changed_book(monkeypatch)
    assert "The book has a newer version of data." in copies.refresh(desk)
    (desk / "ncf.ipynb").write_text("{ cut off")
    assert "kept in data, ncf" in copies.refresh(desk)
    assert (desk / "data.ipynb").read_bytes() == mine and (desk / "ncf.ipynb").read_text() == "{ cut off"


def test_a_copy_that_was_only_run_stays_until_the_book_changes(desk, monkeypatch) -> None:
    write(desk / "data.ipynb", run)
    ran = (desk / "data.ipynb").read_bytes()
    assert copies.refresh(desk) == "" and (desk / "data.ipynb").read_bytes() == ran
    changed_book(monkeypatch)
    assert copies.refresh(desk) == "" and "A new sentence." in (desk / "data.ipynb").read_text("utf-8")
    (desk / "data.ipynb").unlink()
    assert copies.refresh(desk) == "" and (desk / "data.ipynb").is_file()


def test_reset_puts_what_was_changed_aside(desk) -> None:
    for number in (1, 2):
        write(desk / "data.ipynb", solve)
        said = copies.reset(["data", "ncf"], desk)
        assert f"data is as in the book again; your version is data-{number}.ipynb." in said
        assert "my own work" in (desk / f"data-{number}.ipynb").read_text("utf-8")
    assert not (desk / "ncf-1.ipynb").exists()  # nothing was changed in it
    assert json.loads((desk / "data.ipynb").read_text("utf-8")) == MADE["data"]
    with pytest.raises(copies.UnknownChapter, match="There is no chapter neighbours. There are: data, ncf."):
        copies.reset(["neighbours"], desk)


def test_the_script_says_what_it_did(monkeypatch, capsys) -> None:
    monkeypatch.setattr(lab, "write", lambda: print("map"))
    monkeypatch.setattr(copies, "refresh", lambda: "kept")
    assert lab.main([]) == 0 and capsys.readouterr().out == "kept\nmap\n"
    monkeypatch.setattr(copies, "reset", lambda names: " ".join(names))
    assert lab.main(["--reset", "data", "ncf"]) == 0 and capsys.readouterr().out == "data ncf\n"
    monkeypatch.undo()
    assert lab.main(["--reset", "magic"]) == 1 and "no chapter magic" in capsys.readouterr().err


# --- copies: what is in them ----------------------------------------------------------------------------------------

RAW = re.compile(r"\{[\w:-]+\}`|^[`:]{3,}\{|^\([\w-]+\)=$", re.M)


def kind(cell: dict) -> str | None:
    return cell["metadata"].get("recbook", {}).get("workshop")


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_has_all_that_the_page_has(name) -> None:
    made = MADE[name]
    nbformat.validate(nbformat.from_dict(made))
    text, chapter = texts(made), library.chapter(name)
    assert not RAW.search(text)
    for theirs in library.texts(name):  # all of its prose, and nothing twice
        told = plain(theirs, name, notebooks.LAB)
        assert all(text.count(line) >= 1 for line in told.splitlines() if line.strip())
    for sentence in (*chapter.goals, *map(linked, chapter.prerequisites)):
        assert plain(sentence, name, notebooks.LAB) in text
    for question in read_quiz(name):
        for choice in question.choices:
            assert plain(choice.why, name, notebooks.LAB) in text
    assert (
        text.count("<details>")
        == text.count("</details>")
        == sum(len(question.choices) for question in read_quiz(name))
        + sum(len(one.hints) for one in exercises.of_chapter(name))
    )
    for one in exercises.of_chapter(name):
        assert f"### Exercise {library.exercise_numbers()[one.label]}: " in text
        assert f"`{one.call}.hint()`" in text
        assert all(notebooks.numbered(hint) in text for hint in one.hints)


@pytest.mark.parametrize("name", NAMES)
def test_code_that_the_page_hides_is_folded_or_left_out(name) -> None:
    book = {cell["id"]: cell for cell in library.notebook(name)["cells"]}
    cells = MADE[name]["cells"]
    here = {cell["id"]: cell for cell in cells if cell["cell_type"] == "code"}
    for name_of, theirs in book.items():
        if theirs["cell_type"] != "code":
            continue
        tags, cell = tags_of(theirs), here.get(name_of)
        if "remove-cell" in tags:
            assert cell is None or kind(cell) == "needed"
        else:
            assert text_of(cell) == text_of(theirs)  # letter by letter
        if cell is not None:
            folded = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
            assert folded == bool(tags & {"remove-cell", "hide-input"})
            assert cell["outputs"] == [] and cell["execution_count"] is None
    code = "\n".join(text_of(cell) for cell in here.values())
    assert "nb.glue(" not in code and {kind(cell) for cell in here.values()} <= {None, "needed"}


@pytest.mark.parametrize("name", NAMES)
def test_solutions_are_under_a_folded_heading_which_ends_with_them(name) -> None:
    cells = MADE[name]["cells"]
    under = None  # the heading that the cell is folded under
    for cell in cells:
        text = text_of(cell)
        if cell["cell_type"] == "markdown" and re.match(r"#{1,4} ", text):
            under = text if cell["metadata"].get("jp-MarkdownHeadingCollapsed") else None
        belongs = "solution" in tags_of(cell) or kind(cell) in ("solution", "label")
        assert under is None or belongs, f"{cell['id']} is folded away"
        if "solution" in tags_of(cell):
            assert under is not None, f"{cell['id']} stands open"
    for label in notebooks.LABELS:
        places = [place for place, cell in enumerate(cells) if label in tags_of(cell)]
        assert all(text_of(cells[place - 1]) == notebooks.LABELS[label] for place in places)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_was_left_out_is_missed(name) -> None:
    """Every name that a cell uses and the book's cells make is made by a cell of the copy, too, and earlier."""
    kept = {cell["id"] for cell in MADE[name]["cells"]}
    code = {cell["id"]: text_of(cell) for cell in MADE[name]["cells"] if cell["cell_type"] == "code"}
    theirs, mine = set(), set()
    for cell in library.notebook(name)["cells"]:
        if cell["cell_type"] != "code":
            continue
        if cell["id"] in kept:
            for statement in ast.parse(code[cell["id"]]).body:
                missed = (hidden.read(statement) & theirs) - mine
                assert not missed, f"{cell['id']} uses {missed}"
                mine |= hidden.made(statement)
        theirs |= {one for statement in ast.parse(text_of(cell)).body for one in hidden.made(statement)}


def test_what_is_kept_of_a_hidden_cell() -> None:
    def cell(source: str, *tags: str) -> dict:
        return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}}

    checks = """
a = 1
b = a + c
assert b > 0
if b:
    assert a
    d = b
    nb.glue("d", d)
for e in [1]:
    nb.glue("e", e)
unused = 3"""
    cells = [cell("c = 5", "remove-cell"), cell(checks, "remove-cell"), cell("[d for d in [2]]\nprint(d, e)")]
    found = hidden.needed(cells)
    assert found[0] == f"{hidden.HEAD}\nc = 5"
    assert found[1] == f"{hidden.HEAD}\na = 1\nb = a + c\nif b:\n    d = b"
    assert hidden.needed([cell("x = 1", "remove-cell"), cell("x = 2\nx")]) == {0: ""}


@pytest.mark.parametrize("name", NAMES)
def test_links_of_a_copy_lead_to_copies_and_to_papers(name) -> None:
    text = texts(MADE[name])
    links = re.findall(r"(?<!!)\[[^\]\[]+\]\(([^)\s]+)\)", text)
    assert links
    for link in links:
        if not link.startswith("http"):
            file, _, section = link.partition("#")
            there = texts(MADE[file.removesuffix(".ipynb") or name])
            # JupyterLab names a heading so.
            headings = {title.replace(" ", "-") for title in re.findall(r"^#+ (.+)$", there, re.M)}
            assert not section or unquote(section).removeprefix("heading=") in headings, link


# --- JupyterLab itself ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def jupyterlab(home: Path):
    """JupyterLab as `make lab` starts it, on a copy of its own; yields its address."""
    options = [
        "--no-browser",
        "--port=0",
        "--IdentityProvider.token=t",
        "--LabApp.expose_app_in_browser=True",
    ]
    command = [sys.executable, "-m", "jupyter", "lab", *tasks.lab_options(options)]
    command[4] = f"--ServerApp.root_dir={home}"
    own = {f"JUPYTER_{kind}_DIR": str(home / "jupyter" / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own["JUPYTERLAB_WORKSPACES_DIR"] = str(home / "jupyter" / "workspaces")
    log = home / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            command, cwd=home, env=tasks.lab_environment() | own, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        ends = time.monotonic() + 120
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/lab", log.read_text())):
            assert server.poll() is None and time.monotonic() < ends, log.read_text()
            time.sleep(0.2)
        yield found[1]
    finally:
        server.terminate()  # it ends its kernels
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


NOTEBOOK = """
    const app = window.jupyterapp, panel = [...app.shell.widgets('main')].find(w => w.context && w.content.widgets);
    const cells = panel.content.widgets, find = id => cells.findIndex(c => c.model.id === id);
"""
RUN = NOTEBOOK + "const done = arguments[arguments.length - 1];"


class Learner:
    """Somebody who works in JupyterLab on one notebook."""

    def __init__(self, window) -> None:
        self.window = window

    def run_all(self) -> None:
        self.window.run_async(RUN + "app.commands.execute('notebook:run-all-cells').then(() => done())")

    def answer(self, name: str, source: str) -> str:
        """Write this into a cell, run it, and return what it prints."""
        return self.window.run_async(
            RUN
            + """
            const i = find(arguments[0]);
            panel.content.activeCellIndex = i;
            cells[i].model.sharedModel.setSource(arguments[1]);
            app.commands.execute('notebook:run-cell').then(() => done(
              cells[i].model.outputs.toJSON().map(o => o.text || o.evalue || '').flat().join('')));
            """,
            name,
            source,
        )

    def outputs(self) -> dict[str, list[str]]:
        return self.window.run(
            NOTEBOOK
            + """
            return Object.fromEntries(cells.filter(c => c.model.type === 'code').map(
              c => [c.model.id, c.model.outputs.toJSON().map(o => o.output_type)]));
            """
        )

    def show(self, name: str) -> None:
        """Scroll to a cell; cells far away are not drawn."""
        self.window.run_async(
            RUN + "panel.content.scrollToItem(find(arguments[0]), 'start').then(() => setTimeout(done, 500))",
            name,
        )

    def cell(self, name: str, what: str):
        """What an expression gives of the cell's element."""
        return self.window.run(NOTEBOOK + f"const e = cells[find(arguments[0])].node; return {what};", name)


@pytest.mark.browser
@pytest.mark.slow
def test_a_learner_runs_a_chapter_and_solves_an_exercise(running, tmp_path) -> None:
    name = "evaluation"  # it needs no framework, and takes a few seconds
    copies.write(name, tmp_path)
    (one, *_) = exercises.of_chapter(name)
    stub = library.notebook(name)["cells"][one.stub]
    function = ast.parse(text_of(stub)).body[0]
    with jupyterlab(tmp_path) as address:
        running.look(1300, 900)
        running.driver.get(f"{address}/lab/tree/{name}.ipynb?token=t")
        running.wait("document.querySelector('.jp-Notebook .jp-RenderedMarkdown h1')", 120)
        learner = Learner(running)
        running.wait(
            f"(() => {{ {NOTEBOOK} return panel.sessionContext.session?.kernel?.status === 'idle' }})()"
        )

        # It is the book's page, as far as a notebook can be.
        head = running.run("return document.querySelector('.jp-Notebook').innerText")
        assert "After this chapter you can" in head and "{" not in head.partition("import")[0]

        # A link leads to a section far below, which is not drawn yet.
        running.run("document.querySelector('.jp-Notebook a[href*=\"#heading=\"]').click()")
        running.wait(
            "[...document.querySelectorAll('h3')].some(e => e.textContent.startsWith('5. Sampled candidates') && "
            "Math.abs(e.getBoundingClientRect().top) < 400)",
            60,
        )

        learner.run_all()
        failed = [cell for cell, outputs in learner.outputs().items() if "error" in outputs]
        assert failed == []
        assert sum(map(bool, learner.outputs().values())) > 10

        learner.show(stub["id"])
        assert learner.answer(stub["id"], text_of(stub)).startswith("✗ Nothing to check yet")
        said = learner.answer(stub["id"], text_of(stub).replace("...", "return 12345.0"))
        assert said.startswith("✗ ") and f"`{one.call}.hint()`" in said
        assert (
            learner.answer(stub["id"], f"{one.call}.hint()").strip()
            == f"Hint 1 of {len(one.hints)}: {one.hints[0]}"
        )
        right = library.notebook(name)["cells"][one.solutions[0]]
        theirs = next(
            node.name for node in ast.parse(text_of(right)).body if isinstance(node, ast.FunctionDef)
        )
        solved = text_of(right).replace(theirs, function.name)
        assert learner.answer(stub["id"], solved).startswith("✓ Right")

        # A hint unfolds; the solution is out of sight until its heading is unfolded.
        asked = MADE[name]["cells"][[cell["id"] for cell in MADE[name]["cells"]].index(stub["id"]) - 1]["id"]
        learner.show(asked)
        assert learner.cell(asked, "e.querySelectorAll('details').length") == len(one.hints)
        assert learner.cell(asked, "(e.querySelector('summary').click(), e.querySelector('details').open)")
        solution = right["id"]
        hidden_now = "cells[find(arguments[0])].isHidden"
        assert learner.cell(solution, hidden_now)
        assert running.run("return document.body.innerText").count("Jupyter news") == 0
        assert not [line for line in running.console() if "sanit" in line or "Failed to" in line]
        running.driver.get("about:blank")  # a server with an open page takes its time to stop


# --- a GPU, where it is asked for ------------------------------------------------------------------------------------


@pytest.fixture
def shell(monkeypatch):
    """A notebook's shell, and an environment that is put back."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv(nb.ASK_FOR_GPU, raising=False)
    monkeypatch.setattr(nb, "get_ipython", lambda: SimpleNamespace(input_transformers_cleanup=[]))
    find = importlib.util.find_spec  # without Keras: TensorFlow would take many seconds to start
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "keras" else find(name, *rest)
    )


def test_a_chapter_hides_the_gpu_unless_it_is_asked_for(shell, monkeypatch, capsys) -> None:
    nb.setup()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "GPU" not in capsys.readouterr().out
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv(nb.ASK_FOR_GPU, "1")
    nb.setup()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert re.search(r"A GPU is asked for: PyTorch computes on (cpu|cuda)\.", capsys.readouterr().out)


def test_a_program_that_is_no_notebook_keeps_its_gpu(shell, monkeypatch) -> None:
    monkeypatch.setattr(nb, "get_ipython", lambda: None)
    nb.setup()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
