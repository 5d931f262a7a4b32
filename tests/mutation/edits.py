"""Mutants of source text, by syntax tree: one node replaced or one statement deleted at a time.

An edit is described by the statement it stands in and by what becomes what, so that its name survives edits elsewhere
in the file. Nodes are addressed by their place in `ast.walk`, which is the same in every copy of a tree.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

import msgspec

from tests.mutation.operators import replacements

_LITERAL = (ast.Constant, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Load, ast.keyword)
_MAKERS = frozenset(("frozenset", "re.compile"))
_PAGES = frozenset(("LOG", "SCHEMA", "__all__"))
_CAUSES = frozenset(("Refused", "PeerError", "refuse_if"))
"""Calls whose texts are frozen wording: codes and reasons are tested, wording is not."""
_DOCUMENTED = frozenset(("spec", "rows", "kind"))
"""Arguments that say where something comes from, or what it is called, and do nothing."""
_LONGEST = 110

Replace = Callable[[ast.AST], ast.AST | None]


class Edit(msgspec.Struct, frozen=True):
    """One change to a module. `scope` is the function or constant, `at` the node's place, `new` its replacement."""

    scope: str
    kind: str
    what: str
    at: int
    new: Replace

    def applied(self, tree: ast.Module) -> ast.Module:
        """A changed copy of the tree."""
        changed = copy.deepcopy(tree)
        target = list(ast.walk(changed))[self.at]
        _Put(target, self.new(target)).visit(changed)
        return ast.fix_missing_locations(changed)


def edits(tree: ast.Module, *, assignments: bool = False) -> Iterator[Edit]:
    """Every edit of a module's functions and literal constants; `assignments` to attributes are deleted if told so."""
    places = {id(node): at for at, node in enumerate(ast.walk(tree))}
    for scope, root in _scopes(tree):
        for node, statement in _nodes(root):
            for kind, new in replacements(node, assignments=assignments):
                result = new(copy.deepcopy(node))
                what = f"`{_shown(node)}` -> `{_shown(result)}`"
                if node is not statement:
                    what += f" in `{_shown(statement)}`"
                yield Edit(scope, kind, what, places[id(node)], new)


class _Put(ast.NodeTransformer):
    """Replaces one node, by identity."""

    def __init__(self, target: ast.AST, new: ast.AST | None) -> None:
        self._target = target
        self._new = new

    def visit(self, node: ast.AST) -> ast.AST | None:
        if node is not self._target:
            found: ast.AST = self.generic_visit(node)
            return found
        # A block must not become empty.
        return ast.copy_location(self._new or ast.Pass(), node)


def _scopes(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Functions, methods, and assignments of literals."""
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name, statement
        elif isinstance(statement, ast.ClassDef):
            for inner in statement.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{statement.name}.{inner.name}", inner
        elif isinstance(statement, ast.Assign) and _is_literal(statement.value):
            name = ast.unparse(statement.targets[0])
            if name not in _PAGES:
                yield name, statement


def _is_literal(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value.count(" ") > 2:
        return False  # wording
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in _MAKERS and all(map(_is_literal, value.args))
    return all(isinstance(node, _LITERAL) for node in ast.walk(value))


def _nodes(root: ast.stmt) -> Iterator[tuple[ast.AST, ast.stmt]]:
    """(node, its statement) of everything that runs: no annotations, decorators, docstrings or frozen wording."""
    if not isinstance(root, ast.FunctionDef):
        yield from _inside(root, root)
        return
    for default in (*root.args.defaults, *(found for found in root.args.kw_defaults if found is not None)):
        yield from _inside(default, root)
    for statement in root.body:
        if not _is_docstring(statement):
            yield from _inside(statement, statement)


def _inside(node: ast.AST, statement: ast.stmt) -> Iterator[tuple[ast.AST, ast.stmt]]:
    if isinstance(node, ast.FunctionDef):
        yield from _nodes(node)
        return
    if isinstance(node, ast.keyword) and node.arg in _DOCUMENTED:
        return
    if isinstance(node, ast.stmt):
        statement = node
    yield node, statement
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "func", "ops", "op", "ctx"):
            continue
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, ast.AST) and not (isinstance(node, ast.Call) and _is_wording(node, child)):
                yield from _inside(child, statement)
    if isinstance(node, ast.Call):  # `x.y(z)`: the method's name is no constant, but `x` may be anything
        yield from _inside(node.func, statement)


def _is_wording(call: ast.Call, child: ast.AST) -> bool:
    text = child.value if isinstance(child, ast.Constant) else None
    return ast.unparse(call.func) in _CAUSES and isinstance(text, str) and " " in text


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _shown(node: ast.AST | None) -> str:
    """The node in one line; of a compound statement its head."""
    if node is None:
        return "nothing"
    text = ast.unparse(node)
    if isinstance(node, ast.If | ast.For | ast.While | ast.FunctionDef | ast.Try | ast.With):
        text = next(line for line in text.splitlines() if not line.startswith("@"))
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + "..."
