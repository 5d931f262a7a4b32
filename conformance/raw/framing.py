"""Raw checks of the frame: batches, malformed and oversize bodies, wrong envelopes, headers every client
must send.

Follows basic/transports and basic/index of each revision; batches exist in 2025-03-26 alone.
"""

from __future__ import annotations

import json
from typing import Any, Final

from conformance.raw.bench import Bench, Check, brief, calls, carried, methods, must
from conformance.raw.wire import Message
from conformance.revisions import BATCHING

OVERSIZE_BYTES: Final = 40 * 1024 * 1024
"""Above any default a broker could have: the SDKs' servers stop at 4 MiB."""
TOO_DEEP: Final = 10_000


def _batching(client: str, _server: str) -> bool:
    return client in BATCHING


def _not_batching(client: str, _server: str) -> bool:
    return client not in BATCHING


def _request(request_id: Any, method: str, params: Message | None = None) -> Message:
    message: Message = {"jsonrpc": "2.0", "id": request_id, "method": method}
    return message if params is None else {**message, "params": params}


def _echo(request_id: Any, **arguments: Any) -> Message:
    return _request(request_id, "tools/call", {"name": "echo", "arguments": arguments})


async def batch_is_answered(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.post([_request("a", "ping"), _echo(2, n=1), {"jsonrpc": "2.0", "method": "x/unknown"}])
    must(answer.status == 200, f"HTTP {answer.status}: {brief(answer)}")
    found = [each for message in answer.messages for each in message.get("batch", [message])]
    ids = [each.get("id") for each in found]
    must(sorted(map(str, ids)) == ["2", "a"], f"answers to {ids}: {brief(answer)}")
    must(all("result" in each for each in found), f"not all results: {brief(found)}")


async def batch_of_notifications_is_accepted(bench: Bench) -> None:
    session = await bench.open()
    notice = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
    answer = await session.post([notice, notice])
    must(answer.status == 202 and not answer.body, f"{brief(answer)}")


async def empty_batch_is_refused(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.post([])
    must(answer.status == 400 and answer.code == -32600, brief(answer))


async def batch_with_initialize_is_refused(bench: Bench) -> None:
    params = {
        "protocolVersion": bench.client,
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    }
    answer = await bench.wire.post([_request(1, "initialize", params), _request(2, "ping")])
    must(answer.status == 400 and answer.code == -32600, brief(answer))


async def batch_is_refused(bench: Bench) -> None:
    session = await bench.open()
    mark = await bench.mark()
    answer = await session.post([_request(1, "ping"), _echo(2)])
    must(answer.status == 400 and answer.code == -32600, brief(answer))
    must(not calls(await bench.since(mark)), "an element of the refused batch reached the backend")


async def _refused(bench: Bench, body: Any, statuses: tuple[int, ...], codes: tuple[int, ...]) -> None:
    session = await bench.open()
    mark = await bench.mark()
    answer = await session.post(body)
    shown = body[:60] if isinstance(body, bytes) else body
    must(answer.status in statuses, f"{brief(shown, 80)}: {brief(answer)}")
    must(answer.code in codes, f"{brief(shown, 80)}: {brief(answer)}")
    must(not carried(await bench.since(mark)), f"the backend saw {brief(await bench.since(mark))}")
    again = await session.ask("ping")
    must(again.status == 200 and again.code is None, f"the session did not go on: {brief(again)}")


async def malformed_json_is_a_parse_error(bench: Bench) -> None:
    for body in (
        b"{not json",
        b"",
        b'{"jsonrpc":"2.0","id":1,"method":"ping"} trailing',
        b"\xff\xfe{}",
        b"NaN",
    ):
        await _refused(bench, body, (400,), (-32700, -32600))


async def duplicate_members_are_refused(bench: Bench) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"echo"}}'
    await _refused(bench, body, (400,), (-32600, -32700))


async def wrong_envelopes_are_invalid_requests(bench: Bench) -> None:
    for body in (
        "a string",
        None,
        {"id": 1, "method": "ping"},
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": 5},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]},
    ):
        await _refused(bench, body, (400, 200), (-32600, -32602))


async def wrong_ids_are_invalid_requests(bench: Bench) -> None:
    for literal in ("null", "1.5", "1.0", "true", "[1]", "{}"):
        body = f'{{"jsonrpc":"2.0","id":{literal},"method":"ping"}}'.encode()
        await _refused(bench, body, (400,), (-32600,))


