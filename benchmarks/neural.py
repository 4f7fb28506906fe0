"""Times an epoch of NeuMF and of MultVAE side by side with cornac's PyTorch models of the same sizes.

    python tasks.py bench neural             # installs cornac, then runs this
    python benchmarks/neural.py --json out.json

An epoch: (seconds of fit with n epochs - seconds with 1) / (n - 1), so that what is done once (reading, starting up,
tracing) does not count. MovieLens-100K, the same widths, batches, negatives and optimiser; cornac trains in PyTorch
(`NeuMF(backend="pytorch")`, `VAECF`). In turn: a first round that does not count, then three; of each the best. Each
library has a process of its own, which sleeps while the others compute. No target is set: seconds an epoch say
nothing of quality, and chapters `ncf` and `autoencoders` do.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402

from recbook import datasets  # noqa: E402
from recbook.interactions import Dataset  # noqa: E402

FEW, ROUNDS = 1, 3
MANY = {"NeuMF": 3, "MultVAE": 41}  # an epoch of MultVAE is a few hundredths of a second
POSITIVES = 256  # of a batch, each with its negatives: cornac's default
# cornac asks for layers that end in `factors`.
NEUMF = {"factors": 8, "mlp_factors": 16, "layers": (16, 8), "negatives": 4}
VAE = {"hidden": 128, "factors": 32, "batch_size": 100}
TITLES = {"cornac": "cornac, PyTorch", "torch": "recbook.torch", "keras": "recbook.keras"}

Contender = Callable[[str, Dataset, int], None]  # model, data, epochs


def cornac_contender() -> Contender:
    try:
        import cornac
    except ImportError as error:
        raise shared.not_installed("cornac", "neural", error) from error

    def run(model: str, data: Dataset, epochs: int) -> None:
        x = data.interactions
        rows = zip(x.user_codes.tolist(), x.item_codes.tolist(), np.ones(len(x)).tolist(), strict=True)
        train = cornac.data.Dataset.from_uir(rows, seed=0)
        if model == "NeuMF":
            made = cornac.models.NeuMF(
                num_factors=NEUMF["factors"],
                layers=(2 * NEUMF["mlp_factors"], *NEUMF["layers"]),  # the first is the joined vectors
                num_neg=NEUMF["negatives"],
                num_epochs=epochs,
                batch_size=POSITIVES,
                lr=0.005,
                backend="pytorch",
                verbose=False,
                seed=0,
            )
        else:
            made = cornac.models.VAECF(
                k=VAE["factors"],
                autoencoder_structure=[VAE["hidden"]],
                batch_size=VAE["batch_size"],
                n_epochs=epochs,
                seed=0,
            )
        made.fit(train)

    return run


def wing_contender(wing: str) -> Contender:
    module = importlib.import_module(f"recbook.{wing}")

    def run(model: str, data: Dataset, epochs: int) -> None:
        batch = POSITIVES * (1 + NEUMF["negatives"])  # recbook counts the negatives
        settings = NEUMF | {"batch_size": batch} if model == "NeuMF" else VAE
        getattr(module, model)(**settings, epochs=epochs, device="cpu").fit(data, progress=False)

    return run


def contend(name: str) -> None:
    """One contender's process: for every line (a model) seconds an epoch, as JSON."""
    run = cornac_contender() if name == "cornac" else wing_contender(name)
    data = datasets.fetch_movielens("100k")
    for line in sys.stdin:
        model = json.loads(line)
        print(json.dumps(shared.seconds_an_epoch(partial(run, model, data), FEW, MANY[model])), flush=True)


def measure() -> dict[str, dict]:
    """Seconds of an epoch, by model and contender."""
    with shared.Contenders(__file__, TITLES) as contenders:
        return shared.measure_epochs(contenders, {model: model for model in MANY}, ROUNDS, TITLES, "cornac")


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--contend", choices=list(TITLES), help="only this, for the lines that come in")
    options = parser.parse_args(arguments)
    if options.contend:
        contend(options.contend)
        return 0
    results = {"epochs": measure(), "circumstances": shared.circumstances("cornac")}
    shared.print_epochs(results, TITLES)
    return shared.end(results, options.json, [], shared.beside_epochs(results, "cornac", "cornac 3.0.1"))


if __name__ == "__main__":
    sys.exit(main())
