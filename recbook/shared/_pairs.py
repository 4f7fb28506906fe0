"""Examples that are pairs of a user and an item, and people never seen as what fits their pairs best."""

from __future__ import annotations

import numpy as np

from recbook.core import blocks
from recbook.core.ragged import blocks_by_length
from recbook.interactions import Interactions
from recbook.recommender import Coded, Recommender
from recbook.sampling import NegativeSampler
from recbook.shared._training import check_binary
from recbook.shared._vectors import Side

LOSSES = ("squared", "logistic")
NEWTON_STEPS, HALVINGS = 25, 30


class TaskByLoss:
    """`task` of a class whose loss decides it: squared error predicts ratings, the others do what is said here.

    Asked of the class itself it is "rating", which is what the default loss makes of it.
    """

    def __init__(self, otherwise: str):
        self.otherwise = otherwise

    def __get__(self, model, cls) -> str:
        return "rating" if model is None or model.loss == "squared" else self.otherwise


# ---------------------------------------------------------------- examples


class PairExamples:
    """Ratings as they are, or, with the logistic loss, each row as a positive and `negatives` items drawn for it.

    train : whose pairs are no negatives;  loss : of LOSSES
    negatives : how many for each positive; 0 takes the ratings as targets, which must then be 0 or 1
    n_items : how many of the items may be drawn, from the first; all, where it is None
    """

    def __init__(
        self, train: Coded, user_ids: np.ndarray, loss: str, negatives: int, n_items: int | None = None
    ):
        self.train, self.loss, self.negatives = train, loss, negatives
        self.draws = loss == "logistic" and negatives > 0
        if self.draws:
            n_items = train.n_items if n_items is None else n_items
            self.sampler = NegativeSampler(
                train.users, train.items, train.n_users, n_items, user_ids=user_ids
            )

    @classmethod
    def kept(
        cls, model: Recommender, train: Coded, loss: str, negatives: int, n_items: int | None = None
    ) -> PairExamples:
        """Those of a model, made once for its train."""
        known = model.__dict__.get("_pairs")
        if known is None or known.train is not train:
            known = model.__dict__["_pairs"] = cls(train, model.user_ids_, loss, negatives, n_items)
        return known

    def of(self, x: Coded, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Users, items, targets, and the row of `x` that each belongs to: a negative to that of its positive."""
        rows = np.arange(len(x.users))
        if not self.draws:
            return x.users, x.items, x.rated, rows
        drawn = self.sampler.draw(x.users, self.negatives, rng)
        rows = np.concatenate([rows, np.repeat(rows, self.negatives)])
        items = np.concatenate([x.items, drawn.ravel()])
        return x.users[rows], items, (np.arange(len(rows)) < len(x.users)).astype(float), rows

    def measured(self, targets: np.ndarray, scores: np.ndarray) -> tuple[str, float]:
        """What is measured on validation data: the error of ratings, or the logistic loss of logits."""
        z = scores.astype(np.float64)
        if self.loss == "squared":
            return "validation_rmse", float(np.sqrt(np.square(z - targets).mean()))
        return "validation_loss", float((np.logaddexp(0, z) - targets * z).mean())


def same_draws(model) -> np.random.Generator:
    """For negatives of validation data, the same after every epoch."""
    return np.random.default_rng([model.seed, 1])


def mean_score(train: Coded, loss: str, negatives: int) -> float:
    """A constant to start from: the mean rating, or the logit of the share of positive examples."""
    if loss == "squared":
        return float(train.rated.mean())
    positive = 1 / (1 + negatives) if negatives else train.rated.mean()
    positive = np.clip(positive, 1e-6, 1 - 1e-6)
    return float(np.log(positive / (1 - positive)))


def check_pair_targets(model: Recommender, x: Interactions, loss: str, negatives: int) -> None:
    """Raises ValueError where the logistic loss is to learn from ratings that are not 0 and 1."""
    if loss == "logistic" and negatives == 0:
        who = f"{type(model).__name__} with loss='logistic' and negatives=0"
        check_binary(who, x, "or ask for negatives=4: then each row is a positive")


# ---------------------------------------------------------------- people never seen


def fold_in(
    histories: Coded,
    q: np.ndarray,
    offset: np.ndarray,
    reg: float,
    loss: str = "squared",
    negatives: int = 0,
    biased: bool = True,
    given: np.ndarray | None = None,
) -> Side:
    """p_u and b_u of new people: what makes their own part of the objective smallest, items as they are.

    q, offset : (n_items, factors) and (n_items,), what items add to everybody's score, float64
    biased : False has no b_u, which is then 0;  given : (n_users, factors) what is added to p_u and is not learnt

    With squared error that is one ridge regression each, with the logistic loss a few steps of Newton's method; where
    negatives are drawn, on the mean over all draws: each item that is not in the history weighs
    `negatives` · n / (number of such items).

    Returns (n_users, factors) and (n_users,), float32.
    """
    x = np.column_stack([q, np.ones(len(q))]) if biased else q
    found = np.zeros((histories.n_users, q.shape[1] + 1), np.float32)
    by_user = histories.by_user
    everything = loss == "logistic" and negatives > 0
    lengths = np.full(histories.n_users, len(q)) if everything else by_user.lengths
    for block in blocks_by_length(lengths, max(1, blocks.CELLS // x.shape[1])):
        rows, real = by_user.padded(block)
        if everything:
            items = np.broadcast_to(np.arange(len(q)), (len(block), len(q)))
            targets, weights = likes_against_all(histories, rows, real, len(q), negatives)
        else:
            items, targets, weights = histories.items[rows], histories.rated[rows], real.astype(float)
        start = offset[items]
        if given is not None:
            start = start + np.einsum("plk,pk->pl", q[items], given[block])
        found[block, : x.shape[1]] = _best_vectors(x[items], targets, start, weights, reg, loss)
    return found[:, :-1], found[:, -1]


def likes_against_all(
    histories: Coded, rows: np.ndarray, real: np.ndarray, n_items: int, negatives: int
) -> tuple[np.ndarray, np.ndarray]:
    """Targets and weights of people with all items: what they met against all else, which weighs `negatives` times it.

    rows, real : (people, longest), as `Ragged.padded` gives them. Both are (people, n_items).
    """
    targets = np.zeros((len(rows), n_items))
    who, place = np.nonzero(real)
    targets[who, histories.items[rows[who, place]]] = 1
    n = targets.sum(1, keepdims=True)
    return targets, np.where(targets == 1, 1.0, negatives * n / np.maximum(n_items - n, 1))


def _best_vectors(x, targets, offset, weights, reg: float, loss: str) -> np.ndarray:
    """w that makes Σ weights · (loss(target, offset + xᵀw) + reg ‖w‖²) smallest, (people, columns of x).

    x : (people, items, columns);  the others : (people, items)
    """
    pull = 2 * reg * weights.sum(1)
    # Somebody with no history keeps w = 0; the 1 keeps the system regular.
    ridge = np.where(weights.sum(1) > 0, np.maximum(pull, 1e-9), 1.0)[:, None, None] * np.eye(x.shape[2])
    if loss == "logistic":
        return most_likely(x, targets, offset, weights, ridge)
    gradient = np.einsum("pl,plk->pk", 2 * weights * (offset - targets), x)
    hessian = np.swapaxes(x * (2 * weights)[..., None], 1, 2) @ x + ridge
    return -np.linalg.solve(hessian, gradient[..., None])[..., 0]


def most_likely(x, labels, offset, weights, ridge: np.ndarray) -> np.ndarray:
    """w that makes Σ weights · (log(1 + e^z) - label · z) + ½ wᵀ ridge w smallest, z = offset + xᵀw: (people, d).

    x : (people, items, d);  labels, weights : (people, items);  offset : likewise, or (items,)
    ridge : (people, d, d), or (d, d), positive definite

    Newton's method. A step that would not lead down is halved: a full one can jump over the optimum where the labels
    are nearly separable and the ridge is small, and come back never.
    """

    def objective(w):
        z = offset + np.einsum("plk,pk->pl", x, w)
        pull = (w * (ridge @ w[..., None])[..., 0]).sum(1)
        return (weights * (np.logaddexp(0, z) - labels * z)).sum(1) + pull / 2

    w = np.zeros((len(x), x.shape[2]))
    value = objective(w)
    for _ in range(NEWTON_STEPS):
        p = 0.5 * (1 + np.tanh((offset + np.einsum("plk,pk->pl", x, w)) / 2))
        gradient = np.einsum("pl,plk->pk", weights * (p - labels), x) + (ridge @ w[..., None])[..., 0]
        hessian = np.swapaxes(x * (weights * p * (1 - p))[..., None], 1, 2) @ x + ridge
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        promised = (gradient * step).sum(1)
        if promised.max() < 1e-12:
            break
        size = np.ones(len(x))
        for _ in range(HALVINGS):
            reached = objective(w - size[:, None] * step)
            short = reached > value - 1e-4 * size * promised + 1e-12 * np.abs(value)
            if not short.any():
                break
            size[short] /= 2
        w, value = w - size[:, None] * step, reached
    return w
