"""The page of the notation: every symbol of a labelled equation stands there, and every name in code exists."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from book.ext.recbook_sphinx import names
from recbook.evaluation import parse_metric

ROOT = Path(__file__).resolve().parents[2]
NOTATION = (ROOT / "chapters" / "notation.md").read_text("utf-8")
CODE = [code for row in re.findall(r"^\|.*\|$", NOTATION, re.M) for code in re.findall(r"`([^`]+)`", row)]


# --- names in code --------------------------------------------------------------------------------------------------


@cache
def public() -> frozenset[str]:
    """Public names with any number of their modules before them, and all that these can be asked or given."""
    found = set()
    for name in names.public_names():
        if name.startswith("recbook.keras."):
            continue  # the same as PyTorch's, as tests/package/test_twins.py proves
        thing = names.resolve(name)
        for spelled in names.package().all_names(name):
            words = spelled.split(".")
            found |= {".".join(words[start:]) for start in range(1, len(words))}
        members = (
            [member for member in dir(thing) if not member.startswith("_")] if inspect.isclass(thing) else []
        )
        found |= {*members, *getattr(thing, "__annotations__", {})}
        for callable_ in (thing, *(getattr(thing, member) for member in members)):
            if callable(callable_) and not isinstance(callable_, property):
                found |= arguments(callable_)
    return frozenset(
        found | {"formulas." + path.stem for path in (ROOT / "recbook" / "formulas").glob("*.py")}
    )


def arguments(thing) -> set[str]:
    try:
        return set(inspect.signature(thing).parameters)
    except (TypeError, ValueError):  # builtins have no signature
        return set()


@cache
def package() -> tuple[ast.Module, ...]:
    return tuple(ast.parse(path.read_text("utf-8")) for path in (ROOT / "recbook").rglob("*.py"))


@cache
def parameter_arrays() -> tuple[frozenset[str], frozenset[str]]:
    """Names of arrays in `get_parameters()`, and the beginnings of those that have a number: kernel_1."""
    whole, begun = set(), set()
    for tree in package():
        for shapes in ast.walk(tree):
            if isinstance(shapes, ast.FunctionDef) and shapes.name.endswith("_shapes"):
                for node in ast.walk(shapes):
                    if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                        begun.add(node.values[0].value)
                    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                        whole.add(node.value)
    return frozenset(whole), frozenset(begun)


@cache
def learnt() -> frozenset[str]:
    """Attributes that end in an underscore: what `fit` writes down."""
    nodes = [node for tree in package() for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return frozenset(node.attr for node in nodes if re.fullmatch(r"[a-z]\w*_", node.attr))


@cache
def strings() -> frozenset[str]:
    nodes = [node for tree in package() for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    cells = [cell for notebook in notebooks() for cell in notebook["cells"] if cell["cell_type"] == "code"]
    quoted = re.findall(r'"([^"\n]+)"', "\n".join("".join(cell["source"]) for cell in cells))
    return frozenset([*(node.value for node in nodes if isinstance(node.value, str)), *quoted])


def exists(code: str) -> bool:
    """Whether a name of the notation's table is one of the package."""
    if found := re.fullmatch(r'(\w+)="(.+)"', code):
        return exists(found[1]) and found[2] in strings()
    if code.startswith('"'):
        return is_metric(code.strip('"')) or code.strip('"') in strings()
    whole, begun = parameter_arrays()
    return code in public() | whole | learnt() or re.sub(r"\d+$", "", code) in begun


def is_metric(name: str) -> bool:
    try:
        parse_metric(name)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("code", sorted(set(CODE)))
def test_a_name_of_the_notation_exists_in_the_package(code: str) -> None:
    assert exists(code), f"chapters/notation.md: there is no `{code}` in the package"


def test_what_does_not_exist_is_found() -> None:
    assert len(CODE) > 80
    wrong = [
        "n_persons",
        "min_neighbours",
        'center="median of medians"',
        "formulas.losses.nothing",
        "kernell_1",
    ]
    assert [code for code in wrong if exists(code)] == []


# --- symbols of equations -------------------------------------------------------------------------------------------

GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi "
    "varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell"
).split()
LETTER = rf"(?:\\(?:{'|'.join(GREEK)})(?![a-zA-Z])|[A-Za-z])"
WORDS = re.compile(
    r"\\(?:operatorname|mathrm|text|textbf|begin|end|tag)\*?\{[^}]*\}"
)  # names of functions, environments
# A hat, a bar, a tilde mean the same over every letter: the page says what. Bold and curly letters are others.
ACCENT = re.compile(r"\\(?:hat|bar|tilde|boldsymbol)(?![a-zA-Z])")
FONT = re.compile(rf"\\(mathbf|mathcal|mathbb)\s*(?:\{{\s*)*({LETTER})")
INDEX = re.compile(rf"[_^](?:\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}}|{LETTER}|\\[a-z]+|.)")


def symbols(latex: str) -> set[str]:
    r"""The letters of an equation, without indices and accents: {"mathbf p", "\lambda", "r"}"""
    text = ACCENT.sub(" ", WORDS.sub(" ", latex))
    found = {f"{font} {letter}" for font, letter in FONT.findall(text)}
    text = INDEX.sub(" ", FONT.sub(" ", text))
    commands = re.compile(rf"(?!{LETTER})\\[a-zA-Z]+")
    return found | set(re.findall(LETTER, commands.sub(" ", text)))


@cache
def notebooks() -> tuple[dict, ...]:
    return tuple(json.loads(path.read_text("utf-8")) for path in sorted((ROOT / "chapters").glob("*.ipynb")))


def equations() -> Iterator[tuple[str, str]]:
    """Label and LaTeX of every labelled equation of the book."""
    for notebook in notebooks():
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
        for latex, label in re.findall(r"\$\$(.*?)\$\$[ ]*(\([\w-]+\))?", text, re.S):
            if label:
                yield label.strip("()"), latex


def test_symbols_are_read_from_an_equation() -> None:
    latex = (
        r"\hat r_{ui} = \mu + \frac{\mathbf p_u^\top \mathbf{q}_i}{\sqrt{d}} "
        r"\quad \text{for } \mathcal{N}(0, \mathrm{diag}\,\boldsymbol\sigma^2)"
    )
    assert symbols(latex) == {"r", r"\mu", "mathbf p", "mathbf q", "d", "mathcal N", r"\sigma"}


def test_every_symbol_of_an_equation_stands_in_the_notation() -> None:
    known = set().union(*(symbols(latex) for latex in re.findall(r"\$([^$]+)\$", NOTATION)))
    used: dict[str, list[str]] = {}
    for label, latex in equations():
        for symbol in symbols(latex):
            used.setdefault(symbol, []).append(label)
    assert len(used) > 60
    missing = {symbol: labels for symbol, labels in used.items() if symbol not in known}
    assert missing == {}
