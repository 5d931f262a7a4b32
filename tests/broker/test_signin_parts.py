"""The parts of signing in that can be looked at alone: challenges, addresses, files, openers, options, settings."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from broker.backends.http1_head import parse_url
from broker.hosts.machine import Machine
from broker.settings import Settings, SettingsError
from broker.signin import places
from broker.signin.addresses import Guard
from broker.signin.browser import opener, show
from broker.signin.challenge import Challenge, read
from broker.signin.discovery import covers
from broker.signin.errors import SignInError
from broker.signin.fetch import Fetcher
from broker.signin.grant import Client, Grant
from broker.signin.options import SignInOptions, problem
from broker.signin.places import canonical
from broker.signin.store import Store

SERVER = "https://mcp.example.com/mcp"
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", Challenge()),
        ("Bearer", Challenge()),
        ('Bearer scope="a b", error="invalid_token"', Challenge("", ("a", "b"), "invalid_token")),
        ('bearer resource_metadata="https://x/y, z",scope=a', Challenge("https://x/y, z", ("a",))),
        ('Basic realm="x", Bearer realm="y" , scope="a"', Challenge("", ("a",))),
        ('Bearer scope="a", Basic realm="x", scope="b"', Challenge("", ("a",))),
        ('Negotiate a87421000492aa874209af8bc028==, Bearer scope="a"', Challenge("", ("a",))),
        ('DPoP algs="ES256", Bearer error="insufficient_scope"', Challenge("", (), "insufficient_scope")),
        (r'Bearer scope="a\"b"', Challenge()),
        ('Bearer scope="a  b a"', Challenge("", ("a", "b"))),
        ('Bearer resource_metadata = "u"', Challenge("u")),
        ('Basic scope="a"', Challenge()),
        ('Bearer scope="unclosed', Challenge()),
        (",,, =;;; Bearer", Challenge()),
    ],
)
def test_a_challenge_is_read_whatever_stands_around_it(header: str, found: Challenge) -> None:
    assert read(header) == found


def test_a_hostile_challenge_is_read_in_no_time() -> None:
    for header in ("Bearer " * 100_000, 'Bearer a="' + "\\" * 100_000, "=" * 100_000, "a=b," * 100_000):
        assert read(header).scopes == ()


# ---- addresses -------------------------------------------------------------------------------------------------------

INSIDE = [
    "127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::10.0.0.1", "64:ff9b::a00:1",
    "64:ff9b:1::a00:1", "2002:a00:1::", "2001:0:a00:1::f5ff:fffe", "2606:4700::5efe:a00:1",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


def guard(server: str, *found: str, named: Sequence[str] = ()) -> Guard:
    """A guard whose names all have these addresses, but for the server's own, which is public."""

    async def lookup(host: str, port: int) -> list[str]:
        return ["93.184.216.34"] if host == "mcp.example.com" else list(found)

    return Guard(server, named, lookup=lookup)


@pytest.mark.parametrize("address", INSIDE)
async def test_a_public_server_leads_to_no_address_inside(address: str) -> None:
    with pytest.raises(SignInError, match="nearer"):
        await guard(SERVER, "93.184.216.34", address).addresses("auth.example.com", 443)


@pytest.mark.parametrize("address", PUBLIC)
async def test_a_public_server_leads_to_public_addresses_which_are_the_ones_connected_to(address: str) -> None:
    assert await guard(SERVER, address).addresses("auth.example.com", 443) == [address]


@pytest.mark.parametrize("address", INSIDE)
async def test_an_address_inside_is_refused_in_the_url_itself(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    here = guard(SERVER)
    with pytest.raises(SignInError):
        await here.addresses(here.origin(f"https://{host}/token").host, 443)


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example.com/", "http://10.0.0.1/", "ftp://auth.example.com/", "javascript:alert(1)", "--flag", "",
        "https://auth.example.com/#x", "https://a@auth.example.com/", "https://auth.example.com/ x", "https:///x", 7,
        "https://auth.example.com/\r\nX: y", "https://auth.example.com/`id`", "https://169.254.169.254/", None,
        "https://auth.example.com/" + "x" * 3_000,
    ],
)  # fmt: skip
def test_what_is_no_plain_https_address_is_not_asked(url: object) -> None:
    with pytest.raises(SignInError):
        guard(SERVER).origin(url)


async def test_a_server_inside_leads_inside_and_not_to_this_machine() -> None:
    inside = Guard("https://10.0.0.5/mcp", lookup=lambda host, port: _found("10.0.0.9"))
    assert await inside.addresses("auth.corp", 443) == ["10.0.0.9"]
    here = Guard("https://10.0.0.5/mcp", lookup=lambda host, port: _found("127.0.0.1"))
    with pytest.raises(SignInError):
        await here.addresses("localhost", 443)
    metadata = Guard("http://127.0.0.1/mcp", lookup=lambda host, port: _found("169.254.169.254"))
    with pytest.raises(SignInError):
        await metadata.addresses("metadata.internal", 443)


