"""Sessions end by DELETE, idleness and age; belong to one principal; and are limited in number."""

from __future__ import annotations

import itertools
import re

import pytest

from broker import telemetry
from broker.hooks.runner import Runner
from broker.identity import Principal
from broker.outbox import Outbox
from broker.relay import Relay
from broker.sessions import SWEEP_S, Session, Sessions, TooManySessions
from broker.watch import Watch
from protocol_versions import by_id
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.http1_world import Clock
from translators.conversation import Conversation
from translators.handshake import Peers

REVISION = "2025-06-18"


class Registry:
    """Real sessions under a clock moved by hand."""

    def __init__(self, *, per_principal: int = 10, total: int = 20) -> None:
        self.clock = Clock()
        self.ended: list[tuple[str, str]] = []
        self.sessions = Sessions(
            self.clock.wheel,
            ttl_s=100,
            lifetime_s=1000,
            per_principal=per_principal,
            total=total,
            event_store_s=50,
            on_end=lambda session, why: self.ended.append((session.id, why)),
        )

    def add(self, principal: str = "ada") -> Session:
        with self.sessions.place(principal):
            return self._add(principal)

    def _add(self, principal: str) -> Session:
        outbox = Outbox(by_id(REVISION).traits, itertools.count(1), max_events=10, max_bytes=1000)
        talk = Conversation(Peers(client=REVISION, offer=REVISION))
        hooks, watch = Runner((), DEFAULT_LIMITS), Watch(telemetry, None, 1000)
        relay = Relay(talk, outbox, hooks, self.clock.wheel, watch, who=Principal(principal, "key"), name="default")
        session = Session(principal, REVISION, relay, self.clock.now)
        self.sessions.add(session)
        return session

    def sweep_until(self, seconds: float) -> None:
        for _ in range(int(seconds / SWEEP_S) + 1):
            self.clock.advance(SWEEP_S)


def test_ids_are_random_visible_and_never_the_same() -> None:
    here = Registry()
    ids = {here.add().id for _ in range(10)}
    assert len(ids) == 10
    assert all(re.fullmatch(r"[!-~]{32}", found) for found in ids)  # 192 bits


def test_a_session_is_found_by_its_own_principal_only() -> None:
    here = Registry()
    session = here.add("ada")
    assert here.sessions.find(session.id, "ada") is session
    assert here.sessions.find(session.id, "bob") is None
    assert here.sessions.find("x", "ada") is None


def test_a_session_nobody_uses_ends_and_one_that_is_used_does_not() -> None:
    here = Registry()
    idle, used = here.add(), here.add()
    for _ in range(10):
        here.clock.advance(SWEEP_S)
        here.sessions.find(used.id, "ada")
    assert here.ended == [(idle.id, "idle")]
    assert here.sessions.find(idle.id, "ada") is None
    assert len(here.sessions) == 1


def test_a_session_with_an_open_call_or_stream_is_not_idle() -> None:
    here = Registry()
    calling, listening = here.add(), here.add()
    exchange = calling.outbox.open(1)
    stream = listening.outbox.stand()
    holder = stream.attach()
    here.sweep_until(300)
    assert here.ended == []
    assert here.sessions.busy() == 1
    del calling.outbox.exchanges[exchange.id]
    stream.detach(holder)
    here.sweep_until(150)
    assert sorted(why for _, why in here.ended) == ["idle", "idle"]


def test_a_session_ends_at_the_end_of_its_life_however_busy_it_is() -> None:
    here = Registry()
    session = here.add()
    session.outbox.open(1)
    here.sweep_until(1030)
    assert here.ended == [(session.id, "lifetime")]
    assert session.relay.talk.phase == "ended"


async def test_finished_streams_of_a_busy_session_expire_too() -> None:
    here = Registry()
    session = here.add()
    session.outbox.stand().attach()
    exchange = session.outbox.open(1)
    session.outbox.send(exchange.id, b"note", final=False)
    session.outbox.send(exchange.id, b"answer", final=True)
    assert session.outbox.resume("p2-1") is not None
    stream = session.outbox.resume("p2-1")
    assert stream is not None
    stream.done_at = here.clock.now
    here.sweep_until(70)
    assert session.outbox.resume("p2-1") is None
    assert here.ended == []


def test_limits_hold_for_each_principal_and_for_all() -> None:
    here = Registry(per_principal=2, total=3)
    first = here.add("ada")
    here.add("ada")
    with pytest.raises(TooManySessions):
        here.add("ada")
    here.add("bob")
    with pytest.raises(TooManySessions):
        here.add("eve")
    here.sessions.end(first, "deleted")
    here.add("ada")


def test_sessions_that_are_being_opened_count_until_they_are_given_up() -> None:
    here = Registry(per_principal=2, total=3)
    with here.sessions.place("ada"), here.sessions.place("ada"):
        with pytest.raises(TooManySessions):
            here.add("ada")
        here.add("bob")
        with pytest.raises(TooManySessions):
            here.add("eve")
    here.add("ada")
    here.add("ada")


def test_room_is_made_by_ending_what_is_idle() -> None:
    here = Registry(per_principal=1)
    idle = here.add()
    here.clock.now += 101  # no sweep has come by yet
    here.add()
    assert here.ended == [(idle.id, "idle")]


def test_ending_a_session_twice_ends_it_once() -> None:
    here = Registry()
    session = here.add()
    here.sessions.end(session, "deleted")
    here.sessions.end(session, "deleted")
    here.add()
    here.sessions.end_all("shutdown")
    assert [why for _, why in here.ended] == ["deleted", "shutdown"]
    assert len(here.sessions) == 0
