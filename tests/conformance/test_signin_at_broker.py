"""The authorization server that clients sign in at is strict, and what is judged of their way there can be wrong."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
import pytest_asyncio

from broker.demo import server as sample
from conformance.issuer import Issuer
from conformance.launch import Children
from conformance.signin_at_broker import CALL, CLIENTS, NAMES_RESOURCE, READ, RENEWS_FIRST, STEPS_UP, unlike
from tests.broker.signin_world import served

Json = dict[str, Any]
CALLBACK = "http://127.0.0.1:1/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
METADATA = "/.well-known/oauth-authorization-server"
ACCEPT = {"Accept": "application/json, text/event-stream"}


class Application:
    """A client application of no SDK: it knows a server's address, and what the specification tells it to ask."""

    def __init__(self, http: aiohttp.ClientSession, url: str, out: pytest.CaptureFixture[str]) -> None:
        self.http = http
        self.url = url
        self.client_id = ""
        self._out = out
        self._said = ""

    @property
    def faults(self) -> list[str]:
        self._said += self._out.readouterr().out
        lines = [json.loads(line) for line in self._said.splitlines()]
        return [line["fault"] for line in lines if "fault" in line]

    async def register(self, **other: Any) -> int:
        asked = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", **other}
        async with self.http.post(f"{self.url}/register", json=asked) as answer:
            self.client_id = (await answer.json()).get("client_id", "")
            return answer.status

    async def consent(self, scope: str, resource: str, **other: str) -> str:
        """The code; empty if the page refuses."""
        asked = {"response_type": "code", "client_id": self.client_id, "redirect_uri": CALLBACK, "scope": scope}
        asked |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256", "resource": resource, **other}
        page = f"{self.url}/authorize"
        async with self.http.get(page, params=asked, allow_redirects=False) as answer:
            back = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
            assert answer.status in (302, 400)
            assert answer.status == 400 or back["iss"] == [self.url]
            return back.get("code", [""])[0]

    async def grant(self, resource: str, **other: str) -> Json:
        form = {"client_id": self.client_id, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **other}
        form.setdefault("grant_type", "authorization_code")
        async with self.http.post(f"{self.url}/token", data={**form, "resource": resource}) as answer:
            found: Json = await answer.json()
            return found


@pytest_asyncio.fixture
async def application(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Application]:
    async with AsyncExitStack() as stack:
        issuer = Issuer("notes", renews=True)
        issuer.url = await served(issuer.app(), stack)
        yield Application(await stack.enter_async_context(aiohttp.ClientSession()), issuer.url, capsys)


