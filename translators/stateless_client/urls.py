"""-32042: pages a user must visit before a call can be made; asked for in a round, and then the call is made again.

Follows 2025-11-25 client/elicitation (URLElicitationRequiredError) and 2026-07-28 client/elicitation (URL mode). The
error says that the call was not processed, so calling again is safe. Consent is all an answer says; the server tells by
`notifications/elicitation/complete` when the page has been dealt with, and for that the new call waits a while.

    the server                          the machine
    -32042 with elicitations            ends the request with a round of URLs; nothing is suspended
    (retry: all accepted)               waits for their completion, at most VISIT_S, then calls again
    (retry: one declined)               a tool error, or an error
    -32042 again                        the next round
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from protocol_versions.jsonrpc import ErrorObject
from translators import tree
from translators.asks import UNREADABLE
from translators.inputs import GATES
from translators.machine import Effect, Note
from translators.reply import answered, broken
from translators.stateless_client import questions, requests
from translators.stateless_client.calls import Asked, Call, final, timer
from translators.stateless_client.state import State, bad_state
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_errors import URL_ELICITATION_REQUIRED

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

VISIT_S = 30.0
"""How long a call waits for the server's word that its pages were dealt with; after that the server is asked again."""

MAX_PAGES = 8
"""Pages of one error; servers name one."""

MAX_VISITED = 64
"""Completions that are remembered though nobody waits for them yet."""

MAX_ID = 256
"""Characters of an elicitation's id."""

DECLINED = "The user did not agree to open the page this request needs."


def required(talk: StatelessClient, call: Call, error: ErrorObject) -> list[Effect] | None:
    """The round of URLs an error asks for; None if it asks for none, or the client cannot be asked."""
    if error.code != URL_ELICITATION_REQUIRED or not call.legs or call.counted:
        return None
    if not GATES["elicitation/create"](call.capabilities, {"mode": "url"}):
        return None
    try:
        pages = _pages(error)
    except UNREADABLE:
        pages = []
    if not pages or call.visit_round >= questions.MAX_ROUNDS:
        return None
    shown: Body = {}
    for number, (_identity, params) in enumerate(pages, 1):
        shown[f"page-{call.visit_round + 1}-{number}"] = {"method": "elicitation/create", "params": params}
    state = State(
        "visit", talk.owner, talk.number, 0, call.visit_round + 1, [identity for identity, _params in pages]
    )  # fmt: skip
    body = questions.interim(talk, shown, state)
    effects: list[Effect] = [final(leg, answered(leg, dict(body))) for leg in call.legs]
    talk.forget(call)
    return effects


def returned(talk: StatelessClient, call: Call, event: Asked) -> list[Effect]:
    """The request again, with the user's consent to its pages or without."""
    state = event.state
    assert state is not None
    params: Any = event.frame.params if event.frame.params is not UNSET else {}
    given = tree.whole(params, "inputResponses")
    given = given if isinstance(given, dict) else {}
    keys = [f"page-{state.round}-{number}" for number in range(1, len(state.pages) + 1)]
    actions = [_action(given.get(key)) for key in keys]
    if not 0 < state.round <= questions.MAX_ROUNDS or not keys:
        talk.forget(call)
        return [final(event.leg, bad_state(event.leg))]
    call.visit_round = state.round
    if any(action in ("decline", "cancel") for action in actions):
        return _declined(talk, call, event.leg)
    if "accept" not in actions or None in actions:
        # Not every page was answered: the server asks again for what it still needs.
        return requests.send(talk, call)
    call.visits = [page for page in state.pages if page not in talk.visited]
    if not call.visits:
        return requests.send(talk, call)
    call.phase = "visiting"
    return [timer("visit", call, VISIT_S)]


def completed(talk: StatelessClient, page: Any) -> list[Effect]:
    """The server says that a page was dealt with."""
    if not isinstance(page, str) or len(page) > MAX_ID:
        return []
    talk.visited.add(page)
    while len(talk.visited) > MAX_VISITED:
        talk.visited.pop()
    effects: list[Effect] = []
    for call in list(talk.calls.values()):
        if page in call.visits:
            call.visits = [one for one in call.visits if one != page]
            effects += [] if call.visits else requests.send(talk, call)
    return effects


def waited(talk: StatelessClient, call: Call) -> list[Effect]:
    """The server said nothing in time: it is called again, and says what it needs."""
    if not call.visits or call.sent:
        return []
    call.visits = []
    return requests.send(talk, call)


def _declined(talk: StatelessClient, call: Call, leg: int) -> list[Effect]:
    talk.forget(call)
    note = Note("refused", call.method, "input-declined")
    if call.method != "tools/call":
        return [final(leg, broken(leg, "input-declined", message=DECLINED)), note]
    content = [{"type": "text", "text": DECLINED}]
    return [final(leg, answered(leg, {"resultType": "complete", "content": content, "isError": True})), note]


def _pages(error: ErrorObject) -> list[tuple[str, Body]]:
    """(id, parameters of the question) of each page an error names."""
    data = tree.deep(error.data) if error.data is not UNSET else None
    found = data.get("elicitations") if isinstance(data, dict) else None
    pages = []
    for each in found if isinstance(found, list) else ():
        identity, url, message = each.get("elicitationId"), each.get("url"), each.get("message")
        if not (isinstance(url, str) and isinstance(message, str)):
            continue
        known = identity if isinstance(identity, str) and len(identity) <= MAX_ID else ""
        pages.append((known, {"mode": "url", "message": message, "url": url}))
    return pages[:MAX_PAGES]


def _action(given: Any) -> str | None:
    action = given.get("action") if isinstance(given, dict) else None
    return action if isinstance(action, str) else None
