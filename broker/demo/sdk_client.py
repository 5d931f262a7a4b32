"""A client of revision 2024-11-05 on the official Python SDK, run in an environment of its own.

Not imported by the broker: `story` hands this file to `uv run --with mcp==1.8.1`, the last release whose newest
revision is 2024-11-05. It prints one JSON object a line, as `client` does without an SDK; what it says is what an
application on this SDK sees. The check of its newest revision keeps a newer SDK from telling the story of an older one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp import ClientSession, McpError, types  # type: ignore[import-not-found]
from mcp.client.streamable_http import streamablehttp_client  # type: ignore[import-not-found]
from pydantic import AnyUrl

ARGUMENTS: dict[str, dict[str, str]] = {"weather": {"city": "Isfahan"}, "forecast": {"city": "Isfahan"}}


def say(feature: str, **seen: Any) -> None:
    """One line of the report."""
    print(json.dumps({"feature": feature, **seen}), flush=True)


async def main(url: str, pinned: str) -> int:
    """Walk through what the sample server offers."""
    if pinned != types.LATEST_PROTOCOL_VERSION:
        say("failed", reason=f"this SDK speaks {types.LATEST_PROTOCOL_VERSION}")
        return 2
    async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
        opened = await session.initialize()
        say("initialize", revision=opened.protocolVersion, server=opened.serverInfo.name)
        tools = (await session.list_tools()).tools
        say("tools/list", tools=[tool.model_dump(mode="json", exclude_none=True) for tool in tools])
        for name in (tool.name for tool in tools if tool.name != "remember"):
            try:
                result = await session.call_tool(name, ARGUMENTS.get(name, {}))
            except McpError as error:
                say("tools/call", tool=name, error=error.error.message)
                continue
            content = [block.model_dump(mode="json", exclude_none=True) for block in result.content]
            say("tools/call", tool=name, content=content, is_error=bool(result.isError))
        resource = await session.read_resource(AnyUrl("demo://notes/today"))
        say("resources/read", contents=[item.model_dump(mode="json", exclude_none=True) for item in resource.contents])
        prompt = await session.get_prompt("plan_day", {"mood": "calm"})
        say("prompts/get", messages=[item.model_dump(mode="json", exclude_none=True) for item in prompt.messages])
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2])))
