"""The everything server's tools that ask the client: roots, sampling and elicitation of each revision.

Asks belong to the call that made them (they travel on its own stream), but for `sampling_get_stream`, which
asks outside any call, as a server does that has something to ask by itself.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import mcp.types as types
import sdk
from mcp.server.session import ServerSession
from mcp.shared.message import ServerMessageMetadata
from tools import Entry, Run, entry

MAX_TOKENS = 100
CITY_TOOL: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "format": "email", "description": "User's email address"},
    },
    "required": ["username", "email"],
}
DEFAULTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "User name", "default": "John Doe"},
        "age": {"type": "integer", "description": "User age", "default": 30},
        "score": {"type": "number", "description": "User score", "default": 95.5},
        "status": {
            "type": "string",
            "description": "User status",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "description": "Verification status", "default": True},
    },
    "required": [],
}
_OPTIONS = ["option1", "option2", "option3"]
_TITLED = [{"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(("First", "Second", "Third"), 1)]
ENUMS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "description": "Select one option", "enum": _OPTIONS},
        "titledSingle": {"type": "string", "description": "Select one option with titles", "oneOf": _TITLED},
        "legacyEnum": {
            "type": "string",
            "description": "Select one option (legacy)",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "description": "Select multiple options",
            "minItems": 1,
            "maxItems": 3,
            "items": {"type": "string", "enum": _OPTIONS},
        },
        "titledMulti": {
            "type": "array",
            "description": "Select multiple options with titles",
            "minItems": 1,
            "maxItems": 3,
            "items": {"anyOf": _TITLED},
        },
    },
    "required": [],
}


def _argument(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


def _message(value: str) -> Any:
    return types.SamplingMessage(role="user", content=sdk.text(value))


def _dump(value: Any) -> Any:
    return value.model_dump(by_alias=True, mode="json", exclude_none=True)


async def roots(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Ask roots/list; answer the URIs as a JSON list."""
    ctx = server.request_context
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    ask = types.ServerRequest(types.ListRootsRequest(method="roots/list"))
    answer = await ctx.session.send_request(ask, types.ListRootsResult, metadata=related)
    return [sdk.text(json.dumps([str(root.uri) for root in answer.roots]))]


def sampling(*, related: bool) -> Run:
    """A tool body that asks for a sample, on the call's own stream or outside of it."""

    async def run(server: Any, arguments: dict[str, Any]) -> list[Any]:
        ctx = server.request_context
        answer = await ctx.session.create_message(
            [_message(arguments["prompt"])],
            max_tokens=MAX_TOKENS,
            system_prompt="You are a test.",
            temperature=0.5,
            related_request_id=ctx.request_id if related else None,
        )
        return [sdk.text(f"LLM response: {getattr(answer.content, 'text', answer.content.type)}")]

    return run


async def sampling_tools(server: Any, arguments: dict[str, Any]) -> list[Any]:
    """Ask with a tool on offer, run the tool that was chosen, hand its result back; answers the last text."""
    ctx = server.request_context
    weather = types.Tool(name="weather", description="Weather of a city", inputSchema=CITY_TOOL)
    history = [_message(arguments.get("prompt", "What is the weather in Paris?"))]

    async def ask() -> Any:
        return await ctx.session.create_message(
            history,
            max_tokens=MAX_TOKENS,
            tools=[weather],
            tool_choice=types.ToolChoice(mode="auto"),
            related_request_id=ctx.request_id,
        )

    answer = await ask()
    uses = [block for block in answer.content_as_list if block.type == "tool_use"]
    if uses:
        results = [
            types.ToolResultContent(
                type="tool_result", toolUseId=use.id, content=[sdk.text(f"sunny in {use.input.get('city')}")]
            )
            for use in uses
        ]
        history.append(types.SamplingMessage(role="assistant", content=answer.content_as_list))
        history.append(types.SamplingMessage(role="user", content=results))
        answer = await ask()
    said = [block.text for block in answer.content_as_list if block.type == "text"]
    return [sdk.text(f"LLM response: {' '.join(said)} (tools used: {len(uses)})")]


def elicitation(schema: dict[str, Any], text: str) -> Run:
    """A tool body that asks for a form; answers the action and the content."""

    async def run(server: Any, arguments: dict[str, Any]) -> list[Any]:
        ctx = server.request_context
        answer = await ctx.session.elicit(arguments.get("message", text), schema, related_request_id=ctx.request_id)
        content = json.dumps(_dump(answer).get("content", {}))
        return [sdk.text(f"Elicitation completed: action={answer.action}, content={content}")]

    return run


async def url_elicitation(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Send the person to a page; answers the action, after telling that the visit is over."""
    ctx = server.request_context
    visit = uuid4().hex
    answer = await ctx.session.elicit_url(
        "Please visit this page",
        f"https://example.com/visit/{visit}",
        visit,
        related_request_id=ctx.request_id,
    )
    await ctx.session.send_elicit_complete(visit, related_request_id=ctx.request_id)
    return [sdk.text(answer.action)]


def table() -> dict[str, Entry]:
    """These tools by name, as far as release and revision go."""
    prompt = _argument("prompt")
    entries = [
        entry("roots", "Asks for the roots", roots),
        entry("test_sampling", "Asks for a sample", sampling(related=True), prompt),
        entry("sampling_get_stream", "Asks for a sample outside the call", sampling(related=False), prompt),
    ]
    if hasattr(ServerSession, "elicit"):
        body = elicitation(PERSON, "Please provide your information")
        entries.append(entry("test_elicitation", "Asks for a form", body, _argument("message")))
    if sdk.speaks("2025-11-25"):
        body = elicitation(DEFAULTS, "Please review the form with its defaults")
        entries.append(entry("test_elicitation_sep1034_defaults", "Asks for a form with defaults", body))
        body = elicitation(ENUMS, "Please choose")
        entries.append(entry("test_elicitation_sep1330_enums", "Asks for a form of choices", body))
    if hasattr(ServerSession, "elicit_url"):
        entries.append(entry("url_elicitation", "Asks to visit a page", url_elicitation))
    if sdk.accepts(ServerSession.create_message, "tools"):
        entries.append(entry("sampling_tools", "Asks for a sample with tools", sampling_tools))
    return {item.declaration.name: item for item in entries}
