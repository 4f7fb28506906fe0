"""Hyper-parameters chosen on validation data that is cut from train, never on the test data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recbook.core.progress import bar
from recbook.errors import DivergedError
from recbook.evaluation import LOWER_IS_BETTER, evaluate, parse_metric
from recbook.interactions import Dataset, Interactions, as_interactions
from recbook.recommender import Recommender
from recbook.splits import random_split

DRAWS = 1000  # of one trial, in search of a setting that was not tried yet


@dataclass(frozen=True, eq=False)
class Search:
    """What `random_search` found.

    model : with the best hyper-parameters, fitted on all of train
    params : the best hyper-parameters;  figure : their figure on the validation data
    trials : table, one row a trial in the order tried: the hyper-parameters, the figure under the metric's name (NaN
        where it failed), seconds (fit and evaluation), error ("" or what went wrong)
    protocol : metric, n_trials, seed, space, and how the validation data were cut and measured
    """

    model: Recommender
    params: dict[str, Any]
    figure: float
    metric: str
    trials: pd.DataFrame
    protocol: dict[str, Any]

    def __repr__(self) -> str:
        failed = int((self.trials.error != "").sum())
        return (
            f"Search: {self.metric} {self.figure:.4f} with {self.params}, the best of {len(self.trials)} trials"
            f"{f', {failed} of which failed' if failed else ''}"
        )


def space(model: Recommender | type[Recommender]) -> dict[str, Sequence]:
    """Where a model's own hyper-parameters may have better values: what `random_search` draws from.

    model : a model, or its class. By hyper-parameter a list of values, (low, high), or (low, high, "log"); what only
    says how much to compute, or where, is left out.
    """
    return {name: one.search for name, one in model._arguments.items() if one.search is not None}


_SPACE = space  # `random_search` has an argument of that name


def random_search(
    model: Recommender,
    space: Mapping[str, Sequence] | None,
    train: Interactions | Dataset,
    metric: str = "ndcg@10",
    n_trials: int = 20,
    seed: int = 0,
    *,
    validation: float | Callable = 0.2,
    candidates=None,
    relevant: float | None = None,
    clip: str | tuple[float, float] | None = "train",
    unknown: str = "fallback",
    ties: str = "expected",
    progress: bool = True,
) -> Search:
    """Tries hyper-parameters drawn at random, and fits the best anew on all of `train` (Bergstra and Bengio 2012).

    There is no place for test data: validation data are cut from `train` once, every trial is fitted on
    the rest and measured on them. Measure the model that comes back on the test data, once.

    model : what is tried, as model.clone(**setting); its other hyper-parameters stay
    space : by hyper-parameter, a list of values, each equally likely; or a tuple (low, high), uniform; or
        (low, high, "log"), uniform on the logarithm. Two whole numbers give whole numbers, both ends included.
        None takes the model's own, `tuning.space(model)`.
    metric : a name that `evaluate` knows
    n_trials : no setting is tried twice, so a small space ends the search earlier
    seed : trial t draws from `np.random.default_rng([seed, t])`: more trials leave the first ones as they were
    validation : share of the rows, cut by `random_split` of this seed; or a function of train that gives
        (rest, validation), such as `leave_last_out`
    candidates, relevant, clip, unknown, ties : as in `evaluate`

    A trial that ends in DivergedError is recorded, and counts as worst; any other error is raised. Of equal figures
    the first trial wins.

    Raises
    ------
    ValueError
        for a bad space or metric, or validation data with rows that are not of train.
    DivergedError
        where every trial diverged.
    TypeError, NotSupportedError
    """
    if not isinstance(model, Recommender):
        raise TypeError(f"`model` is a {type(model).__name__}; give a model of recbook, fitted or not")
    measure, _ = parse_metric(metric)
    if isinstance(n_trials, bool) or not isinstance(n_trials, int | np.integer) or n_trials < 1:
        raise ValueError(f"`n_trials` is {n_trials!r}; give a whole number, at least 1")
    space = _SPACE(model) if space is None else space
    _check_space(model, space)
    rest, held_out, how = _cut(train, validation, seed)
    options = {
        "candidates": candidates, "relevant": relevant, "clip": clip, "unknown": unknown, "ties": ties
    }  # fmt: skip
    rows, tried = [], set()
    for trial in bar(range(n_trials), "random search", progress):
        setting = _draw(space, np.random.default_rng([seed, trial]), tried)
        if setting is None:
            break
        row = {**setting, metric: math.nan, "seconds": 0.0, "error": ""}
        start = time.perf_counter()
        try:
            one = model.clone(**setting).fit(rest, progress=False)
            row[metric] = evaluate(one, held_out, [metric], **options)[metric]
        except DivergedError as error:
            row["error"] = str(error)
        row["seconds"] = time.perf_counter() - start
        rows.append(row)
    trials = pd.DataFrame(rows, index=pd.RangeIndex(len(rows), name="trial"))
    figures = trials[metric] if measure not in LOWER_IS_BETTER else -trials[metric]
    if figures.isna().all():
        raise DivergedError(
            f"each of the {len(trials)} trials diverged, the first so: {trials.error[0]}; search lower learning rates"
        )
    best = int(figures.idxmax())
    params = {name: rows[best][name] for name in space}
    protocol = {
        "metric": metric,
        "n_trials": len(trials),
        "seed": seed,
        "space": {name: list(values) for name, values in space.items()},
        "validation": how,
        "n_rest": len(as_interactions(rest)),
        "n_validation": len(as_interactions(held_out)),
        **{name: value for name, value in options.items() if name != "candidates"},
    }
    fitted = model.clone(**params).fit(train, progress=False)
    return Search(fitted, params, float(rows[best][metric]), metric, trials, protocol)


def _cut(train, validation, seed: int) -> tuple[Any, Any, str]:
    if not callable(validation):
        if isinstance(validation, bool) or not isinstance(validation, float):
            raise TypeError(
                f"`validation` is a {type(validation).__name__}; give the share of train to hold out, such as 0.2, or "
                "a function that cuts train in two. Test data have no place in a search"
            )
        return *random_split(train, validation, seed), f"random_split, {validation} of train, seed {seed}"
    rest, held_out = validation(train)
    inside, parts = as_interactions(train), [as_interactions(part) for part in (rest, held_out)]
    pairs = pd.MultiIndex.from_arrays([inside.users, inside.items])
    for name, part in zip(("rest", "validation data"), parts, strict=True):
        if not len(part):
            raise ValueError(f"`validation` left the {name} empty; hold out less, or more")
        foreign = ~pd.MultiIndex.from_arrays([part.users, part.items]).isin(pairs)
        if foreign.any():
            raise ValueError(
                f"`validation` gave {int(foreign.sum())} rows as {name} that are not in train; it may only cut train"
            )
    if sum(map(len, parts)) > len(inside):
        raise ValueError(
            f"`validation` gave {sum(map(len, parts))} rows of {len(inside)} in train: some are on both sides"
        )
    return rest, held_out, getattr(validation, "__name__", repr(validation))


def _check_space(model: Recommender, space: Mapping[str, Sequence]) -> None:
    if not isinstance(space, Mapping) or not space:
        raise ValueError(
            f"`space` is {space!r}; give {{name: [value, …] or (low, high) or (low, high, 'log')}}"
        )
    names = model.get_params()
    for name, values in space.items():
        if name not in names:
            raise ValueError(
                f"`space`: {type(model).__name__} has no parameter `{name}`; it has {list(names)}"
            )
        if isinstance(values, list):
            if not values:
                raise ValueError(f"`space[{name!r}]` is empty; give at least one value")
            continue
        good = isinstance(values, tuple) and (len(values) == 2 or (len(values) == 3 and values[2] == "log"))
        good = good and all(
            isinstance(v, int | float | np.number) and not isinstance(v, bool) and math.isfinite(v)
            for v in values[:2]
        )
        if not good or not values[0] < values[1]:
            raise ValueError(
                f"`space[{name!r}]` is {values!r}; give a list of values, (low, high), or (low, high, 'log')"
            )
        if len(values) == 3 and values[0] <= 0:
            raise ValueError(f"`space[{name!r}]` is {values!r}; on a logarithm the lower end is above 0")


def _draw(space: Mapping[str, Sequence], rng: np.random.Generator, tried: set) -> dict[str, Any] | None:
    """A setting that was not tried yet; None where none is found."""
    for _ in range(DRAWS):
        # In the order of names: how a caller wrote the dict changes nothing.
        drawn = {name: _draw_one(space[name], rng) for name in sorted(space)}
        key = repr(drawn)
        if key not in tried:
            tried.add(key)
            return {name: drawn[name] for name in space}
    return None


def _draw_one(values: Sequence, rng: np.random.Generator):
    if isinstance(values, list):
        return values[rng.integers(len(values))]
    low, high = values[:2]
    whole = all(isinstance(v, int | np.integer) for v in (low, high))
    if len(values) == 3:
        # Half a step more at each end, so that the ends of whole numbers are not drawn too rarely.
        pad = 0.5 if whole else 0.0
        drawn = math.exp(rng.uniform(math.log(low - pad), math.log(high + pad)))
        return min(max(round(drawn), low), high) if whole else drawn
    return int(rng.integers(low, high + 1)) if whole else float(rng.uniform(low, high))
