"""Lines that differ from others in numbers alone, made from a template: what a plain call costs.

Nearly every line is that of a call which was admitted, or which the server answered, by a caller and about a target
that were seen before. Its template is a line made the usual way (`lines.body_of`) with marks where the numbers go, so
that both ways write alike. Invariant: a template is used only for a line that has nothing else to say.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec

from broker.audit.lines import ALLOWED, PENDING, SUCCESS, Stamp, body_of
from broker.audit.text import ascii_json, fit

if TYPE_CHECKING:
    from broker.hooks.base import Caller

MAX_SHAPES: Final = 256
"""Templates of one edge, about 2 KB each; a session calls some dozens of tools."""

_TIME, _CLOCK, _SEQUENCE, _SERVER_ID, _LATENCY, _DURATION = (10**14 + secrets.randbelow(10**14) for _ in range(6))
_HEAD, _CALL, _CLIENT = (f"mark-{secrets.token_hex(16)}" for _ in range(3))
"""Marks: numbers and names drawn anew with each process, so that no text of a peer can hold one."""

_ADMITTED: Final = tuple(
    (str(mark).encode(), b"%b" if isinstance(mark, str) else b"%d")
    for mark in (_TIME, _SEQUENCE, _SEQUENCE, _CALL, _CLIENT, _SERVER_ID, _CLOCK, _HEAD)
)
"""The marks in the order in which they stand in a line, and what takes the place of each."""

_ENDED: Final = (
    _ADMITTED[0],
    (str(_DURATION).encode(), b"%d"),
    *_ADMITTED[1:-2],
    (str(_LATENCY).encode(), b"%d"),
    *_ADMITTED[-2:],
)


class Shape:
    """The templates of one kind of call, up to the hash of the line before, with their values in this order.

    admitted   time (ms), sequence, sequence, call, client's id, server's id, clock (us), head
    ended      the same, with the duration (ms) after the time, and the latency (us) before the clock
    """

    __slots__ = ("admitted", "caller", "ended")

    def __init__(self, process: str, caller: Caller, parts: dict[str, Any]) -> None:
        """`parts` are those of `body_of` that are the same in every such line."""
        self.caller = caller  # kept, so that the number it is known by is not another's
        stamp = Stamp(_TIME, _CLOCK, process, _SEQUENCE, _HEAD)
        common = {**parts, "correlation": _CALL, "client_id": _CLIENT, "server_request_id": _SERVER_ID}
        admitted = body_of("admitted", stamp, **common, status=PENDING, action=ALLOWED, decision="allow")
        ended = body_of(
            "outcome", stamp, **common, status=SUCCESS, action=ALLOWED, decision="allow", executed="yes",
            duration_ms=_DURATION, latency_us=_LATENCY,
        )  # fmt: skip
        self.admitted = _template(admitted[:-2], _ADMITTED)
        self.ended = _template(ended[:-2], _ENDED)


def _template(body: bytes, marks: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Takes the line apart at its marks, so that nothing a peer wrote between them is read as a place."""
    parts: list[bytes] = []
    for mark, place in marks:
        before, found, body = body.partition(mark)
        assert found, mark
        parts += (before.replace(b"%", b"%%"), place)
    return b"".join((*parts, body.replace(b"%", b"%%")))


def client_text(client_id: int | str) -> bytes:
    """A client's id as it stands within the quotes of a template."""
    if type(client_id) is int:
        return b"%d" % client_id
    return ascii_json(msgspec.json.encode(fit(str(client_id))))[1:-1]
