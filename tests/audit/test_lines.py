"""How audit lines look: what peers wrote cannot forge, hide or turn round anything, and every member is explained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from broker.audit import fields
from broker.audit.redact import Redactor
from broker.audit.text import LONGEST, ascii_json, digest, fit
from broker.audit.trail import Trail
from broker.redacting import HIDDEN
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from tests.audit.lines import ALICE, Clocks, Memory, admitted, call, events, members
from translators.loss import Loss, Noted
from translators.reply import broken

HOSTILE = {
    "a newline": 'x\n{"metadata":{"event_code":"outcome"}}',
    "a carriage return": "x\rforged",
    "a terminal's escape": "\x1b[2Kgone",
    "delete": "\x7f",
    "C1 controls": "\x85\x9b31m",
    "bidirectional overrides": "\u202egpj.exe\u2066\u2069",
    "line and paragraph separators": "a\u2028b\u2029c",
    "half a surrogate pair": "a\ud800b\udfff",
    "beyond the basic plane": "\U0001f600",
    "a zero width joiner and a byte order mark": "a\u200db\ufeff",
    "quotes, braces and backslashes": '"}}\\","hash":"00',
    "null": "\x00",
    "a look-up": "${jndi:ldap://x}",
    "a formula": "=cmd|' /C calc'!A0",
    "a megabyte": "x" * 1_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_text_of_a_peer_stays_in_its_string_and_the_line_is_printable_ascii(text: str) -> None:
    sink, clocks = Memory(), Clocks()
    log = clocks.log(sink, arguments_bytes=500)
    log.start()
    trail = Trail(log, "files")
    caller = type(ALICE)("key:alice", "key", client_name=text, client_version=text)
    trail.begin(1, "tools/call", text, call(name=text, arguments={"a": fit(text)}))
    assert admitted(trail, 1, call(name=text), caller)
    trail.lost(1, "tools/call", [Noted(text, text, Loss.DEGRADED)], ("2025-06-18", "2025-11-25"))
    trail.end(1, "ok")
    log.refused(text, method=text, peer=text)
    log.close()
    lines = sink.text.split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == 5
    for line in lines:
        assert line.isascii()
        assert line.decode().isprintable()
        assert len(line) < 20_000
        json.loads(line)
    assert events(sink.lines) == ["started", "admitted", "outcome", "denied", "stopped"]


@given(st.text(st.characters(codec=None), max_size=40))
def test_what_fits_reads_back_as_what_it_was(text: str) -> None:
    shown = fit(text)
    shown.encode("utf-8")
    line = ascii_json(json.dumps({"a": shown}, ensure_ascii=False).encode())
    assert line.isascii()
    assert json.loads(line) == {"a": shown}
    if not any("\ud800" <= each <= "\udfff" for each in text):
        assert shown == text


def test_a_long_value_is_cut_and_names_its_length_and_digest() -> None:
    text = "a" * (LONGEST + 1)
    assert fit(text) == "a" * LONGEST + f"... ({LONGEST + 1} characters, {digest(text)})"
    assert fit(text[:-1]) == text[:-1]


def test_a_pair_of_lines_says_who_called_what_and_how_it_ended() -> None:
    sink, clocks = Memory(), Clocks()
    log = clocks.log(sink)
    log.start()
    trail = Trail(log, "files", peer="192.0.2.7")
    trail.within("session-id-canary")
    trail.begin(7, "tools/call", "c-1", call(name="read", arguments={"password": "canary"}))
    assert admitted(trail, 7, call(name="read"), ALICE)
    trail.lost(7, "tools/call", [Noted("titles", "title", Loss.COSMETIC)], ("2025-06-18", "2025-11-25"))
    clocks.now += 0.0125
    trail.heard(7, Frame(id="c-1", result={"content": Raw(b"[]"), "isError": Raw(b"true")}), peer=True)
    trail.end(7, "ok", ALICE)
    log.close()
    _, first, last, _ = sink.lines
    assert first["metadata"]["correlation_uid"] == last["metadata"]["correlation_uid"] == "p1.1"
    assert (first["class_uid"], first["type_uid"], first["activity_id"]) == (6003, 600399, 99)
    assert first["actor"] == {
        "user": {"uid": "key:alice", "type": "key", "name": "desk"},
        "session": {"uid": digest("session-id-canary")},
    }
    assert first["api"] == {"operation": "tools/call", "service": {"name": "files"}, "request": {"uid": "c-1"}}
    assert first["resources"] == [{"name": "read", "type": "tool"}]
    assert first["src_endpoint"] == {"ip": "192.0.2.7"}
    assert (first["status_id"], first["action_id"], last["status_id"], last["status_detail"]) == (0, 1, 2, "tool-error")
    assert last["duration"] == 12
    said = last["unmapped"]
    assert (said["executed"], said["latency_us"], said["decision"], said["server_request_id"]) == (
        "yes",
        12500,
        "allow",
        7,
    )
    assert said["losses"] == [{"change": "titles", "path": "title", "loss": "cosmetic"}]
    assert b"canary" not in sink.text


def test_a_call_that_was_never_sent_has_one_line() -> None:
    sink = Memory()
    log = Clocks().log(sink)
    trail = Trail(log, "files")
    for number, end in enumerate(("policy", "away", "known", "left", "ping")):
        trail.begin(number, "ping" if end == "ping" else "tools/call", number, call())
        if end == "policy":
            trail.deny(number, "params", "tools/call", "hidden-name", ALICE)
        if end == "away":
            trail.heard(number, broken(number, "backend-connect"), peer=False)
        trail.end(number, "cancelled" if end == "left" else "ok", ALICE)
    log.close()
    assert events(sink.lines) == ["denied", "unsent", "answered", "unsent", "stopped"]
    denied, away, *_ = sink.lines
    assert (denied["unmapped"]["rule"], denied["action_id"], denied["unmapped"]["executed"]) == ("hidden-name", 2, "no")
    assert (away["status_detail"], away["api"]["response"]) == ("backend-connect", {"code": -32603})


def test_a_result_that_policy_withheld_was_run_and_is_denied() -> None:
    sink = Memory()
    log = Clocks().log(sink)
    trail = Trail(log, "files")
    trail.begin(1, "tools/call", 1, call())
    admitted(trail, 1, call(), ALICE)
    trail.heard(1, Frame(id=1, result={}), peer=True)
    trail.deny(1, "result", "tools/call", "leak", ALICE)
    trail.end(1, "error", ALICE)
    log.flush()
    last = sink.lines[-1]
    assert (last["metadata"]["event_code"], last["action_id"], last["unmapped"]["rule"]) == ("outcome", 2, "leak")
    assert last["unmapped"]["executed"] == "yes"


def test_arguments_are_written_only_where_asked_for_cut_and_without_secrets() -> None:
    sink = Memory()
    redactor = Redactor(["pin"], ["canary-secret", "no"])
    log = Clocks().log(sink, arguments_bytes=120, redactor=redactor)
    trail = Trail(log, "files")
    given = {"Password": "a", "pin": {"x": 1}, "text": "no canary-secret here", "canary-secret": [1], "long": "y" * 500}
    frame = jsonrpc.decode_strict(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "x", "arguments": given}}).encode(), jsonrpc.WireLimits())  # fmt: skip
    assert isinstance(frame, Frame)
    trail.begin(1, "tools/call", 1, frame)
    admitted(trail, 1, frame, ALICE)
    trail.end(1, "ok")
    log.flush()
    first, last = sink.lines
    shown = first["unmapped"]["arguments"]
    assert shown.startswith(
        f'{{"Password":"{HIDDEN}","pin":"{HIDDEN}","text":"no {HIDDEN} here","{HIDDEN}":[1],"long":"yy'
    )
    assert len(shown) == 120
    assert first["unmapped"]["arguments_cut"] > 400
    assert "arguments" not in last["unmapped"]


def test_every_event_and_member_is_in_the_reference_and_the_page_is_the_generated_one() -> None:
    page = Path(fields.__file__).with_name("FIELDS.md").read_text(encoding="utf-8")
    assert page == fields.reference(), "run: uv run dragoman audit fields > broker/audit/FIELDS.md"
    line = [sys.executable, "-m", "broker", "audit", "fields"]
    assert subprocess.run(line, capture_output=True, text=True, timeout=30, check=True).stdout == page


def test_a_line_has_no_member_that_is_not_in_the_reference() -> None:
    sink = Memory()
    log = Clocks().log(sink, arguments_bytes=10)
    log.start()
    trail = Trail(log, "files", peer="192.0.2.7")
    trail.within("s")
    for number in (1, 2):
        record = trail.begin(number, "tools/call", number, call(name="x", arguments={"a": "b" * 100}))
        record.resumes = record.suspends = "sha256:0"
        record.round = number
        if number == 1:
            admitted(trail, number, call(), ALICE)
            admitted(trail, number, call(), ALICE)
            trail.lost(number, "x", [Noted("a", "b", Loss.DEGRADED)] * 20, ("a", "b"))
        trail.heard(number, broken(number, "backend-closed"), peer=False)
        trail.end(number, "failed", ALICE)
    trail.lost(0, "x", [Noted("a", "b", Loss.DEGRADED)] * 20, ("a", "b"))
    trail.deny(0, "question", "elicitation/create", "why", ALICE)
    log.refused("origin", status=403, method="POST", peer="192.0.2.7", server="files")
    log.close()
    assert {"outcome", "unsent", "degraded", "denied"} <= set(events(sink.lines)) <= fields.EVENTS.keys()
    for line in sink.lines:
        assert members(line) <= fields.FIELDS.keys(), line


class Plain(Trail):
    """A trail without templates."""

    def _shape(self, *_: object) -> None:
        return None


@pytest.mark.parametrize("client_id", [7, "seven", 'se"ven\u202e', "x" * 1_000, ""])
@pytest.mark.parametrize("name", ["read", "100%d %(time)s", 'a"b\\c', "\u202e", "%(time)d", "%(head)b", "n" * 600])
def test_lines_from_a_template_are_those_of_the_usual_way(client_id: int | str, name: str) -> None:
    told = msgspec.structs.replace(ALICE, backend_revision="2025-11-25")

    def written(*, plain: bool) -> bytes:
        sink, clocks = Memory(), Clocks()
        log = clocks.log(sink)
        trail = (Plain if plain else Trail)(log, "files", peer="192.0.2.7")
        trail.within("session")
        for _ in range(2):
            trail.begin(7, "tools/call", client_id, call(name=name))
            clocks.now += 0.5
            clocks.wall += 0.5
            admitted(trail, 7, call(name=name), told)
            clocks.now += 0.25
            trail.heard(7, Frame(id=7, result={}), peer=True)
            trail.end(7, "ok")
        log.flush()
        return sink.text

    assert written(plain=False) == written(plain=True)


def test_names_of_any_length_are_not_kept_for_the_lines_of_further_calls() -> None:
    trail = Trail(Clocks().log(Memory()), "files")
    for number in range(3):
        frame = Frame(id=7, method="tools/call", params={"name": msgspec.Raw(b'"%d%s"' % (number, b"n" * 10_000))})
        trail.begin(number, "tools/call", number, frame)
        admitted(trail, number, frame, msgspec.structs.replace(ALICE, backend_revision="2025-11-25"))
    assert not trail._shapes
