"""SASRec and BERT4Rec in Keras (chapter `transformers`)."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from recbook.keras.next_items import KerasSequenceModel, scores, scores_at
from recbook.training import Batch
from recbook.transformer_models import FAR_BELOW, NORM_EPSILON, BERT4RecModel, SASRecModel

Shapes = dict[str, tuple[int, ...]]


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


def gelu(x):
    return ops.gelu(x, approximate=False)


class SASRec(KerasSequenceModel, SASRecModel):
    """SASRec: attention that only looks back says what comes next (Kang and McAuley 2018).

    Each step of a history, of which the last max_length are read, becomes its item's vector and its place's; blocks
    of attention, equation (tr-heads), and two layers, (tr-feed), each with layer normalisation before and a sum
    after, (tr-pre), make a state of it, (tr-sasrec). A position sees what was before it and itself, (tr-causal).
    score_i = q_i · state, q_i being the same vector that is read. Made smaller, the mean over steps: the
    cross-entropy over all items, (tr-softmax), or, as published, binary cross-entropy against drawn items,
    (tr-binary). The paper's attention has no wo, and its dropout hides shares of attention, too.

    factors : the length d of vectors and states;  blocks : how many;  heads : of attention, a divisor of factors
    inner : the width between the two layers;  max_length : how many of the last steps are read
    loss : "softmax" or "binary";  negatives : for "binary", items a step that the person has no event with
    dropout : the share that is left out of each sum's new part, drawn anew for each batch
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of people
    reg : λ, of the squares of all kernels and vectors;  init_scale : standard deviation of the first vectors
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Ratings are ignored. Events go in order of time, those of one time in the order of the table. Who has no history
    gets what is popular.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 64,
        blocks: int = 2,
        heads: int = 1,
        inner: int = 64,
        max_length: int = 50,
        loss: str = "softmax",
        negatives: int = 1,
        dropout: float = 0.4,
        epochs: int = 25,
        learning_rate: float = 0.002,
        reg: float = 0.0,
        batch_size: int = 32,
        init_scale: float = 0.02,
        optimizer: str = "adam",
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.blocks = blocks
        self.heads = heads
        self.inner = inner
        self.max_length = max_length
        self.loss = loss
        self.negatives = negatives
        self.dropout = dropout
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.init_scale = init_scale
        self.optimizer = optimizer
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> SASRecNetwork:
        return SASRecNetwork(self._parameter_shapes(n_users, n_items), self.heads, self.dropout)

    def _penalty(self, network: SASRecNetwork):
        return penalty(network)

    def _hidden(self, network: SASRecNetwork, batch: dict):
        return network(batch["items"], batch["length"], batch.get("kept"))


class BERT4Rec(KerasSequenceModel, BERT4RecModel):
    """BERT4Rec: attention both ways guesses items that were hidden (Sun et al. 2019).

    A share of a history's items is hidden behind one vector, the mask's, and all positions see all, before and
    after, equation (tr-bert4rec); layer normalisation comes after each sum, (tr-post). Made smaller: the mean over
    hidden items of the cross-entropy over all items, (tr-cloze). To recommend, a mask is put after the newest item.
    An encoder that fills gaps: it makes no sequence. The paper's dropout hides shares of attention, too.

    factors : the length d of vectors and states;  blocks : how many;  heads : of attention, a divisor of factors
    inner : the width between the two layers;  max_length : how many of the last steps are read, the mask counted
    hidden_share : of a history's items, hidden in training;  last_only : share of people, drawn anew in each epoch,
        of whom the newest item alone is hidden, which is what prediction asks for
    dropout : the share that is left out of each sum's new part, drawn anew for each batch
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of people
    reg : λ, of the squares of all kernels and vectors;  init_scale : standard deviation of the first vectors
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Ratings are ignored. Events go in order of time, those of one time in the order of the table. Who has no history
    gets what is popular.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 64,
        blocks: int = 2,
        heads: int = 2,
        inner: int = 128,
        max_length: int = 50,
        hidden_share: float = 0.2,
        last_only: float = 0.1,
        dropout: float = 0.2,
        epochs: int = 30,
        learning_rate: float = 0.002,
        reg: float = 0.0,
        batch_size: int = 32,
        init_scale: float = 0.02,
        optimizer: str = "adam",
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.blocks = blocks
        self.heads = heads
        self.inner = inner
        self.max_length = max_length
        self.hidden_share = hidden_share
        self.last_only = last_only
        self.dropout = dropout
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.init_scale = init_scale
        self.optimizer = optimizer
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> BERT4RecNetwork:
        return BERT4RecNetwork(self._parameter_shapes(n_users, n_items), self.heads, self.dropout)

    def _penalty(self, network: BERT4RecNetwork):
        return penalty(network)

    def _hidden(self, network: BERT4RecNetwork, batch: dict):
        states = network(batch["items"], batch["length"], batch.get("kept"))
        if "hidden" in batch:  # in training the places that were hidden are all that is asked for
            states = ops.take_along_axis(states, batch["hidden"][..., None], axis=1)
        return network.guess(states)

    def _loss_of_steps(self, network: BERT4RecNetwork, states, batch: dict):
        found = scores_at(network, states, batch["wanted"][..., None])[..., 0]
        return ops.logsumexp(scores(network, states), axis=-1) - found

    def _states(self, steps: Batch) -> np.ndarray:
        return super()._states(self._with_mask(steps))
