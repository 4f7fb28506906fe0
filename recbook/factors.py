"""What the factor models trained by gradient descent share in both wings: examples, starts, new people.

r̂_ui = μ + b_u + b_i + p_uᵀq_i, equation (mf-biased) of the chapter `factorization`.
"""

from __future__ import annotations

import numpy as np

from recbook.biased import parameter_shapes, sum_of_biases
from recbook.interactions import Interactions
from recbook.ragged import blocks_by_length
from recbook.recommender import Coded, check_choice, check_number
from recbook.sampling import NegativeSampler
from recbook.training import Batch, GradientModel, check_binary

LOSSES = ("squared", "logistic")
CELLS_PER_BLOCK = 4_000_000
NEWTON_STEPS, HALVINGS = 25, 30


class TaskByLoss:
    """`task` of a class whose loss decides it: squared error predicts ratings, the others rank.

    Asked of the class itself it is "rating", which is what the default loss makes of it.
    """

    def __get__(self, model, cls) -> str:
        return "rating" if model is None or model.loss == "squared" else "ranking"


class FactorModel(GradientModel):
    """Users and items as vectors, trained on ratings (loss="squared") or on who met what (loss="logistic")."""

    task = TaskByLoss()

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_number("factors", self.factors, 1, whole=True)
        check_number("init_scale", self.init_scale, 0, above=True)
        check_choice("loss", self.loss, LOSSES)
        check_choice("biased", self.biased, (True, False))
        check_number("negatives", self.negatives, 0, whole=True)

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        if self.loss == "logistic" and self.negatives == 0:
            who = f"{type(self).__name__} with loss='logistic' and negatives=0"
            check_binary(who, x, "or ask for negatives=4: then each row is a positive")

    # ---------------------------------------------------------------- training

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        def small(n: int) -> np.ndarray:
            return rng.normal(0.0, self.init_scale, (n, self.factors)).astype(np.float32)

        return {
            "mean": np.asarray(self._mean(train), np.float32),
            "user_bias": np.zeros(train.n_users, np.float32),
            "item_bias": np.zeros(train.n_items, np.float32),
            "user_factors": small(train.n_users),
            "item_factors": small(train.n_items),
        }

    def _mean(self, train: Coded) -> float:
        """The constant of the scores: the mean rating, or the logit of the share of positive examples."""
        if self.loss == "squared":
            return float(train.ratings.mean())
        positive = 1 / (1 + self.negatives) if self.negatives else train.ratings.mean()
        positive = np.clip(positive, 1e-6, 1 - 1e-6)
        return float(np.log(positive / (1 - positive)))

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        if self.loss == "squared" or self.negatives == 0:
            users, items, targets = train.users, train.items, train.ratings
        else:
            users, items, targets = self._with_negatives(self._negative_sampler(train), train, rng)
        return {
            "user": users.astype(np.int32),
            "item": items.astype(np.int32),
            "target": targets.astype(np.float32),
        }

    def _negative_sampler(self, train: Coded) -> NegativeSampler:
        if getattr(self, "_sampler_of", None) is not train:
            self._sampler_of = train
            self._sampler = NegativeSampler(
                train.users, train.items, train.n_users, train.n_items, user_ids=self.user_ids_
            )
        return self._sampler

    def _with_negatives(self, sampler: NegativeSampler, positives: Coded, rng: np.random.Generator):
        """Users, items and targets: each positive, then its `negatives` draws with target 0."""
        drawn = sampler.draw(positives.users, self.negatives, rng)
        users = np.concatenate([positives.users, np.repeat(positives.users, self.negatives)])
        items = np.concatenate([positives.items, drawn.ravel()])
        targets = np.concatenate([np.ones(len(positives.users)), np.zeros(drawn.size)])
        return users, items, targets

    def _validate(self, validation: Coded) -> tuple[str, float]:
        if self.loss == "squared":
            errors = self._predict(validation.users, validation.items, None, None) - validation.ratings
            return "validation_rmse", float(np.sqrt(np.square(errors).mean()))
        users, items, targets = validation.users, validation.items, validation.ratings
        if self.negatives:
            fixed = np.random.default_rng([self.seed, 1])  # the same negatives after every epoch
            sampler = self._negative_sampler(self._train)
            users, items, targets = self._with_negatives(sampler, validation, fixed)
        z = self._predict(users, items, None, None).astype(np.float64)
        return "validation_loss", float((np.logaddexp(0, z) - targets * z).mean())

    # ---------------------------------------------------------------- people it never saw

    def _fold_in(self, histories: Coded, given: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """p_u and b_u of new people: what makes their own part of the objective smallest, items as they are.

        given : (n_users, factors) what is added to p_u and is not learnt

        With squared error that is one ridge regression each, with the logistic loss a few steps of Newton's
        method; where negatives are drawn, on the mean over all draws: each item that is not in the history
        weighs `negatives` · n / (number of such items).

        Returns (n_users, factors) and (n_users,), float32.
        """
        q, offset = self._item_side()
        x = np.column_stack([q, np.ones(len(q))]) if self.biased else q
        found = np.zeros((histories.n_users, self.factors + 1), np.float32)
        by_user = histories.by_user()
        everything = self.loss == "logistic" and self.negatives > 0
        lengths = np.full(histories.n_users, len(q)) if everything else by_user.lengths
        for block in blocks_by_length(lengths, max(1, CELLS_PER_BLOCK // x.shape[1])):
            rows, real = by_user.padded(block)
            if everything:
                items = np.broadcast_to(np.arange(len(q)), (len(block), len(q)))
                targets = np.zeros(items.shape)
                who, place = np.nonzero(real)
                targets[who, histories.items[rows[who, place]]] = 1
                n = targets.sum(1, keepdims=True)
                rest = self.negatives * n / np.maximum(len(q) - n, 1)
                weights = np.where(targets == 1, 1.0, rest)
            else:
                items, targets, weights = histories.items[rows], histories.ratings[rows], real.astype(float)
            start = offset[items]
            if given is not None:
                start = start + np.einsum("plk,pk->pl", q[items], given[block])
            w = self._best_vectors(x[items], targets, start, weights)
            found[block, : x.shape[1]] = w
        return found[:, : self.factors], found[:, self.factors]

    def _person(self, histories: Coded) -> tuple[np.ndarray, np.ndarray]:
        """p_u and b_u of new people: what `_fold_in` finds, in a model that gives them nothing else."""
        return self._fold_in(histories)

    def _item_side(self) -> tuple[np.ndarray, np.ndarray]:
        """q of all items, and what they add to everybody's score: (n_items, factors) and (n_items,), float64."""
        learnt = self._get_parameters()
        q = learnt["item_factors"].astype(np.float64)
        return q, learnt["mean"] + learnt["item_bias"].astype(np.float64) if self.biased else np.zeros(len(q))

    def _best_vectors(self, x, targets, offset, weights) -> np.ndarray:
        """w that makes Σ weights · (loss(target, offset + xᵀw) + reg ‖w‖²) smallest, (people, columns of x).

        x : (people, items, columns);  the others : (people, items)
        """
        pull = 2 * self.reg * weights.sum(1)
        # Somebody with no history keeps w = 0; the 1 keeps the system regular.
        ridge = np.where(weights.sum(1) > 0, np.maximum(pull, 1e-9), 1.0)[:, None, None] * np.eye(x.shape[2])
        if self.loss == "logistic":
            return most_likely(x, targets, offset, weights, ridge)
        gradient = np.einsum("pl,plk->pk", 2 * weights * (offset - targets), x)
        hessian = np.swapaxes(x * (2 * weights)[..., None], 1, 2) @ x + ridge
        return -np.linalg.solve(hessian, gradient[..., None])[..., 0]

    # ---------------------------------------------------------------- ids it does not know, and files

    def _prior(self, users, items, histories):
        learnt = self._get_parameters()
        if not self.biased:
            return np.full(len(users), learnt["mean"])
        user_bias = learnt["user_bias"] if histories is None else histories.once(self._person)[1]
        return sum_of_biases(learnt["mean"], user_bias, learnt["item_bias"], users, items)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return parameter_shapes(n_users, n_items, self.factors)


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
