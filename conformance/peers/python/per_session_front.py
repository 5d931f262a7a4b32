# /// script
# requires-python = ">=3.11"
# dependencies = ["aiohttp==3.14.5"]
# ///
"""One server process per session: `--port N [--host H] [--idle SECONDS] -- COMMAND...`.

For servers whose sessions can harm one another. COMMAND is run with `--port 0` added and must print
`READY URL`. A process waits for the next session; it becomes that session's own by the Mcp-Session-Id of its
answer, and ends with the session (DELETE, or nothing open for the idle time). Bodies stream both ways.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque

from aiohttp import ClientPayloadError, ClientSession, ClientTimeout, TCPConnector, web

START = 30.0  # seconds for a process to be ready
STOP = 3.0  # seconds between SIGTERM and SIGKILL
IDLE = 300.0  # seconds without an open exchange before a session's process ends
REMEMBERED = 1000  # ended sessions that are still answered 404, as a process that ends a session answers
SESSION = "Mcp-Session-Id"
# RFC 9110 section 7.6.1: these belong to one connection.
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}


class Child:
    """A server process and what is open on it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = ""
        self.open = 0
        self.used = time.monotonic()

    async def stop(self) -> None:
        """End the process, by force when it takes longer than `STOP`."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


class Front:
    """Routes each exchange to the process of its session."""

    def __init__(self, command: list[str], idle: float) -> None:
        self.command = command
        self.idle = idle
        self.children: set[Child] = set()
        self.sessions: dict[str, Child] = {}
        self.ended: deque[str] = deque(maxlen=REMEMBERED)
        self.spare: Child | None = None
        self.endings: set[asyncio.Task[None]] = set()
        self.http: ClientSession

    async def start(self) -> Child:
        """Start a process and wait until it is ready."""
        process = await asyncio.create_subprocess_exec(*self.command, "--port", "0", stdin=DEVNULL, stdout=PIPE)
        child = Child(process)
        self.children.add(child)
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START)
        except BaseException:
            await self.end(child)
            raise
        if not line.startswith(b"READY "):
            await self.end(child)
            raise web.HTTPBadGateway(text="the server did not start")
        child.url = line.decode().removeprefix("READY ").strip()
        return child

    async def claim(self) -> Child:
        """A process without a session, for this caller alone."""
        child, self.spare = self.spare, None
        return child if child and child.process.returncode is None else await self.start()

    def leave(self, child: Child) -> None:
        """Keep a claimed process that got no session for the next caller, unless one is kept already."""
        if self.spare is None:
            self.spare = child
        else:
            self.end_soon(child)

    def end_soon(self, child: Child) -> None:
        """End a process without waiting for it."""
        ending = asyncio.create_task(self.end(child))
        self.endings.add(ending)
        ending.add_done_callback(self.endings.discard)

    async def end(self, child: Child) -> None:
        """Stop a process and forget its sessions."""
        self.children.discard(child)
        self.ended.extend(name for name, owner in self.sessions.items() if owner is child)
        self.sessions = {name: owner for name, owner in self.sessions.items() if owner is not child}
        if self.spare is child:
            self.spare = None
        await child.stop()

    async def relay(self, request: web.Request) -> web.StreamResponse:
        """Pass one exchange through to its session's process, or to one that has no session yet."""
        name = request.headers.get(SESSION, "")
        if name in self.ended:
            raise web.HTTPNotFound(text="Session ended")
        owner = self.sessions.get(name)
        child = owner or await self.claim()
        child.open += 1
        try:
            return await self._exchange(request, child)
        finally:
            child.open -= 1
            child.used = time.monotonic()
            if child not in self.sessions.values() and child in self.children:
                self.leave(child)

    async def _exchange(self, request: web.Request, child: Child) -> web.StreamResponse:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        body = request.content if request.can_read_body else None
        async with self.http.request(request.method, child.url, headers=headers, data=body) as answer:
            name = answer.headers.get(SESSION)
            if name and answer.status == 200 and SESSION not in request.headers:
                self.sessions[name] = child
            out = web.StreamResponse(status=answer.status, reason=answer.reason)
            for key, value in answer.headers.items():
                if key.lower() not in HOP_BY_HOP:
                    out.headers.add(key, value)
            await out.prepare(request)
            try:
                async for data in answer.content.iter_any():
                    await out.write(data)
                await out.write_eof()
            except (ClientPayloadError, ConnectionResetError):
                if request.transport:
                    request.transport.abort()  # one side was cut: cut the other
                return out
        if request.method == "DELETE" and out.status < 300 and child in self.sessions.values():
            self.end_soon(child)
        return out

    async def sweep(self) -> None:
        """End processes of sessions that nobody uses any more."""
        while True:
            await asyncio.sleep(min(self.idle, 5.0))
            due = time.monotonic() - self.idle
            for child in list(self.children):
                gone = child.process.returncode is not None
                if gone or (child is not self.spare and not child.open and child.used < due):
                    await self.end(child)


async def serve(options: argparse.Namespace, command: list[str]) -> None:
    """Serve until SIGTERM or SIGINT, then end every process."""
    front = Front(command, options.idle)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = web.Application()
    app.router.add_route("*", "/mcp", front.relay)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector, timeout=ClientTimeout(total=None), auto_decompress=False) as http:
        front.http = http
        sweeper = asyncio.create_task(front.sweep())
        try:
            front.spare = await front.start()
            await runner.setup()
            await web.TCPSite(runner, options.host, options.port).start()
            host, port = runner.addresses[0][:2]
            print(f"READY http://{host}:{port}/mcp", flush=True)
            await stop.wait()
        finally:
            sweeper.cancel()
            await asyncio.gather(*(front.end(child) for child in list(front.children)), *front.endings)
            await runner.cleanup()


def main() -> None:
    """Parse the command line and serve."""
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    own, command = arguments[:cut], arguments[cut + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", choices=("127.0.0.1", "localhost", "::1"))
    parser.add_argument("--idle", type=float, default=IDLE)
    options = parser.parse_args(own)
    if not command:
        parser.error("a COMMAND after -- is needed")
    asyncio.run(serve(options, command))


if __name__ == "__main__":
    main()
