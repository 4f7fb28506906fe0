"""The bar of training: shown where it is asked for and takes long, and nowhere else."""

from __future__ import annotations

import time

import pytest

from recbook.core.progress import bar


def what_is_shown(capfd, progress: bool, seconds: float) -> str:
    for _ in bar(range(3), "MatrixFactorization", progress):
        time.sleep(seconds / 3)
    return capfd.readouterr().err


def test_a_bar_appears_after_a_second(capfd, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    shown = what_is_shown(capfd, True, 1.6)
    assert "MatrixFactorization" in shown and "/3" in shown


@pytest.mark.parametrize(
    ("progress", "seconds", "quiet"), [(True, 0.0, ""), (False, 1.6, ""), (True, 1.6, "1")]
)
def test_no_bar_where_it_is_quick_or_not_wanted(capfd, monkeypatch, progress, seconds, quiet):
    monkeypatch.setenv("TQDM_DISABLE", quiet)
    assert what_is_shown(capfd, progress, seconds) == ""
