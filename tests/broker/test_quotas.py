"""Quotas by themselves: what counts as one, what is over, and for how long (security catalogue C158, C202)."""

from __future__ import annotations

from typing import Any

import pytest

from broker.addresses import Addresses, counted_as
from broker.quotas import Over, Quotas, Rule, Ticket
from broker.quotas.store import Memory, read_rate
from broker.settings import Settings, SettingsError
from broker.settings_quotas import Forwarded


class Clock:
    """Monotonic seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def quotas(*rules: dict[str, Any], most: int = 1_000, at_once: int = 0) -> tuple[Quotas, Clock]:
    clock = Clock()
    found = [
        Rule(**{"name": f"r{number}", **rule, "rate": read_rate(rule["rate"]) if "rate" in rule else None})
        for number, rule in enumerate(rules)
    ]
    return Quotas(tuple(found), Memory(most, clock), at_once=at_once), clock


def fits(here: Any, count: int, *asked: str) -> int:
    """How many of `count` requests are admitted."""
    return sum(type(here.admit(*asked)) is not Over for _ in range(count))


CALL = ("key:ann", "10.0.0.1", "tools/call", "search")


@pytest.mark.parametrize(
    ("per", "others_same", "others_apart"),
    [
        (("principal",), [("key:ann", "10.9.9.9", "ping2", "x")], [("key:bob", *CALL[1:])]),
        (("address",), [("key:bob", *CALL[1:])], [("key:ann", "10.0.0.2", *CALL[2:])]),
        (("tool",), [("key:bob", "10.0.0.2", *CALL[2:])], [(*CALL[:3], "other")]),
        (("principal", "tool"), [(CALL[0], "10.0.0.2", *CALL[2:])], [(*CALL[:3], "other"), ("key:bob", *CALL[1:])]),
        ((), [("key:bob", "10.0.0.2", "tools/list", "")], []),
    ],
)
def test_c158_a_limit_counts_what_it_is_per_and_nothing_else(
    per: tuple[str, ...], others_same: list[tuple[str, ...]], others_apart: list[tuple[str, ...]]
) -> None:
    all_of_them, _ = quotas({"rate": "5/minute", "per": per})
    here = all_of_them.of("one")
    assert fits(here, 8, *CALL) == 5
    for asked in others_same:
        assert fits(here, 1, *asked) == 0
    for asked in others_apart:
        assert fits(here, 8, *asked) == 5


def test_c158_servers_share_their_counts_unless_a_limit_is_per_server() -> None:
    shared, _ = quotas({"rate": "5/minute"})
    assert fits(shared.of("one"), 3, *CALL) + fits(shared.of("two"), 8, *CALL) == 5
    apart, _ = quotas({"rate": "5/minute", "per": ("server",)})
    assert fits(apart.of("one"), 8, *CALL) == fits(apart.of("two"), 8, *CALL) == 5


@pytest.mark.parametrize(
    ("globs", "covered", "free"),
    [
        ({"tools": ("ex_*",)}, ("key:a", "", "tools/call", "ex_1"), ("key:a", "", "tools/call", "cheap")),
        ({"tools": ("ex_*",)}, ("key:a", "", "tools/call", "ex_1"), ("key:a", "", "tools/list", "")),
        ({"methods": ("resources/*",)}, ("key:a", "", "resources/read", ""), ("key:a", "", "tools/list", "")),
        ({"principals": ("token:*",)}, ("token:x y", "", "tools/list", ""), ("key:a", "", "tools/list", "")),
        ({}, ("key:a", "", "tools/list", ""), ("key:a", "", "server/discover", "")),
        ({}, ("key:a", "", "initialize", ""), ("key:a", "", "ping", "")),
        ({"methods": ("ping",)}, ("key:a", "", "ping", ""), ("key:a", "", "tools/list", "")),
        ({"per": ("address",)}, ("", "1.1.1.1", "authorization", ""), ("key:a", "1.1.1.2", "tools/list", "")),
    ],
)
def test_a_limit_is_about_what_its_globs_match(
    globs: dict[str, Any], covered: tuple[str, ...], free: tuple[str, ...]
) -> None:
    all_of_them, _ = quotas({"rate": "1/minute", **globs})
    here = all_of_them.of("one")
    assert fits(here, 3, *covered) == 1
    assert fits(here, 1, *free) == 1


def test_who_could_not_be_named_counts_for_the_address_alone() -> None:
    all_of_them, _ = quotas({"rate": "1/minute"}, {"rate": "2/minute", "per": ("address",)})
    here = all_of_them.of("one")
    assert fits(here, 5, "", "1.1.1.1", "authorization") == 2


@pytest.mark.parametrize("rate", ["1/second", "5/second", "7/minute", "600/minute", "10 per 3 minutes"])
def test_the_wait_that_is_told_is_neither_too_short_nor_much_too_long(rate: str) -> None:
    all_of_them, clock = quotas({"rate": rate})
    here = all_of_them.of("one")
    for _ in range(6):
        while True:
            over = here.admit(*CALL)
            if isinstance(over, Over):
                break
        assert 0 < over.retry_after_s <= 2 * read_rate(rate).get_expiry()
        clock.now += max(0.0, over.retry_after_s - 0.01)
        if over.retry_after_s > 0.011:
            assert isinstance(here.admit(*CALL), Over)
        clock.now += 0.011
        assert not isinstance(here.admit(*CALL), Over)


def test_no_window_of_time_has_more_than_a_rate_allows() -> None:
    all_of_them, clock = quotas({"rate": "100/minute"})
    here, taken = all_of_them.of("one"), []
    for _ in range(3_000):
        clock.now += 0.1
        if not isinstance(here.admit(*CALL), Over):
            taken.append(clock.now)
    most = max(sum(start <= at < start + 60 for at in taken) for start in taken)
    assert most == 100
    assert len(taken) == 500


def test_what_is_refused_counts_nowhere() -> None:
    all_of_them, _ = quotas({"rate": "2/minute"}, {"rate": "5/minute", "per": ("address",)})
    here = all_of_them.of("one")
    assert fits(here, 50, *CALL) == 2
    assert fits(here, 50, "key:bob", *CALL[1:]) == 2
    assert fits(here, 50, "key:eve", *CALL[1:]) == 1


def test_c202_calls_at_once_are_held_until_they_are_over() -> None:
    all_of_them, _ = quotas({"concurrent": 2, "per": ("tool",)}, at_once=3)
    here, there = all_of_them.of("one"), all_of_them.of("two")
    held = [here.admit(*CALL), there.admit(*CALL)]
    over = here.admit("key:bob", *CALL[1:])
    assert isinstance(over, Over)
    assert (over.reason, over.rule) == ("concurrency", "r0")
    held.append(here.admit(*CALL[:3], "other"))
    over = here.admit(*CALL[:3], "third")
    assert isinstance(over, Over)
    assert over.rule == "calls_per_principal"
    for ticket in held:
        assert isinstance(ticket, Ticket)
        ticket.leave()
        ticket.leave()
    assert all_of_them.running == {}
    assert fits(here, 3, *CALL) == 2


def test_keys_are_bounded_and_whoever_comes_late_shares_a_counter_until_others_have_run_out() -> None:
    all_of_them, clock = quotas({"rate": "5/minute", "per": ("address",)}, most=100)
    here = all_of_them.of("one")
    admitted = sum(
        fits(here, 1, "key:x", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "m") for number in range(10_000)
    )
    assert admitted == 105
    assert len(all_of_them.store.windows) <= 105  # type: ignore[union-attr]
    clock.now += 200
    assert fits(here, 8, "key:x", "11.0.0.1", "m") == 5
    assert len(all_of_them.store.windows) == 5  # type: ignore[union-attr]


def test_an_ipv6_client_has_one_counter_for_all_addresses_of_its_network() -> None:
    all_of_them, _ = quotas({"rate": "5/minute", "per": ("address",)})
    here = all_of_them.of("one")
    assert sum(fits(here, 1, "key:x", f"2001:db8::{number:x}", "m") for number in range(50)) == 5
    assert counted_as("2001:db8:0:1::5") != counted_as("2001:db8:0:2::5")


def test_a_retry_is_no_new_call_but_its_repetitions_are() -> None:
    all_of_them, _ = quotas({"rate": "5/minute"})
    here = all_of_them.of("one")
    assert [here.first_time("a"), here.first_time("a"), here.first_time("b")] == [True, False, True]


NETWORKS = Forwarded(trusted=("10.0.0.0/8", "::1")).addresses()
STANDARD = Forwarded(trusted=("10.0.0.0/8",), header="Forwarded").addresses()


@pytest.mark.parametrize(
    ("reader", "peer", "said", "client"),
    [
        (Addresses(), "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        (NETWORKS, "10.0.0.1", "", "10.0.0.1"),
        (NETWORKS, "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (NETWORKS, "::1", "1.2.3.4", "1.2.3.4"),
        (NETWORKS, "::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (NETWORKS, "9.9.9.9", "1.2.3.4", "9.9.9.9"),  # nobody's word but a proxy's
        (NETWORKS, "10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),  # what the client itself wrote is before that
        (NETWORKS, "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.7", "1.2.3.4"),
        (NETWORKS, "10.0.0.1", "10.0.0.9, 10.0.0.7", "10.0.0.9"),
        (NETWORKS, "10.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
        (NETWORKS, "10.0.0.1", "[2001:db8::1]:5678", "2001:db8::1"),
        (NETWORKS, "10.0.0.1", "1.2.3.4, unknown", "10.0.0.1"),
        (NETWORKS, "10.0.0.1", "nonsense", "10.0.0.1"),
        (STANDARD, "10.0.0.1", 'for=6.6.6.6, for="[2001:db8::1]:47";proto=https', "2001:db8::1"),
        (STANDARD, "10.0.0.1", "proto=https;for=1.2.3.4", "1.2.3.4"),
        (STANDARD, "10.0.0.1", "1.2.3.4", "10.0.0.1"),
    ],
)
def test_c158_a_clients_address_is_what_trusted_proxies_say(
    reader: Addresses, peer: str, said: str, client: str
) -> None:
    assert reader.of(peer, said) == client


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ({"rules": [{"name": "a"}]}, "quotas.rules.0"),
        ({"rules": [{"name": "a", "rate": "many"}]}, "quotas.rules.0.rate"),
        ({"rules": [{"name": "a", "rate": "0/minute"}]}, "quotas.rules.0.rate"),
        ({"rules": [{"name": "a", "rate": "5/month"}]}, "quotas.rules.0.rate"),
        ({"rules": [{"name": "a", "rate": "5/minute; 9/hour"}]}, "quotas.rules.0.rate"),
        ({"rules": [{"name": "a", "rate": "5/minute", "per": ["moon"]}]}, "quotas.rules.0.per"),
        ({"rules": [{"name": "a", "rate": "5/minute", "per": ["tool", "tool"]}]}, "quotas.rules.0"),
        ({"rules": [{"name": "a", "rate": "5/minute", "tools": []}]}, "quotas.rules.0.tools"),
        ({"rules": [{"name": "a", "rate": "5/minute"}, {"name": "a", "concurrent": 1}]}, "quotas.rules"),
    ],
)
def test_a_rule_that_limits_nothing_or_cannot_be_read_is_refused(section: dict[str, Any], wrong: str) -> None:
    with pytest.raises(SettingsError) as found:
        Settings.for_proxy("http://127.0.0.1:1/mcp", quotas=section)
    assert wrong in str(found.value)


def test_a_proxy_that_is_trusted_is_named_by_its_network() -> None:
    for trusted in ([], ["everybody"], ["10.0.0.1/8"]):
        with pytest.raises(SettingsError):
            Settings.for_proxy("http://127.0.0.1:1/mcp", forwarded={"trusted": trusted})
