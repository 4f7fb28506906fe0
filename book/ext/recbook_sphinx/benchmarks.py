"""`{benchmarks}`: what `make bench` stored in results/benchmarks/, as tables and a plot."""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from . import ROOT
from .page_foot import day
from .scoreboard import DOT, SETTINGS, TEXT, YARDSTICK, drawn, plot_box

FOLDER = ROOT / "results" / "benchmarks"
MODELS = FOLDER / "models.json"
WINGS = {"torch": "PyTorch", "keras": "Keras"}
MIB = 2**20
# What models are measured by, and which way is better.
MEASURES = {"rmse": "RMSE ↓", "ndcg@10": "nDCG@10 ↑", "auc": "AUC ↑"}
TASKS = {"rating": "ratings", "ranking": "lists", "click": "clicks", "next_item": "next\u00a0item"}
NONE = "–"
SLASH = "\u00a0/\u00a0"  # does not break: a pair stays on one line
TICKS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


def load(path: Path) -> dict:
    if not path.is_file():
        raise ExtensionError(f"{path} is missing; make it with: make bench ARGS={path.stem}")
    return json.loads(path.read_text("utf-8"))


def both(values: list[str]) -> str:
    """PyTorch's and Keras' value in one cell; one where they are written alike."""
    return values[0] if len(set(values)) == 1 else SLASH.join(values)


def quality(model: dict) -> str:
    """Every measure that the model has, in both wings."""
    parts = []
    for measure, title in MEASURES.items():
        found = [wing["quality"].get(measure) for wing in model["wings"].values()]
        if None not in found:
            parts.append(f"{title} {both([f'{value:.4f}' for value in found])}".replace(" ", "\u00a0"))
    return ", ".join(parts)


def models_table(result: dict) -> str:
    """Every model in both wings, in MyST Markdown."""
    head = ["model", "task", "quality", "fit, s", "lists, s", "MiB", "scores apart"]
    lines = [head, ["---", "---", "---", *["--:"] * (len(head) - 3)]]
    for name, model in result["models"].items():
        wings = model["wings"].values()
        cells = [f"`{name}`", TASKS[model["task"]], quality(model)]
        cells += [SLASH.join(f"{wing['seconds'][part]:.1f}" for wing in wings) for part in ("fit", "serve")]
        cells.append(SLASH.join(f"{wing['bytes'] / MIB:.0f}" for wing in wings))
        cells.append(f"{model['parity']['scores']:.0e}".replace("e-0", "e-"))
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def ratio(row: dict, wing: str, name: str) -> str:
    found = row.get(wing, {}).get(name)
    return NONE if found is None else f"{found:.2g}"


def beside_table(results: dict[str, dict]) -> str:
    """How many times the seconds of other libraries, in MyST Markdown."""
    parts = {"seconds": "clock", "cpu_seconds": "processor"}
    head = [
        "what",
        "beside",
        *(f"{title}, {part}" for title in WINGS.values() for part in parts.values()),
        "day",
    ]
    lines = [head, ["---", "---", *["--:"] * 2 * len(WINGS), "---"]]
    for result in results.values():
        for row in result.get("beside", ()):
            ratios = [ratio(row, wing, name) for wing in WINGS for name in parts]
            lines.append([row["what"], row["peer"], *ratios, day(result["circumstances"]["date"])])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def circumstances(results: dict[str, dict]) -> str:
    """Machine, threads and versions: one sentence for all benchmarks that agree."""
    groups: dict[str, list[str]] = {}
    for name, result in results.items():
        made = result["circumstances"]
        versions = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
        text = (
            f"{day(made['date'])}, {made['machine']}; {made['threads']}; Python {made['python']}, {versions}"
        )
        groups.setdefault(text, []).append(f"`{name}`")
    return "\n".join(f"- {', '.join(names)}: {text}." for text, names in groups.items())


def alt_text(result: dict) -> str:
    words = []
    for wing, title in WINGS.items():
        fits = {name: model["wings"][wing]["seconds"]["fit"] for name, model in result["models"].items()}
        quick, slow = min(fits, key=fits.get), max(fits, key=fits.get)
        words.append(
            f"In {title} a fit takes from {fits[quick]:.1f} s ({quick}) to {fits[slow]:.1f} s ({slow})."
        )
    return "Two dots a model, one a framework: seconds of a fit, and memory. " + " ".join(words)


def draw(result: dict) -> str:
    """Seconds of a fit and memory of each model in both wings, as an SVG element in the page's own colours."""
    from matplotlib import rc_context  # here: only a build that draws needs it
    from matplotlib.figure import Figure

    models = sorted(result["models"].items(), key=lambda item: item[1]["wings"]["torch"]["seconds"]["fit"])
    looks = {"torch": {"color": DOT, "marker": "o"}, "keras": {"color": YARDSTICK, "marker": "D"}}
    panels = {
        "processor seconds of a fit": lambda wing: max(wing["seconds"]["fit"], 0.01),
        "MiB above data and framework": lambda wing: max(wing["bytes"] / MIB, 1),
    }
    with rc_context(SETTINGS):
        figure = Figure(figsize=(8, 1.4 + 0.26 * len(models)), layout="constrained")
        for axes, (title, value) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
            for wing, look in looks.items():
                values = [value(model["wings"][wing]) for _, model in models]
                axes.plot(values, range(len(models)), linestyle="", label=WINGS[wing], **look)
            axes.set(xscale="log", xlabel=title)
            low, high = axes.get_xlim()
            ticks = [tick for tick in TICKS if low <= tick <= high]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.set_xticks([], minor=True)
            axes.set_yticks(range(len(models)), [name for name, _ in models])
            axes.grid(axis="x", color=TEXT, alpha=0.15)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
        return drawn(figure, "benchmarks", alt_text(result))


def stored() -> dict[str, dict]:
    """All that `make bench` stored, by name."""
    return {path.stem: load(path) for path in sorted(FOLDER.glob("*.json"))}


class BenchmarksDirective(SphinxDirective):
    """One of the parts: `plot`, `models`, `beside` or `circumstances`."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        for path in FOLDER.glob("*.json"):
            self.env.note_dependency(str(path))
        part = self.arguments[0]
        if part == "plot":
            return [plot_box(draw(load(MODELS)))]
        texts = {
            "models": lambda: models_table(load(MODELS)),
            "beside": lambda: beside_table(stored()),
            "circumstances": lambda: circumstances(stored()),
        }
        if part not in texts:
            raise self.error(f"benchmarks: {part!r} is none of plot, {', '.join(texts)}")
        box = nodes.container(classes=[f"rb-benchmarks-{part}"])
        self.state.nested_parse(StringList(texts[part]().splitlines(), source=str(FOLDER)), 0, box)
        return [box]


def setup(app: Sphinx) -> None:
    app.add_directive("benchmarks", BenchmarksDirective)
