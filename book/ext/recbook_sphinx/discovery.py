"""What the package offers, found in its text: models of the wings, formulas, public functions and classes of modules.

Nothing is imported, so a framework may be absent. Public in a module is what its `__all__` names, or, where it has
none, what it defines; functions and classes with a docstring, that is, without a leading underscore. The pages of the
package show all of it, and leave out only what a page names as of no use to readers.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from . import ROOT
from .chapters import pages_of_book

WINGS = ("torch", "keras", "numpy")
TWINS = WINGS[:2]
# Rooms of the package in which nothing is a reader's to import.
INNER = {"core", "shared", "checks"}


@dataclass(frozen=True)
class Thing:
    """A public class or function.

    names : the dotted names under which it is described; two where both wings have it, PyTorch's first
    kind : "class" or "function";  topic : of a model or a formula: the name of its room
    inherits : whether a class has a base of this package, whose methods are described with its own
    """

    names: tuple[str, ...]
    kind: str
    topic: str = ""
    inherits: bool = False

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]


class Module:
    """A file of the package: what it defines, what it imports, what it offers."""

    def __init__(self, name: str, path: Path):
        self.name, self.tree = name, ast.parse(path.read_text("utf-8"))
        self.own = {
            node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        self.imported: dict[str, tuple[str, str]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recbook"):
                self.imported |= {one.asname or one.name: (node.module, one.name) for one in node.names}

    @property
    def listed(self) -> list[str] | None:
        """Its `__all__`; None where it has none."""
        found: list[str] | None = None
        for node in self.tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and target.id == "__all__":
                found = [*(found or ()), *ast.literal_eval(node.value)]
        return found

    @property
    def public(self) -> list[str]:
        return (
            self.listed
            if self.listed is not None
            else [name for name in self.own if not name.startswith("_")]
        )


class Package:
    """The package in a checkout. It is read once: make another one after a change.

    root : of the checkout;  pages : of the book in order, which is the order of the topics
    """

    def __init__(self, root: Path = ROOT, pages: tuple[str, ...] | None = None):
        self.root = root
        self.pages = pages_of_book() if pages is None else pages
        self._read: dict[str, Module | None] = {}

    def module(self, name: str) -> Module | None:
        if name not in self._read:
            place = self.root.joinpath(*name.split("."))
            path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            self._read[name] = Module(name, path) if path.is_file() else None
        return self._read[name]

    def home(self, name: str) -> tuple[str, str, ast.AST] | None:
        """Module, name there, and definition of a dotted name, through all that only hands it on."""
        module, _, last = name.rpartition(".")
        found = self.module(module) if module.startswith("recbook") else None
        if found is None:
            return None
        if last in found.own:
            return module, last, found.own[last]
        return self.home(".".join(found.imported[last])) if last in found.imported else None

    def thing(self, name: str) -> Thing | None:
        """What a dotted name stands for; None for data, and for what has no docstring."""
        found = self.home(name)
        if found is None or not ast.get_docstring(found[2]):
            return None
        if isinstance(found[2], ast.FunctionDef):
            return Thing((name,), "function")
        bases = [self.home(f"{found[0]}.{ast.unparse(base)}") for base in found[2].bases]
        return Thing((name,), "class", inherits=any(bases))

    def public(self, module: str) -> list[Thing]:
        """Classes and functions that a module offers, in the order of the files and lines that define them."""
        found = self.module(module)
        if found is None:
            raise LookupError(f"there is no module {module}")
        things = [thing for name in found.public if (thing := self.thing(f"{module}.{name}"))]
        homes = {thing: self.home(thing.name) for thing in things}
        return sorted(things, key=lambda thing: (homes[thing][0], homes[thing][2].lineno))

    @cached_property
    def modules(self) -> list[str]:
        """Every module that a reader may import from, the package itself first."""
        found = ["recbook"]
        for path in sorted((self.root / "recbook").rglob("*.py")):
            parts = path.relative_to(self.root).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            if len(parts) > 1 and parts[1] not in INNER and not any(part.startswith("_") for part in parts):
                found.append(".".join(parts))
        return found

    @cached_property
    def spellings(self) -> dict[tuple[str, str], list[str]]:
        """Where something is defined → the dotted names under which modules offer it, the shortest first."""
        found: dict[tuple[str, str], list[str]] = {}
        for module in self.modules:
            for name in self.module(module).public:
                if home := self.home(f"{module}.{name}"):
                    found.setdefault(home[:2], []).append(f"{module}.{name}")
        return {home: sorted(names, key=lambda name: name.count(".")) for home, names in found.items()}

    def all_names(self, name: str) -> list[str]:
        """Every dotted name of the same thing, the shortest first."""
        home = self.home(name)
        return self.spellings.get(home[:2], [name]) if home else [name]

    # --- topics ---------------------------------------------------------------------------------------------------

    def rooms(self, folder: str) -> list[str]:
        """The topics that have a room in a folder, in the order of the book; those without a chapter at the end."""
        order = {page.rpartition("/")[2]: i for i, page in enumerate(self.pages)}
        names = [path.stem for path in (self.root / "recbook" / folder).glob("[a-z]*.py")]
        return sorted(names, key=lambda name: (order.get(name, len(order)), name))

    def classes(self, wing: str, topic: str) -> list[str]:
        """The public models of a topic in a wing: classes with a head in recbook.shared; in NumPy's, all classes."""
        module = self.module(f"recbook.{wing}.{topic}")
        return [
            name
            for name, node in (module.own if module else {}).items()
            if isinstance(node, ast.ClassDef)
            and not name.startswith("_")
            and (wing == "numpy" or any(ast.unparse(base).startswith("shared.") for base in node.bases))
        ]

    def shortest(self, wing: str, topic: str, name: str) -> str:
        """The name of a model as its wing exports it, or that of its room where the wing does not yet."""
        return (
            f"recbook.{wing}.{name}"
            if self.home(f"recbook.{wing}.{name}")
            else f"recbook.{wing}.{topic}.{name}"
        )

    @cached_property
    def models(self) -> list[Thing]:
        """Every public model, a class of both wings once, in the order of the book."""
        order = {page.rpartition("/")[2]: i for i, page in enumerate(self.pages)}
        topics = dict.fromkeys(topic for wing in WINGS for topic in self.rooms(wing))
        found = []
        for topic in sorted(topics, key=lambda name: (order.get(name, len(order)), name)):
            names = dict.fromkeys(name for wing in ("numpy", *TWINS) for name in self.classes(wing, topic))
            for name in names:
                here = [
                    self.shortest(wing, topic, name) for wing in WINGS if name in self.classes(wing, topic)
                ]
                found.append(Thing(tuple(here), "class", topic))
        return found

    @cached_property
    def twin_functions(self) -> list[Thing]:
        """Functions that both wings define alike, in rooms without models: losses and penalties."""
        found = []
        for topic in self.rooms("torch"):
            wings = [self.module(f"recbook.{wing}.{topic}") for wing in TWINS]
            if None in wings or any(self.classes(wing, topic) for wing in WINGS):
                continue
            for name, node in wings[0].own.items():
                twin = wings[1].own.get(name)
                if (
                    isinstance(node, ast.FunctionDef)
                    and isinstance(twin, ast.FunctionDef)
                    and not name.startswith("_")
                    and ast.get_docstring(node)
                    and ast.get_docstring(node) == ast.get_docstring(twin)
                    and [one.arg for one in node.args.args] == [one.arg for one in twin.args.args]
                ):
                    names = tuple(f"recbook.{wing}.{topic}.{name}" for wing in TWINS)
                    found.append(Thing(names, "function", topic))
        return found

    @cached_property
    def formulas(self) -> list[Thing]:
        """Functions and classes of recbook.formulas, room by room."""
        return [
            replace(thing, topic=topic)
            for topic in self.rooms("formulas")
            for thing in self.public(f"recbook.formulas.{topic}")
        ]

    # --- on the pages ---------------------------------------------------------------------------------------------

    def described(self, text: str) -> dict[str, list[Thing]]:
        """What the directives of the pages' text describe, each thing once: directive → things.

        A thing stands where its own module is described, else under the first module that offers it.
        """
        asked = [Asked.of(match) for match in DIRECTIVE.finditer(text)]
        found: dict[str, list[Thing]] = {}
        taken: set[tuple[str, str]] = set()

        def take(key: str, things: list[Thing]) -> None:
            mine = [thing for thing in things if self.home(thing.name)[:2] not in taken]
            found.setdefault(key, []).extend(mine)
            taken.update(self.home(name)[:2] for thing in mine for name in thing.names)

        kinds = {"models": self.models, "twins": self.twin_functions, "formulas": self.formulas}
        for kind, things in kinds.items():
            if any(one.kind == kind for one in asked):
                take(kind, things)
        modules = {module for one in asked for module in one.modules}
        for one in asked:
            if one.modules:
                offered = [thing for thing in self.public(one.modules[0]) if thing.short not in one.without]
                at_home = [self.home_module(thing) for thing in offered]
                here = [
                    thing
                    for thing, home in zip(offered, at_home, strict=True)
                    if home in one.modules or home not in modules
                ]
                take(one.key, [self.twinned(thing, one.modules[1:]) for thing in here])
        return found

    def home_module(self, thing: Thing) -> str:
        """The module that a reader would think of as a thing's own: recbook.worlds for recbook.worlds._shop."""
        return self.home(thing.name)[0].partition("._")[0]

    def twinned(self, thing: Thing, modules: tuple[str, ...]) -> Thing:
        """A thing with its names in further modules."""
        also = [f"{module}.{thing.short}" for module in modules if self.home(f"{module}.{thing.short}")]
        return replace(thing, names=(thing.name, *also))


DIRECTIVE = re.compile(r"^```+\{(offers|models|twins|formulas)\} ?(.*)\n((?::.*\n)*)", re.M)


@dataclass(frozen=True)
class Asked:
    """A directive of a page: of what it shows all, and what it leaves out."""

    kind: str
    modules: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @classmethod
    def of(cls, match: re.Match) -> Asked:
        options = dict(line[1:].split(":", 1) for line in match[3].splitlines())
        modules = tuple(match[2].split()) if match[1] == "offers" else ()
        return cls(match[1], modules, tuple(options.get("without", "").split()))

    @property
    def key(self) -> str:
        return " ".join(self.modules) or self.kind
