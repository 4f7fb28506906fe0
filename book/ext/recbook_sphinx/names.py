"""The package's public names and the chapters: who uses which, read from the code cells of the notebooks.

Public is what the pages of the package describe (discovery.py finds it, reference.py shows it). Each name there gets a
line with the chapters that treat it (they use it in code or name it in prose, derive an equation of its docstring, or
teach its module) and with the corrections of sources.toml whose section holds such an equation. Each chapter ends with
the names that its code uses. `{names}` is a table of them. A name counts under whatever module it is imported from.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from functools import cache
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from . import ROOT
from .backlinks import Kept, link, separated, used_in
from .chapters import pages_of_book
from .discovery import Package, Thing
from .sources import load as load_sources

PAGES = ("chapters/api", "chapters/api_models", "chapters/api_formulas")
# page → the public names in its code, and those in its code or prose, each → section of the first use
NAMES = Kept("recbook_names", shown_on=PAGES)
LABEL = re.compile(r"^\(([\w-]+)\)=\s*$", re.M)
EQUATION = re.compile(r"\$\$\s*\(([\w-]+)\)\s*$", re.M)
WINGS = ("recbook.torch.", "recbook.keras.")
# The chapters that teach modules of another name; elsewhere chapter and module are called the same.
TAUGHT = {
    "introduction": ("baselines", "worlds"),
    "data": ("interactions", "datasets", "preprocessing", "features", "splits", "sampling"),
    "evaluation": ("metrics", "evaluation", "comparison"),
    "frameworks": ("twins",),
    "transformers": ("sizes",),
}


# --- what is public, and who uses it ------------------------------------------------------------------------------


@cache
def package() -> Package:
    return Package()


@cache
def described(text: str | None = None) -> dict[str, list[Thing]]:
    """What the pages of the package describe: directive → things, in the order of the pages."""
    if text is None:
        text = "\n".join((ROOT / f"{page}.md").read_text("utf-8") for page in PAGES)
    return package().described(text)


def public_names(text: str | None = None) -> list[str]:
    """The names that the pages of the package document; of what both wings have PyTorch's and Keras'."""
    return [name for things in described(text).values() for thing in things for name in thing.names]


@cache
def _spellings(public: tuple[str, ...]) -> dict[str, str]:
    return {other: name for name in reversed(public) for other in (*package().all_names(name), name)}


def spellings(public: list[str]) -> dict[str, str]:
    """Every dotted name of what is public → its public name: recbook.evaluate → recbook.evaluation.evaluate."""
    return _spellings(tuple(public))


def code(cell: dict) -> ast.Module | None:
    """A cell's code without the commands of IPython; None for a cell that is no Python."""
    lines = "".join(cell["source"]).splitlines()
    try:
        return ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in lines))
    except SyntaxError:
        return None


