"""A message as a client is told it. One that cannot be written, for what a hook put into it, leaves nobody waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from broker.watch import Watch
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.reply import broken

if TYPE_CHECKING:
    from broker.relay import Relay
    from translators.machine import Reject


def told(watch: Watch, backend: str, frame: Frame) -> tuple[Frame, bytes]:
    """The message and its bytes; in place of an answer that cannot be written, an error of ours.

    Raises:
        Exception: a message that is no answer cannot be written.
    """
    try:
        data = jsonrpc.encode(frame)
    except Exception as error:
        if frame.method is not UNSET:
            raise
        watch.bug(backend, error)
        frame = broken(frame.id, "internal")  # type: ignore[arg-type]
        data = jsonrpc.encode(frame)
    if watch.tapping:
        watch.frame("client", "out", backend, frame)
    return frame, data


def answer_here(relay: Relay, exchange: int, frame: Frame, reply: Frame) -> None:
    """The broker's own answer to a message of a client; one that waits for none is taken."""
    if frame.method is not UNSET and frame.id is not UNSET:
        relay.outbox.send(exchange, jsonrpc.encode(reply), final=True, error=True)
    else:
        relay.accept(exchange)


def rejection(effect: Reject) -> bytes:
    """The error, which names no request, to a message that a session does not expect."""
    data = {"origin": "broker", "reason": effect.reason}
    return jsonrpc.encode(jsonrpc.error_response(UNSET, effect.code, effect.message, data))
