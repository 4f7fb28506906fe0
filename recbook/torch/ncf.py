"""Neural collaborative filtering in PyTorch: GMF, MLP, NeuMF (chapter `ncf`)."""

from __future__ import annotations

import torch
from torch import Tensor

from recbook.neural import GMFModel, gmf_shapes, mlp_shapes
from recbook.recommender import check_number
from recbook.torch.embeddings import MLPNetwork, PairNetwork, Vectors, _Pairs


class GMFNetwork(PairNetwork):
    """ŷ_ui = b + hᵀ(p_u ⊙ q_i), equation (ncf-gmf)."""

    kinds = ("factors",)

    def __init__(self, n_users: int, n_items: int, factors: int):
        super().__init__()
        self.add_parameters({"bias": (), **gmf_shapes(n_users, n_items, factors)})

    def score(self, users: Vectors, items: Vectors) -> Tensor:
        return self.bias + (users[0] * items[0]) @ self.gmf_head

    def score_all(self, users: Vectors, items: Vectors) -> Tensor:
        return self.bias + (users[0] * self.gmf_head) @ items[0].T

    def size(self, users: Vectors, items: Vectors) -> Tensor:
        return weighed(self.gmf_head, users[0], items[0])


def weighed(head: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """Σ_k |h_k| (p_k² + q_k²): without |h_k|, h could grow while p and q shrink, and nothing would be held."""
    return (p**2 + q**2) @ torch.abs(head)


class NeuMFNetwork(MLPNetwork):
    """ŷ_ui = b + hᵀ(p_u ⊙ q_i) + wᵀx_L: both branches, each with vectors of its own, equation (ncf-neumf)."""

    kinds = ("factors", "embedding")

    def __init__(self, n_users: int, n_items: int, factors: int, mlp_factors: int, layers: tuple[int, ...]):
        super().__init__(n_users, n_items, mlp_factors, layers)
        self.add_parameters(gmf_shapes(n_users, n_items, factors))

    def score(self, users: Vectors, items: Vectors) -> Tensor:
        return super().score(users, items) + (users[0] * items[0]) @ self.gmf_head

    def score_all(self, users: Vectors, items: Vectors) -> Tensor:
        return super().score_all(users, items) + (users[0] * self.gmf_head) @ items[0].T

    def size(self, users: Vectors, items: Vectors) -> Tensor:
        return super().size(users[1:], items[1:]) + weighed(self.gmf_head, users[0], items[0])


class _NCF(_Pairs):
    """Trained on who met what, with negatives drawn."""

    task = "ranking"
    loss = "logistic"


class GMF(GMFModel, _NCF):
    """Generalised matrix factorisation, the linear branch of NCF (He et al. 2017).

    ŷ_ui = b + hᵀ(p_u ⊙ q_i), equation (ncf-gmf): a dot product whose terms have learnt weights. Trained on the mean
    over positives and drawn negatives of the logistic loss + reg Σ_k |h_k| (p_uk² + q_ik²), equations
    (ncf-objective) and (ncf-penalty). h starts at 1, where GMF is a plain dot product.

    factors : length of p, q and h;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each example
    negatives : items drawn for each positive among those the user did not meet, anew in each epoch, a pair
        that stands twice being two positives; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of p and q
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    supports = frozenset({"histories", "similar_items"})

    def __init__(
        self,
        factors: int = 32,
        epochs: int = 15,
        learning_rate: float = 0.005,
        reg: float = 0.01,
        negatives: int = 4,
        batch_size: int = 2048,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.negatives = negatives
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> GMFNetwork:
        return GMFNetwork(n_users, n_items, self.factors)


class MLP(_NCF):
    """The multi-layer branch of NCF (He et al. 2017): a learnt function in place of the dot product.

    ŷ_ui = b + wᵀx_L with x_0 = [p_u; q_i] and x_l = relu(W_lᵀ x_(l-1) + b_l), equation (em-mlp). Trained on the mean
    over positives and drawn negatives of the logistic loss + reg (‖p_u‖² + ‖q_i‖²), plus reg_layers times the
    squares of all W_l and w: equation (ncf-objective).

    factors : length of p and q;  layers : widths of the hidden layers
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ of the vectors, of each example;  reg_layers : λ of the layers' weights, once
    negatives : items drawn for each positive among those the user did not meet, anew in each epoch, a pair
        that stands twice being two positives; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of p and q
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    _kinds = ("embedding",)

    def __init__(
        self,
        factors: int = 32,
        layers: tuple[int, ...] = (32, 16, 8),
        epochs: int = 12,
        learning_rate: float = 0.005,
        reg: float = 0.01,
        reg_layers: float = 0.0001,
        negatives: int = 4,
        batch_size: int = 2048,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.layers = layers
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.reg_layers = reg_layers
        self.negatives = negatives
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _make_network(self, n_users: int, n_items: int) -> MLPNetwork:
        return MLPNetwork(n_users, n_items, self.factors, tuple(self.layers))

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return mlp_shapes(n_users, n_items, self.factors, self.layers) | {"bias": ()}


class NeuMF(_NCF):
    """Neural matrix factorisation: both branches of NCF, added up (He et al. 2017).

    ŷ_ui = b + hᵀ(p_u ⊙ q_i) + wᵀx_L, equation (ncf-neumf), the multi-layer branch on vectors of its own. Trained on
    the mean over positives and drawn negatives of the logistic loss + reg (the penalties of both branches' vectors),
    plus reg_layers times the squares of all W_l and w, equation (ncf-objective); from the start, without the
    paper's training of the branches beforehand.

    factors : length of p, q and h;  mlp_factors : length of the other branch's vectors
    layers : widths of its hidden layers
    epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ of the vectors, of each example;  reg_layers : λ of the layers' weights, once
    negatives : items drawn for each positive among those the user did not meet, anew in each epoch, a pair
        that stands twice being two positives; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of all vectors
    patience : epochs without a better validation loss before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    _kinds = ("factors", "embedding")

    def __init__(
        self,
        factors: int = 32,
        mlp_factors: int = 32,
        layers: tuple[int, ...] = (32, 16, 8),
        epochs: int = 10,
        learning_rate: float = 0.005,
        reg: float = 0.01,
        reg_layers: float = 0.0001,
        negatives: int = 4,
        batch_size: int = 2048,
        optimizer: str = "adam",
        init_scale: float = 0.1,
        patience: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.factors = factors
        self.mlp_factors = mlp_factors
        self.layers = layers
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.reg_layers = reg_layers
        self.negatives = negatives
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.init_scale = init_scale
        self.patience = patience
        self.seed = seed
        self.device = device

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_number("mlp_factors", self.mlp_factors, 1, whole=True)

    def _make_network(self, n_users: int, n_items: int) -> NeuMFNetwork:
        return NeuMFNetwork(n_users, n_items, self.factors, self.mlp_factors, tuple(self.layers))

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        linear = gmf_shapes(n_users, n_items, self.factors)
        return linear | mlp_shapes(n_users, n_items, self.mlp_factors, self.layers) | {"bias": ()}
