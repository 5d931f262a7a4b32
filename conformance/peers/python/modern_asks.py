"""The modern everything server's tools that ask the client: every name of the older servers and of the official
suite, each by an `input_required` result (`modern_call`).

The keys of the `test_input_required_result_*` tools are the suite's; `user_name` is the one it looks for.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import asks
import mcp.types as types
import sdk
from modern_call import Call, dump, form, question, roots, said, sample, visit
from tools import Entry, Run, entry

ROUNDS_MAX = 20  # twice what SDK clients go along with by themselves

_PROMPT = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}
_MESSAGE = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
_COUNT = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1, "maximum": ROUNDS_MAX}},
    "required": ["n"],
}


async def list_roots(call: Call) -> list[Any]:
    """Ask for the roots; answer the URIs as a JSON list."""
    answer = call.need({"client_roots": roots()})["client_roots"]
    return [sdk.text(json.dumps([str(root.uri) for root in answer.roots]))]


async def sampling(call: Call) -> list[Any]:
    """Ask for a sample of the given prompt."""
    request = sample(
        call.arguments["prompt"], maxTokens=asks.MAX_TOKENS, systemPrompt="You are a test.", temperature=0.5
    )
    return [sdk.text(f"LLM response: {said(call.need({'sample': request})['sample'])}")]


async def sampling_tools(call: Call) -> list[Any]:
    """Ask with a tool on offer, run the tool that was chosen, hand its result back; answers the last text."""
    weather = types.Tool(name="weather", description="Weather of a city", inputSchema=asks.CITY_TOOL)
    offer = {"maxTokens": asks.MAX_TOKENS, "tools": [weather], "toolChoice": types.ToolChoice(mode="auto")}
    prompt = sdk.text(call.arguments.get("prompt", "What is the weather in Paris?"))
    history = [types.SamplingMessage(role="user", content=prompt)]
    answer = call.need({"first": sample(history, **offer)})["first"]
    content = answer.content if isinstance(answer.content, list) else [answer.content]
    uses = [block for block in content if block.type == "tool_use"]
    if uses:
        results = [
            types.ToolResultContent(
                type="tool_result", toolUseId=use.id, content=[sdk.text(f"sunny in {use.input.get('city')}")]
            )
            for use in uses
        ]
        history.append(types.SamplingMessage(role="assistant", content=content))
        history.append(types.SamplingMessage(role="user", content=results))
        answer = call.need({"second": sample(history, **offer)})["second"]
    return [sdk.text(f"LLM response: {said(answer)} (tools used: {len(uses)})")]


def elicitation(schema: dict[str, Any], text: str) -> Run:
    """A tool body that asks for a form; answers the action and the content."""

    async def run(call: Call) -> list[Any]:
        answer = call.need({"form": form(call.arguments.get("message", text), schema)})["form"]
        content = json.dumps(dump(answer).get("content", {}))
        return [sdk.text(f"Elicitation completed: action={answer.action}, content={content}")]

    return run


async def url_elicitation(call: Call) -> list[Any]:
    """Send the person to a page; answers the action."""
    page = visit("Please visit this page", f"https://example.com/visit/{uuid4().hex}")
    return [sdk.text(call.need({"visit": page})["visit"].action)]


async def streaming_elicitation(call: Call) -> list[Any]:
    """Report progress in the call's stream, then ask for a form in the result that ends it."""
    await call.ctx.session.report_progress(0, 1, "about to ask")
    answer = call.need({"name": question("What is your name?", "name")})["name"]
    return [sdk.text(f"Elicitation completed: action={answer.action}")]


async def missing_capability(call: Call) -> list[Any]:
    """Refuse a request that declares no sampling."""
    call.require([sample("Hello", maxTokens=1)])
    return [sdk.text("The request declared sampling")]


def asking(key: str, request: Any, *, state: bool = False, done: str = "") -> Run:
    """A tool body that asks one thing; answers `done`, or the answer as JSON."""

    async def run(call: Call) -> list[Any]:
        answer = call.need({key: request}, state=state)[key]
        return [sdk.text(done or json.dumps(dump(answer)))]

    return run


async def hello(call: Call) -> list[Any]:
    """Ask for a name and greet it."""
    answer = call.need({"user_name": question("What is your name?", "name")})["user_name"]
    return [sdk.text(f"Hello, {(answer.content or {}).get('name', 'nobody')}!")]


