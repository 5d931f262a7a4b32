"""The sample server's `requestState`: which request it belongs to and until when, under a key of this process.

Follows basic/patterns/mrtr of 2026-07-28: a client brings the state back and may have changed it, so what matters is
authenticated. Invariant: a state opens for the very request it was made for, within its time, and for no other.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

ANSWER_S: Final = 300.0  # how long a person may take to answer; the SDKs' own default for reading
_SIGNED_HEX: Final = 64  # SHA-256


class Sealer:
    """Makes and checks states. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def seal(self, subject: Any) -> str:
        """The state for a request that is described by any JSON value."""
        until = str(int(self._clock() + ANSWER_S))
        return f"{until}.{self._sign(until, subject)}"

    def opens(self, state: Any, subject: Any) -> bool:
        """True if this state was made for that request and is not too old."""
        if not isinstance(state, str) or not state.isascii():
            return False
        until, _, signed = state.partition(".")
        if len(signed) != _SIGNED_HEX or not hmac.compare_digest(signed, self._sign(until, subject)):
            return False
        return self._clock() <= int(until)

    def _sign(self, until: str, subject: Any) -> str:
        text = msgspec.json.encode([until, subject], order="deterministic")
        return hmac.new(self._key, text, "sha256").hexdigest()
