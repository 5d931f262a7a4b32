"""What a backend is asked to find out its era: `server/discover`, with all that a stateless request needs.

Follows 2026-07-28 server/discover and basic/index (`_meta`). Invariant: the same question on every transport.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame, Id

METHOD: Final = "server/discover"
PREFIX: Final = "io.modelcontextprotocol/"


def new_id() -> str:
    """An id that no request of a client has."""
    return f"probe-{uuid.uuid4().hex}"


def question(ident: Id, revision: str, client_info: Mapping[str, Any]) -> Frame:
    """The request, in this revision."""
    meta = {
        f"{PREFIX}protocolVersion": revision,
        f"{PREFIX}clientCapabilities": {},
        f"{PREFIX}clientInfo": dict(client_info),
    }
    return jsonrpc.request(ident, METHOD, {"_meta": meta})
