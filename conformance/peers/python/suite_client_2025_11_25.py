# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp==1.30.0", "pydantic==2.14.3"]
# ///
"""The official suite's client on an SDK release of 2025-11-25: does what a scenario asks of a client, whatever is
in front of it.

    uv run --script suite_client_2025_11_25.py URL

The suite names the scenario in `MCP_CONFORMANCE_SCENARIO`, and in `MCP_CONFORMANCE_CONTEXT` (JSON) what to call.
It judges at its own server. Here everything that is listed is used once, and every form is accepted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import mcp.types as types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.exceptions import McpError
from pydantic import AnyUrl

LISTING_ONLY = ("json-schema-ref-no-deref",)
"""Scenarios whose server answers lists alone."""
ARGUMENTS = {"a": 5, "b": 3}


async def sample(_context: Any, _params: Any) -> types.CreateMessageResult:
    """A fixed answer."""
    content = types.TextContent(type="text", text="A fixed answer")
    return types.CreateMessageResult(role="assistant", model="fixed", content=content, stopReason="endTurn")


async def roots(_context: Any) -> types.ListRootsResult:
    """One root."""
    return types.ListRootsResult(roots=[types.Root(uri=AnyUrl("file:///projects"), name="projects")])


async def accept(_context: Any, params: Any) -> types.ElicitResult:
    """Every field its default, else a value of its type."""
    plain: dict[str, Any] = {"string": "text", "boolean": True, "integer": 1, "number": 1.5}
    fields = params.requestedSchema.get("properties", {})
    content = {name: field.get("default", plain.get(field.get("type"))) for name, field in fields.items()}
    return types.ElicitResult(action="accept", content=content)


async def calls(session: ClientSession) -> None:
    """The calls that the scenario's context names, else one of every tool."""
    listed = await session.list_tools()
    if os.environ.get("MCP_CONFORMANCE_SCENARIO") in LISTING_ONLY:
        return
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    wanted = context.get("toolCalls") or [{"name": tool.name, "arguments": _fitting(tool)} for tool in listed.tools]
    for call in wanted:
        await session.call_tool(call["name"], call.get("arguments") or {})


def _fitting(tool: types.Tool) -> dict[str, Any]:
    """Arguments by the names and types that the tool declares."""
    plain: dict[str, Any] = {"string": "text", "boolean": True, "integer": 1, "number": 1}
    fields = tool.inputSchema.get("properties", {})
    return {
        name: ARGUMENTS.get(name, plain.get(field.get("type")) if isinstance(field, dict) else None)
        for name, field in fields.items()
        if isinstance(field, dict) and field.get("type") in plain
    }


async def reads(session: ClientSession, capabilities: types.ServerCapabilities) -> None:
    """Every resource and every prompt, where the server has any."""
    if capabilities.resources is not None:
        for resource in (await session.list_resources()).resources:
            await session.read_resource(resource.uri)
    if capabilities.prompts is not None:
        for prompt in (await session.list_prompts()).prompts:
            given = {argument.name: "text" for argument in prompt.arguments or []}
            await session.get_prompt(prompt.name, given)


async def run(url: str) -> None:
    """One session."""
    async with (
        streamablehttp_client(url) as (read, write, _),
        ClientSession(
            read, write, sampling_callback=sample, list_roots_callback=roots, elicitation_callback=accept
        ) as session,
    ):
        opened = await session.initialize()
        await calls(session)
        await reads(session, opened.capabilities)


if __name__ == "__main__":
    try:
        asyncio.run(run(sys.argv[1]))
    except* McpError as refusals:
        sys.exit(f"refused: {'; '.join(str(each) for each in refusals.exceptions)}")
