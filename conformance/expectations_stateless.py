"""What a session client must see of a server that speaks 2026-07-28 alone: the rows that differ from the older ones.

Derived from the pages of 2026-07-28 (changelog, basic/versioning, basic/patterns/mrtr, server/*) and of 2025-11-25.
Each entry gets both revisions and gives None where the older servers' expectation holds.
Invariant: a server that has the handshake is never judged by a row of this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from conformance import comparisons as see
from conformance import comparisons_asks as asks
from conformance import comparisons_stateless as stateless
from conformance.comparisons import Compare
from conformance.expectation import REFUSED, REWRITTEN, SAME, Expectation
from conformance.revisions import has

Special = Callable[[str, str], Expectation | None]
LEVEL: Final = "error"
"""What the scripted clients set before they look at the level of a request."""


def _instead(word: str, rule: str, how: str, compare: Compare) -> Special:
    """Before servers without the thing the broker answers in their place."""

    def expectation(_client: str, server: str) -> Expectation | None:
        return None if has(server, word) else Expectation(REWRITTEN, rule, how, compare)

    return expectation


def _inputs(compare: Compare, *, call: bool = True) -> Special:
    """Asks of a form within a call, a prompt or a resource (`call` False)."""
    refused = asks.ask_refused if call else stateless.refused_in_its_own_way

    def expectation(client: str, server: str) -> Expectation | None:
        if not has(server, "input rounds"):
            return None
        if has(client, "elicitation"):
            return Expectation(REWRITTEN, "inputs.asked", "asked during the call, answers as direct", compare)
        rule = "inputs.refused" if call else "inputs.refused-outside-calls"
        return Expectation(REFUSED, rule, "the client's revision has no elicitation", refused)

    return expectation


def _state_only(_client: str, server: str) -> Expectation | None:
    if not has(server, "input rounds"):
        return None
    return Expectation(SAME, "inputs.state-only", "the answer alone", stateless.inputs())


def _array(client: str, server: str) -> Expectation | None:
    if not has(server, "array output"):
        return None
    if has(client, "structured output"):
        return Expectation(REWRITTEN, "tools.array-wrapped", "the list under `result`", stateless.wrapped_array)
    return Expectation(REWRITTEN, "tools.structured-as-text", "its JSON in a text block", stateless.array_as_text)


def _missing(_client: str, server: str) -> Expectation | None:
    if has(server, "resource-not-found code"):
        return None
    return Expectation(REWRITTEN, "errors.missing-resource", "-32002, as of the handshake", stateless.missing_resource)


def _visit(client: str, server: str) -> Expectation | None:
    if not has(server, "input rounds") or not has(client, "url elicitation"):
        return None
    return Expectation(REWRITTEN, "elicitation.url-id", "the page, under an id of the broker's", stateless.visit)


def _mirrored(_client: str, server: str) -> Expectation | None:
    if not has(server, "mirrored headers"):
        return None
    return Expectation(SAME, "http.mirrored-arguments", "the server found argument and header", see.equal("texts"))


def _level(_client: str, server: str) -> Expectation | None:
    if not has(server, "request log level"):
        return None
    how = f"the request says {LEVEL}"
    return Expectation(REWRITTEN, "logging.level-on-requests", how, stateless.level(LEVEL))


SPECIAL: Final[dict[str, Special]] = {
    "ping": _instead("ping", "ping.answered-by-broker", "answered by the broker", see.ok),
    "logging.setLevel": _instead("log level setting", "logging.level-kept", "kept by the broker", see.ok),
    "logging.request_level": _level,
    "tools.call.array": _array,
    "tools.call.mirrored": _mirrored,
    "resources.read.missing": _missing,
    "elicitation.url": _visit,
    "inputs.three": _inputs(stateless.inputs("form", "sample", "roots")),
    "inputs.rounds": _inputs(stateless.inputs("form", "form", "form")),
    "inputs.state_only": _state_only,
    "inputs.prompt": _inputs(stateless.inputs("form"), call=False),
    "inputs.resource": _inputs(stateless.inputs("form"), call=False),
    "inputs.decline": _inputs(stateless.answered("decline")),
    "inputs.cancel": _inputs(stateless.answered("cancel")),
}
