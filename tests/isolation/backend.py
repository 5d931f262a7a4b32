"""A session server that counts what it did: every call has an effect, asks, and says what it was answered.

Every second session asks on its standing stream, the others on the stream of the call. Question ids begin at 0 in each
session, so that those of different sessions are equal. `kill` is what a killed process looks like from outside: every
connection is reset, nobody listens, and the next start knows no session.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from contextlib import suppress
from typing import Any

from tests.broker.scripted_backend import read_head

Json = dict[str, Any]

BACKLOG = 4096
FORM: Json = {"type": "object", "properties": {"value": {"type": "string"}}}


class Cancelled(Exception):  # noqa: N818 - what the client asked for
    """The call was cancelled while it waited for an answer."""


class Session:
    """One session: its standing stream, its open questions, its open calls."""

    def __init__(self, number: int) -> None:
        self.stands_for_questions = number % 2 == 1
        self.stream: asyncio.StreamWriter | None = None
        self.stood = asyncio.Event()
        self.asked = 0
        self.questions: dict[int, asyncio.Future[Json]] = {}
        self.calls: dict[int, list[int]] = {}


class Backend:
    """`ran`: how often each call (by its nonce) had its effect; `told`: the answers each was given."""

    def __init__(self) -> None:
        self.port = 0
        self.up = asyncio.Event()
        self.ran: Counter[str] = Counter()
        self.told: dict[str, list[str]] = {}
        self.cancelled = 0
        self.kills = 0
        self.most_sessions = 0
        self._opened = 0
        self._sessions: dict[str, Session] = {}
        self._tasks: dict[asyncio.Task[None], socket.socket] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener: socket.socket | None = None

    async def start(self) -> None:
        """Listen, on the port of before.

        Not by `asyncio.start_server`: a server closed just after it accepted a connection forgets that connection,
        neither served nor reset, and the client waits for as long as it waits for any answer.
        """
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=BACKLOG)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)
        self.up.set()

    async def kill(self) -> None:
        """End as a killed process does."""
        self.up.clear()
        self.kills += 1
        assert self._listener is not None
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for writer in self._writers:
            writer.transport.abort()
        tasks, self._tasks = self._tasks, {}
        for task in tasks:
            task.cancel()
        self._sessions = {}
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in tasks.values():
            connection.close()
        self._writers.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionError):
            connection, _ = listener.accept()
            task = asyncio.create_task(self._serve(connection))
            self._tasks[task] = connection
            task.add_done_callback(lambda task: self._tasks.pop(task, None))

    async def _serve(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=connection)
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                first, headers = await read_head(reader)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                await self._answer(first.split(" ")[0], headers, json.loads(body) if body else {}, writer)
        self._writers.discard(writer)
        writer.close()

    async def _answer(self, verb: str, headers: dict[str, str], message: Json, writer: asyncio.StreamWriter) -> None:
        method = message.get("method")
        if method == "server/discover":
            await _whole(writer, 400)
        elif method == "initialize":
            await self._greet(message, writer)
        elif (session := self._sessions.get(headers.get("mcp-session-id", ""))) is None:
            await self._unknown(writer)
        elif verb == "GET":
            await _head(writer)
            session.stream = writer
            session.stood.set()
        elif verb == "DELETE":
            del self._sessions[headers["mcp-session-id"]]
            await _whole(writer, 200)
        elif method == "tools/call":
            await self._call(session, message, writer)
        elif method is not None and "id" in message:
            await _whole(writer, 200, {"id": message["id"], "result": {}})
        else:
            self._note(session, message)
            await _whole(writer, 202)

    async def _unknown(self, writer: asyncio.StreamWriter) -> None:
        """As one SDK refuses an unknown session and as the examples of another do."""
        if self.kills % 2:
            await _whole(writer, 404)
        else:
            error = {"code": -32000, "message": "Bad Request: No valid session ID provided"}
            await _whole(writer, 400, {"id": None, "error": error})

    async def _greet(self, message: Json, writer: asyncio.StreamWriter) -> None:
        self._opened += 1
        name = f"s{self.kills}-{self._opened}"
        self._sessions[name] = Session(self._opened)
        self.most_sessions = max(self.most_sessions, len(self._sessions))
        result = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "isolation", "version": "1"},
        }
        await _head(writer, f"mcp-session-id: {name}\r\n")
        await _event(writer, {"id": message["id"], "result": result})
        await _end(writer)

    async def _call(self, session: Session, message: Json, writer: asyncio.StreamWriter) -> None:
        arguments = message["params"]["arguments"]
        nonce = arguments["nonce"]
        self.ran[nonce] += 1
        answers: list[str] = []
        open_now: list[int] = []
        session.calls[message["id"]] = open_now
        await _head(writer)
        try:
            for number in range(arguments["rounds"]):
                value = await self._ask(session, f"{nonce}/{number}", open_now, writer)
                self.told.setdefault(nonce, []).append(value)
                answers.append(value)
            text = json.dumps({"nonce": nonce, "answers": answers})
            await _event(writer, {"id": message["id"], "result": {"content": [{"type": "text", "text": text}]}})
        except Cancelled:
            self.cancelled += 1
        finally:
            session.calls.pop(message["id"], None)
        await _end(writer)

    async def _ask(self, session: Session, text: str, open_now: list[int], writer: asyncio.StreamWriter) -> str:
        number, session.asked = session.asked, session.asked + 1
        answer = session.questions[number] = asyncio.get_running_loop().create_future()
        open_now.append(number)
        stream = writer
        if session.stands_for_questions:
            await session.stood.wait()
            assert session.stream is not None
            stream = session.stream
        params = {"message": text, "requestedSchema": FORM}
        await _event(stream, {"id": number, "method": "elicitation/create", "params": params})
        said = await answer
        open_now.remove(number)
        result = said.get("result", {})
        return str(result["content"]["value"]) if result.get("action") == "accept" else f"no: {json.dumps(said)}"

    def _note(self, session: Session, message: Json) -> None:
        if message.get("method") == "notifications/cancelled":
            for number in session.calls.get(message["params"]["requestId"], ()):
                question = session.questions.pop(number, None)
                if question is not None and not question.done():
                    question.set_exception(Cancelled())
        elif "id" in message:
            question = session.questions.pop(message["id"], None)
            if question is not None and not question.done():
                question.set_result(message)


async def _whole(writer: asyncio.StreamWriter, status: int, message: Json | None = None) -> None:
    body = b"" if message is None else json.dumps({"jsonrpc": "2.0", **message}).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def _head(writer: asyncio.StreamWriter, more: str = "") -> None:
    kind = "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
    writer.write(f"HTTP/1.1 200 OK\r\n{kind}{more}\r\n".encode())
    await writer.drain()


async def _event(writer: asyncio.StreamWriter, message: Json) -> None:
    data = f"data: {json.dumps({'jsonrpc': '2.0', **message})}\n\n".encode()
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    await writer.drain()


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"0\r\n\r\n")
    await writer.drain()
