"""Writes one stream to one HTTP response until it ends or its reader goes.

All that waits goes out in one write; a reader that takes nothing for a while is cut off, and may resume.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from broker.streams import Stream

if TYPE_CHECKING:
    from broker.faces.context import FaceContext

STALL_S = 30.0
"""A reader that takes nothing for this long is gone; nginx's send_timeout is 60 s, HAProxy's client timeout 30 s."""

SMALL = 16 * 1024
"""Pieces up to this size go into an empty transport buffer without waiting: aiohttp's high-water mark is 64 KiB."""

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


async def write_stream(
    request: web.Request, stream: Stream, context: FaceContext, headers: dict[str, str]
) -> web.StreamResponse:
    """Send the stream as the answer; returns when it has ended or another connection took it over."""
    response = web.StreamResponse(headers={**HEADERS, **headers})
    holder = stream.attach()
    keepalive = context.keepalive(stream)
    try:
        await response.prepare(request)
        while stream.holder == holder:
            data = stream.take()
            if data:
                transport = request.transport
                if transport is None:
                    break
                if len(data) <= SMALL and transport.get_write_buffer_size() == 0:
                    await response.write(data)
                else:
                    async with asyncio.timeout(STALL_S):
                        await response.write(data)
            elif stream.ended:
                break
            else:
                await stream.wait()
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        keepalive()
        stream.detach(holder)
    return response
