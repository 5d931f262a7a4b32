"""What a report says of the rules, filters and scopes before a server, for one caller."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from broker.checking import Asks, Check, checks, lines
from broker.demo import session_server
from broker.hooks.base import Caller
from broker.hooks.filter_names import FilterNames, Rule
from broker.identity.scopes import Needed
from broker.report import Report, make
from broker.report_rules import Judgement
from broker.report_text import lines as report_lines
from broker.settings import Settings
from tests.broker.rules_world import policy, section
from tests.broker.test_check import pipe
from tests.broker.test_report_ask import at, dragoman

Json = dict[str, Any]
GREETING: Json = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "resources": {"subscribe": True}, "logging": {}},
    "serverInfo": {"name": "s", "version": "1"},
}
TOOLS = ("read", "write", "drop")
ANN = Caller("key:ann", "key", scopes=frozenset({"write"}))


def report(*hooks: Any, caller: Caller = ANN, needed: Needed | None = None, **annotations: Json) -> Report:
    listed = [{"name": n, "inputSchema": {"type": "object"}, "annotations": annotations.get(n, {})} for n in TOOLS]
    rules = Judgement(hooks, caller, server="files", needed=needed)
    return make("x", "2025-11-25", "2025-11-25", GREETING, {"tools/list": listed}, incomplete={}, rules=rules)


def said(found: Report) -> dict[str, tuple[str, str]]:
    """Of each tool and method of which something is said: how it stands, and what."""
    every = (*found.entries["tools"], *found.methods)
    return {each.name: (each.verdict, "; ".join(each.said)) for each in every if each.said}


def test_without_rules_nothing_is_said_of_them_and_nobody_is_named() -> None:
    found = report()
    assert said(found) == {}
    assert found.caller == ""


def test_what_a_rule_hides_is_refused_and_the_rule_is_named() -> None:
    found = report(policy("deny name == 'drop' && principal == 'key:ann'"))
    assert said(found)["drop"] == ("refused", "hidden by rule r1")
    assert report_lines(found)[0].endswith("a client speaks 2025-11-25, as key:ann")
    assert "drop" not in said(report(policy("deny name == 'drop' && principal == 'key:bob'")))


def test_the_default_and_a_rule_that_cannot_be_decided_are_told_apart() -> None:
    found = said(report(policy("allow name == 'read' || claims.role == 'x'", default="deny")))
    assert "read" not in found
    assert found["write"] == ("refused", "hidden because rule r1 cannot be decided")
    found = said(report(policy("allow name == 'read'", default="deny")))
    assert found["write"] == ("refused", "hidden because no rule allows it")


def test_a_rule_on_arguments_leaves_the_tool_and_is_mentioned() -> None:
    found = said(report(policy("deny name == 'read' && arguments.path == '/'")))
    assert found["read"] == ("identical", "calls are judged by their arguments (r1)")
    assert "write" not in found


def test_rules_on_annotations_are_decided_by_what_the_server_lists() -> None:
    rule = policy("deny has(annotations.destructiveHint) && annotations.destructiveHint")
    assert set(said(report(rule, write={"destructiveHint": True}))) == {"write"}


def test_methods_that_rules_or_scopes_refuse_are_named() -> None:
    found = said(report(policy("deny method in ['logging/setLevel', 'roots/list']")))
    assert found["logging/setLevel"] == ("refused", "refused by rule r1")
    assert found["roots/list"] == ("refused", "refused by rule r1")
    needed = Needed(frozenset(), (("tools/*", frozenset({"write", "admin"})),))
    found = said(report(needed=needed))
    assert found["tools/call"] == ("refused", "needs the scopes admin")
    assert "tools/call" not in said(report(needed=Needed(frozenset({"write"}))))


def test_a_filter_is_everybodys() -> None:
    found = report(FilterNames({"tools": Rule(deny=("d*",))}))
    assert said(found) == {"drop": ("refused", "hidden by the operator's filter")}
    assert found.caller == ""


@pytest.mark.parametrize(
    ("asks", "hidden"),
    [
        (Asks("2025-11-25"), True),
        (Asks("2025-11-25", "key:ann"), False),
        (Asks("2025-11-25", "key:ann", ("read",)), True),
        (Asks("2025-11-25", "token:x y", claims={"role": "admin"}), False),
    ],
    ids=["local", "a key with its scopes", "a key with others", "a claim"],
)
async def test_check_says_what_holds_for_the_caller_it_is_asked_for(tmp_path: Path, asks: Asks, hidden: bool) -> None:
    rule = "allow 'write' in scopes || has(claims.role) && claims.role == 'admin'"
    settings = Settings.build(
        {
            "servers": {"a": pipe(tmp_path)},
            "keys": {"ann": {"sha256": "a" * 64, "scopes": ["write"]}},
            "policy": section(rule, default="deny"),
        }
    )
    found: list[Check] = await checks(settings, ["a"], asks)
    text = "\n".join(lines(found[0]))
    assert ("refused   tool add: hidden because no rule allows it" in text) == hidden
    assert f", as {asks.principal or 'local'}" in text


async def test_unless_a_caller_is_named_it_is_the_one_on_a_pipe(tmp_path: Path) -> None:
    rules = section("allow principal == 'local:ann' && 'read' in scopes", default="deny")
    tree = {"servers": {"a": pipe(tmp_path)}, "policy": rules, "pipe": {"name": "ann", "scopes": ["read"]}}
    (found,) = await checks(Settings.build(tree), ["a"], Asks("2025-11-25"))
    assert found.report is not None
    assert (found.report.caller, found.report.entries["tools"][0].verdict) == ("local:ann", "identical")


def test_a_server_of_the_command_line_is_reported_under_the_rules_of_a_file(tmp_path: Path) -> None:
    async def story() -> None:
        config = tmp_path / "c.json"
        config.write_text(json.dumps({"policy": section("deny name == 'greet'")}), encoding="utf-8")
        async with at(session_server.sample_app()) as url:
            code, text, _ = await dragoman("report", "--config", str(config), "--client", "2025-11-25", url)
        assert code == 0
        assert "greet: hidden by rule r1" in text

    asyncio.run(story())


def test_claims_that_are_no_object_are_a_wrong_command_line() -> None:
    code, _, text = asyncio.run(dragoman("check", "http://127.0.0.1:9/mcp", "--claims", "[]"))
    assert code == 2
    assert "expected an object" in text
