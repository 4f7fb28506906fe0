"""What long computations found: experiments/<topic>.py writes results/<topic>.json, and chapters read it.

A result knows the code it came from. When that code changes, the result is stale, and a test says so. It is then
renewed, or confirmed: some of its figures are measured again, and where they come out the same it is stamped anew.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recbook.core.definitions import Program
from recbook.core.storage import atomic_write
from recbook.errors import DataError

PACKAGE = Path(__file__).resolve().parent
FOLDER = PACKAGE.parent / "results"
EXPERIMENTS = PACKAGE.parent / "experiments"
DIGITS = 6


def load(topic: str) -> dict[str, Any]:
    """The result of experiments/<topic>.py: a dict with topic, protocol, seeds, data, code, machine, date, figures.

    One that was confirmed after a change of code also has `confirmed`: date, machine, and what was measured again.
    Raises DataError where there is none: results are part of a checkout, not of the installed package.
    """
    path = FOLDER / f"{topic}.json"
    if not path.is_file():
        raise DataError(f"there is no {path}; make it with `{renewal(topic)}`, in a checkout of the book")
    return json.loads(path.read_text("utf-8"))


def record(
    script: Path, *, protocol: dict[str, Any], seeds: list[int], data: dict[str, str], figures: Any
) -> Path:
    """Writes results/<topic>.json, <topic> being the name of the script, and returns its path.

    protocol : all that the figures depend on and a reader must know
    data : name and sha256 of what was measured on
    figures : dicts, lists, texts and numbers; these are rounded to 6 decimals
    """
    result = {
        "topic": script.stem,
        "protocol": protocol,
        "seeds": seeds,
        "data": data,
        "code": code_hash(script),
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "figures": _rounded(figures),
    }
    return _write(result)


def stamp(script: Path, result: dict[str, Any], measured: list[str]) -> Path:
    """Writes a result anew as one of the code as it is, and returns its path; its figures stay as they were made.

    measured : the figures that were measured again and came out as they stand there; the caller has seen to it
    """
    today = datetime.date.today().isoformat()
    confirmed = {"date": today, "machine": machine(), "measured": measured}
    return _write(result | {"code": code_hash(script), "confirmed": confirmed})


def _write(result: dict[str, Any]) -> Path:
    path = FOLDER / f"{result['topic']}.json"
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))
    return path


def renewal(topic: str, confirm: bool = False) -> str:
    """The command that makes a result anew, or that confirms it."""
    return f'make experiments ARGS="--confirm {topic}"' if confirm else f"make experiments ARGS={topic}"


def machine() -> dict[str, Any]:
    """Where a computation ran: cores, system, and the versions that its numbers hang on."""
    packages = ("numpy", "scipy", "pandas", "torch", "keras", "tensorflow", "jax")
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {str(name): _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


# ---------------------------------------------------------------- which code a result came from


def code_hash(script: Path) -> str:
    """sha256 of the definitions that a script reaches, as `recbook.core.definitions` tells; names of modules, imports,
    comments, docstrings, layout and the place of a definition do not count.

    Not entered are `fetch_*` of `recbook.datasets`, for what these give is held by a hash of its own, and this module,
    which keeps figures and makes none.
    """
    return _program(script).hash()


def part_hash(script: Path, roots: Iterable[str]) -> str:
    """`code_hash` of a part of a result: of what is reached from `roots` alone.

    A root is a name of the script's own, or a dotted one: recbook.torch.implicit.EASE. Raises DataError where there
    is no such definition.
    """
    return _program(script).hash(roots)


def _program(script: Path) -> Program:
    """A script, and all modules of recbook that it may reach."""
    paths = {".".join(_parts(path)): path for path in sorted(PACKAGE.rglob("*.py"))}
    modules = {name: path.read_text("utf-8") for name, path in paths.items()}
    packages = [name for name, path in paths.items() if path.stem == "__init__"]
    return Program(script.read_text("utf-8"), modules, packages, _closed)


def _parts(path: Path) -> tuple[str, ...]:
    inside = path.relative_to(PACKAGE).with_suffix("").parts
    return ("recbook", *(inside[:-1] if path.stem == "__init__" else inside))


def _closed(module: str, name: str) -> bool:
    of_data = module == "recbook.datasets" or module.startswith("recbook.datasets.")
    return module == "recbook.results" or (of_data and name.startswith("fetch_"))
