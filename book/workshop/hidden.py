"""What the cells that a chapter's page leaves out make for later cells: all that the lab keeps of them.

Such a cell checks what the text says and makes numbers for it. Seldom does a cell that is shown use a name from it.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator

from .library import tags_of, text_of

HEAD = "# From the book's checks of this chapter: what cells below need."


def needed(cells: list[dict]) -> dict[int, str]:
    """Place of each left-out cell -> the code of it that later cells need, empty where they need nothing."""
    found: dict[int, str] = {}
    wanted: set[str] = set()  # names that the cells below want to find
    for place, cell in reversed(list(enumerate(cells))):
        if cell["cell_type"] != "code":
            continue
        statements = ast.parse(text_of(cell)).body
        if "remove-cell" in tags_of(cell):
            statements = wanted_of(statements, wanted)
            found[place] = "\n".join([HEAD, *map(ast.unparse, statements)]) if statements else ""
        for statement in reversed(statements):
            wanted = before(statement, wanted)
    return found


def wanted_of(statements: list[ast.stmt], wanted: set[str]) -> list[ast.stmt]:
    """The statements that make what is wanted, and what these need in turn, without checks and numbers for the text."""
    kept: list[ast.stmt] = []
    for statement in reversed(statements):
        if made(statement) & wanted and (shorter := Unchecked().visit(statement)):
            kept.insert(0, shorter)
            wanted = before(shorter, wanted)
    return kept


class Unchecked(ast.NodeTransformer):
    """Takes out asserts, numbers for the text, and what is empty without them."""

    def visit_Assert(self, node: ast.Assert) -> None:
        return None

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if ast.unparse(node).startswith("nb.glue(") else node

    def visit_For(self, node: ast.For) -> ast.For | None:
        self.generic_visit(node)
        return node if node.body else None

    visit_If = visit_For


def before(statement: ast.stmt, wanted: set[str]) -> set[str]:
    """What has to be there before a statement, so that afterwards all that is wanted is there."""
    sure = set() if isinstance(statement, (ast.If, ast.For, ast.While, ast.Try)) else made(statement)
    return (wanted - sure) | read(statement)


def made(statement: ast.stmt) -> set[str]:
    """The global names that a statement may make."""
    top = symtable.symtable(ast.unparse(statement), "cell", "exec")
    return {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}


def read(statement: ast.stmt) -> set[str]:
    """The global names that a statement, or a function in it, uses; less what a loop makes for itself."""
    top = symtable.symtable(ast.unparse(statement), "cell", "exec")
    found = {
        symbol.get_name()
        for table in tables(top)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table is top or symbol.is_global())
    }
    return found - made(statement) if isinstance(statement, (ast.For, ast.With)) else found


def tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for inner in table.get_children():
        yield from tables(inner)
