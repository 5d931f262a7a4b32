"""A message as a client is told it. One that cannot be written, for what a hook put into it, leaves nobody waiting."""

from __future__ import annotations

from msgspec import UNSET

from broker.watch import Watch
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.reply import broken


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
