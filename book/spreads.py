"""How far the numbers of a notebook move from machine to machine, and the tolerances that follow.

`tasks.py run` executes a notebook under the variants below. The first makes the outputs that are stored; the others
only say how far each number moves, which goes to tests/spreads/NAME.json. `make test` then accepts a number that lies
within `tolerances` of the stored one, and words and integers only as they are.

A text is what a cell shows in one form: its printed lines, or all its results as "text/plain". A number of a text is
known by its place among the numbers of that text. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

DEFAULT_RTOL = 1e-3
# Five runs see less than the whole range: of five draws from a bell curve the range is 2.3 of its standard deviations,
# and two further draws lie more than four times that apart in one of ten thousand million cases. But one number in a
# hundred has by chance a fifth of the range, and some variants differ in nothing for some models; so that the typical
# spread of the numbers beside it counts as well.
MARGIN = 4
LEAST_KEPT = 1e-4  # a smaller spread cannot lift a tolerance over the default
TINY = 1e-12  # two numbers this small are both zero
COARSEST_UNIT = (
    0.01  # of a number: what one step in its last printed digit may be and still count as rounding
)

PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "application/pdf")
NOT_COMPARED = (  # what two runs may show otherwise
    "metadata", "traceback", "prompt_number", "output_type", "name", "execution_count",
    "application/vnd.jupyter.widget-view+json", *PICTURES,
)  # fmt: skip
IGNORE = ("nbval-ignore-output", "NBVAL_IGNORE_OUTPUT", "PYTEST_VALIDATE_IGNORE_OUTPUT")


class Variant(NamedTuple):
    """One way of executing a notebook."""

    name: str
    instructions: str  # of recbook.core.instruction_set
    threads: int = 1
    busy: bool = False  # beside processes that keep every core busy


VARIANTS = (  # the first one's outputs are stored
    Variant("AVX2", "avx2"),
    Variant("as found", "native"),
    Variant("lowest", "lowest"),
    Variant("two threads", "avx2", threads=2),
    Variant("busy", "avx2", busy=True),
)

# --- texts and their numbers ----------------------------------------------------------------------------------

# A number that is not part of a name: the 2 of "x2" is text.
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")


def is_exact(number: str) -> bool:
    """Whether a number is an integer. "06416e597", out of a hash, reads as a number beyond all floats: exact, too."""
    return number.lstrip("+-").isdigit() or math.isinf(float(number))


def words(text: str) -> list[str]:
    """The text between the numbers, with runs of spaces and rulers of dashes shortened to one."""
    return [re.sub(r"-{3,}", "-", re.sub(r"[ \t]+", " ", piece)).strip(" ") for piece in NUMBER.split(text)]


def unit(number: str) -> float:
    """One step in the last digit that a number was printed with."""
    digits, _, exponent = number.lower().partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


def numbers_agree(stored: str, fresh: str, rtol: float) -> bool:
    """Whether two printed numbers may be the same one.

    Those that differ by one step in the last digit may, however close the numbers were before they were rounded.
    """
    if is_exact(stored) or is_exact(fresh):
        return stored == fresh
    a, b = float(stored), float(fresh)
    size = max(abs(a), abs(b))
    step = max(unit(stored), unit(fresh)) * 1.001  # the difference of two decimals is not exact in binary
    return abs(a - b) <= max(rtol * size, TINY, step if step <= COARSEST_UNIT * size else 0)


def difference(stored: str, fresh: str, rtols: Mapping[int, float] | None = None) -> str:
    """What two texts say otherwise, in a few words; empty where they agree.

    rtols : tolerances of single numbers, by their place in the text; DEFAULT_RTOL for the others.
    """
    ours, theirs = NUMBER.findall(stored), NUMBER.findall(fresh)
    between = words(stored), words(fresh)
    if between[0] != between[1]:
        pairs = zip(*between, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(map(len, between)))
        a, b = (piece[place] if place < len(piece) else "" for piece in between)
        at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        return f"words: {around(a, at)!r} became {around(b, at)!r}"
    for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        rtol = (rtols or {}).get(place, DEFAULT_RTOL)
        if not numbers_agree(a, b, rtol):
            kind = "an integer" if is_exact(a) else f"a number (within {rtol:.1g})"
            return f"{kind} after {around(between[0][place], len(between[0][place]))!r}: {a} became {b}"
    return ""


def around(text: str, place: int) -> str:
    return text[max(0, place - 30) : place + 30].replace("\n", " ")


def texts(outputs: Iterable[Mapping], skip: Iterable[str] = NOT_COMPARED) -> dict[str, str]:
    """What outputs show, a text for each form ("stdout", "text/html", …); its pieces are parted by form feeds.

    A stream is one piece, wherever other outputs cut it.
    """
    pieces: dict[str, list[str]] = {}
    for output in outputs:
        if output["output_type"] == "stream":
            text = "".join(output["text"])
            pieces[output["name"]] = ["".join([*pieces.get(output["name"], []), text])]
            continue
        shown = {key: value for key, value in output.items() if key != "data"} | dict(output.get("data", {}))
        for form, value in shown.items():
            if form not in skip:
                pieces.setdefault(form, []).append(as_text(value))
    return {form: "\f".join(parts) for form, parts in pieces.items()}


def as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "".join(value)  # how notebooks store lines
    return json.dumps(value, sort_keys=True)


def differences(
    stored: Mapping[str, str], fresh: Mapping[str, str], rtols: Mapping | None = None
) -> list[str]:
    """What two cells' texts say otherwise, a line each; rtols : as `tolerances` gives them."""
    lines = [f"{form}: is shown no more" for form in stored if form not in fresh]
    lines += [f"{form}: was not shown before" for form in fresh if form not in stored]
    for form in stored:
        if form in fresh and (words := difference(stored[form], fresh[form], (rtols or {}).get(form))):
            lines.append(f"{form}: {words}")
    return lines


