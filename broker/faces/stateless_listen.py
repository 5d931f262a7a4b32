"""What may pass on the stream of one `subscriptions/listen`, and what it says there.

Follows 2026-07-28 basic/patterns/subscriptions. Invariants: the acknowledgement comes first; only kinds of notification
that were asked for pass; every message, the last one included, carries the client's own id of the subscription. What a
session announces is judged here for each that listens: other callers may share it, and other credentials of one caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from broker.faces.stateless_params import SUBSCRIPTION_ID
from protocol_versions.jsonrpc import Frame
from translators import tree

LISTEN: Final = "subscriptions/listen"
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
CANCELLED: Final = "notifications/cancelled"
UPDATED: Final = "notifications/resources/updated"

SUBSCRIBE: Final = "resources/subscribe"
URIS: Final = "resourceSubscriptions"

HIDDEN: Final = "hidden"
"""Why something that a session announces is not told to one who shares it."""

Bars = Callable[[str, str | None], bool]
"""Whether policy keeps the listener from a method, or from a URI by this method."""

_FILTERS: Final = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}


class Subscription:
    """One subscription: what its client asked for (`wanted`), and whether the backend has acknowledged it."""

    __slots__ = ("_bars", "_id", "acknowledged", "honoured", "wanted")

    def __init__(self, client_id: int | str, params: dict[str, Any], bars: Bars) -> None:
        self._id = client_id
        self._bars = bars
        self.acknowledged = False
        self.honoured: dict[str, Any] = {}
        """What of it the server has agreed to."""
        wanted = tree.deep(params.get("notifications"))
        self.wanted: dict[str, Any] = wanted if isinstance(wanted, dict) else {}

    def sent(self, params: dict[str, Any]) -> dict[str, Any]:
        """The request's parameters without the URIs that policy keeps its caller from."""
        asked = self.wanted.get(URIS)
        if not isinstance(asked, list):
            return params
        kept = [uri for uri in asked if not (isinstance(uri, str) and self._bars(SUBSCRIBE, uri))]
        if len(kept) == len(asked):
            return params
        self.wanted = {**self.wanted, URIS: kept}
        return {**params, "notifications": Raw(msgspec.json.encode(self.wanted))}

    def passes(self, frame: Frame) -> str:
        """Make a notification the client's own; the reason if it must not pass, else an empty text."""
        method: Any = frame.method
        if method == ACKNOWLEDGED:
            if self.acknowledged:
                return "acknowledged-twice"
            self.acknowledged = True
            agreed = tree.deep(frame.params.get("notifications")) if frame.params is not UNSET else None
            self.honoured = agreed if isinstance(agreed, dict) else {}
        elif not self.acknowledged:
            return "before-acknowledgement"
        elif not self._asked_for(method):
            return "not-subscribed"
        params: dict[str, Any] = {} if frame.params is UNSET else frame.params
        if self._barred(method, params):
            return HIDDEN
        if method == CANCELLED:
            params["requestId"] = self._id
        frame.params = self.marked(params)
        return ""

    def _barred(self, method: str, params: dict[str, Any]) -> bool:
        if method == UPDATED:
            uri = tree.deep(params.get("uri"))
            return not isinstance(uri, str) or self._bars(SUBSCRIBE, uri)
        return method in _FILTERS and self._bars(method.removeprefix("notifications/").replace("_changed", ""), None)

    def hears(self, method: str) -> bool:
        """True if a change of this list may be told."""
        return self._asked_for(method) and self.honoured.get(_FILTERS.get(method, "")) is True

    def marked(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with the client's id of the subscription in its `_meta`."""
        meta = tree.shallow(body.get("_meta"))
        meta = meta if isinstance(meta, dict) else {}
        meta[SUBSCRIPTION_ID] = self._id
        return {**body, "_meta": meta}

    def ended(self) -> dict[str, Any]:
        """The result that ends it in good order."""
        return {"resultType": "complete", "_meta": {SUBSCRIPTION_ID: self._id}}

    def _asked_for(self, method: str) -> bool:
        if method == UPDATED:
            # Whether a URI below a watched one counts is the server's to say, in every revision.
            return bool(self.wanted.get(URIS))
        wanted = _FILTERS.get(method)
        return method == CANCELLED or (wanted is not None and self.wanted.get(wanted) is True)
