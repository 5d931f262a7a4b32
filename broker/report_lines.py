"""The way a report asks a server: over Streamable HTTP by itself, to keep statuses; else as the broker's sessions go.

Invariants: an exchange ends with its response, with none, or with `CannotAsk`, within a bounded time; what the server
asks meanwhile is refused, for nobody is there to be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final, Literal, Protocol

from msgspec import UNSET

from broker.backends.base import Legs, Reach, SessionBackend
from broker.backends.http1 import Pool, Timeouts
from broker.backends.http_reach import HttpReach
from broker.backends.streamable_http import SESSION_ID_MAX
from broker.report_sink import WHY, CannotAsk, Sink
from broker.stream_wait import STREAM_READY_S
from protocol_versions import by_id, jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.reply import TEXTS

ANSWER_S: Final = 30.0  # one answer; the SDKs give a handshake as long
_TIMEOUTS: Final = Timeouts(connect_s=10.0, head_s=ANSWER_S, idle_s=ANSWER_S, total_s=ANSWER_S)


class Line(Protocol):
    """One conversation. `session` says whether the server gave an id, `streams` whether it answers in streams."""

    @property
    def session(self) -> bool: ...
    @property
    def streams(self) -> bool: ...
    def settle(self, revision: str) -> None: ...
    async def exchange(self, frame: Frame, number: int) -> Frame | None: ...
    async def stands(self) -> bool: ...
    async def end(self) -> None: ...


def line_to(reach: Reach, *, stateless: bool) -> Line:
    """A conversation that has not begun."""
    if isinstance(reach, HttpReach) and not reach.is_pair:
        return HttpLine(reach.pool)
    return StatelessLine(reach) if stateless else ChannelLine(reach)


class HttpLine:
    """Over Streamable HTTP, with a session or without."""

    def __init__(self, pool: Pool) -> None:
        self.streams = False
        self._pool = pool
        self._revision = ""
        self._session = ""

    @property
    def session(self) -> bool:
        """True once the server gave a session id."""
        return bool(self._session)

    def settle(self, revision: str) -> None:
        """The revision is known from now on."""
        self._revision = revision

    async def exchange(self, frame: Frame, number: int) -> Frame | None:
        """The response to one POST; None if it holds none (which is right for a notification, number 0)."""
        lines = b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n" + self._head()
        if frame.method is not UNSET and self._revision and not by_id(self._revision).traits.sessions:
            lines += b"mcp-method: %b\r\n" % frame.method.encode()
        sink = Sink(number)
        sink.ticket = self._pool.send(b"POST", lines, jsonrpc.encode(frame), sink, timeouts=_TIMEOUTS)
        answer = await sink.frame
        self.streams = self.streams or sink.streams
        if sink.status in (401, 403):
            hint = ": if it wants a person to sign in, run `dragoman login` with its address" * (sink.status == 401)
            raise CannotAsk(f"the server refused the credentials (HTTP {sink.status}){hint}")
        if answer is None and (number or sink.status >= 400):
            raise CannotAsk(f"the server answered with HTTP {sink.status} and no JSON-RPC response")
        name = sink.headers.get("mcp-session-id", "")
        if name and not self._session and len(name) <= SESSION_ID_MAX and name.isascii() and name.isprintable():
            self._session = name
        return answer

    async def stands(self) -> bool:
        """Whether there is a standing stream."""
        sink = Sink(0)
        head = b"accept: text/event-stream\r\n" + self._head()
        ticket = self._pool.send(b"GET", head, b"", sink, timeouts=_TIMEOUTS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STREAM_READY_S):
                await sink.headed.wait()
        # Servers hold back the head until there is something to say.
        standing = not sink.headed.is_set() or (sink.status == 200 and sink.streams)
        ticket.abort()
        return standing

    async def end(self) -> None:
        """Delete the session, if there is one, whatever the server thinks of that."""
        if self._session:
            sink = Sink(0)
            self._pool.send(b"DELETE", self._head(), b"", sink, timeouts=_TIMEOUTS)
            with contextlib.suppress(CannotAsk):
                await sink.frame

    def _head(self) -> bytes:
        """The lines that say which revision and which session this is."""
        lines = b""
        if self._revision and by_id(self._revision).traits.version_header:
            lines += b"mcp-protocol-version: %b\r\n" % self._revision.encode()
        return lines + (b"mcp-session-id: %b\r\n" % self._session.encode() if self._session else b"")


class _Waiting:
    """Answers by number; what is common to sessions and requests that stand alone."""

    def __init__(self) -> None:
        self._answers: dict[int, asyncio.Future[Frame]] = {}

    async def _wait(self, number: int, limit_s: float | None) -> Frame:
        try:
            async with asyncio.timeout(limit_s):
                return await self._answers[number]
        except TimeoutError:
            raise CannotAsk(_why("backend-timeout")) from None
        finally:
            del self._answers[number]

    def _expect(self, number: int) -> None:
        self._answers[number] = asyncio.get_running_loop().create_future()

    def _answered(self, number: int, frame: Frame) -> None:
        waiting = self._answers.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def _failed(self, number: int, reason: str) -> None:
        waiting = self._answers.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_exception(CannotAsk(_why(reason)))


class ChannelLine(_Waiting):
    """A session as the broker opens it, for a client that can be asked nothing (broker.backends.base.Owner)."""

    session = streams = True

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self._backend: SessionBackend = reach.session(self)

    def settle(self, revision: str) -> None:
        """The server has answered `initialize`."""
        if revision:
            self._backend.settle(revision, by_id(revision).traits)

    async def exchange(self, frame: Frame, number: int) -> Frame | None:
        """The response to a request; None for a notification. How long a start may take, the backend knows itself."""
        body = jsonrpc.encode(frame)
        if not number:
            self._backend.notify(body, 0)
            return None
        opening = frame.method == "initialize"
        self._expect(number)
        self._backend.request(number, body, initialize=opening)
        return await self._wait(number, None if opening else ANSWER_S)

    async def stands(self) -> bool:
        """A channel is its own standing stream."""
        return True

    async def end(self) -> None:
        """End the session, and its process or stream."""
        self._backend.close()

    def backend_message(self, stream: int, frame: Frame) -> None:
        """An answer, or something nobody is there for."""
        if frame.method is UNSET:
            self._answered(stream, frame)
        elif frame.id is not UNSET:
            said: dict[str, Any] = {} if frame.method == "ping" else {"error": _NOBODY}
            reply = Frame(id=frame.id, **said) if said else Frame(id=frame.id, result={})
            self._backend.notify(jsonrpc.encode(reply), 0)

    def backend_failed(self, call: int, reason: str, executed: Literal["no", "unknown"]) -> None:  # noqa: ARG002
        """There will be no answer."""
        self._failed(call, reason)

    def backend_lost(self, call: int, body: bytes, session_id: str | None) -> None:  # noqa: ARG002
        """The session is gone, and what was asked in it."""
        for number in list(self._answers):
            self._failed(number, "backend-closed")

    def backend_moved(self, call: int, body: bytes, *, stateless: bool | None = None) -> None:  # noqa: ARG002
        """The server left its era while it was asked."""
        self._failed(call, "backend-closed")

    def backend_accepted(self, exchange: int) -> None:
        """A notification was taken."""

    def backend_stream(self, _usable: bool) -> None:
        """The standing stream is of no interest."""

    def backend_gap(self) -> None:
        """Nor is what it lost."""

    def backend_violation(self, reason: str) -> None:
        """What is no message says nothing of what can be had."""


class StatelessLine(_Waiting):
    """Requests that stand alone, as the broker sends them (broker.backends.base.StatelessOwner)."""

    session = streams = False

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self._legs: Legs = reach.legs(self)

    def settle(self, revision: str) -> None:
        """Every request says it itself."""

    async def exchange(self, frame: Frame, number: int) -> Frame | None:
        """The response to a request."""
        assert frame.method is not UNSET
        self._expect(number)
        self._legs.post(number, frame, (("mcp-method", frame.method),))
        return await self._wait(number, ANSWER_S)

    async def stands(self) -> bool:
        """There is no such stream."""
        return False

    async def end(self) -> None:
        """Cancel what is open."""
        self._legs.close()

    def leg_message(self, leg: int, frame: Frame) -> None:
        """The response; no notification was asked for."""
        if frame.method is UNSET:
            self._answered(leg, frame)

    def leg_failed(self, leg: int, reason: str, executed: Literal["no", "unknown"]) -> None:  # noqa: ARG002
        """There will be no answer."""
        self._failed(leg, reason)

    def leg_violation(self, leg: int, reason: str) -> None:
        """What is no message says nothing of what can be had."""


_NOBODY: Final = jsonrpc.ErrorObject(code=jsonrpc.METHOD_NOT_FOUND, message="Method not found")


def _why(reason: str) -> str:
    text = WHY.get(reason) or TEXTS.get(reason, reason)
    return text[0].lower() + text[1:]
