"""RecTools' side of benchmarks/sequences.py, in an environment of its own: knows neither recbook nor its numpy.

    PYTHON benchmarks/_rectools.py EVENTS.npz

EVENTS.npz : users, items (n,) whole numbers;  times (n,) seconds. Each line that comes in is a task, the answer to it
a line of JSON: seconds of an epoch.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

del sys.path[0]  # this folder, in which implicit.py is a benchmark, and not the library that RecTools imports

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from rectools import Columns  # noqa: E402
from rectools.dataset import Dataset  # noqa: E402
from rectools.models import BERT4RecModel, SASRecModel  # noqa: E402


def dataset(path: str) -> Dataset:
    events = np.load(path)
    frame = pd.DataFrame({Columns.User: events["users"], Columns.Item: events["items"]})
    frame[Columns.Weight] = 1.0
    # A second for each row: those of one time keep their order.
    frame[Columns.Datetime] = pd.to_datetime(np.argsort(np.argsort(events["times"], kind="stable")), unit="s")
    return Dataset.construct(frame)


def fit(task: dict, data: Dataset, epochs: int) -> None:
    shared = {
        "n_factors": task["factors"],
        "n_blocks": task["blocks"],
        "n_heads": task["heads"],
        "session_max_len": task["max_length"],
        "batch_size": task["batch_size"],
        "dropout_rate": task["dropout"],
        "lr": task["learning_rate"],
        "loss": "softmax",
        "epochs": epochs,
    }
    if task["model"] == "SASRec":
        SASRecModel(**shared).fit(data)
    else:
        BERT4RecModel(**shared, mask_prob=task["hidden_share"]).fit(data)


def main() -> None:
    torch.set_num_threads(1)
    data = dataset(sys.argv[1])
    for line in sys.stdin:
        task = json.loads(line)
        found = []
        for epochs in (task["few"], task["many"]):
            start, cpu_start = time.perf_counter(), time.process_time()
            fit(task, data, epochs)
            found.append((time.perf_counter() - start, time.process_time() - cpu_start))
        seconds, cpu = ((b - a) / (task["many"] - task["few"]) for a, b in zip(*found, strict=True))
        print(json.dumps({"seconds": seconds, "cpu_seconds": cpu}), flush=True)


if __name__ == "__main__":
    main()
