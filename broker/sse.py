"""Server-sent events without I/O, both directions: bytes to `Event`s, and messages to bytes.

Follows the WHATWG HTML standard, section "Server-sent events" (parsing and interpreting an event stream), and
the 2025-11-25 transport page for priming events (an id with an empty data field). Invariants: the events do
not depend on how the input was cut into pieces; memory held between two pieces is bounded by
`max_event_bytes`; what `encode` writes is read as exactly one event by every conforming parser.
"""

from __future__ import annotations

from typing import Final

import msgspec

# The ceiling the Python SDK puts on a message body (4 MiB); an event carries one message.
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
# A reconnection delay beyond a day is not a delay any more; longer digit strings are read as this.
RETRY_CEILING_MS: Final = 24 * 60 * 60 * 1000
_RETRY_DIGITS: Final = len(str(RETRY_CEILING_MS))

_BOM: Final = b"\xef\xbb\xbf"
_LINE_ENDS_TO_SPACES: Final = bytes.maketrans(b"\r\n", b"  ")


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream.

    `data` is the joined data lines, undecoded. `id` is the id field of this very event, None without one (a
    stream's persistent last id is `Parser.last_event_id`). `has_data` tells an empty data field (a priming
    event: dispatched, `b""`) from a block without any data field, which the standard does not dispatch; such
    a block is reported, with `has_data` False, only when it carried an id or a retry delay.
    """

    name: str
    data: bytes
    id: str | None = None
    retry_ms: int | None = None
    has_data: bool = True


class TooLarge(Exception):  # noqa: N818
    """An event or a line outgrew the parser's bound; the parser must not be fed again.

    `events` are the complete events that came before it in the same piece.
    """

    def __init__(self, events: list[Event]) -> None:
        super().__init__("server-sent event exceeds the size bound")
        self.events = events


class Parser:
    """Incremental reader of one stream. `max_event_bytes` bounds one line, and the data lines of one event
    together.
    """

    __slots__ = (
        "_data", "_id", "_line", "_max", "_name", "_open", "_retry", "_size", "_skip_lf", "_start",
        "last_event_id", "retry_ms",
    )  # fmt: skip

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id: str = ""
        self.retry_ms: int | None = None
        self._max = max_event_bytes
        self._start: bytes | None = b""  # bytes held while they may be a byte order mark; None afterwards
        self._skip_lf = False  # the last piece ended in CR: an LF that follows belongs to it
        self._line = bytearray()  # the unfinished last line
        self._open = False  # anything of an unfinished event or line is held
        self._data: list[bytes] | None = None
        self._name = b""
        self._id: str | None = None
        self._retry: int | None = None
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        """The events completed by this piece of the stream.

        Raises:
            TooLarge: a line or an event exceeds the bound.
        """
        if self._start is not None:
            piece = self._without_bom(piece, self._start)
        elif not self._open and piece.find(b"\n\n") == len(piece) - 2 > 0 and b"\r" not in piece and not self._skip_lf:
            only: list[Event] = []  # one whole event, which is how servers write them
            self._block(piece[:-2], only)
            return only
        if self._skip_lf and piece:
            self._skip_lf = False
            if piece[0] == 10:
                piece = piece[1:]
        if b"\r" in piece:
            self._skip_lf = piece[-1] == 13
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not piece:
            return []
        events: list[Event] = []
        if self._open:
            # Line by line up to the end of the open event; what follows is whole blocks again.
            if piece[0] == 10 and not self._line:
                end = 1
            else:
                blank = piece.find(b"\n\n")
                end = blank + 2 if blank >= 0 else len(piece)
            self._lines(piece[:end], events)
            piece = piece[end:]
        end = piece.rfind(b"\n\n")
        if end >= 0:
            for block in piece[:end].split(b"\n\n"):
                self._block(block, events)
            piece = piece[end + 2 :]
        if piece:
            self._lines(piece, events)
        return events

    def _without_bom(self, piece: bytes, held: bytes) -> bytes:
        piece = held + piece
        if len(piece) < len(_BOM) and _BOM.startswith(piece):
            self._start = piece
            return b""
        self._start = None
        return piece.removeprefix(_BOM)

    def _block(self, block: bytes, events: list[Event]) -> None:
        """One complete event (lines without the closing blank one) while nothing is open."""
        at = 15 if block.startswith(b"event: message\n") else 0
        own: str | None = None
        if block.startswith(b"id: ", at):
            end = block.find(b"\n", at)
            raw = block[at + 4 : end]
            if end > 0 and raw.isascii() and b"\0" not in raw:
                own = raw.decode("ascii")
                at = end + 1
                if block.startswith(b"event: message\n", at):
                    at += 15
        if block.startswith(b"data: ", at) and block.find(b"\n", at) < 0 and len(block) <= self._max:
            if own is not None:
                self.last_event_id = own
            events.append(Event("message", block[at + 6 :], own))
            return
        self._lines(block + b"\n\n", events)

    def _lines(self, piece: bytes, events: list[Event]) -> None:
        """Read piece line by line, keeping the unfinished last line."""
        lines = piece.split(b"\n")
        rest = lines.pop()
        if lines:
            if self._line:
                lines[0] = bytes(self._line) + lines[0]
                self._line.clear()
            for line in lines:
                if not line:
                    self._dispatch(events)
                elif len(line) + self._size > self._max:
                    raise TooLarge(events)
                else:
                    self._field(line)
        if rest:
            self._line += rest
            if len(self._line) + self._size > self._max:
                raise TooLarge(events)
        self._open = bool(
            self._line or self._data is not None or self._name or self._id is not None or self._retry is not None
        )

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            if self._data is None:
                self._data = []
            self._data.append(value)
            self._size += len(value) + 1
        elif field == b"event":
            self._name = value
        elif field == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit():
            digits = value.lstrip(b"0") or b"0"
            self._retry = min(int(digits[: _RETRY_DIGITS + 1]), RETRY_CEILING_MS)
            self.retry_ms = self._retry
        # Any other field, and comments (an empty field name), are ignored.

    def _dispatch(self, events: list[Event]) -> None:
        if self._id is not None:
            self.last_event_id = self._id
        if self._data is not None:
            name = self._name.decode("utf-8", "replace") or "message"
            events.append(Event(name, b"\n".join(self._data), self._id, self._retry))
        elif self._id is not None or self._retry is not None:
            events.append(Event("message", b"", self._id, self._retry, False))
        self._reset()

    def _reset(self) -> None:
        self._data = None
        self._name = b""
        self._id = None
        self._retry = None
        self._size = 0


def encode(
    data: bytes,
    *,
    id: str | None = None,  # noqa: A002
    name: str = "message",
    retry_ms: int | None = None,
) -> bytes:
    """One event carrying the JSON text `data` on a single data line.

    Raw line ends can only be insignificant white space in JSON, so they become spaces. U+0085, U+2028 and
    U+2029 can only stand inside strings, so they are written as escapes: readers that split lines the Unicode
    way (httpx before 0.25.1, under the Python SDK) would cut the event there.

    Raises:
        ValueError: the id or the name cannot be written (line ends, NUL, an empty name), or retry_ms is
        negative.
    """
    data = _on_one_line(data)
    if id is None and retry_ms is None:
        if name == "message":
            return b"event: message\ndata: %b\n\n" % data
        return b"event: %b\ndata: %b\n\n" % (_one_line(name, "name"), data)
    return b"event: %b\n%bdata: %b\n\n" % (_one_line(name, "name"), _id_and_retry(id, retry_ms), data)


def opening(key: str) -> bytes:
    """What every event of a stream begins with whose ids are `<key>-<number>`; for `numbered`.

    Raises:
        ValueError: as `encode`.
    """
    return b"event: message\nid: %b-" % _one_line(key, "id")


def numbered(opening: bytes, number: int, data: bytes) -> bytes:
    """As `encode` with the id `<key>-<number>`, the constant part written once per stream."""
    return b"%b%d\ndata: %b\n\n" % (opening, number, _on_one_line(data))


def comment(text: str = "") -> bytes:
    """A comment: keeps a silent stream alive, seen by no reader.

    It ends its line only: after a blank line the Python SDK before 1.26 would dispatch an empty event once it has
    seen an id.

    Raises:
        ValueError: the text holds a line end or NUL.
    """
    return b": %b\n" % (_one_line(text, "comment") if text else b"")


def priming(id: str, retry_ms: int | None = None) -> bytes:  # noqa: A002
    """The event that gives a client something to resume from before the first message: an id, empty data.

    Raises:
        ValueError: as `encode`.
    """
    return b"%bdata: \n\n" % _id_and_retry(id, retry_ms)


def _id_and_retry(own: str | None, retry_ms: int | None) -> bytes:
    line = b"id: %b\n" % _one_line(own, "id") if own is not None else b""
    if retry_ms is None:
        return line
    if retry_ms < 0:
        raise ValueError("an event's retry delay cannot be negative")
    return b"%bretry: %d\n" % (line, retry_ms)


def _one_line(text: str, what: str) -> bytes:
    raw = text.encode()
    if not raw or b"\n" in raw or b"\r" in raw or b"\0" in raw:
        raise ValueError(f"an event's {what} must be one line without NUL, and not empty")
    return raw


def _on_one_line(data: bytes) -> bytes:
    if b"\n" in data or b"\r" in data:
        data = data.translate(_LINE_ENDS_TO_SPACES)
    return data if data.isascii() else _without_unicode_line_ends(data)


def _without_unicode_line_ends(data: bytes) -> bytes:
    if b"\xc2\x85" in data:
        data = data.replace(b"\xc2\x85", b"\\u0085")
    if b"\xe2\x80\xa8" in data or b"\xe2\x80\xa9" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return data
