"""What tests of the benchmarks share: the backend in this process, and a run so short that only its answers count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.__main__ import main
from benchmarks.backend import Connection, Server
from benchmarks.rows import ROWS


@asynccontextmanager
async def serving(kind: type[Connection] = Connection) -> AsyncIterator[tuple[Server, int]]:
    """A backend on a free port of this process."""
    server = Server()
    listener = await asyncio.get_running_loop().create_server(lambda: kind(server), "127.0.0.1", 0)
    try:
        yield server, listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


def answered_rightly(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each load of that prefix is answered rightly, with one request to the backend and no new connection."""
    names = [row.name for row in ROWS if row.load.startswith(prefix)]
    main(["--rows", ",".join([*names, "requests", "connections"]), "--rounds", "1", "--seconds", "0.1"])
    printed = capsys.readouterr().out
    assert "!" not in printed
    for line in printed.splitlines():
        if line.startswith(("backend requests", "new backend connections")):
            assert line.endswith("target")