# --- spreads --------------------------------------------------------------------------------------------------


def spreads_of(runs: list[str]) -> dict[int, float]:
    """For each number of a text, how far it moves from run to run, as a share of its size; integers are left out.

    A run whose words differ from the first one's says nothing of numbers and is passed over.
    """
    alike = [NUMBER.findall(run) for run in runs if words(run) == words(runs[0])]
    found = {}
    for place, printed in enumerate(zip(*alike, strict=True)):
        if not any(map(is_exact, printed)):
            values = [float(number) for number in printed]
            width, size = max(values) - min(values), max(map(abs, values))
            found[place] = width / size if width > TINY else 0.0
    return found


def rounded_up(spread: float) -> float:
    """With two digits, never less than it was."""
    step = 10.0 ** (math.floor(math.log10(spread)) - 1)
    return float(f"{math.ceil(spread / step - 1e-9) * step:.2g}")


def tolerances(
    stored: Mapping[str, str], spreads: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[int, float]]:
    """The relative tolerance of each number of a cell's texts that has another than the default.

    MARGIN times its own spread or the median spread of its text's numbers, whichever is greater.
    """
    found: dict[str, dict[int, float]] = {}
    for form, text in stored.items():
        kept = spreads.get(form, {})
        own = {
            place: kept.get(str(place), 0.0)
            for place, number in enumerate(NUMBER.findall(text))
            if not is_exact(number)
        }
        typical = statistics.median(own.values()) if own else 0.0
        rtols = {place: MARGIN * max(spread, typical) for place, spread in own.items()}
        found[form] = {place: rtol for place, rtol in rtols.items() if rtol > DEFAULT_RTOL}
    return found


def code_cells(notebook: Mapping) -> list[Mapping]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def ignored(cell: Mapping) -> bool:
    """Whether nbval does not compare the cell's outputs."""
    comments = [line.strip().lstrip("#").strip() for line in "".join(cell["source"]).splitlines()]
    return any(mark in cell["metadata"].get("tags", []) or mark in comments for mark in IGNORE)


def digest(notebook: Mapping) -> str:
    """Changes with the code of any cell: a cell's numbers hang on all cells before it."""
    sources = [[cell["id"], "".join(cell["source"])] for cell in code_cells(notebook)]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]


