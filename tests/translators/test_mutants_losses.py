"""What each Change gives up, as an operator is told: a table written by hand, held against what the pairs note."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.translators.golden import FILES, Case

REST = "*"
"""Every other path of the Change in that direction."""
RELATED, IMMEDIATE = (
    f"_meta.`io.modelcontextprotocol/{name}`" for name in ("related-task", "model-immediate-response")
)

LOSSES: dict[tuple[str, str], dict[str, str]] = {
    ("audio content", "down"): {REST: "carried"},  # as an embedded resource
    ("audio content", "up"): {REST: "none"},
    ("tool annotations", "down"): {REST: "cosmetic"},
    ("progress message", "down"): {REST: "cosmetic"},
    ("completions capability", "down"): {REST: "cosmetic"},
    ("completions capability", "up"): {REST: "none"},
    ("structured tool output", "down"): {"tools[].outputSchema": "cosmetic", REST: "carried"},  # as text
    ("elicitation", "down"): {REST: "cosmetic"},
    ("resource links", "down"): {REST: "degraded"},  # a text can be followed, but no longer told from others
    ("_meta on items", "down"): {REST: "degraded"},  # nobody knows what the vendor meant by it
    ("completion context", "down"): {REST: "degraded"},
    ("titles", "down"): {"tools[].annotations": "carried", REST: "cosmetic"},
    ("lastModified", "down"): {REST: "cosmetic"},
    ("annotations inside embedded resources", "down"): {REST: "carried"},
    ("icons", "down"): {REST: "cosmetic"},
    ("implementation description", "down"): {REST: "cosmetic"},
    ("enum variants", "down"): {
        "requestedSchema.properties.{}": "carried",  # titles beside their values
        "requestedSchema": "degraded",  # yes or no, several times
        "content": "none",
        "action": "degraded",  # the person chose, and is said to have cancelled
    },
    ("enum variants", "up"): {"content": "none", "action": "degraded"},
    ("default values in forms", "down"): {REST: "carried"},  # in words
    ("$schema and pattern in forms", "down"): {
        "requestedSchema.$schema": "cosmetic",
        "requestedSchema.properties.{}.pattern": "degraded",
    },
    ("elicitation modes", "down"): {
        "capabilities.elicitation": "cosmetic",
        "mode": "carried",  # forms are all there is
        "": "degraded",  # the end of a URL that was never asked
    },
    ("elicitation modes", "up"): {REST: "none"},
    ("URL elicitation required", "down"): {"": "degraded", "message": "carried"},
    ("tools in sampling", "down"): {"messages[]._meta": "degraded", REST: "cosmetic"},
    ("several blocks in a sampling message", "down"): {REST: "carried"},
    ("includeContext needs sampling.context", "up"): {REST: "degraded"},
    ("tasks", "down"): {
        "capabilities.tasks": "degraded",
        "execution": "degraded",  # a tool that needs a task cannot be called
        "tools[].execution": "cosmetic",  # one that merely can run as a task runs all the same
        "task": "degraded",
        RELATED: "cosmetic",
        IMMEDIATE: "cosmetic",
        "params _meta": "stashed",
        "result _meta": "none",  # what was stashed is back
        "": "degraded",  # a status
    },
    ("tasks", "up"): {"capabilities.tasks": "degraded", "task": "degraded", "result _meta": "none"},
    ("cancelled without a request", "down"): {REST: "degraded"},
    ("JSON Schema dialect", "up"): {REST: "carried"},
    ("metadata of every message", "down"): {
        "roots/list params _meta": "cosmetic",
        "params _meta": "stashed",  # the session was told
        REST: "cosmetic",
    },
    ("metadata of every message", "up"): {
        "roots/list params _meta": "cosmetic",
        "params _meta": "none",
        REST: "cosmetic",
    },
    ("handshake", "up"): {REST: "degraded"},
    ("listening to subscriptions", "down"): {REST: "degraded"},
    ("announcement of changed roots", "up"): {REST: "degraded"},
    ("progress of the client", "up"): {REST: "degraded"},
    ("cancellation of a request", "up"): {REST: "degraded"},
    ("tasks moved to an extension", "up"): {
        "task": "degraded",
        "execution": "degraded",
        "": "degraded",
        REST: "cosmetic",
    },
    ("questions in interim results", "up"): {"_meta.progressToken": "cosmetic", REST: "degraded"},
    ("answers that come with a retry", "down"): {REST: "degraded"},
    ("type of result", "up"): {REST: "none"},
    ("type of result", "down"): {REST: "none"},
    ("cache hints", "up"): {REST: "none"},
    ("cache hints", "down"): {REST: "cosmetic"},
    ("code of a missing resource", "up"): {REST: "none"},
    ("code of a missing resource", "down"): {REST: "none"},
    ("reserved error codes", "up"): {REST: "carried"},
    ("reserved error codes", "down"): {"": "degraded", REST: "carried"},
    ("any JSON schema and structured content", "down"): {REST: "carried"},  # wrapped, or as text
    ("output schemas that cannot be wrapped", "down"): {REST: "degraded"},
    ("headers from arguments", "up"): {REST: "cosmetic"},
    ("headers from arguments", "down"): {REST: "cosmetic"},
    ("ids of elicitations by URL", "up"): {REST: "stashed"},
    ("completion of elicitations by URL", "up"): {REST: "degraded"},
    ("ids of elicitations by URL", "down"): {REST: "none"},
    ("content is present", "hygiene"): {REST: "none"},
    ("structured content is an object", "hygiene"): {REST: "carried"},
    ("at most 100 completions", "hygiene"): {REST: "degraded"},
    ("one block answers a question without tools", "hygiene"): {REST: "none"},
    ("ttl of a task", "hygiene"): {REST: "none"},
    ("kinds of _meta values", "hygiene"): {REST: "cosmetic"},
    ("unknown kinds of content", "hygiene"): {REST: "degraded"},
    ("names of resource links", "hygiene"): {REST: "none"},
    ("standard base64", "hygiene"): {REST: "none"},
    ("object schemas", "hygiene"): {"tools[].inputSchema": "none", "tools[].outputSchema": "cosmetic"},
    ("whole sizes", "hygiene"): {REST: "cosmetic"},
    ("icon members", "hygiene"): {
        **{
            f"{place}.icons[].sizes": "none"
            for place in (
                "tools[]",
                "resources[]",
                "resourceTemplates[]",
                "prompts[]",
                "content[]",
                "messages[].content",
                "serverInfo",
                "clientInfo",
            )
        },
        "tools[].execution.taskSupport": "degraded",
        REST: "cosmetic",
    },
    ("priorities", "hygiene"): {REST: "cosmetic"},
    ("audiences", "hygiene"): {REST: "cosmetic"},
    ("dates with offset", "hygiene"): {REST: "carried"},  # UTC is a guess, the date is kept
    ("log levels", "hygiene"): {REST: "cosmetic"},
    ("empty results", "hygiene"): {REST: "cosmetic"},
    ("nulls of optional members", "hygiene"): {REST: "none"},
}


def _expected(case: Case, change: str, path: str) -> str:
    table = LOSSES[change, case.way]
    at_part = f"{case.slot.part} {path}"
    return table.get(f"{case.slot.method} {at_part}") or table.get(at_part) or table.get(path) or table[REST]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_pair_notes_the_loss_that_the_table_promises(path: Path) -> None:
    case = Case(path)
    case.run()
    noted = [(loss.change, loss.path, loss.loss.value) for loss in case.context.losses]
    assert noted == [(change, at, _expected(case, change, at)) for change, at, _loss in noted]


def test_the_table_promises_nothing_about_changes_that_do_not_exist() -> None:
    noted: set[tuple[str, str]] = set()
    for path in FILES:
        case = Case(path)
        case.run()
        noted |= {(loss.change, case.way) for loss in case.context.losses}
    assert set(LOSSES) == noted
