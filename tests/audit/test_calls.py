"""Calls through a running broker, in both eras: a pair of lines for each that is sent, one for each that is not."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from broker.audit.admitting import UNAVAILABLE
from broker.audit.text import digest
from broker.identity import digest_of
from tests.audit.lines import Clocks, Json, Memory, events
from tests.broker.bridge_world import ADA, again, begin, bridging, serving
from tests.broker.crossing_world import Rounds, crossing, greeted
from tests.broker.http1_world import within
from tests.broker.modern_world import INFO, REVISION, ask, envelope, modern
from tests.broker.pair_world import PairClient
from tests.broker.scripted_backend import Asked, World, world
from tests.broker.test_stateless_face_rounds import ANSWERS, Asking
from tests.broker.test_stateless_face_rounds import FORM as INNER

INPUTS: Json = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}
HIDDEN: Json = {"filter": {"tools": {"deny": ["x"]}}}


class Audited:
    """A world's audit lines. What a world is opened with is `settings`."""

    def __init__(self, **options: Any) -> None:
        self.sink = Memory()
        self.log = Clocks().log(self.sink, **options)
        self.settings: Json = {"audit_log": self.log}

    @property
    def lines(self) -> list[Json]:
        self.log.flush()
        return self.sink.lines

    async def closed(self) -> None:
        """Until no call is open."""
        turn = asyncio.Event()
        while self.log.open:
            asyncio.get_running_loop().call_later(0.001, turn.set)
            await turn.wait()
            turn.clear()

    def of(self, method: str) -> list[Json]:
        """The lines about a method."""
        return [line for line in self.lines if line["api"]["operation"] == method]

    def pairs(self, method: str) -> list[tuple[Json, Json]]:
        """`admitted` and `outcome` of each call of a method, in the order they were admitted; there is nothing else."""
        found: dict[str, list[Json]] = {}
        for line in self.of(method):
            found.setdefault(line["metadata"]["correlation_uid"], []).append(line)
        assert all(events(pair) == ["admitted", "outcome"] for pair in found.values()), found
        return [(pair[0], pair[1]) for pair in found.values()]


def revisions(line: Json) -> tuple[str, str]:
    """Those towards the client and the server."""
    return line["unmapped"]["client_revision"], line["api"]["version"]


ERAS: dict[str, tuple[Any, bool, str]] = {
    "session client, session server": (world, False, "2025-11-25"),
    "session client, stateless server": (crossing, False, REVISION),
    "stateless client, session server": (bridging, True, "2025-11-25"),
    "stateless client, stateless server": (modern, True, REVISION),
}
Era = tuple[Any, bool, str]


@pytest.fixture(params=list(ERAS.values()), ids=list(ERAS))
def era(request: pytest.FixtureRequest) -> Era:
    return request.param  # type: ignore[no-any-return]


async def opened(here: World, era: Era) -> None:
    if era[0] is crossing:
        await greeted(here)
    elif not era[1]:
        await here.client.open()


async def called(here: World, era: Era, client_id: int | str = 1, method: str = "tools/call") -> Json:
    """One call of a client of the era."""
    params = {"name": "x"} if method == "tools/call" else {}
    if era[1]:
        return (await ask(here.client, method, params, id=client_id)).json  # type: ignore[no-any-return]
    return (await here.client.post({"id": client_id, "method": method, "params": params})).json  # type: ignore[no-any-return]


def entered(era: Era, audited: Audited, **backend: Any) -> AbstractAsyncContextManager[World]:
    settings: Json = {"backend": backend} if backend else {}
    return era[0](**settings, **audited.settings)  # type: ignore[no-any-return]


