"""Policy on the modern face: the same gate on every door, at the backend's edge and in the backend's revision."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker.hooks.base import PASS, Body, CallInfo, Deny, Drop, Hook, Pattern, Replace, Verdict
from broker.hooks.runner import Runner
from protocol_versions.base import Slot
from tests.broker.http1_world import within
from tests.broker.modern_world import COMPLETE, ask, envelope, modern, refused
from tests.broker.scripted_backend import Asked, Json, World

FILTER = {
    "filter": {
        "tools": {"deny": ("secret_*",)},
        "prompts": {"allow": ("open",)},
        "resources": {"deny": ("file:///secret/*",)},
    }
}


def filtered() -> Any:
    return modern(backend=FILTER)


def lists(here: World, method: str, **members: Any) -> None:
    async def answer(asked: Asked) -> None:
        await asked.result({"resultType": "complete", "ttlMs": 1000, "cacheScope": "public", **members})

    here.backend.on(method, answer)


async def test_hidden_names_are_in_no_list_and_such_a_list_is_private() -> None:
    async with filtered() as here:
        lists(here, "tools/list", tools=[{"name": "a"}, {"name": "secret_b"}])
        lists(here, "prompts/list", prompts=[{"name": "open"}, {"name": "closed"}])
        lists(here, "resources/list", resources=[{"uri": "file:///secret/a"}, {"uri": "file:///b"}])
        hints = {"resultType": "complete", "ttlMs": 1000, "cacheScope": "private"}
        expected: dict[str, Json] = {
            "tools/list": {"tools": [{"name": "a"}]},
            "prompts/list": {"prompts": [{"name": "open"}]},
            "resources/list": {"resources": [{"uri": "file:///b"}]},
        }
        for method, shown in expected.items():
            assert (await ask(here.client, method)).json["result"] == {**hints, **shown}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "secret_b", "arguments": {}}),
        ("prompts/get", {"name": "closed"}),
        ("resources/read", {"uri": "file:///secret/a"}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "closed"}, "argument": {"name": "a", "value": ""}},
        ),
    ],
)
async def test_what_is_hidden_looks_unknown_in_this_revisions_words(method: str, params: Json) -> None:
    async with filtered() as here:
        reply = await ask(here.client, method, params, id="mine")
        assert refused(reply) == (200, -32602, "mine", "denied")
        assert here.backend.asked == []


async def test_hidden_uris_are_not_listened_to() -> None:
    async with filtered() as here:

        async def answer(asked: Asked) -> None:
            await asked.stream()
            wanted = asked.message["params"]["notifications"]
            await asked.event(
                {"method": "notifications/subscriptions/acknowledged", "params": {"notifications": wanted}}
            )
            for uri in ("file:///secret/a", "file:///b"):
                await asked.event({"method": "notifications/resources/updated", "params": {"uri": uri}})

        here.backend.on("subscriptions/listen", answer)
        wanted: Json = {"toolsListChanged": True, "resourceSubscriptions": ["file:///secret/a", "file:///b"]}
        reply = await ask(here.client, "subscriptions/listen", {"notifications": wanted})
        shown = {"toolsListChanged": True, "resourceSubscriptions": ["file:///b"]}
        assert (await reply.message())["params"]["notifications"] == shown
        assert (await reply.message())["params"]["uri"] == "file:///b"
        assert (await here.backend.next("subscriptions/listen")).message["params"]["notifications"] == shown


class Policy(Hook):
    """Every tool call, its results and its progress; `verdict` decides, after `delay` if there is one."""

    slots = (
        Pattern("params", "tools/call", "server"),
        Pattern("result", "tools/call", "client"),
        Pattern("notification", "notifications/progress", "client"),
    )

    def __init__(self, **verdicts: Any) -> None:
        self.verdicts = verdicts
        self.infos: list[CallInfo] = []
        self.bodies: list[Body] = []
        self.delay: asyncio.Event | None = None
        self.asked = asyncio.Event()

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Any:
        self.asked.set()
        self.infos.append(info)
        self.bodies.append(body)
        found = self.verdicts.get(slot.part, PASS)
        verdict = found(body) if callable(found) else found
        return verdict if self.delay is None else self._later(verdict, self.delay)

    async def _later(self, verdict: Verdict, delay: asyncio.Event) -> Verdict:
        await delay.wait()
        return verdict


def governed(here: World, policy: Policy) -> None:
    here.context.hooks = Runner([policy], here.context.wire)


async def test_a_hook_sees_the_backends_view_of_the_call_and_who_makes_it() -> None:
    async with modern() as here:
        policy = Policy()
        governed(here, policy)
        await ask(here.client, params={"name": "x", "arguments": {"a": 1}})
        assert len(policy.infos) == 2
        for info in policy.infos:
            assert (info.method, info.target, info.principal, info.backend) == ("tools/call", "x", "local", "default")
        assert policy.bodies[0]["_meta"] == envelope()
        assert policy.bodies[1]["content"] == [{"type": "text", "text": "done"}]


async def test_what_a_hook_writes_is_what_is_sent_and_its_headers_say_so() -> None:
    async with modern() as here:
        policy = Policy(
            params=lambda body: Replace({**body, "name": "y"}),
            result=lambda body: Replace({**body, "content": [], "added": True}),
        )
        governed(here, policy)
        result = (await ask(here.client)).json["result"]
        assert (result["content"], result["added"]) == ([], True)
        asked = await here.backend.next("tools/call")
        assert (asked.headers["mcp-name"], asked.message["params"]["name"]) == ("y", "y")


async def test_a_denied_request_reaches_nobody_and_a_denied_result_nobody_either() -> None:
    async with modern() as here:
        governed(here, Policy(params=Deny(-32602, "Unknown tool", "no")))
        assert refused(await ask(here.client)) == (200, -32602, 1, "denied")
        assert here.backend.asked == []
        governed(here, Policy(result=Deny(-32603, "Withheld", "no")))
        reply = await ask(here.client)
        assert refused(reply) == (200, -32603, 1, "denied")
        assert "done" not in reply.body.decode()


async def test_a_dropped_notification_is_not_missed() -> None:
    async with modern() as here:

        async def answer(asked: Asked) -> None:
            await asked.stream()
            token = asked.message["params"]["_meta"]["progressToken"]
            await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
            await asked.event({"id": asked.message["id"], "result": COMPLETE})

        here.backend.on("tools/call", answer)
        governed(here, Policy(notification=Drop("noise")))
        assert (await ask(here.client, meta={**envelope(), "progressToken": 1})).json["result"] == COMPLETE


async def test_a_hook_that_is_awaited_holds_its_own_call_back_and_no_other() -> None:
    async with modern() as here:
        policy = Policy()
        policy.delay = asyncio.Event()
        governed(here, policy)
        waiting = asyncio.ensure_future(ask(here.client))
        await within(policy.asked.wait())
        governed(here, Policy())
        assert (await ask(here.another(), id=2)).json["id"] == 2
        assert here.backend.count("tools/call") == 1  # the first one still waits
        policy.delay.set()
        assert (await within(waiting)).json["id"] == 1


async def test_a_client_that_goes_while_a_hook_is_awaited_leaves_nothing_behind() -> None:
    async with modern() as here:
        policy = Policy()
        policy.delay = asyncio.Event()
        governed(here, policy)
        waiting = asyncio.ensure_future(ask(here.client))
        await within(policy.asked.wait())
        here.client.drop()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await within(waiting)
        policy.delay.set()
        governed(here, Policy())
        assert (await ask(here.another(), "tools/list")).status == 200
        assert here.backend.keys() == ["tools/list"]


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("part", ["params", "result"])
async def test_what_a_hook_writes_and_nobody_can_send_ends_its_call_alone(part: str, awaited: bool) -> None:
    async with modern() as here:
        policy = Policy(**{part: lambda body: Replace({**body, "vendor": object()})})
        if awaited:
            policy.delay = asyncio.Event()
            policy.delay.set()
        governed(here, policy)
        assert refused(await ask(here.client, id="mine")) == (200, -32603, "mine", "internal")
        governed(here, Policy())
        assert (await ask(here.client)).json["result"]["content"] == [{"type": "text", "text": "done"}]
