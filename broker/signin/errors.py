"""Why nobody is signed in."""

from __future__ import annotations

from typing import Literal

from broker.backends.credentialed import NobodySignedInError

Reason = Literal[
    "address-refused", "answer-unusable", "cancelled", "denied", "issuer-changed", "locked", "metadata-unusable",
    "no-client", "no-pkce", "nobody-there", "off", "paused", "registration-refused", "store", "timeout",
    "token-refused", "unreachable", "wrong-issuer", "wrong-resource",
]  # fmt: skip


class SignInError(NobodySignedInError):
    """Nobody is signed in. The text is for people, and quotes no secret; `reason` is for counting."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason
