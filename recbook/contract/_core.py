"""What a check is, what it is given, and what counts as a right answer or as a clear refusal."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbook.errors import DivergedError, NotFittedError, NotSupportedError, UnknownIdError
from recbook.interactions import Dataset, Interactions
from recbook.recommender import Recommender

PACKAGE = Path(__file__).resolve().parents[1]
REFUSALS = (ValueError, TypeError, UnknownIdError, NotSupportedError, NotFittedError, DivergedError)
WORDS = ("Comedy", "War|Drama", "Drama", "Comedy|Romance")
WARM = 9999  # an item of the tables that is in no interaction
TOLERANCE = 1e-5  # of float32, in units of the largest score


class Subject:
    """A model under check: copies of it, small data that suit it, and one fitted model that checks only read.

    model : never fitted itself
    data : what to fit on; made from the model's `task` and `needs` where it is None
    """

    def __init__(self, model: Recommender, data: Dataset | Interactions | None = None):
        self.model = model
        self.cls = type(model)
        self.task = model.task
        self.supports = model.supports
        given = data if data is None or isinstance(data, Dataset) else Dataset(data)
        self.data = self._make_data() if given is None else given

    # ---------------------------------------------------------------- data

    def _make_data(self) -> Dataset:
        rng = np.random.default_rng(0)
        met = rng.random((12, 10)) < 0.55
        met[:, :2] = True  # everybody has a history
        met[:, 9] = np.arange(12) < 6  # and something left to see
        met[0, 9], met[0, 3] = True, False
        u, i = np.nonzero(met)
        rows = rng.permutation(len(u))
        table = pd.DataFrame({"user": [f"u{n}" for n in u[rows]], "item": 100 - i[rows]})
        if self.task == "rating":
            table["rating"] = rng.integers(1, 6, len(table)).astype(float)
        elif self.task == "click":
            table["rating"] = rng.integers(0, 2, len(table)).astype(float)
        table["timestamp"] = 10**9 + 86_400 * rng.permutation(len(table))
        table["position"] = rng.integers(0, 5, len(table))
        table["event"] = np.array(["browse", "click", "buy"])[table.position % 3]
        tables = {}
        for side, ids in (("users", sorted(set(table.user))), ("items", [*sorted(set(table.item)), WARM])):
            columns = {name: rng.choice(WORDS, len(ids)) for name in self.model.needs.get(side, [])}
            tables[side] = pd.DataFrame(columns, index=ids)
        return Dataset(Interactions.from_frame(table), **tables)

    @property
    def frame(self) -> pd.DataFrame:
        """The interactions as a table that a check may change."""
        return self.data.interactions.to_frame()

    @property
    def rows(self) -> pd.DataFrame:
        """The same without further columns."""
        frame = self.frame
        return frame[[c for c in ("user", "item", "rating", "timestamp") if c in frame]]

    def dataset(self, frame, users: Callable = lambda id: id, items: Callable = lambda id: id, **options):
        """A Dataset of a table, or of Interactions, with side tables for the ids in it.

        users, items : from an id of `data` to what it is called in `frame`
        options : of `Interactions.from_frame`
        """
        x = frame if isinstance(frame, Interactions) else Interactions.from_frame(frame, **options)
        tables = {}
        for side, rename, ids in (("users", users, x.user_ids), ("items", items, x.item_ids)):
            table = getattr(self.data, side)
            if table is None:
                continue
            names = pd.Index(as_column([rename(i) for i in table.index.tolist()]))
            table = table.set_axis(names)
            if not pd.Index(ids).isin(names).all():  # people and things of a check's own
                source = np.arange(len(ids)) % len(table)
                table = table.iloc[source].set_axis(pd.Index(ids))
            tables[side] = table
        return Dataset(x, **tables)

    # ---------------------------------------------------------------- models

    def new(self, **changes) -> Recommender:
        """An unfitted copy, made as everybody makes one: by calling the class."""
        return self.cls(**({n: getattr(self.model, n) for n in self.parameters} | changes))

    @property
    def parameters(self) -> list[str]:
        return [name for name in inspect.signature(self.cls.__init__).parameters if name != "self"]

    def fit(self, data, validation=None, **changes) -> Recommender:
        return self.new(**changes).fit(data, validation, progress=False)

    @cached_property
    def fitted(self) -> Recommender:
        """Fitted on `data`, once; checks may ask it and must not change it."""
        return self.fit(self.data)

    @cached_property
    def scores(self) -> np.ndarray:
        """Of `fitted`, users × items."""
        return self.fitted.score_matrix()

    @cached_property
    def best(self) -> list[tuple]:
        """What `fitted` recommends: three pairs of user and item a user, warm items left out."""
        table = self.fitted.recommend(self.users, k=3, candidates=self.items)
        return list(zip(table.user.tolist(), table.item.tolist(), strict=True))

    @cached_property
    def seen(self) -> dict[Any, list]:
        """The items of each user of `data`, in the order of the rows."""
        x = self.data.interactions
        return {user: x.items[x.users == user].tolist() for user in x.user_ids.tolist()}

    @property
    def users(self) -> list:
        return self.data.interactions.user_ids.tolist()

    @property
    def items(self) -> list:
        return self.data.interactions.item_ids.tolist()

    # ---------------------------------------------------------------- right, or refused

    def is_clear(self, error: BaseException) -> bool:
        """Whether recbook, or the model itself, refused, and not something that it stands on."""
        last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        return (
            isinstance(error, REFUSALS)
            and bool(str(error))
            and (PACKAGE in last.parents or last in self._own)
        )

    @cached_property
    def _own(self) -> set[Path]:
        """Where the methods of the class and of its bases are written; a notebook's cells have a name, too."""
        methods = (f for c in self.cls.__mro__ for f in vars(c).values() if inspect.isfunction(f))
        return {Path(method.__code__.co_filename) for method in methods}

    def refused(self, call: Callable, *errors: type[Exception], words: tuple[str, ...] = ()) -> None:
        """`call` must raise one of `errors` by a message of recbook's or the model's own, which has `words`."""
        try:
            answer = call()
        except Exception as error:
            if not isinstance(error, errors or REFUSALS) or not self.is_clear(error):
                raise AssertionError(
                    f"refused by {_said(error)}, not by {_named(errors or REFUSALS)}"
                ) from error
            missing = [word for word in words if word not in str(error)]
            assert not missing, f"the message does not name {missing[0]!r}: {error}"
        else:
            raise AssertionError(f"not refused, but answered: {str(answer)[:200]}")

    def answer(self, call: Callable) -> Any:
        """What `call` gives, or None where it is refused clearly; any other error is a fault."""
        try:
            return call()
        except Exception as error:
            if not self.is_clear(error):
                raise AssertionError(f"neither answered nor refused clearly: {_said(error)}") from error
            return None

    def same_scores(
        self, model: Recommender, users: Callable = lambda id: id, items: Callable = lambda id: id
    ):
        """`model` must say of each pair what `fitted` says, under other names for users and items."""
        columns = [items(i) for i in self.items]
        scores = model.score_matrix([users(u) for u in self.users], candidates=columns)
        near(scores, self.scores[:, : len(self.items)])
        asked = model.recommend([users(u) for u in self.users], k=3, candidates=columns)
        expected = [(users(u), items(i)) for u, i in self.best]
        got = list(zip(asked.user.tolist(), asked.item.tolist(), strict=True))
        assert got == expected, f"other items are recommended: {got[:3]} where {expected[:3]} were"

    def sane(self, model: Recommender, frame: pd.DataFrame | None = None) -> None:
        """What every fitted model owes: finite numbers, whole tables, nothing seen, and no absurd rating.

        frame : the ratings it was fitted on, where they bound what may be predicted
        """
        scores = model.score_matrix()
        assert scores.shape == (len(model.user_ids_), len(model.item_ids_))
        assert np.isfinite(scores).all(), (
            f"{(~np.isfinite(scores)).sum()} of {scores.size} scores are not finite"
        )
        good_table(model, model.recommend(k=3), 3)
        if frame is not None and self.task == "rating":
            # What was trained for a moment still stands where it started, near 0; what lies beyond one range of
            # the ratings is no estimate.
            low, high = frame.rating.min(), frame.rating.max()
            reach = (high - low) or abs(high) or 1e-9
            if model.history_:
                reach = max(reach, 1.0, 0.1 * max(abs(low), abs(high)))
            low, high = min(low, 0) - reach, max(high, 0) + reach
            worst = scores.flat[np.argmax(np.maximum(low - scores, scores - high))]
            assert low <= worst <= high, (
                f"{worst:g} is predicted from ratings in {frame.rating.min():g} to "
                + (f"{frame.rating.max():g}")
            )


