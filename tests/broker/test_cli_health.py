"""`dragoman health`: the exit code that a container's check needs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from click.testing import CliRunner

from broker.cli import cli


@contextmanager
def status_port(status: int) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """A status port that answers so: its number, and what it was asked as (path, Host)."""
    asked: list[tuple[str, str]] = []

    class Port(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Host"]))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_parts: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked_of(folder: Path, status: str, *options: str) -> int:
    file = folder / "dragoman.yaml"
    file.write_text(f"servers: {{a: {{url: 'http://127.0.0.1:1/mcp'}}}}\n{status}\n", encoding="utf-8")
    return CliRunner().invoke(cli, ["health", str(file), *options]).exit_code


def test_a_broker_that_answers_is_well_and_one_that_refuses_is_not(tmp_path: Path) -> None:
    for status, code in ((200, 0), (503, 1), (421, 1)):
        with status_port(status) as (port, asked):
            assert asked_of(tmp_path, f"status: {{port: {port}}}") == code
            assert asked_of(tmp_path, f"status: {{port: {port}}}", "--ready") == code
        assert asked == [("/health", f"127.0.0.1:{port}"), ("/ready", f"127.0.0.1:{port}")]


def test_a_broker_that_listens_everywhere_is_asked_here_under_the_name_it_always_answers_to(tmp_path: Path) -> None:
    with status_port(200) as (port, asked):
        assert asked_of(tmp_path, f"status: {{host: 0.0.0.0, port: {port}}}") == 0
    assert asked == [("/health", f"0.0.0.0:{port}")]


def test_a_broker_that_is_not_there_is_not_well(tmp_path: Path) -> None:
    with status_port(200) as (port, _):
        pass
    assert asked_of(tmp_path, f"status: {{port: {port}}}") == 1


def test_a_file_without_a_status_port_is_a_mistake(tmp_path: Path) -> None:
    assert asked_of(tmp_path, "") == 3
    with status_port(200) as (port, _):
        assert asked_of(tmp_path, "", "--port", str(port)) == 0
