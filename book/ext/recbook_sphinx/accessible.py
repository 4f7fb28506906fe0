"""What Sphinx and pandas write, as screen readers want it (HTML only)."""

from __future__ import annotations

from sphinx.application import Sphinx

# Found by axe-core, which the browser tests run over every page.
MENDED = (
    # pandas leaves the corner of a table empty: an empty cell is no heading of anything.
    ("<th></th>", "<td></td>"),
    ('<th class="head"><p></p></th>', '<td class="head"></td>'),
    # A role that WAI-ARIA has dropped; entries of a list are list items.
    ('role="doc-biblioentry"', 'role="listitem"'),
)


def mend(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    for written, wanted in MENDED:
        if "body" in context:
            context["body"] = context["body"].replace(written, wanted)


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", mend)
