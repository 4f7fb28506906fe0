"""GRU4Rec and DecisionPath in PyTorch (chapter `sequences`)."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import sequences as shared
from recbook.shared.sequences import cell_shapes
from recbook.torch._histories import StepNetwork, loss_of_steps, over_real_steps
from recbook.torch._model import TorchModel

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
ORDER = {  # of the gates in PyTorch's stacked arrays
    "rnn": ("state",),
    "gru": ("reset", "update", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
}


class RecurrentNetwork(StepNetwork):
    """The states of a recurrent cell over the vectors of the steps, from a state of 0."""

    def __init__(self, n_items: int, factors: int, cell: str):
        super().__init__()
        self.cell = cell
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

    def states(self, batch: dict[str, Tensor]) -> Tensor:
        """At all steps, (people, width, factors)."""
        return self(batch["items"])

    def squares(self) -> Tensor:
        """Of all kernels and vectors."""
        kernels = [values for values in self.parameters() if values.ndim > 1]
        return sum(values.square().sum() for values in kernels)  # pyright: ignore[reportReturnType]  # of some


def parameters_of(network: RecurrentNetwork) -> dict[str, np.ndarray]:
    """Each gate's arrays under their own names."""
    learnt = {name: values.detach().cpu().numpy() for name, values in network.state_dict().items()}
    stacked = {
        part: learnt.pop(f"recurrent.{part}_l0") for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    factors = network.item_factors.shape[1]
    for place, gate in enumerate(ORDER[network.cell]):
        rows = slice(place * factors, (place + 1) * factors)
        learnt[f"{gate}_kernel"] = stacked["weight_ih"][rows].T
        learnt[f"{gate}_recurrent"] = stacked["weight_hh"][rows].T
        learnt[f"{gate}_bias"] = stacked["bias_ih"][rows]
        if (network.cell, gate) == ("gru", "candidate"):
            learnt["candidate_recurrent_bias"] = stacked["bias_hh"][rows]
    return learnt


def state_of(cell: str, parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse: what the network's `load_state_dict` takes."""
    gates, factors = ORDER[cell], parameters["item_factors"].shape[1]
    none = np.zeros(factors, np.float32)
    inside = cell_shapes(cell, factors)
    stacked = {
        "weight_ih": [parameters[f"{gate}_kernel"].T for gate in gates],
        "weight_hh": [parameters[f"{gate}_recurrent"].T for gate in gates],
        "bias_ih": [parameters[f"{gate}_bias"] for gate in gates],
        "bias_hh": [parameters.get(f"{gate}_recurrent_bias", none) for gate in gates],
    }
    own = {name: values for name, values in parameters.items() if name not in inside}
    return own | {f"recurrent.{part}_l0": np.concatenate(arrays) for part, arrays in stacked.items()}


class GRU4Rec(shared.GRU4Rec, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> RecurrentNetwork:
        return RecurrentNetwork(n_items, self.factors, self.cell)

    def _objective(self, network: RecurrentNetwork, batch: dict[str, Tensor]) -> Tensor:
        loss = loss_of_steps(network, network.states(batch), batch, self.loss)
        mean = over_real_steps(loss, batch)
        return mean + self.reg * network.squares() if self.reg else mean

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return parameters_of(cast(RecurrentNetwork, self._network))

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        super()._set_parameters(state_of(self.cell, parameters))


class PathNetwork(RecurrentNetwork):
    """Steps have a vector for the item and one for the event; the state makes scores of both."""

    def __init__(self, n_items: int, n_events: int, factors: int):
        super().__init__(n_items, factors, "gru")
        self.event_factors = nn.Parameter(torch.zeros(n_events + 1, factors))
        self.event_kernel = nn.Parameter(torch.zeros(factors, n_events + 1))
        self.event_bias = nn.Parameter(torch.zeros(n_events + 1))

    def forward(self, items: Tensor, events: Tensor) -> Tensor:
        return self.recurrent(self.vectors(items) + self.event_factors[events.long()])[0]

    def states(self, batch: dict[str, Tensor]) -> Tensor:
        return self(batch["items"], batch["events"])


class DecisionPath(shared.DecisionPath, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> PathNetwork:
        return PathNetwork(n_items, len(self._events), self.factors)

    def _loss_of_steps(self, network: PathNetwork, states: Tensor, batch: dict[str, Tensor]) -> Tensor:
        loss = loss_of_steps(network, states, batch, "softmax")
        wanted = batch["next_events"].long()
        z = states @ network.event_kernel + network.event_bias
        return loss + self.event_weight * F.cross_entropy(z.transpose(1, 2), wanted, reduction="none")

    def _objective(self, network: PathNetwork, batch: dict[str, Tensor]) -> Tensor:
        loss = self._loss_of_steps(network, network.states(batch), batch)
        mean = over_real_steps(loss, batch)
        return mean + self.reg * network.squares() if self.reg else mean

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return parameters_of(cast(RecurrentNetwork, self._network))

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        super()._set_parameters(state_of("gru", parameters))
