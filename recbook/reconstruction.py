"""What the models that read a whole row share in both wings: rows, batches, noise, scores, people they never saw.

An autoencoder's example is not a pair but a row of the table: all that one user has (or one item), a vector as long as
there are items (or users). Rows are kept as lists; only those of a batch are ever filled out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from recbook.blockwise import CELLS_PER_BLOCK, BlockwiseModel
from recbook.metrics import ndcg_at_k
from recbook.ragged import Ragged, blocks_by_length
from recbook.recommender import Coded, check_choice, check_number
from recbook.sampling import batches
from recbook.training import Batch, GradientModel
from recbook.vectors import cosines

AUTOREC_START = np.float32(0.3)  # of Glorot's range
VALIDATED_AT = 10  # the length of the lists that `_validate` looks at


@dataclass(frozen=True, eq=False)
class Rows:
    """A table as lists, one for each of its rows.

    lists : which entries belong to which row;  columns : (n,) of each entry;  values : (n,) float32
    width : how many columns there are
    """

    lists: Ragged
    columns: np.ndarray
    values: np.ndarray
    width: int

    @classmethod
    def of_users(cls, coded: Coded, values: np.ndarray | None = None) -> Rows:
        """A row for each user, with the given values, or with 1: then a pair that stands twice is one entry."""
        if values is None:
            once = ~pd.Series(coded.users * coded.n_items + coded.items).duplicated().to_numpy()
            coded = replace(coded, users=coded.users[once], items=coded.items[once])
            values = np.ones(len(coded.users))
        return cls(coded.by_user(), coded.items, values.astype(np.float32), coded.n_items)

    @classmethod
    def of_items(cls, coded: Coded, values: np.ndarray) -> Rows:
        return cls(coded.by_item(), coded.users, values.astype(np.float32), coded.n_users)

    def entries(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the given rows hold: the row's place in `rows`, and the entry's number; row -1 holds nothing."""
        known = np.flatnonzero(rows >= 0)
        numbers, real = self.lists.padded(rows[known])
        return known[np.nonzero(real)[0]], numbers[real]

    def filled(self, rows: np.ndarray, empty: float = 0.0) -> np.ndarray:
        """(len(rows), width) float32, `empty` where there is no entry."""
        place, entry = self.entries(rows)
        table = np.full((len(rows), self.width), empty, np.float32)
        table[place, self.columns[entry]] = self.values[entry]
        return table


class RowModel(BlockwiseModel, GradientModel):
    """Trained on whole rows; scores a user, known or never seen, from the user's row."""

    _keeps_ratings = True  # the row is what is put in: without the history nobody can be scored
    _empty: ClassVar[float] = 0.0  # what stands in a filled row where there is nothing

    # ---------------------------------------------------------------- hooks: what a model writes

    def _rows(self, coded: Coded) -> Rows:
        """The rows to train on, or to score."""
        return Rows.of_users(coded)

    def _batch(self, rows: Rows, some: np.ndarray, rng: np.random.Generator) -> Batch:
        """The examples of a batch: the given rows, and what is drawn for them."""
        raise NotImplementedError

    # ---------------------------------------------------------------- hooks: what a wing writes

    def _reconstructed(self, table: np.ndarray) -> np.ndarray:
        """The network's scores for filled rows, without any noise; an array of the same shape."""
        raise NotImplementedError

    # ---------------------------------------------------------------- training

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_number("factors", self.factors, 1, whole=True)

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        if train.ratings is None:  # a file holds the rows, and in these a like is a 1
            train = self._train = replace(train, ratings=np.ones(len(train.users)))
        self._training_rows = self._rows(train)
        self._epoch = 0
        try:
            super()._fit(train, validation, progress)
        finally:
            for name in ("_training_rows", "_epoch"):
                self.__dict__.pop(name, None)

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        """Which rows an epoch goes through: all that hold something."""
        self._epoch += 1
        return {"row": np.flatnonzero(self._training_rows.lists.lengths)}

    def _batches(self, train: Coded, examples: Batch, rng: np.random.Generator) -> Iterator[Batch]:
        owners = examples["row"]
        for some in batches(len(owners), self._size_of_batches(len(owners)), rng):
            yield self._batch(self._training_rows, owners[some], rng)

    def _validate(self, validation: Coded) -> tuple[str, float]:
        """1 - nDCG@10 of lists without what was seen in train: what training should make small."""
        people = np.flatnonzero(np.bincount(validation.users, minlength=validation.n_users))
        wanted, seen, found = Rows.of_users(validation), Rows.of_users(self._train), []
        ready = self._ready(None)
        for block in self._blocks(people):
            scores = self._scores_of(block, ready)
            scores[seen.filled(block) > 0] = -np.inf
            found.append(ndcg_at_k(scores, wanted.filled(block) > 0, VALIDATED_AT))
        return "validation_error", float(1 - np.concatenate(found).mean())

    # ---------------------------------------------------------------- scores

    def _ready(self, histories: Coded | None) -> Rows:
        return (self._train if histories is None else histories).once(self._rows)

    def _scores_of(self, users: np.ndarray, ready: Rows) -> np.ndarray:
        """Somebody of whom nothing is known has an empty row."""
        return self._reconstructed(ready.filled(users, self._empty))


