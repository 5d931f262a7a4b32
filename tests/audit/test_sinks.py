"""Sinks besides the file: each line whole, in order, and none that could make the broker wait."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from broker.audit.chain import sealed
from broker.audit.opening import open_log
from broker.audit.options import AuditOptions, OtlpOptions, SyslogOptions
from broker.audit.otlp import Otlp
from broker.audit.sinks import RETRY_S, Stdout, Syslog
from broker.settings import Settings
from broker.settings_file import SettingsError
from tests.audit.lines import Clocks, Memory, events

posix = pytest.mark.skipif(os.name != "posix", reason="sockets with a path")


@posix
def test_a_reader_of_standard_output_that_does_not_keep_up_makes_it_fail_and_loses_nothing() -> None:
    read, write = os.pipe()
    clocks = Clocks()
    log = clocks.log(Stdout(write))
    written = 0
    while not log.failing:
        log.write("degraded", method="x" * 200)
        log.flush()
        written += 1
        assert written < 1_000
    data = b""
    while log.failing:
        data += os.read(read, 1 << 20)
        clocks.now += RETRY_S
        log.flush()
    log.close()
    os.close(write)
    while piece := os.read(read, 1 << 20):
        data += piece
    os.close(read)
    lines = data.splitlines()
    assert len(lines) == written + 1
    assert all(sealed(line) for line in lines)


@posix
def test_lines_reach_the_system_log_one_a_message_and_a_log_that_is_away_is_a_failure(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    clocks = Clocks()
    log = clocks.log(Syslog(path, facility="authpriv"))
    log.write("degraded")
    log.flush()
    assert log.failing
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
        reader.bind(path)
        reader.settimeout(5)
        clocks.now += RETRY_S
        log.write("degraded")
        log.flush()
        assert not log.failing
        for _ in range(2):
            message = reader.recv(65_536).rstrip(b"\0")
            assert message.startswith(b"<86>dragoman: {")  # authpriv, informational
            assert sealed(message.partition(b"dragoman: ")[2])
    log.close()


def test_lines_reach_a_system_log_by_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        log = Clocks().log(Syslog(server.getsockname()[:2], facility="user", tcp=True))
        log.write("degraded")
        log.flush()
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            assert connection.recv(65_536).startswith(b"<14>dragoman: {")
        log.close()


class Collector:
    """An exporter whose collector takes lines, or does not."""

    def __init__(self) -> None:
        self.takes = True
        self.lines: list[bytes] = []
        self.tried = threading.Event()

    def send(self, lines: list[bytes]) -> bool:
        if self.takes:
            self.lines += lines
        self.tried.set()
        return self.takes

    def close(self) -> None:
        """Nothing is held."""


def test_a_collector_that_does_not_take_lines_makes_the_sink_fail_until_it_does() -> None:
    collector, other = Collector(), Memory()
    collector.takes = False
    clocks = Clocks()
    sink = Otlp(collector)
    log = clocks.log(sink, other)
    log.write("degraded")
    log.flush()
    assert collector.tried.wait(5)
    with sink._changed:
        sink._changed.wait_for(lambda: sink._failed, 5)
    log.write("degraded")
    log.flush()
    assert log.failing
    collector.takes = True
    with sink._changed:
        assert sink._changed.wait_for(lambda: not sink._failed, 5)
    clocks.now += RETRY_S
    log.flush()
    assert not log.failing
    log.close()
    assert collector.lines == other.text.splitlines()


def test_lines_reach_a_collector_as_opentelemetry_logs_with_their_hash() -> None:
    logs = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
    bodies: list[bytes] = []
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            keys.append(self.headers.get("x-key"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}/v1/logs"
        open_log(AuditOptions(otlp=OtlpOptions(endpoint, {"x-key": "k"}))).close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    found = []
    for body in bodies:
        request = logs.ExportLogsServiceRequest.FromString(body)
        for resource in request.resource_logs:
            found += [record for scope in resource.scope_logs for record in scope.log_records]
    assert [record.event_name for record in found] == ["dragoman.audit.started", "dragoman.audit.stopped"]
    assert all(sealed(record.body.string_value.encode()) for record in found)
    assert set(keys) == {"k"}


def test_without_the_extra_its_absence_is_said() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from broker.audit.opening import open_log; from broker.audit.options import *\n"
        "try: open_log(AuditOptions(otlp=OtlpOptions('http://127.0.0.1:1')))\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert "dragoman[otel]" in done.stdout


def test_several_sinks_get_the_same_lines_and_a_failing_one_is_enough_to_stop_acts() -> None:
    one, two = Memory(), Memory()
    log = Clocks().log(one, two)
    log.start()
    assert one.text == two.text
    two.broken = True
    log.write("degraded")
    log.flush()
    assert not log.admits("tools/call")
    assert log.admits("tools/list")
    assert events(one.lines) == ["started", "degraded"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "at least one of"),
        ({"file": {"path": "a", "fsync": "never"}}, "audit.file.fsync"),
        ({"file": {"path": "a", "paths": "b"}}, "audit.file.paths"),
        ({"syslog": {"address": "nowhere"}}, "HOST:PORT"),
        ({"syslog": {"facility": "x"}}, "expected one of"),
        ({"otlp": {"endpoint": "ftp://x"}}, "audit.otlp.endpoint"),
        ({"stdout": True, "on_failure": "spool"}, "audit.on_failure"),
        ({"stdout": True, "arguments_bytes": 10**9}, "audit.arguments_bytes"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused_with_its_place(section: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as found:
        Settings.for_proxy("http://127.0.0.1:1/mcp", audit=section)
    assert said in "\n".join(found.value.problems)


def test_settings_become_options_and_secrets_are_never_arguments() -> None:
    section: dict[str, Any] = {
        "syslog": {"address": "[::1]:514", "transport": "tcp"},
        "otlp": {"endpoint": "http://127.0.0.1:4318/v1/logs", "headers": {"x-key": "canary-otlp"}},
        "arguments": True,
        "redact": ["pin"],
    }
    settings = Settings.for_proxy(
        "http://127.0.0.1:1/mcp", audit=section, backend={"headers": {"X-Key": "canary-backend"}}
    )
    assert settings.audit is not None
    options = settings.audit.options(settings.secrets())
    assert options.syslog == SyslogOptions(("::1", 514), "authpriv", tcp=True)
    assert {"canary-otlp", "canary-backend"} <= set(options.secrets)
    assert (options.arguments_bytes, options.redact, options.file) == (2048, ("pin",), None)
    assert "canary" not in repr(settings)
