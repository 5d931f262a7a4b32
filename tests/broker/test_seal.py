"""Sealed values: they open for the request they were made for, byte for byte, and for nothing else in the world."""

from __future__ import annotations

import base64
import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.seal import (
    KEY_BYTES,
    MAX_INNER_BYTES,
    MAX_ROUNDS,
    MAX_TOKEN_CHARS,
    SKEW_S,
    TTL_S,
    Binding,
    NotOpened,
    Opened,
    Seal,
    Unsealable,
    digest_of,
    key_of,
)
from broker.settings import Settings, SettingsError

HERE = Binding("key:ann", "default", "http://a/mcp", "tools/call", "rm", digest_of({"path": "a.txt"}))
INNER = b'"a state \\u00e9 \\/ of the server"'
KEYS = tuple(bytes([number]) * KEY_BYTES for number in range(1, 4))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def refuses(seal: Seal, token: Any, binding: Binding = HERE) -> bool:
    with pytest.raises(NotOpened) as caught:
        seal.open(token, binding)
    assert str(caught.value) == ""
    return True


def test_the_value_comes_back_byte_for_byte_with_its_round() -> None:
    seal = Seal(KEYS[:1])
    assert seal.open(seal.seal(INNER, HERE), HERE) == Opened(INNER, 1)
    assert seal.open(seal.seal(b"", HERE, round=MAX_ROUNDS), HERE) == Opened(b"", MAX_ROUNDS)


def test_a_token_says_nothing_twice() -> None:
    seal = Seal(KEYS[:1])
    tokens = {seal.seal(INNER, HERE) for _ in range(20)}
    assert len(tokens) == 20
    assert len({len(token) for token in tokens}) == 1


def test_every_flipped_bit_is_refused() -> None:
    seal = Seal(KEYS[:2])
    data = base64.urlsafe_b64decode(_padded(seal.seal(INNER, HERE)))
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        assert refuses(seal, base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode())


@pytest.mark.parametrize("length", [1, 2, 3])
def test_only_the_canonical_spelling_opens(length: int) -> None:
    seal = Seal(KEYS[:1])
    token = seal.seal(b"x" * length, HERE)
    others = [token[:-1] + char for char in string.ascii_letters + string.digits + "-_+/=" if char != token[-1]]
    others += [token + "=", token + "==", token + "\n", " " + token, token + "A", token[:-1]]
    others += [token[:5] + "\n" + token[5:], token[:5] + " " + token[5:], token + "-TAMPERED", token.swapcase()]
    if set("-_") & set(token):
        others.append(token.replace("-", "+").replace("_", "/"))
    assert all(refuses(seal, other) for other in others)


@pytest.mark.parametrize("token", ["", None, 7, 1.5, [], ["x"], {}, True, "é", "x" * (MAX_TOKEN_CHARS + 1), "AAAA"])
def test_what_is_no_token_is_refused(token: Any) -> None:
    assert refuses(Seal(KEYS[:1]), token)


@pytest.mark.parametrize("member", Binding.__struct_fields__)
def test_a_token_of_another_request_is_refused(member: str) -> None:
    seal = Seal(KEYS[:1])
    assert refuses(seal, seal.seal(INNER, HERE), msgspec.structs.replace(HERE, **{member: "other"}))


def test_members_of_a_binding_cannot_run_into_each_other() -> None:
    seal = Seal(KEYS[:1])
    token = seal.seal(INNER, msgspec.structs.replace(HERE, method="a", target="bc"))
    assert refuses(seal, token, msgspec.structs.replace(HERE, method="ab", target="c"))


def test_it_opens_until_it_expires() -> None:
    clock = Clock()
    seal = Seal(KEYS[:1], now=clock)
    token = seal.seal(INNER, HERE)
    clock.now += TTL_S
    assert seal.open(token, HERE).inner == INNER
    clock.now += 1
    assert refuses(seal, token)


def test_one_sealed_far_in_the_future_is_refused() -> None:
    clock = Clock()
    seal = Seal(KEYS[:1], now=clock)
    token = seal.seal(INNER, HERE)
    clock.now -= SKEW_S
    assert seal.open(token, HERE).inner == INNER
    clock.now -= 1
    assert refuses(seal, token)


@pytest.mark.parametrize("now", [float("nan"), float("inf")])
def test_times_that_are_no_times_never_open(now: float) -> None:
    clock = Clock()
    seal = Seal(KEYS[:1], now=clock)
    clock.now = now
    token = seal.seal(INNER, HERE)
    clock.now = 1_000_000.0
    assert refuses(seal, token)


