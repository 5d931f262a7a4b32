"""The one way a URI is written of which a server may take others for the same: RFC 3986, section 6.

A rule speaks of URIs as they are written, and a server may read `FILE:///srv/../etc/%70asswd` as `file:///etc/passwd`.
So a URI is judged as it is and as it is written plainly. Invariant: what is written plainly already is unchanged.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_DECODED: Final = 3
"""Times percent-encoding is undone: what is encoded more often than twice, no server reads."""

_URI = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?://(?P<host>[^/?#]*))?(?P<path>[^?#]*)(?P<query>[^#]*)", re.DOTALL
)
_DEFAULT_PORT = re.compile(r":(80|443)?$")


def plain(uri: str) -> str:
    """The URI with scheme and host in small letters, nothing encoded, no `.` and `..`, no fragment."""
    decoded = uri
    for _ in range(MAX_DECODED):
        before, decoded = decoded, _decoded(decoded)
        if decoded == before:
            break
    found = _URI.match(decoded.strip().replace("\\", "/"))
    if found is None:
        return decoded
    path = _resolved(found["path"])
    host = found["host"]
    if host is None:
        return f"{found['scheme'].lower()}:{path}{found['query']}"
    host = _DEFAULT_PORT.sub("", host.lower()).rstrip(".")
    return f"{found['scheme'].lower()}://{host}{path}{found['query']}"


def climbs(uri: str) -> bool:
    """True if the URI leads elsewhere than it seems to, by `.` or `..` or empty segments, however they are encoded."""
    decoded = uri
    for _ in range(MAX_DECODED):
        decoded = _decoded(decoded)
    path = re.split(r"[?#]", decoded.replace("\\", "/").partition("://")[2] or decoded, maxsplit=1)[0]
    return any(segment in (".", "..") for segment in path.split("/")) or "//" in path.partition("/")[2]


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


def _resolved(path: str) -> str:
    """RFC 3986, 5.2.4; empty segments are left out, as file systems do."""
    if not path.startswith("/"):
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in (".", ""):
            kept.append(segment)
    end = "/" if segments[-1] in ("", ".", "..") and kept else ""
    return f"/{'/'.join(kept)}{end}"
