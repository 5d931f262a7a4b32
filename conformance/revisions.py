"""What each stateful revision can say, as the matrix needs it: one table, read from the specification's
pages.

Kept apart from the broker's own tables on purpose: the matrix must not believe the code that it judges.
Invariant: a word appears in exactly the revisions whose schema or pages define it.
"""

from __future__ import annotations

from typing import Final

REVISIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

_SINCE: Final[dict[str, tuple[str, ...]]] = {
    "2024-11-05": ("tools", "resources", "prompts", "sampling", "roots", "logging", "completion", "progress"),
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
}
BATCHING: Final = ("2025-03-26",)
"""JSON-RPC batches came with 2025-03-26 and left with 2025-06-18."""


def vocabulary(revision: str) -> frozenset[str]:
    """Everything the revision can express."""
    if revision not in REVISIONS:
        raise ValueError(f"unknown revision {revision!r}; one of {', '.join(REVISIONS)}")
    words: set[str] = set()
    for each in REVISIONS[: REVISIONS.index(revision) + 1]:
        words.update(_SINCE[each])
    return frozenset(words)


def has(revision: str, word: str) -> bool:
    """Whether the revision knows the thing; a word of no revision is a mistake of ours."""
    if not any(word in words for words in _SINCE.values()):
        raise ValueError(f"no revision has {word!r}")
    return word in vocabulary(revision)


def oldest_with(word: str) -> str:
    """The oldest revision that knows the thing."""
    return next(revision for revision in REVISIONS if has(revision, word))
