"""What the chapter `introduction` claims and no other test guards; its two diagrams; the checks of its exercises."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pybtex.database import parse_file

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, metrics, notebook
from recbook.checks import introduction as check
from recbook.interactions import Dataset, Interactions
from recbook.numpy.introduction import Popularity
from tests.helpers import known_mistakes

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "book" / "static"
WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])


@pytest.fixture(scope="module")
def page() -> str:
    cells = json.loads((ROOT / "chapters" / "introduction.ipynb").read_text("utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


@pytest.fixture(scope="module")
def shop():
    return datasets.make_shop(seed=1)


def looks(shop) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Taste named, category looked at, clicked or not, of each look, in order of time."""
    rows = shop.data.interactions.to_frame()
    some = rows[rows.event == "browse"]
    clicks = pd.MultiIndex.from_frame(rows.loc[rows.event == "click", ["session", "item"]])
    clicked = pd.MultiIndex.from_frame(some[["session", "item"]]).isin(clicks).astype(float)
    names = pd.Index(shop.categories)
    taste = names.get_indexer(shop.data.users.taste[some.user])
    return taste, names.get_indexer(shop.data.items.category[some.item]), clicked


# ---------------------------------------------------------------- what a recommender is


@WINGS
def test_a_recommender_takes_a_few_of_many_and_differs_between_people(wing):
    ml = datasets.fetch_movielens("100k")
    ada = notebook.her_history().to_frame()
    opposite = ada.assign(user="opposite", rating=6 - ada.rating)
    both = Interactions.from_frame(pd.concat([ada, opposite]))
    lists = {
        kind: {user: set(t.item) for user, t in model.recommend(histories=both, k=5).groupby("user")}
        for kind, model in {
            "personal": wing.ItemKNN(min_support=20, device="cpu").fit(ml, progress=False),
            "chart": Popularity().fit(ml, progress=False),
        }.items()
    }
    for found in lists.values():
        assert all(len(items) == 5 < ml.interactions.n_items for items in found.values())
        assert not any(items & set(ada.item) for items in found.values())  # a few, and new ones
    assert not lists["personal"][notebook.PERSON] & lists["personal"]["opposite"]
    assert lists["chart"][notebook.PERSON] == lists["chart"]["opposite"]


@WINGS
def test_interactions_decide_and_attributes_need_not_be_there(wing):
    world = datasets.make_taste_groups(n_users=40, n_items=30, seed=0)
    x = world.data.interactions
    turned = Interactions.from_frame(x.to_frame().assign(rating=6 - x.ratings))
    tables = {"users": world.data.users, "items": world.data.items}
    lists = []
    for data in (x, Dataset(x, **tables), Dataset(turned, **tables)):
        model = wing.ItemKNN(device="cpu").fit(data, progress=False)
        lists.append(model.recommend(x.user_ids, k=5).item.tolist())
    assert lists[0] == lists[1]  # attributes added: the same lists
    assert lists[0] != lists[2]  # users, items and attributes the same, interactions others


def test_services_are_cited_from_papers_about_them(page):
    entries = parse_file(str(ROOT / "references.bib")).entries
    for service, where in {"Amazon": "title", "Netflix": "title", "Spotify": "title"}.items():
        key = re.search(service + r"\s+\{cite:p\}`([^`,]+)`", page)
        assert key, f"{service} is named without a source"
        assert service in entries[key[1]].fields[where]


# ---------------------------------------------------------------- the preference function


def test_preference_function_says_nothing_until_theta_comes_from_data(shop):
    taste, category, clicked = looks(shop)
    first = np.arange(len(taste)) < 0.8 * len(taste)
    past = pd.DataFrame({"t": taste, "c": category, "y": clicked})[first]
    learnt = past.pivot_table(index="t", columns="c", values="y").to_numpy()
    onehot = np.eye(8)

    def auc(theta):
        scores = np.einsum("na,ab,nb->n", onehot[taste], theta, onehot[category])
        return metrics.auc(clicked[~first], scores[~first])

    rng = np.random.default_rng(0)
    guesses = [auc(rng.normal(size=(8, 8))) for _ in range(20)]
    assert auc(np.zeros((8, 8))) == 0.5
    assert abs(np.mean(guesses) - 0.5) < 0.02
    assert auc(learnt) > max(guesses) and auc(learnt) > 0.54
    assert auc(-learnt) == pytest.approx(1 - auc(learnt))  # the same f and features, the reverse order


# ---------------------------------------------------------------- the diagrams


def svg(name: str) -> ET.Element:
    return ET.parse(STATIC / f"{name}.svg").getroot()


def named(kind: str) -> dict[str, list[str]]:
    """name of a row or column of the taxonomy → what the documents call it"""
    found = [e for e in svg("taxonomy").iter() if f"data-{kind}" in e.attrib]
    return {e.attrib[f"data-{kind}"]: [n for n in e.attrib["data-named-by"].split("; ") if n] for e in found}


