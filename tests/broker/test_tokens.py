"""Access tokens that prove something, and all those that do not (security catalogue C094, C110, C111)."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from broker.identity import Principal, Refused
from broker.identity.admission import Admission
from broker.identity.identities import Identities
from broker.identity.issuer import Issuer, Pace
from broker.identity.keys import NoKeySet, read_keys, select
from broker.settings import Settings
from tests.broker.issuer_world import ED, KEYS, NOW, P256, PEM, RSA, RSA_OTHER, Json, jwk, part, sign

ISSUER = "https://issuer.example"
HERE = "https://mcp.example/mcp"
GOOD: Json = {"iss": ISSUER, "sub": "ann", "aud": HERE, "exp": NOW + 300, "iat": NOW, "nbf": NOW, "scope": "a b"}


def admission(*, backend: Json | None = None, **members: Any) -> Admission:
    """That of one server whose issuer's keys are known; its clocks stand still."""
    section = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", **members.pop("issuer", {})}
    settings = Settings.for_proxy(
        "http://127.0.0.1:9/mcp", backend=backend, issuers=[section], public_url="https://mcp.example", **members
    )
    identities = Identities(settings, clock=lambda: 0.0, wall=lambda: NOW)

    async def published(_url: str) -> bytes:
        return json.dumps({"keys": KEYS}).encode()

    _, rules = identities.issuers[ISSUER]
    issuer = Issuer(ISSUER, jwks_uri=f"{ISSUER}/jwks", fetch=published, pace=Pace(60, 30, 90), clock=lambda: 0.0)
    identities.issuers[ISSUER] = issuer, rules
    return Admission("default", settings.servers["default"], identities, (HERE,))


async def who(token: str, door: Admission | None = None, certificate: bytes | None = None) -> Principal | Refused:
    door = door or admission()
    headers = CIMultiDict({"Authorization": f"Bearer {token}"})
    found = door.identify(headers, certificate, "https://m")
    if found is not None:
        return found
    return await door.verify(headers, certificate, "https://m")


def without(name: str) -> Json:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    "token",
    [
        sign(GOOD),
        sign(GOOD, typ="at+jwt"),
        sign(GOOD, typ="application/AT+JWT"),
        sign(GOOD, typ=None),
        sign(GOOD, alg="PS256"),
        sign(GOOD, key=P256, alg="ES256", kid="e1"),
        sign(GOOD, key=P256, alg="ES256", kid=None),  # the only key for this algorithm
        sign(GOOD, key=ED, alg="EdDSA", kid="d1"),
        sign({**GOOD, "aud": ["https://other.example", HERE]}),
        sign({**GOOD, "exp": NOW - 29}),  # within the leeway
        sign({**GOOD, "nbf": NOW + 29, "iat": NOW + 29}),
        sign({**without("nbf"), "exp": NOW + 300.5}),
        sign({**without("scope"), "scp": ["a", "b"]}),
        sign({**without("scope"), "scp": "a b"}),
    ],
)
async def test_a_good_token_is_its_subject_with_its_claims(token: str) -> None:
    principal = await who(token)
    assert isinstance(principal, Principal), principal
    assert (principal.id, principal.kind) == (f"token:{ISSUER} ann", "token")
    assert principal.scopes == {"a", "b"}
    assert principal.claims["sub"] == "ann"
    assert principal.expires_at == principal.claims["exp"]


