"""One call of one caller, with whatever a client may do to it; all that happened goes into the history.

plain      answers every round
twice      sends every retry twice at once
one gone   sends every retry twice, and one of the two leaves
early      leaves before the first answer
late       leaves during a retry, and sends the same retry again
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import msgspec

from broker.sse import Parser
from tests.broker.modern_world import envelope, headers
from tests.broker.scripted_backend import ACCEPT, read_head

Json = dict[str, Any]

WAIT_S = 90.0
"""Longest wait for one answer; a loaded machine serves two thousand calls in less."""

MAX_TRIES = 60
"""How often a call that provably did not run is sent again."""

NOT_RUN = frozenset(("backend-connect", "backend-session-lost", "overloaded"))
"""Errors that say that the call did not run."""

NOT_SENT = "the request was not sent"
UNKNOWN = "may have taken effect"
LEAVES_S = 0.05
"""Within this time a client that leaves is gone."""

PLANS = ("plain", "plain", "plain", "twice", "one gone", "early", "late")


class Told(msgspec.Struct):
    """What one call came to, as its client saw it. `problems` are breaches that the client itself noticed."""

    nonce: str
    plan: str
    outcome: str = ""
    answers: list[str] = []
    result: Json | None = None
    tries: int = 1
    problems: list[str] = []


class Caller:
    """One principal's calls. `up` says when the server can be reached, `sockets` how many connections all may have."""

    def __init__(
        self, port: int, name: str, key: str, seed: int, up: asyncio.Event, sockets: asyncio.Semaphore
    ) -> None:
        self.port = port
        self.sockets = sockets
        self.name = name
        self.key = key
        self.random = random.Random(seed)
        self.up = up

    async def call(self, number: int, gate: Callable[[], Any], *, plan: str = "") -> Told:
        """One call; `gate` is awaited after its first round, so that many are suspended at once."""
        told = Told(f"{self.name}-{number}", plan or self.random.choice(PLANS))
        params = {"name": "effect", "arguments": {"nonce": told.nonce, "rounds": self.random.randint(1, 3)}}
        if told.plan == "early":
            await self._leave(number, params)
            told.outcome = "left"
            await gate()
            return told
        answer = await self._first(told, number, params)
        await gate()
        seen = 0
        while told.outcome == "":
            result = answer.get("result")
            if result is None or result.get("isError"):
                self._failed(told, answer)
            elif result["resultType"] == "complete":
                told.outcome, told.result = "answered", json.loads(result["content"][0]["text"])
            else:
                retry = self._reply(told, params, result, seen)
                seen += 1
                answer = await self._again(told, number, retry)
        return told

    async def _first(self, told: Told, number: int, params: Json) -> Json:
        """The answer to the first request, which is repeated while it provably did not run."""
        while True:
            await self.up.wait()
            answer = await self._send(told, number, params)
            error = answer.get("error", {"message": ""})
            not_run = error.get("data", {}).get("reason") in NOT_RUN or NOT_SENT in error["message"]
            if not not_run or told.tries >= MAX_TRIES:
                return answer
            told.tries += 1
            await asyncio.sleep(self.random.random() * LEAVES_S)

    def _reply(self, told: Told, params: Json, result: Json, seen: int) -> Json:
        asked = result["inputRequests"]
        texts = [question["params"]["message"] for question in asked.values()]
        if texts != [f"{told.nonce}/{seen}"]:
            told.problems.append(f"was asked {texts} in round {seen}")
        value = f"{told.nonce}={self.random.getrandbits(48):x}"
        told.answers.append(value)
        answer = {"action": "accept", "content": {"value": value}}
        return {**params, "inputResponses": dict.fromkeys(asked, answer), "requestState": result["requestState"]}

    async def _again(self, told: Told, number: int, retry: Json) -> Json:
        if told.plan == "twice":
            one, two = await asyncio.gather(self._send(told, number, retry), self._send(told, number, retry))
            if one.get("result") != two.get("result") and "error" not in one and "error" not in two:
                one.pop("_meta", None)
                if _asked(one) != _asked(two):
                    told.problems.append("two equal retries were told different things")
            return one if "result" in one else two
        if told.plan == "one gone":
            answer, _ = await asyncio.gather(self._send(told, number, retry), self._leave(number, retry))
            return answer
        if told.plan == "late":
            await self._leave(number, retry)
        return await self._send(told, number, retry)

    def _failed(self, told: Told, answer: Json) -> None:
        if "error" in answer:
            reason = answer["error"].get("data", {}).get("reason", answer["error"]["code"])
            unknown = UNKNOWN in answer["error"]["message"]
            told.outcome = "unknown" if unknown else f"error: {reason}"
        else:
            text = answer["result"]["content"][0]["text"]
            told.outcome = "unknown" if UNKNOWN in text else f"isError: {text}"

    async def _leave(self, number: int, params: Json) -> None:
        """Send, and be gone before long."""
        async with self.sockets:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(self._request(number, params))
            await asyncio.sleep(self.random.random() * LEAVES_S)
            writer.transport.abort()

    async def _send(self, told: Told, number: int, params: Json) -> Json:
        """The one answer to a request."""
        async with self.sockets, asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(self._request(number, params))
                first, head = await read_head(reader)
                if "content-length" in head:
                    body = await reader.readexactly(int(head["content-length"]))
                    found = [json.loads(body)]
                else:
                    found = [message async for message in _events(reader)]
                    found = [message for message in found if "method" not in message]
                if len(found) != 1 or found[0].get("id") != number:
                    told.problems.append(f"{first.split(' ')[1]}: answers {[each.get('id') for each in found]}")
                answer: Json = found[0]
                return answer
            finally:
                writer.close()

    def _request(self, number: int, params: Json) -> bytes:
        full = {**params, "_meta": envelope({"elicitation": {"form": {}}})}
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": full}).encode()
        lines: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.port}",
            "Accept": ACCEPT,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Authorization": f"Bearer {self.key}",
            **headers("tools/call", params),
        }
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST /mcp HTTP/1.1\r\n{text}\r\n".encode() + body


async def _events(reader: asyncio.StreamReader) -> Any:
    """The messages of an event stream, up to its end."""
    parser = Parser()
    while True:
        size = int(await reader.readuntil(b"\r\n"), 16)
        data = (await reader.readexactly(size + 2))[:-2]
        if not size:
            return
        for event in parser.feed(data):
            if event.data:
                yield json.loads(event.data)


def _asked(answer: Json) -> Any:
    """What is told beside the sealed state, which is another one each time."""
    return {name: value for name, value in answer.get("result", {}).items() if name != "requestState"}
