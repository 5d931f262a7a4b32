"""-32042: pages a user must visit before a call can be made; asked for in a round, and then the call is made again.

Follows 2025-11-25 client/elicitation (URLElicitationRequiredError) and 2026-07-28 client/elicitation (URL mode). The
error says that the call was not processed, so calling again is safe. Consent is all an answer says; the server tells by
`notifications/elicitation/complete` when the page has been dealt with, and for that the new call waits a while.

    the server                          the machine
    -32042 with elicitations            ends the request with a round of URLs; nothing is suspended
    (retry: all accepted)               waits for their completion, at most VISIT_S, then calls again
    (retry: some left out)              calls again: the server says what it still needs
    (retry: one declined)               a tool error, or an error
    (the same retry twice)              waits for the same call: consent makes one call, however often it is sent
    -32042 again                        the next round
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from protocol_versions.jsonrpc import ErrorObject, Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.inputs import GATES
from translators.machine import Effect, Note
from translators.reply import answered, broken
from translators.stateless_client import answers, requests, resuming, rounds
from translators.stateless_client.calls import Asked, Call, final, timer
from translators.stateless_client.state import State
from translators.tree import Body
from translators.v2025_11_25__v2026_07_28.fields_errors import URL_ELICITATION_REQUIRED

if TYPE_CHECKING:
    from translators.stateless_client.machine import StatelessClient

VISIT_S = 30.0
"""How long a call waits for the server's word that its pages were dealt with; after that the server is asked again."""

MAX_PAGES = 8
"""Pages of one error; servers name one."""

MAX_VISITED = 64
"""Completions that are remembered though nobody waits for them yet, and retries that may come again."""

MAX_ID = 256
"""Characters of an elicitation's id."""

DECLINED = "The user did not agree to open the page this request needs."


class Visits(msgspec.Struct):
    """Pages that were dealt with, and the call that was made for each consent, by its state; the oldest go first."""

    done: dict[str, None] = {}
    calls: dict[str, int] = {}


def declares(capabilities: Body) -> bool:
    """True if a client can be asked to visit a page."""
    return GATES["elicitation/create"](capabilities, {"mode": "url"})


def required(talk: StatelessClient, call: Call, error: ErrorObject) -> Frame | None:
    """The round of URLs an error asks for; None if it asks for none, or nobody who waits can be asked."""
    if error.code != URL_ELICITATION_REQUIRED or call.round >= rounds.MAX_ROUNDS:
        return None
    if not all(declares(leg.capabilities) for leg in call.legs.values()):
        return None
    try:
        pages = _pages(error)
    except UNREADABLE:
        return None
    if not pages:
        return None
    round_ = call.round + 1
    shown: Body = {
        _key(round_, number): {"method": "elicitation/create", "params": params}
        for number, (_identity, params) in enumerate(pages, 1)
    }
    ids = [identity for identity, _params in pages]
    return Frame(
        id=call.id, result=rounds.interim(talk, shown, State("visit", talk.owner, talk.number, call.id, round_, ids))
    )


def call_of(talk: StatelessClient, state: State) -> int | None:
    """The call that was made for this consent already; None if there is none."""
    return talk.visits.calls.get(state.text())


def returned(talk: StatelessClient, call: Call, event: Asked) -> list[Effect]:
    """The request again, with the user's consent to its pages or without."""
    state = event.state
    assert state is not None
    try:
        given = resuming.responses(event)
        this = (state.round, resuming.digest(given))
        keys = [_key(state.round, number) for number, _page in enumerate(state.pages, 1)]
        actions = [resuming.typed("elicitation/create", given[key])["action"] for key in keys if key in given]
    except UNREADABLE:
        talk.forget(call)
        return resuming.unusable(event)
    if "decline" in actions or "cancel" in actions:
        talk.forget(call)
        return [final(event.leg, _declined(talk, call, event.leg)), Note("refused", call.method, "input-declined")]
    call.round, call.answered = this[0], this
    call.keys = state.round * rounds.MAX_QUESTIONS  # beyond every key of the rounds before
    _remember(talk.visits.calls, state.text(), call.id)
    if len(actions) == len(keys):
        call.visits = [page for page in state.pages if page not in talk.visits.done]
    if not call.visits:
        return requests.send(talk, call)
    call.phase = "visiting"
    return [timer("visit", call, VISIT_S)]


def completed(talk: StatelessClient, page: Any) -> list[Effect]:
    """The server says that a page was dealt with. Raises what UNREADABLE lists."""
    if not 0 < len(page) <= MAX_ID:
        return []
    _remember(talk.visits.done, page, None)
    effects: list[Effect] = []
    for call in list(talk.calls.values()):
        if page in call.visits:
            call.visits = [one for one in call.visits if one != page]
            effects += [] if call.visits else requests.send(talk, call)
    return effects


def waited(talk: StatelessClient, call: Call) -> list[Effect]:
    """The server said nothing in time: it is called again, and says what it needs."""
    if call.phase != "visiting":
        return []
    call.visits = []
    return requests.send(talk, call)


def _remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    known.pop(key, None)
    known[key] = value
    if len(known) > MAX_VISITED:
        del known[next(iter(known))]


def _key(round_: int, number: int) -> str:
    """The key of a page of a round; both count from 1."""
    return f"page-{round_}-{number}"


def _declined(talk: StatelessClient, call: Call, leg: int) -> Frame:
    if call.method != "tools/call":
        return broken(leg, "input-declined", message=DECLINED)
    return answered(leg, answers.tool_error(talk, DECLINED))


def _pages(error: ErrorObject) -> list[tuple[str, Body]]:
    """(id, parameters of the question) of each page an error names; the id is empty if it has none."""
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
