"""Checks of the exercises: they tell a learner what is wrong, not only that something is.

A check runs the learner's function on hidden cases. Where the answers are those of a known mistake, it
gives that mistake's hint. Answers may be NumPy, PyTorch or Keras. Who does not know how to begin asks the
exercise itself: `check.cosine.hint()`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mistake:
    """A wrong way to do it that learners often take, and the hint that helps."""

    solution: Callable
    hint: str


def hints(*texts: str, called: str = "check") -> Callable[[Callable], Callable]:
    """Gives an exercise its hints, from a first push to nearly the whole way, and lets a wrong answer mention them.

    `exercise.hints` are the texts; `exercise.hint()` prints the next of them, and after the last begins again.
    called : what notebooks call the module of the exercise
    """

    def give(exercise: Callable) -> Callable:
        coming = itertools.cycle(enumerate(texts, start=1))

        def hint() -> None:
            number, text = next(coming)
            print(f"Hint {number} of {len(texts)}: {text}")

        @functools.wraps(exercise)
        def checked(answer: Callable) -> bool | None:
            verdict = exercise(answer)
            if verdict is False:
                print(f"  For a hint, run `{called}.{exercise.__name__}.hint()` in a cell.")
            return verdict

        checked.__dict__.update(hints=texts, hint=hint)
        return checked

    return give


def as_numpy(value) -> np.ndarray:
    """`value` as an array, whichever framework it is from."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value, dtype=float)


def check(
    answer: Callable,
    right: Callable,
    cases: Sequence[tuple],
    mistakes: Sequence[Mistake],
    tolerance: float = 1e-4,
) -> bool | None:
    """Prints a verdict; True where `answer` agrees with `right` in every case, None where it is still to be written."""
    if not callable(answer):
        return _say(False, f"`{answer!r}` is not a function; pass the function itself, without brackets.")
    got = []
    for number, case in enumerate(cases, start=1):
        try:
            value = answer(*[np.array(part) if isinstance(part, np.ndarray) else part for part in case])
        except Exception as error:
            return _say(False, f"Your function stopped with {type(error).__name__}: {error} (case {number}).")
        if value is None or value is Ellipsis:
            _say(False, "Nothing to check yet: your function returns nothing. Replace the dots.")
            return None
        try:
            got.append(as_numpy(value))
        except (TypeError, ValueError):
            return _say(
                False, f"Your function returned a {type(value).__name__}; a number or an array is expected."
            )
    wanted = [as_numpy(right(*case)) for case in cases]
    if _same(got, wanted, tolerance):
        return _say(True, f"Right, in all {len(cases)} cases.")
    for mistake in mistakes:
        if _same(got, [as_numpy(mistake.solution(*case)) for case in cases], tolerance):
            return _say(False, mistake.hint)
    for number, (one, other) in enumerate(zip(got, wanted, strict=True), start=1):
        if one.shape != other.shape:
            return _say(
                False, f"Case {number}: your answer has shape {one.shape}; {other.shape} is expected."
            )
        if np.isnan(one).any() and not np.isnan(other).any():
            return _say(
                False, f"Case {number}: your answer is NaN. What is divided by zero, or was missing before?"
            )
        if not np.allclose(one, other, atol=tolerance):
            return _say(
                False, f"Case {number} of {len(cases)}: you give {one.round(4)}, right is {other.round(4)}."
            )
    return False


def _same(got: list[np.ndarray], wanted: list[np.ndarray], tolerance: float) -> bool:
    def close(one, other):
        return one.shape == other.shape and np.allclose(one, other, atol=tolerance, equal_nan=True)

    return all(close(one, other) for one, other in zip(got, wanted, strict=True))


def _say(verdict: bool, text: str) -> bool:
    print(("✓ " if verdict else "✗ ") + text)
    return verdict
