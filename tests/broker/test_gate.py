"""Policy on the wire: every door of a filtered backend, refusals, order behind a hook that waits, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from broker.hooks.base import PASS, CallInfo, Deny, Drop, Hook, Pattern, Replace, Verdict
from broker.hooks.runner import Runner
from protocol_versions.base import Slot
from tests.broker.http1_world import turn, within
from tests.broker.scripted_backend import DONE, Asked, World, world

FILTERED = {"filter": {"tools": {"deny": ["secret*"]}}}


async def test_a_filtered_tool_is_neither_listed_nor_called() -> None:
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("open", "secret")]
    async with world(backend=FILTERED) as here:
        here.backend.on("tools/list", lambda asked: asked.result({"tools": tools, "nextCursor": "c"}))
        await here.client.open("2024-11-05")
        listed = (await here.client.call(1, "tools/list")).json["result"]
        assert listed == {"tools": tools[:1], "nextCursor": "c"}
        refused = await here.client.call(2, name="secret")
        assert (refused.status, refused.json["error"]["code"]) == (200, -32602)
        assert refused.json["error"]["message"] == "Unknown tool"
        assert here.backend.count("tools/call") == 0
        assert (await here.client.call(3, name="open")).json["result"] == DONE


class Held(Hook):
    """Judges calls of tools when the test says so; everything else at once."""

    slots = (Pattern("params", "tools/call", "server", ("name",)),)

    def __init__(self) -> None:
        self.asked: list[tuple[str, CallInfo]] = []
        self.arrived = asyncio.Event()
        self.verdicts: asyncio.Queue[Verdict] = asyncio.Queue()

    def judge(self, slot: Slot, body: dict[str, Any], info: CallInfo) -> Awaitable[Verdict]:
        self.asked.append((body["name"], info))
        self.arrived.set()
        return self.verdicts.get()


def hooked(here: World, *hooks: Hook) -> None:
    here.context.hooks = Runner(hooks, here.context.wire)


async def test_messages_behind_a_hook_that_waits_keep_their_order() -> None:
    async with world() as here:
        hook = Held()
        hooked(here, hook)
        await here.client.open()
        first = asyncio.ensure_future(here.client.call(1, name="a"))
        await within(hook.arrived.wait())
        second = asyncio.ensure_future(here.client.call(2, "tools/list"))
        cancel = {"method": "notifications/cancelled", "params": {"requestId": 1}}
        third = asyncio.ensure_future(here.client.post(cancel))
        (session,) = here.context.sessions._by_id.values()

        async def arrived() -> None:
            while len(session.outbox.exchanges) < 3:
                await turn()

        await within(arrived())
        assert here.backend.count("tools/list") == here.backend.count("notifications/cancelled") == 0
        hook.verdicts.put_nowait(PASS)
        replies = await within(asyncio.gather(first, second, third))
        assert [reply.status for reply in replies] == [200, 200, 202]
        sent = [asked.id for asked in here.backend.asked if "id" in asked.message]
        assert sent == sorted(sent)
        ((name, info),) = hook.asked
        assert (name, info.method, info.target, info.principal, info.backend) == (
            "a",
            "tools/call",
            "a",
            "local",
            "default",
        )


async def test_what_a_hook_replaced_is_what_is_sent_and_what_it_denied_is_answered() -> None:
    async with world() as here:
        hook = Held()
        hooked(here, hook)
        await here.client.open()
        for verdict in (Replace({"name": "other"}), Deny(-32001, "Not today", "why"), Drop("why")):
            hook.verdicts.put_nowait(verdict)
        assert (await here.client.call(1, name="a")).json["result"] == DONE
        assert (await here.backend.next("tools/call")).message["params"] == {"name": "other"}
        denied = (await here.client.call(2)).json["error"]
        assert (denied["code"], denied["message"], denied["data"]["origin"]) == (-32001, "Not today", "broker")
        dropped = (await here.client.call(3)).json["error"]
        assert (dropped["code"], dropped["data"]["reason"]) == (-32603, "denied")
        assert here.backend.count("tools/call") == 1


async def test_a_session_that_ends_while_a_hook_waits_sends_nothing_more() -> None:
    async with world() as here:
        hook = Held()
        hooked(here, hook)
        await here.client.open()
        calls = [asyncio.ensure_future(here.client.call(number)) for number in (1, 2)]
        await within(hook.arrived.wait())
        assert (await here.client.send("DELETE")).status == 200
        for call in calls:
            reply = await within(call)
            assert reply.status == 404 or reply.json["error"]["data"]["reason"] == "session-ended"
        await here.backend.next("DELETE")
        assert here.backend.count("tools/call") == 0


class Refuses(Hook):
    """Denies what it is told to."""

    def __init__(self, part: Any, method: str, toward: Any) -> None:
        self.slots = (Pattern(part, method, toward),)

    def judge(self, slot: Slot, body: dict[str, Any], info: CallInfo) -> Verdict:
        return Deny(-32001, "Refused", "test")


async def test_a_denied_result_is_an_error_to_the_client() -> None:
    async with world() as here:
        hooked(here, Refuses("result", "tools/call", "client"))
        await here.client.open()
        assert (await here.client.call()).json["error"]["code"] == -32001
        assert here.backend.count("tools/call") == 1


async def test_a_denied_question_is_an_error_to_the_backend_and_a_denied_notification_vanishes() -> None:
    async def asking(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"method": "notifications/message", "params": {"level": "info", "data": 1}})
        await asked.event({"id": "q", "method": "roots/list"})
        answer = (await here.backend.next("answer")).message
        assert (answer["id"], answer["error"]["code"]) == ("q", -32001)
        await asked.event({"id": asked.id, "result": DONE})
        await asked.end()

    async with world() as here:
        log = Refuses("notification", "notifications/*", "client")
        hooked(here, Refuses("params", "roots/list", "client"), log)
        await here.client.open(capabilities={"roots": {}})
        here.backend.on("tools/call", asking)
        reply = await here.client.call()
        assert not reply.streams
        assert reply.json["result"] == DONE


async def test_a_denied_notification_of_the_client_is_taken_and_not_sent() -> None:
    async with world() as here:
        hooked(here, Refuses("notification", "notifications/roots/*", "server"))
        await here.client.open()
        assert (await here.client.post({"method": "notifications/roots/list_changed"})).status == 202
        assert (await here.client.call()).json["result"] == DONE
        assert here.backend.count("notifications/roots/list_changed") == 0


async def test_a_replay_that_policy_refuses_does_not_keep_the_session_from_opening() -> None:
    async with world() as here:
        here.backend.capabilities = {"logging": {}, "resources": {"subscribe": True}}
        await here.client.open()
        await here.client.call(1, "resources/subscribe", uri="test://a")
        here.context.hooks.replace([Refuses("params", "resources/subscribe", "server")])
        here.backend.forget_sessions()
        assert (await here.client.call(2)).json["result"] == DONE
        assert here.backend.count("resources/subscribe") == 1


class Unwritable(Hook):
    """Puts what cannot be written as JSON into calls of `later`, when the test says so, and of `now`, at once."""

    slots = (Pattern("params", "tools/call", "server", ("name",)), Pattern("result", "tools/call", "client"))

    def __init__(self, part: str) -> None:
        self.part = part
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    def judge(self, slot: Slot, body: dict[str, Any], info: CallInfo) -> Verdict | Awaitable[Verdict]:
        if slot.part != self.part or info.target == "fine":
            return PASS
        bad = Replace({**body, "_meta": object()})
        return self._later(bad) if info.target == "later" else bad

    async def _later(self, verdict: Verdict) -> Verdict:
        self.asked.set()
        await self.go_on.wait()
        return verdict


async def under_way(here: World, calls: int) -> None:
    """Until the broker has taken so many."""
    while here.context.sessions.busy() < calls:
        await turn()


@pytest.mark.parametrize("part", ["params", "result"])
async def test_a_bug_of_ours_behind_a_hook_that_waits_is_answered_and_holds_nothing_back(part: str) -> None:
    async with world() as here:
        hook = Unwritable(part)
        hooked(here, hook)
        await here.client.open()
        calls = [asyncio.ensure_future(here.client.call(1, name="later"))]
        await within(hook.asked.wait())
        for number, name in ((2, "now"), (3, "fine")):
            calls.append(asyncio.ensure_future(here.client.call(number, name=name)))
        await within(under_way(here, 3))
        hook.go_on.set()
        first, second, third = await within(asyncio.gather(*calls))
        for number, reply in ((1, first), (2, second)):
            assert (reply.status, reply.json["id"]) == (200, number)
            assert reply.json["error"]["data"] == {"origin": "broker", "reason": "internal"}
        assert third.json["result"] == DONE
