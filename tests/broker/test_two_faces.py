"""A server of both eras whose tools ask on one face only: the next call goes where it can be asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.broker.crossing_world import FORM, INPUTS, completes, discovery
from tests.broker.http1_world import within
from tests.broker.modern_world import REVISION, ask, envelope
from tests.broker.scripted_backend import DONE, Asked, Json, Reply, World, world

NO_CHANNEL = (
    "Cannot send 'elicitation/create': this transport context has no back-channel for server-initiated requests."
)
NOT_DECLARED = "client for this request did not declare the required capability: elicitation"
FAILED: Json = {"content": [{"type": "text", "text": NOT_DECLARED}], "isError": True}
GIVEN: Json = {"action": "accept", "content": {}}
FORMS: Json = {"elicitation": {}}


class TwoFaces:
    """A dual-era backend. `pushes` asks by a request, on the session face; `rounds` in its result, on the other."""

    def __init__(self, here: World, *, sessions: bool = True) -> None:
        self.here = here
        self.sessions = sessions
        self.held: list[Asked] = []
        here.backend.on("server/discover", completes(**discovery(None, "2025-11-25", REVISION)))
        here.backend.on("initialize", self.initialize)
        here.backend.on("tools/call", self.call)

    async def initialize(self, asked: Asked) -> None:
        version = asked.message["params"]["protocolVersion"]
        info = {"name": "two-faced", "version": "1"}
        result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        if not self.sessions:
            await asked.result(result)
            return
        event = json.dumps({"jsonrpc": "2.0", "id": asked.message["id"], "result": result}).encode()
        await asked.reply(200, b"data: " + event + b"\n\n", "text/event-stream", mcp_session_id="backend-1")

    async def call(self, asked: Asked) -> None:
        params = asked.message["params"]
        stateless = asked.headers.get("mcp-protocol-version") == REVISION
        if params["name"] == "slow":
            self.held.append(asked)
        elif params["name"] == "pushes" and stateless:
            await asked.json({"id": asked.message["id"], "error": {"code": -32600, "message": NO_CHANNEL}}, 400)
        elif params["name"] == "pushes":
            await self.push(asked)
        elif params["name"] == "rounds" and not stateless:
            await asked.result(FAILED)
        elif params["name"] == "rounds" and "inputResponses" not in params:
            asks = {"who": {"method": "elicitation/create", "params": FORM}}
            await asked.result({"resultType": "input_required", "inputRequests": asks})
        else:
            await asked.result({**({"resultType": "complete"} if stateless else {}), **DONE})

    async def push(self, asked: Asked) -> None:
        await asked.stream()
        await asked.event({"id": "q", "method": "elicitation/create", "params": FORM})
        await self.here.backend.next("answer")
        await asked.event({"id": asked.message["id"], "result": DONE})
        await asked.end()

    def faces(self, tool: str) -> list[str]:
        """Where calls of a tool arrived."""
        calls = [asked for asked in self.here.backend.asked if asked.key == "tools/call"]
        versions = [asked.headers["mcp-protocol-version"] for asked in calls if asked.message["params"]["name"] == tool]
        return ["stateless" if version == REVISION else "session" for version in versions]


@asynccontextmanager
async def two_faces(*, sessions: bool = True, **backend: Any) -> AsyncIterator[tuple[World, TwoFaces]]:
    async with world(backend=backend) as here:
        yield here, TwoFaces(here, sessions=sessions)


async def answered(here: World, reply: Reply) -> Json:
    """The end of a session client's call, after its one question."""
    question = await reply.message()
    assert question["method"] == "elicitation/create"
    await here.client.post({"id": question["id"], "result": GIVEN})
    message: Json = await reply.message()
    return message


# ---- session clients before a tool that answers in rounds -----------------------------------------------------------


async def test_a_live_session_moves_before_the_next_call_of_a_tool_that_cannot_ask_where_it_is() -> None:
    async with two_faces(sessions=False) as (here, faces):
        await here.client.open("2025-06-18", capabilities=FORMS)
        assert (await here.client.call(1, name="rounds")).json["result"] == FAILED
        assert faces.faces("rounds") == ["session"]
        assert (await here.client.call(2, name="other")).json["result"] == DONE
        assert faces.faces("other") == ["session"]
        assert (await answered(here, await here.client.call(3, name="rounds")))["result"] == DONE
        assert faces.faces("rounds") == ["session", "stateless", "stateless"]
        assert (await here.client.call(4, name="other")).json["result"] == DONE
        assert faces.faces("other") == ["session", "stateless"]