# ---------------------------------------------------------------- starts


def glorot(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    """A kernel to start from, (n_in, n_out) float32: uniform on ±√(6 / (n_in + n_out)) (Glorot and Bengio 2010)."""
    limit = np.sqrt(6 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32)


def start_of(shapes: dict[str, tuple[int, ...]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Kernels by `glorot`, vectors and numbers 0, float32."""
    return {
        name: glorot(rng, *shape) if len(shape) == 2 else np.zeros(shape, np.float32)
        for name, shape in shapes.items()
    }


# ---------------------------------------------------------------- AutoRec


class AutoRecModel(RowModel):
    """h(r) = W g(V r + μ) + b on rows of users, or of items."""

    task = "rating"
    _empty = np.nan

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_choice("rows", self.rows, ("items", "users"))

    # ---------------------------------------------------------------- hooks: what a wing writes

    def _codes(self, table: np.ndarray) -> np.ndarray:
        """g(V r + μ) of filled rows, (n, factors)."""
        raise NotImplementedError

    # ---------------------------------------------------------------- training

    def _rows(self, coded: Coded) -> Rows:
        return (Rows.of_items if self.rows == "items" else Rows.of_users)(coded, coded.ratings)

    def _batch(self, rows: Rows, some: np.ndarray, rng: np.random.Generator) -> Batch:
        n = np.count_nonzero(rows.lists.lengths)
        return {
            "row": rows.filled(some, self._empty),
            "length": np.full(len(some), len(rows.columns) / n, np.float32),  # of a row, on average
        }

    def _width(self, n_users: int, n_items: int) -> int:
        return n_users if self.rows == "items" else n_items

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        start = start_of(self._parameter_shapes(train.n_users, train.n_items), rng)
        # Ratings are far from 0: kernels as large as Glorot's would begin where the sigmoid is flat.
        small = {name: start[name] * AUTOREC_START for name in ("encoder", "decoder")}
        return start | small | {"decoder_bias": np.full_like(start["decoder_bias"], train.ratings.mean())}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        errors = self._predict(validation.users, validation.items, None, None) - validation.ratings
        return "validation_rmse", float(np.sqrt(np.square(errors).mean()))

    # ---------------------------------------------------------------- scores

    def _ready(self, histories):
        return super()._ready(histories) if self.rows == "users" else (self._item_vectors(), histories)

    def _scores_of(self, users, ready):
        if self.rows == "users":
            return super()._scores_of(users, ready)
        g, histories = ready
        w, b = self._columns(users) if histories is None else self._fold_in(users, histories, g)
        return (w @ g.T + b[:, None]).astype(np.float32)

    def _columns(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each user's column of W, (n, factors), and b; code -1 is the average user."""
        learnt = self._get_parameters()
        w, b = learnt["decoder"].T, learnt["decoder_bias"]
        return np.vstack([w, w.mean(0)])[users], np.append(b, b.mean())[users]

    def _item_vectors(self) -> np.ndarray:
        """(n_items, factors): the codes of items' rows, or, where rows are users, the items' columns of W."""
        if self.rows == "users":
            return self._get_parameters()["decoder"].T
        rows, n = self._rows(self._train), len(self._item_index)
        step = max(1, CELLS_PER_BLOCK // rows.width)
        blocks = (np.arange(start, min(start + step, n)) for start in range(0, n, step))
        return np.concatenate([self._codes(rows.filled(block, self._empty)) for block in blocks])

    def _fold_in(self, users: np.ndarray, histories: Coded, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where rows are items, people never seen have no column of W: the one that fits their ratings best.

        w and b make Σ (r - b - wᵀg_i)² + λN/2 ‖w‖² smallest, the codes g_i of items being as they are and N the
        ratings of a user of train, on average: |Ω| times what they would add to the objective. Somebody without a
        history is the average user.
        """
        g = g.astype(np.float64)
        w, b = self._columns(np.full(len(users), -1))
        w, b = w.astype(np.float64), b.astype(np.float64)
        by_user = histories.by_user()
        pull = max(self.reg * len(self._train.users) / self._train.n_users / 2, 1e-6)
        known = np.flatnonzero((users >= 0) & (by_user.lengths[users] > 0))
        lengths = by_user.lengths[users[known]]
        for block in blocks_by_length(lengths, max(1, CELLS_PER_BLOCK // g.shape[1])):
            entries, real = by_user.padded(users[known[block]])
            n = real.sum(1)
            x, r = g[histories.items[entries]] * real[..., None], histories.ratings[entries] * real
            x_mean, r_mean = x.sum(1) / n[:, None], r.sum(1) / n
            x, r = (x - x_mean[:, None]) * real[..., None], (r - r_mean[:, None]) * real
            left = np.swapaxes(x, 1, 2) @ x + pull * np.eye(g.shape[1])
            found = np.linalg.solve(left, np.swapaxes(x, 1, 2) @ r[..., None])[..., 0]
            w[known[block]], b[known[block]] = found, r_mean - (found * x_mean).sum(1)
        return w, b

    def _similar_items(self, items) -> np.ndarray:
        return cosines(self._item_vectors(), items)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        width = self._width(n_users, n_items)
        return {
            "encoder": (width, self.factors),
            "encoder_bias": (self.factors,),
            "decoder": (self.factors, width),
            "decoder_bias": (width,),
        }


# ---------------------------------------------------------------- Mult-VAE


class MultVAEModel(RowModel):
    """A row of likes as draws from one multinomial; what a user is like as a normal distribution."""

    task = "ranking"

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_number("hidden", self.hidden, 1, whole=True)
        check_number("beta", self.beta, 0)
        check_number("annealing", self.annealing, 0, whole=True)
        check_number("dropout", self.dropout, 0)
        if self.dropout >= 1:
            raise ValueError(
                f"`dropout` is {self.dropout!r}; it must be less than 1, the share that is left out"
            )

    def _batch(self, rows: Rows, some: np.ndarray, rng: np.random.Generator) -> Batch:
        row, kept = rows.filled(some), np.zeros((len(some), rows.width), np.float32)
        place, entry = rows.entries(some)
        stays = rng.random(len(entry)) >= self.dropout
        kept[place[stays], rows.columns[entry[stays]]] = 1 / (1 - self.dropout)
        return {
            "row": row,
            "kept": kept,
            "noise": rng.normal(size=(len(some), self.factors)).astype(np.float32),
            "beta": np.full(len(some), self._beta_now(), np.float32),
        }

    def _beta_now(self) -> float:
        """β of the present epoch: it grows in equal steps, from 0 in the first, and is whole after `annealing`."""
        return self.beta * min(1.0, (self._epoch - 1) / self.annealing) if self.annealing else self.beta

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return start_of(self._parameter_shapes(train.n_users, train.n_items), rng)

    def _similar_items(self, items) -> np.ndarray:
        return cosines(self._get_parameters()["output"].T, items)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {
            "encoder": (n_items, self.hidden),
            "encoder_bias": (self.hidden,),
            "centre": (self.hidden, self.factors),
            "centre_bias": (self.factors,),
            "log_variance": (self.hidden, self.factors),
            "log_variance_bias": (self.factors,),
            "decoder": (self.factors, self.hidden),
            "decoder_bias": (self.hidden,),
            "output": (self.hidden, n_items),
            "output_bias": (n_items,),
        }


# ---------------------------------------------------------------- CFGAN


class CFGANModel(RowModel):
    """A generator that makes rows of likes, and a discriminator that tells them from real ones."""

    task = "ranking"

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        for name in ("shown", "zeros"):
            check_number(name, getattr(self, name), 0)
            if getattr(self, name) > 1:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}; it is a share, from 0 to 1")
        check_number("zeros_weight", self.zeros_weight, 0)

    def _batch(self, rows: Rows, some: np.ndarray, rng: np.random.Generator) -> Batch:
        row = rows.filled(some)
        empty = row == 0
        shown, zeros = (
            (rng.random(row.shape, np.float32) < share) & empty for share in (self.shown, self.zeros)
        )
        return {"row": row, "shown": row + shown, "zeros": zeros.astype(np.float32)}

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return start_of(self._parameter_shapes(train.n_users, train.n_items), rng)

    def _similar_items(self, items) -> np.ndarray:
        return cosines(self._get_parameters()["generator_output"].T, items)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        return {
            "generator": (n_items, self.factors),
            "generator_bias": (self.factors,),
            "generator_output": (self.factors, n_items),
            "generator_output_bias": (n_items,),
            "discriminator": (n_items, self.factors),
            "discriminator_condition": (n_items, self.factors),
            "discriminator_bias": (self.factors,),
            "discriminator_output": (self.factors, 1),
            "discriminator_output_bias": (1,),
        }
