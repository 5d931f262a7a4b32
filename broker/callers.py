"""What policy is told of a caller: what was proven of it, and what its client says of itself."""

from __future__ import annotations

from typing import Any

from broker.hooks.base import Caller
from broker.identity.principal import Principal
from translators import tree
from translators.handshake import Peers

MAX_TOLD = 256
"""Characters of a client's name or version that are passed on; those of SDK clients have below 50."""


NOBODY = Caller()


class Speaker:
    """The client of a session: whose credential it showed last and from which address, and how it introduced itself."""

    __slots__ = ("_caller", "_revision", "_told", "address", "who")

    def __init__(self, who: Principal, address: str = "") -> None:
        self.who = who
        self.address = address
        self._told: Principal | None = None
        self._revision = ""
        self._caller = NOBODY

    def caller(self, peers: Peers, backend_revision: str | None = None) -> Caller:
        """The caller, before a backend of this revision; absent: of what the session settled on."""
        revision = peers.server if backend_revision is None else backend_revision
        if self._told is not self.who or self._revision != revision:
            info = tree.deep(peers.asked.get("clientInfo"))
            self._told, self._revision = self.who, revision
            self._caller = caller_of(self.who, info, peers.client, revision)
        return self._caller


def caller_of(who: Principal, client_info: Any, client_revision: str, backend_revision: str) -> Caller:
    """The caller of a message; `client_info` is how its client introduces itself, whatever it is."""
    info = client_info if isinstance(client_info, dict) else {}
    return Caller(
        principal=who.id,
        kind=who.kind,
        claims=who.claims,
        scopes=who.scopes,
        expires_at=who.expires_at,
        client_name=_told(info.get("name")),
        client_version=_told(info.get("version")),
        client_revision=client_revision,
        backend_revision=backend_revision,
    )


def _told(value: Any) -> str:
    return value[:MAX_TOLD] if isinstance(value, str) else ""
