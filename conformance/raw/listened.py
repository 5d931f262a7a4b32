"""Raw checks of listen streams, and of what a request hears while it runs, for clients of 2026-07-28 before servers of
the handshake.

Follows basic/patterns/subscriptions and server/utilities/logging of 2026-07-28.
Invariant: a notification reaches exactly the streams that asked for it, each under its own id.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from conformance.raw.bench import (
    EVENTUALLY_S,
    PROCESSES_BOUND_S,
    Bench,
    Check,
    MismatchError,
    brief,
    handshake,
    must,
    requests,
    text_of,
)
from conformance.raw.stateless_wire import META, Stateless, result_of
from conformance.raw.wire import Answer, Event, Message, read_events

ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
TOOLS: Final = "notifications/tools/list_changed"
PROMPTS: Final = "notifications/prompts/list_changed"
UPDATED: Final = "notifications/resources/updated"
WATCHED: Final = "test://watched"
OTHER: Final = "test://other"


@dataclass
class Listening:
    """An open listen stream: its acknowledgement, and what follows."""

    id: Any
    honoured: Message
    events: AsyncIterator[Event]
    heard: list[Message] = field(default_factory=list)

    async def hear(self, method: str) -> Message:
        """The next message, which must be this notification under this stream's own id."""
        async with asyncio.timeout(EVENTUALLY_S):
            async for event in self.events:
                message = event.message or {}
                must(message.get("method") == method, f"heard {brief(message)}, not {method}")
                _tagged(message, self.id)
                self.heard.append(message)
                return message
        raise MismatchError(f"the stream ended without {method}")


def _tagged(message: Message, listen_id: Any) -> None:
    tag = (message.get("params") or {}).get("_meta", {}).get(f"{META}subscriptionId")
    must(type(tag) is type(listen_id) and tag == listen_id, f"subscriptionId {tag!r}, not {listen_id!r}")


@asynccontextmanager
async def listening(client: Stateless, wanted: Message, listen_id: Any = "listen") -> AsyncIterator[Listening]:
    """A listen stream, acknowledged; closed by closing the connection."""
    body = client.request("subscriptions/listen", {"notifications": wanted}, request_id=listen_id)
    headers = {name: value for name, value in client.headers(body).items() if value is not None}
    headers["Accept"] = "application/json, text/event-stream"
    async with client.http.post(client.url, json=body, headers=headers) as response:
        must(response.status == 200, f"listen: HTTP {response.status}")
        must(response.content_type == "text/event-stream", f"listen: {response.content_type}")
        events = read_events(response.content)
        async with asyncio.timeout(EVENTUALLY_S):
            first = (await anext(events)).message or {}
        must(first.get("method") == ACKNOWLEDGED, f"the stream opens with {brief(first)}")
        _tagged(first, listen_id)
        yield Listening(listen_id, first["params"].get("notifications", {}), events)
        response.close()


async def a_stream_is_acknowledged_first(bench: Bench) -> None:
    client = bench.stateless
    wanted: Message = {"toolsListChanged": True, "resourceSubscriptions": [WATCHED]}
    for listen_id in ("L-1", 7, "7"):
        async with listening(client, wanted, listen_id) as stream:
            must(stream.honoured.get("toolsListChanged") is True, f"honoured {brief(stream.honoured)}")
            must(stream.honoured.get("resourceSubscriptions") == [WATCHED], f"honoured {brief(stream.honoured)}")
            must("promptsListChanged" not in stream.honoured, f"honoured {brief(stream.honoured)}")


async def changes_reach_who_asked_for_them(bench: Bench) -> None:
    client = bench.stateless
    tools = {"jsonrpc": "2.0", "method": TOOLS}
    prompts = {"jsonrpc": "2.0", "method": PROMPTS}
    async with (
        listening(client, {"toolsListChanged": True}, "tools") as one,
        listening(client, {"promptsListChanged": True}, "prompts") as other,
    ):
        await bench.pushed(tools)
        await bench.pushed(prompts)
        await bench.pushed(tools)
        await one.hear(TOOLS)
        await one.hear(TOOLS)
        await other.hear(PROMPTS)
        # A server may say it on the stream of the call that caused it.
        await client.call("announces")
        await one.hear(TOOLS)


