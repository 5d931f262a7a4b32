"""The three questions a server may ask a client, and what a client must have declared to be asked.

Follows 2026-07-28 basic/patterns/mrtr and client/{elicitation,sampling,roots}. Invariant: nothing is asked that the
client did not declare, in either era.
"""

from __future__ import annotations

from typing import Any

from translators.tree import Body

ASKING = frozenset(("tools/call", "prompts/get", "resources/read"))
"""The requests a server may answer with `input_required`; of any other it is a violation."""


def _elicits(capabilities: dict[str, Any], params: Body) -> bool:
    declared = capabilities.get("elicitation")
    if not isinstance(declared, dict):
        return False
    return "url" in declared if params.get("mode") == "url" else not declared or "form" in declared


def _samples(capabilities: dict[str, Any], params: Body) -> bool:
    declared = capabilities.get("sampling")
    if not isinstance(declared, dict):
        return False
    if ("tools" in params or "toolChoice" in params) and "tools" not in declared:
        return False
    return params.get("includeContext", "none") == "none" or "context" in declared


def _has_roots(capabilities: dict[str, Any], _params: Body) -> bool:
    return "roots" in capabilities


def required(method: str, params: Body) -> Body:
    """The capability a question needs, as `requiredCapabilities` of -32021 names it."""
    if method == "elicitation/create":
        return {"elicitation": {"url" if params.get("mode") == "url" else "form": {}}}
    if method == "sampling/createMessage":
        tools: Body = {"tools": {}} if "tools" in params or "toolChoice" in params else {}
        context: Body = {"context": {}} if params.get("includeContext", "none") != "none" else {}
        return {"sampling": {**tools, **context}}
    return {"roots": {}}


GATES = {"elicitation/create": _elicits, "sampling/createMessage": _samples, "roots/list": _has_roots}
"""The three questions, and whether a client that declared these capabilities may be asked one."""
