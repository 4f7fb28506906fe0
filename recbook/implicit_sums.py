"""What SVD++ shares in both wings: a user is also the sum of what the user rated (chapter `factorization`).

r̂_ui = μ + b_u + b_i + q_iᵀ(p_u + |N(u)|^-½ Σ_{j∈N(u)} y_j), equation (mf-svdpp); N(u) are the items that u rated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from recbook.factors import FactorModel
from recbook.recommender import Coded, check_number
from recbook.training import Batch

BATCHES_PER_BLOCK = 16


class ImplicitSumModel(FactorModel):
    """Batches in which each user's sum is made once, and sums for people asked about.

    The sum over N(u) costs as much as the list is long, so it must not be made anew for each rating. Each epoch
    cuts the users at random into blocks of about `BATCHES_PER_BLOCK` batches, and a block's ratings, shuffled,
    into batches. A batch brings its block's ratings along as "member_user" and "member_item", by user, and the
    order "by_item" in which they stand by item: an epoch's cost grows linearly with the ratings, and a batch is
    nearly as mixed as one drawn from all of them.
    """

    # What FactorModel asks of MatrixFactorization's arguments.
    loss: ClassVar[str] = "squared"
    biased: ClassVar[bool] = True
    negatives: ClassVar[int] = 0
    _keeps_ratings = True  # what a user rated is part of the user's vector

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_number("reg_implicit", self.reg_implicit, 0)

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        start = super()._start(train, rng)
        implicit = rng.normal(0.0, self.init_scale, (train.n_items, self.factors))
        return start | {"implicit_factors": implicit.astype(np.float32)}

    # ---------------------------------------------------------------- batches

    def _plan(self, train: Coded) -> tuple[int, int, int, int]:
        """Blocks an epoch, batches a block, members a block at most, examples a batch at most."""
        n, size = len(train.users), self._size_of_batches(len(train.users))
        blocks = max(1, round(n / (BATCHES_PER_BLOCK * size)))
        members = n if blocks == 1 else min(n, math.ceil(n / blocks) + int(train.by_user().lengths.max()))
        per_block = math.ceil(members / size)
        return blocks, per_block, members, math.ceil(members / per_block)

    def _steps(self, train: Coded, examples: Batch) -> int:
        blocks, per_block, _, _ = self._plan(train)
        return blocks * per_block

    def _batches(self, train: Coded, examples: Batch, rng: np.random.Generator) -> Iterator[Batch]:
        """Batches of equal shapes; what fills them up has weight 0, or the user n_users, who does not exist."""
        blocks, per_block, members, size = self._plan(train)
        for rows in self._blocks(train, blocks, rng):
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

    def _blocks(self, train: Coded, blocks: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """The rows of each block, whole users by user; a user is of the block where the first rating falls."""
        by_user = train.by_user()
        order = rng.permutation(train.n_users)
        begins = np.cumsum(by_user.lengths[order]) - by_user.lengths[order]
        block_of = begins * blocks // len(train.users)
        for block in range(blocks):
            users = np.sort(order[block_of == block])
            rows, real = by_user.padded(users)
            yield rows[real]

    # ---------------------------------------------------------------- sums for people asked about

    def _members(self, users: np.ndarray, histories: Coded | None) -> tuple[np.ndarray, np.ndarray]:
        """What the given users rated: the user's place in `users`, and the item; both by place, int32."""
        source, by_user = (self._train, self._seen) if histories is None else (histories, histories.by_user())
        lengths = by_user.lengths[users]
        place = np.repeat(np.arange(len(users)), lengths)
        begins = np.cumsum(lengths) - lengths
        rows = by_user.rows[np.arange(len(place)) + (by_user.starts[users] - begins)[place]]
        return place.astype(np.int32), source.items[rows].astype(np.int32)

    def _person(self, histories: Coded) -> tuple[np.ndarray, np.ndarray]:
        return self._fold_in(histories, self._implicit(np.arange(histories.n_users), histories))

    def _implicit(self, users: np.ndarray, histories: Coded | None) -> np.ndarray:
        """|N(u)|^-½ Σ y_j of the given users, (len(users), factors) float32; 0 for whoever rated nothing."""
        raise NotImplementedError

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        shapes = super()._parameter_shapes(n_users, n_items)
        return shapes | {"implicit_factors": (n_items, self.factors)}


def _filled(values: np.ndarray, n: int, value: float) -> np.ndarray:
    """`values` with `value` behind them, n in all."""
    return np.concatenate([values, np.full(n - len(values), value, values.dtype)])
