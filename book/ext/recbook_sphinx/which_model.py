"""`{which-model}`: what every model can do and how it did, from the classes themselves and results/scoreboard.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import ROOT

RESULTS = ROOT / "results" / "scoreboard.json"
BASELINES_LABEL = (
    "ev-yardsticks"  # the section that teaches them; a model of a wing is taught by the chapter of its name
)
CHAINS_LABEL = "seq-chain"
TASKS = {
    "rating": "Predicts ratings",
    "ranking": "Ranks items",
    "click": "Predicts clicks",
    "next_item": "Predicts the next item",
}
CAPABILITIES = {
    "histories": "recommends to people who were not there in training, from their history",
    "warm_items": "recommends items that nobody has met, from their features",
    "context": "takes the circumstances of a request into account",
    "similar_items": "answers “what is like this?”",
    "partial_fit": "learns new interactions without starting again",
}
FIGURES = {"rmse": "RMSE ↓", "ndcg@10": "nDCG@10 ↑", "coverage@10": "coverage@10 ↑"}


@dataclass(frozen=True)
class Model:
    """A public model: what its class says of itself, and what was measured."""

    name: str
    label: str
    task: str
    supports: frozenset[str]
    needs: dict[str, list[str]]
    figures: dict[str, dict[str, float]] = field(default_factory=dict)


def models() -> list[Model]:
    """Every public model of the package, yardsticks first."""
    from recbook import baselines, chains, twins  # here: only a build that shows them needs the frameworks

    found = [
        (getattr(module, name), label)
        for module, label in ((baselines, BASELINES_LABEL), (chains, CHAINS_LABEL))
        for name in module.__all__
    ]
    for pair in twins.pairs():
        cls = pair.torch or pair.keras
        found.append((cls, cls.__module__.rpartition(".")[2].replace("_", "-")))
    measured = load()
    return [
        Model(
            cls.__name__,
            label,
            cls.task,
            cls.supports,
            dict(cls.needs),
            measured.get(cls.__name__, {}).get("figures", {}),
        )
        for cls, label in found
    ]


def load() -> dict:
    """What the scoreboard measured, by model; empty before the first `make experiments`."""
    return json.loads(RESULTS.read_text("utf-8"))["figures"] if RESULTS.is_file() else {}


def needs(model: Model) -> str:
    """The data without which `fit` stops, in words."""
    first = {"rating": "ratings", "next_item": "who met what, in order of time"}
    parts = [first.get(model.task, "who met what")]
    parts += [f"{', '.join(columns)} of {table}" for table, columns in model.needs.items()]
    return "; ".join(parts)


def cell(model: Model, metric: str) -> str:
    figure = model.figures.get(metric)
    return (
        f"{figure['mean']:.3f}\u00a0±\u00a0{figure['sd']:.3f}" if figure else "–"
    )  # never broken over lines


def reference(model: Model) -> str:
    return f"{{ref}}`{model.name} <{model.label}>`"


def by_task(found: list[Model]) -> str:
    """A table a task, in MyST Markdown; the best figure of a column of a table is bold."""
    parts = []
    for task, title in TASKS.items():
        if not (mine := [model for model in found if model.task == task]):
            continue
        columns = [metric for metric in FIGURES if any(metric in model.figures for model in mine)]
        bold = {metric: best(mine, metric) for metric in columns}
        lines = [
            f'**{title}** (`task = "{task}"`)',
            "",
            f"| model | needs | {' | '.join(FIGURES[metric] for metric in columns)} |".replace("|  |", "|"),
            "|---|---|" + "--:|" * len(columns),
        ]
        for model in mine:
            cells = [reference(model), needs(model)]
            for metric in columns:
                text = cell(model, metric)
                cells.append(f"**{text}**" if model.name == bold[metric] else text)
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def best(found: list[Model], metric: str) -> str | None:
    """The name of the model with the best mean; coverage has no best, for chance covers everything."""
    known = [(model.figures[metric]["mean"], model.name) for model in found if metric in model.figures]
    if len(known) < 2 or metric.startswith("coverage"):
        return None
    return (min if metric == "rmse" else max)(known)[1]


def by_capability(found: list[Model]) -> str:
    """For each capability the models that have it, in MyST Markdown."""
    lines = ["| you want a model that … | models |", "|---|---|"]
    for capability, words in CAPABILITIES.items():
        who = ", ".join(reference(model) for model in found if capability in model.supports)
        lines.append(f"| {words} (`{capability}`) | {who or 'none in the book so far'} |")
    return "\n".join(lines)


PARTS = {"tasks": by_task, "capabilities": by_capability}


class WhichModelDirective(SphinxDirective):
    """One of the parts: `tasks` or `capabilities`."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        package = ROOT / "recbook"
        for path in (
            __file__,
            RESULTS,
            package / "baselines.py",
            package / "chains.py",
            *package.glob("torch/*.py"),
        ):
            self.env.note_dependency(str(path))  # the page is made anew where one of these has changed
        part = self.arguments[0]
        if part not in PARTS:
            raise self.error(f"which-model: {part!r} is none of {', '.join(PARTS)}")
        box = nodes.container(classes=[f"rb-which-model-{part}"])
        lines = StringList(PARTS[part](models()).splitlines(), source=__file__)
        self.state.nested_parse(lines, 0, box)
        return [box]


def setup(app: Sphinx) -> None:
    app.add_directive("which-model", WhichModelDirective)
