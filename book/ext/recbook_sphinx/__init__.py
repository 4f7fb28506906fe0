"""The book's own Sphinx extension; each module says in its first lines what it is for."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import zlib
from pathlib import Path

from sphinx.application import Sphinx

BOOK = Path(__file__).resolve().parents[2]
ROOT = BOOK.parent
PARTS = (
    "latex", "printed",
    "site", "citations", "docstrings", "figures", "tabs", "diagrams", "page_head", "page_foot",
    "parts", "book_map", "status", "linked_tests", "sources", "testpages", "scoreboard", "benchmarks", "headline",
    "tools", "which_model", "folds", "quizzes", "hints", "workshop", "search", "terms", "names", "reference",
    "previews", "filters", "solutions", "accessible", "tables",
)  # fmt: skip


def setup(app: Sphinx) -> dict:
    """Register the parts."""
    if str(ROOT) not in sys.path:  # autodoc imports the package from this checkout, installed or not
        sys.path.insert(0, str(ROOT))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if importlib.util.find_spec("torch"):  # reading docstrings needs some backend; this one starts fastest
        os.environ.setdefault("KERAS_BACKEND", "torch")
    for name in PARTS:
        importlib.import_module(f"{__name__}.{name}").setup(app)
    return {"env_version": stamp(), "parallel_read_safe": True, "parallel_write_safe": True}


def stamp() -> int:
    """A number of these files' text: when it changes, an older build's pages are read again."""
    text = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return zlib.crc32(text)
