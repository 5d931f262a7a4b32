"""Text of peers, made fit for a line: bounded, without anything that could forge, hide or reorder what is read.

Invariants: what leaves is printable ASCII once it is JSON, so that no newline, control character, bidirectional
override, line separator or half of a surrogate pair reaches a reader; what was cut says how long it was and carries a
digest of the whole.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

LONGEST: Final = 256
"""Characters of one value; names and URIs of real servers have below 200."""

_ODD: Final = re.compile(r"[^ -~]")


def fit(text: str, most: int = LONGEST) -> str:
    """`text` as it may stand in a line; a longer one is cut, and ends in its length and digest."""
    if len(text) > most:
        text = f"{text[:most]}... ({len(text)} characters, {digest(text)})"
    # msgspec refuses half a surrogate pair: it is shown as the replacement character, as decoders do.
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def digest(text: str | bytes) -> str:
    """A short name for a value that is not shown: equal for equal values, useless to a reader."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"


def ascii_json(line: bytes) -> bytes:
    r"""The same JSON in printable ASCII: what is not becomes `\uXXXX`, which only ever stands within strings."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return _ODD.sub(_escaped, line.decode()).encode("ascii")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