async def test_a_call_has_its_line_before_the_server_sees_it_and_one_when_it_is_over(era: Era) -> None:
    audited = Audited()
    seen: list[list[str]] = []

    async def tool(asked: Asked) -> None:
        seen.append(events([line for line in audited.sink.lines if line["api"]["operation"] == "tools/call"]))
        await asked.result({"content": [], "isError": True, "resultType": "complete"})

    async with entered(era, audited) as here:
        here.backend.on("tools/call", tool)
        await opened(here, era)
        await called(here, era, "one")
        await called(here, era, 2)
        client = here.client.session
    assert seen == [["admitted"], ["admitted", "outcome", "admitted"]]
    (first, last), (second, _) = audited.pairs("tools/call")
    assert revisions(first) == revisions(last) == (REVISION if era[1] else "2025-11-25", era[2])
    assert (first["api"]["request"], second["api"]["request"]) == ({"uid": "one"}, {"uid": "2"})
    assert first["actor"]["user"] == {"uid": "local", "type": "local", "name": INFO["name"]}
    assert first["actor"].get("session") == ({"uid": digest(client)} if client else None)
    assert (first["src_endpoint"], first["resources"]) == ({"ip": "127.0.0.1"}, [{"name": "x", "type": "tool"}])
    assert (last["status_id"], last["status_detail"], last["unmapped"]["executed"]) == (2, "tool-error", "yes")


async def test_a_call_that_policy_refuses_has_one_line_with_the_rule(era: Era) -> None:
    audited = Audited()
    async with entered(era, audited, **HIDDEN) as here:
        await opened(here, era)
        assert "error" in await called(here, era)
        assert here.backend.count("tools/call") == 0
    (line,) = audited.of("tools/call")
    assert events([line]) == ["denied"]
    assert (line["action_id"], line["unmapped"]["decision"], line["status_detail"]) == (2, "deny", "policy")
    assert line["unmapped"]["rule"]
    assert line["resources"] == [{"name": "x", "type": "tool"}]


async def test_while_lines_cannot_be_written_calls_that_act_are_refused_and_reads_go_on(era: Era) -> None:
    audited = Audited()
    async with entered(era, audited) as here:
        await opened(here, era)
        await called(here, era, 1)
        audited.sink.broken = True
        for number in (2, 3):
            error = (await called(here, era, number))["error"]
            assert error["data"] == {"origin": "broker", "reason": UNAVAILABLE}
        assert "result" in await called(here, era, 4, "tools/list")
        assert here.backend.count("tools/call") == 1
        audited.sink.broken = False
        audited.log.monotonic = lambda: 1_000.0
        assert "result" in await called(here, era, 5)
    denied = [line for line in audited.of("tools/call") if line.get("status_detail") == UNAVAILABLE]
    assert len(denied) == 2
    assert all(line["unmapped"]["executed"] == "no" for line in denied)
    assert audited.log.open == {}


async def test_a_server_that_hangs_up_leaves_a_call_that_may_have_run(era: Era) -> None:
    audited = Audited()

    async def hang_up(asked: Asked) -> None:
        asked.hang_up()

    async with entered(era, audited) as here:
        here.backend.on("tools/call", hang_up)
        await opened(here, era)
        await called(here, era)
    ((_, last),) = audited.pairs("tools/call")
    assert (last["status_id"], last["unmapped"]["executed"]) == (2, "unknown")
    assert last["status_detail"].startswith("backend-")


async def test_a_client_that_takes_its_call_back_is_written_as_that(era: Era) -> None:
    audited = Audited()

    ended = asyncio.Event()

    async def wait(asked: Asked) -> None:
        await asked.stream()
        if era[2] == REVISION:
            await asked.gone()
        else:
            await within(ended.wait())
            await asked.event({"id": asked.id, "error": {"code": -32800, "message": "cancelled"}})
            await asked.end()

    async def cancelled(asked: Asked) -> None:
        await asked.reply(202)
        ended.set()

    async with entered(era, audited) as here:
        here.backend.on("tools/call", wait)
        here.backend.on("notifications/cancelled", cancelled)
        await opened(here, era)
        client, other = here.another(), here.client
        client.session = other.session
        task = asyncio.ensure_future(
            ask(client, id=9) if era[1] else client.post({"id": 9, "method": "tools/call", "params": {"name": "x"}})
        )
        await here.backend.next("tools/call")
        if era[1]:
            client.drop()
        else:
            await other.post({"method": "notifications/cancelled", "params": {"requestId": 9}})
            if era[2] == REVISION:  # nothing comes back from there, and a while would be waited for it
                await other.send("DELETE")
        await within(audited.closed())
        task.cancel()
        await asyncio.wait([task])
    ((_, last),) = audited.pairs("tools/call")
    assert (last["status_id"], last["status_detail"]) == (99, "cancelled")
    assert last["unmapped"]["executed"] == ("unknown" if era[2] == REVISION else "yes")


