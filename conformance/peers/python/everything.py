"""The everything server: one low-level SDK server with every feature its revision can express.

Tools live in `tools`, `asks` and `push_asks`, fixed contents in `samples`; here are the capabilities, resources,
subscriptions, prompts, completion and logging. Server features pages of each revision. `input_keys`: whether its
questions name themselves (`questions`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import anyio
import asks
import mcp.types as types
import push_asks
import questions
import samples
import sdk
import tools
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.shared.exceptions import McpError
from pydantic import AnyUrl

RESOURCE_NOT_FOUND = -32002  # the stateful revisions' code for it
INVALID_PARAMS = -32602
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class Everything(Server):
    """A server whose state (subscriptions, levels, counters) is its own, shared by all its sessions."""

    def __init__(self, *, input_keys: bool = False) -> None:
        about = "Everything a revision can express, for tests."
        super().__init__("everything-python", sdk.SDK_VERSION, about)
        self.subscribers: dict[str, WeakSet[Any]] = defaultdict(WeakSet)
        self.levels: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self.cancelled = 0
        self.input_keys = input_keys
        self.tools = tools.table() | asks.table() | push_asks.table(tools.changes)
        self._register()

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
    ) -> Any:
        """Declare list changes and subscriptions, which the SDK leaves undeclared by default."""
        changed = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        options = super().create_initialization_options(changed, experimental_capabilities)
        options.capabilities.resources.subscribe = True
        if sdk.speaks("2025-03-26") and not getattr(options.capabilities, "completions", None):
            options.capabilities = types.ServerCapabilities(
                **options.capabilities.model_dump(exclude_none=True), completions={}
            )
        return options

    async def run(self, *args: Any, **kwargs: Any) -> None:
        """Run one session; its failure is its own (older releases let it end every other session too)."""
        try:
            await super().run(*args, **kwargs)
        except* (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # the client deleted the session
        except* Exception as failure:
            tools.complain(f"session ended: {failure.exceptions!r}")

    async def _handle_message(self, message: Any, *args: Any) -> None:
        """Keep a request that the client cancelled from ending its session (releases up to 1.9 let it)."""
        try:
            await super()._handle_message(message, *args)
        except anyio.get_cancelled_exc_class():
            if not getattr(message, "cancelled", False):
                raise

    async def log(self, level: str, message: str) -> None:
        """Send a log message that belongs to the current request, unless the session's level is above it."""
        ctx = self.request_context
        wanted = self.levels.get(ctx.session, "debug")
        if LEVELS.index(level) >= LEVELS.index(wanted):
            await ctx.session.send_log_message(level, message, "everything", related_request_id=ctx.request_id)

    async def touch(self, uri: str) -> int:
        """Tell every subscriber of a resource that it was updated; returns how many were told."""
        told = 0
        for session in list(self.subscribers[uri]):
            try:
                await session.send_resource_updated(AnyUrl(uri))
                told += 1
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                self.subscribers[uri].discard(session)
        return told

    def _register(self) -> None:
        @self.list_tools()
        async def list_tools() -> list[Any]:
            return [entry.declaration for entry in self.tools.values()]

        @self.call_tool()
        async def call_tool(name: str, arguments: dict[str, Any]) -> Any:
            entry = self.tools.get(name)
            if entry is None:
                raise ValueError(f"Unknown tool: {name}")
            return await entry.run(self, arguments)

        @self.list_resources()
        async def list_resources() -> list[Any]:
            return samples.resources()

        @self.list_resource_templates()
        async def list_resource_templates() -> list[Any]:
            return samples.templates()

        @self.read_resource()
        async def read_resource(uri: AnyUrl) -> list[ReadResourceContents]:
            if str(uri) == push_asks.ASKING_RESOURCE and questions.can_ask_forms():
                return [ReadResourceContents(await push_asks.context(self, "resource"), "text/plain")]
            return [_contents(str(uri))]

        @self.subscribe_resource()
        async def subscribe(uri: AnyUrl) -> None:
            self.subscribers[str(uri)].add(self.request_context.session)

        @self.unsubscribe_resource()
        async def unsubscribe(uri: AnyUrl) -> None:
            self.subscribers[str(uri)].discard(self.request_context.session)

        @self.list_prompts()
        async def list_prompts() -> list[Any]:
            return [*samples.prompts(), *push_asks.prompts()]

        @self.get_prompt()
        async def get_prompt(name: str, arguments: dict[str, str] | None) -> Any:
            try:
                if name == push_asks.ASKING_PROMPT and questions.can_ask_forms():
                    messages = [samples.say(sdk.text(await push_asks.context(self, "prompt")))]
                else:
                    messages = samples.prompt(name, arguments or {})
            except KeyError as missing:
                raise _refused(INVALID_PARAMS, f"No such prompt or argument: {missing.args[0]}") from None
            return types.GetPromptResult(description=f"The prompt {name}", messages=messages)

        @self.completion()
        async def complete(ref: Any, argument: Any, *_context: Any) -> Any:
            if getattr(ref, "name", None) != "test_prompt_with_arguments" or argument.name != "arg1":
                return None
            values = [place for place in samples.PLACES if place.startswith(argument.value)]
            return types.Completion(values=values, total=len(values), hasMore=False)

        @self.set_logging_level()
        async def set_level(level: Any) -> None:
            self.levels[self.request_context.session] = level


def _refused(code: int, message: str, data: Any = None) -> McpError:
    return McpError(types.ErrorData(code=code, message=message, data=data))


def _contents(uri: str) -> ReadResourceContents:
    if uri == samples.STATIC_TEXT:
        return ReadResourceContents("This is the content of the static text resource.", "text/plain")
    if uri == samples.STATIC_BINARY:
        return ReadResourceContents(samples.PNG_BYTES, "image/png")
    if uri == samples.WATCHED:
        return ReadResourceContents("Watched resource content", "text/plain")
    head, tail = samples.TEMPLATE.split("{id}")
    if uri.startswith(head) and uri.endswith(tail) and len(uri) > len(head) + len(tail):
        name = uri[len(head) : -len(tail)]
        return ReadResourceContents(f'{{"id": "{name}", "data": "Data for ID: {name}"}}', "application/json")
    raise _refused(RESOURCE_NOT_FOUND, "Resource not found", {"uri": uri})
