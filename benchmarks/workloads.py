"""What a call asks and when its answer counts: every call carries its own mark, and the answer must bring it
back.

Follows server/tools and basic/utilities/progress of the stateful revisions. The invariant: a call counts only
if its last message answers this very id, has this very mark where the tool puts it, and is as large as it
must be.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from benchmarks import facts


class Block(msgspec.Struct):
    """A content block, as far as it is checked."""

    type: str = ""
    text: str = ""


class Result(msgspec.Struct):
    """The members of a result that are checked."""

    content: list[Block] = []
    kind: str = msgspec.field(name="resultType", default="")
    ttl_ms: int = msgspec.field(name="ttlMs", default=-1)
    scope: str = msgspec.field(name="cacheScope", default="")
    tools: list[msgspec.Raw] = []
    next_cursor: str = msgspec.field(name="nextCursor", default="")
    structured: dict[str, Any] = msgspec.field(name="structuredContent", default_factory=dict)


class Progress(msgspec.Struct):
    """The parameters of a progress notification."""

    token: int | str = msgspec.field(name="progressToken", default="")
    progress: float = 0
    message: str = ""


class Answer(msgspec.Struct):
    """A message towards the client: the response (has `result`), or a notification (has `method`)."""

    id: int | str | None = None
    method: str = ""
    result: Result | None = None
    params: Progress | None = None


DECODE = msgspec.json.Decoder(Answer)
TOOL = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Workload(Protocol):
    """One kind of call. `events` is how many events a correct answer brings besides the response."""

    events: int

    def body(self, number: int, mark: str) -> bytes:
        """The JSON-RPC request with this id and mark."""

    def accepts(self, messages: list[bytes], number: int, mark: str, revision: str) -> bool:
        """Whether these messages are the correct answer for a reader of this negotiated revision."""


def _answer(messages: list[bytes], number: int, revision: str) -> Result | None:
    """The result, if the last message answers this id with one of this revision's kind; None otherwise."""
    if not messages:
        return None
    try:
        answer = DECODE.decode(messages[-1])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    result = answer.result
    if answer.id != number or result is None:
        return None
    return result if result.kind == ("complete" if revision == facts.STATELESS else "") else None


class Echo:
    """`tools/call` of a tool that returns its text: the small call, answered as JSON or as one event."""

    events = 0

    def __init__(self, tool: str) -> None:
        self.tool = tool.encode()

    def body(self, number: int, mark: str) -> bytes:
        return b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%b","arguments":{"text":"%b"}}}' % (
            number,
            self.tool,
            mark.encode(),
        )

    def accepts(self, messages: list[bytes], number: int, mark: str, revision: str) -> bool:
        result = _answer(messages, number, revision)
        return result is not None and len(result.content) == 1 and result.content[0].text == mark


class Gather(Echo):
    """An echo that is answered when `count` of them wait: brings a pool to its full width."""

    def __init__(self, count: int) -> None:
        super().__init__("gather")
        self.count = count

    def body(self, number: int, mark: str) -> bytes:
        whole = super().body(number, mark)
        return whole.replace(b'"arguments":{', b'"arguments":{"count":%d,' % self.count)


class Measure(Echo):
    """A structured result: readers of 2025-06-18 and later must find `structuredContent`, older must not."""

    def __init__(self) -> None:
        super().__init__("measure")

    def accepts(self, messages: list[bytes], number: int, mark: str, revision: str) -> bool:
        result = _answer(messages, number, revision)
        if result is None or not result.content or mark not in result.content[0].text:
            return False
        if facts.has(revision, "2025-06-18"):
            return result.structured.get("mark") == mark
        return not result.structured


class Big(Echo):
    """A result of one megabyte of text that begins with the mark."""

    def __init__(self) -> None:
        super().__init__("big")

    def accepts(self, messages: list[bytes], number: int, mark: str, revision: str) -> bool:
        result = _answer(messages, number, revision)
        if result is None or len(result.content) != 1:
            return False
        text = result.content[0].text
        return len(text) == len(mark) + facts.BIG_TEXT_BYTES and text.startswith(mark)


class ToolList:
    """`tools/list`; the mark travels as the opaque cursor every revision has, and returns in `nextCursor`.

    With `fresh`, it is also the name of the first tool, so that no two lists are equal.
    """

    events = 0

    def __init__(self, fresh: bool = False) -> None:
        self.prefix = facts.FRESH if fresh else ""

    def body(self, number: int, mark: str) -> bytes:
        cursor = f"{self.prefix}{mark}".encode()
        return b'{"jsonrpc":"2.0","id":%d,"method":"tools/list","params":{"cursor":"%b"}}' % (number, cursor)

    def accepts(self, messages: list[bytes], number: int, mark: str, revision: str) -> bool:
        result = _answer(messages, number, revision)
        cursor = self.prefix + mark
        if result is None or len(result.tools) != facts.LIST_TOOLS:
            return False
        if revision == facts.STATELESS:
            # which session's the cursor is, may stand before it
            if not result.next_cursor.endswith(f"after-{cursor}") or result.ttl_ms < 0 or not result.scope:
                return False
        elif result.next_cursor != f"after-{cursor}" or result.ttl_ms != -1 or result.scope:
            return False
        if self.prefix and TOOL.decode(result.tools[0]).get("name") != msgspec.Raw(f'"{cursor}"'.encode()):
            return False
        # one tool stands for all: what is newer than the reader must be gone, what it knows must be there
        shown = TOOL.decode(result.tools[number % facts.LIST_TOOLS])
        return shown.keys() == facts.tool_members(revision)


class Stream:
    """A call answered by a stream: N progress notifications in order, each marked, then the response."""

    def __init__(self, events: int, gap_ms: float) -> None:
        self.events = events
        self.gap_ms = gap_ms

    def body(self, number: int, mark: str) -> bytes:
        return (
            b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"stream","arguments":'
            b'{"text":"%b","events":%d,"gap_ms":%g},"_meta":{"progressToken":"t-%b"}}}'
            % (number, mark.encode(), self.events, self.gap_ms, mark.encode())
        )

    def accepts(self, messages: list[bytes], number: int, mark: str, revision: str) -> bool:
        result = _answer(messages, number, revision)
        if result is None or not result.content or result.content[0].text != mark:
            return False
        if len(messages) != self.events + 1:
            return False
        return all(self._in_place(data, place, mark) for place, data in enumerate(messages[:-1], 1))

    def _in_place(self, data: bytes, place: int, mark: str) -> bool:
        try:
            params = DECODE.decode(data).params
        except (msgspec.DecodeError, msgspec.ValidationError):
            return False
        return (
            params is not None
            and params.progress == place
            and params.token == f"t-{mark}"
            and params.message.partition(" ")[0] == mark
        )


def written_ns(data: bytes) -> int | None:
    """When the backend wrote this event, on the machine's one monotonic clock; None for other messages."""
    params = DECODE.decode(data).params
    if params is None or " " not in params.message:
        return None
    return int(params.message.partition(" ")[2])
