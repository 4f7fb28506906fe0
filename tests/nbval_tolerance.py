"""A pytest plugin: nbval's comparison of notebook outputs, with numbers compared within a tolerance.

    python -m pytest --nbval chapters -p tests.nbval_tolerance

- Numbers with a decimal point or an exponent agree within a relative tolerance: 1e-3, or what the cell's own tag
  says ("rtol=1e-2").
- Integers, words and signs agree exactly; only how many spaces stand between them is free, because a column grows
  with its widest number.
- Pictures are not compared, but each must be there again, as SVG or PNG (a drawing that changes a little may be
  smaller as the other). Everything else is: printed text, results, figures' alt texts, HTML tables, glued values and
  what went to stderr.
- A cell that was never executed fails instead of being passed over.
"""

from __future__ import annotations

import json
import math
import os
import re

from nbval.plugin import IPyNbCell

# A progress bar goes to stderr, and appears where a machine is slow: kernels inherit that there is none.
os.environ["TQDM_DISABLE"] = "1"

DEFAULT_RTOL = 1e-3
TINY = 1e-12  # two numbers this small are both zero
PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "application/pdf")

# A number that is not part of a name: the 2 of "x2" is text.
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")


def is_integer(number: str) -> bool:
    return number.lstrip("+-").isdigit()


def numbers_agree(stored: str, fresh: str, rtol: float) -> bool:
    a, b = float(stored), float(fresh)
    # "06416e597" out of a hash reads as a number beyond all floats.
    if is_integer(stored) or is_integer(fresh) or math.isinf(a) or math.isinf(b):
        return stored == fresh
    return abs(a - b) <= max(rtol * max(abs(a), abs(b)), TINY)


def words(text: str) -> list[str]:
    """The text between the numbers, with runs of spaces and rulers of dashes shortened to one."""
    return [re.sub(r"-{3,}", "-", re.sub(r"[ \t]+", " ", piece)).strip(" ") for piece in NUMBER.split(text)]


def texts_agree(stored: str, fresh: str, rtol: float = DEFAULT_RTOL) -> bool:
    """Whether two outputs say the same: words and integers exactly, other numbers within rtol."""
    if words(stored) != words(fresh):
        return False
    pairs = zip(NUMBER.findall(stored), NUMBER.findall(fresh), strict=True)
    return all(numbers_agree(a, b, rtol) for a, b in pairs)


def rtol_of(cell: dict) -> float:
    """The cell's own tolerance, from a tag such as "rtol=1e-2", or the default."""
    for tag in cell["metadata"].get("tags", []):
        if tag.startswith("rtol="):
            return float(tag.removeprefix("rtol="))
    return DEFAULT_RTOL


class Output(str):
    """Text of an output that equals another within a tolerance."""

    rtol: float
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and texts_agree(str(self), str(other), self.rtol)

    def __ne__(self, other: object) -> bool:
        return not self == other


class TolerantCell(IPyNbCell):
    """nbval's test of one cell, comparing with `texts_agree`."""

    def sanitize(self, value):
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        output = Output(super().sanitize(text))
        output.rtol = rtol_of(self.cell)
        return output

    def compare_outputs(self, test, ref, skip_compare=None):
        if sum(map(shows_picture, ref)) != sum(map(shows_picture, test)):
            self.comparison_traceback = ["The cell shows another number of pictures than the stored one."]
            return False
        return super().compare_outputs(test, ref, (*self.parent.skip_compare, *PICTURES))

    def runtest(self):
        if self.cell.execution_count is None and self.cell.source.strip():
            self.raise_cell_error("This cell was never executed: python tasks.py run NOTEBOOK")
        self.parent.kernel.execute_cell_input = self.execute
        super().runtest()

    def execute(self, source: str, allow_stdin: bool | None = None) -> str:
        """With history, as Jupyter does and nbval does not: else a semicolon at a cell's end silences nothing."""
        client = self.parent.kernel.kc
        return client.execute(source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


def shows_picture(output: dict) -> bool:
    return not set(PICTURES).isdisjoint(output.get("data", {}))


def pytest_collection_modifyitems(items: list) -> None:
    for item in items:
        if type(item) is IPyNbCell:
            item.__class__ = TolerantCell
