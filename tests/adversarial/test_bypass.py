"""Ways around the rules: whatever is tried at whichever way in, the server is asked to run what the caller may, alone.

Bob may use `read`, Ann everything. The invariant of every row: what Bob makes the server run has the very name `read`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.adversarial.doors import (
    CELLS,
    HTTP,
    KEYS,
    MODERN,
    PAIR,
    SESSIONS,
    Answer,
    Cell,
    Door,
    before,
    client,
    encoded,
    entered,
    ran,
)  # fmt: skip
from tests.broker.bridge_world import ADA, Server, again, asking, begin
from tests.broker.kept_wire import KeptWire, connected
from tests.broker.modern_world import envelope
from tests.broker.scripted_backend import ACCEPT, Json, World

RULES: Json = {
    "policy": {
        "default": "deny",
        "rules": [
            {"name": "ann", "allow": "principal == 'key:ann'"},
            {"name": "bob", "allow": "principal == 'key:bob' && kind == 'tool' && name == 'read'"},
        ],
    }
}
HIDDEN = "delete_all"
UNKNOWN = "Unknown tool"
NAMES = (
    HIDDEN, "delete_all ", " read", "read ", "read\0", "read\n", "re\u200dad", "re\u200bad", "\ufeffread", "READ",
    "Read", "\uff52\uff45\uff41\uff44", "re\u0430d", "rea\u0301d", "r\u00e9ad", "default__delete_all", "read%00",
    "%72ead", "default/delete_all", "read/delete_all", "read?x=delete_all", "=?base64?cmVhZA==?=", "", "a" * 20_000,
    "../delete_all", "read\u202e",
)  # fmt: skip
BASE = '{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{<meta>"name":"read","arguments":{}}}'
BODIES = (
    ("C001", BASE.replace('"name":"read"', f'"name":"read","name":"{HIDDEN}"')),
    ("C001", BASE.replace('"name":"read"', f'"name":"{HIDDEN}","name":"read"')),
    ("C001", BASE[:-1] + f',"params":{{"name":"{HIDDEN}"}}}}'),
    ("C003", BASE.replace('"name":"read"', f'"name":"read","n\\u0061me":"{HIDDEN}"')),
    ("C005", BASE.replace('"name":"read"', f'"name":"read","name\\u0000":"{HIDDEN}"')),
    ("C138", BASE.replace('"read"', f'["{HIDDEN}"]')),
    ("C138", BASE.replace('"read"', f'{{"name":"{HIDDEN}"}}')),
    ("C138", BASE.replace('"read"', "null")),
    ("C138", BASE.replace('"name":"read"', f'"Name":"read","tool":"{HIDDEN}"')),
    ("C164", BASE.replace("tools/call", "Tools/Call")),
    ("C164", BASE.replace("tools/call", "tools/call ")),
    ("C164", BASE.replace("tools/call", "tools//call")),
    ("C164", BASE.replace("tools/call", "tools\\u002fcall\\u0000")),
    ("C164", BASE.replace("tools/call", "x/y")),
    ("C164", BASE.replace("tools/call", "tasks/get")),
    ("C164", BASE.replace("tools/call", "completion/complete")),
)


def only_read(here: World) -> bool:
    return set(map(json.dumps, ran(here))) <= {'"read"'}


async def runs(door: Door) -> bool:
    """Whether the caller can still do what it may."""
    return not (await door.call("read")).refused


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_no_spelling_of_a_name_gets_past_the_rules(cell: Cell) -> None:
    """C063, C138, C140, C149, C163: each is answered as what does not exist."""
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "bob") as door:
        for name in NAMES:
            answer = await door.call(name)
            assert answer.refused, name
            if answer.message and name.isprintable() and len(name) < 100 and name == name.strip() and name:
                assert answer.message["error"]["message"] == UNKNOWN, name
        assert ran(here) == []
        assert await runs(door)
        async with entered(here, cell, "ann") as other:
            assert not (await other.call(HIDDEN)).refused


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_no_body_that_reads_in_two_ways_gets_past_the_rules(cell: Cell) -> None:
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "bob") as door:
        for case, body in BODIES:
            # What can be read but not be done is answered by its id on every transport.
            way = door.send if case in ("C138", "C164") else door.attack
            answer = await way(body.replace("<meta>", door.meta()).encode(), name="read")
            assert answer.refused, (case, body, answer)
        seen = {asked.key for asked in here.backend.asked}
        assert not seen & {"x/y", "tasks/get", "completion/complete", "Tools/Call", "tools//call", "tools/call "}
        assert ran(here) == []
        assert await runs(door)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.client == "2025-03-26"], ids=str)
async def test_a_batch_is_judged_call_by_call(cell: Cell) -> None:
    """C033: also where the hidden one stands between others."""
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "bob") as door:
        calls = [BASE.replace('"id":9', f'"id":{n}').replace("<meta>", "") for n in range(4)]
        calls[1] = calls[1].replace('"read"', f'"{HIDDEN}"')
        calls[3] = calls[3].replace('"read"', '"READ"')
        reply = await door.client.post(f"[{','.join(calls)}]".encode(), **door.key)
        answers = [await reply.message() for _ in calls] if reply.streams else reply.json
        assert {each["id"]: "result" in each for each in answers} == {0: True, 1: False, 2: True, 3: False}
        assert ran(here) == ["read", "read"]


HEADERS = (
    ("C057", {"Mcp_Method": "tools/list"}),
    ("C057", {"Mcp_Method": "TOOLS/CALL"}),
    ("C057", {"Mcp_Method": None}),
    ("C058", {"Mcp_Name": None}),
    ("C058", {"Mcp_Name": HIDDEN}),
    ("C058", {"Mcp_Name": "READ"}),
    ("C058", {"Mcp_Name": "%72ead"}),
    ("C058", {"Mcp_Name": "read\r\nMcp-Name: read"}),
    ("C059", {"Mcp_Name": f"=?base64?{base64.b64encode(HIDDEN.encode()).decode()}?="}),
    ("C059", {"Mcp_Name": "=?base64?cmVhZA?="}),
    ("C059", {"Mcp_Name": "=?base64?cmVhZB==?="}),
    ("C059", {"Mcp_Name": "=?base64?cm?hZA==?="}),
    ("C059", {"Mcp_Name": "=?base64?/w==?="}),
    ("C059", {"Mcp_Name": "=?base64?PT9iYXNlNjQ/Y21WaFpBPT0/PQ==?="}),
    ("C056", {"MCP_Protocol_Version": None}),
    ("C056", {"MCP_Protocol_Version": "2025-11-25"}),
    ("C056", {"MCP_Protocol_Version": "2099-01-01"}),
    ("C056", {"MCP_Protocol_Version": f"{MODERN}\r\nMCP-Protocol-Version: {MODERN}"}),
)
IN_SESSIONS = [cell for cell in CELLS if cell.client in SESSIONS and cell.transport == HTTP]
STATELESS = [cell for cell in CELLS if cell.client == MODERN and cell.transport == HTTP]


@pytest.mark.parametrize("cell", STATELESS, ids=str)
async def test_headers_that_say_something_else_than_the_body_are_refused(cell: Cell) -> None:
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "bob") as door:
        body = BASE.replace("<meta>", door.meta())
        for case, headers in HEADERS:
            for name in ("read", HIDDEN):
                answer = await door.attack(body.replace('"read"', f'"{name}"').encode(), name="read", **headers)
                assert answer.refused, (case, headers, name)
                assert answer.status >= 400 or name == HIDDEN, (case, headers)
        assert ran(here) == []
        coded = "=?base64?cmVhZA==?="
        assert not (await door.attack(body.encode(), name="read", Mcp_Name=coded)).refused


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.transport != "pipe"], ids=str)
async def test_headers_of_a_request_never_choose_what_is_run_or_who_asks(cell: Cell) -> None:
    """C113, C151, C222: a session client's mirrored headers, and headers that proxies set, mean nothing."""
    said: Json = {
        "X_HTTP_Method_Override": "DELETE",
        "X_Original_URL": "/servers/other/mcp",
        "X_User": "ann",
        "X_Authenticated_User": "key:ann",
        "X_Forwarded_User": "ann",
        "X_Forwarded_For": "127.0.0.1",
        "X_Upstream_Authorization": f"Bearer {KEYS['ann']}",
        "Forwarded": "for=127.0.0.1",
    }
    if not cell.modern:
        said |= {"Mcp_Name": "read", "Mcp_Method": "tools/list"}
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "bob") as door:
        body = BASE.replace("<meta>", door.meta()).replace('"read"', f'"{HIDDEN}"').encode()
        assert (await door.send(body, name=HIDDEN, **said)).refused
        assert ran(here) == []
        twice = f"Bearer {KEYS['bob']}\r\nAuthorization: Bearer {KEYS['ann']}"
        assert (await door.attack(body, name=HIDDEN, Authorization=twice)).status in (400, 401)
        assert await runs(door)
        sent = json.dumps([asked.headers for asked in here.backend.asked])
        assert "ann" not in sent
        assert not any(key in sent for key in KEYS.values())


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.transport == HTTP], ids=str)
async def test_a_connection_that_was_let_through_once_is_judged_again(cell: Cell) -> None:
    """C045, C138: the short way of a head that was seen before; its body, key, host and name are judged each time."""
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "bob") as door, connected(here.port) as io:
        lines = {"Host": f"127.0.0.1:{here.port}", "Accept": ACCEPT, "Content-Type": "application/json"}
        if cell.modern:
            lines |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "read"}
        else:
            lines["Mcp-Session-Id"] = door.client.session
        wire = KeptWire("", *io)
        body = BASE.replace("<meta>", door.meta()).encode()

        async def post(data: bytes, **other: str) -> Answer:
            shown = {
                **lines,
                "Authorization": f"Bearer {KEYS['bob']}",
                **{k.replace("_", "-"): v for k, v in other.items()},
            }
            wire.head = "".join(f"{name}: {value}\r\n" for name, value in shown.items())
            reply = await wire.post(data)
            return Answer(reply.status, await reply.message() if reply.streams else json.loads(reply.body or b"null"))

        for _ in range(3):
            assert not (await post(body)).refused
        count = len(ran(here))
        for data in (body.replace(b'"read"', b'"' + HIDDEN.encode() + b'"'), body.replace(b"read", b"READ")):
            assert (await post(data)).refused
            assert (await post(data, **({"Mcp_Name": HIDDEN} if cell.modern else {}))).refused
        for case, text in BODIES[:5]:
            assert (await post(text.replace("<meta>", door.meta()).encode())).refused, case
        assert not (await post(body)).refused
        assert len(ran(here)) == count + 1
        assert only_read(here)
        assert (await post(body, Authorization="Bearer dgm_x")).status == 401


