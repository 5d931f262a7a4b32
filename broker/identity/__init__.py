"""Who is calling. `identify` gives a Principal or the refusal; see `broker.identity.principal`."""

from __future__ import annotations

from broker.identity.principal import (
    ANONYMOUS,
    LOCAL,
    SHARED,
    Principal,
    Refused401,
    digest_of,
    identify,
    new_key,
)

__all__ = ["ANONYMOUS", "LOCAL", "SHARED", "Principal", "Refused401", "digest_of", "identify", "new_key"]
