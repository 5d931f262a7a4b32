"""The machine as hosts see it: which system, whose home, which variables. Given from outside, so that the paths of
every system are computed and tested on any."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Final

import msgspec

# Windows starts programs, and these are scripts: without the ending CreateProcess does not find them.
_SCRIPTS: Final = frozenset({"npm", "npx", "pnpm", "pnpx", "yarn", "yarnpkg"})


class Machine(msgspec.Struct, frozen=True):
    """`platform` is `linux`, `darwin` or `win32` as `sys.platform` says; `folder` the working folder."""

    platform: str
    home: str
    environ: Mapping[str, str]
    folder: str

    @classmethod
    def here(cls) -> Machine:
        """The machine this runs on."""
        return cls(sys.platform, str(Path.home()), os.environ, str(Path.cwd()))

    @property
    def windows(self) -> bool:
        return self.platform == "win32"

    def path(self, text: str) -> PurePath:
        """A path of that system."""
        return PureWindowsPath(text) if self.windows else PurePosixPath(text)

    def base(self, name: str) -> PurePath | None:
        """The folder that a location of the table begins with; None if the variable it stands for is not set.

        `~` home; `support` application data of a user; `config` where command-line programs keep theirs;
        `local` data that Windows does not carry to other machines; `state` what programs keep between their runs;
        `$NAME` a variable.
        """
        home = self.path(self.home)
        if name.startswith("$"):
            value = self.variable(name[1:])
            return self.path(value) if value else None
        xdg = self.variable("XDG_CONFIG_HOME")
        config = self.path(xdg) if xdg and not self.windows else home / ".config"
        roaming = self.path(self.variable("APPDATA") or str(home / "AppData" / "Roaming"))
        local = self.path(self.variable("LOCALAPPDATA") or str(home / "AppData" / "Local"))
        match name:
            case "~":
                return home
            case "support" if self.platform == "darwin":
                return home / "Library" / "Application Support"
            case "support" | "config":
                return roaming if self.windows else config
            case "local":
                return local if self.windows else None
            case "state" if self.platform == "darwin":
                return home / "Library" / "Application Support"
            case "state":
                kept = self.variable("XDG_STATE_HOME")
                return local if self.windows else self.path(kept) if kept else home / ".local" / "state"
        raise ValueError(name)

    def variable(self, name: str) -> str | None:
        """A variable's value; Windows does not tell the case of their names apart."""
        if name in self.environ or not self.windows:
            return self.environ.get(name)
        return next((value for key, value in self.environ.items() if key.upper() == name.upper()), None)


def startable(command: str, platform: str = sys.platform) -> str:
    """A command as a system can start it: `npx` is the script `npx.cmd` on Windows."""
    return f"{command}.cmd" if platform == "win32" and command.lower() in _SCRIPTS else command
