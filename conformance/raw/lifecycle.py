"""Raw checks of sessions: their ids, their end, version headers, answers nobody waits for, unknown versions.

Follows basic/lifecycle and basic/transports#session-management of each revision.
"""

from __future__ import annotations

import asyncio
from typing import Final

from conformance.raw.bench import Bench, Check, brief, carried, handshake, methods, must, text_of
from conformance.revisions import REVISIONS, has

PING: Final = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


async def client_sees_its_own_revision(bench: Bench) -> None:
    session = await bench.open()
    must(session.opened["protocolVersion"] == bench.client, brief(session.opened))
    must(session.id and all(0x21 <= ord(each) <= 0x7E for each in session.id), f"session id {session.id!r}")


async def unknown_version_is_answered_with_a_known_one(bench: Bench) -> None:
    params = {
        "protocolVersion": "1999-01-01",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    }
    answer = await bench.wire.post({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": params}, until=7)
    response = answer.response(7)
    must(answer.status == 200 and response is not None and "result" in response, brief(answer))
    assert response is not None
    must(response["result"]["protocolVersion"] in REVISIONS, brief(response))


async def missing_session_is_400(bench: Bench) -> None:
    answer = await bench.wire.post(PING)
    must(answer.status == 400, brief(answer))


async def unknown_session_is_404(bench: Bench) -> None:
    answer = await bench.wire.post(PING, session="no-such-session")
    must(answer.status == 404, brief(answer))


async def delete_ends_the_session_alone(bench: Bench) -> None:
    one, other = await bench.open(), await bench.open()
    await one.call("echo")
    mark = await bench.mark()
    status = await one.delete()
    must(status in (200, 202, 204), f"DELETE: HTTP {status}")
    answer = await one.ask("ping")
    must(answer.status == 404, f"after DELETE: {brief(answer)}")
    must(text_of(await other.call("echo", {"n": 1})) == '{"n": 1}', "another session broke")
    await bench.eventually(mark, lambda seen: "DELETE" in methods(seen), "the DELETE of its own session")
    must(await one.delete() == 404, "a second DELETE is not 404")


async def wrong_version_header_is_400(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.post(PING, headers={"MCP-Protocol-Version": "1999-01-01"})
    must(answer.status == 400, brief(answer))


async def version_header_is_not_required(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.post(PING, headers={"MCP-Protocol-Version": None})
    must(answer.status == 200, brief(answer))


async def backend_sees_its_own_revision(bench: Bench) -> None:
    mark = await bench.mark()
    session = await bench.open()
    await session.call("echo")
    await session.delete()
    await bench.eventually(mark, lambda seen: "DELETE" in methods(seen), "the end of the session")
    for each in await bench.since(mark):
        stated = each["headers"].get("mcp-protocol-version")
        if (each["body"] or {}).get("method") == "initialize":
            must(each["body"]["params"]["protocolVersion"] == bench.server, brief(each))
        elif has(bench.server, "version header"):
            must(stated == bench.server, f"{methods([each])} stated {stated}, not {bench.server}")
        else:
            must(stated in (None, bench.server), f"{methods([each])} stated {stated}")
        must(session.id not in str(each["headers"]), "the client's session id reached the backend")


async def answers_nobody_asked_for_go_nowhere(bench: Bench) -> None:
    session = await bench.open()
    await session.call("echo")
    mark = await bench.mark()
    for body in (
        {"jsonrpc": "2.0", "id": "nobody", "result": {}},
        {"jsonrpc": "2.0", "id": 12345, "error": {"code": -1, "message": "no"}},
    ):
        answer = await session.post(body)
        must(answer.status in (202, 400), brief(answer))
    must(text_of(await session.call("echo", {"n": 2})) == '{"n": 2}', "the session broke")
    must(carried(await bench.since(mark)) == ["tools/call"], brief(await bench.since(mark)))


async def ids_keep_their_type(bench: Bench) -> None:
    session = await bench.open()
    params = {"name": "late", "arguments": {}}
    number, text = await asyncio.gather(
        session.ask("tools/call", params, request_id=1), session.ask("tools/call", params, request_id="1")
    )
    for answer, wanted in ((number, 1), (text, "1")):
        must(answer.response(wanted) is not None, f"no answer to {wanted!r}: {brief(answer)}")
    big = 9007199254740993
    answer = await session.ask("ping", request_id=big)
    must(answer.response(big) is not None, f"the id {big} was changed: {brief(answer)}")


async def notification_is_202_without_a_body(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.notify("notifications/roots/list_changed")
    must(answer.status == 202 and not answer.body, brief(answer))


async def unsupported_verb_is_405(bench: Bench) -> None:
    async with bench.http.put(bench.url, data=b"{}") as response:
        must(response.status == 405, f"PUT: HTTP {response.status}")


def _header(client: str, _server: str) -> bool:
    return has(client, "version header")


CHECKS: Final = (
    Check("initialize in the client's revision", "initialize.client-face", client_sees_its_own_revision),
    Check(
        "initialize with an unknown version",
        "initialize.negotiation",
        unknown_version_is_answered_with_a_known_one,
    ),
    Check("missing session id", "session.missing", missing_session_is_400),
    Check("unknown session id", "session.unknown", unknown_session_is_404),
    Check("DELETE", "session.delete", delete_ends_the_session_alone, handshake),
    Check("wrong version header", "http.version-header", wrong_version_header_is_400, _header),
    Check("no version header", "http.version-header", version_header_is_not_required),
    Check("revision at the backend", "initialize.server-face", backend_sees_its_own_revision, handshake),
    Check("answers nobody asked for", "session.stray-answers", answers_nobody_asked_for_go_nowhere),
    Check("ids 1 and '1'", "ids.kept", ids_keep_their_type),
    Check("notification", "http.accepted", notification_is_202_without_a_body),
    Check("unsupported verb", "http.verbs", unsupported_verb_is_405),
)
