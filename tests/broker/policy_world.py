"""One policy before every pair of revisions: callers, doors, and what the rules themselves say of each."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from broker.hooks.base import Caller
from broker.hooks.memory import Memory
from broker.hooks.policy import Policy
from broker.rules.ruleset import Ask, RuleSet
from tests.broker.crossing_world import completes, discovery
from tests.broker.modern_world import REVISION, ask
from tests.broker.rules_world import rules
from tests.broker.scripted_backend import ACCEPT, DONE, Asked, Client, Json, Reply, World, world

KEYS = {"ann": "dgm_a", "bob": "dgm_b"}
SHAS = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
TOOLS = ("read", "write", "delete_file", "delete_all")
PATHS = ("/srv/a", "/etc/passwd", "")
OFFERS: Json = {"tools": {}, "prompts": {}, "resources": {"subscribe": True}, "completions": {}, "logging": {}}

SEEDS = range(12)
CALLS = [(principal, name, path) for principal in KEYS for name in TOOLS for path in PATHS]

PARTS = (
    "principal == 'key:ann'", "principal == 'key:bob'", "name == 'read'", "name.startsWith('delete_')",
    "kind == 'tool'", "method == 'tools/call'", "arguments.path.startsWith('/srv/')", "has(arguments.path)",
    "credential == 'key'", "claims.none == 'x'", "'write' in scopes", "backend.name == 'default'",
    "name.matches('^(read|write)$')",
)  # fmt: skip


def random_rules(seed: int) -> RuleSet:
    """A rule set that is the same wherever it is made."""
    dice = random.Random(seed)
    lines = []
    for _ in range(dice.randint(1, 4)):
        text = dice.choice(PARTS)
        for _ in range(dice.randint(0, 2)):
            text = f"({text} {dice.choice(['&&', '||'])} {'!' * dice.randint(0, 1)}({dice.choice(PARTS)}))"
        lines.append(f"{dice.choice(['allow', 'deny'])} {text}")
    return rules(*lines, default=dice.choice(["allow", "deny"]), backend="default")


class Expected(msgspec.Struct, frozen=True):
    """What the rules say of one call: whether its tool is listed, and whether it is run."""

    listed: bool
    run: bool


def caller_of(name: str) -> Caller:
    return Caller(principal=f"key:{name}", kind="key")


def expected(found: RuleSet, principal: str, name: str, path: str) -> Expected:
    caller = caller_of(principal)
    request = Ask("tools/call", "tool", name)
    first = found.decide(request, caller)
    return Expected(not first.hidden, found.settle(first, request, caller, {"path": path}).allowed)


class Doors:
    """The doors of one broker for clients of one revision, by caller."""

    def __init__(self, here: World, client: str, backend: str) -> None:
        self.here = here
        self.client = client
        self.backend = backend
        self.clients: dict[str, Client] = {}
        self._number = 0

    async def open(self) -> None:
        self.answer_calls()
        for name in KEYS:
            client = self.clients[name] = self.here.another()
            if self.client != REVISION:
                assert (await client.open(self.client, **self._key(name))).status == 200

    def answer_calls(self) -> None:
        """Have the backend list its tools and run every call."""
        scripted = self.here.backend
        scripted.capabilities = {name: {} for name in OFFERS}
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
        if self.backend == REVISION:
            scripted.on("server/discover", completes(**discovery({"tools": {}})))
        complete: Json = {"resultType": "complete"} if self.backend == REVISION else {}
        kept = {"ttlMs": 0, "cacheScope": "public"} if complete else {}

        async def lists(asked: Asked) -> None:
            await self._answer(asked, {**complete, **kept, "tools": tools})

        async def calls(asked: Asked) -> None:
            params = asked.message["params"]
            echo = [{"type": "text", "text": json.dumps(params.get("arguments"), sort_keys=True)}]
            await self._answer(asked, {**complete, **({"content": echo} if params["name"] == "echo" else DONE)})

        scripted.on("tools/list", lists)
        scripted.on("tools/call", calls)

    async def _answer(self, asked: Asked, result: Json) -> None:
        """As one JSON body and as a stream, in turns."""
        self._number += 1
        if self._number % 2:
            await asked.result(result)
        else:
            await asked.stream()
            await asked.event({"id": asked.id, "result": result})
            await asked.end()

    def _key(self, name: str) -> dict[str, Any]:
        return {"Authorization": f"Bearer {KEYS[name]}"}

    def short(self, principal: str) -> str:
        """The head of every call of a caller on one connection that is kept."""
        lines = {
            "Host": f"127.0.0.1:{self.here.port}",
            "Accept": ACCEPT,
            "Content-Type": "application/json",
            **self._key(principal),
        }
        if self.client == REVISION:
            lines |= {"MCP-Protocol-Version": REVISION, "Mcp-Method": "tools/call", "Mcp-Name": "read"}
        else:
            lines["Mcp-Session-Id"] = self.clients[principal].session
        return "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    async def ask(self, principal: str, method: str, params: Json) -> Json:
        client = self.clients[principal]
        self._number += 1
        if self.client == REVISION:
            reply = await ask(client, method, params, id=self._number, **self._key(principal))
        else:
            message = {"id": self._number, "method": method, "params": params}
            reply = await client.post(message, **self._key(principal))
        found: Json = await read(reply)
        return found

    async def batch(self, principal: str, calls: list[Json]) -> list[Json]:
        """Several calls in one body."""
        messages = [{"id": number, "method": "tools/call", "params": call} for number, call in enumerate(calls, 1)]
        reply = await self.clients[principal].post(messages, **self._key(principal))
        if not reply.streams:
            found: list[Json] = reply.json
            return found
        return [await reply.message() for _ in calls]

    async def listed(self, principal: str) -> set[str]:
        answer = await self.ask(principal, "tools/list", {})
        # A caller who may not list at all sees nothing.
        return {tool["name"] for tool in answer.get("result", {"tools": []})["tools"]}

    async def run(self, principal: str, name: str, path: str) -> bool:
        """Whether a call is run; the backend must not have seen one that is not."""
        before = self.ran
        answer = await self.ask(principal, "tools/call", {"name": name, "arguments": {"path": path}})
        seen = self.ran - before
        assert seen == ("result" in answer), answer
        return "result" in answer

    @property
    def ran(self) -> int:
        """How many calls the backend has seen."""
        return self.here.backend.count("tools/call")

    def judge_by(self, found: RuleSet) -> None:
        """Change the rules under the open sessions."""
        self.here.context.hooks.replace([Policy(found, Memory())])


async def decides_as_rules_do(here: Doors) -> None:
    """Generated rules and calls of every caller: what is listed and what is run is what the rules say."""
    for seed in SEEDS:
        found = random_rules(seed)
        here.judge_by(found)
        for principal in KEYS:
            if found.decide(Ask("tools/list"), caller_of(principal)).allowed:
                listed = {name for name in TOOLS if expected(found, principal, name, "").listed}
                assert await here.listed(principal) == listed, (seed, principal)
        for principal, name, path in CALLS[seed % 3 :: 3]:
            said = expected(found, principal, name, path).run
            assert await here.run(principal, name, path) == said, (seed, principal, name, path)


async def judges_batches(here: Doors) -> None:
    """The same of the calls of a batch, each by itself."""
    for seed in SEEDS:
        found = random_rules(seed)
        here.judge_by(found)
        for principal in KEYS:
            calls = [(name, path) for name in TOOLS for path in PATHS]
            answers = await here.batch(principal, [{"name": n, "arguments": {"path": p}} for n, p in calls])
            got = {answer["id"]: "result" in answer for answer in answers}
            said = {number: expected(found, principal, *call).run for number, call in enumerate(calls, 1)}
            assert got == said, (seed, principal)


async def read(reply: Reply) -> Any:
    """The answer, whole or as an event."""
    if not reply.streams:
        return reply.json
    while True:
        message = await reply.message()
        if "method" not in message:
            return message


@asynccontextmanager
async def doors(client: str, backend: str, **settings: Any) -> AsyncIterator[Doors]:
    async with world(backend={"revision": backend}, keys=SHAS, **settings) as here:
        found = Doors(here, client, backend)
        await found.open()
        yield found
