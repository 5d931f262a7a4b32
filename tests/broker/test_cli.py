"""The command: its exit codes, what it prints, and how it starts and ends as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest

BACKEND = "http://127.0.0.1:9/mcp"
WAIT_S = 20  # an interpreter's start on a busy machine
RESULT = {
    "content": [{"type": "resource_link", "uri": "file:///a", "name": "a"}],
    "structuredContent": {"a": 1},
}


def dragoman(*arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "broker", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env={**os.environ, **(env or {})},
    )


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running command and the address its ready line names."""
    process = subprocess.Popen(
        [sys.executable, "-m", "broker", *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        ready = json.loads(process.stderr.readline())
        assert ready["event"] == "ready"
        yield process, ready["url"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WAIT_S)


def test_help_teaches_by_example_and_lists_the_exit_codes() -> None:
    shown = dragoman("--help").stdout
    assert "dragoman proxy http://127.0.0.1:3000/mcp" in shown
    assert "Exit codes" in shown
    for command in ("proxy", "serve", "stdio", "translate", "revisions", "report", "demo", "connect", "disconnect"):
        assert "Example" in dragoman(command, "--help").stdout or command == "demo"


def test_the_version_is_that_of_the_package() -> None:
    assert dragoman("--version").stdout.strip() == f"dragoman, version {metadata.version('dragoman')}"


def test_help_and_translate_import_neither_aiohttp_nor_pydantic() -> None:
    code = "import sys, broker.cli, broker.explain; sys.exit(sum(n in sys.modules for n in ('aiohttp', 'pydantic')))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=WAIT_S).returncode == 0


def test_translate_prints_the_body_as_its_reader_sees_it() -> None:
    pair = ("--method", "tools/call", "--client", "2024-11-05", "--server", "2025-11-25")
    done = dragoman("translate", *pair, stdin=json.dumps(RESULT))
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "content": [{"type": "text", "text": "[a](file:///a)"}, {"type": "text", "text": '{"a":1}'}]
    }
    assert "degraded: resource links" in done.stderr


def test_translate_explains_each_change_as_a_patch() -> None:
    pair = ("--method", "tools/call", "--client", "2024-11-05", "--server", "2025-11-25")
    done = dragoman("translate", *pair, "--explain", stdin=json.dumps(RESULT))
    assert '"op":"replace"' in done.stderr
    assert "2025-06-18/changelog" in done.stderr


def test_translate_says_that_a_message_has_no_translation() -> None:
    pair = ("--method", "elicitation/create", "--client", "2024-11-05", "--server", "2025-11-25")
    body = {"message": "a", "requestedSchema": {"type": "object", "properties": {}}}
    done = dragoman("translate", *pair, "--part", "params", stdin=json.dumps(body))
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("refused: ")


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("--method", "tools/call", "--client", "1999-01-01", "--server", "2025-11-25"), "{}"),
        (("--method", "tools/no", "--client", "2024-11-05", "--server", "2025-11-25"), "{}"),
        (("--method", "tools/call", "--client", "2024-11-05", "--server", "2025-11-25"), "[1]"),
        (("--method", "tools/call", "--client", "2024-11-05", "--server", "2025-11-25"), '{"a":1,"a":2}'),
        (("--client", "2024-11-05"), "{}"),
    ],
)
def test_a_wrong_translate_command_ends_with_2(arguments: tuple[str, ...], stdin: str) -> None:
    done = dragoman("translate", *arguments, stdin=stdin)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_translate_says_that_the_broker_does_itself_what_it_cannot_say() -> None:
    pair = ("--client", "2026-07-28", "--server", "2025-03-26")
    done = dragoman("translate", "--method", "server/discover", "--part", "params", *pair, stdin="{}")
    assert (done.returncode, done.stdout) == (5, "")
    assert "between peers the broker does this itself (discovery)" in done.stderr


