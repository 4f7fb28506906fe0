"""Factorisation machines and LightFM in Keras (chapter `factorization_machines`)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from recbook.keras import losses
from recbook.keras.training import KerasGradientModel
from recbook.machines import HybridModel, MachineModel


class MachineNetwork(keras.Model):
    """ŷ = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b, the crosses by equation (fm-identity)."""

    def __init__(self, n_features: int, factors: int):
        super().__init__()
        self.constant = self.add_weight(shape=(), name="constant", initializer="zeros")
        self.weight_vector = self.add_weight(shape=(n_features,), name="weights", initializer="zeros")
        self.factors = self.add_weight(shape=(n_features, factors), name="factors", initializer="zeros")

    def rows(self, index):
        """w and v of the features in `index`: (n, width) and (n, width, factors)."""
        return ops.take(self.weight_vector, index, axis=0), ops.take(self.factors, index, axis=0)

    def sums(self, w, v, value):
        """Of each row of features: wᵀx and the crosses among them, (n,); and Σ_a v_a x_a, (n, factors)."""
        v = v * value[..., None]
        total = ops.sum(v, axis=1)
        crosses = ops.sum(ops.square(total) - ops.sum(ops.square(v), axis=1), axis=1) / 2
        return ops.sum(w * value, axis=1) + crosses, total

    def call(self, index, value):
        return self.constant + self.sums(*self.rows(index), value)[0]


class FactorizationMachine(KerasGradientModel, MachineModel):
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

    supports = frozenset({"histories", "warm_items", "context", "similar_items"})

    def __init__(
        self,
        fields: tuple[str, ...] = ("user", "item"),
        factors: int = 32,
        epochs: int = 20,
        learning_rate: float = 0.005,
        reg: float = 0.1,
        loss: str = "squared",
        negatives: int = 0,
        batch_size: int = 1024,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.fields = fields
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.loss = loss
        self.negatives = negatives
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> MachineNetwork:
        return MachineNetwork(self._fields.n_features, self.factors)

    def _objective(self, network: MachineNetwork, batch: dict):
        w, v = network.rows(batch["index"])
        score = network.constant + network.sums(w, v, batch["value"])[0]
        if self.loss == "squared":
            loss = ops.square(batch["target"] - score)
        else:
            loss = ops.binary_crossentropy(batch["target"], score, from_logits=True)
        active = ops.cast(batch["value"] != 0, "float32")
        penalty = active * (ops.square(w) + ops.sum(ops.square(v), axis=2))
        return ops.mean(loss + self.reg * ops.sum(penalty, axis=1))

    # ---------------------------------------------------------------- scores

    def _scores(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        with keras.device(self.device_):
            return self._to_numpy(self._network(self._to_tensor(index), self._to_tensor(value)))

    def _sums(self, index: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with keras.device(self.device_):
            rows = self._network.rows(self._to_tensor(index))
            own, total = self._network.sums(*rows, self._to_tensor(value))
            return self._to_numpy(own), self._to_numpy(total)


class HybridNetwork(keras.Model):
    """r̂_ui = p_u · q_i + b_u + b_i, equation (fm-lightfm): each of the four is a sum over features."""

    def __init__(self, user_rows, item_rows, n_features: int, factors: int):
        super().__init__()
        self.user_index, self.user_value = map(ops.convert_to_tensor, user_rows)
        self.item_index, self.item_value = map(ops.convert_to_tensor, item_rows)
        self.embeddings = self.add_weight(shape=(n_features, factors), name="embeddings", initializer="zeros")
        self.biases = self.add_weight(shape=(n_features,), name="biases", initializer="zeros")

    def users(self, users):
        """p_u, b_u, and the squares of the vectors and biases that they are made of."""
        return self.sums(ops.take(self.user_index, users, axis=0), ops.take(self.user_value, users, axis=0))

    def items(self):
        """The same of all items at once: a batch asks for more items than there are, with repeats."""
        return self.sums(self.item_index, self.item_value)

    def sums(self, index, value):
        e, b = ops.take(self.embeddings, index, axis=0), ops.take(self.biases, index, axis=0)
        active = ops.cast(value != 0, "float32")
        squares = active * (ops.sum(ops.square(e), axis=2) + ops.square(b))
        return ops.sum(e * value[..., None], axis=1), ops.sum(b * value, axis=1), ops.sum(squares, axis=1)


class LightFM(KerasGradientModel, HybridModel):
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

    def __init__(
        self,
        fields: tuple[str, ...] = ("user", "item"),
        factors: int = 32,
        epochs: int = 20,
        learning_rate: float = 0.02,
        reg: float = 0.03,
        loss: str = "logistic",
        negatives: int = 4,
        max_sampled: int = 10,
        batch_size: int = 4096,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.fields = fields
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.loss = loss
        self.negatives = negatives
        self.max_sampled = max_sampled
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> HybridNetwork:
        return HybridNetwork(*self._sides(), self._fields.n_features, self.factors)

    def _objective(self, network: HybridNetwork, batch: dict):
        p, b_u, user_squares = network.users(batch["user"])
        q, b_i, squares = network.items()
        table = ops.concatenate([q, b_i[:, None], squares[:, None]], axis=1)
        met, drawn = ops.take(table, batch["item"], axis=0), ops.take(table, batch["negative"], axis=0)
        positive = ops.sum(p * met[:, :-2], axis=1) + met[:, -2]
        negative = ops.sum(drawn[..., :-2] * p[:, None, :], axis=2) + drawn[..., -2]
        penalty = user_squares + met[:, -1] + ops.mean(drawn[..., -1], axis=1)
        return ops.mean(self._loss(positive, negative, b_u) + self.reg * penalty)

    def _loss(self, positive, negative, b_u):
        # Between two items of one user b_u cancels; left in, its rounding errors would be all that Adam sees.
        if self.loss == "warp":
            return losses.warp(positive, negative, self._sampler.n_items, reduction="none")
        if self.loss == "bpr":
            repeated = ops.broadcast_to(positive[:, None], ops.shape(negative))
            return ops.mean(losses.bpr(repeated, negative, reduction="none"), axis=1)
        met, drawn = ops.log_sigmoid(positive + b_u), ops.log_sigmoid(-negative - b_u[:, None])
        return -met - ops.sum(drawn, axis=1)

    # ---------------------------------------------------------------- scores

    def _user_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        with keras.device(self.device_):
            p, b, _ = self._network.users(ops.arange(len(self._user_index)))
            return self._to_numpy(p), self._to_numpy(b)

    def _item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        with keras.device(self.device_):
            q, b, _ = self._network.items()
            return self._to_numpy(q), self._to_numpy(b)
