"""The scripted client's features, in their natural order: `FEATURES[name](app)` returns what was seen.

Each uses the SDK's own call where the release has one. `UnsupportedError`: the release has no API for it;
`WrongAnswerError`: an answer came but not the one that the feature needs (its `seen` is printed too).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp.types as types
import sdk
from application import Application, dump
from pydantic import AnyUrl

Feature = Callable[[Application], Awaitable[Any]]

STATIC_TEXT = "test://static-text"
WATCHED = "test://watched-resource"
SLOW_SECONDS = 30  # beyond any feature's bound: only a cancellation ends the call in time
STEP = 0.1  # seconds between looks at a counter


class UnsupportedError(Exception):
    """This SDK release has no API for the feature."""


class WrongAnswerError(Exception):
    """An answer came that is not what the feature is about."""

    def __init__(self, message: str, seen: Any) -> None:
        super().__init__(message)
        self.seen = seen


def result(answer: Any) -> dict[str, Any]:
    """What the application sees of a tool result."""
    seen = dump(answer)
    return {
        "types": [block["type"] for block in seen["content"]],
        "isError": bool(seen.get("isError", False)),
        "structured": seen.get("structuredContent"),
        "texts": [block["text"] for block in seen["content"] if block["type"] == "text"],
    }


def call(name: str, arguments: dict[str, Any] | None = None) -> Feature:
    """A feature that calls a tool and shows its result."""

    async def run(app: Application) -> Any:
        return result(await app.session.call_tool(name, arguments or {}))

    return run


async def _text(app: Application, name: str, arguments: dict[str, Any] | None = None) -> str:
    """The first text of a tool's good answer."""
    seen = result(await app.session.call_tool(name, arguments or {}))
    if seen["isError"] or not seen["texts"]:
        raise WrongAnswerError(f"{name}: {' '.join(seen['texts']) or 'no text'}", seen)
    return seen["texts"][0]


async def ping(app: Application) -> Any:
    """Ping."""
    return dump(await app.session.send_ping())


async def tools_list(app: Application) -> Any:
    """The tools, with what each declares."""
    tools = []
    for tool in dump(await app.session.list_tools())["tools"]:
        row = {key: tool[key] for key in ("name", "title", "annotations") if key in tool}
        for key, member in (("outputSchema",) * 2, ("icons",) * 2, ("execution",) * 2, ("meta", "_meta")):
            if member in tool:
                row[key] = True
        tools.append(row)
    return {"tools": tools}


