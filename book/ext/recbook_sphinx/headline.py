"""`{headline}`: one result on the first page, a picture and a sentence, both drawn from results/scoreboard.json."""

from __future__ import annotations

import html

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .diagrams import diagram
from .scoreboard import DATA, load

STARS, LISTS = "rmse", "ndcg@10"
WIDTH, HEIGHT = 460, 250
TOP, BOTTOM, AXIS, STRIP, LEFT, RIGHT = 30, 200, 40, 156, 186, 446  # of the two panels
CHANCE = "Random"
WORST = 1.0  # RMSE; worse models are left out of the picture
BEST_LIST = 0.4  # the top of the picture
INK = {"stars": "orange, #a8480a", "lists": "blue, #0b62a3", "text": "text, #1c252c", "grey": "grey, #56616b"}


def facts(result: dict) -> dict:
    """Who predicts stars better than the yardstick, and how those do at lists; names of models throughout."""
    figures = result["figures"]
    verdict = {
        metric: {name: row["against"].get(metric, {}).get("verdict") for name, row in figures.items()}
        for metric in (STARS, LISTS)
    }
    yard = {
        metric: next(
            row["against"][metric]["yardstick"] for row in figures.values() if metric in row["against"]
        )
        for metric in (STARS, LISTS)
    }
    good = [name for name in figures if verdict[STARS][name] == "better"]
    return {
        "yard": yard,
        "good": good,
        "both": [name for name in good if verdict[LISTS][name] == "better"],
        "worse": [name for name in good if verdict[LISTS][name] == "worse"],
        "rankers": [name for name, row in figures.items() if STARS not in row["figures"]],
        "best list": max(figures, key=lambda name: mean(result, name, LISTS)),
        "best stars": min(
            (name for name in figures if STARS in figures[name]["figures"]),
            key=lambda name: mean(result, name, STARS),
        ),
    }


def mean(result: dict, name: str, metric: str) -> float:
    return result["figures"][name]["figures"][metric]["mean"]


def claim(result: dict) -> str:
    """The result in a sentence, as MyST Markdown."""
    found = facts(result)
    good, both, worse = found["good"], found["both"], found["worse"]
    one = f"Only {' and '.join(f'`{name}`' for name in both)}" if both else "Not one of them"
    rest = f"; {len(worse)} make worse ones" if worse else ""
    return (
        f"**{len(good)} models predict stars better than averages do. {one} makes better lists than showing "
        f"everybody what is popular{rest}.**"
    )


def protocol(result: dict) -> str:
    """What was measured, in a line."""
    told = result["protocol"]
    return (
        f"{told['data']}; {told['split'].partition(':')[0]}. Candidates: {told['candidates']}. "
        f"Relevant: {told['relevant'].partition(';')[0]}. Better and worse: {told['better']}."
    )


def words(result: dict) -> str:
    """What stands beside the picture, in MyST Markdown."""
    found = facts(result)
    best = found["best list"]
    stars = found["best stars"]
    how = "predicts no star" if best in found["rankers"] else "predicts stars too"
    told = (
        f"The best lists come from `{best}`, which {how}; "
        f"the best at stars is `{stars}`. So say first what people are to see: {{ref}}`evaluation` tells how to "
        "ask, {ref}`implicit` why it turns out so, and the {ref}`scoreboard <scoreboard>` has every model's figures."
    )
    return f"{claim(result)}\n\n{told}\n\n{{.rb-protocol}}\n{protocol(result)}"


def across(rmse: float, best: float) -> float:
    return LEFT + (WORST - rmse) / (WORST - best) * (RIGHT - LEFT - 14)


def up(ndcg: float) -> float:
    return BOTTOM - ndcg / BEST_LIST * (BOTTOM - TOP)


def dot(x: float, y: float, ink: str, label: str) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" style="fill:var(--rb-{INK[ink]});stroke:none">'
        f"<title>{html.escape(label)}</title></circle>"
    )


def write(x: float, y: float, words: str, ink: str = "grey", anchor: str = "start", weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" style="font-size:13px;font-weight:{weight};'
        f'fill:var(--rb-{INK[ink]});text-anchor:{anchor}">{html.escape(words)}</text>'
    )


