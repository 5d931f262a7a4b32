"""What servers ask of clients, and what those answer: lines of their own, also where both travel inside a call.

    asked      a question is about to be given to the client
    replied    the client has answered it

Invariants: nothing of a question or an answer is written down but what it is; of a URL that somebody is to open, the
part that says where it leads. Neither line keeps a message from going on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from msgspec import UNSET

from broker.audit.lines import ALLOWED, FAILURE, OTHER, PENDING, SUCCESS, source_of
from protocol_versions.jsonrpc import ErrorObject, Frame, plain

if TYPE_CHECKING:
    from broker.audit.trail import Trail
    from broker.hooks.base import Caller

ELICITATION: Final = "elicitation/create"
MAX_INSIDE: Final = 64
"""Questions or answers inside one message that get lines; servers ask one or two at a time."""

_SHOWS: Final = {"action": ELICITATION, "roots": "roots/list", "role": "sampling/createMessage"}
"""The member by which an answer inside a request tells what it answers."""


def asked(trail: Trail, call: int, method: str, params: Any, caller: Caller) -> None:
    """A question on the stream of this call, 0 for none."""
    _write(trail, "asked", call, caller, method=method, target=_where(params), status=PENDING)


def asked_inside(trail: Trail, call: int, requests: Any, caller: Caller) -> None:
    """The questions inside the result of a call."""
    for each in _few(requests):
        method = plain(each.get("method"))
        asked(trail, call, method if isinstance(method, str) else "", plain(each.get("params")), caller)


def replied(trail: Trail, call: int, method: str, frame: Frame, caller: Caller) -> None:
    """The client's answer to a question that was a message of its own."""
    if isinstance(frame.error, ErrorObject):
        _write(trail, "replied", call, caller, method=method, status=FAILURE, code=frame.error.code)
    elif frame.result is not UNSET:
        _replied(trail, call, method, frame.result, caller)


def replied_inside(trail: Trail, call: int, responses: Any, caller: Caller) -> None:
    """The answers inside the request of a call."""
    for each in _few(responses):
        method = next((method for member, method in _SHOWS.items() if member in each), "")
        _replied(trail, call, method, each, caller)


def _replied(trail: Trail, call: int, method: str, result: Any, caller: Caller) -> None:
    action = plain(result.get("action")) if method == ELICITATION else "accept"
    taken = action == "accept"
    detail = "" if taken else action if action in ("decline", "cancel") else "other"
    _write(trail, "replied", call, caller, method=method, status=SUCCESS if taken else OTHER, detail=detail)


def _write(trail: Trail, event: str, call: int, caller: Caller, **parts: Any) -> None:
    if trail.log.quiet:
        return
    record = trail.calls.get(call)
    trail.log.write(
        event,
        server=trail.server,
        correlation="" if record is None else record.uid,
        revision=caller.backend_revision,
        client_revision=caller.client_revision,
        actor=trail.actor(caller),
        source=source_of(trail.peer if record is None else record.peer),
        action=ALLOWED,
        **parts,
    )
    trail.log.flush_soon()


def _few(members: Any) -> list[dict[str, Any]]:
    found = plain(members)
    each = found.values() if isinstance(found, dict) else ()
    return [body for body in map(plain, each) if isinstance(body, dict)][:MAX_INSIDE]


def _where(params: Any) -> str | None:
    """Where the URL of an elicitation leads: without what may be secret."""
    url = plain(params.get("url")) if isinstance(params, dict) else None
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "not a URL"
    # What leads to no host is all content, as in `data:`.
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}" if parts.hostname else f"{parts.scheme}:"
