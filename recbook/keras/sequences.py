"""GRU4Rec and DecisionPath in Keras (chapter `sequences`)."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from recbook.keras.next_items import KerasSequenceModel
from recbook.sequences import DecisionPathModel, GRU4RecModel, RecurrentModel

CELLS = {"rnn": layers.SimpleRNN, "gru": layers.GRU, "lstm": layers.LSTM}
ORDER = {  # of the gates in Keras' stacked arrays
    "rnn": ("state",),
    "gru": ("update", "reset", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
}


class OneBias(keras.constraints.Constraint):
    """Of a GRU's two rows of biases keeps the second at 0, but inside the candidate, where it is another thing."""

    def __call__(self, biases):
        inside = np.ones(biases.shape, np.float32)
        inside[1, : 2 * inside.shape[1] // 3] = 0
        return biases * ops.convert_to_tensor(inside)


class RecurrentNetwork(keras.Model):
    """The states of a recurrent cell over the vectors of the steps, from a state of 0."""

    def __init__(self, n_items: int, factors: int, cell: str):
        super().__init__()
        self.item_factors = self.add_weight(
            shape=(n_items, factors), name="item_factors", initializer="zeros"
        )
        self.item_bias = self.add_weight(shape=(n_items,), name="item_bias", initializer="zeros")
        special = {"reset_after": True, "bias_constraint": OneBias()} if cell == "gru" else {}
        self.recurrent = CELLS[cell](factors, return_sequences=True, **special)
        self.recurrent.build((None, None, factors))

    def vectors(self, items):
        """Of the steps' items; what is filled in is some item: no real step sees it."""
        return ops.take(self.item_factors, ops.minimum(items, self.item_factors.shape[0] - 1), axis=0)

    def call(self, items):
        return self.recurrent(self.vectors(items))


class KerasRecurrentModel(KerasSequenceModel, RecurrentModel):
    """Puts each gate's arrays under their own names."""

    def _make_network(self, n_users: int, n_items: int) -> RecurrentNetwork:
        return RecurrentNetwork(n_items, self.factors, self.cell)

    def _penalty(self, network: RecurrentNetwork):
        cell = network.recurrent.cell
        # A GRU's biases are a table too, and no kernel.
        kernels = [w for w in network.trainable_weights if len(w.shape) > 1 and w is not cell.bias]
        return sum(ops.sum(ops.square(kernel)) for kernel in kernels)

    def _get_parameters(self) -> dict[str, np.ndarray]:
        cell = self._network.recurrent.cell
        kernel, recurrent, bias = (self._to_numpy(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias))
        inside = {id(w) for w in self._network.recurrent.weights}
        learnt = {w.name: np.array(self._to_numpy(w)) for w in self._network.weights if id(w) not in inside}
        for place, gate in enumerate(ORDER[self.cell]):
            columns = slice(place * self.factors, (place + 1) * self.factors)
            learnt[f"{gate}_kernel"] = kernel[:, columns]
            learnt[f"{gate}_recurrent"] = recurrent[:, columns]
            learnt[f"{gate}_bias"] = np.atleast_2d(bias)[0, columns]
            if (self.cell, gate) == ("gru", "candidate"):
                learnt["candidate_recurrent_bias"] = bias[1, columns]
        return learnt

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        if not hasattr(self, "_network"):  # read from a file
            self._build(len(self._user_index), len(self._item_index))
        gates, cell = ORDER[self.cell], self._network.recurrent.cell
        cell.kernel.assign(np.concatenate([parameters[f"{gate}_kernel"] for gate in gates], axis=1))
        cell.recurrent_kernel.assign(
            np.concatenate([parameters[f"{gate}_recurrent"] for gate in gates], axis=1)
        )
        bias = np.concatenate([parameters[f"{gate}_bias"] for gate in gates])
        none = np.zeros(self.factors, np.float32)
        second = np.concatenate([parameters.get(f"{gate}_recurrent_bias", none) for gate in gates])
        cell.bias.assign(np.stack([bias, second]) if self.cell == "gru" else bias)
        inside = {id(w) for w in self._network.recurrent.weights}
        for weight in self._network.weights:
            if id(weight) not in inside:
                weight.assign(parameters[weight.name])


class GRU4Rec(KerasRecurrentModel, GRU4RecModel):
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
        shapes = {
            "event_factors": (n_events + 1, factors),
            "event_kernel": (factors, n_events + 1),
            "event_bias": (n_events + 1,),
        }
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, name=name, initializer="zeros"))

    def call(self, items, events):
        return self.recurrent(self.vectors(items) + ops.take(self.event_factors, events, axis=0))


class DecisionPath(KerasRecurrentModel, DecisionPathModel):
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

    def _hidden(self, network: PathNetwork, batch: dict):
        return network(batch["items"], batch["events"])

    def _loss_of_steps(self, network: PathNetwork, states, batch: dict):
        loss = super()._loss_of_steps(network, states, batch)
        log_chances = ops.log_softmax(states @ network.event_kernel + network.event_bias, axis=-1)
        wanted = ops.take_along_axis(log_chances, batch["next_events"][..., None], axis=-1)[..., 0]
        return loss - self.event_weight * wanted
