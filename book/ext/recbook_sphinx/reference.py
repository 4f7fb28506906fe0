"""The pages of the package, made of what discovery.py finds: nothing on them is entered in a list.

    {offers} recbook.metrics     a module's words, and each of its public classes and functions
        :without: place helper   but these, which are of no use to readers
        :no-prose:               and without the module's words
    {models}                     every model, topic by topic in the order of the book; a class of both wings once
    {model-index}                the same in a table: task, data, cost, chapter, first sentence
    {twins}                      functions that both wings have
    {formulas}                   every module of recbook.formulas

`{offers} recbook.torch recbook.keras` describes once what both offer. An entry can be referred to by each name that it
has, and says how it is imported.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext import viewcode
from sphinx.util.docutils import SphinxDirective

from . import ROOT
from .chapters import pages_of_book, read_chapter
from .discovery import Asked, Thing
from .names import described, package, resolve, summary
from .which_model import TASKS, Model, cost, models, needs

FRAMEWORKS = {"recbook.torch": "PyTorch", "recbook.keras": "Keras", "recbook.numpy": "NumPy"}
TITLES = {"introduction": "Yardsticks"}  # of topics whose models are not what their chapter is called after


def method_names(thing: Thing) -> list[str]:
    """The public methods of a class of models beyond the contract's."""
    from recbook.recommender import Recommender

    found = inspect.getmembers(resolve(thing.name), inspect.isfunction)
    return [name for name, _ in found if not name.startswith("_") and not hasattr(Recommender, name)]


def autodoc(thing: Thing, members: list[str] | None = None) -> list[str]:
    """The lines that make autodoc describe it; `members` of a model alone, else all that have a docstring."""
    lines = [f".. auto{thing.kind}:: {thing.name}"]
    if thing.kind == "class" and members != []:
        lines.append(f"   :members: {', '.join(members or ())}".rstrip())
        lines += ["   :inherited-members:"] * (thing.inherits and members is None)
    return [*lines, ""]


def statement(name: str) -> str:
    """How a name is imported: `from recbook import evaluate`."""
    shortest = package().all_names(name)[0]
    module, _, last = (
        shortest if shortest.startswith("recbook.") and shortest.count(".") == 1 else name
    ).rpartition(".")
    return f"from {module} import {last}"


class Described(SphinxDirective):
    """What the directives have in common: entries made by autodoc, dressed with their names and imports."""

    has_content = False

    def depend(self) -> None:
        """The page is made anew where the package has changed, or has a file more."""
        folder = ROOT / "recbook"
        for path in (folder, *(path for path in folder.rglob("*") if "__pycache__" not in path.parts)):
            if path.suffix in ("", ".py"):
                self.env.note_dependency(str(path))

    def parse(self, parent: nodes.Element, text: str) -> None:
        self.state.nested_parse(StringList(text.splitlines(), source=str(Path(__file__))), 0, parent)

    def rst(self, parent: nodes.Element, lines: list[str]) -> None:
        self.parse(parent, "\n".join(["```{eval-rst}", *lines, "```"]))

    def entries(
        self, parent: nodes.Element, things: list[Thing], code: bool = False, imports: bool = True
    ) -> None:
        """Describes things; `code` : the imports as code to copy, else as a line"""
        from_model = [method_names(thing) if thing.kind == "class" and code else None for thing in things]
        self.rst(
            parent,
            [line for thing, own in zip(things, from_model, strict=True) for line in autodoc(thing, own)],
        )
        found = {}
        for desc in parent.findall(addnodes.desc):
            signature = desc.next_node(addnodes.desc_signature)
            found[f"{signature.get('module')}.{signature.get('fullname')}"] = desc
        for thing in things:
            desc = found[thing.name]
            self.name_all(thing, desc)
            content = desc.next_node(addnodes.desc_content)
            if imports and code:
                content.insert(0, self.imports(thing))
            elif imports:
                line = nodes.paragraph("", "", import_line(thing.name), classes=["rb-import"])
                for other in thing.names[1:]:
                    line += [nodes.Text(" or "), import_line(other)]
                content.insert(0, line)

    def name_all(self, thing: Thing, desc: addnodes.desc) -> None:
        """Makes an entry and its methods known under every name that they have."""
        others = [
            *thing.names[1:],
            *(name for name in package().all_names(thing.name) if name.count(".") < 3),
        ]
        domain = self.env.domains["py"]
        for inner in desc.findall(addnodes.desc):
            signature = next(inner.findall(addnodes.desc_signature))
            rest = f"{signature['module']}.{signature['fullname']}".removeprefix(thing.name)
            for other in dict.fromkeys(others):
                if other != thing.name:
                    signature["ids"].append(other + rest)
                    domain.note_object(
                        other + rest, inner["objtype"], other + rest, aliased=True, location=inner
                    )

    def imports(self, thing: Thing) -> nodes.container:
        box = nodes.container(classes=["rb-imports"])
        for name in thing.names:
            line = nodes.container(classes=["rb-import-code"])
            label = FRAMEWORKS[name.rpartition(".")[0]]
            line += nodes.paragraph("", label, classes=["rb-import-of"])
            line += nodes.literal_block(statement(name), statement(name), language="python")
            box += line
        return box


