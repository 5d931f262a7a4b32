"""The standing stream of a session over Streamable HTTP, or the rest of a stream that broke off: what a GET is for.

Follows basic/transports of 2025-03-26 to 2025-11-25. A stream has a place among its caller's as long as somebody reads
it; whoever takes it up again while its last reader is not known to be gone takes over the place. Refusals: 409 and 429,
which SDK clients report and then go on without the stream; on a 404 they would open another session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from broker.faces.writer import write_stream
from broker.quotas.quotas import Over

if TYPE_CHECKING:
    from broker.faces.context import FaceContext
    from broker.sessions import Session


async def stand(
    request: web.Request, session: Session, context: FaceContext, headers: dict[str, str]
) -> web.StreamResponse:
    """Write a stream of this session until it ends or its reader goes."""
    last, outbox = request.headers.get("Last-Event-ID"), session.outbox
    stream = None
    if last is not None:
        stream = outbox.resume(last)
        if stream is None:
            return context.deny(request, 400, "Bad Request: nothing to resume from this event", "event-id")
    elif sum(each.attached for each in outbox.standing) >= context.max_streams:
        return context.deny(request, 409, "Conflict: too many streams for this session", "streams")
    place = stream.ticket if stream is not None and stream.attached else None
    ticket = context.quotas.stream(session.principal) if place is None else place
    if isinstance(ticket, Over):
        return context.too_many(request, ticket)
    if stream is None:
        stream = outbox.stand()
    stream.ticket = ticket
    try:
        return await write_stream(request, stream, context, headers)
    finally:
        if not stream.attached:  # else another connection has taken it over
            ticket.leave()
