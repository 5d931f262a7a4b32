"""The envelope every stateless request carries: protocol version, capabilities and identity of the client, log level.

Follows 2026-07-28 basic/index (`_meta`, reserved keys). Whatever a session client wrote under a reserved key is
replaced: an older client could otherwise claim capabilities or an identity per request that its session does not have.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from translators import tree
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_capabilities import mapped_client_capabilities

PREFIX = "io.modelcontextprotocol/"
VERSION = f"{PREFIX}protocolVersion"
CAPABILITIES = f"{PREFIX}clientCapabilities"
CLIENT = f"{PREFIX}clientInfo"
LEVEL = f"{PREFIX}logLevel"
SERVER = f"{PREFIX}serverInfo"
SUBSCRIPTION = f"{PREFIX}subscriptionId"

RESERVED = frozenset((VERSION, CAPABILITIES, CLIENT, LEVEL, SERVER, SUBSCRIPTION))
"""The keys 2026-07-28 gave a meaning; any other under the prefix is an extension's, and the client's to write."""

STATELESS = "2026-07-28"
"""The revision of the requests this machine writes."""

_encode = msgspec.json.encode


class Envelope:
    """The constant part of one session's envelopes, encoded once."""

    __slots__ = ("_constant", "capabilities", "level")

    def __init__(self, capabilities: Any, client_info: Any) -> None:
        self.capabilities = mapped_client_capabilities(capabilities if isinstance(capabilities, dict) else {})
        self.level: str | None = None
        self._constant = {
            VERSION: Raw(_encode(STATELESS)),
            CAPABILITIES: Raw(_encode(self.capabilities)),
            CLIENT: Raw(_encode(client_info)),
        }

    def stamp(self, params: Body) -> Body:
        """The parameters with a complete `_meta`; the given ones are left as they are."""
        meta = tree.shallow(params.get("_meta"))
        kept = {key: value for key, value in meta.items() if key not in RESERVED} if isinstance(meta, dict) else {}
        kept.update(self._constant)
        if self.level is not None:
            kept[LEVEL] = Raw(_encode(self.level))
        return {**params, "_meta": kept}
