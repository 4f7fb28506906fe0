"""What a link leads to, shown beside it: the definition of a term, an equation of another place (HTML only).

A page carries the texts itself, in a <template> at its end, which costs a browser nothing until static/preview.js
shows one: no request, also from a folder on a disk. Citations bring theirs along, as the link's title.
"""

from __future__ import annotations

import html

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from .backlinks import Kept
from .terms import PAGE as GLOSSARY

EQUATION = "equation-"
EQUATIONS = Kept("recbook_equations")  # page → anchor → LaTeX


class KeepEquations(SphinxTransform):
    """Remembers the LaTeX of each labelled equation, by the end of the link that leads to it."""

    default_priority = 900

    def apply(self, **kwargs) -> None:
        EQUATIONS.of(self.env)[self.env.docname] = {
            f"{EQUATION}{nodes.make_id(block['label'])}": block.astext()
            for block in self.document.findall(nodes.math_block)
            if block.get("label")
        }


def definitions(app: Sphinx) -> dict[str, str]:
    """anchor -> HTML, of each entry of the glossary."""
    found = getattr(app, "recbook_definitions", None)
    if found is None:
        found = app.recbook_definitions = {}
        for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
            term, words = next(item.findall(nodes.term)), next(item.findall(nodes.definition)).children[0]
            if not term["ids"]:  # of the index of Chinese names
                continue
            shown = app.builder.render_partial(words.deepcopy())["fragment"].strip()
            found[term["ids"][0]] = f"<p><strong>{html.escape(term.astext())}</strong></p>{shown}"
    return found


def typeset(latex: str) -> str:
    """An equation as MathJax expects it, in one line-up where it has several lines."""
    if "\\\\" in latex and "\\begin{" not in latex:
        latex = rf"\begin{{split}}{latex}\end{{split}}"
    return f'<div class="math notranslate nohighlight">\\[{html.escape(latex)}\\]</div>'


def add_previews(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    if doctree is None or "body" not in context or app.builder.format != "html":
        return
    equations = {anchor: latex for found in EQUATIONS.of(app.env).values() for anchor, latex in found.items()}
    shown: dict[str, str] = {}
    for link in doctree.findall(nodes.reference):
        uri = link.get("refuri") or f"#{link.get('refid', '')}"
        anchor = uri.partition("#")[2]
        if page != GLOSSARY and any("std-term" in inner["classes"] for inner in link.findall(nodes.inline)):
            shown[uri] = definitions(app).get(anchor, "")
        elif anchor in equations:
            shown[uri] = typeset(equations[anchor])
    parts = [f'<div data-for="{html.escape(uri)}">{text}</div>' for uri, text in shown.items() if text]
    if parts:
        context["body"] += f'\n<template class="rb-previews">{"".join(parts)}</template>\n'


def setup(app: Sphinx) -> None:
    app.add_transform(KeepEquations)
    app.connect("html-page-context", add_previews)
    EQUATIONS.connect(app)
