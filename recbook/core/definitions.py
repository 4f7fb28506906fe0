"""Which definitions a program reaches, told from its syntax alone: nothing is imported, nothing is run.

A definition is a function, a class or an assignment at the top level of a module. It reaches what its text names, be
it through `import x`, `import x as y`, `from a import b as c` or `module.name`, and a package's `__init__` may stand
between. Some rules err on the side of more:

- A class is reached whole, with its methods, its bases and what all of these name; annotations count as names.
- A module that is used as a value, as in `getattr(module, name)` or `vars(module)`, is reached whole: its own
  definitions and those that it imports by name. So is the module of a function that calls `globals()`.
- What `__getattr__` of a package gives is looked for in all modules whose names stand in that package as texts.
- A statement at the top level that does more than define, such as a call, or an `if` with a call below it, counts
  once a definition of its module, or of a module below that package, is reached. What stands under
  `if __name__ == "__main__"` is what the script runs, and nothing in a module.
- A name that is defined below an `if`, `try`, `with` or `for` reaches all of that statement.

`importlib.import_module` is not followed, nor is what a text names; a caller gives such a thing as a root. The order
of statements at the top level does not count, nor does which of two modules that are reached whole is which.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from recbook.errors import DataError

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
COMPOUND = (
    ast.If,
    ast.Try,
    ast.TryStar,
    ast.With,
    ast.AsyncWith,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Match,
)
PROGRAM = ""  # the name of the script among the modules
WHOLE = "<module>"


@dataclass(frozen=True)
class Reference:
    """What a dotted path means: a module, and names in it one below the other; none stand for the module itself."""

    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Definition:
    """One statement at the top level of a module, as words; those that lead outside it are References."""

    module: str
    words: tuple[str | Reference, ...]


@dataclass(frozen=True, eq=False)
class Source:
    """One module: its definitions and imports by name, and the statements that do more than define."""

    texts: frozenset[str]
    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    imports: dict[str, list[Reference]] = field(default_factory=dict)
    effects: list[Definition] = field(default_factory=list)
    main: list[Definition] = field(default_factory=list)  # under `if __name__ == "__main__"`


class Program:
    """A script, and the modules that it may reach.

    script : its text;  modules : name → text, packages under their own names
    packages : which of these names are packages
    closed : a definition of this module and name is named, but not entered
    """

    def __init__(
        self,
        script: str,
        modules: dict[str, str],
        packages: Iterable[str] = (),
        closed: Callable[[str, str], bool] = lambda module, name: False,
    ):
        self.modules, self.packages, self.closed = {PROGRAM: script} | modules, frozenset(packages), closed
        self._links: dict[Definition, tuple[str, list[tuple[list[Definition], str]]]] = {}

    def hash(self, roots: Iterable[str] | None = None) -> str:
        """sha256 of all that is reached from `roots`; without them, from what the script itself runs.

        A root is a dotted name, such as recbook.evaluation.evaluate, or a name of the script's own.
        Names of modules, places and order of definitions do not count. Raises DataError for an unknown root.
        """
        if roots is None:
            starts = [*self._source(PROGRAM).effects, *self._source(PROGRAM).main]
        else:
            starts = [definition for root in roots for definition in self.find(root)]
        reached = self.reached(starts)
        # Two definitions of one text may lead to different ones. Each is told apart by its text and by what it leads
        # to, round after round, until a round tells no more apart: references may go in circles.
        colors = {one: _sha256([self._linked(one)[0]]) for one in reached}
        while True:
            finer = {one: self._color(one, colors) for one in reached}
            grown = len(set(finer.values())) > len(set(colors.values()))
            colors = finer
            if not grown:
                return _sha256(
                    [*sorted(colors[one] for one in starts), "reach", *sorted(set(colors.values()))]
                )

    def reached(self, starts: Iterable[Definition]) -> list[Definition]:
        """These definitions and all that they reach."""
        found: dict[Definition, None] = {}
        waiting = list(starts)
        while waiting:
            one = waiting.pop()
            if one not in found:
                found[one] = None
                for targets, _ in self._linked(one)[1]:
                    waiting += targets
                parts = one.module.split(".")
                for depth in range(1, len(parts) + 1):
                    waiting += self._source(".".join(parts[:depth])).effects
        return list(found)

    def find(self, root: str) -> list[Definition]:
        """The definitions that a dotted name, or a name of the script, stands for."""
        parts = root.split(".")
        cut = max(cut for cut in range(len(parts)) if ".".join(parts[:cut]) in self.modules)
        module, names = ".".join(parts[:cut]), tuple(parts[cut:])
        found = self._resolve(Reference(module, names), set())[0] if self._has(module, names[0]) else []
        if not found:
            raise DataError(
                f"no definition is called {root}; name it by its module, as in recbook.metrics.rmse"
            )
        return found

    def _source(self, name: str) -> Source:
        return _source(self.modules[name], name, name in self.packages)

    def _linked(self, one: Definition) -> tuple[str, list[tuple[list[Definition], str]]]:
        """A definition's text without names of modules; what each of its references leads to, and how it reads."""
        if one not in self._links:
            links = [self._resolve(word, set()) for word in one.words if isinstance(word, Reference)]
            readings = iter(links)
            words = (next(readings)[1] if isinstance(word, Reference) else word for word in one.words)
            self._links[one] = " ".join(words), links
        return self._links[one]

    def _color(self, one: Definition, colors: dict[Definition, str]) -> str:
        # What else a module holds must not count for who uses it whole: that it is reached counts enough.
        links = [targets for targets, reading in self._linked(one)[1] if not reading.startswith(WHOLE)]
        return _sha256(
            [colors[one], *(" ".join(sorted({colors[to] for to in targets})) for targets in links)]
        )

    def _resolve(self, reference: Reference, seen: set[Reference]) -> tuple[list[Definition], str]:
        """The definitions that a reference leads to, and how it reads without names of modules."""
        module, names = reference.module, reference.names
        if module not in self.modules:
            return [], f"<{'.'.join([module, *names])}>"
        if not names:
            return self._whole(module), WHOLE
        seen.add(reference)
        source, first, rest = self._source(module), names[0], names[1:]
        own = source.definitions.get(first, [])
        if own and self.closed(module, first):
            return [], f"<{'.'.join(names)}>"
        found, readings = list(own), [f"<{'.'.join(names)}>"] if own else []
        ways = [Reference(one.module, one.names + rest) for one in source.imports.get(first, [])]
        below = f"{module}.{first}" if module else first
        if below in self.modules and not own:
            ways.append(Reference(below, rest))
        if not own and not ways and "__getattr__" in source.definitions and first != "__getattr__":
            found += source.definitions["__getattr__"]
            ways = [
                Reference(name, names) for name in self._named_in(source, module) if self._has(name, first)
            ]
        for way in ways:
            if way not in seen:
                targets, reading = self._resolve(way, seen)
                found += targets
                readings.append(reading)
        if not readings:  # something that the syntax does not tell: all of it may be meant
            return found + self._whole(module), f"{WHOLE}.{'.'.join(names)}"
        return found, "|".join(sorted(set(readings)))

    def _whole(self, module: str) -> list[Definition]:
        source = self._source(module)
        found = [
            one for name, many in source.definitions.items() if not self.closed(module, name) for one in many
        ]
        for references in source.imports.values():
            for one in references:
                if one.names and ".".join([one.module, *one.names]) not in self.modules:
                    found += self._resolve(one, {Reference(module)})[0]
        return found

    def _named_in(self, source: Source, package: str) -> list[str]:
        places = {f"{package}.{text.lstrip('.')}" for text in source.texts} | source.texts
        return sorted(places & self.modules.keys() - {package, PROGRAM})

    def _has(self, module: str, name: str) -> bool:
        source = self._source(module)
        return name in source.definitions or name in source.imports


