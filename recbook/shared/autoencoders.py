"""AutoRec, Mult-VAE and CFGAN: what both wings share, rows, batches, noise, people never seen (chapter `autoencoders`).

An autoencoder's example is not a pair but a row of the table: all that one user has (or one item), a vector as long as
there are items (or users). Rows are kept as lists; only those of a batch are ever filled out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from recbook.core import blocks
from recbook.core.ragged import Ragged, blocks_by_length
from recbook.metrics import ndcg_at_k
from recbook.recommender import Coded, choice, device, number, seed, whole
from recbook.sampling import batches
from recbook.shared._training import OPTIMIZERS, Batch, GradientModel, glorot, rmse_of
from recbook.shared._vectors import Side, matrix_scores

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
        return cls(coded.by_user, coded.items, values.astype(np.float32), coded.n_items)

    @classmethod
    def of_items(cls, coded: Coded, values: np.ndarray) -> Rows:
        return cls(coded.by_item, coded.users, values.astype(np.float32), coded.n_users)

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


class RowModel(GradientModel):
    """Trained on whole rows; scores a user, known or never seen, from the user's row."""

    supports = frozenset({"histories", "similar_items"})
    _keeps_ratings = True  # the row is what is put in: without the history nobody can be scored
    _empty: ClassVar[float] = 0.0  # what stands in a filled row where there is nothing

    # ---------------------------------------------------------------- hooks: what a model writes

    def _rows(self, coded: Coded) -> Rows:
        """The rows to train on, or to score."""
        return Rows.of_users(coded)

    def _batch(self, rows: Rows, some: np.ndarray, rng: np.random.Generator) -> Batch:
        """The examples of a batch: the given rows, and what is drawn for them."""
        raise NotImplementedError

    # ---------------------------------------------------------------- training

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Kernels by `glorot`, vectors and numbers 0, float32."""
        shapes = self._parameter_shapes(train.n_users, train.n_items)
        return {
            name: glorot(rng, *shape) if len(shape) == 2 else np.zeros(shape, np.float32)
            for name, shape in shapes.items()
        }

    def _in_order(self, train: Coded) -> Coded:
        """A file holds the rows, and in these a like is a 1."""
        return replace(train, ratings=np.ones(len(train.users))) if train.ratings is None else train

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
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
        ready = self._people(None)
        for block in blocks.blocks(len(people), validation.n_items):
            scores = self._score_rows(people[block], ready)
            scores[seen.filled(people[block]) > 0] = -np.inf
            found.append(ndcg_at_k(scores, wanted.filled(people[block]) > 0, VALIDATED_AT))
        return "validation_error", float(1 - np.concatenate(found).mean())

    # ---------------------------------------------------------------- scores

    def _people(self, histories: Coded | None) -> Any:
        return self._rows(self._train if histories is None else histories)

    def _score_rows(self, users: np.ndarray, people: Rows) -> np.ndarray:
        """Somebody of whom nothing is known has an empty row."""
        return self._compute("__call__", people.filled(users, self._empty))

    def _prior(self, users, items, people) -> np.ndarray:
        """Somebody unknown is somebody of whom nothing is known; an unknown item is the average item."""
        return self._predict(users, items, people, None)


# ---------------------------------------------------------------- AutoRec


class AutoRec(RowModel):
    """AutoRec: a network that writes a row of ratings down again, holes and all (Sedhain et al. 2015).

    h(r) = W g(V r + μ) + b with g the sigmoid: equation (ae-autorec). A row is all ratings of an item
    (rows="items") or of a user (rows="users"), and has n columns. Made smaller: the mean over observed ratings of the
    squared error, and reg / 2n (‖V‖² + ‖W‖²): equation (ae-autorec-objective). A rating that the row does not have
    is 0 for V, and no error for h.

    rows : "items" or "users";  factors : the length of the code g
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of rows
    reg : λ, of the kernels, a mean over columns against a mean over ratings; the paper's, which is of sums, is
        reg times the ratings of a column
    patience : epochs without a better validation RMSE before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    histories : where rows are users, the new person's goes through the network as any other; where rows are items,
        the person's column of W is solved for, all else as it is
    """

    task = "rating"
    _empty = np.nan

    rows: str = choice("items", ("items", "users"), search=["items", "users"])
    factors: int = whole(100, search=(16, 300, "log"))
    epochs: int = whole(40, search=(10, 100, "log"))
    learning_rate: float = number(0.001, above=0, search=(0.0003, 0.01, "log"))
    reg: float = number(1.0, 0, search=(0.05, 10.0, "log"))
    batch_size: int | None = whole(128, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    # ---------------------------------------------------------------- training

    def _rows(self, coded: Coded) -> Rows:
        return (Rows.of_items if self.rows == "items" else Rows.of_users)(coded, coded.rated)

    def _batch(self, rows: Rows, some: np.ndarray, rng: np.random.Generator) -> Batch:
        n = np.count_nonzero(rows.lists.lengths)
        return {
            "row": rows.filled(some, self._empty),
            "length": np.full(len(some), len(rows.columns) / n, np.float32),  # of a row, on average
        }

    def _width(self, n_users: int, n_items: int) -> int:
        return n_users if self.rows == "items" else n_items

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        start = super()._start(train, rng)
        # Ratings are far from 0: kernels as large as Glorot's would begin where the sigmoid is flat.
        small = {name: start[name] * AUTOREC_START for name in ("encoder", "decoder")}
        return start | small | {"decoder_bias": np.full_like(start["decoder_bias"], train.rated.mean())}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        return rmse_of(self, validation)

    # ---------------------------------------------------------------- scores

    def _people(self, histories: Coded | None) -> Rows | tuple[Side, np.ndarray]:
        """Where rows are users, the rows; where they are items, people's columns of W and b, and the items' codes."""
        if self.rows == "users":
            return super()._people(histories)
        g = self._item_vectors()
        return self._columns() if histories is None else self._new_columns(histories, g), g

    def _score_rows(self, users, people: Any) -> np.ndarray:
        if self.rows == "users":
            return super()._score_rows(users, people)
        (w, b), g = people
        average = self._average()
        people = np.concatenate([w, average[0]]), np.concatenate([b, average[1]])
        return matrix_scores(people, (g, np.zeros(len(g), np.float32)), users, None).astype(np.float32)

    def _columns(self) -> Side:
        """Each user's column of W, (n, factors), and b."""
        learnt = self._get_parameters()
        return learnt["decoder"].T, learnt["decoder_bias"]

    def _average(self) -> Side:
        """The average user, whom code -1 picks."""
        w, b = self._columns()
        return w.mean(0, keepdims=True), b.mean(keepdims=True)

    def _item_vectors(self) -> np.ndarray:
        """(n_items, factors): the codes of items' rows, or, where rows are users, the items' columns of W."""
        if self.rows == "users":
            return self._get_parameters()["decoder"].T
        rows, numbers = self._rows(self._train), np.arange(len(self._item_index))
        parts = blocks.blocks(len(numbers), rows.width)
        return np.concatenate(
            [self._compute("encode", rows.filled(numbers[part], self._empty)) for part in parts]
        )

    def _new_columns(self, histories: Coded, g: np.ndarray) -> Side:
        """Where rows are items, people never seen have no column of W: the one that fits their ratings best.

        w and b make Σ (r - b - wᵀg_i)² + λN/2 ‖w‖² smallest, the codes g_i of items being as they are and N the
        ratings of a user of train, on average: |Ω| times what they would add to the objective. Somebody without a
        history is the average user.
        """
        g = g.astype(np.float64)
        n_people, (w, b) = histories.n_users, self._average()
        w, b = np.repeat(w, n_people, 0).astype(np.float64), np.repeat(b, n_people).astype(np.float64)
        by_user = histories.by_user
        pull = max(self.reg * len(self._train.users) / self._train.n_users / 2, 1e-6)
        known = np.flatnonzero(by_user.lengths)
        for block in blocks_by_length(by_user.lengths[known], max(1, blocks.CELLS // g.shape[1])):
            entries, real = by_user.padded(known[block])
            n = real.sum(1)
            x, r = g[histories.items[entries]] * real[..., None], histories.rated[entries] * real
            x_mean, r_mean = x.sum(1) / n[:, None], r.sum(1) / n
            x, r = (x - x_mean[:, None]) * real[..., None], (r - r_mean[:, None]) * real
            left = np.swapaxes(x, 1, 2) @ x + pull * np.eye(g.shape[1])
            found = np.linalg.solve(left, np.swapaxes(x, 1, 2) @ r[..., None])[..., 0]
            w[known[block]], b[known[block]] = found, r_mean - (found * x_mean).sum(1)
        return w, b

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        width = self._width(n_users, n_items)
        return {
            "encoder": (width, self.factors),
            "encoder_bias": (self.factors,),
            "decoder": (self.factors, width),
            "decoder_bias": (width,),
        }


# ---------------------------------------------------------------- Mult-VAE


class MultVAE(RowModel):
    """A variational autoencoder with a multinomial likelihood (Liang et al. 2018).

    What a user is like is no point but a normal distribution, equation (ae-encoder); a draw z from it makes a
    probability π for every item, equation (ae-decoder), and the score is log π at the distribution's centre. Made
    smaller: the mean over users of -Σ_i x_ui log π_i + β KL(q(z|x_u) ‖ N(0, 1)), equation (ae-elbo), and reg times
    the squares of all kernels. What a user did not meet is no zero to reproduce: π adds up to 1, and what it gives to
    one item it takes from the others.

    factors : the length of z;  hidden : the length of the layers between the row and z
    beta : β after the `annealing` first epochs, in which it grows from 0 in equal steps
    dropout : the share of a row's likes that are hidden from the encoder, drawn anew in each epoch
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of users
    reg : λ, of the kernels
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Ratings are ignored: whatever a user has is a like, once, however often a pair stands in the data.
    """

    task = "ranking"

    factors: int = whole(32, search=(8, 128, "log"))
    hidden: int = whole(128, search=(64, 512, "log"))
    beta: float = number(0.5, 0, search=(0.05, 1.0, "log"))
    annealing: int = whole(10, 0)
    dropout: float = number(0.5, 0, below=1, search=(0.1, 0.7))
    epochs: int = whole(30, search=(10, 80, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.002, 0, search=(1e-4, 0.02, "log"))
    batch_size: int | None = whole(100, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

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

    def _item_vectors(self) -> np.ndarray:
        return self._get_parameters()["output"].T

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


class CFGAN(RowModel):
    """An adversarial recommender that makes whole rows (Chae et al. 2018).

    A generator makes a row of likes out of a user's row, equation (ae-generator). A discriminator sees a row beside
    the user's own and says whether it is real or made, equation (ae-discriminator). Each makes its own loss smaller,
    equations (ae-loss-d) and (ae-loss-g), in the same step: neither has an objective that falls, and "loss" of
    `history_` is the sum of the two. Of what the user did not meet, the discriminator sees a share, and a share is
    pulled to 0: else a generator of ones wins.

    factors : the length of the hidden layer of both
    shown : share of the items not met whose made values the discriminator sees, drawn anew in each epoch
    zeros : share of the items not met that are pulled to 0, drawn anew in each epoch
    zeros_weight : α, of that pull
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of users
    reg : λ, of the kernels of both
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Ratings are ignored: whatever a user has is a like.
    """

    task = "ranking"

    factors: int = whole(128, search=(32, 256, "log"))
    shown: float = number(0.03, 0, most=1, search=(0.005, 0.3, "log"))
    zeros: float = number(0.7, 0, most=1, search=(0.3, 0.9))
    zeros_weight: float = number(0.1, 0, search=(0.01, 1.0, "log"))
    epochs: int = whole(40, search=(10, 100, "log"))
    learning_rate: float = number(0.002, above=0, search=(0.0003, 0.01, "log"))
    reg: float = number(1e-3, 0, search=(1e-5, 1e-2, "log"))
    batch_size: int | None = whole(64, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _batch(self, rows: Rows, some: np.ndarray, rng: np.random.Generator) -> Batch:
        row = rows.filled(some)
        empty = row == 0
        shown, zeros = (
            (rng.random(row.shape, np.float32) < share) & empty for share in (self.shown, self.zeros)
        )
        return {"row": row, "shown": row + shown, "zeros": zeros.astype(np.float32)}

    def _item_vectors(self) -> np.ndarray:
        return self._get_parameters()["generator_output"].T

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