@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell.client in SESSIONS and cell.transport == HTTP], ids=str
)
async def test_a_session_of_somebody_else_opens_no_door(cell: Cell) -> None:
    """C093, C095, C106: on every verb, with the answer an unknown session gets."""
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "ann") as ann:
        call = encoded({"id": 1, "method": "tools/call", "params": {"name": HIDDEN}})
        bob, nobody = client(here, "bob"), client(here)
        for verb, body in (("POST", call), ("GET", b""), ("DELETE", b"")):
            accept = "text/event-stream" if verb == "GET" else ACCEPT
            answers = []
            for session in (ann.client.session, "unknown"):
                bob.session = session
                reply = await bob.send(verb, body, Accept=accept)
                answers.append((reply.status, reply.body))
            assert answers[0] == answers[1], verb
            assert answers[0][0] == 404, verb
            nobody.session = ann.client.session
            assert (await nobody.send(verb, body, Accept=accept)).status == 401, verb
        assert ran(here) == []
        assert not (await ann.call(HIDDEN)).refused
        bob.session = ann.client.session
        chosen = await bob.open(cell.client)
        assert chosen.headers["mcp-session-id"] != ann.client.session


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.transport == PAIR], ids=str)
async def test_the_address_of_somebody_elses_stream_opens_no_door(cell: Cell) -> None:
    """C093, C107, C150."""
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "ann") as ann:
        assert ann._pair is not None
        call = encoded({"id": 1, "method": "tools/call", "params": {"name": HIDDEN}})
        for name, status in (("bob", 404), ("", 401)):
            other = client(here, name, ann._pair.endpoint)
            assert (await other.send("POST", call)).status == status
        unknown = client(here, "bob", ann._pair.endpoint[:-4] + "AAAA")
        assert (await unknown.send("POST", call)).status == 404
        assert ran(here) == []
        assert not (await ann.call(HIDDEN)).refused


