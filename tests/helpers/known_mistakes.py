"""Holds the check of an exercise to its word: right is right, and each known mistake gets its own hint."""

from __future__ import annotations

import re


def each_gives_its_own_hint(module, exercise, monkeypatch, capsys) -> None:
    """module : of recbook.checks;  exercise : one of its functions"""
    seen = {}
    original = module.check

    def listen(answer, right, cases, mistakes, *rest):
        seen.update(right=right, mistakes=mistakes)
        return original(answer, right, cases, mistakes, *rest)

    monkeypatch.setattr(module, "check", listen)
    assert not exercise(lambda *case: None)
    assert exercise(seen["right"])
    capsys.readouterr()
    assert len(seen["mistakes"]) >= 3
    for mistake in seen["mistakes"]:
        assert not exercise(mistake.solution)
        said, more = capsys.readouterr().out.splitlines()
        assert said == "✗ " + mistake.hint and f".{exercise.__name__}.hint()" in more
    hints = [mistake.hint for mistake in seen["mistakes"]]
    assert len(set(hints)) == len(hints)
    # An answer that is wrong in a way of its own is not taken for a known one.
    assert not exercise(lambda *case: seen["right"](*case) * 1.0 + 17.5)
    assert re.search(r"Case 1 of \d+: you give", capsys.readouterr().out)
