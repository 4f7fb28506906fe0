"""GRU4Rec and DecisionPath, the half that both wings share: parameters, gates, events, what is drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbook.interactions import IdIndex, as_text
from recbook.next_items import SequenceModel
from recbook.recommender import Coded, check_choice, check_number
from recbook.reconstruction import glorot

# The gates of a cell, each with a kernel (factors, factors) for the step, one for the state before it, and a bias.
GATES = {
    "rnn": ("state",),
    "gru": ("reset", "update", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
}
START = np.float32(0.1)  # the standard deviation of vectors


class RecurrentModel(SequenceModel):
    """A recurrent cell reads the vectors of the steps."""

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_choice("cell", self.cell, GATES)

    def _cell_shapes(self) -> dict[str, tuple[int, ...]]:
        square, row = (self.factors, self.factors), (self.factors,)
        parts = {"kernel": square, "recurrent": square, "bias": row}
        shapes = {f"{gate}_{part}": shape for gate in GATES[self.cell] for part, shape in parts.items()}
        return shapes | ({"candidate_recurrent_bias": row} if self.cell == "gru" else {})

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        vectors = {"item_factors": (n_items, self.factors), "item_bias": (n_items,)}
        return vectors | self._cell_shapes()

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Vectors of N(0, 0.1²), kernels by Glorot, those of states orthogonal, biases 0, but the forget gate's 1."""
        start = {}
        for name, shape in self._parameter_shapes(train.n_users, train.n_items).items():
            if len(shape) == 1:
                start[name] = np.full(shape, name == "forget_bias", np.float32)
            elif name.endswith("_recurrent"):
                start[name] = np.linalg.qr(rng.normal(size=shape))[0].astype(np.float32)
            elif name.endswith("_kernel"):
                start[name] = glorot(rng, *shape)
            else:
                start[name] = rng.normal(0, START, shape).astype(np.float32)
        return start


class GRU4RecModel(RecurrentModel):
    task = "next_item"
    _losses = ("softmax", "bpr")


class DecisionPathModel(RecurrentModel):
    """Steps are items with events; the next step's event is predicted beside its item."""

    task = "next_item"
    cell = "gru"

    # ---------------------------------------------------------------- events

    def _remember(self, data, train) -> None:
        super()._remember(data, train)
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

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_number("event_weight", self.event_weight, 0)

    # ---------------------------------------------------------------- what comes next

    def next_events(self, users=None, *, histories=None) -> pd.DataFrame:
        """How likely each event is to be the next step's: a table user, event, chance.

        users, histories : as in `recommend`

        Somebody without a history has the shares of the events of train. Raises ValueError where train has no column
        `event`, UnknownIdError, NotFittedError.
        """
        self._check_fitted()
        if not len(self._events):
            raise ValueError("train has no column `event`: there is none to predict")
        question = self.question(histories)
        users, codes = question.asked(users)
        states, has_history = self._states_of(codes, question.histories)
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

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        n_events = len(self._events) if hasattr(self, "_events") else 0
        return super()._parameter_shapes(n_users, n_items) | {
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
