"""Factorisation machines and LightFM: what both wings share (chapter `factorization_machines`).

Equations (fm-…) are those of the chapter. A pair's features fall into two sides: those of the user and of the moment
on the left, those of the item on the right.
"""

from __future__ import annotations

import numpy as np

from recbook.core import blocks
from recbook.core.ragged import blocks_by_length
from recbook.fields import Rows
from recbook.interactions import Interactions
from recbook.recommender import Coded, choice, device, number, seed, whole
from recbook.sampling import NegativeSampler
from recbook.shared._fields import FieldModel, fields, nobody, side_of, sigmoid
from recbook.shared._pairs import (
    LOSSES,
    PairExamples,
    TaskByLoss,
    check_pair_targets,
    fold_in,
    likes_against_all,
    mean_score,
    most_likely,
    same_draws,
)
from recbook.shared._training import OPTIMIZERS, Batch, small
from recbook.shared._vectors import Side, matrix_scores, pair_scores, with_average
from recbook.shared.implicit import wrong_pairs

HYBRID_LOSSES = ("logistic", "bpr", "warp")
FREE = 1e-3  # the ridge on a new person's own bias: nearly none


def n_met(train: Coded) -> int:
    """How many items were met in train: one that only the table knows stands behind them, and is no negative."""
    return int(train.items.max()) + 1


# ---------------------------------------------------------------- factorisation machines


