"""Features of a server that asks by `input_required` (2026-07-28, page basic/patterns/mrtr), for every client.

A client of a handshake revision never sees that pattern: a broker turns it into asks during the call. So the same
features run on every release, and show each ask that reached the application, in order.
"""

from __future__ import annotations

import json
from typing import Any

from application import Application, dump
from features import Feature, WrongAnswerError, _text, result

ROUNDS = 3
PROMPT = "test_input_required_result_prompt"
RESOURCE = "test://asking-resource"
FORM = {"message": "Who are you?"}
# One that a header can hold, one that it cannot.
HEADER_VALUES = ("plain", " Zürich ")
# The argument's name at the Python and at the TypeScript server.
HEADER_ARGUMENTS = ("value", "region")


def asking(tool: str, arguments: dict[str, Any] | None = None, action: str = "accept") -> Feature:
    """A feature whose tool asks; `action` is the person's answer to every form. Shows the text and every ask."""

    async def run(app: Application) -> Any:
        app.action = action
        answer = result(await app.session.call_tool(tool, arguments or {}))
        seen = {"texts": answer["texts"], "asked": app.asks}
        if answer["isError"]:
            raise WrongAnswerError(" ".join(answer["texts"]), seen)
        return seen

    return run


async def prompt(app: Application) -> Any:
    """A prompt that asks before it answers."""
    messages = dump(await app.session.get_prompt(PROMPT))["messages"]
    return {"texts": [message["content"]["text"] for message in messages], "asked": app.asks}


async def resource(app: Application) -> Any:
    """A resource that asks before it is read."""
    contents = dump(await app.session.read_resource(app.uri(RESOURCE)))["contents"]
    return {"texts": [content["text"] for content in contents], "asked": app.asks}


async def mirrored(app: Application) -> Any:
    """An argument that travels in a header too; listed first, so that the SDK knows which one."""
    await app.session.list_tools()
    calls = [dict.fromkeys(HEADER_ARGUMENTS, value) for value in HEADER_VALUES]
    return {"texts": [await _text(app, "mirrored", arguments) for arguments in calls]}


async def array_output(app: Application) -> Any:
    """Structured content that is no object; listed first, so that the SDK checks it against its schema."""
    await app.session.list_tools()
    return result(await app.session.call_tool("array_output", {}))


async def request_level(app: Application) -> Any:
    """The log level that a request carries after logging/setLevel."""
    await app.session.set_logging_level("error")
    return {"logLevel": json.loads(await _text(app, "whoami")).get("logLevel")}


INPUT_FEATURES: dict[str, Feature] = {
    "tools.call.array": array_output,
    "tools.call.mirrored": mirrored,
    "logging.request_level": request_level,
    "inputs.three": asking("three_inputs"),
    "inputs.rounds": asking("rounds", {"n": ROUNDS}),
    "inputs.state_only": asking("state_only"),
    "inputs.prompt": prompt,
    "inputs.resource": resource,
    "inputs.decline": asking("test_elicitation", FORM, action="decline"),
    "inputs.cancel": asking("test_elicitation", FORM, action="cancel"),
}
