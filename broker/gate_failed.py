"""What becomes of a message whose verdict was awaited when the broker itself fails: nobody is left waiting."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from broker.gate_edge import Edge
from broker.turns import Failed
from protocol_versions.jsonrpc import Frame
from translators.machine import ToServer
from translators.reply import broken


def unsent(edge: Edge, effect: ToServer) -> Failed:
    """A message for the backend: its call is answered, its answer is an error, its exchange is accepted."""
    frame = effect.frame

    def failed(error: Exception) -> None:
        edge.watch.bug(edge.name, error)
        if effect.call:
            edge.from_backend(effect.call, broken(effect.call, "internal"), "broker")
        elif frame.method is UNSET:
            reply = broken(frame.id, "internal")  # type: ignore[arg-type]
            edge.to_backend(msgspec.structs.replace(effect, frame=reply))
        else:
            edge.accept(effect.exchange)

    return failed


def untold(edge: Edge, stream: int, frame: Frame) -> Failed:
    """A message of the backend: an error in place of an answer, an error to the backend for a question."""

    def failed(error: Exception) -> None:
        edge.watch.bug(edge.name, error)
        if frame.method is UNSET:
            edge.from_backend(stream, broken(frame.id, "internal"), "broker")  # type: ignore[arg-type]
        elif frame.id is not UNSET:
            edge.to_backend(ToServer(0, broken(frame.id, "internal")))

    return failed
