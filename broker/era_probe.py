"""Asking a backend for its era: one `server/discover` with everything a stateless request needs, bounded in time.

Follows 2026-07-28 server/discover and basic/versioning. Invariants: a probe is never a real request (servers run those
before any handshake); a session that a backend opened for a probe it refused is deleted, never used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from broker import sse
from broker.backends.http1_types import BackendFailure, Pool, Ticket, Timeouts
from broker.backends.legs import QuietLeg
from broker.backends.streamable_http import SESSION_ID_MAX
from broker.era_question import new_id, question
from broker.era_signs import MODERN, Verdict, answer_in, classify, unanswered
from protocol_versions import jsonrpc

PROBE_S: Final = 8.0
"""How long a probe may take; the C# client waits 5 s, the Python client and rmcp 10 s."""

PROBE_BYTES: Final = 1024 * 1024
"""Longest answer that is read: a discovery is capabilities and at most a page of instructions."""


class Prober:
    """Probes one backend, as one identity: the pool's credentials are part of the question."""

    def __init__(
        self,
        pool: Pool,
        client_info: Mapping[str, Any],
        *,
        timeout_s: float = PROBE_S,
        new_id: Callable[[], str] = new_id,
    ) -> None:
        self._pool = pool
        self._client_info = dict(client_info)
        self._timeouts = Timeouts(connect_s=timeout_s, head_s=timeout_s, idle_s=timeout_s, total_s=timeout_s)
        self._new_id = new_id

    async def __call__(self) -> Verdict:
        """The backend's verdict, never `retry`: a version it names itself is asked for once."""
        verdict = await self._ask(MODERN[-1])
        if verdict.kind == "retry":
            verdict = await self._ask(verdict.revision)
        if verdict.kind == "retry":
            return Verdict(kind="fail", reason="version-refused")
        return verdict

    async def _ask(self, revision: str) -> Verdict:
        body = jsonrpc.encode(question(self._new_id(), revision, self._client_info))
        head = (
            b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
            b"mcp-protocol-version: %b\r\nmcp-method: server/discover\r\n" % revision.encode()
        )
        sink = ProbeSink(self._delete)
        sink.ticket = self._pool.send(b"POST", head, body, sink, timeouts=self._timeouts, max_body=PROBE_BYTES)
        try:
            return await sink.verdict
        finally:
            sink.ticket.abort()

    def _delete(self, session_id: str) -> None:
        """End the session a refused probe left behind: SDK servers keep it for ever (python-sdk 1.30 and 2.3)."""
        if 0 < len(session_id) <= SESSION_ID_MAX and all("!" <= char <= "~" for char in session_id):
            line = b"mcp-session-id: %b\r\n" % session_id.encode()
            self._pool.send(b"DELETE", line, b"", QuietLeg(), timeouts=self._timeouts)


class ProbeSink:
    """Collects one answer; `verdict` is done at its end, or at the response of an event stream."""

    def __init__(self, delete: Callable[[str], None]) -> None:
        self.verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.ticket: Ticket | None = None
        self._delete = delete
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._chunks: list[bytes] = []
        self._size = 0
        self._parser: sse.Parser | None = None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Remember it, and give back a session nobody asked for."""
        self._status = status
        self._headers = headers
        if headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream":
            self._parser = sse.Parser(PROBE_BYTES)
        if "mcp-session-id" in headers:
            self._delete(headers["mcp-session-id"])

    def body(self, data: bytes) -> None:
        """A piece; a stream need not end for its response to be read."""
        self._size += len(data)
        if self._size > PROBE_BYTES:
            self._settle(Verdict(kind="inconclusive", reason="too-large"))
            return
        self._chunks.append(data)
        if self._parser is not None and any(answer_in(event) is not None for event in self._parser.feed(data)):
            self.done()

    def done(self) -> None:
        """The whole answer is there."""
        self._settle(classify(self._status, self._headers, b"".join(self._chunks)))

    def failed(self, failure: BackendFailure) -> None:
        """There is no answer."""
        self._settle(unanswered(failure))

    def _settle(self, verdict: Verdict) -> None:
        if not self.verdict.done():
            self.verdict.set_result(verdict)
            if self.ticket is not None:
                self.ticket.abort()
