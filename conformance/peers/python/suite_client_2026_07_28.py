# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp==2.3.0", "pydantic==2.14.3"]
# ///
"""The official suite's client on an SDK release pinned to 2026-07-28, with no way back to a handshake: does what a
scenario asks of a client, whatever is in front of it.

    uv run --script suite_client_2026_07_28.py URL

The suite names in `MCP_CONFORMANCE_CONTEXT` (JSON) what to call, and judges at its own server. Here everything that is
listed is used once, and every form is accepted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from typing import Any

import mcp.types as types
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

REVISION = "2026-07-28"
PLAIN: dict[str, Any] = {"string": "text", "boolean": True, "integer": 1, "number": 1.5}
ARGUMENTS = {"a": 5, "b": 3}


async def sample(_context: Any, _params: Any) -> types.CreateMessageResult:
    """A fixed answer."""
    content = types.TextContent(type="text", text="A fixed answer")
    return types.CreateMessageResult(role="assistant", model="fixed", content=content, stopReason="endTurn")


async def roots(_context: Any) -> types.ListRootsResult:
    """One root."""
    return types.ListRootsResult(roots=[types.Root(uri="file:///projects", name="projects")])


async def accept(_context: Any, params: Any) -> types.ElicitResult:
    """Every field its default, else a value of its type."""
    fields = params.requested_schema.get("properties", {})
    content = {name: field.get("default", PLAIN.get(field.get("type"))) for name, field in fields.items()}
    return types.ElicitResult(action="accept", content=content)


async def calls(client: Client) -> None:
    """The calls that the scenario's context names, else one of every tool."""
    listed = await client.list_tools()
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    wanted = context.get("toolCalls") or [{"name": tool.name, "arguments": _fitting(tool)} for tool in listed.tools]
    for call in wanted:
        await client.call_tool(call["name"], call.get("arguments") or {})


def _fitting(tool: types.Tool) -> dict[str, Any]:
    """Arguments by the names and types that the tool declares."""
    fields = tool.input_schema.get("properties", {})
    return {
        name: ARGUMENTS.get(name, PLAIN[field["type"]])
        for name, field in fields.items()
        if isinstance(field, dict) and field.get("type") in PLAIN
    }


async def run(url: str) -> None:
    """Discover, then use what the server has."""
    async with Client(
        url, mode=REVISION, sampling_callback=sample, list_roots_callback=roots, elicitation_callback=accept
    ) as client:
        raw = await client.session.send_discover(REVISION)
        client.session.adopt(types.DiscoverResult.model_validate(raw))
        capabilities = client.server_capabilities
        if capabilities.tools is not None:
            await calls(client)
        if capabilities.resources is not None:
            for resource in (await client.list_resources()).resources:
                await client.read_resource(resource.uri)
        if capabilities.prompts is not None:
            for prompt in (await client.list_prompts()).prompts:
                await client.get_prompt(prompt.name, {argument.name: "text" for argument in prompt.arguments or []})


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the SDK warns of what the revision deprecates
    try:
        asyncio.run(run(sys.argv[1]))
    except* MCPError as refusals:
        sys.exit(f"refused: {'; '.join(str(each) for each in refusals.exceptions)}")
