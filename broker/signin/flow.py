"""Signing in, from the refusal of a server to a grant: discovery, the client, the browser, the code, the tokens.

Follows basic/authorization of 2026-07-28 (authorization flow steps, scope selection, step-up). Invariants: the issuer,
the verifier and the state of one attempt are made together and used once; nobody is sent to an address that was not
judged; what is wrong ends the attempt before anything secret leaves.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from broker.signin.browser import opener, show
from broker.signin.challenge import Challenge
from broker.signin.discovery import Issuer, Resource, issuer_of, resource_of
from broker.signin.errors import SignInError
from broker.signin.fetch import Fetcher
from broker.signin.grant import Grant
from broker.signin.loopback import Loopback
from broker.signin.options import SignInOptions
from broker.signin.places import canonical
from broker.signin.registration import client_for, still_fits
from broker.signin.tokens import redeemed

OFFLINE = "offline_access"
"""The scope for refresh tokens, where an issuer has it (2026-07-28: clients MAY add it)."""

Browse = Callable[[str], Awaitable[bool]]
"""Opens a page; False if it cannot."""


class Person(msgspec.Struct, frozen=True):
    """How somebody is asked to sign in. `say` writes a line for people; `watched`: somebody reads those lines."""

    say: Callable[[str], None]
    browse: Browse | None
    watched: bool
    wait_s: float

    @property
    def there(self) -> bool:
        """False if nobody would notice."""
        return self.watched or self.browse is not None


def person(say: Callable[[str], None], wait_s: float, *, watched: bool, browser: bool = True) -> Person:
    """Whoever sits before this machine."""
    program = opener() if browser else None
    if program is None:
        return Person(say, None, watched, wait_s)
    return Person(say, lambda url: show(url, program), watched, wait_s)


async def sign_in(
    server: str,
    challenge: Challenge,
    options: SignInOptions,
    fetch: Fetcher,
    who: Person,
    *,
    before: Grant | None = None,
    clock: Callable[[], float] = time.time,
) -> Grant:
    """The grant that somebody gives. `before` is an earlier one for this server; `clock` is in Unix seconds.

    Raises:
        SignInError: nobody gives one, or something on the way cannot be trusted.
    """
    fetch.guard.origin(server)
    resource = await resource_of(server, challenge, fetch)
    issuer = await issuer_of(
        server, resource, fetch, pinned=options.issuer, known=before.issuer if before is not None else ""
    )
    await fetch.judge(issuer.authorization_endpoint)
    if not who.there:
        raise SignInError("nobody-there", "there is neither a browser nor a terminal to ask somebody to sign in")
    same = before if before is not None and before.issuer == issuer.issuer else None
    scopes = wanted(challenge, resource, issuer, options, same)
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    async with _loopback(state, options, same) as back:
        known = (
            same.client if same is not None and still_fits(same.client, back.redirect_uri, scopes, clock()) else None
        )
        client = await client_for(issuer, options, back.redirect_uri, scopes, fetch, before=known)
        client = msgspec.structs.replace(client, redirect_uri=back.redirect_uri)
        grant = Grant(
            server=canonical(server),
            issuer=issuer.issuer,
            resource=resource.uri,
            token_endpoint=issuer.token_endpoint,
            revocation_endpoint=issuer.revocation_endpoint,
            client=client,
            asked=scopes,
        )
        await _ask(_page(issuer, grant, verifier, state), grant, who)
        code = await back.code(issuer, who.wait_s)
        return await redeemed(grant, code, verifier, fetch, clock())


def wanted(
    challenge: Challenge, resource: Resource, issuer: Issuer, options: SignInOptions, before: Grant | None
) -> tuple[str, ...]:
    """What to ask for: the operator's scopes, or those of the challenge, or all the server names; never fewer than
    were asked for before, so that one operation's scopes do not cost another's.
    """
    scopes = options.scopes or challenge.scopes or resource.scopes
    if challenge.scopes and options.scopes and challenge.error == "insufficient_scope":
        scopes = (*options.scopes, *challenge.scopes)
    asked = before.asked if before is not None else ()
    found = tuple(dict.fromkeys((*asked, *scopes)))
    return (*found, OFFLINE) if found and OFFLINE in issuer.scopes and OFFLINE not in found else found


def _loopback(state: str, options: SignInOptions, before: Grant | None) -> Loopback:
    """The port the operator chose, else that of the last time, else any: some issuers compare ports too."""
    if options.redirect_port or before is None:
        return Loopback(state, port=options.redirect_port)
    port = before.client.redirect_uri.rpartition(":")[2].partition("/")[0]
    return Loopback(state, port=int(port) if port.isdigit() else 0, or_any=True)


def _page(issuer: Issuer, grant: Grant, verifier: str, state: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")
    fields: dict[str, Any] = {
        "response_type": "code",
        "client_id": grant.client.id,
        "redirect_uri": grant.client.redirect_uri,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": grant.resource,
    }
    if grant.asked:
        fields["scope"] = " ".join(grant.asked)
    where = issuer.authorization_endpoint
    return f"{where}{'&' if '?' in where else '?'}{urlencode(fields)}"


async def _ask(page: str, grant: Grant, who: Person) -> None:
    opened = who.browse is not None and await who.browse(page)
    if not opened and not who.watched:
        raise SignInError("nobody-there", "no browser could be opened, and there is no terminal")
    how = "A browser was opened" if opened else "Open this page in a browser on this machine"
    who.say(f"{grant.server} wants you to sign in. {how}, for {who.wait_s:g} s: {page}")
