"""A pytest plugin: nbval's comparison of notebook outputs, with numbers compared within a tolerance.

    python -m pytest --nbval chapters -p tests.helpers.nbval_tolerance

- Numbers with a decimal point or an exponent agree within a relative tolerance, 1e-3 or what follows from the number's
  spread over machines that `tasks.py run` measured (`book/spreads.py`), or differ by one step in their last digit.
- Integers, words and signs agree exactly; only how many spaces stand between them is free, because a column grows
  with its widest number.
- Pictures are not compared, but each must be there again, as SVG or PNG (a drawing that changes a little may be
  smaller as the other). Everything else is: printed text, results, figures' alt texts, HTML tables, glued values and
  what went to stderr.
- A cell that was never executed fails instead of being passed over.
"""

from __future__ import annotations

import os

import nbformat
from nbval.plugin import IPyNbCell

from book import spreads

# A progress bar goes to stderr, and appears where a machine is slow: kernels inherit that there is none.
os.environ["TQDM_DISABLE"] = "1"


class TolerantCell(IPyNbCell):
    """nbval's test of one cell, comparing with `spreads.differences`."""

    def compare_outputs(self, test, ref, skip_compare=None):
        if sum(map(shows_picture, ref)) != sum(map(shows_picture, test)):
            self.comparison_traceback = ["The cell shows another number of pictures than the stored one."]
            return False
        skip = {*self.parent.skip_compare, *spreads.PICTURES}
        stored, fresh = (self.sanitized(spreads.texts(outputs, skip)) for outputs in (ref, test))
        rtols = spreads.tolerances(stored, measured(self.parent).get(self.cell.get("id"), {}))
        self.comparison_traceback = spreads.differences(stored, fresh, rtols)
        return not self.comparison_traceback

    def sanitized(self, texts: dict[str, str]) -> dict[str, str]:
        return {form: self.sanitize(text) for form, text in texts.items()}

    def runtest(self):
        if self.cell.execution_count is None and self.cell.source.strip():
            self.raise_cell_error("This cell was never executed: python tasks.py run NOTEBOOK")
        self.parent.kernel.execute_cell_input = self.execute
        super().runtest()

    def execute(self, source: str, allow_stdin: bool | None = None) -> str:
        """With history, as Jupyter does and nbval does not: else a semicolon at a cell's end silences nothing."""
        client = self.parent.kernel.kc
        return client.execute(source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


def measured(file) -> dict[str, dict]:
    """The spreads of a notebook's cells; read once."""
    if not hasattr(file, "spreads"):
        file.spreads = spreads.load(file.path, nbformat.read(file.path, as_version=4))
    return file.spreads


def shows_picture(output: dict) -> bool:
    return not set(spreads.PICTURES).isdisjoint(output.get("data", {}))


def pytest_collection_modifyitems(items: list) -> None:
    for item in items:
        if type(item) is IPyNbCell:
            item.__class__ = TolerantCell