async def oversize_is_refused(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.post(_echo(1, filler="x" * OVERSIZE_BYTES))
    must(answer.status == 413, brief(answer))
    again = await (await bench.open()).ask("ping")
    must(again.status == 200, brief(again))


async def too_deep_is_refused(bench: Bench) -> None:
    deep = "[" * TOO_DEEP + "]" * TOO_DEEP
    params = f'{{"name":"echo","arguments":{{"d":{deep}}}}}'
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'
    await _refused(bench, body.encode(), (400,), (-32600, -32700))


async def unknown_methods_are_not_forwarded(bench: Bench) -> None:
    session = await bench.open()
    mark = await bench.mark()
    for method in ("no/such", "server/discover", "rpc.discover"):
        answer = await session.ask(method, {})
        must(answer.status == 200 and answer.code == -32601, f"{method}: {brief(answer)}")
    must(not carried(await bench.since(mark)), f"the backend saw {brief(await bench.since(mark))}")


async def newer_methods_are_not_forwarded(bench: Bench) -> None:
    session = await bench.open()
    mark = await bench.mark()
    answer = await session.ask("tasks/get", {"taskId": "t"})
    must(answer.status == 200 and answer.code in (-32601, -32602), brief(answer))
    must("tasks/get" not in methods(await bench.since(mark)), "tasks/get reached a backend without tasks")


async def unknown_notifications_are_not_forwarded(bench: Bench) -> None:
    session = await bench.open()
    mark = await bench.mark()
    answer = await session.notify("notifications/no/such", {})
    must(answer.status == 202 and not answer.body, brief(answer))
    await session.ask("ping")
    await session.call("echo")
    must("notifications/no/such" not in methods(await bench.since(mark)), "it reached the backend")


async def wrong_parameter_types_are_invalid_params(bench: Bench) -> None:
    session = await bench.open()
    for params in ({"name": 5}, {"name": ["echo"]}, {}):
        answer = await session.ask("tools/call", params)
        must(answer.status == 200 and answer.code == -32602, f"{params}: {brief(answer)}")


async def foreign_origin_is_forbidden(bench: Bench) -> None:
    session = await bench.open()
    for origin in ("http://evil.example", "null", "http://localhost.evil.example"):
        answer = await session.post(_request(1, "ping"), headers={"Origin": origin})
        must(answer.status == 403, f"Origin {origin}: {brief(answer)}")


async def foreign_host_is_refused(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.post(_request(1, "ping"), headers={"Host": "evil.example"})
    must(answer.status in (400, 403, 421), brief(answer))


async def wrong_content_type_is_refused(bench: Bench) -> None:
    session = await bench.open()
    body = json.dumps(_request(1, "ping")).encode()
    answer = await session.post(body, headers={"Content-Type": "text/plain"})
    must(answer.status in (400, 415), brief(answer))


async def missing_accept_is_refused(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.post(_request(1, "ping"), headers={"Accept": "text/html"})
    must(answer.status in (400, 406), brief(answer))


def _tasks_absent(client: str, server: str) -> bool:
    return (client, server) != ("2025-11-25", "2025-11-25")


CHECKS: Final = (
    Check("batch answered element by element", "batch.answered", batch_is_answered, _batching),
    Check("batch of notifications accepted", "batch.answered", batch_of_notifications_is_accepted, _batching),
    Check("empty batch refused", "batch.refused", empty_batch_is_refused, _batching),
    Check("initialize inside a batch refused", "batch.refused", batch_with_initialize_is_refused),
    Check("batch refused whole", "batch.refused", batch_is_refused, _not_batching),
    Check("malformed JSON", "frame.parse-error", malformed_json_is_a_parse_error),
    Check("duplicate members", "frame.duplicates", duplicate_members_are_refused),
    Check("wrong envelope", "frame.invalid-request", wrong_envelopes_are_invalid_requests),
    Check("wrong id", "frame.invalid-request", wrong_ids_are_invalid_requests),
    Check("oversize body", "frame.limits", oversize_is_refused),
    Check("too deep body", "frame.limits", too_deep_is_refused),
    Check("unknown method", "method.unknown", unknown_methods_are_not_forwarded),
    Check("newer method", "method.unknown", newer_methods_are_not_forwarded, _tasks_absent),
    Check("unknown notification", "method.unknown-notification", unknown_notifications_are_not_forwarded),
    Check("wrong parameter types", "method.invalid-params", wrong_parameter_types_are_invalid_params),
    Check("foreign Origin", "http.origin", foreign_origin_is_forbidden),
    Check("foreign Host", "http.origin", foreign_host_is_refused),
    Check("wrong Content-Type", "http.negotiation", wrong_content_type_is_refused),
    Check("missing Accept", "http.negotiation", missing_accept_is_refused),
)
