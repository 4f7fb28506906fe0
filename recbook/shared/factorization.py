"""Matrix factorisation, SVD++ and NMF: what both wings share (chapter `factorization`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import nnls

from recbook.core.progress import bar
from recbook.interactions import Interactions
from recbook.recommender import Coded, Recommender, choice, device, flag, number, seed, whole
from recbook.shared._pairs import (
    LOSSES,
    PairExamples,
    TaskByLoss,
    check_pair_targets,
    fold_in,
    mean_score,
    same_draws,
)
from recbook.shared._training import OPTIMIZERS, Batch, GradientModel, rmse_of, small
from recbook.shared._vectors import (
    Number,
    Side,
    lengthened,
    matrix_scores,
    needs_what_was_met,
    pair_scores,
    parameter_shapes,
    sum_of_biases,
)

TINY = 1e-9  # of 0/0 it makes 0
SPREAD = (0.25, 0.5)  # of NMF's first factors, in units of √(μ/k): p_uᵀq_i begins near a seventh of the mean
BATCHES_PER_BLOCK = 16


class FactorModel(GradientModel):
    """What is scored by vectors and biases of users and items. A model writes `_new_people`, examples and objective."""

    # Arguments that each model declares for itself; without ClassVar they would be declared here.
    factors: ClassVar[int]
    init_scale: ClassVar[float]

    supports = frozenset({"histories", "similar_items"})

    def _level(self) -> Number:
        """μ."""
        return self._get_parameters()["mean"]

    def _new_people(self, histories: Coded) -> Side:
        """p and b of people never seen: (n_users, factors) and (n_users,), float32."""
        raise NotImplementedError

    def _side(self, name: str) -> Side:
        learnt = self._get_parameters()
        return learnt[f"{name}_factors"], learnt[f"{name}_bias"]

    def _item_side(self) -> Side:
        """q of all items, and what they add to everybody's score, float64: as people are folded in."""
        q, b = self._side("item")
        return q.astype(np.float64), self._level() + b.astype(np.float64)

    def _people(self, histories: Coded | None) -> Side:
        return self._side("user") if histories is None else self._new_people(histories)

    def _predict(self, users, items, people, context) -> np.ndarray:
        return pair_scores(people, self._side("item"), users, items, self._level())

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        return matrix_scores(people, self._side("item"), users, items, self._level())

    def _prior(self, users, items, people) -> np.ndarray:
        return sum_of_biases(self._level(), people[1], self._side("item")[1], users, items)

    def _item_vectors(self) -> np.ndarray:
        return self._get_parameters()["item_factors"]

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {
            "user_bias": np.zeros(train.n_users, np.float32),
            "item_bias": np.zeros(train.n_items, np.float32),
            "user_factors": small(rng, train.n_users, self.factors, self.init_scale),
            "item_factors": small(rng, train.n_items, self.factors, self.init_scale),
        }

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return parameter_shapes(n_users, n_items, self.factors)


