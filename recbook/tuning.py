"""Hyper-parameters chosen on validation data that is cut from train, never on the test data."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recbook.core.progress import bar
from recbook.errors import DivergedError
from recbook.evaluation import LOWER_IS_BETTER, evaluate, parse_metric, rereadable
from recbook.interactions import Dataset, Interactions, as_data, as_interactions, plain
from recbook.recommender import Recommender
from recbook.splits import k_fold, random_split

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

    model : a model, or its class

    Returns by hyper-parameter a list of values, (low, high), or (low, high, "log"). What only says how much to compute,
    or where, is left out, and so is what has no better value.
    """
    if not (isinstance(model, Recommender) or isinstance(model, type) and issubclass(model, Recommender)):
        raise TypeError(f"`model` is {model!r}; give a model of recbook, or its class")
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
    validation: float | int | Callable | Sequence[tuple] = 0.2,
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
    validation : share of the rows, cut by `random_split` of this seed; or a number of folds, by `k_fold` of this seed,
        the figure being their mean; or a function of train that gives (rest, validation), such as `leave_last_out`; or
        a list of such pairs
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
    _check_model(model)
    if isinstance(n_trials, bool) or not isinstance(n_trials, int | np.integer) or n_trials < 1:
        raise ValueError(f"`n_trials` is {n_trials!r}; give a whole number, at least 1")
    if space is None and not (space := _SPACE(model)):
        raise ValueError(f"{type(model).__name__} has nothing to search for in its own space; give a `space`")
    _check_space(model, space)

    def settings() -> Iterator[dict[str, Any]]:
        tried: set[str] = set()
        for trial in range(n_trials):
            setting = _draw(space, np.random.default_rng([seed, trial]), tried)
            if setting is None:
                return
            yield setting

    options = {
        "candidates": candidates, "relevant": relevant, "clip": clip, "unknown": unknown, "ties": ties
    }  # fmt: skip
    return _search(
        model,
        space,
        settings(),
        n_trials,
        "random search",
        train,
        metric,
        seed,
        validation,
        options,
        progress,
    )


def grid_search(
    model: Recommender,
    space: Mapping[str, Sequence],
    train: Interactions | Dataset,
    metric: str = "ndcg@10",
    seed: int = 0,
    *,
    validation: float | int | Callable | Sequence[tuple] = 0.2,
    candidates=None,
    relevant: float | None = None,
    clip: str | tuple[float, float] | None = "train",
    unknown: str = "fallback",
    ties: str = "expected",
    progress: bool = True,
) -> Search:
    """Tries every combination of some values, and fits the best anew on all of `train`.

    space : by hyper-parameter, a list of values; the last one changes fastest
    seed : of the validation data
    All else is as in `random_search`. A best value at an end of its list says that the list is too short.
    """
    _check_model(model)
    _check_space(model, space)
    for name, values in space.items():
        if not isinstance(values, list):
            raise ValueError(f"`space[{name!r}]` is {values!r}; a grid is made of lists of values")
    combinations = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    options = {
        "candidates": candidates, "relevant": relevant, "clip": clip, "unknown": unknown, "ties": ties
    }  # fmt: skip
    n = len(combinations)
    return _search(
        model, space, combinations, n, "grid search", train, metric, seed, validation, options, progress
    )


def _search(
    model,
    space,
    settings: Iterable[dict],
    n: int,
    what: str,
    train,
    metric,
    seed,
    validation,
    options,
    progress,
) -> Search:
    measure, _ = parse_metric(metric)
    train = as_data(train)
    options["candidates"] = rereadable(options["candidates"])
    folds, how = _folds(train, validation, seed)
    rows = []
    with bar(range(n), what, progress) as shown:
        for setting in settings:
            row = {**setting, metric: math.nan, "seconds": 0.0, "error": ""}
            start = time.perf_counter()
            try:
                figures = [
                    evaluate(model.clone(**setting).fit(rest, progress=False), held_out, [metric], **options)[
                        metric
                    ]
                    for rest, held_out in folds
                ]
                row[metric] = float(np.mean(figures))
            except DivergedError as error:
                row["error"] = str(error)
            row["seconds"] = time.perf_counter() - start
            rows.append(row)
            shown.update()
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
        "n_rest": len(as_interactions(folds[0][0])),
        "n_validation": len(as_interactions(folds[0][1])),
        **{name: value for name, value in options.items() if name != "candidates"},
    }
    fitted = model.clone(**params).fit(train, progress=False)
    return Search(fitted, params, float(rows[best][metric]), metric, trials, protocol)


def _check_model(model) -> None:
    if not isinstance(model, Recommender):
        raise TypeError(f"`model` is a {type(model).__name__}; give a model of recbook, fitted or not")


def _folds(train, validation, seed: int) -> tuple[list, str]:
    """Pairs of rest and validation data, and how they were cut."""
    if isinstance(validation, int | np.integer) and not isinstance(validation, bool):
        return list(
            k_fold(train, n_splits=int(validation), seed=seed)
        ), f"k_fold, {validation} folds, seed {seed}"
    if isinstance(validation, float):
        return [random_split(train, validation, seed)], f"random_split, {validation} of train, seed {seed}"
    if callable(validation):
        pairs: list[Any] = [validation(train)]
        how = getattr(validation, "__name__", repr(validation))
    elif isinstance(validation, list | tuple) and validation and all(map(_is_pair, validation)):
        pairs, how = list(validation), f"{len(validation)} given pairs"
    else:
        raise TypeError(
            f"`validation` is a {type(validation).__name__}; give the share of train to hold out, such as 0.2, a "
            "number of folds, or a function that cuts train in two. Test data have no place in a search"
        )
    for pair in pairs:
        if not _is_pair(pair):
            raise TypeError(
                f"`validation` ({how}) gave {type(pair).__name__} of no two parts; give (rest, validation)"
            )
        _check_cut(train, *pair)
    return pairs, how


def _is_pair(one) -> bool:
    return isinstance(one, list | tuple) and len(one) == 2


def _check_cut(train, rest, held_out) -> None:
    """Raises ValueError where validation data are not cut from train."""
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
    counts = pairs.value_counts()
    given = pd.MultiIndex.from_arrays(
        [np.concatenate([getattr(part, side) for part in parts]) for side in ("users", "items")]
    ).value_counts()
    if (double := given > counts.reindex(given.index)).any():
        user, item = given.index[double.to_numpy()][0]
        raise ValueError(
            f"`validation` gave {int(double.sum())} pairs, such as user {plain(user)!r} and item {plain(item)!r}, more "
            "often than train has them: some are on both sides"
        )


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
