"""Neural collaborative filtering: what both wings share (chapter `ncf`)."""

from __future__ import annotations

import numpy as np

from recbook.recommender import Coded, choice, device, number, seed, whole, widths
from recbook.shared._pairs import fold_in
from recbook.shared._training import OPTIMIZERS
from recbook.shared.embeddings import PairNetworkModel, Shapes, Tables, mlp_shapes


class GMF(PairNetworkModel):
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

    task = "ranking"
    supports = frozenset({"histories", "similar_items"})
    _blank_without_history = True  # p = 0
    _kinds = ("factors",)

    factors: int = whole(32, search=(8, 64, "log"))
    epochs: int = whole(15, search=(3, 40, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.01, 0, search=(0.001, 0.1, "log"))
    negatives: int = whole(4, 0)
    batch_size: int | None = whole(2048, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _people(self, histories: Coded | None) -> Tables:
        """p; of people never seen the one that fits best, the items and h as they are."""
        if histories is None:
            return self._tables("user")
        # The penalty Σ |h_k| p_k², equation (ncf-penalty), is ‖p'‖² with p' = √|h| ⊙ p, and the score is
        # p'ᵀ(sign(h) √|h| ⊙ q): in p' it is the fold-in of matrix factorisation.
        learnt = {name: values.astype(np.float64) for name, values in self._get_parameters().items()}
        h = learnt["gmf_head"]
        q = np.sign(h) * np.sqrt(np.abs(h)) * learnt["item_factors"]
        offset = np.full(len(q), learnt["bias"])
        p, _ = fold_in(histories, q, offset, self.reg, "logistic", self.negatives, biased=False)
        root = np.sqrt(np.abs(self._get_parameters()["gmf_head"]))
        return [np.divide(p, root, out=np.zeros_like(p), where=root > 0)]

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        return gmf_shapes(n_users, n_items, self.factors) | {"bias": ()}


class MLP(PairNetworkModel):
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

    task = "ranking"

    factors: int = whole(32, search=(8, 64, "log"))
    layers: tuple[int, ...] = widths((32, 16, 8), search=[(), (32,), (32, 16, 8), (64, 32, 16)])
    epochs: int = whole(12, search=(3, 40, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.01, 0, search=(0.001, 0.1, "log"))
    reg_layers: float = number(0.0001, 0, search=(1e-6, 1e-2, "log"))
    negatives: int = whole(4, 0)
    batch_size: int | None = whole(2048, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _width(self) -> int:
        return max(2 * self.factors, *self.layers, 1)

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        return mlp_shapes(n_users, n_items, self.factors, self.layers) | {"bias": ()}


class NeuMF(PairNetworkModel):
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

    task = "ranking"
    _kinds = ("factors", "embedding")

    factors: int = whole(32, search=(8, 64, "log"))
    mlp_factors: int = whole(32, search=(8, 64, "log"))
    layers: tuple[int, ...] = widths((32, 16, 8), search=[(), (32,), (32, 16, 8), (64, 32, 16)])
    epochs: int = whole(10, search=(3, 40, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.01, 0, search=(0.001, 0.1, "log"))
    reg_layers: float = number(0.0001, 0, search=(1e-6, 1e-2, "log"))
    negatives: int = whole(4, 0)
    batch_size: int | None = whole(2048, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.1, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _width(self) -> int:
        return max(2 * self.mlp_factors, *self.layers, 1)

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        linear = gmf_shapes(n_users, n_items, self.factors)
        return linear | mlp_shapes(n_users, n_items, self.mlp_factors, self.layers) | {"bias": ()}


def gmf_shapes(n_users: int, n_items: int, factors: int) -> Shapes:
    return {
        "user_factors": (n_users, factors),
        "item_factors": (n_items, factors),
        "gmf_head": (factors,),
    }
