"""Raw checks of shapes: what is newer than the client's revision never reaches it, its content always does.

Follows the differences between adjacent revisions, one check per difference that a scripted SDK server cannot show.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from conformance.raw.bench import Bench, Check, brief, handshake, must, text_of
from conformance.raw.newest import AUDIO, CHOICES
from conformance.raw.wire import Message, Session
from conformance.revisions import has


async def newer_blocks_arrive_in_older_shapes(bench: Bench) -> None:
    session = await bench.open()
    result = await session.call("rich")
    kinds = [block["type"] for block in result["content"]]
    texts = [block["text"] for block in result["content"] if block["type"] == "text"]
    known = {"text", "image", "resource"}
    known |= {"audio"} if has(bench.client, "audio") else set()
    known |= {"resource_link"} if has(bench.client, "resource links") else set()
    must(set(kinds) <= known, f"block types {kinds} for a client of {bench.client}")
    must(_audio_bytes(result) == AUDIO, f"the sound's bytes are lost: {brief(result)}")
    must("test://linked" in json.dumps(result["content"]), f"the link's URI is lost: {brief(result)}")
    if has(bench.client, "structured output"):
        must(result.get("structuredContent") == {"n": 1}, brief(result))
    else:
        must("structuredContent" not in result, brief(result))
        must([text for text in texts if text.startswith("{")] in (['{"n":1}'], ['{"n": 1}']), f"texts {texts}")


def _audio_bytes(result: Message) -> Any:
    for block in result["content"]:
        if block["type"] == "audio":
            return block["data"]
        if block["type"] == "resource" and "blob" in block["resource"]:
            return block["resource"]["blob"]
    return None


async def newer_members_are_left_out_of_results(bench: Bench) -> None:
    session = await bench.open()
    text = json.dumps(await session.call("rich"))
    for member, word in (("icons", "icons"), ("lastModified", "titles"), ("example.com/x", "item meta")):
        must(
            has(bench.client, word) or member not in text, f"{member} reached a client of {bench.client}: {text[:300]}"
        )


async def rejected_shapes_are_repaired(bench: Bench) -> None:
    session = await bench.open()
    result = await session.call("nulls")
    must("null" not in json.dumps(result).replace("null beside me", ""), f"nulls are left: {brief(result)}")
    (tool,) = [tool for tool in (await session.result("tools/list", {}))["tools"] if tool["name"] == "odd"]
    must(None not in tool.values(), f"nulls are left: {brief(tool)}")
    schema = tool["inputSchema"]
    must(schema.get("type") == "object", f"an inputSchema without type: {brief(tool)}")
    must(all(isinstance(each, dict) for each in schema["properties"].values()), f"boolean schemas: {brief(tool)}")


async def envelopes_are_clean(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.ask("tools/call", {"name": "stray_extras", "arguments": {}})
    (response,) = [message for message in answer.messages if "method" not in message]
    must(set(response) == {"jsonrpc", "id", "result"}, f"members {sorted(response)}")


async def a_required_visit_can_be_read(bench: Bench) -> None:
    session = await bench.open()
    answer = await session.ask("tools/call", {"name": "needs_visit", "arguments": {}})
    if has(bench.client, "url elicitation"):
        must(answer.code == -32042, brief(answer))
    else:
        (response,) = [message for message in answer.messages if "method" not in message]
        result = response.get("result", {})
        must(result.get("isError") is True, f"no error result: {brief(answer)}")
        must("https://example.com/visit" in text_of(result), f"the address is not told: {brief(answer)}")


async def unknown_notifications_are_kept_from_clients(bench: Bench) -> None:
    """What the client's revision does not know, and what the server's own does not define, goes nowhere."""
    session = await bench.open()
    answer = await session.ask("tools/call", {"name": "visited", "arguments": {}})
    methods = [message["method"] for message in answer.messages if "method" in message]
    known = has(bench.client, "url elicitation") and has(bench.server, "url elicitation")
    wanted = ["notifications/elicitation/complete"] if known else []
    must(methods == wanted, f"notifications {methods} at a client of {bench.client}")


async def _form(session: Session, fill: Callable[[Message], Message]) -> tuple[list[Message], Message]:
    """The schemas of the forms that came, and what the backend was answered."""
    forms: list[Message] = []

    async def respond(message: Message) -> None:
        if message.get("method") == "elicitation/create":
            schema = message["params"]["requestedSchema"]
            forms.append(schema)
            content = fill(schema["properties"])
            result = {"action": "accept", "content": content}
            await session.post({"jsonrpc": "2.0", "id": message["id"], "result": result})

    arguments = {"method": "elicitation/create", "params": CHOICES}
    answered = json.loads(text_of(await session.call("asks", arguments, on_message=respond)))
    return forms, answered


def _pick(properties: Message, *, some: bool) -> Message:
    """An honest user's answer: the first choice everywhere, of several ones the second (or none of them)."""
    content: Message = {}
    several = [name for name in properties if name.startswith("some.")]
    for name, schema in properties.items():
        if name in several:
            content[name] = some and several.index(name) == 1
        elif schema.get("type") == "array":
            content[name] = ["b"] if some else []
        else:
            content[name] = schema["enum"][0] if "enum" in schema else schema["oneOf"][0]["const"]
    return content


async def choices_reach_the_server_in_its_own_form(bench: Bench) -> None:
    session = await bench.open({"elicitation": {}})
    forms, answered = await _form(session, lambda properties: _pick(properties, some=True))
    if "error" in answered and not forms:
        must(answered["error"]["code"] == -32602, f"refused with {brief(answered)}")
        return
    must(len(forms) == 1, f"{len(forms)} forms came")
    for name, schema in forms[0]["properties"].items():
        if not has(bench.client, "elicitation enums"):
            must(schema["type"] in ("string", "boolean") and "oneOf" not in schema, f"{name}: {brief(schema)}")
    wanted = {"action": "accept", "content": {"one": "#F00", "some": ["b"]}}
    must(answered.get("result") == wanted, f"the server was answered {brief(answered)}")


async def a_choice_below_its_minimum_never_reaches_the_server(bench: Bench) -> None:
    session = await bench.open({"elicitation": {}})
    forms, answered = await _form(session, lambda properties: _pick(properties, some=False))
    if "error" in answered and not forms:
        return
    # Once or again: the older form cannot say how many choices there must be.
    must(len(forms) in (1, 2), f"{len(forms)} forms came")
    must(answered.get("result", {}).get("action") == "cancel", f"the server was answered {brief(answered)}")


def _elicits(client: str, server: str) -> bool:
    return has(client, "elicitation") and has(server, "elicitation enums")


def _rewritten(client: str, server: str) -> bool:
    return _elicits(client, server) and not has(client, "elicitation enums")


CHECKS: Final = (
    Check("newer blocks in a result", "projection.results", newer_blocks_arrive_in_older_shapes),
    Check("newer members in a result", "projection.results", newer_members_are_left_out_of_results),
    Check("shapes that strict clients reject", "repair.shapes", rejected_shapes_are_repaired),
    Check("members beside the envelope", "repair.envelope", envelopes_are_clean),
    Check("URL elicitation required", "errors.url-elicitation", a_required_visit_can_be_read, handshake),
    Check("newer notification", "nothing-stray", unknown_notifications_are_kept_from_clients, handshake),
    Check("choices of a form", "elicitation.enums-rewritten", choices_reach_the_server_in_its_own_form, _elicits),
    Check(
        "too few choices of a form",
        "elicitation.enums-rewritten",
        a_choice_below_its_minimum_never_reaches_the_server,
        _rewritten,
    ),
)
