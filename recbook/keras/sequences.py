"""GRU4Rec and DecisionPath in Keras (chapter `sequences`)."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from recbook.keras._histories import loss_of_steps, over_real_steps
from recbook.keras._model import KerasModel
from recbook.shared import sequences as shared

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
        inside[1, : 2 * biases.shape[1] // 3] = 0
        return biases * ops.convert_to_tensor(inside)


class RecurrentNetwork(keras.Model):
    """The states of a recurrent cell over the vectors of the steps, from a state of 0."""

    def __init__(self, n_items: int, factors: int, cell: str):
        super().__init__()
        self.cell = cell
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

    def states(self, batch: dict):
        """At all steps, (people, width, factors)."""
        return self(batch["items"])

    def squares(self):
        """Of all kernels and vectors; a GRU's biases are a table too, and no kernel."""
        bias = self.recurrent.cell.bias
        kernels = [w for w in self.trainable_weights if len(w.shape) > 1 and w is not bias]
        return sum(ops.sum(ops.square(kernel)) for kernel in kernels)


def outside(network: RecurrentNetwork) -> list[keras.Variable]:
    """The network's weights but those of the cell."""
    inside = {id(weight) for weight in network.recurrent.weights}
    return [weight for weight in network.weights if id(weight) not in inside]


def parameters_of(network: RecurrentNetwork) -> dict[str, np.ndarray]:
    """Each gate's arrays under their own names."""
    cell, factors = network.recurrent.cell, network.item_factors.shape[1]
    weights = cell.kernel, cell.recurrent_kernel, cell.bias
    kernel, recurrent, bias = (ops.convert_to_numpy(weight) for weight in weights)
    learnt = {weight.name: ops.convert_to_numpy(weight) for weight in outside(network)}
    for place, gate in enumerate(ORDER[network.cell]):
        columns = slice(place * factors, (place + 1) * factors)
        learnt[f"{gate}_kernel"] = kernel[:, columns]
        learnt[f"{gate}_recurrent"] = recurrent[:, columns]
        learnt[f"{gate}_bias"] = np.atleast_2d(bias)[0, columns]
        if (network.cell, gate) == ("gru", "candidate"):
            learnt["candidate_recurrent_bias"] = bias[1, columns]
    return learnt


def assign(network: RecurrentNetwork, parameters: dict[str, np.ndarray]) -> None:
    """The inverse."""
    gates, cell = ORDER[network.cell], network.recurrent.cell
    cell.kernel.assign(np.concatenate([parameters[f"{gate}_kernel"] for gate in gates], axis=1))
    cell.recurrent_kernel.assign(np.concatenate([parameters[f"{gate}_recurrent"] for gate in gates], axis=1))
    bias = np.concatenate([parameters[f"{gate}_bias"] for gate in gates])
    none = np.zeros(network.item_factors.shape[1], np.float32)
    second = np.concatenate([parameters.get(f"{gate}_recurrent_bias", none) for gate in gates])
    cell.bias.assign(np.stack([bias, second]) if network.cell == "gru" else bias)
    for weight in outside(network):
        weight.assign(parameters[weight.name])


class GRU4Rec(shared.GRU4Rec, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> RecurrentNetwork:
        return RecurrentNetwork(n_items, self.factors, self.cell)

    def _objective(self, network: RecurrentNetwork, batch: dict):
        loss = loss_of_steps(network, network.states(batch), batch, self.loss)
        mean = over_real_steps(loss, batch)
        return mean + self.reg * network.squares() if self.reg else mean

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return parameters_of(self._network)

    def _assign(self, parameters: dict[str, np.ndarray]) -> None:
        assign(self._network, parameters)


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

    def states(self, batch: dict):
        return self(batch["items"], batch["events"])


class DecisionPath(shared.DecisionPath, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> PathNetwork:
        return PathNetwork(n_items, len(self._events), self.factors)

    def _loss_of_steps(self, network: PathNetwork, states, batch: dict):
        loss = loss_of_steps(network, states, batch, "softmax")
        log_chances = ops.log_softmax(states @ network.event_kernel + network.event_bias, axis=-1)
        wanted = ops.take_along_axis(log_chances, batch["next_events"][..., None], axis=-1)[..., 0]
        return loss - self.event_weight * wanted

    def _objective(self, network: PathNetwork, batch: dict):
        loss = self._loss_of_steps(network, network.states(batch), batch)
        mean = over_real_steps(loss, batch)
        return mean + self.reg * network.squares() if self.reg else mean

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return parameters_of(self._network)

    def _assign(self, parameters: dict[str, np.ndarray]) -> None:
        assign(self._network, parameters)
