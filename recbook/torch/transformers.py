"""SASRec and BERT4Rec in PyTorch (chapter `transformers`)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import transformers as shared
from recbook.shared.transformers import FAR_BELOW, NORM_EPSILON, Shapes
from recbook.torch._histories import StepNetwork, loss_of_steps, over_real_steps, scores
from recbook.torch._model import TorchModel


def attention(Q: Tensor, K: Tensor, V: Tensor, allowed: Tensor) -> Tensor:
    """softmax(Q Kᵀ / √d) V, equation (tr-attention), over the last two axes; allowed : bool, which may be looked at."""
    logits = Q @ K.transpose(-1, -2) / math.sqrt(Q.shape[-1])
    return torch.where(allowed, logits, FAR_BELOW).softmax(-1) @ V


def penalty(network: nn.Module) -> Tensor:
    """The squares of all kernels and vectors; not of gains and biases, which have a row a block."""
    kept = ("_gain", "_bias")
    kernels = [v for name, v in network.named_parameters() if not name.endswith(kept)]
    return sum(v.square().sum() for v in kernels)  # pyright: ignore[reportReturnType]  # of some


class TransformerNetwork(StepNetwork):
    """Vectors of items and places, and blocks of attention and two layers; one slice of an array for each block."""

    places: Tensor
    wq: Tensor
    wk: Tensor
    wv: Tensor
    wo: Tensor
    inner: Tensor
    inner_bias: Tensor
    outer: Tensor
    outer_bias: Tensor

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

    def states(self, batch: dict[str, Tensor]) -> Tensor:
        """At all steps, (people, width, factors)."""
        return self(batch["items"], batch["length"], batch.get("kept"))

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

    mask: Tensor
    head: Tensor
    head_bias: Tensor

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

    def states(self, batch: dict[str, Tensor]) -> Tensor:
        """Of all steps, or, in training, of the places that were hidden: they are all that is asked for."""
        states = super().states(batch)
        if "hidden" in batch:
            states = states.gather(1, batch["hidden"].long()[..., None].expand(-1, -1, states.shape[2]))
        return self.guess(states)


class SASRec(shared.SASRec, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> SASRecNetwork:
        return SASRecNetwork(self._parameter_shapes(n_users, n_items), self.heads, self.dropout)

    def _objective(self, network: SASRecNetwork, batch: dict[str, Tensor]) -> Tensor:
        loss = loss_of_steps(network, network.states(batch), batch, self.loss)
        mean = over_real_steps(loss, batch)
        return mean + self.reg * penalty(network) if self.reg else mean


class BERT4Rec(shared.BERT4Rec, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> BERT4RecNetwork:
        return BERT4RecNetwork(self._parameter_shapes(n_users, n_items), self.heads, self.dropout)

    def _objective(self, network: BERT4RecNetwork, batch: dict[str, Tensor]) -> Tensor:
        of_all = scores(network, network.states(batch)).flatten(0, 1)
        wanted = batch["wanted"].long()
        loss = F.cross_entropy(of_all, wanted.flatten(), reduction="none").view(wanted.shape)
        mean = over_real_steps(loss, batch)
        return mean + self.reg * penalty(network) if self.reg else mean
