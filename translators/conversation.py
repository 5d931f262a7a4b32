"""One client's session with one backend: every message in, what must be sent where out.

Sans-IO: `handle(event)` returns effects and touches nothing else. Between two session revisions the two sides stay
one to one, so the machine is small:

    phase      client may                              backend may
    new        initialize                              -
    greeting   -                                       answer initialize (or fail: back to new)
    open       everything its revision defines         everything its revision defines
    ended      -                                       -

Invariants: each client request ends exactly once; no id or token crosses; nothing leaves that the reader's revision
does not define; a question for which the client declared no capability is answered by the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from translators.answers import message_from_server
from translators.asks import unanswerable
from translators.calls import Book
from translators.handshake import Peers
from translators.machine import (
    Abort,
    CallsCut,
    ClientGone,
    Effect,
    End,
    Event,
    Expired,
    Failed,
    FromClient,
    FromServer,
    Hush,
    Note,
    ToClient,
    ToServer,
    Unanswerable,
)
from translators.reply import broken, notify
from translators.requests import message_from_client
from translators.tables import Tables
from translators.task_ids import TaskIds
from translators.tree import Body

CANCEL_GRACE_S = 5.0
"""How long a cancelled call may still answer before the broker closes it; the SDKs answer at once or never."""

LEFT = "session-ended"
"""The reason of an end that the client itself, or time, has brought about."""

MAX_OPEN_CALLS = 1_000
"""Open calls of one session; no SDK client keeps more than a few dozen."""


class Conversation:
    """The client side and the backend side of one session."""

    def __init__(
        self,
        peers: Peers,
        *,
        max_calls: int = MAX_OPEN_CALLS,
        cancel_grace_s: float = CANCEL_GRACE_S,
        task_ids: TaskIds | None = None,
        tools_to_wrap: Callable[[Body], dict[str, Body]] | None = None,
        judges_questions: bool = False,
    ) -> None:
        self.peers = peers
        self.book = Book()
        self.phase = "new"
        self.pipe: Tables | None = None
        self.level: str | None = None
        self.refused_with = 0  # the code of the error that `initialize` was last answered with
        self.subscriptions: dict[str, None] = {}
        self.facts: dict[str, Any] = {}
        self.task_ids = task_ids
        self.tools_to_wrap = tools_to_wrap
        self.judges_questions = judges_questions  # the client's side is told of questions it did not declare, too
        self.tasks: TaskIds | None = None
        self.max_calls = max_calls
        self.cancel_grace_s = cancel_grace_s

    def handle(self, event: Event) -> list[Effect]:
        """The effects of one event, in order."""
        kind = type(event)
        if kind is FromClient:
            return message_from_client(self, event)  # type: ignore[arg-type]
        if kind is FromServer:
            return message_from_server(self, event)  # type: ignore[arg-type]
        if kind is Failed:
            return self._failed(event)  # type: ignore[arg-type]
        if kind is Expired:
            return self._expired(event)  # type: ignore[arg-type]
        if kind is ClientGone:
            return self._gone(event.reason)  # type: ignore[attr-defined]
        if kind is CallsCut:
            return self._cut(event.reason)  # type: ignore[attr-defined]
        if kind is Unanswerable:
            return unanswerable(self, event)  # type: ignore[arg-type]
        return []

    def _failed(self, event: Failed) -> list[Effect]:
        call = self.book.calls.get(event.call)
        if call is None:
            return []
        self.book.close(call)
        if call.method == "initialize":
            self.phase = "new"
        reply = broken(call.client_id, event.reason)
        return [
            ToClient(call.exchange, reply, True, "broker"),
            Note("failed", call.method, event.reason),
            End(call.id, "failed"),
        ]

    def _expired(self, event: Expired) -> list[Effect]:
        kind, _, number = event.key.partition(":")
        call = self.book.calls.get(int(number)) if kind == "cancelled" else None
        if call is None:
            return []
        self.book.close(call)
        # Not even an error: receivers SHOULD NOT answer a cancelled request (basic/utilities/cancellation).
        return [Hush(call.exchange), Abort(call.id), End(call.id, "cancelled")]

    def _gone(self, reason: str) -> list[Effect]:
        self.phase = "ended"
        effects = self._cut(reason)
        self.book = Book(minted=self.book.minted, asked=self.book.asked)
        return effects

    def _cut(self, reason: str) -> list[Effect]:
        """Answer every open call, and give it up at the backend; a client that goes cancels by going."""
        effects: list[Effect] = []
        left = reason == LEFT
        for call in list(self.book.calls.values()):
            self.book.close(call)
            effects.append(ToClient(call.exchange, broken(call.client_id, reason), True, "broker"))
            if not left and call.method != "initialize":  # which "MUST NOT be cancelled"
                effects.append(ToServer(0, notify("notifications/cancelled", {"requestId": call.id})))
            effects += [Abort(call.id), End(call.id, "cancelled" if left else "cut")]
        return effects