HS = sign(GOOD, key=PEM, alg="HS256")
TWICE = b'{"alg":"RS256","alg":"none"}'
_, PAYLOAD, SIGNATURE = sign(GOOD).split(".")
BAD: list[tuple[str, str, str]] = [
    # C110: each with the slug of the audit.
    ("another audience", sign({**GOOD, "aud": "https://mcp.example/other"}), "token-audience"),
    ("an audience that begins like this one", sign({**GOOD, "aud": HERE + "/"}), "token-audience"),
    ("the audience of the whole host", sign({**GOOD, "aud": "https://mcp.example"}), "token-audience"),
    ("an audience in capitals", sign({**GOOD, "aud": HERE.upper()}), "token-audience"),
    ("no audience", sign(without("aud")), "token-audience"),
    ("an empty list of audiences", sign({**GOOD, "aud": []}), "token-audience"),
    ("audiences that are none", sign({**GOOD, "aud": [HERE, 7]}), "token-audience"),
    ("another issuer", sign({**GOOD, "iss": "https://evil.example"}), "token-issuer"),
    ("an issuer that begins like this one", sign({**GOOD, "iss": ISSUER + "/"}), "token-issuer"),
    ("no issuer", sign(without("iss")), "token-issuer"),
    ("a list of issuers", sign({**GOOD, "iss": [ISSUER]}), "token-issuer"),
    ("alg none", f"{part({'alg': 'none', 'typ': 'JWT'})}.{PAYLOAD}.{SIGNATURE}", "token-algorithm"),
    ("alg None and no signature", f"{part({'alg': 'None', 'kid': 'r1'})}.{PAYLOAD}.", "token-algorithm"),
    ("no alg", f"{part({'kid': 'r1'})}.{PAYLOAD}.{SIGNATURE}", "token-algorithm"),
    ("HS256 signed with the public key", HS, "token-algorithm"),
    ("an algorithm that is not accepted", sign(GOOD, alg="RS512"), "token-algorithm"),
    ("an algorithm of another kind of key", sign(GOOD, key=P256, alg="ES256"), "token-key"),
    ("a kid that is a path", sign(GOOD, kid="../../../../dev/null"), "token-key"),
    ("a kid that is an address", sign(GOOD, kid="https://evil.example/jwks"), "token-key"),
    ("a kid that is a query", sign(GOOD, kid="r1' OR '1'='1"), "token-key"),
    ("a kid that is a number", sign(GOOD, kid=1), "token-kid"),
    ("a kid that is empty", sign(GOOD, kid=""), "token-kid"),
    ("a kid without end", sign(GOOD, kid="k" * 1_000), "token-kid"),
    ("keys of its own", sign(GOOD, key=RSA_OTHER, jwk=jwk(RSA_OTHER, "r1")), "token-signature"),
    ("an address of its own keys", sign(GOOD, key=RSA_OTHER, jku="https://evil.example/jwks"), "token-signature"),
    ("certificates of its own", sign(GOOD, key=RSA_OTHER, x5c=["AAAA"], x5u="https://evil"), "token-signature"),
    ("another key's signature", sign(GOOD, key=RSA_OTHER), "token-signature"),
    ("another payload", f"{sign(GOOD).split('.')[0]}.{part({**GOOD, 'sub': 'bob'})}.{SIGNATURE}", "token-signature"),
    ("no signature", sign(GOOD).rpartition(".")[0] + ".", "token-signature"),
    ("a header that must be understood", sign(GOOD, crit=["exp"], exp=1), "token-critical"),
    ("a payload that is not encoded", sign(GOOD, b64=False), "token-critical"),
    ("a logout token", sign(GOOD, typ="logout+jwt"), "token-type"),
    ("a proof of possession", sign(GOOD, typ="dpop+jwt"), "token-type"),
    ("a type that is none", sign(GOOD, typ=7), "token-type"),
    ("an end that has come", sign({**GOOD, "exp": NOW - 30}), "token-expired"),
    ("no end", sign(without("exp")), "token-claims"),
    ("an end that is text", sign({**GOOD, "exp": str(NOW + 300)}), "token-claims"),
    ("an end that is true", sign({**GOOD, "exp": True}), "token-claims"),
    ("an end before all time", sign({**GOOD, "exp": -1}), "token-claims"),
    ("a beginning to come", sign({**GOOD, "nbf": NOW + 31}), "token-not-yet"),
    ("a making to come", sign({**GOOD, "iat": NOW + 31}), "token-not-yet"),
    ("a beginning that is null", sign({**GOOD, "nbf": None}), "token-claims"),
    ("no subject", sign(without("sub")), "token-subject"),
    ("an empty subject", sign({**GOOD, "sub": ""}), "token-subject"),
    ("a subject that is a number", sign({**GOOD, "sub": 7}), "token-subject"),
    ("a subject with a line break", sign({**GOOD, "sub": "ann\nadmin"}), "token-subject"),
    ("a subject without end", sign({**GOOD, "sub": "a" * 257}), "token-subject"),
    ("scopes that are a number", sign({**GOOD, "scope": 7}), "token-claims"),
    ("scopes that are numbers", sign({**GOOD, "scope": [1]}), "token-claims"),
    ("bound to a key that is not shown", sign({**GOOD, "cnf": {"jkt": "x"}}), "token-bound"),
    ("bound to a certificate that is not shown", sign({**GOOD, "cnf": {"x5t#S256": "x"}}), "token-bound"),
    ("a claim twice", sign(json.dumps(GOOD)[:-1].encode() + b',"sub":"bob"}'), "token-format"),
    ("claims that are a list", sign(b"[]"), "token-format"),
    ("claims that are NaN", sign(b'{"exp": NaN}'), "token-format"),
    ("claims in another alphabet", sign(b'\xff\xfe{\x00}\x00'), "token-format"),
    ("a header twice", f"{part(TWICE)}.{PAYLOAD}.{SIGNATURE}", "token-format"),
    ("nothing", "..", "token-format"),
    ("padding", sign(GOOD).replace(".", "=.", 1), "token-format"),
    ("the other alphabet", f"{part({'alg': 'RS256'})}.{PAYLOAD}+/.{SIGNATURE}", "token-format"),
    ("too long", sign({**GOOD, "x": "x" * 8_192}), "token-size"),
]  # fmt: skip


