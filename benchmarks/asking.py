"""The benchmarks' backend as a server that asks: every answer a stream, and a tool that waits for its user.

`python -m benchmarks.asking --port N` serves what `benchmarks.backend` serves. Follows basic/transports and
client/elicitation of 2025-11-25. The invariant: a call is answered after its question was, with what the answer said,
and not before.
"""

from __future__ import annotations

import argparse

import msgspec
import uvloop

from benchmarks.backend import Connection, Server, serve
from benchmarks.wire import DECODE, ENCODE, STREAM_HEAD, Ask, event, http

TOOL = "ask"


class Said(msgspec.Struct):
    """The answer to a question, as far as it is looked at."""

    action: str = ""


class Reply(msgspec.Struct):
    """A client's response."""

    id: int | str | None = None
    result: Said = msgspec.field(default_factory=Said)


REPLY = msgspec.json.Decoder(Reply)


class AskingServer(Server):
    """Also the calls that wait, by the id of their question."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, tuple[AskingConnection, Ask, str]] = {}
        self.asked = 0


class AskingConnection(Connection):
    """One connection; answers are streams, on which the server can ask."""

    server: AskingServer

    def post(self, revision: str, changing: bool) -> None:
        """Answer one client message; an answer of the client's ends the call that waits for it."""
        try:
            waiting = None if DECODE.decode(self.body).method else self.server.waiting.pop(str(self._reply().id), None)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return self.refuse("400 Bad Request", -32700)
        if waiting is None:
            return super().post(revision, changing)
        if not self.known_session(revision):
            return None
        self.write(http("202 Accepted"))
        connection, ask, mark = waiting
        text = f"{mark} {self._reply().result.action}"
        result = b'{"content":[{"type":"text","text":%b}]}' % ENCODE.encode(text)
        return connection.write(event(connection.message(ask, result)) + b"0\r\n\r\n")

    def _reply(self) -> Reply:
        return REPLY.decode(self.body)

    def answer(self, ask: Ask, result: bytes, extra: bytes = b"") -> None:
        """The result as a stream of one event."""
        head = STREAM_HEAD.removesuffix(b"\r\n") + extra + b"\r\n"
        self.transport.writelines((head, event(self.message(ask, result)), b"0\r\n\r\n"))

    def call(self, ask: Ask, revision: str) -> None:
        """Run a tool: `ask`, or one of the others."""
        if ask.params.name != TOOL:
            return super().call(ask, revision)
        server = self.server
        server.asked += 1
        number = f"question-{server.asked}"
        mark = str(ask.params.arguments.get("text", ""))
        server.waiting[number] = (self, ask, mark)
        form = {"type": "object", "properties": {"answer": {"type": "string"}}}
        params = {"mode": "form", "message": f"May {mark} go on?", "requestedSchema": form}
        question = {"jsonrpc": "2.0", "id": number, "method": "elicitation/create", "params": params}
        return self.write(STREAM_HEAD + event(ENCODE.encode(question)))


def main() -> None:
    """The command line of this backend's process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    server = AskingServer()
    uvloop.run(serve(parser.parse_args().port, lambda: AskingConnection(server)))


if __name__ == "__main__":
    main()
