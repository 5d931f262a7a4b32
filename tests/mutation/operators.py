"""What may become of one syntax node: each replacement is one way in which a person might have got it wrong."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

Replace = Callable[[Any], ast.AST | None]

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Mult: ast.FloorDiv,
    ast.Mod: ast.Mult,
    ast.Sub: ast.Add,
}
_CALLED = {"any": "all", "all": "any", "min": "max", "max": "min"}


def replacements(node: ast.AST, *, assignments: bool = False) -> Iterator[tuple[str, Replace]]:
    """(kind, function from the node to its replacement; None deletes a statement, `assignments` to attributes too)."""
    match node:
        case ast.Compare():
            for at, operator in enumerate(node.ops):
                if type(operator) in _COMPARED:
                    yield "comparison", partial(_other_operator, at)
        case ast.BoolOp():
            yield "and/or", _other_connective
            for at in range(len(node.values)):
                yield "and/or", partial(_without_value, at)
        case ast.UnaryOp(op=ast.Not()):
            yield "negation", lambda found: found.operand
        case ast.IfExp() | ast.If() | ast.While():
            yield "negation", _with_negated_test
        case ast.comprehension() if node.ifs:
            yield "negation", _with_negated_filter
            yield "condition", _without_filter
        case ast.BinOp() if type(node.op) in _COMPUTED:
            yield "arithmetic", lambda found: ast.BinOp(found.left, _COMPUTED[type(found.op)](), found.right)
        case ast.Constant() if _other_constant(node.value) is not None:
            yield "constant", lambda found: ast.Constant(_other_constant(found.value))
        case ast.Tuple() | ast.List() | ast.Set() if isinstance(getattr(node, "ctx", None), ast.Load | None):
            for at in range(len(node.elts)):
                yield "element", partial(_without_element, at)
        case ast.Dict():
            for at in range(len(node.keys)):
                yield "element", partial(_without_entry, at)
        case ast.Call(func=ast.Name(id=name)) if name in _CALLED:
            yield "call", _other_call
        case ast.Name(id="KEEP"):
            yield "outcome", lambda _found: ast.Name("REMOVE", ast.Load())
        case ast.Name(id="REMOVE"):
            yield "outcome", lambda _found: ast.Name("KEEP", ast.Load())
        case ast.Return(value=ast.Constant()):
            return  # changed as a constant
        case ast.Return() if node.value is not None and not _is_outcome(node.value):
            yield "outcome", lambda _found: ast.Return(ast.Constant(None))
    if isinstance(node, ast.Expr | ast.AugAssign | ast.Delete | ast.Raise | ast.For | ast.Continue):
        yield "statement", lambda _found: None
    if isinstance(node, ast.If) and not node.orelse:
        yield "statement", lambda _found: None
    removable = (ast.Subscript, ast.Attribute) if assignments else ast.Subscript
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], removable):
        yield "statement", lambda _found: None


def _other_operator(at: int, found: ast.Compare) -> ast.AST:
    found.ops[at] = _COMPARED[type(found.ops[at])]()
    return found


def _other_connective(found: ast.BoolOp) -> ast.AST:
    return ast.BoolOp(ast.Or() if isinstance(found.op, ast.And) else ast.And(), found.values)


def _without_value(at: int, found: ast.BoolOp) -> ast.AST:
    left = [value for index, value in enumerate(found.values) if index != at]
    return left[0] if len(left) == 1 else ast.BoolOp(found.op, left)


def _with_negated_test(found: Any) -> ast.AST:
    found.test = ast.UnaryOp(ast.Not(), found.test)
    return found  # type: ignore[no-any-return]


def _with_negated_filter(found: ast.comprehension) -> ast.AST:
    found.ifs[0] = ast.UnaryOp(ast.Not(), found.ifs[0])
    return found


def _without_filter(found: ast.comprehension) -> ast.AST:
    found.ifs = []
    return found


def _other_constant(value: Any) -> Any:
    """A value of the same kind; None where there is none."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case bytes():
            return value + b"x"
    return None


def _without_element(at: int, found: Any) -> ast.AST:
    del found.elts[at]
    # A set must not become a dict.
    return ast.Call(ast.Name("set", ast.Load()), [], []) if isinstance(found, ast.Set) and not found.elts else found


def _without_entry(at: int, found: ast.Dict) -> ast.AST:
    del found.keys[at], found.values[at]
    return found


def _other_call(found: ast.Call) -> ast.AST:
    assert isinstance(found.func, ast.Name)
    found.func = ast.Name(_CALLED[found.func.id], ast.Load())
    return found


def _is_outcome(value: ast.expr) -> bool:
    """True for what is changed as a name or a condition already."""
    return isinstance(value, ast.Name) and value.id in ("KEEP", "REMOVE")
