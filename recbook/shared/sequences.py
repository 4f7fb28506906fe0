"""GRU4Rec and DecisionPath: what both wings share, parameters, gates, events, what is drawn (chapter `sequences`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbook.interactions import Dataset, IdIndex, as_text
from recbook.recommender import Coded, choice, device, number, seed, whole
from recbook.shared._histories import SequenceModel
from recbook.shared._training import OPTIMIZERS, glorot

Shapes = dict[str, tuple[int, ...]]
# The gates of a cell, each with a kernel (factors, factors) for the step, one for the state before it, and a bias.
GATES = {
    "rnn": ("state",),
    "gru": ("reset", "update", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
}
START = np.float32(0.1)  # the standard deviation of vectors


def recurrent_shapes(cell: str, n_items: int, factors: int) -> Shapes:
    """The arrays of a recurrent network, by their canonical names."""
    return {"item_factors": (n_items, factors), "item_bias": (n_items,)} | cell_shapes(cell, factors)


def cell_shapes(cell: str, factors: int) -> Shapes:
    square, row = (factors, factors), (factors,)
    parts = {"kernel": square, "recurrent": square, "bias": row}
    shapes = {f"{gate}_{part}": shape for gate in GATES[cell] for part, shape in parts.items()}
    return shapes | ({"candidate_recurrent_bias": row} if cell == "gru" else {})


def recurrent_start(shapes: Shapes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Vectors of N(0, 0.1²), kernels by Glorot, those of states orthogonal, biases 0, but the forget gate's 1."""
    start = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            start[name] = np.full(shape, name == "forget_bias", np.float32)
        elif name.endswith("_recurrent"):
            start[name] = np.linalg.qr(rng.normal(size=shape))[0].astype(np.float32)
        elif name.endswith("_kernel"):
            start[name] = glorot(rng, *shape)
        else:
            start[name] = rng.normal(0, START, shape).astype(np.float32)
    return start


