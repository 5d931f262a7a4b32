"""A stateless client on a pipe: what headers would say is read from the body, and a cancellation is a message.

Follows 2026-07-28 basic/transports/stdio. The checks of a request are those of the HTTP face (`classify`), on headers
made from the body itself, so that none of them is passed over and none can disagree.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Final

from msgspec import UNSET

from broker import telemetry
from broker.context import ServerContext
from broker.faces.classify import PROTOCOL_VERSION, VERSION_HEADER, Modern, Refusal, classify, stands_alone
from broker.faces.pipe_outbox import StatelessPipe, Write
from broker.faces.stateless_call import StatelessCall
from broker.faces.stateless_entry import away, session_key
from broker.faces.stateless_params import declared
from broker.faces.stateless_quota import entered
from broker.identity import Principal
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators import tree
from translators.errors import Refused
from translators.mirrored import headers_of
from translators.reply import broken

GONE: Final = "session-ended"
"""The reason of an end that nobody is there to be told of."""


class OneStatelessClient:
    """Requests that stand alone, from one client."""

    def __init__(self, context: ServerContext, principal: Principal, write: Write) -> None:
        self.context = context
        self.principal = principal
        self.relay = context.stateless_relay(StatelessPipe(context.numbers, write))
        self._write = write
        self._calls: dict[int | str, StatelessCall] = {}
        self._beginning: dict[int | str, asyncio.Task[None]] = {}
        """Requests that are no calls yet, because the backend's era has to be found out first."""
        self._closed = False

    def owns(self, frame: Frame) -> bool:
        """True for a message whose `_meta` names the revision it is written in, and for what cancels one of those."""
        if frame.method == "notifications/cancelled" and frame.id is UNSET:
            return self._cancels(frame) is not None
        return stands_alone(frame)

    def message(self, frame: Frame) -> bool:
        """One of its messages; True for a request that is in order."""
        if frame.id is UNSET:
            cancelled = self._cancels(frame) if frame.method == "notifications/cancelled" else None
            if cancelled is not None:
                self._cancel(cancelled)
            return False
        verdict = classify(frame, _headers(frame), self.context.revisions)
        if isinstance(verdict, Refusal):
            self._refuse(verdict, frame)
        if not isinstance(verdict, Modern):
            return False
        if self.context.watch.tapping:
            self.context.watch.frame("client", "in", self.context.name, frame)
        if self._is_open(frame.id):
            self._refuse(Refusal(400, jsonrpc.INVALID_REQUEST, DUPLICATE, "duplicate-id"), frame)
        else:
            self._beginning[frame.id] = asyncio.ensure_future(self._request(verdict, frame))
        return True

    def no_opening(self, frame: Frame) -> None:
        """`initialize` of a client that has shown that it is stateless."""
        stateless = tuple(version for version in self.context.revisions if version not in self.context.served)
        verdict = classify(frame, {}, stateless)
        assert isinstance(verdict, Refusal)
        self._refuse(verdict, frame)

    def close(self, reason: str = GONE) -> None:
        """The client is gone: everything is cancelled. One that may not go on has its calls answered with why."""
        if not self._closed:
            self._closed = True
            for call in list(self._calls.values()) if reason != GONE else ():
                self.relay.cut(call, broken(call.number, reason))
            for client_id in [*self._beginning, *self._calls]:
                self._cancel(client_id)
            self.relay.close()

    async def _request(self, verdict: Modern, frame: Frame) -> None:
        try:
            await self._begin(verdict, frame)
        except Exception as error:
            self.context.watch.bug(self.context.name, error)
            self._write(jsonrpc.encode(broken(frame.id, "internal")))  # type: ignore[arg-type]
        finally:
            if self._beginning.get(frame.id) is asyncio.current_task():  # type: ignore[arg-type]
                del self._beginning[frame.id]  # type: ignore[arg-type]

    async def _begin(self, verdict: Modern, frame: Frame) -> None:
        """Make a request a call, or answer it."""
        context = self.context
        assert frame.id is not UNSET
        bridged = not await context.stateless(client=True)
        gone = away(context) if bridged else None
        if gone is not None:
            self._refuse(gone, frame)
            return
        if verdict.method == "server/discover":
            key = self.relay.discovery_key(self.principal, declared(verdict.meta, self.principal)[0])
            kept = self.relay.discoveries.fresh(key, context.wheel.clock())
            if kept is not None:
                self._write(jsonrpc.encode(jsonrpc.response(frame.id, kept)))
                return
        entry = entered(context, self.principal, "", verdict, bridged=bridged)
        if isinstance(entry, Refusal):
            self._refuse(entry, frame)
            return
        call = self.relay.begin(
            modern=verdict,
            client_id=frame.id,
            caller=self.principal,
            round=entry.round,
            bridged=entry.bridged,
            session_key=session_key(context, {}, verdict) if entry.bridged else "",
            ticket=entry.ticket,
        )
        self._calls[frame.id] = call
        call.exchange.told = functools.partial(self._answered, call)
        try:
            call.start(entry.inner)
        except Exception as error:
            self.relay.bug(call, error)

    def _answered(self, call: StatelessCall) -> None:
        del self._calls[call.client_id]
        if call.fault:
            self._report(call.fault)

    def _audit(self, reason: str) -> None:
        self.context.refused(reason, self.principal)
        self._report(reason)

    def _report(self, reason: str) -> None:
        telemetry.audit("refused", reason=reason, principal=self.principal.id, backend=self.context.name)

    def _is_open(self, client_id: Any) -> bool:
        return client_id in self._calls or client_id in self._beginning

    def _cancels(self, frame: Frame) -> int | str | None:
        """The id of the open request that a cancellation names."""
        params: Any = frame.params if frame.params is not UNSET else {}
        asked = tree.deep(params.get("requestId"))
        return asked if type(asked) in (int, str) and self._is_open(asked) else None

    def _cancel(self, client_id: int | str) -> None:
        """Nobody waits for this request any more."""
        task, call = self._beginning.pop(client_id, None), self._calls.pop(client_id, None)
        if task is not None:
            task.cancel()
        if call is not None:
            self.relay.leave(call)

    def _refuse(self, refusal: Refusal, frame: Frame) -> None:
        self._audit(refusal.reason)
        data = {"origin": "broker", "reason": refusal.reason, **refusal.data}
        self._write(jsonrpc.encode(jsonrpc.error_response(frame.id, refusal.code, refusal.message, data)))


DUPLICATE = "Invalid Request: a request with this id is still open"


class _Headers(dict[str, str]):
    """Looks names up without case, as HTTP does."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and super().__contains__(key.lower())


def _headers(frame: Frame) -> _Headers:
    """What the headers of this request would say."""
    params: Any = frame.params if frame.params is not UNSET else {}
    meta = tree.shallow(params.get("_meta"))
    said = tree.deep(meta.get(PROTOCOL_VERSION)) if isinstance(meta, dict) else None
    found = _Headers()
    if isinstance(said, str):
        found[VERSION_HEADER.lower()] = said
    try:
        found.update((name.lower(), value) for name, value in headers_of(str(frame.method), params, None))
    except Refused:
        found["mcp-method"] = str(frame.method)
    return found
