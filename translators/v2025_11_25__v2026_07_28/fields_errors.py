"""Error codes: a resource that is not there, and the range the newer revision reserved.

Follows changelog minors 6 and 12; basic/index.mdx "Error codes", server/resources.mdx. `older_error` and `newer_error`
are the whole mapping as pure functions, for those who know which peer wrote an error and what it answered; a lane does
not know whether the writer is of this pair at all, so it goes by what only a peer of the newer revision writes.
Invariant: the code that was replaced stays in `data`, and no code of the reserved range that is not defined goes up.
"""

from __future__ import annotations

import re
from typing import Any

from translators import tree
from translators.change import Change, error
from translators.context import Context
from translators.errors import INTERNAL_ERROR, INVALID_PARAMS
from translators.ops import KEEP, Loss, answer_if, fill
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_meta import SHARED_REQUESTS

LOG = "2026-07-28/changelog.mdx"
READ = "resources/read"
RESOURCE_NOT_FOUND = -32002
URL_ELICITATION_REQUIRED = -32042
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
RESERVED = range(-32099, -32019)
"""For the specification alone; an older server may have invented codes in it."""
PYTHON_UNSET = 0
"""What pypi mcp 1.x writes for an exception of a handler."""
LEGACY_CODE = "legacyCode"
ORIGINAL_CODE = "originalCode"

_NOT_FOUND = re.compile(r"not found|unknown resource|no such|does not exist", re.IGNORECASE)
_NAMED = {"roots": (), "sampling": ("tools", "context"), "elicitation": ("form", "url")}


def missing_resource(problem: Body) -> bool:
    """True if an error of `resources/read` says, in either revision's words, that there is no such resource."""
    code = tree.whole(problem, "code")
    if code == RESOURCE_NOT_FOUND:
        return True
    data = tree.whole(problem, "data")
    told = isinstance(data, dict) and "uri" in data
    named = _NOT_FOUND.search(str(tree.whole(problem, "message") or "")) is not None
    if code == INVALID_PARAMS:
        return told or named
    return named and code in (PYTHON_UNSET, INTERNAL_ERROR) and not (isinstance(data, dict) and LEGACY_CODE in data)


def older_error(problem: Body, method: str, uri: str | None = None) -> Body:
    """An error that a 2026-07-28 server answered to `method`, as a session client reads it (a new object).

    -32021 stays an error here; for a tool's call the lane makes a tool error of it.
    """
    opened = _opened(problem)
    if method == READ and opened.get("code") == INVALID_PARAMS and missing_resource(opened):
        return _recoded(opened, RESOURCE_NOT_FOUND, _located(opened, uri))
    code = opened.get("code")
    if code in (HEADER_MISMATCH, UNSUPPORTED_VERSION, MISSING_CAPABILITY):
        return _recoded(opened, INTERNAL_ERROR, {ORIGINAL_CODE: code})
    return opened


def newer_error(problem: Body, method: str, uri: str | None = None, urls: bool = False) -> Body:
    """An error that a session server answered to `method`, as a 2026-07-28 client reads it (a new object).

    `urls` says that the client declared elicitation by URL: then -32042 is not its fault.
    """
    opened = _opened(problem)
    code = opened.get("code")
    if method == READ and code != INVALID_PARAMS and missing_resource(opened):
        return _recoded(opened, INVALID_PARAMS, _located(opened, uri))
    if code == URL_ELICITATION_REQUIRED and not urls:
        needed: Body = {"requiredCapabilities": {"elicitation": {"url": {}}}}
        return _recoded(opened, MISSING_CAPABILITY, {LEGACY_CODE: code, **needed})
    if code == PYTHON_UNSET or (isinstance(code, int) and code in RESERVED):
        return _recoded(opened, INTERNAL_ERROR, {LEGACY_CODE: code})
    return opened


def _located(problem: Body, uri: str | None) -> Body:
    """The URI that was asked for, unless the server named one."""
    data = problem.get("data")
    named = isinstance(data, dict) and "uri" in data
    return {} if uri is None or named else {"uri": uri}


