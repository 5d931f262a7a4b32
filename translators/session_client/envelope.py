"""The envelope every stateless request carries: protocol version, capabilities and identity of the client, log level.

Follows 2026-07-28 basic/index (`_meta`, reserved keys). Whatever a session client wrote under a reserved key is
replaced: an older client could otherwise claim capabilities or an identity per request that its session does not have.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from translators import tree
from translators.context import Context
from translators.lane import Lane
from translators.op import Op
from translators.tree import Body
from translators.usual import SHAPES, Usual
from translators.v2025_11_25__v2026_07_28.fields_capabilities import mapped_client_capabilities
from translators.v2025_11_25__v2026_07_28.fields_meta import META

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
_usual: dict[Lane, Usual | None] = {}


def needs_only_envelope(lane: Lane, params: Body, ctx: Context) -> bool:
    """True if the lane would do nothing to these parameters but write the envelope, which `Envelope.stamp` does."""
    usual: Usual | UnsetType | None = _usual.get(lane, UNSET)
    if usual is UNSET:
        shape = SHAPES.get(lane.slot)
        every = (*lane.prepares, *lane.actions, *lane.repairs)
        ops = [op for op in every if isinstance(op, Op) and op.change != META.name]
        usual = _usual[lane] = Usual(shape, ops, tuple) if shape else None
    return usual is not None and usual.rest(params, ctx) == ()


class Envelope:
    """The constant part of one session's envelopes, encoded once."""

    __slots__ = ("_bare", "_constant", "_level", "capabilities")

    def __init__(self, capabilities: Any, client_info: Any) -> None:
        self.capabilities = mapped_client_capabilities(capabilities if isinstance(capabilities, dict) else {})
        self._level: str | None = None
        self._bare: Raw | None = None
        self._constant = {
            VERSION: Raw(_encode(STATELESS)),
            CAPABILITIES: Raw(_encode(self.capabilities)),
            CLIENT: Raw(_encode(client_info)),
        }

    @property
    def level(self) -> str | None:
        """The log level every request asks for, None for no messages."""
        return self._level

    @level.setter
    def level(self, level: str) -> None:
        self._level = level
        self._constant[LEVEL] = Raw(_encode(level))
        self._bare = None

    def stamp(self, params: Body) -> Body:
        """The parameters with a complete `_meta`; the given ones are left as they are."""
        if "_meta" not in params:
            if self._bare is None:
                self._bare = Raw(_encode(self._constant))
            return {**params, "_meta": self._bare}
        meta = tree.shallow(params["_meta"])
        kept = {key: value for key, value in meta.items() if key not in RESERVED} if isinstance(meta, dict) else {}
        kept.update(self._constant)
        return {**params, "_meta": kept}
