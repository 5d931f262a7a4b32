"""What a raw check works with: a scripted backend, the broker before it, and raw clients of one revision.

Invariant: a check that fails raises `MismatchError` with what it saw; any other exception is its failure too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from conformance.launch import Child, Children
from conformance.raw.stateless_wire import Stateless
from conformance.raw.wire import Answer, Message, Session, Wire
from conformance.revisions import STATELESS

CHECK_BOUND_S: Final = 12.0
PROCESSES_BOUND_S: Final = 40.0
"""Of a check that starts processes of its own: each takes a second, and several on a busy machine."""
EVENTUALLY_S: Final = 5.0
POLL_S: Final = 0.02


class MismatchError(AssertionError):
    """The wire did not show what the revision promises."""


def must(condition: object, text: str) -> None:
    """Raise MismatchError unless the condition holds."""
    if not condition:
        raise MismatchError(text)


@dataclass
class Bench:
    """One (client revision, backend revision) pair under test."""

    children: Children
    http: aiohttp.ClientSession
    client: str
    server: str
    backend: Child
    backend_url: str
    broker: Child
    url: str

    @property
    def wire(self) -> Wire:
        return Wire(self.http, self.url, self.client)

    @property
    def stateless(self) -> Stateless:
        """A client of 2026-07-28 at the broker."""
        return Stateless(self.http, self.url)

    async def open(self, capabilities: Message | None = None) -> Session:
        """A session of the client's revision."""
        return await self.wire.open(capabilities)

    def control(self, path: str) -> str:
        return self.backend_url.removesuffix("/mcp") + path

    async def seen(self) -> list[Message]:
        """Every exchange the backend saw since its process started."""
        async with self.http.get(self.control("/seen")) as response:
            found: list[Message] = await response.json()
            return found

    async def mark(self) -> int:
        """A place in the backend's record, for `since`."""
        return len(await self.seen())

    async def since(self, mark: int) -> list[Message]:
        return (await self.seen())[mark:]

    async def eventually(self, mark: int, wanted: Callable[[list[Message]], Any], what: str) -> Any:
        """The first truthy value of `wanted` over the record since the mark, within a bound."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EVENTUALLY_S):
                while True:
                    if value := wanted(await self.since(mark)):
                        return value
                    await asyncio.sleep(POLL_S)
        raise MismatchError(f"the backend never saw {what}; it saw {brief(await self.since(mark))}")

    async def push(self, message: Message, session: str | None = None) -> int:
        """Send a message on the backend's GET streams, or one session's; gives how many streams there were."""
        query = {} if session is None else {"session": session}
        async with self.http.post(self.control("/push"), json=message, params=query) as response:
            count: int = await response.json()
            return count

    async def pushed(self, message: Message, session: str | None = None) -> None:
        """As `push`, waiting until there is a stream."""
        async with asyncio.timeout(EVENTUALLY_S):
            while True:
                if await self.push(message, session):
                    return
                await asyncio.sleep(POLL_S)

    async def greet(self, message: Message | None) -> None:
        """Make the backend say this to every session from its start, from now on; None: nothing."""
        async with self.http.post(self.control("/greet"), data=json.dumps(message)) as response:
            must(response.status == 204, f"the backend cannot greet: HTTP {response.status}")

    async def forget(self) -> None:
        """Make the backend lose its sessions."""
        async with self.http.post(self.control("/forget")) as response:
            await response.read()

    async def release(self) -> None:
        """Let the backend's calls go on that wait for it."""
        async with self.http.post(self.control("/release")) as response:
            must(response.status == 204, f"the backend cannot release: HTTP {response.status}")

    async def listen_late(self, seconds: float) -> None:
        """Make a stateless backend acknowledge listen streams that late, from now on."""
        async with self.http.post(self.control("/late"), json=seconds) as response:
            must(response.status == 204, f"the backend cannot be late: HTTP {response.status}")

    async def kill_backend(self) -> None:
        """End the backend's process as a crash would."""
        await asyncio.to_thread(self.backend.kill)

    async def start_backend(self) -> None:
        """Start the backend's process again, on its port."""
        port = int(self.backend_url.rsplit(":", 1)[1].removesuffix("/mcp"))
        self.backend, _ = await asyncio.to_thread(self.children.server, "backend", backend_command(self.server), port)


def backend_command(revision: str) -> list[str]:
    """The argv of the scripted backend, without its port."""
    import sys

    return [sys.executable, "-m", "conformance.raw.backend", "--revision", revision]


@dataclass(frozen=True)
class Check:
    """One promise on the wire: `requirement` is a row of requirements.yaml; `applies` gets both revisions."""

    name: str
    requirement: str
    run: Callable[[Bench], Awaitable[None]]
    applies: Callable[[str, str], bool] = lambda _client, _server: True
    bound_s: float = CHECK_BOUND_S


def handshake(_client: str, server: str) -> bool:
    """Whether the backend has sessions, asks by requests and is told of a cancellation."""
    return server != STATELESS


def stateless(_client: str, server: str) -> bool:
    """Whether the backend is of 2026-07-28."""
    return server == STATELESS


def calls(seen: list[Message]) -> list[Message]:
    """The tools/call requests among what was seen, but for those refused with their session, which are sent again."""
    return requests([each for each in seen if not each["lost"]], "tools/call")


def requests(seen: list[Message], method: str) -> list[Message]:
    """The bodies of that method among what was seen."""
    return [each["body"] for each in seen if (each["body"] or {}).get("method") == method]


def methods(seen: list[Message]) -> list[str]:
    """The methods of what was seen, in order; "response" for a response, GET and DELETE by their own name."""
    return [
        str(each["body"].get("method", "response")) if each["body"] is not None else str(each["http"]) for each in seen
    ]


OWN_TRAFFIC: Final = frozenset(
    (
        "initialize",
        "notifications/initialized",
        "tools/list",
        "ping",
        "GET",
        "DELETE",
        "server/discover",
        "subscriptions/listen",
    )
)
"""What a broker may say to a backend of its own accord, at any moment."""


def carried(seen: list[Message]) -> list[str]:
    """The methods of what was seen, without what a broker may send by itself."""
    return [method for method in methods(seen) if method not in OWN_TRAFFIC]


def brief(value: Any, limit: int = 300) -> str:
    """A value in few characters."""
    if isinstance(value, Answer):
        value = {"status": value.status, "messages": value.messages, "body": value.body[:120]}
    if isinstance(value, list) and value and isinstance(value[0], dict) and "http" in value[0]:
        value = methods(value)
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def text_of(result: Message) -> str:
    """The first text block of a tool's result."""
    for block in result.get("content", ()):
        if block.get("type") == "text":
            return str(block["text"])
    raise MismatchError(f"no text block in {brief(result)}")


def broker_error(answer: Answer, request_id: Any, secret: str) -> None:
    """The answer is a JSON-RPC error of the broker's own in HTTP 200, and quotes nothing of the backend's
    body."""
    must(answer.status == 200, f"HTTP {answer.status}, not 200: {brief(answer)}")
    response = answer.response(request_id)
    must(response is not None and "error" in response, f"no error response: {brief(answer)}")
    assert response is not None
    data = response["error"].get("data")
    must(
        isinstance(data, dict) and data.get("origin") == "broker",
        f"not marked as the broker's: {brief(response)}",
    )
    must(isinstance(data.get("reason"), str), f"no reason: {brief(response)}")
    must(secret not in str(answer.messages), "the backend's body is quoted to the client")