# ---------------------------------------------------------------- one module


@functools.lru_cache(maxsize=1024)
def _source(text: str, name: str, is_package: bool) -> Source:
    tree = ast.parse(text)
    parents = name.split(".") if is_package else name.split(".")[:-1]
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    source = Source(frozenset(one for one in texts if isinstance(one, str)))
    bound = [(node, *_bound_by(node, parents)) for node in tree.body]
    for _, _, imports, _ in bound:
        for one, reference in imports:
            source.imports.setdefault(one, []).append(reference)
    reader = _Reader(name, parents, {one for _, names, _, _ in bound for one in names}, source.imports)
    for node, names, _, effect in bound:
        if names or effect:
            definition = Definition(name, tuple(reader.words(node, ())))
            for one in names:
                source.definitions.setdefault(one, []).append(definition)
            if effect:
                (source.main if _guards_main(node) else source.effects).append(definition)
    return source


def _bound_by(node: ast.stmt, parents: list[str]) -> tuple[set[str], list, bool]:
    """The names that a statement at the top level defines, those that it imports, and whether it does more."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return set(), list(_imported(node, parents)), False
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}, [], False
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        inner = [part for target in targets for part in ast.walk(target)]
        names = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        return names, [], any(isinstance(part, ast.Attribute | ast.Subscript) for part in inner)
    if not isinstance(node, COMPOUND):
        return set(), [], not (isinstance(node, ast.Pass) or _is_text(node))
    names, imports, effect = _stored(node), [], isinstance(node, ast.With | ast.AsyncWith | ast.While)
    for part in _inside(node):
        more = _bound_by(part, parents)
        names, imports, effect = names | more[0], imports + more[1], effect or more[2]
    return names, imports, effect


def _inside(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statements right below a compound one."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.stmt):
            yield part
        elif isinstance(part, ast.ExceptHandler | ast.match_case):
            yield from part.body


def _stored(node: ast.stmt) -> set[str]:
    """The names that the head of a `for` or `with` stores."""
    heads = [node.target] if isinstance(node, ast.For | ast.AsyncFor) else []
    heads += [one.optional_vars for one in getattr(node, "items", []) if one.optional_vars]
    return {part.id for head in heads for part in ast.walk(head) if isinstance(part, ast.Name)}


def _imported(node: ast.Import | ast.ImportFrom, parents: list[str]) -> Iterator[tuple[str, Reference]]:
    """The names that an import binds, and what they mean; `parents` is where relative imports start."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (
                alias.asname or alias.name.split(".")[0],
                Reference(alias.name if alias.asname else alias.name.split(".")[0]),
            )
        return
    start = parents[: len(parents) - node.level + 1] if node.level else []
    base = ".".join([*start, *([node.module] if node.module else [])])
    for alias in node.names:
        if alias.name == "*":
            raise DataError(
                f"line {node.lineno}: `from {base} import *` hides what is used; import it by name"
            )
        if base != "__future__":
            yield alias.asname or alias.name, Reference(base, (alias.name,))


