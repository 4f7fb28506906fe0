"""What every committed notebook must be: executed in order, quiet, small, described, free of MovieLens' rows."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from book import run_facts, spreads
from recbook import datasets
from tasks import minutes_to_read, normalise

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "chapters").glob("**/*.ipynb"))
NOTEBOOKS = [path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts]

code_cells = spreads.code_cells

MAX_BYTES = 1_000_000
MAX_CELLS = 40
MAX_MINUTES_TO_READ = 25
MAX_MINUTES_TO_RUN = 1
MAX_IGNORED = 2  # cells of one notebook whose outputs are not compared
MAX_IGNORED_SHARE = 0.05  # of all code cells of the book
WIDE_RTOL = 0.05
MAX_WIDE = 5  # cells of one notebook with a number whose tolerance is wider than that

NEVER = ("nbval-skip", "NBVAL_SKIP", "nbval-check-output", "NBVAL_CHECK_OUTPUT")
OWN_PATH = re.compile(r"(?:/home/|/Users/|/root/|/tmp/|[A-Z]:\\\\Users\\\\)\w")


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def marked(cell: dict, marks: tuple[str, ...]) -> bool:
    """Whether a tag or a comment line of the cell is one of nbval's marks."""
    comments = [line.strip().lstrip("#").strip() for line in "".join(cell["source"]).splitlines()]
    return any(mark in tags(cell) or mark in comments for mark in marks)


def output_texts(cell: dict) -> list[str]:
    """Every text that the cell's outputs hold, one string a representation; pictures left out."""
    texts = []
    for output in cell["outputs"]:
        parts = [output["text"]] if "text" in output else []
        parts += [data for kind, data in output.get("data", {}).items() if not kind.startswith("image/")]
        parts += [output["traceback"]] if "traceback" in output else []
        texts += ["".join(part) if isinstance(part, str | list) else json.dumps(part) for part in parts]
    return texts


def test_there_are_notebooks():
    assert NOTEBOOKS, "chapters/ holds no notebook"


each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_executed_in_order(path):
    cells = [cell for cell in code_cells(read(path)) if "".join(cell["source"]).strip()]
    counts = [cell["execution_count"] for cell in cells]
    assert counts == list(range(1, len(cells) + 1)), (
        f"run it from a clean kernel: python tasks.py run chapters/{path.name}"
    )


@each_notebook
def test_quiet(path):
    """No stderr anywhere, and an error only where the cell says that it shows one."""
    for number, cell in enumerate(code_cells(read(path)), start=1):
        for output in cell["outputs"]:
            assert output.get("name") != "stderr", f"code cell {number} writes to stderr: {output['text']}"
            if output["output_type"] == "error":
                assert "raises-exception" in tags(cell), f"code cell {number} failed: {output['evalue']}"


@each_notebook
def test_size(path):
    assert path.stat().st_size < MAX_BYTES, "draw smaller figures, or fewer"
    assert cells_to_read(read(path)) <= MAX_CELLS


MAX_FIGURE_BYTES = 150_000


def bad_figures(cell: dict) -> list[str]:
    """What is wrong with the figures of a code cell, a line each: all come from `nb.show`, none is large."""
    source, found = "".join(cell["source"]), []
    if re.search(r"\bplt\.show\(", source):
        found.append("plt.show() shows a figure without alt text: nb.show(fig, alt=…)")
    if "image" in cell["metadata"].get("mystnb", {}):
        found.append("alt text in the cell's metadata: say it in nb.show(fig, alt=…)")
    for output in cell["outputs"]:
        for kind in [kind for kind in output.get("data", {}) if kind.startswith("image/")]:
            size = len("".join(output["data"][kind])) * (1 if "svg" in kind else 3 / 4)
            if size > MAX_FIGURE_BYTES:
                found.append(f"a figure of {size:,.0f} bytes, over {MAX_FIGURE_BYTES:,}")
            alt = output["metadata"].get(kind, {}).get("alt")
            if not alt or alt != "".join(output["data"].get("text/plain", "")):
                found.append("a figure that does not come from nb.show(fig, alt=…)")
    return found


