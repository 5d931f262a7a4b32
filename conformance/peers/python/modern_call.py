"""One tools/call, prompts/get or resources/read of the modern everything server, and how it asks the client.

Pages basic/patterns/mrtr and basic/index of 2026-07-28. A body asks with `Call.need` as if the answers were
there: while one is missing, `InputNeeded` ends this leg with an `input_required` result, and the client's
retry runs the body again. Answers of earlier legs travel in the requestState, because a retry carries those of
the last leg alone. Invariant: no ask leaves whose capability this very request did not declare.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import mcp.types as types
import sdk
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter

_RESPONSE: TypeAdapter[Any] = TypeAdapter(types.InputResponse)
_KINDS: dict[str, Any] = {
    "elicitation/create": types.ElicitResult,
    "sampling/createMessage": types.CreateMessageResult | types.CreateMessageResultWithTools,
    "roots/list": types.ListRootsResult,
}


class InputNeeded(Exception):  # noqa: N818 - an outcome of the call, not an error
    """The leg ends here; `result` asks the client."""

    def __init__(self, result: types.InputRequiredResult) -> None:
        super().__init__("input required")
        self.result = result


class Call:
    """A request that may ask: what came with it, and the answers of this leg and the earlier ones."""

    def __init__(self, server: Any, ctx: Any, params: Any) -> None:
        self.server = server
        self.ctx = ctx
        self.arguments: dict[str, Any] = getattr(params, "arguments", None) or {}
        self.state: str | None = params.request_state  # plain: the SDK's boundary has unsealed and verified it
        self._answers: dict[str, Any] = dict(params.input_responses or {})
        earlier = json.loads(self.state) if self.state else {}
        self._remembered = {key: _RESPONSE.validate_python(value) for key, value in earlier.items()}

    def need(self, requests: dict[str, Any], *, state: bool = False) -> dict[str, Any]:
        """The client's answers by key.

        `state` insists on a requestState even while there is nothing to remember: answers without it do not
        count. Raises InputNeeded for what is missing, MCPError -32021 for an undeclared capability.
        """
        self.require(requests.values())
        for key, request in requests.items():
            if isinstance(self._answers.get(key), _KINDS[request.method]) and not (state and self.state is None):
                self._remembered[key] = self._answers[key]
        missing = {key: request for key, request in requests.items() if key not in self._remembered}
        if missing:
            kept = self._state() if state or self._remembered else None
            raise InputNeeded(types.InputRequiredResult(input_requests=missing, request_state=kept))
        return {key: self._remembered[key] for key in requests}

    def pause(self) -> None:
        """End the first leg with a requestState and no ask; the retry goes on."""
        if self.state is None:
            raise InputNeeded(types.InputRequiredResult(request_state=self._state()))

    def declares(self, request: Any) -> bool:
        """Whether this request's client capabilities cover an ask."""
        return not _lack(self.ctx.session.client_capabilities, request)

    def require(self, requests: Iterable[Any]) -> None:
        """Raise MCPError -32021 naming every capability that the asks need and the request did not declare."""
        lacking: dict[str, Any] = {}
        for request in requests:
            for name, value in _lack(self.ctx.session.client_capabilities, request).items():
                lacking.setdefault(name, {}).update(value)
        if lacking:
            data = {"requiredCapabilities": lacking}
            names = ", ".join(lacking)
            raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, f"The client declared no {names}", data)

    def _state(self) -> str:
        return json.dumps({key: dump(value) for key, value in self._remembered.items()})


def _lack(declared: types.ClientCapabilities | None, request: Any) -> dict[str, Any]:
    """The capability an ask needs, in the shape of ClientCapabilities; empty when it is declared."""
    have = declared or types.ClientCapabilities()
    if request.method == "roots/list":
        return {} if have.roots is not None else {"roots": {}}
    params = request.params
    if request.method == "sampling/createMessage":
        with_tools = params.tools is not None or params.tool_choice is not None
        if have.sampling is None or (with_tools and have.sampling.tools is None):
            return {"sampling": {"tools": {}} if with_tools else {}}
        return {}
    modes = have.elicitation
    if params.mode == "url":
        return {} if modes is not None and modes.url is not None else {"elicitation": {"url": {}}}
    # An empty elicitation capability means forms.
    return {} if modes is not None and (modes.form is not None or modes.url is None) else {"elicitation": {"form": {}}}


def dump(value: Any) -> Any:
    """A model as JSON values."""
    return value.model_dump(by_alias=True, mode="json", exclude_none=True)


def form(message: str, schema: dict[str, Any]) -> Any:
    """An ask for a form."""
    params = types.ElicitRequestFormParams(message=message, requestedSchema=schema)
    return types.ElicitRequest(params=params)


def question(message: str, name: str, kind: str = "string") -> Any:
    """An ask for a form of one required field."""
    return form(message, {"type": "object", "properties": {name: {"type": kind}}, "required": [name]})


def visit(message: str, url: str) -> Any:
    """An ask to visit a page."""
    return types.ElicitRequest(params=types.ElicitRequestURLParams(message=message, url=url))


def sample(messages: list[Any] | str, **members: Any) -> Any:
    """An ask for a sample of a conversation, or of one text of the user's."""
    if isinstance(messages, str):
        messages = [types.SamplingMessage(role="user", content=sdk.text(messages))]
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=messages, **members))


def roots() -> Any:
    """An ask for the roots."""
    return types.ListRootsRequest()


def said(answer: Any) -> str:
    """The texts of a sample."""
    blocks = answer.content if isinstance(answer.content, list) else [answer.content]
    return " ".join(block.text for block in blocks if block.type == "text")
