"""What factorisation machines and LightFM share in both wings: examples, starts, sides, people never seen.

Equations (fm-…) are those of the chapter `factorization_machines`. A pair's features fall into two sides: those of
the user and of the moment on the left, those of the item on the right.
"""

from __future__ import annotations

import numpy as np

from recbook.factors import CELLS_PER_BLOCK, FactorModel, most_likely
from recbook.field_models import FieldModel
from recbook.fields import parse_spec
from recbook.ragged import blocks_by_length
from recbook.recommender import Coded, Recommender, check_choice, check_number
from recbook.sampling import NegativeSampler
from recbook.training import Batch
from recbook.vectors import cosines

HYBRID_LOSSES = ("logistic", "bpr", "warp")
FREE = 1e-3  # the ridge on a new person's own bias: nearly none


def side_of(field: str) -> str | None:
    """ "left" (users and context), "right" (items), or None for a cross of both."""
    sides = {"right" if part == "item" or part.startswith("items.") else "left" for part in field.split("*")}
    return sides.pop() if len(sides) == 1 else None


def nobody(n: int) -> np.ndarray:
    """n codes of what has no features."""
    return np.full(n, -1)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(z / 2))


def sampler_of_met(model: Recommender, train: Coded) -> NegativeSampler:
    """Draws among the items met in train: one that only the table knows is no negative."""
    n_met = int(train.items.max()) + 1
    return NegativeSampler(train.users, train.items, train.n_users, n_met, user_ids=model.user_ids_)


class ClickByLoss:
    """`task` of a class whose loss decides it: squared error predicts ratings, the logistic loss clicks."""

    def __get__(self, model, cls) -> str:
        return "click" if model is not None and model.loss == "logistic" else "rating"


# ---------------------------------------------------------------- factorisation machines