@each_notebook
def test_figures(path):
    for number, cell in enumerate(code_cells(read(path)), start=1):
        assert not (found := bad_figures(cell)), f"code cell {number}: {'; '.join(found)}"


def drawn(
    kind: str = "image/svg+xml", content: str = "<svg/>", alt: str = "A line falls.", **changes
) -> dict:
    """A code cell with one figure, as nb.show leaves it."""
    output = {"data": {kind: content, "text/plain": alt}, "metadata": {kind: {"alt": alt}}}
    return {"source": "nb.show(fig, alt=alt)", "metadata": {}, "outputs": [output]} | changes


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (drawn(source="fig, ax = plt.subplots()\nplt.show()"), "plt.show()"),
        (drawn(metadata={"mystnb": {"image": {"alt": "A line falls."}}}), "metadata"),
        (drawn(content="<svg>" + "x" * MAX_FIGURE_BYTES + "</svg>"), "150,011 bytes"),
        (drawn(kind="image/png", content="A" * 200_004), "150,003 bytes"),
        (
            drawn(outputs=[{"data": {"image/png": "AA==", "text/plain": "<Figure>"}, "metadata": {}}]),
            "nb.show",
        ),
        (drawn(alt=""), "nb.show"),
    ],
    ids=["plt.show", "metadata", "large SVG", "large PNG", "bare plot", "no alt"],
)
def test_a_bad_figure_is_found(cell, words):
    (found,) = bad_figures(cell)
    assert words in found
    assert not bad_figures(drawn())


def cells_to_read(notebook: dict) -> int:
    """Cells as a reader meets them: a pair of framework tabs is one, what the page leaves out is none."""
    kinds = [
        next((tag for tag in ("torch", "keras") if tag in tags(cell)), None)
        for cell in notebook["cells"]
        if "remove-cell" not in tags(cell)
    ]
    twins = sum(pair == ("torch", "keras") for pair in zip(kinds, kinds[1:], strict=False))
    return len(kinds) - twins


@each_notebook
def test_described(path):
    notebook = read(path)
    chapter = notebook["metadata"].get("recbook", {})
    for key in ("goals", "prerequisites"):
        lines = chapter.get(key)
        assert isinstance(lines, list), f"metadata recbook.{key} is to be a list of sentences"
        assert all(isinstance(line, str) and line.strip() for line in lines)
    assert chapter["goals"], "a chapter has at least one goal"
    minutes = chapter["minutes"]
    assert minutes["read"] == minutes_to_read(notebook), "python tasks.py run counts the words again"
    assert minutes["read"] <= MAX_MINUTES_TO_READ
    assert 0 < minutes["run"] <= MAX_MINUTES_TO_RUN


def lacks(notebook: dict) -> list[str]:
    """What the metadata do not say of the run that made the outputs; the page's foot shows it."""
    run = notebook["metadata"].get("recbook", {}).get("run", {})
    found = [key for key in ("date", "seconds", "python", "versions", "backend", "data") if key not in run]
    if found:
        return found
    if not re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", run["date"]):
        found.append("a date as 2026-01-31")
    if not 0 < run["seconds"] <= 60 * MAX_MINUTES_TO_RUN:
        found.append(f"seconds from 1 to {60 * MAX_MINUTES_TO_RUN}")
    found += [
        f"the version of {name}"
        for name in (*run_facts.PACKAGES, run["backend"] or "Keras' backend")
        if not run["versions"].get(name)
    ]
    if run["data"] != run_facts.hashes(run_facts.fetched(notebook)):
        found.append("the pinned hash of each data set that it fetches, and of no other")
    return found


@each_notebook
def test_says_when_and_with_what_it_ran(path):
    missing = lacks(read(path))
    assert not missing, (
        f"metadata recbook.run lacks {'; '.join(missing)}: python tasks.py run chapters/{path.name}"
    )