def _opened(problem: Body) -> Body:
    return {name: tree.deep(value) for name, value in problem.items()}


def _recoded(problem: Body, code: int, more: Body) -> Body:
    """With another code, and `data` an object that says more; data of another kind is kept as its member `data`."""
    data = problem.get("data")
    kept = data if isinstance(data, dict) else {} if data is None else {"data": data}
    merged = {**kept, **more}
    return {**problem, "code": code, **({"data": merged} if merged else {})}


def _taken(body: Body, mapped: Body) -> Any:
    """The new code for `fill`, the other members put in place; KEEP if nothing changed."""
    if mapped == _opened(body):
        return KEEP
    body.update(mapped)
    return mapped["code"]


def _uri(ctx: Context) -> str | None:
    uri = tree.whole(ctx.request, "uri") if ctx.request else None
    return uri if isinstance(uri, str) else None


def _reserved_only(body: Body, ctx: Context) -> Any:
    code = tree.member(body, "code")
    return _taken(body, older_error(body, ctx.method)) if isinstance(code, int) and code in RESERVED else KEEP


def _absent_below(body: Body, ctx: Context) -> Any:
    """By its data alone: session servers (npm 1.x) say -32602 of a missing resource too, and name no URI."""
    data = tree.whole(body, "data")
    if tree.member(body, "code") != INVALID_PARAMS or not isinstance(data, dict) or "uri" not in data:
        return KEEP
    return _taken(body, older_error(body, READ, _uri(ctx)))


def _absent_above(body: Body, ctx: Context) -> Any:
    if not missing_resource(body):
        return KEEP
    return _taken(body, newer_error(body, READ, _uri(ctx)))


def _defined_only(body: Body, ctx: Context) -> Any:
    if ctx.method == READ and missing_resource(body):
        return KEEP
    return _taken(body, newer_error(body, ctx.method, urls=_declares_urls(ctx)))


def _declares_urls(ctx: Context) -> bool:
    declared = ctx.facts.get("client_capabilities")
    elicitation = tree.whole(declared, "elicitation") if isinstance(declared, dict) else None
    return isinstance(elicitation, dict) and "url" in elicitation


def _capability_missing(body: Body, _ctx: Context) -> bool:
    return bool(tree.member(body, "code") == MISSING_CAPABILITY)


def required_capabilities(problem: Body) -> tuple[str, ...]:
    """The capabilities a -32021 names, as `elicitation.url`; those no revision defines are left out."""
    data = tree.whole(problem, "data")
    needed = data.get("requiredCapabilities") if isinstance(data, dict) else None
    found = []
    for name, parts in _NAMED.items():
        if isinstance(needed, dict) and name in needed:
            asked = needed[name] if isinstance(needed[name], dict) else {}
            found += [f"{name}.{part}" for part in parts if part in asked] or [name]
    return tuple(found)


def _as_tool_error(body: Body, _ctx: Context) -> Body:
    """A model can read a tool error and try without; an unknown code only ends its turn."""
    names = ", ".join(required_capabilities(body)) or "another one"
    text = f"The tool needs a capability that the client does not have: {names}"
    return {"content": [{"type": "text", "text": text}], "isError": True}


RESOURCE_ABSENT = Change(
    name="code of a missing resource",
    spec=f"{LOG} minor 6",
    rows=("N75",),
    up={error(READ): (fill("code", _absent_above, Loss.NONE, also=("data",)),)},
    down={error(READ): (fill("code", _absent_below, Loss.NONE, also=("data",)),)},
)

RESERVED_CODES = Change(
    name="reserved error codes",
    spec=f"{LOG} minor 12",
    rows=("N72", "N76", "N83"),
    up={error(method): (fill("code", _defined_only, Loss.CARRIED, also=("data",)),) for method in SHARED_REQUESTS},
    down={
        **{error(method): (fill("code", _reserved_only, Loss.CARRIED, also=("data",)),) for method in SHARED_REQUESTS},
        error("tools/call"): (
            answer_if(_capability_missing, _as_tool_error, Loss.DEGRADED),
            fill("code", _reserved_only, Loss.CARRIED, also=("data",)),
        ),
    },
)
