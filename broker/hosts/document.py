"""A configuration file as read: its text, its format, its tree; and values written in that format.

A byte-order mark and the kind of line ends are kept. A file is read whole or refused with a reason; reading never
follows anything that stands in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from broker.hosts import jsonc
from broker.hosts.spans import CannotRead, Node

Format = Literal["json", "yaml", "toml"]
FORMATS: Final[dict[str, Format]] = {
    ".json": "json",
    ".jsonc": "json",
    ".json5": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
}
FILE_BYTES: Final = 32 * 1024 * 1024  # Claude Code keeps its history in the same file; theirs reach some megabytes

_MARK = "\ufeff"
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


class Document(msgspec.Struct, frozen=True):
    """A text and its tree. `text` is without the byte-order mark, `mark` is the mark or empty."""

    format: Format
    text: str
    root: Node
    mark: str = ""

    @property
    def newline(self) -> str:
        """The line end that the text uses first."""
        at = self.text.find("\n")
        return "\r\n" if at > 0 and self.text[at - 1] == "\r" else "\n"

    def data(self, text: str | None = None) -> bytes:
        """The bytes of the file, or of another text in its place."""
        return (self.mark + (self.text if text is None else text)).encode()


def format_of(path: Path) -> Format:
    """The format that a file's name says.

    Raises:
        CannotRead: none that is known.
    """
    known = FORMATS.get(path.suffix.lower())
    if known is None:
        raise CannotRead(f"a name ending in {path.suffix or 'nothing'!r}", f"expected one of {', '.join(FORMATS)}")
    return known


def parse(data: bytes, kind: Format) -> Document:
    """The document in the bytes of a file.

    Raises:
        CannotRead: not UTF-8, not of that format, or not an object at the top.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise CannotRead("not UTF-8 text", f"save it as UTF-8 (byte {error.start} is wrong)") from None
    mark = _MARK if text.startswith(_MARK) else ""
    text = text[len(mark) :]
    root = _parser(kind)(text)
    if not isinstance(root.value, dict):
        raise CannotRead("expected an object at the top", 'put the servers into one, such as {"mcpServers": {}}')
    return Document(kind, text, root, mark)


def _parser(kind: Format) -> Callable[[str], Node]:
    if kind == "json":
        return jsonc.parse
    if kind == "yaml":
        from broker.hosts import yaml_text

        return yaml_text.parse
    from broker.hosts import toml_text

    return toml_text.parse


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        CannotRead: there is none, it is no file, it is too large, or the system does not let us.
    """
    try:
        if path.is_dir():
            raise CannotRead("is a directory", "name the file in it")
        if path.stat().st_size > FILE_BYTES:
            raise CannotRead(f"larger than {FILE_BYTES} bytes", "this is hardly a configuration file")
        return path.read_bytes()
    except FileNotFoundError:
        raise CannotRead("there is no such file", "check the path") from None
    except OSError as error:
        raise CannotRead(f"cannot be read: {error.strerror}", "check who may read it") from None


def load(path: Path) -> Document:
    """The document in a file.

    Raises:
        CannotRead: as `read_bytes` and `parse`.
    """
    kind = format_of(path)
    return parse(read_bytes(path), kind)


def written(value: Any, kind: Format) -> str:
    """A value on one line; JSON's spelling is YAML's too, but for what YAML takes for line ends or not at all."""
    if kind == "json":
        return _json(value)
    if kind == "yaml":
        return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", _json(value))
    from broker.hosts.toml_text import bare

    if isinstance(value, dict):
        inner = ", ".join(f"{bare(key)} = {written(each, kind)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(written(each, kind) for each in value)}]"
    if isinstance(value, str):
        return _json(value).replace("\x7f", "\\u007f")
    return _json(value)  # a date: whoever compares what was written with what was meant finds the difference


def key_written(key: str, kind: Format, layout: str) -> str:
    """A key with what stands between it and its value."""
    if kind == "toml":
        from broker.hosts.toml_text import bare

        return f"{bare(key)} = "
    plain = layout == "block" and key.isidentifier() and key.lower() not in ("null", "true", "false", "yes", "no", "on")
    return f"{key if plain else _json(key)}: "


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON allows as an escape alone
        return json.dumps(value, default=str)
    return text
