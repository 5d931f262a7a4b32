"""The load generator's client of 2026-07-28: no session, each request with its envelope and the headers that mirror it.

Follows 2026-07-28 basic/index (`_meta`), basic/transports/streamable-http (request metadata) and server/discover.
The invariant: every request is one that a conforming server must take, made from the same body as a session client's.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec

from benchmarks import facts
from benchmarks.client import CLIENT_INFO, OPEN_SECONDS, HarnessError, Session, connect
from benchmarks.stateless import META

_OPENING: Final = b'"params":{'
_META: Final = b'"_meta":{'
_CURSOR: Final = b'"cursor":"'


class _Named(msgspec.Struct):
    name: str = ""


class _Asked(msgspec.Struct):
    """What of a body the headers repeat."""

    method: str
    params: _Named = msgspec.field(default_factory=_Named)


_asked = msgspec.json.Decoder(_Asked).decode


class Bare(Session):
    """A caller of one target, who may have a key: its connection, its envelope, and what `server/discover` said.

    Where the target lends a session of its backend, cursors are that session's: what they begin with is learned from
    a first page, and put before each cursor that is sent.
    """

    def __init__(self, port: int, path: str, capabilities: dict[str, object], key: str = "") -> None:
        super().__init__(port, path, facts.STATELESS, capabilities, key)
        envelope = {"protocolVersion": facts.STATELESS, "clientInfo": CLIENT_INFO, "clientCapabilities": capabilities}
        self.envelope = msgspec.json.encode({f"{META}{name}": value for name, value in envelope.items()})[1:-1]
        self.cursors = b""

    async def open(self) -> None:
        """Connect, `server/discover`, and the first page of the tools.

        Raises:
            HarnessError: refused, lost, or not answered within 20 seconds.
        """
        self.head = self._head(b"MCP-Protocol-Version: %b\r\n" % facts.STATELESS.encode())
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                self.connection = await connect(self.port)
                found = await self._result(b"server/discover")
                self.answered_ns = time.perf_counter_ns()
                if facts.STATELESS in found["supportedVersions"]:
                    self.negotiated = facts.STATELESS
                page = await self._result(b"tools/list")
                self.cursors = str(page.get("nextCursor", "")).removesuffix("after-").encode()
        except (OSError, TimeoutError, LookupError, msgspec.DecodeError) as error:
            raise HarnessError(f"discovery at port {self.port}: {type(error).__name__} {error}") from error

    async def _result(self, method: bytes) -> dict[str, Any]:
        status, messages = await self.ask(b'{"jsonrpc":"2.0","id":0,"method":"%b","params":{}}' % method)
        answer = msgspec.json.decode(messages[-1]) if messages else {}
        if status != 200 or answer.get("result", {}).get("resultType") != "complete":
            raise HarnessError(f"{method.decode()} at port {self.port} answered {status} {messages[:1]!r:.300}")
        return dict(answer["result"])

    def post(self, body: bytes) -> bytes:
        """The bytes of a whole POST of a session client's message."""
        asked = _asked(body)
        lines = b"Mcp-Method: %b\r\n" % asked.method.encode()
        if asked.params.name:
            lines += b"Mcp-Name: %b\r\n" % asked.params.name.encode()
        if _META in body:
            body = body.replace(_META, b"%b%b," % (_META, self.envelope), 1)
        else:
            after = b"" if body.endswith(b"{}}") else b","
            body = body.replace(_OPENING, b"%b%b%b}%b" % (_OPENING, _META, self.envelope, after), 1)
        if self.cursors:
            body = body.replace(_CURSOR, _CURSOR + self.cursors, 1)
        return b"%b%d\r\n%b\r\n%b" % (self.head, len(body), lines, body)

    async def end(self) -> None:
        """Close: there is nothing to delete."""
        self.connection.close()


def client(port: int, path: str, revision: str, key: str = "") -> Session:
    """A client of this revision, of either kind; nothing is sent yet."""
    return Bare(port, path, {}, key) if revision == facts.STATELESS else Session(port, path, revision, {}, key)
