"""What is folded until somebody asks for it: a summary and a body, as HTML's own <details>, which needs no script."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


class fold(nodes.General, nodes.Element):  # noqa: N801  (docutils names its nodes so)
    """A <details>. Its first child is a `fold_summary`; of folds with one `group` a browser shows one at a time."""


class fold_summary(nodes.General, nodes.TextElement):  # noqa: N801
    """The line that is always seen."""


def visit_fold(translator, node: fold) -> None:
    names = " ".join(node["classes"])
    group = f' name="{node["group"]}"' if node.get("group") else ""
    translator.body.append(f'<details class="rb-fold {names}"{group}>\n')


def depart_fold(translator, node: fold) -> None:
    translator.body.append("</details>\n")


def visit_summary(translator, node: fold_summary) -> None:
    translator.body.append("<summary>")


def depart_summary(translator, node: fold_summary) -> None:
    translator.body.append("</summary>\n")


def unfolded(node: fold) -> nodes.container:
    """The same for print: the summary in bold at the head of the body."""
    summary, first, *rest = node.children
    head = nodes.paragraph("", "", nodes.strong("", "", *summary.children, nodes.Text(". ")), *first.children)
    return nodes.container("", head, *rest, classes=list(node["classes"]))


def setup(app: Sphinx) -> None:
    app.add_node(fold, html=(visit_fold, depart_fold))
    app.add_node(fold_summary, html=(visit_summary, depart_summary))
