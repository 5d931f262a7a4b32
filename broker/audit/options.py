"""What the audit trail is told, without a library of settings; `broker.settings_audit` makes it of a configuration."""

from __future__ import annotations

from pathlib import Path

import msgspec

KIB = 1024
MIB = 1024 * KIB


class FileOptions(msgspec.Struct, frozen=True):
    """Lines go to a file. Sizes in bytes, times in seconds; 0 for never."""

    path: Path
    fsync: str = "interval"
    fsync_interval_s: float = 1.0
    rotate_bytes: int = 64 * MIB
    rotate_s: float = 24 * 3600.0
    keep: int = 0


class SyslogOptions(msgspec.Struct, frozen=True):
    """Lines go to the system's log: a socket's path, or a host and port."""

    address: str | tuple[str, int] = "/dev/log"
    facility: str = "authpriv"
    tcp: bool = False


class OtlpOptions(msgspec.Struct, frozen=True):
    """Lines go to a collector, over HTTP."""

    endpoint: str
    headers: dict[str, str] = {}
    timeout_s: float = 5.0


class AuditOptions(msgspec.Struct, frozen=True):
    """The whole trail. `arguments_bytes` of 0: arguments are not written."""

    file: FileOptions | None = None
    stdout: bool = False
    syslog: SyslogOptions | None = None
    otlp: OtlpOptions | None = None
    on_failure: str = "deny-acts"
    arguments_bytes: int = 0
    redact: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
