"""The quick way in: a plain command line of `dragoman stdio` means what it means to the whole command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from broker.cli_stdio import stdio
from broker.entry import plain
from broker.stdio_command import DEFAULTS

WAIT_S = 30

LINES = (
    ["http://127.0.0.1:1/mcp"],
    ["--", "npx", "-y", "some-server", "--its-option"],
    ["--backend-revision", "2024-11-05", "http://127.0.0.1:1/mcp"],
    ["--tool-deny", "a*", "--tool-deny", "b*", "--prompt-allow", "c", "--", "program"],
    ["--header", "A=env:A", "--header", "B=env:B", "--bearer-file", "f", "--ca-bundle", "c", "env:ADDRESS"],
    ["--tap", "t.jsonl", "--log-level", "debug", "--client-revisions", "2024-11-05", "program", "argument"],
)


@pytest.mark.parametrize("line", LINES)
def test_a_plain_line_is_read_as_the_whole_command_reads_it(line: list[str]) -> None:
    params = stdio.make_context("stdio", list(line)).params
    target = params.pop("target")
    assert plain(line) == (target, params)


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["--help"],
        ["-h"],
        ["--"],
        ["--no-such", "a", "b"],
        ["--backend_revision", "2024-11-05", "program"],
        ["--backend-revision=2024-11-05", "program"],
        ["--tap"],
        ["--tap", "--header", "a"],
        ["program", "--tap", "a"],
    ],
)
def test_any_other_line_is_left_to_the_whole_command(line: list[str]) -> None:
    assert plain(line) is None


def test_the_defaults_are_those_of_the_whole_command() -> None:
    params = stdio.make_context("stdio", ["program"]).params
    assert {name: value for name, value in params.items() if name != "target"} == DEFAULTS


def test_options_without_a_value_would_be_read_wrongly_so_there_are_none() -> None:
    assert not [each for each in stdio.params if isinstance(each, click.Option) and each.is_flag]


def test_a_start_on_a_pipe_loads_no_library_that_it_does_not_need() -> None:
    names = (
        "aiohttp",
        "click",
        "filelock",
        "broker.signin.grant",
        "cryptography",
        "email",
        "importlib.metadata",
        "pydantic",
        "structlog",
        "jsonpatch",
    )
    code = (
        "import sys, broker.entry, broker.stdio_app, broker.backends.http1, broker.backends.http_reach,"
        "broker.signin.credentials;"
        f"print([name for name in {names!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=WAIT_S)
    assert done.stdout.strip() == "[]"


def test_a_start_compiles_no_expressions_that_it_does_not_need() -> None:
    code = "import broker.stdio_app; from broker.hooks import absence; print(absence._phrases.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=WAIT_S)
    assert done.stdout.strip() == "0"


def test_a_configuration_without_rules_loads_neither_their_engine_nor_an_http_server(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("pipe: {name: ann}\nservers: {default: {filter: {tools: {deny: [a]}}}}\n", encoding="utf-8")
    names = ("aiohttp", "cel_expr_python", "click", "re2", "broker.servers", "broker.signin.grant", "structlog")
    code = (
        "import asyncio, sys\n"
        "from broker.entry import _options\n"
        "from broker.wheel import Wheel\n"
        f"plan = _options(['--config', {str(file)!r}, 'program'])\n"
        "async def build(): plan.build(Wheel())\n"
        "asyncio.run(build())\n"
        f"print([name for name in {names!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=WAIT_S)
    assert done.stdout.strip() == "[]"


def test_a_line_that_is_wrong_is_explained_by_the_whole_command() -> None:
    command = [sys.executable, "-m", "broker", "stdio", "--backend-revision", "1999-01-01", "program"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=WAIT_S, input="")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'1999-01-01' is no revision" in done.stderr
