"""One call of a client, known to both peers by the number in its parameters, and its rounds as clients know them."""

from __future__ import annotations

from typing import Any

import msgspec

ELICIT, SAMPLE, ROOTS = "elicitation/create", "sampling/createMessage", "roots/list"
MARKED = ("tools/call", "prompts/get", "resources/read")


class Round(msgspec.Struct):
    """What a client was asked: `asked` is method and number of the server's question, by key (0: a page)."""

    state: str
    asked: dict[str, tuple[str, int]]
    answers: dict[str, Any] | None = None  # what was sent last and may count
    pages: bool = False


class Mark(msgspec.Struct):
    """One call. `sent` counts how often it reached the server, `pages` how often that was answered by pages alone."""

    number: int
    method: str
    rounds: list[Round] = []
    keys: set[str] = set()
    sent: int = 0
    pages: int = 0
    over: bool = False


def params_of(mark: Mark) -> dict[str, Any]:
    """The request's own parameters."""
    if mark.method == "resources/read":
        return {"uri": f"test://n{mark.number}"}
    return {"name": "plain", "arguments": {"n": str(mark.number)}}


def proof(number: int) -> str:
    """What an answer to the server's question of this number holds."""
    return f"proof-{number}."


def may_be_asked(declared: dict[str, Any], method: str, params: dict[str, Any]) -> bool:
    """True if the pages let a server ask this of a client that declared these capabilities."""
    if method == ROOTS:
        return "roots" in declared
    if method == SAMPLE:
        return "sampling" in declared and ("tools" not in params or "tools" in declared["sampling"])
    asked = declared.get("elicitation")
    if asked is None:
        return False
    return "url" in asked if params.get("mode") == "url" else asked == {} or "form" in asked
