"""Memory per parked call: calls of stateless clients that wait in a session server for answers to its questions.

Follows 2026-07-28 basic/patterns/mrtr. The invariant: the slope between two counts of parked calls in one fresh
process, all of them shown to wait, and afterwards every one is answered by its retry.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import secrets
import shlex
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.asking import TOOL
from benchmarks.bare import Bare
from benchmarks.client import HarnessError
from benchmarks.facts import STATELESS
from benchmarks.hold import settled
from benchmarks.processes import Child
from benchmarks.workloads import Echo

CALLERS: Final = 10
"""Principals, each with an equal share of the calls; what one may park is a limit of its own."""

PATH: Final = "/servers/bench/mcp"
ELICITS: Final[dict[str, object]] = {"elicitation": {"form": {}}}
COMMAND: Final = "{{bin}}/dragoman serve {config} --port {{port}}"


class Parked(msgspec.Struct):
    """One call that waits: whose, its number and mark, and what its retry needs."""

    client: Bare
    number: int
    mark: str
    key: str
    state: str


def configured(folder: Path, url: str, calls: int) -> tuple[str, list[str]]:
    """The command of a broker with room for so many parked calls, and the keys of its callers."""
    keys = [f"key-{secrets.token_hex(16)}" for _ in range(CALLERS)]
    most = 2 * calls
    document = {
        "servers": {"bench": {"url": url}},
        "keys": {f"caller-{at}": hashlib.sha256(key.encode()).hexdigest() for at, key in enumerate(keys)},
        "limits": {
            "pool_connections": 2 * most,
            "backend_calls_per_principal": most,
            "parked": most,
            "parked_per_principal": most,
            "parked_per_session": most,
        },
    }
    file = folder / "parked.json"
    file.write_bytes(msgspec.json.encode(document))
    return COMMAND.format(config=shlex.quote(str(file))), keys


async def measure(child: Child, keys: list[str], counts: tuple[int, int]) -> float:
    """Resident KB per parked call between `counts[0]` and `counts[1]` of them.

    Raises:
        HarnessError: a call was not parked, or its retry was not answered with its own mark.
    """
    clients = [Bare(child.port, child.path, ELICITS, key) for key in keys]
    parked: list[Parked] = []
    numbers = itertools.count(1)
    try:
        await asyncio.gather(*(client.open() for client in clients))
        await _park(clients, parked, numbers, counts[0])
        low = await settled(child)
        await _park(clients, parked, numbers, counts[1])
        high = await settled(child)
        for each in parked:
            await _answer(each, next(numbers))
        return (high - low) / 1024 / (counts[1] - counts[0])
    finally:
        for client in clients:
            client.connection.close()


async def _park(clients: list[Bare], parked: list[Parked], numbers: itertools.count[int], count: int) -> None:
    """Park calls up to `count`, one at a time of each caller."""
    while len(parked) < count:
        ready = clients[: count - len(parked)]
        parked += await asyncio.gather(*(_one(client, next(numbers)) for client in ready))


async def _one(client: Bare, number: int) -> Parked:
    mark = f"parked-{secrets.token_hex(4)}"
    result = await _result(client, Echo(TOOL).body(number, mark))
    requests = result.get("inputRequests", {})
    if result.get("resultType") != "input_required" or len(requests) != 1:
        raise HarnessError(f"port {client.port}: a call that asks was answered {result!r:.300}")
    (key,) = requests
    if mark not in requests[key]["params"]["message"]:
        raise HarnessError(f"port {client.port}: {mark} was asked another call's question")
    return Parked(client, number, mark, key, result["requestState"])


async def _answer(call: Parked, number: int) -> None:
    more = {"inputResponses": {call.key: {"action": "accept", "content": {}}}, "requestState": call.state}
    given = msgspec.json.encode(more)[1:-1]
    body = Echo(TOOL).body(number, call.mark).replace(b'"params":{', b'"params":{%b,' % given, 1)
    result = await _result(call.client, body)
    if result.get("content") != [{"type": "text", "text": f"{call.mark} accept"}]:
        raise HarnessError(f"port {call.client.port}: the retry of {call.mark} was answered {result!r:.300}")


async def _result(client: Bare, body: bytes) -> dict[str, Any]:
    status, messages = await client.ask(body)
    answer = msgspec.json.decode(messages[-1]) if messages else {}
    if status != 200 or not isinstance(answer.get("result"), dict):
        raise HarnessError(f"port {client.port}: a {STATELESS} call was answered {status} {messages[:1]!r:.300}")
    return dict(answer["result"])
