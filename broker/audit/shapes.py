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

_NUMBERS: Final = {
    str(_TIME).encode(): (b"%(time)d", 1),
    str(_CLOCK).encode(): (b"%(clock)d", 1),
    str(_SEQUENCE).encode(): (b"%(sequence)d", 2),
    str(_SERVER_ID).encode(): (b"%(server_id)d", 1),
    _HEAD.encode(): (b"%(head)b", 1),
    _CALL.encode(): (b"%(call)b", 1),
    _CLIENT.encode(): (b"%(client)b", 1),
}
_ENDED: Final = {
    **_NUMBERS,
    str(_LATENCY).encode(): (b"%(latency)d", 1),
    str(_DURATION).encode(): (b"%(duration)d", 1),
}
# In the order in which they stand in a line.
_ORDER_ADMITTED: Final = ("time", "sequence", "sequence", "call", "client", "server_id", "clock", "head")
_ORDER_ENDED: Final = (
    "time", "duration", "sequence", "sequence", "call", "client", "server_id", "latency", "clock", "head",
)  # fmt: skip


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
        self.admitted = _template(admitted[:-2], _NUMBERS, _ORDER_ADMITTED)
        self.ended = _template(ended[:-2], _ENDED, _ORDER_ENDED)


def _template(body: bytes, marks: dict[bytes, tuple[bytes, int]], order: tuple[str, ...]) -> bytes:
    body = body.replace(b"%", b"%%")
    for mark, (place, count) in marks.items():
        assert body.count(mark) == count, mark
        body = body.replace(mark, place)
    found = sorted((body.find(b"%(" + name.encode()), name) for name in set(order))
    assert [name for _, name in found] == list(dict.fromkeys(order)), found
    for name in set(order):
        for kind in (b"d", b"b"):
            body = body.replace(b"%%(%b)%b" % (name.encode(), kind), b"%" + kind)
    return body


def client_text(client_id: int | str) -> bytes:
    """A client's id as it stands within the quotes of a template."""
    if type(client_id) is int:
        return b"%d" % client_id
    return ascii_json(msgspec.json.encode(fit(str(client_id))))[1:-1]