async def test_what_the_operator_named_may_be_inside() -> None:
    here = guard(SERVER, "10.0.0.9", named=["https://auth.corp"])
    assert await here.addresses("auth.corp", 443) == ["10.0.0.9"]
    with pytest.raises(SignInError):
        await here.addresses("auth.corp", 8443)


async def test_a_server_with_a_public_address_as_well_is_a_public_one() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "93.184.216.34"] if host == "mcp.example.com" else ["127.0.0.1"]

    with pytest.raises(SignInError):
        await Guard(SERVER, lookup=lookup).addresses("auth.example.com", 443)


async def _found(address: str) -> list[str]:
    return [address]


async def test_through_a_proxy_names_are_the_proxys_to_look_up_and_addresses_inside_are_refused() -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def lookup(host: str, port: int) -> list[str]:
        assert host in ("127.0.0.1", "mcp.example.com"), host
        return ["93.184.216.34"] if host == "mcp.example.com" else [host]

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    where = {"https_proxy": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    async with server, Fetcher(Guard(SERVER, lookup=lookup), request_s=5, proxy_env=where) as fetch:
        with pytest.raises(SignInError, match="cannot be reached"):
            await fetch.get("https://auth.example.com/x")
        await fetch.judge("https://auth.example.com/authorize")
        for inside in ("https://10.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/"):
            with pytest.raises(SignInError):
                await fetch.get(inside)
    assert asked == [b"CONNECT auth.example.com:443 HTTP/1.1\r\n"]


@pytest.mark.parametrize(
    ("resource", "right"),
    [
        (SERVER, True),
        ("HTTPS://MCP.example.com:443/mcp", True),
        ("https://mcp.example.com", True),
        ("https://mcp.example.com/", True),
        (f"{SERVER}/", True),
        ("https://mcp.example.com/mc", False),
        (f"{SERVER}/x", False),
        ("https://mcp.example.com:444/mcp", False),
        ("http://mcp.example.com/mcp", False),
        ("https://mcp.example.com.evil/mcp", False),
        (f"{SERVER}?a=b", False),
        (f"{SERVER}#a", False),
    ],
)
def test_a_resource_is_the_server_or_a_folder_it_is_in(resource: str, right: bool) -> None:
    assert covers(resource, parse_url(SERVER)) is right


def test_a_server_has_one_name() -> None:
    assert canonical("HTTPS://MCP.Example.com:443/") == "https://mcp.example.com"
    assert canonical("http://localhost:80/Mcp?key=1") == "http://localhost/Mcp"


# ---- files -----------------------------------------------------------------------------------------------------------


def grant(server: str = SERVER, **more: str) -> Grant:
    """A grant with secrets in it."""
    return Grant(
        server=server,
        issuer="https://auth.example.com",
        resource=server,
        token_endpoint="https://auth.example.com/token",
        client=Client("me", "configured", "client_secret_basic", "canary-secret"),
        access_token=more.get("access_token", "canary-access"),
        refresh_token="canary-refresh",
    )


@POSIX
def test_only_this_person_can_read_what_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "a" / "signin"
    place.mkdir(mode=0o755, parents=True)
    here = Store(place)
    here.save(grant())
    assert here.load(SERVER) == grant()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()] == [0o600]
    assert "example" not in str(list(place.iterdir()))


@POSIX
def test_a_file_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    here = Store(tmp_path)
    here.save(grant())
    here.path(SERVER).chmod(0o640)
    with pytest.raises(SignInError, match="not this person's alone"):
        here.load(SERVER)
    assert here.all() == []


@POSIX
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    here = Store(tmp_path / "signin")
    here.save(grant())
    moved = tmp_path / "moved"
    here.path(SERVER).rename(moved)
    here.path(SERVER).symlink_to(moved)
    with pytest.raises(SignInError):
        here.load(SERVER)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[]", b"x" * 300_000])
def test_a_file_that_cannot_be_read_is_as_if_nobody_had_signed_in(text: bytes, tmp_path: Path) -> None:
    here = Store(tmp_path)
    here.save(grant())
    here.path(SERVER).write_bytes(text)
    assert here.load(SERVER) is None


def test_the_grant_of_one_server_is_not_another_ones(tmp_path: Path) -> None:
    here = Store(tmp_path)
    here.save(grant())
    here.path(SERVER).rename(here.path("https://evil.example"))
    assert here.load("https://evil.example") is None


async def test_a_lock_keeps_others_out_and_lets_them_in_again(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path)
    async with first.lock(SERVER, 1):
        with pytest.raises(SignInError) as caught:
            async with second.lock(SERVER, 0):
                raise AssertionError("both hold it")
        assert caught.value.reason == "locked"
        async with second.lock("https://other.example", 0):
            pass
    async with second.lock(SERVER, 0):
        pass


