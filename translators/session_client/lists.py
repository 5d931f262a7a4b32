"""`list_changed` only when what the client would read has really changed.

Follows 2026-07-28 basic/patterns/subscriptions. Some servers announce a change every minute, and clients answer each by
reading, and showing a model, the same list again. So a list the client has read whole is remembered as a digest of
what it was given, in its own revision's words; an announcement makes the broker read the list again, and only another
digest is told to the client. What is not known is told: a list the client never read whole, one it is just reading,
one that cannot be read again. The check costs the server the request that the client would have sent, and a real
change costs it one more; an operator to whom that matters has every announcement told.

    announcement of a kind        next
    nothing of it was read        told
    a check of it is running      noted, and checked once more after a pause
    otherwise                     every list of it the client has read is read again, page by page -> told, or silence
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.context import Context
from translators.errors import Answered, Refused
from translators.loss import Loss, Noted
from translators.machine import STANDING, Effect, Note, SetTimer, ToClient
from translators.memo import MEMO
from translators.reply import notify
from translators.session_client.handshake import MAX_PAGES, is_complete

if TYPE_CHECKING:
    from translators.lane import Lane
    from translators.session_client.machine import SessionClient
    from translators.session_client.rounds import Bridge

PAUSE_S = 1.0
"""Between two checks of a kind; a server that announces all the time is read once a second at most."""

CHECK = "check:"
"""What the machine's own reading of a list is called, before its method."""

MEMBERS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
KINDS = {
    "tools": ("tools/list",),
    "prompts": ("prompts/list",),
    "resources": ("resources/list", "resources/templates/list"),
}
ANNOUNCED = {f"notifications/{kind}/list_changed": kind for kind in KINDS}

Digest = str


class Walk(msgspec.Struct):
    """A reading of one list, page by page."""

    items: list[Digest] = []
    cursor: str | None = None  # the page that comes next; None before the first
    pages: int = 0


class Lists(msgspec.Struct):
    """What the client was given, and what is being checked."""

    given: dict[str, Digest] = {}  # method -> the whole list
    giving: dict[str, Walk] = {}  # method -> the pages of a list not yet given whole
    checks: dict[str, list[str]] = {}  # kind -> methods still to be read
    walks: dict[str, Walk] = {}  # method -> the reading that is under way
    again: dict[str, None] = {}  # kinds announced while they were checked
    resting: dict[str, None] = {}  # kinds that were checked less than PAUSE_S ago


def delivered(talk: SessionClient, bridge: Bridge, body: Any) -> None:
    """Remember a page of a list that the client is given."""
    method = bridge.method
    if not talk.compare_lists or not _announces(talk, method):
        return
    lists = talk.lists
    asked = tree.whole(bridge.params, "cursor")
    walk = Walk() if asked is None else lists.giving.pop(method, None)
    lists.giving.pop(method, None)
    if walk is None or walk.cursor != asked or walk.pages >= MAX_PAGES:
        lists.given.pop(method, None)
        return
    try:
        more = _page(talk, walk, method, body)
    except (Refused, Answered, *UNREADABLE):
        lists.given.pop(method, None)
        return
    if more:
        lists.giving[method] = walk
    else:
        lists.given[method] = _whole(walk)


def announced(talk: SessionClient, kind: str) -> list[Effect]:
    """A list of this kind may have changed."""
    lists = talk.lists
    if kind in lists.checks or kind in lists.resting:
        lists.again[kind] = None
        return []
    methods = [method for method in KINDS[kind] if method in lists.given]
    if not methods:
        return [_told(kind)]
    lists.checks[kind] = methods
    return _read(talk, methods[0])


