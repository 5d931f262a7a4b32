"""The example of two tenants on the front page is true: it is served, and each row is what two clients get.

The issuer is a server on this machine with keys of its own; the broker is the installed command.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.audit.verify import verify
from tests.broker.issuer_world import Server, issuing, sign
from tests.broker.modern_world import REVISION, ask
from tests.broker.policy_world import read
from tests.broker.scripted_backend import Asked, Client, Json, ScriptedBackend
from tests.broker.test_readme import PAGES, READY, ROOT, blocks

HOST = "mcp.example.com"
AUDIENCE = f"https://{HOST}/servers/crm/mcp"
ISSUER, CRM = "https://login.example.com", "https://crm.example.com/mcp"
CUSTOMER = "ada@example.com, 4111 1111 1111 1111"
TOOLS = [
    {
        "name": name,
        "inputSchema": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "tenant_id": {"type": "string"}},
            "required": ["id", "tenant_id"],
        },
    }
    for name in ("get_customer", "delete_customer")
]
START_S = 30


class Row(msgspec.Struct, frozen=True):
    """One caller of the table."""

    sub: str
    claims: Json
    lists: list[str]
    sees: str
    audit: list[str]


def _row(line: str) -> Row:
    """What a line of the table says; every cell is made of code spans."""
    sub, claims, lists, sees, audit = (re.findall(r"`([^`]*)`", cell) for cell in line.strip("|").split("|"))
    return Row(sub[0], dict(claim.split(": ") for claim in claims), lists, "".join(sees), audit)


TABLE = [_row(line) for line in PAGES.split("| `sub` |")[1].split("\n\n")[0].splitlines()[2:]]


class Here(msgspec.Struct):
    """A broker that serves the example, what is around it, and where its audit is."""

    backend: ScriptedBackend
    issuer: Server
    port: int
    audit: Path

    def client(self, row: Row, **claims: Any) -> Client:
        """A client with the caller's token; `claims` are others than it should have."""
        client = Client(self.port, "/servers/crm/mcp")
        token = sign(self.issuer.claims(**{"aud": AUDIENCE, "sub": row.sub, **row.claims, **claims}))
        client.headers = {"Host": HOST, "Authorization": f"Bearer {token}"}
        return client


async def _lists(asked: Asked) -> None:
    await asked.result({"tools": TOOLS})


async def _calls(asked: Asked) -> None:
    await asked.result({"content": [{"type": "text", "text": CUSTOMER}]})


async def _port(output: asyncio.StreamReader) -> int:
    """The port of a broker that is ready."""
    said = []
    async with asyncio.timeout(START_S):
        while line := await output.readline():
            said.append(line.decode())
            if READY in said[-1]:
                found = re.search(r"127\.0\.0\.1:(\d+)", said[-1])
                assert found is not None, said
                return int(found[1])
    raise AssertionError(said)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Here]:
    """The example as it stands on its page, but for the two addresses and the port."""
    text = next(block for block in blocks("yaml") if block.startswith("# tenants.yaml"))
    backend = ScriptedBackend()
    backend.on("tools/list", _lists)
    backend.on("tools/call", _calls)
    server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    async with issuing() as issuer:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        assert text.count(ISSUER) == text.count(CRM) == 1
        config = folder / "tenants.yaml"
        config.write_text(f"port: 0\n{text.replace(ISSUER, issuer.url).replace(CRM, address)}", encoding="utf-8")
        line = (sys.executable, "-m", "broker", "serve", str(config))
        process = await asyncio.create_subprocess_exec(
            *line, cwd=folder, env={"PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield Here(backend, issuer, await _port(process.stdout), folder / "audit.jsonl")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), START_S) == 0
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
            server.close()
            backend.abort()


async def asked(client: Client, method: str, params: Json) -> Json:
    """One request of a client of either kind."""
    if client.session:
        found: Json = await read(await client.post({"id": 1, "method": method, "params": params}))
    else:
        found = await read(await ask(client, method, params))
    return found


@pytest.mark.parametrize("revision", ["2025-06-18", REVISION])
async def test_each_caller_lists_sees_and_may_do_what_the_page_says(tmp_path: Path, revision: str) -> None:
    async with served(tmp_path) as here:
        for row in TABLE:
            stranger = here.client(row, aud=f"https://{HOST}/servers/other/mcp")
            assert (await ask(stranger, "tools/list")).status == 401
            client = here.client(row)
            if revision != REVISION:
                await client.open(revision)
            tools = (await asked(client, "tools/list", {}))["result"]["tools"]
            assert sorted(tool["name"] for tool in tools) == row.lists, row.sub
            assert "tenant_id" not in json.dumps(tools)
            for name in ("get_customer", "delete_customer"):
                await _call(here, client, row, name)
            client.drop()
    lines = [json.loads(line) for line in here.audit.read_bytes().splitlines()]
    for row in TABLE:
        assert _written(lines, f"token:{here.issuer.url} {row.sub}", "delete_customer") == row.audit, row.sub
    assert verify([here.audit]).problems == []
    assert CUSTOMER not in here.audit.read_text(encoding="utf-8")


async def _call(here: Here, client: Client, row: Row, name: str) -> None:
    """A call of what is listed is run for the caller's tenant and shows what it may; any other is not run."""
    before = here.backend.count("tools/call")
    answer = await asked(client, "tools/call", {"name": name, "arguments": {"id": "7"}})
    seen = [each.message["params"] for each in here.backend.asked if each.key == "tools/call"][before:]
    if name not in row.lists:
        assert (answer["error"]["message"], seen) == ("Unknown tool", [])
        return
    assert [params["arguments"] for params in seen] == [{"id": "7", "tenant_id": row.claims["tenant"]}]
    assert [block["text"] for block in answer["result"]["content"]] == [row.sees]
    # Nobody acts for the other tenant.
    forged = {"id": "7", "tenant_id": "acme" if row.claims["tenant"] == "globex" else "globex"}
    assert "error" in await asked(client, "tools/call", {"name": name, "arguments": forged})
    assert here.backend.count("tools/call") == before + 1


def _written(lines: list[Json], caller: str, tool: str) -> list[str]:
    """Events of one caller's first call of a tool, and the rule that refused it."""
    found: list[Any] = [line for line in lines if line.get("resources") == [{"name": tool, "type": "tool"}]]
    found = [line for line in found if line["actor"]["user"]["uid"] == caller]
    first = found[0]["metadata"].get("correlation_uid")
    found = [line for line in found if line["metadata"].get("correlation_uid") == first][: 2 if first else 1]
    events = [line["metadata"]["event_code"] for line in found]
    return events if events[0] == "admitted" else [*events, found[0]["unmapped"]["rule"]]