def near(found, expected, what: str = "scores") -> None:
    """Equal but for float32, in units of the largest number."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    assert np.isfinite(found).all(), f"{what}: not finite"
    if found.size:
        off = np.abs(found - expected).max()
        assert off <= TOLERANCE * max(1.0, np.abs(expected).max()), f"{what} differ by {off:g}"


def same_table(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same rows in the same order, scores but for float32."""
    assert found.columns.tolist() == expected.columns.tolist(), f"columns {found.columns.tolist()}"
    for name in found:
        if name == "score":
            near(found.score, expected.score)
        else:
            assert found[name].tolist() == expected[name].tolist(), (
                f"`{name}` is {found[name].tolist()[:5]}…, not {expected[name].tolist()[:5]}…"
            )


def good_table(model: Recommender, table: pd.DataFrame, k: int, seen: Mapping | None = None) -> None:
    """A table of `recommend`: its columns, kinds, ranks and order, no item twice, nothing of `seen`."""
    assert table.columns.tolist() == ["user", "item", "score", "rank"], f"columns {table.columns.tolist()}"
    assert table.score.dtype == np.float32, f"scores are {table.score.dtype}"
    assert table["rank"].dtype.kind == "i", f"ranks are {table['rank'].dtype}"
    assert table.index.equals(pd.RangeIndex(len(table))), "rows are not numbered from 0"
    assert np.isfinite(table.score).all(), "a score is not finite"
    place = {item: at for at, item in enumerate(model.item_ids_.tolist())}
    for user, rows in table.groupby((table["rank"] == 1).cumsum()):
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1)) and len(rows) <= k, (
            f"ranks {rows['rank'].tolist()}"
        )
        assert rows.user.nunique() == 1 and rows.item.is_unique, (
            f"list {user} names an item or two people twice"
        )
        keys = [
            (-score, place[item]) for score, item in zip(rows.score.tolist(), rows.item.tolist(), strict=True)
        ]
        assert keys == sorted(keys), f"list {user} is not in the order of scores, then of first appearance"
    if seen is not None:
        again = [
            (u, i)
            for u, i in zip(table.user.tolist(), table.item.tolist(), strict=True)
            if i in seen.get(u, ())
        ]
        assert not again, f"recommends what was seen: {again[:3]}"


