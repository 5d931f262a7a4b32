"""Strict JSON: bytes in, a tree that can be read in one way only, or Refused.

RFC 8259 leaves duplicate members, huge numbers and deep nesting to the reader; two readers that differ on
them are how a request is judged as one thing and executed as another. Invariant: whatever `load` returns, all
conforming parsers read alike. The bounds are proved on the bytes before a tree is built, so that hostile
input costs a few passes at the speed of C; small compact messages take a shorter proof.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any, Final

import msgspec

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

_FAST_BYTES: Final = 4096  # text this short cannot break the default limits on values or keys
_LONGEST_DOUBLE: Final = 25  # characters of the longest double in its canonical spelling


class WireLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What is read from a wire at most. Defaults serve an unconfigured broker; operators may change them."""

    body: int = 4 * 1024 * 1024  # bytes from a client; the official Python SDK's request body cap
    backend_body: int = 64 * 1024 * 1024  # bytes from a backend; room for a large base64 resource
    depth: int = 64  # nested containers; above what tool schemas need, far below every parser's stack
    nodes: int = 200_000  # values of one document; 4 MiB of `[0,0,...` would be 2 million
    number: int = 64  # characters of a number literal; 2^63 has 20, the longest double 25
    key: int = 4096  # characters of a member name; the size of a generous HTTP header line
    id_text: int = 1024  # characters of a string id
    batch: int = 50  # messages of a 2025-03-26 batch; bounds what one body may execute

    # Derived: text of at most `short` bytes with at most `flat` digits and brackets can break no limit.
    short: int = 0
    flat: int = 0

    def __post_init__(self) -> None:
        provable = self.number >= _LONGEST_DOUBLE
        short = min(_FAST_BYTES, self.nodes, self.key) if provable else 0
        msgspec.structs.force_setattr(self, "short", short)
        msgspec.structs.force_setattr(self, "flat", min(self.depth, self.number))


DEFAULT_LIMITS: Final = WireLimits()

# reason slug -> (JSON-RPC code, frozen text). The texts never quote the input.
REASONS: Final[dict[str, tuple[int, str]]] = {
    "not-json": (PARSE_ERROR, "Parse error: the body is not valid JSON"),
    "not-utf8": (PARSE_ERROR, "Parse error: the body is not valid UTF-8"),
    "too-large": (INVALID_REQUEST, "Invalid Request: the body is too large"),
    "too-deep": (INVALID_REQUEST, "Invalid Request: values are nested too deeply"),
    "too-many-values": (INVALID_REQUEST, "Invalid Request: too many values"),
    "long-number": (INVALID_REQUEST, "Invalid Request: a number is too long"),
    "long-key": (INVALID_REQUEST, "Invalid Request: a member name is too long"),
    "duplicate-member": (INVALID_REQUEST, "Invalid Request: an object has a duplicate member"),
    "control-in-key": (INVALID_REQUEST, "Invalid Request: a member name holds a control character"),
    "not-object": (INVALID_REQUEST, "Invalid Request: a message must be an object"),
    "bad-version": (INVALID_REQUEST, 'Invalid Request: jsonrpc must be "2.0"'),
    "bad-id": (INVALID_REQUEST, "Invalid Request: id must be a string or an integer"),
    "bad-method": (INVALID_REQUEST, "Invalid Request: method must be a string"),
    "bad-params": (INVALID_PARAMS, "Invalid params: params must be an object"),
    "bad-result": (INVALID_REQUEST, "Invalid Request: result must be an object"),
    "bad-error": (INVALID_REQUEST, "Invalid Request: error must hold an integer code and a message"),
    "ambiguous": (INVALID_REQUEST, "Invalid Request: more than one of method, result and error"),
    "no-kind": (INVALID_REQUEST, "Invalid Request: neither method nor result nor error"),
    "empty-batch": (INVALID_REQUEST, "Invalid Request: the batch is empty"),
    "long-batch": (INVALID_REQUEST, "Invalid Request: the batch is too long"),
    "no-batch": (INVALID_REQUEST, "Invalid Request: a batch is not accepted here"),
}


class Refused(Exception):  # noqa: N818 (the product's word for a declared refusal)
    """What is not read, and why: JSON-RPC `code`, frozen `message`, `reason` slug, `id` when readable."""

    def __init__(self, reason: str, id: int | str | None = None) -> None:  # noqa: A002
        self.code, self.message = REASONS[reason]
        self.id = id
        self.reason = reason
        super().__init__(self.message)

    def __repr__(self) -> str:
        return f"Refused({self.reason!r}, id={self.id!r})"


