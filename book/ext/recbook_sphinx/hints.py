"""`{hints} CHAPTER.EXERCISE`: the hints of an exercise, folded, below it; entered into each notebook's text.

They stand in recbook/checks, beside the check of the exercise.
"""

from __future__ import annotations

import importlib
import json
import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from . import ROOT
from .folds import fold, fold_summary, unfolded

CALL = re.compile(r"\b(?P<call>(?:check|exercises)\.(?P<function>\w+))\(")
EQUATION = re.compile(r"\((?P<label>[a-z]{2,3}-[a-z][\w-]*)\)")  # as docstrings name it: (nb-cosine)


def put_hints(source: str, name: str) -> str:
    """Enter the directive at the end of the text cell before each exercise's stub."""
    notebook = json.loads(source)
    before = None
    for cell in notebook["cells"]:
        call = CALL.search("".join(cell["source"])) if is_exercise(cell) else None
        if call and before and before["cell_type"] == "markdown":
            text = "".join(before["source"]).rstrip("\n")
            before["source"] = f"{text}\n\n```{{hints}} {name}.{call['function']}\n```\n"
        before = cell
    return json.dumps(notebook)


def is_exercise(cell: dict) -> bool:
    return "exercise" in cell["metadata"].get("tags", ())


class HintsDirective(SphinxDirective):
    required_arguments = 1
    has_content = False

    def run(self) -> list[nodes.Node]:
        name, _, function = self.arguments[0].partition(".")
        self.env.note_dependency(str(ROOT / "recbook" / "checks" / f"{name}.py"))
        exercise = getattr(importlib.import_module(f"recbook.checks.{name}"), function, None)
        if exercise is None:
            raise self.error(f"hints: recbook/checks/{name}.py has no exercise {function}")
        return [self.one(number, text) for number, text in enumerate(getattr(exercise, "hints", ()), start=1)]

    def one(self, number: int, text: str) -> nodes.Node:
        node = fold("", fold_summary("", f"Hint {number}"), classes=["rb-hint"])
        linked = EQUATION.sub(r"{eq}`\g<label>`", text)
        self.state.nested_parse(StringList([linked], source="recbook/checks"), 0, node)
        return node


class UnfoldHints(SphinxPostTransform):
    """In print a hint is a paragraph."""

    default_priority = 20

    def run(self, **kwargs) -> None:
        if self.app.builder.format != "html":
            for node in [node for node in self.document.findall(fold) if "rb-hint" in node["classes"]]:
                node.replace_self(unfolded(node))


def on_source(app: Sphinx, page: str, source: list[str]) -> None:
    if app.env.doc2path(page).endswith(".ipynb"):
        source[0] = put_hints(source[0], page.rpartition("/")[2])


def setup(app: Sphinx) -> None:
    app.add_directive("hints", HintsDirective)
    app.add_post_transform(UnfoldHints)
    app.connect("source-read", on_source)
