"""Elicitation by URL: a user agrees to open a page, and the server learns of the rest by itself.

Follows 2026-07-28 client/elicitation (URL mode) and 2025-11-25 client/elicitation (elicitationId, complete). The newer
revision has neither ids nor a notification of completion: a server that still waits asks the same again. A session
client must not prompt its user each time, so a page that was agreed to is not asked for again; the broker answers
`accept` in the user's place after a growing pause. Once the server asks no more, the client is told that the
elicitation is complete.

    the server asks for a page        the machine
    the first time                    asks the client, under an id of its own
    again, after `accept`             waits, accepts; after MAX_HOLDS times asks the client again
    no more                           sends notifications/elicitation/complete
"""

from __future__ import annotations

from translators.machine import Effect, ToClient
from translators.reply import notify
from translators.session_client.rounds import Bridge, Page, Questions
from translators.tree import Body

HOLD_DELAYS_S = (2.0, 4.0, 8.0, 10.0)
"""Pauses between two looks at a page the user has open; the last repeats."""

MAX_HOLDS = 60
"""Pauses before the user is asked again: ten minutes, as long as one round of input may take."""


def page_of(method: str, params: Body | None) -> Page | None:
    """The page a question asks the user to open, None for any other question."""
    if method != "elicitation/create" or params is None or params.get("mode") != "url":
        return None
    return str(params.get("url")), str(params.get("message"))


def held(bridge: Bridge, questions: Questions) -> dict[str, Page]:
    """The questions, by key, that the user has agreed to before; all are forgotten after MAX_HOLDS rounds of them."""
    pages = {key: page_of(*question) for key, question in questions.items()}
    again = {key: page for key, page in pages.items() if page is not None and page in bridge.visited}
    if not again:
        bridge.holds = 0
        return {}
    bridge.holds += 1
    if bridge.holds > MAX_HOLDS:
        bridge.holds = 0
        for page in again.values():
            bridge.visited.pop(page, None)
        return {}
    return again


def hold_s(bridge: Bridge) -> float:
    """How long a round in which only known pages are asked for waits."""
    return HOLD_DELAYS_S[min(bridge.holds, len(HOLD_DELAYS_S)) - 1]


def completed(bridge: Bridge, asked: Questions) -> list[Effect]:
    """Tell the client of every page that the server asks for no more."""
    still = {page_of(*question) for question in asked.values()}
    done = [page for page in bridge.visited if page not in still]
    return [
        ToClient(bridge.call, notify("notifications/elicitation/complete", {"elicitationId": bridge.visited.pop(page)}))
        for page in done
    ]
