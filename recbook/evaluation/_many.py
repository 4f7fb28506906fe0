"""Several models, and several folds, measured alike: a table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, cast

import pandas as pd

from recbook.core.progress import bar
from recbook.evaluation._evaluate import evaluate
from recbook.evaluation._names import named, rereadable
from recbook.interactions import Dataset, Interactions
from recbook.recommender import Recommender
from recbook.splits import k_fold


def cross_validate(
    model: Recommender | Mapping[str, Recommender] | Sequence[Recommender],
    data: Interactions | Dataset | None,
    splits: int | Iterable[tuple] = 5,
    metrics: Sequence[str] = ("rmse",),
    *,
    seed: int = 0,
    progress: bool = True,
    **protocol,
) -> pd.DataFrame:
    """Fits a model, or each of several, on each fold's train, and measures it on its test.

    model : fitted or not; a clone is fitted each time, and the model itself stays as it is
    splits : how many folds `splits.k_fold` makes of `data` with this `seed`; or pairs of train and test, such as a
        list of (train, test), in which case `data` may be None
    metrics : names that `evaluate` knows
    protocol : `candidates`, `relevant`, `clip`, `unknown`, `ties`, as in `evaluate`

    Returns a table: one row a fold, then "mean" and "sd" (of the folds, with n - 1), a column for each metric, and
    seconds (fit and evaluation). Of several models the rows have two levels, model and fold. Folds share most of their
    train, so that sd says how much a fold matters, not how sure a difference is: `comparison.compare` says that.

    Raises what `fit` and `evaluate` raise; ValueError where there is no fold.
    """
    if isinstance(splits, Integral) and not isinstance(splits, bool):
        splits = k_fold(cast(Any, data), n_splits=int(splits), seed=seed)
    if not isinstance(splits, Iterable):
        raise TypeError(f"`splits` is {splits!r}; give a number of folds, or pairs: [(train, test), …]")
    folds = list(splits)
    protocol["candidates"] = rereadable(protocol.get("candidates"))
    if not folds:
        raise ValueError("`splits` has no fold; give at least one pair of train and test")
    for fold in folds:
        if not isinstance(fold, tuple | list) or len(fold) != 2:
            raise ValueError("`splits` is to be a number of folds, or pairs: [(train, test), …]")
    single = isinstance(model, Recommender)
    if not single and not isinstance(model, Mapping | list | tuple):
        raise TypeError(f"`model` is {model!r}; give a model of recbook, or several")
    models = {"": model} if single else named(model)
    rows = {}
    with bar(range(len(models) * len(folds)), "cross-validation", progress) as shown:
        for name, one in models.items():
            table = []
            for train, test in folds:
                start = time.perf_counter()
                report = evaluate(one.clone().fit(train, progress=False), test, list(metrics), **protocol)
                table.append(dict(report) | {"seconds": time.perf_counter() - start})
                shown.update()
            found = pd.DataFrame(table, index=pd.RangeIndex(len(table), name="fold"))
            rows[name] = pd.concat([found, pd.DataFrame({"mean": found.mean(), "sd": found.std()}).T])
            rows[name].index.name = "fold"
    return rows[""] if single else pd.concat(rows, names=["model", "fold"])
