"""A hook that asks an address: what it is sent and how it is signed, and that nothing but a verdict is one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from broker.hooks.base import Deny, Drop, Pass, Pattern, Replace, Verdict
from broker.hooks.own import Guarded, own_hook
from broker.hooks.runner import Runner
from broker.settings_policy import OwnHook
from protocol_versions.base import Side
from protocol_versions.jsonrpc import DEFAULT_LIMITS
from tests.broker.http1_world import within
from tests.broker.rules_world import ANN, info
from tests.broker.scripted_backend import DONE, Asked, Json, ScriptedBackend, world

SECRET = "0123456789abcdef"
Answer = Callable[[Asked], Awaitable[None]]


class Address(ScriptedBackend):
    """What a webhook asks; `verdict` is what it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.on("answer", self._decide)
        self.verdict: Json = {"verdict": "pass"}

    async def _decide(self, asked: Asked) -> None:
        await asked.reply(200, json.dumps(self.verdict).encode())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/judge"

    def entry(self, **members: Any) -> Json:
        return {"webhook": self.url, "secret": SECRET, "timeout_s": 2.0, **members}


@asynccontextmanager
async def address() -> AsyncIterator[Address]:
    here = Address()
    listener = await asyncio.start_server(here.serve, "127.0.0.1", 0)
    here.port = listener.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        listener.close()
        here.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in here.writers), return_exceptions=True)


@asynccontextmanager
async def hooked(here: Address, **members: Any) -> AsyncIterator[Guarded]:
    hook = own_hook(OwnHook.model_validate(here.entry(**members)), DEFAULT_LIMITS)
    try:
        yield hook
    finally:
        await hook.close()


async def verdict_of(
    hook: Guarded, body: Json | None = None, *, part: Any = "params", toward: Side = "server"
) -> Verdict:
    tree = {"name": "x", "arguments": {"a": 1}} if body is None else body
    raw: Json = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in tree.items()}
    found = Runner([hook], DEFAULT_LIMITS).judge(part, "tools/call", toward, raw, info("tools/call", ANN, "x"))
    return await within(found) if isinstance(found, Awaitable) else found


async def test_what_is_sent_is_the_message_its_call_and_its_caller_signed() -> None:
    async with address() as here, hooked(here) as hook:
        assert isinstance(await verdict_of(hook), Pass)
        asked = await here.next("answer")
        assert json.loads(asked.body) == {
            "slot": {"part": "params", "method": "tools/call", "toward": "server"},
            "body": {"name": "x", "arguments": {"a": 1}},
            "call": {"method": "tools/call", "target": "x", "backend": "files", "round": 1},
            "caller": {
                "principal": "ann", "kind": "token", "claims": {"tenant": "a"}, "scopes": ["read", "write"],
                "expires_at": None, "client_name": "", "client_version": "", "client_revision": "",
                "backend_revision": "",
            },
        }  # fmt: skip
        stamp, _, mac = asked.headers["dragoman-signature"].partition(",v1=")
        seconds = stamp.removeprefix("t=")
        expected = hmac.new(SECRET.encode(), f"{seconds}.".encode() + asked.body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(mac, expected)
        assert "authorization" not in asked.headers
        assert "cookie" not in asked.headers


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"verdict": "pass"}, Pass()),
        ({"verdict": "deny"}, Deny(-32603, "The request was refused by policy", "hook:webhook:webhook")),
        (
            {"verdict": "deny", "code": -5, "message": "Not today", "reason": "budget"},
            Deny(-5, "Not today", "hook:webhook:budget"),
        ),
        ({"verdict": "drop", "reason": "why"}, Drop("hook:webhook:why")),
        ({"verdict": "replace", "body": {"name": "y"}}, Replace({"name": "y"})),
    ],
)
async def test_a_verdict_is_taken(said: Json, verdict: Verdict) -> None:
    async with address() as here, hooked(here) as hook:
        here.verdict = said
        assert await verdict_of(hook) == verdict


