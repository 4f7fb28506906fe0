"""What the networks on embeddings share in both wings: starts, shapes, unknown ids (chapters `embeddings`, `ncf`).

A network makes a score of vectors of a user and an item. Examples, negatives and validation are those of the
factor models.
"""

from __future__ import annotations

import math

import numpy as np

from recbook.factors import FactorModel
from recbook.recommender import Coded, check_number

Shapes = dict[str, tuple[int, ...]]
CELLS_PER_BLOCK = 4_000_000  # numbers of the widest layer that are held at once where many pairs are scored


class PairModel(FactorModel):
    """Users and items as vectors that a network makes a score of."""

    biased = False  # what a factor model may be and these are not: there are no b_u and b_i
    # The tables of vectors, "user_…" and "item_…", in the order in which a network takes them.
    _kinds: tuple[str, ...] = ()

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        if hasattr(self, "layers"):
            check_layers(self.layers)
            check_number("reg_layers", self.reg_layers, 0)

    # ---------------------------------------------------------------- training

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        shapes = self._parameter_shapes(train.n_users, train.n_items)
        start = {name: self._first_values(name, shape, rng) for name, shape in shapes.items()}
        start["bias"] = np.asarray(self._mean(train))
        return {name: values.astype(np.float32) for name, values in start.items()}

    def _first_values(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Vectors small; kernels such that a layer keeps the size of what it is given (He et al. 2015)."""
        if name.startswith(("user_", "item_")):
            return rng.normal(0.0, self.init_scale, shape)
        if name.startswith("kernel_"):
            return rng.normal(0.0, math.sqrt(2 / shape[0]), shape)
        if name == "mlp_head":
            return rng.normal(0.0, math.sqrt(1 / shape[0]), shape)
        return np.ones(shape) if name == "gmf_head" else np.zeros(shape)

    # ---------------------------------------------------------------- scores

    def _rows_at_once(self, columns: int) -> int:
        """How many rows of so many pairs each may be scored together."""
        d = getattr(self, "mlp_factors", self.factors)
        return max(1, CELLS_PER_BLOCK // max(1, columns * max((2 * d, *getattr(self, "layers", ())))))

    # ---------------------------------------------------------------- hooks: what a wing writes

    def _score_vectors(self, users: list[np.ndarray], items: list[np.ndarray]) -> np.ndarray:
        """Scores of n pairs of vectors, (n,): one array (n, d) for each of `_kinds` on either side."""
        raise NotImplementedError

    # ---------------------------------------------------------------- ids it does not know

    def _prior(self, users, items, histories):
        """Who or what is unknown has the mean of all vectors."""
        learnt = self._get_parameters()

        def rows(side: str, codes: np.ndarray) -> list[np.ndarray]:
            tables = [learnt[f"{side}_{kind}"] for kind in self._kinds]
            if side == "user" and histories is not None:
                tables = [histories.once(self._person)[0]]
            # Code -1 picks the row that is put at the end.
            return [np.vstack([table, table.mean(axis=0, keepdims=True)])[codes] for table in tables]

        return self._score_vectors(rows("user", users), rows("item", items))


class GMFModel(PairModel):
    """ŷ_ui = b + hᵀ(p_u ⊙ q_i), and who is never seen gets the p that fits best, the items and h as they are."""

    _kinds = ("factors",)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return gmf_shapes(n_users, n_items, self.factors) | {"bias": ()}

    def _user_vectors(self, users: np.ndarray, histories) -> list:
        if histories is None:
            return super()._user_vectors(users, histories)
        return [self._to_tensor(histories.once(self._person)[0][users])]

    # The penalty Σ |h_k| p_k², equation (ncf-penalty), is ‖p'‖² with p' = √|h| ⊙ p, and the score is
    # p'ᵀ(sign(h) √|h| ⊙ q): in p' it is the fold-in of matrix factorisation.

    def _item_side(self) -> tuple[np.ndarray, np.ndarray]:
        learnt = {name: values.astype(np.float64) for name, values in self._get_parameters().items()}
        h = learnt["gmf_head"]
        q = np.sign(h) * np.sqrt(np.abs(h)) * learnt["item_factors"]
        return q, np.full(len(q), learnt["bias"])

    def _person(self, histories: Coded) -> tuple[np.ndarray, np.ndarray]:
        p, bias = super()._person(histories)
        root = np.sqrt(np.abs(self._get_parameters()["gmf_head"]))
        return np.divide(p, root, out=np.zeros_like(p), where=root > 0), bias


def gmf_shapes(n_users: int, n_items: int, factors: int) -> Shapes:
    return {
        "user_factors": (n_users, factors),
        "item_factors": (n_items, factors),
        "gmf_head": (factors,),
    }


def mlp_shapes(n_users: int, n_items: int, factors: int, layers: tuple[int, ...]) -> Shapes:
    shapes = {"user_embedding": (n_users, factors), "item_embedding": (n_items, factors)}
    width = 2 * factors
    for n, size in enumerate(layers, start=1):
        shapes |= {f"kernel_{n}": (width, size), f"bias_{n}": (size,)}
        width = size
    return shapes | {"mlp_head": (width,)}


def check_layers(layers) -> None:
    """Raises ValueError where `layers` is no sequence of widths; it may be empty."""
    if not isinstance(layers, tuple | list):
        raise ValueError(f"`layers` is {layers!r}; give the widths of the hidden layers, as (64, 32)")
    for width in layers:
        check_number("layers", width, 1, whole=True)
