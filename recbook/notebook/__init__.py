"""What every chapter needs: set-up, figures, glued numbers, source listings."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import inspect
import logging
import os
import random
import tempfile
import textwrap
import warnings
from typing import Any, cast

from recbook.core import instruction_set, thread_pools

instruction_set.narrow()  # each library reads its switch when it is imported
thread_pools.let_sleep()

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import Markdown, display

from recbook.interactions import Interactions
from recbook.notebook.figures import COLORS, GREY, HALF, INK, LINE, PAPER, STYLE, WIDE, ink_on, show

__all__ = [
    "COLORS",
    "GREY",
    "HALF",
    "INK",
    "LINE",
    "PAPER",
    "WIDE",
    "ink_on",
    "show",
]  # figures' own, for chapters
__all__ += ["HER_RATINGS", "PERSON", "glue", "her_history", "setup", "source"]

ASK_FOR_GPU = "RECBOOK_GPU"
FRAMEWORKS = {"torch": ("PyTorch", "torch"), "keras": ("Keras", "keras")}

# The reader's companion through the book: five films and what she gave them.
# She is nobody's row in MovieLens; every chapter recommends to her anew.
PERSON = "Ada"
HER_RATINGS = {
    50: 5,  # Star Wars
    89: 5,  # Blade Runner
    135: 4,  # 2001: A Space Odyssey
    1: 4,  # Toy Story
    294: 1,  # Liar Liar
}


def setup(seed: int = 0) -> None:
    """Prepares a chapter: quiet logs, seeds, the figure style, and cells of absent frameworks passed over.

    Prints which of the two frameworks are there. A cell whose first line is `# torch` or `# keras` is
    replaced by a note where that framework is not installed, and one that begins with `# both` where either is not.

    A chapter computes on the processor, so that its numbers are the book's, unless the environment has RECBOOK_GPU=1.
    """
    asked = os.environ.get(ASK_FOR_GPU) == "1"
    if get_ipython() is not None and not asked:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # before a framework looks
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    random.seed(seed)
    np.random.seed(seed)
    plt.rcParams.update(cast(Any, STYLE))  # the stubs want each name as a literal
    warnings.filterwarnings("ignore", message="IProgress not found")
    there = {name: importlib.util.find_spec(module) is not None for name, (_, module) in FRAMEWORKS.items()}
    if there["keras"]:
        with _quiet():
            from recbook.keras import _backend as backend

            backend.has_gpu()  # the first look at devices is what TensorFlow logs most about
        # A chapter trains many small models, each with graphs of its own, and TensorFlow warns of their number. Under
        # Jupyter it sets its logger's level when it is imported, so that this comes after.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    shell = get_ipython()
    if shell is not None:
        absent = tuple(name for name, found in there.items() if not found)
        transformers = shell.input_transformers_cleanup
        transformers[:] = [t for t in transformers if getattr(t, "__name__", "") != "_pass_over"]
        transformers.append(_passing_over(absent))
    words = [
        f"{label} {'is here' if there[name] else 'is not installed'}"
        for name, (label, _) in FRAMEWORKS.items()
    ]
    if there["keras"]:
        words[1] += f" (on {backend.name()})"
    print(", ".join(words) + ".")
    if asked:
        print(_where(there))


def _where(there: dict[str, bool]) -> str:
    """Where models compute whose device is "auto", for each framework that is there."""
    found = [
        f"{label} computes on {importlib.import_module(f'recbook.{name}._model').resolve_device('auto')}"
        for name, (label, _) in FRAMEWORKS.items()
        if there[name]
    ]
    return f"A GPU is asked for: {', '.join(found)}."


def _passing_over(absent: tuple[str, ...]):
    def _pass_over(lines: list[str]) -> list[str]:
        first = lines[0].strip().removeprefix("#").strip() if lines and lines[0].startswith("#") else ""
        missing = absent if first == "both" else tuple(name for name in absent if name == first)
        if missing:
            return [f"print('{FRAMEWORKS[missing[0]][0]} is not installed: this cell is passed over.')\n"]
        return lines

    return _pass_over


@contextlib.contextmanager
def _quiet():
    """Nothing that C code writes to stderr is shown, unless what runs inside fails."""
    with tempfile.TemporaryFile() as aside:
        saved = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(saved, aside.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def glue(name: str, value, spec: str = "") -> None:
    """Makes `value` a number that prose can quote as {glue:text}`name`. spec : a format, as ".3f"."""
    # As Python would write the text: else the page takes "0.980" for a number and "1,682" for a pair.
    text = repr(format(value, spec))
    display(
        {"application/papermill.record/text/plain": text},
        metadata={"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}},
        raw=True,
    )


def source(*things) -> None:
    """Shows functions and classes as they stand in the package, without their docstrings."""
    parts = [textwrap.dedent(_without_docstring(thing)).strip() for thing in things]
    display(Markdown("```python\n" + "\n\n\n".join(parts) + "\n```"))


def _without_docstring(thing) -> str:
    text = inspect.getsource(thing)
    definition = cast(ast.FunctionDef, ast.parse(textwrap.dedent(text)).body[0])  # or that of a class
    if ast.get_docstring(definition):
        before, _, after = text.partition('"""')
        text = before.rstrip() + after.partition('"""')[2]
    return text


def her_history() -> Interactions:
    """Ada's five ratings as Interactions: what `histories=` takes."""
    rows = {"user": PERSON, "item": list(HER_RATINGS), "rating": list(HER_RATINGS.values())}
    return Interactions.from_frame(pd.DataFrame(rows))