@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell.client in SESSIONS and cell.transport == HTTP], ids=str
)
async def test_events_of_somebody_elses_stream_are_replayed_to_nobody(cell: Cell) -> None:
    """C076, C080: a forged, foreign or broken Last-Event-ID, in the own session and in a foreign one."""
    async with (
        before(cell, keys=True, **RULES) as here,
        entered(here, cell, "ann") as ann,
        entered(here, cell, "bob") as bob,
    ):
        asked: Json = {"Accept": "text/event-stream"}
        mine = await ann.client.send("GET", **asked, **ann.key)
        assert mine.status == 200
        event = await mine.event() if cell.client == "2025-11-25" else None
        ids = [event.id if event is not None and event.id else "1-1", "0-0", "x", "9" * 5_000, "../1", "-1", ""]
        for last in ids:
            own = await bob.client.send("GET", **asked, **bob.key, Last_Event_ID=last)
            assert own.status in (200, 400, 404, 431), last
            if own.streams:
                own.cut()
            foreign = client(here, "bob")
            foreign.session = ann.client.session
            assert (await foreign.send("GET", **asked, Last_Event_ID=last)).status in (400, 404, 431), last
        assert not (await ann.call(HIDDEN)).refused


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.transport == HTTP], ids=str)
async def test_no_other_spelling_of_the_address_leads_anywhere(cell: Cell) -> None:
    """C054, C055: nor does a key in the query."""
    paths = ("/MCP", "/mcp/", "//mcp", "/%6dcp", "/x/../mcp", "/mcp;a=b", "/mcp%00", "/./mcp", "/servers/default/mcp")
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "ann") as door:
        for path in paths:
            door.client.path = path
            assert (await door.call(HIDDEN)).status in (400, 404), path
        for query in (f"access_token={KEYS['ann']}", f"token={KEYS['ann']}", f"%74oken={KEYS['ann']}"):
            door.client.path = f"/mcp?{query}"
            assert (await door.call(HIDDEN)).status == 400, query
        assert ran(here) == []
        door.client.path = "/mcp"
        assert not (await door.call(HIDDEN)).refused


