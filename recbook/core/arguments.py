"""Hyper-parameters as data: a default, what else is allowed, and where a better value may lie.

    class EASE(Recommender):
        reg: float = number(400.0, above=0, search=(10.0, 3000.0, "log"))
        device: str = device()

A class whose body says so has a constructor with these arguments, in this order, which only stores them. Checks,
`get_params`, tuning and the reference are made of the same lines.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

# By hyper-parameter, what `tuning.random_search` draws from: a list of values, (low, high), or (low, high, "log").
Space = list | tuple


@dataclass(frozen=True)
class Argument:
    """One hyper-parameter.

    default : what it is where nobody says otherwise
    check : check(name, value) raises ValueError that names the argument and what it may be
    search : where a better value may lie; None where there is nothing to gain
    """

    default: Any
    check: Callable[[str, Any], object]
    search: Space | None = None


# ---------------------------------------------------------------- kinds of arguments


def argument(default: Any, check: Callable[[str, Any], object], search: Space | None = None) -> Any:
    """Of a kind of its own."""
    return Argument(default, check, search)


def number(
    default: float | None,
    least: float = -np.inf,
    *,
    above: float | None = None,
    most: float = np.inf,
    below: float | None = None,
    whole: bool = False,
    or_none: bool = False,
    search: Space | None = None,
) -> Any:
    """A number from `least` to `most`, or greater than `above`, or less than `below`."""

    def check(name: str, value) -> None:
        if value is None and or_none:
            return
        check_number(name, value, least if above is None else above, whole, above is not None, most, below)

    return Argument(default, check, search)


def whole(default: int | None, least: int = 1, *, or_none: bool = False, search: Space | None = None) -> Any:
    """A whole number of at least `least`, or None where that is allowed."""
    return number(default, least, whole=True, or_none=or_none, search=search)


def choice(default: Any, choices: Iterable, search: Space | None = None) -> Any:
    """One of a few."""
    choices = tuple(choices)
    return Argument(default, lambda name, value: check_choice(name, value, choices), search)


def flag(default: bool, search: Space | None = None) -> Any:
    return choice(default, (True, False), search)


def widths(default: tuple[int, ...], search: Space | None = None) -> Any:
    """The widths of hidden layers, as (64, 32); there may be none."""
    return Argument(default, check_layers, search)


def anything(default: Any) -> Any:
    """What is checked elsewhere, with what it is used on."""
    return Argument(default, lambda name, value: None)


def seed() -> Any:
    return whole(0, 0)


def device() -> Any:
    """Where to compute. It is checked where it is asked for: what is there depends on the machine."""
    return anything("auto")


# ---------------------------------------------------------------- checks


def check_choice(name: str, value, choices: Iterable) -> None:
    """Raises ValueError where `value` is none of `choices`."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"`{name}` is {value!r}; choose one of {choices}")


def check_number(
    name: str,
    value,
    low: float,
    whole: bool = False,
    above: bool = False,
    most: float = np.inf,
    below: float | None = None,
) -> None:
    """Raises ValueError where `value` is no number of at least `low` and at most `most`.

    above : it must be greater than `low`;  below : it must be less than that
    """
    kinds = int | np.integer if whole else int | float | np.number
    right = not isinstance(value, bool) and isinstance(value, kinds) and low <= value <= most
    right = right and abs(value) < np.inf and not (above and value == low)
    if not right or (below is not None and value >= below):
        bound = f"greater than {low}" if above else f"of at least {low}"
        if below is not None or most < np.inf:
            bound += f" and less than {below}" if below is not None else f" and at most {most}"
        raise ValueError(f"`{name}` is {value!r}; it must be a {'whole ' if whole else ''}number {bound}")


def check_layers(name: str, layers) -> None:
    """Raises ValueError where `layers` is no sequence of widths; it may be empty."""
    if not isinstance(layers, tuple | list):
        raise ValueError(f"`{name}` is {layers!r}; give the widths of the hidden layers, as (64, 32)")
    for width in layers:
        check_number(name, width, 1, whole=True)


# ---------------------------------------------------------------- constructors


def declare(cls: type) -> None:
    """Takes the arguments out of a class' body: they join those of its bases, and the class gets a constructor.

    A class without a docstring takes that of its first base.
    """
    own = {name: value for name, value in vars(cls).items() if isinstance(value, Argument)}
    for name in own:
        delattr(cls, name)
    cls._arguments = getattr(cls, "_arguments", {}) | own
    if cls.__doc__ is None:  # a wing's class says what its head says
        cls.__doc__ = next((base.__doc__ for base in cls.__mro__[1:] if base.__doc__), None)
    if own and "__init__" not in vars(cls):
        cls.__init__ = _constructor(cls)


def _constructor(cls: type) -> Callable[..., None]:
    kinds = {
        name: kind for base in reversed(cls.__mro__) for name, kind in inspect.get_annotations(base).items()
    }
    one = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter("self", one)]
    for name, argument in cls._arguments.items():
        annotation = kinds.get(name, inspect.Parameter.empty)
        parameters.append(inspect.Parameter(name, one, default=argument.default, annotation=annotation))
    signature = inspect.Signature(parameters)

    def __init__(self, *given, **named) -> None:
        try:
            bound = signature.bind(self, *given, **named)
        except TypeError as error:
            known = ", ".join(cls._arguments)
            raise TypeError(f"{type(self).__name__}: {error}; its arguments are {known}") from None
        bound.apply_defaults()
        for name in cls._arguments:
            setattr(self, name, bound.arguments[name])

    __init__.__signature__ = signature
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__module__ = cls.__module__
    return __init__
