"""One session with a backend on a channel (a process, or the HTTP+SSE pair): the channel is the session.

Follows basic/transports of 2024-11-05 to 2025-11-25. Invariants: a channel is given one `initialize`, and another
one the next; an answer is matched by id; a call whose channel ended is never run again; what waits too long is
failed and cancelled at the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from broker.backends.base import Channel, ChannelReach, Headers, Owner, lines_of
from broker.backends.batches import batch_of
from broker.backends.repeats import Repeats
from protocol_versions import jsonrpc
from protocol_versions.base import Traits
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.asks import UNREADABLE
from translators.machine import ToServer
from translators.reply import notify

SESSION = "channel"
"""What stands for the id of a session that needs none."""


class ChannelLeg(msgspec.Struct):
    """An open call; `due` is when it is given up."""

    call: int
    ticket: Channel | None
    started: float
    due: float
    initialize: bool = False
    sent: bytes = b""


class Line:
    """The one stream of a channel, as the standing stream of a session."""

    refused = False

    def __init__(self, session: ChannelSession) -> None:
        self._session = session

    def pause(self) -> None:
        """Stop reading the channel."""
        if self._session.channel is not None:
            self._session.channel.pause()

    def resume(self) -> None:
        """Read on."""
        if self._session.channel is not None:
            self._session.channel.resume()


class ChannelSession:
    """A session as the backend knows it."""

    acknowledges = False
    one_line = True
    streams = True

    def __init__(self, reach: ChannelReach, owner: Owner, *, patient: bool) -> None:
        self.reach = reach
        self.owner = owner
        self.session_id: str | None = SESSION
        self.standing: Any = Line(self)
        self.closed = False
        self.channel: Channel | None = None
        self._wait_s = reach.wait_s if patient else 0.0
        self._legs: dict[int, ChannelLeg] = {}
        self._extra = b""  # what policy adds to `initialize`, for what belongs to no call
        self._batching = False
        self._greeted = False
        self._repeats = Repeats()

    @property
    def legs(self) -> Mapping[int, ChannelLeg]:
        """The open calls."""
        return self._legs

    def settle(self, revision: str, traits: Traits) -> None:  # noqa: ARG002
        """The backend has answered `initialize`."""
        self._batching = traits.batching
        self._greeted = True

    def forget(self) -> None:
        """The session is lost: the next `initialize` goes over another channel."""
        self._end()

    def send(self, effect: ToServer) -> None:
        """Write what the relay decided to send."""
        body = jsonrpc.encode(effect.frame)
        if effect.call:
            if effect.initialize:
                self._extra = lines_of(effect.headers)
            self.request(effect.call, body, initialize=effect.initialize, headers=effect.headers)
        else:
            self.notify(body, effect.exchange)

    def request(self, call: int, body: bytes, *, initialize: bool = False, headers: Headers = ()) -> None:
        """Write a request; its answer or failure comes to the owner."""
        if initialize and (self.channel is None or self._greeted):
            self._end()
            self.channel = self.reach.spawn(self)
        now = self.reach.now()
        limit = self.reach.start_s if initialize else self.reach.head_s + self._wait_s
        self._legs[call] = ChannelLeg(call, self.channel, now, now + limit, initialize, body)
        if self.channel is None or not self.channel.write(body, call, lines_of(headers) or self._extra):
            del self._legs[call]
            asyncio.get_running_loop().call_soon(self.owner.backend_failed, call, "backend-closed", "no")

    def notify(self, body: bytes, exchange: int) -> None:
        """Write a notification or an answer; a channel takes it at once."""
        if self.channel is not None:
            self.channel.write(body, head=self._extra)
        asyncio.get_running_loop().call_soon(self.owner.backend_accepted, exchange)

    def sent(self, call: int) -> bytes:
        """The request of an open call."""
        leg = self._legs.get(call)
        return b"" if leg is None else leg.sent

    def abort(self, call: int) -> None:
        """Nobody waits for this call any more."""
        self._legs.pop(call, None)

    def open_stream(self) -> None:
        """The channel stands already."""
        if not self.closed:
            asyncio.get_running_loop().call_soon(self.owner.backend_stream, True)

    def close(self) -> None:
        """The session is over, and so is its channel."""
        self.closed = True
        self._legs.clear()
        self._end()
        self.reach.sessions.discard(self)

    def sweep(self, now: float) -> None:
        """Give up what has waited too long."""
        for leg in [leg for leg in self._legs.values() if leg.due <= now]:
            if self._legs.pop(leg.call, None) is None:
                continue  # the owner has given up more than it was told of
            if self.channel is not None and not leg.initialize:
                self.channel.write(jsonrpc.encode(notify("notifications/cancelled", {"requestId": leg.call})))
            self.owner.backend_failed(leg.call, "backend-timeout", "unknown")

    # ---- what the backend says (broker.backends.base.ChannelOwner) --------------------------------------------------

    def channel_line(self, line: bytes) -> None:
        """One message, or on a 2025-03-26 session a batch."""
        if self.reach.hidden.forms:
            line = self.reach.hidden.clean(line)
        texts = batch_of(line, self.reach.wire, self.owner.backend_violation) if self._batching else [line]
        for text in texts:
            try:
                frame = jsonrpc.decode_backend(text, self.reach.wire)
            except jsonrpc.Refused:
                self.owner.backend_violation("unreadable-line")
                continue
            if frame.method is UNSET:
                self._answer(frame)
            else:
                if frame.method == "notifications/progress":
                    self._lives(frame)
                if frame.id is not UNSET or not self._repeats.holds(frame, self._again):
                    self.owner.backend_message(0, frame)

    def channel_ended(self, reason: str) -> None:
        """The channel is gone, and with it what it was doing."""
        self.channel = None
        greeted, self._greeted = self._greeted, False
        legs, self._legs = self._legs, {}
        for leg in legs.values():
            self.owner.backend_failed(leg.call, reason, "unknown")
        if greeted and not self.closed:
            self.owner.backend_lost(0, b"", SESSION)

    def channel_refused(self, call: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """A message did not go through."""
        if self._legs.pop(call, None) is not None:
            self.owner.backend_failed(call, reason, executed)

    def channel_violation(self, reason: str) -> None:
        """It wrote something that is carried nowhere."""
        self.owner.backend_violation(reason)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _answer(self, frame: Frame) -> None:
        leg = self._legs.pop(frame.id, None) if type(frame.id) is int else None
        if leg is None:
            self.owner.backend_violation("foreign-answer")
            return
        self.owner.backend_message(leg.call, frame)

    def _again(self, frame: Frame) -> None:
        if not self.closed:
            self.owner.backend_message(0, frame)

    def _lives(self, frame: Frame) -> None:
        """Progress of a call is a sign of life."""
        params: Any = frame.params if frame.params is not UNSET else {}
        try:
            token = tree.deep(params.get("progressToken"))
        except UNREADABLE:
            return
        leg = self._legs.get(token) if type(token) is int else None
        if leg is not None:
            latest = leg.started + self.reach.total_s
            leg.due = min(self.reach.now() + self.reach.head_s + self._wait_s, latest)

    def _end(self) -> None:
        channel, self.channel = self.channel, None
        self._greeted = False
        if channel is not None:
            self.reach.dismiss(channel)
