"""What an answer's head may say: the rules that llhttp leaves to its user.

RFC 9112 section 6 (framing), RFC 9110 sections 8.4 (content coding; we ask for identity) and 15 (statuses).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from broker.backends.http1_types import Limits, Reason

# Spellings seen in nearly every answer, so that most names cost one look-up.
NAMES: Final[dict[bytes, str]] = {
    spelling.encode(): name
    for name in (
        "content-type", "content-length", "date", "server", "connection", "keep-alive", "transfer-encoding",
        "cache-control", "mcp-session-id", "x-accel-buffering", "vary", "access-control-allow-origin",
        "www-authenticate", "retry-after",
    )
    for spelling in (name, name.title())
}  # fmt: skip

# Without a body by definition (RFC 9112 section 6.3).
_BODILESS: Final = (204, 304)


class Refused(Exception):  # noqa: N818
    """The answer breaks a rule."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


def read_fields(fields: list[tuple[bytes, bytes]], limits: Limits, fed: int) -> dict[str, str]:
    """The fields by lower-case name, repeats joined by commas; `fed` bytes or fewer held all of them.

    Raises:
        Refused: too many fields, or too many bytes in them.
    """
    if len(fields) > limits.max_headers or (
        fed > limits.max_head_bytes and sum(len(name) + len(value) for name, value in fields) > limits.max_head_bytes
    ):
        raise Refused("protocol", "the answer's head is too large")
    headers: dict[str, str] = {}
    for name, value in fields:
        key = NAMES.get(name) or name.decode("latin-1").lower()
        text = value.decode("latin-1").rstrip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def is_interim(status: int, seen: int, limits: Limits) -> bool:
    """Whether this status announces another answer; `seen` interim answers came before.

    Raises:
        Refused: no status of HTTP, a switch of protocols nobody asked for, or too many interim answers.
    """
    if 200 <= status <= 599:
        return False
    if not 100 <= status <= 199 or status == 101:
        raise Refused("protocol", "an unusable status")
    if seen >= limits.max_interim:
        raise Refused("protocol", "too many interim answers")
    return True


def body_rules(
    status: int, version: str, headers: Mapping[str, str], limits: Limits, max_body: int | None
) -> tuple[int | None, bool]:
    """The cap on the body in bytes (None: none), and whether its end is told by framing rather than by
    closing.

    Raises:
        Refused: a coding we cannot read, or an announced length above the cap.
    """
    coding = headers.get("transfer-encoding")
    if coding is not None and (coding.lower() != "chunked" or version != "1.1"):
        raise Refused("protocol", "a transfer coding other than chunked")
    content_coding = headers.get("content-encoding")
    if content_coding is not None and content_coding.lower() not in ("identity", ""):
        raise Refused("protocol", "a content coding that was not asked for")
    cap: int | None = limits.max_body_bytes if max_body is None else max_body
    media = headers.get("content-type", "")
    if media != "application/json" and media.partition(";")[0].strip().lower() == "text/event-stream":
        cap = limits.max_stream_bytes
    length = headers.get("content-length")
    if length is not None and cap is not None and int(length) > cap:
        raise Refused("too-large", "the announced length exceeds the cap")
    return cap, length is not None or coding is not None or status in _BODILESS
