"""Who is calling. `broker.identity.admission` gives a Principal or the refusal."""

from __future__ import annotations

from broker.identity.principal import (
    ANONYMOUS,
    LOCAL,
    SHARED,
    Principal,
    Refused,
    digest_of,
    new_key,
)

__all__ = ["ANONYMOUS", "LOCAL", "SHARED", "Principal", "Refused", "digest_of", "new_key"]