def test_nothing_secret_is_in_what_is_printed() -> None:
    shown = repr((grant(), grant().client, SignInOptions("me", "canary-secret", "https://auth.example.com")))
    assert "canary" not in shown
    assert "canary" not in str(msgspec.structs.replace(grant(), scopes=("a",)))


def test_grants_are_kept_where_each_system_keeps_such_things() -> None:
    linux = Machine("linux", "/h/a", {}, "/")
    assert places.folder(linux) == Path("/h/a/.local/state/dragoman/signin")
    assert places.folder(Machine("linux", "/h/a", {"XDG_STATE_HOME": "/s"}, "/")) == Path("/s/dragoman/signin")
    mac = places.folder(Machine("darwin", "/Users/a", {}, "/"))
    assert mac == Path("/Users/a/Library/Application Support/dragoman/signin")
    windows = str(places.folder(Machine("win32", "C:\\Users\\a", {"LOCALAPPDATA": "C:\\L"}, "C:\\")))
    assert windows.replace("/", "\\") == "C:\\L\\dragoman\\signin"


# ---- browsers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "environ", "program"),
    [
        ("linux", {}, None),
        ("linux", {"DISPLAY": ":0"}, "/bin/xdg-open"),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, "/bin/xdg-open"),
        ("darwin", {}, "/usr/bin/open"),
        ("darwin", {"SSH_CONNECTION": "a b"}, None),
        ("win32", {}, "startfile"),
    ],
)
def test_each_system_has_its_own_opener_where_there_is_a_screen(
    platform: str, environ: dict[str, str], program: str | None
) -> None:
    assert opener(platform, environ, lambda name: f"/bin/{name}") == program


@POSIX
async def test_the_page_is_one_argument_of_a_program_and_no_shell_sees_it(tmp_path: Path) -> None:
    script, found = tmp_path / "opener", tmp_path / "found"
    script.write_text(f'#!/bin/sh\nprintf "%s|" "$#" "$@" > {found}\n', encoding="utf-8")
    script.chmod(0o700)
    page = "https://auth.example.com/a?b=$(id)&c=;d|e"
    with pytest.raises(ValueError, match="plain"):
        await show(page, str(script))
    assert await show("https://auth.example.com/a?b=$(id)&c=;d", str(script))
    assert await asyncio.to_thread(found.read_text, "utf-8") == "1|https://auth.example.com/a?b=$(id)&c=;d|"
    for bad in ("--flag", "javascript:alert(1)", "file:///etc/passwd", "https://x.example/ y"):
        with pytest.raises(ValueError, match="plain"):
            await show(bad, str(script))
    assert not await show("https://auth.example.com/", str(tmp_path / "nothing"))


# ---- what operators say ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "right"),
    [
        (SignInOptions(), True),
        (SignInOptions("me"), True),
        (SignInOptions("me", "s", "https://auth.example.com"), True),
        (SignInOptions("me", "s"), False),
        (SignInOptions("", "s", "https://auth.example.com"), False),
        (SignInOptions("https://x.example/client.json"), True),
        (SignInOptions("https://x.example/"), False),
        (SignInOptions("https://x.example/c", "s", "https://auth.example.com"), False),
        (SignInOptions(issuer="auth.example.com"), False),
        (SignInOptions("m\r\ne"), False),
        (SignInOptions(redirect_port=70_000), False),
    ],
)
def test_options_that_make_no_sense_are_said(options: SignInOptions, right: bool) -> None:
    assert (problem(options) is None) is right


def settings(**server: object) -> Settings:
    more = server.pop("more", {})
    assert isinstance(more, dict)
    return Settings.build({**more, "servers": {"a": {"url": SERVER, **server}}})


def test_a_configured_server_can_be_signed_in_at() -> None:
    assert settings().servers["a"].sign_in_options is None
    assert settings(sign_in=True).servers["a"].sign_in_options == SignInOptions()
    said = {"client_id": "me", "client_secret": "s", "issuer": "https://auth.example.com", "scopes": ["a"]}
    found = settings(sign_in=said).servers["a"].sign_in_options
    assert found == SignInOptions("me", "s", "https://auth.example.com", ("a",))
    assert "s" in settings(sign_in=said).secrets()


@pytest.mark.parametrize(
    "server",
    [
        {"sign_in": True, "headers": {"authorization": "Bearer x"}},
        {"sign_in": {"client_secret": "s"}},
        {"sign_in": {"client": "me"}},
        {"sign_in": True, "more": {"keys": {"a": "0" * 64}}},
        {"sign_in": True, "more": {"host": "0.0.0.0", "allowed_hosts": ["x.example"], "anonymous": "allow"}},
        {"sign_in": True, "url": "", "command": ["x"]},
    ],
)
def test_a_configured_server_cannot_be_signed_in_at_for_many_or_twice(server: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        settings(**server)
