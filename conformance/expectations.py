"""What a client application must see of each feature, for every pair of revisions.

Derived from the specification's pages (the differences between adjacent revisions), never from the broker's
tables. Each expectation names its outcome, the requirement it stands for (a row of `requirements.yaml`) and
the comparison that decides it. "Direct" is what the same server shows a client of its own revision and SDK,
without a broker.
Invariant: every (feature, client revision, server revision) has exactly one expectation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from conformance import comparisons as see
from conformance import comparisons_asks as asks
from conformance import comparisons_face as face
from conformance import comparisons_stateless as stateless
from conformance import comparisons_tools as tools
from conformance.comparisons import Compare
from conformance.expectation import ABSENT, OUTCOMES, REFUSED, REWRITTEN, SAME, Expectation
from conformance.expectations_modern import SPECIAL as MODERN
from conformance.expectations_stateless import SPECIAL as STATELESS
from conformance.features import named
from conformance.revisions import has

__all__ = ["ABSENT", "OUTCOMES", "REFUSED", "REWRITTEN", "SAME", "Expectation", "expect", "negotiated"]


def expect(feature: str, client: str, server: str) -> Expectation:
    """The expectation of a feature for a client and a server revision; KeyError for an unknown feature."""
    subject = named(feature)
    for table in (MODERN if has(client, "input rounds") else STATELESS, _SPECIAL):
        special = table.get(feature)
        if special is not None and (found := special(client, server)) is not None:
            return found
    if not has(server, subject.word):
        return Expectation(
            ABSENT,
            "absent.server-revision",
            f"the server's revision has no {subject.word}",
            see.nothing_there,
        )
    return _PLAIN[feature]


def _same(rule: str, compare: Compare, how: str = "as direct") -> Expectation:
    return Expectation(SAME, rule, how, compare)


_PLAIN: Final[dict[str, Expectation]] = {
    "ping": _same("ping", see.ok),
    "tools.call.text": _same("tools.content", tools.blocks("text")),
    "tools.call.image": _same("tools.content", tools.blocks("image")),
    "tools.call.audio": _same("content.audio", tools.blocks("audio")),
    "tools.call.embedded": _same("tools.content", tools.blocks("resource")),
    "tools.call.mixed": _same("tools.content", tools.blocks("text", "image", "resource")),
    "tools.call.error": _same("tools.error", tools.error_result),
    "tools.call.big": _same("tools.content", see.equal("length", "sha256")),
    "tools.call.decorated": _same("tools.content", tools.blocks("text")),
    "tools.call.unknown": _same("errors.codes", see.refused_as_direct),
    "tools.progress": _same("progress", tools.progress),
    "tools.logging": _same("logging", see.equal("levels", "texts")),
    "tools.cancel": _same("cancellation", tools.cancelled),
    "resources.list": _same("resources", see.as_direct),
    "resources.templates": _same("resources", see.as_direct),
    "resources.read.text": _same("resources", see.as_direct),
    "resources.read.binary": _same("resources", see.as_direct),
    "resources.read.template": _same("resources", see.as_direct),
    "resources.read.missing": _same("errors.codes", see.refused_as_direct),
    "resources.subscribe": _same("resources.subscribe", asks.updated),
    "prompts.list": _same("prompts", see.as_direct),
    "prompts.get.simple": _same("prompts", see.as_direct),
    "prompts.get.args": _same("prompts", see.as_direct),
    "prompts.get.embedded": _same("prompts", see.as_direct),
    "prompts.get.image": _same("prompts", see.as_direct),
    "prompts.get.missing": _same("errors.codes", see.refused_as_direct),
    "completion": _same("completion", see.equal("values")),
    "logging.setLevel": _same("logging.set-level", see.ok),
    "list_changed.tools": _same("list-changed", asks.got),
    "list_changed.prompts": _same("list-changed", asks.got),
    "list_changed.resources": _same("list-changed", asks.got),
    "sampling": _same("sampling", asks.asked_as_direct),
    "sampling.tools": _same("sampling.tools", asks.asked_as_direct),
    "roots": _same("roots", see.equal("texts")),
    "elicitation.form": _same("elicitation.form", asks.asked_as_direct),
    "elicitation.defaults": _same("elicitation.defaults", asks.asked_as_direct),
    "elicitation.enums": _same("elicitation.enums", asks.asked_as_direct),
    "elicitation.url": _same("elicitation.url", see.equal("texts")),
    "inputs.three": _same("elicitation.form", stateless.inputs("form", "sample", "roots")),
    "inputs.rounds": _same("elicitation.form", stateless.inputs("form", "form", "form")),
    "inputs.prompt": _same("elicitation.form", stateless.inputs("form")),
    "inputs.resource": _same("elicitation.form", stateless.inputs("form")),
    "inputs.decline": _same("elicitation.form", stateless.answered("decline")),
    "inputs.cancel": _same("elicitation.form", stateless.answered("cancel")),
    "stray": _same("nothing-stray", asks.nothing_stray),
}


def _initialize(client: str, server: str) -> Expectation:
    outcome = SAME if client == server else REWRITTEN
    return Expectation(outcome, "initialize.client-face", f"protocolVersion {client}", face.initialized(client, server))


def _whoami(client: str, server: str) -> Expectation:
    outcome = SAME if client == server else REWRITTEN
    return Expectation(outcome, "initialize.server-face", f"the server saw {server}", face.introduced(client, server))


def negotiated(client: str, server: str) -> Expectation:
    """What `whoami` shows when the broker was not told the server's revision and had to negotiate it."""
    how = "the server was offered the client's revision or its own"
    return Expectation(SAME, "initialize.negotiation", how, face.negotiated(client, server))


