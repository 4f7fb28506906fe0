"""What every recommender owes its users, as checks that anybody can run on a model of their own.

A check is one property (of pairs, tables, histories, ids, dtypes, files, …) tried on many odd inputs. The rule is the
same everywhere: **a right answer, or an error that names the culprit; never a wrong answer in silence, never NaN,
never an error of NumPy, pandas or a framework that slipped through.** A check never looks inside a model, so what
it demands can be met by any class that derives from `recbook.recommender.Recommender`.

With pytest, each check is a test::

    from recbook import contract

    @contract.parametrize_with_checks([MyModel(), MyModel(k=3)])
    def test_my_model(model, check):
        check(model)

Without, ask for a table::

    contract.check_recommender(MyModel(), on_fail=None)

Models are made anew for each check by calling their class with the given model's arguments; choose arguments with
which a fit takes milliseconds (one epoch, few factors).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from recbook.contract import _answers, _histories, _inputs, _life  # noqa: F401  (their checks enter themselves)
from recbook.contract._core import REGISTRY, Check, Subject, reason
from recbook.interactions import Dataset, Interactions
from recbook.recommender import Recommender

__all__ = ["BoundCheck", "check_recommender", "checks", "parametrize_with_checks"]


class BoundCheck:
    """A check that knows its model: call it, with the model or without.

    name : of the check;  fits : whether it fits a model for each input;  inputs : their names

    Calling it raises AssertionError that lists every input on which the model fails, and why.
    """

    def __init__(self, check: Check, subject: Subject):
        self._check, self._subject = check, subject
        self.name, self.fits, self.inputs = check.name, check.fits, list(check.inputs)

    def __call__(self, model: Recommender | None = None) -> None:
        subject = self._subject
        if model is not None and model is not subject.model:
            subject = Subject(model, subject.data)
        self._check(subject)

    def outcomes(self) -> list[tuple[str, BaseException | None]]:
        """For each input its name, and the error, or None where all is well."""
        return list(self._check.outcomes(self._subject))

    def __repr__(self) -> str:
        return f"BoundCheck({self.name})"


def checks(model: Recommender, *, data: Dataset | Interactions | None = None) -> list[BoundCheck]:
    """The checks that concern `model`: a model of rankings is not asked about ratings.

    data : what to fit on, at least ten users and eight items, nobody of whom has seen all; made from the model's
        `task` and `needs` (columns of words) where it is None
    """
    if isinstance(model, type) or not isinstance(model, Recommender):
        raise TypeError(f"`model` is {model!r}; give a Recommender, as MyModel(epochs=1), not its class")
    subject = Subject(model, data)
    return [BoundCheck(check, subject) for check in REGISTRY if check.when(subject)]


def check_recommender(
    model: Recommender,
    *,
    data: Dataset | Interactions | None = None,
    expected_failed_checks: Mapping[str, str] | None = None,
    on_fail: str | None = "raise",
) -> pd.DataFrame:
    """Runs all checks that concern `model`.

    data : as in `checks`
    expected_failed_checks : names of checks that the model need not pass, each with the reason
    on_fail : "raise" an AssertionError after the last check, or None: the table says it all

    Returns a row for each input: check, input, status ("passed", "failed", "xfail"), error.
    """
    if on_fail not in ("raise", None):
        raise ValueError(f"`on_fail` is {on_fail!r}; choose 'raise' or None")
    expected = dict(expected_failed_checks or {})
    bound = checks(model, data=data)
    _check_names(expected, bound)
    rows = []
    for one in bound:
        for name, error in one.outcomes():
            status = "passed" if error is None else "xfail" if one.name in expected else "failed"
            rows.append((one.name, name, status, "" if error is None else reason(error)))
    table = pd.DataFrame(rows, columns=["check", "input", "status", "error"])
    failed = table[table.status == "failed"]
    if on_fail == "raise" and len(failed):
        lines = "\n".join(f"  {r.check}[{r.input}]: {r.error}" for r in failed.itertuples())
        raise AssertionError(
            f"{type(model).__name__} fails {failed.check.nunique()} of {table.check.nunique()} checks\n{lines}"
        )
    return table


def parametrize_with_checks(
    models: Iterable[Recommender],
    *,
    data: Dataset | Interactions | None = None,
    expected_failed_checks: Callable[[Recommender], Mapping[str, str]] | None = None,
):
    """Makes each check of each model a test with the arguments `model` and `check`; needs pytest.

    models : with arguments that make a fit quick
    data : as in `checks`
    expected_failed_checks : from a model to names of checks that it need not pass, each with the reason
    """
    import pytest

    cases = []
    for model in models:
        expected = dict(expected_failed_checks(model)) if expected_failed_checks else {}
        bound = checks(model, data=data)
        _check_names(expected, bound)
        for one in bound:
            marks = [pytest.mark.xfail(reason=expected[one.name])] if one.name in expected else []
            cases.append(pytest.param(model, one, marks=marks, id=f"{one.name}-{name_of(model)}"))
    return pytest.mark.parametrize("model, check", cases)


def name_of(model: Recommender) -> str:
    """As torch.UserKNN: the part of recbook that a class is of, or its module."""
    path = type(model).__module__.split(".")
    return f"{path[1] if path[0] == 'recbook' else path[-1]}.{type(model).__name__}"


def _check_names(expected: Iterable[str], bound: list[BoundCheck]) -> None:
    if unknown := set(expected) - {one.name for one in bound}:
        raise ValueError(f"there is no check {min(unknown)!r}; there are {sorted(one.name for one in bound)}")
