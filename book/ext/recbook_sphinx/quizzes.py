"""`{quiz}`: two questions before the exercises of each chapter, from book/quizzes/NAME.toml.

Every choice unfolds and says why it is right or wrong; no script, no server. In print the answers follow the questions.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from . import BOOK
from .folds import fold, fold_summary

DATA = BOOK / "quizzes"
EXERCISES = re.compile(r"^(?:\([\w-]+\)=\n)?## Exercises$", re.M)
SECTION = """## Two questions

```{quiz}
```

"""
LEAD = "Choose an answer: it unfolds, and says why it is right or wrong."
LETTERS = "abcdef"
VERDICTS = {True: "Right.", False: "No."}


@dataclass(frozen=True)
class Choice:
    says: str
    why: str
    right: bool


@dataclass(frozen=True)
class Question:
    ask: str
    choices: tuple[Choice, ...]

    @property
    def answer(self) -> str:
        """The letter of the right choice."""
        return LETTERS[[choice.right for choice in self.choices].index(True)]


def read_quiz(name: str) -> list[Question]:
    """The questions of a chapter; ValueError where one has not exactly one right choice."""
    path = DATA / f"{name}.toml"
    found = []
    for entry in tomllib.loads(path.read_text("utf-8"))["question"]:
        choices = tuple(Choice(one["says"], one["why"], one.get("right", False)) for one in entry["choice"])
        if sum(choice.right for choice in choices) != 1:
            raise ValueError(f"{path.name}: one choice must be right, and only one, of: {entry['ask']}")
        found.append(Question(entry["ask"], choices))
    return found


def put_quiz(source: str) -> str:
    """Enter the section with the questions into a notebook's text, before its exercises."""
    notebook = json.loads(source)
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and (heading := EXERCISES.search(text)):
            cell["source"] = text[: heading.start()] + SECTION + text[heading.start() :]
            return json.dumps(notebook)
    return source


class quiz(nodes.General, nodes.Element):  # noqa: N801  (docutils names its nodes so)
    """The questions of a page, in its HTML form; `name` is the chapter."""


class QuizDirective(SphinxDirective):
    has_content = False

    def run(self) -> list[nodes.Node]:
        name = self.env.docname.rpartition("/")[2]
        self.env.note_dependency(str(DATA / f"{name}.toml"))
        try:
            questions = read_quiz(name)
        except (OSError, ValueError, KeyError) as error:
            raise self.error(f"quiz: {error}") from error
        root = quiz(answers=[question.answer for question in questions])
        for number, question in enumerate(questions, start=1):
            root += self.question(f"quiz-{name}-{number}", number, question)
        return [root]

    def question(self, group: str, number: int, question: Question) -> nodes.Node:
        box = nodes.container(classes=["rb-quiz"])
        ask = self.text(question.ask)
        ask.insert(0, nodes.strong("", f"{number}. "))
        box += ask
        for choice in question.choices:
            one = fold(group=group, classes=["rb-choice", "rb-right" if choice.right else "rb-wrong"])
            one += fold_summary("", "", *self.text(choice.says).children)
            why = self.text(choice.why)
            why.insert(0, [nodes.strong("", VERDICTS[choice.right]), nodes.Text(" ")])
            one += why
            box += one
        return box

    def text(self, words: str) -> nodes.paragraph:
        """A paragraph of MyST Markdown."""
        holder = nodes.container()
        self.state.nested_parse(StringList(words.splitlines(), source=str(DATA)), 0, holder)
        return holder[0]


class PlaceQuizzes(SphinxPostTransform):
    """HTML keeps the folds. Elsewhere the choices become lists, and what is right and why comes after them."""

    default_priority = 20

    def run(self, **kwargs) -> None:
        for node in list(self.document.findall(quiz)):
            in_page = self.app.builder.format == "html"
            node.replace_self([nodes.paragraph("", LEAD), *node.children] if in_page else in_print(node))


def in_print(node: quiz) -> list[nodes.Node]:
    questions, answers = [], []
    for number, (box, letter) in enumerate(zip(node.children, node["answers"], strict=True), start=1):
        ask, *choices = box.children
        listed = nodes.enumerated_list(enumtype="loweralpha", prefix="", suffix=")")
        for choice in choices:
            listed += nodes.list_item("", nodes.paragraph("", "", *choice[0].children))
        questions += [ask, listed]
        right = choices[LETTERS.index(letter)]
        why = nodes.paragraph("", "", nodes.strong("", f"Answer to {number}: {letter})"))
        why += right[1].children[1:]  # less its own "Right.": the space after it stays
        answers.append(why)
    return questions + answers


def on_source(app: Sphinx, page: str, source: list[str]) -> None:
    if app.env.doc2path(page).endswith(".ipynb"):
        source[0] = put_quiz(source[0])


def setup(app: Sphinx) -> None:
    app.add_node(quiz)
    app.add_directive("quiz", QuizDirective)
    app.add_post_transform(PlaceQuizzes)
    app.connect("source-read", on_source)
