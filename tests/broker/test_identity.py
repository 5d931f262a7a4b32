"""Who is calling: keys by their hash, anonymous where it is allowed, and nothing in between."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from broker.identity import Principal, Refused, digest_of, new_key
from broker.identity.admission import Admission
from broker.identity.identities import Identities
from broker.settings import Settings

URL = "http://127.0.0.1:9/mcp"
KEY, DIGEST = new_key()


def who(credential: str | None, **members: Any) -> Principal | Refused:
    headers = CIMultiDict[str]() if credential is None else CIMultiDict({"authorization": credential})
    settings = Settings.for_proxy(URL, **members)
    found = Admission("default", settings.servers["default"], Identities(settings), ()).identify(headers, None, "")
    assert found is not None
    return found


def test_on_loopback_nobody_in_particular_is_one_caller_with_a_user() -> None:
    principal = who(None)
    assert principal == Principal("local", "local")
    assert isinstance(principal, Principal)
    assert (principal.per_call_sessions, principal.input_capabilities) == (False, True)


def test_elsewhere_anonymous_callers_share_nothing_and_are_asked_nothing() -> None:
    principal = who(None, host="192.0.2.7", anonymous="allow")
    assert isinstance(principal, Principal)
    assert (principal.kind, principal.per_call_sessions, principal.input_capabilities) == ("anonymous", True, False)


def test_a_public_name_on_a_loopback_address_is_elsewhere() -> None:
    principal = who(None, allowed_hosts=["mcp.example.com"], anonymous="allow")
    assert isinstance(principal, Principal)
    assert principal.kind == "anonymous"


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_a_key_names_its_caller(scheme: str) -> None:
    principal = who(scheme + KEY, keys={"bob": digest_of("other-key"), "alice": DIGEST})
    assert isinstance(principal, Principal)
    assert (principal.id, principal.kind, principal.scopes) == ("key:alice", "key", frozenset())
    assert (principal.per_call_sessions, principal.input_capabilities) == (False, True)


@pytest.mark.parametrize("anonymous", ["auto", "allow", "refuse"])
@pytest.mark.parametrize(
    ("credential", "reason"),
    [
        ("Bearer wrong", "bad-credential"),
        (f"Bearer {DIGEST}", "bad-credential"),
        (f"Bearer {KEY}x", "bad-credential"),
        ("Bearer " + "a" * 10_000, "bad-credential"),
        ("Bearer", "unsupported-credential"),
        ("", "unsupported-credential"),
        (f"Basic {KEY}", "unsupported-credential"),
        (KEY, "unsupported-credential"),
        ("Bearer caf\xe9", "unsupported-credential"),
    ],
)
def test_a_credential_that_fails_is_never_anonymous(credential: str, reason: str, anonymous: str) -> None:
    refusal = who(credential, keys={"alice": DIGEST}, anonymous=anonymous)
    assert isinstance(refusal, Refused)
    assert (refusal.status, refusal.reason) == (401, reason)
    assert refusal.headers["WWW-Authenticate"].startswith("Bearer ")


def test_no_credential_is_refused_where_keys_are_required() -> None:
    refusal = who(None, keys={"alice": DIGEST})
    assert isinstance(refusal, Refused)
    assert refusal.challenge == 'Bearer realm="dragoman"'


def test_a_credential_without_keys_to_check_it_is_refused_and_not_dropped() -> None:
    refusal = who(f"Bearer {KEY}")
    assert isinstance(refusal, Refused)
    assert refusal.reason == "bad-credential"


def test_fresh_keys_differ_and_are_long() -> None:
    keys = {new_key()[0] for _ in range(100)}
    assert len(keys) == 100
    assert min(len(key) for key in keys) >= 43
