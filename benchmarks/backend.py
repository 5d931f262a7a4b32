"""An MCP server that costs about 7 us a request: raw uvloop protocol, httptools, ready-made bytes.

`python -m benchmarks.backend --port N` serves, on loopback:
- `POST|GET|DELETE /<revision>/mcp` and `/<revision>/changing/mcp`: a server pinned to that revision; the
  second advertises changing lists, so that a broker has a reason to hold a stream. 2026-07-28 (`stateless.py`) takes
  POST alone; `/<revision>/one/mcp` (not 2026-07-28) lists `echo` and nothing else, for clients that look a tool up
  before they call it;
- `GET /stats`: JSON counters since the start, not counted themselves (nor is a connection that asks only
  this).

Follows <revision>/basic/transports (Streamable HTTP) with session ids. The invariant: it is as strict as a
real server (missing session 400, foreign session 404, another revision's version header 400), every refusal
counted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import secrets
import time
from collections.abc import Callable
from typing import cast

import httptools
import msgspec
import uvloop

from benchmarks import facts, stateless
from benchmarks.wire import DECODE, ENCODE, STREAM_HEAD, Ask, Stats, event, http

GAP_MS_LIMIT = 1_000  # pacing a caller may ask for; the rows use 2 and 5 ms
EVENTS_LIMIT = 100_000
ONE = b"/one/mcp"


class Server:
    """What the connections share: sessions by revision, counters, prepared bodies."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.sessions: set[bytes] = set()
        self.tools = {revision: facts.tools_json(revision) for revision in facts.REVISIONS}
        self.gathered: list[tuple[Connection, Ask, bytes]] = []
        self.big = b"x" * facts.BIG_TEXT_BYTES
        self.routes = {
            path: (revision, changing)
            for revision in facts.REVISIONS
            for path, changing in (
                (f"/{revision}/mcp".encode(), False),
                (f"/{revision}/changing/mcp".encode(), True),
                (f"/{revision}/one/mcp".encode(), False),
            )
        }

    def counters(self) -> bytes:
        self.stats.sessions = len(self.sessions)
        return ENCODE.encode(self.stats)


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; requests are answered in order, streams until done or the peer leaves."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.parser = httptools.HttpRequestParser(self)
        self.counted = False
        self.holds_stream = False
        self.timer: asyncio.TimerHandle | None = None
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write

    def connection_lost(self, _: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.holds_stream:
            self.server.stats.open_streams -= 1

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.server.stats.refused += 1
            self.transport.abort()

    def on_message_begin(self) -> None:
        self.body = b""
        self.url = b""
        self.session = b""
        self.version = b""
        self.method = b""
        self.name = b""
        self.stateless = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        size = len(name)
        if size == 14 and name.lower() == b"mcp-session-id":
            self.session = value
        elif size == 20 and name.lower() == b"mcp-protocol-version":
            self.version = value
        elif size == 10 and name.lower() == b"mcp-method":
            self.method = value
        elif size == 8 and name.lower() == b"mcp-name":
            self.name = value

    def on_body(self, data: bytes) -> None:
        self.body = self.body + data if self.body else data

    def on_message_complete(self) -> None:
        stats = self.server.stats
        if self.url == b"/stats":
            self.write(http("200 OK", self.server.counters()))
            return
        if not self.counted:
            self.counted = True
            stats.connections += 1
        stats.requests += 1
        route = self.server.routes.get(self.url)
        method = self.parser.get_method()
        if route is None:
            self.refuse("404 Not Found")
        elif route[0] == facts.STATELESS:
            self.stateless_post(*route) if method == b"POST" else self.refuse("405 Method Not Allowed")
        elif method == b"POST":
            self.post(*route)
        elif not self.known_session(route[0]):
            return
        elif method == b"GET":
            self.holds_stream = True
            stats.open_streams += 1
            self.write(STREAM_HEAD)
        elif method == b"DELETE":
            self.server.sessions.discard(self.session)
            self.write(http("200 OK"))
        else:
            self.refuse("405 Method Not Allowed")

    def refuse(self, status: str, code: int = -32600, text: str = "Refused") -> None:
        """Answer with an error status and count it."""
        self.server.stats.refused += 1
        error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": text}}
        self.write(http(status, ENCODE.encode(error)))

    def known_session(self, revision: str) -> bool:
        """Whether the session and version headers are right; refuses otherwise."""
        if self.version and self.version != revision.encode():
            self.refuse("400 Bad Request", text="Unsupported protocol version")
            return False
        if self.session not in self.server.sessions:
            self.refuse("404 Not Found" if self.session else "400 Bad Request", -32001 if self.session else -32600)
            return False
        return True

    def post(self, revision: str, changing: bool) -> None:
        """Answer one client message."""
        try:
            ask = DECODE.decode(self.body)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return self.refuse("400 Bad Request", -32700)
        if ask.method == "initialize":
            session = secrets.token_hex(16).encode()
            self.server.sessions.add(session)
            extra = b"Mcp-Session-Id: %b\r\n" % session
            return self.answer(ask, facts.initialize_json(revision, changing), extra)
        if not self.known_session(revision):
            return None
        if ask.id is None or not ask.method:
            return self.write(http("202 Accepted"))
        if ask.method == "tools/call":
            self.server.stats.calls += 1
            return self.call(ask, revision)
        if ask.method == "tools/list":
            self.server.stats.calls += 1
            if self.url.endswith(ONE):
                return self.answer(ask, facts.ONE_TOOL)
            return self.answer(ask, facts.page_json(self.server.tools[revision], ask.params.cursor))
        if ask.method == "ping":
            return self.answer(ask, b"{}")
        error = {"jsonrpc": "2.0", "id": ask.id, "error": {"code": -32601, "message": "Method not found"}}
        return self.write(http("200 OK", ENCODE.encode(error)))

    def stateless_post(self, revision: str, changing: bool) -> None:
        """Answer one request that stands for itself."""
        try:
            ask = DECODE.decode(self.body)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return self.refuse("400 Bad Request", -32700)
        fault = stateless.fault(ask, self.session, self.version, self.method, self.name)
        if fault is not None:
            return self.refuse("400 Bad Request", *fault)
        self.stateless = True
        if ask.method == "tools/call":
            self.server.stats.calls += 1
            return self.call(ask, revision)
        if ask.method == "tools/list":
            self.server.stats.calls += 1
            return self.answer(ask, stateless.page(self.server.tools[revision], ask.params.cursor))
        if ask.method == "server/discover":
            return self.answer(ask, stateless.discovery(changing))
        return self.refuse("404 Not Found", -32601, "Method not found")

    def answer(self, ask: Ask, result: bytes, extra: bytes = b"") -> None:
        """The result as one JSON answer."""
        self.write(http("200 OK", self.message(ask, result), extra))

    def message(self, ask: Ask, result: bytes) -> bytes:
        if self.stateless:
            result = stateless.complete(result)
        return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (ENCODE.encode(ask.id), result)

    def call(self, ask: Ask, revision: str) -> None:
        """Run a tool: `echo`, `measure` (structured), `big` (1 MB), `echo_sse`, `gather`, `stream` (N events)."""
        arguments = ask.params.arguments
        mark = str(arguments.get("text", ""))
        text = b'{"content":[{"type":"text","text":%b}]}' % ENCODE.encode(mark)
        name = ask.params.name
        if name == "echo":
            return self.answer(ask, text)
        if name == "measure":
            return self.answer(ask, facts.reading_json(revision, mark))
        if name == "big":
            return self.big(ask, mark)
        if name == "echo_sse":
            self.transport.writelines((STREAM_HEAD, event(self.message(ask, text)), b"0\r\n\r\n"))
            return None
        if name == "gather":
            return self.gather(ask, text)
        if name == "stream":
            self.write(STREAM_HEAD)
            return self.stream(ask, mark, self.message(ask, text), 0)
        return self.answer(ask, b'{"content":[{"type":"text","text":"Unknown tool"}],"isError":true}')

    def gather(self, ask: Ask, text: bytes) -> None:
        """Answer only when `count` such calls wait, all at once: so many calls are then under way together."""
        waiting = self.server.gathered
        waiting.append((self, ask, text))
        if len(waiting) >= int(ask.params.arguments.get("count", 1)):
            self.server.gathered = []
            for connection, waited, result in waiting:
                connection.answer(waited, result)

    def big(self, ask: Ask, mark: str) -> None:
        """One megabyte of text after the mark, in pieces: formatting it would cost more than sending it."""
        before, after = self.message(ask, b'{"content":[{"type":"text","text":"%b|"}]}' % mark.encode()).split(b"|")
        size = len(before) + len(self.server.big) + len(after)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size
        self.transport.writelines((head + before, self.server.big, after))

    def stream(self, ask: Ask, mark: str, last: bytes, sent: int) -> None:
        """Write the next events (one when paced, fifty in a burst) and come back for the rest."""
        self.timer = None
        arguments = ask.params.arguments
        total = min(int(arguments.get("events", 0)), EVENTS_LIMIT)
        gap_ms = min(float(arguments.get("gap_ms", 0)), GAP_MS_LIMIT)
        token = ENCODE.encode(ask.params.meta.get("progressToken"))
        upto = min(total, sent + (1 if gap_ms else facts.BURST_EVENTS_PER_WRITE))
        now = time.perf_counter_ns()
        events = b"".join(
            event(
                b'{"jsonrpc":"2.0","method":"notifications/progress","params":'
                b'{"progressToken":%b,"progress":%d,"total":%d,"message":"%b %d"}}'
                % (token, number, total, mark.encode(), now)
            )
            for number in range(sent + 1, upto + 1)
        )
        if upto == total:
            self.write(events + event(last) + b"0\r\n\r\n")
            return
        self.write(events)
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(gap_ms / 1000, self.stream, ask, mark, last, upto)


async def serve(port: int, protocol: Callable[[], Connection]) -> None:
    """Serve until the process is ended."""
    listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, backlog=facts.BACKLOG)
    gc.collect()
    gc.freeze()
    async with listener:
        await listener.serve_forever()


def main() -> None:
    """The command line of the backend process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    server = Server()
    uvloop.run(serve(parser.parse_args().port, lambda: Connection(server)))


if __name__ == "__main__":
    main()