def checked(talk: SessionClient, method: str, frame: Frame) -> list[Effect]:
    """One page of a list that is read again, or why there is none."""
    lists = talk.lists
    kind = next(kind for kind, methods in KINDS.items() if method in methods)
    walk = lists.walks.pop(method)
    more, same = False, False
    try:
        if frame.result is not UNSET and is_complete(frame.result):
            more = _page(talk, walk, method, _as_given(talk, method, frame.result, walk)) and walk.pages < MAX_PAGES
            same = walk.cursor is None and lists.given.get(method) == _whole(walk)
    except (Refused, Answered, *UNREADABLE):
        more = same = False
    if more:
        lists.walks[method] = walk
        return [talk.inside(method, {"cursor": walk.cursor}, CHECK)]
    reading = any(bridge.method == method for bridge in talk.bridges.values())
    if not same or reading:
        return [_told(kind), *_done(talk, kind)]
    lists.checks[kind].remove(method)
    if lists.checks[kind]:
        return _read(talk, lists.checks[kind][0])
    return [Note("dropped", f"notifications/{kind}/list_changed", "list-unchanged"), *_done(talk, kind)]


def rested(talk: SessionClient, kind: str) -> list[Effect]:
    """The pause after a check is over."""
    lists = talk.lists
    lists.resting.pop(kind, None)
    if kind not in lists.again:
        return []
    lists.again.pop(kind)
    return announced(talk, kind)


def without_unusable_tools(talk: SessionClient, result: Any, ctx: Context, *, first: bool, walk: bool = False) -> None:
    """A page of tools teaches the catalogue; those with a bad annotation are taken out of it."""
    bad, _more = talk.facts.learn_tools(result, talk.now, first=first, walk=walk)
    if bad:
        result["tools"] = [item for item in tree.member(result, "tools") if _name(item) not in bad]
        ctx.losses += [Noted("mirrored headers", f"tools[{name}]", Loss.DEGRADED) for name in bad]


def _name(item: Any) -> Any:
    tool = tree.shallow(item)
    return tree.deep(tool.get("name")) if isinstance(tool, dict) else None


def _read(talk: SessionClient, method: str) -> list[Effect]:
    talk.lists.walks[method] = Walk()
    return [talk.inside(method, {}, CHECK)]


def _done(talk: SessionClient, kind: str) -> list[Effect]:
    del talk.lists.checks[kind]
    talk.lists.resting[kind] = None
    return [SetTimer(f"rested:{kind}", PAUSE_S)]


def _as_given(talk: SessionClient, method: str, result: Any, walk: Walk) -> Any:
    """The page as the client would be given it."""
    ctx = Context(method=method)
    if method == "tools/list":
        without_unusable_tools(talk, result, ctx, first=not walk.pages, walk=True)
    return talk.lanes.to_server[method].result.run(result, ctx)


def _page(talk: SessionClient, walk: Walk, method: str, body: Any) -> bool:
    """Take a page; True if another follows."""
    member = MEMBERS[method]
    page = {member: Raw(msgspec.json.encode(body.get(member)))}
    lane = talk.reader.to_server[method].result
    digests = MEMO.run((lane, "digests"), lambda page, ctx: _digests(lane, member, page, ctx), page, Context())
    walk.items += tree.deep(digests[member])
    cursor = tree.whole(body, "nextCursor")
    walk.cursor = cursor if isinstance(cursor, str) else None
    walk.pages += 1
    return walk.cursor is not None


def _digests(lane: Lane, member: str, page: tree.Body, ctx: Context) -> tree.Body:
    """The items as the client reads them, each as a digest; the order of an object's members is no part of it."""
    items = tree.deep(lane.run(page, ctx).get(member))
    texts = [msgspec.json.encode(item, order="deterministic") for item in (items if isinstance(items, list) else ())]
    return {member: [hashlib.blake2b(text, digest_size=16).hexdigest() for text in texts]}


def _whole(walk: Walk) -> Digest:
    """The order of a list is no part of it: servers that keep tools in a set shuffle them."""
    return hashlib.blake2b("".join(sorted(walk.items)).encode(), digest_size=16).hexdigest()


def _announces(talk: SessionClient, method: str) -> bool:
    member = talk.server.get(method.partition("/")[0])
    return isinstance(member, dict) and member.get("listChanged") is True


def _told(kind: str) -> ToClient:
    return ToClient(STANDING, notify(f"notifications/{kind}/list_changed"))
