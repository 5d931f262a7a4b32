"""A raw client on a pipe, of any revision: JSON lines to a command, and honest answers to whatever it asks.

Follows basic/transports (stdio) of every revision, and basic/patterns/mrtr of 2026-07-28. Invariant: nothing is taken
for granted of the server but lines; what it asks is kept by method, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from conformance.raw.wire import Message
from conformance.revisions import STATELESS, has

START_S: Final = 90.0
"""The first answer: package runners install before they start."""
ANSWER_S: Final = 30.0
END_S: Final = 8.0
MAX_LINE: Final = 64 * 1024 * 1024
ROUNDS: Final = 10
PREFIX: Final = "io.modelcontextprotocol/"
ROOT: Final = "file:///projects/one"
SAMPLE: Final = "A sampled answer"
VALUE: Final = "filled in"


class Refusal(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """A JSON-RPC error; `error` is its object."""

    def __init__(self, error: Message) -> None:
        super().__init__(json.dumps(error))
        self.error = error


class PipeClient:
    """One client before one command; a context manager that ends it."""

    def __init__(self, argv: Sequence[str], revision: str, errors: Path, *, capable: str = "") -> None:
        self.revision = revision
        self.answered = ""
        self.capabilities = capabilities(capable or revision)
        self.asked: list[str] = []
        self._argv = list(argv)
        self._errors = errors
        self._number = 0

    async def __aenter__(self) -> PipeClient:
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=MAX_LINE,
                start_new_session=True,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def open(self) -> Message:
        """The handshake, or the discovery; its result."""
        if self.revision == STATELESS:
            self.answered = STATELESS
            return await self.ask("server/discover", {}, START_S)
        params = {"protocolVersion": self.revision, "capabilities": self.capabilities, "clientInfo": INFO}
        result = await self.ask("initialize", params, START_S)
        self.answered = str(result.get("protocolVersion"))
        self._send({"method": "notifications/initialized"})
        return result

    async def ask(self, method: str, params: Message, bound_s: float = ANSWER_S) -> Message:
        """The result of a request; interim results are answered and the request sent again.

        Raises:
            Refusal: an error came. TimeoutError, ConnectionError: no answer did.
        """
        answers: Message = {}
        async with asyncio.timeout(bound_s):
            for _ in range(ROUNDS):
                result = await self._once(method, {**params, **answers})
                if result.get("resultType") != "input_required":
                    return result
                given = {key: self._answer(each) for key, each in result.get("inputRequests", {}).items()}
                answers = {"inputResponses": given}
                if "requestState" in result:
                    answers["requestState"] = result["requestState"]
        raise ConnectionError(f"{method}: still asked after {ROUNDS} rounds")

    async def _once(self, method: str, params: Message) -> Message:
        self._number += 1
        if self.revision == STATELESS:
            params = {**params, "_meta": self._envelope()}
        self._send({"id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            try:
                message = json.loads(line)
            except ValueError:
                continue  # banners; what the broker writes is checked elsewhere
            if "method" in message and "id" in message:
                self._send({"id": message["id"], "result": self._answer(message)})
            elif message.get("id") == self._number and "error" in message:
                raise Refusal(message["error"])
            elif message.get("id") == self._number:
                return dict(message["result"])
        raise ConnectionError(f"{method}: the process ended with status {await self._process.wait()}")

    def _send(self, message: Message) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def _envelope(self) -> Message:
        return {
            f"{PREFIX}protocolVersion": self.revision,
            f"{PREFIX}clientCapabilities": self.capabilities,
            f"{PREFIX}clientInfo": INFO,
        }

    def _answer(self, request: Message) -> Message:
        method, params = request["method"], request.get("params") or {}
        self.asked.append(method)
        if method == "roots/list":
            return {"roots": [{"uri": ROOT, "name": "one"}]}
        if method == "sampling/createMessage":
            content = {"type": "text", "text": SAMPLE}
            return {"role": "assistant", "model": "fixed", "stopReason": "endTurn", "content": content}
        if method == "elicitation/create":
            fields = params.get("requestedSchema", {}).get("properties", {})
            needed = params.get("requestedSchema", {}).get("required", list(fields)[:1])
            return {"action": "accept", "content": {name: _filled(fields[name]) for name in needed}}
        return {}


INFO: Final = {"name": "raw-pipe", "version": "1"}


def capabilities(revision: str) -> Message:
    """All that a client of that revision can declare to be asked."""
    found: Message = {"sampling": {}, "roots": {}}
    if has(revision, "elicitation"):
        found["elicitation"] = {"form": {}, "url": {}} if has(revision, "url elicitation") else {}
    return found


def _filled(field: Message) -> Any:
    if "default" in field:
        return field["default"]
    if "enum" in field:
        return field["enum"][0]
    if "oneOf" in field:
        return field["oneOf"][0]["const"]
    return {"boolean": True, "integer": field.get("minimum", 1), "number": 1.5}.get(str(field.get("type")), VALUE)
