"""SASRec and BERT4Rec in PyTorch (chapter `transformers`)."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.torch.next_items import TorchSequenceModel, scores
from recbook.training import Batch
from recbook.transformer_models import FAR_BELOW, NORM_EPSILON, BERT4RecModel, SASRecModel

Shapes = dict[str, tuple[int, ...]]


def attention(Q: Tensor, K: Tensor, V: Tensor, allowed: Tensor) -> Tensor:
    """softmax(Q Kᵀ / √d) V, equation (tr-attention), over the last two axes; allowed : bool, which may be looked at."""
    logits = Q @ K.transpose(-1, -2) / math.sqrt(Q.shape[-1])
    return torch.where(allowed, logits, FAR_BELOW).softmax(-1) @ V


def penalty(network: nn.Module) -> Tensor:
    """The squares of all kernels and vectors; not of gains and biases, which have a row a block."""
    kept = ("_gain", "_bias")
    return sum(v.square().sum() for name, v in network.named_parameters() if not name.endswith(kept))


class TransformerNetwork(nn.Module):
    """Vectors of items and places, and blocks of attention and two layers; one slice of an array for each block."""

    def __init__(self, shapes: Shapes, heads: int, dropout: float):
        super().__init__()
        self.heads, self.left = heads, 1 - dropout
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def placed(self, vectors: Tensor, length: Tensor) -> Tensor:
        """The vectors, each with that of its place added; places are counted from the newest item."""
        most = len(self.places)
        place = most - length[:, None].long() + torch.arange(vectors.shape[1], device=vectors.device)
        return vectors + self.places[place.clamp(max=most - 1)]

    def dropped(self, x: Tensor, kept: Tensor | None, part: int) -> Tensor:
        """What dropout leaves of a part, for the share it leaves; kept=None leaves all."""
        return x if kept is None else x * kept[:, part] / self.left

    def norm(self, x: Tensor, name: str, n: int | None = None) -> Tensor:
        """Layer normalisation, equation (tr-norm), with the gain and the bias of this name (and block)."""
        gain, bias = getattr(self, f"{name}_gain"), getattr(self, f"{name}_bias")
        if n is not None:
            gain, bias = gain[n], bias[n]
        return F.layer_norm(x, x.shape[-1:], gain, bias, NORM_EPSILON)

    def attend(self, x: Tensor, n: int, allowed: Tensor) -> Tensor:
        """Attention in heads, equation (tr-heads), by block n."""
        people, width, d = x.shape
        parts = people, width, self.heads, d // self.heads
        Q, K, V = ((x @ w[n]).view(parts).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        mixed = attention(Q, K, V, allowed[:, None]).transpose(1, 2)
        return mixed.reshape(people, width, d) @ self.wo[n]

    def feed(self, x: Tensor, n: int, activation) -> Tensor:
        """The two layers of block n, equation (tr-feed)."""
        return activation(x @ self.inner[n] + self.inner_bias[n]) @ self.outer[n] + self.outer_bias[n]


class SASRecNetwork(TransformerNetwork):
    """States that only look back, equation (tr-sasrec); norm before each part, equation (tr-pre)."""

    def forward(self, items: Tensor, length: Tensor, kept: Tensor | None = None) -> Tensor:
        n_items, d = self.item_factors.shape
        width = items.shape[1]
        # What fills up stands on the right: a position that only looks back never sees it.
        allowed = torch.ones(1, width, width, dtype=torch.bool, device=items.device).tril()
        x = self.placed(self.item_factors[items.long().clamp(max=n_items - 1)] * math.sqrt(d), length)
        x = self.dropped(x, kept, 0)
        for n in range(len(self.wq)):
            x = x + self.dropped(self.attend(self.norm(x, "attention", n), n, allowed), kept, 2 * n + 1)
            x = x + self.dropped(self.feed(self.norm(x, "feed", n), n, F.relu), kept, 2 * n + 2)
        return self.norm(x, "last")


class BERT4RecNetwork(TransformerNetwork):
    """States that look both ways, equation (tr-bert4rec); norm after each part, equation (tr-post)."""

    def forward(self, items: Tensor, length: Tensor, kept: Tensor | None = None) -> Tensor:
        n_items = len(self.item_factors)
        table = torch.cat([self.item_factors, torch.zeros_like(self.mask)[None], self.mask[None]])
        allowed = (items != n_items)[:, None]
        x = self.norm(self.placed(table[items.long()], length), "first")
        x = self.dropped(x, kept, 0)
        for n in range(len(self.wq)):
            x = self.norm(x + self.dropped(self.attend(x, n, allowed), kept, 2 * n + 1), "attention", n)
            x = self.norm(x + self.dropped(self.feed(x, n, F.gelu), kept, 2 * n + 2), "feed", n)
        return x

    def guess(self, states: Tensor) -> Tensor:
        """What is multiplied with the vectors of items, equation (tr-cloze-head)."""
        return F.gelu(states @ self.head + self.head_bias)


class SASRec(TorchSequenceModel, SASRecModel):
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

    def _penalty(self, network: SASRecNetwork) -> Tensor:
        return penalty(network)

    def _hidden(self, network: SASRecNetwork, batch: dict[str, Tensor]) -> Tensor:
        return network(batch["items"], batch["length"], batch.get("kept"))


class BERT4Rec(TorchSequenceModel, BERT4RecModel):
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

    def _penalty(self, network: BERT4RecNetwork) -> Tensor:
        return penalty(network)

    def _hidden(self, network: BERT4RecNetwork, batch: dict[str, Tensor]) -> Tensor:
        states = network(batch["items"], batch["length"], batch.get("kept"))
        if "hidden" in batch:  # in training the places that were hidden are all that is asked for
            states = states.gather(1, batch["hidden"].long()[..., None].expand(-1, -1, states.shape[2]))
        return network.guess(states)

    def _loss_of_steps(self, network: BERT4RecNetwork, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
        of_all = scores(network, states).flatten(0, 1)
        wanted = batch["wanted"].long()
        return F.cross_entropy(of_all, wanted.flatten(), reduction="none").view(wanted.shape)

    def _states(self, steps: Batch) -> np.ndarray:
        return super()._states(self._with_mask(steps))
