"""Processes: started, awaited, and ended with everything they started."""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from pathlib import Path

import pytest

from conformance.launch import Children, LaunchError, free_port

READY = """
import sys, time
print("noise", flush=True)
print("READY http://127.0.0.1:%s/mcp" % sys.argv[sys.argv.index("--port") + 1], flush=True)
time.sleep(60)
"""
WITH_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
print("READY http://127.0.0.1:1/mcp", flush=True)
time.sleep(60)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("READY http://127.0.0.1:1/mcp", flush=True)
time.sleep(60)
"""


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_server_is_up_when_it_says_so_and_gone_after_the_block(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child, url = children.server("server", _python(READY))
        assert url.startswith("http://127.0.0.1:")
        assert _runs(child.pid)
    assert not _runs(child.pid)


def test_a_server_can_be_put_on_a_port_of_ones_own(tmp_path: Path) -> None:
    port = free_port()
    with Children(tmp_path) as children:
        _, url = children.server("server", _python(READY), port)
    assert url == f"http://127.0.0.1:{port}/mcp"


def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child, _ = children.server("server", _python(WITH_CHILD))
        grandchild = int(child.output().splitlines()[0])
        assert _runs(grandchild)
        ended = os.pidfd_open(grandchild)
    # Nobody here is its parent, so its end is only asked for by now: the descriptor tells when it has come.
    readable, _, _ = select.select([ended], [], [], 5)
    os.close(ended)
    assert readable


def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.launch.TERM_GRACE_S", 0.3)
    with Children(tmp_path) as children:
        child, _ = children.server("server", _python(DEAF))
    assert not _runs(child.pid)


def test_children_end_when_the_block_fails(tmp_path: Path) -> None:
    started = []

    def fails() -> None:
        with Children(tmp_path) as children:
            started.append(children.server("server", _python(READY))[0])
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fails()
    assert not _runs(started[0].pid)


def test_a_server_that_ends_before_it_is_up_is_an_error_with_its_output(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(LaunchError, match=r"(?s)status 3.*no such port"):
        children.server("server", _python("import sys; sys.stderr.write('no such port'); sys.exit(3)"))


def test_a_command_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with Children(tmp_path) as children, pytest.raises(LaunchError, match="cannot start"):
        children.start("nothing", [str(tmp_path / "missing")])


def test_a_command_is_run_to_its_end_or_to_its_bound(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child, code = children.run("short", _python("print('done')"), 5)
        assert (child.output().strip(), code) == ("done", 0)
        child, code = children.run("long", _python("import time; time.sleep(60)"), 0.2)
        assert code is None
        assert not _runs(child.pid)


def test_a_name_used_twice_keeps_both_outputs(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        first, _ = children.run("same", _python("print(1)"), 5)
        second, _ = children.run("same", _python("print(2)"), 5)
    assert (first.output().strip(), second.output().strip()) == ("1", "2")


def test_free_ports_are_free_and_never_given_twice() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as event loops do
        server.bind(("127.0.0.1", ports[-1]))
        server.listen()


def test_nobody_listens_on_a_free_port_and_nobody_else_gets_it_by_chance() -> None:
    port = free_port()
    with socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))  # what the system itself avoids when it chooses


def test_children_lead_groups_of_their_own(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        child, _ = children.server("server", _python(READY))
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
