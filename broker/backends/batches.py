"""Messages that a backend writes as one: the batches of 2025-03-26, which are framing and end here.

Invariant: an element is given on as it was written; what is beyond the limit is given up, and reported.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from protocol_versions.jsonrpc import WireLimits
from protocol_versions.strict import first_byte

_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


def is_batch(data: bytes) -> bool:
    """True for what is an array, if it is anything."""
    return first_byte(data) == b"["


def batch_of(data: bytes, limits: WireLimits, violation: Callable[[str], None]) -> list[bytes]:
    """The messages of a line, an event or a body: its elements, or itself where it is no batch or cannot be read.

    `violation` is told "batch-too-long" of one with more elements than `limits.batch`; the others are not read.
    """
    if not is_batch(data):
        return [data]
    try:
        elements = _elements(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [data]
    if len(elements) > limits.batch:
        violation("batch-too-long")
    return [bytes(element) for element in elements[: limits.batch]]
