"""`{which-model}`: what every model can do and how it did, from the classes themselves and from results/.

Each task has a protocol of its own, and so a file of its own: results/scoreboard.json for ratings and lists, ctr.json
for clicks, sequences.json and transformers.json, which share one, for the next item. Seconds are the benchmarks'. The
advice is drawn from the same files: it changes when an experiment is renewed and comes out otherwise.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import stdev

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from . import ROOT
from .names import package, resolve

RESULTS = ROOT / "results"
# Models that are taught in a section of another chapter than that of their topic's name.
TAUGHT_IN = {"introduction": "ev-yardsticks"}
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
# What the models of a task are measured by, that which decides first.
FIGURES = {
    "rating": {"rmse": "RMSE ↓", "ndcg@10": "nDCG@10 ↑", "coverage@10": "coverage@10 ↑"},
    "ranking": {"ndcg@10": "nDCG@10 ↑", "coverage@10": "coverage@10 ↑"},
    "click": {"log_loss": "log-loss ↓", "auc": "AUC ↑", "gauc": "GAUC ↑"},
    "next_item": {"ndcg@10": "nDCG@10 ↑", "hit_rate@10": "hit rate@10 ↑"},
}
ADVISED = {"rating": "Ratings.", "ranking": "Lists.", "click": "Clicks.", "next_item": "The next item."}
SHORT = {"LR": "LogisticRegression", "FM": "FactorizationMachine"}  # names that experiments give to models
SLASH = "\u00a0/\u00a0"  # does not break: a pair stays on one line
NEAR = 0.02  # what is within two per cent of the best counts as good


@dataclass(frozen=True)
class Model:
    """A public model: what its class says of itself, and what was measured.

    path : its dotted name;  label : of the section that teaches it
    figures : task → measure → mean, and standard deviation where there are several seeds
    seconds : of a fit, by wing
    """

    name: str
    path: str
    label: str
    task: str
    supports: frozenset[str]
    needs: dict[str, list[str]]
    figures: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def mean(self, task: str, metric: str) -> float | None:
        return self.figures.get(task, {}).get(metric, {}).get("mean")


def models() -> list[Model]:
    """Every public model of the package, in the order of the book."""
    measured = {task: figures_of(task) for task in TASKS}
    found = []
    for thing in package().models:
        cls = resolve(thing.name)
        figures = {task: known[thing.short] for task, known in measured.items() if thing.short in known}
        found.append(
            Model(
                thing.short,
                thing.name,
                label(thing.topic),
                cls.task,
                cls.supports,
                dict(cls.needs),
                figures,
                seconds(thing.short),
            )
        )
    return found


def label(topic: str) -> str:
    """The chapter or section that teaches a topic's models."""
    return TAUGHT_IN.get(topic, topic.replace("_", "-"))


# --- what was measured ----------------------------------------------------------------------------------------------


