"""One topic, one name, up to five rooms. The table says which rooms each topic has; the files must agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from book import shots
from book.ext.recbook_sphinx.names import TAUGHT

ROOT = Path(__file__).resolve().parent.parent

ROOMS = {
    "chapter": "chapters/{}.ipynb",
    "formulas": "recbook/formulas/{}.py",
    "torch": "recbook/torch/{}.py",
    "keras": "recbook/keras/{}.py",
    "test": "tests/test_{}.py",
}
ALL = tuple(ROOMS)


def taught(topic: str) -> tuple[str, ...]:
    """The modules that a chapter teaches, as the book's extension knows them."""
    return tuple(f"recbook.{name}" for name in TAUGHT[topic])


# topic → its rooms, and, for a topic without models, the modules that it teaches.
TOPICS = {
    "introduction": (("chapter", "test"), taught("introduction")),
    "data": (("chapter", "test"), taught("data")),
    "evaluation": (("chapter", "test"), taught("evaluation")),
    "losses": (ALL, ()),
    "optimizers": (ALL, ()),
    "frameworks": (("chapter", "test"), taught("frameworks")),
    "neighbors": (ALL, ()),
    "factorization": (ALL, ()),
    "decomposition": (ALL, ()),
    "implicit": (ALL, ()),
    "logistic": (ALL, ()),
    "factorization_machines": (ALL, ()),
    "embeddings": (ALL, ()),
    "ncf": (ALL, ()),
    "autoencoders": (ALL, ()),
    "ctr": (ALL, ()),
    "sequences": (ALL, ()),
    "transformers": (ALL, ()),
}
# Files that lie in the rooms and belong to no topic.
SHARED = {"__init__", "base", "backend", "training", "next_items"}


def there(root: Path, topic: str, room: str) -> bool:
    return (root / ROOMS[room].format(topic)).is_file()


def problems(root: Path, topics: dict, pages: list[str]) -> list[str]:
    """Where the table and the files under `root` differ, one line each. pages : those of _toc.yml"""
    found = []
    for topic, (rooms, modules) in topics.items():
        if unknown := set(rooms) - set(ROOMS):
            found.append(f"{topic}: no such room {sorted(unknown)}")
        for room in ROOMS:
            path = ROOMS[room].format(topic)
            if room in rooms and not there(root, topic, room):
                found.append(f"{topic}: {path} is in the table and not there")
            if room not in rooms and there(root, topic, room):
                found.append(f"{topic}: {path} is there and not in the table")
        if not {"chapter", "test"} <= set(rooms):
            found.append(f"{topic}: every topic has a chapter and a test")
        if bool(modules) == bool({"torch", "keras"} & set(rooms)):
            found.append(f"{topic}: it has models, or names the modules that it teaches")
        for module in modules:
            if not (root / f"{module.replace('.', '/')}.py").is_file():
                found.append(f"{topic}: no module {module}")
        if f"chapters/{topic}" not in pages:
            found.append(f"{topic}: its chapter is not in _toc.yml")
    chapters = [p for p in pages if (root / f"{p}.ipynb").is_file()]
    found += [f"{p}: in _toc.yml, not in the table" for p in chapters if Path(p).name not in topics]
    for room in ("chapter", "formulas", "torch", "keras"):
        folder = (root / ROOMS[room]).parent
        for path in sorted(folder.glob(Path(ROOMS[room]).name.format("*"))):
            if path.stem not in topics and path.stem not in SHARED:
                found.append(f"{path.relative_to(root).as_posix()}: belongs to no topic of the table")
    return found


def test_the_table_and_the_files_agree():
    assert problems(ROOT, TOPICS, shots.toc_pages(ROOT / "_toc.yml")) == []


@pytest.fixture
def small(tmp_path):
    """A book of two topics: one with models, one without."""
    topics = {"near": (ALL, ()), "start": (("chapter", "test"), ("recbook.worlds",))}
    files = [path.format(topic) for topic, (rooms, _) in topics.items() for path in map(ROOMS.get, rooms)]
    for name in [*files, "recbook/worlds.py", "recbook/torch/base.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    pages = ["index", "chapters/start", "chapters/near"]
    assert problems(tmp_path, topics, pages) == []
    return tmp_path, topics, pages


@pytest.mark.parametrize("path", ["chapters/near.ipynb", "recbook/keras/near.py", "tests/test_start.py"])
def test_a_room_that_is_gone_is_found(small, path):
    root, topics, pages = small
    (root / path).unlink()
    assert any(path in problem and "not there" in problem for problem in problems(root, topics, pages))


@pytest.mark.parametrize("path", ["recbook/torch/start.py", "recbook/formulas/start.py"])
def test_a_room_that_is_not_declared_is_found(small, path):
    root, topics, pages = small
    (root / path).touch()
    assert any(path in problem and "not in the table" in problem for problem in problems(root, topics, pages))


@pytest.mark.parametrize("path", ["chapters/other.ipynb", "recbook/keras/other.py"])
def test_a_file_of_no_topic_is_found(small, path):
    root, topics, pages = small
    (root / path).touch()
    assert problems(root, topics, pages) == [f"{path}: belongs to no topic of the table"]


def test_a_chapter_of_the_toc_must_be_in_the_table_and_the_other_way_round(small):
    root, topics, pages = small
    (root / "chapters" / "other.ipynb").touch()
    assert "chapters/other: in _toc.yml, not in the table" in problems(
        root, topics, [*pages, "chapters/other"]
    )
    (root / "chapters" / "other.ipynb").unlink()
    assert problems(root, topics, pages[:-1]) == ["near: its chapter is not in _toc.yml"]


def test_a_topic_without_models_names_its_modules(small):
    root, topics, pages = small
    for modules in ((), ("recbook.nowhere",)):
        broken = topics | {"start": (("chapter", "test"), modules)}
        assert len(problems(root, broken, pages)) == 1