def _guards_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _is_text(node: ast.AST) -> bool:
    """A docstring, or another text that stands alone."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


Scope = dict[str, Reference | None]  # a name of a function: what it imports, or None for a variable


class _Reader:
    """Puts a syntax tree into words, and names of the top level into References.

    Not ast.dump, whose text differs between versions of Python: here empty fields are left out.
    """

    def __init__(
        self, module: str, parents: list[str], defined: set[str], imports: dict[str, list[Reference]]
    ):
        self.module, self.parents, self.top = module, parents, defined | imports.keys()
        # What is imported once and nowhere assigned is that other thing; all else is looked up in the module.
        self.known = {
            name: found[0] for name, found in imports.items() if len(found) == 1 and name not in defined
        }

    def words(self, node: Any, scopes: tuple[Scope, ...]) -> Iterator[str | Reference]:
        if isinstance(node, list):
            for one in node:
                yield from self.words(one, scopes)
        elif not isinstance(node, ast.AST):
            yield repr(node)
        elif isinstance(node, ast.Import | ast.ImportFrom) or _is_text(node):
            return
        elif (reference := self._reference(node, scopes)) is not None:
            yield reference
        elif isinstance(node, FUNCTIONS):
            inner = (*scopes, self._scope(node))
            yield from self._fields(node, {"body": inner}, scopes)
        elif isinstance(node, COMPREHENSIONS):
            yield from self._comprehension(node, scopes)
        else:
            yield from self._fields(node, {}, scopes)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("globals", "vars") and not node.args:
                yield Reference(self.module)

    def _fields(self, node: ast.AST, inner: dict[str, tuple], scopes: tuple[Scope, ...]) -> Iterator:
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if value not in (None, []) or isinstance(node, ast.Constant):
                yield f"{name}="
                yield from self.words(value, inner.get(name, scopes))
        yield ")"

    def _comprehension(self, node: Any, scopes: tuple[Scope, ...]) -> Iterator[str | Reference]:
        """Its first iterable is of the scope around it; all else sees its variables."""
        stored = [part for one in node.generators for part in ast.walk(one.target)]
        names: Scope = {part.id: None for part in stored if isinstance(part, ast.Name)}
        inner = (*scopes, names)
        yield f"({type(node).__name__}"
        yield from self.words(node.generators[0].iter, scopes)
        for place, one in enumerate(node.generators):
            yield from self._fields(one, {"iter": scopes if place == 0 else inner}, inner)
        for name in ("elt", "key", "value"):
            if hasattr(node, name):
                yield from self.words(getattr(node, name), inner)
        yield ")"

    def _reference(self, node: ast.AST, scopes: tuple[Scope, ...]) -> Reference | None:
        """What `name` or `name.other.third` means, where `name` is of the top level or imported."""
        rest: list[str] = []
        while isinstance(node, ast.Attribute):
            rest.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        start = self._looked_up(node.id, scopes)
        if start is None or (isinstance(node.ctx, ast.Store) and not scopes):
            return None
        return Reference(start.module, (*start.names, *rest))

    def _looked_up(self, name: str, scopes: tuple[Scope, ...]) -> Reference | None:
        for scope in reversed(scopes):
            if name in scope:
                return scope[name]
        if name in self.known:
            return self.known[name]
        return Reference(self.module, (name,)) if name in self.top else None

    def _scope(self, node: Any) -> Scope:
        """The names that are a function's own."""
        args = node.args
        given = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
        found: Scope = {one.arg: None for one in given}
        imports: Scope = {}
        elsewhere: set[str] = set()
        waiting: list[ast.AST] = list(node.body) if isinstance(node.body, list) else [node.body]
        while waiting:
            part = waiting.pop()
            if isinstance(part, ast.Import | ast.ImportFrom):
                imports |= dict(_imported(part, self.parents))
            elif isinstance(part, ast.Global | ast.Nonlocal):
                elsewhere |= set(part.names)
            elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[part.name] = None
            elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del):
                found[part.id] = None
            elif not isinstance(part, (ast.Lambda, *COMPREHENSIONS)):
                for name in ("name", "rest"):  # of `except … as name`, and of patterns
                    if isinstance(getattr(part, name, None), str):
                        found[getattr(part, name)] = None
                waiting += ast.iter_child_nodes(part)
        return {name: one for name, one in (found | imports).items() if name not in elsewhere}


def _sha256(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n\n".join(texts).encode("utf-8")).hexdigest()
