"""The exit codes of the command `dragoman`; click itself ends with 2 for a wrong command line."""

from __future__ import annotations

from typing import Final

RUNTIME: Final = 1
CONFIGURATION: Final = 3
CANNOT_BIND: Final = 4
NO_TRANSLATION: Final = 5
