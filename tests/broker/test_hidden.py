"""What a backend must not say of what it is shown: which values those are, and in which spellings they are found."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.backends.hidden import MARK, NOTHING, WORD, Hidden, shown

SECRET = 'sk-live/9\\"4711'
SECRETS = st.text(st.sampled_from('abcXYZ-_./+=:"\\~ é☃'), min_size=8)
AROUND = st.text(st.sampled_from('0123\n\\"/ü[]'))


def escaped(text: str, odd: int = 1) -> str:
    """Each `odd`th character as an escape."""
    return "".join(
        f"\\u{ord(char):04x}" if number % odd == 0 else json.dumps(char, ensure_ascii=False)[1:-1]
        for number, char in enumerate(text)
    )


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        escaped(SECRET),
        escaped(SECRET, 3),
        escaped(SECRET).upper().replace("\\U", "\\u"),
        json.dumps(json.dumps(SECRET))[3:-3],
    ],
)
def test_a_credential_is_found_in_every_spelling_that_json_has(written: str) -> None:
    told: list[int] = []
    hidden = Hidden([SECRET], lambda: told.append(1))
    found = json.loads(hidden.clean(f'{{"a":"<{written}>","{written}":[1]}}'.encode()))
    assert found == {"a": f"<{MARK}>", MARK: [1]}
    assert told


@given(SECRETS.filter(lambda text: len(text) >= WORD or not text.isalpha()), AROUND, st.booleans())
def test_what_is_hidden_is_gone_and_the_rest_is_the_same(secret: str, around: str, plain: bool) -> None:
    hidden = Hidden([secret])
    body = json.dumps([around + secret, around], ensure_ascii=plain).encode()
    assert json.loads(hidden.clean(body)) == [around + MARK, around]


@given(SECRETS.filter(lambda text: text.isascii() and not text.isalpha()), st.integers(1, 4))
def test_escapes_that_nobody_needs_hide_nothing(secret: str, odd: int) -> None:
    assert json.loads(Hidden([secret]).clean(f'["{escaped(secret, odd)}"]'.encode())) == [MARK]


def test_what_holds_no_credential_is_the_very_bytes_that_came() -> None:
    hidden = Hidden([SECRET, "another-one"])
    for body in (b"{}", b'{"a":"\\u0061\\/\\\\u0061"}', json.dumps({"a": SECRET[:-1]}).encode()):
        assert hidden.clean(body) is body


def test_a_flood_of_escapes_costs_no_more_than_its_bytes() -> None:
    flood = b'["' + b"\\u0041" * (8 * 1024 * 1024) + b'","' + json.dumps(SECRET).encode()[1:]
    began = time.thread_time()
    found = Hidden([SECRET]).clean(flood + b"]")
    assert time.thread_time() - began < 2.0  # a second of it would be the escapes, one by one
    assert found.endswith(f'"{MARK}"]'.encode())


def test_a_backslash_that_is_written_as_one_begins_no_escape() -> None:
    text = json.dumps("\\u0061bcdefgh")
    assert Hidden(["abcdefgh"]).clean(text.encode()) == text.encode()


def test_a_token_that_was_renewed_and_the_one_before_it_are_hidden() -> None:
    hidden = Hidden(["configured-1"])
    for number in range(3):
        hidden.renewed(f"renewed-{number}-token")
    said = json.dumps([f"renewed-{number}-token" for number in range(3)] + ["configured-1"])
    assert json.loads(hidden.clean(said.encode())) == ["renewed-0-token", MARK, MARK, MARK]
    assert json.loads(hidden.apart().clean(said.encode()))[:3] == [f"renewed-{number}-token" for number in range(3)]
    assert not NOTHING.forms


BASIC = base64.b64encode(b"user:pass-word-1").decode()
AUTHORS = {"GIT_AUTHOR_NAME": "Grace Hopper", "KEYBOARD": "qwertyuiop", "PWD": "/srv/somebody", "MONKEY": "12345678"}


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ({"headers": {"Authorization": "Bearer abcdefgh"}}, ["abcdefgh"]),
        ({"headers": {"authorization": f"Basic {BASIC}"}}, [BASIC, "pass-word-1"]),
        ({"headers": {"X-Api-Key": "abcdefgh", "X-Region": "eu-central-1"}}, ["abcdefgh"]),
        ({"headers": {"Cookie": "sid=abcdefgh; b=c"}}, ["abcdefgh", "c", "sid=abcdefgh; b=c"]),
        ({"variables": {"GITHUB_TOKEN": "abcdefgh", "LOG_LEVEL": "debugging", "DB_PASSWORD": "p"}}, ["abcdefgh", "p"]),
        ({"variables": {"DATABASE_URL": "postgres://me:s%2Fecret@db/x", "HOME": "/srv/me"}}, ["s%2Fecret", "s/ecret"]),
        ({"variables": {"TOKEN_FILE": "/run/token", "SSH_AUTH_SOCK": "/run/agent.1", **AUTHORS}}, []),
        ({"url": "https://api.example/mcp?api_key=abcdefgh&lang=en"}, ["abcdefgh"]),
        ({"injected": [("X-Tenant-Secret", "abcdefgh"), ("tenant", "acme-corp"), ("api_key", 12345678)]},
         ["abcdefgh", "12345678"]),
    ],
)  # fmt: skip
def test_which_values_are_credentials_is_told_by_their_names(what: dict[str, Any], values: list[str]) -> None:
    assert shown(**what) == values


def test_the_path_of_a_file_of_credentials_is_none_and_a_secret_that_looks_like_one_is(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}", encoding="utf-8")
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(key), "AWS_SECRET_ACCESS_KEY": "/wJalrXUtnFEMI/K7MDENG"}
    assert shown(variables=variables) == ["/wJalrXUtnFEMI/K7MDENG"]


def test_a_short_text_is_not_looked_for() -> None:
    assert Hidden(["p", "1234567"]).forms == ()


@pytest.mark.parametrize("secret", ["12345678", "1234.5678", "[1,2,3,4]"])
def test_a_number_that_holds_the_digits_of_a_credential_stays_a_number(secret: str) -> None:
    said: Any = {
        "a": [1, 2, 3, 4],
        "at": 1712345678901,
        "b": 91234.56781,
        "q": '"' + secret,
        "t": secret + "\\",
        "": "",
    }
    body = json.dumps(said, separators=(",", ":")).encode()
    found = json.loads(Hidden([secret]).clean(body))
    assert found == {**said, "q": '"' + MARK, "t": MARK + "\\"}
    del said["q"], said["t"]
    body = json.dumps(said, separators=(",", ":")).encode()
    assert Hidden([secret]).clean(body) is body


def test_a_number_that_is_a_credential_is_a_text_that_is_none() -> None:
    body = b'{"api_key":12345678,"list":[12345678,123456789,-12345678,12345678.5]}'
    hidden = json.loads(Hidden(["12345678"]).clean(body))
    assert hidden == {"api_key": MARK, "list": [MARK, 123456789, -12345678, 12345678.5]}


@pytest.mark.parametrize("end", ["", "\\", '"'])
def test_a_text_that_does_not_end_is_looked_through_once(end: str) -> None:
    flood = b'"12345678' + b'\\"' * 100_000 + end.encode()
    began = time.thread_time()
    found = Hidden(["12345678"]).clean(flood)
    assert time.thread_time() - began < 1.0
    assert found == flood.replace(b"12345678", MARK.encode())


@pytest.mark.parametrize("word", ["postgres", "password", "required", "Required", "PASSWORD", "development"])
def test_a_plain_word_is_not_looked_for(word: str) -> None:
    body = json.dumps({"inputSchema": {"properties": {word: {}}, "required": [word]}}).encode()
    assert Hidden([word]).clean(body) is body or word == "Required"


def test_a_credential_in_an_address_that_failed_is_found() -> None:
    hidden = Hidden([SECRET, "a b/c+d=é"])
    for text in (SECRET, "a b/c+d=é"):
        for spelled in (quote(text, safe=""), quote(text)):
            for form in (spelled, re.sub("%..", lambda found: found.group().lower(), spelled)):
                said = json.dumps({"text": f"GET https://api.example/?key={form}&q=1 failed"})
                assert json.loads(hidden.clean(said.encode()))["text"].endswith(f"?key={MARK}&q=1 failed")


def test_a_line_that_is_no_json_loses_them_too() -> None:
    assert Hidden([SECRET]).line(f"token={SECRET} ok") == f"token={MARK} ok"
