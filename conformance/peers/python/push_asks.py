"""The everything server's tools for whatever a client of 2026-07-28 is asked by an interim result: here each asks by
requests of the server's own (`questions`), at once, in turn, or as far as the client declared that it can answer.

The names are those of the modern server (`modern_asks`) and of the official suite; the keys are the modern server's.
"""

from __future__ import annotations

import json
from typing import Any

import mcp.types as types
import questions
import sdk
from asks import MAX_TOKENS
from questions import ask, field, filled, roots, said, sample
from tools import Entry, Run, entry, logging

ROUNDS_MAX = 20  # twice what SDK clients go along with by themselves
ASKING_PROMPT = "test_input_required_result_prompt"
ASKING_RESOURCE = "test://asking-resource"  # not listed, so that the list is the modern server's
_SUITE = "test_input_required_result_"
_COUNT = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1, "maximum": ROUNDS_MAX}},
    "required": ["n"],
}


def _name() -> Any:
    return field("What is your name?", "name")


async def hello(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Ask for a name and greet it."""
    answer = (await ask(server, {"user_name": _name()}))["user_name"]
    return [sdk.text(f"Hello, {filled(answer).get('name', 'nobody')}!")]


async def capital(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Ask for a sample."""
    question = sample("What is the capital of France?", MAX_TOKENS)
    return [sdk.text(f"LLM response: {said((await ask(server, {'capital_question': question}))['capital_question'])}")]


async def list_roots(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Ask for the roots; answers the URIs as a JSON list."""
    return [sdk.text(_uris((await ask(server, {"client_roots": roots()}))["client_roots"]))]


def confirm(done: str) -> Run:
    """A tool body that asks for a confirmation; answers `done` and the action."""

    async def run(server: Any, _arguments: dict[str, Any]) -> list[Any]:
        answer = (await ask(server, {"confirm": field("Please confirm", "ok", "boolean")}))["confirm"]
        return [sdk.text(f"{done}: action={answer.action}")]

    return run


async def three_inputs(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Ask for a form, a sample and the roots at once; answers all three in one line."""
    wanted = {"user_name": _name(), "greeting": sample("Generate a greeting", 50), "client_roots": roots()}
    answers = await ask(server, wanted)
    name = json.dumps(filled(answers["user_name"]))
    text = f"name={name}; greeting={said(answers['greeting'])}; roots={_uris(answers['client_roots'])}"
    return [sdk.text(text)]


async def two_steps(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Ask for a name, then for a colour."""
    step1 = (await ask(server, {"step1": field("Step 1: What is your name?", "name")}))["step1"]
    step2 = (await ask(server, {"step2": field("Step 2: What is your favorite color?", "color")}))["step2"]
    return [sdk.text(json.dumps([filled(step1), filled(step2)]))]


async def rounds(server: Any, arguments: dict[str, Any]) -> list[Any]:
    """Ask n times, one after the other; answers the values as a JSON list."""
    count = min(int(arguments["n"]), ROUNDS_MAX)
    given = []
    for number in range(1, count + 1):
        key = f"round{number}"
        given.append(filled((await ask(server, {key: field(f"Round {number} of {count}", "value")}))[key]).get("value"))
    return [sdk.text(json.dumps(given))]


async def capabilities(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Ask for all that the client's capabilities allow, and for nothing else; answers the keys."""
    all_asks = {"sampling": ("greeting", sample("Generate a greeting", 50)), "roots": ("client_roots", roots())}
    if questions.can_ask_forms():
        all_asks["elicitation"] = ("user_name", _name())
    allowed = dict(each for capability, each in all_asks.items() if questions.declared(server, capability))
    return [sdk.text(json.dumps(sorted(await ask(server, allowed) if allowed else ())))]


async def missing_capability(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Ask for a sample, whatever the client declared."""
    return [sdk.text(f"LLM response: {said((await ask(server, {'hello': sample('Hello', 1)}))['hello'])}")]


async def streaming_elicitation(server: Any, _arguments: dict[str, Any]) -> list[Any]:
    """Report progress in the call's stream, then ask for a form."""
    ctx = server.request_context
    token = ctx.meta.progressToken if ctx.meta else None
    if token is not None:
        await ctx.session.send_progress_notification(token, 0, 1, related_request_id=ctx.request_id)
    answer = (await ask(server, {"name": _name()}))["name"]
    return [sdk.text(f"Elicitation completed: action={answer.action}")]


async def context(server: Any, whose: str) -> str:
    """What a prompt or a resource asks for before it is given: its context, in one line."""
    question = field(f"What context should the {whose} use?", "context")
    answer = (await ask(server, {"user_context": question}))["user_context"]
    return f"Context: {filled(answer).get('context')}"


def prompts() -> list[Any]:
    """The prompt that asks, where the release has forms."""
    if not questions.can_ask_forms():
        return []
    about = "A prompt that asks for its context"
    return [sdk.make(types.Prompt, name=ASKING_PROMPT, title="Asking prompt", description=about)]


def _uris(answer: Any) -> str:
    return json.dumps([str(root.uri) for root in answer.roots])


def table(changes: Any) -> dict[str, Entry]:
    """These tools by name, as far as the release goes; `changes` makes the body that announces a changed list."""
    entries = [
        entry("test_missing_capability", "Asks for a sample, declared or not", missing_capability),
        entry("test_logging_tool", "Logs three messages", logging),
        entry("test_trigger_tool_change", "Says that the tools changed", changes("tool")),
        entry("test_trigger_prompt_change", "Says that the prompts changed", changes("prompt")),
        entry(f"{_SUITE}sampling", "Asks for a sample", capital),
        entry(f"{_SUITE}list_roots", "Asks for the roots", list_roots),
        entry(f"{_SUITE}capabilities", "Asks for what the client can answer", capabilities),
    ]
    if questions.can_ask_forms():
        entries += [
            entry("three_inputs", "Asks for a form, a sample and the roots at once", three_inputs),
            entry("rounds", "Asks as often as it is told, one ask after the other", rounds, _COUNT),
            entry("test_streaming_elicitation", "Asks for a form after some progress", streaming_elicitation),
            entry(f"{_SUITE}elicitation", "Asks for a name", hello),
            entry(f"{_SUITE}request_state", "Asks for a confirmation", confirm("state-ok")),
            entry(f"{_SUITE}multiple_inputs", "Asks for three things at once", three_inputs),
            entry(f"{_SUITE}multi_round", "Asks for two things in turn", two_steps),
            entry(f"{_SUITE}tampered_state", "Asks for a confirmation", confirm("confirmed")),
        ]
    return {item.declaration.name: item for item in entries}
