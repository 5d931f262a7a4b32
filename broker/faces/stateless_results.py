"""Results on the modern face: complete in what this revision demands, and asking no more than the client declared.

Follows 2026-07-28 basic/index (resultType), server/utilities/caching and basic/patterns/mrtr. Invariants: every result
says its type; every cacheable one says for how long and for whom, and what a filter may have changed is private; an
interim result leaves only where it is allowed, and its state only sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw

from broker.faces.stateless_params import STATE, without_tasks
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Refused, WireLimits
from translators import tree
from translators.inputs import ASKING, GATES

Result = dict[str, Any]

COMPLETE: Final = "complete"
INPUT_REQUIRED: Final = "input_required"
CACHEABLE: Final = frozenset(
    (
        "prompts/list", "resources/list", "resources/read", "resources/templates/list", "server/discover",
        "tools/list",
    )
)  # fmt: skip
"""The requests whose complete results carry caching hints."""

_COMPLETE_RAW: Final = b'"complete"'
_PRIVATE: Final = Raw(b'"private"')
_ZERO: Final = Raw(b"0")
_TTL_MAX_MS: Final = 24 * 3_600_000
"""Longest lifetime given on; nobody re-reads a list that is fresh for a month."""


class Violation(Exception):  # noqa: N818 (what the backend did)
    """A result that must not be given on; the slug says why, to the operator and to the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def typed(body: Result) -> str:
    """The result's type; one that is missing is written in, as readers MUST take it for complete."""
    raw = body.get("resultType")
    if raw is None:
        body["resultType"] = COMPLETE
        return COMPLETE
    if type(raw) is Raw and bytes(raw) == _COMPLETE_RAW:
        return COMPLETE
    kind = tree.deep(raw)
    if not isinstance(kind, str):
        raise Violation("result-type")
    return kind


def hinted(body: Result, *, filtered: bool, retry: bool) -> None:
    """Give a cacheable result its hints: nothing is fresh or shared unless the backend said so in good form."""
    ttl = tree.deep(body.get("ttlMs"))
    scope = tree.deep(body.get("cacheScope"))
    if retry or type(ttl) is not int or ttl < 0:
        body["ttlMs"] = _ZERO
    elif ttl > _TTL_MAX_MS:
        body["ttlMs"] = _TTL_MAX_MS
    if scope not in ("public", "private") or ((filtered or retry) and scope == "public"):
        body["cacheScope"] = _PRIVATE


def discovered(body: Result, versions: list[str]) -> None:
    """A discovery names the versions of this endpoint, and no extension that ends here."""
    body["supportedVersions"] = versions
    raw = body.get("capabilities")
    capabilities = tree.deep(raw)
    if not isinstance(capabilities, dict):
        raise Violation("discovery")
    if without_tasks(capabilities):
        body["capabilities"] = capabilities


def interim(
    method: str,
    body: Result,
    capabilities: dict[str, Any],
    limits: WireLimits,
    seal: Callable[[bytes | None], str | None],
) -> None:
    """Check what a backend asks for against what the client declared, and seal its state, None if it gave none.

    Raises:
        Violation: the backend must not ask this, here or of this client.
        broker.seal.Unsealable: its state is too long, or this call has asked too often.
    """
    if method not in ASKING:
        raise Violation("input-required")
    requests, state = body.get("inputRequests"), body.get(STATE)
    if requests is None and state is None:
        raise Violation("input-required-empty")
    try:
        opened = {} if requests is None else jsonrpc.open_value(_text(requests), limits)
        if state is not None and type(jsonrpc.open_value(_text(state), limits)) is not str:
            raise Violation("request-state")
    except Refused:
        raise Violation("input-required-malformed") from None
    if not isinstance(opened, dict):
        raise Violation("input-required-malformed")
    for asked in opened.values():
        if not isinstance(asked, dict) or not _declared(asked, capabilities):
            raise Violation("not-declared")
    # Always there: one SDK takes an interim result without it for the tool's own.
    body["inputRequests"] = opened
    for hint in ("ttlMs", "cacheScope"):
        body.pop(hint, None)
    token = seal(None if state is None else bytes(_text(state)))
    if token is not None:
        body[STATE] = token


def without(body: Result, names: list[str]) -> None:
    """Leave tools out of a list."""
    hidden = set(names)
    kept = []
    for item in tree.shallow(body["tools"]):
        tool = tree.shallow(item)
        name = tree.deep(tool.get("name")) if isinstance(tool, dict) else None
        if not (isinstance(name, str) and name in hidden):
            kept.append(item)
    body["tools"] = kept


def _text(value: Any) -> Raw:
    """The value as bytes, whether or not a hook has opened it."""
    return value if type(value) is Raw else Raw(msgspec.json.encode(value))


def _declared(asked: dict[str, Any], capabilities: dict[str, Any]) -> bool:
    method, params = asked.get("method"), asked.get("params", {})
    gate = GATES.get(method) if isinstance(method, str) else None
    return gate is not None and isinstance(params, dict) and gate(capabilities, params)
