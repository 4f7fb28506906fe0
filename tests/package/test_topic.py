"""`make topic`: the skeleton of a new topic, and what it costs to add one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from book import rooms

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the package, the tests and the chapters, with a new topic in it."""
    root = tmp_path_factory.mktemp("checkout")
    left_out = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "saved", "upstream")
    for folder in ("recbook", "tests", "chapters", "book", "results"):
        shutil.copytree(ROOT / folder, root / folder, ignore=left_out)
    for name in ("pyproject.toml", "_toc.yml", "tasks.py", "requirements.txt"):
        shutil.copy(ROOT / name, root)
    written = rooms.write_topic("tasting", root)
    (root / "written.json").write_text(json.dumps([str(path.relative_to(root)) for path in written]))
    return root


def run(root: Path, *command: str) -> subprocess.CompletedProcess:
    env = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run([sys.executable, *command], cwd=root, env=env, capture_output=True, text=True)


def test_few_files_are_written_by_hand(checkout):
    """Its rooms, `_toc.yml`, and what is told around it: notation, glossary, bibliography, sources, quiz, changelog."""
    written = json.loads((checkout / "written.json").read_text())
    found = [name for name in written if name.endswith("__init__.py")]
    assert len(found) == 2 and len(written) - len(found) == 7
    around = [
        "_toc.yml",
        "chapters/notation.md",
        "chapters/glossary.md",
        "references.bib",
        "book/sources.toml",
    ]
    around += [
        "book/quizzes/tasting.toml",
        "CHANGELOG.md",
        "chapters/api_models.md",
        "tests/spreads/tasting.json",
    ]
    assert len(written) - len(found) + len(around) <= 20


def test_the_wings_offer_it_and_the_twins_find_it(checkout):
    done = run(
        checkout,
        "-c",
        "import recbook.torch as rt; from recbook.tools import twins; from recbook import tuning\n"
        "assert rt.TastingModel.__module__ == 'recbook.torch.tasting' and 'TastingModel' in rt.__all__\n"
        "assert 'TastingModel' in {pair.name for pair in twins.pairs()}\n"
        "assert rt.TastingModel().factors == 32 and 'reg' in tuning.space(rt.TastingModel)",
    )
    assert done.returncode == 0, done.stderr


def test_its_tests_fail_with_what_is_still_to_be_written(checkout):
    done = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/topics/test_tasting.py")
    assert "5 failed" in done.stdout, done.stdout + done.stderr
    for words in ("write the equation that the chapter calls tasting-score", "the figure, its source"):
        assert words in done.stdout


def test_its_rooms_are_those_of_every_topic_but_for_the_chapters_place(checkout):
    done = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/package/test_rooms.py")
    assert "chapters/tasting.ipynb: no topic has this name" in done.stdout, done.stdout + done.stderr
    toc = checkout / "_toc.yml"
    toc.write_text(
        toc.read_text().replace(
            "chapters/transformers\n", "chapters/transformers\n      - file: chapters/tasting\n"
        )
    )
    done = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/package/test_rooms.py")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["neighbors", "Upper", "two-words", "_hidden", "3d", ""])
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(name, tmp_path):
    if name == "neighbors":
        (tmp_path / "chapters").mkdir()
        (tmp_path / "chapters" / "neighbors.ipynb").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="is there already|is no name of a topic"):
        rooms.write_topic(name, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_wings_lists_are_what_their_rooms_hold():
    for wing in rooms.WINGS:
        text = (ROOT / "recbook" / wing / "__init__.py").read_text("utf-8")
        assert rooms.BEGIN + rooms.exports(ROOT / "recbook", wing) + rooms.END in text, (
            "python tasks.py format"
        )