async def test_only_the_members_it_names_are_shown_and_the_others_stay() -> None:
    slots = [{"part": "params", "methods": "tools/*", "members": ["name"]}]
    async with address() as here, hooked(here, slots=slots) as hook:
        here.verdict = {"verdict": "replace", "body": {"name": "y"}}
        verdict = await verdict_of(hook)
        assert json.loads((await here.next("answer")).body)["body"] == {"name": "x"}
        assert isinstance(verdict, Replace)
        assert verdict.body["name"] == "y"
        assert bytes(verdict.body["arguments"]) == b'{"a":1}'


@pytest.mark.parametrize(
    ("part", "toward"), [("params", "server"), ("notification", "server"), ("result", "client"), ("error", "client")]
)
def test_who_reads_a_message_need_not_be_said(part: str, toward: Side) -> None:
    slots = [{"part": part, "methods": "tools/*"}]
    entry = OwnHook.model_validate({"webhook": "https://h.example/", "secret": SECRET, "slots": slots})
    assert own_hook(entry, DEFAULT_LIMITS).slots == (Pattern(part, "tools/*", toward, None),)  # type: ignore[arg-type]


def replies(status: int, body: bytes = b'{"verdict":"pass"}', kind: str = "application/json", **headers: str) -> Answer:
    return lambda asked: asked.reply(status, body, kind, **headers)


async def hangs_up(asked: Asked) -> None:
    asked.hang_up()


async def half(asked: Asked) -> None:
    await asked.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
    asked.hang_up()


WRONG: dict[str, Answer] = {
    "an error": replies(500),
    "no content": replies(204, b""),
    "another success": replies(201),
    "a redirect": replies(307, Location="http://127.0.0.1:1/"),
    "a page": replies(200, kind="text/html"),
    "no JSON": replies(200, b"pass"),
    "a list": replies(200, b'["pass"]'),
    "no verdict": replies(200, b"{}"),
    "an unknown verdict": replies(200, b'{"verdict":"allow"}'),
    "two verdicts": replies(200, b'{"verdict":"deny","verdict":"pass"}'),
    "a body that is none": replies(200, b'{"verdict":"replace","body":[]}'),
    "a message that is none": replies(200, b'{"verdict":"deny","message":7}'),
    "too long": replies(200, b'{"verdict":"pass","x":"%b"}' % (b"x" * 2_000)),
    "compressed": replies(200, b"\x1f\x8b", Content_Encoding="gzip"),
    "hangs up": hangs_up,
    "half an answer": half,
}


@pytest.mark.parametrize("name", WRONG)
async def test_nothing_else_is_a_verdict(name: str) -> None:
    async with address() as here, hooked(here, max_bytes=1_024) as hook:
        here.on("answer", WRONG[name])
        verdict = await verdict_of(hook)
        assert isinstance(verdict, Deny)
        assert verdict.reason.startswith("hook-failed:webhook:")
        assert here.count("answer") == 1


async def test_an_address_that_does_not_answer_in_time_refuses() -> None:
    async def silent(asked: Asked) -> None:
        await asked.gone()

    async with address() as here, hooked(here, timeout_s=0.1) as hook:
        here.on("answer", silent)
        verdict = await verdict_of(hook)
        assert isinstance(verdict, Deny)
        assert verdict.reason == "hook-failed:webhook:timeout"


async def test_a_message_that_is_too_long_is_not_sent_but_refused() -> None:
    async with address() as here, hooked(here, max_bytes=1_024) as hook:
        assert isinstance(await verdict_of(hook, {"name": "x" * 2_000}), Deny)
        assert here.count("answer") == 0


async def test_an_address_nobody_listens_at_refuses() -> None:
    async with address() as here:
        entry = here.entry()
    hook = own_hook(OwnHook.model_validate(entry), DEFAULT_LIMITS)
    assert isinstance(await verdict_of(hook), Deny)
    await hook.close()


async def test_it_judges_calls_in_the_broker_and_others_go_on_meanwhile() -> None:
    async with address() as here, world(hooks=[here.entry()]) as broker:
        await broker.client.open()
        assert (await broker.client.call()).json["result"] == DONE
        here.verdict = {"verdict": "deny", "message": "Not today", "code": -7}
        denied = (await broker.client.call(2)).json["error"]
        assert (denied["code"], denied["message"]) == (-7, "Not today")
        assert broker.backend.count("tools/call") == 1
        assert (await broker.client.call(3, "tools/list")).status == 200
        assert here.count("answer") == 2