@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell.client in SESSIONS and cell.transport == HTTP], ids=str
)
async def test_a_request_of_two_eras_is_of_one_of_them_and_judged(cell: Cell) -> None:
    """C150, C151: whatever it says of itself."""
    async with before(cell, keys=True, **RULES) as here, entered(here, cell, "bob") as door:
        params: Json = {"name": HIDDEN, "arguments": {}, "_meta": envelope(extra=1)}
        body = encoded({"id": 9, "method": "tools/call", "params": params})
        for headers in (
            {},
            {"MCP_Protocol_Version": MODERN},
            {"MCP_Protocol_Version": MODERN, "Mcp_Method": "tools/call", "Mcp_Name": HIDDEN},
            {"MCP_Protocol_Version": MODERN, "Mcp_Method": "tools/call", "Mcp_Name": "read"},
            {"MCP_Protocol_Version": "2024-11-05"},
        ):
            assert (await door.send(body, **headers)).refused, headers
        for revision in ("2024-11-05", "1.0", "", MODERN):
            info = {"name": "raw", "version": "0"}
            asked = {"protocolVersion": revision, "capabilities": {}, "clientInfo": info, "_meta": envelope()}
            other = client(here, "bob")
            reply = await other.post({"id": 0, "method": "initialize", "params": asked})
            if "mcp-session-id" in reply.headers:
                other.session = reply.headers["mcp-session-id"]
                await other.post({"method": "notifications/initialized"})
                call = await other.post({"id": 1, "method": "tools/call", "params": {"name": HIDDEN}})
                assert "error" in call.json
        assert ran(here) == []


@pytest.mark.parametrize("backend", ["2025-06-18", "2025-11-25"])
async def test_a_retry_is_of_the_call_it_belongs_to_and_of_its_caller(backend: str) -> None:
    """C118, C124, C127: a state of a round is good for the same call of the same caller, once."""
    cell = Cell(MODERN, HTTP, backend)
    async with before(cell, keys=True, **RULES) as here:
        server = Server(here)
        here.backend.on("tools/call", asking(lambda: server))
        bob, ann = (dict[str, Any](Authorization=f"Bearer {KEYS[name]}") for name in ("bob", "ann"))
        first = await begin(here, params={"name": "read", "arguments": {}}, **bob)
        assert first.json["result"]["resultType"] == "input_required"
        answers = dict.fromkeys(first.json["result"]["inputRequests"], ADA)
        for more, who in (
            ({"params": {"name": HIDDEN}}, bob),
            ({"params": {"name": "read", "arguments": {"a": 1}}}, bob),
            ({"params": {"name": "read"}}, ann),
            ({"params": {"name": HIDDEN}}, ann),
        ):
            reply = await again(here, first, answers, **more, **who)
            assert "error" in reply.json, (more, who)
        state = first.json["result"]["requestState"]
        for method in ("tools/list", "prompts/get"):
            params = {"name": "read", "inputResponses": answers, "requestState": state}
            reply = await begin(here, method=method, params=params, **bob)
            assert ran(here) == ["read"]
        last = await again(here, first, answers, params={"name": "read"}, **bob)
        assert last.json["result"]["resultType"] == "complete"
        assert ran(here) == ["read"]
