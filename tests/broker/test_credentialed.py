"""A pool whose requests carry a credential: each ends once, whatever is done about its refusal meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from broker.backends.credentialed import MAX_SENDINGS, CredentialedPool, NobodySignedInError
from broker.backends.http1_types import BackendFailure, Sink, Timeouts
from tests.broker.http1_world import turn, within

TIMES = Timeouts()


class Sent:
    """One exchange of the pool behind, which the test answers."""

    def __init__(self, headers: bytes, sink: Sink) -> None:
        self.headers = headers
        self.sink = sink
        self.held: list[str] = []

    def answer(self, status: int, body: bytes = b"{}", **headers: str) -> None:
        self.sink.head(status, {name.replace("_", "-"): value for name, value in headers.items()})
        if body:
            self.sink.body(body)
        self.sink.done()

    def abort(self) -> None:
        self.held.append("abort")
        self.sink.failed(BackendFailure("aborted", "unknown"))

    def pause(self) -> None:
        self.held.append("pause")

    def resume(self) -> None:
        self.held.append("resume")


class Behind:
    """The pool behind."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.closed = False

    def send(self, method: bytes, headers: bytes, body: bytes, sink: Sink, **options: object) -> Sent:
        self.sent.append(Sent(headers, sink))
        return self.sent[-1]

    async def close(self) -> None:
        self.closed = True


class Given:
    """Credentials that a test gives, takes away, and lets wait."""

    def __init__(self, *lines: bytes) -> None:
        self.line = b""
        self.renew_at = float("inf")
        self.now = 0.0
        self.asked: list[tuple[int, str, bytes, int]] = []
        self.may = asyncio.Event()
        self.may.set()
        self.closed = False
        self._lines = list(lines)

    def clock(self) -> float:
        return self.now

    async def renew(self) -> None:
        await self.may.wait()
        self.line, self.renew_at = self._lines.pop(0), float("inf")

    async def answer(self, status: int, challenge: str, refused: bytes, sendings: int) -> bool:
        self.asked.append((status, challenge, refused, sendings))
        await self.may.wait()
        if not self._lines:
            return False
        self.line = self._lines.pop(0)
        if self.line == b"nobody":
            raise NobodySignedInError("nobody")
        if self.line == b"broken":
            raise ZeroDivisionError
        return True

    async def close(self) -> None:
        self.closed = True


