"""AutoRec, Mult-VAE and CFGAN in PyTorch (chapter `autoencoders`)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbook.shared import autoencoders as shared
from recbook.torch._model import TorchModel


def kernel(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


class AutoRecNetwork(nn.Module):
    """h(r) = W g(V r + μ) + b, g the sigmoid, equation (ae-autorec). NaN in a row, no rating, is 0 for V."""

    def __init__(self, width: int, factors: int):
        super().__init__()
        self.encoder, self.encoder_bias = kernel(width, factors), kernel(factors)
        self.decoder, self.decoder_bias = kernel(factors, width), kernel(width)

    def encode(self, row: Tensor) -> Tensor:
        filled = torch.where(row.isnan(), 0.0, row)
        return torch.sigmoid(filled @ self.encoder + self.encoder_bias)

    def forward(self, row: Tensor) -> Tensor:
        return self.encode(row) @ self.decoder + self.decoder_bias


class AutoRec(shared.AutoRec, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> AutoRecNetwork:
        return AutoRecNetwork(self._width(n_users, n_items), self.factors)

    def _objective(self, network: AutoRecNetwork, batch: dict[str, Tensor]) -> Tensor:
        row = batch["row"]
        error = torch.where(row.isnan(), 0.0, row - network(row))
        penalty = (network.encoder.square().sum() + network.decoder.square().sum()) / network.decoder.shape[1]
        return error.square().sum() / batch["length"].sum() + self.reg / 2 * penalty


class MultVAENetwork(nn.Module):
    """q(z|x) = N(centre, e^log_variance), equation (ae-encoder), and log π(z), equation (ae-decoder)."""

    def __init__(self, n_items: int, hidden: int, factors: int):
        super().__init__()
        self.encoder, self.encoder_bias = kernel(n_items, hidden), kernel(hidden)
        self.centre, self.centre_bias = kernel(hidden, factors), kernel(factors)
        self.log_variance, self.log_variance_bias = kernel(hidden, factors), kernel(factors)
        self.decoder, self.decoder_bias = kernel(factors, hidden), kernel(hidden)
        self.output, self.output_bias = kernel(hidden, n_items), kernel(n_items)

    def encode(self, kept: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and logarithm of the variance; kept : what dropout left of the row, over 1 - dropout."""
        length = row.square().sum(1, keepdim=True).sqrt().clamp(min=1)  # 1 for an empty row
        h = torch.tanh(kept / length @ self.encoder + self.encoder_bias)
        return h @ self.centre + self.centre_bias, h @ self.log_variance + self.log_variance_bias

    def decode(self, z: Tensor) -> Tensor:
        h = torch.tanh(z @ self.decoder + self.decoder_bias)
        return F.log_softmax(h @ self.output + self.output_bias, 1)

    def forward(self, row: Tensor) -> Tensor:
        return self.decode(self.encode(row, row)[0])


class MultVAE(shared.MultVAE, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> MultVAENetwork:
        return MultVAENetwork(n_items, self.hidden, self.factors)

    def _objective(self, network: MultVAENetwork, batch: dict[str, Tensor]) -> Tensor:
        centre, log_variance = network.encode(batch["kept"], batch["row"])
        z = centre + torch.exp(0.5 * log_variance) * batch["noise"]
        surprise = -(batch["row"] * network.decode(z)).sum(1)
        divergence = 0.5 * (log_variance.exp() + centre.square() - 1 - log_variance).sum(1)
        penalty = sum(values.square().sum() for values in network.parameters() if values.ndim == 2)
        return (surprise + batch["beta"] * divergence).mean() + self.reg * penalty


class CFGANNetwork(nn.Module):
    """A generator of rows, equation (ae-generator), and a discriminator of them, (ae-discriminator)."""

    def __init__(self, n_items: int, factors: int):
        super().__init__()
        self.generator, self.generator_bias = kernel(n_items, factors), kernel(factors)
        self.generator_output, self.generator_output_bias = kernel(factors, n_items), kernel(n_items)
        self.discriminator = kernel(n_items, factors)
        self.discriminator_condition = kernel(n_items, factors)
        self.discriminator_bias = kernel(factors)
        self.discriminator_output, self.discriminator_output_bias = kernel(factors, 1), kernel(1)

    def forward(self, row: Tensor) -> Tensor:
        """The generator's logits for whole rows."""
        h = torch.tanh(row @ self.generator + self.generator_bias)
        return h @ self.generator_output + self.generator_output_bias

    def judge(self, made: Tensor, row: Tensor, learns: bool) -> Tensor:
        """The logit of `made` being the real row of who has `row`, (n,); learns=False keeps the judge as it is."""
        parameters = (
            self.discriminator,
            self.discriminator_condition,
            self.discriminator_bias,
            self.discriminator_output,
            self.discriminator_output_bias,
        )
        V, C, b, w, c = parameters if learns else (values.detach() for values in parameters)
        return (torch.tanh(made @ V + row @ C + b) @ w + c)[:, 0]


class CFGAN(shared.CFGAN, TorchModel):
    def _make_network(self, n_users: int, n_items: int) -> CFGANNetwork:
        return CFGANNetwork(n_items, self.factors)

    def _objective(self, network: CFGANNetwork, batch: dict[str, Tensor]) -> Tensor:
        row, made = batch["row"], torch.sigmoid(network(batch["row"]))
        visible = made * batch["shown"]
        # Each player's part reaches its own parameters alone.
        caught = F.softplus(-network.judge(row, row, learns=True))
        caught = caught + F.softplus(network.judge(visible.detach(), row, learns=True))
        fooled = F.softplus(-network.judge(visible, row, learns=False))
        fooled = fooled + self.zeros_weight * (made * batch["zeros"]).square().sum(1)
        penalty = sum(values.square().sum() for values in network.parameters() if values.ndim == 2)
        return (caught + fooled).mean() + self.reg * penalty
