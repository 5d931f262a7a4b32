"""What a client of 2026-07-28 sends, in bytes, on the raw client of `scripted_backend`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.broker.scripted_backend import Client, Json, Reply, World, world

REVISION = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
INFO = {"name": "raw", "version": "1"}
TARGETS = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
COMPLETE: Json = {"resultType": "complete", "content": []}


def modern(**settings: Any) -> AbstractAsyncContextManager[World]:
    """A world whose backend is modern."""
    return world(backend={"revision": REVISION, **settings.pop("backend", {})}, **settings)


def envelope(capabilities: Json | None = None, **more: Any) -> Json:
    """`_meta` of a request; names in `more` are taken as they are."""
    return {
        f"{PREFIX}protocolVersion": REVISION,
        f"{PREFIX}clientCapabilities": capabilities or {},
        f"{PREFIX}clientInfo": INFO,
        **more,
    }


def headers(method: str, params: Json) -> dict[str, str | None]:
    """The headers that belong to a request."""
    found: dict[str, str | None] = {"MCP-Protocol-Version": REVISION, "Mcp-Method": method}
    if method in TARGETS and TARGETS[method] in params:
        found["Mcp-Name"] = params[TARGETS[method]]
    return found


async def ask(
    client: Client,
    method: str = "tools/call",
    params: Json | None = None,
    *,
    id: int | str = 1,  # noqa: A002
    meta: Json | None = None,
    **more: Any,
) -> Reply:
    """One request in good order; `more` replaces headers, with `_` for `-`."""
    if params is None:
        params = {"name": "x", "arguments": {}} if method == "tools/call" else {}
    lines = headers(method, params) | {name.replace("_", "-"): value for name, value in more.items()}
    full = {**params, "_meta": envelope() if meta is None else meta}
    return await client.post({"id": id, "method": method, "params": full}, **lines)


def refused(reply: Reply) -> tuple[int, int, Any, Any]:
    """(HTTP status, code, id, reason) of an error the broker made."""
    error = reply.json["error"]
    assert error["data"]["origin"] == "broker", error
    return reply.status, error["code"], reply.json.get("id"), error["data"]["reason"]
