"""Asks that a client's revision does not have: its SDK cannot try them, so a raw client of that revision does.

The server's tool asks; the client application must not be asked, and the call must end with a refusal.
Invariant: only features that the SDK client called unsupported for its revision are tried here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from conformance.cells import Cell
from conformance.features import named
from conformance.lines import Line
from conformance.raw.wire import Message, Session, Wire
from conformance.revisions import has

BOUND_S: Final = 10.0
TOOLS: Final[dict[str, tuple[str, Message]]] = {
    "sampling.tools": ("sampling_tools", {}),
    "elicitation.form": ("test_elicitation", {"message": "Who are you?"}),
    "elicitation.defaults": ("test_elicitation_sep1034_defaults", {}),
    "elicitation.enums": ("test_elicitation_sep1330_enums", {}),
    "elicitation.url": ("url_elicitation", {}),
}


def run(url: str, cell: Cell, lines: Mapping[str, Line]) -> dict[str, Line]:
    """The lines of a raw client for what the SDK client could not try."""
    wanted = [
        name
        for name in TOOLS
        if name in lines
        and lines[name].status == "unsupported"
        and has(cell.server.revision, named(name).word)
        and not has(cell.client.revision, named(name).client_word)
    ]
    return asyncio.run(_try(url, cell.client.revision, wanted)) if wanted else {}


async def _try(url: str, revision: str, names: list[str]) -> dict[str, Line]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=BOUND_S)) as http:
        session = await Wire(http, url, revision).open()
        return {name: await _line(session, name) for name in names}


async def _line(session: Session, name: str) -> Line:
    tool, arguments = TOOLS[name]
    asked: list[Any] = []

    async def note(message: Message) -> None:
        if "method" in message and "id" in message:
            asked.append(message)
            error = {"code": -32601, "message": "Method not found"}
            await session.post({"jsonrpc": "2.0", "id": message["id"], "error": error})

    try:
        answer = await session.ask("tools/call", {"name": tool, "arguments": arguments}, on_message=note)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Line(name, "failed", {}, None, f"{type(error).__name__}: {error}")
    if answer.code is not None and not asked:
        return Line(name, "refused", {}, answer.code, str(answer.messages[-1]))
    results = [message["result"] for message in answer.messages if "result" in message]
    texts = [block.get("text") for result in results for block in result.get("content", ())]
    error_result = any(result.get("isError") for result in results)
    return Line(name, "ok", {"texts": texts, "isError": error_result, "asked": asked})
