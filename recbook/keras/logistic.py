"""Logistic regression in Keras (chapter `logistic`)."""

from __future__ import annotations

import keras
from keras import ops

from recbook.keras._model import KerasModel
from recbook.shared import logistic as shared


class LogisticNetwork(keras.Model):
    """z = θ₀ + θᵀx, equation (lr-logit), x sparse: row i has value[i, j] at place index[i, j]."""

    def __init__(self, n_features: int):
        super().__init__()
        self.bias = self.add_weight(shape=(), name="bias", initializer="zeros")
        self.weight = self.add_weight(shape=(n_features,), name="weights", initializer="zeros")

    def call(self, index, value):
        return self.bias + ops.sum(ops.take(self.weight, index, axis=0) * value, axis=1)


class LogisticRegression(shared.LogisticRegression, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> LogisticNetwork:
        return LogisticNetwork(self._fields.n_features)

    def _objective(self, network: LogisticNetwork, batch: dict):
        z = network(batch["index"], batch["value"])
        loss = ops.mean(ops.binary_crossentropy(batch["target"], z, from_logits=True))
        return loss + self.reg * ops.sum(ops.square(network.weight))