_DIGITS: Final = bytes(0x30 if chr(i) in "0123456789" else i for i in range(256))
_NUMBER: Final = bytes(0x30 if chr(i) in "0123456789+-.eE" else 0x20 for i in range(256))
_STEPS: Final = bytes(0x01 if chr(i) in "[{" else 0xFF for i in range(256))  # as signed bytes: 1 and -1
_NOT_BRACKETS: Final = bytes(i for i in range(256) if chr(i) not in "[]{}")
_NEITHER: Final = bytes(i for i in range(256) if chr(i) not in "[{0123456789")
_FIRST: Final = re.compile(rb"[ \t\r\n]*(.?)", re.DOTALL)

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def load(body: bytes, limits: WireLimits = DEFAULT_LIMITS, max_bytes: int | None = None) -> Any:
    """The tree of a whole document of at most `max_bytes` bytes (default: a client's body).

    Raises:
        Refused: the document is no JSON, breaks a limit or holds a duplicate member.
    """
    size = len(body)
    if size > (limits.body if max_bytes is None else max_bytes):
        raise Refused("too-large")
    if size > limits.short:
        return _exact(body, limits)
    # Nearly every message has so few digits and opening brackets that one count settles depth and numbers.
    if len(body.translate(None, _NEITHER)) > limits.flat and not _flat(body, limits):
        return _exact(body, limits)
    tree = _parse(body)
    # Compact text that re-encodes to itself holds no member twice: the tree would have lost one of them.
    return tree if _encode(tree) == body else _exact(body, limits)


def _flat(body: bytes, limits: WireLimits) -> bool:
    """True if the text has too few brackets to nest too deep, and no overlong run of digits."""
    return body.count(b"{") + body.count(b"[") <= limits.depth and b"0" * (limits.number + 1) not in body.translate(
        _DIGITS
    )


def _exact(body: bytes, limits: WireLimits) -> Any:
    """As load, for text that the short proof does not cover."""
    members, long_names = _scan(body, limits)
    tree = _parse(body)
    encoded = _encode(tree)
    if not long_names and encoded == body:
        return tree
    # Counted in the text that the tree makes, at the speed of C: to walk many small objects takes three times as long.
    parts = _parts(encoded)
    if long_names and _long_name(encoded, parts, limits.key):
        raise Refused("long-key")
    if b"".join(parts[::2]).count(b":") != members:
        raise Refused("duplicate-member")
    return tree


def _parse(body: bytes) -> Any:
    try:
        return _decode(body)
    except UnicodeDecodeError:
        raise Refused("not-utf8") from None
    except RecursionError:
        raise Refused("too-deep") from None
    except (msgspec.DecodeError, ValueError, OverflowError):
        raise Refused("not-json") from None


def _scan(body: bytes, limits: WireLimits) -> tuple[int, bool]:
    """The number of members and whether a member name may be too long, after the other bounds were proved.

    The number is exact for valid JSON; other text is refused by the parse that follows.
    """
    check_utf8(body)
    plain = _plain(body)
    if plain.count(b'"') > 4 * limits.nodes:  # a member has at most two strings, a string two quotes
        raise Refused("too-many-values")
    outside = b"".join(plain.split(b'"')[::2])
    opened = outside.count(b"{") + outside.count(b"[")
    if opened + outside.count(b",") + 1 > limits.nodes:
        raise Refused("too-many-values")
    if opened > limits.depth and _deeper(outside, limits.depth):
        raise Refused("too-deep")
    if b"0" * (limits.number + 1) in outside.translate(_NUMBER):
        raise Refused("long-number")
    return outside.count(b":"), _long_run(plain, limits.key)


def _long_run(plain: bytes, length: int) -> bool:
    """False if no string has more than `length` bytes: it would cover one of these blocks without a quote."""
    block = length // 2 + 1
    return any(plain.find(b'"', start, start + block) < 0 for start in range(0, len(plain) - block + 1, block))


def _deeper(outside: bytes, depth: int) -> bool:
    """True if containers nest deeper than `depth`, counting +1 and -1 along the brackets."""
    steps = memoryview(outside.translate(_STEPS, _NOT_BRACKETS)).cast("b")
    return max(accumulate(steps), default=0) > depth


def _plain(body: bytes) -> bytes:
    """The text with other characters for its escapes, so that every quote begins or ends a string. Lengths are kept."""
    # Pairs of backslashes go first, so that the quote in `\\\\"` still ends its string.
    return body.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in body else body


def _parts(encoded: bytes) -> list[bytes]:
    """What stands outside and inside strings, in turns."""
    return _plain(encoded).split(b'"')


def _long_name(encoded: bytes, parts: list[bytes], length: int) -> bool:
    """True if a member's name has more than `length` characters; the text is compact, and `parts` are its parts."""
    long = [at for at, part in enumerate(parts) if len(part) > length and at % 2 and parts[at + 1][:1] == b":"]
    ends = list(accumulate(map(len, parts))) if long else []
    return any(len(_decode(encoded[ends[at - 1] + at - 1 : ends[at] + at + 1])) > length for at in long)


def check_utf8(body: bytes) -> None:
    """Refuses a body that is not UTF-8 throughout, skipped and unopened values included."""
    if not body.isascii():
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("not-utf8") from None


def first_byte(body: bytes) -> bytes:
    """The first byte that is not JSON white space, or b""."""
    found = _FIRST.match(body)
    return found.group(1) if found else b""
