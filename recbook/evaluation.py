"""How good is a model on data it has not seen? `evaluate` measures it, and says under which protocol."""

from __future__ import annotations

import html
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from recbook import metrics as measures
from recbook.core.blocks import blocks
from recbook.core.ragged import Ragged
from recbook.errors import NotSupportedError
from recbook.interactions import Dataset, Interactions, as_ids, as_interactions, plain
from recbook.recommender import UNKNOWN, Question, Recommender, check_choice, raise_unknown

# Of pairs: ratings, labels (with what the model predicts cut in two), labels and scores, labels and probabilities.
RATING: dict[str, Callable[..., float]] = {"rmse": measures.rmse, "mae": measures.mae, "mse": measures.mse}
LABEL: dict[str, Callable[..., float]] = {
    "accuracy": measures.accuracy,
    "precision": measures.precision,
    "recall": measures.recall,
    "f1": measures.f1,
}
ORDER = ("auc", "gauc")
PROBABILITY: dict[str, Callable[..., float]] = {
    "log_loss": measures.log_loss,
    "calibration_error": measures.calibration_error,
}
PAIRS = (*RATING, *LABEL, *ORDER, *PROBABILITY)
# Of lists: by what is relevant, a value a user; by what is in the list, a value a user; of all lists together.
RANKING: dict[str, Callable[[measures.Places], np.ndarray]] = {
    "precision": measures._precision,
    "recall": measures._recall,
    "recall_min": partial(measures._recall, denominator="min"),
    "f1": measures._f1,
    "accuracy": measures._accuracy,
    "hit_rate": measures._hit_rate,
    "mrr": measures._reciprocal_rank,
    "map": measures._average_precision,
    "map_min": partial(measures._average_precision, denominator="min"),
    "ndcg": measures._ndcg,
}
CONTENT = ("novelty", "diversity")
CATALOGUE = ("coverage", "gini")
LISTS = (*RANKING, *CONTENT, *CATALOGUE)
LOWER_IS_BETTER = frozenset({*RATING, *PROBABILITY, "gini"})


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
    model: Recommender,
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
) -> Report:
    """Measures a fitted model on test data that it has not seen.

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
        "nan": such pairs are left out of everything. "raise": an UnknownIdError.
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
        for an unknown or malformed metric or option, test data without what a metric needs, nothing left to
        measure, or a model that gives NaN.
    NotSupportedError
        for a measure of ratings or probabilities on a model whose scores are none, for lists with a context, or
        where the history was not saved.
    UnknownIdError, NotFittedError, TypeError
    """
    if not isinstance(model, Recommender):
        raise TypeError(f"`model` is a {type(model).__name__}; give a fitted model of recbook")
    check_choice("unknown", unknown, UNKNOWN)
    check_choice("ties", ties, measures.TIES)
    of_pairs, of_lists = _parse(metrics)
    if context is not None and of_lists:
        raise NotSupportedError(
            f"{next(iter(of_lists))}: `context` has a row for each pair of `test`, and a list is made of other pairs; "
            "evaluate measures of lists without it"
        )
    x = as_interactions(test)
    if not len(x):
        raise ValueError("`test` is empty; at least one interaction is needed")
    question = model.question(histories)
    users, items = question.people.codes(x.users), question.items.codes(x.items)
    known = (users >= 0) & (items >= 0)
    if unknown == "raise":
        raise_unknown(
            "user", x.users[users < 0], "leave them out of `test`, or pass unknown='fallback' or 'nan'"
        )
        raise_unknown(
            "item", x.items[items < 0], "leave them out of `test`, or pass unknown='fallback' or 'nan'"
        )
    per_user = pd.DataFrame({"n_pairs": np.bincount(x.user_codes)}, index=pd.Index(x.user_ids, name="user"))
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
        pairs = _Pairs(model, x, predictions.astype(np.float64), kept, per_user, protocol)
        figures |= pairs.measure(of_pairs, clip, relevant)
    if of_lists:
        targets = _targets(x, relevant, items >= 0 if unknown == "nan" else np.ones(len(x), bool))
        chosen = _Candidates(question, candidates, unknown)
        codes = question.people.codes(x.user_ids)
        lists = _Lists(model, x, of_lists, ties, features)
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