class Told:
    """What the sender hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.over = asyncio.Event()

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.heard.append(status)

    def body(self, data: bytes) -> None:
        self.heard.append(data)

    def done(self) -> None:
        self.heard.append("done")
        self.over.set()

    def failed(self, failure: BackendFailure) -> None:
        self.heard.append((failure.reason, failure.executed))
        self.over.set()


class Here:
    """All of them."""

    def __init__(self, *lines: bytes) -> None:
        self.behind, self.given, self.told = Behind(), Given(*lines), Told()
        self.pool = CredentialedPool(self.behind, self.given, owns=True)

    def send(self, method: bytes = b"POST") -> object:
        return self.pool.send(method, b"a: b\r\n", b"{}", self.told, timeouts=TIMES)

    async def sent(self, number: int) -> Sent:
        async def there() -> Sent:
            while len(self.behind.sent) < number:
                await turn()
            return self.behind.sent[number - 1]

        return await within(there())


async def test_what_is_not_refused_passes_as_it_comes() -> None:
    here = Here()
    here.send()
    (await here.sent(1)).answer(200, b"yes")
    assert here.told.heard == [200, b"yes", "done"]
    assert here.behind.sent[0].headers == b"a: b\r\n"
    assert here.given.asked == []


@pytest.mark.parametrize("status", [401, 403])
async def test_what_is_refused_is_sent_again_with_the_next_credential(status: int) -> None:
    here = Here(b"authorization: Bearer x\r\n")
    here.send()
    (await here.sent(1)).answer(status, www_authenticate="Bearer")
    second = await here.sent(2)
    assert second.headers == b"a: b\r\nauthorization: Bearer x\r\n"
    assert here.told.heard == []
    second.answer(200)
    assert here.told.heard == [200, b"{}", "done"]
    assert here.given.asked == [(status, "Bearer", b"", 1)]


async def test_a_refusal_that_nothing_can_be_done_about_is_heard_whole() -> None:
    here = Here()
    here.send()
    (await here.sent(1)).answer(401, b'{"error": "x"}')
    await within(here.told.over.wait())
    assert here.told.heard == [401, b'{"error": "x"}', "done"]


async def test_a_refusal_whose_body_breaks_off_is_one_all_the_same() -> None:
    here = Here(b"x: y\r\n")
    here.send()
    sent = await here.sent(1)
    sent.sink.head(401, {})
    sent.sink.failed(BackendFailure("closed", "unknown"))
    (await here.sent(2)).answer(200, b"")
    assert here.told.heard == [200, "done"]


async def test_nobody_who_signs_in_is_a_request_that_did_not_run() -> None:
    here = Here(b"nobody")
    here.send()
    (await here.sent(1)).answer(401)
    await within(here.told.over.wait())
    assert here.told.heard == [("sign-in", "no")]


async def test_a_fault_of_ours_does_not_leave_a_request_hanging() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context.get("exception")))
    here = Here(b"broken")
    here.send()
    (await here.sent(1)).answer(401)
    await within(here.told.over.wait())
    assert here.told.heard == [("sign-in", "no")]


async def test_a_request_is_sent_so_often_and_no_more() -> None:
    here = Here(*(b"n: %d\r\n" % number for number in range(20)))
    here.send()
    for number in range(1, MAX_SENDINGS + 1):
        (await here.sent(number)).answer(401, b"")
    assert here.told.heard == [401, "done"]
    assert len(here.behind.sent) == MAX_SENDINGS
    assert [asked[3] for asked in here.given.asked] == list(range(1, MAX_SENDINGS))


async def test_a_delete_is_not_worth_signing_in_for() -> None:
    here = Here(b"x: y\r\n")
    here.given.renew_at = -1.0
    here.send(b"DELETE")
    (await here.sent(1)).answer(401, b"")
    assert here.told.heard == [401, "done"]


async def test_a_credential_that_is_about_to_expire_is_renewed_first() -> None:
    here = Here(b"new: 1\r\n")
    here.given.renew_at = 0.0
    here.send()
    assert here.behind.sent == []
    assert (await here.sent(1)).headers == b"a: b\r\nnew: 1\r\n"


async def test_giving_up_while_waiting_ends_the_request_at_once_and_once() -> None:
    here = Here(b"x: y\r\n")
    here.given.may.clear()
    ticket = here.send()
    (await here.sent(1)).answer(401)
    await turn()
    ticket.abort()  # type: ignore[attr-defined]
    assert here.told.heard == [("aborted", "no")]
    here.given.may.set()
    await turn()
    ticket.abort()  # type: ignore[attr-defined]
    assert here.told.heard == [("aborted", "no")]
    assert len(here.behind.sent) == 1


async def test_a_pause_holds_for_the_next_sending_too() -> None:
    here = Here(b"x: y\r\n")
    ticket = here.send()
    (await here.sent(1)).answer(401)
    ticket.pause()  # type: ignore[attr-defined]
    second = await here.sent(2)
    assert second.held == ["pause"]
    ticket.resume()  # type: ignore[attr-defined]
    assert second.held == ["pause", "resume"]


async def test_the_end_of_the_pool_ends_what_waits_and_the_credentials() -> None:
    here = Here(b"x: y\r\n")
    here.given.may.clear()
    here.send()
    (await here.sent(1)).answer(401)
    await here.pool.close()
    assert here.told.heard == [("aborted", "no")]
    assert here.given.closed
    assert here.behind.closed
