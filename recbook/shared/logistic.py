"""Logistic regression: what both wings share, start, examples, odds ratios (chapter `logistic`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbook.interactions import Interactions
from recbook.recommender import Coded, choice, device, number, seed, whole
from recbook.shared._fields import FieldModel, fields, sigmoid
from recbook.shared._training import OPTIMIZERS, Batch, check_binary


class LogisticRegression(FieldModel):
    """Logistic regression: the probability of an event, P(y = 1) = σ(θ₀ + θᵀx), equation (lr-model).

    x are the features of a user, an item and the moment, and their crosses. Trained on the mean over observed
    pairs of softplus(z) − yz, plus reg ‖θ‖², θ₀ left out: equation (lr-objective). Targets are ratings of 0 and 1;
    `predict` gives probabilities.

    fields : names of the features, as in `recbook.fields`: "user", "item", "users.gender", "items.genres",
        "position" (a column of the interactions, which `predict` then needs as context), and crosses such as
        "users.gender*items.genres". Without a cross of user and item, everybody gets the same ranking
    epochs, learning_rate, optimizer : of the training;  batch_size : None takes all examples at once
    reg : λ, of the sum of all squared weights
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    task = "click"
    supports = frozenset({"context", "warm_items"})

    fields: tuple[str, ...] = fields(("user", "item"))
    epochs: int = whole(10, search=(3, 40, "log"))
    learning_rate: float = number(0.03, above=0, search=(0.003, 0.3, "log"))
    reg: float = number(1e-5, 0, search=(1e-7, 1e-3, "log"))
    batch_size: int | None = whole(2048, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        check_binary(type(self).__name__, x, "or choose a model whose task is 'rating' or 'ranking'")

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        # The objective is convex: where training starts does not matter to the optimum. Not from z = 0, where the
        # gradient of whoever likes one half is a rounding error, which Adam would blow up to a whole step.
        positive = (train.rated.sum() + 1) / (len(train.rated) + 2)
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
            self._same_every_epoch = {**self._rows(train), "target": train.rated.astype(np.float32)}
        return self._same_every_epoch

    def _logits(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        # In float64: pairs of the same features then have the same score when it is rounded, in any block.
        learnt = self._get_parameters()
        return learnt["bias"].astype(np.float64) + (learnt["weights"].astype(np.float64)[index] * value).sum(
            1
        )

    def _scores(self, index, value) -> np.ndarray:
        return sigmoid(self._logits(index, value)).astype(np.float32)

    def _validate(self, validation: Coded) -> tuple[str, float]:
        z = self._logits(*self._rows(validation).values())
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
        return {"bias": (), "weights": (self._n_features(),)}
