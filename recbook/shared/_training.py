"""What every model trained by gradient descent shares: its batches, its record of epochs, when it stops.

All of it is framework-free, so that both wings see the same numbers in the same order. A wing adds the network, the
objective of a batch and the loop (`recbook/torch/_model.py`, `recbook/keras/_model.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from recbook.core.progress import bar
from recbook.errors import DivergedError
from recbook.interactions import Interactions
from recbook.recommender import Coded, Recommender
from recbook.sampling import batches

# What the optimisers of both wings are made with; neither framework's defaults, which differ.
MOMENTUM = 0.9
DECAY = 0.9  # of RMSProp's mean of squared gradients
BETAS = (0.9, 0.999)
EPSILON = 1e-8
WEIGHT_DECAY = 0.01  # of AdamW

OPTIMIZERS = ("sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw")
Batch = dict[str, np.ndarray]


class GradientModel(Recommender):
    """Learns its parameters by mini-batch gradient descent.

    A model says what an epoch's examples are (`_examples`), where the parameters start (`_start`), and in its wing what
    the network and the objective of a batch are; the wing builds and trains it (`_build`, `_train_network`). Its
    arguments are epochs, learning_rate, reg, batch_size, optimizer, patience and seed, among others. `history_` has a
    dict for each epoch: "epoch", "loss" (the mean objective over the epoch's batches, taken as they are trained on)
    and, where `fit` got validation data, what `_validate` measures.

    With `patience` and validation data, training stops after that many epochs without a better value of the
    measure that `_validate` gives, and the parameters of the best epoch are kept.
    """

    # Arguments that each model declares for itself; without ClassVar they would be declared here.
    epochs: ClassVar[int]
    learning_rate: ClassVar[float]
    batch_size: ClassVar[int | None]
    optimizer: ClassVar[str]
    patience: ClassVar[int | None]
    seed: ClassVar[int]

    _watches_validation = True

    # ---------------------------------------------------------------- hooks: what a model writes

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The parameters that training starts from, under their canonical names, float32."""
        raise NotImplementedError

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        """The examples of one epoch: arrays of equal length by name, "target" among them where there is one.

        Called at the start of each epoch, so that negatives can be drawn anew; the number of examples must not change.
        """
        raise NotImplementedError

    def _steps(self, train: Coded, examples: Batch) -> int:
        """How many batches `_batches` makes of an epoch."""
        n = len(next(iter(examples.values())))
        return math.ceil(n / self._size_of_batches(n))

    def _batches(self, train: Coded, examples: Batch, rng: np.random.Generator) -> Iterator[Batch]:
        """The examples of one epoch in batches: shuffled, unless a model has an order of its own."""
        n = len(next(iter(examples.values())))
        for rows in batches(n, self._size_of_batches(n), rng):
            yield {name: values[rows] for name, values in examples.items()}

    def _validate(self, validation: Coded) -> tuple[str, float]:
        """What is measured on validation data after each epoch, and its name in `history_`; less is better."""
        raise NotImplementedError

    # ---------------------------------------------------------------- what all share

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        if self.patience is not None and validation is None:
            raise ValueError("`patience` needs validation data: fit(train, validation)")
        rng = np.random.default_rng(self.seed)
        self._build(train.n_users, train.n_items)
        self._set_parameters(self._start(train, rng))
        self._validation = validation
        self._best: dict[str, Any] | None = None
        first = self._examples(train, rng)
        steps = self._steps(train, first)
        try:
            with bar(range(self.epochs), type(self).__name__, progress) as self._bar:
                self._train_network(self._feed(train, first, rng), steps)
            if self._best is not None:
                self._set_parameters(self._best["parameters"])
        finally:
            for name in ("_bar", "_best", "_validation"):
                self.__dict__.pop(name, None)

    def _feed(self, train: Coded, examples: Batch, rng: np.random.Generator) -> Iterator[Batch]:
        """Batch after batch, epoch after epoch, without end: a framework may look a few ahead."""
        while True:
            yield from self._batches(train, examples, rng)
            examples = self._examples(train, rng)

    def _size_of_batches(self, n: int) -> int:
        """Of n examples; `batch_size=None` takes all at once."""
        return n if self.batch_size is None else self.batch_size

    def _after_epoch(self, loss: float) -> bool:
        """Writes the epoch down; returns whether to stop. Raises DivergedError where the loss is not finite."""
        epoch = len(self._log) + 1
        if not math.isfinite(loss):
            raise DivergedError(
                f"{type(self).__name__}: the loss is {loss} in epoch {epoch}; lower `learning_rate` "
                f"(it is {self.learning_rate}), or raise `reg`"
            )
        record: dict[str, Any] = {"epoch": epoch, "loss": loss}
        self._log.append(record)
        self._bar.update()
        if self._validation is None:
            return False
        name, measure = self._validate(self._validation)
        if not math.isfinite(measure):
            raise DivergedError(
                f"{type(self).__name__}: `{name}` is {measure} in epoch {epoch}; lower `learning_rate` "
                f"(it is {self.learning_rate}), raise `reg`, or look for extreme values in the validation data"
            )
        record[name] = measure
        return self._has_waited_enough(epoch, measure)

    def _has_waited_enough(self, epoch: int, measure: float) -> bool:
        if self.patience is None:
            return False
        if self._best is None or measure < self._best["measure"]:
            parameters = {name: np.array(values) for name, values in self._get_parameters().items()}
            self._best = {"measure": measure, "epoch": epoch, "parameters": parameters}
        return epoch - self._best["epoch"] >= self.patience


def check_binary(who: str, train: Interactions, remedy: str) -> None:
    """Raises ValueError where the ratings are not 0 and 1, as a binary target must be.

    who : the model, and what of it asks for them;  remedy : what else could be done
    """
    if train.ratings is None:
        raise ValueError(f"{who} needs a column `rating` of 0 and 1, and the data has none; {remedy}")
    wrong = ~np.isin(train.ratings, (0.0, 1.0))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"`rating`, row {row}: {train.ratings[row]:g} is no binary target; {who} needs 0 and 1. "
            f"Make them of ratings, such as df['rating'] >= 4; {remedy}"
        )


def rmse_of(model: Recommender, validation: Coded) -> tuple[str, float]:
    """What models of ratings measure after each epoch, and its name in `history_`."""
    scores = model._predict(validation.users, validation.items, model._people(None), None)
    return "validation_rmse", float(np.sqrt(np.square(scores - validation.ratings).mean()))


def small(rng: np.random.Generator, n: int, factors: int, scale: float) -> np.ndarray:
    """Vectors to start from, (n, factors) float32: normal, with a standard deviation of `scale`."""
    return rng.normal(0.0, scale, (n, factors)).astype(np.float32)


def glorot(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
    """A kernel to start from, (n_in, n_out) float32: uniform on ±√(6 / (n_in + n_out)) (Glorot and Bengio 2010)."""
    limit = np.sqrt(6 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32)
