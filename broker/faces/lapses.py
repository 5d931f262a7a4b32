"""Credentials that end while their callers have something open: looked for every `revocation_s`.

    what is open                          the credential expired, or is `unchecked`           it was revoked
    standing stream                       ends; the session goes on with the next one         ends with its session
    subscription                          ends in good order, to be opened again              ends with an error
    session of the HTTP+SSE pair          ends                                                ends
    call, on a stream or not              ends with an error; of an expired one, unless its   ends with an error
                                          caller has shown another, or `expired_calls: finish`
    suspended call                        as a call                                           is given up

A credential is `unchecked` if its issuer could not be asked about it for too long (`broker.identity.asked`).
Invariants: every call is answered before its stream ends, in the form of its revision; what is ended is cancelled at
the server; each caller that is cut off is told of in the log and the audit log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from broker import telemetry
from broker.identity import Principal
from protocol_versions import jsonrpc
from translators.reply import broken

if TYPE_CHECKING:
    from broker.backends.session_pool import SessionPool
    from broker.faces.context import FaceContext
    from broker.faces.streamable_http import StreamableHttp


def is_open(face: StreamableHttp) -> bool:
    """True if there is anything that may have to end later."""
    relay = face.modern.relay
    return bool(len(face.context.sessions) or len(face.pair) or relay.calls or relay.bridge.rooms.sessions)


def open_callers(face: StreamableHttp) -> Iterator[Principal]:
    """Whoever has something open, each by the credential that it was opened with or that was shown last."""
    relay = face.modern.relay
    yield from (session.relay.speaker.who for session in face.context.sessions)
    yield from face.pair.callers()
    yield from (call.who for call in relay.calls.values())
    for pooled in relay.bridge.rooms.sessions.values():
        yield pooled.relay.speaker.who
        yield from pooled.belonging.callers()


def end_lapsed(face: StreamableHttp) -> int:
    """End what nobody may go on with; how many sessions, streams and calls that were."""
    return Lapses(face.context).end(face)


class Lapses:
    """One look at everything of a server that is open."""

    __slots__ = ("_context", "_count", "_ends", "_why")

    def __init__(self, context: FaceContext) -> None:
        self._context = context
        self._why = context.admission.lapsed
        self._ends = context.settings.expired_calls == "end"
        self._count = 0

    def end(self, face: StreamableHttp) -> int:
        """End what has to; how many that were."""
        self._sessions()
        face.pair.end_lapsed(self._of_pair)
        self._stateless(face)
        self._suspended(face.modern.relay.bridge)
        return self._count

    def _of_call(self, who: Principal) -> str:
        """Why a call may not go on."""
        why = self._why(who)
        if why == "expired" and (not self._ends or self._context.admission.identities.renewed(who)):
            return ""
        return self._told(who, why)

    def _of_pair(self, who: Principal) -> str:
        return self._told(who, self._why(who))

    def _sessions(self) -> None:
        for session in list(self._context.sessions):
            who = session.relay.speaker.who
            why = self._why(who)
            if not why:
                continue
            if why == "revoked":
                self._told(who, why)
                self._context.sessions.end(session, why)
                continue
            attached = [stream for stream in session.outbox.standing if stream.attached]
            for stream in attached:
                stream.let_go()
            if attached:
                self._told(who, why)
            if session.relay.talk.book.calls and self._of_call(who):
                session.relay.cut(why)

    def _stateless(self, face: StreamableHttp) -> None:
        relay = face.modern.relay
        for call in list(relay.calls.values()):
            why = self._why(call.who)
            if why and why != "revoked" and call.subscription is not None:
                self._told(call.who, why)
                relay.cut(call, jsonrpc.response(call.number, call.subscription.ended()))
            elif why and self._of_call(call.who):
                relay.cut(call, broken(call.number, why))

    def _suspended(self, pool: SessionPool) -> None:
        for pooled in list(pool.rooms.sessions.values()):
            pooled.end_lapsed(self._of_call)
            if pooled.talk.idle and self._why(pooled.relay.speaker.who) == "revoked":
                pool.end(pooled, "revoked")  # nobody else's call is in it

    def _told(self, who: Principal, why: str) -> str:
        if why:
            self._count += 1
            telemetry.audit("cut-off", reason=why, principal=who.id, backend=self._context.name)
            self._context.refused(f"credential-{why}", who)
        return why