@pytest.mark.parametrize(("token", "detail"), [pytest.param(token, why, id=name) for name, token, why in BAD])
async def test_c110_a_bad_token_is_refused_and_only_the_audit_knows_why(token: str, detail: str) -> None:
    refusal = await who(token)
    assert isinstance(refusal, Refused), refusal
    assert (refusal.status, refusal.reason, refusal.detail) == (401, "bad-credential", detail)
    assert refusal.message == "Unauthorized: this is no valid access token for this server"
    assert refusal.challenge == 'Bearer realm="dragoman", error="invalid_token", resource_metadata="https://m"'


@pytest.mark.parametrize("text", ["opaque", "a.b", "a.b.c.d", "a.b.c.d.e"])
async def test_what_is_no_signed_token_is_refused_like_one(text: str) -> None:
    refusal = await who(text)
    assert isinstance(refusal, Refused)
    assert (refusal.status, refusal.reason) == (401, "bad-credential")


async def test_c110_a_huge_token_costs_nothing() -> None:
    token = "e30." + "A" * 1_000_000 + ".x"
    door = admission()
    began = time.process_time()
    for _ in range(20):
        assert isinstance(await who(token, door), Refused)
    assert (time.process_time() - began) / 20 < 0.002


async def test_c094_another_token_of_a_caller_is_the_same_caller_and_of_another_issuer_another() -> None:
    door = admission()
    first, second = await who(sign(GOOD), door), await who(sign({**GOOD, "iat": NOW - 1, "scope": "c"}), door)
    assert isinstance(first, Principal)
    assert isinstance(second, Principal)
    assert (first.id, second.id) == (f"token:{ISSUER} ann",) * 2
    assert first.scopes == {"a", "b"}
    assert second.scopes == {"c"}
    assert first.credential != second.credential


async def test_callers_may_be_named_by_another_claim() -> None:
    door = admission(issuer={"principal_claim": "email"})
    principal = await who(sign({**GOOD, "email": "ann@example.com"}), door)
    assert isinstance(principal, Principal)
    assert principal.id == f"token:{ISSUER} ann@example.com"
    assert isinstance(await who(sign(GOOD), door), Refused)


async def test_audiences_of_the_configuration_are_taken_beside_the_servers_own() -> None:
    door = admission(issuer={"audiences": ["api://mcp"]})
    assert isinstance(await who(sign({**GOOD, "aud": "api://mcp"}), door), Principal)
    assert isinstance(await who(sign(GOOD), door), Principal)
    assert isinstance(await who(sign({**GOOD, "aud": "api://other"}), door), Refused)


