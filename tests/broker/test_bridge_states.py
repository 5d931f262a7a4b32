"""The state of a suspended call: opened for exactly the request it was made for, once, and refused in one shape."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from broker.seal import TTL_S, Seal
from tests.broker.bridge_world import (
    ADA,
    BOB,
    INPUTS,
    Server,
    again,
    answers_to,
    asked_for,
    asking,
    audited,
    begin,
    bridging,
    said,
    serving,
)
from tests.broker.http1_world import within
from tests.broker.modern_world import ask, envelope, refused
from tests.broker.scripted_backend import Asked, Client, Json, Reply, World

BAD = (400, -32602, 1, "invalid_request_state")
REGIONS = {"version": 0, "key id": 1, "nonce": 9, "ciphertext": 21, "tag": -16, "last byte": -1}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def state_of(reply: Reply) -> str:
    found: str = reply.json["result"]["requestState"]
    return found


def flipped(token: str) -> Iterator[tuple[str, Any]]:
    """Every region of a token with one bit changed, and every spelling that is not the one it was given in."""
    data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for name, at in REGIONS.items():
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            yield f"{name}, bit {bit}", base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
    spare = {0: 0, 2: 15, 3: 3}[len(token) % 4]
    if spare:  # bits of the last character that no byte holds
        for other in range(1, spare + 1):
            last = ALPHABET.index(token[-1])
            yield f"spare bits {other}", token[:-1] + ALPHABET[last ^ other]
    yield "padded", token + "=" * (-len(token) % 4 or 4)
    yield "one padding", token + "="
    yield "standard alphabet", base64.b64encode(data + b"\xff\xef\xbe").decode()
    yield "line feed inside", token[:20] + "\n" + token[20:]
    yield "space before", " " + token
    yield "no ASCII", token[:-1] + "é"
    yield "NUL behind", token + "\x00"
    for size in (0, 1, 8, 20, 21, 28, len(token) // 2, len(token) - 4, len(token) - 1):
        yield f"cut to {size}", token[:size]
    yield "twice", token + token
    yield "longer", token + "AAAA"
    yield "endless", "A" * 70_000
    for value in (None, 0, 1.5, True, [], [token], {}, {"requestState": token}):
        yield f"{type(value).__name__}", value


async def test_every_change_of_a_state_is_refused_in_the_same_bytes_and_reaches_nobody() -> None:
    async with bridging() as here:
        server = serving(here)
        first = await begin(here)
        token, answers = state_of(first), answers_to(first)
        before, bodies = audited("invalid_request_state"), set()
        count = 0
        for name, changed in flipped(token):
            params = {"name": "x", "arguments": {}, "inputResponses": answers, "requestState": changed}
            reply = await begin(here, params=params)
            assert refused(reply) == BAD, name
            bodies.add((reply.status, reply.body))
            count += 1
        assert count > 70
        assert len(bodies) == 1
        assert audited("invalid_request_state") == before + count
        assert here.backend.count("answer") == 0
        assert here.backend.count("tools/call") == 1
        assert said(await again(here, first, answers)) == [ADA]
        assert not server.answers


def others(here: World, first: Reply) -> Iterator[tuple[str, Any]]:
    """The state of a call with everything about its request changed in turn; each makes the request."""
    token, answers = state_of(first), answers_to(first)
    held: Json = {"inputResponses": answers, "requestState": token}

    def send(method: str, params: Json, client: Client | None = None, **headers: Any) -> Any:
        return ask(client or here.client, method, {**params, **held}, meta=envelope(INPUTS), **headers)

    yield "other arguments", lambda: send("tools/call", {"name": "x", "arguments": {"all": True}})
    yield "no arguments", lambda: send("tools/call", {"name": "x"})
    yield "another member", lambda: send("tools/call", {"name": "x", "arguments": {}, "vendor": 1})
    yield "another tool", lambda: send("tools/call", {"name": "y", "arguments": {}})
    yield "another case", lambda: send("tools/call", {"name": "X", "arguments": {}})
    yield "a prompt", lambda: send("prompts/get", {"name": "x", "arguments": {}})
    yield "a resource", lambda: send("resources/read", {"uri": "x", "arguments": {}})
    yield "a list", lambda: send("tools/list", {})
    yield "a completion", lambda: send("completion/complete", {"ref": {}, "argument": {}})


async def test_a_state_opens_for_the_request_it_was_made_for_and_no_other() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        bodies = set()
        for name, request in others(here, first):
            reply = await request()
            assert refused(reply) == BAD, name
            bodies.add(reply.body)
        assert len(bodies) == 1
        assert here.backend.count("answer") == 0
        assert said(await again(here, first, answers_to(first))) == [ADA]


async def test_a_state_is_its_callers_alone() -> None:
    keys = {"ann": "dgm_a", "bob": "dgm_b"}
    hashed = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()}
    async with bridging(keys=hashed) as here:
        serving(here)
        ann, bob = (f"Bearer {key}" for key in keys.values())
        first = await begin(here, Authorization=ann)
        stolen = await again(here, first, answers_to(first), Authorization=bob)
        assert refused(stolen) == BAD
        nobody = await again(here, first, answers_to(first))
        assert nobody.status == 401
        assert said(await again(here, first, answers_to(first), Authorization=ann)) == [ADA]


async def test_a_state_is_of_one_virtual_server() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        name = here.context.name
        here.context.name = "other"  # as on another path of the same broker, before the same backend
        assert refused(await again(here, first, answers_to(first))) == BAD
        here.context.name = name
        assert said(await again(here, first, answers_to(first))) == [ADA]


async def test_a_state_expires() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        now = here.context.seal._now
        here.context.seal._now = lambda: now() + TTL_S + 1
        expired = await again(here, first, answers_to(first))
        here.context.seal._now = now
        tampered = await again(here, first, answers_to(first), params={"name": "y"})
        assert refused(expired) == BAD
        assert expired.body == tampered.body


async def test_the_same_retry_twice_waits_for_the_same_answer() -> None:
    async with bridging() as here:
        server, release = Server(here), asyncio.Event()

        async def tool(asked: Asked) -> None:
            await asking(lambda: server)(asked)

        async def slow(asked: Asked) -> None:
            await within(release.wait())
            await server._take(asked)

        here.backend.on("tools/call", tool)
        here.backend.on("answer", slow)
        first = await begin(here)
        answers = answers_to(first)
        both = [
            asyncio.ensure_future(again(here, first, answers, id=number, client=here.another())) for number in (5, 6)
        ]
        await here.backend.next("answer")
        late = asyncio.ensure_future(again(here, first, answers, id=7, client=here.another()))
        release.set()
        replies = [*await asyncio.gather(*both), await late]
        assert [reply.json["id"] for reply in replies] == [5, 6, 7]
        assert [said(reply) for reply in replies] == [[ADA]] * 3
        # And long after: the end of a suspended call is kept for a retry whose answer got lost.
        assert said(await again(here, first, answers)) == [ADA]
        assert here.backend.count("answer") == here.backend.count("tools/call") == 1


async def test_other_answers_for_a_round_that_was_answered_are_refused_like_any_bad_state() -> None:
    async with bridging() as here:
        serving(here, rounds=2)
        first = await begin(here)
        second = await again(here, first, answers_to(first))
        before = audited("invalid_request_state")
        open_call = await again(here, first, answers_to(first, BOB))
        assert refused(open_call) == BAD
        # The same answers again: the round they led to.
        assert asked_for(await again(here, first, answers_to(first))) == asked_for(second)
        assert said(await again(here, second, answers_to(second, BOB))) == [ADA, BOB]
        over = await again(here, first, answers_to(first, BOB))
        old = await again(here, first, answers_to(first))  # of a round before the last: nothing says what it led to
        tampered = await again(here, first, answers_to(first), params={"name": "y"})
        assert refused(over) == refused(old) == BAD
        assert {open_call.body, over.body, old.body} == {tampered.body}
        assert audited("invalid_request_state") == before + 4
        assert here.backend.count("answer") == 2


async def test_a_hundred_copies_of_a_retry_at_once_answer_one_question_once() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        sent = [
            again(here, first, answers_to(first, ADA if number % 2 else BOB), id=number, client=here.another())
            for number in range(100)
        ]
        replies = await asyncio.gather(*sent)
        assert here.backend.count("answer") == here.backend.count("tools/call") == 1
        told = {tuple(said(reply)[0]["content"].values()) for reply in replies if "result" in reply.json}
        assert len(told) == 1
        assert sum("result" in reply.json for reply in replies) == 50
        assert {reply.json["error"]["code"] for reply in replies if "error" in reply.json} == {-32602}


async def test_answers_without_a_state_are_a_new_call() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        params: Json = {"name": "x", "arguments": {}, "inputResponses": answers_to(first)}
        fresh = await begin(here, params=params)
        assert fresh.json["result"]["resultType"] == "input_required"
        assert here.backend.count("answer") == 0
        sent = [asked.message["params"] for asked in here.backend.asked if asked.key == "tools/call"]
        assert sent == [{"name": "x", "arguments": {}}] * 2


async def test_states_outlive_a_rotation_of_keys() -> None:
    old, new = b"o" * 32, b"n" * 32
    async with bridging() as here:
        serving(here)
        here.context.seal = Seal((old,))
        first = await begin(here)
        here.context.seal = Seal((new, old))
        second = await begin(here)
        assert said(await again(here, first, answers_to(first))) == [ADA]
        here.context.seal = Seal((new,))
        assert said(await again(here, second, answers_to(second))) == [ADA]
        third = await begin(here)
        here.context.seal = Seal((old,))
        assert refused(await again(here, third, answers_to(third))) == BAD


async def test_a_call_that_was_suspended_in_another_process_is_said_to_be_lost() -> None:
    async with bridging() as here:
        serving(here)
        first = await begin(here)
        before = audited("suspended-call-lost")
        here.pool.owner = "another"  # the same sealing keys, and none of the sessions: the broker was restarted
        lost = await again(here, first, answers_to(first))
        assert refused(lost) == (200, -32603, 1, "suspended-call-lost")
        assert "may have taken effect" in lost.json["error"]["message"]
        assert audited("suspended-call-lost") == before + 1
        assert here.backend.count("tools/call") == 1
