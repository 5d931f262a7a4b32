"""The modern scripted client's features: `features`, where the SDK's newer calls are the same, and what differs.

Pages basic/patterns/mrtr, basic/patterns/subscriptions and server/utilities/logging of 2026-07-28. What a
subscription or a log level was before is a listen stream or a request's `_meta` here; what the revision dropped
(`ping`, `logging/setLevel`, asks outside a call) is unsupported.
"""

from __future__ import annotations

import json
from typing import Any

import anyio
import features
from features import SLOW_SECONDS, STATIC_TEXT, STEP, WATCHED, Feature, UnsupportedError, dump
from features import _text as text_of
from input_features import INPUT_FEATURES
from mcp.types import LOG_LEVEL_META_KEY
from modern_application import ModernApplication

SETTLE = 1.0  # seconds for the notifications that came before an answer to be handed over
MESSAGES = 3  # what the logging tool sends


def gone(what: str) -> Feature:
    """A feature that the revision no longer has."""

    async def run(_app: Any) -> Any:
        raise UnsupportedError(f"2026-07-28 has no {what}")

    return run


async def logging(app: ModernApplication) -> Any:
    """Log messages of a call whose `_meta` asks for level info."""
    await app.session.call_tool("test_tool_with_logging", {}, meta={LOG_LEVEL_META_KEY: "info"})
    notes = [dump(params) for params in await app.settle("notifications/message", MESSAGES, SETTLE)]
    return {"levels": [note["level"] for note in notes], "texts": [note["data"] for note in notes]}


async def cancel(app: ModernApplication) -> Any:
    """Abandon a running call, which closes its response stream, then look whether the server counted it."""
    before = int(await text_of(app, "cancelled_count"))
    async with anyio.create_task_group() as group:
        group.start_soon(app.session.call_tool, "slow", {"seconds": SLOW_SECONDS})
        await anyio.sleep(3 * STEP)  # the call is to be running when it is cancelled
        group.cancel_scope.cancel()
    count = 0
    while not count:
        await anyio.sleep(STEP)
        count = int(await text_of(app, "cancelled_count")) - before
    return {"count": count, "answer": None}


async def request_level(app: ModernApplication) -> Any:
    """The log level that a request carries."""
    answer = dump(await app.session.call_tool("whoami", {}, meta={LOG_LEVEL_META_KEY: "error"}))
    return {"logLevel": json.loads(answer["content"][0]["text"])["logLevel"]}


def read(uri: str) -> Feature:
    """A feature that reads a resource."""

    async def run(app: Any) -> Any:
        return {"contents": dump(await app.session.read_resource(uri))["contents"]}

    return run


async def subscribe(app: ModernApplication) -> Any:
    """Listen for the resource, have it touched, take the event, close the stream."""
    async with app.session.listen(resource_subscriptions=[WATCHED]) as stream:
        await text_of(app, "touch_watched")
        event = await anext(stream)
    return {"updated": [str(event.uri)]}


def list_changed(what: str) -> Feature:
    """A feature that listens for a list, has it changed and takes the event."""

    async def run(app: Any) -> Any:
        async with app.session.listen(**{f"{what}_list_changed": True}) as stream:
            await text_of(app, f"change_{what}")
            await anext(stream)
        return {"got": True}

    return run


FEATURES: dict[str, Feature] = {
    **features.FEATURES,
    "ping": gone("ping"),
    "tools.logging": logging,
    "tools.cancel": cancel,
    "resources.read.text": read(STATIC_TEXT),
    "resources.read.binary": read("test://static-binary"),
    "resources.read.template": read("test://template/42/data"),
    "resources.read.missing": read("test://no-such-resource"),
    "resources.subscribe": subscribe,
    "logging.setLevel": gone("logging/setLevel"),
    "list_changed.tools": list_changed("tools"),
    "list_changed.prompts": list_changed("prompts"),
    "list_changed.resources": list_changed("resources"),
    "sampling.get_stream": gone("ask outside a call"),
    **INPUT_FEATURES,
    "logging.request_level": request_level,
}
ON_REQUEST = ("sampling.get_stream", *INPUT_FEATURES)
