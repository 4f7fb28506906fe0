"""A book of a few pages, built by Sphinx in this process, to see what the book's own extension makes of them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "ext"))  # as `_config.yml` does for the book

# Every build loads the same parser: once myst_parser has been loaded by itself, myst_nb registers none for Markdown.
EXTENSIONS = ("myst_nb", "sphinx_design", "recbook_sphinx")


def build(
    folder: Path,
    builder: str,
    files: dict[str, str],
    warnings: io.StringIO | None = None,
    extensions: tuple[str, ...] = EXTENSIONS,
) -> Path:
    """Write the files into the folder and build them; returns the folder of the result."""
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    settings = {
        "extensions": list(extensions),
        "myst_enable_extensions": ["colon_fence", "attrs_block", "deflist"],
        "nb_execution_mode": "off",
        "html_theme": "basic",
    }
    out = folder / builder
    with patch_docutils(folder), docutils_namespace():
        Sphinx(
            folder, None, out, folder / "doctrees", builder, settings, status=None, warning=warnings
        ).build()
    return out
