"""Lets clients of real SDK releases sign in at `dragoman serve`, with a strict authorization server beside it.

Each client is told the server's address and nothing else. From the broker's 401 it has to find the issuer, register,
bring a person's consent (PKCE, resource indicator), and list the tools; releases that follow a 403
`insufficient_scope` are then challenged for the call's own scope, the others ask for all of them from the start.
Behind the broker stands a server of the other era. Invariants: no client breaks a rule of the issuer, whoever has to
go a second time keeps its registration, and tokens of revisions with resource indicators are for this server alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from conformance.launch import Child, Children
from conformance.lines import parse
from conformance.peers import node

PYTHON: Final = Path(__file__).parent / "peers" / "python"
CLIENTS: Final = (
    *(f"py:{revision}" for revision in ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")),
    *(f"ts:{revision}" for revision in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")),
)
"""Python's release of 2024-11-05 cannot sign in; TypeScript's can, though its revision knows no authorization."""
STEPS_UP: Final = frozenset(["py:2025-06-18", "py:2025-11-25", "py:2026-07-28", "ts:2025-11-25", "ts:2026-07-28"])
"""Whose release goes back to the issuer after a 403."""
NAMES_RESOURCE: Final = STEPS_UP | {"ts:2025-06-18"}
"""Whose release names the resource that its tokens are for; 2025-06-18 is the first revision to ask for it."""
RENEWS_FIRST: Final = frozenset(["ts:2025-11-25"])
"""Whose release answers a 403 with its refresh token, gets the scopes it had and gives up: it is given none."""
READ: Final = "notes.read"
CALL: Final = "notes.call"
AUDIENCE: Final = "notes"
FEATURES: Final = ("any.list", "any.call")
TOOL: Final = {"name": "test_simple_text", "arguments": {}}
TEXT: Final = "This is a simple text response for testing."
CLIENT_S: Final = 90.0
"""A cold start of an SDK's environment, as for the matrix."""
_OTHER_ERA: Final = {True: "2026-07-28", False: "2025-11-25"}


@contextmanager
def backends(folder: Path) -> Iterator[Mapping[str, str]]:
    """The addresses of the servers behind the broker, by revision."""
    with Children(folder) as children:
        found = {}
        for revision in _OTHER_ERA.values():
            script = str(PYTHON / f"server_{revision.replace('-', '_')}.py")
            command = ["uv", "run", "--quiet", "--script", script]
            found[revision] = children.server(f"backend-{revision}", command)[1]
        yield found


def problems(client: str, urls: Mapping[str, str], folder: Path, issuer: Sequence[str]) -> list[str]:
    """What went wrong for the client of one release; nothing, as it should be. `issuer` is the command of one."""
    steps_up, revision = client in STEPS_UP, client.partition(":")[2]
    with Children(folder) as children:
        more = ["--no-refresh"] if client in RENEWS_FIRST else []
        authority, issuer_url = children.server("issuer", [*issuer, "--audience", AUDIENCE, *more])
        scopes = {"scopes": [READ], "method_scopes": {"tools/call": [CALL]}} if steps_up else {"scopes": [READ, CALL]}
        backend = urls[_OTHER_ERA[revision < "2026-07-28"]]
        root = children.configured(
            {
                "issuers": [{"issuer": issuer_url, "audiences": [AUDIENCE]}],
                "servers": {"notes": {"url": backend, **scopes}},
            }
        )
        url = f"{root}/servers/notes/mcp"
        command = [*_command(client), "--url", url, "--sign-in", "" if steps_up else f"{CALL} {READ}"]
        command += ["--features", ",".join(FEATURES), "--call", json.dumps(TOOL)]
        child, _ = children.run("client", command, CLIENT_S)
        done, faults = _said_by(authority)
    seen = parse(child.output())
    found = [f"the issuer refused: {fault}" for fault in faults]
    for feature in ("initialize", *FEATURES):
        said = seen.get(feature)
        if said is None or said.status != "ok":
            found.append(f"{feature}: {'no answer' if said is None else said.brief}")
    if "any.call" in seen and not found and TEXT not in json.dumps(seen["any.call"].seen):
        found.append(f"any.call: {seen['any.call'].brief}")
    return found + unlike(done, steps_up, url if client in NAMES_RESOURCE else None)


def unlike(done: list[dict[str, Any]], steps_up: bool, resource: str | None) -> list[str]:
    """How what the issuer was asked (its `did` lines) differs from what the broker's challenges call for."""
    asked = [each["did"] for each in done]
    wanted = ["registered", *["authorized", "granted"] * (2 if steps_up else 1)]
    found = [] if asked == wanted else [f"the issuer was asked for {', '.join(asked) or 'nothing'}"]
    granted = [each for each in done if each["did"] == "granted"]
    scopes = [set(each["scope"].split()) for each in granted]
    if scopes and scopes != ([{READ}, {READ, CALL}] if steps_up else [{READ, CALL}]):
        found.append(f"scopes that were granted: {scopes}")
    named = {each["resource"] for each in granted}
    if named - {resource}:
        found.append(f"resources that were named: {named}")
    return found


def _said_by(issuer: Child) -> tuple[list[dict[str, Any]], list[str]]:
    lines = [json.loads(line) for line in issuer.output().splitlines() if line.startswith("{")]
    return [line for line in lines if "did" in line], [line["fault"] for line in lines if "fault" in line]


def _command(client: str) -> list[str]:
    language, _, revision = client.partition(":")
    if language == "ts":
        return node.command("client", revision)
    return ["uv", "run", "--quiet", "--script", str(PYTHON / f"client_{revision.replace('-', '_')}.py")]
