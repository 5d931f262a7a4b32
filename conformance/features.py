"""The features every scripted client tries, in the order it tries them, and what a revision needs to have
each.

`word` is the member of `revisions` that the *server's* revision must have for the feature to exist at all;
`client_word` is what the *client's* revision must have for the application to be offered it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from conformance.revisions import has


@dataclass(frozen=True)
class Feature:
    """One thing a client application does; `word` and `client_word` are entries of `revisions`."""

    name: str
    word: str = "tools"
    client_word: str = "tools"


FEATURES: Final = (
    Feature("initialize"),
    Feature("ping", word="ping", client_word="ping"),
    Feature("tools.list"),
    Feature("tools.call.text"),
    Feature("tools.call.image"),
    Feature("tools.call.audio", word="audio"),
    Feature("tools.call.embedded"),
    Feature("tools.call.mixed"),
    Feature("tools.call.error"),
    Feature("tools.call.structured"),
    Feature("tools.call.links"),
    Feature("tools.call.array", word="array output"),
    Feature("tools.call.mirrored", word="mirrored headers"),
    Feature("tools.call.big"),
    Feature("tools.call.decorated"),
    Feature("tools.call.unknown"),
    Feature("tools.progress"),
    Feature("tools.logging"),
    Feature("tools.cancel"),
    Feature("resources.list"),
    Feature("resources.templates"),
    Feature("resources.read.text"),
    Feature("resources.read.binary"),
    Feature("resources.read.template"),
    Feature("resources.read.missing"),
    Feature("resources.subscribe"),
    Feature("prompts.list"),
    Feature("prompts.get.simple"),
    Feature("prompts.get.args"),
    Feature("prompts.get.embedded"),
    Feature("prompts.get.image"),
    Feature("prompts.get.missing"),
    Feature("completion"),
    Feature("logging.setLevel", word="log level setting", client_word="log level setting"),
    Feature("logging.request_level", word="request log level"),
    Feature("list_changed.tools"),
    Feature("list_changed.prompts"),
    Feature("list_changed.resources"),
    Feature("sampling"),
    Feature("sampling.tools", word="sampling tools", client_word="sampling tools"),
    Feature("roots"),
    Feature("elicitation.form", word="elicitation", client_word="elicitation"),
    Feature("elicitation.defaults", word="elicitation defaults", client_word="elicitation"),
    Feature("elicitation.enums", word="elicitation enums", client_word="elicitation"),
    Feature("elicitation.url", word="url elicitation", client_word="url elicitation"),
    Feature("inputs.three", word="elicitation"),
    Feature("inputs.rounds", word="elicitation"),
    Feature("inputs.state_only", word="input rounds"),
    Feature("inputs.prompt", word="elicitation"),
    Feature("inputs.resource", word="elicitation"),
    Feature("inputs.decline", word="elicitation"),
    Feature("inputs.cancel", word="elicitation"),
    Feature("whoami"),
    Feature("stray"),
)
NAMES: Final = tuple(feature.name for feature in FEATURES)
STATELESS_WORDS: Final = ("input rounds", "array output", "mirrored headers", "request log level")
"""Features of these words are tried only before servers that have them: older servers lack the tools as well."""
REPORTED: Final = ("initialize", "stray")
"""Lines every client prints by itself; they cannot be asked for with `--features`."""


def named(name: str) -> Feature:
    """The feature of that name; KeyError for any other."""
    for feature in FEATURES:
        if feature.name == name:
            return feature
    raise KeyError(name)


def of(server: str, wanted: tuple[str, ...] = NAMES) -> tuple[str, ...]:
    """The wanted features that are tried before a server of that revision, in their natural order."""
    return tuple(
        feature.name
        for feature in FEATURES
        if feature.name in wanted and (feature.word not in STATELESS_WORDS or has(server, feature.word))
    )
