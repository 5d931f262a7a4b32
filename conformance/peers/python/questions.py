"""Questions that the everything server puts to its client by requests of its own, on the stream of the call they
belong to: one, several at once, or one after the other.

With `--input-keys` each carries its name in `_meta` under `INPUT_KEY`, the one way that a request has to say under
which key a client of 2026-07-28 is to find it in `inputRequests`. Without, no question says anything newer than its
revision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio
import mcp.types as types
import sdk
from mcp.shared.message import ServerMessageMetadata

INPUT_KEY = "dev.dragoman/input-key"


@dataclass(frozen=True)
class Question:
    """A request of the server's: the names of its SDK models (not every release has each), and its params."""

    request: str
    params: str
    result: str
    members: dict[str, Any]

    def named(self, key: str | None) -> Any:
        """The SDK's request; `key` names it in `_meta`."""
        members = dict(self.members)
        if key is not None:
            members["_meta"] = {INPUT_KEY: key}
        params = getattr(types, self.params)(**members) if members else None
        method = _METHODS[self.request]
        return types.ServerRequest(getattr(types, self.request)(method=method, params=params))


_METHODS = {
    "ElicitRequest": "elicitation/create",
    "CreateMessageRequest": "sampling/createMessage",
    "ListRootsRequest": "roots/list",
}


def can_ask_forms() -> bool:
    """Whether the release has elicitation."""
    return sdk.has("ElicitRequest")


def form(message: str, schema: dict[str, Any]) -> Question:
    """A form to fill in."""
    params = "ElicitRequestFormParams" if sdk.has("ElicitRequestFormParams") else "ElicitRequestParams"
    return Question("ElicitRequest", params, "ElicitResult", {"message": message, "requestedSchema": schema})


def field(message: str, name: str, kind: str = "string") -> Question:
    """A form of one required field."""
    return form(message, {"type": "object", "properties": {name: {"type": kind}}, "required": [name]})


def sample(text: str, max_tokens: int) -> Question:
    """A sample of one text of the user's."""
    messages = [types.SamplingMessage(role="user", content=sdk.text(text))]
    members = {"messages": messages, "maxTokens": max_tokens}
    return Question("CreateMessageRequest", "CreateMessageRequestParams", "CreateMessageResult", members)


def roots() -> Question:
    """The client's roots."""
    return Question("ListRootsRequest", "RequestParams", "ListRootsResult", {})


async def ask(server: Any, questions: dict[str, Question]) -> dict[str, Any]:
    """Put the questions to the client at once; gives its answers by name.

    Raises McpError with the client's refusal, or the first of several refusals in an exception group.
    """
    ctx = server.request_context
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    answers: dict[str, Any] = {}

    async def one(name: str, question: Question) -> None:
        request = question.named(name if server.input_keys else None)
        answers[name] = await ctx.session.send_request(request, getattr(types, question.result), metadata=related)

    if len(questions) == 1:
        await one(*next(iter(questions.items())))
    else:
        async with anyio.create_task_group() as group:
            for name, question in questions.items():
                group.start_soon(one, name, question)
    return answers


def declared(server: Any, capability: str) -> bool:
    """Whether the client declared a capability in initialize."""
    capabilities = server.request_context.session.client_params.capabilities
    return getattr(capabilities, capability, None) is not None


def filled(answer: Any) -> dict[str, Any]:
    """What a person put in a form; empty for one that was not accepted."""
    return getattr(answer, "content", None) or {}


def said(answer: Any) -> str:
    """The text of a sample."""
    return str(getattr(answer.content, "text", answer.content.type))
