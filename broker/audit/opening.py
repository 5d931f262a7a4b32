"""Opens the audit log that the options ask for: its sinks, and what an earlier process left behind."""

from __future__ import annotations

import os
import secrets
import time

from broker.audit.files import AuditFile, claim
from broker.audit.log import AuditLog
from broker.audit.options import AuditOptions
from broker.audit.recovery import Left, look
from broker.audit.redact import Redactor
from broker.audit.sinks import Sink, Stdout, Syslog

PROCESS_BYTES = 6
"""Of a process's name: 48 random bits, so that no two processes of an installation meet."""


def open_log(options: AuditOptions) -> AuditLog:
    """A log that has begun.

    Raises:
        OSError: the file cannot be used, or all of its kind are written by other processes.
        ValueError: the file exists and others may read it; the library for a collector is not installed.
    """
    sinks: list[Sink] = []
    left = Left()
    file = options.file
    if file is not None:
        path, lock = claim(file.path)
        try:
            left = look(path)
            sinks.append(
                AuditFile(
                    path,
                    fsync=file.fsync,
                    interval_s=file.fsync_interval_s,
                    rotate_bytes=file.rotate_bytes,
                    rotate_s=file.rotate_s,
                    keep=file.keep,
                    lock=lock,
                    clock=time.monotonic,
                )
            )
        except BaseException:
            os.close(lock)
            raise
    if options.stdout:
        sinks.append(Stdout())
    if options.syslog is not None:
        sinks.append(Syslog(options.syslog.address, facility=options.syslog.facility, tcp=options.syslog.tcp))
    if options.otlp is not None:
        from broker.audit.otlp import open_sink

        sinks.append(open_sink(options.otlp))
    log = AuditLog(
        sinks,
        process=secrets.token_hex(PROCESS_BYTES),
        on_failure=options.on_failure,
        arguments_bytes=options.arguments_bytes,
        redactor=Redactor(options.redact, options.secrets),
    )
    log.start(left, fsync="" if file is None else file.fsync)
    return log
