"""Runs notebooks in a row with a framework hidden: python -m tests.helpers.run_without torch chapters/a.ipynb …

One process for all of them, because importing the other framework takes longer than most chapters' cells. Each notebook
gets a shell of its own and an empty namespace, from whatever folder this is started in. Prints a line of JSON for each:
name, seconds of the processor, cells passed over, and what went wrong (null: nothing).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from pathlib import Path

from tests.helpers.hidden import hide

HIDDEN = {"torch": ("torch",), "keras": ("keras", "tensorflow", "jax", "jaxlib")}


def run(path: Path) -> dict[str, object]:
    """One notebook from its first cell to its last, in a new namespace."""
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    passed_over, start = 0, time.process_time()
    answer: dict[str, object] = {"name": path.stem, "error": None}
    for number, cell in enumerate([one for one in cells if one["cell_type"] == "code"]):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            result = shell.run_cell("".join(cell["source"]), store_history=False)
        passed_over += "this cell is passed over" in out.getvalue()
        error = result.error_before_exec or result.error_in_exec
        if error or err.getvalue():
            words = f"{type(error).__name__}: {error}" if error else f"stderr: {err.getvalue()[-500:]}"
            answer["error"] = f"cell {number} ({cell['id']}): {words}"
            break
    return answer | {"passed_over": passed_over, "seconds": round(time.process_time() - start, 1)}


def main(absent: str, paths: list[str]) -> None:
    os.environ.setdefault("MPLBACKEND", "agg")
    hide(*HIDDEN[absent])
    for path in paths:
        print(json.dumps(run(Path(path))), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
