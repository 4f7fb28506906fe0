"""SASRec and BERT4Rec in Keras (chapter `transformers`)."""

from __future__ import annotations

import math

import keras
from keras import ops

from recbook.keras._histories import loss_of_steps, over_real_steps, scores, scores_at
from recbook.keras._model import KerasModel
from recbook.shared import transformers as shared
from recbook.shared.transformers import FAR_BELOW, NORM_EPSILON, Shapes


def attention(Q, K, V, allowed):
    """softmax(Q Kᵀ / √d) V, equation (tr-attention), over the last two axes; allowed : bool, which may be looked at."""
    logits = Q @ ops.swapaxes(K, -1, -2) / math.sqrt(Q.shape[-1])
    if logits.shape[-1] == 1:  # a single step has all the weight; Keras would warn of its softmax
        return ops.ones_like(logits) @ V
    return ops.softmax(ops.where(allowed, logits, FAR_BELOW), axis=-1) @ V


def penalty(network: keras.Model):
    """The squares of all kernels and vectors; not of gains and biases, which have a row a block."""
    kept = ("_gain", "_bias")
    return sum(ops.sum(ops.square(v)) for v in network.trainable_weights if not v.name.endswith(kept))


class TransformerNetwork(keras.Model):
    """Vectors of items and places, and blocks of attention and two layers; one slice of an array for each block."""

    def __init__(self, shapes: Shapes, heads: int, dropout: float):
        super().__init__()
        self.heads, self.left, self.blocks = heads, 1 - dropout, shapes["wq"][0]
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, name=name, initializer="zeros"))

    def placed(self, vectors, length):
        """The vectors, each with that of its place added; places are counted from the newest item."""
        most = self.places.shape[0]
        place = most - length[:, None] + ops.arange(ops.shape(vectors)[1], dtype="int32")
        return vectors + ops.take(self.places, ops.minimum(place, most - 1), axis=0)

    def dropped(self, x, kept, part: int):
        """What dropout leaves of a part, for the share it leaves; kept=None leaves all."""
        return x if kept is None else x * ops.cast(kept[:, part], x.dtype) / self.left

    def norm(self, x, name: str, n: int | None = None):
        """Layer normalisation, equation (tr-norm), with the gain and the bias of this name (and block)."""
        gain, bias = getattr(self, f"{name}_gain"), getattr(self, f"{name}_bias")
        if n is not None:
            gain, bias = gain[n], bias[n]
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        return gain * centred / ops.sqrt(variance + NORM_EPSILON) + bias

    def attend(self, x, n: int, allowed):
        """Attention in heads, equation (tr-heads), by block n."""
        width, d = ops.shape(x)[1], x.shape[2]
        parts = -1, width, self.heads, d // self.heads
        Q, K, V = (
            ops.transpose(ops.reshape(x @ w[n], parts), (0, 2, 1, 3)) for w in (self.wq, self.wk, self.wv)
        )
        mixed = ops.transpose(attention(Q, K, V, allowed[:, None]), (0, 2, 1, 3))
        return ops.reshape(mixed, (-1, width, d)) @ self.wo[n]

    def states(self, batch: dict):
        """At all steps, (people, width, factors)."""
        return self(batch["items"], batch["length"], batch.get("kept"))

    def feed(self, x, n: int, activation):
        """The two layers of block n, equation (tr-feed)."""
        return activation(x @ self.inner[n] + self.inner_bias[n]) @ self.outer[n] + self.outer_bias[n]


class SASRecNetwork(TransformerNetwork):
    """States that only look back, equation (tr-sasrec); norm before each part, equation (tr-pre)."""

    def call(self, items, length, kept=None):
        n_items, d = self.item_factors.shape
        # What fills up stands on the right: a position that only looks back never sees it.
        step = ops.arange(ops.shape(items)[1])
        allowed = (step[:, None] >= step)[None]
        vectors = ops.take(self.item_factors, ops.minimum(items, n_items - 1), axis=0)
        x = self.dropped(self.placed(vectors * math.sqrt(d), length), kept, 0)
        for n in range(self.blocks):
            x = x + self.dropped(self.attend(self.norm(x, "attention", n), n, allowed), kept, 2 * n + 1)
            x = x + self.dropped(self.feed(self.norm(x, "feed", n), n, ops.relu), kept, 2 * n + 2)
        return self.norm(x, "last")


class BERT4RecNetwork(TransformerNetwork):
    """States that look both ways, equation (tr-bert4rec); norm after each part, equation (tr-post)."""

    def call(self, items, length, kept=None):
        mask = ops.convert_to_tensor(self.mask)[None]
        table = ops.concatenate([self.item_factors, ops.zeros_like(mask), mask], axis=0)
        allowed = (items != self.item_factors.shape[0])[:, None]
        x = self.norm(self.placed(ops.take(table, items, axis=0), length), "first")
        x = self.dropped(x, kept, 0)
        for n in range(self.blocks):
            x = self.norm(x + self.dropped(self.attend(x, n, allowed), kept, 2 * n + 1), "attention", n)
            x = self.norm(x + self.dropped(self.feed(x, n, gelu), kept, 2 * n + 2), "feed", n)
        return x

    def guess(self, states):
        """What is multiplied with the vectors of items, equation (tr-cloze-head)."""
        return gelu(states @ self.head + self.head_bias)

    def states(self, batch: dict):
        """Of all steps, or, in training, of the places that were hidden: they are all that is asked for."""
        states = super().states(batch)
        if "hidden" in batch:
            states = ops.take_along_axis(states, batch["hidden"][..., None], axis=1)
        return self.guess(states)


def gelu(x):
    return ops.gelu(x, approximate=False)


class SASRec(shared.SASRec, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> SASRecNetwork:
        return SASRecNetwork(self._parameter_shapes(n_users, n_items), self.heads, self.dropout)

    def _objective(self, network: SASRecNetwork, batch: dict):
        loss = loss_of_steps(network, network.states(batch), batch, self.loss)
        mean = over_real_steps(loss, batch)
        return mean + self.reg * penalty(network) if self.reg else mean


class BERT4Rec(shared.BERT4Rec, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> BERT4RecNetwork:
        return BERT4RecNetwork(self._parameter_shapes(n_users, n_items), self.heads, self.dropout)

    def _objective(self, network: BERT4RecNetwork, batch: dict):
        states = network.states(batch)
        found = scores_at(network, states, batch["wanted"][..., None])[..., 0]
        loss = ops.logsumexp(scores(network, states), axis=-1) - found
        mean = over_real_steps(loss, batch)
        return mean + self.reg * penalty(network) if self.reg else mean
