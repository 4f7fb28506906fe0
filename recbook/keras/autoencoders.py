"""AutoRec, Mult-VAE and CFGAN in Keras (chapter `autoencoders`)."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from recbook.keras.training import KerasGradientModel
from recbook.reconstruction import AutoRecModel, CFGANModel, MultVAEModel


class Network(keras.Model):
    def kernel(self, name: str, *shape: int):
        return self.add_weight(shape=shape, name=name, initializer="zeros")


class AutoRecNetwork(Network):
    """h(r) = W g(V r + μ) + b, g the sigmoid, equation (ae-autorec). NaN in a row, no rating, is 0 for V."""

    def __init__(self, width: int, factors: int):
        super().__init__()
        self.encoder = self.kernel("encoder", width, factors)
        self.encoder_bias = self.kernel("encoder_bias", factors)
        self.decoder = self.kernel("decoder", factors, width)
        self.decoder_bias = self.kernel("decoder_bias", width)

    def encode(self, row):
        filled = ops.where(ops.isnan(row), 0.0, row)
        return ops.sigmoid(filled @ self.encoder + self.encoder_bias)

    def call(self, row):
        return self.encode(row) @ self.decoder + self.decoder_bias


class AutoRec(KerasGradientModel, AutoRecModel):
    """AutoRec: a network that writes a row of ratings down again, holes and all (Sedhain et al. 2015).

    h(r) = W g(V r + μ) + b with g the sigmoid: equation (ae-autorec). A row is all ratings of an item
    (rows="items") or of a user (rows="users"), and has n columns. Made smaller: the mean over observed ratings of the
    squared error, and reg / 2n (‖V‖² + ‖W‖²): equation (ae-autorec-objective). A rating that the row does not have
    is 0 for V, and no error for h.

    rows : "items" or "users";  factors : the length of the code g
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of rows
    reg : λ, of the kernels, a mean over columns against a mean over ratings; the paper's, which is of sums, is
        reg times the ratings of a column
    patience : epochs without a better validation RMSE before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    histories : where rows are users, the new person's goes through the network as any other; where rows are items,
        the person's column of W is solved for, all else as it is
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        rows: str = "items",
        factors: int = 100,
        epochs: int = 40,
        learning_rate: float = 0.001,
        reg: float = 1.0,
        batch_size: int = 128,
        optimizer: str = "adam",
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.rows = rows
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> AutoRecNetwork:
        return AutoRecNetwork(self._width(n_users, n_items), self.factors)

    def _objective(self, network: AutoRecNetwork, batch: dict):
        row = batch["row"]
        error = ops.where(ops.isnan(row), 0.0, row - network(row))
        penalty = ops.sum(ops.square(network.encoder)) + ops.sum(ops.square(network.decoder))
        penalty = penalty / network.decoder.shape[1]
        return ops.sum(ops.square(error)) / ops.sum(batch["length"]) + self.reg / 2 * penalty

    def _codes(self, table: np.ndarray) -> np.ndarray:
        with keras.device(self.device_):
            return self._to_numpy(self._network.encode(self._to_tensor(table)))

    def _reconstructed(self, table: np.ndarray) -> np.ndarray:
        with keras.device(self.device_):
            return self._to_numpy(self._network(self._to_tensor(table)))


class MultVAENetwork(Network):
    """q(z|x) = N(centre, e^log_variance), equation (ae-encoder), and log π(z), equation (ae-decoder)."""

    def __init__(self, n_items: int, hidden: int, factors: int):
        super().__init__()
        self.encoder = self.kernel("encoder", n_items, hidden)
        self.encoder_bias = self.kernel("encoder_bias", hidden)
        self.centre = self.kernel("centre", hidden, factors)
        self.centre_bias = self.kernel("centre_bias", factors)
        self.log_variance = self.kernel("log_variance", hidden, factors)
        self.log_variance_bias = self.kernel("log_variance_bias", factors)
        self.decoder = self.kernel("decoder", factors, hidden)
        self.decoder_bias = self.kernel("decoder_bias", hidden)
        self.output_kernel = self.kernel("output", hidden, n_items)
        self.output_bias = self.kernel("output_bias", n_items)

    def encode(self, kept, row):
        """Centre and logarithm of the variance; kept : what dropout left of the row, over 1 - dropout."""
        squares = ops.sum(ops.square(row), axis=1, keepdims=True)
        length = ops.sqrt(ops.maximum(squares, ops.ones_like(squares)))  # 1 for an empty row
        h = ops.tanh(kept / length @ self.encoder + self.encoder_bias)
        return h @ self.centre + self.centre_bias, h @ self.log_variance + self.log_variance_bias

    def decode(self, z):
        h = ops.tanh(z @ self.decoder + self.decoder_bias)
        return ops.log_softmax(h @ self.output_kernel + self.output_bias, axis=1)

    def call(self, row):
        return self.decode(self.encode(row, row)[0])