def _tools_list(client: str, server: str) -> Expectation:
    if client == server:
        return Expectation(SAME, "tools.list", "as direct", tools.tools(client, server))
    how = f"members of {client}; a title stays visible where the revision has a place for it"
    return Expectation(REWRITTEN, "tools.list-projected", how, tools.tools(client, server))


def _audio(client: str, server: str) -> Expectation | None:
    if has(server, "audio") and not has(client, "audio"):
        return Expectation(
            REWRITTEN, "content.audio-as-resource", "an embedded blob resource", tools.blocks("resource")
        )
    return None


def _structured(client: str, server: str) -> Expectation:
    if not has(server, "structured output"):
        return _same("tools.content", tools.structured(shown=False), "only text, as direct")
    if has(client, "structured output"):
        return _same("tools.structured", tools.structured(shown=True))
    return Expectation(REWRITTEN, "tools.structured-as-text", "its JSON in a text block", tools.structured(shown=False))


def _links(client: str, server: str) -> Expectation:
    if not has(server, "resource links"):
        return _same("tools.content", tools.blocks("text"), "only text, as direct")
    if has(client, "resource links"):
        return _same("content.links", tools.blocks("text", "resource_link"))
    return Expectation(REWRITTEN, "content.links-as-text", "a text naming the URI", tools.link_as_text)


def _progress(client: str, server: str) -> Expectation | None:
    if has(server, "progress message") and not has(client, "progress message"):
        return Expectation(REWRITTEN, "progress.message-dropped", "no message", tools.progress_bare)
    return None


def _completion(client: str, server: str) -> Expectation | None:
    if has(client, "completions capability") and not has(server, "completions capability"):
        return Expectation(
            REWRITTEN, "completion.declared-for-server", "declared for the server", asks.completion_found
        )
    return None


def _sampling_tools(client: str, server: str) -> Expectation | None:
    return _refused_ask("sampling tools", "sampling.tools-refused", client, server)


def _elicitation(word: str) -> Callable[[str, str], Expectation | None]:
    def expectation(client: str, server: str) -> Expectation | None:
        if word == "url elicitation":
            return _refused_ask(word, "elicitation.url-refused", client, server)
        refused = _refused_ask("elicitation", "elicitation.refused", client, server)
        if refused is not None or not has(server, word) or has(client, word):
            return refused if has(server, word) else None
        if word == "elicitation defaults":
            return Expectation(
                REWRITTEN, "elicitation.defaults-dropped", "only boolean defaults", asks.defaults_dropped
            )
        return Expectation(
            REWRITTEN,
            "elicitation.enums-rewritten",
            "enum forms of the client's revision",
            asks.enums_rewritten,
        )

    return expectation


def _form_within(client: str, server: str) -> Expectation | None:
    """Forms among other questions, or outside of tools."""
    refused = _refused_ask("elicitation", "elicitation.refused", client, server)
    return refused and Expectation(REFUSED, refused.rule, refused.how, asks.form_refused)


def _refused_ask(word: str, rule: str, client: str, server: str) -> Expectation | None:
    if has(server, word) and not has(client, word):
        return Expectation(REFUSED, rule, f"the client's revision has no {word}", asks.ask_refused)
    return None


_SPECIAL: Final[dict[str, Callable[[str, str], Expectation | None]]] = {
    "initialize": _initialize,
    "whoami": _whoami,
    "tools.list": _tools_list,
    "tools.call.audio": _audio,
    "tools.call.structured": _structured,
    "tools.call.links": _links,
    "tools.progress": _progress,
    "completion": _completion,
    "sampling.tools": _sampling_tools,
    "elicitation.form": _elicitation("elicitation"),
    "elicitation.defaults": _elicitation("elicitation defaults"),
    "elicitation.enums": _elicitation("elicitation enums"),
    "elicitation.url": _elicitation("url elicitation"),
    "inputs.three": _form_within,
    "inputs.rounds": _form_within,
    "inputs.prompt": _form_within,
    "inputs.resource": _form_within,
    "inputs.decline": _form_within,
    "inputs.cancel": _form_within,
}
