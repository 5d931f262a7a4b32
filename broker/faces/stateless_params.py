"""What of a modern request goes to the backend: its members, with the envelope made anew.

Follows 2026-07-28 basic/index (`_meta`) and basic/patterns/mrtr. Invariants: capabilities are passed on as declared or
with less, never with more; the progress token is the broker's; what a client may not set is left out; vendors' keys
and trace context travel unopened.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec
from msgspec import Raw

from broker.faces.classify import CLIENT_CAPABILITIES, PREFIX, PROTOCOL_VERSION, Members, Modern
from broker.identity import Principal
from broker.seal import Binding, digest_of
from translators import tree
from translators.v2025_11_25__v2026_07_28.fields_meta import RESERVED

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
PROGRESS_TOKEN: Final = "progressToken"  # noqa: S105 - a member's name
CLIENT_INFO: Final = PREFIX + "clientInfo"
LOG_LEVEL: Final = PREFIX + "logLevel"
SUBSCRIPTION_ID: Final = PREFIX + "subscriptionId"
TASKS: Final = PREFIX + "tasks"
"""An extension whose methods the broker does not carry yet: declared to neither side."""

INPUTS: Final = ("elicitation", "roots", "sampling")
"""The capabilities that let a server ask."""

STATE: Final = "requestState"
RESPONSES: Final = "inputResponses"

MAX_INFO_BYTES: Final = 16 * 1024
"""Longest introduction that is kept for a session; icons are by URL or small."""

MAX_NAME: Final = 256
"""Characters of a name or version in one that is cut."""

_SERVERS_OWN: Final = frozenset((SUBSCRIPTION_ID, PREFIX + "serverInfo"))
MAX_READ: Final = 256
"""Spellings of capabilities that are remembered; every client program has one."""

MAX_READ_BYTES: Final = 1024
"""The longest of them; those of SDK clients are below 200."""

_encode = msgspec.json.encode


class Envelope(msgspec.Struct, frozen=True):
    """What a request's `_meta` says, read once for all requests that say the same.

    `told` and `capabilities` are those of `declared`; `level` is an index of LEVELS, their number for no messages;
    `token` the client's own progress token; `own` what is none of this revision's reserved keys.
    """

    told: Raw
    capabilities: dict[str, Any]
    level: int
    token: Raw | None
    own: Members


def read_envelope(meta: Members, principal: Principal) -> Envelope:
    """The envelope of a request of this caller."""
    told, capabilities = declared(meta, principal)
    level = tree.deep(meta.get(LOG_LEVEL))
    own = {key: value for key, value in meta.items() if key not in RESERVED}
    number = LEVELS.index(level) if level in LEVELS else len(LEVELS)
    return Envelope(told, capabilities, number, meta.get(PROGRESS_TOKEN), own)


def declared(meta: Members, principal: Principal) -> tuple[Raw, dict[str, Any]]:
    """The capabilities the backend is told of, as bytes and as a tree that nobody changes."""
    raw = meta[CLIENT_CAPABILITIES]
    read = _read_again if len(raw) <= MAX_READ_BYTES else _declared
    return read(bytes(raw), principal.input_capabilities)


def _declared(raw: bytes, inputs: bool) -> tuple[Raw, dict[str, Any]]:
    capabilities: dict[str, Any] = tree.deep(Raw(raw))
    changed = without_tasks(capabilities)
    if not inputs:  # several people may be behind this caller: none of them can be asked
        for name in INPUTS:
            changed |= capabilities.pop(name, None) is not None
    return Raw(_encode(capabilities) if changed else raw), capabilities


_read_again = functools.lru_cache(maxsize=MAX_READ)(_declared)


def introduction(meta: Members) -> Any:
    """How the client introduces itself, None if it does not; of one that says too much, its name and version."""
    raw = meta.get(CLIENT_INFO)
    said = tree.deep(raw)
    if raw is None or len(raw) <= MAX_INFO_BYTES:
        return said
    return {"name": said["name"][:MAX_NAME], "version": said["version"][:MAX_NAME]}


def without_tasks(capabilities: dict[str, Any]) -> bool:
    """Take the tasks extension out of a capabilities object; True if it was there."""
    extensions = capabilities.get("extensions")
    return isinstance(extensions, dict) and extensions.pop(TASKS, None) is not None


def outgoing(modern: Modern, capabilities: Raw, token: int) -> dict[str, Any]:
    """The request's parameters for the backend; values nobody judged are still the client's bytes."""
    meta: dict[str, Any] = {key: value for key, value in modern.meta.items() if key not in _SERVERS_OWN}
    meta[PROTOCOL_VERSION] = modern.revision.id
    meta[CLIENT_CAPABILITIES] = capabilities
    if PROGRESS_TOKEN in meta:
        meta[PROGRESS_TOKEN] = token
    return {**modern.params, "_meta": meta}


def within_session(modern: Modern, envelope: Envelope, token: int) -> dict[str, Any]:
    """The request's parameters for a session of the backend: what its handshake said, the request need not repeat.

    The lane to the session would take the envelope out as well; without it most requests are of a usual shape.
    """
    params: dict[str, Any] = dict(modern.params)
    del params["_meta"]
    own = envelope.own
    if own:
        numbered = {PROGRESS_TOKEN: token} if envelope.token is not None else {}
        params["_meta"] = Raw(_encode({**own, **numbered}))
    return params


def binding(modern: Modern, principal: Principal, server: str, backend: str, *, bridged: bool) -> Binding:
    """What a `requestState` of this request belongs to: everything that the request says besides its answers.

    `bridged` tells the states of suspended calls in sessions from those of a stateless backend: neither is the other's.
    """
    said = {
        name: tree.deep(value)
        for name, value in modern.params.items()
        if name not in ("_meta", STATE, RESPONSES)
    }  # fmt: skip
    return Binding(
        principal=principal.id,
        server=server,
        backend=f"session {backend}" if bridged else backend,
        method=modern.method,
        target=modern.target or "",
        digest=digest_of(said),
    )


def is_retry(modern: Modern) -> bool:
    """True for a request that answers an interim result; its own result is never cacheable."""
    return STATE in modern.params or RESPONSES in modern.params
