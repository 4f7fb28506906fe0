"""The README's first example runs, and says of its figure what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README.md": ROOT / "README.md", "chapters/api.md": ROOT / "chapters" / "api.md"}


def example(text: str) -> str:
    """The first listing in Python of a page that fetches MovieLens."""
    listings = re.findall(r"```python\n(.*?)```", text, re.S)
    return next(code for code in listings if "fetch_movielens" in code)


def told(code: str) -> tuple[float, float]:
    """What the comment beside the evaluation says: the model's figure, and that of popularity."""
    model, popular = re.findall(r"0\.\d+", next(line for line in code.splitlines() if "evaluate(" in line))
    return float(model), float(popular)


@pytest.mark.parametrize("page", PAGES)
def test_the_first_example_is_true(page, capsys):
    from recbook import evaluate
    from recbook.baselines import Popularity

    code, names = example(PAGES[page].read_text("utf-8")), {}
    exec(code, names)
    assert "title" in capsys.readouterr().out
    model, popular = told(code)
    measure = {"metrics": ["ndcg@10"], "relevant": 4}
    assert evaluate(names["model"], names["test"], **measure)["ndcg@10"] == pytest.approx(model, abs=0.005)
    baseline = Popularity().fit(names["train"])
    assert evaluate(baseline, names["test"], **measure)["ndcg@10"] == pytest.approx(popular, abs=0.005)


def test_what_is_told_is_read():
    assert told('x = 1\nprint(evaluate(m, t, ["ndcg@10"]))  # 0.36; popularity alone: 0.18\n') == (0.36, 0.18)
