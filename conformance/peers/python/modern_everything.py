"""The everything server of 2026-07-28: one low-level SDK server that keeps nothing between two requests.

Tools live in `modern_tools` and `modern_asks`, fixed contents in `modern_samples`; here are the capabilities,
resources, prompts, completion and the listen streams. Server features pages of 2026-07-28.
"""

from __future__ import annotations

from typing import Any

import mcp.types as types
import modern_asks
import modern_samples
import modern_tools
import samples
import sdk
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from modern_call import Call, InputNeeded, question

NAME = "everything-python"
# Each method its own, so that a mix-up shows; short, because the tests look twice.
CACHE_HINTS = {
    "server/discover": CacheHint(ttl_ms=5000, scope="public"),
    "tools/list": CacheHint(ttl_ms=4000, scope="public"),
    "prompts/list": CacheHint(ttl_ms=3000, scope="public"),
    "resources/list": CacheHint(ttl_ms=2000, scope="private"),
    "resources/templates/list": CacheHint(ttl_ms=1000, scope="private"),
    "resources/read": CacheHint(ttl_ms=0, scope="private"),
}


class Everything(Server[Any]):
    """A server that asks by `input_required`; it remembers the cancelled waits and which lists have an extra entry."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.extra: set[str] = set()
        self.tools = modern_tools.table() | modern_asks.table()
        self.bus = InMemorySubscriptionBus()
        self.listening = ListenHandler(self.bus)
        super().__init__(
            NAME,
            version=sdk.SDK_VERSION,
            instructions="Everything a revision can express, for tests.",
            cache_hints=CACHE_HINTS,
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
            on_completion=self._complete,
            on_subscriptions_listen=self.listening,
        )
        # Seals every requestState that leaves and refuses every one that comes back changed.
        self.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME))

    def get_capabilities(self, *args: Any, **kwargs: Any) -> types.ServerCapabilities:
        """Declare logging, which the SDK knows only from a method that this revision no longer has."""
        capabilities = super().get_capabilities(*args, **kwargs)
        capabilities.logging = types.LoggingCapability()
        return capabilities

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        """What the SDK checks `Mcp-Param-*` headers against; without it, it would list the tools in every call."""
        return self.tools[name].declaration.input_schema if name in self.tools else None

    async def _list_tools(self, _ctx: Any, _params: Any) -> types.ListToolsResult:
        tools = [entry.declaration for entry in self.tools.values()]
        return types.ListToolsResult(tools=[*tools, modern_samples.EXTRA_TOOL] if "tools" in self.extra else tools)

    async def _call_tool(self, ctx: Any, params: Any) -> types.CallToolResult | types.InputRequiredResult:
        if params.name not in self.tools:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
        try:
            outcome = await self.tools[params.name].run(Call(self, ctx, params))
        except InputNeeded as needed:
            return needed.result
        except MCPError:
            raise
        except Exception as failure:  # a tool's own failure is a result that the model can read
            return types.CallToolResult(content=[sdk.text(str(failure))], isError=True)
        return outcome if isinstance(outcome, types.CallToolResult) else types.CallToolResult(content=outcome)

    async def _list_resources(self, _ctx: Any, _params: Any) -> types.ListResourcesResult:
        extra = [modern_samples.EXTRA_RESOURCE] if "resources" in self.extra else []
        return types.ListResourcesResult(resources=[*modern_samples.resources(), *extra])

    async def _list_templates(self, _ctx: Any, _params: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resourceTemplates=samples.templates())

    async def _read_resource(self, ctx: Any, params: Any) -> types.ReadResourceResult | types.InputRequiredResult:
        try:
            if params.uri == modern_samples.ASKING_RESOURCE:
                return types.ReadResourceResult(contents=[_asking_resource(Call(self, ctx, params))])
            return types.ReadResourceResult(contents=[modern_samples.contents(params.uri)])
        except InputNeeded as needed:
            return needed.result
        except KeyError:
            raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": params.uri}) from None

    async def _list_prompts(self, _ctx: Any, _params: Any) -> types.ListPromptsResult:
        extra = [modern_samples.EXTRA_PROMPT] if "prompts" in self.extra else []
        return types.ListPromptsResult(prompts=[*modern_samples.prompts(), *extra])

    async def _get_prompt(self, ctx: Any, params: Any) -> types.GetPromptResult | types.InputRequiredResult:
        about = f"The prompt {params.name}"
        try:
            if params.name == modern_samples.ASKING_PROMPT:
                messages = _asking_prompt(Call(self, ctx, params))
            else:
                messages = modern_samples.prompt(params.name, params.arguments or {})
        except InputNeeded as needed:
            return needed.result
        except KeyError as missing:
            message = f"No such prompt or argument: {missing.args[0]}"
            raise MCPError(types.INVALID_PARAMS, message) from None
        return types.GetPromptResult(description=about, messages=messages)

    async def _complete(self, _ctx: Any, params: Any) -> types.CompleteResult:
        values: list[str] = []
        if getattr(params.ref, "name", None) == "test_prompt_with_arguments" and params.argument.name == "arg1":
            values = [place for place in samples.PLACES if place.startswith(params.argument.value)]
        completion = types.Completion(values=values, total=len(values), hasMore=False)
        return types.CompleteResult(completion=completion)


def _context(call: Call, whose: str) -> str:
    answer = call.need({"user_context": question(f"What context should the {whose} use?", "context")})
    return f"Context: {(answer['user_context'].content or {}).get('context')}"


def _asking_prompt(call: Call) -> list[Any]:
    return [samples.say(sdk.text(_context(call, "prompt")))]


def _asking_resource(call: Call) -> Any:
    text = _context(call, "resource")
    return types.TextResourceContents(uri=modern_samples.ASKING_RESOURCE, text=text, mimeType="text/plain")
