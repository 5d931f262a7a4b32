"""The tap: every frame in its file, no secret in it, and no call that waits for it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.tap import QUEUE_BYTES, Tap, fingerprint
from protocol_versions import jsonrpc
from translators.loss import Loss, Noted
from translators.machine import Note

SECRET = "canary-5d21-token"


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_frames_of_both_sides_and_what_acted_stand_in_order(tmp_path: Path) -> None:
    path = tmp_path / "tap.jsonl"
    tap = Tap(path)
    call = jsonrpc.request(1, "tools/call", {"name": "a"})
    tap.frame("client", "in", "files", call)
    tap.lossy(
        "files", "2024-11-05/2025-11-25", Note("lossy", "tools/call", "", (Noted("audio", "content[]", Loss.DEGRADED),))
    )
    tap.close()
    first, second = written(path)
    assert first.pop("at") > 0
    assert first == {"side": "client", "way": "in", "backend": "files", "frame": json.loads(jsonrpc.encode(call))}
    assert second["changes"] == [{"change": "audio", "path": "content[]", "loss": "degraded"}]


def test_a_frame_changed_afterwards_was_written_as_it_was(tmp_path: Path) -> None:
    tap = Tap(tmp_path / "tap.jsonl")
    frame = jsonrpc.request(1, "tools/call", {"name": "a"})
    tap.frame("client", "in", "files", frame)
    frame.params = {}
    tap.close()
    assert written(tmp_path / "tap.jsonl")[0]["frame"]["params"] == {"name": "a"}


def test_no_secret_and_no_session_id_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tap.jsonl"
    tap = Tap(path, [SECRET, f"Bearer {SECRET}"])
    value = {
        "text": f"x {SECRET} y",
        SECRET: [SECRET],
        "headers": {"Authorization": "other", "Cookie": "b", "mcp-session-id": "s-1"},
    }
    tap.frame("backend", "in", "files", jsonrpc.response(1, value))
    tap.close()
    text = path.read_text(encoding="utf-8")
    assert SECRET not in text
    assert "other" not in text
    headers = written(path)[0]["frame"]["result"]["headers"]
    assert headers == {"Authorization": "[redacted]", "Cookie": "[redacted]", "mcp-session-id": fingerprint("s-1")}


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "tap.jsonl"
    Tap(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ValueError, match="readable by others"):
        Tap(path)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="link"):
        Tap(link)


def test_a_value_that_is_not_json_is_said_to_be_unreadable(tmp_path: Path) -> None:
    tap = Tap(tmp_path / "tap.jsonl")
    tap.frame("backend", "in", "files", jsonrpc.Frame(id=1, result={"a": msgspec.Raw(b'"\xff"')}))
    tap.close()
    assert "unreadable" in written(tmp_path / "tap.jsonl")[0]["frame"]


def test_a_disk_that_does_not_keep_up_costs_frames_that_are_counted(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    tap = Tap(pipe)
    big = jsonrpc.request(1, "tools/call", {"text": "a" * (1024 * 1024)})
    sent = QUEUE_BYTES // (1024 * 1024) + 8
    for _ in range(sent):
        tap.frame("client", "in", "files", big)  # nobody reads: this must return all the same
    tap.frame("client", "in", "files", jsonrpc.request(2, "ping"))
    os.set_blocking(reader, True)
    received = bytearray()
    closer = threading.Thread(target=tap.close)
    closer.start()
    while piece := os.read(reader, 1 << 20):
        received += piece
    closer.join(5)
    os.close(reader)
    found = [json.loads(line) for line in bytes(received).splitlines()]
    dropped = sum(line.get("dropped", 0) for line in found)
    assert dropped > 0
    assert dropped + sum("frame" in line for line in found) == sent + 1


def test_nothing_is_taken_after_the_end(tmp_path: Path) -> None:
    tap = Tap(tmp_path / "tap.jsonl")
    tap.close()
    tap.close()
    tap.frame("client", "in", "files", jsonrpc.request(1, "ping"))
    assert written(tmp_path / "tap.jsonl") == []
