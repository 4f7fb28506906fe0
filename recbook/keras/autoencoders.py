"""AutoRec, Mult-VAE and CFGAN in Keras (chapter `autoencoders`)."""

from __future__ import annotations

import keras
from keras import ops

from recbook.keras._model import KerasModel
from recbook.shared import autoencoders as shared


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


class AutoRec(shared.AutoRec, KerasModel):
    def _make_network(self, n_users: int, n_items: int) -> AutoRecNetwork:
        return AutoRecNetwork(self._width(n_users, n_items), self.factors)

    def _objective(self, network: AutoRecNetwork, batch: dict):
        row = batch["row"]
        error = ops.where(ops.isnan(row), 0.0, row - network(row))
        penalty = ops.sum(ops.square(network.encoder)) + ops.sum(ops.square(network.decoder))
        penalty = penalty / network.decoder.shape[1]
        return ops.sum(ops.square(error)) / ops.sum(batch["length"]) + self.reg / 2 * penalty


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


class MultVAE(shared.MultVAE, KerasModel):
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


class CFGAN(shared.CFGAN, KerasModel):
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