def ran(source: str = 'ml = datasets.fetch_movielens("100k")') -> dict:
    """A notebook of one cell, as `tasks.py run` leaves it."""
    cell = {"cell_type": "code", "source": [source], "metadata": {}, "outputs": []}
    notebook = {"cells": [cell], "metadata": {}}
    versions = dict.fromkeys([*run_facts.PACKAGES, "jax"], "1.0")
    facts = {"python": "3.11.2", "versions": versions, "backend": "jax"}
    normalise(notebook, 7.2, {**facts, "data": run_facts.hashes(run_facts.fetched(notebook))})
    return notebook


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("fetch_movielens()", ["ml-100k"]),
        ('datasets.fetch_movielens("1m", progress=True)', ["ml-1m"]),
        ("datasets.fetch_movielens('100k')\nfetch_movielens(\"1m\")", ["ml-100k", "ml-1m"]),
        ("datasets.make_shop(seed=0)", []),
    ],
)
def test_a_run_names_the_data_that_it_fetched(source, names):
    notebook = ran(source)
    assert lacks(notebook) == []
    assert notebook["metadata"]["recbook"]["run"]["seconds"] == 8
    data = notebook["metadata"]["recbook"]["run"]["data"]
    assert list(data) == names and all(len(digest) == 64 for digest in data.values())


def test_data_that_cannot_be_told_stop_the_run():
    with pytest.raises(run_facts.FactsError, match=r"fetch_movielens\(size\): write the name"):
        ran("fetch_movielens(size)")


@pytest.mark.parametrize(
    ("key", "value", "missing"),
    [
        ("date", "today", "a date"),
        ("seconds", 61, "seconds from 1 to 60"),
        ("versions", {}, "the version of torch"),
        ("backend", None, "the version of Keras' backend"),
        ("data", {}, "the pinned hash"),
        ("data", {"ml-100k": "0" * 64}, "the pinned hash"),
    ],
)
def test_a_run_that_says_too_little_is_found(key, value, missing):
    notebook = ran()
    notebook["metadata"]["recbook"]["run"][key] = value
    assert any(line.startswith(missing) for line in lacks(notebook))
    del notebook["metadata"]["recbook"]["run"][key]
    assert lacks(notebook) == [key]