def parse_metric(name: str) -> tuple[str, int | None]:
    """The measure that a name stands for, and the length of its lists: "ndcg@10" → ("ndcg", 10).

    The length is None for measures of pairs: "rmse". Raises ValueError for a name that is none.
    """
    measure, at, k = str(name).partition("@")
    if measure in PAIRS and not at:
        return measure, None
    if measure in LISTS and k.isascii() and k.isdigit() and int(k) >= 1:
        return measure, int(k)
    if measure in LISTS:
        raise ValueError(f"metric {name!r}: behind the @ stands the length of the list, as in '{measure}@10'")
    if measure in PAIRS:
        raise ValueError(f"metric {name!r}: {measure} has no list and so no length; write '{measure}'")
    lists = ", ".join(f"{one}@k" for one in LISTS)
    raise ValueError(
        f"unknown metric {name!r}; choose from {', '.join(PAIRS)}, {lists}, k a number such as 10"
    )


def _parse(names: Sequence[str]) -> tuple[list[str], dict[str, tuple[str, int]]]:
    """Measures of pairs by name; measures of lists: name → (measure, k)."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"`metrics` is {names!r}; give a list of names, such as ['rmse', 'ndcg@10']")
    if not names:
        raise ValueError("`metrics` is empty; give a list of names, such as ['rmse', 'ndcg@10']")
    parsed = {name: parse_metric(name) for name in names}
    of_pairs = [name for name, (_, k) in parsed.items() if k is None]
    return of_pairs, {name: (measure, k) for name, (measure, k) in parsed.items() if k is not None}


# ---------------------------------------------------------------- pairs


class _Pairs:
    """Pairs of the test data, with what the model predicts for them."""

    def __init__(self, model, x: Interactions, predictions, kept, per_user: pd.DataFrame, protocol: dict):
        self.model, self.x, self.predictions, self.kept = model, x, predictions, kept
        self.per_user, self.protocol = per_user, protocol

    def measure(self, names: list[str], clip, relevant: float | None) -> dict[str, float]:
        self._check(names, relevant)
        limits = _limits(self.model, clip)
        if not self.kept.any():
            raise ValueError("no pair of `test` is known to the model; nothing is left to measure")
        self.per_user["n_measured"] = np.bincount(self.x.user_codes, self.kept).astype(np.int64)
        self.protocol["pairs_left_out"] = int((~self.kept).sum())
        figures = {}
        if of_ratings := [name for name in names if name in RATING]:
            figures |= self._ratings(of_ratings, limits)
        if of_labels := [name for name in names if name not in RATING]:
            figures |= self._labels(of_labels, relevant)
        return figures

    def _check(self, names: list[str], relevant: float | None) -> None:
        task, who = self.model.task, type(self.model).__name__
        for name in names:
            if name in RATING and task != "rating":
                raise NotSupportedError(
                    f"{name}: the scores of a {who} are for {task}, not ratings; measure "
                    "its lists ('ndcg@10'), or evaluate a model whose task is 'rating', such as BiasOnly"
                )
            if name in PROBABILITY and task != "click":
                raise NotSupportedError(
                    f"{name}: the scores of a {who} are for {task}, not probabilities; measure their order "
                    "('auc', 'gauc'), or evaluate a model whose task is 'click'"
                )
            if name in LABEL and task not in ("rating", "click"):
                raise NotSupportedError(
                    f"{name}: the scores of a {who} are for {task}, and say of no pair that it is relevant; "
                    f"measure its lists ('{name}@10'), or their order ('auc')"
                )
            if name in LABEL and task == "rating" and relevant is None:
                raise ValueError(
                    f"{name}: pass `relevant`, the lowest rating that counts, such as 4; for lists, write '{name}@10'"
                )
        if self.x.ratings is None:
            raise ValueError(
                f"{names[0]}: `test` has no ratings; name their column in Interactions.from_frame(df, rating=...)"
            )

    def _ratings(self, names: list[str], limits) -> dict[str, float]:
        ratings, predictions = self.x.ratings[self.kept], self.predictions[self.kept]
        if limits is not None:
            predictions = predictions.clip(*limits)
        self.protocol["clip"] = limits
        self._by_user("squared_error", (ratings - predictions) ** 2)
        self._by_user("absolute_error", np.abs(ratings - predictions))
        return {name: RATING[name](ratings, predictions) for name in names}

    def _labels(self, names: list[str], relevant: float | None) -> dict[str, float]:
        ratings, predictions = self.x.ratings[self.kept], self.predictions[self.kept]
        if relevant is None:
            if not np.isin(ratings, (0, 1)).all():
                raise ValueError(
                    f"{names[0]}: ratings of `test` are more than 0 and 1; pass `relevant`, the lowest that counts"
                )
            labels = ratings == 1
        else:
            _check_relevant(relevant, self.x)
            labels = ratings >= relevant
        self.protocol["labels"] = "rating = 1" if relevant is None else f"rating >= {relevant}"
        figures = {}
        for name in names:
            if name in LABEL:
                threshold = 0.5 if self.model.task == "click" else relevant
                figures[name] = LABEL[name](labels, predictions, threshold)
                if name == "accuracy":
                    self._by_user(name, (predictions >= threshold) == labels)
            elif name == "auc":
                figures[name] = measures.auc(labels, predictions)
            elif name == "gauc":
                users = self.x.user_codes[self.kept]
                figures[name], _, self.protocol["users_of_one_class"] = measures.gauc(
                    labels, predictions, users
                )
                by_user = measures.auc_by_group(labels, predictions, users)
                self.per_user[name] = np.append(by_user, np.full(self.x.n_users - len(by_user), np.nan))
            else:
                figures[name] = PROBABILITY[name](labels, predictions)
                if name == "log_loss":
                    self._by_user(name, measures.log_losses(labels, predictions))
        return figures

    def _by_user(self, name: str, values: np.ndarray) -> None:
        sums = np.bincount(self.x.user_codes[self.kept], values, self.x.n_users)
        with np.errstate(invalid="ignore"):  # 0 / 0, NaN, where all of a user's pairs are left out
            self.per_user[name] = sums / self.per_user["n_measured"].to_numpy()


def _limits(model: Recommender, clip) -> tuple[float, float] | None:
    if clip is None:
        return None
    if isinstance(clip, str) and clip == "train":
        return model.rating_range_
    if not isinstance(clip, Sequence) or isinstance(clip, str) or len(clip) != 2:
        raise ValueError(f"`clip` is {clip!r}; give 'train', None, or (low, high)")
    low, high = map(float, clip)
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"`clip` is {clip!r}; the first is the lower limit, the second the upper: (1, 5)")
    return low, high


# ---------------------------------------------------------------- lists


def _targets(x: Interactions, relevant: float | None, usable: np.ndarray) -> tuple[np.ndarray, Ragged]:
    """Rows of `x` that count as relevant, each pair once, and which of them belong to each user of `x`."""
    good = usable
    if relevant is not None:
        _check_relevant(relevant, x)
        good = usable & (x.ratings >= relevant)
    rows = np.flatnonzero(good)
    _, first = np.unique(x.user_codes[rows] * x.n_items + x.item_codes[rows], return_index=True)
    rows = rows[np.sort(first)]
    return rows, Ragged.group(x.user_codes[rows], x.n_users)


def _check_relevant(relevant: float, x: Interactions) -> None:
    if (
        isinstance(relevant, bool)
        or not isinstance(relevant, int | float | np.number)
        or math.isnan(relevant)
    ):
        raise ValueError(
            f"`relevant` is {relevant!r}; give the lowest rating that counts, such as 4, or None"
        )
    if x.ratings is None:
        raise ValueError(
            f"`relevant={relevant!r}` is a rating, but `test` has no ratings; pass relevant=None"
        )


class _Candidates:
    """Which items may be in whose list, and their scores."""

    def __init__(self, question: Question, candidates, unknown: str):
        self.question, self.unknown = question, unknown
        self.n_unknown = 0
        self.by_user = candidates if isinstance(candidates, Mapping) else None
        if self.by_user is not None:
            self.text = "a list for each user"
            return
        met = "met in train" if question.histories is None else "in the history"
        if candidates is None:
            self.columns = np.arange(len(question.items))
            self.text = f"all items of the model, less those {met}"
        else:
            self.columns = np.unique(self._codes(candidates))
            self.text = f"{len(self.columns):,} items given, less those {met}"
        if not question.knows_met:
            raise NotSupportedError(
                "this model was saved without its history, so what a user met in train cannot be left out; "
                "pass `candidates` as a mapping from user to ids"
            )

    def _codes(self, candidates) -> np.ndarray:
        ids = as_ids(candidates, "candidates")
        codes = self.question.items.codes(ids)
        if self.unknown == "raise":
            raise_unknown("item", ids[codes < 0], "leave it out of `candidates`")
        self.n_unknown += int((codes < 0).sum())
        return codes[codes >= 0]

    def scores(self, users: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Item codes of the columns, (m,), and scores, (len(users), m), -inf for what is no candidate.

        users : ids;  codes : the same users in codes
        """
        if self.by_user is None:
            scores = self._ask(users, codes, self.columns)
            self.question.hide_met(scores, codes, self.columns)
            return self.columns, scores
        lists = []
        for user in users.tolist():
            if user not in self.by_user:
                raise ValueError(
                    f"`candidates` has no list for user {user!r}; give one for every user of `test`"
                )
            lists.append(self._codes(self.by_user[user]))
        columns, column = np.unique(np.concatenate(lists), return_inverse=True)
        allowed = np.zeros((len(users), len(columns)), bool)
        allowed[np.repeat(np.arange(len(users)), [len(one) for one in lists]), column] = True
        return columns, np.where(allowed, self._ask(users, codes, columns), -np.inf)

    def _ask(self, users: np.ndarray, codes: np.ndarray, columns: np.ndarray) -> np.ndarray:
        if not len(columns):
            return np.zeros((len(users), 0), np.float32)
        scores = self.question.scores(codes, columns)
        if (bad := np.isnan(scores)).any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(
                f"{self.question.model!r} gave NaN for user {plain(users[row])!r} and item "
                f"{plain(self.question.items.ids[columns[column]])!r}; "
                "such a score has no place in a list"
            )
        return scores