async def test_a_challenge_alone_leads_to_a_call_and_another_one_to_what_needs_more(
    application: Application, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        backend = await served(sample.sample_app(), stack)
        children = stack.enter_context(Children(tmp_path))
        tree = {
            "issuers": [{"issuer": application.url}],
            "servers": {"notes": {"url": f"{backend}/mcp", "scopes": [READ], "method_scopes": {"tools/call": [CALL]}}},
        }
        url = f"{await asyncio.to_thread(children.configured, tree)}/servers/notes/mcp"

        async def ask(number: int, method: str, token: str = "", **params: Any) -> tuple[int, str, Json]:
            body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            headers = {**ACCEPT, **({"Authorization": f"Bearer {token}"} if token else {})}
            if session:
                headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
            async with application.http.post(url, json=body, headers=headers) as answer:
                challenge = answer.headers.get("WWW-Authenticate", "")
                if method == "initialize":
                    challenge = answer.headers.get("Mcp-Session-Id", challenge)
                return answer.status, challenge, await answer.json() if answer.status == 200 else {}

        session = ""
        hello: Json = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        status, challenge, _ = await ask(1, "initialize", **hello)
        assert status == 401
        async with application.http.get(_named(challenge, "resource_metadata")) as answer:
            document = await answer.json()
        assert document["resource"] == url
        assert document["authorization_servers"] == [application.url]
        assert document["scopes_supported"] == [CALL, READ]
        assert _named(challenge, "scope") == READ
        assert await application.register() == 201
        code = await application.consent(READ, url)
        token = (await application.grant(url, code=code))["access_token"]
        status, session, _ = await ask(2, "initialize", token, **hello)
        assert status == 200
        assert "tools" in (await ask(3, "tools/list", token))[2]["result"]

        call: Json = {"name": "weather", "arguments": {"city": "Oslo"}}
        status, challenge, _ = await ask(4, "tools/call", token, **call)
        assert status == 403
        assert _named(challenge, "error") == "insufficient_scope"
        assert _named(challenge, "scope") == f"{CALL} {READ}"
        code = await application.consent(_named(challenge, "scope"), url)
        more = (await application.grant(url, code=code))["access_token"]
        status, _, body = await ask(5, "tools/call", more, **call)
        assert status == 200
        assert "result" in body
    assert application.faults == []


def _named(challenge: str, name: str) -> str:
    found = challenge.partition(f'{name}="')[2].partition('"')[0]
    assert found
    return found


async def test_a_token_is_for_what_was_consented_and_a_refresh_token_is_good_once(application: Application) -> None:
    assert await application.register(scope="one two") == 201
    code = await application.consent("one", "http://a/mcp")
    said = await application.grant("http://a/mcp", code=code)
    claims = jwt.decode(said["access_token"], options={"verify_signature": False})
    assert (claims["iss"], claims["aud"], claims["scope"]) == (application.url, "http://a/mcp", "one")
    renewal = {"grant_type": "refresh_token", "refresh_token": said["refresh_token"]}
    assert "access_token" in await application.grant("http://a/mcp", **renewal)
    assert application.faults == []
    assert (await application.grant("http://a/mcp", **renewal))["error"] == "invalid_grant"
    assert len(application.faults) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "http://127.0.0.1:2/callback"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_the_page_refuses_what_breaks_a_rule(application: Application, other: dict[str, str]) -> None:
    await application.register()
    assert await application.consent("one", "http://a/mcp", **other) == ""
    assert len(application.faults) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"code": "of nobody"},
        {"code_verifier": "w" * 43},
        {"code_verifier": "short"},
        {"redirect_uri": "http://127.0.0.1:2/callback"},
        {"client_id": "nobody"},
        {"grant_type": "password"},
        {"resource": "http://b/mcp"},
    ],
    ids=lambda other: "-".join(next(iter(other.items()))),
)
async def test_no_token_is_given_for_what_breaks_a_rule(application: Application, other: dict[str, str]) -> None:
    await application.register()
    code = await application.consent("one", "http://a/mcp")
    asked = {"code": code, "resource": "http://a/mcp", **other}
    assert "error" in await application.grant(asked.pop("resource"), **asked)
    assert len(application.faults) == 1


async def test_only_public_clients_are_registered(application: Application) -> None:
    assert await application.register(token_endpoint_auth_method="client_secret_post") == 400
    assert await application.register(redirect_uris=[]) == 400
    assert len(application.faults) == 2


def test_another_way_than_the_challenges_call_for_is_told() -> None:
    def granted(scope: str, resource: str | None = "r") -> list[Json]:
        return [{"did": "authorized"}, {"did": "granted", "scope": scope, "resource": resource}]

    once = [{"did": "registered"}, *granted(f"{CALL} {READ}")]
    twice = [{"did": "registered"}, *granted(READ), *granted(f"{READ} {CALL}")]
    assert unlike(once, False, "r") == []
    assert unlike(twice, True, "r") == []
    assert unlike(once, True, "r")
    assert unlike(twice, False, "r")
    assert unlike([], False, None)
    assert unlike([*once[:1], *twice], False, "r")
    assert unlike(once, False, None)
    assert unlike([{"did": "registered"}, *granted(READ)], False, "r")


def test_the_tables_name_clients() -> None:
    assert set(CLIENTS) >= STEPS_UP | NAMES_RESOURCE | RENEWS_FIRST