def as_column(values: list):
    """Ids as pandas holds them: integers of 64 bits, or Python's own strings, whose NULs NumPy's would lose."""
    if values and all(isinstance(v, int) for v in values):
        return np.array(values, np.int64)
    return np.array(values, object)


def _said(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} of {Path(where.filename).name}:{where.lineno}: {str(error)[:300]}"


def _named(errors) -> str:
    return " or ".join(error.__name__ for error in errors)


# ---------------------------------------------------------------- checks


@dataclass(frozen=True)
class Check:
    """One property of every model, tried on named inputs.

    fits : whether a model is fitted for each input, which costs
    when : tells of a Subject whether the property concerns it
    """

    name: str
    function: Callable[[Subject, Any], None]
    inputs: Mapping[str, Any] = field(repr=False)
    fits: bool
    when: Callable[[Subject], bool] = field(repr=False)

    def outcomes(self, subject: Subject) -> Iterator[tuple[str, BaseException | None]]:
        """The name of each input, and what went wrong with it."""
        for name, given in self.inputs.items():
            try:
                # Whoever divides by zero on odd data must have meant it, and says so by np.errstate.
                with warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)
                    warnings.filterwarnings("ignore", category=UserWarning)
                    self.function(subject, given)
            except Exception as error:
                yield name, error
            else:
                yield name, None

    def __call__(self, subject: Subject) -> None:
        """Raises AssertionError that lists every input on which the model fails."""
        failed = [(name, error) for name, error in self.outcomes(subject) if error is not None]
        if failed:
            lines = "\n".join(f"  {name}: {reason(error)}" for name, error in failed)
            raise AssertionError(
                f"{subject.cls.__name__} fails {self.name} on {len(failed)} of {len(self.inputs)} inputs\n{lines}"
            ) from failed[0][1]


def reason(error: BaseException) -> str:
    """What went wrong, in a line: an assertion's message, or, where it has none, its own text."""
    if not isinstance(error, AssertionError):
        return _said(error)
    return str(error) or f"not so: {traceback.extract_tb(error.__traceback__)[-1].line}"


REGISTRY: list[Check] = []


def check(
    inputs: Mapping[str, Any] | None = None, *, fits: bool = False, when: Callable = lambda subject: True
):
    """Enters a function of a Subject and an input as a check."""

    def enter(function):
        table = {"": None} if inputs is None else dict(inputs)
        REGISTRY.append(Check(function.__name__.removeprefix("check_"), function, table, fits, when))
        return function

    return enter


def each(*values) -> dict[str, Any]:
    """Inputs that are their own names."""
    return {str(value): value for value in values}
