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
    text = page.by_task(found)
    for name in wanted:
        assert len(re.findall(rf"^\| \{{ref\}}`{name} <[^>]+>` \| (?!\*to compare)", text, re.M)) == 1, name


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
        rivals = {name for name, cells in table(part).items() if cells[0] == "*to compare with*"}
        assert mine == set(table(part)) - {"model"} - rivals


def test_what_nobody_can_do_is_said():
    assert "none in the book so far" in page.by_capability([])


def test_needs_are_in_words():
    model = page.Model(
        "X", "recbook.torch.X", "x", "ranking", frozenset(), {"items": ["genres", "year"], "users": ["age"]}
    )
    assert page.needs(model) == "who met what; genres, year of items; age of users"
    assert page.needs(replace(model, task="rating", needs={})) == "ratings"
    assert page.needs(replace(model, task="next_item", needs={})) == "who met what, in order of time"


def result(name: str) -> dict:
    return json.loads((ROOT / "results" / f"{name}.json").read_text("utf-8"))


def test_figures_are_those_of_the_experiments(found):
    text = page.by_task(found).replace("**Predicts", "Predicts").replace("**", "")
    board = result("scoreboard")["figures"]
    for task in ("rating", "ranking"):
        rows = table("\n".join(line for line in text.splitlines() if "*to compare with*" not in line))
        for model in found:
            if model.task == task and "ndcg@10" in board.get(model.name, {}).get("figures", {}):
                one = board[model.name]["figures"]["ndcg@10"]
                assert f"{one['mean']:.3f} ± {one['sd']:.3f}" in " ".join(rows[model.name]), model.name
    clicks = result("ctr")["figures"]["models"]
    by_name = {model.name: model for model in found}
    for row, name in {"LR": "LogisticRegression", "Wide & Deep": "WideAndDeep", "DIN": "DIN"}.items():
        assert by_name[name].mean("click", "log_loss") == clicks[row]["log_loss"]["mean"]
    chain = result("sequences")["figures"]["models"]
    assert by_name["MarkovChain"].mean("next_item", "ndcg@10") == chain["MarkovChain"]["ndcg@10"]["mean"]
    assert by_name["GRU4Rec"].mean("next_item", "ndcg@10") == chain["GRU4Rec, gru"]["ndcg@10"]["mean"], (
        "three seeds"
    )
    full = result("transformers")["figures"]["full"]
    assert by_name["SASRec"].mean("next_item", "ndcg@10") == full["SASRec, cross-entropy"]["ndcg@10"]["mean"]


def test_every_task_has_figures_and_seconds_of_every_model_that_can_have_them(found):
    none = {model.name for model in found if model.task not in model.figures}
    assert none == {"CascadeModel", "DecisionPath"}, "what reads kinds of events has none on MovieLens"
    untimed = {model.name for model in found if not model.seconds}
    assert untimed == {"CascadeModel", "MarkovChain"}
    times = result("benchmarks/models")["models"]["EASE"]["wings"]
    ease = next(model for model in found if model.name == "EASE")
    assert page.cost(ease) == "\u00a0/\u00a0".join(
        f"{times[w]['seconds']['fit']:.1f}" for w in ("torch", "keras")
    )


def model(name, task="click", seconds=1.0, **figures) -> page.Model:
    shown = {metric.replace("_at_", "@"): {"mean": mean, "sd": 0} for metric, mean in figures.items()}
    path = f"recbook.torch.{name}"
    return page.Model(
        name, path, "x", task, frozenset(), {}, {task: shown}, {"torch": seconds} if seconds else {}
    )


def test_best_is_lowest_for_errors_and_highest_for_lists():
    models = [
        model(name, "rating", rmse=x, ndcg_at_10=x, coverage_at_10=x)
        for name, x in {"A": 0.1, "B": 0.2}.items()
    ]
    assert page.best(models, "rmse", "rating") == "A" and page.best(models, "ndcg@10", "rating") == "B"
    assert (
        page.best(models, "coverage@10", "rating") is None and page.best(models[:1], "rmse", "rating") is None
    )
    assert table(page.by_task(models))["A"][1:3] == ["**0.100 ± 0.000**", "0.100 ± 0.000"]


def test_the_advice_is_the_cheapest_that_nothing_beats(monkeypatch):
    models = [
        model("Dear", log_loss=0.5, seconds=9.0),
        model("Cheap", log_loss=0.6),
        model("Bad", log_loss=0.7, seconds=0.1),
    ]
    monkeypatch.setattr(page, "beaten", lambda task: {"Bad": {"Cheap"}})
    told = page.advice(models)
    assert "Begin with {ref}`Cheap <x>`" in told and "The best mean is that of {ref}`Dear <x>`" in told
    monkeypatch.setattr(page, "beaten", lambda task: {"Bad": {"Cheap"}, "Cheap": {"Dear"}})
    assert "Begin with {ref}`Dear <x>`" in page.advice(models) and "No mean is better." in page.advice(models)


def test_the_advice_for_ratings_is_the_cheapest_near_the_best():
    models = [
        model("Best", "rating", rmse=0.9, seconds=9.0),
        model("Near", "rating", rmse=0.91),
        model("Far", "rating", rmse=1.0, seconds=0.1),
    ]
    assert "Begin with {ref}`Near <x>`" in page.advice(models)


def test_who_is_beaten_is_read_from_the_experiments():
    lost = page.beaten("next_item")
    assert "GRU4Rec" in lost["Popularity"] and "MarkovChain" not in lost
    for task in ("click", "next_item"):
        assert all(name.isidentifier() for name in page.beaten(task))


def test_there_is_advice_for_every_task(found):
    lines = page.advice(found).splitlines()
    assert len(lines) == len(page.TASKS)
    assert all("Begin with {ref}`" in line for line in lines)


def test_without_results_the_page_still_stands(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    found = page.models()
    text = page.by_task(found)
    assert all(not model.figures and not model.seconds for model in found)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {4} and "±" not in text
    assert page.advice(found) == ""


def test_links_lead_to_labels(found):
    texts = [path.read_text("utf-8") for path in (ROOT / "chapters").glob("*.*") if path.is_file()]
    for label in {model.label for model in found}:
        assert any(f"({label})=" in text for text in texts), label
