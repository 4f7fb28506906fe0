"""Factorisation machines and LightFM in Keras (chapter `factorization_machines`)."""

from __future__ import annotations

import keras
from keras import ops

from recbook.keras import losses
from recbook.keras._model import KerasModel
from recbook.shared import factorization_machines as shared


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

    def sums_of_rows(self, index, value):
        return self.sums(*self.rows(index), value)

    def call(self, index, value):
        return self.constant + self.sums_of_rows(index, value)[0]


class FactorizationMachine(shared.FactorizationMachine, KerasModel):
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

    def all_users(self):
        return self.sums(self.user_index, self.user_value)

    def items(self):
        """The same of all items at once: a batch asks for more items than there are, with repeats."""
        return self.sums(self.item_index, self.item_value)

    def sums(self, index, value):
        e, b = ops.take(self.embeddings, index, axis=0), ops.take(self.biases, index, axis=0)
        active = ops.cast(value != 0, "float32")
        squares = active * (ops.sum(ops.square(e), axis=2) + ops.square(b))
        return ops.sum(e * value[..., None], axis=1), ops.sum(b * value, axis=1), ops.sum(squares, axis=1)


class LightFM(shared.LightFM, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> HybridNetwork:
        return HybridNetwork(*self._feature_rows(), self._fields.n_features, self.factors)

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
