"""Click models with deep networks in Keras: WideAndDeep, DeepFM, DIN (chapter `ctr`)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from recbook.clicks import DICE_EPSILON, DICE_MOMENTUM, DeepFMModel, DINModel, Shapes, WideAndDeepModel
from recbook.keras import backend
from recbook.keras.factorization_machines import MachineNetwork
from recbook.keras.training import KerasGradientModel


def flat(x):
    """(n, …) as (n, numbers): in a traced function n is not known, the others are."""
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2]))


class DeepNetwork(keras.Model):
    """Parameters under their names, and hidden layers on the vectors of fields."""

    def __init__(self, shapes: Shapes):
        super().__init__()
        for name, shape in shapes.items():
            weight = self.add_weight(
                shape=shape, name=name, initializer="zeros", trainable=not is_state(name)
            )
            # keras.Model has a `weights` of its own: all of them.
            setattr(self, "weight_vector" if name == "weights" else name, weight)
        self.depth = sum(name.startswith("kernel_") for name in shapes)

    def kernels(self) -> list:
        """All weights of layers, which have a penalty of their own; not the biases."""
        return [w for w in self.trainable_weights if "kernel_" in w.name or w.name.endswith("head")]

    def layer(self, n: int, x):
        return x @ getattr(self, f"kernel_{n}") + getattr(self, f"bias_{n}")

    def deep(self, x):
        """w_Lᵀx_L of x_0, (n,)."""
        for n in range(1, self.depth + 1):
            x = ops.relu(self.layer(n, x))
        return ops.matmul(x, self.mlp_head)


class WideAndDeepNetwork(DeepNetwork):
    """z = w₀ + wᵀx + w_Lᵀx_L, equation (ctr-wide-deep)."""

    def __init__(self, shapes: Shapes, pooling: np.ndarray):
        super().__init__(shapes)
        self.pooling = ops.convert_to_tensor(pooling)

    def logits(self, index, value):
        """z, and the squares of the weights and vectors in use, both (n,)."""
        w = ops.take(self.weight_vector, index, axis=0)
        here = slice(self.pooling.shape[1])  # the columns of the fields; crosses stand behind them
        v = ops.take(self.factors, index[:, here], axis=0)
        deep = ops.matmul(self.pooling, v * value[:, here, None])
        z = self.constant + ops.sum(w * value, axis=1) + self.deep(flat(deep))
        active = ops.cast(value != 0, "float32")
        squares = ops.sum(active * ops.square(w), axis=1)
        return z, squares + ops.sum(active[:, here] * ops.sum(ops.square(v), axis=2), axis=1)

    def call(self, index, value):
        return self.logits(index, value)[0]


class DeepFMNetwork(WideAndDeepNetwork):
    """z = w₀ + wᵀx + Σ_{a<b} ⟨v_a, v_b⟩ x_a x_b + w_Lᵀx_L, equation (ctr-deepfm)."""

    rows, sums = MachineNetwork.rows, MachineNetwork.sums

    def logits(self, index, value):
        w, v = self.rows(index)
        deep = ops.matmul(self.pooling, v * value[..., None])
        z = self.constant + self.sums(w, v, value)[0] + self.deep(flat(deep))
        active = ops.cast(value != 0, "float32")
        return z, ops.sum(active * (ops.square(w) + ops.sum(ops.square(v), axis=2)), axis=1)


class _Clicks(KerasGradientModel):
    """Trained on clicks, from rows of features."""

    def _objective(self, network: WideAndDeepNetwork, batch: dict):
        z, squares = network.logits(batch["index"], batch["value"])
        loss = ops.binary_crossentropy(batch["target"], z, from_logits=True)
        kernels = sum(ops.sum(ops.square(kernel)) for kernel in network.kernels())
        return ops.mean(loss + self.reg * squares) + self.reg_layers * kernels

    def _scores(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        with keras.device(self.device_):
            z = self._network(self._to_tensor(index), self._to_tensor(value))
            return self._to_numpy(ops.sigmoid(z))


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
        super().__init__(shapes)
        self.item_index, self.item_value = map(ops.convert_to_tensor, item_rows)
        self.pooling, self.item_pooling = map(ops.convert_to_tensor, poolings)
        self.attention_depth = sum(name.startswith("attention_kernel_") for name in shapes)

    def items(self, codes):
        """The vectors of items, (n, numbers); those of nothing are zeros.  codes : (n,)"""
        index, value = (ops.take(rows, codes, axis=0) for rows in (self.item_index, self.item_value))
        v = ops.take(self.factors, index, axis=0) * value[..., None]
        return flat(ops.matmul(self.item_pooling, v))

    def attention(self, e, target):
        """a(e_j, v), equation (ctr-unit).  e : (n, length, m);  target : (n, m).  Returns (n, length)."""
        target = target[:, None] + ops.zeros_like(e)
        x = ops.concatenate([e, e * target, target], axis=2)
        for n in range(1, self.attention_depth + 1):
            layer = getattr(self, f"attention_kernel_{n}"), getattr(self, f"attention_bias_{n}")
            x = ops.relu(ops.matmul(x, layer[0]) + layer[1])
        return ops.matmul(x, self.attention_head)

    def dice(self, n: int, z, training: bool):
        """Equation (ctr-dice), with the batch's statistics in training, else with the running ones."""
        mean, variance = (getattr(self, f"dice_{name}_{n}") for name in ("mean", "variance"))
        if training:
            batch_mean = ops.mean(z, axis=0)
            batch_variance = ops.mean(ops.square(z - batch_mean), axis=0)
            for running, now in ((mean, batch_mean), (variance, batch_variance)):
                running.assign(running + (1 - DICE_MOMENTUM) * (ops.stop_gradient(now) - running))
            mean, variance = batch_mean, batch_variance
        else:
            mean, variance = mean / self.dice_weight, variance / self.dice_weight
        p = ops.sigmoid((z - mean) / ops.sqrt(variance + DICE_EPSILON))
        return p * z + (1 - p) * getattr(self, f"dice_alpha_{n}") * z

    def call(self, batch: dict, training: bool = False):
        if training:
            weight = self.dice_weight
            weight.assign(weight + (1 - DICE_MOMENTUM) * (1 - weight))
        items = self.items(batch["met"])
        target = ops.take(items, batch["item"], axis=0)
        e = ops.take(items, batch["behaviours"], axis=0)
        # Nothing has the vector 0, and so no part in the sum, whatever its weight.
        interest = ops.sum(self.attention(e, target)[..., None] * e, axis=1)
        parts = [interest, target]
        if self.pooling.shape[0]:  # TensorFlow cannot reshape what has no columns
            v = ops.take(self.factors, batch["index"], axis=0) * batch["value"][..., None]
            parts = [flat(ops.matmul(self.pooling, v)), *parts]
        x = ops.concatenate(parts, axis=1)
        for n in range(1, self.depth + 1):
            x = self.dice(n, self.layer(n, x), training)
        return self.constant + ops.matmul(x, self.mlp_head)

    def present(self, batch: dict):
        """(n_features,) 1 where a feature occurs in the batch, in a row or in a history, else 0."""
        of_items = (ops.take(rows, batch["met"], axis=0) for rows in (self.item_index, self.item_value))
        n, found = self.factors.shape[0], 0
        for index, value in ((batch["index"], batch["value"]), of_items):
            active = ops.reshape(ops.cast(value != 0, "float32"), (-1,))
            found = found + backend.segment_sum(active, ops.reshape(index, (-1,)), n)
        return ops.cast(found > 0, "float32")


def is_state(name: str) -> bool:
    """Whether a parameter is not trained: a running statistic."""
    return name.startswith(("dice_mean", "dice_variance", "dice_weight"))


class DIN(KerasGradientModel, DINModel):
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

    def _objective(self, network: DINNetwork, batch: dict):
        z = network(batch, training=True)
        loss = ops.mean(ops.binary_crossentropy(batch["target"], z, from_logits=True))
        shares = network.present(batch) / ops.convert_to_tensor(self._counts)
        kernels = sum(ops.sum(ops.square(kernel)) for kernel in network.kernels())
        penalty = ops.sum(shares * ops.sum(ops.square(network.factors), axis=1))
        return loss + self.reg * penalty + self.reg_layers * kernels

    def _chances(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        with keras.device(self.device_):
            tensors = {name: self._to_tensor(values) for name, values in batch.items()}
            return self._to_numpy(ops.sigmoid(self._network(tensors)))

    def _attention(self, behaviours: np.ndarray, target: int) -> np.ndarray:
        with keras.device(self.device_):
            items = self._network.items(self._to_tensor(np.append(behaviours, np.int32(target))))
            return self._to_numpy(self._network.attention(items[None, :-1], items[-1:])[0])
