"""`{scoreboard}`: the table, the plot and the protocol of results/scoreboard.json, drawn when the book is built."""

from __future__ import annotations

import html
import io
import json
import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from . import ROOT

DATA = ROOT / "results" / "scoreboard.json"
COLUMNS = {
    "rmse": "RMSE ↓",
    "mae": "MAE ↓",
    "ndcg@10": "nDCG@10 ↑",
    "recall@10": "recall@10 ↑",
    "coverage@10": "coverage@10 ↑",
}
YARD = "◆"
MARKS = {"better": "▲", "worse": "▼", "not told apart": "≈"}
PLOTTED = ("ndcg@10", "rmse")
# Colours of the page: matplotlib draws with stand-ins, which the page's own colours then replace, light or dark.
INKS = {"#010203": "currentColor", "#010204": "var(--rb-blue)", "#010205": "var(--rb-orange)"}
TEXT, DOT, YARDSTICK = INKS
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "recbook",
    "font.size": 10,
    **{
        name: TEXT
        for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    },
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def load() -> dict:
    if not DATA.is_file():
        raise ExtensionError(f"{DATA} is missing; make it with: make experiments ARGS=scoreboard")
    return json.loads(DATA.read_text("utf-8"))


def cell(row: dict, metric: str) -> str:
    """Mean, verdict, ± standard deviation; a dash where a model has no such figure."""
    figure = row["figures"].get(metric)
    if not figure:
        return "–"
    against = row["against"].get(metric)
    mark = (
        "" if against is None else YARD if against["yardstick"] == row["name"] else MARKS[against["verdict"]]
    )
    # No-break spaces: a figure and its mark stay on one line; where there is no room the deviation goes to another.
    shown = "\u00a0".join([f"{figure['mean']:.4f}", *([mark] if mark else [])])
    return f"{shown} ±\u00a0{figure['sd']:.4f}"


def key(result: dict) -> str:
    """What the marks mean."""
    rivals = {metric: one["yardstick"] for row in rows(result) for metric, one in row["against"].items()}
    names = " and ".join(f"`{name}` ({COLUMNS[metric].split()[0]})" for metric, name in rivals.items())
    marks = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    return f"{YARD} the yardstick, {names}; against it: {marks}."


def rows(result: dict) -> list[dict]:
    return [{"name": name, **row} for name, row in result["figures"].items()]


def table(result: dict) -> str:
    """The scoreboard in MyST Markdown."""
    lines = [
        f"| model | {' | '.join(COLUMNS.values())} | seconds |",
        "|---|" + "--:|" * (len(COLUMNS) + 1),
    ]
    for row in rows(result):
        figures = " | ".join(cell(row, metric) for metric in COLUMNS)
        lines.append(f"| `{row['name']}` | {figures} | {sum(row['seconds'].values()):.1f} |")
    return "\n".join([*lines, "", key(result)])


def protocol(result: dict) -> str:
    """The protocol, the data and the machine, as a definition list in MyST Markdown."""
    made = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    twins = [
        (difference, metric, row["name"])
        for row in rows(result)
        for metric, difference in row.get("twin_differences", {}).items()
    ]
    parts = {name: text for name, text in result["protocol"].items()}
    parts["data hash"] = f"sha256 `{result['data']['sha256']}`"
    parts["code hash"] = f"`{result['code']}`"
    if twins:
        difference, metric, name = max(twins)
        parts["wings"] += f"; the largest difference is {difference:.4f}, in {metric} of {name}"
    parts["machine"] = (
        f"{made['system']}, {made['cores']} cores, OMP_NUM_THREADS {made['threads']}, "
        f"Python {made['python']}, {versions}"
    )
    parts["date"] = result["date"]
    if "confirmed" in result:
        again = {name.split(" / ")[0]: None for name in result["confirmed"]["measured"]}
        parts["confirmed"] = (
            f"{result['confirmed']['date']}: the code had changed, and these rows came out again on seed "
            f"{result['seeds'][0]}: {', '.join(again)}"
        )
    return "\n\n".join(f"{name}\n: {text}" for name, text in parts.items())


def alt_text(result: dict) -> str:
    sentences = []
    for metric in PLOTTED:
        known = [
            (row["figures"][metric]["mean"], row["name"]) for row in rows(result) if metric in row["figures"]
        ]
        low, high = min(known), max(known)
        sentences.append(
            f"{COLUMNS[metric].split()[0]} runs from {low[0]:.4f} ({low[1]}) to {high[0]:.4f} ({high[1]})."
        )
    return "A dot for each model, with its standard deviation over the seeds. " + " ".join(sentences)


def draw(result: dict) -> str:
    """The plot as an SVG element in the page's own colours and letters."""
    from matplotlib import rc_context  # here: only a build that draws needs it
    from matplotlib.figure import Figure

    models = rows(result)
    with rc_context(SETTINGS):
        figure = Figure(figsize=(8, 1.1 + 0.32 * len(models)), layout="constrained")
        panels = figure.subplots(1, len(PLOTTED), sharey=True)
        for axes, metric in zip(panels, PLOTTED, strict=True):
            for height, row in enumerate(models):
                if metric not in row["figures"]:
                    continue
                one = row["figures"][metric]
                rival = row["against"].get(metric, {}).get("yardstick") == row["name"]
                axes.errorbar(
                    one["mean"],
                    height,
                    xerr=one["sd"],
                    fmt="D" if rival else "o",
                    color=YARDSTICK if rival else DOT,
                )
                if rival:
                    axes.axvline(one["mean"], color=YARDSTICK, linestyle=":", linewidth=1)
            axes.set_xlabel(COLUMNS[metric])
            axes.set_yticks(range(len(models)), [row["name"] for row in models])
            axes.grid(axis="x", color=TEXT, alpha=0.15)
        panels[0].invert_yaxis()
        return drawn(figure, "scoreboard", alt_text(result))


def drawn(figure, name: str, description: str) -> str:
    """A figure of matplotlib's as an SVG element of a page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return to_page(file.getvalue(), name, description)


def plot_box(svg: str) -> nodes.container:
    """A plot that scrolls where the page is narrower."""
    raw = nodes.raw("", f'<div style="overflow-x: auto">{svg}</div>', format="html")
    return nodes.container("", raw, classes=["rb-scoreboard-plot"])


def to_page(svg: str, name: str, description: str) -> str:
    """A file of matplotlib's as part of a page: no preamble, ids of its own, a text for those who do not see it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px; font-family: inherit", svg)
    for ink, colour in INKS.items():
        svg = svg.replace(ink, colour)
    words = html.escape(description)
    head = f'<svg role="img" aria-label="{words}" class="rb-plot" style="min-width: 32rem"'
    return svg.replace("<svg", head, 1).replace(">", f"><title>{words}</title>", 1)


class ScoreboardDirective(SphinxDirective):
    """One of the parts: `table`, `plot` or `protocol`."""

    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(DATA))
        part, result = self.arguments[0], load()
        if part == "plot":
            return [plot_box(draw(result))]
        if part not in ("table", "protocol"):
            raise self.error(f"scoreboard: {part!r} is none of table, plot, protocol")
        box = nodes.container(classes=[f"rb-scoreboard-{part}"])
        text = table(result) if part == "table" else protocol(result)
        self.state.nested_parse(StringList(text.splitlines(), source=str(DATA)), 0, box)
        return [box]


def setup(app: Sphinx) -> None:
    app.add_directive("scoreboard", ScoreboardDirective)