async def test_rounds_of_a_stateless_server_are_one_call_of_a_session_client() -> None:
    audited = Audited()
    async with crossing(**audited.settings) as here:
        rounds = Rounds({"input-1": {"method": "roots/list"}})
        here.backend.on("tools/call", rounds)
        await greeted(here, capabilities=INPUTS)
        reply = await here.client.call(7)
        question = await reply.message()
        await here.client.post({"id": question["id"], "result": {"roots": []}})
        assert "result" in await reply.message()
        assert len(rounds.sent) == 2
    ((first, last),) = audited.pairs("tools/call")
    assert first["api"]["request"] == {"uid": "7"}
    assert (last["status_id"], last["unmapped"]["requests"]) == (1, 2)


async def test_a_parked_call_is_one_over_the_requests_that_take_it_up() -> None:
    audited = Audited()
    async with bridging(**audited.settings) as here:
        serving(here, rounds=2)
        first = await begin(here, id="one")
        assert len(audited.log.open) == 1
        second = await again(here, first, {"input-1": ADA}, id="two")
        await again(here, second, {"input-2": ADA}, id="three")
        assert here.backend.count("tools/call") == 1
    lines = audited.of("tools/call")
    assert events(lines) == ["admitted", "resumed", "resumed", "outcome"] or events(lines) == [
        "admitted", "resumed", "outcome", "resumed",
    ]  # fmt: skip
    (admitted,) = [line for line in lines if events([line]) == ["admitted"]]
    (last,) = [line for line in lines if events([line]) == ["outcome"]]
    two, three = [line["unmapped"] for line in lines if events([line]) == ["resumed"]]
    assert admitted["api"]["request"] == {"uid": "one"}
    assert (last["status_id"], last["unmapped"]["executed"]) == (1, "yes")
    states = [digest(reply.json["result"]["requestState"]) for reply in (first, second)]
    assert [last["unmapped"]["suspends"], two["suspends"]] == [two["resumes"], three["resumes"]] == states


async def test_rounds_of_a_stateless_client_are_tied_together_by_the_state_it_brings_back() -> None:
    audited = Audited()
    async with modern(**audited.settings) as here:
        here.backend.on("tools/call", Asking({"inputRequests": {"who": INNER}, "requestState": "s"}))
        told = envelope(INPUTS)
        first = (await ask(here.client, params={"name": "x"}, meta=told)).json["result"]
        params = {"name": "x", "inputResponses": ANSWERS, "requestState": first["requestState"]}
        assert (await ask(here.client, params=params, meta=told)).json["result"]["resultType"] == "complete"
        bad = await ask(here.client, params={**params, "requestState": "forged"}, meta=told)
        assert bad.status == 400
    (one, asked), (two, _) = audited.pairs("tools/call")
    assert asked["status_detail"] == "input-required"
    assert asked["unmapped"]["suspends"] == two["unmapped"]["resumes"] == digest(first["requestState"])
    assert (one["unmapped"].get("round", 1), two["unmapped"]["round"]) == (1, 2)
    denied = [line for line in audited.lines if events([line]) == ["denied"]]
    assert [line["status_detail"] for line in denied] == ["invalid_request_state"]