def named(notebook: dict, public: list[str]) -> dict[str, str]:
    """Public name that a notebook's prose names, `UserKNN` or `splits.k_fold` → label of the section."""
    known: dict[str, set[str]] = {}
    for spelled, name in spellings(public).items():
        words = spelled.split(".")
        for start in range(1, len(words)):
            known.setdefault(".".join(words[start:]), set()).add(name)
    found: dict[str, str] = {}
    section = ""
    for cell in notebook["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        for mark in re.finditer(rf"{LABEL.pattern}|(?<!\}})`([\w.]+)", "".join(cell["source"]), re.M):
            section = mark[1] or section
            meant = sorted(known.get(mark[2] or "", ()))
            if (
                meant
                and len({both(name)[0].removeprefix(WINGS[1]).removeprefix(WINGS[0]) for name in meant}) == 1
            ):
                found |= {name: section for name in meant if name not in found}
    return found


def used_names(notebook: dict, public: list[str]) -> dict[str, str]:
    """Public name that a notebook's code uses → label of the section of its first use, in the order of first use."""
    known = spellings(public)
    meaning: dict[str, str] = {}  # name in the notebook → dotted name
    found: dict[str, str] = {}
    section = ""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            section = ([section] + LABEL.findall("".join(cell["source"])))[-1]
            continue
        tree = code(cell) if cell["cell_type"] == "code" else None
        if tree is None:
            continue
        meaning |= imports(tree)
        used = [name for node in ast.walk(tree) if (name := public_name(node, meaning, known))]
        for name in used:
            found.setdefault(name, section)
    return found


def imports(tree: ast.Module) -> dict[str, str]:
    """What a cell's imports from recbook mean: {"rt": "recbook.torch", "evaluate": "recbook.evaluation.evaluate"}"""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                name.asname or name.name.partition(".")[0]: name.name
                if name.asname
                else name.name.partition(".")[0]
                for name in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    return {name: meant for name, meant in found.items() if meant.split(".")[0] == "recbook"}


def public_name(node: ast.AST, meaning: dict[str, str], known: dict[str, str]) -> str | None:
    """The public name that an expression is, or is a part of: `rt.UserKNN`, `Interactions.from_frame`."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in meaning:
        return None
    words = [*meaning[node.id].split("."), *parts]
    dotted = [".".join(words[:end]) for end in range(len(words), 1, -1)]
    return next((known[name] for name in dotted if name in known), None)


def both(name: str) -> list[str]:
    """A name and its twin in the other wing."""
    for mine, other in (WINGS, WINGS[::-1]):
        if name.startswith(mine):
            return [name, other + name.removeprefix(mine)]
    return [name]


# --- equations and corrections --------------------------------------------------------------------------------------


@cache
def sections_of_equations() -> dict[str, tuple[str, str]]:
    """Label of an equation → the page that derives it, and the label of its section there."""
    found = {}
    for page in pages_of_book():
        path = ROOT / f"{page}.ipynb"
        if not path.is_file():
            continue
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        section = ""
        for mark in re.finditer(f"{LABEL.pattern}|{EQUATION.pattern}", text, re.M):
            if mark[1]:
                section = mark[1]
            else:
                found[mark[2]] = (page, section)
    return found


def equations(name: str) -> list[str]:
    """Labels of the equations that a public name's docstring names."""
    text = inspect.getdoc(resolve(name)) or ""
    return [label for label in re.findall(r"\(([a-z]+-[\w-]+)\)", text) if label in sections_of_equations()]


def corrections(name: str) -> list[str]:
    """Ids of the sources table whose section holds an equation of the name."""
    places = {sections_of_equations()[label][1] for label in equations(name)}
    return [entry["id"] for entry in load_sources()["source"] if entry["place"] in places]


def resolve(name: str) -> object:
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


# --- on the pages ---------------------------------------------------------------------------------------------------


def note(env: BuildEnvironment, page: str, path: Path) -> dict[str, str]:
    """Reads and remembers which names a chapter has; returns those of its code."""
    for api in PAGES:
        env.note_dependency(str(ROOT / f"{api}.md"))
    notebook, public = json.loads(path.read_text("utf-8")), public_names()
    used = used_names(notebook, public)
    NAMES.of(env)[page] = (used, named(notebook, public) | used)
    return used


def chapters_of(env: BuildEnvironment, name: str) -> dict[str, str]:
    """The pages that treat a name or its twin, in the order of the book → the section."""
    derived = dict(sections_of_equations()[label] for label in reversed(equations(name)))
    # recbook.torch.neighbors is at home in neighbors, and recbook.interactions._dataset in interactions.
    parts = getattr(resolve(name), "__module__", "").split(".")
    home = next((part for part in reversed(parts) if not part.startswith("_")), "")
    found = {}
    for page in pages_of_book():
        if page not in NAMES.of(env):
            continue
        sections = [NAMES.of(env)[page][1].get(one) for one in both(name)]
        sections = [*(section for section in sections if section is not None), derived.get(page)]
        if home in (page.rpartition("/")[2], *TAUGHT.get(page.rpartition("/")[2], ())):
            sections.append("")
        known = [section for section in sections if section is not None]
        if known:
            found[page] = derived.get(page) or known[0]
    return found


def listing(names: list[str]) -> str:
    """Names as links, in MyST Markdown; twins are one: `UserKNN` (Keras)."""
    parts = []
    for name in names:
        other = [twin for twin in both(name)[1:] if twin in names]
        if other and name.startswith(WINGS[1]):
            continue
        text = f"{{py:obj}}`{name.rpartition('.')[2]} <{name}>`"
        parts.append(f"{text} ({{py:obj}}`Keras <{other[0]}>`)" if other else text)
    return ", ".join(parts)


class NameChapters(SphinxPostTransform):
    """On the pages of the package each name's description ends with its chapters and corrections."""

    default_priority = 8  # before references are resolved

    def run(self, **kwargs) -> None:
        if self.env.docname not in PAGES:
            return
        public = set(public_names())
        for described in list(self.document.findall(addnodes.desc)):
            signature = next(described.findall(addnodes.desc_signature))
            name = f"{signature.get('module')}.{signature.get('fullname')}"
            content = next(iter(described.findall(addnodes.desc_content)))
            line = self.line(name) if name in public else None
            if line is not None:
                inner = [i for i, child in enumerate(content.children) if isinstance(child, addnodes.desc)]
                content.insert(inner[0] if inner else len(content), line)

    def line(self, name: str) -> nodes.paragraph | None:
        ids = corrections(name)
        line = used_in([link(self.app, page, at) for page, at in chapters_of(self.env, name).items()])
        if ids:
            line += nodes.Text(". Corrects " if line.children else "Corrects ")
            line += separated([link(self.app, "chapters/sources", f"source-{i.lower()}", i) for i in ids])
        return line if line.children else None


class NamesDirective(SphinxDirective):
    """The table of all public names but models and formulas, with the first sentence of each."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        box = nodes.container(classes=["rb-names"])
        rows = ["| name | what it is |", "|---|---|"]
        for key, things in described().items():
            if key not in ("models", "formulas"):
                rows += [f"| {listing(list(thing.names))} | {summary(thing.name)} |" for thing in things]
        lines = StringList(rows, source=__file__)
        self.state.nested_parse(lines, 0, box)
        return [box]


def summary(name: str) -> str:
    """The first sentence of a docstring, in MyST Markdown."""
    text = " ".join((inspect.getdoc(resolve(name)) or "").partition("\n\n")[0].split())
    first = re.split(r"(?<=[^.A-Z]\.) (?=[A-Z`])", text)[0]
    return re.sub(r"([*_|])", r"\\\1", first) if "`" not in first else first.replace("|", r"\|")


SIGNATURE = re.compile(r'<dt class="sig sig-object py".*?</dt>', re.S)
WRAPPED = re.compile(r'<span class="(?:pre|n|o|p|default_value)">([^<]*)</span>')


def lighten(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Takes the spans round each word out of signatures: half of a long page's elements, for nothing one sees."""
    if "body" in context:
        context["body"] = SIGNATURE.sub(
            lambda found: WRAPPED.sub(r"\1", WRAPPED.sub(r"\1", found[0])), context["body"]
        )


def setup(app: Sphinx) -> None:
    app.add_directive("names", NamesDirective)
    app.add_post_transform(NameChapters)
    app.connect("html-page-context", lighten)
    NAMES.connect(app)