def load(name: str) -> dict:
    """results/<name>.json; empty where the experiment has not run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def class_of(row: str) -> str:
    """The class that a row of an experiment is about: "SASRec, binary" → SASRec, "Wide & Deep" → WideAndDeep."""
    name = re.sub(r"[^\w]", "", row.partition(",")[0].replace("&", "And"))
    return SHORT.get(name, name)


def by_class(rows: dict[str, dict]) -> dict[str, dict]:
    """The first row of each class, which is that of its defaults, with standard deviations."""
    found: dict[str, dict] = {}
    for row, figures in rows.items():
        found.setdefault(class_of(row), {name: spread(one) for name, one in figures.items()})
    return found


def spread(figure: dict) -> dict[str, float]:
    """Mean and standard deviation; none of one seed, which has none."""
    seeds = figure.get("seeds", ())
    sd = {"sd": figure["sd"]} if "sd" in figure else {"sd": stdev(seeds)} if len(seeds) > 1 else {}
    return {"mean": figure["mean"], "n": len(seeds), **sd}


def figures_of(task: str) -> dict[str, dict]:
    """Class → measure → figure, of all that were measured on a task; of two results the one with more seeds."""
    if task in ("rating", "ranking"):
        rows = load("scoreboard").get("figures", {})
        return {
            name: {metric: spread(one) for metric, one in row["figures"].items()}
            for name, row in rows.items()
        }
    if task == "click":
        return by_class(load("ctr").get("figures", {}).get("models", {}))
    found: dict[str, dict] = {}
    for rows in (
        load("sequences").get("figures", {}).get("models", {}),
        load("transformers").get("figures", {}).get("full", {}),
    ):
        for name, figures in by_class(rows).items():
            if name not in found or figures["ndcg@10"]["n"] > found[name]["ndcg@10"]["n"]:
                found[name] = figures
    return found


def seconds(name: str) -> dict[str, float]:
    """Processor seconds of a fit by wing, as the benchmarks have them, or the scoreboard."""
    wings = load("benchmarks/models").get("models", {}).get(name, {}).get("wings", {})
    if wings:
        return {wing: one["seconds"]["fit"] for wing, one in wings.items()}
    row = load("scoreboard").get("figures", {}).get(name, {})
    return {"numpy": row["seconds"]["fit"]} if row else {}


def beaten(task: str) -> dict[str, set[str]]:
    """Class → the classes that are better on the task's first measure in every seed, as the experiments found."""
    found: dict[str, set[str]] = {}
    measure = next(iter(FIGURES[task]))
    for one in load("ctr").get("figures", {}).get("against", ()) if task == "click" else ():
        if one["winner"] and one["measure"] == measure and "," not in one["a"] + one["b"]:
            loser = one["a"] if one["winner"] == one["b"] else one["b"]
            found.setdefault(class_of(loser), set()).add(class_of(one["winner"]))
    for name in ("sequences", "transformers") if task == "next_item" else ():
        against = load(name).get("figures", {}).get("against", {})
        for other, one in against.get("others", {}).items():
            if "," not in other and set(one["winners"]) == {"a"}:
                found.setdefault(class_of(other), set()).add(class_of(against["model"]))
            elif "," not in other and set(one["winners"]) == {"b"}:
                found.setdefault(class_of(against["model"]), set()).add(class_of(other))
    return found


# --- in words -------------------------------------------------------------------------------------------------------


def needs(model: Model) -> str:
    """The data without which `fit` stops, in words."""
    first = {"rating": "ratings", "next_item": "who met what, in order of time"}
    parts = [first.get(model.task, "who met what")]
    parts += [f"{', '.join(columns)} of {table}" for table, columns in model.needs.items()]
    return "; ".join(parts)


def cost(model: Model) -> str:
    """Seconds of a fit, PyTorch's and Keras'."""
    shown = [f"{value:.1f}" if value >= 0.05 else "<\u00a00.1" for value in model.seconds.values()]
    return SLASH.join(shown) or "–"


def cell(model: Model, metric: str, task: str | None = None) -> str:
    figure = model.figures.get(task or model.task, {}).get(metric)
    if not figure:
        return "–"
    return f"{figure['mean']:.3f}" + (f" ±\u00a0{figure['sd']:.3f}" if "sd" in figure else "")


def reference(model: Model) -> str:
    return f"{{ref}}`{model.name} <{model.label}>`"


