"""Measures of pairs: of ratings, labels and probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from recbook import metrics as measures
from recbook.errors import NotSupportedError
from recbook.evaluation._lists import check_relevant
from recbook.evaluation._names import LABEL, PROBABILITY, RATING
from recbook.interactions import Interactions
from recbook.recommender import Recommender


class PairMeasures:
    """Pairs of the test data, with what the model predicts for them."""

    def __init__(self, model, x: Interactions, predictions, kept, per_user: pd.DataFrame, protocol: dict):
        self.model, self.x, self.predictions, self.kept = model, x, predictions, kept
        self.per_user, self.protocol = per_user, protocol

    def measure(self, names: list[str], clip, relevant: float | None) -> dict[str, float]:
        self._check(names, relevant)
        limits = limits_of(self.model, clip)
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
        assert self.x.ratings is not None
        ratings, predictions = self.x.ratings[self.kept], self.predictions[self.kept]
        if limits is not None:
            predictions = predictions.clip(*limits)
        self.protocol["clip"] = limits
        self._by_user("squared_error", (ratings - predictions) ** 2)
        self._by_user("absolute_error", np.abs(ratings - predictions))
        return {name: RATING[name](ratings, predictions) for name in names}

    def _labels(self, names: list[str], relevant: float | None) -> dict[str, float]:
        assert self.x.ratings is not None
        ratings, predictions = self.x.ratings[self.kept], self.predictions[self.kept]
        if relevant is None:
            if not np.isin(ratings, (0, 1)).all():
                raise ValueError(
                    f"{names[0]}: ratings of `test` are more than 0 and 1; pass `relevant`, the lowest that counts"
                )
            labels = ratings == 1
        else:
            check_relevant(relevant, self.x)
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


def limits_of(model: Recommender, clip) -> tuple[float, float] | None:
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
