"""The other ways to write a URI (C142)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.rules.spelling import climbs, plain

SAME = [
    ("file:///etc/passwd", "FILE:///etc/passwd"),
    ("file:///etc/passwd", "file:///srv/../etc/passwd"),
    ("file:///etc/passwd", "file:///srv/%2e%2E/etc/passwd"),
    ("file:///etc/passwd", "file:///srv/%252e%252e/etc/%2570asswd"),
    ("file:///etc/passwd", "file:///./etc//passwd"),
    ("file:///etc/passwd", "file:///etc/passwd#top"),
    ("file:///etc/passwd", "file:///etc%2fpasswd"),
    ("file:///etc/passwd", "file:\\\\\\etc\\passwd"),
    ("file:///etc/passwd", " file:///etc/passwd"),
    ("https://example.com/a", "https://EXAMPLE.com./a"),
    ("https://example.com/a", "https://example.com:443/a"),
    ("https://example.com/a?b", "https://example.com/a?b#c"),
    ("db:table", "DB:t%61ble"),
    ("file:///", "file:///../.."),
]


@pytest.mark.parametrize(("simple", "odd"), SAME)
def test_a_uri_written_in_another_way_is_written_plainly(simple: str, odd: str) -> None:
    assert plain(odd) == simple
    assert plain(simple) == simple


@pytest.mark.parametrize("uri", ["file:///a/..", "file:///%2e/a", "file:///a/%252E./b", "x://h/a//b", "db:a/../b"])
def test_what_leads_elsewhere_is_known(uri: str) -> None:
    assert climbs(uri)


@pytest.mark.parametrize("uri", ["file:///a.b/..c", "https://h/a?b=../c", "db:a", "file:///a%20b", "x://h/"])
def test_what_leads_nowhere_else_is_not_taken_for_it(uri: str) -> None:
    assert not climbs(uri)


@given(st.text(max_size=60), st.sampled_from(["", "file://", "https://h", "x:"]))
def test_any_text_has_one_plain_form(text: str, start: str) -> None:
    assert isinstance(plain(start + text), str)
    assert isinstance(climbs(start + text), bool)
