"""`evaluate`, and the report that it gives."""

from __future__ import annotations

import html
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recbook import metrics as measures
from recbook.errors import NotSupportedError
from recbook.evaluation._lists import Candidates, ListMeasures, targets_of
from recbook.evaluation._names import named, parse, rereadable
from recbook.evaluation._pairs import PairMeasures
from recbook.interactions import Dataset, Interactions, as_column, as_data, as_interactions, check_same_kind
from recbook.recommender import UNKNOWN, Recommender, check_choice, raise_unknown


@dataclass(frozen=True, eq=False, repr=False)
class Report(Mapping):
    """What `evaluate` found, as a mapping: `report["rmse"]`. And for whom, and how.

    per_user : table by user, one row a user of the test data, NaN where a user was left out: n_pairs; where pairs
        were measured n_measured (how many of them), and means over these, such as squared_error; the AUC within
        the user's pairs, as gauc; and a column a measure of lists
    protocol : all that the figures depend on, by name
    """

    figures: Mapping[str, float]
    per_user: pd.DataFrame
    protocol: Mapping[str, Any]

    def __getitem__(self, name: str) -> float:
        if name not in self.figures:
            raise KeyError(f"{name!r} was not measured; this report has {list(self.figures)}")
        return self.figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def __repr__(self) -> str:
        head = "Report: " + "  ".join(f"{name} {value:.4f}" for name, value in self.items())
        return "\n  ".join([head, *(f"{name}: {_text(value)}" for name, value in self.protocol.items())])

    def _repr_html_(self) -> str:
        names = "".join(f"<th>{html.escape(name)}</th>" for name in self)
        values = "".join(f"<td>{value:.4f}</td>" for value in self.values())
        protocol = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(_text(value))}</td></tr>"
            for name, value in self.protocol.items()
        )
        return (
            f"<table><thead><tr>{names}</tr></thead><tbody><tr>{values}</tr></tbody></table>"
            f"<details><summary>Protocol</summary><table><tbody>{protocol}</tbody></table></details>"
        )


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def evaluate(
    model: Recommender | Mapping[str, Recommender] | Sequence[Recommender],
    test: Interactions | Dataset,
    metrics: Sequence[str] = ("rmse", "ndcg@10"),
    *,
    candidates=None,
    histories=None,
    relevant: float | None = None,
    clip: str | tuple[float, float] | None = "train",
    unknown: str = "fallback",
    ties: str = "expected",
    context: pd.DataFrame | None = None,
    features: pd.DataFrame | None = None,
) -> Report | pd.DataFrame:
    """Measures a fitted model on test data that it has not seen.

    model : one, or several, in a list or by name: then a table comes back, one row a model, one column a metric
    metrics : see the module `metrics` for their formulas.
        Of ratings: "rmse", "mae", "mse", over all pairs of `test`.
        Of labels, over all pairs: "accuracy", "precision", "recall", "f1" (predicted: what reaches `relevant`, or ½
        where the model predicts clicks), "auc", "gauc" (users are the groups); of probabilities
        "log_loss", "calibration_error". Nothing is clipped for these: that would make ties.
        Of lists, mean over users: "precision@k", "recall@k", "recall_min@k" (denominator min(k, targets)), "f1@k",
        "accuracy@k", "hit_rate@k", "mrr@k", "map@k", "map_min@k", "ndcg@k", "novelty@k", "diversity@k";
        of all these lists together: "coverage@k", "gini@k".
    candidates : what a list is made from. None: all items that the model knows, less those that the user
        met in train (or in the history). A list of ids: these, less those met. A mapping from user to
        ids: exactly these.
    histories : people never seen, as in `predict`; the users of `test` are looked up among them
    relevant : the lowest rating that counts as relevant; None: every pair of `test` (for measures of labels:
        ratings are the labels, 0 and 1). A user without a relevant item is left out of the measures of
        lists, and counted: no list is made for them.
    clip : predictions are cut to the range of ratings in "train", to (low, high), or, with None, not at all
    unknown : what becomes of users and items of `test` that the model does not know.
        "fallback": the model's own prior predicts the rating; an unknown item that is relevant counts as
        missed; there is no list for an unknown user, who is left out and counted.
        "nan": such pairs are left out of everything. "raise": an UnknownIdError. "ignore": as "fallback", and items
        of `histories` that the model does not know are left out of these, which is an error else.
    ties : "expected" (the value expected over all orders of equal scores) or "first" (item order of train)
    context : one row a pair of `test`, for measures of pairs; a list has many pairs, and takes none
    features : for "diversity@k", a table of numbers by item id, such as genres

    Warns where of more than half the pairs neither the user nor the item is known.

    Novelty counts who met an item in train; what nobody met counts as met by one. The catalogue of coverage and
    Gini is all that is a candidate for somebody. A relevant item that is no candidate counts as missed:
    protocol["relevant_out_of_reach"] says how many.
    Users are scored in blocks: memory does not grow with users × items.

    Raises
    ------
    ValueError
        for an unknown or malformed metric or option, test data without what a metric needs or with ids of another
        kind than the model's (strings, integers), nothing left to measure, or a model that gives NaN.
    NotSupportedError
        for a measure of ratings or probabilities on a model whose scores are none, for lists with a context, or
        where the history was not saved.
    UnknownIdError, NotFittedError, TypeError
    """
    candidates = rereadable(candidates)
    if isinstance(model, Mapping | list | tuple):
        options = {
            "candidates": candidates, "histories": histories, "relevant": relevant, "clip": clip, "unknown": unknown,
            "ties": ties, "context": context, "features": features,
        }  # fmt: skip
        test = as_data(test)
        reports = {name: evaluate(one, test, metrics, **options) for name, one in named(model).items()}
        table = pd.DataFrame.from_dict(
            {name: dict(report) for name, report in reports.items()}, orient="index"
        )
        return table.rename_axis("model")
    if not isinstance(model, Recommender):
        raise TypeError(f"`model` is a {type(model).__name__}; give a fitted model of recbook")
    check_choice("unknown", unknown, UNKNOWN)
    check_choice("ties", ties, measures.TIES)
    of_pairs, of_lists = parse(metrics)
    if context is not None and of_lists:
        raise NotSupportedError(
            f"{next(iter(of_lists))}: `context` has a row for each pair of `test`, and a list is made of other pairs; "
            "evaluate measures of lists without it"
        )
    x = as_interactions(test)
    if not len(x):
        raise ValueError("`test` is empty; at least one interaction is needed")
    question = model.question(histories, unknown)
    check_same_kind(x.item_ids, model.item_ids_, "item")
    if histories is None:
        check_same_kind(x.user_ids, model.user_ids_, "user")
    users, items = question.people.codes(x.users), question.items.codes(x.items)
    known = (users >= 0) & (items >= 0)
    if unknown == "raise":
        raise_unknown(
            "user", x.users[users < 0], "leave them out of `test`, or pass unknown='fallback' or 'nan'"
        )
        raise_unknown(
            "item", x.items[items < 0], "leave them out of `test`, or pass unknown='fallback' or 'nan'"
        )
    per_user = pd.DataFrame(
        {"n_pairs": np.bincount(x.user_codes)}, index=pd.Index(as_column(x.user_ids), name="user")
    )
    protocol = {
        "model": repr(model),
        "n_pairs": len(x),
        "n_users": x.n_users,
        "unknown": unknown,
        "unknown_pairs": int((~known).sum()),
    }
    figures: dict[str, float] = {}
    if of_pairs:
        question.check_context(context, len(x), "pair")
        predictions = question.pairs(users, items, unknown, context)
        kept = known if unknown == "nan" else np.ones(len(x), bool)
        if context is not None:
            protocol["context"] = ", ".join(map(str, context.columns))
        pairs = PairMeasures(model, x, predictions.astype(np.float64), kept, per_user, protocol)
        figures |= pairs.measure(of_pairs, clip, relevant)
    if of_lists:
        targets = targets_of(x, relevant, items >= 0 if unknown == "nan" else np.ones(len(x), bool))
        chosen = Candidates(question, candidates, unknown)
        codes = question.people.codes(x.user_ids)
        lists = ListMeasures(model, x, of_lists, ties, features)
        figures |= lists.measure(codes, items, targets, chosen, per_user, protocol)
        protocol["relevant"] = "all" if relevant is None else f"rating >= {relevant}"
    # People alone, or items alone, may be new by intention; where both are, the ids are in doubt.
    strange = int(((users < 0) & (items < 0)).sum())
    if 2 * strange > len(x):
        warnings.warn(
            f"the model knows neither the user nor the item of {strange:,} of {len(x):,} pairs of `test`: the figures "
            "are mostly its prior's. Do ids mean the same in train and test?",
            UserWarning,
            stacklevel=2,
        )
    return Report({name: figures[name] for name in metrics}, per_user, protocol)
