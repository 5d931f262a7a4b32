"""A broker that has no file descriptor left (C205): in a process of its own, with few of them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.broker.http1_world import turn, within
from tests.broker.kept_wire import KeptWire, connected
from tests.broker.scripted_backend import ACCEPT, DONE, Asked, Client, Json, ScriptedBackend

FILES: Final = 64
FLOOD: Final = 3 * FILES
WAIT_S: Final = 20.0
SCRIPT: Final = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
from tests.audit_kills.nursery import serve
serve(sys.argv[1], 1)
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the limit is one of POSIX")


@asynccontextmanager
async def few_files(folder: Path) -> AsyncIterator[tuple[ScriptedBackend, int, int]]:
    """A server, and the port and the process of a broker before it that has `FILES` descriptors."""
    backend = ScriptedBackend()
    listener = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
    backend.port = listener.sockets[0].getsockname()[1]
    file = folder / "c.json"
    url = f"http://127.0.0.1:{backend.port}/mcp"
    file.write_text(json.dumps({"port": 0, "servers": {"one": {"url": url, "revision": "2025-11-25"}}}))
    broker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, str(file), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert broker.stdout is not None
    try:
        yield backend, int(await asyncio.wait_for(broker.stdout.read(), WAIT_S)), broker.pid
        assert broker.returncode is None  # it serves on, whatever was done to it
    finally:
        if broker.returncode is None:
            broker.terminate()
        await asyncio.wait_for(broker.wait(), WAIT_S)
        listener.close()
        backend.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in backend.writers), return_exceptions=True)


async def test_without_descriptors_what_is_open_goes_on_and_others_are_served_once_there_are_some(
    tmp_path: Path,
) -> None:
    """C205."""
    async with few_files(tmp_path) as (backend, port, process):
        held: asyncio.Queue[Asked] = asyncio.Queue()

        async def tool(asked: Asked) -> None:
            if asked.message["params"]["name"] == "slow":
                await asked.stream()
                await asked.event({"method": "notifications/message", "params": {"level": "error", "data": "begun"}})
                held.put_nowait(asked)
            else:
                await asked.result(DONE)

        backend.on("tools/call", tool)
        path = "/servers/one/mcp"
        client = Client(port, path)
        await client.open()
        slow = await client.call(1, name="slow")
        assert (await slow.message())["params"]["data"] == "begun"
        lines = {"Host": f"127.0.0.1:{port}", "Accept": ACCEPT, "Content-Type": "application/json",
                 "Mcp-Session-Id": client.session}  # fmt: skip
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        async with connected(port) as streams:
            wire = KeptWire(head, *streams, path=path)
            assert (await wire.post(call(2))).json["result"] == DONE
            flood = [await asyncio.open_connection("127.0.0.1", port) for _ in range(FLOOD)]
            async with asyncio.timeout(WAIT_S):
                while open_files(process) < FILES - 3:
                    await turn()
            # On the connection that stands: answered, if only with an error where its server cannot be reached.
            answer = (await wire.post(call(3))).json
            assert "result" in answer or answer["error"]["data"]["executed"] == "no"
            asked = await within(held.get())
            await asked.event({"id": asked.id, "result": DONE})
            await asked.end()
            assert (await slow.message())["result"] == DONE
            for _, writer in flood:
                writer.transport.abort()
            await asyncio.gather(*(writer.wait_closed() for _, writer in flood), return_exceptions=True)
            async with asyncio.timeout(WAIT_S):
                while True:
                    try:
                        other = Client(port, path)
                        await other.open()
                        break
                    except (OSError, EOFError, AssertionError):
                        continue
            assert (await other.call(1)).json["result"] == DONE
            assert (await wire.post(call(4))).json["result"] == DONE
        client.drop()
        other.drop()


def open_files(process: int) -> int:
    """How many a process has, where the system tells."""
    return len(os.listdir(f"/proc/{process}/fd")) if sys.platform == "linux" else FILES


def call(number: int) -> Json:
    return {"id": number, "method": "tools/call", "params": {"name": "x"}}