class MultVAE(KerasGradientModel, MultVAEModel):
    """A variational autoencoder with a multinomial likelihood (Liang et al. 2018).

    What a user is like is no point but a normal distribution, equation (ae-encoder); a draw z from it makes a
    probability π for every item, equation (ae-decoder), and the score is log π at the distribution's centre. Made
    smaller: the mean over users of -Σ_i x_ui log π_i + β KL(q(z|x_u) ‖ N(0, 1)), equation (ae-elbo), and reg times
    the squares of all kernels. What a user did not meet is no zero to reproduce: π adds up to 1, and what it gives to
    one item it takes from the others.

    factors : the length of z;  hidden : the length of the layers between the row and z
    beta : β after the `annealing` first epochs, in which it grows from 0 in equal steps
    dropout : the share of a row's likes that are hidden from the encoder, drawn anew in each epoch
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of users
    reg : λ, of the kernels
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Ratings are ignored: whatever a user has is a like, once, however often a pair stands in the data.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 32,
        hidden: int = 128,
        beta: float = 0.5,
        annealing: int = 10,
        dropout: float = 0.5,
        epochs: int = 30,
        learning_rate: float = 0.005,
        reg: float = 0.002,
        batch_size: int = 100,
        optimizer: str = "adam",
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.hidden = hidden
        self.beta = beta
        self.annealing = annealing
        self.dropout = dropout
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> MultVAENetwork:
        return MultVAENetwork(n_items, self.hidden, self.factors)

    def _objective(self, network: MultVAENetwork, batch: dict):
        centre, log_variance = network.encode(batch["kept"], batch["row"])
        z = centre + ops.exp(0.5 * log_variance) * batch["noise"]
        surprise = -ops.sum(batch["row"] * network.decode(z), axis=1)
        divergence = ops.exp(log_variance) + ops.square(centre) - 1 - log_variance
        divergence = 0.5 * ops.sum(divergence, axis=1)
        penalty = sum(ops.sum(ops.square(one)) for one in network.trainable_weights if len(one.shape) == 2)
        return ops.mean(surprise + batch["beta"] * divergence) + self.reg * penalty

    def _reconstructed(self, table: np.ndarray) -> np.ndarray:
        with keras.device(self.device_):
            return self._to_numpy(self._network(self._to_tensor(table)))


class CFGANNetwork(Network):
    """A generator of rows, equation (ae-generator), and a discriminator of them, (ae-discriminator)."""

    def __init__(self, n_items: int, factors: int):
        super().__init__()
        self.generator = self.kernel("generator", n_items, factors)
        self.generator_bias = self.kernel("generator_bias", factors)
        self.generator_output = self.kernel("generator_output", factors, n_items)
        self.generator_output_bias = self.kernel("generator_output_bias", n_items)
        self.discriminator = self.kernel("discriminator", n_items, factors)
        self.discriminator_condition = self.kernel("discriminator_condition", n_items, factors)
        self.discriminator_bias = self.kernel("discriminator_bias", factors)
        self.discriminator_output = self.kernel("discriminator_output", factors, 1)
        self.discriminator_output_bias = self.kernel("discriminator_output_bias", 1)

    def call(self, row):
        """The generator's logits for whole rows."""
        h = ops.tanh(row @ self.generator + self.generator_bias)
        return h @ self.generator_output + self.generator_output_bias

    def judge(self, made, row, learns: bool):
        """The logit of `made` being the real row of who has `row`, (n,); learns=False keeps the judge as it is."""
        parameters = (
            self.discriminator,
            self.discriminator_condition,
            self.discriminator_bias,
            self.discriminator_output,
            self.discriminator_output_bias,
        )
        if not learns:
            parameters = (ops.stop_gradient(ops.convert_to_tensor(one)) for one in parameters)
        V, C, b, w, c = parameters
        return (ops.tanh(made @ V + row @ C + b) @ w + c)[:, 0]


class CFGAN(KerasGradientModel, CFGANModel):
    """An adversarial recommender that makes whole rows (Chae et al. 2018).

    A generator makes a row of likes out of a user's row, equation (ae-generator). A discriminator sees a row beside
    the user's own and says whether it is real or made, equation (ae-discriminator). Each makes its own loss smaller,
    equations (ae-loss-d) and (ae-loss-g), in the same step: neither has an objective that falls, and "loss" of
    `history_` is the sum of the two. Of what the user did not meet, the discriminator sees a share, and a share is
    pulled to 0: else a generator of ones wins.

    factors : the length of the hidden layer of both
    shown : share of the items not met whose made values the discriminator sees, drawn anew in each epoch
    zeros : share of the items not met that are pulled to 0, drawn anew in each epoch
    zeros_weight : α, of that pull
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of users
    reg : λ, of the kernels of both
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Ratings are ignored: whatever a user has is a like.
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 128,
        shown: float = 0.03,
        zeros: float = 0.7,
        zeros_weight: float = 0.1,
        epochs: int = 40,
        learning_rate: float = 0.002,
        reg: float = 1e-3,
        batch_size: int = 64,
        optimizer: str = "adam",
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.shown = shown
        self.zeros = zeros
        self.zeros_weight = zeros_weight
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> CFGANNetwork:
        return CFGANNetwork(n_items, self.factors)

    def _objective(self, network: CFGANNetwork, batch: dict):
        row, made = batch["row"], ops.sigmoid(network(batch["row"]))
        visible = made * batch["shown"]
        # Each player's part reaches its own parameters alone.
        caught = ops.softplus(-network.judge(row, row, learns=True))
        caught = caught + ops.softplus(network.judge(ops.stop_gradient(visible), row, learns=True))
        fooled = ops.softplus(-network.judge(visible, row, learns=False))
        fooled = fooled + self.zeros_weight * ops.sum(ops.square(made * batch["zeros"]), axis=1)
        penalty = sum(ops.sum(ops.square(one)) for one in network.trainable_weights if len(one.shape) == 2)
        return ops.mean(caught + fooled) + self.reg * penalty

    def _reconstructed(self, table: np.ndarray) -> np.ndarray:
        with keras.device(self.device_):
            return self._to_numpy(self._network(self._to_tensor(table)))
