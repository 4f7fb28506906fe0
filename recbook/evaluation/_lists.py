"""Measures of lists: what each user is offered, and what of it was relevant."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from recbook import metrics as measures
from recbook.core.blocks import blocks
from recbook.core.ragged import Ragged
from recbook.errors import NotSupportedError
from recbook.evaluation._names import CATALOGUE, CONTENT, RANKING
from recbook.interactions import Interactions, as_ids, plain
from recbook.recommender import Question, Recommender, raise_unknown


def targets_of(x: Interactions, relevant: float | None, usable: np.ndarray) -> tuple[np.ndarray, Ragged]:
    """Rows of `x` that count as relevant, each pair once, and which of them belong to each user of `x`."""
    good = usable
    if relevant is not None:
        check_relevant(relevant, x)
        assert x.ratings is not None
        good = usable & (x.ratings >= relevant)
    rows = np.flatnonzero(good)
    _, first = np.unique(x.user_codes[rows] * x.n_items + x.item_codes[rows], return_index=True)
    rows = rows[np.sort(first)]
    return rows, Ragged.group(x.user_codes[rows], x.n_users)


def check_relevant(relevant: float, x: Interactions) -> None:
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


class Candidates:
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


class ListMeasures:
    """The lists of all users, block by block, and what is measured on them."""

    def __init__(self, model, x: Interactions, wanted: dict[str, tuple[str, int]], ties: str, features):
        self.model, self.x, self.wanted, self.ties = model, x, wanted, ties
        self.n_items = len(model.item_ids_)
        asked = {measure for measure, _ in wanted.values()}
        self.longest = max((k for measure, k in wanted.values() if measure in RANKING), default=None)
        self.shares = model.question().shares() if "novelty" in asked else None
        self.features = features_of(model, features) if "diversity" in asked else None
        # Of each item: is it a candidate for somebody; its chance to be in nobody's list; how many lists have it.
        self.offered = np.zeros(self.n_items, bool)
        lengths = {k for measure, k in wanted.values() if measure in CATALOGUE}
        self.missed = {k: np.ones(self.n_items) for k in lengths}
        self.exposure = {k: np.zeros(self.n_items) for k in lengths}

    def measure(self, codes, items, targets, candidates: Candidates, per_user, protocol) -> dict[str, float]:
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
                assert self.shares is not None
                value = measures.novelty_at_k(scores[enough], k, self.shares[columns], ties=self.ties)
            else:
                assert self.features is not None
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


def features_of(model: Recommender, features: pd.DataFrame | None) -> np.ndarray:
    if features is None or not isinstance(features, pd.DataFrame):
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