def import_line(name: str) -> nodes.literal:
    return nodes.literal(statement(name), statement(name))


class OffersDirective(Described):
    """A module: its words, and all that it offers."""

    required_arguments, optional_arguments = 1, 1
    option_spec = {"without": directives.unchanged, "no-prose": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        self.depend()
        asked = Asked("offers", tuple(self.arguments), tuple(self.options.get("without", "").split()))
        offered = package().module(asked.modules[0]).public
        if gone := [name for name in asked.without if name not in offered]:
            raise self.error(f"{asked.modules[0]} offers no {', '.join(gone)}: leave it out of :without:")
        box = nodes.container(classes=["rb-module"])
        if "no-prose" not in self.options:
            self.rst(box, [f".. automodule:: {asked.modules[0]}", "   :no-members:", ""])
        self.entries(box, described()[asked.key])
        return box.children


class TopicsDirective(Described):
    """A section a topic."""

    key = "models"

    def run(self) -> list[nodes.Node]:
        self.depend()
        topics: dict[str, list[Thing]] = {}
        for thing in described()[self.key]:
            topics.setdefault(thing.topic, []).append(thing)
        return [self.section(topic, things) for topic, things in topics.items()]

    def section(self, topic: str, things: list[Thing]) -> nodes.section:
        label = f"{self.label}-{topic.replace('_', '-')}"
        section = nodes.section(names=[label])
        self.state.document.note_explicit_target(section, section)
        page = next((page for page in pages_of_book() if page.rpartition("/")[2] == topic), "")
        chapter = read_chapter(page) if page else None
        title = self.titles.get(topic) or (chapter.title if chapter else topic.replace("_", " ").capitalize())
        section += nodes.title(title, title)
        self.fill(section, topic, things)
        return section

    label = "api"
    titles = TITLES

    def fill(self, section: nodes.section, topic: str, things: list[Thing]) -> None:
        self.entries(section, things, code=True)


class FormulasDirective(TopicsDirective):
    key, label = "formulas", "api-formulas"
    titles: dict[str, str] = {}  # noqa: RUF012

    def fill(self, section: nodes.section, topic: str, things: list[Thing]) -> None:
        text = f"from recbook.formulas import {topic}"
        section += nodes.literal_block(text, text, language="python")
        self.rst(section, [f".. automodule:: recbook.formulas.{topic}", "   :no-members:", ""])
        self.entries(section, things, imports=False)


class TwinsDirective(Described):
    def run(self) -> list[nodes.Node]:
        self.depend()
        box = nodes.container()
        self.entries(box, described()["twins"], imports=False)
        return box.children


class ModelIndexDirective(Described):
    """All models in a table, in the order of the entries."""

    def run(self) -> list[nodes.Node]:
        self.depend()
        box = nodes.container(classes=["rb-rows", "rb-model-index"])
        rows = [
            "| model | what it does, and the data that it needs | fit, s | taught in |",
            "|---|---|--:|---|",
        ]
        self.parse(box, "\n".join([*rows, *(index_row(model) for model in models())]))
        return [box]


def index_row(model: Model) -> str:
    name = f"{{py:obj}}`{model.name} <{model.path}>`"
    what = f"{briefly(summary(model.path))} *{TASKS[model.task]}; needs {needs(model)}.*"
    return f"| {name} | {what} | {cost(model)} | {{ref}}`{model.label}` |"


def briefly(sentence: str) -> str:
    """A first sentence without the papers and equations that it names."""
    return re.sub(r",? equation \([\w-]+\)| \([^()]*\b(?:19|20)\d\d\b[^()]*\)", "", sentence)


def link_sources(app: Sphinx, doctree: nodes.document) -> None:
    """Beside each import stands a link to the wing's own source, which `viewcode` alone would give PyTorch only."""
    if not hasattr(app.env, "_viewcode_modules"):
        app.env._viewcode_modules = {}
    for desc in doctree.findall(addnodes.desc):
        signature = desc.next_node(addnodes.desc_signature)
        lines = [line for line in desc.findall(nodes.container) if "rb-import-code" in line["classes"]]
        for line, name in zip(lines, signature["ids"], strict=False):
            stub = nodes.document(doctree.settings, doctree.reporter)
            module, _, last = name.rpartition(".")
            mark = addnodes.desc_signature("", "", module=module, fullname=last, ids=[name])
            stub += addnodes.desc("", mark, domain="py")
            viewcode.doctree_read(app, stub)
            for anchor in list(stub.findall(viewcode.viewcode_anchor)):
                line[0] += [nodes.Text(" "), anchor.deepcopy()]
        if lines:
            signature["viewcode"] = True
            for anchor in [child for child in signature if isinstance(child, viewcode.viewcode_anchor)]:
                signature.remove(anchor)


def setup(app: Sphinx) -> None:
    app.add_directive("offers", OffersDirective)
    app.add_directive("models", TopicsDirective)
    app.add_directive("model-index", ModelIndexDirective)
    app.add_directive("twins", TwinsDirective)
    app.add_directive("formulas", FormulasDirective)
    app.connect("doctree-read", link_sources, priority=600)
