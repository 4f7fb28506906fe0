"""The house: short ladders, little said twice, hyper-parameters as data."""

from __future__ import annotations

import inspect

import pytest

import recbook
import recbook.keras as rk
import recbook.numpy as rn
import recbook.torch as rt
from recbook import tuning
from recbook.core.arguments import Argument, choice, number, widths
from recbook.recommender import Recommender
from recbook.tools import house, twins
from tests.helpers.small_data import data_for

CLASSES = [cls for pair in twins.pairs() for cls in (pair.torch, pair.keras)]
CLASSES += [getattr(rn, name) for name in rn.__all__]
EACH = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")


@EACH
def test_a_model_stands_on_six_classes_at_most_in_six_modules(cls):
    ladder = house.ladder(cls)
    assert ladder[0] is cls and ladder[-1] is Recommender
    assert len(ladder) <= 6 and len({base.__module__ for base in ladder}) <= 6, ladder


def test_the_wings_say_little_twice():
    assert 300 < house.repeated_lines() < 900


def test_a_repetition_is_counted(tmp_path, monkeypatch):
    for wing, text in (("torch", "    one = two\n)\nthree\n"), ("keras", "one = two\n)\nfour\n")):
        (tmp_path / wing).mkdir()
        (tmp_path / wing / "topic.py").write_text(text)
    (tmp_path / "torch" / "alone.py").write_text("one = two\n")
    monkeypatch.setattr(house, "PACKAGE", tmp_path)
    assert house.repeated_lines() == 1


# ---------------------------------------------------------------- hyper-parameters as data


@EACH
def test_every_argument_is_declared_once_with_what_it_may_be(cls):
    names = [name for name in inspect.signature(cls).parameters]
    assert names == list(cls._arguments)
    model = cls()
    model._check_hyper_parameters()
    for name, argument in cls._arguments.items():
        assert isinstance(argument, Argument) and getattr(model, name) == argument.default
    declared = [base for base in house.ladder(cls) if "__init__" in vars(base) and base is not Recommender]
    assert len(declared) <= 1, "a wing says again what the shared head says"


@EACH
def test_a_space_encloses_the_default_and_holds_what_is_allowed(cls):
    model = cls()
    for name, values in tuning.space(cls).items():
        ends = values if isinstance(values, list) else list(values[:2])
        for value in ends:
            cls._arguments[name].check(name, value)
        default = getattr(model, name)
        if default is None:
            continue
        inside = default in values if isinstance(values, list) else values[0] <= default <= values[1]
        assert inside, f"{name}: {default} is not in {values}"


def test_a_models_own_space_is_searched():
    model = rt.SlopeOne(device="cpu")
    assert tuning.space(model) == tuning.space(rk.SlopeOne) == {"min_support": (1, 30, "log")}
    found = tuning.random_search(
        model, None, data_for(rt.SlopeOne).interactions, metric="rmse", n_trials=3, progress=False
    )
    assert list(found.params) == ["min_support"] and found.protocol["space"] == {
        "min_support": [1, 30, "log"]
    }


class Declared(Recommender):
    """Two arguments."""

    size: int = number(3, 1, whole=True, search=(1, 9))
    kind: str = choice("a", ("a", "b"))


class More(Declared):
    layers: tuple[int, ...] = widths((4,))


def test_a_constructor_is_made_of_what_the_class_says():
    assert str(inspect.signature(Declared)) == "(size: 'int' = 3, kind: 'str' = 'a')"
    assert Declared(5).get_params() == {"size": 5, "kind": "a"}
    assert More(layers=()).get_params() == {"size": 3, "kind": "a", "layers": ()}
    assert More.__doc__ == "Two arguments." and "size" not in vars(Declared)
    with pytest.raises(TypeError, match="Declared: .*'colour'; its arguments are size, kind"):
        Declared(colour="blue")
    with pytest.raises(TypeError, match="Declared"):
        Declared(1, "a", 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 0}, "`size` is 0; it must be a whole number of at least 1"),
        ({"size": 2.0}, "`size` is 2.0; it must be a whole number of at least 1"),
        ({"kind": "c"}, r"`kind` is 'c'; choose one of \('a', 'b'\)"),
        ({"layers": 3}, "`layers` is 3; give the widths"),
        ({"layers": (3, 0)}, "`layers` is 0; it must be a whole number"),
    ],
)
def test_what_an_argument_may_be_is_checked_where_it_is_declared(change, words):
    with pytest.raises(ValueError, match=words):
        More(**change)._check_hyper_parameters()


# ---------------------------------------------------------------- the front door


def test_what_everybody_needs_is_at_the_front_door(tmp_path):
    x = recbook.Interactions.from_frame(data_for(rn.BiasOnly).interactions.to_frame())
    model = rn.BiasOnly().fit(recbook.Dataset(x))
    assert recbook.evaluate(model, x, ["rmse"])["rmse"] < x.ratings.std()
    model.save(tmp_path / "yardstick.npz")
    assert type(recbook.load(tmp_path / "yardstick.npz")) is rn.BiasOnly
    rk.EASE(device="cpu").fit(x).save(tmp_path / "model.npz")
    assert type(recbook.load(tmp_path / "model.npz")) is rt.EASE
    assert type(recbook.load(tmp_path / "model.npz", wing="keras", device="cpu")) is rk.EASE
    with pytest.raises(ValueError, match="`wing` is 'jax'"):
        recbook.load(tmp_path / "model.npz", wing="jax")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        recbook.nothing  # noqa: B018
