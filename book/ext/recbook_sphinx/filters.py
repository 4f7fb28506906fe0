"""`{filter} WORDS`: a box that shows of what follows on the page the entries that hold a word (HTML only).

The page holds the box's label alone; static/filter.js makes the box of it, on the pages that have one. Without the
script the page is a page: nothing is hidden, and nothing is there that does not work.
"""

from __future__ import annotations

import html

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# What is an entry: those of the glossary with their definitions, the sources' statements, the rows of a table.
SCRIPT = "filter.js"


class FilterDirective(SphinxDirective):
    """The argument is the label: "Show the terms with"."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = False

    def run(self) -> list[nodes.Node]:
        label = html.escape(self.arguments[0])
        return [nodes.raw("", f'<div class="rb-filter" data-label="{label}"></div>', format="html")]


def add_script(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    if 'class="rb-filter"' in context.get("body", ""):
        app.add_js_file(SCRIPT, loading_method="defer")


def setup(app: Sphinx) -> None:
    app.add_directive("filter", FilterDirective)
    app.connect("html-page-context", add_script)