# What each document lists, and on which axis it belongs.
KNOWN = {
    "D1 content": "content",
    "D1 collaborative": "behaviour",
    "D1 knowledge graph": "links",
    "D2 collaborative": "behaviour",
    "D3 content": "content",
    "D3 behaviour": "behaviour",
    "D3 social": "links",
    "D4 collaborative": "behaviour",
    "D4 content": "content",
}
MADE = {"D2 neural networks": "networks", "D2 deep learning": "networks"}
NAMED_BY_NONE = {"demographic", "knowledge-based", "hybrid"}


def test_taxonomy_places_every_kind_of_the_four_lists_on_one_of_two_axes(page):
    rows, columns = named("row"), named("column")
    assert {term: row for row, terms in rows.items() for term in terms} == KNOWN
    assert {term: column for column, terms in columns.items() for term in terms} == MADE
    assert {row for row, terms in rows.items() if not terms} == NAMED_BY_NONE
    assert len(columns) >= 3
    for document in ("D1", "D2", "D3", "D4"):
        assert re.search(rf"^\| {document} \|", page, re.M)
    assert "{diagram} taxonomy" in page


def edges(new: bool | None = None) -> set[tuple[str, str]]:
    """Arrows of the loop; new: only those that the printed diagram lacks (or has)."""
    found = {
        (e.attrib["data-from"], e.attrib["data-to"]): "dasharray" in e.attrib["style"]
        for e in svg("loop").iter()
        if "data-from" in e.attrib
    }
    return {edge for edge, dashed in found.items() if new is None or dashed == new}


def reachable(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    after = defaultdict(set)
    for a, b in arrows:
        after[a].add(b)
    found, todo = set(), [start]
    while todo:
        for node in after[todo.pop()] - found:
            found.add(node)
            todo.append(node)
    return found


def test_the_loop_is_closed_by_the_arrows_that_the_printed_pipeline_lacks(page):
    drawn = {e.attrib["data-node"] for e in svg("loop").iter() if "data-node" in e.attrib}
    assert {"behaviour", "clean", "features", "users", "items", "rank", "list", "measure"} < drawn
    assert {node for edge in edges() for node in edge} == drawn
    assert all(reachable(node, edges()) == drawn for node in drawn)  # from everywhere to everywhere
    assert "behaviour" not in reachable("list", edges(new=False))
    assert edges(new=True) == {("list", "people"), ("people", "behaviour")}
    assert "{diagram} loop" in page


@pytest.mark.parametrize("name", ["loop", "taxonomy"])
def test_diagrams_are_described_and_follow_the_theme(name):
    text = (STATIC / f"{name}.svg").read_text("utf-8")
    root = svg(name)
    ids = {e.attrib["id"]: (e.text or "") for e in root.iter() if "id" in e.attrib}
    assert root.attrib["role"] == "img"
    assert all(len(ids[i]) > 10 for i in root.attrib["aria-labelledby"].split())
    colours = re.findall(r"(?:fill|stroke):\s*([^;\"]+)", text)
    assert colours and all(c == "none" or c.startswith("var(--rb-") for c in colours)


# ---------------------------------------------------------------- does it help?


def test_a_panel_that_does_nothing_seems_to_sell_unless_drawn_by_lot(shop):
    rows, people = shop.data.interactions.to_frame(), shop.data.users.index
    bought = rows[rows.event == "buy"].groupby("user").size().reindex(people, fill_value=0).to_numpy()
    visits = rows.groupby("user").session.nunique().reindex(people, fill_value=0)

    def interval(shown):
        a, b = bought[shown], bought[~shown]
        error = 1.96 * np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        return a.mean() - b.mean() - error, a.mean() - b.mean() + error

    frequent = (visits > visits.median()).to_numpy()
    assert bought[frequent].mean() > 2 * bought[~frequent].mean() and interval(frequent)[0] > 0
    rng = np.random.default_rng(0)
    by_lot = [interval(rng.permutation(len(people)) < len(people) // 2) for _ in range(300)]
    assert 0.91 < np.mean([low < 0 < high for low, high in by_lot]) < 0.99


AREAS = {"Shop", "Video", "Music", "News", "Social media", "Education", "Health", "Smart city"}


def test_each_area_says_what_a_log_shows_and_what_needs_an_experiment(page):
    section = page.partition("(in-areas)=")[2]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    header, rows = table[0], table[2:]
    assert header[2:4] == ["Seen in the log", "To be shown by an experiment"]
    assert {row[0] for row in rows} == AREAS
    assert all(len(row) == len(header) and all(row) and row[2] != row[3] for row in rows)
    health = next(row for row in rows if row[0] == "Health")
    assert "trial" in health[3] and "safety" in health[4] and "clinician" in health[4]


# ---------------------------------------------------------------- exercises


@pytest.mark.parametrize("exercise", [check.top, check.theta, check.effect], ids=lambda e: e.__name__)
def test_exercises_know_their_mistakes(exercise, monkeypatch, capsys):
    known_mistakes.each_gives_its_own_hint(check, exercise, monkeypatch, capsys)
