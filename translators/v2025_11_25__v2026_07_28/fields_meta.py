"""What every request and result says in `_meta` since there is no handshake to say it once.

Follows changelog major 2 and basic/index.mdx "_meta". Down, the keys the newer revision reserved are taken out: a
session peer learned the same facts from its handshake, and a client pinned to it must not see ids of the broker's
subscriptions. Up, whatever an older peer wrote under these names goes first, because nothing an older peer writes
there is true (a client could declare capabilities it did not declare to the broker, a server another identity); a
request then names its revision and the capabilities the client declared. Who speaks for the client stamps the rest.
"""

from __future__ import annotations

from typing import Any

from protocol_versions import v2026_07_28
from protocol_versions.base import Slot
from translators import tree
from translators.change import Change, answer, ask, notification, params, result
from translators.context import Context
from translators.op import quoted
from translators.ops import KEEP, REMOVE, Loss, Op, each, fill
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_capabilities import mapped_client_capabilities

LOG = "2026-07-28/changelog.mdx"
NEWER = v2026_07_28.REVISION.id
PREFIX = "io.modelcontextprotocol/"
PROTOCOL_VERSION = f"{PREFIX}protocolVersion"
CLIENT_CAPABILITIES = f"{PREFIX}clientCapabilities"
CLIENT_INFO = f"{PREFIX}clientInfo"
LOG_LEVEL = f"{PREFIX}logLevel"
SERVER_INFO = f"{PREFIX}serverInfo"
SUBSCRIPTION_ID = f"{PREFIX}subscriptionId"

RESERVED = frozenset(
    (PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, SERVER_INFO, SUBSCRIPTION_ID),
)
"""The keys 2026-07-28 gave a meaning; every other key, reserved prefix or not, is somebody's extension and passes."""

SHARED_REQUESTS = (
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
)
"""The client's requests that both revisions have."""

TO_CLIENT = (
    "notifications/cancelled",
    "notifications/progress",
    "notifications/message",
    "notifications/tools/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/prompts/list_changed",
)
NOTED: tuple[Slot, ...] = (
    *map(notification, TO_CLIENT),
    notification("notifications/cancelled", "server"),
)
"""The notifications that both revisions have."""
_TOKENS = tuple(map(quoted, sorted(RESERVED)))


def without_reserved(meta: Body) -> Body:
    """The object without the keys 2026-07-28 reserved."""
    return {key: value for key, value in meta.items() if key not in RESERVED}


def _unreserved(meta: Any, _ctx: Context) -> Any:
    if not isinstance(meta, dict) or RESERVED.isdisjoint(meta):
        return KEEP
    return without_reserved(meta)


def _unreserved_or_absent(meta: Any, ctx: Context) -> Any:
    """An object that held nothing else was made for these keys, and goes with them."""
    left = _unreserved(meta, ctx)
    return REMOVE if left == {} else left


def _enveloped(body: Body, ctx: Context) -> Any:
    """`_meta` with the revision, and with the capabilities the client declared in its handshake (none if unknown)."""
    meta = tree.member(body, "_meta")
    declared = ctx.facts.get("client_capabilities")
    return {
        **(without_reserved(meta) if isinstance(meta, dict) else {}),
        PROTOCOL_VERSION: NEWER,
        CLIENT_CAPABILITIES: mapped_client_capabilities(declared if isinstance(declared, dict) else {}),
    }


def _stripped(loss: Loss) -> tuple[Op, ...]:
    return (each("_meta", _unreserved_or_absent, loss, needing=_TOKENS),)


_SPOOFED = (each("_meta", _unreserved, Loss.COSMETIC, needing=_TOKENS),)
_UNSTAMPED: tuple[Slot, ...] = (
    *map(result, SHARED_REQUESTS),
    *NOTED,
    ask("roots/list"),
    answer("sampling/createMessage"),
)
"""Bodies with `_meta` that are no requests of the client."""

META = Change(
    name="metadata of every message",
    spec=f"{LOG} major 2",
    rows=("N6",),
    up={
        **dict.fromkeys(map(params, SHARED_REQUESTS), (fill("_meta", _enveloped, Loss.NONE),)),
        **dict.fromkeys(_UNSTAMPED, _SPOOFED),
    },
    down={
        # What a request says about its client, the backend's session was told when it was opened.
        **dict.fromkeys(map(params, SHARED_REQUESTS), _stripped(Loss.STASHED)),
        **dict.fromkeys(_UNSTAMPED, _stripped(Loss.COSMETIC)),
    },
)
