"""The `audit` section of the configuration: where lines go, what they hold, and what a failing sink means."""

from __future__ import annotations

from collections.abc import Iterable
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from broker.settings_section import Secret, Section

if TYPE_CHECKING:
    from broker.audit.options import AuditOptions

KIB = 1024
MIB = 1024 * KIB


class AuditFile(Section):
    """Lines go to a file, for its owner alone."""

    path: Path = Field(description="The file. A second process with this configuration writes NAME.2.jsonl beside it.")
    fsync: Literal["off", "interval", "each"] = Field(
        default="interval",
        description="When lines are forced to the disk: `off` leaves it to the system, `interval` does it beside the "
        "calls, `each` before a call is sent. A killed broker loses no line in any of them, a machine without power "
        "those of the last moments.",
    )
    fsync_interval_s: float = Field(default=1.0, ge=0.05, le=60, description="How often `interval` does it.")
    rotate_bytes: int = Field(
        default=64 * MIB, ge=64 * KIB, le=1024 * MIB, description="A file of this size is renamed, and a new one begun."
    )
    rotate_s: float = Field(default=86_400.0, ge=1, le=366 * 86_400, description="So is one of this age.")
    keep: int = Field(default=0, ge=0, le=100_000, description="Renamed files that are kept; 0 keeps every one.")


class AuditSyslog(Section):
    """Lines go to the system's log."""

    address: str = Field(default="/dev/log", description="Path of its socket, or HOST:PORT.")
    facility: str = Field(default="authpriv", description="Facility, by its name.")
    transport: Literal["udp", "tcp"] = Field(default="udp", description="For HOST:PORT.")

    @field_validator("address")
    @classmethod
    def _place(cls, value: str) -> str:
        if not value.startswith("/"):
            host, colon, port = value.rpartition(":")
            if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
                raise ValueError("expected the path of a socket, or HOST:PORT")
        return value

    @field_validator("facility")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in SysLogHandler.facility_names:
            raise ValueError(f"expected one of {', '.join(SysLogHandler.facility_names)}")
        return value


class AuditOtlp(Section):
    """Lines go to a collector as OpenTelemetry logs; needs the extra `otlp`."""

    endpoint: str = Field(pattern=r"^https?://", description="Where it takes logs, as http://127.0.0.1:4318/v1/logs.")
    headers: dict[str, Secret] = Field(default={}, description="Sent with each batch: text | env:VAR | file:PATH.")
    timeout_s: float = Field(default=5.0, gt=0, le=60, description="How long one batch may take.")


class Audit(Section):
    """One line per admitted, denied, failed and degraded action, chained by hashes."""

    file: AuditFile | None = Field(default=None, description="Write lines to a file.")
    stdout: bool = Field(default=False, description="Write lines to standard output.")
    syslog: AuditSyslog | None = Field(default=None, description="Write lines to the system's log.")
    otlp: AuditOtlp | None = Field(default=None, description="Send lines to a collector.")
    on_failure: Literal["deny-acts", "deny-all", "allow"] = Field(
        default="deny-acts",
        description="While lines cannot be written: refuse tool calls and all else that may change something "
        "(`deny-acts`), refuse every call, or go on.",
    )
    arguments: bool = Field(default=False, description="Write the arguments of calls too, redacted.")
    arguments_bytes: int = Field(default=2 * KIB, ge=16, le=64 * KIB, description="How much of them.")
    redact: tuple[str, ...] = Field(
        default=(), description="Members whose values are never written, besides those that hold credentials."
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.file is None and not self.stdout and self.syslog is None and self.otlp is None:
            raise ValueError("expected at least one of file, stdout, syslog, otlp")
        return self

    def options(self, secrets: Iterable[str]) -> AuditOptions:
        """What the log is told; `secrets` are never written."""
        from broker.audit.options import AuditOptions, FileOptions, OtlpOptions, SyslogOptions

        file, syslog, otlp = self.file, self.syslog, self.otlp
        headers = {} if otlp is None else {name: value.get_secret_value() for name, value in otlp.headers.items()}
        return AuditOptions(
            file=None
            if file is None
            else FileOptions(**{name: getattr(file, name) for name in type(file).model_fields}),
            stdout=self.stdout,
            syslog=None
            if syslog is None
            else SyslogOptions(_address(syslog.address), syslog.facility, syslog.transport == "tcp"),
            otlp=None if otlp is None else OtlpOptions(otlp.endpoint, headers, otlp.timeout_s),
            on_failure=self.on_failure,
            arguments_bytes=self.arguments_bytes if self.arguments else 0,
            redact=self.redact,
            secrets=(*secrets, *headers.values()),
        )


def _address(text: str) -> str | tuple[str, int]:
    if text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
