"""What is certain for a client without sessions before a server with them is said before it calls anything."""

from __future__ import annotations

from typing import Any

import pytest

from broker.backends.session_policy import SessionPolicy
from broker.report import Report, make
from broker.report_bridge import Bridge, Ways
from broker.report_finding import Finding
from broker.report_text import lines
from broker.settings import Settings

Json = dict[str, Any]
WHOLE = Ways(session=True, streams=True, standing=True)
ANNOUNCED: Json = {"listChanged": True}
ASKED = ("elicitation/create", "sampling/createMessage", "roots/list")


def report(server: str = "2025-11-25", ways: Ways = WHOLE, tools: tuple[Json, ...] = (), **chosen: Any) -> Report:
    settings = Settings.for_proxy("http://127.0.0.1:9/mcp", backend=chosen)
    bridge = Bridge(ways=ways, policy=SessionPolicy.of(settings.servers["default"], settings.limits))
    capabilities = {"tools": ANNOUNCED, "resources": {"subscribe": True}, "completions": {}, "tasks": {}}
    greeting: Json = {
        "protocolVersion": server,
        "capabilities": capabilities,
        "serverInfo": {"name": "s", "version": "1"},
    }
    return make("x", "2026-07-28", server, greeting, {"tools/list": list(tools)}, incomplete={}, bridge=bridge)


def named(findings: tuple[Finding, ...], name: str) -> Finding:
    (found,) = [finding for finding in findings if finding.name == name]
    return found


def verdicts(found: Report, *methods: str) -> list[str]:
    return [named(found.methods, method).verdict for method in methods]


@pytest.mark.parametrize("server", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_what_the_broker_does_itself_is_emulated_whatever_the_servers_revision(server: str) -> None:
    found = report(server)
    assert verdicts(found, "server/discover", "subscriptions/listen", "tools/call") == ["emulated"] * 3
    assert verdicts(found, "sampling/createMessage", "roots/list") != ["refused", "refused"]
    assert {finding.name for finding in found.methods}.isdisjoint(("initialize", "logging/setLevel", "ping"))


def test_capabilities_are_those_of_the_discovery() -> None:
    shown = {finding.name: finding.verdict for finding in report().capabilities}
    assert shown == {
        "tools": "identical",
        "resources": "identical",
        "completions": "identical",
        "tasks": "refused",
        "logging": "emulated",
    }


@pytest.mark.parametrize(
    ("ways", "chosen", "why"),
    [
        (Ways(session=False, streams=True, standing=False), {}, "gives no session id"),
        (Ways(session=False, streams=True, standing=False), {"park": "on"}, "gives no session id"),
        (Ways(session=True, streams=False, standing=True), {}, "plain JSON"),
        (WHOLE, {"park": "off"}, "park: off"),
        (WHOLE, {"session": "shared"}, "session: shared"),
    ],
)
def test_who_cannot_be_asked_and_why_is_said_with_each_question(ways: Ways, chosen: Json, why: str) -> None:
    found = report(ways=ways, **chosen)
    assert verdicts(found, *ASKED) == ["refused"] * 3
    assert all(why in named(found.methods, method).said[0] for method in ASKED)
    assert "suspended calls" not in {finding.name for finding in found.between}


def test_an_operator_may_know_that_a_server_of_plain_answers_can_ask() -> None:
    found = report(ways=Ways(session=True, streams=False, standing=True), park="on")
    assert "refused" not in verdicts(found, *ASKED)
    assert "wait 600 s" in named(found.between, "suspended calls").said[0]


def test_a_server_without_a_standing_stream_announces_nothing() -> None:
    found = report(ways=Ways(session=True, streams=True, standing=False))
    tools = named(found.capabilities, "tools")
    assert (tools.verdict, tools.said[0]) == ("degraded", "listChanged dropped")
    assert verdicts(found, "subscriptions/listen") == ["degraded"]
    told = named(found.between, "announcements")
    assert (told.verdict, "resources.subscribe, tools.listChanged" in told.said[0]) == ("refused", True)


def test_announcements_that_can_be_heard_are_named() -> None:
    told = named(report().between, "announcements")
    assert told.said == ("on subscriptions/listen: resources.subscribe, tools.listChanged",)


@pytest.mark.parametrize(
    ("chosen", "name", "said"),
    [
        ({}, "sessions", "all requests of a caller share"),
        ({"session_key": "header:X-Chat"}, "sessions", "apart by header X-Chat"),
        ({"session": "wrap"}, "sessions", "one for each request"),
        ({"attribution": "newest"}, "whose question", "the newest call's"),
        ({"unsolicited": "cancel"}, "questions outside calls", "cancelled"),
        ({"list_ttl_ms": 5000}, "cache hints", "5000 ms"),
        ({"list_ttl_ms": 5000, "session": "wrap"}, "cache hints", "stale at once"),
    ],
)
def test_what_the_operator_chose_is_said(chosen: Json, name: str, said: str) -> None:
    assert said in named(report(**chosen).between, name).said[0]


def test_what_is_lost_for_certain_is_degraded() -> None:
    lost = {finding.name for finding in report().between if finding.verdict == "degraded"}
    assert lost == {"sessions", "questions outside calls", "log messages", "completion values"}
    assert "the first 100" in named(report().between, "completion values").said[0]


def test_pages_to_visit_are_asked_for_where_the_servers_revision_has_them() -> None:
    assert named(report().between, "pages to visit").verdict == "emulated"
    assert "pages to visit" not in {finding.name for finding in report("2025-06-18").between}


def test_a_header_annotation_that_breaks_the_rules_is_stripped_and_its_tool_kept() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number", "x-mcp-header": "A"}}}
    (tool,) = report(tools=({"name": "t", "inputSchema": schema},)).entries["tools"]
    assert (tool.verdict, tool.said) == ("rewritten", ("inputSchema rewritten (headers from arguments)",))


def test_a_tool_that_must_run_as_a_task_is_degraded() -> None:
    needs: Json = {"name": "t", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "required"}}
    (tool,) = report(tools=(needs,)).entries["tools"]
    assert tool.verdict == "degraded"


def test_nothing_is_said_to_get_lost_that_no_message_of_the_servers_revision_has() -> None:
    sampling = named(report("2024-11-05").methods, "sampling/createMessage")
    assert sampling.said == ("may lose _meta, content._meta, includeContext",)
    assert named(report("2024-11-05").methods, "tools/call").verdict == "emulated"


def test_the_text_has_a_section_of_it_for_this_pair_alone() -> None:
    assert "between them" in lines(report())
    other = make("x", "2025-11-25", "2025-11-25", {"protocolVersion": "2025-11-25"}, {}, incomplete={})
    assert (other.between, "between them" in lines(other)) == ((), False)
