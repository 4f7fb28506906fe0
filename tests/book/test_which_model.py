"""The page "which model for my data": every model is on it, and it says what the classes say."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from book.ext.recbook_sphinx import which_model as page
from recbook import recommender
from recbook.numpy import introduction as baselines
from recbook.numpy import sequences as chains
from recbook.tools import twins

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def found() -> list[page.Model]:
    return page.models()


def table(text: str) -> dict[str, list[str]]:
    """Cells of a table in Markdown by the text of the first cell, links reduced to their words."""
    text = re.sub(r"\{ref\}`([^<`]+) <[^>]+>`", r"\1", text)
    text = text.replace("\u00a0", " ")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows}


def test_every_public_model_is_there_once(found):
    wanted = [pair.name for pair in twins.pairs()]
    wanted += [
        name
        for module in (baselines, chains)
        for name, cls in vars(module).items()
        if inspect.isclass(cls) and cls.__module__ == module.__name__
    ]
    assert sorted(model.name for model in found) == sorted(wanted)
    rows = table(page.by_task(found))
    assert set(wanted) <= set(rows)


def test_words_exist_for_every_task_and_capability():
    assert tuple(page.TASKS) == recommender.TASKS
    assert tuple(page.CAPABILITIES) == recommender.CAPABILITIES


def test_tables_say_what_the_classes_say(found):
    classes = {pair.name: pair.torch for pair in twins.pairs()} | vars(baselines) | vars(chains)
    rows = [line for line in page.by_capability(found).splitlines() if line.startswith("| ")][1:]
    for capability, row in zip(recommender.CAPABILITIES, rows, strict=True):
        assert f"(`{capability}`)" in row
        for model in found:
            can = capability in classes[model.name].supports
            assert can == (f"`{model.name} <" in row), f"{model.name}, {capability}"
    for part in page.by_task(found).split("\n\n**"):
        task = re.search(r'task = "(\w+)"', part)[1]
        mine = {model.name for model in found if classes[model.name].task == task}
        assert mine == set(table(part)) - {"model"}


def test_what_nobody_can_do_is_said():
    assert "none in the book so far" in page.by_capability([])


def test_needs_are_in_words():
    model = page.Model("X", "x", "ranking", frozenset(), {"items": ["genres", "year"], "users": ["age"]})
    assert page.needs(model) == "who met what; genres, year of items; age of users"
    assert page.needs(replace(model, task="rating", needs={})) == "ratings"
    assert page.needs(replace(model, task="next_item", needs={})) == "who met what, in order of time"


def test_figures_are_those_of_the_scoreboard(found):
    measured = json.loads((ROOT / "results" / "scoreboard.json").read_text("utf-8"))["figures"]
    rows = table(page.by_task(found))
    for model in found:
        if "ndcg@10" in measured.get(model.name, {}).get("figures", {}):
            one = measured[model.name]["figures"]["ndcg@10"]
            text = " ".join(rows[model.name]).replace("**", "")
            assert f"{one['mean']:.3f} ± {one['sd']:.3f}" in text, model.name


def test_best_is_lowest_for_errors_and_highest_for_lists():
    models = [
        page.Model(name, "x", "rating", frozenset(), {}, {m: {"mean": mean, "sd": 0} for m in page.FIGURES})
        for name, mean in {"A": 0.1, "B": 0.2}.items()
    ]
    assert page.best(models, "rmse") == "A" and page.best(models, "ndcg@10") == "B"
    assert page.best(models, "coverage@10") is None and page.best(models[:1], "rmse") is None
    rows = table(page.by_task(models))
    assert rows["A"][1:3] == ["**0.100 ± 0.000**", "0.100 ± 0.000"]


def test_without_results_the_page_still_stands(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "RESULTS", tmp_path / "absent.json")
    found = page.models()
    text = page.by_task(found)
    assert all(model.figures == {} for model in found)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {3} and "±" not in text


def test_links_lead_to_labels(found):
    texts = [path.read_text("utf-8") for path in (ROOT / "chapters").glob("*.*") if path.is_file()]
    for label in {model.label for model in found}:
        assert any(f"({label})=" in text for text in texts), label
