"""Calls through a running broker, in both eras: each counted once, by pair, outcome and reason; streams are timed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker.metering.meter import Meter
from tests.audit.test_calls import ERAS, HIDDEN, INPUTS, Audited, Era, called, entered, opened
from tests.broker.bridge_world import ADA, again, begin, bridging, serving
from tests.broker.crossing_world import Rounds, crossing, greeted
from tests.broker.http1_world import within
from tests.broker.modern_world import REVISION, ask, envelope, modern
from tests.broker.scripted_backend import Asked, Json, world
from tests.broker.test_stateless_face_rounds import FORM, Asking
from tests.metering.page import only, page, told


@pytest.fixture(params=list(ERAS.values()), ids=list(ERAS))
def era(request: pytest.FixtureRequest) -> Era:
    return request.param  # type: ignore[no-any-return]


class Measured(Audited):
    """A world's meter, without an audit log."""

    def __init__(self, **options: Any) -> None:
        self.meter = Meter(**options)
        self.settings: Json = {"meter": self.meter}


def pair_of(era: Era) -> dict[str, str]:
    return {"client_revision": REVISION if era[1] else "2025-11-25", "server_revision": era[2]}


async def test_calls_are_counted_by_pair_and_outcome_and_measured_on_both_legs(era: Era) -> None:
    measured = Measured()

    async def tool(asked: Asked) -> None:
        await asked.result({"content": [], "isError": True, "resultType": "complete"})

    async with entered(era, measured) as here:
        here.backend.on("tools/call", tool)
        await opened(here, era)
        await called(here, era, 1)
        await called(here, era, 2)
        await called(here, era, 3, "tools/list")
        found = page(here, measured.meter)
    calls = found["dragoman_calls_total"]
    pair = pair_of(era)
    assert only(calls, method="tools/call", outcome="error", reason="tool-error", **pair) == 2
    assert only(calls, method="tools/list", outcome="ok", reason="", **pair) == 1
    assert only(found["dragoman_requests_total"], method="tools/call", **pair) == 2
    spoken = {"mcp_method_name": "tools/call", "error_type": "tool_error", "network_transport": "tcp"}
    server = {"mcp_protocol_version": pair["client_revision"], "dragoman_server_protocol_version": era[2]}
    client = {"mcp_protocol_version": era[2], "dragoman_client_protocol_version": pair["client_revision"]}
    assert only(found["mcp_server_operation_duration_seconds_count"], **spoken, **server) == 2
    assert only(found["mcp_client_operation_duration_seconds_count"], **spoken, **client) == 2
    assert all(labels["gen_ai_tool_name"] == "" for labels, _ in found["mcp_server_operation_duration_seconds_count"])


async def test_what_policy_refuses_is_counted_as_denied_and_no_request_is(era: Era) -> None:
    measured = Measured()
    async with entered(era, measured, **HIDDEN) as here:
        await opened(here, era)
        await called(here, era)
        found = page(here, measured.meter)
    assert told([each for each in found["dragoman_calls_total"] if each[0]["method"] == "tools/call"], "outcome") == [
        ("denied", 1)
    ]
    assert not [each for each in found["dragoman_requests_total"] if each[0]["method"] == "tools/call"]


async def test_methods_and_codes_that_peers_make_up_are_other(era: Era) -> None:
    measured = Measured()

    async def tool(asked: Asked) -> None:
        await asked.json({"id": asked.id, "error": {"code": 4_242, "message": "made up"}})

    async with entered(era, measured) as here:
        here.backend.on("tools/call", tool)
        await opened(here, era)
        await called(here, era, 1)
        for number in range(2, 5):
            await called(here, era, number, f"made/up-{number}")
        found = page(here, measured.meter)
    methods = {labels["method"] for labels, _ in found["dragoman_calls_total"]}
    assert not any("made" in method for method in methods)
    assert only(found["mcp_server_operation_duration_seconds_count"], error_type="other", mcp_method_name="tools/call")
    assert not [1 for labels, _ in found["dragoman_notes_total"] if "made" in labels["method"] + labels["reason"]]


async def test_tools_have_labels_only_if_asked_for_and_only_if_the_server_lists_them(era: Era) -> None:
    measured = Measured(tools=True)

    async def listed(asked: Asked) -> None:
        await asked.result(
            {
                "tools": [{"name": "x", "inputSchema": {"type": "object"}}],
                "resultType": "complete",
                "ttlMs": 0,
                "cacheScope": "private",
            }
        )

    async with entered(era, measured) as here:
        here.backend.on("tools/list", listed)
        await opened(here, era)
        await called(here, era, 1, "tools/list")
        await called(here, era, 2)
        found = page(here, measured.meter)
    durations = found["mcp_server_operation_duration_seconds_count"]
    assert only(durations, mcp_method_name="tools/call", gen_ai_tool_name="x") == 1