async def test_the_next_session_begins_on_the_face_that_can_ask() -> None:
    async with two_faces(sessions=False) as (here, faces):
        await here.client.open(capabilities=FORMS)
        await here.client.call(1, name="rounds")
        here.client = here.another()
        await here.client.open(capabilities=FORMS)
        assert (await answered(here, await here.client.call(1, name="rounds")))["result"] == DONE
        assert faces.faces("rounds") == ["session", "stateless", "stateless"]
        assert here.backend.count("initialize") == 1


async def test_a_session_that_is_busy_moves_when_it_is_not() -> None:
    async with two_faces(sessions=False) as (here, faces):
        await here.client.open(capabilities=FORMS)
        await here.client.call(1, name="rounds")
        slow = asyncio.ensure_future(here.client.call(2, name="slow"))
        await here.backend.next("tools/call")
        await here.backend.next("tools/call")
        assert (await here.client.call(3, name="rounds")).json["result"] == FAILED
        await faces.held[0].result(DONE)
        assert (await within(slow)).json["result"] == DONE
        assert (await answered(here, await here.client.call(4, name="rounds")))["result"] == DONE
        assert faces.faces("rounds") == ["session", "session", "stateless", "stateless"]


async def test_the_failure_of_a_client_that_declared_nothing_is_the_plain_truth() -> None:
    async with two_faces(sessions=False) as (here, faces):
        await here.client.open()
        for number in (1, 2):
            assert (await here.client.call(number, name="rounds")).json["result"] == FAILED
        assert faces.faces("rounds") == ["session", "session"]


async def test_a_session_the_backend_keeps_is_not_left() -> None:
    async with two_faces(sessions=True) as (here, faces):
        await here.client.open(capabilities=FORMS)
        for number in (1, 2):
            assert (await here.client.call(number, name="rounds")).json["result"] == FAILED
        assert faces.faces("rounds") == ["session", "session"]


async def test_a_face_the_operator_chose_is_kept() -> None:
    async with two_faces(sessions=False, face="session") as (here, faces):
        await here.client.open(capabilities=FORMS)
        for number in (1, 2):
            assert (await here.client.call(number, name="rounds")).json["result"] == FAILED
        assert faces.faces("rounds") == ["session", "session"]
        assert here.context.styles.face_of("rounds") == "stateless"


# ---- stateless clients before a tool that pushes --------------------------------------------------------------------


async def call(here: World, name: str, **more: Any) -> Json:
    reply = await ask(here.client, params={"name": name, "arguments": {}, **more}, meta=envelope(INPUTS))
    message: Json = reply.json
    return message


async def test_the_next_call_of_a_tool_that_pushes_is_carried_to_a_session() -> None:
    async with two_faces() as (here, faces):
        assert (await call(here, "pushes"))["error"]["code"] == -32600
        assert (await call(here, "other"))["result"]["content"] == DONE["content"]
        asked = (await call(here, "pushes"))["result"]
        (key,) = asked["inputRequests"]
        done = await call(here, "pushes", inputResponses={key: GIVEN}, requestState=asked["requestState"])
        assert done["result"]["content"] == DONE["content"]
        assert faces.faces("pushes") == ["stateless", "session"]
        assert faces.faces("other") == ["stateless"]


async def test_a_tool_that_answers_in_rounds_stays_where_it_is() -> None:
    async with two_faces() as (here, faces):
        asked = (await call(here, "rounds"))["result"]
        (key,) = asked["inputRequests"]
        assert (await call(here, "rounds", inputResponses={key: GIVEN}))["result"]["content"] == DONE["content"]
        assert faces.faces("rounds") == ["stateless", "stateless"]


@pytest.mark.parametrize("face", ["stateless", "session"])
async def test_a_face_the_operator_chose_is_kept_for_stateless_clients(face: str) -> None:
    async with two_faces(face=face) as (here, faces):
        for _ in range(2):
            message = await call(here, "pushes")
        assert set(faces.faces("pushes")) == {face}
        assert ("error" in message) == (face == "stateless")


async def test_a_backend_of_one_era_learns_nothing() -> None:
    async with world() as here:
        faces = TwoFaces(here)
        here.backend.on("server/discover", completes(**discovery()))
        for _ in range(2):
            assert (await call(here, "pushes"))["error"]["code"] == -32600
        assert here.context.styles.face_of("pushes") is None
        assert faces.faces("pushes") == ["stateless", "stateless"]
