"""The everything server's tools that need nothing of the client; `asks` has the others.

Each tool is an `Entry`: its declaration and a coroutine function of (server, arguments) that returns content
blocks, or (blocks, structured content) where the revision has an output schema.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio
import mcp.types as types
import samples
import sdk

Run = Callable[[Any, dict[str, Any]], Awaitable[Any]]

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
SECONDS_ARGUMENT: dict[str, Any] = {
    "type": "object",
    "properties": {"seconds": {"type": "number"}},
    "required": ["seconds"],
}
TEMPERATURE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"temperature": {"type": "number"}, "unit": {"type": "string"}},
    "required": ["temperature", "unit"],
}
ADDRESS_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
BIG = "0123456789abcdef" * 65_536  # 1 MiB: many times what a pipe holds
PAUSE = 0.05  # seconds between progress and log notifications, as the official suite expects


@dataclass
class Entry:
    """A tool: what tools/list shows and what tools/call does."""

    declaration: Any
    run: Run


def entry(name: str, about: str, run: Run, schema: dict[str, Any] = NO_ARGUMENTS, **members: Any) -> Entry:
    """An entry whose declaration keeps only the members that the revision defines."""
    return Entry(sdk.make(types.Tool, name=name, description=about, inputSchema=schema, **members), run)


def complain(line: str) -> None:
    """Say something for a person on stderr, in one short line; stdout carries the READY line alone."""
    print(" ".join(line.split())[:300], file=sys.stderr, flush=True)


def says(*blocks: Any) -> Run:
    """A tool body that answers fixed blocks."""

    async def run(_server: Any, _arguments: dict[str, Any]) -> list[Any]:
        return list(blocks)

    return run


async def fail(_server: Any, _arguments: dict[str, Any]) -> Any:
    """Fail: the SDK answers isError with this text."""
    raise RuntimeError("This tool intentionally returns an error for testing")


async def progress(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Report 0, 50 and 100 of 100 under the caller's own token, if it gave one."""
    ctx = server.request_context
    token = ctx.meta.progressToken if ctx.meta else None
    send = ctx.session.send_progress_notification
    for done in (0, 50, 100):
        if token is not None:
            message = {"message": f"{done} of 100"} if sdk.accepts(send, "message") else {}
            await send(token, done, 100, related_request_id=ctx.request_id, **message)
            await anyio.sleep(PAUSE)
    return [sdk.text(str(token))]


async def logging(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Send three info messages that belong to this call."""
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await server.log("info", message)
        await anyio.sleep(PAUSE)
    return [sdk.text("Tool with logging executed successfully")]


async def structured(_server: Any, _arguments: dict[str, Any]) -> Any:
    """A reading as text, and as structured content where the revision has it."""
    reading = {"temperature": 21.5, "unit": "C"}
    blocks = [sdk.text(json.dumps(reading))]
    return (blocks, reading) if "structuredContent" in types.CallToolResult.model_fields else blocks


async def slow(server: Any, arguments: dict[str, Any]) -> list[Any]:
    """Wait, and count being cancelled."""
    try:
        await anyio.sleep(float(arguments["seconds"]))
    except anyio.get_cancelled_exc_class():
        server.cancelled += 1
        raise
    return [sdk.text("done")]


async def cancelled_count(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """How many `slow` calls were cancelled in this process."""
    return [sdk.text(str(server.cancelled))]


def changes(what: str) -> Run:
    """A tool body that sends a list_changed notification outside the call (on the GET stream)."""

    async def run(server: Any, _arguments: dict[str, Any]) -> list[Any]:
        await getattr(server.request_context.session, f"send_{what}_list_changed")()
        return [sdk.text(f"{what} list changed")]

    return run


async def touch_watched(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Send resources/updated for the watched resource to its subscribers."""
    told = await server.touch(samples.WATCHED)
    return [sdk.text(f"told {told}")]


async def whoami(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """What the client said of itself in initialize."""
    params = server.request_context.session.client_params
    seen = params.model_dump(by_alias=True, mode="json", exclude_none=True)
    wanted = ("protocolVersion", "capabilities", "clientInfo")
    return [sdk.text(json.dumps({name: seen.get(name) for name in wanted}))]


async def pid(_server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """The process that serves this session."""
    return [sdk.text(str(os.getpid()))]


def table() -> dict[str, Entry]:
    """These tools by name."""
    mixed = samples.embedded("test://mixed-content-resource", '{"test": "data"}', "application/json")
    resource = samples.embedded("test://embedded-resource", "This is an embedded resource content.")
    hints = {"title": "Decorated by annotation", "readOnlyHint": True}
    icon = {"src": f"data:image/png;base64,{samples.PNG}", "mimeType": "image/png", "sizes": ["1x1"]}
    linked = [samples.link()] if sdk.has("ResourceLink") else []
    entries = [
        entry(
            "test_simple_text",
            "Answers a text",
            says(sdk.text("This is a simple text response for testing.")),
        ),
        entry("test_image_content", "Answers an image", says(samples.image())),
        entry("test_embedded_resource", "Answers an embedded resource", says(resource)),
        entry(
            "test_multiple_content_types",
            "Answers a text, an image and a resource",
            says(sdk.text("Multiple content types test:"), samples.image(), mixed),
        ),
        entry("big", "Answers a text of one mebibyte", says(sdk.text(BIG))),
        entry("test_error_handling", "Always fails", fail),
        entry("test_tool_with_progress", "Reports its progress", progress),
        entry("test_tool_with_logging", "Logs three messages", logging),
        entry("json_schema_2020_12_tool", "Has a full JSON Schema 2020-12", says(sdk.text("ok")), ADDRESS_SCHEMA),
        entry("structured", "Answers structured content", structured, outputSchema=TEMPERATURE_SCHEMA),
        entry("links", "Answers a link to a resource", says(sdk.text("See the static text."), *linked)),
        entry(
            "decorated",
            "Declares all that a tool can declare",
            says(sdk.text("decorated")),
            title="Decorated tool",
            annotations=types.ToolAnnotations(**hints),
            icons=[icon],
            _meta={"example.com/decoration": "ribbon"},
        ),
        entry("slow", "Waits the seconds it is told", slow, SECONDS_ARGUMENT),
        entry("cancelled_count", "Counts the cancelled waits", cancelled_count),
        entry("change_tools", "Says that the tools changed", changes("tool")),
        entry("change_prompts", "Says that the prompts changed", changes("prompt")),
        entry("change_resources", "Says that the resources changed", changes("resource")),
        entry("touch_watched", "Says that the watched resource was updated", touch_watched),
        entry("whoami", "Answers what the client said of itself", whoami),
        entry("pid", "Answers the process id", pid),
    ]
    if sdk.has("AudioContent"):
        entries.append(entry("test_audio_content", "Answers audio", says(samples.audio())))
    return {item.declaration.name: item for item in entries}