class _Lists:
    """The lists of all users, block by block, and what is measured on them."""

    def __init__(self, model, x: Interactions, wanted: dict[str, tuple[str, int]], ties: str, features):
        self.model, self.x, self.wanted, self.ties = model, x, wanted, ties
        self.n_items = len(model.item_ids_)
        asked = {measure for measure, _ in wanted.values()}
        self.longest = max((k for measure, k in wanted.values() if measure in RANKING), default=None)
        self.shares = model.question().shares() if "novelty" in asked else None
        self.features = _features(model, features) if "diversity" in asked else None
        # Of each item: is it a candidate for somebody; its chance to be in nobody's list; how many lists have it.
        self.offered = np.zeros(self.n_items, bool)
        lengths = {k for measure, k in wanted.values() if measure in CATALOGUE}
        self.missed = {k: np.ones(self.n_items) for k in lengths}
        self.exposure = {k: np.zeros(self.n_items) for k in lengths}

    def measure(self, codes, items, targets, candidates: _Candidates, per_user, protocol) -> dict[str, float]:
        """codes : (x.n_users,) of the users of x, -1 unknown;  items : (len(x),) codes, -1 unknown"""
        rows, by_user = targets
        has_target = by_user.lengths > 0
        ranked = np.flatnonzero((codes >= 0) & has_target)
        left_out = {
            "users_unknown": int((codes < 0).sum()),
            "users_without_relevant": int(((codes >= 0) & ~has_target).sum()),
        }
        if not len(ranked):
            raise ValueError(
                f"no user of `test` is left to make a list for: {left_out['users_unknown']} unknown to the "
                f"model, {left_out['users_without_relevant']} without a relevant item"
            )
        values = {
            name: np.full(self.x.n_users, np.nan)
            for name, (measure, _) in self.wanted.items()
            if measure not in CATALOGUE
        }
        out_of_reach = 0
        for cut in blocks(len(ranked), self.n_items):
            block = ranked[cut]
            columns, scores = candidates.scores(self.x.user_ids[block], codes[block])
            cells, real = by_user.padded(block)
            row, cell = np.nonzero(real)
            relevant, scores = self._targets(row, items[rows[cells[row, cell]]], columns, scores)
            out_of_reach += int((relevant & (scores == -np.inf)).sum())
            for name, value in self._of_block(columns, scores, relevant).items():
                values[name][block] = value
        figures = {}
        for name, (measure, k) in self.wanted.items():
            if measure in CATALOGUE:
                figures[name] = self._of_catalogue(name, measure, k)
                continue
            per_user[name] = values[name]
            made = values[name][ranked]
            made = made[~np.isnan(made)]  # only where a list is too short for the measure
            if measure in CONTENT:
                protocol[f"users_without_{measure}"] = len(ranked) - len(made)
            if not len(made):
                raise ValueError(f"{name}: nobody's list is long enough; offer more `candidates`")
            figures[name] = float(made.mean())
        protocol |= {
            "candidates": candidates.text,
            "candidates_unknown": candidates.n_unknown,
            "ties": self.ties,
            "ranked_users": len(ranked),
            **left_out,
            "relevant_pairs": int(by_user.lengths[ranked].sum()),
            "relevant_out_of_reach": out_of_reach,
        }
        if self.missed:
            protocol["catalogue"] = int(self.offered.sum())
        return figures

    def _targets(self, row, item, columns, scores) -> tuple[np.ndarray, np.ndarray]:
        """What is relevant, (len(scores), m), and the scores, with columns added for targets that have none.

        row, item : the targets, as rows of `scores` and item codes
        """
        # The last entry is for code -1, an item that the model does not know.
        position = np.full(self.n_items + 1, -1)
        position[columns] = np.arange(len(columns))
        column = position[item]
        there = column >= 0
        relevant = np.zeros(scores.shape, bool)
        relevant[row[there], column[there]] = True
        # Targets without a column get one of their own, at -inf: they count, and are never reached.
        without = np.bincount(row[~there], minlength=len(scores))
        spare = np.arange(without.max()) < without[:, None]
        return (
            np.hstack([relevant, spare]),
            np.hstack([scores, np.full(spare.shape, -np.inf, scores.dtype)]),
        )

    def _of_block(self, columns, scores, relevant) -> dict[str, np.ndarray]:
        """Values of the users of a block; what is measured over all lists is added up."""
        found = {}
        if self.longest is not None:
            places = measures.Places.of(scores, relevant, self.longest, ties=self.ties)
            for name, (measure, k) in self.wanted.items():
                if measure in RANKING:
                    found[name] = RANKING[measure](places.cut(k))
        scores = scores[:, : len(columns)]
        self.offered[columns[(scores > -np.inf).any(0)]] = True
        length = (scores > -np.inf).sum(1)
        for k in self.missed if len(columns) else ():
            chance = measures.inclusion_at_k(scores, k, ties=self.ties)
            self.missed[k][columns] *= np.prod(1 - chance, axis=0)
            self.exposure[k][columns] += chance.sum(0)
        for name, (measure, k) in self.wanted.items():
            if measure not in CONTENT:
                continue
            enough = length >= (1 if measure == "novelty" else 2)
            found[name] = np.full(len(scores), np.nan)
            if not enough.any():
                continue
            if measure == "novelty":
                value = measures.novelty_at_k(scores[enough], k, self.shares[columns], ties=self.ties)
            else:
                features = self.features[columns]
                value = measures.diversity_at_k(scores[enough], k, features=features, ties=self.ties)
            found[name][enough] = value
        return found

    def _of_catalogue(self, name: str, measure: str, k: int) -> float:
        if not self.offered.any():
            raise ValueError(f"{name}: there is no candidate for anybody; give `candidates`")
        if measure == "coverage":
            return float(1 - self.missed[k][self.offered].mean())
        return measures.gini(self.exposure[k][self.offered])


def _features(model: Recommender, features: pd.DataFrame | None) -> np.ndarray:
    if not isinstance(features, pd.DataFrame):
        raise TypeError(
            f"diversity: `features` is a {type(features).__name__}; give a table of numbers by item id, such as "
            "ml.items.genres.str.get_dummies()"
        )
    if absent := [item for item in model.item_ids_.tolist() if item not in features.index]:
        raise ValueError(
            f"diversity: `features` has no row for item {absent[0]!r} ({len(absent)} are missing)"
        )
    if not features.index.is_unique:
        raise ValueError("diversity: `features` has an item twice; keep one row an item")
    table = features.loc[model.item_ids_]
    if text := [name for name in table if table[name].dtype.kind not in "biuf"]:
        raise ValueError(
            f"diversity: column {text[0]!r} of `features` is not of numbers; see str.get_dummies"
        )
    return table.to_numpy(np.float64)
