"""The exercises of every chapter: three levels, a check that takes any framework, solutions, hints, known mistakes."""

from __future__ import annotations

import inspect
import types

import numpy as np
import pytest

from book.workshop import exercises, library
from recbook.checks import prerequisites
from tests.helpers.known_mistakes import each_gives_its_own_hint

NOTEBOOKS = (library.PREREQUISITES, *library.chapter_names())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_there_are_three_exercises_of_rising_difficulty(name) -> None:
    found = exercises.of_chapter(name)
    levels = [exercises.LEVELS.index(one.level) for one in found]
    assert len(found) >= 3
    assert levels == sorted(levels) and set(levels) == {0, 1, 2}
    assert len({one.label for one in found}) == len({one.call for one in found}) == len(found)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_exercise_has_solutions_hints_and_known_mistakes(name) -> None:
    for one in exercises.of_chapter(name):
        assert one.solutions, one.label
        assert len(one.mistakes) >= 3, one.label
        assert len(set(one.hints)) == len(one.hints) >= 2, one.label
        assert all(20 < len(hint) < 240 and hint.endswith((".", "?")) for hint in one.hints), one.label


def heard(check) -> tuple:
    """What a check compares with: its right function and its cases."""
    seen = []
    check = inspect.unwrap(check)
    listen = types.FunctionType(
        check.__code__,
        {**check.__globals__, "check": lambda *given: seen.extend(given) or False},
        check.__name__,
    )
    listen(None)
    return seen[1], seen[2]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_right_answer_counts_in_every_framework(name, capsys) -> None:
    import torch
    from keras import ops

    for one in exercises.of_chapter(name):
        right, _ = heard(one.check)
        assert one.check(right)
        assert one.check(
            lambda *case, right=right: torch.tensor(np.asarray(right(*case)), requires_grad=False)
        )
        assert one.check(
            lambda *case, right=right: ops.convert_to_tensor(np.asarray(right(*case), "float32"))
        ), one.label
    assert "✗" not in capsys.readouterr().out


def test_hints_come_one_after_the_other_and_begin_again(capsys) -> None:
    from recbook.checks import hints

    @hints("first", "second")
    def exercise(answer) -> bool:
        return False

    for _ in range(3):
        exercise.hint()
    assert capsys.readouterr().out.splitlines() == [
        "Hint 1 of 2: first",
        "Hint 2 of 2: second",
        "Hint 1 of 2: first",
    ]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_wrong_answer_mentions_the_hints_by_the_name_that_the_chapter_uses(name, capsys) -> None:
    for one in exercises.of_chapter(name):
        assert one.check(lambda *case: None) is None  # nothing is written yet: the hints stand above it
        assert "hint()" not in capsys.readouterr().out
        assert one.check(lambda *case: "a word") is False
        assert f"run `{one.call}.hint()`" in capsys.readouterr().out.splitlines()[-1]


def test_an_exercise_without_its_stub_or_check_is_named() -> None:
    cells = library.notebook("neighbors")["cells"]
    (first, *_) = exercises.of_chapter("neighbors", cells)
    broken = [dict(cell) for cell in cells]
    broken[first.stub] = {**broken[first.stub], "source": "check.no_such_thing(my_cosine)"}
    with pytest.raises(ValueError, match="stub of nb-ex-cosine calls no check"):
        exercises.of_chapter("neighbors", broken)
    with pytest.raises(ValueError, match="no cell with the tag `exercise` follows the exercise nb-ex-cosine"):
        exercises.of_chapter("neighbors", cells[: first.stub])


@pytest.mark.parametrize("task", prerequisites.TASKS)
def test_the_self_test_knows_its_mistakes(task, monkeypatch, capsys) -> None:
    each_gives_its_own_hint(prerequisites, getattr(prerequisites, task), monkeypatch, capsys)


def test_the_self_test_says_who_is_ready_and_what_to_read(monkeypatch, capsys) -> None:
    monkeypatch.setattr(prerequisites, "solved", set())
    cells = library.notebook(library.PREREQUISITES)["cells"]
    code = [(library.tags_of(cell), library.text_of(cell)) for cell in cells if cell["cell_type"] == "code"]
    names: dict = {}
    for tags, source in code:
        if "solution" not in tags:
            exec(source, names)
    told = capsys.readouterr().out
    assert told.count("Nothing to check yet") == 8
    assert "0 of 8 solved. 6 are enough to follow. To read:" in told and told.count("\n- ") == 8
    for tags, source in code:
        if "exercise" not in tags:
            exec(source, names)
    assert capsys.readouterr().out.splitlines()[-1] == "8 of 8 solved. Welcome: you are ready."
    assert not prerequisites.slope(lambda w, x, y: 0.0)  # what was right and is wrong now does not count
    assert prerequisites.score() == 7
    assert "Calculus" in capsys.readouterr().out