def test_keys_change_without_refusing_anybody() -> None:
    old, new = KEYS[:2]
    before, during, after, done = Seal([old]), Seal([old, new]), Seal([new, old]), Seal([new])
    assert during.open(before.seal(INNER, HERE), HERE).inner == INNER
    assert after.open(during.seal(INNER, HERE), HERE).inner == INNER
    assert during.open(after.seal(INNER, HERE), HERE).inner == INNER
    assert done.open(after.seal(INNER, HERE), HERE).inner == INNER
    assert refuses(done, before.seal(INNER, HERE))


def test_the_key_id_of_another_key_in_the_ring_is_refused() -> None:
    seal = Seal(KEYS[:2])
    first = base64.urlsafe_b64decode(_padded(seal.seal(INNER, HERE)))
    second = base64.urlsafe_b64decode(_padded(Seal(KEYS[1:2]).seal(INNER, HERE)))
    mixed = first[:1] + second[1:9] + first[9:]
    assert refuses(seal, base64.urlsafe_b64encode(mixed).rstrip(b"=").decode())


def test_two_processes_without_a_configured_key_do_not_open_each_others_tokens() -> None:
    assert refuses(Seal(), Seal().seal(INNER, HERE))


def test_the_longest_value_fits_a_token_and_a_longer_one_is_not_sealed() -> None:
    seal = Seal(KEYS[:1])
    token = seal.seal(b"x" * MAX_INNER_BYTES, HERE)
    assert len(token) <= MAX_TOKEN_CHARS
    assert len(seal.open(token, HERE).inner) == MAX_INNER_BYTES
    with pytest.raises(Unsealable):
        seal.seal(b"x" * (MAX_INNER_BYTES + 1), HERE)


def test_a_call_has_no_more_rounds_than_allowed() -> None:
    with pytest.raises(Unsealable):
        Seal(KEYS[:1]).seal(INNER, HERE, round=MAX_ROUNDS + 1)


def test_equal_arguments_have_one_digest_and_others_another() -> None:
    assert digest_of({"a": 1, "b": [1.0, {"c": -0.0}]}) == digest_of({"b": [1, {"c": 0}], "a": 1.0})
    different: list[Any] = [
        {"a": 1}, {"a": "1"}, {"a": True}, {"a": None}, {"a": 1.5}, {}, {"a": [1]}, {"a": 2**53 + 1}, {"a": {"": 1}},
    ]  # fmt: skip
    assert len({digest_of(value) for value in different}) == len(different)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_a_digest_survives_writing_and_reading(value: Any) -> None:
    assert digest_of(json.loads(json.dumps(value))) == digest_of(value)


@given(st.binary(max_size=200), st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_any_value_comes_back_under_any_key(inner: bytes, key: bytes) -> None:
    seal = Seal([key])
    assert seal.open(seal.seal(inner, HERE), HERE).inner == inner


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_", max_size=120))
def test_no_text_opens_that_was_not_sealed(token: str) -> None:
    assert refuses(Seal(KEYS[:1]), token)


def test_a_key_is_32_bytes_in_either_spelling_and_its_text_is_never_quoted() -> None:
    assert key_of(KEYS[0].hex()) == key_of(base64.urlsafe_b64encode(KEYS[0]).decode() + "\n") == KEYS[0]
    assert key_of(base64.urlsafe_b64encode(KEYS[0]).rstrip(b"=").decode()) == KEYS[0]
    for text in ("", "secret-secret", "zz" * 32, base64.urlsafe_b64encode(b"x" * 31).decode(), "é" * 43):
        with pytest.raises(ValueError, match="expected 32 random bytes") as caught:
            key_of(text)
        assert not text or text not in str(caught.value)
    with pytest.raises(ValueError, match="32 bytes"):
        Seal([b"short"])


def _padded(token: str) -> str:
    return token + "=" * (-len(token) % 4)


def test_configured_keys_are_checked_are_secrets_and_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = base64.urlsafe_b64encode(KEYS[0]).decode()
    monkeypatch.setenv("SEAL_KEY", text)
    settings = Settings.for_proxy("http://127.0.0.1:1/mcp", seal_keys=["env:SEAL_KEY", KEYS[1].hex()])
    assert [key_of(key.get_secret_value()) for key in settings.seal_keys] == list(KEYS[:2])
    assert text not in repr(settings)
    assert text in settings.secrets()
    for keys in (["not-a-key"], [text, KEYS[0].hex()]):
        with pytest.raises(SettingsError) as caught:
            Settings.for_proxy("http://127.0.0.1:1/mcp", seal_keys=keys)
        assert keys[0] not in str(caught.value)