def measured(runs: Mapping[str, Mapping], seconds: Mapping[str, int]) -> dict:
    """What is to be stored of a notebook's runs.

    runs : variant → executed notebook; the first one's outputs are the ones that are kept. seconds : what each took.
    "cells" of the answer has the spreads, cell → form → place → spread; "unlike" what no tolerance covers,
    cell → variant → in words: an error, other words or integers, or numbers that cannot be held together.
    """
    first, *others = runs
    cells, unlike = {}, {}
    for number, cell in enumerate(code_cells(runs[first])):
        shown = {name: code_cells(notebook)[number]["outputs"] for name, notebook in runs.items()}
        errors = {name: errors_of(outputs) for name, outputs in shown.items()}
        words = {name: errors[name] for name in others if errors[name] != errors[first]}
        if not ignored(cell):
            said = {name: texts(outputs) for name, outputs in shown.items()}
            spreads = spreads_of_cell(list(said.values()))
            if spreads:
                cells[cell["id"]] = spreads
            rtols = tolerances(said[first], spreads)
            for name in others:
                lines = differences(said[first], said[name], rtols)
                if lines and name not in words:
                    words[name] = "; ".join(lines)
        if words:
            unlike[cell["id"]] = words
    return {"source": digest(runs[first]), "variants": dict(seconds), "cells": cells, "unlike": unlike}


def spreads_of_cell(said: list[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """Form → place → spread of one cell's numbers over its runs, for those that move by more than LEAST_KEPT."""
    found = {}
    for form, text in said[0].items():
        moved = spreads_of([text, *(other[form] for other in said[1:] if form in other)])
        kept = {str(place): rounded_up(spread) for place, spread in moved.items() if spread > LEAST_KEPT}
        if kept:
            found[form] = kept
    return found


def errors_of(outputs: Iterable[Mapping]) -> str:
    errors = [output for output in outputs if output["output_type"] == "error"]
    return "; ".join(f"{error['ename']}: {error['evalue'][:200]}" for error in errors)


def file_of(notebook: Path) -> Path:
    """tests/spreads/NAME.json, beside the folder that the notebook is in."""
    return notebook.resolve().parent.parent / "tests" / "spreads" / f"{notebook.stem}.json"


def store(notebook: Path, measurement: Mapping) -> None:
    """One line a text, so that a diff shows which cell moved."""

    def block(key: str, value: Mapping) -> str:
        inner = ",\n".join(
            f"  {json.dumps(cell)}: {{\n"
            + ",\n".join(f"   {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
            + "\n  }"
            for cell, entries in value.items()
        )
        return f' "{key}": {{\n{inner}\n }}' if inner else f' "{key}": {{}}'

    lines = [f' "{key}": {json.dumps(measurement[key])}' for key in ("source", "variants")]
    lines += [block(key, measurement[key]) for key in ("cells", "unlike")]
    file = file_of(notebook)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")


def described(measurement: Mapping) -> str:
    """What was measured, for its author: each cell that moves, with its widest spread, and what differs in words."""
    seconds = ", ".join(f"{name} {took} s" for name, took in measurement["variants"].items())
    lines = [f"variants: {seconds}"]
    for cell, forms in measurement["cells"].items():
        found = [spread for kept in forms.values() for spread in kept.values()]
        many = f"{len(found)} numbers move" if len(found) > 1 else "1 number moves"
        lines.append(f"  {cell:<32} {many}, by {max(found):.1e} at most")
    for cell, words in measurement["unlike"].items():
        lines += [f"  {cell:<32} {name}: {text}" for name, text in words.items()]
    return "\n".join(lines)


def read(notebook: Path) -> dict | None:
    """What `store` wrote of a notebook; None where nothing was measured."""
    file = file_of(notebook)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def load(path: Path, notebook: Mapping) -> dict[str, dict]:
    """Cell → form → place → spread; empty where nothing was measured, or another text of the cells."""
    measurement = read(path)
    return measurement["cells"] if measurement and measurement["source"] == digest(notebook) else {}