async def test_a_verified_token_is_known_until_it_ends() -> None:
    door, clock = admission(), [NOW]
    door.identities.wall = lambda: clock[0]
    token = sign(GOOD)
    first = await who(token, door)
    assert await who(token, door) is first
    clock[0] = NOW + 300 + 30
    refusal = await who(token, door)
    assert isinstance(refusal, Refused)
    assert refusal.detail == "token-expired"


async def test_known_tokens_are_bounded() -> None:
    door = admission(limits={"tokens_known": 2})
    for number in range(5):
        await who(sign({**GOOD, "jti": str(number)}), door)
    assert len(door.identities._known) == 2


@pytest.mark.parametrize("what", ["jti", "digest", "caller"])
async def test_c109_a_revoked_credential_is_refused_whether_known_or_not(tmp_path: Any, what: str) -> None:
    file = tmp_path / "revoked"
    file.write_text("# nobody yet\n", encoding="utf-8")
    door = admission(revoked=file)
    token = sign({**GOOD, "jti": "t-1"})
    principal = await who(token, door)
    assert isinstance(principal, Principal)
    line = {"jti": "t-1", "digest": principal.credential, "caller": principal.id}[what]
    file.write_text(f"# one\n{line}\n", encoding="utf-8")
    assert door.identities.revoked.look()
    refusal = await who(token, door)
    assert isinstance(refusal, Refused)
    assert (refusal.status, refusal.detail) == (401, "credential-revoked")
    file.unlink()
    assert not door.identities.revoked.look()
    assert isinstance(await who(token, door), Refused)  # a file that is away allows nothing


async def test_scopes_that_a_server_asks_for_are_a_403_that_names_them() -> None:
    door = admission(backend={"scopes": ["a"], "method_scopes": {"tools/*": ["tools"], "tools/call": ["call", "b"]}})
    principal = await who(sign(GOOD), door)
    assert isinstance(principal, Principal)
    assert door.lacking(principal, "ping", "") is None
    refusal = door.lacking(principal, "tools/call", "https://m")
    assert refusal is not None
    assert (refusal.status, refusal.reason) == (403, "insufficient-scope")
    assert refusal.challenge == (
        'Bearer realm="dragoman", error="insufficient_scope", scope="a b call tools", resource_metadata="https://m"'
    )
    lacking = await who(sign({**GOOD, "scope": "b"}), door)
    assert isinstance(lacking, Refused)
    assert (lacking.status, lacking.reason) == (403, "insufficient-scope")
    assert 'scope="a"' in lacking.challenge


@pytest.mark.parametrize(
    "member",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "r1"},
        {**KEYS[0], "use": "enc"},
        {**KEYS[0], "key_ops": ["encrypt"]},
        {**KEYS[0], "alg": "HS256"},
        {**KEYS[0], "n": "AQAB"},
        {**KEYS[0], "kid": 7},
        {**KEYS[1], "crv": "secp256k1"},
        {**KEYS[1], "x": "AA"},
        {"kty": "RSA"},
        {"kty": ["RSA"]},
        "key",
        None,
    ],
)
def test_members_of_a_key_set_that_are_no_keys_for_tokens_are_passed_over(member: Any) -> None:
    with pytest.raises(NoKeySet):
        read_keys(json.dumps({"keys": [member]}).encode())
    assert len(read_keys(json.dumps({"keys": [member, KEYS[0]]}).encode())) == 1


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"keys": {}}', b'{"keys": []}', b'{"keys":[],"keys":[]}', b"<x/>"]
)
def test_what_is_no_key_set_holds_no_keys(text: bytes) -> None:
    with pytest.raises(NoKeySet):
        read_keys(text)


def test_a_key_is_used_with_its_own_algorithm_and_two_of_a_name_are_none() -> None:
    keys = read_keys(msgspec.json.encode({"keys": [{**KEYS[0], "alg": "PS256"}, jwk(P256, "x"), jwk(RSA, "x")]}))
    assert select(keys, "r1", "RS256") is None
    assert select(keys, "r1", "PS256") is not None
    assert select(keys, "x", "ES256") is not None
    assert select(read_keys(msgspec.json.encode({"keys": [KEYS[0], KEYS[0]]})), "r1", "RS256") is None
