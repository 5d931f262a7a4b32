"""One `subscriptions/listen` in place of the GET stream and of subscribe and unsubscribe.

Follows 2026-07-28 basic/patterns/subscriptions. The stream is replaced, never edited: a new one with the whole filter
is opened, and the old one is closed when the new one is acknowledged, so that nothing falls between them. After any
gap the client is told of every change it may have missed, because a stateless server replays nothing.

    state      what happens                                   next
    off        nobody listens                                 a reason to -> opening
    opening    the request is sent                            acknowledged -> on, refused -> off
    on         notifications come                             ended or lost -> waiting, filter changed -> opening
    waiting    a growing pause                                timer -> opening
"""

from __future__ import annotations

from typing import Any

import msgspec

from translators import tree
from translators.tree import Body

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
"""Bounds of the pause before a lost stream is opened again; doubled each time."""

GATHER_S = 0.05
"""Subscriptions that come within this time share one new stream."""

MAX_URIS = 1_024
"""Resources one session may follow; TypeScript servers accept as many."""

FLAGS = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}


class Listening(msgspec.Struct):
    """The state of one session's stream."""

    wanted: bool = False
    refused: bool = False
    uris: dict[str, None] = {}
    pending: dict[int, str] = {}  # subscribe calls that wait for the acknowledgement, by call
    leg: int = 0  # the stream that is acknowledged
    opening: int = 0  # the stream that is not yet
    asked: Body = {}  # the filter of the stream that was opened last
    agreed: Body = {}  # the filter of the stream that is acknowledged
    gathering: bool = False
    resting: bool = False  # a pause before the next attempt is running
    honoured: Body = {}
    failures: int = 0
    gap: bool = False  # something may have been missed since the last acknowledgement

    def filter(self, capabilities: dict[str, Any]) -> Body:
        """The whole filter: every list the server says it announces, every resource the client follows."""
        found: Body = {}
        for kind, flag in FLAGS.items():
            member = capabilities.get(kind)
            if isinstance(member, dict) and member.get("listChanged") is True:
                found[flag] = True
        if self.uris:
            found["resourceSubscriptions"] = list(self.uris)
        return found

    def acknowledge(self, params: Body) -> list[str]:
        """Take the acknowledgement of the opening stream; the kinds of lists to look at because of a gap, in order."""
        honoured = tree.whole(params, "notifications")
        self.honoured = honoured if isinstance(honoured, dict) else {}
        self.leg, self.opening, self.agreed, self.failures = self.opening, 0, self.asked, 0
        missed = self.gap
        self.gap = False
        return [kind for kind, flag in FLAGS.items() if missed and self.honoured.get(flag) is True]

    def follows(self, uri: str) -> bool:
        """True if the server agreed to report this resource."""
        agreed = self.honoured.get("resourceSubscriptions")
        return isinstance(agreed, list) and uri in agreed

    def pause_s(self) -> float:
        """How long to wait before the next attempt."""
        self.failures += 1
        return float(min(FIRST_PAUSE_S * 2 ** min(self.failures - 1, 10), LONGEST_PAUSE_S))
