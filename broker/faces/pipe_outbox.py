"""Where messages for a client on a pipe go: all onto the one pipe, answers of a batch together.

Follows basic/transports (stdio). The relays know exchanges; on a pipe an exchange is one line that carried requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from broker.outbox import Exchange, Outbox

Write = Callable[[bytes], None]
"""Writes one message; the end of the line is the writer's."""


class PipeExchange(Exchange):
    """One line of the client. A bare status means nothing here; an answer is written."""

    __slots__ = ("_write",)

    def __init__(self, number: int, expects: int, *, batch: bool, write: Write) -> None:
        super().__init__(number, expects, batch=batch, may_stream=True)
        self._write = write

    def finish(self, status: int, body: bytes) -> None:
        """The answer is this body; 202 says that there is none, and 400 refuses what is no request."""
        if body and status not in (202, 400):
            self._write(body)
        super().finish(status, body)


class SessionPipe(Outbox):
    """The pipe of a client with a session."""

    __slots__ = ("_write",)

    def __init__(self, numbers: Iterator[int], write: Write) -> None:
        super().__init__(None, numbers, max_events=0, max_bytes=0)
        self._write = write

    def to(self, write: Write) -> None:
        """Write there from now on."""
        self._write = write

    def open(self, expects: int, *, batch: bool = False, may_stream: bool = True) -> Exchange:  # noqa: ARG002
        """A new exchange."""
        exchange = PipeExchange(next(self._numbers), expects, batch=batch, write=self._write)
        self.exchanges[exchange.id] = exchange
        return exchange

    def send(
        self,
        number: int,
        data: bytes,
        *,
        final: bool,
        error: bool = False,  # noqa: ARG002
        question: bool = False,  # noqa: ARG002
    ) -> bool:
        """Write one message, or keep it for the rest of its batch."""
        exchange = self.exchanges.get(number) if number else None
        if not final or exchange is None:
            if not final:
                self._write(data)
            return not final
        exchange.open -= 1
        if exchange.batch:
            exchange.answers.append(data)
            self._whole(exchange)
            return True
        del self.exchanges[number]
        exchange.finish(200, data)
        return True

    def hush(self, number: int) -> None:
        """One request will not be answered."""
        exchange = self.exchanges.get(number)
        if exchange is not None:
            exchange.open -= 1
            self._whole(exchange)

    @property
    def reachable(self) -> bool:
        """A pipe can always be written to."""
        return True

    def close(self) -> None:
        """Nobody waits any more."""
        self.exchanges.clear()

    def _whole(self, exchange: Exchange) -> None:
        if exchange.open > 0:
            return
        self.exchanges.pop(exchange.id, None)
        exchange.finish(200, b"[" + b",".join(exchange.answers) + b"]" if exchange.answers else b"")


class StatelessPipe(SessionPipe):
    """The pipe of a stateless client: its relay answers by status and body, and every body is written."""

    __slots__ = ()

    def open(self, expects: int, *, batch: bool = False, may_stream: bool = True) -> Exchange:  # noqa: ARG002
        """A new exchange."""
        exchange = AnyStatus(next(self._numbers), expects, batch=batch, write=self._write)
        self.exchanges[exchange.id] = exchange
        return exchange


class AnyStatus(PipeExchange):
    """One request that stands alone."""

    __slots__ = ()

    def finish(self, status: int, body: bytes) -> None:  # noqa: ARG002
        """The answer, whatever its status would be."""
        self._write(body)
        Exchange.finish(self, 200, body)
