"""What one stateless caller may take of a session server, and that the others are served meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from typing import Any

import pytest

from broker.backends.session_policy import SessionPolicy
from broker.settings import Settings
from tests.broker.bridge_world import (
    ADA,
    FORM,
    INPUTS,
    Server,
    again,
    answers_to,
    audited,
    begin,
    bridging,
    final,
    said,
    serving,
    text,
)
from tests.broker.http1_world import within
from tests.broker.memory_world import MemoryWorld
from tests.broker.modern_world import ask, envelope, refused
from tests.broker.scripted_backend import Asked, Json, Reply

CALLERS = {"ann": "dgm_a", "bob": "dgm_b"}
KEYS = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in CALLERS.items()}
ANN, BOB = (f"Bearer {key}" for key in CALLERS.values())
CANCELLED = {"action": "cancel"}


async def open_calls(here: Any, count: int, **more: Any) -> list[Reply]:
    return list(await asyncio.gather(*(begin(here, client=here.another(), **more) for _ in range(count))))


def suspended(replies: list[Reply]) -> list[Reply]:
    return [reply for reply in replies if reply.json["result"]["resultType"] == "input_required"]


@pytest.mark.parametrize("limit", ["parked", "parked_per_principal"])
async def test_beyond_the_limit_a_question_is_answered_at_once_and_the_call_goes_on(limit: str) -> None:
    limits: Json = {limit: 3, "parked_per_principal": 3}
    async with bridging(limits=limits, backend={"attribution": "newest"}) as here:
        serving(here)
        replies = await open_calls(here, 5)
        waiting = suspended(replies)
        assert len(waiting) == 3
        assert [said(reply) for reply in replies if reply not in waiting] == [[CANCELLED]] * 2
        done = await again(here, waiting[0], answers_to(waiting[0]))
        assert said(done) == [ADA]
        assert len(suspended(await open_calls(here, 2))) == 1  # there is room for one again


async def test_a_session_has_a_limit_of_its_own() -> None:
    async with bridging(limits={"parked_per_session": 2}, backend={"attribution": "newest"}) as here:
        serving(here)
        assert len(suspended(await open_calls(here, 4))) == 2
        assert here.backend.count("initialize") == 1
        assert len(suspended(await open_calls(here, 4, capabilities={"elicitation": {}}))) == 2


async def test_one_callers_suspended_calls_leave_room_for_those_of_others() -> None:
    async with bridging(keys=KEYS, limits={"parked_per_principal": 2}) as here:
        serving(here)
        assert len(suspended(await open_calls(here, 6, Authorization=ANN))) == 2
        assert len(suspended(await open_calls(here, 6, Authorization=BOB))) == 2


async def test_one_callers_open_calls_leave_connections_for_those_of_others() -> None:
    limits: Json = {"pool_connections": 8, "pool_waiting": 0, "backend_calls_per_principal": 100}
    async with bridging(keys=KEYS, limits=limits, backend={"attribution": "newest"}) as here:
        server, release = Server(here), asyncio.Event()

        async def tool(asked: Asked) -> None:
            if asked.message["params"]["arguments"]:
                await within(release.wait())
            await asked.result()

        server.backend.on("tools/call", tool)
        await ask(here.client, Authorization=BOB)
        slow: Json = {"name": "x", "arguments": {"slow": True}}
        flood = [asyncio.ensure_future(ask(here.another(), params=slow, Authorization=ANN)) for _ in range(50)]
        before = audited("overloaded")
        replies = await asyncio.gather(*(ask(here.another(), Authorization=BOB) for _ in range(3)))
        assert [reply.json["result"]["resultType"] for reply in replies] == ["complete"] * 3
        release.set()
        done = await asyncio.gather(*flood)
        answers = [reply.json for reply in done]
        assert sum("result" in answer for answer in answers) == 4  # half of the connections
        assert {answer["error"]["data"]["reason"] for answer in answers if "error" in answer} == {"overloaded"}
        assert audited("overloaded") == before + 46
        assert (await ask(here.client, Authorization=ANN)).status == 200
        assert not here.pool._open


async def test_ten_thousand_calls_of_one_caller_that_all_ask_leave_the_others_served() -> None:
    memory = MemoryWorld(limits={"backend_calls_per_principal": 100})

    async def one(caller: str) -> str:
        answer = await memory.call(caller)
        return str(answer["data"]["reason"] if "data" in answer else answer["resultType"])

    async def served() -> None:
        for _ in range(20):
            first = await memory.call("bob")
            answers = dict.fromkeys(first["inputRequests"], ADA)
            done = await memory.call("bob", answers, first["requestState"])
            assert json.loads(done["content"][0]["text"]) == ADA

    others = asyncio.ensure_future(served())
    outcomes: Counter[str] = Counter()
    for _ in range(50):
        outcomes.update(await asyncio.gather(*(one("ann") for _ in range(200))))
    await within(others)
    assert outcomes["input_required"] == 32
    # Beyond that the server is told at once that nobody answers; and of 200 at once, 100 do not even reach it.
    assert outcomes["complete"] + outcomes["input_required"] == outcomes["overloaded"] == 5_000
    assert memory.pool._quotas["key:ann"].parked == 32
    assert sum(session.group.key[0] == "key:ann" for session in memory.pool.rooms.sessions.values()) <= 32
    assert len(memory.reach.ran) == 5_000 + 20
    memory.close()
    assert memory.pool._everybody.parked == 0
    assert len(memory.context.wheel) == 0


async def test_ten_thousand_sets_of_capabilities_are_a_few_sessions() -> None:
    async with bridging(limits={"backend_sessions_per_principal": 3, "keep_alive_s": 5}) as here:
        Server(here)
        for number in range(20):
            capabilities: Json = {"experimental": {str(number): {}}}
            assert (await ask(here.client, meta=envelope(capabilities))).status == 200
            assert len(here.pool.rooms.sessions) <= 3
            assert len(here.pool.rooms.groups) <= 3
        assert here.backend.count("initialize") == 20
        deleted = [(await here.backend.next("DELETE")).headers["mcp-session-id"] for _ in range(17)]
        assert deleted == [f"backend-{number}" for number in range(1, 18)]  # the one used longest ago goes first


async def test_a_session_with_something_open_is_never_ended_to_make_room() -> None:
    async with bridging(limits={"backend_sessions_per_principal": 2}) as here:
        serving(here)
        first, second = await begin(here), await begin(here, {"elicitation": {}})
        before = audited("overloaded")
        assert refused(await ask(here.client)) == (200, -32603, 1, "overloaded")
        assert audited("overloaded") == before + 1
        assert len(here.pool.rooms.groups) == 2
        assert said(await again(here, first, answers_to(first))) == [ADA]
        assert (await ask(here.client)).status == 200
        assert said(await again(here, second, answers_to(second), capabilities={"elicitation": {}})) == [ADA]


async def test_when_no_session_is_left_a_call_that_could_be_confused_shares_one() -> None:
    async with bridging(limits={"backend_sessions_per_principal": 2}) as here:
        server = Server(here)

        async def tool(asked: Asked) -> None:
            await asked.stream()
            answer = await server.ask(asked, {**FORM, "message": str(asked.id)})
            await asked.event({"id": asked.id, "result": text(answer["result"])})
            await asked.end()

        here.backend.on("tools/call", tool)
        replies = await open_calls(here, 6)
        assert len(suspended(replies)) == 6
        assert here.backend.count("initialize") == 2
        assert here.backend.count("tools/call") == 6  # none was refused and run all the same
        for reply in replies:
            assert said(await again(here, reply, answers_to(reply))) == ADA


async def test_a_new_callers_session_takes_the_place_of_an_idle_one_of_another() -> None:
    async with bridging(keys=KEYS, limits={"backend_sessions": 2, "backend_sessions_per_principal": 2}) as here:
        Server(here)
        await ask(here.client, Authorization=ANN)
        await ask(here.client, Authorization=ANN, meta=envelope({"roots": {}}))
        assert (await ask(here.client, Authorization=BOB)).status == 200
        assert (await here.backend.next("DELETE")).headers["mcp-session-id"] == "backend-1"
        owners = sorted(session.group.key[0] for session in here.pool.rooms.sessions.values())
        assert owners == ["key:ann", "key:bob"]


async def test_capabilities_too_large_to_be_kept_are_refused() -> None:
    async with bridging() as here:
        Server(here)
        before = audited("capabilities")
        reply = await ask(here.client, meta=envelope({"experimental": {"x": {"y": "z" * 20_000}}}))
        assert refused(reply) == (400, -32602, 1, "capabilities")
        assert audited("capabilities") == before + 1
        assert here.backend.asked == []


def test_neither_calls_nor_suspended_calls_may_take_more_than_half_of_the_connections() -> None:
    for connections, calls, parked in ((4096, 512, 2048), (100, 50, 50), (1, 1, 1)):
        settings = Settings.for_proxy("http://127.0.0.1:1/mcp", limits={"pool_connections": connections})
        policy = SessionPolicy.of(settings.servers["default"], settings.limits)
        assert (policy.calls_per_principal, policy.parked) == (calls, parked)


def test_each_session_of_a_command_is_a_process_so_that_calls_share_one_unless_asked_otherwise() -> None:
    for chosen, found in (("auto", "newest"), ("exclusive", "exclusive"), ("newest", "newest")):
        server = {"command": ["server"], "attribution": chosen}
        settings = Settings.build(
            {"servers": {"a": server, "b": {"url": "http://127.0.0.1:1/", "attribution": chosen}}}
        )
        policies = {name: SessionPolicy.of(each, settings.limits) for name, each in settings.servers.items()}
        assert (policies["a"].attribution, policies["b"].attribution) == (found, chosen)


async def test_a_subscriber_that_does_not_read_is_let_go_and_others_hear_on() -> None:
    async with bridging(limits={"stream_queue_bytes": 4096}) as here:
        server = Server(here)
        here.backend.capabilities = {"resources": {"subscribe": True}}
        uris = ["file:///a", "file:///b"]
        idle = await ask(here.client, "subscriptions/listen", {"notifications": {"resourceSubscriptions": [uris[0]]}})
        await idle.message()
        reads = await ask(
            here.another(), "subscriptions/listen", {"notifications": {"resourceSubscriptions": [uris[1]]}}, id=2
        )
        await reads.message()
        stream = await server.standing()
        update = {"method": "notifications/resources/updated", "params": {"uri": "file:///a", "pad": "p" * 60_000}}
        gone = None
        for _ in range(200):  # far more than the kernel takes
            await stream.event(update)
            await stream.event({"method": "notifications/resources/updated", "params": {"uri": "file:///b"}})
            assert (await reads.message())["params"]["uri"] == "file:///b"
            gone = next((a for a in here.backend.asked if a.key == "resources/unsubscribe"), None)
            if gone is not None:
                break
        assert gone is not None
        assert gone.message["params"]["uri"] == "file:///a"
        last = await idle.message()
        while "method" in last:
            last = await idle.message()
        assert last["result"]["resultType"] == "complete"
        assert await idle.event() is None


async def test_a_call_whose_client_does_not_read_holds_its_server_back() -> None:
    async with bridging(limits={"stream_queue_bytes": 4096}) as here:
        server = Server(here)
        stopped = asyncio.Event()

        async def tool(asked: Asked) -> None:
            await asked.stream()
            line: Json = {"method": "notifications/message", "params": {"level": "info", "data": "d" * 50_000}}
            count = 0
            while count < 1_000:
                try:
                    await asyncio.wait_for(asked.event(line), 0.5)
                except TimeoutError:
                    break
                count += 1
            stopped.set()
            assert count < 1_000
            await asked.event({"id": asked.id, "result": text(count)})
            await asked.end()

        server.backend.on("tools/call", tool)
        meta = envelope(INPUTS, **{"io.modelcontextprotocol/logLevel": "debug"})
        reply = await begin(here, meta=meta)
        await within(stopped.wait())
        last = await final(reply)
        while "method" in last:
            last = await reply.message()
        assert last["result"]["resultType"] == "complete"


async def test_a_call_that_waits_for_its_session_is_sent_for_the_credential_it_came_with() -> None:
    memory = MemoryWorld()
    memory.context.lapses, memory.inputs = True, {}
    narrow, wide = frozenset(("read",)), frozenset(("read", "write"))
    try:
        await within(asyncio.gather(memory.call("ann", scopes=narrow), memory.call("ann", scopes=wide)))
        (session,) = memory.reach.sessions
    finally:
        memory.close()
    assert session.shown == [narrow, wide]
