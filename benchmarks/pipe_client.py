"""A host's side of a pipe: starts a command, shakes hands, keeps so many calls in flight, checks every answer.

Follows basic/transports (stdio). The invariant: only correct answers count as calls, and every call sent is awaited.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from benchmarks.client import CLIENT_INFO, HarnessError
from benchmarks.load import Window
from benchmarks.processes import Meter
from benchmarks.workloads import Echo

ANSWER_SECONDS = 30.0  # one handshake; mcp-proxy on a busy machine takes three
END_SECONDS = 8.0  # from the end of its input to SIGKILL
SETTLE_SECONDS = 0.02  # lets the target finish what it does after its last write
WARM_CALLS = 64
MARK_BYTES = 4
ECHO = Echo("echo")


class PipeHost(asyncio.SubprocessProtocol):
    """One started command and the messages on its pipes."""

    def __init__(self, command: Sequence[str], revision: str, environment: Mapping[str, str]) -> None:
        self.command = command
        self.environment = environment
        self.revision = revision
        self.negotiated = ""
        self.began_ns = 0
        self.answered_ns = 0
        self.errors = bytearray()
        self._rest = b""
        self._transport: Any = None  # uvloop's are no subclasses of asyncio's
        self._waiting: dict[int, tuple[str, asyncio.Future[bool]]] = {}
        self._first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._number = 0

    async def open(self) -> None:
        """Start the command and shake hands.

        Raises:
            HarnessError: it ended, refused, or was silent for 30 seconds; carries the end of its standard error.
        """
        self.began_ns = time.perf_counter_ns()
        try:
            await asyncio.get_running_loop().subprocess_exec(lambda: self, *self.command, env=self.environment)
            params = {"protocolVersion": self.revision, "capabilities": {}, "clientInfo": CLIENT_INFO}
            self._write(msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))
            line = await asyncio.wait_for(self._first, ANSWER_SECONDS)
            self.negotiated = msgspec.json.decode(line)["result"]["protocolVersion"]
        except (OSError, TimeoutError, KeyError, msgspec.DecodeError) as error:
            raise HarnessError(f"{self.command[0]}: {type(error).__name__} {error} {self._said()}") from error
        self._write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    @property
    def pid(self) -> int:
        """The process id."""
        return int(self._transport.get_pid())

    async def call(self) -> bool:
        """One small call; whether its answer was right."""
        self._number += 1
        mark = secrets.token_hex(MARK_BYTES)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = (mark, answer)
        self._write(ECHO.body(self._number, mark))
        return await answer

    async def window(self, meter: Meter, concurrency: int, seconds: float) -> Window:
        """Closed loops for so long, after a warm-up.

        Raises:
            HarnessError: a warm-up call was answered wrongly, or never.
        """
        async with asyncio.timeout(ANSWER_SECONDS):
            for _ in range(WARM_CALLS // concurrency):
                if not all(await asyncio.gather(*(self.call() for _ in range(concurrency)))):
                    raise HarnessError(f"{self.command[0]}: a wrong answer {self._said()}")
        found = Window(negotiated=self.negotiated)
        await asyncio.sleep(SETTLE_SECONDS)
        before = meter.read_ns()
        began = time.perf_counter_ns()
        until = began + int(seconds * 1e9)
        async with asyncio.timeout(seconds + ANSWER_SECONDS):
            await asyncio.gather(*(self._loop(found, until) for _ in range(concurrency)))
        found.seconds = (time.perf_counter_ns() - began) / 1e9
        await asyncio.sleep(SETTLE_SECONDS)
        found.cpu_ns = meter.read_ns() - before
        return found

    async def end(self) -> None:
        """End its input, and the process if that does not."""
        if self._transport is None:
            return
        pipe = self._transport.get_pipe_transport(0)
        if pipe is not None:
            pipe.close()
        try:
            await asyncio.wait_for(self._ended.wait(), END_SECONDS)
        except TimeoutError:
            self._transport.kill()
            await self._ended.wait()
        self._transport.close()

    async def _loop(self, found: Window, until_ns: int) -> None:
        while True:
            sent = time.perf_counter_ns()
            right = await self.call()
            now = time.perf_counter_ns()
            if right:
                found.calls += 1
                found.latencies_ns.append(now - sent)
            else:
                found.wrong += 1
            if now >= until_ns:
                return

    def _write(self, message: bytes) -> None:
        self._transport.get_pipe_transport(0).write(message + b"\n")

    def _said(self) -> str:
        return bytes(self.errors[-500:]).decode(errors="replace")

    # ---- asyncio.SubprocessProtocol

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.errors += data
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._first.done():
                self.answered_ns = time.perf_counter_ns()
                self._first.set_result(line)
            else:
                self._answered(line)

    def process_exited(self) -> None:
        self._ended.set()
        if not self._first.done():
            self._first.set_exception(TimeoutError("the process ended"))
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_result(False)

    def _answered(self, line: bytes) -> None:
        number = msgspec.json.decode(line).get("id")
        mark, answer = self._waiting.pop(number, ("", None))
        if answer is not None and not answer.done():
            answer.set_result(ECHO.accepts([line], number, mark, self.negotiated))
