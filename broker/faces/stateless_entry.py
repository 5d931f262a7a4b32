"""What is decided of a stateless request before it becomes a call, whatever transport it came over.

Follows 2026-07-28 basic/patterns/mrtr and basic/versioning. Invariant: a state that is not right is answered alike,
whatever is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from broker.context import ServerContext
from broker.faces.classify import Modern, Refusal
from broker.faces.stateless_params import STATE, binding
from broker.identity import Principal
from broker.negotiate import AUTO
from broker.seal import NotOpened
from protocol_versions import jsonrpc
from translators import tree
from translators.inputs import ASKING
from translators.reply import TEXTS
from translators.stateless_client.state import INVALID_STATE, INVALID_TEXT

BAD_STATE: Final = Refusal(400, jsonrpc.INVALID_PARAMS, INVALID_TEXT, INVALID_STATE)
"""The one answer to every state that is not right, whatever is wrong with it."""

WANTING: Final = {"sign-in": "backend-sign-in", "credential": "backend-credential"}
"""What is wanting where a backend could not be asked what it speaks."""

MAX_SESSION_KEY: Final = 256
"""Characters of a session key that count; conversation ids are shorter."""


def away(context: ServerContext) -> Refusal | None:
    """Why no backend takes the request, None if one with sessions does. One that is only away says so."""
    verdict = context.era.settled or context.era.last
    if context.pin != AUTO or verdict is None or verdict.kind in ("legacy", "modern"):
        return None
    reason = "backend-connect"
    if verdict.kind == "auth":
        reason = WANTING.get(verdict.reason, "backend-unauthorized")
    return Refusal(200, jsonrpc.INTERNAL_ERROR, TEXTS[reason], reason)


def session_key(context: ServerContext, headers: Mapping[str, str], modern: Modern) -> str:
    """What the operator lets requests of one caller keep their sessions apart by; empty for nothing."""
    policy = context.bridge
    if policy.key_header:
        return headers.get(policy.key_header, "")[:MAX_SESSION_KEY]
    value = tree.deep(modern.meta.get(policy.key_meta)) if policy.key_meta else None
    return value[:MAX_SESSION_KEY] if isinstance(value, str) else ""


def opened_state(
    context: ServerContext, principal: Principal, modern: Modern, *, bridged: bool
) -> tuple[bytes, int, bool]:
    """What a state holds, its round, and whether it is that of a call in a session.

    A backend may have changed its era since: a call that was suspended before goes on where it is.

    Raises:
        broker.seal.NotOpened: whatever is wrong with it.
    """
    if modern.method not in ASKING:
        raise NotOpened
    token = tree.deep(modern.params[STATE])
    for sessions in (bridged, not bridged):
        belongs = binding(modern, principal, context.name, context.reach.identity, bridged=sessions)
        with suppress(NotOpened):
            opened = context.seal.open(token, belongs)
            return opened.inner, opened.round, sessions
    raise NotOpened