class MatrixFactorization(FactorModel):
    """Matrix factorisation: users and items as vectors whose dot product is the score (Koren et al. 2009).

    r̂_ui = μ + b_u + b_i + p_uᵀq_i, trained on the mean over observed pairs of
    ℓ(r_ui, r̂_ui) + reg (b_u² + b_i² + ‖p_u‖² + ‖q_i‖²): equations (mf-biased) and (mf-objective). The penalty
    stands inside the sum, so that who rated much is held more.

    factors : length of p and q;  epochs, learning_rate, batch_size, optimizer : of the training
    reg : λ, of each rating;  biased : False leaves μ, b_u and b_i out
    loss : "squared" on ratings, or "logistic" on who met what
    negatives : with "logistic", items drawn for each positive among those the user did not meet, anew in each
        epoch, a pair that stands twice being two positives; 0 takes the ratings as targets, which must then be 0 or 1
    init_scale : standard deviation of the start of p and q
    patience : epochs without a better validation measure before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    partial_fit : those who met something new, and new items, are solved for like people never seen; all else stays
        as it is, which costs little and drifts from a fit of everything
    """

    task = TaskByLoss("ranking")  # pyright: ignore[reportAssignmentType]  # read from a model it is text
    supports = frozenset({"histories", "similar_items", "partial_fit"})

    factors: int = whole(100, search=(8, 128, "log"))
    epochs: int = whole(20, search=(5, 60, "log"))
    learning_rate: float = number(0.015, above=0, search=(0.003, 0.06, "log"))
    reg: float = number(0.12, 0, search=(0.01, 0.5, "log"))
    biased: bool = flag(True)
    loss: str = choice("squared", LOSSES)
    negatives: int = whole(4, 0)
    batch_size: int | None = whole(4096, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.05, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    @property
    def _blank_without_history(self) -> bool:
        return not self.biased

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        check_pair_targets(self, x, self.loss, self.negatives)

    def _level(self) -> Number:
        return super()._level() if self.biased else np.float32(0)

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        mean = np.asarray(mean_score(train, self.loss, self.negatives), np.float32)
        return {"mean": mean} | super()._start(train, rng)

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        users, items, targets, _ = PairExamples.kept(self, train, self.loss, self.negatives).of(train, rng)
        return {
            "user": users.astype(np.int32),
            "item": items.astype(np.int32),
            "target": targets.astype(np.float32),
        }

    def _validate(self, validation: Coded) -> tuple[str, float]:
        pairs = PairExamples.kept(self, self._train, self.loss, self.negatives)
        users, items, targets, _ = pairs.of(validation, same_draws(self))
        return pairs.measured(targets, self._predict(users, items, self._people(None), None))

    def _partial_fit(self, new: Coded) -> None:
        """p and b of whoever met something, q and b of new items, and then p and b again, all else as it is."""
        needs_what_was_met(self, new)
        # What people met before is known, unless the model was saved without its history.
        met = new if self._train is None else self._train
        learnt, people = dict(self._get_parameters()), np.unique(new.users)
        first = len(learnt["item_bias"])
        for name, n in (("user", new.n_users), ("item", new.n_items)):
            # Whoever is new begins in the middle where there are no biases: from nothing, nothing would be learnt.
            middle = 0 if self.biased else learnt[f"{name}_factors"].mean(0)
            learnt[f"{name}_factors"] = lengthened(learnt[f"{name}_factors"], n, middle)
            learnt[f"{name}_bias"] = lengthened(learnt[f"{name}_bias"], n, 0)
        self._build(new.n_users, new.n_items)

        def learn(name: str, codes: np.ndarray, side: Side) -> None:
            learnt[f"{name}_factors"][codes], learnt[f"{name}_bias"][codes] = side
            self._set_parameters(learnt)

        self._set_parameters(learnt)
        learn("user", people, self._new_people(met.of_users(people)))
        if first < new.n_items:
            items = np.arange(first, new.n_items)
            learn("item", items, self._new_items(met.of_items(items)))
            learn("user", people, self._new_people(met.of_users(people)))

    def _new_items(self, met: Coded) -> Side:
        """q and b of items as people are folded in: users and items change places."""
        p, b = self._side("user")
        turned = replace(met, users=met.items, items=met.users, n_users=met.n_items, n_items=met.n_users)
        offset = self._level() + b.astype(np.float64)
        how = self.reg, self.loss, self.negatives, self.biased
        return fold_in(turned, p.astype(np.float64), offset, *how)

    def _new_people(self, histories: Coded) -> Side:
        return fold_in(histories, *self._item_side(), self.reg, self.loss, self.negatives, self.biased)

    def _prior(self, users, items, people) -> np.ndarray:
        if not self.biased:
            return np.full(len(users), self._get_parameters()["mean"])
        return super()._prior(users, items, people)


# ---------------------------------------------------------------- SVD++


class SVDpp(FactorModel):
    """SVD++: matrix factorisation where what a user rated is part of the user, too (Koren 2008).

    r̂_ui = μ + b_u + b_i + q_iᵀ(p_u + |N(u)|^-½ Σ_{j∈N(u)} y_j), N(u) being the items that u rated in train:
    equation (mf-svdpp). Trained on the mean over observed pairs of
    (r_ui - r̂_ui)² + reg (b_u² + b_i² + ‖p_u‖² + ‖q_i‖²) + reg_implicit ‖y_i‖². Batches are drawn from blocks of
    whole users, so that each user's sum is made once for a batch.

    factors : length of p, q and y;  epochs, learning_rate, batch_size, optimizer : of the training
    reg, reg_implicit : λ, of each rating
    init_scale : standard deviation of the start of p, q and y
    patience : epochs without a better validation RMSE before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"
    """

    # The sum over N(u) costs as much as the list is long, so it must not be made anew for each rating. Each epoch cuts
    # the users at random into blocks of about BATCHES_PER_BLOCK batches, and a block's ratings, shuffled, into batches.
    # A batch brings its block's ratings along as "member_user" and "member_item", by user, and the order "by_item" in
    # which they stand by item: an epoch's cost grows linearly with the ratings, and a batch is nearly as mixed as one
    # drawn from all of them.

    task = "rating"
    _keeps_ratings = True  # what a user rated is part of the user's vector

    factors: int = whole(50, search=(8, 100, "log"))
    epochs: int = whole(12, search=(5, 30, "log"))
    learning_rate: float = number(0.025, above=0, search=(0.005, 0.06, "log"))
    reg: float = number(0.13, 0, search=(0.02, 0.5, "log"))
    reg_implicit: float = number(3.0, 0, search=(0.3, 10.0, "log"))
    batch_size: int | None = whole(8192, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    init_scale: float = number(0.05, above=0)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        start = {"mean": np.asarray(train.rated.mean(), np.float32)} | super()._start(train, rng)
        return start | {"implicit_factors": small(rng, train.n_items, self.factors, self.init_scale)}

    # ---------------------------------------------------------------- batches

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        return {
            "user": train.users.astype(np.int32),
            "item": train.items.astype(np.int32),
            "target": train.rated.astype(np.float32),
        }

    def _plan(self, train: Coded) -> tuple[int, int, int, int]:
        """Blocks an epoch, batches a block, members a block at most, examples a batch at most."""
        n, size = len(train.users), self._size_of_batches(len(train.users))
        blocks = max(1, round(n / (BATCHES_PER_BLOCK * size)))
        members = n if blocks == 1 else min(n, math.ceil(n / blocks) + int(train.by_user.lengths.max()))
        per_block = math.ceil(members / size)
        return blocks, per_block, members, math.ceil(members / per_block)

    def _steps(self, train: Coded, examples: Batch) -> int:
        blocks, per_block, _, _ = self._plan(train)
        return blocks * per_block

    def _batches(self, train: Coded, examples: Batch, rng: np.random.Generator) -> Iterator[Batch]:
        """Batches of equal shapes; what fills them up has weight 0, or the user n_users, who does not exist."""
        blocks, per_block, members, size = self._plan(train)
        for rows in _blocks_of_users(train, blocks, rng):
            items = _filled(examples["item"][rows], members, 0)
            block = {
                "member_user": _filled(examples["user"][rows], members, train.n_users),
                "member_item": items,
                "by_item": np.argsort(items, kind="stable").astype(np.int32),
            }
            for some in np.array_split(rng.permutation(rows), per_block):
                batch = {name: _filled(values[some], size, 0) for name, values in examples.items()}
                weight = _filled(np.ones(len(some), np.float32), size, 0)
                yield {**batch, "weight": weight, **block}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        return rmse_of(self, validation)

    # ---------------------------------------------------------------- people

    def _people(self, histories: Coded | None) -> Side:
        """p_u + |N(u)|^-½ Σ y_j, and b_u."""
        if histories is None:
            p, b = self._side("user")
            return p + self._implicit(self._train), b
        implicit = self._implicit(histories)
        p, b = fold_in(histories, *self._item_side(), self.reg, given=implicit)
        return p + implicit, b

    def _implicit(self, coded: Coded) -> np.ndarray:
        """|N(u)|^-½ Σ y_j of everybody in `coded`, (n_users, factors) float32; 0 for whoever rated nothing."""
        rows = coded.by_user.rows
        places, items = (codes[rows].astype(np.int32) for codes in (coded.users, coded.items))
        return self._compute("sums", places, items, coded.n_users)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._parameter_shapes(n_users, n_items)
        return shapes | {"implicit_factors": (n_items, self.factors)}


def _blocks_of_users(train: Coded, blocks: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The rows of each block, whole users by user; a user is of the block where the first rating falls."""
    by_user = train.by_user
    order = rng.permutation(train.n_users)
    begins = np.cumsum(by_user.lengths[order]) - by_user.lengths[order]
    block_of = begins * blocks // len(train.users)
    for block in range(blocks):
        users = np.sort(order[block_of == block])
        rows, real = by_user.padded(users)
        yield rows[real]


def _filled(values: np.ndarray, n: int, value: float) -> np.ndarray:
    """`values` with `value` behind them, n in all."""
    return np.concatenate([values, np.full(n - len(values), value, values.dtype)])


# ---------------------------------------------------------------- non-negative matrix factorisation

Ratings = tuple[np.ndarray, np.ndarray, np.ndarray]  # whose, across from whom, how many stars


class NMF(Recommender):
    """Non-negative matrix factorisation of the observed ratings (Lee & Seung 2001; Luo et al. 2014).

    r̂_ui = b_u + b_i + p_uᵀq_i, equation (mf-nmf), no parameter below 0: a score is a sum of parts, and no part
    takes anything away. Multiplicative updates make smaller, over observed pairs alone,
    (r_ui - r̂_ui)² + reg (‖p_u‖² + ‖q_i‖² + (b_u - μ/2)² + (b_i - μ/2)²): equation (mf-nmf-update).

    factors : length of p and q;  epochs : updates of all users and all items;  reg : λ, of each rating
    device : "auto", "cpu", "cuda", "mps"

    Raises ValueError where a rating is negative.
    """

    task = "rating"
    supports = frozenset({"histories", "similar_items"})
    _watches_validation = True

    factors: int = whole(8, search=(2, 64, "log"))
    epochs: int = whole(10, search=(3, 60, "log"))
    reg: float = number(0.1, 0, search=(0.01, 1.0, "log"))
    seed: int = seed()
    device: str = device()

    # ---------------------------------------------------------------- the wing's part

    def _sweeps(
        self, start: dict[str, np.ndarray], sides: tuple[Ratings, Ratings]
    ) -> Iterator[tuple[Any, float]]:
        """`epochs` times an update of the users and one of the items, from `start`.

        sides : the ratings sorted by user, and by item

        Yields, after each, the parameters as arrays, and the mean objective as it was before the items' update.
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- what both share

    def _check_targets(self, x: Interactions) -> None:
        super()._check_targets(x)
        check_not_negative(type(self).__name__, x)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        start = self._start(train, np.random.default_rng(self.seed))
        with bar(range(self.epochs), type(self).__name__, progress) as shown:
            for learnt, loss in self._sweeps(start, by_user_and_by_item(train)):
                self._learnt = learnt
                record = {"epoch": len(self._log) + 1, "loss": loss}
                if validation is not None:
                    record |= [rmse_of(self, validation)]
                self._log.append(record)
                shown.update()

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        mean = float(train.rated.mean())
        unit = np.sqrt(mean / self.factors)

        def first(n: int) -> np.ndarray:
            return (unit * rng.uniform(*SPREAD, (n, self.factors))).astype(np.float32)

        return {
            "mean": np.asarray(mean, np.float32),
            "user_bias": np.full(train.n_users, mean / 2, np.float32),
            "item_bias": np.full(train.n_items, mean / 2, np.float32),
            "user_factors": first(train.n_users),
            "item_factors": first(train.n_items),
        }

    def _people(self, histories: Coded | None) -> Side:
        """p_u and b_u; of new people what makes their own part of the objective smallest, and is not negative.

        It is 0 and μ/2 for whoever has no history.
        """
        if histories is None:
            return self._learnt["user_factors"], self._learnt["user_bias"]
        learnt = {name: values.astype(np.float64) for name, values in self._learnt.items()}
        x = np.column_stack([learnt["item_factors"], np.ones(len(learnt["item_factors"]))])
        pulled_to = np.append(np.zeros(self.factors), learnt["mean"] / 2)
        found = np.tile(pulled_to, (histories.n_users, 1))
        by_user = histories.by_user
        for user in np.flatnonzero(by_user.lengths):
            rows = by_user.rows[by_user.starts[user] : by_user.starts[user + 1]]
            items = histories.items[rows]
            # The penalty as more rows of the least squares: √(λn) w is to be √(λn) times what it is pulled to.
            pull = np.sqrt(self.reg * len(rows))
            left = np.vstack([x[items], pull * np.eye(self.factors + 1)])
            right = np.append(histories.rated[rows] - learnt["item_bias"][items], pull * pulled_to)
            found[user] = nnls(left, right)[0]
        return found[:, :-1].astype(np.float32), found[:, -1].astype(np.float32)

    def _item_side(self) -> Side:
        return self._learnt["item_factors"], self._learnt["item_bias"]

    def _predict(self, users, items, people, context) -> np.ndarray:
        return pair_scores(people, self._item_side(), users, items)

    def _score_matrix(self, users, items, people, context) -> np.ndarray:
        return matrix_scores(people, self._item_side(), users, items)

    def _prior(self, users, items, people) -> np.ndarray:
        half = self._learnt["mean"] / 2
        return sum_of_biases(0.0, people[1], self._learnt["item_bias"], users, items, unknown=half)

    def _item_vectors(self) -> np.ndarray:
        return self._learnt["item_factors"]

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return parameter_shapes(n_users, n_items, self.factors)

    def _get_parameters(self) -> dict[str, np.ndarray]:
        return self._learnt

    def _set_parameters(self, parameters: dict[str, np.ndarray]) -> None:
        self._learnt = parameters


def by_user_and_by_item(train: Coded) -> tuple[Ratings, Ratings]:
    """The ratings sorted by user, and by item."""

    def side(own: np.ndarray, other: np.ndarray) -> Ratings:
        rows = np.argsort(own, kind="stable")
        ratings = train.rated[rows].astype(np.float32)
        return own[rows].astype(np.int32), other[rows].astype(np.int32), ratings

    return side(train.users, train.items), side(train.items, train.users)


def check_not_negative(who: str, train: Interactions) -> None:
    """Raises ValueError where a rating is below 0."""
    assert train.ratings is not None  # a model of ratings asks for them first
    wrong = train.ratings < 0
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"`rating`, row {row}: {train.ratings[row]:g} is negative, and {who} adds up only what is not; "
            "shift the ratings, such as df['rating'] - df['rating'].min(), or choose MatrixFactorization"
        )