def by_task(found: list[Model]) -> str:
    """A table a task, in MyST Markdown; the best figure of a column of a table is bold."""
    parts = []
    for task, title in TASKS.items():
        if not (mine := [model for model in found if model.task == task]):
            continue
        # Models of other tasks that were measured on this one, too: what has to be beaten.
        rivals = [model for model in found if model.task != task and task in model.figures]
        rivals = [] if task in ("rating", "ranking") else rivals
        columns = [metric for metric in FIGURES[task] if any(model.mean(task, metric) for model in mine)]
        bold = {metric: best([*mine, *rivals], metric, task) for metric in columns}
        heads = [*(FIGURES[task][metric] for metric in columns), "fit, s"]
        lines = [
            f'**{title}** (`task = "{task}"`)',
            "",
            f"| model | needs | {' | '.join(heads)} |",
            "|---|---|" + "--:|" * len(heads),
        ]
        for model in (*mine, *rivals):
            cells = [reference(model), needs(model) if model in mine else "*to compare with*"]
            for metric in columns:
                text = cell(model, metric, task)
                cells.append(f"**{text}**" if model.name == bold[metric] else text)
            lines.append(f"| {' | '.join([*cells, cost(model)])} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def better(metric: str):
    return min if metric in ("rmse", "log_loss") else max


def best(found: list[Model], metric: str, task: str) -> str | None:
    """The name of the model with the best mean; coverage has no best, for chance covers everything."""
    known = [
        (model.mean(task, metric), model.name) for model in found if model.mean(task, metric) is not None
    ]
    if len(known) < 2 or metric.startswith("coverage"):
        return None
    return better(metric)(known)[1]


def price(model: Model) -> tuple[bool, float]:
    """Sorts models by what they cost: those that count and draw nothing first, then by seconds of a fit."""
    return (not model.path.startswith("recbook.numpy."), min(model.seconds.values(), default=0.0))


def spent(model: Model) -> str:
    """What a fit takes, as part of a sentence."""
    if not model.seconds:
        return "it counts, and needs no training"
    return f"a fit takes {min(model.seconds.values()):.1f}\u00a0s"


def inline(model: Model, metric: str, task: str) -> str:
    return cell(model, metric, task).replace(" ", "\u00a0")


def advice(found: list[Model]) -> str:
    """For each task the model to begin with, and the one with the best figure, in MyST Markdown."""
    lines = []
    for task, title in ADVISED.items():
        metric, head = next(iter(FIGURES[task].items()))
        known = [model for model in found if model.mean(task, metric) is not None]
        if task in ("rating", "ranking"):
            known = [model for model in known if model.task == task]
        if not known:
            continue
        top = better(metric)(known, key=lambda model: model.mean(task, metric))
        if task in ("rating", "ranking"):
            limit = top.mean(task, metric) * (1 + NEAR if better(metric) is min else 1 - NEAR)
            good = [model for model in known if better(metric)(model.mean(task, metric), limit) != limit]
            why = f"It is the cheapest within {NEAR * 100:.0f}\u00a0% of the best."
        else:
            good = [model for model in known if model.name not in beaten(task)]
            why = "No model that was compared with it is better in every seed."
        first, name = min(good, key=price), head.split()[0]
        text = f"**{title}** Begin with {reference(first)}: {spent(first)}, "
        text += f"and its {name} is {inline(first, metric, task)}. "
        if first is top:
            text += "No mean is better."
        else:
            text += f"{why} The best mean is that of {reference(top)}: {inline(top, metric, task)}, and {spent(top)}."
        lines.append(f"- {text}")
    return "\n".join(lines)


def by_capability(found: list[Model]) -> str:
    """For each capability the models that have it, in MyST Markdown."""
    lines = ["| you want a model that … | models |", "|---|---|"]
    for capability, words in CAPABILITIES.items():
        who = ", ".join(reference(model) for model in found if capability in model.supports)
        lines.append(f"| {words} (`{capability}`) | {who or 'none in the book so far'} |")
    return "\n".join(lines)


PARTS = {"tasks": by_task, "capabilities": by_capability, "advice": advice}


class WhichModelDirective(SphinxDirective):
    """One of the parts: `tasks`, `capabilities` or `advice`."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        rooms = [ROOT / "recbook" / wing for wing in ("torch", "keras", "numpy", "shared")]
        files = (path for folder in (*rooms, RESULTS, RESULTS / "benchmarks") for path in folder.glob("*.*"))
        for path in (Path(__file__), *rooms, *files):
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
