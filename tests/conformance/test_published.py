"""Published servers: which there are, how views are compared, and the raw client on a pipe."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from conformance import published
from conformance.published_servers import PUBLISHED
from conformance.raw.pipe import ROOT, PipeClient, Refusal, capabilities
from conformance.raw.wire import Message
from conformance.revisions import REVISIONS, STATELESS

SERVER = """
import json, sys
def say(**message): print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
print("a banner that is no message", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    params = asked.get("params", {})
    if asked.get("method") == "initialize":
        say(id=asked["id"], result={"protocolVersion": "2025-06-18"})
    elif asked.get("method") == "tools/list":
        say(id=7, method="roots/list")
        answer = json.loads(sys.stdin.readline())
        say(id=asked["id"], result={"tools": [], "seen": answer})
    elif asked.get("method") == "tools/call" and "inputResponses" not in params:
        question = {"method": "elicitation/create", "params": {"requestedSchema": {
            "properties": {"name": {"type": "string"}, "size": {"enum": ["s", "m"]}}, "required": ["name", "size"]}}}
        needs = {"resultType": "input_required", "inputRequests": {"a": question}, "requestState": "s"}
        say(id=asked["id"], result=needs)
    elif asked.get("method") == "tools/call":
        say(id=asked["id"], result={"given": params["inputResponses"], "state": params["requestState"]})
    elif "id" in asked:
        say(id=asked["id"], error={"code": -32601, "message": "no"})
"""


def test_both_sdks_and_every_revision_with_sessions_are_behind_the_broker() -> None:
    assert len(PUBLISHED) >= 10
    assert len({server.name for server in PUBLISHED}) == len(PUBLISHED)
    for of_npm in (True, False):
        assert {server.made for server in PUBLISHED if server.of_npm is of_npm} == set(REVISIONS)


def test_a_server_is_started_at_its_release_on_its_release_of_the_sdk(tmp_path: Path) -> None:
    server = next(each for each in PUBLISHED if each.package == "mcp-server-sqlite")
    command = server.command(tmp_path)
    assert command[1:] == [
        *("tool", "run", "--quiet", "--from", "mcp-server-sqlite==2025.4.25"),
        *("--with", "mcp==1.9.4", "--with", "pydantic==2.13.5"),
        *("mcp-server-sqlite", "--db-path", f"{tmp_path}/test.db"),
    ]


@pytest.mark.parametrize(
    ("seen", "wanted", "found"),
    [
        ({"tools": [1]}, {"tools": [1]}, ""),
        ({"tools": [1], "_meta": {"server": 1}}, {"tools": [1]}, ""),
        ({"tools": [1], "_meta": {"server": 1}}, {"tools": [1], "_meta": {}}, '_meta: [{"server": 1}, {}]'),
        ({"tools": [1, 2]}, {"tools": [1, 3]}, "tools: [2, 3]"),
        ({"tools": [1], "ttlMs": 0}, {"tools": [1]}, "ttlMs: [0, null]"),
        ({}, {"tools": []}, "tools: [null, []]"),
    ],
)
def test_a_view_equals_the_translation_but_for_the_name_of_the_server(
    seen: Message, wanted: Message, found: str
) -> None:
    assert published.difference(seen, wanted) == found


def test_the_translation_is_what_the_command_prints() -> None:
    body = {"tools": [{"name": "a", "title": "A", "inputSchema": {"type": "object"}}]}
    older = {"tools": [{"name": "a", "inputSchema": {"type": "object"}, "annotations": {"title": "A"}}]}
    assert published.translated(body, "tools/list", "2025-03-26", "2025-06-18") == older
    assert "no translation" in published.translated(body, "tools/none", "2025-03-26", "2025-06-18")


def test_a_raw_client_answers_what_it_is_asked_on_either_side_of_the_chasm(tmp_path: Path) -> None:
    async def talk(revision: str, method: str) -> tuple[object, list[str]]:
        async with PipeClient([sys.executable, "-c", SERVER], revision, tmp_path / "errors") as client:
            if revision != STATELESS:
                await client.open()
            return await client.ask(method, {}), client.asked

    listed, asked = asyncio.run(talk("2025-06-18", "tools/list"))
    assert listed == {
        "tools": [],
        "seen": {"jsonrpc": "2.0", "id": 7, "result": {"roots": [{"uri": ROOT, "name": "one"}]}},
    }
    assert asked == ["roots/list"]
    called, asked = asyncio.run(talk(STATELESS, "tools/call"))
    filled = {"action": "accept", "content": {"name": "filled in", "size": "s"}}
    assert called == {"given": {"a": filled}, "state": "s"}
    assert asked == ["elicitation/create"]
    with pytest.raises(Refusal):
        asyncio.run(talk("2025-06-18", "no/such"))


def test_a_client_declares_what_its_revision_can_be_asked() -> None:
    assert capabilities("2025-03-26") == {"sampling": {}, "roots": {}}
    assert capabilities("2025-06-18")["elicitation"] == {}
    assert capabilities(STATELESS)["elicitation"] == {"form": {}, "url": {}}