async def big(app: Application) -> Any:
    """The size and the digest of a long text."""
    text = await _text(app, "big")
    return {"length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}


async def progress(app: Application) -> Any:
    """A call with a progress token; the notifications that came before its answer."""
    session = app.session
    if sdk.accepts(session.call_tool, "progress_callback"):
        seen: list[list[Any]] = []

        async def report(done: float, total: float | None, message: str | None = None) -> None:
            seen.append([done, total, message])

        answer = await session.call_tool("test_tool_with_progress", {}, progress_callback=report)
    else:
        meta = types.RequestParams.Meta(progressToken="scripted")
        params = types.CallToolRequestParams(name="test_tool_with_progress", arguments={}, _meta=meta)
        ask = types.ClientRequest(types.CallToolRequest(method="tools/call", params=params))
        answer = await session.send_request(ask, types.CallToolResult)
        notes = [dump(params) for params in app.got("notifications/progress")]
        seen = [[note["progress"], note.get("total"), note.get("message")] for note in notes]
    if result(answer)["isError"]:
        raise WrongAnswerError("the tool failed", {"progress": seen, **result(answer)})
    return {"progress": seen}


async def logging(app: Application) -> Any:
    """Log messages of a call, after asking for level info."""
    await app.session.set_logging_level("info")
    await app.session.call_tool("test_tool_with_logging", {})
    notes = [dump(params) for params in app.got("notifications/message")]
    return {"levels": [note["level"] for note in notes], "texts": [note["data"] for note in notes]}


async def cancel(app: Application) -> Any:
    """Cancel a running call by its request id, then look whether the server counted it."""
    session = app.session
    before = int(await _text(app, "cancelled_count"))
    request_id = session._request_id  # the SDK numbers requests in order and tells the number to nobody
    outcome: list[str] = []

    async def wait() -> None:
        try:
            await session.call_tool("slow", {"seconds": SLOW_SECONDS})
            outcome.append("answered")
        except Exception as refusal:
            outcome.append(str(refusal))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(3 * STEP)  # the call is to be running when it is cancelled
        params = types.CancelledNotificationParams(requestId=request_id, reason="scripted")
        note = types.CancelledNotification(method="notifications/cancelled", params=params)
        await session.send_notification(types.ClientNotification(note))
        count = 0
        while not count:
            await anyio.sleep(STEP)
            count = int(await _text(app, "cancelled_count")) - before
        group.cancel_scope.cancel()
    return {"count": count, "answer": outcome[0] if outcome else None}


async def resources_list(app: Application) -> Any:
    """The resources."""
    return {"resources": dump(await app.session.list_resources())["resources"]}


async def resources_templates(app: Application) -> Any:
    """The resource templates."""
    return {"templates": dump(await app.session.list_resource_templates())["resourceTemplates"]}


def read(uri: str) -> Feature:
    """A feature that reads a resource."""

    async def run(app: Application) -> Any:
        return {"contents": dump(await app.session.read_resource(AnyUrl(uri)))["contents"]}

    return run


async def subscribe(app: Application) -> Any:
    """Subscribe, have the resource touched, wait for the notification, unsubscribe."""
    await app.listen()
    await app.session.subscribe_resource(AnyUrl(WATCHED))
    await _text(app, "touch_watched")
    updated = [str(params.uri) for params in await app.wait_for("notifications/resources/updated")]
    await app.session.unsubscribe_resource(AnyUrl(WATCHED))
    return {"updated": updated}


async def prompts_list(app: Application) -> Any:
    """The prompts."""
    return {"prompts": dump(await app.session.list_prompts())["prompts"]}


def prompt(name: str, arguments: dict[str, str] | None = None) -> Feature:
    """A feature that gets a prompt."""

    async def run(app: Application) -> Any:
        messages = dump(await app.session.get_prompt(name, arguments))["messages"]
        contents = [message["content"] for message in messages]
        kinds = [content["type"] for content in contents]
        return {"types": kinds, "texts": [content["text"] for content in contents if "text" in content]}

    return run


async def completion(app: Application) -> Any:
    """Completion of a prompt's argument."""
    ref = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
    answer = await app.session.complete(ref, {"name": "arg1", "value": "par"})
    return {"values": answer.completion.values}


async def set_level(app: Application) -> Any:
    """logging/setLevel."""
    return dump(await app.session.set_logging_level("info"))


def list_changed(what: str) -> Feature:
    """A feature that has a list changed and waits for the notification."""

    async def run(app: Application) -> Any:
        await app.listen()
        await _text(app, f"change_{what}")
        await app.wait_for(f"notifications/{what}/list_changed")
        return {"got": True}

    return run


def ask(tool: str, arguments: dict[str, Any] | None = None, needs: str = "", listen: bool = False) -> Feature:
    """A feature whose tool asks the client; `needs` is the model that the release must have."""

    async def run(app: Application) -> Any:
        if needs and not sdk.has(needs):
            raise UnsupportedError(f"mcp {sdk.SDK_VERSION} has no {needs}")
        if listen:
            await app.listen()
        answer = result(await app.session.call_tool(tool, arguments or {}))
        seen = {"texts": answer["texts"], "asked": app.asked}
        if answer["isError"]:
            raise WrongAnswerError(" ".join(answer["texts"]), seen)
        return seen

    return run


async def whoami(app: Application) -> Any:
    """What the server saw of this client."""
    return json.loads(await _text(app, "whoami"))


_PROMPT = {"prompt": "Say something fixed"}
_FORM = {"message": "Who are you?"}
_ARGUMENTS = {"arg1": "paris", "arg2": "rome"}

FEATURES: dict[str, Feature] = {
    "ping": ping,
    "tools.list": tools_list,
    "tools.call.text": call("test_simple_text"),
    "tools.call.image": call("test_image_content"),
    "tools.call.audio": call("test_audio_content"),
    "tools.call.embedded": call("test_embedded_resource"),
    "tools.call.mixed": call("test_multiple_content_types"),
    "tools.call.error": call("test_error_handling"),
    "tools.call.structured": call("structured"),
    "tools.call.links": call("links"),
    "tools.call.big": big,
    "tools.call.decorated": call("decorated"),
    "tools.call.unknown": call("no_such_tool"),
    "tools.progress": progress,
    "tools.logging": logging,
    "tools.cancel": cancel,
    "resources.list": resources_list,
    "resources.templates": resources_templates,
    "resources.read.text": read(STATIC_TEXT),
    "resources.read.binary": read("test://static-binary"),
    "resources.read.template": read("test://template/42/data"),
    "resources.read.missing": read("test://no-such-resource"),
    "resources.subscribe": subscribe,
    "prompts.list": prompts_list,
    "prompts.get.simple": prompt("test_simple_prompt"),
    "prompts.get.args": prompt("test_prompt_with_arguments", _ARGUMENTS),
    "prompts.get.embedded": prompt("test_prompt_with_embedded_resource", {"resourceUri": STATIC_TEXT}),
    "prompts.get.image": prompt("test_prompt_with_image"),
    "prompts.get.missing": prompt("no_such_prompt"),
    "completion": completion,
    "logging.setLevel": set_level,
    "list_changed.tools": list_changed("tools"),
    "list_changed.prompts": list_changed("prompts"),
    "list_changed.resources": list_changed("resources"),
    "sampling": ask("test_sampling", _PROMPT),
    "sampling.get_stream": ask("sampling_get_stream", _PROMPT, listen=True),
    "sampling.tools": ask("sampling_tools", needs="SamplingToolsCapability"),
    "roots": ask("roots"),
    "elicitation.form": ask("test_elicitation", _FORM, needs="ElicitRequest"),
    "elicitation.defaults": ask("test_elicitation_sep1034_defaults", needs="ElicitRequest"),
    "elicitation.enums": ask("test_elicitation_sep1330_enums", needs="ElicitRequest"),
    "elicitation.url": ask("url_elicitation", needs="ElicitRequestURLParams"),
    "whoami": whoami,
}