def line(x: float, y: float, to_x: float, to_y: float, dash: str = "none") -> str:
    return (
        f'<path d="M{x:g} {y:.1f} L{to_x:g} {to_y:.1f}" style="fill:none;stroke:var(--rb-grey, #56616b);'
        f'stroke-width:1.2;stroke-dasharray:{dash}"/>'
    )


def draw(result: dict) -> str:
    """Every model's lists, against its stars where it predicts any; SVG in the page's colours."""
    found = facts(result)
    best = mean(result, found["best stars"], STARS)
    bar = up(mean(result, found["yard"][LISTS], LISTS))
    parts = [
        line(AXIS, BOTTOM, STRIP, BOTTOM),
        line(LEFT - 6, BOTTOM, RIGHT, BOTTOM),
        line(AXIS, TOP, AXIS, BOTTOM),
    ]
    parts.append(line(AXIS, bar, RIGHT, bar, "2 4"))
    for tenths in range(5):
        parts.append(write(AXIS - 6, up(tenths / 10) + 4, f".{tenths}" if tenths else "0", anchor="end"))
    parts.append(write(0, 14, "quality of lists, nDCG@10"))
    rankers = [name for name in found["rankers"] if name != found["yard"][LISTS]]
    for i, name in enumerate(rankers):
        x = AXIS + (i + 1) * (STRIP - AXIS) / (len(rankers) + 1)
        y = mean(result, name, LISTS)
        parts.append(dot(x, up(y), "lists", f"{name}: nDCG@10 {y:.3f}, predicts no stars"))
        if name in (CHANCE, found["best list"]):
            parts.append(write(x + 10, up(y) - 6, "chance" if name == CHANCE else name))
    shown = [
        name
        for name, row in result["figures"].items()
        if STARS in row["figures"] and mean(result, name, STARS) < WORST
    ]
    for name in shown:
        x, y = mean(result, name, STARS), mean(result, name, LISTS)
        parts.append(dot(across(x, best), up(y), "stars", f"{name}: RMSE {x:.3f}, nDCG@10 {y:.3f}"))
        if name == found["best stars"]:
            parts.append(write(across(x, best) + 6, up(y) + 20, name, anchor="end"))
    parts.append(write(LEFT + 4, bar - 7, "showing everybody what is popular"))
    parts.append(write((AXIS + STRIP) / 2, BOTTOM + 18, "predict no stars", "lists", "middle", 600))
    parts.append(write((LEFT + RIGHT) / 2, BOTTOM + 18, "predict stars", "stars", "middle", 600))
    parts.append(write(RIGHT, BOTTOM + 36, f"smaller RMSE, down to {best:.3f} →", anchor="end"))
    text = (
        f"Each dot is a model. Left, {len(rankers)} models that predict no stars, nDCG@10 from "
        f"{min(mean(result, n, LISTS) for n in rankers):.3f} to {max(mean(result, n, LISTS) for n in rankers):.3f}. "
        f"Right, {len(shown)} models that predict stars, the smaller their RMSE the further right: their nDCG@10 is "
        f"at most {max(mean(result, n, LISTS) for n in shown):.3f}; that of popularity, a dotted line, is "
        f"{mean(result, found['yard'][LISTS], LISTS):.3f}."
    )
    return "\n".join(
        [
            f'<svg class="rb-figure" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'aria-labelledby="headline-title headline-text">',
            '<title id="headline-title">Good at stars, bad at lists</title>',
            f'<desc id="headline-text">{html.escape(text)}</desc>',
            *parts,
            "</svg>",
        ]
    )


class HeadlineDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(DATA))
        result = load()
        box = nodes.container(classes=["rb-headline"])
        box += diagram(name="headline", svg=draw(result))
        told = nodes.container(classes=["rb-headline-words"])
        self.state.nested_parse(StringList(words(result).splitlines(), source=str(DATA)), 0, told)
        box += told
        return [box]


def setup(app: Sphinx) -> None:
    app.add_directive("headline", HeadlineDirective)