async def test_messages_on_streams_are_timed_and_so_are_the_gaps_between_them(era: Era) -> None:
    measured = Measured()
    seen: list[float] = []
    turn = asyncio.Event()

    async def tool(asked: Asked) -> None:
        token = asked.message["params"].get("_meta", {}).get("progressToken")
        await asked.stream()
        for step in (1, 2, 3):
            params = {"progressToken": token, "progress": step, "total": 4}
            await asked.event({"method": "notifications/progress", "params": params})
            await within(turn.wait())
            turn.clear()
        await asked.event({"id": asked.id, "result": {"content": [], "resultType": "complete"}})
        await asked.end()

    async with entered(era, measured) as here:
        here.backend.on("tools/call", tool)
        await opened(here, era)
        meta = {"progressToken": "mine"}
        if era[1]:
            reply = await ask(here.client, meta=envelope(progressToken="mine"))
        else:
            params = {"name": "x", "_meta": meta}
            reply = await here.client.post({"id": 5, "method": "tools/call", "params": params})
        for _ in range(3):
            assert (await reply.message())["method"] == "notifications/progress"
            seen += [value for labels, value in page(here, measured.meter)["dragoman_progress_ratio"]]
            turn.set()
        assert "result" in await reply.message()
        found = page(here, measured.meter)
    pair = pair_of(era)
    assert only(found["dragoman_stream_event_duration_seconds_count"], way="call", **pair) == 3
    assert only(found["dragoman_stream_gap_seconds_count"], way="call", **pair) == 2
    assert seen == [0.25, 0.5, 0.75]
    assert found["dragoman_progress_ratio"] == []


async def test_a_parked_call_shows_in_the_gauges_and_is_counted_once_beside_what_takes_it_up() -> None:
    measured = Measured()
    async with bridging(**measured.settings) as here:
        serving(here)
        first = await begin(here)
        parked = page(here, measured.meter)
        await again(here, first, {"input-1": ADA})
        found = page(here, measured.meter)
    assert only(parked["dragoman_parked_calls"], server="default") == 1
    assert only(parked["dragoman_open_calls"], server="default") == 0
    outcomes = [each for each in found["dragoman_calls_total"] if each[0]["method"] == "tools/call"]
    assert sorted(told(outcomes, "outcome")) == [("ok", 1), ("resumed", 1)]
    assert only(found["dragoman_parked_calls"], server="default") == 0
    assert only(found["mcp_client_operation_duration_seconds_count"], mcp_method_name="tools/call") == 1


async def test_rounds_of_a_stateless_server_are_one_call_and_as_many_requests() -> None:
    measured = Measured()
    async with crossing(**measured.settings) as here:
        here.backend.on("tools/call", Rounds({"input-1": {"method": "roots/list"}}))
        await greeted(here, capabilities=INPUTS)
        reply = await here.client.call(7)
        question = await reply.message()
        await here.client.post({"id": question["id"], "result": {"roots": []}})
        assert "result" in await reply.message()
        found = page(here, measured.meter)
    assert only(found["dragoman_calls_total"], method="tools/call", outcome="ok") == 1
    assert only(found["dragoman_requests_total"], method="tools/call") == 2
    assert only(found["mcp_client_operation_duration_seconds_count"], mcp_method_name="tools/call") == 2


async def test_a_request_of_a_stateless_client_that_is_asked_something_is_suspended() -> None:
    measured = Measured()
    async with modern(**measured.settings) as here:
        here.backend.on("tools/call", Asking({"inputRequests": {"who": FORM}, "requestState": "s"}))
        await ask(here.client, params={"name": "x"}, meta=envelope(INPUTS))
        found = page(here, measured.meter)
    assert only(found["dragoman_calls_total"], method="tools/call", outcome="suspended") == 1


async def test_a_session_that_ends_says_how_long_it_lasted() -> None:
    measured = Measured()
    async with world(**measured.settings) as here:
        await here.client.open()
        now = page(here, measured.meter)
        assert only(now["dragoman_sessions"], server="default") == 1
        assert only(now["dragoman_pool_connections"], server="default") >= 1
        assert only(now["dragoman_pool_waiting"], server="default") in (0, 1)  # the standing stream is being opened
        asked = only(now["dragoman_calls_total"], method="initialize", server_revision="2025-11-25", outcome="ok")
        assert asked == 1
        await here.client.send("DELETE")
        found = page(here, measured.meter)
    (sample,) = found["mcp_server_session_duration_seconds_count"]
    assert (sample[0]["mcp_protocol_version"], sample[1]) == ("2025-11-25", 1)
    assert only(found["dragoman_sessions"], server="default") == 0
