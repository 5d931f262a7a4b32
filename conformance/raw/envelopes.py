"""Raw checks of what a client of 2026-07-28 sends and gets, whatever is behind the broker: envelopes, headers,
statuses, and what every result carries.

Follows basic/index, basic/versioning, basic/transports/streamable-http and server/* of 2026-07-28.
Invariant: a refusal is judged by its HTTP status and its code together, and by the id it answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from conformance.raw.bench import OWN_TRAFFIC, Bench, Check, brief, carried, handshake, must, text_of
from conformance.raw.stateless_wire import META, Stateless, error_of, result_of
from conformance.raw.wire import Answer, Message
from conformance.revisions import STATELESS

BAD_PARAMS: Final = (400, -32602)
MISMATCH: Final = (400, -32020)
UNSUPPORTED: Final = (400, -32022)
UNKNOWN: Final = (404, -32601)
INVALID: Final = (400, -32600)
OTHER_VERSION: Final = "v999.0.0"
REMOVED: Final = ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")
LISTS: Final = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
SCOPES: Final = ("public", "private")


async def _refused(
    client: Stateless, body: Message, headers: Mapping[str, str | None], wanted: tuple[int, int], what: str
) -> Answer:
    answer = await client.send(body, headers, until=body["id"])
    must((answer.status, answer.code) == wanted, f"{what}: {brief(answer)}, not {wanted}")
    error_of(answer, body["id"])
    return answer


async def envelopes_are_demanded(bench: Bench) -> None:
    client = bench.stateless
    mark = await bench.mark()
    for key in ("protocolVersion", "clientCapabilities"):
        body = client.request("server/discover", meta={META + key: None}, request_id=key)
        await _refused(client, body, {}, BAD_PARAMS, f"no {key}")
    wrong: tuple[Any, ...] = ("all", [], 1)
    for capabilities in wrong:
        body = client.request("tools/list", meta={f"{META}clientCapabilities": capabilities})
        await _refused(client, body, {}, BAD_PARAMS, f"clientCapabilities {capabilities!r}")
    bare: tuple[Message, ...] = ({}, {"_meta": {}}, {"_meta": None}, {"_meta": []})
    for params in bare:
        body = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": params}
        await _refused(client, body, {}, BAD_PARAMS, f"params {params}")
    await _refused(client, {"jsonrpc": "2.0", "id": 8, "method": "tools/list"}, {}, BAD_PARAMS, "no params")
    must(not carried(await bench.since(mark)), f"the backend saw {brief(await bench.since(mark))}")
    unnamed = await client.ask("tools/list", meta={f"{META}clientInfo": None})
    result_of(unnamed)


async def headers_repeat_the_body(bench: Bench) -> None:
    client = bench.stateless
    mark = await bench.mark()
    body = client.request("tools/call", {"name": "echo", "arguments": {}})
    for changes in (
        {"MCP-Protocol-Version": None},
        {"MCP-Protocol-Version": "2025-11-25"},
        {"MCP-Protocol-Version": OTHER_VERSION},
        {"Mcp-Method": None},
        {"Mcp-Method": "tools/list"},
        {"Mcp-Method": "Tools/Call"},
        {"Mcp-Name": None},
        {"Mcp-Name": "late"},
        {"Mcp-Name": "ECHO"},
        {"Mcp-Name": "=?base64?bGF0ZQ==?="},
        {"Mcp-Name": "=?base64?not base64!?="},
    ):
        await _refused(client, body, changes, MISMATCH, str(changes))
    other = client.request("tools/list", meta={f"{META}protocolVersion": OTHER_VERSION})
    await _refused(client, other, {}, MISMATCH, "another version in the body alone")
    must(not carried(await bench.since(mark)), f"the backend saw {brief(await bench.since(mark))}")
    answer = await client.send(body, {"Mcp-Name": "=?base64?ZWNobw==?="}, until="r")
    must(text_of(result_of(answer)) == "{}", f"a name in base64: {brief(answer)}")


async def unsupported_versions_are_named(bench: Bench) -> None:
    client = bench.stateless
    for version in (OTHER_VERSION, "2027-01-01", "1999-01-01"):
        body = client.request("server/discover", meta={f"{META}protocolVersion": version})
        answer = await _refused(client, body, {"MCP-Protocol-Version": version}, UNSUPPORTED, version)
        data = error_of(answer).get("data") or {}
        must(STATELESS in data.get("supported", ()), f"supported: {brief(data)}")
        must(data.get("requested") == version, f"requested: {brief(data)}")
        offered = (await client.result("server/discover"))["supportedVersions"]
        must(set(data["supported"]) <= set(offered), f"supported {data['supported']}, discovered {offered}")


async def removed_and_unknown_methods_are_404(bench: Bench) -> None:
    client = bench.stateless
    mark = await bench.mark()
    for method in (*REMOVED, "unknown/method", "tasks/list", "sampling/createMessage", "notifications/progress"):
        await _refused(client, client.request(method), {}, UNKNOWN, method)
    sent = [method for method in carried(await bench.since(mark)) if method in REMOVED]
    must(not sent, f"{sent} reached the backend")


async def frames_are_judged(bench: Bench) -> None:
    client = bench.stateless
    mark = await bench.mark()
    good = client.request("tools/list")
    for body, code in (
        (b"{", -32700),
        ([good], -32600),
        ([], -32600),
        ({"jsonrpc": "2.0", "id": "r", "result": {}}, -32600),
        ({"jsonrpc": "2.0", "id": "r", "error": {"code": -1, "message": "no"}}, -32600),
        ({**good, "id": None}, -32600),
        ({**good, "id": 1.5}, -32600),
        ({**good, "jsonrpc": "1.0"}, -32600),
    ):
        answer = await client.send(body, {"Mcp-Method": "tools/list"})
        must((answer.status, answer.code) == (400, code), f"{brief(body, 80)}: {brief(answer)}")
    dropped = client.request("notifications/cancelled", {"requestId": "r"})
    del dropped["id"]
    answer = await client.send(dropped)
    must(answer.status == 202 and not answer.body, f"a notification: {brief(answer)}")
    must(not carried(await bench.since(mark)), f"the backend saw {brief(await bench.since(mark))}")


async def get_and_delete_are_405(bench: Bench) -> None:
    headers = {"MCP-Protocol-Version": STATELESS, "Accept": "text/event-stream"}
    for verb in ("GET", "DELETE"):
        async with bench.http.request(verb, bench.url, headers=headers) as response:
            must(response.status == 405, f"{verb}: HTTP {response.status}")


async def sessions_and_resumption_are_not_known(bench: Bench) -> None:
    client = bench.stateless
    mark = await bench.mark()
    stray = {"Mcp-Session-Id": "no-such-session", "Last-Event-ID": "9/1"}
    answer = await client.ask("tools/call", {"name": "echo", "arguments": {"n": 1}}, headers=stray)
    must(text_of(result_of(answer)) == '{"n": 1}', brief(answer))
    must("mcp-session-id" not in {name.lower() for name in answer.headers}, "a session id was given")
    must(not any(event.id for event in answer.events), "an event has an id")
    for each in await bench.since(mark):
        must("no-such-session" not in str(each["headers"]), "the client's header reached the backend")
        must(each["headers"].get("last-event-id") != "9/1", "the client's Last-Event-ID reached the backend")


def _typed(bench: Bench, result: Message, what: str, *, kept: bool) -> None:
    must(result.get("resultType") == "complete", f"{what}: resultType {result.get('resultType')!r}")
    info = (result.get("_meta") or {}).get(f"{META}serverInfo")
    if handshake(bench.client, bench.server):  # a server of the client's own revision says it itself
        must(isinstance(info, dict) and info.get("name") == "scripted", f"{what}: serverInfo {brief(info)}")
    if kept:
        ttl_ms, scope = result.get("ttlMs"), result.get("cacheScope")
        must(type(ttl_ms) is int and ttl_ms >= 0, f"{what}: ttlMs {ttl_ms!r}")
        must(scope in SCOPES, f"{what}: cacheScope {scope!r}")


async def results_carry_what_the_revision_demands(bench: Bench) -> None:
    client = bench.stateless
    for method in ("server/discover", *LISTS):
        _typed(bench, await client.result(method), method, kept=True)
    ref = {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "p"}}
    _typed(bench, await client.result("completion/complete", ref), "completion/complete", kept=False)
    _typed(bench, await client.call("echo"), "tools/call", kept=False)


async def discovery_shows_the_server(bench: Bench) -> None:
    found = await bench.stateless.result("server/discover")
    must(STATELESS in found["supportedVersions"], brief(found))
    capabilities = found["capabilities"]
    must({"tools", "resources", "prompts", "logging", "completions"} <= set(capabilities), brief(capabilities))
    must("tasks" not in capabilities, f"tasks of another revision: {brief(capabilities)}")
    must("protocolVersion" not in found and "serverInfo" not in found, f"members of a handshake: {brief(found)}")


async def ids_are_the_clients_own(bench: Bench) -> None:
    client = bench.stateless
    for request_id in (0, 1, "1", "", 9007199254740993, "ü"):
        answer = await client.ask("tools/call", {"name": "echo", "arguments": {}}, request_id=request_id)
        must(answer.response(request_id) is not None, f"id {request_id!r}: {brief(answer)}")


async def requests_need_nothing_before_them(bench: Bench) -> None:
    """The first thing a client ever sends may be a call, and nothing it sent is kept for the next."""
    client = bench.stateless
    mark = await bench.mark()
    calls = [await client.call("echo", {"n": number}, request_id="same") for number in range(3)]
    must([text_of(each) for each in calls] == [f'{{"n": {number}}}' for number in range(3)], brief(calls))
    sent = [method for method in carried(await bench.since(mark)) if method not in OWN_TRAFFIC]
    must(sent.count("tools/call") == 3, f"the backend saw {sent}")


CASES: Final[tuple[tuple[str, str, Any], ...]] = (
    ("envelopes", "stateless.envelope", envelopes_are_demanded),
    ("headers beside the body", "stateless.headers", headers_repeat_the_body),
    ("unsupported versions", "stateless.versions", unsupported_versions_are_named),
    ("removed methods", "removed.methods", removed_and_unknown_methods_are_404),
    ("frames of stateless clients", "stateless.frames", frames_are_judged),
    ("GET and DELETE of stateless clients", "stateless.verbs", get_and_delete_are_405),
    ("session headers of stateless clients", "stateless.sessionless", sessions_and_resumption_are_not_known),
    ("members of every result", "stateless.results", results_carry_what_the_revision_demands),
    ("discovery", "discover.from-handshake", discovery_shows_the_server),
    ("ids of stateless clients", "ids.kept", ids_are_the_clients_own),
    ("requests without a beginning", "stateless.first", requests_need_nothing_before_them),
)
CHECKS: Final = tuple(Check(name, requirement, run) for name, requirement, run in CASES)
