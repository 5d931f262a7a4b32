"""The application behind the scripted client: its answers to the server's asks and what reached it.

Everything the SDK hands over (asks, notifications, exceptions) is kept until the next feature starts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import mcp.types as types
import sdk
from mcp.client.session import ClientSession
from pydantic import AnyUrl

ROOTS = ("file:///projects/one", "file:///projects/two")
GET_OPEN = "GET SSE connection established"  # the SDK's own log line; it offers no other sign
GET_WAIT = 3.0  # seconds for the GET stream; a server that has none answers at once

# What the person answers to a form, by the type or the name of the field.
PERSON = {"username": "ada", "email": "ada@example.com"}


def dump(value: Any) -> Any:
    """A model as JSON values."""
    return value.model_dump(by_alias=True, mode="json", exclude_none=True)


class _GetStream(logging.Handler):
    def __init__(self, opened: anyio.Event) -> None:
        super().__init__(logging.DEBUG)
        self.opened = opened

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith(GET_OPEN):
            self.opened.set()


class Application:
    """Callbacks of one session and their records."""

    def __init__(self) -> None:
        self.session: ClientSession
        self.initialized = False
        self.call: dict[str, Any] = {}  # that of `any_server`
        self.errors: list[Exception] = []
        self.asked: dict[str, Any] | None = None
        self.asks: list[Any] = []
        self.action = "accept"
        self.notified: list[Any] = []
        self.news = anyio.Event()
        self.get_opened = anyio.Event()
        self.get_tried = False
        logger = logging.getLogger("mcp.client.streamable_http")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(_GetStream(self.get_opened))

    def forget(self) -> None:
        """Start a feature with empty records."""
        self.asked = None
        self.asks = []
        self.action = "accept"
        self.notified = []

    def uri(self, uri: str) -> Any:
        """A URI as this release's calls want it."""
        return AnyUrl(uri)

    def callbacks(self) -> dict[str, Any]:
        """The session's arguments, as far as the release has them."""
        given: dict[str, Any] = {
            "sampling_callback": self._sample,
            "list_roots_callback": self._roots,
            "message_handler": self._message,
            "client_info": types.Implementation(name="scripted-python", version=sdk.SDK_VERSION),
            "elicitation_callback": self._elicit,
        }
        if sdk.has("SamplingToolsCapability"):
            tools = types.SamplingToolsCapability()
            given["sampling_capabilities"] = types.SamplingCapability(tools=tools)
        return {name: value for name, value in given.items() if sdk.accepts(ClientSession.__init__, name)}

    def got(self, method: str) -> list[Any]:
        """The params of the notifications of that method since the feature started."""
        return [note.params for note in self.notified if note.method == method]

    async def wait_for(self, method: str, count: int = 1) -> list[Any]:
        """Wait for that many notifications; the feature's own time bound ends the wait."""
        while len(self.got(method)) < count:
            self.news = anyio.Event()
            await self.news.wait()
        return self.got(method)

    async def listen(self) -> None:
        """Give the GET stream, which the SDK opens in the background, time to open; once in a session."""
        if not self.get_tried:
            self.get_tried = True
            with anyio.move_on_after(GET_WAIT):
                await self.get_opened.wait()

    async def _message(self, message: Any) -> None:
        if isinstance(message, Exception):
            self.errors.append(message)
        elif isinstance(message, types.ServerNotification):
            self.notified.append(message.root)
            self.news.set()

    def _keep(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Record an ask; `asked` is the last one, `asks` has all of the feature."""
        self.asked = asked
        self.asks.append(asked)
        return asked

    async def _roots(self, _context: Any) -> Any:
        self._keep({"roots": True})
        roots = [types.Root(uri=AnyUrl(uri), name=uri.rsplit("/", 1)[1]) for uri in ROOTS]
        return types.ListRootsResult(roots=roots)

    async def _sample(self, _context: Any, params: Any) -> Any:
        self._keep(dump(params))
        model: dict[str, Any] = {"role": "assistant", "model": "fixed"}
        if not getattr(params, "tools", None):
            return types.CreateMessageResult(content=sdk.text("A fixed answer"), stopReason="endTurn", **model)
        blocks = [block for message in params.messages for block in message.content_as_list]
        results = [block for block in blocks if block.type == "tool_result"]
        if results:
            said = " ".join(part.text for block in results for part in block.content if part.type == "text")
            return types.CreateMessageResultWithTools(content=sdk.text(said), stopReason="endTurn", **model)
        use = types.ToolUseContent(type="tool_use", id="use-1", name=params.tools[0].name, input={"city": "Paris"})
        return types.CreateMessageResultWithTools(content=[use], stopReason="toolUse", **model)

    async def _elicit(self, _context: Any, params: Any) -> Any:
        asked = self._keep(dump(params))
        if self.action != "accept":
            return types.ElicitResult(action=self.action)
        if asked.get("mode") == "url":
            return types.ElicitResult(action="accept")
        fields = asked.get("requestedSchema", {}).get("properties", {})
        content = {name: _fill(name, field) for name, field in fields.items()}
        return types.ElicitResult(action="accept", content=content)


def _fill(name: str, field: dict[str, Any]) -> Any:
    """What the person puts in a field: its default, else the first choice, else something of its type."""
    if "default" in field:
        return field["default"]
    if field.get("type") == "array":
        return [_choice(field.get("items", {}))]
    if choice := _choice(field):
        return choice
    plain: dict[str, Callable[[], Any]] = {
        "string": lambda: PERSON.get(name, "text"),
        "boolean": lambda: True,
        "integer": lambda: 7,
        "number": lambda: 1.5,
    }
    return plain[field["type"]]()


def _choice(field: dict[str, Any]) -> Any:
    if field.get("enum"):
        return field["enum"][0]
    titled = field.get("oneOf") or field.get("anyOf")
    return titled[0]["const"] if titled else None
