"""A process that has loaded the broker, and makes brokers of itself: each a process of its own, there at once.

Started by `Nursery`. One command a line on standard input, one answer a line on standard output:

    start FILE      fork, serve the configuration FILE         PID PORT
    kill PID        SIGKILL, and wait until it is gone          gone
    stop PID        SIGTERM, and wait until it is gone          gone
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path


def serve(file: str, told: int) -> None:
    """Be a broker until a signal; its port is written to `told` once it listens."""
    from broker import serve as serving
    from broker import telemetry
    from broker.app import create_app
    from broker.settings import Settings

    settings = Settings.load(Path(file))
    telemetry.configure("json", "error")

    def ready(broker: serving.Running) -> None:
        os.write(told, str(broker.port).encode())
        os.close(told)

    with asyncio.Runner(loop_factory=serving.new_loop) as runner:
        runner.run(serving.run(settings, lambda given, port: create_app(given, port=port), ready))


def start(file: str) -> str:
    """Fork a broker; its process id and port."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(2, 1)
            serve(file, write)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    port = os.read(read, 16).decode()
    os.close(read)
    return f"{child} {port or 0}"


def main() -> None:
    """Do what is asked, until standard input ends."""
    import broker.app
    import broker.audit.edges
    import broker.audit.edges_stateless
    import broker.audit.opening
    import broker.serve

    assert broker.app
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "start":
            answer = start(rest)
        else:
            os.kill(int(rest), signal.SIGKILL if word == "kill" else signal.SIGTERM)
            os.waitpid(int(rest), 0)
            answer = "gone"
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
