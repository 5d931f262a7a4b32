"""What ends a sign-in before anything secret leaves: issuers, servers and pages that are not what they should be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from broker.signin.options import SignInOptions
from tests.broker.pipe_world import settled
from tests.broker.signin_world import RESOURCE, Setting, SignInWorld, served, setting

Json = dict[str, Any]


async def refused(here: Setting, reason: str, **more: Any) -> SignInWorld:
    """The host's first request ends with an error that says what to do; nobody got or gave a token."""
    broker = await here.broker(**more)
    answer = await broker.open()
    assert answer["error"]["data"] == {"origin": "broker", "reason": "backend-sign-in"}
    assert "dragoman login" in answer["error"]["message"]
    assert set(broker.reasons) - {"paused"} == {reason}
    assert here.store.all() == []
    assert not any(token in str(here.said) for token in (*here.issuer.access, *here.issuer.refreshes))
    return broker


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda it: it.pop("code_challenge_methods_supported"), "no-pkce"),
        (lambda it: it.update(code_challenge_methods_supported=["plain"]), "no-pkce"),
        (lambda it: it.update(issuer="http://127.0.0.1:1"), "wrong-issuer"),
        (lambda it: it.update(issuer=it["issuer"] + "/"), "wrong-issuer"),
        (lambda it: it.update(token_endpoint="http://mcp.example.com/token"), "address-refused"),
        (lambda it: it.update(token_endpoint="http://169.254.169.254/latest"), "address-refused"),
        (lambda it: it.update(authorization_endpoint="javascript:alert(1)"), "address-refused"),
        (lambda it: it.update(authorization_endpoint="file:///etc/passwd"), "address-refused"),
        (lambda it: it.update(authorization_endpoint="--flag"), "address-refused"),
        (lambda it: it.update(authorization_endpoint="https://x.example/`id`"), "address-refused"),
        (lambda it: it.update(authorization_endpoint="https://u:p@x.example/"), "address-refused"),
        (lambda it: it.update(authorization_endpoint=["https://x.example/"]), "address-refused"),
        (lambda it: it.pop("token_endpoint"), "metadata-unusable"),
        (lambda it: it.pop("registration_endpoint"), "no-client"),
    ],
)
async def test_an_issuer_whose_metadata_cannot_be_trusted_is_left_alone(
    edit: Callable[[Json], Any], reason: str, tmp_path: Path
) -> None:
    async with setting(tmp_path) as here:
        here.issuer.edit = edit
        await refused(here, reason)
        assert here.browser.pages == []
        assert not any("POST" in asked for asked in here.issuer.asked)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda it: it.update(resource="https://mcp.example.com/mcp"), "wrong-resource"),
        (lambda it: it.update(resource=it["resource"] + "/other"), "wrong-resource"),
        (lambda it: it.update(resource=it["resource"][:-1]), "wrong-resource"),
        (lambda it: it.update(resource=7), "wrong-resource"),
        (lambda it: it.pop("authorization_servers"), "metadata-unusable"),
        (lambda it: it.update(authorization_servers=["http://auth.example.com"]), "address-refused"),
        (lambda it: it.update(authorization_servers=["http://169.254.169.254"]), "address-refused"),
    ],
)
async def test_a_server_whose_metadata_cannot_be_trusted_gets_nobody_signed_in(
    edit: Callable[[Json], Any], reason: str, tmp_path: Path
) -> None:
    async with setting(tmp_path) as here:
        here.door.edit = edit
        await refused(here, reason)
        assert here.issuer.asked == []