class FactorizationMachine(FieldModel):
    """A factorisation machine: every two features have a weight, the dot product of their vectors (Rendle 2010).

    ŷ = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b, trained on the mean over examples of
    ℓ(y, ŷ) + reg Σ_{a: x_a ≠ 0} (w_a² + ‖v_a‖²): equations (fm-model) and (fm-objective). With the fields user and
    item alone it scores as `MatrixFactorization` does. A field that an item lacks in train says nothing
    of it; one that only the side table knows is scored from its other fields.

    fields : what x is made of, as `recbook.fields.Fields` takes it: "user", "item", "users.<column>",
        "items.<column>", a column of the interactions, or a product of two of these, "a*b"
    factors : length of v;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each feature that an example has
    loss : "squared" on ratings; "logistic" on clicks: then `task` is "click" and `predict` gives probabilities
    negatives : with "logistic", items drawn for each row among those the user did not meet, anew in each
        epoch; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of v
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    task = TaskByLoss("click")  # pyright: ignore[reportAssignmentType]  # read from a model it is text
    supports = frozenset({"histories", "warm_items", "context", "similar_items"})

    fields: tuple[str, ...] = fields(("user", "item"))
    factors: int = whole(32, search=(4, 64, "log"))
    epochs: int = whole(20, search=(5, 60, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.03, "log"))
    reg: float = number(0.1, 0, search=(0.01, 0.5, "log"))
    loss: str = choice("squared", LOSSES)
    negatives: int = whole(0, 0)
    batch_size: int | None = whole(1024, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        check_pair_targets(self, x, self.loss, self.negatives)

    # ---------------------------------------------------------------- training

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        n = self._fields.n_features
        return {
            "constant": np.asarray(mean_score(train, self.loss, self.negatives), np.float32),
            "weights": np.zeros(n, np.float32),
            "factors": small(rng, n, self.factors, self.init_scale),
        }

    def _targets(self, x: Coded, rng: np.random.Generator):
        """Users, items, targets, and the context of each: a negative has that of its positive."""
        train = self._train
        pairs = PairExamples.kept(self, train, self.loss, self.negatives, n_met(train))
        users, items, targets, rows = pairs.of(x, rng)
        return users, items, targets, {name: column[rows] for name, column in x.extra.items()}

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        users, items, targets, context = self._targets(train, rng)
        index, value = self._fields.coded_rows(users, items, context)
        return {"index": index, "value": value, "target": targets.astype(np.float32)}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        users, items, targets, context = self._targets(validation, same_draws(self))
        pairs = PairExamples.kept(self, self._train, self.loss, self.negatives, n_met(self._train))
        return pairs.measured(targets, self._raw(users, items, self._people(None), context))

    # ---------------------------------------------------------------- scores

    def _sums(self, index: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of n rows: wᵀx and the crosses among them, (n,); and Σ_a v_a x_a, (n, factors)."""
        cuts = self._blocks(len(index), self.factors + 2)
        parts = [self._compute("sums_of_rows", index[cut], value[cut]) for cut in cuts]
        return np.concatenate([own for own, _ in parts]), np.concatenate([total for _, total in parts])

    def _raw(self, users, items, people: Side | None, context) -> np.ndarray:
        """ŷ of n pairs; code -1 stands for what is unknown."""
        constant = self._get_parameters()["constant"]
        if people is None:
            own, _ = self._sums(*self._fields.coded_rows(users, items, context))
            return constant + own
        p, b = people
        own, total = self._sums(*self._fields.coded_rows(nobody(len(items)), items, context))
        # Code -1 picks the zeros put at the end: a person nobody knows.
        p, b = np.vstack([p, np.zeros_like(p[:1])])[users], np.append(b, np.float32(0))[users]
        return constant + own + b + (p * total).sum(1)

    def _linked(self, scores: np.ndarray) -> np.ndarray:
        return sigmoid(scores) if self.loss == "logistic" else scores

    def _predict(self, users, items, people, context) -> np.ndarray:
        self._fields.check_context(context, len(users))
        return self._linked(self._raw(users, items, people, context))

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        if any(side_of(field) is None for field in self.fields):
            return super()._score_matrix(users, items, people, context)
        self._fields.check_context(context, len(users))
        items = np.arange(len(self.item_ids_)) if items is None else items
        own, total = self._left(users, people, context)
        own_of_items, total_of_items = self._right(items)
        constant = self._get_parameters()["constant"]
        return self._linked(constant + own[:, None] + own_of_items + total @ total_of_items.T)

    def _left(self, users, people: Side | None, context) -> tuple[np.ndarray, np.ndarray]:
        """What people and their moment add to a score, and their vectors: (n,) and (n, factors)."""
        known = users if people is None else nobody(len(users))
        own, total = self._sums(*self._fields.coded_rows(known, nobody(len(users)), context))
        if people is None:
            return own, total
        p, b = people
        return own + b[users] + (p[users] * total).sum(1), total + p[users]

    def _right(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._sums(*self._fields.coded_rows(nobody(len(items)), items))

    def _people(self, histories: Coded | None) -> Side | None:
        """p and b of new people. Nothing of a person alone is learnt without the field "user": then all are alike."""
        if histories is None:
            return None
        if "user" not in self.fields:
            n = histories.n_users
            return np.zeros((n, self.factors), np.float32), np.zeros(n, np.float32)
        own, total = self._right(np.arange(len(self._item_index)))
        offset = own + self._get_parameters()["constant"].astype(np.float64)
        return fold_in(histories, total.astype(np.float64), offset, self.reg, self.loss, self.negatives)

    def _prior(self, users, items, people) -> np.ndarray:
        return self._linked(self._raw(users, items, people, None))

    def _item_vectors(self) -> np.ndarray:
        return self._right(np.arange(len(self._item_index)))[1]

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        n = self._n_features()
        return {"constant": (), "weights": (n,), "factors": (n, self.factors)}


# ---------------------------------------------------------------- LightFM


class LightFM(FieldModel):
    """A hybrid ranker: users and items are the sums of their features' vectors (Kula 2015).

    r̂_ui = p_u · q_i + b_u + b_i, equation (fm-lightfm), trained on the mean over rows of ℓ plus `reg` times the
    squares of the vectors and biases in use: equation (fm-lightfm-objective). An item that nobody met is ranked
    by its other features. Every row of the data is a positive, whatever its rating. Of the losses of the LightFM
    package, k-OS WARP is left out.

    fields : what users and items are made of: "user", "users.<column>", "item", "items.<column>"
    factors : length of a vector;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each feature in use. Each loss has its own scale: on MovieLens-100K about 0.03 suits "logistic",
        0.01 "bpr" and 0.4 "warp", whose weights are larger
    loss : "logistic" (met or not), "bpr" (met before not met), or "warp" (the first negative that comes too
        near, weighed by the place it gives the positive); equations (ls-bce), (ls-bpr), (ls-warp)
    negatives : with "logistic" and "bpr", items drawn for each positive among those the user did not meet
    max_sampled : with "warp", how many are drawn at most until one comes too near
    init_scale : standard deviation of the start of the vectors
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    task = "ranking"
    supports = frozenset({"histories", "warm_items", "similar_items"})

    fields: tuple[str, ...] = fields(("user", "item"))
    factors: int = whole(32, search=(8, 64, "log"))
    epochs: int = whole(20, search=(5, 60, "log"))
    learning_rate: float = number(0.02, above=0, search=(0.003, 0.06, "log"))
    reg: float = number(0.03, 0, search=(0.003, 0.5, "log"))
    loss: str = choice("logistic", HYBRID_LOSSES, search=list(HYBRID_LOSSES))
    negatives: int = whole(4)
    max_sampled: int = whole(10)
    batch_size: int | None = whole(4096, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        sides = {field: side_of(field) for field in self.fields}
        for field, side in sides.items():
            if strangers := [part for part in field.split("*") if not part.startswith(("user", "item"))]:
                raise ValueError(
                    f"`fields`: {strangers[0]!r} is no field of users or items, and LightFM knows no other; leave it "
                    "out, or take FactorizationMachine"
                )
            if side is None:
                raise ValueError(
                    f"`fields`: {field!r} crosses a user's field with an item's; LightFM crosses all of these itself"
                )
        for side, example in (("left", "user"), ("right", "item")):
            if side not in sides.values():
                raise ValueError(f"`fields` is {self.fields!r}, without one of {example}s; add {example!r}")

    # ---------------------------------------------------------------- training

    def _feature_rows(self) -> tuple[Rows, Rows]:
        """Index and value of all users' features, then of all items'; without columns that are always 0."""
        n_users, n_items = len(self._user_index), len(self._item_index)
        left = self._fields.coded_rows(np.arange(n_users), nobody(n_users))
        right = self._fields.coded_rows(nobody(n_items), np.arange(n_items))
        left, right = ((i[:, v.any(axis=0)], v[:, v.any(axis=0)]) for i, v in (left, right))
        return left, right

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._sampler = NegativeSampler(
            train.users, train.items, train.n_users, n_met(train), user_ids=self.user_ids_
        )
        super()._fit(train, validation, progress)

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        n = self._fields.n_features
        return {
            "embeddings": small(rng, n, self.factors, self.init_scale),
            "biases": np.zeros(n, np.float32),
        }

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        n = self.max_sampled if self.loss == "warp" else self.negatives
        drawn = self._sampler.draw(train.users, n, rng)
        examples = {"user": train.users, "item": train.items, "negative": drawn}
        return {name: codes.astype(np.int32) for name, codes in examples.items()}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        """The same for every loss."""
        return wrong_pairs(self, self._sampler, validation)

    # ---------------------------------------------------------------- scores

    def _user_side(self) -> Side:
        """p and b of everybody in train."""
        return self._compute("all_users")[:2]

    def _item_side(self) -> Side:
        """q and b of all items, those of the table alone too."""
        return self._compute("items")[:2]

    def _predict(self, users, items, people, context) -> np.ndarray:
        return pair_scores(people, self._item_side(), users, items)

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        return matrix_scores(people, self._item_side(), users, items)

    def _prior(self, users, items, people) -> np.ndarray:
        """Somebody unknown is the average person, an unknown item the average item."""
        people = with_average(people, self._user_side())
        return pair_scores(people, with_average(self._item_side()), users, items)

    def _item_vectors(self) -> np.ndarray:
        return self._item_side()[0]

    # ---------------------------------------------------------------- people it never saw

    def _people(self, histories: Coded | None) -> Side:
        """p and b; of new people, items as they are.

        They are the likeliest under the logistic loss (the items of a history against all others, which together
        weigh `negatives` times as much), where before the history a person's p is normal with the mean and the
        covariance of those in train. So somebody without a history is the average person.
        """
        p, b_u = self._user_side()
        if histories is None:
            return p, b_u
        q, b_i = self._item_side()
        mean = p.mean(0, dtype=np.float64)
        root = covariance_root(p.astype(np.float64) - mean)
        x = np.column_stack([q @ root, np.ones(len(q))])
        offset = q @ mean + b_i + b_u.mean()
        ridge = np.diag(np.append(np.ones(len(mean)), FREE))
        found = np.zeros((histories.n_users, x.shape[1]))
        everything = np.full(histories.n_users, len(q))
        for block in blocks_by_length(everything, max(1, blocks.CELLS // x.shape[1])):
            rows, real = histories.by_user.padded(block)
            met, weights = likes_against_all(histories, rows, real, len(q), self.negatives)
            everywhere = np.broadcast_to(x, (len(block), *x.shape))
            found[block] = most_likely(everywhere, met, offset, weights, ridge)
        vectors = mean + found[:, :-1] @ root.T
        return vectors.astype(np.float32), (b_u.mean() + found[:, -1]).astype(np.float32)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        n = self._n_features()
        return {"embeddings": (n, self.factors), "biases": (n,)}


def covariance_root(deviations: np.ndarray) -> np.ndarray:
    """A square R with R Rᵀ the covariance of n rows of deviations."""
    values, vectors = np.linalg.eigh(deviations.T @ deviations / len(deviations))
    return vectors * np.sqrt(np.maximum(values, 0))
