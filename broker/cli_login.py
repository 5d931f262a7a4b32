"""The subcommands `login` and `logout`: a person signs in at a server before a host needs it, and out again."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from broker.cli_codes import CONFIGURATION, RUNTIME
from broker.cli_stdio import sign_in_options
from broker.stdio_command import UnusableError, WrongLineError, sign_in_of, target_of

if TYPE_CHECKING:
    from broker.signin.grant import Grant


@click.command()
@click.argument("url", required=False, metavar="[URL]")
@sign_in_options
@click.option("--ca-bundle", metavar="PATH", help="PEM file with the authorities to trust instead of the system's.")
@click.option("--no-browser", is_flag=True, help="Only write the address of the page to open.")
def login(url: str | None, *, no_browser: bool, **given: Any) -> None:
    """Sign in at the MCP server at URL in a browser; without URL, say where you are signed in.

    What the server's issuer gives is kept in a folder that only you can read, and used by `dragoman stdio URL`,
    `dragoman proxy URL --sign-in` and every server with `sign_in` in a configuration; it is renewed as long as the
    issuer lets it be.

    On a machine without a browser, choose --redirect-port, forward it from the machine that has one
    (`ssh -L PORT:127.0.0.1:PORT`), and open the page there.

    \b
    Examples
      dragoman login https://mcp.example.com/mcp
      dragoman login https://mcp.example.com/mcp --client-id my-client --issuer https://login.example.com
      dragoman login
    """
    from broker.signin.errors import SignInError

    if url is None:
        _list()
        return
    try:
        address = _address(url)
        options = sign_in_of(given)
        grant = asyncio.run(_login(address, options, given["ca_bundle"], browser=not no_browser))
    except WrongLineError as error:
        raise click.UsageError(str(error)) from None
    except (UnusableError, ValueError) as error:
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CONFIGURATION)
    except SignInError as error:
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(RUNTIME)
    click.echo(line(grant))


@click.command()
@click.argument("url", metavar="URL")
@click.option("--ca-bundle", metavar="PATH", help="PEM file with the authorities to trust instead of the system's.")
def logout(url: str, ca_bundle: str | None) -> None:
    """Sign out at the MCP server at URL: what was kept is taken back at its issuer, if that can be done, and deleted.

    \b
    Example
      dragoman logout https://mcp.example.com/mcp
    """
    from broker.signin.errors import SignInError

    try:
        there, taken_back = asyncio.run(_logout(_address(url), ca_bundle))
    except (UnusableError, ValueError) as error:
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(CONFIGURATION)
    except SignInError as error:
        click.echo(f"dragoman: {error}", err=True)
        sys.exit(RUNTIME)
    if not there:
        click.echo("you were not signed in there")
    else:
        click.echo("signed out" if taken_back else "signed out here; the issuer was not told")


def line(grant: Grant, now: float | None = None) -> str:
    """Where somebody is signed in, without anything secret."""
    left = grant.expires_at - (time.time() if now is None else now)
    life = "renewed by itself" if grant.refresh_token else ""
    if not life:
        life = "for an unknown time" if not grant.expires_at else f"for {left:.0f} s" if left > 0 else "expired"
    scopes = f", scopes {' '.join(grant.scopes)}" if grant.scopes else ""
    return f"{grant.server}: signed in at {grant.issuer}, {life}{scopes}"


def _list() -> None:
    from broker.signin.store import Store

    grants = Store().all()
    for grant in grants:
        click.echo(line(grant))
    if not grants:
        click.echo("you are signed in nowhere")


def _address(url: str) -> str:
    target = target_of((url,))
    if not isinstance(target, str):
        raise UnusableError("expected the http or https address of a server")
    return target


async def _login(url: str, options: Any, ca_bundle: str | None, *, browser: bool) -> Grant:
    from broker.limit_values import DEFAULTS
    from broker.signin.addresses import Guard
    from broker.signin.errors import SignInError
    from broker.signin.fetch import Fetcher
    from broker.signin.flow import person, sign_in
    from broker.signin.places import canonical
    from broker.signin.probe import challenge_of
    from broker.signin.store import Store

    store, name = Store(), canonical(url)

    def say(text: str) -> None:
        click.echo(f"dragoman: {text}", err=True)

    async with store.lock(name, DEFAULTS.sign_in_s):
        guard = Guard(url, [options.issuer] if options.issuer else [])
        fetcher = Fetcher(guard, request_s=DEFAULTS.sign_in_request_s, tls=_tls(ca_bundle), proxy_env=os.environ)
        async with fetcher as fetch:
            challenge = await challenge_of(url, fetch)
            if challenge is None:
                raise SignInError("off", "the server does not ask anybody to sign in")
            who = person(say, DEFAULTS.sign_in_s, watched=True, browser=browser)
            grant = await sign_in(url, challenge, options, fetch, who, before=store.load(name))
            store.save(grant)
            if await challenge_of(url, fetch, grant) is not None:
                say("the server does not accept what its issuer gave")
            return grant


async def _logout(url: str, ca_bundle: str | None) -> tuple[bool, bool]:
    from broker.limit_values import DEFAULTS
    from broker.signin.addresses import Guard
    from broker.signin.errors import SignInError
    from broker.signin.fetch import Fetcher
    from broker.signin.places import canonical
    from broker.signin.store import Store
    from broker.signin.tokens import revoked

    store, name = Store(), canonical(url)
    async with store.lock(name, DEFAULTS.sign_in_request_s):
        try:
            grant = store.load(name)
        except SignInError:  # it cannot be read, and is deleted all the same
            grant = None
        taken_back = False
        if grant is not None:
            guard = Guard(url, [grant.issuer])
            fetcher = Fetcher(guard, request_s=DEFAULTS.sign_in_request_s, tls=_tls(ca_bundle), proxy_env=os.environ)
            try:
                async with fetcher as fetch:
                    taken_back = await revoked(grant, fetch)
            except SignInError as error:
                click.echo(f"dragoman: {error}", err=True)
        return store.forget(name), taken_back


def _tls(ca_bundle: str | None) -> Any:
    if ca_bundle is None:
        return None
    from broker.backends.tls import client_context

    return client_context(ca_file=ca_bundle)