async def resources_are_watched_while_somebody_listens(bench: Bench) -> None:
    client = bench.stateless
    mark = await bench.mark()
    updated = {"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": WATCHED}}
    stray = {"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": OTHER}}
    async with listening(client, {"resourceSubscriptions": [WATCHED]}, "one") as one:
        async with listening(client, {"resourceSubscriptions": [WATCHED, OTHER]}, "other") as other:
            await bench.pushed(stray)
            await bench.pushed(updated)
            must((await other.hear(UPDATED))["params"]["uri"] == OTHER, "the other stream")
            for stream in (one, other):
                must((await stream.hear(UPDATED))["params"]["uri"] == WATCHED, f"stream {stream.id}")
        await bench.eventually(mark, _about("resources/unsubscribe", OTHER), f"the end of {OTHER}")
        await bench.pushed(updated)
        await one.hear(UPDATED)
        must(not _about("resources/unsubscribe", WATCHED)(await bench.since(mark)), f"{WATCHED} is watched no more")
    await bench.eventually(mark, _about("resources/unsubscribe", WATCHED), f"the end of {WATCHED}")
    asked = _about("resources/subscribe", WATCHED)(await bench.since(mark))
    must(len(asked) == 1, f"{WATCHED} was subscribed to {len(asked)} times")


def _about(method: str, uri: str) -> Any:
    return lambda seen: [each for each in requests(seen, method) if each["params"]["uri"] == uri]


async def a_lost_server_is_listened_to_again(bench: Bench) -> None:
    """Nothing is replayed, so whoever listens is told to look again."""
    client = bench.stateless
    async with listening(client, {"toolsListChanged": True, "resourceSubscriptions": [WATCHED]}) as stream:
        await bench.kill_backend()
        await bench.start_backend()
        await client.call("echo")
        await bench.eventually(0, _about("resources/subscribe", WATCHED), "the subscription again")
        heard = {(await _any(stream))["method"] for _ in range(2)}
        must(heard == {TOOLS, UPDATED}, f"heard {heard}")


async def _any(stream: Listening) -> Message:
    async with asyncio.timeout(EVENTUALLY_S):
        async for event in stream.events:
            if event.message is not None:
                _tagged(event.message, stream.id)
                return event.message
    raise MismatchError("the stream ended")


def _said(answer: Answer) -> list[Any]:
    return [each["params"]["data"] for each in answer.messages if each.get("method") == "notifications/message"]


async def messages_reach_requests_that_name_a_level(bench: Bench) -> None:
    client = bench.stateless

    async def call(level: str | None) -> list[Any]:
        meta = {f"{META}logLevel": level}
        answer = await client.ask("tools/call", {"name": "three_logs", "arguments": {}}, meta=meta)
        must(text_of(result_of(answer)) == "logged", brief(answer))
        return _said(answer)

    every = ["log 0", "log 1", "log 2"]
    levels = (None, "info", "error", "debug", None)
    found = await asyncio.gather(*(call(level) for level in levels))
    for level, said in zip(levels, found, strict=True):
        must(said == (every if level in ("info", "debug") else []), f"{level}: the request heard {said}")
    for level, said in ((None, await call(None)), ("info", await call("info"))):
        must(said == (every if level else []), f"{level}, afterwards: the request heard {said}")


async def progress_comes_under_each_requests_own_token(bench: Bench) -> None:
    client = bench.stateless
    for token in (0, 1, "1", ""):
        answer = await client.ask("tools/call", {"name": "progress", "arguments": {}}, meta={"progressToken": token})
        tokens = [m["params"]["progressToken"] for m in answer.messages if m.get("method") == "notifications/progress"]
        must(len(tokens) == 1 and type(tokens[0]) is type(token) and tokens[0] == token, f"{token!r}: {tokens}")
    answer = await client.ask("tools/call", {"name": "progress", "arguments": {}})
    must(not [m for m in answer.messages if "method" in m], f"progress that nobody asked for: {brief(answer)}")


CHECKS: Final = (
    Check("acknowledgement of a listen stream", "listen.acknowledged", a_stream_is_acknowledged_first, handshake),
    Check("changes on listen streams", "listen.fed", changes_reach_who_asked_for_them, handshake),
    Check("resources on listen streams", "listen.fed", resources_are_watched_while_somebody_listens, handshake),
    Check("levels of requests", "logging.level-from-requests", messages_reach_requests_that_name_a_level, handshake),
    Check("tokens of requests", "ids.tokens", progress_comes_under_each_requests_own_token),
    Check(
        "lost server of a listen stream",
        "listen.restored",
        a_lost_server_is_listened_to_again,
        handshake,
        PROCESSES_BOUND_S,
    ),
)
