"""Signing in with real processes: `dragoman stdio` before a host, `login`, `logout`, and what they leave behind."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.broker.signin_world import Setting, setting

Json = dict[str, Any]
WAIT_S = 60
POSIX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the opener is that of Linux")
INITIALIZE: Json = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "host", "version": "1"}},
}
OPENER = f"""#!{sys.executable}
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=30).read()
"""


class Machine:
    """A home of its own; with `screen`, a browser that follows every page it is given."""

    def __init__(self, home: Path, *, screen: bool) -> None:
        self.home = home
        (home / "bin").mkdir(parents=True)
        script = home / "bin" / "xdg-open"
        script.write_text(OPENER, encoding="utf-8")
        script.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        kept.pop("DISPLAY", None)
        kept.pop("WAYLAND_DISPLAY", None)
        self.environ = {
            **kept,
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            **({"DISPLAY": ":99"} if screen else {}),
        }

    @asynccontextmanager
    async def run(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """`dragoman` with these arguments, ended by its process id if it has not ended by itself."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "broker", *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environ
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def done(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a command that ends by itself."""
        async with self.run(*arguments) as process:
            out, err = await asyncio.wait_for(process.communicate(), WAIT_S)
            assert process.returncode is not None
            return process.returncode, out.decode(), err.decode()

    async def hosted(self, url: str, *options: str) -> tuple[list[Json], str]:
        """What a host is told by `dragoman stdio` to its first request, and what is written beside."""
        async with self.run("stdio", *options, url) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
            first = await asyncio.wait_for(process.stdout.readline(), WAIT_S)
            process.stdin.close()
            out, err = await asyncio.wait_for(process.communicate(), WAIT_S)
            assert process.returncode == 0, err
            return [json.loads(line) for line in (first + out).splitlines()], err.decode()


def unseen(here: Setting, *texts: object) -> None:
    """No token, verifier or code is in any of these."""
    secrets = [*here.issuer.access, *here.issuer.refreshes, "code-"]
    assert secrets
    assert not [secret for secret in secrets for text in texts if secret in str(text)]


@POSIX
async def test_a_host_that_starts_the_command_gets_its_answer_once_the_person_has_signed_in(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        machine = Machine(tmp_path / "home", screen=True)
        [answer], err = await machine.hosted(here.url)
        assert answer["result"]["serverInfo"]["name"] == "dragoman-sample"
        assert f"{here.url} wants you to sign in" in err
        unseen(here, answer, err)
        [answer], err = await machine.hosted(here.url)
        assert "result" in answer
        assert err == ""
        assert here.door.refusals == [401]


@POSIX
async def test_two_commands_started_at_once_make_the_person_sign_in_once(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        machine = Machine(tmp_path / "home", screen=True)
        found = await asyncio.gather(machine.hosted(here.url), machine.hosted(here.url))
        assert ["result" in said[0] for said, _ in found] == [True, True]
        assert len(here.issuer.authorizations) == 1


@POSIX
async def test_without_a_screen_the_host_is_told_at_once_and_login_does_it(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        machine = Machine(tmp_path / "home", screen=False)
        [answer], err = await machine.hosted(here.url)
        assert answer["error"]["data"]["reason"] == "backend-sign-in"
        assert f"dragoman login {here.url}" in err
        assert here.issuer.authorizations == []

        async with machine.run("login", here.url) as process:
            assert process.stderr is not None
            line = (await asyncio.wait_for(process.stderr.readline(), WAIT_S)).decode()
            assert "Open this page" in line
            await here.browser(line.split()[-1])
            out, err_more = await asyncio.wait_for(process.communicate(), WAIT_S)
            assert process.returncode == 0, err_more
            assert out.decode() == f"{here.url}: signed in at {here.issuer.issuer}, renewed by itself\n"
            unseen(here, out, err_more)
        [answer], err = await machine.hosted(here.url)
        assert "result" in answer
        assert err == ""
        _, listed, _ = await machine.done("login")
        assert listed == out.decode()


@POSIX
async def test_check_and_report_use_what_is_kept_and_ask_nobody(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        machine = Machine(tmp_path / "home", screen=True)
        config = tmp_path / "mcp.json"
        config.write_text(json.dumps({"mcpServers": {"a": {"url": here.url}}}), encoding="utf-8")
        lines = (["check", here.url], ["check", str(config)], ["report", here.url, "--client", "2025-11-25"])
        for line in lines:
            code, out, err = await machine.done(*line)
            assert code == 1
            assert "HTTP 401): if it wants a person to sign in, run `dragoman login`" in out + err
        assert here.issuer.authorizations == []
        code, _, err = await machine.done("login", here.url)
        assert code == 0, err
        for line in lines:
            code, out, err = await machine.done(*line)
            assert (code, err) == (0, ""), out
            unseen(here, out, err)
        assert len(here.issuer.authorizations) == 1


@POSIX
async def test_signing_out_takes_the_tokens_back_and_forgets_them(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        machine = Machine(tmp_path / "home", screen=True)
        code, _, err = await machine.done("login", here.url)
        assert code == 0, err
        [access], [refresh] = here.issuer.access, here.issuer.refreshes
        assert await machine.done("logout", here.url) == (0, "signed out\n", "")
        assert here.issuer.revoked == [refresh, access]
        assert await machine.done("logout", here.url) == (0, "you were not signed in there\n", "")
        assert await machine.done("login") == (0, "you are signed in nowhere\n", "")
        kept = [path for path in (tmp_path / "home" / "state").rglob("*") if path.is_file()]
        assert not any(path.read_bytes() for path in kept)


async def test_a_server_that_wants_nobody_is_said_to_be_one(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.access[""] = set()  # whoever shows nothing is let in
        code, _, err = await Machine(tmp_path / "home", screen=False).done("login", here.url)
        assert (code, err) == (1, "dragoman: the server does not ask anybody to sign in\n")


async def test_an_issuer_that_refuses_ends_login_with_its_reason(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        here.issuer.edit = lambda it: it.pop("code_challenge_methods_supported")
        code, out, err = await Machine(tmp_path / "home", screen=True).done("login", here.url)
        assert (code, out) == (1, "")
        assert "S256" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["login", "ftp://mcp.example.com"], 3),
        (["login", "env:NO_SUCH_VARIABLE"], 3),
        (["login", "http://127.0.0.1:1/mcp", "--redirect-port", "x"], 2),
        (["login", "http://127.0.0.1:1/mcp", "--client-secret-file", "/no/such"], 3),
        (["login", "http://127.0.0.1:1/mcp"], 1),
        (["logout"], 2),
        (["proxy", "http://127.0.0.1:1/mcp", "--client-id", "me"], 2),
        (["proxy", "http://127.0.0.1:1/mcp", "--sign-in", "--key", f"a={'0' * 64}"], 3),
    ],
)
async def test_what_makes_no_sense_ends_with_its_exit_code(arguments: list[str], code: int, tmp_path: Path) -> None:
    found, out, err = await Machine(tmp_path / "home", screen=False).done(*arguments)
    assert (found, out) == (code, ""), err
    assert err


@POSIX
async def test_whoever_wants_nobody_to_be_asked_is_told_what_the_server_said(tmp_path: Path) -> None:
    async with setting(tmp_path) as here:
        machine = Machine(tmp_path / "home", screen=True)
        [answer], err = await machine.hosted(here.url, "--sign-in", "never")
        assert answer["error"]["data"]["reason"] == "backend-unauthorized"
        assert "sign" not in err
        assert here.issuer.asked == []
