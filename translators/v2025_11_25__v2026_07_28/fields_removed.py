"""What only one of the two revisions has: the handshake, discovery, subscriptions, pings, levels, announcements.

Follows changelog majors 2 to 5. A conversation across this pair answers most of these itself before a lane is asked
(each Change that says so); the gates state what is left to a translation that keeps no state.
"""

from __future__ import annotations

from translators.change import Change, answer_with, ask, notification, params, refuse, swallow
from translators.context import Context
from translators.errors import METHOD_NOT_FOUND
from translators.ops import swallow_if
from translators.tree import Body

LOG = "2026-07-28/changelog.mdx"


def _alive(_body: Body, _ctx: Context) -> Body:
    return {}


_PONG = answer_with("ping-answered", _alive)

HANDSHAKE = Change(
    name="handshake",
    spec=f"{LOG} major 2",
    rows=("N1", "N2"),
    emulates="conversation",
    up={
        params("initialize"): refuse(
            METHOD_NOT_FOUND, "handshake-removed", "The server's protocol revision has no handshake"
        ),
        notification("notifications/initialized", "server"): swallow("handshake-removed"),
    },
)

DISCOVERY = Change(
    name="discovery",
    spec=f"{LOG} major 3",
    rows=("N1", "N10"),
    emulates="conversation",
    down={
        params("server/discover"): refuse(
            METHOD_NOT_FOUND, "discovery-unsupported", "The server's protocol revision has no discovery"
        ),
    },
)

_NO_SUBSCRIBE = refuse(
    METHOD_NOT_FOUND, "subscribe-removed", "The server's protocol revision has no subscriptions by request"
)
SUBSCRIBING = Change(
    name="subscribing to resources",
    spec=f"{LOG} major 4",
    rows=("N17",),
    emulates="conversation",
    up={params("resources/subscribe"): _NO_SUBSCRIBE, params("resources/unsubscribe"): _NO_SUBSCRIBE},
)

LISTENING = Change(
    name="listening to subscriptions",
    spec=f"{LOG} major 4",
    rows=("N18", "N29"),
    emulates="conversation",
    down={
        params("subscriptions/listen"): refuse(
            METHOD_NOT_FOUND, "listening-unsupported", "The server's protocol revision has no listening"
        ),
        notification("notifications/subscriptions/acknowledged"): swallow("listening-unsupported"),
    },
)

PING = Change(
    name="ping",
    spec=f"{LOG} major 5",
    rows=("N3",),
    emulates="conversation",
    up={params("ping"): _PONG, ask("ping"): _PONG},
)

LOG_LEVEL = Change(
    name="log level",
    spec=f"{LOG} major 5",
    rows=("N4",),
    emulates="conversation",
    up={
        params("logging/setLevel"): refuse(
            METHOD_NOT_FOUND, "level-removed", "The server's protocol revision has no level that lasts"
        ),
    },
)

ROOTS_CHANGED = Change(
    name="announcement of changed roots",
    spec=f"{LOG} major 5",
    rows=("N26",),
    up={notification("notifications/roots/list_changed", "server"): swallow("roots-announcement-removed")},
)

CLIENT_PROGRESS = Change(
    name="progress of the client",
    spec="2026-07-28/basic/patterns/progress.mdx",
    rows=("N23",),
    up={notification("notifications/progress", "server"): swallow("client-progress-removed")},
)


def _names_no_request(body: Body, _ctx: Context) -> bool:
    return "requestId" not in body


CANCELLATION = Change(
    name="cancellation of a request",
    spec="2026-07-28/basic/patterns/cancellation.mdx",
    rows=("N22", "N37"),
    emulates="conversation",
    up={
        notification("notifications/cancelled", toward): (swallow_if(_names_no_request, "cancelled-without-request"),)
        for toward in ("client", "server")
    },
    # A client of the newer revision closes the request's stream; there is nothing to rewrite in what is said for it.
    down={notification("notifications/cancelled", "server"): ()},
)
