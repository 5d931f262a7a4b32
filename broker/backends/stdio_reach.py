"""A backend that is a command: a process for each session, one for all stateless requests, and one to ask for its era.

Some servers end on anything before `initialize`, and some keep the era of the first message they read, so the question
is put to a process of its own: it serves stateless requests if it says that it can, and is ended otherwise. A session
is opened without asking, because a server without sessions says so itself. Invariants: processes that end soon after
their start are started again ever more slowly; `close` returns when every process has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import UNSET

from broker.backends.base import ChannelOwner, Legs, Observer, Owner, SessionBackend, StatelessOwner, Who
from broker.backends.channel_session import ChannelSession
from broker.backends.child import CLOSE_S, TERMINATE_S, Child, Command
from broker.backends.hidden import NOTHING, Hidden
from broker.backends.stdio_pipe import SharedPipe, StdioLegs
from broker.era_question import new_id, question
from broker.era_signs import MODERN, Verdict, classify
from broker.wheel import Wheel
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import WireLimits

PROBE_S = 20.0
"""How long a new process may take to answer `server/discover`; package runners install before they start."""

SOUND_S = 60.0
"""A process that lived so long was sound: the next one is started at once."""

BACKOFF_S = (0.5, 60.0)
"""The pause before a process takes the place of one that ended early, doubled up to the second value."""

SWEEP_S = 1.0
"""How often waiting calls are looked through."""

JSON = {"content-type": "application/json"}


class StdioReach:
    """One command. Times in seconds; `log(line, dropped)` takes standard error, `violation(reason)` what is no MCP."""

    def __init__(
        self,
        command: Command,
        wire: WireLimits,
        client_info: Mapping[str, Any],
        wheel: Wheel,
        *,
        limits: Any,
        log: Callable[[str, int], None],
        violation: Callable[[str], None],
        hidden: Hidden = NOTHING,
    ) -> None:
        self.identity = f"stdio:{' '.join(command.argv)}"
        self.wire = wire
        self.hidden = hidden
        self.head_s: float = limits.call_head_s
        self.total_s: float = limits.call_total_s
        self.start_s: float = limits.start_s
        self.wait_s: float = limits.park_s
        self.violation = violation
        self._max_unread: int = limits.channel_waiting_bytes
        self.sessions: set[ChannelSession] = set()
        self._command = command
        self._client_info = dict(client_info)
        self._wheel = wheel
        self._log = log
        self._shared = SharedPipe(self)
        self._children: set[Child] = set()
        self._started = 0.0
        self._early = 0
        self._closed = False
        self._sweeping = False

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self._wheel.clock()

    greets_first = True

    @property
    def processes(self) -> int:
        """How many of the command run now."""
        return len(self._children)

    def session(self, owner: Owner, *, patient: bool = False, who: Who | None = None) -> SessionBackend:  # noqa: ARG002
        """A session, with a process of its own as soon as it is initialized."""
        session = ChannelSession(self, owner, patient=patient)
        self.sessions.add(session)
        return session

    def legs(self, owner: StatelessOwner, *, observer: Observer | None = None, who: Who | None = None) -> Legs:  # noqa: ARG002
        """Stateless requests, all to one process."""
        return StdioLegs(self._shared, owner, observer)

    def spawn(self, owner: ChannelOwner, *, quiet: bool = False) -> Child:
        """A process that is started now, or soon if the last ones did not live. `quiet`: its errors are not logged.

        Once the way is closed it is one that has ended, and is never started.
        """
        log = (lambda _line, _dropped: None) if quiet else self._log
        child = Child(self._command, owner, max_line=self.wire.backend_body, max_unread=self._max_unread, log=log)
        if self._closed:
            self.dismiss(child)
            return child
        self._children.add(child)
        began = self.now()
        self._early = 0 if self._started and began - self._started > SOUND_S else self._early
        self._started = began

        def over(_done: asyncio.Future[None]) -> None:
            self._children.discard(child)
            if self.now() - began < SOUND_S and not child.dismissed:
                self._early += 1

        child.ended.add_done_callback(over)
        delay_s = min(BACKOFF_S[0] * 2 ** min(self._early - 1, 10), BACKOFF_S[1]) if self._early else 0.0
        child.start(after_s=delay_s)
        if not self._sweeping:
            self._sweeping = True
            self._wheel.add(began + SWEEP_S, self._sweep)
        return child

    def dismiss(self, child: Child) -> None:
        """End a process that nobody needs any more."""
        child.dismissed = True
        child.end()

    async def verdict(self) -> Verdict:
        """What a process of its own says to `server/discover`."""
        probe = _Probe(self.wire)
        child = self.spawn(probe, quiet=True)
        child.write(jsonrpc.encode(question(new_id(), MODERN[-1], self._client_info)))
        try:
            line = await asyncio.wait_for(probe.answer, PROBE_S)
        except TimeoutError:
            line = b""
        except asyncio.CancelledError:
            self.dismiss(child)
            raise
        verdict = classify(200, JSON, line)
        if verdict.kind == "modern" and self._shared.child is None and not child.closed and not self._closed:
            child.hand_over(self._shared, self._log)
            self._shared.child = child
        else:
            self.dismiss(child)
        return Verdict(kind="legacy", reason="refused", candidate=True) if verdict.kind == "retry" else verdict

    async def settle(self) -> bool:
        """A command has one transport."""
        return True

    async def close(self) -> None:
        """End every process and wait for it."""
        self._closed = True
        children = list(self._children)
        for child in children:
            self.dismiss(child)
        if children:
            ended = [child.ended for child in children]
            await asyncio.wait(ended, timeout=CLOSE_S + TERMINATE_S + 1.0)
            for child in children:
                if not child.ended.done():
                    child.kill()

    def _sweep(self) -> None:
        now = self.now()
        try:
            self._shared.sweep(now)
            for session in list(self.sessions):
                session.sweep(now)
        finally:  # a fault met at one call leaves the others to the next time
            self._sweeping = bool(self._children) and not self._closed
            if self._sweeping:
                self._wheel.add(now + SWEEP_S, self._sweep)


class _Probe:
    """Waits for the first message of a process; lines that are none are passed over."""

    def __init__(self, wire: WireLimits) -> None:
        self._wire = wire
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def channel_line(self, line: bytes) -> None:
        """A line: the answer, if it is a response."""
        try:
            frame = jsonrpc.decode_backend(line, self._wire)
        except jsonrpc.Refused:
            return
        if frame.method is UNSET and not self.answer.done():
            self.answer.set_result(line)

    def channel_ended(self, reason: str) -> None:  # noqa: ARG002
        """It does not live with such questions."""
        if not self.answer.done():
            self.answer.set_result(b"")

    def channel_refused(self, call: int, reason: str, executed: Literal["no", "unknown"]) -> None:
        """A pipe refuses nothing."""

    def channel_violation(self, reason: str) -> None:
        """What else it says is of no interest here."""
