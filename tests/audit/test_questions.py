"""What servers ask, what clients answer, and what is not passed on: lines of their own."""

from __future__ import annotations

import asyncio

import pytest

from broker.audit import questions
from broker.audit.trail import Trail
from tests.audit.lines import ALICE, Clocks, Memory, events
from tests.audit.test_calls import INPUTS, Audited
from tests.broker.bridge_world import ADA, again, begin, bridging, serving
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, envelope, modern
from tests.broker.scripted_backend import Asked, Json, world
from tests.broker.test_stateless_face_rounds import ANSWERS, Asking
from tests.broker.test_stateless_face_rounds import FORM as INNER


def told(audited: Audited, event: str) -> list[tuple[str, str, str]]:
    """Operation, detail and target of the lines of an event."""
    lines = [line for line in audited.lines if events([line]) == [event]]
    return [
        (line["api"]["operation"], line.get("status_detail", ""), line.get("resources", [{"name": ""}])[0]["name"])
        for line in lines
    ]


URL: Json = {"mode": "url", "message": "m", "url": "https://u:p@h.test:8443/sign?token=canary#x", "elicitationId": "e"}


async def test_a_question_of_a_server_and_its_answer_have_lines_of_the_call_that_asked() -> None:
    audited = Audited()
    async with world(**audited.settings) as here:

        async def tool(asked: Asked) -> None:
            await asked.stream()
            for number, (method, params) in enumerate((("elicitation/create", URL), ("roots/list", {}))):
                await asked.event({"id": number, "method": method, "params": params})
            await asked.event({"id": asked.id, "result": {"content": []}})
            await asked.end()

        here.backend.on("tools/call", tool)
        await here.client.open(capabilities={**INPUTS, "elicitation": {"url": {}}})
        reply = await here.client.call(1)
        first, second = await reply.message(), await reply.message()
        assert "result" in await reply.message()
        await here.client.post({"id": first["id"], "result": {"action": "decline"}})
        await here.client.post({"id": second["id"], "error": {"code": -32601, "message": "no"}})
        await here.client.post({"id": first["id"], "result": {"action": "accept"}})
        await here.client.post({"id": 4_711, "result": {}})
    assert told(audited, "asked") == [
        ("elicitation/create", "", "https://h.test:8443/sign"),
        ("roots/list", "", ""),
    ]
    assert told(audited, "replied") == [("elicitation/create", "decline", ""), ("roots/list", "", "")]
    ((admitted, _),) = audited.pairs("tools/call")
    for line in audited.lines:
        if events([line]) == ["asked"]:
            assert line["metadata"]["correlation_uid"] == admitted["metadata"]["correlation_uid"]
    assert told(audited, "dropped") == [("dropped", "answer-late", ""), ("dropped", "answer-unasked", "")]
    assert "canary" not in str(audited.lines)


async def test_the_answer_to_a_question_of_one_call_of_a_batch_is_written_to_that_call() -> None:
    audited = Audited()
    async with world(**audited.settings) as here:
        release = asyncio.Event()

        async def tool(asked: Asked) -> None:
            if asked.message["params"]["name"] == "asks":
                await asked.stream()
                await asked.event({"id": 1, "method": "roots/list"})
                await within(release.wait())
                await asked.event({"id": asked.id, "result": {"content": []}})
                await asked.end()
            else:
                await within(release.wait())
                await asked.result()

        here.backend.on("tools/call", tool)
        await here.client.open("2025-03-26", capabilities=INPUTS)
        calls = [{"id": name, "method": "tools/call", "params": {"name": name}} for name in ("waits", "asks")]
        reply = await here.client.post(calls)
        question = await reply.message()
        await here.client.post({"id": question["id"], "result": {"roots": []}})
        release.set()
        await reply.message()
        await reply.message()
    admitted = {line["resources"][0]["name"]: line for line in audited.of("tools/call")}
    lines = [line for line in audited.of("roots/list") if events([line])[0] in ("asked", "replied")]
    asks = admitted["asks"]["metadata"]["correlation_uid"]
    assert [line["metadata"]["correlation_uid"] for line in lines] == [asks, asks]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("data:text/html,canary", "data:"),
        ("javascript:canary()", "javascript:"),
        ("https://[::1", "not a URL"),
        ("HTTPS://Canary:canary@H.test/sign", "https://h.test/sign"),
    ],
)
def test_of_a_url_only_where_it_leads_is_written_down(url: str, shown: str) -> None:
    sink = Memory()
    log = Clocks().log(sink)
    questions.asked(Trail(log, "files"), 0, "elicitation/create", {"url": url}, ALICE)
    log.flush()
    assert [line["resources"][0]["name"] for line in sink.lines] == [shown]
    assert "canary" not in sink.text.decode().lower()


async def test_questions_inside_results_have_the_same_lines_in_either_era() -> None:
    for bridge in (modern, bridging):
        audited = Audited()
        async with bridge(**audited.settings) as here:
            if bridge is modern:
                here.backend.on("tools/call", Asking({"inputRequests": {"who": INNER}, "requestState": "s"}))
                meta = envelope(INPUTS)
                first = (await ask(here.client, params={"name": "x"}, meta=meta)).json["result"]
                params = {"name": "x", "inputResponses": ANSWERS, "requestState": first["requestState"]}
                assert (await ask(here.client, params=params, meta=meta)).json["result"]["resultType"] == "complete"
            else:
                serving(here, rounds=1)
                await again(here, await begin(here, id="one"), {"input-1": ADA}, id="two")
        assert [operation for operation, _, _ in told(audited, "asked")] == ["elicitation/create"], bridge
        assert told(audited, "replied") == [("elicitation/create", "", "")], bridge


async def test_a_message_that_its_writer_may_not_send_has_a_line() -> None:
    audited = Audited()
    async with world(**audited.settings) as here:

        async def tool(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"method": "notifications/made-up"})
            await asked.event({"id": 1, "method": "sampling/createMessage", "params": {}})
            await asked.event({"id": asked.id, "result": {"content": []}})
            await asked.end()

        here.backend.on("tools/call", tool)
        await here.client.open(capabilities={})
        await here.client.call(1)
    assert told(audited, "dropped") == [
        ("unknown", "method-unknown", ""),
        ("sampling/createMessage", "not-declared", ""),
    ]
