"""Expressions of rules: what is refused when they are loaded, and that no message makes one slow."""

from __future__ import annotations

import time
from typing import Any

import pytest

from broker.rules.language import MAX_CHARS, VARIABLES, WrongRule, activation, compiled

WRONG = [
    ("principal = 'a'", "line 1, column 11", "`==`"),
    ("nme == 'a'", "line 1, column 1", "use one of principal,"),
    ("client.nme == 'a'", "undeclared reference to 'client.nme'", "client.name"),
    ("kind == 'tool' &&\n  name == 3", "line 2, column 8", "one type"),
    ("name.startsWith(3)", "line 1, column 16", "one type"),
    ("name.lower() == 'a'", "undeclared reference to 'lower'", ""),
    ("principal +", "line 1, column 12", ""),
    ("", "line 1, column 1", ""),
    ("size(name)", "is int", "compare it"),
    ("claims.admin", "is dyn", "compare it"),
    ("name.matches('(')", "the pattern '('", "RE2"),
    (r"name.matches('(?=a)')", "the pattern '(?=a)'", "RE2"),
    ("name.matches(principal)", "as a constant", ""),
    ("arguments.path.matches(arguments.pattern)", "as a constant", ""),
    ("scopes.all(x, scopes.exists(y, x == y))", "a loop within a loop", ""),
    ("scopes.map(x, scopes.filter(y, y == x)).size() == 1", "a loop within a loop", ""),
    ("arguments.a.all(x, x in arguments.b)", "beside its own element", ""),
    ("scopes.exists(x, x + x == name)", "`+` is not for loops", ""),
    ("arguments.a + arguments.a == 'b'", "`+` is not for loops", ""),
    (" || ".join(["name + 'a' == 'x'"] * 33), "more than 32 additions", "split"),
    ("(" * 40 + "true" + ")" * 40, "recursion limit", "flatter"),
    (f"name == '{'x' * MAX_CHARS}'", "longer than", "split"),
]


@pytest.mark.parametrize(("text", "what", "fix"), WRONG, ids=[each[0][:32] for each in WRONG])
def test_an_expression_that_cannot_be_a_rule_is_refused_with_its_place_and_what_to_do(
    text: str, what: str, fix: str
) -> None:
    with pytest.raises(WrongRule) as refused:
        compiled(text)
    assert what in str(refused.value)
    assert fix in str(refused.value)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("principal == 'a'", {"principal"}),
        ("'admin' in scopes || claims.groups.exists(g, g == name)", {"scopes", "claims", "name"}),
        ("has(arguments.path) && !arguments.path.startsWith('/srv/')", {"arguments"}),
        ("scopes.exists(name, name == 'a')", {"scopes"}),
        ("scopes.exists(name, name == 'a') && name == 'b'", {"scopes", "name"}),
        ("{'a': arguments.x}['a'] == [backend.name][0]", {"arguments", "backend.name"}),
        ("client.name == 'x' ? annotations.readOnlyHint == true : false", {"client.name", "annotations"}),
        ("scopes.exists_one(s, s == 'a') && scopes.filter(s, s != 'b').size() > 0", {"scopes"}),
        ("name == 'own_' + principal", {"name", "principal"}),
        ("true", set()),
    ],
)
def test_what_an_expression_mentions_is_known(text: str, mentioned: set[str]) -> None:
    assert compiled(text).variables == mentioned <= VARIABLES.keys()


LARGE: list[tuple[str, dict[str, Any]]] = [
    ("arguments.l.all(x, x != 'b')", {"l": ["a"] * 9_000}),
    ("arguments.l.exists(x, x.matches('^(a*)*b$'))", {"l": ["a" * 90] * 9_000}),
    ("arguments.s.matches('(a*)*b')", {"s": "a" * 1_000_000}),
    ("arguments.s.contains('b')", {"s": "a" * 4_000_000}),
    ("'b' in arguments.l", {"l": ["a"] * 190_000}),
    ("arguments.l.all(x, x in ['a', 'b'])", {"l": ["a"] * 9_000}),
]


@pytest.mark.parametrize(("text", "arguments"), LARGE, ids=[each[0][:32] for each in LARGE])
def test_no_message_makes_a_rule_slow(text: str, arguments: dict[str, Any]) -> None:
    expression = compiled(text)
    began = time.process_time()
    value = expression.value(activation({"arguments": arguments}))
    assert type(value) is bool
    assert time.process_time() - began < 1.0


def test_a_loop_over_too_much_is_an_error_and_no_answer() -> None:
    value = compiled("arguments.l.all(x, x == 'a')").value(activation({"arguments": {"l": ["a"] * 20_000}}))
    assert "budget" in str(value)


ODD: list[tuple[str, Any]] = [
    ("arguments.x == 'a'", {}),
    ("arguments.x.y == 'a'", {"x": "text"}),
    ("arguments.x > 1", {"x": "2"}),
    ("arguments.x > 1", {"x": 2**80}),
    ("arguments.x.startsWith('a')", {"x": ["a"]}),
    ("1 / arguments.x == 1", {"x": 0}),
    ("arguments.x == 'a'", {"x": "\ud800"}),
    ("arguments.x == 'a'", {"x": object()}),
    ("arguments.x == 'a'", {7: "a"}),
]


@pytest.mark.parametrize(("text", "arguments"), ODD)
def test_what_cannot_be_decided_is_an_error(text: str, arguments: Any) -> None:
    try:
        values = activation({"arguments": arguments})
    except Exception:
        return  # refused before any rule sees it
    assert type(compiled(text).value(values)) is str