async def test_an_answer_of_another_issuer_is_not_redeemed(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.answer = lambda said: said.update(iss="http://127.0.0.1:1")
        await refused(here, "wrong-issuer")
        assert "POST /token" not in here.issuer.asked


async def test_an_answer_without_the_issuer_is_not_redeemed_where_the_issuer_names_itself(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.answer = lambda said: said.pop("iss")
        await refused(here, "wrong-issuer")
        assert "POST /token" not in here.issuer.asked


async def test_an_issuer_that_does_not_name_itself_is_believed_and_a_wrong_name_still_is_not(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.edit = lambda it: it.pop("authorization_response_iss_parameter_supported")
        here.issuer.answer = lambda said: said.update(iss=said["iss"] + "/")
        await refused(here, "wrong-issuer")
        here.issuer.answer = lambda said: said.pop("iss")
        assert "result" in await (await here.broker()).open()


async def test_the_error_of_another_issuer_is_not_shown_and_that_of_the_right_one_is(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.answer = lambda said: said.update(iss="http://127.0.0.1:1", error="call_this_number")
        await refused(here, "wrong-issuer")
        assert "call_this_number" not in str(here.said)
        here.issuer.answer = lambda said: said.update(error="access_denied", error_description="call this number")
        await refused(here, "denied")
        assert "access_denied" in here.said[-1]
        assert "call this number" not in str(here.said)


async def test_an_answer_with_another_state_changes_nothing(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.answer = lambda said: said.update(state="another")
        await refused(here, "timeout", who=here.who(wait_s=0.3))
        assert "POST /token" not in here.issuer.asked
        assert here.browser.seen[0][0] == 400


async def test_only_the_one_answer_at_the_one_path_is_taken(tmp_path: Path) -> None:
    async with setting(tmp_path) as here, aiohttp.ClientSession() as session:
        here.issuer.ignores_people = True
        broker = await here.broker()
        opening = asyncio.ensure_future(broker.open())
        await settled(lambda: bool(here.issuer.authorizations))
        [asked] = here.issuer.authorizations
        back, right = asked["redirect_uri"], {"state": asked["state"], "iss": here.issuer.issuer, "error": "x"}

        async def status(where: str, fields: Any, method: str = "GET", **headers: str) -> int:
            async with session.request(method, f"{where}?{urlencode(fields)}", headers=headers) as answer:
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                return answer.status

        assert back.startswith("http://127.0.0.1:")
        assert await status(f"{back}/", right) == 404
        assert await status(back, right, "POST") == 404
        assert await status(back, right, Host="evil.example") == 404
        assert await status(back, {**right, "state": "x"}) == 400
        assert await status(back, [*right.items(), ("state", asked["state"])]) == 400
        assert not opening.done()
        assert await status(back, right) == 200
        assert "error" in await opening
        assert broker.reasons[0] == "denied"


async def test_tokens_are_not_asked_for_where_the_token_endpoint_sends_one_to(tmp_path: Path) -> None:
    visits: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        visits.append(request.path)
        return web.json_response({"access_token": "x", "token_type": "Bearer"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    async with setting(tmp_path) as here, AsyncExitStack() as stack:
        here.issuer.redirects_tokens_to = f"{await served(app, stack)}/token"
        await refused(here, "unreachable")
        assert visits == []


async def test_a_server_that_sends_one_elsewhere_does_not_take_the_token_along(tmp_path: Path) -> None:
    visits: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        visits.append(request.headers.get("Authorization", ""))
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    async with setting(tmp_path) as here, AsyncExitStack() as stack:
        broker = await here.broker()
        await broker.open()
        target = await served(app, stack)

        def moved(_body: bytes) -> set[str]:
            raise web.HTTPTemporaryRedirect(f"{target}/mcp")

        here.door.needs = moved
        assert "error" in await broker.ask(1, "tools/list")
        assert visits == []


@pytest.mark.parametrize(
    "said",
    [
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": ""},
        {"access_token": "a" * 9_000},
        {"access_token": 7},
        {"token_type": "DPoP"},
        {"token_type": None},
        {"refresh_token": "a b"},
    ],
)
async def test_what_cannot_be_sent_as_a_token_is_none(said: Json, tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.tokens = lambda it: it.update(said)
        await refused(here, "answer-unusable")


@pytest.mark.parametrize("life", [-1, 1e300, "soon", None, True, []])
async def test_a_life_that_is_none_does_not_keep_a_token_from_being_used(life: Any, tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.expires_in = life
        broker = await here.broker()
        assert "result" in await broker.open()
        assert await broker.tools()


async def test_the_metadata_of_a_flood_or_of_no_json_are_none(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.edit = lambda it: it.update(padding="x" * 300_000)
        await refused(here, "metadata-unusable")
        here.issuer.edit = lambda it: it.update(padding=[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]])
        await refused(here, "metadata-unusable")


async def test_a_server_without_tls_elsewhere_gets_nobody_signed_in(tmp_path: Path) -> None:
    from broker.limit_values import DEFAULTS
    from broker.signin.credentials import PersonCredentials
    from broker.signin.errors import SignInError

    async with setting(tmp_path) as here:
        credentials = PersonCredentials(
            "http://mcp.example.com/mcp", SignInOptions(), DEFAULTS, store=here.store, who=here.who()
        )
        with pytest.raises(SignInError, match="without TLS"):
            await credentials.answer(401, "Bearer", b"", 1)


async def test_without_a_browser_and_without_a_terminal_the_host_is_told_at_once_what_to_do(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        await refused(here, "nobody-there", who=here.who(browse=None))
        assert f"dragoman login {here.url}" in here.said[-1]
        assert here.issuer.registrations == []


async def test_a_browser_that_does_not_open_is_no_browser(tmp_path: Path) -> None:
    async def fails(page: str) -> bool:
        return False

    async with setting(tmp_path) as here:
        await refused(here, "nobody-there", who=here.who(browse=fails))


async def test_a_terminal_without_a_browser_is_shown_the_page(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        broker = await here.broker(who=here.who(browse=None, watched=True))
        opening = asyncio.ensure_future(broker.open())
        await settled(lambda: bool(here.said))
        await here.browser(here.said[0].rpartition(" ")[2])
        assert "result" in await opening


async def test_nobody_who_signs_in_in_time_is_asked_again_at_once(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.ignores_people = True
        broker = await refused(here, "timeout", who=here.who(wait_s=0.2))
        answer = await broker.open()
        assert answer["error"]["data"]["reason"] == "backend-sign-in"
        assert len(here.browser.pages) == 1


async def test_a_host_that_goes_away_meanwhile_leaves_nothing_behind(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.ignores_people = True
        broker = await here.broker()
        opening = asyncio.ensure_future(broker.open())
        await settled(lambda: bool(here.issuer.authorizations))
        await broker.end()
        opening.cancel()
        here.issuer.ignores_people = False
        assert "result" in await (await here.broker()).open()


async def test_an_issuer_the_operator_did_not_name_is_not_used(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        await refused(here, "issuer-changed", options=SignInOptions(issuer="http://127.0.0.1:1"))
        assert here.issuer.asked == []


async def test_a_server_that_changes_its_issuer_gets_nothing_of_the_one_before(tmp_path: Path) -> None:
    async with setting(tmp_path) as here, setting(tmp_path / "other") as other:
        other.faultless = False
        await (await here.broker()).open()
        here.issuer.revoke()
        before = [*here.issuer.asked]
        here.door.issuer = other.issuer
        other.issuer.resource = here.url
        broker = await here.broker()
        assert "result" in await broker.open()
        assert [asked for asked in here.issuer.asked[len(before) :] if "token" not in asked] == []
        assert len(other.issuer.registrations) == 1
        assert {each.issuer for each in here.store.all()} == {other.issuer.issuer}
        assert other.issuer.faults == []


async def test_metadata_at_another_address_than_was_named_are_looked_for_at_the_usual_ones(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.door.challenge = f'Bearer resource_metadata="{here.url.removesuffix("/mcp")}/nowhere", Basic realm="x"'
        here.door.metadata_places = (RESOURCE,)
        assert "result" in await (await here.broker()).open()


@pytest.mark.parametrize("named", ["http://mcp.example.com/x", "http://169.254.169.254/x", "ftp://x", "x"])
async def test_metadata_at_an_address_that_is_not_asked_are_looked_for_at_the_usual_ones(
    named: str, tmp_path: Path
) -> None:
    async with setting(tmp_path) as here:
        here.door.challenge = f'Bearer resource_metadata="{named}"'
        assert "result" in await (await here.broker()).open()


async def test_a_file_that_cannot_be_used_is_said_with_what_to_do(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        await (await here.broker()).open()
        here.store.path(here.url).chmod(0o644)
        broker = await here.broker()
        answer = await broker.open()
        assert answer["error"]["data"]["reason"] == "backend-sign-in"
        assert broker.reasons[0] == "store"
        assert "delete it, and sign in again" in here.said[-1]