async def three_inputs(call: Call) -> list[Any]:
    """Ask for a form, a sample and the roots at once; answers all three in one line."""
    wanted = {
        "user_name": question("What is your name?", "name"),
        "greeting": sample("Generate a greeting", maxTokens=50),
        "client_roots": roots(),
    }
    answers = call.need(wanted, state=True)
    name = json.dumps(dump(answers["user_name"]).get("content", {}))
    uris = json.dumps([str(root.uri) for root in answers["client_roots"].roots])
    return [sdk.text(f"name={name}; greeting={said(answers['greeting'])}; roots={uris}")]


async def two_steps(call: Call) -> list[Any]:
    """Ask for a name, then for a colour."""
    name = call.need({"step1": question("Step 1: What is your name?", "name")}, state=True)["step1"]
    color = call.need({"step2": question("Step 2: What is your favorite color?", "color")}, state=True)["step2"]
    return [sdk.text(json.dumps([dump(name).get("content", {}), dump(color).get("content", {})]))]


async def rounds(call: Call) -> list[Any]:
    """Ask n times, one after the other; answers the values as a JSON list."""
    count = min(int(call.arguments["n"]), ROUNDS_MAX)
    given = []
    for number in range(1, count + 1):
        key = f"round{number}"
        answer = call.need({key: question(f"Round {number} of {count}", "value")})[key]
        given.append((answer.content or {}).get("value"))
    return [sdk.text(json.dumps(given))]


async def state_only(call: Call) -> list[Any]:
    """Ask for nothing but a retry, once."""
    call.pause()
    return [sdk.text("state-only-ok")]


async def capabilities(call: Call) -> list[Any]:
    """Ask for all that the request's capabilities allow, and for nothing else."""
    all_asks = {
        "user_name": question("What is your name?", "name"),
        "greeting": sample("Generate a greeting", maxTokens=50),
        "client_roots": roots(),
    }
    allowed = {key: request for key, request in all_asks.items() if call.declares(request)}
    answers = call.need(allowed) if allowed else {}
    return [sdk.text(json.dumps(sorted(answers)))]


def table() -> dict[str, Entry]:
    """These tools by name."""
    confirm = question("Please confirm", "ok", "boolean")
    capital = sample("What is the capital of France?", maxTokens=asks.MAX_TOKENS)
    person = elicitation(asks.PERSON, "Please provide your information")
    defaults = elicitation(asks.DEFAULTS, "Please review the form with its defaults")
    suite = "test_input_required_result_"
    entries = [
        entry("roots", "Asks for the roots", list_roots),
        entry("test_sampling", "Asks for a sample", sampling, _PROMPT),
        entry("sampling_tools", "Asks for a sample with tools", sampling_tools),
        entry("test_elicitation", "Asks for a form", person, _MESSAGE),
        entry("test_elicitation_sep1034_defaults", "Asks for a form with defaults", defaults),
        entry("test_elicitation_sep1330_enums", "Asks for a form of choices", elicitation(asks.ENUMS, "Please choose")),
        entry("url_elicitation", "Asks to visit a page", url_elicitation),
        entry("three_inputs", "Asks for a form, a sample and the roots at once", three_inputs),
        entry("rounds", "Asks as often as it is told, one ask after the other", rounds, _COUNT),
        entry("state_only", "Asks for a retry and nothing else", state_only),
        entry("test_missing_capability", "Needs the sampling capability", missing_capability),
        entry("test_streaming_elicitation", "Asks for a form after some progress", streaming_elicitation),
        entry(f"{suite}elicitation", "Asks for a name", hello),
        entry(f"{suite}sampling", "Asks for a sample", asking("capital_question", capital)),
        entry(f"{suite}list_roots", "Asks for the roots", list_roots),
        entry(f"{suite}request_state", "Asks with a state", asking("confirm", confirm, state=True, done="state-ok")),
        entry(f"{suite}multiple_inputs", "Asks for three things at once", three_inputs),
        entry(f"{suite}multi_round", "Asks for two things in turn", two_steps),
        entry(f"{suite}tampered_state", "Asks with a sealed state", asking("confirm", confirm, state=True)),
        entry(f"{suite}capabilities", "Asks for what the client can answer", capabilities),
    ]
    return {item.declaration.name: item for item in entries}
