"""What is wrong with a modern request beside its envelope: it says too much, or its headers say something else.

Follows 2026-07-28 basic/transports/streamable-http (custom headers) and server/tools (x-mcp-header). Invariant: asking
changes nothing, so that whoever asks first may leave the refusal to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from broker.callers import caller_of
from broker.faces.classify import CLIENT_CAPABILITIES, Modern, Refusal, mismatch
from broker.faces.stateless_listen import LISTEN
from broker.faces.stateless_params import introduction
from broker.hooks.base import CallInfo
from protocol_versions import jsonrpc
from translators import tree
from translators.mirrored import Annotations, Unreadable, agrees

if TYPE_CHECKING:
    from broker.faces.context import FaceContext
    from broker.faces.stateless_call import ParamHeaders
    from broker.identity import Principal

PARAM: Final = "mcp-param-"

TOO_MANY: Final = Refusal(
    429, jsonrpc.INTERNAL_ERROR, "Too Many Requests: subscription limit reached", "subscriptions"
)  # fmt: skip

MAX_CAPABILITIES: Final = 16 * 1024
"""Bytes of capabilities that a session is opened with; those of SDK clients are below 200."""

TOO_CAPABLE: Final = Refusal(
    400, jsonrpc.INVALID_PARAMS, "Invalid params: clientCapabilities is too large", "capabilities"
)  # fmt: skip


def unfit(
    context: FaceContext, listening: Mapping[str, int], headers: Mapping[str, str], principal: Principal,
    modern: Modern, *, given: ParamHeaders, bridged: bool,
) -> Refusal | None:  # fmt: skip
    """The refusal of a request, None if it may go on.

    `listening` counts open subscriptions by principal; `headers` looks names up without case; `given` are those of
    them that repeat arguments.
    """
    if bridged and len(modern.meta[CLIENT_CAPABILITIES]) > MAX_CAPABILITIES:
        return TOO_CAPABLE
    if modern.method == LISTEN and listening.get(principal.id, 0) >= context.max_streams:
        return TOO_MANY
    if modern.method != "tools/call" or modern.target is None:
        return None
    for name, value in given:
        if not value.isprintable():
            return mismatch(name)
    known: Annotations = context.facts(principal).mirrored(modern.target)
    refusal = _parameters(known, headers, modern) if known else None
    return None if refusal is not None and _is_hidden(context, principal, modern) else refusal


def _is_hidden(context: FaceContext, principal: Principal, modern: Modern) -> bool:
    """Whether the request will be answered as one for what does not exist: nothing tells of its schema then."""
    revision = modern.revision.id
    caller = caller_of(principal, introduction(modern.meta), revision, revision)
    info = CallInfo(modern.method, modern.target, principal.id, context.name, caller=caller)
    return context.hooks.review(info) is not None


def params_of(headers: Mapping[str, str]) -> ParamHeaders:
    """The Mcp-Param headers of a request; what no schema is known of is passed on as it came (RFC 9110 5.1)."""
    return tuple((name, value) for name, value in headers.items() if name[: len(PARAM)].lower() == PARAM)


def _parameters(known: Annotations, headers: Mapping[str, str], modern: Modern) -> Refusal | None:
    """The refusal if a Mcp-Param header of a tool that is known differs from the body."""
    arguments = tree.deep(modern.params.get("arguments"))
    for path, name in known.items():
        text = headers.get(f"Mcp-Param-{name}")
        value = _at(arguments, path)
        try:
            if (text is None) != (value is None) or (text is not None and not agrees(text, value)):
                return mismatch(f"Mcp-Param-{name}")
        except Unreadable:
            return mismatch(f"Mcp-Param-{name}")
    return None


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
