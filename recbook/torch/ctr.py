"""Click models with deep networks in PyTorch: WideAndDeep, DeepFM, DIN (chapter `ctr`)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.clicks import DICE_EPSILON, DICE_MOMENTUM, DeepFMModel, DINModel, Shapes, WideAndDeepModel
from recbook.torch.factorization_machines import MachineNetwork
from recbook.torch.training import TorchGradientModel


class DeepNetwork(nn.Module):
    """Parameters under their names, and hidden layers on the vectors of fields."""

    def __init__(self, shapes: Shapes):
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self.depth = sum(name.startswith("kernel_") for name in shapes)

    def kernels(self) -> list[Tensor]:
        """All weights of layers, which have a penalty of their own; not the biases."""
        return [
            values for name, values in self.named_parameters() if "kernel_" in name or name.endswith("head")
        ]

    def layer(self, n: int, x: Tensor) -> Tensor:
        return x @ getattr(self, f"kernel_{n}") + getattr(self, f"bias_{n}")

    def deep(self, x: Tensor) -> Tensor:
        """w_Lᵀx_L of x_0, (n,)."""
        for n in range(1, self.depth + 1):
            x = F.relu(self.layer(n, x))
        return x @ self.mlp_head


class WideAndDeepNetwork(DeepNetwork):
    """z = w₀ + wᵀx + w_Lᵀx_L, equation (ctr-wide-deep)."""

    def __init__(self, shapes: Shapes, pooling: np.ndarray):
        super().__init__(shapes)
        self.register_buffer("pooling", torch.as_tensor(pooling), persistent=False)

    def logits(self, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """z, and the squares of the weights and vectors in use, both (n,)."""
        w = F.embedding(index, self.weights[:, None])[..., 0]
        here = slice(self.pooling.shape[1])  # the columns of the fields; crosses stand behind them
        v = F.embedding(index[:, here], self.factors)
        deep = self.pooling @ (v * value[:, here, None])
        z = self.constant + (w * value).sum(1) + self.deep(deep.flatten(1))
        squares = ((value != 0) * torch.square(w)).sum(1)
        return z, squares + ((value[:, here] != 0) * torch.square(v).sum(2)).sum(1)

    def forward(self, index: Tensor, value: Tensor) -> Tensor:
        return self.logits(index, value)[0]


class DeepFMNetwork(WideAndDeepNetwork):
    """z = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b + w_Lᵀx_L, equation (ctr-deepfm)."""

    rows, sums = MachineNetwork.rows, MachineNetwork.sums

    def logits(self, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        w, v = self.rows(index)
        deep = self.pooling @ (v * value[..., None])
        z = self.constant + self.sums(w, v, value)[0] + self.deep(deep.flatten(1))
        return z, ((value != 0) * (torch.square(w) + torch.square(v).sum(2))).sum(1)


class _Clicks(TorchGradientModel):
    """Trained on clicks, from rows of features."""

    def _objective(self, network: WideAndDeepNetwork, batch: dict[str, Tensor]) -> Tensor:
        z, squares = network.logits(batch["index"], batch["value"])
        loss = F.binary_cross_entropy_with_logits(z, batch["target"], reduction="none")
        kernels = sum(torch.square(kernel).sum() for kernel in network.kernels())
        return (loss + self.reg * squares).mean() + self.reg_layers * kernels

    @torch.no_grad()
    def _scores(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        return self._to_numpy(torch.sigmoid(self._network(self._to_tensor(index), self._to_tensor(value))))


class WideAndDeep(_Clicks, WideAndDeepModel):
    """A linear model on fields and their crosses beside a network on the fields' vectors (Cheng et al. 2016).

    P(click) = σ(w₀ + wᵀx + w_Lᵀx_L): x holds the fields and the crosses, x_L comes out of hidden layers with ReLU on
    the fields' vectors side by side, equation (ctr-wide-deep). Trained on the mean over rows of the logistic loss +
    reg Σ_{a: x_a ≠ 0} (w_a² + ‖v_a‖²), plus reg_layers times the squares of all kernels: equation (ctr-objective).
    Both parts with one optimiser; the paper trains the wide one with FTRL. Without crosses it is a plain network
    with a linear part. `predict` gives probabilities.

    fields : names of the features, as in `recbook.fields`, and "history": the items that the person liked (rating 1)
        strictly earlier, 1/√m each of m, equation (ctr-history). In `predict` they are all liked in train, or in
        `histories`: then nobody needs to have been seen
    crosses : products of two fields, "a*b", that the linear part alone reads
    factors : length of v;  layers : widths of the hidden layers
    max_length : the last so many of a history are read
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each feature that an example has;  reg_layers : λ of the layers' weights, once
    init_scale : standard deviation of the start of v
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    def __init__(
        self,
        fields: tuple[str, ...] = ("user", "item", "history"),
        crosses: tuple[str, ...] = (),
        factors: int = 16,
        layers: tuple[int, ...] = (64, 32),
        max_length: int = 20,
        epochs: int = 5,
        learning_rate: float = 0.005,
        reg: float = 0.003,
        reg_layers: float = 0.0001,
        batch_size: int = 1024,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.fields = fields
        self.crosses = crosses
        self.factors = factors
        self.layers = layers
        self.max_length = max_length
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.reg_layers = reg_layers
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> WideAndDeepNetwork:
        return WideAndDeepNetwork(self._parameter_shapes(n_users, n_items), self._pooling())


class DeepFM(_Clicks, DeepFMModel):
    """A factorisation machine and a network on the same vectors (Guo et al. 2017).

    P(click) = σ(w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b + w_Lᵀx_L): x_L comes out of hidden layers with ReLU on the
    fields' vectors side by side, and these are sums of the machine's own v, equation (ctr-deepfm). Trained on the
    mean over rows of the logistic loss + reg Σ_{a: x_a ≠ 0} (w_a² + ‖v_a‖²), plus reg_layers times the squares of
    all kernels: equation (ctr-objective). `predict` gives probabilities.

    fields : names of the features, as in `recbook.fields`, and "history": the items that the person liked (rating 1)
        strictly earlier, 1/√m each of m, equation (ctr-history). In `predict` they are all liked in train, or in
        `histories`: then nobody needs to have been seen
    factors : length of v;  layers : widths of the hidden layers
    max_length : the last so many of a history are read
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each feature that an example has;  reg_layers : λ of the layers' weights, once
    init_scale : standard deviation of the start of v
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    def __init__(
        self,
        fields: tuple[str, ...] = ("user", "item", "history"),
        factors: int = 16,
        layers: tuple[int, ...] = (64, 32),
        max_length: int = 20,
        epochs: int = 5,
        learning_rate: float = 0.005,
        reg: float = 0.003,
        reg_layers: float = 0.0001,
        batch_size: int = 1024,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.fields = fields
        self.factors = factors
        self.layers = layers
        self.max_length = max_length
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.reg_layers = reg_layers
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> DeepFMNetwork:
        return DeepFMNetwork(self._parameter_shapes(n_users, n_items), self._pooling())


class DINNetwork(DeepNetwork):
    """z = w₀ + w_Lᵀx_L, where x_0 is [the fields beside; Σ_j a(e_j, v) e_j; v], equation (ctr-din)."""

    def __init__(self, shapes: Shapes, item_rows, poolings):
        super().__init__({name: shape for name, shape in shapes.items() if not is_state(name)})
        for name in filter(is_state, shapes):
            self.register_buffer(name, torch.zeros(shapes[name]))
        names = ("item_index", "item_value", "pooling", "item_pooling")
        for name, values in zip(names, (*item_rows, *poolings), strict=True):
            self.register_buffer(name, torch.as_tensor(values), persistent=False)
        self.attention_depth = sum(name.startswith("attention_kernel_") for name in shapes)

    def items(self, codes: Tensor) -> Tensor:
        """The vectors of items, (n, numbers); those of nothing are zeros.  codes : (n,)"""
        v = F.embedding(self.item_index[codes], self.factors) * self.item_value[codes][..., None]
        return (self.item_pooling @ v).flatten(1)

    def attention(self, e: Tensor, target: Tensor) -> Tensor:
        """a(e_j, v), equation (ctr-unit).  e : (n, length, m);  target : (n, m).  Returns (n, length)."""
        target = target[:, None].expand_as(e)
        x = torch.cat([e, e * target, target], dim=2)
        for n in range(1, self.attention_depth + 1):
            x = F.relu(x @ getattr(self, f"attention_kernel_{n}") + getattr(self, f"attention_bias_{n}"))
        return x @ self.attention_head

    def dice(self, n: int, z: Tensor, training: bool) -> Tensor:
        """Equation (ctr-dice), with the batch's statistics in training, else with the running ones."""
        mean, variance = (getattr(self, f"dice_{name}_{n}") for name in ("mean", "variance"))
        if training:
            batch_mean = z.mean(0)
            batch_variance = torch.square(z - batch_mean).mean(0)
            for running, now in ((mean, batch_mean), (variance, batch_variance)):
                running.add_((1 - DICE_MOMENTUM) * (now.detach() - running))
            mean, variance = batch_mean, batch_variance
        else:
            mean, variance = mean / self.dice_weight, variance / self.dice_weight
        p = torch.sigmoid((z - mean) / torch.sqrt(variance + DICE_EPSILON))
        return p * z + (1 - p) * getattr(self, f"dice_alpha_{n}") * z

    def forward(self, batch: dict[str, Tensor], training: bool = False) -> Tensor:
        if training:
            self.dice_weight.add_((1 - DICE_MOMENTUM) * (1 - self.dice_weight))
        items = self.items(batch["met"])
        target, e = F.embedding(batch["item"], items), F.embedding(batch["behaviours"], items)
        # Nothing has the vector 0, and so no part in the sum, whatever its weight.
        interest = (self.attention(e, target)[..., None] * e).sum(1)
        v = F.embedding(batch["index"], self.factors) * batch["value"][..., None]
        x = torch.cat([(self.pooling @ v).flatten(1), interest, target], dim=1)
        for n in range(1, self.depth + 1):
            x = self.dice(n, self.layer(n, x), training)
        return self.constant + x @ self.mlp_head

    def present(self, batch: dict[str, Tensor]) -> Tensor:
        """(n_features,) whether a feature occurs in the batch, in a row or in a history."""
        found = torch.zeros(len(self.factors), dtype=torch.bool, device=self.factors.device)
        of_items = self.item_index[batch["met"]], self.item_value[batch["met"]]
        for index, value in ((batch["index"], batch["value"]), of_items):
            found[index[value != 0]] = True
        return found


def is_state(name: str) -> bool:
    """Whether a parameter is not trained: a running statistic."""
    return name.startswith(("dice_mean", "dice_variance", "dice_weight"))


class DIN(TorchGradientModel, DINModel):
    """Deep interest network: what of a history matters depends on the item asked for (Zhou et al. 2018).

    The history's vectors e_j are summed up with weights a(e_j, v), a small network of e_j, e_j ⊙ v and the target's
    v; they may have any sign and size, no softmax makes them sum to 1: equation (ctr-interest). Sum, target and
    the vectors of the other fields go through hidden layers with Dice, equation (ctr-dice). Trained on the mean over
    rows of the logistic loss + reg Σ_{a in the batch} ‖v_a‖² / n_a, where n_a is how often a feature occurs in train
    (mini-batch-aware, equation (ctr-penalty)), plus reg_layers times the squares of all kernels. `predict` gives
    probabilities, with running means of Dice's statistics: what is predicted hangs on no batch.

    A history is what the person liked (rating 1) strictly earlier: of rows of one time none stands in the history
    of another, and they are ordered as the table has them; without timestamps, the table's order is that of time. In
    `predict` it is all that the person liked in train, or in `histories`: nobody needs to have been seen.

    fields : names of the features, as in `recbook.fields`. Fields of items ("item", "items.…") make the vector of
        an item, as target and in a history; where none is named, "item" is added. "history" is read, named or not
    factors : length of a feature's vector;  layers : widths of the hidden layers
    attention_layers : widths of the hidden layers of a, with ReLU
    max_length : the last so many of a history are read
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ of the features' vectors;  reg_layers : λ of all kernels, once
    init_scale : standard deviation of the start of the vectors
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    def __init__(
        self,
        fields: tuple[str, ...] = ("user", "item"),
        factors: int = 16,
        layers: tuple[int, ...] = (64, 32),
        attention_layers: tuple[int, ...] = (32,),
        max_length: int = 50,
        epochs: int = 5,
        learning_rate: float = 0.005,
        reg: float = 0.1,
        reg_layers: float = 0.0001,
        batch_size: int = 1024,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.fields = fields
        self.factors = factors
        self.layers = layers
        self.attention_layers = attention_layers
        self.max_length = max_length
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.reg_layers = reg_layers
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> DINNetwork:
        return DINNetwork(self._parameter_shapes(n_users, n_items), self._item_rows(), self._poolings())

    def _objective(self, network: DINNetwork, batch: dict[str, Tensor]) -> Tensor:
        z = network(batch, training=True)
        loss = F.binary_cross_entropy_with_logits(z, batch["target"])
        shares = network.present(batch) / self._to_tensor(self._counts)
        kernels = sum(torch.square(kernel).sum() for kernel in network.kernels())
        return loss + self.reg * shares @ torch.square(network.factors).sum(1) + self.reg_layers * kernels

    @torch.no_grad()
    def _chances(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        tensors = {name: self._to_tensor(values) for name, values in batch.items()}
        return self._to_numpy(torch.sigmoid(self._network(tensors)))

    @torch.no_grad()
    def _attention(self, behaviours: np.ndarray, target: int) -> np.ndarray:
        items = self._network.items(self._to_tensor(np.append(behaviours, np.int32(target))))
        return self._to_numpy(self._network.attention(items[None, :-1], items[-1:])[0])
