"""What is certain for clients without sessions before a server with them, before any call.

Follows 2026-07-28 basic/patterns (mrtr, subscriptions) and server/utilities over 2025-11-25 basic/transports. What is
said is what the pool of sessions decides from the same facts (`broker.backends.session_pool`). Invariant: no finding
is about a message; those are the table's.
"""

from __future__ import annotations

from typing import Final

import msgspec

from broker.backends.session_policy import SessionPolicy
from broker.report_finding import Finding, Verdict
from protocol_versions import by_id
from protocol_versions.base import notification
from translators.hygiene.results import MAX_COMPLETIONS
from translators.stateless_client.rounds import MAX_ROUNDS
from translators.tree import Body

QUESTIONS: Final = ("elicitation/create", "sampling/createMessage", "roots/list")
NO_STREAM: Final = "the server has no standing stream"


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """What a server's session offers: an id, answers that come as streams, a standing stream that can be read."""

    session: bool
    streams: bool
    standing: bool


class Bridge(msgspec.Struct, frozen=True, kw_only=True):
    """The session a request would use: what the server offers, and what the operator chose."""

    ways: Ways
    policy: SessionPolicy


def cannot_ask(bridge: Bridge) -> str:
    """Why the server can ask no client, empty if it can."""
    ways, policy = bridge.ways, bridge.policy
    if policy.session == "shared":
        return "all callers share a session (session: shared)"
    if policy.park == "off":
        return "the operator lets it ask nobody (park: off)"
    if not ways.session:
        return "the server gives no session id, so that an answer would go nowhere"
    if not ways.streams and policy.park != "on":
        return "the server answers in plain JSON, so that a question would go nowhere"
    return ""


def announced(declared: Body) -> list[str]:
    """What a server's capabilities promise to announce, as `tools.listChanged`."""
    return sorted(
        f"{kind}.{member}"
        for kind, said in declared.items()
        for member in ("listChanged", "subscribe")
        if isinstance(said, dict) and said.get(member) is True
    )


def between(bridge: Bridge, server: str, declared: Body, shown: Body) -> tuple[Finding, ...]:
    """Everything that is kept between the two or lost there, whatever is called.

    `declared` are the capabilities of the server, `shown` those that the client sees.
    """
    policy = bridge.policy
    found: list[tuple[str, Verdict, str]] = [("sessions", "degraded", _sessions(policy))]
    if not cannot_ask(bridge):
        found += [
            ("suspended calls", "emulated", _suspended(policy)),
            ("whose question", "emulated", _ATTRIBUTION[policy.attribution]),
            ("questions outside calls", "degraded", _UNSOLICITED[policy.unsolicited]),
        ]
    if by_id(server).knows(notification("notifications/elicitation/complete")):
        found.append(("pages to visit", "emulated", "-32042 becomes a round of them, and the call is made again"))
    promised = announced(declared)
    if promised and bridge.ways.standing:
        found.append(("announcements", "emulated", f"on subscriptions/listen: {', '.join(promised)}"))
    elif promised:
        found.append(("announcements", "refused", f"{NO_STREAM}: nothing comes of {', '.join(promised)}"))
    found += [
        ("cache hints", "emulated", _hints(bridge)),
        ("log messages", "degraded", "those of a call alone, from the level its request asks for"),
    ]
    if "completions" in shown:
        found.append(("completion values", "degraded", f"the first {MAX_COMPLETIONS} of an answer"))
    return tuple(Finding(name=name, verdict=verdict, said=(said,)) for name, verdict, said in found)


def _sessions(policy: SessionPolicy) -> str:
    if policy.session == "wrap":
        return "one for each request, so that nothing the server remembers outlives it (session: wrap)"
    if policy.session == "shared":
        return "one for all callers, who share what the server remembers (session: shared)"
    own = f"header {policy.key_header}" if policy.key_header else f"_meta {policy.key_meta}" if policy.key_meta else ""
    apart = f", apart by {own}" if own else ""
    return f"all requests of a caller share what the server remembers{apart} (session: pooled)"


def _suspended(policy: SessionPolicy) -> str:
    return (
        f"wait {policy.park_s:g} s for the answers of a round, {MAX_ROUNDS} rounds at most; "
        "a restart or a lost session ends them"
    )


_ATTRIBUTION: Final = {
    "auto": "calls of a server that asks on its standing stream get a session each (attribution: auto)",
    "exclusive": "calls get a session each while they are open (attribution: exclusive)",
    "newest": "one on the standing stream is taken for the newest call's (attribution: newest)",
}
_UNSOLICITED: Final = {
    "error": "end in an error (unsolicited: error), save those of the set-up, which wait for a call",
    "cancel": "are cancelled if they elicit (unsolicited: cancel); those of the set-up wait for a call",
}


def _hints(bridge: Bridge) -> str:
    policy = bridge.policy
    if policy.list_ttl_ms and bridge.ways.standing and policy.session != "wrap":
        return f"lists whose changes are announced may be kept for {policy.list_ttl_ms} ms (list_ttl_ms)"
    return "lists and resources are stale at once, and for this caller alone"