class GRU4Rec(SequenceModel):
    """A recurrent network over a person's items, that says after each which one comes next (Hidasi et al. 2016).

    x_t = q of the t-th item, h_t = cell(x_t, h_{t-1}) with h_0 = 0, score_i = q_i · h_T + b_i, T being the last step:
    equations (seq-rnn), (seq-gru), (seq-lstm), (seq-score). Made smaller: the mean over all real steps of the
    cross-entropy of the next item among all items (loss="softmax"), or of -log σ(score of the next item - score of
    another) over `negatives` items that the person has no event with (loss="bpr"); and reg times the squares of all
    kernels and vectors.

    The paper's network has output vectors of its own, and learns from sampled scores of single sessions; here items
    have one vector for both ends, and each person is one session.

    cell : "gru", "lstm", or "rnn" (Elman 1990)
    factors : the length of vectors and states;  max_length : how many of the last steps are read
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of people
    reg : λ, of kernels and vectors
    loss : "softmax" or "bpr";  negatives : how many for each step, for "bpr" alone
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Events go from the earliest to the latest; those of one time stand in the order of the table, and so do all where
    there are no timestamps. Ratings are ignored. Somebody without a history gets scores that follow popularity.
    """

    task = "next_item"

    cell: str = choice("gru", GATES, search=list(GATES))
    factors: int = whole(64, search=(16, 128, "log"))
    max_length: int = whole(50, search=(10, 200, "log"))
    epochs: int = whole(15, search=(5, 40, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.0, 0, search=[0.0, 1e-6, 1e-5, 1e-4])
    batch_size: int | None = whole(64, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    loss: str = choice("softmax", ("softmax", "bpr"), search=["softmax", "bpr"])
    negatives: int = whole(32)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _n_negatives(self) -> int:
        return self.negatives if self.loss == "bpr" else 0

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return recurrent_start(self._parameter_shapes(train.n_users, train.n_items), rng)

    def _item_biases(self) -> np.ndarray:
        return self._get_parameters()["item_bias"]

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        return recurrent_shapes(self.cell, n_items, self.factors)


class DecisionPath(SequenceModel):
    """A path of decisions, browse, click, cart, buy, as a sequence: what is met next, and what is done with it.

    A step is an item and an event (the column `event`). x_t = q_item + e_event, h_t = GRU(x_t, h_{t-1}); the next
    item's score is q_i · h_T + b_i, the next event's a row of its own: equation (seq-path). Made smaller: the mean
    over real steps of the cross-entropy of the next item, and event_weight times that of the next event; and reg
    times the squares of all kernels and vectors.

    factors, max_length, epochs, learning_rate, reg, batch_size, optimizer, patience, device : as in GRU4Rec
    event_weight : what the next event weighs beside the next item

    Data without a column `event`, and histories given as lists, have steps whose event is not told: an event of its
    own kind, the last, which `next_events` does not list. Events go from the earliest to the latest; those of one
    time stand in the order of the table, and so do all where there are no timestamps. Ratings are ignored. Somebody
    without a history gets scores that follow popularity.
    """

    task = "next_item"

    factors: int = whole(64, search=(16, 128, "log"))
    max_length: int = whole(50, search=(10, 200, "log"))
    epochs: int = whole(15, search=(5, 40, "log"))
    learning_rate: float = number(0.005, above=0, search=(0.001, 0.02, "log"))
    reg: float = number(0.0, 0, search=[0.0, 1e-6, 1e-5, 1e-4])
    batch_size: int | None = whole(64, or_none=True)
    optimizer: str = choice("adam", OPTIMIZERS)
    event_weight: float = number(1.0, 0, search=(0.1, 3.0, "log"))
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return recurrent_start(self._parameter_shapes(train.n_users, train.n_items), rng)

    def _item_biases(self) -> np.ndarray:
        return self._get_parameters()["item_bias"]

    # ---------------------------------------------------------------- events

    def _remember(self, data: Dataset) -> None:
        super()._remember(data)
        column = self._train.extra.get("event")
        told = np.zeros(0, object) if column is None else as_text(column, "event")
        self._events = IdIndex(np.unique(told))
        # After a file was read the events of train stand here, and no longer in its columns.
        self._event_codes = self._codes_of_events(self._train)

    def _codes_of_events(self, coded: Coded) -> np.ndarray:
        """(n,) in 0..n_events-1; n_events where no event is told."""
        column = coded.extra.get("event")
        if column is None or not len(self._events):
            return np.full(len(coded.users), len(self._events))
        codes = self._events.codes(as_text(column, "event"))
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            raise ValueError(
                f"column `event`, row {row}: {str(column[row])!r} is none of train's events, "
                f"{self._events.ids.tolist()}; name it as train does, or leave the row out"
            )
        return codes

    @property
    def events_(self) -> np.ndarray:
        """The names of the events of train, sorted."""
        self._check_fitted()
        return self._events.ids

    def _columns(self, coded: Coded) -> dict[str, tuple[np.ndarray, int]]:
        events = self._event_codes if coded is self._train else self._codes_of_events(coded)
        return super()._columns(coded) | {"events": (events, len(self._events))}

    # ---------------------------------------------------------------- what comes next

    def next_events(self, users=None, *, histories=None, unknown: str = "raise") -> pd.DataFrame:
        """How likely each event is to be the next step's: a table user, event, chance.

        users, histories, unknown : as in `recommend`

        Somebody without a history has the shares of the events of train. Raises ValueError where train has no column
        `event`, UnknownIdError, NotFittedError.
        """
        self._check_fitted()
        if not len(self._events):
            raise ValueError("train has no column `event`: there is none to predict")
        question = self.question(histories, unknown)
        users, codes = question.asked(users)
        states, has_history = self._states_of(codes, question.prepared)
        learnt = self._get_parameters()
        z = (states.astype(np.float64) @ learnt["event_kernel"] + learnt["event_bias"])[:, :-1]
        chances = np.exp(z - z.max(1, keepdims=True))
        chances[~has_history] = np.bincount(self._event_codes, minlength=len(self._events) + 1)[:-1]
        chances /= chances.sum(1, keepdims=True)
        return pd.DataFrame(
            {
                "user": np.repeat(users, len(self._events)),
                "event": np.tile(self._events.ids, len(codes)),
                "chance": chances.ravel().astype(np.float32),
            }
        )

    # ---------------------------------------------------------------- parameters and files

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        n_events = len(self._events) if "_events" in self.__dict__ else 0
        return recurrent_shapes("gru", n_items, self.factors) | {
            "event_factors": (n_events + 1, self.factors),
            "event_kernel": (self.factors, n_events + 1),
            "event_bias": (n_events + 1,),
        }

    def _feature_names(self) -> set[str]:
        return {"events", "history_events"}

    def _get_features(self) -> dict[str, np.ndarray]:
        return {"events": self._events.ids, "history_events": self._event_codes}

    def _set_features(self, features: dict[str, np.ndarray]) -> None:
        names, codes = features["events"], features["history_events"]
        if names.ndim != 1 or names.dtype.kind not in "UO" or len(np.unique(names)) != len(names):
            raise ValueError("`events` is not a list of distinct names")
        if codes.shape != self._train.users.shape or codes.dtype.kind != "i":
            raise ValueError("`history_events` is not a list of codes, one for each event of the history")
        if len(codes) and not 0 <= codes.min() <= codes.max() <= len(names):
            raise ValueError(f"`history_events` has codes outside 0..{len(names)}")
        self._events, self._event_codes = IdIndex(names), codes