@each_notebook
def test_kernel_is_any_python(path):
    metadata = read(path)["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert "version" not in metadata.get("language_info", {}), "python tasks.py run takes the version out"


@each_notebook
def test_few_outputs_are_ignored(path):
    cells = code_cells(read(path))
    assert not any(marked(cell, NEVER) for cell in cells), f"a cell has one of {NEVER}"
    assert sum(map(spreads.ignored, cells)) <= MAX_IGNORED


def test_few_outputs_of_the_book_are_ignored():
    cells = [cell for path in NOTEBOOKS for cell in code_cells(read(path))]
    assert sum(map(spreads.ignored, cells)) <= MAX_IGNORED_SHARE * len(cells) + 1


# --- how far its numbers move from machine to machine -----------------------------------------------------------


def unmeasured(notebook: dict, measurement: dict | None) -> list[str]:
    """What is wrong with the spreads of a notebook, a line each; measurement : what tests/spreads has of it."""
    if measurement is None:
        return ["no spreads"]
    found = []
    if measurement["source"] != spreads.digest(notebook):
        found.append("spreads of other cells than it has now")
    if list(measurement["variants"]) != [variant.name for variant in spreads.VARIANTS]:
        found.append("spreads under other variants than there are now")
    for cell, words in measurement["unlike"].items():
        found += [f"{cell} says another thing under {name}: {text}" for name, text in words.items()]
    if any(tag.startswith("rtol=") for cell in notebook["cells"] for tag in tags(cell)):
        found.append("a tag rtol=…, which counts for nothing: tolerances are measured")
    return found


def wide_cells(notebook: dict, measurement: dict) -> list[str]:
    """The ids of cells with a number that may move by more than WIDE_RTOL."""
    found = []
    for cell in code_cells(notebook):
        kept = measurement["cells"].get(cell["id"], {})
        rtols = spreads.tolerances(spreads.texts(cell["outputs"]), kept)
        if any(rtol > WIDE_RTOL for by_place in rtols.values() for rtol in by_place.values()):
            found.append(cell["id"])
    return found


@each_notebook
def test_its_spreads_are_measured(path):
    notebook, measurement = read(path), spreads.read(path)
    problems = unmeasured(notebook, measurement)
    assert not problems, f"{'; '.join(problems)}: python tasks.py run chapters/{path.name}"
    wide = wide_cells(notebook, measurement)
    assert len(wide) <= MAX_WIDE, f"teach it so that it holds, or print less: {', '.join(wide)}"


def test_spreads_belong_to_notebooks():
    assert {path.stem for path in spreads.file_of(NOTEBOOKS[0]).parent.glob("*.json")} <= {
        path.stem for path in NOTEBOOKS
    }


def measured_small() -> tuple[dict, dict]:
    """A notebook whose number moves by 2 %, and its measurement."""
    runs = {
        variant.name: {"cells": [shown(f"RMSE {0.9 + 0.018 * (number == 2):.4f}")]}
        for number, variant in enumerate(spreads.VARIANTS)
    }
    return runs["AVX2"], spreads.measured(runs, dict.fromkeys(runs, 1))


def shown(text: str) -> dict:
    output = {"output_type": "stream", "name": "stdout", "text": [text]}
    return {"id": "a", "cell_type": "code", "source": ["show()"], "metadata": {}, "outputs": [output]}


def test_spreads_that_count_no_more_are_found():
    notebook, measurement = measured_small()
    assert unmeasured(notebook, measurement) == [] and wide_cells(notebook, measurement) == ["a"]
    assert unmeasured(notebook, None) == ["no spreads"]
    unlike = measurement | {"unlike": {"a": {"busy": "AssertionError: no"}}}
    assert unmeasured(notebook, unlike) == ["a says another thing under busy: AssertionError: no"]
    fewer = measurement | {"variants": {"AVX2": 1}}
    assert unmeasured(notebook, fewer) == ["spreads under other variants than there are now"]
    notebook["cells"][0]["source"] = ["show(1)"]
    assert unmeasured(notebook, measurement) == ["spreads of other cells than it has now"]
    notebook["cells"][0]["source"] = ["show()"]
    notebook["cells"][0]["metadata"]["tags"] = ["rtol=0.05"]
    assert "a tag rtol=" in unmeasured(notebook, measurement)[0]


@each_notebook
def test_it_sets_the_instruction_set_before_numpy_is_imported(path):
    first = next(cell for cell in code_cells(read(path)) if "import" in "".join(cell["source"]))
    line = next(line for line in "".join(first["source"]).splitlines() if re.match(r"import|from", line))
    assert "recbook" in line and "notebook" in line, f"recbook.notebook comes before {line!r}"


@each_notebook
def test_no_path_of_the_authors_machine(path):
    for number, cell in enumerate(code_cells(read(path)), start=1):
        for text in output_texts(cell):
            assert not OWN_PATH.search(text), f"code cell {number} shows a path of the machine it ran on"


# --- MovieLens' rows --------------------------------------------------------------------------------------------

# A table of ratings gives itself away by its columns (nearly every row's user, item and rating are MovieLens' own;
# a generated world with ids as small matches in some rows by chance), by one of its times, or by the people's
# table's mix of age, gender and occupation.
FEWEST_ROWS, LEAST_SHARE = 3, 0.8
FIRST_SECOND, LAST_SECOND = 874_724_710, 893_286_638
OCCUPATION = re.compile(
    r"\b(?:administrator|artist|doctor|educator|engineer|entertainment|executive|healthcare|homemaker|lawyer"
    r"|librarian|marketing|programmer|retired|salesman|scientist|student|technician|writer)\b"
)
PERSON = re.compile(r"(?<![\w.])[1-9]\d?(?![\w.])\W+(?:M|F)\W")
CLOCK = re.compile(r"199[78]-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")


def rows(text: str) -> list[str]:
    """The rows of a table, in HTML or in print, as plain text."""
    if "<tr" in text:
        return [re.sub(r"<[^>]*>", " ", row) for row in re.split(r"</tr>", text)]
    return text.splitlines()


def are_ratings(table: list[list[float]], ratings: set[tuple[int, int, int]]) -> bool:
    """Whether some three columns of a table of numbers are users, items (side by side) and ratings of MovieLens."""
    width = max(map(len, table), default=0)
    for first, third in [(a, c) for a in range(width - 2) for c in range(a + 2, width)]:
        triples = [(row[first], row[first + 1], row[third]) for row in table if len(row) > third]
        for found in (
            sum((a, b, r) in ratings for a, b, r in triples),
            sum((b, a, r) in ratings for a, b, r in triples),
        ):
            if found >= FEWEST_ROWS and found >= LEAST_SHARE * len(triples):
                return True
    return False


def leaks(text: str, ratings: set[tuple[int, int, int]]) -> list[str]:
    """What of a text shows rows of MovieLens-100K; ratings: all (user, item, rating) of it."""
    found, table = [], []
    for row in rows(text):
        row = re.sub(r"\((?:19|20)\d\d\)", "", row)  # a film's year
        numbers = [float(number) for number in NUMBER.findall(row)]
        if any(FIRST_SECOND <= number <= LAST_SECOND for number in numbers) or CLOCK.search(row):
            found.append(row)
        if OCCUPATION.search(row) and PERSON.search(row):
            found.append(row)
        if len(numbers) >= 3:
            table.append(numbers)
    return found + (["a table of ratings"] if are_ratings(table, ratings) else [])


@pytest.fixture(scope="module")
def interactions():
    return datasets.fetch_movielens("100k").interactions


@pytest.fixture(scope="module")
def ratings(interactions) -> set[tuple[int, int, int]]:
    columns = (interactions.users, interactions.items, interactions.ratings)
    return set(zip(*(np.asarray(column).astype(int).tolist() for column in columns), strict=True))


@each_notebook
def test_no_movielens_row(path, ratings):
    for number, cell in enumerate(code_cells(read(path)), start=1):
        for text in output_texts(cell):
            assert not leaks(text, ratings), (
                f"code cell {number} shows rows of MovieLens: show a generated world"
            )


def printed(frame) -> list[str]:
    return [frame.to_string(), frame.to_html(), frame.to_csv()]


@pytest.mark.parametrize(
    "columns",
    [["user", "item", "rating"], ["item", "user", "rating"], ["user", "item", "title", "rating"]],
    ids=" ".join,
)
def test_scan_finds_rows(interactions, ratings, columns):
    frame = interactions.to_frame().iloc[500:505].assign(title="Film, A (1979)")[columns]
    for text in printed(frame):
        assert leaks(text, ratings)


def test_scan_finds_a_single_time(interactions, ratings):
    seconds = int(interactions.timestamps[7])
    assert leaks(f"first seen at {seconds}", ratings)
    assert leaks(f"first seen at {datetime.fromtimestamp(seconds)}", ratings)


def test_scan_finds_people(ratings):
    people = datasets.fetch_movielens("100k").users.reset_index().head(8)
    for text in printed(people):
        assert leaks(text, ratings)


def test_scan_passes_what_chapters_show(ratings):
    rng = np.random.default_rng(0)
    scores = [f"{rank} Alien (1979) {score:.4f}" for rank, score in enumerate(rng.normal(4, 1, 10), start=1)]
    folds = [
        f"fold {fold}: 80000 ratings, RMSE {rmse:.4f}" for fold, rmse in enumerate(rng.normal(1, 0.1, 5))
    ]
    counts = [
        "M 670",
        "F 273",
        "student 196 people",
        "engineer 67 people",
        "943 users, 1682 items, 100000 ratings",
    ]
    assert not leaks("\n".join(scores + folds + counts), ratings)


def test_scan_passes_a_generated_world(ratings):
    """Ids as small as MovieLens' and whole ratings, but not its own."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        columns = {
            "user": rng.integers(1, 30, 8),
            "item": rng.integers(1, 40, 8),
            "rating": rng.integers(1, 6, 8),
        }
        for text in printed(pd.DataFrame(columns)):
            assert not leaks(text, ratings)
    by_hand = pd.DataFrame(rng.integers(1, 6, (5, 4)), index=list("ABCDE"), columns=["i1", "i2", "i3", "i4"])
    assert not leaks(by_hand.to_string(), ratings)
