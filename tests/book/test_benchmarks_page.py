"""What `make bench` stored covers every model, and the page says what is stored."""

from __future__ import annotations

import importlib.util
import json
import re
import sys

import numpy as np
import pytest
from sphinx.errors import ExtensionError

from book.ext.recbook_sphinx import benchmarks as page
from recbook.tools import twins


def script(name: str):
    """benchmarks/NAME.py as a module, under a name that hides no library."""
    path = page.ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def wing(fit: float, mib: float, **quality: float) -> dict:
    return {"quality": quality, "seconds": {"fit": fit, "serve": 0.25}, "bytes": mib * 2**20}


@pytest.fixture
def result() -> dict:
    return {
        "models": {
            "One": {
                "task": "rating",
                "wings": {
                    "torch": wing(1.5, 20, rmse=0.9, **{"ndcg@10": 0.25}),
                    "keras": wing(3, 40, rmse=0.9, **{"ndcg@10": 0.2501}),
                },
                "parity": {"quality": {"rmse": 0, "ndcg@10": 1e-4}, "scores": 2.3e-5},
            },
            "Other": {
                "task": "click",
                "wings": {"torch": wing(0.5, 2, auc=0.7), "keras": wing(9, 3, auc=0.7)},
                "parity": {"quality": {"auc": 0}, "scores": 0.0},
            },
        },
        "circumstances": {
            "date": "2026-01-02", "machine": "Abacus", "threads": "one", "python": "3.11", "versions": {"torch": "2"},
        },
    }  # fmt: skip


def test_every_model_is_measured_in_both_wings():
    models = page.load(page.MODELS)["models"]
    assert sorted(models) == [pair.name for pair in twins.pairs()], "renew it: make bench ARGS=models"
    for name, model in models.items():
        assert set(model["wings"]) == {"torch", "keras"}
        for found in model["wings"].values():
            assert found["seconds"]["fit"] > 0 and found["bytes"] >= 0 and found["quality"], name


def test_a_table_has_both_values_or_the_one_that_they_share(result):
    head, _, one, other = page.models_table(result).replace("\u00a0", " ").splitlines()
    assert head.count("|") == one.count("|") == other.count("|")
    assert one.startswith(
        "| `One` | ratings | RMSE ↓ 0.9000, nDCG@10 ↑ 0.2500 / 0.2501 | 1.5 / 3.0 | 0.2 / 0.2 | 20 / 40 | 2e-5 |"
    )
    assert "| `Other` | clicks | AUC ↑ 0.7000 | 0.5 / 9.0 |" in other


def test_ratios_stand_beside_what_they_are_ratios_to(result):
    row = {
        "what": "a fit",
        "peer": "Library 1.0",
        "torch": {"seconds": 0.512, "cpu_seconds": 2},
        "keras": {"seconds": 12.3},
    }
    table = page.beside_table({"one": result | {"beside": [row]}, "two": result})
    assert table.splitlines()[2] == "| a fit | Library 1.0 | 0.51 | 2 | 12 | – | 2 January 2026 |"
    assert len(table.splitlines()) == 3


def test_benchmarks_of_one_machine_and_day_share_a_line(result):
    later = result | {"circumstances": result["circumstances"] | {"date": "2026-02-03"}}
    lines = page.circumstances({"a": result, "b": later, "c": result}).splitlines()
    assert len(lines) == 2 and lines[0].startswith(
        "- `a`, `c`: 2 January 2026, Abacus; one; Python 3.11, torch 2"
    )


def test_the_plot_names_every_model_and_says_in_words_what_it_shows(result):
    svg = page.draw(result)
    assert all(f">{name}<" in svg for name in ("One", "Other", "PyTorch", "Keras"))
    assert "In PyTorch a fit takes from 0.5 s (Other) to 1.5 s (One)" in svg
    assert not re.search(r"#01020\d", svg)


def test_a_missing_result_names_the_command(tmp_path):
    with pytest.raises(ExtensionError, match="make bench ARGS=models"):
        page.load(tmp_path / "models.json")


def test_a_benchmark_stores_its_ratios(tmp_path, capsys):
    shared = script("_shared")
    found = {"lib": {"seconds": 2.0, "cpu_seconds": 4.0}, "torch": {"seconds": 1.0, "cpu_seconds": 3.0}}
    row = shared.beside("a fit", found, "lib", "Library 1.0")
    assert row == {"what": "a fit", "peer": "Library 1.0", "torch": {"seconds": 0.5, "cpu_seconds": 0.75}}
    path = tmp_path / "folder" / "one.json"
    assert shared.end({"time": 1}, path, ["slow"], [row]) == 1 and "slow" in capsys.readouterr().out
    assert json.loads(path.read_text("utf-8")) == {"time": 1, "beside": [row]}


def test_scores_are_compared_in_their_own_spread():
    models = script("models")
    scores = np.array([1.0, 3.0, np.inf])
    assert models.apart(scores, scores + np.array([0, 0.1, 0])) == pytest.approx(0.1)
    assert models.apart(scores, np.array([1.0, np.nan, np.inf])) == np.inf