def test_revisions_print_every_pair_and_every_method_of_one() -> None:
    rows = json.loads(dragoman("revisions", "--json").stdout)
    assert len({(row["client"], row["server"]) for row in rows}) == 25
    table = dragoman("revisions").stdout.splitlines()
    assert len(table[0].split()) == 8  # `client \ server` and five revisions
    pair = dragoman("revisions", "--pair", "2024-11-05", "2025-11-25").stdout
    assert "refused    elicitation/create params toward client\n            elicitation\n" in pair
    bridged = dragoman("revisions", "--pair", "2026-07-28", "2024-11-05").stdout
    assert "emulated   server/discover params toward server\n            initialize is gone" in bridged
    assert dragoman("revisions", "--pair", "2024-11-05", "1999-01-01").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("proxy",), 2, "Missing argument"),
        (("proxy", BACKEND, "--header", "no-equals"), 2, "--header expects"),
        (("proxy", "ftp://x"), 3, "dragoman: url: expected an http:// or https:// URL"),
        (("proxy", BACKEND, "--backend-revision", "2025-01-01"), 3, "dragoman: revision: expected one of"),
        (("proxy", BACKEND, "--header", "X-Key=env:DRAGOMAN_NO_SUCH"), 3, "DRAGOMAN_NO_SUCH is not set"),
        (("proxy", BACKEND, "--host", "0.0.0.0"), 3, "allowed_hosts must say"),
        (("proxy", BACKEND, "--ca-bundle", "/no/such.pem"), 3, "ca_bundle: there is no file"),
        (("serve", "/no/such.yaml"), 3, "/no/such.yaml: cannot be read"),
        (("serve", "/no/such.yaml", "--workers", "2"), 2, "sessions live in the memory of one process"),
        (("proxy", BACKEND, "--tap", "/no/such/dir/tap", "--port", "0"), 3, "dragoman: tap: "),
    ],
)
def test_each_mistake_has_its_exit_code_and_its_place(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = dragoman(*arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_ends_with_4() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = dragoman("proxy", BACKEND, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 4
    assert "it is in use" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_ready_line_is_true_and_a_signal_ends_it_with_0(number: signal.Signals) -> None:
    with serving("proxy", BACKEND, "--port", "0") as (process, url):
        host, port = url.removeprefix("http://").removesuffix("/mcp").split(":")
        with socket.create_connection((host, int(port)), timeout=5):
            process.send_signal(number)
        assert process.wait(WAIT_S) == 0


def test_a_configuration_file_serves_each_server_and_taps_for_its_owner_alone(tmp_path: Path) -> None:
    config, tap = tmp_path / "dragoman.yaml", tmp_path / "tap.jsonl"
    config.write_text(f"port: 0\nservers:\n  a: {{url: '{BACKEND}'}}\n  b: {{url: '{BACKEND}'}}\n", encoding="utf-8")
    assert dragoman("serve", str(config), "--check").stdout.strip().endswith("valid, 2 servers")
    with serving("serve", str(config), "--tap", str(tap)) as (process, url):
        assert url.endswith("/servers/a/mcp")
        assert process.stderr is not None
        assert json.loads(process.stderr.readline())["url"].endswith("/servers/b/mcp")
        process.terminate()
        assert process.wait(WAIT_S) == 0
    assert tap.stat().st_mode & 0o777 == 0o600


def test_a_fresh_key_is_accepted_by_the_configuration_it_prints() -> None:
    from broker.identity import digest_of

    shown = dragoman("key", "new", "--name", "bob").stdout.split()
    fresh = next(word for word in shown if word.startswith("dgm_"))
    assert shown[-2:] == ["bob:", digest_of(fresh)]


@pytest.mark.parametrize(("server", "chapters"), [("2026-07-28", 13), ("2025-11-25", 15)])
def test_the_demo_tells_its_story_without_a_download(server: str, chapters: int) -> None:
    done = dragoman("demo", "--once", "--built-in-client", "--port", "0", "--server", server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"speaks {server}, and nothing older" in done.stdout
    assert done.stdout.count("ok       ") == chapters
    assert "FAILED" not in done.stdout
