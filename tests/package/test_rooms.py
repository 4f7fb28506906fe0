"""One topic, one name, up to seven rooms: in a room a file is a topic, or its name begins with an underscore."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from book import shots
from book.ext.recbook_sphinx.chapters import read_topic
from book.ext.recbook_sphinx.names import TAUGHT

ROOT = Path(__file__).resolve().parents[2]

ROOMS = {
    "chapter": "chapters/{}.ipynb",
    "formulas": "recbook/formulas/{}.py",
    "shared": "recbook/shared/{}.py",
    "numpy": "recbook/numpy/{}.py",
    "torch": "recbook/torch/{}.py",
    "keras": "recbook/keras/{}.py",
    "test": "tests/topics/test_{}.py",
    "checks": "recbook/checks/{}.py",
}
EVERYWHERE = {"chapter", "test", "checks"}  # what every topic has
BESIDE = {"prerequisites"}  # checks of no topic: what a reader should know before the first chapter


def topics(pages: list[str], root: Path = ROOT) -> list[str]:
    """The names of all chapters that are notebooks, guides left out, in the order of the book.

    pages : those of _toc.yml
    """
    return [Path(page).name for page in pages if read_topic(page, root)]


def inhabitants(root: Path, room: str) -> set[str]:
    """The names that the files of a room have, but for those that begin with an underscore."""
    folder, pattern = (root / ROOMS[room]).parent, Path(ROOMS[room]).name
    before, after = pattern.split("{}")
    found = {path.name[len(before) : -len(after)] for path in folder.glob(pattern.format("*"))}
    return {name for name in found if not name.startswith("_")}


def problems(root: Path, names: list[str], taught: dict[str, tuple[str, ...]]) -> list[str]:
    """What does not fit, one line each.

    names : the topics;  taught : topic → the modules that it teaches, of topics without models
    """
    found = []
    for room in ROOMS:
        strangers = inhabitants(root, room) - set(names) - (BESIDE if room == "checks" else set())
        if room == "chapter":
            strangers = {name for name in strangers if read_topic(f"chapters/{name}", root)}
        found += [f"{ROOMS[room].format(name)}: no topic has this name" for name in sorted(strangers)]
        if room in EVERYWHERE:
            missing = set(names) - inhabitants(root, room)
            found += [f"{ROOMS[room].format(name)}: is not there" for name in sorted(missing)]
    wings = {room: inhabitants(root, room) for room in ("torch", "keras")}
    for name in sorted(wings["torch"] ^ wings["keras"]):
        found.append(f"{name}: stands in one wing alone")
    for name in names:
        if name not in wings["torch"] and not taught.get(name):
            found.append(f"{name}: it has no models; name in TAUGHT the modules that it teaches")
        if name in wings["torch"] and name not in inhabitants(root, "formulas"):
            found.append(f"{name}: its models have no formulas")
        for module in taught.get(name, ()):
            path = root / "recbook" / module.replace(".", "/")
            if not path.with_suffix(".py").is_file() and not (path / "__init__.py").is_file():
                found.append(f"{name}: no module recbook.{module}")
    return found


def test_every_file_of_a_room_is_a_topic_and_every_topic_has_its_rooms():
    assert problems(ROOT, topics(shots.toc_pages(ROOT / "_toc.yml")), TAUGHT) == []


@pytest.fixture
def small(tmp_path):
    """A book of two topics: one with models, one without."""
    rooms = {"near": set(ROOMS) - {"numpy"}, "start": {*EVERYWHERE, "numpy"}}
    files = [ROOMS[room].format(topic) for topic, there in rooms.items() for room in there]
    for name in [*files, "recbook/worlds.py", "recbook/torch/_model.py", "recbook/shared/__init__.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names, taught = ["start", "near"], {"start": ("worlds",)}
    assert problems(tmp_path, names, taught) == []
    return tmp_path, names, taught


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("chapters/near.ipynb", "is not there"),
        ("tests/topics/test_start.py", "is not there"),
        ("recbook/checks/near.py", "is not there"),
        ("recbook/keras/near.py", "stands in one wing alone"),
        ("recbook/formulas/near.py", "its models have no formulas"),
        ("recbook/worlds.py", "no module recbook.worlds"),
    ],
)
def test_a_room_that_is_gone_is_found(small, path, problem):
    root, names, taught = small
    (root / path).unlink()
    assert any(line.endswith(problem) for line in problems(root, names, taught))


@pytest.mark.parametrize("room", ["torch", "keras", "shared", "formulas", "test", "checks"])
def test_a_file_of_no_topic_is_found(small, room):
    root, names, taught = small
    (root / ROOMS[room].format("other")).touch()
    assert f"{ROOMS[room].format('other')}: no topic has this name" in problems(root, names, taught)


def test_a_file_with_an_underscore_is_nobodys_topic(small):
    root, names, taught = small
    (root / "recbook" / "shared" / "_pairs.py").touch()
    assert problems(root, names, taught) == []


def test_a_guide_is_no_topic_and_whoever_lives_in_its_rooms_is_found(tmp_path):
    def write(name: str, **more) -> str:
        cell = {"cell_type": "markdown", "metadata": {}, "source": f"({name})=\n# A title\n\nText."}
        path = tmp_path / "chapters" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"cells": [cell], "metadata": {"recbook": more}}), "utf-8")
        return f"chapters/{name}"

    pages = [write("near"), write("own", guide=True), "chapters/text"]
    assert topics(pages, tmp_path) == ["near"]
    (tmp_path / "recbook" / "shared").mkdir(parents=True)
    (tmp_path / "recbook" / "shared" / "own.py").touch()
    found = problems(tmp_path, ["near"], {})
    assert "recbook/shared/own.py: no topic has this name" in found
    assert not any(line.startswith("chapters/") for line in found)
    write("other")
    assert "chapters/other.ipynb: no topic has this name" in problems(tmp_path, ["near"], {})


def test_a_topic_without_models_names_what_it_teaches(small):
    root, names, _ = small
    assert problems(root, names, {}) == [
        "start: it has no models; name in TAUGHT the modules that it teaches"
    ]