async def test_each_message_of_a_batch_has_its_own_lines() -> None:
    audited = Audited()
    async with world(**audited.settings) as here:
        await here.client.open("2025-03-26")
        await here.client.post(
            [{"id": 1, "method": "tools/list"}, {"id": 2, "method": "tools/call", "params": {"name": "x"}}]
        )
        broken = b'[{"jsonrpc":"2.0","id":3,"method":"tools/list"},{"jsonrpc":"1.0","id":4,"method":"ping"}]'
        assert (await here.client.post(broken)).status == 200
    assert len(audited.pairs("tools/list")) == 2
    assert len(audited.pairs("tools/call")) == 1
    (line,) = [line for line in audited.lines if events([line]) == ["denied"]]
    assert line["src_endpoint"] == {"ip": "127.0.0.1"}


async def test_what_a_translation_lost_stands_in_the_outcome_of_its_call() -> None:
    audited = Audited()
    async with world(backend={"revision": "2025-06-18"}, **audited.settings) as here:

        async def tool(asked: Asked) -> None:
            await asked.result({"content": [{"type": "audio", "data": "", "mimeType": "audio/wav"}]})

        here.backend.on("tools/call", tool)
        await here.client.open("2024-11-05")
        await here.client.call(1)
    ((_, last),) = audited.pairs("tools/call")
    assert revisions(last) == ("2024-11-05", "2025-06-18")
    assert {"audio"} <= {part for lost in last["unmapped"]["losses"] for part in lost["change"].split()}


async def test_what_the_broker_answers_itself_and_what_it_refuses_has_one_line() -> None:
    audited = Audited()
    async with world(**audited.settings) as here:
        await here.client.open()
        await here.client.post({"id": 1, "method": "tools/nope", "params": {}})
        await here.client.post({"id": 2, "method": "initialize", "params": {}}, Mcp_Session_Id=here.client.session)
    (line,) = audited.of("tools/nope")
    assert events([line]) == ["denied"]
    assert (line["status_detail"], line["status_code"]) == ("method-unknown", "-32601")


async def test_refusals_at_the_door_are_written_with_their_reason_and_without_what_was_sent() -> None:
    audited = Audited()
    key = "dgm_canary"
    async with world(keys={"alice": digest_of(key)}, **audited.settings) as here:
        post = here.client.post
        good = {"id": 1, "method": "tools/list"}
        await post(good, Origin="https://evil.example")
        await post(good, Host="evil.example")
        await post(good)
        await post(good, Authorization="Bearer canary-wrong")
        await post(b"{canary", Authorization=f"Bearer {key}")
        await post(good, Authorization=f"Bearer {key}", Mcp_Session_Id="canary-session")
        await here.client.send("PUT /canary", b"")
        await here.client.send("\x00", b"")
    refused = [line for line in audited.lines if events([line]) == ["denied"]]
    said = [(line["status_detail"], line.get("status_code")) for line in refused]
    assert said[:6] == [
        ("origin", "403"), ("host", "421"), ("no-credential", "401"), ("bad-credential", "401"), ("not-json", "400"),
        ("session-unknown", "404"),
    ]  # fmt: skip
    assert said[-1] == ("framing", "400")
    assert [line.get("actor", {}).get("user", {}).get("uid") for line in refused[3:6]] == [
        None,
        "key:alice",
        "key:alice",
    ]
    assert b"canary" not in audited.sink.text


async def test_a_client_of_the_http_sse_pair_is_audited_as_any_other() -> None:
    audited = Audited()
    async with world(**audited.settings) as here:
        client = PairClient(here)
        await client.open()
        await client.ask(1, "tools/call", {"name": "x"})
        assert (await client.post(b"{")).status == 400
        client.leave()
        await within(here.broker.close())
    ((first, _),) = audited.pairs("tools/call")
    assert revisions(first)[0] == "2024-11-05"
    assert first["src_endpoint"] == {"ip": "127.0.0.1"}
    assert [line["status_detail"] for line in audited.lines if events([line]) == ["denied"]] == ["not-json"]
