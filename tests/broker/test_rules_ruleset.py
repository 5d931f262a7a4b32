"""What rules decide: deny wins, errors deny, and arguments count only where rules look at them."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.hooks.base import Caller
from broker.rules.language import compiled
from broker.rules.ruleset import MAX_KEPT, PLUMBING, Annotations, Ask, Decision, Rule, RuleSet
from tests.broker.rules_world import ANN, BOB, NOBODY, rules

CALL = Ask("tools/call", "tool", "read_file")
DELETE = Ask("tools/call", "tool", "delete_file")


def verdict(found: RuleSet, ask: Ask, caller: Caller = ANN, **arguments: object) -> tuple[bool, str]:
    decision = found.settle(found.decide(ask, caller), ask, caller, arguments)
    return decision.allowed, decision.reason


def test_a_denial_wins_over_everything_that_allows_in_whatever_order() -> None:
    lines = ("allow principal == 'ann'", "deny name.startsWith('delete_')", "allow true")
    for order in permutations(lines):
        for default in ("allow", "deny"):
            found = rules(*order, default=default)
            assert verdict(found, DELETE)[0] is False
            assert verdict(found, CALL)[0] is True


@pytest.mark.parametrize("default", ["allow", "deny"])
def test_the_default_is_for_what_no_rule_is_true_of(default: str) -> None:
    found = rules("allow name == 'a'", "deny name == 'b'", default=default)  # type: ignore[arg-type]
    assert verdict(found, Ask("tools/call", "tool", "a")) == (True, "policy:r1")
    assert verdict(found, Ask("tools/call", "tool", "b")) == (False, "policy:r2")
    assert verdict(found, Ask("tools/call", "tool", "c")) == (default == "allow", "policy-default")


@pytest.mark.parametrize("effect", ["allow", "deny"])
@pytest.mark.parametrize("default", ["allow", "deny"])
def test_a_rule_that_fails_denies_whatever_it_is_for(effect: str, default: str) -> None:
    found = rules("allow true", f"{effect} claims.groups == 'x'", default=default)  # type: ignore[arg-type]
    assert verdict(found, CALL) == (False, "policy-error:r2")
    assert verdict(rules("allow true", f"{effect} has(claims.groups) && claims.groups == 'x'"), CALL)[0] is True


def test_facts_are_those_of_the_caller() -> None:
    found = rules(
        "allow principal == 'ann' && credential == 'token' && claims.tenant == 'a' && 'write' in scopes", default="deny"
    )
    assert verdict(found, CALL, ANN)[0] is True
    assert verdict(found, CALL, BOB)[0] is False
    other = Caller(principal="ann", kind="token", claims={"tenant": "b"}, scopes=ANN.scopes)
    assert verdict(found, CALL, other)[0] is False


@pytest.mark.parametrize(
    ("line", "caller"),
    [
        ("client.name == 'x'", Caller(client_name="x")),
        ("client.version == '2'", Caller(client_version="2")),
        ("client.revision == '2025-06-18'", Caller(client_revision="2025-06-18")),
        ("backend.revision == '2024-11-05'", Caller(backend_revision="2024-11-05")),
    ],
)
def test_peers_and_revisions_are_told_apart(line: str, caller: Caller) -> None:
    found = rules(f"deny {line}")
    for _ in range(2):
        assert verdict(found, CALL, caller)[0] is False
        assert verdict(found, CALL, NOBODY)[0] is True


def test_the_same_name_of_two_servers_is_two_things() -> None:
    """C162."""
    line = "deny backend.name == 'files' && name == 'read_file'"
    assert verdict(rules(line), CALL)[0] is False
    assert verdict(rules(line, backend="other"), CALL)[0] is True


# ---- arguments ------------------------------------------------------------------------------------------------------

OUTSIDE = "deny name == 'read_file' && !arguments.path.startsWith('/srv/')"


def test_rules_on_arguments_leave_the_thing_itself_visible() -> None:
    found = rules(OUTSIDE)
    assert not found.decide(CALL, ANN).hidden
    assert verdict(found, CALL, path="/srv/a") == (True, "policy-default")
    assert verdict(found, CALL, path="/etc/passwd") == (False, "policy:r1")
    assert verdict(found, CALL) == (False, "policy-error:r1")
    assert verdict(found, DELETE) == (True, "policy-default")


def test_a_thing_is_visible_if_some_arguments_would_allow_it() -> None:
    found = rules("allow name == 'read_file' && arguments.path.startsWith('/srv/')", default="deny")
    assert not found.decide(CALL, ANN).hidden
    assert found.decide(DELETE, ANN).hidden
    assert verdict(found, CALL, path="/srv/a") == (True, "policy:r1")
    assert verdict(found, CALL, path="/etc") == (False, "policy-default")


def test_an_error_beside_the_arguments_is_not_covered_by_them() -> None:
    found = rules("deny claims.nothing == 'x' || arguments.path == '/'")
    assert verdict(found, CALL, path="/srv") == (False, "policy-error:r1")


@pytest.mark.parametrize(
    "path",
    [7, None, ["/srv/a"], {"path": "/srv/a"}, True, "", "/SRV/a", "/srv", "srv/a", " /srv/a"],
)
def test_an_argument_of_another_type_or_spelling_never_passes(path: object) -> None:
    """C159."""
    assert verdict(rules(OUTSIDE), CALL, path=path)[0] is False


# ---- what is kept ---------------------------------------------------------------------------------------------------


def test_annotations_count_and_are_told_apart() -> None:
    found = rules("allow has(annotations.readOnlyHint) && annotations.readOnlyHint == true", default="deny")
    reads, writes = Annotations(b"1", {"readOnlyHint": True}), Annotations(b"2", {"readOnlyHint": False})
    for _ in range(2):
        assert found.decide(CALL, ANN, reads).allowed
        assert not found.decide(CALL, ANN, writes).allowed
        assert not found.decide(CALL, ANN).allowed


def test_a_hint_that_a_tool_is_harmless_does_not_undo_a_denial() -> None:
    """C161."""
    found = rules("deny name == 'delete_file'", "allow annotations.readOnlyHint == true", default="deny")
    assert not found.decide(DELETE, ANN, Annotations(b"1", {"readOnlyHint": True})).allowed


def test_what_is_kept_is_bounded_and_claims_are_told_apart_though_they_come_and_go() -> None:
    found = rules("deny claims.tenant == 'b'")
    for number in range(MAX_KEPT + 200):
        tenant = "b" if number % 3 else "a"
        caller = Caller(principal="x", claims={"tenant": tenant})
        assert found.decide(CALL, caller).allowed == (tenant == "a")
    assert len(found._kept) == MAX_KEPT


def test_the_default_does_not_shut_out_what_has_to_pass_and_a_rule_does() -> None:
    found = rules("deny principal == 'bob'", default="deny")
    for method in PLUMBING:
        assert found.decide(Ask(method), ANN).allowed
        assert not found.decide(Ask(method), BOB).allowed
    for method in ("logging/setLevel", "completion/complete", "x/y", "tasks/get", "notifications/x"):
        assert not found.decide(Ask(method), ANN).allowed


PARTS = st.sampled_from(
    [
        "principal == 'ann'", "'write' in scopes", "claims.tenant == 'a'", "name == 'a'", "kind == 'tool'",
        "arguments.p == 'x'", "has(arguments.p)", "claims.none == 'x'", "method == 'tools/call'", "true", "false",
    ]
)  # fmt: skip
TEXTS = st.recursive(
    PARTS, lambda inner: st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
)


@given(
    st.lists(st.tuples(st.sampled_from(["allow", "deny"]), TEXTS), max_size=4),
    st.sampled_from(["allow", "deny"]),
    st.sampled_from([ANN, BOB]),
    st.sampled_from([{}, {"p": "x"}, {"p": "y"}]),
)
def test_deciding_in_two_steps_is_deciding_at_once(
    lines: list[tuple[str, str]], default: str, caller: Caller, arguments: dict[str, str]
) -> None:
    made = [Rule(f"r{n}", effect, compiled(text)) for n, (effect, text) in enumerate(lines)]  # type: ignore[arg-type]
    found = RuleSet(made, default=default, backend="b")  # type: ignore[arg-type]
    ask = Ask("tools/call", "tool", "a")
    values = [(rule.effect, value) for rule, value in found.explain(ask, caller, arguments)]
    wrong = any(type(value) is str for _, value in values)
    denied = ("deny", True) in values
    allowed = default == "allow" or ("allow", True) in values
    first = found.decide(ask, caller)
    assert first == found.decide(ask, caller)
    second = found.settle(first, ask, caller, arguments)
    assert isinstance(second, Decision)
    assert second.allowed == (allowed and not denied and not wrong)
    assert not (first.hidden and second.allowed)
