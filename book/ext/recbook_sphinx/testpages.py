"""Pages that show the test files which the sources table names, with an anchor at every test."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

from . import ROOT
from .linked_tests import page_name, split_node_id
from .sources import load


def collect_pages(app: Sphinx):
    """Yield one page for each test file that the sources table links."""
    if app.builder.format != "html":
        return
    for file in sorted({split_node_id(entry["test"])[0] for entry in load()["source"]}):
        path = ROOT / file
        if not path.is_file():
            continue
        code = app.builder.highlighter.highlight_block(path.read_text("utf-8"), "python", linenos=False)
        # Pygments marks a function's name; put the anchor there.
        code = re.sub(r'<span class="nf">(test_\w+)</span>', r'<span class="nf" id="\1">\1</span>', code)
        body = f"<h1>{path.name}</h1><p>The file <code>{file}</code>, as it was when this book was built.</p>{code}"
        yield page_name(file), {"title": path.name, "body": body, "parents": []}, "page.html"


def setup(app: Sphinx) -> None:
    app.connect("html-collect-pages", collect_pages)
