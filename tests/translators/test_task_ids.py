"""Task ids between two peers that know tasks: minted both ways, stable, bounded, and shared by a caller's sessions."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.conversation import Conversation
from translators.handshake import Peers
from translators.machine import FromClient, FromServer, ToClient, ToServer
from translators.task_ids import TaskIds

CAPABILITIES: dict[str, Any] = {"tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}, "tools": {}}


def ids() -> TaskIds:
    numbers = itertools.count(1)
    return TaskIds(lambda: f"minted-{next(numbers)}")


def tree(frame: Frame) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(jsonrpc.encode(frame))
    return decoded


def read(message: dict[str, object]) -> Frame:
    return jsonrpc.decode_backend(msgspec.json.encode({"jsonrpc": "2.0", **message}))


def open_talk(client: str, server: str, task_ids: TaskIds) -> Conversation:
    talk = Conversation(Peers(client=client, offer=server), task_ids=task_ids)
    hello = {"protocolVersion": client, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    talk.handle(FromClient(1, read({"id": 0, "method": "initialize", "params": hello})))
    welcome = {"protocolVersion": server, "capabilities": CAPABILITIES, "serverInfo": {"name": "s", "version": "1"}}
    talk.handle(FromServer(1, read({"id": 1, "result": welcome})))
    return talk


def test_a_task_id_is_shown_under_a_minted_one_and_turned_back() -> None:
    task_ids = ids()
    minted = task_ids.swap("real", "server")
    assert minted == "minted-1"
    assert task_ids.swap(minted, "client") == "real"
    assert task_ids.swap("real", "server") == minted


def test_an_id_the_client_was_never_shown_reaches_the_backend_as_one_it_does_not_know() -> None:
    task_ids = ids()
    task_ids.swap("real", "server")
    assert task_ids.swap("real", "client") == "minted-2"


def test_the_least_recently_used_ids_are_forgotten_first() -> None:
    numbers = itertools.count(1)
    task_ids = TaskIds(lambda: f"m{next(numbers)}", limit=2)
    first, second = task_ids.swap("a", "server"), task_ids.swap("b", "server")
    assert task_ids.swap(first, "client") == "a"
    task_ids.swap("c", "server")
    assert task_ids.swap(first, "client") == "a"
    assert task_ids.swap(second, "client") != "b"


def test_every_place_that_names_a_task_is_swapped() -> None:
    related = {"io.modelcontextprotocol/related-task": {"taskId": "t"}}
    body = {"taskId": "t", "task": {"taskId": "t"}, "tasks": [{"taskId": "t"}, {"taskId": "u"}], "_meta": related}
    raw = msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])
    ids().rename(raw, "server")
    assert json.loads(msgspec.json.encode(raw)) == {
        "taskId": "minted-1",
        "task": {"taskId": "minted-1"},
        "tasks": [{"taskId": "minted-1"}, {"taskId": "minted-2"}],
        "_meta": {"io.modelcontextprotocol/related-task": {"taskId": "minted-1"}},
    }


def test_a_task_crosses_two_2025_11_25_peers_and_outlives_the_session_that_made_it() -> None:
    task_ids = ids()
    talk = open_talk("2025-11-25", "2025-11-25", task_ids)
    params = {"name": "slow", "arguments": {}, "task": {"ttl": 1000}, "_meta": {"progressToken": "p"}}
    sent = talk.handle(FromClient(2, read({"id": 5, "method": "tools/call", "params": params})))[0]
    assert isinstance(sent, ToServer)
    task = {
        "taskId": "real", "status": "working", "ttl": 1000,
        "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    got = talk.handle(FromServer(sent.call, read({"id": sent.call, "result": {"task": task}})))[0]
    assert isinstance(got, ToClient)
    assert tree(got.frame)["result"] == {"task": {**task, "taskId": "minted-1"}}

    progress = {"progressToken": sent.call, "progress": 1}
    told = talk.handle(FromServer(0, read({"method": "notifications/progress", "params": progress})))[0]
    assert isinstance(told, ToClient)
    assert tree(told.frame)["params"] == {"progressToken": "p", "progress": 1}

    later = open_talk("2025-11-25", "2025-11-25", task_ids)
    asked = later.handle(FromClient(3, read({"id": 6, "method": "tasks/get", "params": {"taskId": "minted-1"}})))[0]
    assert isinstance(asked, ToServer)
    assert tree(asked.frame)["params"] == {"taskId": "real"}


def test_an_older_client_is_never_offered_tasks() -> None:
    talk = Conversation(Peers(client="2025-06-18", offer="2025-11-25"), task_ids=ids())
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    talk.handle(FromClient(1, read({"id": 0, "method": "initialize", "params": hello})))
    welcome = {
        "protocolVersion": "2025-11-25",
        "capabilities": CAPABILITIES,
        "serverInfo": {"name": "s", "version": "1"},
    }
    effects = talk.handle(FromServer(1, read({"id": 1, "result": welcome})))
    answer = next(effect for effect in effects if isinstance(effect, ToClient))
    result = tree(answer.frame)["result"]
    assert isinstance(result, dict)
    assert "tasks" not in result["capabilities"]
    assert talk.tasks is None
