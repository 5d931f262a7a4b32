"""`dragoman audit verify` finds what was changed, with its line, and by a head that was kept, what was cut off."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.audit.trail import Trail
from broker.audit.verify import head_of, verify
from broker.cli import cli
from tests.audit.lines import ALICE, Clocks, Memory, admitted, call


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A file with 12 lines."""
    sink = Memory()
    log = Clocks().log(sink)
    log.start()
    calls = Trail(log, "files", peer="192.0.2.7")
    for number in range(5):
        calls.begin(number, "tools/call", number, call(name=f"tool-{number}"))
        admitted(calls, number, call(), ALICE)
        calls.end(number, "ok")
    log.close()
    path = tmp_path / "audit.jsonl"
    path.write_bytes(sink.text)
    assert sink.text.count(b"\n") == 12
    return path


def said(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["audit", *map(str, arguments)])
    return done.exit_code, done.output


def test_what_was_not_changed_is_found_to_be_so(trail: Path) -> None:
    found = verify([trail])
    assert (found.lines, found.problems, found.open, found.processes) == (12, [], {}, 1)
    assert found.head == head_of(trail)[0]
    code, output = said("verify", trail, "--head", found.head)
    assert code == 0
    assert "12 lines of 1 processes: unchanged" in output
    assert said("head", trail) == (0, f"{found.head}\n")


def test_every_single_change_of_a_byte_is_found_in_its_line(trail: Path) -> None:
    good = trail.read_bytes()
    seeded = random.Random(1)
    lines = good.splitlines(keepends=True)
    starts = [sum(map(len, lines[:index])) for index in range(len(lines))]
    for place in seeded.sample(range(len(good)), 1_500):
        changed = bytearray(good)
        changed[place] ^= 1 << seeded.randrange(8)
        trail.write_bytes(changed)
        number = sum(start <= place for start in starts)
        problems = verify([trail]).problems
        assert problems, place
        assert problems[0].line == number, (place, problems)


@pytest.mark.parametrize("number", range(1, 11))
def test_a_line_removed_doubled_or_moved_is_found(trail: Path, number: int) -> None:
    lines = trail.read_bytes().splitlines(keepends=True)
    removed = lines[:number] + lines[number + 1 :]
    doubled = [*lines[:number], lines[number], *lines[number:]]
    moved = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
    for tampered, at in ((removed, number + 1), (doubled, number + 2), (moved, number + 1)):
        trail.write_bytes(b"".join(tampered))
        assert verify([trail]).problems[0].line == at


@pytest.mark.parametrize("kept", range(1, 12))
def test_an_end_that_was_cut_off_is_found_by_a_head_that_was_kept(trail: Path, kept: int) -> None:
    head, _ = head_of(trail)
    lines = trail.read_bytes().splitlines(keepends=True)
    trail.write_bytes(b"".join(lines[:kept]))
    assert verify([trail]).problems == []
    code, output = said("verify", trail, "--head", head)
    assert code == 1
    assert "the end was cut off" in output
    assert said("verify", trail, "--head", head_of(trail)[0])[0] == 0


def test_a_line_that_is_not_whole_and_one_that_is_none_are_found(trail: Path) -> None:
    good = trail.read_bytes()
    trail.write_bytes(good[:-10])
    assert verify([trail]).problems[0].line == 12
    trail.write_bytes(b"hello\n" + good)
    assert [problem.line for problem in verify([trail]).problems] == [1]
    trail.write_bytes(b"\xff\xfe\n")
    assert verify([trail]).problems[0].line == 1


def test_files_are_read_as_one_trail_in_the_order_given(trail: Path) -> None:
    lines = trail.read_bytes().splitlines(keepends=True)
    first, second = trail.with_name("a"), trail.with_name("b")
    first.write_bytes(b"".join(lines[:6]))
    second.write_bytes(b"".join(lines[6:]))
    assert verify([first, second]).problems == []
    assert verify([second, first]).problems[0].line == 1
    code, output = said("verify", second)
    assert code == 0
    assert "begins after" in output


def test_a_file_that_is_not_there_or_has_no_line_is_said_to_be_so(trail: Path) -> None:
    assert said("verify", trail.with_name("none"))[0] == 3
    assert said("head", trail.with_name("none"))[0] == 3
    trail.write_bytes(b"")
    assert said("head", trail)[0] == 3
