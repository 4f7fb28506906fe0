"""Networks on the embeddings of user and item: what both wings share (chapters `embeddings` and `ncf`).

A network makes a score of vectors of a user and an item.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from recbook.core.blocks import blocks
from recbook.interactions import Interactions
from recbook.recommender import Coded, choice, device, number, seed, whole, widths
from recbook.shared._pairs import (
    LOSSES,
    PairExamples,
    TaskByLoss,
    check_pair_targets,
    mean_score,
    same_draws,
)
from recbook.shared._training import OPTIMIZERS, Batch, GradientModel

Shapes = dict[str, tuple[int, ...]]
Tables = list[np.ndarray]  # vectors (n, d) of users, or of items, one table for each of a network's kinds


class PairNetworkModel(GradientModel):
    """Users and items as vectors that a network makes a score of.

    The network gives `score(users, items)` of n pairs of vectors, and `score_all(users, items)` of every user with
    every item; each of the two is a list of tables.
    """

    # Arguments that each model declares for itself; without ClassVar they would be declared here.
    factors: ClassVar[int]
    negatives: ClassVar[int]
    init_scale: ClassVar[float]

    supports = frozenset({"similar_items"})
    # The tables of vectors, "user_…" and "item_…", in the order in which a network takes them.
    _kinds: ClassVar[tuple[str, ...]] = ("embedding",)

    def _pairs_of(self, train: Coded) -> PairExamples:
        """The examples that the model learns from."""
        return PairExamples.kept(self, train, "logistic", self.negatives)

    def _width(self) -> int:
        """Numbers of the widest layer."""
        return self.factors

    # ---------------------------------------------------------------- training

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        check_pair_targets(self, x, "logistic", self.negatives)

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        shapes = self._parameter_shapes(train.n_users, train.n_items)
        start = {name: self._first_values(name, shape, rng) for name, shape in shapes.items()}
        pairs = self._pairs_of(train)
        start["bias"] = np.asarray(mean_score(train, pairs.loss, pairs.negatives))
        return {name: values.astype(np.float32) for name, values in start.items()}

    def _first_values(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Vectors small; kernels such that a layer keeps the size of what it is given (He et al. 2015)."""
        if name.startswith(("user_", "item_")):
            return rng.normal(0.0, self.init_scale, shape)
        if name.startswith("kernel_"):
            return rng.normal(0.0, math.sqrt(2 / shape[0]), shape)
        if name == "mlp_head":
            return rng.normal(0.0, math.sqrt(1 / shape[0]), shape)
        return np.ones(shape) if name == "gmf_head" else np.zeros(shape)

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        users, items, targets, _ = self._pairs_of(train).of(train, rng)
        return {
            "user": users.astype(np.int32),
            "item": items.astype(np.int32),
            "target": targets.astype(np.float32),
        }

    def _validate(self, validation: Coded) -> tuple[str, float]:
        pairs = self._pairs_of(self._train)
        users, items, targets, _ = pairs.of(validation, same_draws(self))
        return pairs.measured(targets, self._predict(users, items, self._people(None), None))

    # ---------------------------------------------------------------- scores

    def _tables(self, side: str) -> Tables:
        learnt = self._get_parameters()
        return [learnt[f"{side}_{kind}"] for kind in self._kinds]

    def _people(self, histories: Coded | None) -> Tables:
        return self._tables("user")

    def _predict(self, users, items, people, context) -> np.ndarray:
        things, found = self._tables("item"), [np.zeros(0, np.float32)]
        for block in blocks(len(users), self._width()):
            p, q = ([t[codes[block]] for t in tables] for tables, codes in ((people, users), (things, items)))
            found.append(self._compute("score", p, q))
        return np.concatenate(found)

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        q = [table if items is None else table[items] for table in self._tables("item")]
        found = [np.zeros((0, len(q[0])), np.float32)]
        for block in blocks(len(users), len(q[0]) * self._width()):
            found.append(self._compute("score_all", [table[users[block]] for table in people], q))
        return np.concatenate(found)

    def _prior(self, users, items, people) -> np.ndarray:
        """Who or what is unknown has the mean of all vectors."""

        def rows(tables: Tables, codes: np.ndarray) -> Tables:
            # Code -1 picks the row that is put at the end.
            return [np.vstack([table, table.mean(axis=0, keepdims=True)])[codes] for table in tables]

        return self._compute("score", rows(people, users), rows(self._tables("item"), items))

    def _item_vectors(self) -> np.ndarray:
        return np.concatenate(self._tables("item"), axis=1)


class EmbeddingMLP(PairNetworkModel):
    """A deep model on the embeddings of user and item: Dense layers with ReLU on both vectors side by side.

    ŷ_ui = b + wᵀx_L with x_0 = [p_u; q_i] and x_l = relu(W_lᵀ x_(l-1) + b_l), equation (em-mlp). Trained on the mean
    over examples of ℓ(y_ui, ŷ_ui) + reg (‖p_u‖² + ‖q_i‖²), plus reg_layers (Σ_l ‖W_l‖² + ‖w‖²): equation
    (em-objective). The vectors are learnt together with the layers. Without the second penalty the layers would
    grow while the vectors shrink, and nothing would be held.
    Without a hidden layer, `layers=()`, the score is a part of the user plus a part of the item, and all users
    rank alike: equation (em-additive).

    factors : length of p and q;  layers : widths of the hidden layers
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ of the vectors, of each example;  reg_layers : λ of the layers' weights, once
    loss : "squared" on ratings, or "logistic" on who met what: then the score is a logit
    negatives : with "logistic", items drawn for each positive among those the user did not meet, anew in each
        epoch, a pair that stands twice being two positives; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of p and q
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    task = TaskByLoss("ranking")  # pyright: ignore[reportAssignmentType]  # read from a model it is text

    factors: int = whole(32, search=(8, 64, "log"))
    layers: tuple[int, ...] = widths((64, 32), search=[(), (32,), (64, 32), (128, 64, 32)])
    epochs: int = whole(12, search=(3, 40, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.02, 0, search=(0.001, 0.2, "log"))
    reg_layers: float = number(0.003, 0, search=(1e-5, 0.03, "log"))
    loss: str = choice("squared", LOSSES)
    negatives: int = whole(4, 0)
    batch_size: int | None = whole(1024, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _pairs_of(self, train: Coded) -> PairExamples:
        return PairExamples.kept(self, train, self.loss, self.negatives)

    def _check_targets(self, x: Interactions) -> None:
        GradientModel._check_targets(self, x)
        check_pair_targets(self, x, self.loss, self.negatives)

    def _width(self) -> int:
        return max(2 * self.factors, *self.layers, 1)

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        return mlp_shapes(n_users, n_items, self.factors, self.layers) | {"bias": ()}


def mlp_shapes(n_users: int, n_items: int, factors: int, layers: tuple[int, ...]) -> Shapes:
    shapes = {"user_embedding": (n_users, factors), "item_embedding": (n_items, factors)}
    width = 2 * factors
    for n, size in enumerate(layers, start=1):
        shapes |= {f"kernel_{n}": (width, size), f"bias_{n}": (size,)}
        width = size
    return shapes | {"mlp_head": (width,)}
