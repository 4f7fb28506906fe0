"""The notebook that `make lab` opens, and what a chapter's first cell says of devices."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.sign import NotebookNotary

import tasks
from book import lab
from book.ext.recbook_sphinx import book_map
from recbook import notebook as nb

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = {chapter.page: chapter for _, own in book_map.book() for chapter in own}


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
        assert f"{page}.ipynb" in links
        row = next(
            line for line in text.splitlines() if line.startswith(f"| [{chapter.title}]({page}.ipynb)")
        )
        assert all(lab.cell_safe(goal) in row for goal in chapter.goals)
        assert f"| {chapter.minutes}\u00a0min | {chapter.run['seconds']}\u00a0s |" in row


def test_all_links_lead_to_files_beside_it() -> None:
    made = lab.notebook()
    links = re.findall(r"\]\(([^)]+)\)", texts(made)) + [a["href"] for a in Anchors(lab.picture()).found]
    assert len(links) >= 2 * len(CHAPTERS)
    for link in links:
        assert not link.startswith(("/", "http")) and (lab.START.parent / link).is_file(), link


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
    for word in ("Restart Kernel and Run All Cells", "solution", "check", "RECBOOK_GPU=1", "made anew"):
        assert word in text, word
    for file in (
        "requirements.txt",
        "pyproject.toml",
    ):  # without it boxes, labels and numbered formulas are shown raw
        assert "jupyterlab-myst" in (ROOT / file).read_text("utf-8")
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


def test_the_command_writes_it_and_opens_it(monkeypatch) -> None:
    done = []
    monkeypatch.setattr(tasks, "setup", lambda: done.append("setup"))
    monkeypatch.setattr(tasks, "data", lambda: done.append("data"))
    monkeypatch.setattr(tasks, "must", lambda *command, **_: done.append(Path(command[1]).name))
    monkeypatch.setattr(tasks, "call", lambda *command, **_: done.append(Path(command[-1]).name))
    tasks.lab(None)
    assert done == ["setup", "data", "lab.py", "start.ipynb"]
    assert tasks.START == lab.START and lab.START.parent == ROOT
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert f"/{lab.START.name}" in ignored  # no chapter, and changed by every run


def test_it_is_no_page_of_the_book() -> None:
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    assert lab.START.stem not in re.findall(r"file: (\S+)", toc)
    assert json.dumps(lab.notebook()) == json.dumps(lab.notebook())  # the same each time


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
