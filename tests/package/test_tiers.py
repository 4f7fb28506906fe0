"""What `make test` leaves out and `make test-all` adds."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tests import conftest


@pytest.fixture
def asked(monkeypatch) -> list[dict]:
    """What the commands ask of pytest, instead of running it."""
    found: list[dict] = []

    def note(name, *arguments, env=None, **how):
        found.append({"name": name, "marks": dict(zip(arguments, arguments[1:], strict=False)).get("-m", "")})
        found[-1]["env"] = env or {}

    monkeypatch.setattr(tasks, "pytest", note)
    for name in ("setup", "data", "lint"):
        monkeypatch.setattr(tasks, name, lambda *_: None)
    monkeypatch.setattr(tasks, "build_book", lambda fresh: None)
    monkeypatch.setattr(tasks, "REPORTS", tasks.ROOT / "_build" / "no reports")
    return found


def test_what_is_thorough_is_left_out_of_test(asked):
    tasks.test(argparse.Namespace(variants=False))
    assert [(one["name"], one["marks"]) for one in asked] == [
        ("tests", "not thorough"),
        ("backend-jax", "backends and not gpu and not thorough"),
        ("backend-torch", "backends and not gpu and not thorough"),
        ("notebooks", ""),
    ]
    assert [one["env"] for one in asked[1:3]] == [{"KERAS_BACKEND": "jax"}, {"KERAS_BACKEND": "torch"}]


def test_all_of_it_is_in_test_all(asked):
    tasks.test_all(argparse.Namespace())
    assert [one["marks"] for one in asked[:4]] == ["", "backends and not gpu", "backends and not gpu", ""]
    assert all(one["env"]["RECBOOK_THOROUGH"] == "1" for one in asked[:3])
    assert len(asked) == 4 + len(tasks.spreads.VARIANTS)


def test_more_examples_are_drawn(monkeypatch):
    drawn = []

    @settings(max_examples=7, database=None)
    @given(st.integers())
    def test(number):
        drawn.append(number)

    class Item:
        function = staticmethod(test)

    test()
    once, _ = len(drawn), drawn.clear()
    conftest.draw_more_examples([Item, Item])  # two cases of one test
    test()
    assert once == 7 and len(drawn) == 7 * conftest.MORE_EXAMPLES


def test_no_example_has_a_deadline():
    assert settings().deadline is None
    assert settings(max_examples=3).deadline is None
