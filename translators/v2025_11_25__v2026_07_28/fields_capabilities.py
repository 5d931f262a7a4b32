"""Capabilities and identity, said once in `initialize` or again in every request and in `server/discover`.

Follows changelog majors 2 and 3, minor 1; server/discover.mdx. Pure functions: who opens and answers handshakes calls
them. Invariant: nothing is declared that only one revision knows how to use, and nothing else is dropped.
"""

from __future__ import annotations

from typing import Any

from protocol_versions import v2025_11_25, v2026_07_28
from translators import tree
from translators.tree import Body

OLDER = v2025_11_25.REVISION.id
NEWER = v2026_07_28.REVISION.id
TASKS_EXTENSION = "io.modelcontextprotocol/tasks"
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
UNKNOWN_SERVER = {"name": "unknown-mcp-server", "version": "0"}
"""`serverInfo` is required in `initialize`, and only recommended since."""


def mapped_client_capabilities(declared: Body) -> Body:
    """What a session client declared in `initialize`, as each of its requests declares it to a 2026-07-28 server.

    Roots lose `listChanged` (no notification is left to announce), `elicitation: {}` means forms and says so, tasks
    and their extension go. Everything else, extensions and experimental ones among it, stays as it was declared.
    """
    mapped = _without_tasks(declared)
    if "roots" in mapped:
        roots = tree.whole(mapped, "roots")
        kept = roots if isinstance(roots, dict) else {}
        mapped["roots"] = {name: value for name, value in kept.items() if name != "listChanged"}
    elicitation = tree.whole(mapped, "elicitation")
    if isinstance(elicitation, dict) and not elicitation.keys() & {"form", "url"}:
        mapped["elicitation"] = {**elicitation, "form": {}}
    return mapped


def session_client_capabilities(declared: Body) -> Body:
    """What a request of a 2026-07-28 client declares, as the session that is opened for it declares it.

    `listChanged` of roots goes: no notification of the client is left that could announce them. Tasks go as well.
    """
    mapped = _without_tasks(declared)
    roots = tree.whole(mapped, "roots")
    if isinstance(roots, dict) and "listChanged" in roots:
        mapped["roots"] = {name: value for name, value in roots.items() if name != "listChanged"}
    return mapped


def mapped_server_capabilities(declared: Body) -> Body:
    """What either kind of server declared, for a client of the other: without tasks, which are not the same there."""
    return _without_tasks(declared)


def initialize_result(discovered: Body, revision: str) -> Body:
    """The `initialize` result that says what a `server/discover` result says, in the shape of 2025-11-25.

    `revision` is the client's, which goes into `protocolVersion`; for a client older than 2025-11-25 the lane of
    `initialize` between the two still has to run. The body given stays as it is.
    """
    meta = _object(discovered, "_meta")
    info = meta.get(SERVER_INFO)
    welcome: Body = {
        "protocolVersion": revision,
        "capabilities": mapped_server_capabilities(_object(discovered, "capabilities")),
        "serverInfo": info if isinstance(info, dict) and _is_implementation(info) else dict(UNKNOWN_SERVER),
    }
    return _with_instructions(welcome, discovered)


def discover_result(initialized: Body) -> Body:
    """The `server/discover` result that says what an `initialize` result (any session revision) says.

    Nothing in it may be cached: what a session server offers may depend on who opened the session.
    """
    info = _object(initialized, "serverInfo")
    found: Body = {
        "resultType": "complete",
        "supportedVersions": [NEWER],
        "capabilities": mapped_server_capabilities(_object(initialized, "capabilities")),
        "ttlMs": 0,
        "cacheScope": "private",
    }
    if _is_implementation(info):
        found["_meta"] = {SERVER_INFO: info}
    return _with_instructions(found, initialized)


def _with_instructions(body: Body, said: Body) -> Body:
    instructions = tree.whole(dict(said), "instructions")
    return {**body, "instructions": instructions} if isinstance(instructions, str) else body


def _without_tasks(declared: Body) -> Body:
    """The declaration, opened and copied, without tasks in either spelling."""
    kept = {name: tree.deep(value) for name, value in declared.items() if name != "tasks"}
    extensions = kept.get("extensions")
    if isinstance(extensions, dict) and TASKS_EXTENSION in extensions:
        left = {name: value for name, value in extensions.items() if name != TASKS_EXTENSION}
        kept = {name: value for name, value in kept.items() if name != "extensions"}
        if left:
            kept["extensions"] = left
    return kept


def _object(body: Body, name: str) -> Body:
    value: Any = tree.whole(dict(body), name)
    return value if isinstance(value, dict) else {}


def _is_implementation(info: Body) -> bool:
    return isinstance(info.get("name"), str) and isinstance(info.get("version"), str)
