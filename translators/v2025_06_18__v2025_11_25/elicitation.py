"""Elicitation modes, the capability that names them, and the errors and notifications of URL mode.

Follows changelog major 6 (SEP-1036) and client/elicitation.mdx. A URL is never turned into a form: 2025-11-25 forbids
clickable URLs in form fields, and a person could not tell it from the server's own words.
"""

from __future__ import annotations

from typing import Any

from translators import tree
from translators.change import Change, ask, error, notification, params, swallow
from translators.context import Context
from translators.errors import INVALID_PARAMS
from translators.ops import REMOVE, Loss, answer_if, drop, each, fill, refuse_if, when
from translators.tree import Body

LOG = "2025-11-25/changelog.mdx"
URL_ELICITATION_REQUIRED = -32042

CLIENT_REQUESTS = (
    "initialize",
    "ping",
    "completion/complete",
    "logging/setLevel",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "tools/list",
)
"""Every request but tools/call: their answers to an older client stay errors."""


def _forms_only(capability: Any, _ctx: Context) -> Any:
    """`{}` and `{"form": ...}` mean forms, which is all 2025-06-18 has; URLs alone mean no elicitation at all."""
    if not isinstance(capability, dict) or not capability.keys() & {"form", "url"}:
        return capability
    if "form" not in capability:
        return REMOVE
    return {name: value for name, value in capability.items() if name not in ("form", "url")}


def _form_named(capability: Any, ctx: Context) -> Any:
    """2025-06-18 elicitation is form mode; npm 1.25.1 servers test for the member `form`."""
    forms = _forms_only(capability, ctx)
    return {**forms, "form": {}} if isinstance(forms, dict) else forms


def _not_a_form(mode: Any, _ctx: Context) -> bool:
    return bool(mode != "form")


MODES = Change(
    name="elicitation modes",
    spec=f"{LOG} major 6",
    rows=("C29", "C30", "C31", "C32", "C38", "T12"),
    down={
        params("initialize"): (each("capabilities.elicitation", _forms_only, Loss.COSMETIC),),
        ask("elicitation/create"): (
            refuse_if(
                "mode",
                _not_a_form,
                INVALID_PARAMS,
                "elicitation-mode-unsupported",
                "The client's protocol revision supports form mode elicitation only",
            ),
            drop("mode", Loss.CARRIED),
        ),
        notification("notifications/elicitation/complete"): swallow("elicitation-mode-unsupported"),
    },
    up={params("initialize"): (each("capabilities.elicitation", _form_named, Loss.NONE),)},
)


def _needs_url(problem: Body, _ctx: Context) -> bool:
    return bool(tree.member(problem, "code") == URL_ELICITATION_REQUIRED)


def _told(problem: Body) -> str:
    """The error's message and every URL it asks for, one a line: all a person or model needs to act and retry."""
    data = tree.whole(problem, "data")
    asked = data.get("elicitations") if isinstance(data, dict) else None
    links = [
        f"{elicitation.get('message', '')} {elicitation['url']}".strip()
        for elicitation in (asked if isinstance(asked, list) else ())
        if isinstance(elicitation, dict) and isinstance(elicitation.get("url"), str)
    ]
    return "\n".join(filter(None, (str(tree.member(problem, "message") or ""), *links)))


def _as_tool_error(problem: Body, _ctx: Context) -> Body:
    return {"content": [{"type": "text", "text": _told(problem)}], "isError": True}


def _with_urls(problem: Body, _ctx: Context) -> str:
    return _told(problem)


URL_REQUIRED = Change(
    name="URL elicitation required",
    spec=f"{LOG} major 6",
    rows=("C33",),
    emulates="body",
    down={
        error("tools/call"): (answer_if(_needs_url, _as_tool_error, Loss.DEGRADED),),
        **{
            error(method): (when("", _needs_url, fill("message", _with_urls, Loss.CARRIED)),)
            for method in CLIENT_REQUESTS
        },
    },
)
