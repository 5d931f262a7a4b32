"""Tokens of state that are wrong in different ways: nothing tells them apart (C137)."""

from __future__ import annotations

import base64
import gc
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from broker.seal import MAX_INNER_BYTES, TTL_S, Binding, NotOpened, Seal

KEY, OTHER = b"k" * 32, b"o" * 32
OURS: Final = Binding("key:ann", "default", "http://b/mcp", "tools/call", "x", "digest")


def flipped(token: str, at: int) -> str:
    """With one bit of a byte changed; `at` counts from the end if negative."""
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[at] ^= 1
    return base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode()


def at(now: float, key: bytes = KEY) -> Seal:
    return Seal([key], now=lambda: now)


def wrong(inner: bytes) -> dict[str, tuple[str, Binding, float]]:
    """A token, what it is shown for, and when, by what is wrong; all of one length."""
    good = at(1_000.0).seal(inner, OURS)
    return {
        "its tag": (flipped(good, -1), OURS, 1_000.0),
        "its text": (flipped(good, 30), OURS, 1_000.0),
        "its nonce": (flipped(good, 10), OURS, 1_000.0),
        "its key": (at(1_000.0, OTHER).seal(inner, OURS), OURS, 1_000.0),
        "its version": (flipped(good, 0), OURS, 1_000.0),
        "its time": (good, OURS, 1_000.0 + TTL_S + 1),
        "its future": (good, OURS, 900.0),
        **{
            f"its {member}": (good, msgspec.structs.replace(OURS, **{member: "another"}), 1_000.0)
            for member in Binding.__struct_fields__
        },
    }


def work(run: Callable[[], Any]) -> list[str]:
    """The functions that were called, ours and those of C, in order."""
    calls: list[str] = []

    def look(frame: Any, event: str, called: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_qualname)
        elif event == "c_call":
            calls.append(f"C {called.__qualname__}")

    gc.collect()
    gc.disable()  # whose finalisers would be counted
    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


@pytest.mark.parametrize("size", [0, 100, MAX_INNER_BYTES])
def test_whatever_is_wrong_with_a_token_costs_one_decryption_of_all_of_it(size: int) -> None:
    """C137: the work is compared, not the time, which depends on the machine."""
    done: dict[str, list[str]] = {}
    texts: set[str] = set()
    lengths: set[int] = set()
    for what, (token, binding, now) in wrong(b"i" * size).items():
        seal = at(now)
        seal.open(at(now).seal(b"", OURS), OURS)  # its cipher is there

        def attempt(seal: Seal = seal, token: str = token, binding: Binding = binding) -> None:
            with pytest.raises(NotOpened) as refusal:
                seal.open(token, binding)
            texts.add(str(refusal.value) + repr(refusal.value.args))

        done[what] = work(attempt)
        lengths.add(len(token))
    assert len(lengths) == 1
    assert texts == {"()"}
    for what, calls in done.items():
        assert [call for call in calls if call.endswith("decrypt")] == ["C AESGCM.decrypt"], what
    before_it = {tuple(calls[: calls.index("C AESGCM.decrypt") + 1]) for calls in done.values()}
    assert len(before_it) == 1  # nothing is decided, nor skipped, before it
