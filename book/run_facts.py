"""What a run of a notebook was made with: versions, Keras' backend, and the hash of each data set that it fetches.

    python book/run_facts.py chapters/neighbors.ipynb

prints them as one line of JSON. `tasks.py run` stores them in the notebook's metadata, with the seconds and the date.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("torch", "keras", "numpy", "pandas", "matplotlib")  # beside Keras' backend
FETCH = re.compile(r"\bfetch_movielens\(([^()]*)\)")


class FactsError(Exception):
    """A notebook fetches data in a way that cannot be read from its text; the message says which."""


def fetched(notebook: dict) -> list[str]:
    """The data sets that the code cells of a notebook fetch, by the names that `recbook.datasets` gives them."""
    found = set()
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        for arguments in FETCH.findall("".join(cell["source"])):
            name = arguments.partition(",")[0].strip() or '"100k"'
            if not re.fullmatch(r"([\"'])\w+\1", name):
                raise FactsError(f'fetch_movielens({arguments}): write the name of the data, as "100k"')
            found.add(f"ml-{name[1:-1]}")
    return sorted(found)


def hashes(names: list[str]) -> dict[str, str]:
    """The pinned sha256 of each data set's file of ratings; fetching holds every file against it."""
    from recbook.datasets._movielens import ML_1M, ML_100K  # here: reading a notebook needs no package

    known = {spec.name: spec.sha256 for spec in (ML_100K, ML_1M)}
    return {name: known[name] for name in names}


def backend() -> str | None:
    """Keras' backend as a chapter gets it; None without Keras."""
    if importlib.util.find_spec("keras") is None:
        return None
    from recbook.keras import _backend as backend

    return backend.name()


def facts(notebook: dict) -> dict:
    chosen = backend()
    packages = dict.fromkeys([*PACKAGES, chosen])
    there = [name for name in packages if name and importlib.util.find_spec(name)]
    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in there},
        "backend": chosen,
        "data": hashes(fetched(notebook)),
    }


def main(arguments: list[str]) -> int:
    try:
        print(json.dumps(facts(json.loads(Path(arguments[0]).read_text("utf-8")))))
    except FactsError as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
