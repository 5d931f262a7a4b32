"""The audit file: whole lines or none, one writer, and what the next process makes of what the last one left."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from broker.audit.files import AuditFile, claim
from broker.audit.log import AuditLog
from broker.audit.opening import open_log
from broker.audit.options import AuditOptions, FileOptions
from broker.audit.recovery import look, renamed
from broker.audit.sinks import RETRY_S
from broker.audit.trail import Trail
from broker.audit.verify import verify
from tests.audit.lines import ALICE, Clocks, admitted, call, events, read

posix = pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")


class Disk:
    """A disk with so much room left; what does not fit is written in part, and then not at all."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = os.write(descriptor, data[: self.room])
        self.room -= taken
        return taken


def opened(path: Path, **options: object) -> AuditLog:
    return open_log(AuditOptions(file=FileOptions(path, fsync="off", **options)))  # type: ignore[arg-type]


def admit(trail: Trail, number: int) -> bool:
    trail.begin(number, "tools/call", number, call(name=f"tool-{number}"))
    return admitted(trail, number, call(), ALICE)


def abandoned(log: AuditLog) -> None:
    """What is left of a log whose process was killed: its descriptors are closed, and nothing more is said."""
    log.flush()
    file = log._file
    assert file is not None
    file.close()


def test_a_full_disk_leaves_whole_lines_refuses_calls_and_recovers_by_itself(tmp_path: Path) -> None:
    path, clocks, disk = tmp_path / "a.jsonl", Clocks(), Disk(3_000)
    file = AuditFile(path, fsync="off", clock=lambda: clocks.now, write=disk.write)
    log = clocks.log(file)
    trail = Trail(log, "files")
    passed = 0
    while admit(trail, passed):
        passed += 1
    assert 1 < passed < 6
    assert verify([path]).problems == []
    assert len(read(path)) == passed
    assert not admit(trail, 100)
    disk.room = 1_000_000
    clocks.now += RETRY_S
    assert admit(trail, 101)
    trail.close()
    log.close()
    found = verify([path])
    assert (found.problems, found.open, found.missing) == ([], {}, 0)


def test_a_call_of_a_killed_process_is_written_as_lost_by_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = opened(path)
    trail = Trail(first, "files")
    admit(trail, 1)
    admit(trail, 2)
    trail.end(1, "ok")
    abandoned(first)
    opened(path).close()
    lines = read(path)
    assert events(lines) == ["started", "admitted", "admitted", "outcome", "started", "lost", "stopped"]
    lost = lines[5]
    assert lost["metadata"]["correlation_uid"] == lines[2]["metadata"]["correlation_uid"]
    assert (lost["api"]["operation"], lost["resources"][0]["name"]) == ("tools/call", "tool-2")
    assert (lost["actor"]["user"]["uid"], lost["unmapped"]["process"]) == ("key:alice", first.process)
    assert lines[4]["unmapped"]["head"] == lines[3]["unmapped"]["hash"]
    opened(path).close()
    assert events(read(path))[7:] == ["started", "stopped"]
    assert verify([path]).problems == []


@pytest.mark.parametrize("left", [1, 100, 500])
def test_a_torn_last_line_is_put_aside_and_declared_and_the_chain_goes_on(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.jsonl"
    first = opened(path)
    admit(Trail(first, "files"), 1)
    abandoned(first)
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole + last[:left])
    opened(path).close()
    lines = read(path)
    assert events(lines) == ["started", "admitted", "started", "lost", "stopped"]
    assert lines[2]["unmapped"]["torn_bytes"] == left
    assert (tmp_path / "a.jsonl.torn").read_bytes() == last[:left] + b"\n"
    assert verify([path]).problems == []


def test_a_whole_line_that_was_changed_is_never_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = opened(path)
    admit(Trail(first, "files"), 1)
    abandoned(first)
    path.write_bytes(path.read_bytes().replace(b"tool-1", b"tool-2"))
    opened(path).close()
    assert b"tool-2" in path.read_bytes()
    assert verify([path]).problems[0].line == 2


