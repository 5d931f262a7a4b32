"""Where messages for one client go: onto the exchange they belong to, the standing stream, or into a bounded hold.

An exchange is one POST. Its answer is plain JSON if the answer is the first thing to be said, and a stream otherwise,
because a client without a standing stream can be asked nothing on a JSON answer. A message that belongs to no
exchange is delivered on exactly one stream: the newest standing one, else an open exchange's, else it is held.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from broker.streams import Stream
from protocol_versions.base import Traits

MAX_HELD = 256
"""Notifications held for a client that has no stream yet; further ones are dropped, and counted."""

MAX_HELD_BYTES = 1024 * 1024
"""Bytes of what is held for such a client, the first message not counted; as much as is kept of a stream for replay."""

MAX_QUESTIONS = 32
"""Requests of the backend held for such a client; further ones are answered with an error."""

MAX_FINISHED = 32
"""Finished streams of a session that can still be replayed; a client resumes the last few, never all of them."""


class Exchange:
    """One POST of the client that carried requests and waits for their answers."""

    __slots__ = (
        "abandoned",
        "answers",
        "batch",
        "body",
        "id",
        "may_stream",
        "open",
        "ready",
        "status",
        "stream",
        "told",
    )

    def __init__(self, number: int, expects: int, *, batch: bool, may_stream: bool) -> None:
        self.id = number
        self.open = expects
        self.batch = batch
        self.may_stream = may_stream
        self.abandoned = False
        self.status = 200
        self.body: bytes | None = None
        self.stream: Stream | None = None
        self.answers: list[bytes] = []
        self.ready: asyncio.Future[None] | None = None
        self.told: Callable[[], None] | None = None
        """Called, once and at once, when the answer is known to be JSON, a stream or a status."""

    async def decided(self) -> None:
        """Until the answer is known to be JSON (`body`), a stream (`stream`) or a bare status.

        A client that goes before that has no event id to resume from: what comes later for it is dropped, but its
        calls go on, because a vanished client has cancelled nothing.
        """
        if self.body is None and self.stream is None:
            try:
                await self.pending()
            except asyncio.CancelledError:
                self.abandon()
                raise

    def pending(self) -> asyncio.Future[None]:
        """What to await while neither `body` nor `stream` is there; whoever is cancelled meanwhile calls `abandon`."""
        self.ready = asyncio.get_running_loop().create_future()
        return self.ready

    def abandon(self) -> None:
        """The client has gone, maybe before anybody began to write the stream that its answer had just become."""
        self.abandoned = True
        self.may_stream = False
        if self.stream is not None and not self.stream.holder:
            self.stream.detach(self.stream.attach())

    def _decide(self) -> None:
        if self.told is not None:
            told, self.told = self.told, None
            told()
        elif self.ready is not None and not self.ready.done():
            self.ready.set_result(None)

    def finish(self, status: int, body: bytes) -> None:
        """The answer is this status and body."""
        self.status = status
        self.body = body
        self._decide()


class Outbox:
    """All exchanges and streams of one client session."""

    __slots__ = (
        "_finished", "_held", "_held_bytes", "_max_questions", "_numbers", "_questions", "_stream_bytes",
        "_stream_events", "_traits", "exchanges", "standing",
    )  # fmt: skip

    def __init__(
        self,
        traits: Traits | None,
        numbers: Iterator[int],
        *,
        max_events: int,
        max_bytes: int,
        max_questions: int = MAX_QUESTIONS,
    ) -> None:
        self._traits = traits
        self._numbers = numbers
        self._stream_events = max_events
        self._stream_bytes = max_bytes
        self.exchanges: dict[int, Exchange] = {}
        self.standing: list[Stream] = []
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._questions = 0
        self._max_questions = max_questions
        self._finished: deque[Stream] | None = None

    def open(self, expects: int, *, batch: bool = False, may_stream: bool = True) -> Exchange:
        """A new exchange that waits for `expects` answers."""
        exchange = Exchange(next(self._numbers), expects, batch=batch, may_stream=may_stream)
        self.exchanges[exchange.id] = exchange
        return exchange

    def send(self, number: int, data: bytes, *, final: bool, error: bool = False, question: bool = False) -> bool:
        """Deliver one encoded message; False if its exchange is gone or nothing can take it."""
        exchange = self.exchanges.get(number) if number else None
        if exchange is None:
            return False if final else self.send_standing(data, question=question)
        if final:
            exchange.open -= 1
        stream = exchange.stream
        if stream is None:
            if final and not exchange.batch:
                del self.exchanges[number]
                exchange.finish(200, data)
                return True
            if final:
                exchange.answers.append(data)
                if exchange.open <= 0:
                    del self.exchanges[number]
                    exchange.finish(200, b"[" + b",".join(exchange.answers) + b"]")
                return True
            if exchange.abandoned and not question:
                return False
            if not exchange.may_stream:
                return self.send_standing(data, question=question)
            stream = self.stream(exchange)
        elif stream.full and not final:
            return False
        stream.send(data, identified=not error)
        if final and exchange.open <= 0:
            self._finish(exchange, stream)
        return True

    def reject(self, number: int, body: bytes) -> None:
        """What an exchange carried is not taken: 400 with a body."""
        exchange = self.exchanges.pop(number, None)
        if exchange is not None:
            exchange.finish(400, body)

    def hush(self, number: int) -> None:
        """One request of an exchange will not be answered; the last one ends it, if need be as an empty stream."""
        exchange = self.exchanges.get(number)
        if exchange is None:
            return
        exchange.open -= 1
        if exchange.open > 0:
            return
        if exchange.stream is not None:
            self._finish(exchange, exchange.stream)
            return
        del self.exchanges[number]
        if exchange.answers:
            exchange.finish(200, b"[" + b",".join(exchange.answers) + b"]")
            return
        # Without a priming event: a client that got an event id would come back for the answer.
        exchange.stream = Stream(f"p{number:x}", resumable=False, priming=False, max_events=0, max_bytes=0)
        exchange.stream.end()
        exchange._decide()

    def stream(self, exchange: Exchange) -> Stream:
        """Commit an exchange to a stream; answers a batch had collected go out first."""
        if exchange.stream is None:
            exchange.stream = self._new(f"p{exchange.id:x}")
            for answer in exchange.answers:
                exchange.stream.send(answer)
            exchange.answers = []
            exchange._decide()
        return exchange.stream

    def send_standing(self, data: bytes, *, question: bool = False) -> bool:
        """Deliver what belongs to no exchange on one stream, or hold it; False if there is no room to hold it."""
        stream = self.carrier(commit=True)
        if stream is not None:
            if not stream.full:
                stream.send(data)
            return not stream.full
        if self.standing and self.standing[-1].resumable:
            self.standing[-1].send(data)  # its reader is away for a moment: the history keeps it for the resume
            return True
        if self._held and self._held_bytes + len(data) > MAX_HELD_BYTES:
            return False
        if question:
            if self._questions >= self._max_questions:
                return False
            self._questions += 1
        elif len(self._held) - self._questions >= MAX_HELD:
            return False
        self._held.append(data)
        self._held_bytes += len(data)
        return True

    def carrier(self, *, commit: bool = False) -> Stream | None:
        """The stream that takes what belongs to no exchange; `commit` makes an exchange one, if there is no other."""
        for stream in reversed(self.standing):
            if stream.attached:
                return stream
        for exchange in reversed(self.exchanges.values()):
            if exchange.may_stream and exchange.open > 0 and not exchange.batch:
                return self.stream(exchange) if commit else exchange.stream
        return None

    @property
    def reachable(self) -> bool:
        """True if a request to the client could be delivered now."""
        return any(stream.attached for stream in self.standing) or any(
            exchange.may_stream and exchange.open > 0 for exchange in self.exchanges.values()
        )

    def stand(self) -> Stream:
        """A new standing stream; what was held for the client is its first content."""
        self.standing = [stream for stream in self.standing if stream.attached]
        stream = self._new(f"g{next(self._numbers):x}")
        self.standing.append(stream)
        held, self._held, self._held_bytes, self._questions = self._held, [], 0, 0
        for data in held:
            stream.send(data)
        return stream

    def resume(self, last_event_id: str) -> Stream | None:
        """The stream that event belongs to, with what followed it queued; None if it cannot be continued."""
        key, _, text = last_event_id.rpartition("-")
        if not (text.isascii() and text.isdigit() and len(text) <= 15):
            return None
        for stream in self._streams():
            if stream.key == key:
                return stream if stream.replay(int(text)) else None
        return None

    def expire(self, before: float) -> None:
        """Forget streams that finished before that moment."""
        finished = self._finished
        while finished and (finished[0].done_at or 0.0) < before:
            finished.popleft()

    def close(self) -> None:
        """End every stream and answer every exchange that still waits."""
        for stream in self._streams():
            stream.end()
        for exchange in self.exchanges.values():
            if exchange.stream is None:
                exchange.finish(404, b"")
        self.exchanges.clear()

    def _streams(self) -> Iterator[Stream]:
        yield from self.standing
        yield from (exchange.stream for exchange in self.exchanges.values() if exchange.stream is not None)
        if self._finished:
            yield from self._finished

    def _finish(self, exchange: Exchange, stream: Stream) -> None:
        del self.exchanges[exchange.id]
        stream.end()
        if stream.resumable:
            if self._finished is None:
                self._finished = deque(maxlen=MAX_FINISHED)
            self._finished.append(stream)
            stream.done_at = asyncio.get_running_loop().time()

    def _new(self, key: str) -> Stream:
        traits = self._traits
        return Stream(
            key,
            resumable=traits is not None and traits.resumable,
            priming=traits is not None and traits.priming,
            max_events=self._stream_events,
            max_bytes=self._stream_bytes,
        )
