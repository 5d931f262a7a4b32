"""One decision for one call: whatever the two revisions, the transport, the way and the form of the answer (C149)."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.hooks.memory import Memory
from broker.hooks.policy import Policy
from broker.serve_short import ShortConnection
from protocol_versions import REVISIONS
from tests.broker.kept_wire import KeptWire, connected
from tests.broker.modern_world import REVISION, envelope
from tests.broker.pair_world import PairClient
from tests.broker.pipe_world import pipe
from tests.broker.policy_world import (
    CALLS,
    KEYS,
    PATHS,
    SEEDS,
    decides_as_rules_do,
    doors,
    expected,
    judges_batches,
    random_rules,
    read,
)
from tests.broker.rules_world import rules
from tests.broker.scripted_backend import Json

IDS = [revision.id for revision in REVISIONS]
PAIRS = [(client, backend) for client in IDS for backend in IDS]


@pytest.mark.parametrize(("client", "backend"), PAIRS, ids=[f"{client}-{backend}" for client, backend in PAIRS])
async def test_every_pair_of_revisions_decides_as_the_rules_do(client: str, backend: str) -> None:
    async with doors(client, backend) as here:
        await decides_as_rules_do(here)


@pytest.mark.parametrize(("client", "backend"), PAIRS, ids=[f"{client}-{backend}" for client, backend in PAIRS])
async def test_a_head_that_is_known_is_no_way_around_the_rules(client: str, backend: str) -> None:
    async with doors(client, backend) as here, connected(here.here.port) as streams:
        wire = KeptWire(here.short("ann"), *streams)
        meta = {"_meta": envelope()} if client == REVISION else {}
        for seed in SEEDS:
            found = random_rules(seed)
            here.judge_by(found)
            for number, path in enumerate((*PATHS, *PATHS)):
                call = {"name": "read", "arguments": {"path": path}, **meta}
                answer = await read(await wire.post({"id": number, "method": "tools/call", "params": call}))
                assert ("result" in answer) == expected(found, "ann", "read", path).run, (seed, path)


@pytest.mark.parametrize(("client", "backend"), PAIRS, ids=[f"{client}-{backend}" for client, backend in PAIRS])
async def test_the_short_way_and_the_usual_way_are_both_taken_and_decide_alike(
    client: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C149: the same call with a head that is known, and with one that cannot be."""
    short: list[int] = []
    tried = ShortConnection._short

    def watched(connection: ShortConnection, data: bytes) -> bool:
        taken = tried(connection, data)
        short.extend([1] * taken)
        return taken

    monkeypatch.setattr(ShortConnection, "_short", watched)
    async with doors(client, backend) as here, connected(here.here.port) as streams:
        wire = KeptWire(here.short("ann"), *streams)
        meta = {"_meta": envelope()} if client == REVISION else {}

        def call(number: int, path: str) -> Json:
            params = {"name": "read", "arguments": {"path": path}, **meta}
            return {"id": number, "method": "tools/call", "params": params}

        here.judge_by(rules("allow true", backend="default"))
        for number in range(2):  # the first makes the head known
            assert "result" in await read(await wire.post(call(number, "/srv/a")))
        decided: set[bool] = set()
        for number, (seed, path) in enumerate([(seed, path) for seed in SEEDS for path in PATHS], 10):
            found = random_rules(seed)
            here.judge_by(found)
            answers = []
            for head in (here.short("ann"), f"{here.short('ann')}X-Unknown: {number}\r\n"):
                wire.head = head
                before = len(short)
                answers.append(await read(await wire.post(call(number, path))))
                assert (len(short) > before) == ("X-Unknown" not in head), (seed, path)
            assert answers[0] == answers[1], (seed, path)
            said = expected(found, "ann", "read", path).run
            assert ("result" in answers[0]) == said, (seed, path)
            decided.add(said)
        assert decided == {True, False}


@pytest.mark.parametrize("backend", IDS)
async def test_each_call_of_a_batch_is_judged_by_itself(backend: str) -> None:
    """C33."""
    async with doors("2025-03-26", backend) as here:
        await judges_batches(here)


@pytest.mark.parametrize("backend", ["2024-11-05", "2025-11-25", REVISION])
async def test_the_old_pair_of_transports_is_the_same_door(backend: str) -> None:
    """C150."""
    async with doors("2024-11-05", backend) as here:
        pairs = {name: PairClient(here.here, Authorization=f"Bearer {key}") for name, key in KEYS.items()}
        for pair in pairs.values():
            await pair.open()
        number = 0
        for seed in SEEDS:
            found = random_rules(seed)
            here.judge_by(found)
            for principal, name, path in CALLS[seed % 3 :: 3]:
                number += 1
                answer = await pairs[principal].ask(number, "tools/call", {"name": name, "arguments": {"path": path}})
                assert ("result" in answer) == expected(found, principal, name, path).run


@pytest.mark.parametrize("habits", [(), ("modern",)], ids=["sessions", "stateless"])
@pytest.mark.parametrize("modern", [False, True], ids=["session client", "stateless client"])
async def test_a_pipe_is_the_same_door(tmp_path: Path, habits: tuple[str, ...], modern: bool) -> None:
    found = rules("deny name == 'add' && arguments.a > 1 || name == 'env'", backend="pipe")
    async with pipe(tmp_path, *habits, hooks=(Policy(found, Memory()),)) as here:
        if not modern:
            await here.open()
        ask = here.modern if modern else here.ask
        assert "result" in await ask(1, "tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
        assert "error" in await ask(2, "tools/call", {"name": "add", "arguments": {"a": 2, "b": 2}})
        answer = await ask(3, "tools/call", {"name": "env", "arguments": {"a": 0}})
        assert answer["error"]["message"] == "Unknown tool"


SPOOFED: Json = {
    "io.modelcontextprotocol/clientInfo": {"name": "trusted", "version": "9"},
    "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
    "io.modelcontextprotocol/serverInfo": {"name": "trusted"},
    "io.modelcontextprotocol/subscriptionId": "1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "principal": "key:ann",
}


@pytest.mark.parametrize("client", [each for each in IDS if each != REVISION])
@pytest.mark.parametrize("backend", ["2024-11-05", "2025-11-25", REVISION])
async def test_what_a_session_client_says_of_itself_later_changes_no_decision(client: str, backend: str) -> None:
    """C151, C152: the session's own greeting holds, whatever `_meta` says."""
    async with doors(client, backend) as here:
        here.judge_by(rules("allow client.name == 'raw' && principal == 'key:ann'", default="deny", backend="default"))
        for principal, run in (("ann", True), ("bob", False)):
            for meta in ({}, {"_meta": SPOOFED}):
                answer = await here.ask(principal, "tools/call", {"name": "read", "arguments": {}, **meta})
                assert ("result" in answer) == run
        here.judge_by(rules("allow client.name == 'trusted'", default="deny", backend="default"))
        answer = await here.ask("ann", "tools/call", {"name": "read", "arguments": {}, "_meta": SPOOFED})
        assert "error" in answer
