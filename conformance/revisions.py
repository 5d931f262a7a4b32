"""What each revision can say, as the matrix needs it: one table, read from the specification's pages.

Kept apart from the broker's own tables on purpose: the matrix must not believe the code that it judges.
Invariant: a word appears in exactly the revisions whose schema or pages define it.
"""

from __future__ import annotations

from typing import Final

REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""The revisions of the handshake, oldest first: those that a session client can have."""
STATELESS: Final = "2026-07-28"
"""No handshake, no session: a server of this revision alone refuses every session client, and a client of this revision
alone never opens one."""
SERVERS: Final = (*REVISIONS, STATELESS)
"""What a server behind the broker can be pinned to."""
CLIENTS: Final = SERVERS
"""What a client in front of the broker can be pinned to."""

_SINCE: Final[dict[str, tuple[str, ...]]] = {
    "2024-11-05": (
        "tools",
        "resources",
        "prompts",
        "sampling",
        "roots",
        "roots list changes",
        "logging",
        "completion",
        "progress",
        "ping",
        "log level setting",
        "resource-not-found code",
    ),
    # changelog 2025-03-26: major 1-4, minor 1-3
    "2025-03-26": ("audio", "tool annotations", "completions capability", "progress message", "sessions"),
    # changelog 2025-06-18: major 1-8, schema changes
    "2025-06-18": (
        "structured output",
        "resource links",
        "elicitation",
        "titles",
        "item meta",
        "version header",
        "completion context",
    ),
    # changelog 2025-11-25: major 1-9, minor
    "2025-11-25": (
        "icons",
        "url elicitation",
        "elicitation defaults",
        "elicitation enums",
        "sampling tools",
        "execution",
        "tasks",
        "priming",
    ),
    # changelog 2026-07-28: major, minor
    "2026-07-28": ("input rounds", "array output", "mirrored headers", "request log level"),
}
_UNTIL: Final[dict[str, tuple[str, ...]]] = {
    # changelog 2026-07-28: removed, or moved into an extension
    "2025-11-25": (
        "ping",
        "log level setting",
        "roots list changes",
        "sessions",
        "priming",
        "execution",
        "tasks",
        "resource-not-found code",
    ),
}
"""What a revision was the last to have."""
BATCHING: Final = ("2025-03-26",)
"""JSON-RPC batches came with 2025-03-26 and left with 2025-06-18."""


def vocabulary(revision: str) -> frozenset[str]:
    """Everything the revision can express."""
    if revision not in SERVERS:
        raise ValueError(f"unknown revision {revision!r}; one of {', '.join(SERVERS)}")
    words: set[str] = set()
    for each in SERVERS[: SERVERS.index(revision) + 1]:
        words.update(_SINCE[each])
    for last in SERVERS[: SERVERS.index(revision)]:
        words.difference_update(_UNTIL.get(last, ()))
    return frozenset(words)


def has(revision: str, word: str) -> bool:
    """Whether the revision knows the thing; a word of no revision is a mistake of ours."""
    if not any(word in words for words in _SINCE.values()):
        raise ValueError(f"no revision has {word!r}")
    return word in vocabulary(revision)


def oldest_with(word: str) -> str:
    """The oldest revision that knows the thing."""
    return next(revision for revision in SERVERS if has(revision, word))
