"""An entry that starts the broker in a server's place, and the entry it was: two pure functions on objects.

A command stays behind `--`, word by word. An address stays the last word, its headers move into the entry's variables,
so that no secret stands on a command line, which every process of the machine can read. What else a host keeps in an
entry stays. The entry of before is found again from what stands there, with the original at hand only for spelling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PureWindowsPath
from typing import Any, Final
from urllib.parse import urlsplit

from broker.hosts.servers import COMMANDS, ENVS, HEADERS, SIGNED_IN, TYPES, URLS, HostServer, first
from broker.hosts.shapes import Shape

STDIO: Final = "stdio"  # the subcommand that serves one server on standard input and output
HEADER_PREFIX: Final = "DRAGOMAN_HEADER_"
URL_VARIABLE: Final = "DRAGOMAN_URL"

_ADDRESSED: Final = (*URLS, *HEADERS, "env_http_headers", "bearer_token_env_var")
_BEARER: Final = "Bearer env:"


def broker_word(words: Sequence[str], *commands: Sequence[str]) -> int:
    """The position of `stdio` in a command that starts the broker, or -1; `commands` are known to start it."""
    for command in commands:
        if list(words[: len(command) + 1]) == [*command, STDIO]:
            return len(command)
    for index, word in enumerate(words[1:], 1):
        if word == "--":
            return -1
        if word == STDIO:
            before = PureWindowsPath(words[index - 1]).stem.lower()
            if before == "dragoman" or list(words[index - 2 : index]) == ["-m", "broker"]:
                return index
    return -1


def words_of(value: dict[str, Any]) -> list[str]:
    """The command of an entry as one list; empty if it has none."""
    key = first(value, COMMANDS)
    found = value[key] if key else []
    if isinstance(found, dict):
        return [str(found.get("path", "")), *map(str, found.get("args") or [])]
    if isinstance(found, list):
        return [str(word) for word in found]
    return [str(found), *(str(word) for word in value.get("args") or [])]


def why_not(server: HostServer) -> str | None:
    """Why a server must stay as it is, or None."""
    signed_in = next((key for key in SIGNED_IN if server.extra.get(key)), None)
    if server.kind != STDIO and signed_in is not None:
        return f"the host signs in there itself ({signed_in}), which the broker cannot do for it"
    return None


def wrapped(value: dict[str, Any], server: HostServer, shape: Shape, broker: Sequence[str]) -> dict[str, Any]:
    """The entry that starts `broker` for the server of `value`."""
    if server.command is not None:
        return _with_words(value, [*broker, STDIO, "--", server.command, *server.args], shape)
    env_key = first(value, ENVS) or shape.env
    env = dict(value.get(env_key) or {})
    passed = list(value.get("env_vars") or [])
    options: list[str] = []
    for name, text in server.headers.items():
        variable = _free(HEADER_PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper()), env)
        env[variable] = text
        options += ["--header", f"{name}=env:{variable}"]
    for name, source in server.headers_from.items():
        scheme, _, variable = source.rpartition(" ")
        options += ["--header", f"{name}={scheme} env:{variable}" if scheme else f"{name}=env:{variable}"]
        passed += [variable] if variable not in passed else []
    url = str(server.url)
    if _secret(url):
        variable = _free(URL_VARIABLE, env)
        env[variable] = url
        url = f"env:{variable}"
    kept = {key: each for key, each in value.items() if key not in (*_ADDRESSED, env_key, "env_vars", "requestOptions")}
    rest = {key: each for key, each in (value.get("requestOptions") or {}).items() if key != "headers"}
    new = _with_words(kept, [*broker, STDIO, *options, url], shape)
    if env:
        new[env_key] = env
    if passed:
        new["env_vars"] = passed
    if rest:
        new["requestOptions"] = rest
    return new


def unwrapped(value: dict[str, Any], shape: Shape, at: int, before: dict[str, Any] | None) -> dict[str, Any] | None:
    """The entry of before, from one that starts the broker at word `at`; `before` tells how it was spelled. None if it
    starts the broker in a way that `wrapped` does not write."""
    words = words_of(value)[at + 1 :]
    if words[:1] == ["--"] and len(words) > 1:
        return _restored_words(value, words[1:], shape, before)
    if not words or words[-1].startswith("-"):
        return None
    env_key = first(value, ENVS) or shape.env
    env = dict(value.get(env_key) or {})
    passed = list(value.get("env_vars") or [])
    headers: dict[str, str] = {}
    bearer, references = None, {}
    for option, pair in zip(words[:-1:2], words[1:-1:2], strict=False):
        name, _, source = pair.partition("=")
        variable = source.removeprefix(_BEARER).removeprefix("env:")
        if option != "--header" or variable == source:
            return None
        if variable in env:
            headers[name] = env.pop(variable)
            continue
        if variable in passed:
            passed.remove(variable)
        if source.startswith(_BEARER):
            bearer = variable
        else:
            references[name] = variable
    url = words[-1].removeprefix("env:")
    url = env.pop(url, url) if url != words[-1] else url
    new = {key: each for key, each in value.items() if key not in (*COMMANDS, "args", env_key, "env_vars")}
    new[(first(before, URLS) if before else None) or shape.url] = url
    _put_headers(new, headers, shape, before)
    if bearer:
        new["bearer_token_env_var"] = bearer
    if references:
        new["env_http_headers"] = references
    if env or (before and env_key in before):
        new[env_key] = env
    if passed:
        new["env_vars"] = passed
    return _with_type(new, shape, before)


def _with_words(value: dict[str, Any], words: list[str], shape: Shape) -> dict[str, Any]:
    """The entry with another command, spelled as it was, or as the host spells commands."""
    new = dict(value)
    key = first(value, COMMANDS) or shape.command
    found = value.get(key)
    if isinstance(found, dict):
        new[key] = {**found, "path": words[0], "args": words[1:]}
    elif isinstance(found, list) or (found is None and shape.argv):
        new[key] = words
    else:
        new[key] = words[0]
        new["args"] = words[1:]
    for type_key in TYPES:
        if isinstance(value.get(type_key), str):
            new[type_key] = value[type_key] if value[type_key] in (STDIO, "local") else shape.local
    return new


def _restored_words(
    value: dict[str, Any], words: list[str], shape: Shape, before: dict[str, Any] | None
) -> dict[str, Any]:
    new = _with_words(value, words, shape)
    if new.get("args") == [] and not (before and "args" in before):
        del new["args"]
    return new


def _with_type(new: dict[str, Any], shape: Shape, before: dict[str, Any] | None) -> dict[str, Any]:
    for key in TYPES:
        if new.get(key) in (STDIO, "local", shape.local):
            new[key] = before[key] if before and isinstance(before.get(key), str) else shape.remote
    return new


def _put_headers(new: dict[str, Any], headers: dict[str, str], shape: Shape, before: dict[str, Any] | None) -> None:
    """Headers back where the host has them."""
    options = before.get("requestOptions") if before else None
    if isinstance(options, dict) and "headers" in options:
        new["requestOptions"] = {**options, **new.get("requestOptions", {}), "headers": headers}
        return
    key = (first(before, HEADERS) if before else None) or shape.headers
    if headers or (before and key in before):
        new[key] = headers


def _free(name: str, taken: dict[str, Any]) -> str:
    return name if name not in taken else _free(name + "_", taken)


def _secret(url: str) -> bool:
    """Whether an address carries what others must not see: a query or a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return bool(parts.query) or parts.password is not None
