"""What an operator chooses for the sessions that stateless requests share, in one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from broker.settings import Backend


class SessionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """From `servers.NAME` and `limits`; times in seconds.

    Neither what one caller has open nor what is suspended may take more than half of the connections.
    """

    session: str = "pooled"
    key_header: str = ""
    key_meta: str = ""
    park: str = "auto"
    attribution: str = "auto"
    unsolicited: str = "error"
    list_ttl_ms: int = 0
    sessions_per_principal: int
    sessions: int
    calls_per_principal: int
    idle_s: float
    park_s: float
    park_most_s: float
    parked: int
    parked_per_principal: int
    parked_per_session: int
    batch_s: float

    @classmethod
    def of(cls, backend: Backend, limits: Any) -> SessionPolicy:
        """The policy of one backend."""
        place, _, name = (backend.session_key or "").partition(":")
        return cls.defaults(
            limits,
            session=backend.session,
            key_header=name if place == "header" else "",
            key_meta=name if place == "meta" else "",
            park=backend.park,
            attribution=attribution_of(backend.attribution, command=bool(backend.command)),
            unsolicited=backend.unsolicited,
            list_ttl_ms=backend.list_ttl_ms,
        )

    @classmethod
    def defaults(cls, limits: Any, **chosen: Any) -> SessionPolicy:
        """What holds where nobody chose; `limits` has the members of `broker.settings_limits.Limits`."""
        half = max(limits.pool_connections // 2, 1)
        return cls(
            sessions_per_principal=limits.backend_sessions_per_principal,
            sessions=limits.backend_sessions,
            calls_per_principal=min(limits.backend_calls_per_principal, half),
            idle_s=limits.backend_session_idle_s,
            park_s=limits.park_s,
            park_most_s=limits.call_total_s,
            parked=min(limits.parked, half),  # each holds a connection, and others need some too
            parked_per_principal=limits.parked_per_principal,
            parked_per_session=limits.parked_per_session,
            batch_s=limits.park_batch_s,
            **chosen,
        )


def attribution_of(chosen: str, *, command: bool) -> str:
    """The choice that holds: each session of a command is a process, so that calls share one unless asked otherwise."""
    return "newest" if command and chosen == "auto" else chosen
