"""Rules and sanitising that change under open streams: whoever may see another list is told, and nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.hooks.base import Caller, Hook, Pattern
from broker.hooks.definitions import Definitions, Seen
from broker.hooks.filter_names import FilterNames, Rule
from broker.hooks.inject_context import InjectContext, Injection, Source
from broker.relisted import Views
from tests.broker.bridge_world import Server
from tests.broker.crossing_world import ACKNOWLEDGED, Listened, completes, discovery
from tests.broker.http1_world import within
from tests.broker.modern_world import ask
from tests.broker.pair_world import PairClient
from tests.broker.reload_world import Here, serving
from tests.broker.rules_world import ANN, policy, section
from tests.broker.scripted_backend import Asked, Json

LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")
KEYS: Json = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
OFFERS: Json = {"tools": {"listChanged": True}, "prompts": {"listChanged": True}, "resources": {"listChanged": True}}
TOOLS: Json = {"tools": [{"name": "x", "inputSchema": {"type": "object"}}]}
WANTED: Json = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
NO_PROMPTS = "deny kind == 'prompt' && name == 'secret'"
"""What ends a test: a change that everybody is told of."""

Hears = Callable[[], Awaitable[str]]


class Two:
    """The backend of the server `two`, as helpers of one backend want it."""

    def __init__(self, here: Here) -> None:
        self.backend = here.two


@asynccontextmanager
async def announcing(
    tmp_path: Path, *, stateless: bool = False, offers: Json | None = None, **members: Any
) -> AsyncIterator[Here]:
    async with serving(tmp_path, keys=KEYS, **members) as here:
        offers = OFFERS if offers is None else offers
        if stateless:
            here.two.on("server/discover", completes(**discovery(offers)))
            here.two.on("subscriptions/listen", Listened())
            here.two.on("tools/list", completes(**TOOLS))
            here.two.on("prompts/list", completes(prompts=[]))
        else:
            here.two.capabilities = offers
            Server(Two(here))  # type: ignore[arg-type]
            here.two.on("tools/list", lambda asked: asked.result(TOOLS))
        yield here


async def listens(here: Here, kind: str, name: str = "ann", *, stateless: bool = False) -> Hears:
    """A client that hears of changes; what it gives is the kind of the next list that has changed."""
    client = here.client("two")
    client.headers = {"Authorization": f"Bearer {name}"}
    if kind == "pair":
        pair = PairClient(here, "/servers/two/sse", **client.headers)  # type: ignore[arg-type]
        await pair.open()
        stream = pair.stream
    elif kind == "listen":
        stream = await ask(client, "subscriptions/listen", {"notifications": WANTED}, id="mine")
        assert (await stream.message())["method"] == ACKNOWLEDGED
    else:
        await client.open(kind)
        stream = await client.send("GET", Accept="text/event-stream")
        await here.two.next("subscriptions/listen" if stateless else "GET")

    async def hears() -> str:
        message = await within(stream.message())
        if kind == "listen":
            assert message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "mine"
        assert "id" not in message
        return str(message["method"]).removeprefix("notifications/").removesuffix("/list_changed")

    return hears


def reload(here: Here, *lines: str, **members: Any) -> None:
    here.write(policy=section(*lines), **members)
    assert here.reload.now() is not None


@pytest.mark.parametrize("stateless", [False, True])
@pytest.mark.parametrize("kind", [*LEGACY, "pair", "listen"])
async def test_a_client_is_told_of_the_lists_that_are_others_for_it_and_of_no_other(
    kind: str, stateless: bool, tmp_path: Path
) -> None:
    async with announcing(tmp_path, stateless=stateless) as here:
        ann, bob = [await listens(here, kind, name, stateless=stateless) for name in ("ann", "bob")]
        reload(here, "deny kind == 'tool' && name == 'x' && principal == 'key:bob'")
        assert await bob() == "tools"
        reload(here, "deny kind == 'tool' && principal == 'key:bob' && name == 'x'", NO_PROMPTS)
        assert await ann() == "prompts"
        assert await bob() == "prompts"
        assert await bob() == "tools"  # the same in other words: that cannot be told from another rule


@pytest.mark.parametrize("stateless", [False, True])
@pytest.mark.parametrize("kind", ["2025-11-25", "listen"])
async def test_rules_that_mean_the_same_for_a_caller_are_no_news(kind: str, stateless: bool, tmp_path: Path) -> None:
    first = ("deny kind == 'tool' && name == 'x'", "deny method == 'completion/complete'")
    async with announcing(tmp_path, stateless=stateless, policy=section(*first)) as here:
        ann = await listens(here, kind, stateless=stateless)
        reload(here, *first[::-1])
        reload(here, *first, "deny principal == 'key:bob'")
        reload(here, *first, "allow kind == 'tool'")
        reload(here, *first, "deny method == 'tools/call' && kind == ''")
        reload(here, *first, NO_PROMPTS)
        assert await ann() == "prompts"


@pytest.mark.parametrize("stateless", [False, True])
@pytest.mark.parametrize("kind", ["2025-11-25", "listen"])
async def test_nobody_is_told_of_what_they_may_not_ask_for_or_was_not_promised(
    kind: str, stateless: bool, tmp_path: Path
) -> None:
    offers = {"tools": {"listChanged": True}, "prompts": {"listChanged": True}, "resources": {}}
    async with announcing(tmp_path, stateless=stateless, offers=offers) as here:
        if stateless:
            here.two.on("subscriptions/listen", agrees_to("toolsListChanged", "promptsListChanged"))
        ann = await listens(here, kind, stateless=stateless)
        reload(here, "deny method == 'tools/list'", "deny kind == 'resource' && name == 'file:///x'")
        reload(here, "deny method == 'tools/list'", NO_PROMPTS)
        assert await ann() == "prompts"


def agrees_to(*flags: str) -> Callable[[Asked], Awaitable[None]]:
    async def answer(asked: Asked) -> None:
        await asked.stream()
        agreed = {flag: True for flag in flags if asked.message["params"]["notifications"].get(flag)}
        await asked.event({"method": ACKNOWLEDGED, "params": {"notifications": agreed}})

    return answer


async def test_a_session_before_a_stateless_server_is_told_only_if_it_would_read_another_list(tmp_path: Path) -> None:
    async with announcing(tmp_path, stateless=True) as here:
        client = here.client("two")
        client.headers = {"Authorization": "Bearer ann"}
        await client.open()
        stream = await client.send("GET", Accept="text/event-stream")
        await here.two.next("subscriptions/listen")
        for number, method in enumerate(("tools/list", "prompts/list")):
            assert (await client.post({"id": number, "method": method})).status == 200
        reload(here, "deny kind == 'prompt' && name == 'none has this name'")
        reload(here, "deny kind == 'tool' && name == 'x'")
        assert (await within(stream.message()))["method"] == "notifications/tools/list_changed"


async def test_what_is_sanitised_of_lists_changes_them_for_those_who_may_not_see_it(tmp_path: Path) -> None:
    clearance = {"levels": ["low", "high"], "grants": [{"level": "high", "principals": ["key:bob"]}]}
    action = {"low": "redact", "high": "allow"}
    async with announcing(tmp_path, clearance=clearance) as here:
        ann, bob = await listens(here, "2025-11-25"), await listens(here, "2025-11-25", "bob")
        here.write(sanitise={"rules": [{"find": ["email"], "methods": ["tools/*"], "action": action}]})
        assert here.reload.now() is not None
        assert await ann() == "tools"
        here.write(clearance={"levels": ["low", "high"]})
        assert here.reload.now() is not None
        assert await bob() == "tools"
        reload(here, NO_PROMPTS)
        assert [await ann(), await bob()] == ["prompts", "prompts"]


# ---- what hooks say of themselves -----------------------------------------------------------------------------------


class Lists(Hook):
    slots = (Pattern("result", "tools/list", "client"),)


def views(before: list[Hook], now: list[Hook], caller: Caller = ANN) -> frozenset[str]:
    return Views(before, now).changed(caller)


def test_a_hook_of_ones_own_shows_what_it_did_for_as_long_as_it_is_the_same() -> None:
    one, other = Lists(), Lists()
    assert views([one], [one]) == frozenset()
    assert views([one], [other]) == views([one], []) == views([], [one]) == {"tools"}


def test_filters_and_injections_are_compared_by_what_they_leave_out() -> None:
    some, same, others = (FilterNames({"templates": Rule(deny=(glob,))}) for glob in ("a*", "a*", "b*"))
    assert views([some], [same]) == frozenset()
    assert views([some], [others]) == {"resources"}
    made = [InjectContext([Injection("argument", name, Source("value", 1), of="prompts")]) for name in ("a", "a", "b")]
    assert views([made[0]], [made[1]]) == frozenset()
    assert views([made[0]], [made[2]]) == {"prompts"}
    header = InjectContext([Injection("header", "X-A", Source("value", "1"))])
    assert views([], [header]) == frozenset()


def test_definitions_are_compared_by_what_is_held() -> None:
    def definitions(changed: Any, pin: str) -> Hook:
        return Definitions(changed, "pass", {"x": frozenset((pin,))}, Seen(), lambda *_: None)

    assert views([definitions("note", "a")], [definitions("note", "b")]) == frozenset()
    assert views([definitions("hold", "a")], [definitions("hold", "a")]) == frozenset()
    assert views([definitions("note", "a")], [definitions("hold", "a")]) == {"tools"}
    assert views([definitions("hold", "a")], [definitions("hold", "b")]) == {"tools"}


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        ((), ("deny true",), {"tools", "prompts", "resources"}),
        (("deny true",), ("deny kind == 'tool' || kind != 'tool'",), set()),
        ((), ("deny principal == 'bob'",), set()),
        ((), ("deny principal == 'ann' && kind == 'template'",), {"resources"}),
        ((), ("deny 'write' in scopes && kind == 'prompt'",), {"prompts"}),
        ((), ("deny claims.tenant == 'b'",), set()),
        ((), ("deny kind == 'tool' && annotations.destructiveHint == true",), {"tools"}),
        (("deny name == 'x'",), ("deny name == 'y'",), {"tools", "prompts", "resources"}),
    ],
)
def test_rules_are_compared_by_what_may_come_of_them_for_the_caller(
    before: tuple[str, ...], now: tuple[str, ...], kinds: set[str]
) -> None:
    assert views([policy(*before)], [policy(*now)]) == kinds


def test_another_default_shows_everybody_something_else() -> None:
    allows = "allow kind == 'tool' && name == 'x'"
    assert views([policy(allows)], [policy(allows, default="deny")]) == {"tools", "prompts", "resources"}
    assert views([], [policy()]) == frozenset()
