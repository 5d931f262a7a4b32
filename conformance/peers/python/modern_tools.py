"""The modern everything server's tools that need nothing of the client; `modern_asks` has the others.

A body takes a `Call` and returns content blocks, or a whole result where it has structured content. Names and
texts are those of the older servers (`tools`), so that a broker's client sees the same whatever is behind it.
"""

from __future__ import annotations

import json
import os
from typing import Any

import anyio
import mcp.types as types
import modern_samples
import samples
import sdk
from mcp.server.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from modern_call import Call
from tools import ADDRESS_SCHEMA, BIG, PAUSE, SECONDS_ARGUMENT, TEMPERATURE_SCHEMA, Entry, Run, entry, fail, says

NUMBERS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "integer"}}
_META = "io.modelcontextprotocol/"


def header_argument(name: str, header: str) -> dict[str, Any]:
    """An input schema of one string that clients copy into the header `Mcp-Param-{header}`."""
    return {
        "type": "object",
        "properties": {name: {"type": "string", "x-mcp-header": header}},
        "required": [name],
    }


def plain(run: Run) -> Run:
    """An older tool body that looks at nothing of its caller, as one that takes a `Call`."""

    async def body(call: Call) -> Any:
        return await run(call.server, call.arguments)

    return body


def _structured(value: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[sdk.text(json.dumps(value))], structuredContent=value)


async def structured(_call: Call) -> Any:
    """A reading as text and as structured content."""
    return _structured({"temperature": 21.5, "unit": "C"})


async def array_output(_call: Call) -> Any:
    """Structured content that is no object, as only this revision allows."""
    return _structured([1, 2, 3])


async def mirrored(call: Call) -> list[Any]:
    """The argument beside the header that it was copied into, as it came (undecoded)."""
    schema = call.server.tools[call.ctx.params["name"]].declaration.input_schema
    ((name, field),) = schema["properties"].items()
    header = call.ctx.request.headers.get(f"mcp-param-{field['x-mcp-header']}")
    return [sdk.text(json.dumps({"argument": call.arguments.get(name), "header": header}))]


async def progress(call: Call) -> list[Any]:
    """Report 0, 50 and 100 of 100 under the caller's own token, if it gave one."""
    token = (call.ctx.params.get("_meta") or {}).get("progressToken")
    for done in (0, 50, 100):
        if token is not None:
            await call.ctx.session.report_progress(done, 100, f"{done} of 100")
            await anyio.sleep(PAUSE)
    return [sdk.text(str(token))]


async def logging(call: Call) -> list[Any]:
    """Send three info messages, as far as this request's `_meta` asks for them."""
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await call.ctx.session.send_log_message("info", message, "everything")
        await anyio.sleep(PAUSE)
    return [sdk.text("Tool with logging executed successfully")]


async def slow(call: Call) -> list[Any]:
    """Wait, and count being cancelled: the client closed the response stream."""
    try:
        await anyio.sleep(float(call.arguments["seconds"]))
    except anyio.get_cancelled_exc_class():
        call.server.cancelled += 1
        raise
    return [sdk.text("done")]


async def cancelled_count(call: Call) -> list[Any]:
    """How many `slow` calls were cancelled in this process."""
    return [sdk.text(str(call.server.cancelled))]


def tells(event: ServerEvent, text: str, changes: str = "") -> Run:
    """A tool body that sends an event to every subscriptions/listen stream that asked for it.

    `changes` names a list that gains an entry, or loses it again: who looks before telling others finds it changed.
    """

    async def run(call: Call) -> list[Any]:
        if changes:
            call.server.extra ^= {changes}
        await call.server.bus.publish(event)
        return [sdk.text(text)]

    return run


async def whoami(call: Call) -> list[Any]:
    """What this request said of its client; `capabilities` is the older servers' name for them."""
    meta = call.ctx.params.get("_meta") or {}
    seen = {name: meta.get(_META + name) for name in ("protocolVersion", "clientCapabilities", "clientInfo")}
    seen["logLevel"] = meta.get(_META + "logLevel")
    return [sdk.text(json.dumps({**seen, "capabilities": seen["clientCapabilities"]}))]


async def pid(_call: Call) -> list[Any]:
    """The process that serves this request."""
    return [sdk.text(str(os.getpid()))]


def table() -> dict[str, Entry]:
    """These tools by name."""
    mixed = modern_samples.embedded("test://mixed-content-resource", '{"test": "data"}', "application/json")
    resource = modern_samples.embedded("test://embedded-resource", "This is an embedded resource content.")
    icon = {"src": f"data:image/png;base64,{samples.PNG}", "mimeType": "image/png", "sizes": ["1x1"]}
    tools_changed = tells(ToolsListChanged(), "tool list changed", "tools")
    prompts_changed = tells(PromptsListChanged(), "prompt list changed", "prompts")
    fixed = {
        "test_simple_text": ("Answers a text", [sdk.text("This is a simple text response for testing.")]),
        "big": ("Answers a text of one mebibyte", [sdk.text(BIG)]),
        "test_image_content": ("Answers an image", [samples.image()]),
        "test_audio_content": ("Answers audio", [samples.audio()]),
        "test_embedded_resource": ("Answers an embedded resource", [resource]),
        "test_multiple_content_types": (
            "Answers a text, an image and a resource",
            [sdk.text("Multiple content types test:"), samples.image(), mixed],
        ),
        "links": ("Answers a link to a resource", [sdk.text("See the static text."), modern_samples.link()]),
    }
    entries = [entry(name, about, plain(says(*blocks))) for name, (about, blocks) in fixed.items()]
    entries += [
        entry("test_error_handling", "Always fails", plain(fail)),
        entry("test_tool_with_progress", "Reports its progress", progress),
        entry("test_tool_with_logging", "Logs three messages", logging),
        entry("test_logging_tool", "Logs three messages", logging),
        entry("json_schema_2020_12_tool", "Has a full schema", plain(says(sdk.text("ok"))), ADDRESS_SCHEMA),
        entry("structured", "Answers structured content", structured, outputSchema=TEMPERATURE_SCHEMA),
        entry("array_output", "Answers a structured list", array_output, outputSchema=NUMBERS_SCHEMA),
        entry("test_x_mcp_header", "Has an argument in a header", mirrored, header_argument("region", "Region")),
        entry("mirrored", "Answers its argument's header", mirrored, header_argument("value", "Value")),
        entry(
            "decorated",
            "Declares all that a tool can declare",
            plain(says(sdk.text("decorated"))),
            title="Decorated tool",
            annotations=types.ToolAnnotations(title="Decorated by annotation", readOnlyHint=True),
            icons=[icon],
            _meta={"example.com/decoration": "ribbon"},
        ),
        entry("slow", "Waits the seconds it is told", slow, SECONDS_ARGUMENT),
        entry("cancelled_count", "Counts the cancelled waits", cancelled_count),
        entry("change_tools", "Says that the tools changed", tools_changed),
        entry("change_prompts", "Says that the prompts changed", prompts_changed),
        entry(
            "change_resources",
            "Says that the resources changed",
            tells(ResourcesListChanged(), "resource list changed", "resources"),
        ),
        entry("test_trigger_tool_change", "Says that the tools changed", tools_changed),
        entry("test_trigger_prompt_change", "Says that the prompts changed", prompts_changed),
        entry(
            "touch_watched",
            "Says that the watched resource was updated",
            tells(ResourceUpdated(samples.WATCHED), "told"),
        ),
        entry("whoami", "Answers what the request said of its client", whoami),
        entry("pid", "Answers the process id", pid),
    ]
    return {item.declaration.name: item for item in entries}
