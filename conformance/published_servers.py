"""Published servers that anyone can install, each at an exact release on an exact release of its SDK.

Chosen so that both SDKs and every revision with sessions are behind the broker, from the first releases on; the calls
need no network. `made` says which revision a server is of: the release of its SDK decides.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

Arguments = Mapping[str, Any]
REPOSITORY: Final = "{folder}/repository"
"""In arguments, `{folder}` is a folder of the run; it holds a git repository and a text."""
TEXT: Final = "{folder}/text.txt"
NPM: Final = "@modelcontextprotocol/"


@dataclass(frozen=True)
class Published:
    """One server: where it comes from, what it stands on, how it is started, and a call that changes nothing."""

    package: str
    release: str
    sdk: str
    made: str
    tool: str
    arguments: Arguments
    options: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    """What else is pinned, for releases that need something older than what there is today."""
    asks: bool = field(default=False, compare=False)
    """The reference server: its tools ask the client."""

    @property
    def of_npm(self) -> bool:
        return self.package.startswith("@")

    @property
    def name(self) -> str:
        return f"{self.package.removeprefix(NPM)} {self.release}"

    @property
    def stands_on(self) -> str:
        return f"{'sdk' if self.of_npm else 'mcp'} {self.sdk}"

    def given(self, folder: Path) -> dict[str, Any]:
        """The arguments of the call in a folder of the run."""
        return {name: _filled(value, folder) for name, value in self.arguments.items()}

    def command(self, folder: Path) -> list[str]:
        """The argv of the server; installs it if need be.

        Raises:
            InstallError: it cannot be installed.
        """
        options = [str(_filled(each, folder)) for each in self.options]
        return [*(self._npm() if self.of_npm else self._pypi()), *options]

    def _pypi(self) -> list[str]:
        with_ = [part for each in (f"mcp=={self.sdk}", *self.extra) for part in ("--with", each)]
        source = f"{self.package}=={self.release}"
        return [shutil.which("uv") or "uv", "tool", "run", "--quiet", "--from", source, *with_, self.package]

    def _npm(self) -> list[str]:
        from conformance.peers import node  # a Node runtime is only needed where such servers run

        sdk = f"{NPM}sdk"
        manifest = {
            "name": "dragoman-published",
            "private": True,
            "dependencies": {self.package: self.release, sdk: self.sdk},
            "overrides": {sdk: self.sdk},
        }
        folder = node.packages(self.package.rsplit("/", 1)[1], json.dumps(manifest, indent=1).encode())
        return [str(node.node()), str(folder / "node_modules" / self.package / "dist" / "index.js")]


def prepare(folder: Path) -> None:
    """Make what the calls look at."""
    repository = folder / "repository"
    repository.mkdir(parents=True)
    (folder / "text.txt").write_text("A text to read.\n", encoding="utf-8")
    subprocess.run(  # noqa: S603 - our own words
        [shutil.which("git") or "git", "init", "--quiet", "--initial-branch", "main", str(repository)],
        check=True,
        timeout=60,
    )


def _filled(value: Any, folder: Path) -> Any:
    return value.replace("{folder}", str(folder)) if isinstance(value, str) else value


TIME: Final = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
OLD_PYDANTIC: Final = ("pydantic==2.13.5",)
"""mcp 1.8 and 1.9 import a module that pydantic 2.14 dropped."""

HELLO: Final = {"message": "hello"}
AT: Final = {"path": TEXT}
FOLDER: Final = ("{folder}",)

PUBLISHED: Final = (
    Published("mcp-server-time", "0.6.2", "1.8.1", "2024-11-05", "convert_time", TIME, extra=OLD_PYDANTIC),
    Published(
        "mcp-server-sqlite",
        "2025.4.25",
        "1.9.4",
        "2025-03-26",
        "read_query",
        {"query": "SELECT 1 AS one, 'two' AS other"},
        ("--db-path", "{folder}/test.db"),
        OLD_PYDANTIC,
    ),
    Published("mcp-server-git", "2025.7.1", "1.22.0", "2025-06-18", "git_status", {"repo_path": REPOSITORY}),
    Published("mcp-server-calculator", "0.2.1", "1.30.0", "2025-11-25", "calculate", {"expression": "6 * 7"}),
    Published("mcp-server-time", "2026.1.26", "1.30.0", "2025-11-25", "convert_time", TIME),
    Published(f"{NPM}server-everything", "0.6.2", "1.0.1", "2024-11-05", "echo", HELLO, asks=True),
    Published(f"{NPM}server-everything", "2025.5.12", "1.12.3", "2025-03-26", "echo", HELLO, asks=True),
    Published(f"{NPM}server-everything", "2025.8.18", "1.21.2", "2025-06-18", "echo", HELLO, asks=True),
    Published(f"{NPM}server-everything", "2025.12.18", "1.24.3", "2025-11-25", "echo", HELLO, asks=True),
    Published(f"{NPM}server-everything", "2026.8.31", "1.32.2", "2025-11-25", "echo", HELLO, asks=True),
    Published(
        f"{NPM}server-filesystem", "2025.7.1", "1.12.3", "2025-03-26", "read_file", {"path": TEXT}, ("{folder}",)
    ),
    Published(f"{NPM}server-memory", "2025.8.4", "1.0.1", "2024-11-05", "read_graph", {}),
    Published(
        f"{NPM}server-sequential-thinking",
        "2025.7.1",
        "0.5.0",
        "2024-11-05",
        "sequentialthinking",
        {"thought": "first", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1},
    ),
)
