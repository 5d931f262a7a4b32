"""The front page and the guides are true: commands run, snippets parse, tables are those of the code, links lead on."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from broker.audit.opening import open_log
from broker.audit.options import AuditOptions, FileOptions
from broker.cli_reference import FILES
from broker.reference.said import GUIDES
from broker.settings import Limits, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE_FILES = [ROOT / "broker" / FILES[name] for name in GUIDES]
PAGES = "\n".join([README, *(path.read_text(encoding="utf-8") for path in GUIDE_FILES)])
"""The front page first, then the guides."""

WAIT_S = 60
_T = TypeVar("_T")
INSTALL = "python3 -m pip install uv && "
SERVING = ("proxy", "serve", "demo")
SERVER = "http://127.0.0.1:3000/mcp"
READY = '"event": "ready"'


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES, re.DOTALL)


COMMANDS = list(dict.fromkeys(line for block in blocks("sh") for line in block.splitlines() if line))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the README's configuration file, and the variable it refers to."""
    (tmp_path / "dragoman.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor" / "mcp.json").write_text(blocks("json")[0], encoding="utf-8")
    open_log(AuditOptions(file=FileOptions(tmp_path / "audit.jsonl"))).close()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GITHUB_AUTHORIZATION", "Bearer example")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def interpreted(arguments: list[str]) -> list[str]:
    """A README command in this environment: `uv run` gives what runs here already."""
    assert arguments[:2] == ["uv", "run"], arguments
    match arguments[2:]:
        case ["dragoman", *rest]:
            return [sys.executable, "-m", "broker", *rest]
        case ["pytest"]:
            # The whole suite is what is running now: that it can be collected shows the command is right.
            return [sys.executable, "-m", "pytest", str(ROOT / "tests/test_architecture.py"), "--collect-only", "-q"]
        case _:
            raise AssertionError(f"the README shows a command this test does not know: {arguments}")


def test_the_readme_shows_commands() -> None:
    assert f"{INSTALL}uv run dragoman demo" in COMMANDS
    assert f"{INSTALL}uv run pytest" in COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_pages_runs(command: str, folder: Path) -> None:
    before, _, last = command.removeprefix(INSTALL).rpartition(" | ")
    stdin = shlex.split(before)[1] if before else ""
    arguments = shlex.split(last)
    line = interpreted(arguments)
    if arguments[3:4] and arguments[3] in SERVING and "--check" not in arguments:
        if arguments[3] == "serve":
            config = folder / "dragoman.yaml"
            config.write_text(config.read_text(encoding="utf-8").replace("port: 8808", "port: 0"), encoding="utf-8")
        else:
            line += ["--port", "0"]
        if arguments[3] == "demo":
            line += ["--built-in-client"]
        serves_until_told(line, folder)
        return
    with sample_server() if SERVER in line else nullcontext(SERVER) as url:
        line = [url if part == SERVER else part for part in line]
        done = subprocess.run(
            line, cwd=folder, input=stdin, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@contextmanager
def sample_server() -> Iterator[str]:
    """A running server, for the commands that need one, in place of the README's address."""
    from broker import serve
    from broker.demo.server import sample_app

    loop = serve.new_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def within(work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(WAIT_S)

    try:
        running = within(serve.start(Settings.for_proxy(SERVER, port=0), lambda *_: sample_app()))
        yield f"{running.url}/mcp"
        within(running.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()


def serves_until_told(line: list[str], folder: Path) -> None:
    """The command says that it is ready, keeps serving, and ends with 0 on SIGTERM."""
    process = subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
    seen = []
    try:
        assert process.stdout is not None
        for text in process.stdout:
            seen.append(text)
            if READY in text or text.startswith("Ctrl-C"):
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0, seen
        assert not any("FAILED" in text for text in seen), seen
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WAIT_S)


def test_the_configuration_of_the_readme_is_valid(folder: Path) -> None:
    settings = Settings.load(folder / "dragoman.yaml")
    assert settings.path_of("github") == "/servers/github/mcp"
    assert settings.limits.session_ttl_s == 600


def test_the_audit_section_of_the_readme_is_valid(folder: Path) -> None:
    found = next(block for block in blocks("yaml") if block.startswith("audit:"))
    (folder / "audit.yaml").write_text(found, encoding="utf-8")
    assert Settings.load(folder / "audit.yaml").audit is not None


def test_the_host_snippets_are_json_and_point_at_the_broker() -> None:
    found = [json.loads(block) for block in blocks("json")]
    command, *addresses = found
    assert command["mcpServers"]["files"]["command"] == "dragoman"
    assert len(addresses) == 2
    assert all("http://127.0.0.1:8808/mcp" in json.dumps(snippet) for snippet in addresses)


def test_every_known_host_is_in_the_table() -> None:
    from broker.hosts.table import HOSTS

    table = PAGES[PAGES.index("| host |") : PAGES.index("**Serve such a file")]
    for each in HOSTS:
        assert f"`{each.name}`" in table, each.name


def test_the_published_schema_is_the_generated_one() -> None:
    from broker.starter import generated, published

    assert published() == generated(), "run: uv run dragoman schema > broker/dragoman.schema.json"


def test_the_library_example_holds() -> None:
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})


