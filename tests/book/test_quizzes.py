"""Two questions a chapter: written well-formed, drawn as folds that need no script, readable in print."""

from __future__ import annotations

import io
import json
from collections import Counter

import pytest
from docutils import nodes

from book.ext.recbook_sphinx import folds, hints, quizzes
from book.workshop import library
from tests.helpers import small_book

NAMES = library.chapter_names()
PAGE = """# Neighbours

```{quiz}
```

```{hints} neighbors.cosine
```
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_has_two_questions_with_feedback(name) -> None:
    found = quizzes.read_quiz(name)
    assert len(found) == 2
    for question in found:
        assert question.ask.strip().endswith("?")
        assert len(question.choices) >= 3
        assert len({choice.says for choice in question.choices}) == len(question.choices)
        assert all(len(choice.why) > 25 for choice in question.choices)


def test_the_right_answer_cannot_be_told_by_its_place_or_length() -> None:
    questions = [question for name in NAMES for question in quizzes.read_quiz(name)]
    places = Counter(question.answer for question in questions)
    assert min(places[letter] for letter in "abc") >= len(questions) / 6
    longest = sum(max(q.choices, key=lambda choice: len(choice.says)).right for q in questions)
    assert longest < 0.7 * len(questions)


@pytest.mark.parametrize("rights", [0, 2])
def test_one_choice_must_be_right(rights, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(quizzes, "DATA", tmp_path)
    choices = "".join(
        f'[[question.choice]]\nsays = "{n}"\nwhy = "w"\nright = {str(n < rights).lower()}\n' for n in range(3)
    )
    (tmp_path / "x.toml").write_text(f'[[question]]\nask = "Which?"\n{choices}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"x.toml: one choice must be right, and only one, of: Which\?"):
        quizzes.read_quiz("x")


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_gets_its_questions_before_the_exercises_and_hints_at_each(name) -> None:
    source = json.dumps(library.notebook(name))
    changed = json.loads(hints.put_hints(quizzes.put_quiz(source), name))
    text = "\n".join(library.text_of(cell) for cell in changed["cells"])
    assert text.count("```{quiz}") == 1
    assert text.index("```{quiz}") < text.index("## Exercises") < text.index("```{hints}")
    assert text.count(f"```{{hints}} {name}.") == text.count("```{exercise}") >= 3


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, str]:
    found = {}
    files = {
        "conf.py": "",
        "index.md": "# T\n\n```{toctree}\nchapters/neighbors\n```\n",
        "chapters/neighbors.md": PAGE,
    }
    for builder, end in (("html", "html"), ("text", "txt")):
        warnings = io.StringIO()
        out = small_book.build(tmp_path_factory.mktemp(builder), builder, files, warnings)
        assert not warnings.getvalue()
        found[builder] = (out / f"chapters/neighbors.{end}").read_text("utf-8")
    return found


def test_in_a_page_a_choice_unfolds_and_says_why(built) -> None:
    page = built["html"]
    assert page.count('<details class="rb-fold rb-choice rb-right"') == 2
    assert page.count('<details class="rb-fold rb-choice rb-wrong"') == 4
    for number, question in enumerate(quizzes.read_quiz("neighbors"), start=1):
        assert page.count(f'name="quiz-neighbors-{number}"') == len(question.choices)
        for choice in question.choices:
            verdict = quizzes.VERDICTS[choice.right]
            fold = page[page.index(f"<summary>{choice.says[:20]}") :].partition("</details>")[0]
            assert f"<strong>{verdict}</strong>" in fold
            assert "open" not in fold
    assert page.count('class="rb-fold rb-hint"') == 2 and page.count(quizzes.LEAD) == 1


def test_in_print_the_answers_follow_the_questions(built) -> None:
    text = " ".join(built["text"].split())
    one, other = quizzes.read_quiz("neighbors")
    assert (
        text.index(one.ask[:30])
        < text.index(other.ask[:20])
        < text.index("Answer to 1: b)")
        < text.index("Answer to 2: a)")
    )
    for question in (one, other):
        (right,) = [choice for choice in question.choices if choice.right]
        assert right.why.split(";")[0].split("`")[0][:40] in text
        assert not any(choice.why[:40] in text for choice in question.choices if not choice.right)
    assert "**Hint 1. **Which items" in text and "**Hint 2. **With x" in text and quizzes.LEAD not in text


@pytest.mark.parametrize("pieces", [(" ", "Because."), (" Because.",)])
def test_in_print_the_reason_stays_however_its_text_is_cut(pieces) -> None:
    """The glossary's links join neighbouring pieces of text."""
    one = folds.fold()
    why = nodes.paragraph("", "", nodes.strong("", "Right."), *map(nodes.Text, pieces))
    one += [folds.fold_summary("", "Yes"), why]
    box = nodes.container("", nodes.paragraph("", "So?"), one)
    *_, answer = quizzes.in_print(quizzes.quiz("", box, answers=["a"]))
    assert answer.astext() == "Answer to 1: a) Because."
