"""What a client that speaks 2026-07-28 alone must see: before servers of the handshake, and before its own revision.

Derived from the pages of 2026-07-28 (changelog, server/discover, basic/patterns/*, server/utilities/*) and of the
handshake revisions. Each entry gets both revisions and gives None where the expectation of session clients holds, which
asks of a revision only what it has. Before a server of the handshake, "direct" is what it shows a session client.
Invariant: no client of the handshake is ever judged by a row of this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from conformance import comparisons as see
from conformance import comparisons_asks as asks
from conformance import comparisons_face as face
from conformance import comparisons_modern as modern
from conformance import comparisons_stateless as stateless
from conformance import comparisons_tools as tools
from conformance.comparisons import Compare
from conformance.expectation import ABSENT, REWRITTEN, SAME, Expectation
from conformance.expectations_stateless import LEVEL
from conformance.revisions import has

Special = Callable[[str, str], Expectation | None]


def _across(word: str, across: Expectation, kept: Expectation | None = None) -> Special:
    """`across` before servers of the handshake that have the thing, `kept` (None: the common row) before others."""

    def expectation(_client: str, server: str) -> Expectation | None:
        if has(server, "input rounds"):
            return kept
        return across if has(server, word) else None

    return expectation


def _kept(rule: str, compare: Compare, how: str = "as direct") -> Special:
    """As direct before its own revision; older servers are left to the common table."""

    def expectation(_client: str, server: str) -> Expectation | None:
        return Expectation(SAME, rule, how, compare) if has(server, "input rounds") else None

    return expectation


def _discover(client: str, server: str) -> Expectation:
    if client == server:
        return Expectation(SAME, "discover", "as direct", face.initialized(client, server))
    how = f"what the server of {server} said in its handshake"
    return Expectation(REWRITTEN, "discover.from-handshake", how, face.initialized(client, server))


def _asked(word: str, compare: Compare, rule: str = "rounds.pushed", kept: Compare | None = None) -> Special:
    """Pushed questions: asked by an interim result, the answers as direct. `kept`: before servers of rounds."""
    across = Expectation(REWRITTEN, rule, "asked by an interim result, answers as direct", compare)
    return _across(word, across, Expectation(SAME, "rounds.kept", "as direct", kept or compare))


def _gone(word: str) -> Special:
    """What this revision no longer has: its SDKs have no call for it."""
    absent = Expectation(ABSENT, "removed.methods", f"the client's revision has no {word}", see.nothing_there)
    return _across(word, absent)


def _listened(word: str, compare: Compare) -> Special:
    return _across(word, Expectation(REWRITTEN, "listen.fed", "on its listen stream", compare))


def _missing(_client: str, server: str) -> Expectation | None:
    if not has(server, "resource-not-found code"):
        return None
    how = "-32602, as of its revision"
    return Expectation(REWRITTEN, "errors.missing-resource-renumbered", how, modern.missing_resource)


def _logging(_client: str, server: str) -> Expectation | None:
    if not has(server, "log level setting"):
        return None
    compare = see.equal("levels", "texts")
    return Expectation(REWRITTEN, "logging.level-from-requests", "of the level that the request names", compare)


SPECIAL: Final[dict[str, Special]] = {
    "initialize": _discover,
    "ping": _gone("ping"),
    "logging.setLevel": _gone("log level setting"),
    "tools.call.array": _kept("tools.structured", see.equal("structured", "texts")),
    "tools.call.mirrored": _kept("http.mirrored-arguments", see.equal("texts")),
    "logging.request_level": _kept("logging.level-on-requests", stateless.level(LEVEL), f"the request says {LEVEL}"),
    "tools.logging": _logging,
    "tools.cancel": _across(
        "tools", Expectation(REWRITTEN, "cancellation.told", "the dropped stream cancels", tools.cancelled)
    ),
    "resources.read.missing": _missing,
    "resources.subscribe": _listened("resources", asks.updated),
    "list_changed.tools": _listened("tools", asks.got),
    "list_changed.prompts": _listened("prompts", asks.got),
    "list_changed.resources": _listened("resources", asks.got),
    "sampling": _asked("sampling", asks.asked_as_direct),
    "sampling.tools": _asked("sampling tools", asks.asked_as_direct),
    "roots": _asked("roots", see.equal("texts")),
    "elicitation.form": _asked("elicitation", asks.asked_as_direct),
    "elicitation.defaults": _asked("elicitation defaults", asks.asked_as_direct),
    "elicitation.enums": _asked("elicitation enums", asks.asked_as_direct),
    "elicitation.url": _asked("url elicitation", modern.visit, "rounds.pushed-visit"),
    "inputs.three": _asked(
        "elicitation",
        # A new session's server is told the roots that the client gave within the last minute.
        stateless.inputs("form", "sample", "roots", spared="roots"),
        kept=stateless.inputs("form", "sample", "roots"),
    ),
    "inputs.rounds": _asked("elicitation", stateless.inputs("form", "form", "form")),
    "inputs.state_only": _kept("inputs.state-only", stateless.inputs(), "the answer alone"),
    "inputs.prompt": _asked("elicitation", stateless.inputs("form")),
    "inputs.resource": _asked("elicitation", stateless.inputs("form")),
    "inputs.decline": _asked("elicitation", stateless.answered("decline")),
    "inputs.cancel": _asked("elicitation", stateless.answered("cancel")),
    "stray": lambda _client, _server: Expectation(SAME, "nothing-stray", "as direct", modern.nothing_stray),
}
