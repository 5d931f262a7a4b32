"""The features every scripted client tries, in the order it tries them, and what a revision needs to have
each.

`word` is the member of `revisions` that the *server's* revision must have for the feature to exist at all;
`client_word` is what the *client's* revision must have for the application to be offered it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Feature:
    """One thing a client application does; `word` and `client_word` are entries of `revisions`."""

    name: str
    word: str = "tools"
    client_word: str = "tools"


FEATURES: Final = (
    Feature("initialize"),
    Feature("ping"),
    Feature("tools.list"),
    Feature("tools.call.text"),
    Feature("tools.call.image"),
    Feature("tools.call.audio", word="audio"),
    Feature("tools.call.embedded"),
    Feature("tools.call.mixed"),
    Feature("tools.call.error"),
    Feature("tools.call.structured"),
    Feature("tools.call.links"),
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
    Feature("logging.setLevel"),
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
    Feature("whoami"),
    Feature("stray"),
)
NAMES: Final = tuple(feature.name for feature in FEATURES)
REPORTED: Final = ("initialize", "stray")
"""Lines every client prints by itself; they cannot be asked for with `--features`."""


def named(name: str) -> Feature:
    """The feature of that name; KeyError for any other."""
    for feature in FEATURES:
        if feature.name == name:
            return feature
    raise KeyError(name)