class MachineModel(FieldModel, FactorModel):
    """A factorisation machine on the features of pairs. A wing adds `_scores` and `_sums`."""

    task = ClickByLoss()
    biased = True  # in the sense of FactorModel: a person has a bias of their own

    def _scores(self, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        """ŷ of n rows, (n,)."""
        raise NotImplementedError

    def _sums(self, index: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of n rows: wᵀx and the crosses among them, (n,); and Σ_a v_a x_a, (n, factors)."""
        raise NotImplementedError

    # ---------------------------------------------------------------- training

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        shape = self._fields.n_features, self.factors
        return {
            "constant": np.asarray(self._mean(train), np.float32),
            "weights": np.zeros(shape[0], np.float32),
            "factors": rng.normal(0.0, self.init_scale, shape).astype(np.float32),
        }

    def _negative_sampler(self, train: Coded) -> NegativeSampler:
        if getattr(self, "_sampler_of", None) is not train:
            self._sampler_of, self._sampler = train, sampler_of_met(self, train)
        return self._sampler

    def _targets(self, x: Coded, rng: np.random.Generator):
        """Users, items, targets, and the context of each: a negative has that of its positive."""
        if self.loss == "squared" or self.negatives == 0:
            return x.users, x.items, x.ratings, x.extra
        users, items, targets = self._with_negatives(self._negative_sampler(self._train), x, rng)
        rows = np.concatenate([np.arange(len(x.users)), np.repeat(np.arange(len(x.users)), self.negatives)])
        return users, items, targets, {name: column[rows] for name, column in x.extra.items()}

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        users, items, targets, context = self._targets(train, rng)
        index, value = self._fields.coded_rows(users, items, context)
        return {"index": index, "value": value, "target": targets.astype(np.float32)}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        fixed = np.random.default_rng([self.seed, 1])  # the same negatives after every epoch
        users, items, targets, context = self._targets(validation, fixed)
        z = self._raw(users, items, None, context).astype(np.float64)
        if self.loss == "squared":
            return "validation_rmse", float(np.sqrt(np.square(z - targets).mean()))
        return "validation_loss", float((np.logaddexp(0, z) - targets * z).mean())

    # ---------------------------------------------------------------- scores

    def _blocks(self, n: int):
        step = max(1, CELLS_PER_BLOCK // (self._fields.width * (self.factors + 2)))
        return (slice(start, start + step) for start in range(0, n, step))

    def _all_sums(self, index: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [self._sums(index[block], value[block]) for block in self._blocks(len(index))]
        return np.concatenate([own for own, _ in parts]), np.concatenate([total for _, total in parts])

    def _raw(self, users, items, histories: Coded | None, context) -> np.ndarray:
        """ŷ of n pairs; code -1 stands for what is unknown."""
        if histories is None:
            index, value = self._fields.coded_rows(users, items, context)
            return np.concatenate(
                [self._scores(index[block], value[block]) for block in self._blocks(len(index))]
            )
        p, b = histories.once(self._fold_in)
        own, total = self._all_sums(*self._fields.coded_rows(nobody(len(items)), items, context))
        # Code -1 picks the zeros put at the end: a person nobody knows.
        p, b = (
            np.vstack([p, np.zeros((1, p.shape[1]), np.float32)])[users],
            np.append(b, np.float32(0))[users],
        )
        return self._get_parameters()["constant"] + own + b + (p * total).sum(1)

    def _linked(self, scores: np.ndarray) -> np.ndarray:
        return sigmoid(scores) if self.loss == "logistic" else scores

    def _predict(self, users, items, histories, context) -> np.ndarray:
        self._fields.check_context(context, len(users))
        return self._linked(self._raw(users, items, histories, context))

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        if any(side_of(field) is None for field in self.fields):
            return super()._score_matrix(users, items, histories, context)
        self._fields.check_context(context, len(users))
        items = np.arange(len(self.item_ids_)) if items is None else items
        own, total = self._left(users, histories, context)
        own_of_items, total_of_items = self._right(items)
        constant = self._get_parameters()["constant"]
        return self._linked(constant + own[:, None] + own_of_items + total @ total_of_items.T)

    def _left(self, users, histories: Coded | None, context) -> tuple[np.ndarray, np.ndarray]:
        """What people and their moment add to a score, and their vectors: (n,) and (n, factors)."""
        known = users if histories is None else nobody(len(users))
        own, total = self._all_sums(*self._fields.coded_rows(known, nobody(len(users)), context))
        if histories is None:
            return own, total
        p, b = histories.once(self._fold_in)
        return own + b[users] + (p[users] * total).sum(1), total + p[users]

    def _right(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._all_sums(*self._fields.coded_rows(nobody(len(items)), items))

    def _item_side(self) -> tuple[np.ndarray, np.ndarray]:
        own, total = self._right(np.arange(len(self._item_index)))
        return total.astype(np.float64), own + self._get_parameters()["constant"].astype(np.float64)

    def _fold_in(self, histories: Coded) -> tuple[np.ndarray, np.ndarray]:
        if "user" in self.fields:
            return super()._fold_in(histories)
        # Nothing of a person alone is learnt: a new one is everybody.
        return np.zeros((histories.n_users, self.factors), np.float32), np.zeros(
            histories.n_users, np.float32
        )

    def _prior(self, users, items, histories) -> np.ndarray:
        return self._linked(self._raw(users, items, histories, None))

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        total = self._right(np.arange(len(self._item_index)))[1]
        return cosines(total, items)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        n = self._fields.n_features if hasattr(self, "_fields") else 0
        return {"constant": (), "weights": (n,), "factors": (n, self.factors)}


# ---------------------------------------------------------------- LightFM


class HybridModel(FieldModel):
    """Users and items as sums of their features' vectors. A wing adds `_user_vectors` and `_item_vectors`."""

    def _user_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """p and b of everybody in train: (n_users, factors) and (n_users,)."""
        raise NotImplementedError

    def _item_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """q and b of all items, those of the table alone too: (n_items, factors) and (n_items,)."""
        raise NotImplementedError

    # ---------------------------------------------------------------- training

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_number("factors", self.factors, 1, whole=True)
        check_number("init_scale", self.init_scale, 0, above=True)
        check_choice("loss", self.loss, HYBRID_LOSSES)
        check_number("negatives", self.negatives, 1, whole=True)
        check_number("max_sampled", self.max_sampled, 1, whole=True)
        sides = {field: side_of(field) for field in parse_spec(self.fields)}
        for field, side in sides.items():
            if strangers := [part for part in field.split("*") if not part.startswith(("user", "item"))]:
                raise ValueError(
                    f"`fields`: {strangers[0]!r} is no field of users or items, and LightFM knows no other; leave it "
                    "out, or take FactorizationMachine"
                )
            if side is None:
                raise ValueError(
                    f"`fields`: {field!r} crosses a user's field with an item's; LightFM crosses all of these itself"
                )
        for side, example in (("left", "user"), ("right", "item")):
            if side not in sides.values():
                raise ValueError(f"`fields` is {self.fields!r}, without one of {example}s; add {example!r}")

    def _sides(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Index and value of all users' features, then of all items'; without columns that are always 0."""
        n_users, n_items = len(self._user_index), len(self._item_index)
        left = self._fields.coded_rows(np.arange(n_users), nobody(n_users))
        right = self._fields.coded_rows(nobody(n_items), np.arange(n_items))
        return tuple((i[:, v.any(axis=0)], v[:, v.any(axis=0)]) for i, v in (left, right))

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        shape = self._fields.n_features, self.factors
        return {
            "embeddings": rng.normal(0.0, self.init_scale, shape).astype(np.float32),
            "biases": np.zeros(shape[0], np.float32),
        }

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        if getattr(self, "_sampler_of", None) is not train:
            self._sampler_of, self._sampler = train, sampler_of_met(self, train)
        n = self.max_sampled if self.loss == "warp" else self.negatives
        drawn = self._sampler.draw(train.users, n, rng)
        examples = {"user": train.users, "item": train.items, "negative": drawn}
        return {name: codes.astype(np.int32) for name, codes in examples.items()}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        """How often an item that was met stands below one that was not: the same for every loss."""
        fixed = np.random.default_rng([self.seed, 1])  # the same negatives after every epoch
        drawn = self._sampler.draw(validation.users, self.negatives, fixed)
        users = np.repeat(validation.users, self.negatives)
        above = self._predict(validation.users, validation.items, None, None)
        below = self._predict(users, drawn.ravel(), None, None).reshape(drawn.shape)
        return "validation_error", float((above[:, None] <= below).mean())

    # ---------------------------------------------------------------- scores

    def _people_vectors(self, histories: Coded | None) -> tuple[np.ndarray, np.ndarray]:
        return self._user_vectors() if histories is None else histories.once(self._fold_in)

    def _predict(self, users, items, histories, context) -> np.ndarray:
        (p, b_u), (q, b_i) = self._people_vectors(histories), self._item_vectors()
        return (p[users] * q[items]).sum(1) + b_u[users] + b_i[items]

    def _score_matrix(self, users, items, histories, context) -> np.ndarray:
        (p, b_u), (q, b_i) = self._people_vectors(histories), self._item_vectors()
        if items is not None:
            q, b_i = q[items], b_i[items]
        return p[users] @ q.T + b_u[users, None] + b_i

    def _prior(self, users, items, histories) -> np.ndarray:
        """Somebody unknown is the average person, an unknown item the average item."""
        (p, b_u), (q, b_i) = self._people_vectors(histories), self._item_vectors()
        if histories is not None:
            mean_p, mean_b = (values.mean(0) for values in self._user_vectors())
        else:
            mean_p, mean_b = p.mean(0), b_u.mean()
        p, b_u = np.vstack([p, mean_p])[users], np.append(b_u, mean_b)[users]
        q, b_i = np.vstack([q, q.mean(0)])[items], np.append(b_i, b_i.mean())[items]
        return (p * q).sum(1) + b_u + b_i

    def _similar_items(self, items: np.ndarray) -> np.ndarray:
        return cosines(self._item_vectors()[0], items)

    # ---------------------------------------------------------------- people it never saw

    def _fold_in(self, histories: Coded) -> tuple[np.ndarray, np.ndarray]:
        """p and b of new people, items as they are: (n_users, factors) and (n_users,), float32.

        They are the likeliest under the logistic loss (the items of a history against all others, which together
        weigh `negatives` times as much), where before the history a person's p is normal with the mean and the
        covariance of those in train. So somebody without a history is the average person.
        """
        (p, b_u), (q, b_i) = self._user_vectors(), self._item_vectors()
        mean = p.mean(0, dtype=np.float64)
        root = covariance_root(p.astype(np.float64) - mean)
        x = np.column_stack([q @ root, np.ones(len(q))])
        offset = q @ mean + b_i + b_u.mean()
        ridge = np.diag(np.append(np.ones(len(mean)), FREE))
        found = np.zeros((histories.n_users, x.shape[1]))
        by_user = histories.by_user()
        everything = np.full(histories.n_users, len(q))
        for block in blocks_by_length(everything, max(1, CELLS_PER_BLOCK // x.shape[1])):
            rows, real = by_user.padded(block)
            who, place = np.nonzero(real)
            met = np.zeros((len(block), len(q)))
            met[who, histories.items[rows[who, place]]] = 1
            n = met.sum(1, keepdims=True)
            weights = np.where(met == 1, 1.0, self.negatives * n / np.maximum(len(q) - n, 1))
            everywhere = np.broadcast_to(x, (len(block), *x.shape))
            found[block] = most_likely(everywhere, met, offset, weights, ridge)
        vectors = mean + found[:, :-1] @ root.T
        return vectors.astype(np.float32), (b_u.mean() + found[:, -1]).astype(np.float32)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        n = self._fields.n_features if hasattr(self, "_fields") else 0
        return {"embeddings": (n, self.factors), "biases": (n,)}


def covariance_root(deviations: np.ndarray) -> np.ndarray:
    """A square R with R Rᵀ the covariance of n rows of deviations."""
    values, vectors = np.linalg.eigh(deviations.T @ deviations / len(deviations))
    return vectors * np.sqrt(np.maximum(values, 0))
