"""Times an epoch of DeepFM and of DIN side by side with torch-rechub's, on the same rows.

    python tasks.py bench ctr                # installs torch-rechub, then runs this
    python benchmarks/ctr.py --json out.json

An epoch: (seconds of fit with n epochs - seconds with 1) / (n - 1), so that what is done once (reading, starting up,
tracing, histories) does not count. MovieLens-100K as clicks (rating ≥ 4), all of it; the same fields, widths, batches
and optimiser; DIN with histories of the last 20 likes. torch-rechub trains in PyTorch by its own `CTRTrainer` and
`DataGenerator`; its layers normalise batches. In turn: a first round that does not count, then three; of each the best.
Each library has a process of its own, which sleeps while the others compute. No target is set: seconds an epoch say
nothing of quality, and chapter `ctr` does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")  # torch-rechub's bars; tqdm reads it when it is imported

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
import _shared as shared  # noqa: E402

from recbook import datasets  # noqa: E402
from recbook.interactions import Dataset, Interactions  # noqa: E402
from recbook.recommender import Coded  # noqa: E402
from recbook.shared.ctr import Behaviours  # noqa: E402

FEW, ROUNDS = 1, 3
MANY = {"DeepFM": 5, "DIN": 3}
MOMENT = ("gender", "age", "occupation")
FACTORS, LAYERS, UNIT, LENGTH, BATCH, RATE = 16, (64, 32), (32,), 20, 1024, 0.005
TITLES = {"rechub": "torch-rechub", "torch": "recbook.torch", "keras": "recbook.keras"}

Contender = Callable[[str, int], None]  # model, epochs


def clicks() -> Dataset:
    ml = datasets.fetch_movielens("100k")
    frame = ml.interactions.to_frame()
    frame["rating"] = (frame.rating >= 4).astype(float)
    people = ml.users.loc[frame.user]
    for name in MOMENT:
        frame[name] = people[name].astype(str).to_numpy()
    return Dataset(Interactions.from_frame(frame), users=ml.users, items=ml.items)


def rechub_contender(data: Dataset) -> Contender:
    try:
        from torch_rechub.basic.features import SequenceFeature, SparseFeature
        from torch_rechub.models.ranking import DIN, DeepFM
        from torch_rechub.trainers import CTRTrainer
        from torch_rechub.utils.data import DataGenerator
    except ImportError as error:
        raise shared.not_installed("torch-rechub", "ctr", error) from error
    x = data.interactions
    columns = {"user": x.user_codes, "item": x.item_codes + 1}  # 0 is padding
    columns |= {name: pd.factorize(x.extra[name])[0] for name in MOMENT}
    sizes = {name: int(values.max()) + 1 for name, values in columns.items()}
    genres = data.items.genres.loc[x.item_ids].str.get_dummies("|").to_numpy()
    width = int(genres.sum(1).max())
    lists = np.zeros((len(genres), width), np.int64)
    for row, own in enumerate(genres):
        lists[row, : own.sum()] = np.flatnonzero(own) + 1
    coded = Coded(x.user_codes, x.item_codes, x.ratings, x.timestamps, x.n_users, x.n_items)
    behaviours = Behaviours(coded)
    past = behaviours.padded(x.user_codes, behaviours.before, LENGTH, empty=-1) + 1

    def run(model: str, epochs: int) -> None:
        sparse = {name: SparseFeature(name, size, FACTORS) for name, size in sizes.items()}
        layers = {"dims": list(LAYERS)}
        if model == "DeepFM":
            of_genres = SequenceFeature("genres", genres.shape[1] + 1, FACTORS, "mean", padding_idx=0)
            features = [*sparse.values(), of_genres]
            made, inputs = DeepFM(features, features, layers), {**columns, "genres": lists[x.item_codes]}
        else:
            history = SequenceFeature("past", sizes["item"], FACTORS, "concat", shared_with="item")
            beside = [feature for name, feature in sparse.items() if name != "item"]
            unit = {"dims": list(UNIT), "activation": "relu"}
            made, inputs = DIN(beside, [history], [sparse["item"]], layers, unit), {**columns, "past": past}
        few = {
            name: values[:1] for name, values in inputs.items()
        }  # it asks for data to validate and to test on
        rows = DataGenerator(inputs, x.ratings.astype(np.float32))
        loader = rows.generate_dataloader(few, x.ratings[:1], few, x.ratings[:1], batch_size=BATCH)[0]
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            trainer = CTRTrainer(made, optimizer_params={"lr": RATE}, n_epoch=epochs, model_path=folder)
            trainer.fit(loader)

    return run


def wing_contender(wing: str, data: Dataset) -> Contender:
    module = importlib.import_module(f"recbook.{wing}")

    def run(model: str, epochs: int) -> None:
        own = {"DeepFM": {}, "DIN": {"attention_layers": UNIT, "max_length": LENGTH}}[model]
        fields = ("user", "item", *MOMENT, *(["items.genres"] if model == "DeepFM" else []))
        settings = {"factors": FACTORS, "layers": LAYERS, "batch_size": BATCH, "learning_rate": RATE, **own}
        made = getattr(module, model)(fields=fields, **settings, epochs=epochs, device="cpu")
        made.fit(data, progress=False)

    return run


def contend(name: str) -> None:
    """One contender's process: for every line (a model) seconds an epoch, as JSON."""
    data = clicks()
    run = rechub_contender(data) if name == "rechub" else wing_contender(name, data)
    for line in sys.stdin:
        model = json.loads(line)
        print(json.dumps(shared.seconds_an_epoch(partial(run, model), FEW, MANY[model])), flush=True)


def measure() -> dict[str, dict]:
    """Seconds of an epoch, by model and contender."""
    with shared.Contenders(__file__, TITLES) as contenders:
        return shared.measure_epochs(contenders, {model: model for model in MANY}, ROUNDS, TITLES, "rechub")


def main(arguments: list[str] | None = None) -> int:
    parser = shared.parser(__doc__)
    parser.add_argument("--contend", choices=list(TITLES), help="only this, for the lines that come in")
    options = parser.parse_args(arguments)
    if options.contend:
        contend(options.contend)
        return 0
    results = {"epochs": measure(), "circumstances": shared.circumstances("torch-rechub")}
    shared.print_epochs(results, TITLES)
    return shared.end(
        results, options.json, [], shared.beside_epochs(results, "rechub", "torch-rechub 0.9.0")
    )


if __name__ == "__main__":
    sys.exit(main())
