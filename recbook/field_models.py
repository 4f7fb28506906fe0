"""What the models that read fields share in both wings: examples, scores in blocks, files.

A wing adds the network that turns the rows of `recbook.fields` into a score.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbook.fields import Fields, parse_spec
from recbook.interactions import Interactions
from recbook.recommender import Coded
from recbook.training import Batch, GradientModel, check_binary

CELLS_PER_BLOCK = 8_000_000


class FieldModel(GradientModel):
    """Reads pairs as sparse rows of features, as its hyper-parameter `fields` says."""

    _fields: Fields

    # ---------------------------------------------------------------- hook: what a wing writes

    def _scores(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        """What `predict` gives for rows of features, (n,).  index, value : (n, width)"""
        raise NotImplementedError

    # ---------------------------------------------------------------- what all share

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        parse_spec(self.fields)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._fields = Fields.fit(self.fields, self._dataset)
        super()._fit(train, validation, progress)

    def _rows(self, x: Coded) -> Batch:
        index, value = self._fields.coded_rows(x.users, x.items, x.extra)
        return {"index": index, "value": value}

    def _predict(self, users, items, histories, context) -> np.ndarray:
        self._fields.check_context(context, len(users))
        step = max(1, CELLS_PER_BLOCK // self._fields.width)
        parts = []
        for start in range(0, len(users), step):
            block = slice(start, start + step)
            here = context if context is None else context.iloc[block]
            parts.append(self._scores(*self._fields.coded_rows(users[block], items[block], here)))
        return np.concatenate(parts)

    def _prior(self, users, items, histories):
        # Code -1 has no features, and neither has a moment that nobody told.
        return self._scores(*self._fields.coded_rows(users, items))

    def _prior_now(self, users, items, histories, context) -> np.ndarray:
        if context is None:
            return self._prior(users, items, histories)
        return self._predict(users, items, histories, context)

    # ---------------------------------------------------------------- files

    def _feature_names(self) -> set[str]:
        return Fields.array_names(self.fields)

    def _get_features(self) -> dict[str, np.ndarray]:
        return self._fields.to_arrays()

    def _set_features(self, features: dict[str, np.ndarray]) -> None:
        fields = Fields.from_arrays(self.fields, features)
        for side, known in (("user", self.user_ids_), ("item", self.item_ids_)):
            theirs = getattr(fields, f"{side}_ids")
            if not np.array_equal(theirs[: len(known)], known):
                raise ValueError(f"`features/{side}_ids` are not the {side}s of the model")
        self._fields = fields


class LogisticModel(FieldModel):
    """The framework-free half of LogisticRegression: P(y = 1) = σ(θ₀ + θᵀx), equation (lr-model)."""

    task = "click"
    supports = frozenset({"context", "warm_items"})

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        check_binary(type(self).__name__, x, "or choose a model whose task is 'rating' or 'ranking'")

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        # The objective is convex: where training starts does not matter to the optimum. Not from z = 0, where the
        # gradient of whoever likes one half is a rounding error, which Adam would blow up to a whole step.
        positive = (train.ratings.sum() + 1) / (len(train.ratings) + 2)
        return {
            "bias": np.asarray(np.log(positive / (1 - positive)), np.float32),
            "weights": np.zeros(self._fields.n_features, np.float32),
        }

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        try:
            super()._fit(train, validation, progress)
        finally:
            self.__dict__.pop("_same_every_epoch", None)

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        if "_same_every_epoch" not in self.__dict__:
            self._same_every_epoch = {**self._rows(train), "target": train.ratings.astype(np.float32)}
        return self._same_every_epoch

    def _validate(self, validation: Coded) -> tuple[str, float]:
        learnt = self._get_parameters()
        index, value = self._rows(validation).values()
        z = learnt["bias"] + (learnt["weights"].astype(np.float64)[index] * value).sum(1)
        return "validation_loss", float((np.logaddexp(0, z) - validation.ratings * z).mean())

    def odds_ratios(self) -> pd.DataFrame:
        """Each feature's weight θ_j and odds ratio e^θ_j, the largest first.

        Columns: feature (such as "items.genres=War"), field, weight, odds_ratio: the odds are multiplied by it
        where the feature's value grows by 1, all others as they are.
        """
        self._check_fitted()
        weights = self._get_parameters()["weights"].astype(np.float64)
        table = pd.DataFrame({"feature": self._fields.labels, "field": self._fields.field_names})
        table["weight"], table["odds_ratio"] = weights, np.exp(weights)
        return table.sort_values("weight", ascending=False, kind="stable", ignore_index=True)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        # Asked for the names alone, before the file's features are read, there are no sizes yet.
        n_features = self._fields.n_features if hasattr(self, "_fields") else 0
        return {"bias": (), "weights": (n_features,)}
