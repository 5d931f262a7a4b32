"""Reading a configuration file, and resolving the secrets it refers to.

YAML, TOML or JSON by suffix. Text may refer to the environment as `${NAME}`; members that carry secrets also
take `env:NAME` and `file:PATH`. Invariants: a secret's text never appears in an error or a repr, a file that
others may read is not accepted as a secret, and an error names the place in the file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic import ValidationError

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_BYTES: Final = 64 * 1024  # a secret is a token or a key, never a document; systemd credentials cap 1 MiB
_CONFIG_BYTES: Final = 4 * 1024 * 1024  # far above any operator's file; stops a wrong path such as a disk image


_BEARER: Final = ("Bearer env:", "Bearer file:")  # the scheme is no secret, and variables rarely hold it


class SettingsError(ValueError):
    """The configuration cannot be used. `problems` is one line each: `servers.github.url: expected ...`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read(path: Path, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The tree in a configuration file, with `${NAME}` replaced from the environment.

    Raises:
        SettingsError: unreadable, not one of the three formats, not a mapping, or an undefined variable.
    """
    try:
        if path.stat().st_size > _CONFIG_BYTES:
            raise SettingsError([f"{path}: larger than {_CONFIG_BYTES} bytes"])
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError([f"{path}: cannot be read: {reason}"]) from error
    tree = _parse(path, text)
    if not isinstance(tree, dict):
        raise SettingsError([f"{path}: expected a mapping at the top"])
    problems: list[str] = []
    filled = _fill(tree, os.environ if environment is None else environment, "", problems)
    if problems:
        raise SettingsError([f"{path}: {problem}" for problem in problems])
    assert isinstance(filled, dict)
    return filled


def _parse(path: Path, text: str) -> Any:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            import yaml

            try:
                return yaml.load(text, Loader=_strict_yaml())  # noqa: S506 (a SafeLoader, made strict)
            except yaml.YAMLError as error:
                mark = getattr(error, "problem_mark", None)
                where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
                raise SettingsError([f"{path}: not valid YAML{where}"]) from error
        case ".toml":
            import tomllib

            try:
                return tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                raise SettingsError([f"{path}: not valid TOML: {error}"]) from error
        case ".json":
            from protocol_versions.strict import Refused, load

            try:
                return load(text.encode())
            except Refused as error:
                raise SettingsError([f"{path}: not valid JSON: {error.reason}"]) from error
        case suffix:
            raise SettingsError([f"{path}: expected a name ending in .yaml, .yml, .toml or .json, not {suffix!r}"])


def _strict_yaml() -> Any:
    """PyYAML's safe loader, which refuses duplicate keys: the last of two `servers` must not win silently."""
    import yaml

    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, str) and key != "<<" and key in seen:
                    raise yaml.constructor.ConstructorError(None, None, "duplicate key", key_node.start_mark)
                if isinstance(key, str):
                    seen.add(key)
            return super().construct_mapping(node, deep)

    return Strict


def _fill(node: Any, environment: Mapping[str, str], path: str, problems: list[str]) -> Any:
    """The tree with every `${NAME}` in its values replaced; undefined names become problems."""
    if isinstance(node, dict):
        return {key: _fill(value, environment, f"{path}.{key}".lstrip("."), problems) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(value, environment, f"{path}.{index}", problems) for index, value in enumerate(node)]
    if not isinstance(node, str):
        return node

    def value_of(found: re.Match[str]) -> str:
        name = found[1]
        if name not in environment:
            problems.append(f"{path}: the environment variable {name} is not set")
            return ""
        return environment[name]

    return _REFERENCE.sub(value_of, node)


def read_secret(path: Path) -> str:
    """The text of a secret file, without its final newline.

    Raises:
        ValueError: unreadable, empty, too large, or readable by others than its owner.
    """
    try:
        # One descriptor for the check and the reading, so that the file cannot be exchanged in between.
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ValueError(f"{path} is readable by others; expected mode 0600 or 0400 (chmod 600 {path})")
            data = file.read(_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _SECRET_BYTES:
        raise ValueError(f"{path} is larger than {_SECRET_BYTES} bytes")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return text


def resolve(reference: str) -> str:
    """The text behind `env:NAME`, `Bearer env:NAME`, `file:PATH`, or the text itself.

    Raises:
        ValueError: the variable is not set or empty, or the file is not acceptable.
    """
    if reference.startswith(_BEARER):
        return f"Bearer {resolve(reference.removeprefix('Bearer '))}"
    if reference.startswith("env:"):
        name = reference[4:]
        value = os.environ.get(name)
        if not value:
            raise ValueError(f"the environment variable {name} is not set")
        return value
    if reference.startswith("file:"):
        return read_secret(Path(reference[5:]))
    return reference


def problems_of(error: ValidationError) -> list[str]:
    """One line per problem, `path.in.the.file: what is expected`; never the refused value, it may be a secret."""
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=True):
        path = ".".join(str(part) for part in item["loc"] if part not in {"[key]"}) or "configuration"
        message = item["msg"]
        match item["type"]:
            case "extra_forbidden":
                message = "unknown key"
            case "missing":
                message = "required, but missing"
            case "value_error" | "assertion_error":
                message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
            case _:
                message = message.replace("Input should be", "expected")
        lines.append(f"{path}: {message}")
    return lines
