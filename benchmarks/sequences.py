"""Times an epoch of SASRec, BERT4Rec and GRU4Rec, the first two side by side with RecTools' of the same sizes.

    python tasks.py bench sequences          # makes an environment for RecTools, once, then runs this
    python benchmarks/sequences.py --json out.json

An epoch: (seconds of fit with n epochs - seconds with 1) / (n - 1), so that what is done once (reading, starting up,
tracing) does not count. MovieLens-100K, everybody's last 50 steps; the same widths, blocks, heads, batches and losses,
one thread. RecTools trains in PyTorch Lightning and leaves shares of attention out, too. In turn: a first round
that does not count, then two; of each the best. RecTools wants an older numpy and pandas than recbook has, so that it
has an environment of its own (benchmarks/requirements-rectools.txt). No target is set: seconds an epoch say nothing of
quality, and the chapters `sequences` and `transformers` do.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402
import numpy as np  # noqa: E402

from recbook import datasets  # noqa: E402

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / ".venv-rectools"
FEW, MANY, ROUNDS = 1, 4, 2
SIZES = {"factors": 64, "max_length": 50, "batch_size": 32, "learning_rate": 0.002}
BLOCKS = SIZES | {"blocks": 2, "heads": 1, "dropout": 0.2}
MODELS = {
    "SASRec": BLOCKS | {"inner": 64},  # RecTools' SASRec has layers as wide as its vectors
    "BERT4Rec": BLOCKS
    | {"heads": 2, "inner": 256, "hidden_share": 0.2},  # and its BERT4Rec four times as wide
    "GRU4Rec": SIZES,
}
TITLES = {"rectools": "RecTools", "torch": "recbook.torch", "keras": "recbook.keras"}


def rectools_python(given: Path | None) -> Path:
    """The Python of an environment with RecTools; made where there is none."""
    if given:
        return given
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    wanted = HERE / "requirements-rectools.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
    return python


class Contenders(shared.Contenders):
    """RecTools in its own environment, each wing in this one."""

    def __init__(self, python: Path, events: Path):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        commands = {
            "rectools": [python, HERE / "_rectools.py", events],
            **{wing: [sys.executable, __file__, "--contend", wing] for wing in shared.WINGS},
        }
        self.processes = {name: subprocess.Popen(command, **pipes) for name, command in commands.items()}

    def best(self, task: dict, rounds: int, words) -> dict[str, dict]:
        everybody = self.processes
        if task["model"] == "GRU4Rec":  # RecTools has none
            self.processes = {name: one for name, one in everybody.items() if name != "rectools"}
        try:
            return super().best(task, rounds, words)
        finally:
            self.processes = everybody


def contend(wing: str) -> None:
    """A wing's process: for every line (a task) seconds an epoch, as JSON."""
    module, data = importlib.import_module(f"recbook.{wing}"), datasets.fetch_movielens("100k")

    def run(task: dict, epochs: int) -> None:
        cls = getattr(module, task["model"])
        cls(**MODELS[task["model"]], epochs=epochs, device="cpu").fit(data, progress=False)

    for line in sys.stdin:
        print(json.dumps(shared.seconds_an_epoch(partial(run, json.loads(line)), FEW, MANY)), flush=True)


def measure(python: Path) -> dict[str, dict]:
    """Seconds of an epoch, by model and contender."""
    x = datasets.fetch_movielens("100k").interactions
    tasks = {model: {"model": model, "few": FEW, "many": MANY, **sizes} for model, sizes in MODELS.items()}
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.npz"
        np.savez(events, users=x.user_codes, items=x.item_codes, times=x.timestamps)
        with Contenders(python, events) as contenders:
            return shared.measure_epochs(contenders, tasks, ROUNDS, TITLES, "rectools")


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--contend", choices=shared.WINGS, help="only this, for the lines that come in")
    parser.add_argument("--rectools", type=Path, metavar="PYTHON", help="of an environment that has RecTools")
    options = parser.parse_args(arguments)
    if options.contend:
        contend(options.contend)
        return 0
    results = {"epochs": measure(rectools_python(options.rectools)), "circumstances": shared.circumstances()}
    results["circumstances"]["rectools"] = "0.19.0"
    shared.print_epochs(results, TITLES)
    return shared.end(results, options.json, [], shared.beside_epochs(results, "rectools", "RecTools 0.19.0"))


if __name__ == "__main__":
    sys.exit(main())
