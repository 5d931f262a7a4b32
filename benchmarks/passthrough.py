"""The base of all ratios: a bare aiohttp reverse proxy (aiohttp server, ClientSession, uvloop), bytes
through.

`python -m benchmarks.passthrough URL --port N` serves `/mcp`. The invariant: it reads nothing of what it
carries; JSON answers go in one write, event streams chunk by chunk as they come. It is kept as lean as such a
proxy can be, so that beating it means something.
"""

from __future__ import annotations

import argparse
import asyncio

import aiohttp
import uvloop
from aiohttp import web

HOP_BY_HOP = frozenset(
    ("connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)


class PassThrough:
    """Forwards every request to one URL."""

    def __init__(self, url: str, client: aiohttp.ClientSession) -> None:
        self.url = url
        self.client = client

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The backend's answer, byte for byte."""
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        data = await request.read() if request.body_exists else None
        async with self.client.request(request.method, self.url, headers=headers, data=data) as answer:
            back = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP]
            if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                body = await answer.read()
                response = web.Response(status=answer.status, body=body)
                response.headers.clear()
                response.headers.extend(back)
                return response
            stream = web.StreamResponse(status=answer.status)
            stream.headers.extend(back)
            await stream.prepare(request)
            async for data in answer.content.iter_any():
                await stream.write(data)
            await stream.write_eof()
            return stream


async def serve(url: str, port: int) -> None:
    """Serve until the process is ended."""
    client = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/mcp", PassThrough(url, client).handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


def main() -> None:
    """The command line of the pass-through process."""
    parser = argparse.ArgumentParser(description="A bare aiohttp byte pass-through.")
    parser.add_argument("url")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.url, arguments.port))


if __name__ == "__main__":
    main()