def test_the_table_of_revisions_is_the_generated_one() -> None:
    line = [sys.executable, "-m", "broker", "revisions", "--markdown"]
    shown = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=True).stdout
    assert shown in README


def test_every_setting_and_every_limit_is_in_the_reference() -> None:
    from broker.settings_backend import Backend

    page = (ROOT / "broker" / FILES["configuration"]).read_text(encoding="utf-8")
    rows = {line.split(" | ")[0].strip("| `"): line for line in page.splitlines() if line.startswith("| `")}
    for name in Settings.model_fields:
        assert name == "single" or name in rows, name
    for name in Backend.model_fields:
        assert f"servers.NAME.{name}" in rows, name
    for name, field in Limits.model_fields.items():
        told = " ".join((field.description or "").split())
        assert f"`{json.dumps(field.default)}` | {told} |" in rows[f"limits.{name}"], name
        assert "Precedent: " in told, name


def test_the_sections_that_the_front_page_shows_are_valid() -> None:
    found = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)]
    sections = [tree for tree in found if "servers" not in tree]
    assert (len(found), len(sections)) == (3, 1)  # the files are served by other tests
    for tree in sections:
        Settings.build({"servers": {"a": {"url": SERVER}}, **tree})


def test_the_front_page_is_read_in_five_minutes() -> None:
    prose = re.sub(r"```.*?```|^\|.*$", "", README, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) < 5 * 250


def test_what_it_may_cost_is_what_the_benchmarks_enforce() -> None:
    from benchmarks import guarded, pipes, rows

    gates = {row.name: row.gate for row in rows.ROWS} | {limit.name: limit.gate for limit in rows.LIMITS}
    memory = [gates[name] for name in ("memory", "memory-stream", "memory-parked")]
    assert gates["cpu-older"] == gates["cpu-newer"] == gates["cpu-bridged-newest"]
    across, within_one = gates["cpu-older"], gates["cpu-equal"]
    for row in (
        f"| CPU of a call between two revisions | {across} of the pass-through's; {within_one:.2f} within one |",
        f"| {memory[0]} KB; {memory[1]} KB; {memory[2]} KB |",
        f"| {guarded.GATE} of a pass-through's call on top |",
        f"| {pipes.START.gate} and {pipes.CPU.gate} of PyPI's `mcp-proxy` |",
    ):
        assert row in README, row


MADE = [ROOT / "broker" / file for file in FILES.values()]
LINKS = [
    (path.relative_to(ROOT), link)
    for path in dict.fromkeys([ROOT / "README.md", *GUIDE_FILES, *MADE])
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    if "://" not in link
]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=[f"{page.name}-{link}" for page, link in LINKS])
def test_a_link_leads_to_a_page_and_a_heading(page: Path, link: str) -> None:
    file, _, anchor = link.partition("#")
    target = (ROOT / page).parent / file if file else ROOT / page
    assert target.exists()
    if anchor:
        headings = re.findall(r"(?m)^#+ (.+)$", target.read_text(encoding="utf-8"))
        assert anchor in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
