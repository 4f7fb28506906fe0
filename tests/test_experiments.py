"""Results know the code they came from, and the scoreboard measures what it says."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from book.ext.recbook_sphinx import scoreboard as page
from experiments import scoreboard
from recbook import datasets, results, splits, worlds
from recbook.baselines import BiasOnly, GlobalMean, Popularity, Random
from recbook.comparison import compare
from recbook.errors import DataError
from recbook.evaluation import evaluate

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path for path in results.EXPERIMENTS.glob("*.py") if not path.stem.startswith("_"))
FILES = sorted(results.FOLDER.glob("*.json"))
FIELDS = ["topic", "protocol", "seeds", "data", "code", "machine", "date", "figures"]


# ---------------------------------------------------------------- what is committed


def test_every_experiment_has_its_result_and_every_result_its_experiment():
    assert SCRIPTS and [path.stem for path in SCRIPTS] == [path.stem for path in FILES]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_results_are_of_the_code_as_it_is(script):
    assert results.load(script.stem)["code"] == results.code_hash(script), (
        f"results/{script.stem}.json is stale: code that it depends on has changed. Renew it with\n"
        f"    {results.renewal(script.stem)}"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_results_say_how_they_were_made_and_hold_aggregates_alone(path):
    result = json.loads(path.read_text("utf-8"))
    assert list(result) == FIELDS and result["topic"] == path.stem
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


def test_the_scoreboard_has_every_model_and_what_it_claims():
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

MODULE = '''"""Words."""
import math

from {package}.below import g


def f(x):
    """More words."""
    # A remark.
    return math.sqrt(x) + g(x)
'''


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small package `recbook` and an experiment on it, both free to be changed."""
    package, experiments = tmp_path / "recbook", tmp_path / "experiments"
    (package / "wing").mkdir(parents=True)
    experiments.mkdir()
    files = {
        "__init__": "",
        "above": MODULE.format(package="recbook"),
        "below": "def g(x):\n    return x\n",
        "apart": "y = 1\n",
        "datasets": "from recbook import apart\n\n\ndef fetch_it():\n    return apart.y\n",
        "wing/__init__": "from recbook.wing import other\n",
        "wing/one": "from . import base\n\nz = base.n\n",
        "wing/base": "n = 1\n",
        "wing/other": "from recbook.wing.one import z\n",
    }
    for name, text in files.items():
        (package / f"{name}.py").write_text(text, "utf-8")
    script = experiments / "topic.py"
    script.write_text(
        '"""What it finds."""\nfrom recbook import above\nfrom recbook.datasets import fetch_it\n'
        "from recbook.wing.one import z\n\nROWS = [1]\nprint(above.f(z))\n",
        "utf-8",
    )
    monkeypatch.setattr(results, "PACKAGE", package)
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    return script


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_the_closure_is_what_is_imported_and_what_that_imports(checkout):
    found = results.closure(results._imports(checkout, ""))
    assert found == {"recbook.above", "recbook.below", "recbook.wing.one", "recbook.wing.base"}


@pytest.mark.parametrize(
    "file, old, new, counts",
    [
        ("above.py", "# A remark.", "# Another, longer remark.", False),
        ("above.py", '"""Words."""', '"""Other words."""', False),
        ("above.py", '    """More words."""\n', "", False),
        ("above.py", "math.sqrt(x) + g(x)", "(\n        math.sqrt(x)\n        + g(x)\n    )", False),
        ("above.py", "math.sqrt(x) + g(x)", "math.sqrt(x) - g(x)", True),
        ("below.py", "return x", "return x + 1", True),
        ("wing/base.py", "n = 1", "n = 2", True),
        ("wing/base.py", "n = 1", "n = 1.0", True),
        ("wing/base.py", "n = 1", "n = '1'", True),
        ("apart.py", "y = 1", "y = 2", False),
        ("datasets.py", "apart.y", "apart.y + 1", False),  # what fetch_* give has a hash of its own
        ("wing/other.py", "import z", "import z as a", False),
        ("../experiments/topic.py", "print(", "print(1, ", True),
        ("../experiments/topic.py", "What it finds.", "What it found.", False),
        ("../experiments/topic.py", "import fetch_it", "import fetch_it, make_it", True),
    ],
)
def test_code_counts_and_words_do_not(checkout, file, old, new, counts):
    before = results.code_hash(checkout)
    change(results.PACKAGE / file, old, new)
    assert (results.code_hash(checkout) != before) == counts


def test_an_emptied_function_is_another_program(checkout):
    """Without its docstring alone a body is empty: that is not the same as another body."""
    before = results.code_hash(checkout)
    change(results.PACKAGE / "below.py", "    return x\n", '    """Nothing."""\n')
    assert results.code_hash(checkout) != before


def test_a_part_hangs_on_its_own_modules(checkout):
    def both():
        return (
            results.part_hash(checkout, ["recbook.above"], without=["ROWS"]),
            results.part_hash(checkout, ["recbook.wing.one"], without=["ROWS"]),
        )

    first = both()
    change(results.PACKAGE / "below.py", "return x", "return x + 1")
    second = both()
    assert second[0] != first[0] and second[1] == first[1]
    change(checkout, "ROWS = [1]", "ROWS = [1, 2]")
    change(checkout, "from recbook import above\n", "from recbook import above, apart\n")
    assert both() == second
    change(checkout, "print(", "print(2, ")
    assert both()[0] != second[0] and both()[1] != second[1]


def test_the_hash_does_not_hang_on_fields_that_newer_pythons_add():
    """Python 3.12 gave functions and classes `type_params`; empty, it must not count."""
    path = ROOT / "recbook" / "errors.py"
    tree = ast.parse(path.read_text("utf-8"))
    plain = " ".join(results._words(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            node.type_params = []
    ast.ClassDef._fields = (*ast.ClassDef._fields, "type_params")
    try:
        assert " ".join(results._words(tree)) == plain
    finally:
        ast.ClassDef._fields = ast.ClassDef._fields[:-1]


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


# ---------------------------------------------------------------- the page


def test_the_page_shows_every_figure_and_the_protocol():
    result = results.load("scoreboard")
    table, protocol = page.table(result), page.protocol(result)
    for name, row in result["figures"].items():
        line = next(line for line in table.splitlines() if line.startswith(f"| `{name}` |"))
        assert line.count("|") == table.splitlines()[0].count("|")
        cells = dict(zip(page.COLUMNS, line.split(" | ")[1:], strict=False))
        for metric, figure in row["figures"].items():
            words = cells[metric].split("\u00a0")
            assert words[:3] == [f"{figure['mean']:.4f}", "±", f"{figure['sd']:.4f}"]
            found = row["against"].get(metric)
            mark = found and (page.YARD if found["yardstick"] == name else page.MARKS[found["verdict"]])
            assert words[3:] == ([mark] if mark else []), metric
    for metric, name in scoreboard.YARDSTICKS.items():
        assert f"`{name}` ({page.COLUMNS[metric].split()[0]})" in page.key(result)
    assert result["data"]["sha256"] in protocol and result["code"] in protocol and result["date"] in protocol
    for text in result["protocol"].values():
        assert text in protocol


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
