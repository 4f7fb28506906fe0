"""GRU4Rec and DecisionPath in PyTorch (chapter `sequences`)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.sequences import DecisionPathModel, GRU4RecModel, RecurrentModel
from recbook.torch.next_items import TorchSequenceModel

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
ORDER = {  # of the gates in PyTorch's stacked arrays
    "rnn": ("state",),
    "gru": ("reset", "update", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
}


class RecurrentNetwork(nn.Module):
    """The states of a recurrent cell over the vectors of the steps, from a state of 0."""

    def __init__(self, n_items: int, factors: int, cell: str):
        super().__init__()
        self.item_factors = nn.Parameter(torch.zeros(n_items, factors))
        self.item_bias = nn.Parameter(torch.zeros(n_items))
        self.recurrent = CELLS[cell](factors, factors, batch_first=True)
        # PyTorch adds two biases to each gate. One is enough; but inside a GRU's candidate they are two things.
        second = self.recurrent.bias_hh_l0
        nn.init.zeros_(second)
        if cell == "gru":
            second.register_hook(
                lambda gradient: torch.cat([0 * gradient[: 2 * factors], gradient[2 * factors :]])
            )
        else:
            second.requires_grad_(False)

    def vectors(self, items: Tensor) -> Tensor:
        """Of the steps' items; what is filled in is some item: no real step sees it."""
        return self.item_factors[items.long().clamp(max=len(self.item_factors) - 1)]

    def forward(self, items: Tensor) -> Tensor:
        return self.recurrent(self.vectors(items))[0]


class TorchRecurrentModel(TorchSequenceModel, RecurrentModel):
    """Puts each gate's arrays under their own names."""

    def _make_network(self, n_users: int, n_items: int) -> RecurrentNetwork:
        return RecurrentNetwork(n_items, self.factors, self.cell)

    def _penalty(self, network: RecurrentNetwork) -> Tensor:
        return sum(values.square().sum() for values in network.parameters() if values.ndim > 1)

    def _get_parameters(self) -> dict[str, np.ndarray]:
        learnt = super()._get_parameters()
        stacked = {
            part: learnt.pop(f"recurrent.{part}_l0")
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        for place, gate in enumerate(ORDER[self.cell]):
            rows = slice(place * self.factors, (place + 1) * self.factors)
            learnt[f"{gate}_kernel"] = stacked["weight_ih"][rows].T
            learnt[f"{gate}_recurrent"] = stacked["weight_hh"][rows].T
            learnt[f"{gate}_bias"] = stacked["bias_ih"][rows]
            if (self.cell, gate) == ("gru", "candidate"):
                learnt["candidate_recurrent_bias"] = stacked["bias_hh"][rows]
        return learnt

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        gates = ORDER[self.cell]
        none = np.zeros(self.factors, np.float32)
        second = [parameters.get(f"{gate}_recurrent_bias", none) for gate in gates]
        own = self._parameter_shapes(0, 0).keys() - self._cell_shapes().keys()
        super()._set_parameters(
            {name: parameters[name] for name in own}
            | {
                "recurrent.weight_ih_l0": np.concatenate([parameters[f"{gate}_kernel"].T for gate in gates]),
                "recurrent.weight_hh_l0": np.concatenate(
                    [parameters[f"{gate}_recurrent"].T for gate in gates]
                ),
                "recurrent.bias_ih_l0": np.concatenate([parameters[f"{gate}_bias"] for gate in gates]),
                "recurrent.bias_hh_l0": np.concatenate(second),
            }
        )


class GRU4Rec(TorchRecurrentModel, GRU4RecModel):
    """A recurrent network over a person's items, that says after each which one comes next (Hidasi et al. 2016).

    x_t = q of the t-th item, h_t = cell(x_t, h_{t-1}) with h_0 = 0, score_i = q_i · h_T + b_i, T being the last step:
    equations (seq-rnn), (seq-gru), (seq-lstm), (seq-score). Made smaller: the mean over all real steps of the
    cross-entropy of the next item among all items (loss="softmax"), or of -log σ(score of the next item - score of
    another) over `negatives` items that the person has no event with (loss="bpr"); and reg times the squares of all
    kernels and vectors.

    The paper's network has output vectors of its own, and learns from sampled scores of single sessions; here items
    have one vector for both ends, and each person is one session.

    cell : "gru", "lstm", or "rnn" (Elman 1990)
    factors : the length of vectors and states;  max_length : how many of the last steps are read
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of people
    reg : λ, of kernels and vectors
    loss : "softmax" or "bpr";  negatives : how many for each step, for "bpr" alone
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Events go from the earliest to the latest; those of one time stand in the order of the table, and so do all where
    there are no timestamps. Ratings are ignored. Somebody without a history gets scores that follow popularity.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        cell: str = "gru",
        factors: int = 64,
        max_length: int = 50,
        epochs: int = 15,
        learning_rate: float = 0.005,
        reg: float = 0.0,
        batch_size: int = 64,
        optimizer: str = "adam",
        loss: str = "softmax",
        negatives: int = 32,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.cell = cell
        self.factors = factors
        self.max_length = max_length
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.loss = loss
        self.negatives = negatives
        self.patience = patience
        self.seed = seed
        self.device = device


class PathNetwork(RecurrentNetwork):
    """Steps have a vector for the item and one for the event; the state makes scores of both."""

    def __init__(self, n_items: int, n_events: int, factors: int):
        super().__init__(n_items, factors, "gru")
        self.event_factors = nn.Parameter(torch.zeros(n_events + 1, factors))
        self.event_kernel = nn.Parameter(torch.zeros(factors, n_events + 1))
        self.event_bias = nn.Parameter(torch.zeros(n_events + 1))

    def forward(self, items: Tensor, events: Tensor) -> Tensor:
        return self.recurrent(self.vectors(items) + self.event_factors[events.long()])[0]


class DecisionPath(TorchRecurrentModel, DecisionPathModel):
    """A path of decisions, browse, click, cart, buy, as a sequence: what is met next, and what is done with it.

    A step is an item and an event (the column `event`). x_t = q_item + e_event, h_t = GRU(x_t, h_{t-1}); the next
    item's score is q_i · h_T + b_i, the next event's a row of its own: equation (seq-path). Made smaller: the mean
    over real steps of the cross-entropy of the next item, and event_weight times that of the next event; and reg
    times the squares of all kernels and vectors.

    factors, max_length, epochs, learning_rate, reg, batch_size, optimizer, patience, device : as in GRU4Rec
    event_weight : what the next event weighs beside the next item

    Data without a column `event`, and histories given as lists, have steps whose event is not told: an event of its
    own kind, the last, which `next_events` does not list. Events go from the earliest to the latest; those of one
    time stand in the order of the table, and so do all where there are no timestamps. Ratings are ignored. Somebody
    without a history gets scores that follow popularity.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 64,
        max_length: int = 50,
        epochs: int = 15,
        learning_rate: float = 0.005,
        reg: float = 0.0,
        batch_size: int = 64,
        optimizer: str = "adam",
        event_weight: float = 1.0,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.max_length = max_length
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.event_weight = event_weight
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> PathNetwork:
        return PathNetwork(n_items, len(self._events), self.factors)

    def _hidden(self, network: PathNetwork, batch: dict[str, Tensor]) -> Tensor:
        return network(batch["items"], batch["events"])

    def _loss_of_steps(self, network: PathNetwork, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
        loss = super()._loss_of_steps(network, states, batch)
        wanted = batch["next_events"].long()
        z = states @ network.event_kernel + network.event_bias
        return loss + self.event_weight * F.cross_entropy(z.transpose(1, 2), wanted, reduction="none")