def test_a_file_is_renamed_by_size_and_the_trail_goes_on_over_all_of_them(tmp_path: Path) -> None:
    path, clocks = tmp_path / "a.jsonl", Clocks()
    file = AuditFile(path, fsync="off", rotate_bytes=5_000, clock=lambda: clocks.now)
    log = clocks.log(file)
    log.start()
    trail = Trail(log, "files")
    admit(trail, 999)
    for number in range(20):
        admit(trail, number)
        trail.end(number, "ok")
    abandoned(log)
    old = renamed(path)
    assert len(old) >= 4
    assert all(each.stat().st_size < 7_000 for each in old)
    found = verify([*old, path])
    assert (found.problems, len(found.open)) == ([], 1)
    first = read(path)[0]
    assert (events([first]), first["unmapped"]["file"]) == (["rotated"], old[-1].name)
    # The call is older than the file: its id was carried along.
    assert look(path).open == dict.fromkeys(found.open)
    opened(path).close()
    assert events(read(path))[-2:] == ["lost", "stopped"]
    assert verify([path]).problems == []


def test_a_file_is_renamed_by_age_and_only_so_many_are_kept(tmp_path: Path) -> None:
    path, clocks = tmp_path / "a.jsonl", Clocks()
    log = clocks.log(AuditFile(path, fsync="off", rotate_s=60, keep=2, clock=lambda: clocks.now))
    for _ in range(5):
        log.write("degraded")
        log.flush()
        clocks.now += 61
        clocks.wall += 61
    log.close()
    assert len(renamed(path)) == 2
    assert verify([*renamed(path), path]).problems == []


def test_a_file_that_was_just_renamed_is_where_the_next_process_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    first = opened(path)
    admit(Trail(first, "files"), 1)
    abandoned(first)
    aside = tmp_path / "a-20260101T000000Z-1.jsonl"
    path.rename(aside)
    opened(path).close()
    assert events(read(path)) == ["started", "lost", "stopped"]
    assert verify([aside, path]).problems == []


def test_what_cannot_be_renamed_is_written_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clocks = tmp_path / "a.jsonl", Clocks()
    log = clocks.log(AuditFile(path, fsync="off", rotate_bytes=2_000, clock=lambda: clocks.now))

    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(os, "rename", refuse)
    for _ in range(10):
        log.write("degraded")
        log.flush()
    log.close()
    assert events(read(path)) == ["degraded"] * 10 + ["stopped"]


def test_nothing_is_written_after_the_end_to_a_file_that_may_be_anothers(tmp_path: Path) -> None:
    log = opened(tmp_path / "audit.jsonl")
    log.close()
    next_one = opened(tmp_path / "audit.jsonl")
    log.refused("origin")
    log.flush()
    next_one.close()
    assert events(read(tmp_path / "audit.jsonl")) == ["started", "stopped"] * 2


def test_a_second_process_writes_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    one, two = opened(path), opened(path)
    code = f"from pathlib import Path; from broker.audit.files import claim; print(claim(Path({str(path)!r}))[0].name)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert said.stdout.strip() == "a.3.jsonl"
    one.close()
    two.close()
    assert events(read(path)) == events(read(tmp_path / "a.2.jsonl")) == ["started", "stopped"]
    again, lock = claim(path)
    os.close(lock)
    assert again == path


@posix
def test_the_file_is_for_its_owner_alone_and_no_link_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    opened(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(ValueError, match="readable by others"):
        opened(path)
    other = tmp_path / "b.jsonl"
    other.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"symbolic|loop"):
        opened(other)


@pytest.mark.parametrize("fsync", ["off", "interval", "each"])
def test_lines_are_in_the_file_before_a_call_goes_on(tmp_path: Path, fsync: str) -> None:
    path = tmp_path / "a.jsonl"
    log = open_log(AuditOptions(file=FileOptions(path, fsync=fsync, fsync_interval_s=0.05)))
    trail = Trail(log, "files")
    admit(trail, 1)
    assert events(read(path)) == ["started", "admitted"]
    assert read(path)[0]["unmapped"]["fsync"] == fsync
    trail.end(1, "ok")
    log.close()
    assert events(read(path))[2:] == ["outcome", "stopped"]
