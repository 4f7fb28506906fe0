"""Results know the code they came from, and the scoreboard measures what it says."""

import ast
import importlib
import json
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from book.ext.recbook_sphinx import scoreboard as page
from experiments import _confirm, scoreboard
from recbook import datasets, results, splits, worlds
from recbook.comparison import compare
from recbook.core import definitions
from recbook.errors import DataError
from recbook.evaluation import evaluate
from recbook.numpy.introduction import BiasOnly, GlobalMean, Popularity, Random
from recbook.tools import twins

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for path in results.EXPERIMENTS.glob("*.py") if not path.stem.startswith("_"))
FILES = sorted(results.FOLDER.glob("*.json"))
FIELDS = ["topic", "protocol", "seeds", "data", "code", "machine", "date", "figures"]


# ---------------------------------------------------------------- what is committed


def test_every_experiment_has_its_result_and_every_result_its_experiment():
    assert SCRIPTS and [path.stem for path in SCRIPTS] == [path.stem for path in FILES]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_results_are_of_the_code_as_it_is(script):
    assert results.load(script.stem)["code"] == results.code_hash(script), (
        f"results/{script.stem}.json is stale: code that it depends on has changed. Confirm it, or renew it, with\n"
        f"    {results.renewal(script.stem, confirm=True)}\n    {results.renewal(script.stem)}"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_results_say_how_they_were_made_and_hold_aggregates_alone(path):
    result = json.loads(path.read_text("utf-8"))
    assert [name for name in result if name != "confirmed"] == FIELDS and result["topic"] == path.stem
    assert result.get("confirmed", {"measured": True})["measured"]
    assert result["seeds"] and result["protocol"] and result["figures"]
    assert result["machine"]["cores"] >= 1 and "numpy" in result["machine"]["versions"]
    assert path.stat().st_size < 200_000

    def lengths(value):
        if isinstance(value, dict):
            yield from (n for one in value.values() for n in lengths(one))
        elif isinstance(value, list):
            yield len(value)
            yield from (n for one in value for n in lengths(one))

    assert max(lengths(result["figures"]), default=0) < 100  # nothing has a row for each user


def test_the_scoreboard_is_of_the_data_that_is_fetched_here():
    try:
        ml = datasets.fetch_movielens("100k")
    except DataError as error:
        pytest.skip(f"MovieLens-100K is not to be had here: {error}")
    result = results.load("scoreboard")
    assert result["data"] == {"name": ml.name, "sha256": ml.sha256}
    # One cheap row, one seed, measured again.
    train, test = splits.random_split(ml, scoreboard.TEST_SIZE, scoreboard.SEEDS[1])
    report, _ = scoreboard.measure(scoreboard.MODELS["BiasOnly"], train, test, scoreboard.SEEDS[1])
    stored = result["figures"]["BiasOnly"]["figures"]
    for metric, value in report.items():
        assert stored[metric]["seeds"][1] == pytest.approx(value, abs=1e-5), metric


def test_the_scoreboard_has_every_model_of_its_protocol():
    public = {pair.name for pair in twins.pairs() if pair.torch.task in ("rating", "ranking")}
    yardsticks = [
        name
        for name, model in scoreboard.MODELS.items()
        if type(model).__module__ == "recbook.numpy.introduction"
    ]
    assert set(scoreboard.MODELS) == public | set(yardsticks) and len(yardsticks) >= 4
    assert list(scoreboard.MODELS)[: len(yardsticks)] == yardsticks  # the book begins with them


def test_a_new_model_gets_its_row(monkeypatch):
    class Newcomer(Popularity):
        """It is public, and its chapter is that of the decompositions."""

    Newcomer.__module__ = "recbook.torch.decomposition"
    found = {name: scoreboard.wing(name) for name in ("numpy", "torch")}
    found["torch"]["Newcomer"] = Newcomer
    monkeypatch.setattr(scoreboard, "wing", found.__getitem__)
    names = list(scoreboard.models())
    assert names.index("PCA") < names.index("Newcomer") < names.index("EASE")
    with pytest.raises(DataError, match="was never measured: make experiments ARGS=scoreboard"):
        monkeypatch.setattr(scoreboard, "MODELS", scoreboard.models())
        scoreboard.stamped(results.load("scoreboard")["figures"])


def test_the_scoreboard_has_what_it_claims():
    result = results.load("scoreboard")
    assert list(result["figures"]) == list(scoreboard.MODELS)
    for name, row in result["figures"].items():
        assert row["code"] == scoreboard.row_hash(scoreboard.MODELS[name]), results.renewal("scoreboard")
        assert ("rmse" in row["figures"]) == (row["task"] == "rating") and "ndcg@10" in row["figures"]
        for figure in row["figures"].values():
            assert len(figure["seeds"]) == len(result["seeds"]) == 3
            assert figure["mean"] == pytest.approx(np.mean(figure["seeds"]), abs=2e-6)
            assert figure["sd"] == pytest.approx(np.std(figure["seeds"], ddof=1), abs=2e-6)
        for metric, difference in row.get("twin_differences", {}).items():
            assert difference <= scoreboard.allowed_difference(name, row["figures"][metric])
        assert ("twin_differences" in row) == type(scoreboard.MODELS[name]).__module__.startswith(
            "recbook.torch"
        )
        for metric, found in row["against"].items():
            above = [low > 0 for low, high in found["intervals"]]
            below = [high < 0 for low, high in found["intervals"]]
            better, worse = (below, above) if metric == "rmse" else (above, below)
            expected = "better" if all(better) else "worse" if all(worse) else "not told apart"
            assert found["verdict"] == expected


# ---------------------------------------------------------------- the scoreboard's own steps

WORLD = worlds.make_biases(n_users=120, n_items=60, density=0.4, noise=0.3, seed=0)
FOLDS = {seed: splits.random_split(WORLD.data, 0.2, seed) for seed in (0, 1, 2)}


def rivals():
    return {
        metric: {seed: scoreboard.measure(model, *fold, seed)[0] for seed, fold in FOLDS.items()}
        for metric, model in (("rmse", GlobalMean()), ("ndcg@10", Popularity()))
    }


def test_a_row_is_what_evaluate_and_compare_give():
    row = scoreboard.row(BiasOnly(), FOLDS, rivals())
    by_hand = [
        evaluate(BiasOnly().fit(train), test, ["rmse", "ndcg@10"], relevant=4)
        for train, test in FOLDS.values()
    ]
    for metric in ("rmse", "ndcg@10"):
        values = [report[metric] for report in by_hand]
        assert row["figures"][metric]["seeds"] == values
        assert row["figures"][metric]["mean"] == pytest.approx(np.mean(values))
    pairs = [compare(by_hand[0], rivals()["ndcg@10"][0], "ndcg@10")]
    assert row["against"]["ndcg@10"]["differences"][0] == pairs[0].difference
    assert row["against"]["rmse"]["verdict"] == row["against"]["ndcg@10"]["verdict"] == "better"
    assert "rmse" not in scoreboard.row(Random(), FOLDS, rivals())["figures"]


def test_a_model_that_draws_gets_the_seed_of_the_split():
    seeds = scoreboard.row(Random(seed=9), FOLDS, {})["figures"]["ndcg@10"]["seeds"]
    train, test = FOLDS[2]
    assert seeds[2] == evaluate(Random(seed=2).fit(train), test, ["ndcg@10"], relevant=4)["ndcg@10"]


@pytest.mark.parametrize(
    "winners, expected",
    [
        ("aaa", "better"),
        ("bbb", "worse"),
        ("aab", "not told apart"),
        ("aa-", "not told apart"),
        ("---", "not told apart"),
    ],
)
def test_better_means_in_every_seed(winners, expected):
    assert scoreboard.verdict([{"-": None}.get(w, w) for w in winners]) == expected


# ---------------------------------------------------------------- hashes of code

FILES_OF_A_PACKAGE = {
    "recbook/__init__": "",
    "recbook/above": '''"""Words."""
import math

from recbook.below import Base, g, unused

LIMIT = 3


def f(x, limit=LIMIT):
    """More words."""
    # A remark.
    return math.sqrt(x) + g(limit)


class Model(Base):
    size = 2

    def fit(self):
        return f(self.size)


def apart(x):
    return unused(x)
''',
    "recbook/below": """import numpy as np

SCALE = 2.0
if SCALE:
    OFFSET = 1


def g(x):
    return SCALE * np.abs(x) + OFFSET


def unused(x):
    return x


class Base:
    def score(self):
        return round_trip(3)


def round_trip(n):
    return n and back(n - 1)


def back(n):
    return round_trip(n)
""",
    "recbook/dynamic": "from recbook.below import g\n\n\ndef one():\n    return g(1)\n\n\ndef other():\n    return 2\n",
    "recbook/datasets": "import recbook.below as b\n\n\ndef fetch_it():\n    return b.unused(1)\n\n\n"
    "def make_it():\n    return 1\n",
    "recbook/wing/__init__": "from recbook.wing.one import Twin\nfrom recbook.wing.other import Other\n",
    "recbook/wing/one": "from . import base\n\n\nclass Twin:\n    z = base.n\n",
    "recbook/wing/base": "import warnings\n\nn = 1\nm = 1\nwarnings.simplefilter('ignore')\n",
    "recbook/wing/other": "class Other:\n    z = 1\n",
    "recbook/lazy/__init__": "import importlib\n\n_PLACES = {'Late': 'recbook.lazy.late'}\n\n\n"
    "def __getattr__(name):\n    return getattr(importlib.import_module(_PLACES[name]), name)\n",
    "recbook/lazy/late": "class Late:\n    a = 1\n\n\nclass Later:\n    a = 1\n",
    "experiments/topic": '''"""What it finds."""
import recbook.wing as w
from recbook import above as up, dynamic, lazy
from recbook.datasets import fetch_it

ROWS = [1]


def main():
    print(up.Model().fit(), w.Twin, getattr(dynamic, "one"), lazy.Late, fetch_it(), ROWS)


def helper():
    return 1


if __name__ == "__main__":
    main()
''',
}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small package `recbook` and an experiment on it, both free to be changed."""
    for name, text in FILES_OF_A_PACKAGE.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "recbook")
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(results, "EXPERIMENTS", tmp_path / "experiments")
    return tmp_path / "experiments" / "topic.py"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize(
    "file, old, new, counts",
    [
        # Words, layout, and what is not reached.
        ("above", "# A remark.", "# Another, longer remark.", False),
        ("above", '"""Words."""', '"""Other words."""', False),
        ("above", '    """More words."""\n', "", False),
        ("above", "math.sqrt(x) + g(limit)", "(\n        math.sqrt(x)\n        + g(limit)\n    )", False),
        ("above", "return unused(x)", "return unused(x) + 1", False),
        ("above", "def apart(x):", "def further(x):\n    return 1\n\n\ndef apart(x):", False),
        ("below", "def unused(x):\n    return x", "def unused(x):\n    return x + 1", False),
        ("wing/other", "z = 1", "z = 2", False),  # a model is not made stale by its neighbours
        ("wing/base", "m = 1", "m = 2", False),
        ("lazy/late", "class Later:\n    a = 1", "class Later:\n    a = 2", False),
        ("datasets", "b.unused(1)", "b.unused(2)", False),  # what fetch_* give has a hash of its own
        ("datasets", "return 1", "return 2", False),
        ("../experiments/topic", "What it finds.", "What it found.", False),
        ("../experiments/topic", "return 1", "return 2", False),
        # Imports by another way, and places.
        ("above", "import math\n", "import math as m, os\n", True),  # `math` is nothing now
        ("above", "import math\n", "import os\nimport math\n", False),
        ("../experiments/topic", "import fetch_it", "import fetch_it, make_it", False),
        ("wing/one", "from . import base", "from recbook.wing import base", False),
        # Code.
        ("above", "math.sqrt(x) + g(limit)", "math.sqrt(x) - g(limit)", True),
        ("above", "import math\n", "import cmath as math\n", True),
        ("above", "LIMIT = 3", "LIMIT = 4", True),
        ("above", "limit=LIMIT", "limit=5", True),
        ("above", "size = 2", "size = 2.0", True),
        ("above", "size = 2", "size = '2'", True),
        ("above", "Model(Base)", "Model", True),
        ("below", "SCALE = 2.0", "SCALE = 3.0", True),
        ("below", "OFFSET = 1", "OFFSET = 2", True),
        ("below", "if SCALE:", "if not SCALE:", True),
        ("below", "return round_trip(3)", "return round_trip(4)", True),  # of a base class
        ("below", "return round_trip(n)\n", "return round_trip(n + 1)\n", True),  # in a circle
        ("below", "import numpy as np", "import torch as np", True),
        ("dynamic", "return 2", "return 3", True),  # `getattr` may give anything of a module
        ("wing/base", "n = 1", "n = 2", True),
        ("wing/base", "'ignore'", "'error'", True),  # it runs where `n` is reached
        ("wing/one", "class Twin:", "class Twin(dict):", True),
        ("lazy/late", "class Late:\n    a = 1", "class Late:\n    a = 2", True),
        ("lazy/__init__", "[name]), name)", "[name]), 'Later')", True),
        ("../experiments/topic", "ROWS = [1]", "ROWS = [2]", True),
        ("../experiments/topic", "print(", "print(1, ", True),
        ("../experiments/topic", "lazy.Late", "lazy.Later", True),
        ("../experiments/topic", "w.Twin", "w.Other", True),
    ],
)
def test_code_counts_and_words_do_not(checkout, file, old, new, counts):
    before = results.code_hash(checkout)
    change(results.PACKAGE / f"{file}.py", old, new)
    assert (results.code_hash(checkout) != before) == counts


def renamed(checkout: Path) -> None:
    """`below` is called `beneath` from now on."""
    (results.PACKAGE / "below.py").rename(results.PACKAGE / "beneath.py")
    for path in results.PACKAGE.rglob("*.py"):
        path.write_text(path.read_text("utf-8").replace("recbook.below", "recbook.beneath"), "utf-8")


def moved(checkout: Path) -> None:
    """`g` and what it needs stand in a module of their own."""
    below = results.PACKAGE / "below.py"
    cut = below.read_text("utf-8").index("def unused")
    (results.PACKAGE / "split.py").write_text(below.read_text("utf-8")[:cut], "utf-8")
    below.write_text("from recbook.split import g\n\n\n" + below.read_text("utf-8")[cut:], "utf-8")


def imported_otherwise(checkout: Path) -> None:
    change(
        results.PACKAGE / "above.py", "from recbook.below import Base, g, unused", "import recbook.below as b"
    )
    for name in ("(Base)", " g(", " unused("):
        change(results.PACKAGE / "above.py", name, f"{name[0]}b.{name[1:]}")
    change(results.PACKAGE / "above.py", "import math", "from math import sqrt as root")
    change(results.PACKAGE / "above.py", "math.sqrt", "root")
    change(checkout, "import recbook.wing as w", "from recbook.wing.one import Twin as T")
    change(checkout, "w.Twin", "T")


def imported_when_needed(checkout: Path) -> None:
    change(
        results.PACKAGE / "above.py", "from recbook.below import Base, g, unused", "from .below import Base"
    )
    change(results.PACKAGE / "above.py", "    # A remark.", "    from recbook import below")
    change(results.PACKAGE / "above.py", "+ g(", "+ below.g(")


def turned_round(checkout: Path) -> None:
    """The definitions of a module in the opposite order."""
    path = results.PACKAGE / "below.py"
    first, *rest = path.read_text("utf-8").rstrip().split("\n\n\n")
    path.write_text("\n\n\n".join([first, *reversed(rest)]) + "\n", "utf-8")


def packaged(checkout: Path) -> None:
    """`below` becomes a folder that gives the same names."""
    folder = results.PACKAGE / "below"
    folder.mkdir()
    (results.PACKAGE / "below.py").rename(folder / "all.py")
    (folder / "__init__.py").write_text("from .all import Base, g, unused\n", "utf-8")


def moved_from_what_is_used_whole(checkout: Path) -> None:
    path = results.PACKAGE / "dynamic.py"
    cut = path.read_text("utf-8").index("def other")
    path.with_name("split.py").write_text(path.read_text("utf-8")[:cut], "utf-8")
    path.write_text("from recbook.split import one\n\n\n" + path.read_text("utf-8")[cut:], "utf-8")


@pytest.mark.parametrize(
    "move",
    [
        renamed,
        packaged,
        moved_from_what_is_used_whole,
        moved,
        imported_otherwise,
        imported_when_needed,
        turned_round,
    ],
)
def test_a_hash_survives_a_move(checkout, move):
    before, files = results.code_hash(checkout), read(results.PACKAGE.parent)
    move(checkout)
    assert read(results.PACKAGE.parent) != files and results.code_hash(checkout) == before


def read(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*.py")}


def test_an_emptied_function_is_another_program(checkout):
    """Without its docstring alone a body is empty: that is not the same as another body."""
    before = results.code_hash(checkout)
    change(results.PACKAGE / "below.py", "    return round_trip(n)\n", '    """Nothing."""\n')
    assert results.code_hash(checkout) != before


def test_two_definitions_of_one_name_are_not_taken_for_each_other(checkout):
    """Both wings have a class of the same name, and even of the same text: which one is meant counts."""
    for name, value in (("left", 1), ("right", 2)):
        text = f"n = {value}\n\n\nclass Same:\n    def fit(self):\n        return n\n"
        (results.PACKAGE / f"{name}.py").write_text(text, "utf-8")
    change(checkout, "from recbook import above", "from recbook import left, right, above")
    change(checkout, "print(", "print({1: left.Same, 2: right.Same}, ")
    before = results.code_hash(checkout)
    change(checkout, "{1: left.Same, 2: right.Same}", "{1: right.Same, 2: left.Same}")
    assert results.code_hash(checkout) != before


def test_a_variable_is_not_taken_for_what_has_its_name_elsewhere(checkout):
    change(
        results.PACKAGE / "above.py",
        "    # A remark.",
        "    apart = [unused for unused in [x]]\n    x = apart[0]",
    )
    change(results.PACKAGE / "above.py", "limit=LIMIT", "limit=LIMIT, back=1")
    change(results.PACKAGE / "above.py", "+ g(limit)", "+ g(limit + back)")
    change(results.PACKAGE / "above.py", "import Base, g, unused", "import Base, back, g, unused")
    change(results.PACKAGE / "below.py", "return round_trip(3)", "return 3")
    before = results.code_hash(checkout)
    change(results.PACKAGE / "below.py", "def unused(x):\n    return x", "def unused(x):\n    return x + 1")
    change(results.PACKAGE / "below.py", "    return round_trip(n)", "    return round_trip(n) + 1")
    change(results.PACKAGE / "above.py", "def apart(x):\n", "def apart(x):\n    x = 2\n")
    assert results.code_hash(checkout) == before


def test_what_a_loop_leaves_behind_is_defined_by_it(checkout):
    change(results.PACKAGE / "below.py", "if SCALE:\n    OFFSET = 1", "for OFFSET in [1]:\n    pass")
    before = results.code_hash(checkout)
    change(results.PACKAGE / "below.py", "for OFFSET in [1]", "for OFFSET in [2]")
    assert results.code_hash(checkout) != before


def test_a_part_hangs_on_its_own_roots(checkout):
    def both():
        return results.part_hash(checkout, ["recbook.above.f"]), results.part_hash(
            checkout, ["ROWS", "w.Twin"]
        )

    first = both()
    change(results.PACKAGE / "below.py", "SCALE = 2.0", "SCALE = 3.0")
    second = both()
    assert second[0] != first[0] and second[1] == first[1]
    change(checkout, "ROWS = [1]", "ROWS = [1, 2]")
    third = both()
    assert third[0] == second[0] and third[1] != second[1]
    change(checkout, "print(", "print(2, ")
    assert both() == third
    with pytest.raises(DataError, match="no definition is called recbook.above.nothing"):
        results.part_hash(checkout, ["recbook.above.nothing"])


def test_what_cannot_be_followed_is_refused(checkout):
    change(results.PACKAGE / "above.py", "import Base, g, unused", "import *")
    with pytest.raises(DataError, match="`from recbook.below import \\*` hides"):
        results.code_hash(checkout)


def test_a_hash_of_this_repository_survives_a_move(tmp_path, monkeypatch):
    """EASE goes into a module of its own, and a module of both wings gets another name."""
    for name in ("recbook", "experiments"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "recbook")
    scripts = [tmp_path / "experiments" / path.name for path in SCRIPTS]
    before = {path.stem: results.code_hash(path) for path in scripts}

    def of_row(model: str) -> str:
        return results.part_hash(tmp_path / "experiments" / "scoreboard.py", ["row", model])

    rows = of_row("recbook.torch.implicit.BPR"), of_row("recbook.torch.implicit.EASE")

    module = tmp_path / "recbook" / "torch" / "implicit.py"
    text = module.read_text("utf-8")
    node = next(one for one in ast.parse(text).body if isinstance(one, ast.ClassDef) and one.name == "EASE")
    lines = text.splitlines(keepends=True)
    head = "".join(lines[: next(n for n, line in enumerate(lines) if line.startswith(("class ", "def ")))])
    module.with_name("linear.py").write_text(
        head + "".join(lines[node.lineno - 1 : node.end_lineno]), "utf-8"
    )
    rest = lines[: node.lineno - 1] + ["from recbook.torch.linear import EASE\n"] + lines[node.end_lineno :]
    module.write_text("".join(rest), "utf-8")
    change(tmp_path / "experiments" / "ncf.py", "import EASE, ImplicitALS", "import ImplicitALS")
    change(
        tmp_path / "experiments" / "ncf.py",
        "import os\n",
        "import os\nfrom recbook.torch.linear import EASE\n",
    )
    (tmp_path / "recbook" / "sampling.py").rename(tmp_path / "recbook" / "draws.py")
    for path in [*(tmp_path / "recbook").rglob("*.py"), *scripts]:
        moved = path.read_text("utf-8").replace("recbook.sampling", "recbook.draws")
        moved = moved.replace("from recbook import sampling\n", "from recbook import draws as sampling\n")
        path.write_text(moved, "utf-8")
    assert {path.stem: results.code_hash(path) for path in scripts} == before
    assert (of_row("recbook.torch.implicit.BPR"), of_row("recbook.torch.linear.EASE")) == rows

    change(module.with_name("linear.py"), "add_(self.reg)", "add_(2 * self.reg)")
    after = {path.stem: results.code_hash(path) for path in scripts}
    assert {name for name in after if after[name] != before[name]} == {"ncf", "sequences"}
    assert (
        of_row("recbook.torch.implicit.BPR") == rows[0]
    )  # the scoreboard finds its models; each row has its own hash
    assert of_row("recbook.torch.linear.EASE") != rows[1]


def test_what_runs_was_reached():
    """Everything of recbook that runs while a row is measured is among what its hash is made of."""
    model = scoreboard.MODELS["EASE"]
    program = results._program(scoreboard.SCRIPT)
    roots = [
        "row",
        "recbook.torch.implicit.EASE",
        "recbook.numpy.introduction.Popularity",
        "recbook.numpy.introduction.BiasOnly",
    ]
    reached = set(program.reached([one for root in roots for one in program.find(root)]))
    defined = [
        (module, *one) for module in program.modules for one in program._source(module).definitions.items()
    ]
    names = {(module, name) for module, name, found in defined if reached & set(found)}
    found = set()

    def look(frame, event, _):
        module, path = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname.split(".")[0]
        if event == "call" and module.startswith("recbook.") and path[0] != "<" and path != "__create_fn__":
            found.add((module, path))  # what dataclasses make is of the class

    yardsticks = rivals()
    sys.setprofile(look)
    try:
        scoreboard.row(model, FOLDS, yardsticks)
    finally:
        sys.setprofile(None)
    assert len(found) > 20 and found - names == set()


def test_the_hash_does_not_hang_on_fields_that_newer_pythons_add():
    """Python 3.12 gave functions and classes `type_params`; empty, it must not count."""
    text = "class A:\n    def f(self):\n        return g()\n\n\ndef g():\n    return A\n"
    plain = definitions.Program(text, {}).hash(["A"])
    for kind in (ast.ClassDef, ast.FunctionDef):
        kind._fields = (*kind._fields, "type_params")
        kind.type_params = []
    definitions._source.cache_clear()
    try:
        assert definitions.Program(text, {}).hash(["A"]) == plain
    finally:
        for kind in (ast.ClassDef, ast.FunctionDef):
            kind._fields = kind._fields[:-1]
            del kind.type_params


def test_record_and_load(checkout):
    with pytest.raises(DataError, match="topic.json; make it with `make experiments ARGS=topic`"):
        results.load("topic")
    figures = {"rmse": {"mean": 0.12345678, 0: [1, 2.00000001]}}
    path = results.record(checkout, protocol={"k": 1}, seeds=[0], data={"name": "x"}, figures=figures)
    found = results.load("topic")
    assert list(found) == FIELDS and path.name == "topic.json"
    assert found["figures"] == {"rmse": {"mean": 0.123457, "0": [1, 2.0]}}
    assert found["code"] == results.code_hash(checkout) and len(found["date"]) == 10
    with pytest.raises(ValueError):
        results.record(checkout, protocol={}, seeds=[], data={}, figures={"rmse": float("nan")})
    assert results.load("topic") == found  # a failed record leaves the old one


# ---------------------------------------------------------------- confirming

EXPERIMENT = """
PROTOCOL = {"k": (1, 2)}
SPREADS = {"network": 0.01}
FRESH = {("exact", 0): 0.5, ("network", "rmse"): 0.909}


def miniature(figures):
    yield from FRESH.items()
"""


@pytest.fixture
def confirming(checkout, monkeypatch):
    """A stale result of an experiment that has a miniature; gives the experiment and the result's file."""
    module = types.ModuleType("experiments.topic")
    exec(EXPERIMENT, module.__dict__)
    monkeypatch.setitem(sys.modules, "experiments.topic", module)
    data = types.SimpleNamespace(sha256="abc")
    monkeypatch.setattr(datasets, "fetch_movielens", lambda name: data)
    figures = {"exact": [0.5, 0.25], "network": {"rmse": 0.9}}
    found = {"name": "x", "sha256": "abc"}
    path = results.record(checkout, protocol={"k": [1, 2]}, seeds=[0], data=found, figures=figures)
    change(results.PACKAGE / "below.py", "SCALE = 2.0", "SCALE = 1.0 + 1.0")
    return module, path


def test_a_result_whose_figures_come_out_again_is_stamped(confirming, checkout, capsys):
    _, path = confirming
    before = results.load("topic")
    assert before["code"] != results.code_hash(checkout)
    assert _confirm.main([]) == 0
    after = results.load("topic")
    assert list(after) == [*FIELDS, "confirmed"] and after["code"] == results.code_hash(checkout)
    assert after["confirmed"]["measured"] == ["exact / 0", "network / rmse"]
    assert len(after["confirmed"]["date"]) == 10 and after["confirmed"]["machine"] == results.machine()
    assert {name: after[name] for name in FIELDS if name != "code"} == {
        name: before[name] for name in FIELDS if name != "code"
    }
    assert "furthest off by 0.009: network / rmse" in capsys.readouterr().out
    text = path.read_text("utf-8")
    assert _confirm.main([]) == 0 and path.read_text("utf-8") == text  # nothing is stale any more


@pytest.mark.parametrize(
    "fresh, words",
    [
        ({("exact", 0): 0.50001}, "exact / 0 was 0.5, and is 0.500010 now"),
        ({("network", "rmse"): 0.911}, "network / rmse was 0.9, and is 0.911000 now"),
        ({("exact", 0): float("nan")}, "exact / 0 was 0.5, and is nan now"),
        ({("exact", 2): 0.5}, "the result has no figure at exact / 2"),
        ({}, "measured nothing"),
    ],
)
def test_a_figure_that_does_not_come_out_is_named_and_nothing_is_written(confirming, fresh, words, capsys):
    module, path = confirming
    module.FRESH = {("exact", 1): 0.25} | fresh if fresh else {}
    text = path.read_text("utf-8")
    assert _confirm.main(["topic"]) == 1
    assert words in capsys.readouterr().err and path.read_text("utf-8") == text


def test_no_miniature_speaks_for_another_protocol_or_other_data(confirming, capsys):
    module, path = confirming
    text = path.read_text("utf-8")
    module.PROTOCOL = {"k": (1, 3)}
    assert _confirm.main(["topic"]) == 1 and "the protocol has changed" in capsys.readouterr().err
    module.PROTOCOL = {"k": (1, 2)}
    datasets.fetch_movielens("100k").sha256 = "def"
    assert _confirm.main(["topic"]) == 1 and "the data has changed" in capsys.readouterr().err
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_experiment_can_be_confirmed(script):
    """It has a miniature, whose spreads are of figures that the result has."""
    experiment = importlib.import_module(f"experiments.{script.stem}")

    def keys(value):
        if isinstance(value, dict):
            yield from value
            yield from (key for one in value.values() for key in keys(one))

    assert set(experiment.SPREADS) <= set(keys(results.load(script.stem)["figures"]))
    assert callable(experiment.miniature)
    assert results.load(script.stem)["protocol"] == json.loads(json.dumps(experiment.PROTOCOL))


def test_a_stamped_scoreboard_has_the_hashes_of_all_rows():
    stored = results.load("scoreboard")["figures"]
    old = stored | {"EASE": stored["EASE"] | {"code": "old"}}
    rows = scoreboard.stamped(old)
    assert (
        rows["EASE"]["code"] == scoreboard.row_hash(scoreboard.MODELS["EASE"]) and rows["EASE"]["confirmed"]
    )
    assert {name: row["figures"] for name, row in rows.items()} == {
        name: row["figures"] for name, row in stored.items()
    }
    with pytest.raises(DataError, match="the row of EASE.* was never measured"):
        scoreboard.stamped(stored | {"EASE": stored["EASE"] | {"model": "EASE(reg=1)"}})


# ---------------------------------------------------------------- the page


def test_the_page_shows_every_figure_and_the_protocol():
    result = results.load("scoreboard")
    table, protocol = page.table(result), page.protocol(result)
    for name, row in result["figures"].items():
        line = next(line for line in table.splitlines() if line.startswith(f"| `{name}` |"))
        assert line.count("|") == table.splitlines()[0].count("|")
        cells = dict(zip(page.COLUMNS, line.split(" | ")[1:], strict=False))
        for metric, figure in row["figures"].items():
            first, _, deviation = cells[metric].partition(" ")
            mean, *marks = first.split("\u00a0")
            assert (mean, deviation) == (f"{figure['mean']:.4f}", f"±\u00a0{figure['sd']:.4f}")
            found = row["against"].get(metric)
            mark = found and (page.YARD if found["yardstick"] == name else page.MARKS[found["verdict"]])
            assert marks == ([mark] if mark else []), metric
    for metric, name in scoreboard.YARDSTICKS.items():
        assert f"`{name}` ({page.COLUMNS[metric].split()[0]})" in page.key(result)
    assert result["data"]["sha256"] in protocol and result["code"] in protocol and result["date"] in protocol
    for text in result["protocol"].values():
        assert text in protocol


def test_the_page_says_what_was_confirmed():
    measured = [
        "EASE / figures / ndcg@10 / seeds / 0",
        "EASE / twin_differences / ndcg@10",
        "PCA / figures / mae / seeds / 0",
    ]
    confirmed = {"date": "2030-01-02", "measured": measured}
    words = page.protocol(results.load("scoreboard") | {"confirmed": confirmed})
    assert "2030-01-02: the code had changed" in words and words.endswith("on seed 0: EASE, PCA")


def test_the_plot_is_for_light_dark_and_screen_readers():
    result = results.load("scoreboard")
    svg = page.draw(result)
    assert svg.startswith('<svg role="img" aria-label="A dot for each model') and svg.count("<svg") == 1
    assert svg == page.draw(result)  # the same picture in every build
    for name in result["figures"]:
        assert f">{name}</text>" in svg
    assert "currentColor" in svg and "var(--rb-blue)" in svg
    assert not any(ink in svg for ink in page.INKS) and "#ffffff" not in svg and "#000000" not in svg
    best = max((row["figures"]["ndcg@10"]["mean"], name) for name, row in result["figures"].items())
    assert f"to {best[0]:.4f} ({best[1]})." in page.alt_text(result)
    dots = svg.count("scoreboard-") and svg.count('id="scoreboard-')
    assert dots == len(set(part.split('"')[0] for part in svg.split('id="scoreboard-')[1:]))
