"""The process's first steps: `dragoman stdio` is served before the rest of the command line is loaded.

A host waits for the first answer of the command it started. Only a plain command line is read here; help, abbreviations
and every mistake are left to `broker.cli`, which reads it all once more and says what is wrong.
"""

from __future__ import annotations

import sys
from typing import Any

from broker import garbage


def main() -> None:
    """The command `dragoman`; ends the process with its exit code."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    garbage.begin(command)
    if command == "stdio":
        from broker.stdio_command import run

        options = _options(sys.argv[2:])
        if options is not None:
            sys.exit(run(options))
    from broker.cli import main as everything

    everything()


def _options(line: list[str]) -> Any:
    from broker.stdio_command import options_of, target_of

    read = plain(line)
    if read is None:
        return None
    target, given = read
    try:
        return options_of(target_of(target), given)
    except ValueError:  # which the whole command line explains
        return None


def plain(line: list[str]) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    """The target and the options of a command line of `--name value` pairs and a target; None for any other."""
    from broker.stdio_command import DEFAULTS

    given = dict(DEFAULTS)
    rest = list(line)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        name = word[2:].replace("-", "_") if word.startswith("--") else ""
        if name not in given or "_" in word or not rest or rest[0].startswith("-"):
            return None
        value = rest.pop(0)
        given[name] = (*given[name], value) if isinstance(DEFAULTS[name], tuple) else value
    else:
        if any(word.startswith("-") for word in rest):
            return None  # options may stand after a target too
    return (tuple(rest), given) if rest or given["config"] is not None else None
