"""The hosts that are known: what they are called, where they keep their servers on each system, and what is theirs.

Locations are `BASE/rest`, with the bases of `machine.Machine.base`; `*` stands for one unknown folder. Sources: each
host's own documentation; where several releases differ, every place is named, newest first.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path, PurePath
from typing import Final

import msgspec

from broker.hosts.machine import Machine


class Host(msgspec.Struct, frozen=True):
    """One host. `places` are the files of a user, `project` those of a folder, `mac` and `windows` replace `places`."""

    name: str
    title: str
    places: tuple[str, ...]
    project: tuple[str, ...] = ()
    mac: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    root: str = "mcpServers"

    def locations(self, machine: Machine) -> list[PurePath]:
        """Where this host keeps a user's servers on that machine, whether the files exist or not."""
        places = {"darwin": self.mac, "win32": self.windows}.get(machine.platform) or self.places
        found = []
        for place in places:
            base, _, rest = place.partition("/")
            folder = machine.base(base)
            if folder is not None:
                found.append(folder.joinpath(*rest.split("/")))
            if folder is not None and base.startswith("$"):
                break  # a host told by a variable where its files are looks nowhere else
        return found

    def files(self, machine: Machine) -> list[Path]:
        """Those of the user's files that exist on this machine, each once."""
        found: list[Path] = []
        for location in self.locations(machine):
            matches = sorted(glob.glob(str(location))) if "*" in str(location) else [str(location)]
            for match in matches:
                path = Path(match)
                if os.path.isfile(path) and not any(path.samefile(other) for other in found):
                    found.append(path)
        return found

    def project_files(self, machine: Machine) -> list[Path]:
        """Those of the working folder's files that exist."""
        paths = [Path(machine.folder, *place.split("/")) for place in self.project]
        return [path for path in paths if os.path.isfile(path)]


_CODE: Final = "User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"

HOSTS: Final = (
    Host(
        "claude-desktop",
        "Claude Desktop",
        ("support/Claude/claude_desktop_config.json",),
        windows=(
            "support/Claude/claude_desktop_config.json",
            "local/Packages/Claude_*/LocalCache/Roaming/Claude/claude_desktop_config.json",
        ),
    ),
    Host("claude-code", "Claude Code", ("$CLAUDE_CONFIG_DIR/.claude.json", "~/.claude.json"), (".mcp.json",)),
    Host("cursor", "Cursor", ("~/.cursor/mcp.json",), (".cursor/mcp.json",)),
    Host("windsurf", "Windsurf", ("~/.codeium/windsurf/mcp_config.json", "~/.codeium/mcp_config.json")),
    Host(
        "cline",
        "Cline",
        (
            "$CLINE_MCP_SETTINGS_PATH/",
            "~/.cline/data/settings/cline_mcp_settings.json",
            f"support/Code/{_CODE}",
            f"support/Cursor/{_CODE}",
        ),
    ),
    Host("gemini", "Gemini CLI", ("~/.gemini/settings.json",), (".gemini/settings.json",)),
    Host("lmstudio", "LM Studio", ("~/.lmstudio/mcp.json", "~/.cache/lm-studio/mcp.json")),
    Host(
        "vscode",
        "Visual Studio Code",
        ("support/Code/User/mcp.json", "support/Code - Insiders/User/mcp.json", "~/.vscode-server/data/User/mcp.json"),
        (".vscode/mcp.json",),
        root="servers",
    ),
    Host(
        "zed",
        "Zed",
        ("config/zed/settings.json",),
        (".zed/settings.json",),
        mac=("~/.config/zed/settings.json",),
        root="context_servers",
    ),
    Host("continue", "Continue", ("~/.continue/config.yaml",)),
    Host(
        "codex",
        "Codex",
        ("$CODEX_HOME/config.toml", "~/.codex/config.toml"),
        (".codex/config.toml",),
        root="mcp_servers",
    ),
    Host("copilot", "GitHub Copilot CLI", ("$COPILOT_HOME/mcp-config.json", "~/.copilot/mcp-config.json")),
    Host("kiro", "Kiro", ("~/.kiro/settings/mcp.json",), (".kiro/settings/mcp.json",)),
    Host("antigravity", "Antigravity", ("~/.gemini/antigravity/mcp_config.json",)),
    Host("qwen", "Qwen Code", ("~/.qwen/settings.json",), (".qwen/settings.json",)),
    Host(
        "amp",
        "Amp",
        ("config/amp/settings.json",),
        (".amp/settings.json",),
        mac=("~/.config/amp/settings.json",),
        root="amp.mcpServers",
    ),
    Host(
        "opencode",
        "OpenCode",
        ("~/.config/opencode/opencode.json", "~/.config/opencode/opencode.jsonc"),
        ("opencode.json", "opencode.jsonc"),
        root="mcp",
    ),
    Host(
        "goose",
        "Goose",
        ("config/goose/config.yaml",),
        mac=("~/.config/goose/config.yaml",),
        windows=("support/Block/goose/config/config.yaml",),
        root="extensions",
    ),
)
"""Every known host, in the order in which they are listed."""


def host(name: str) -> Host | None:
    """A host by its name on the command line."""
    return next((each for each in HOSTS if each.name == name), None)


def expands_bare_dollar(path: PurePath) -> bool:
    """True for the files of Gemini CLI and its relatives, where `$NAME` is a variable as well."""
    return any(part in (".gemini", ".qwen") for part in path.parts)
