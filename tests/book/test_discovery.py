"""The pages of the package list nothing: what is added to the package is found, and stands on a page once."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from book import rooms
from book.ext.recbook_sphinx import names, which_model
from book.ext.recbook_sphinx.chapters import pages_of_book
from book.ext.recbook_sphinx.discovery import Package
from recbook.tools import twins

ROOT = Path(__file__).resolve().parents[2]
PAGES = "\n".join((ROOT / f"{page}.md").read_text("utf-8") for page in names.PAGES)
# Modules that readers do not import from: programs, what the notebooks need, what the book's own tests need.
NO_READERS = {"cli", "doctor", "notebook", "notebook.figures", "tools", "tools.house"}


@pytest.fixture
def planted(tmp_path) -> Path:
    """A copy of the package, to plant something in."""
    shutil.copytree(ROOT / "recbook", tmp_path / "recbook", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def described(root: Path) -> dict[str, list[str]]:
    found = Package(root, pages_of_book()).described(PAGES)
    return {key: [name for thing in things for name in thing.names] for key, things in found.items()}


def write(path: Path, text: str) -> None:
    path.write_text((path.read_text("utf-8") if path.is_file() else "") + text, "utf-8")


HEAD = '''

class {0}(shared.{0}):
    """A planted model."""
'''
OWN = '''

class Planted(Recommender):
    """A planted model."""
'''
FUNCTION = '''

def planted(a, b):
    """A planted function."""
'''


def test_a_new_model_is_found_in_its_topic_with_both_wings(planted) -> None:
    before = described(planted)["models"]
    for wing in ("torch", "keras"):
        write(planted / f"recbook/{wing}/neighbors.py", HEAD.format("Planted"))
    rooms.write_exports(planted / "recbook")  # as `tasks.py format` does
    after = described(planted)["models"]
    assert set(after) - set(before) == {"recbook.torch.Planted", "recbook.keras.Planted"}
    place = after.index("recbook.torch.Planted")
    assert after[place - 2 : place + 3] == [
        "recbook.torch.SlopeOne",
        "recbook.keras.SlopeOne",
        "recbook.torch.Planted",
        "recbook.keras.Planted",
        "recbook.torch.MatrixFactorization",
    ]


def test_a_new_topic_is_found_and_stands_at_the_end_until_it_has_a_chapter(planted) -> None:
    for wing in ("torch", "keras"):
        write(planted / f"recbook/{wing}/content.py", '"""New."""' + HEAD.format("ContentModel"))
    write(planted / "recbook/formulas/content.py", '"""New."""' + FUNCTION)
    rooms.write_exports(planted / "recbook")
    found = described(planted)
    assert found["models"][-2:] == ["recbook.torch.ContentModel", "recbook.keras.ContentModel"]
    assert found["formulas"][-1] == "recbook.formulas.content.planted"
    pages = (*pages_of_book()[:3], "chapters/content", *pages_of_book()[3:])
    assert "ContentModel" in [thing.short for thing in Package(planted, pages).models][:8]


def test_a_model_without_framework_is_found(planted) -> None:
    write(planted / "recbook/numpy/sequences.py", OWN)
    assert "recbook.numpy.sequences.Planted" in described(planted)["models"]
    write(planted / "recbook/numpy/__init__.py", "\nfrom recbook.numpy.sequences import Planted\n")
    assert "recbook.numpy.Planted" in described(planted)["models"]


def test_a_new_function_is_found_where_it_is_offered(planted) -> None:
    write(planted / "recbook/splits.py", FUNCTION)
    write(planted / "recbook/metrics/_clicks.py", FUNCTION)
    init = planted / "recbook/metrics/__init__.py"
    text = init.read_text("utf-8").replace("    auc,\n", "    auc,\n    planted,\n", 1)
    init.write_text(text.replace('    "auc",\n', '    "auc",\n    "planted",\n', 1), "utf-8")
    for wing in ("torch", "keras"):
        write(planted / f"recbook/{wing}/losses.py", FUNCTION)
    found = described(planted)
    assert "recbook.splits.planted" in found["recbook.splits"]
    assert "recbook.metrics.planted" in found["recbook.metrics"]
    assert found["twins"][-2:] == ["recbook.torch.losses.planted", "recbook.keras.losses.planted"]


def test_what_is_private_or_has_no_docstring_is_left_out(planted) -> None:
    before = described(planted)
    write(
        planted / "recbook/splits.py",
        FUNCTION.replace("planted(", "_planted(") + "\n\ndef bare(a):\n    pass\n",
    )
    write(planted / "recbook/torch/losses.py", FUNCTION)  # in one wing alone
    assert described(planted) == before


def test_every_model_and_formula_and_offered_name_is_described_once() -> None:
    found = [name for things in names.described().values() for thing in things for name in thing.names]
    assert [name for name, count in Counter(found).items() if count > 1] == []
    pairs = {f"recbook.{wing}.{pair.name}" for pair in twins.pairs() for wing in ("torch", "keras")}
    assert pairs <= set(found)
    homes = Counter(names.package().home(name)[:2] for name in found)
    assert [home for home, count in homes.items() if count > 1] == []


def test_every_public_module_is_on_a_page() -> None:
    """What no page shows is either left out there by name, or in a module that no reader imports from."""
    package = names.package()
    shown = {package.home(name)[:2] for name in names.public_names()}
    left_out = {
        (module, name)
        for modules, without in re.findall(r"\{offers\} (.+)\n:without: (.+)", PAGES)
        for module in modules.split()
        for name in without.split()
    }
    lost = []
    for module in package.modules:
        rooms = module.startswith(("recbook.torch.", "recbook.keras."))  # networks, and what they are made of
        if rooms or module.removeprefix("recbook.") in NO_READERS:
            continue
        for thing in package.public(module):
            if package.home(thing.name)[:2] not in shown and (module, thing.short) not in left_out:
                lost.append(thing.name)
    assert lost == []


def test_a_name_left_out_exists() -> None:
    for modules, without in re.findall(r"\{offers\} (.+)\n:without: (.+)", PAGES):
        assert set(without.split()) <= set(names.package().module(modules.split()[0]).public), modules


def test_the_index_has_every_model(monkeypatch) -> None:
    listed = [model.path for model in which_model.models()]
    assert listed == [thing.name for thing in names.package().models]
