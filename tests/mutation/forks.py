"""One child per mutant: it applies the change to what the parent imported and collected, and runs the tests.

The pairs of the mutant's own step run before all others, because most mutants die there, and the first failure ends it.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from typing import Literal

import msgspec
import pytest

from tests.mutation.mutant import Mutant

MAX_CPU_SECONDS = 20
"""Of one child; the whole suite takes about a fifth of it."""
MAX_SECONDS = 600
"""By the clock, for a machine that others use too."""
MAX_BYTES = 4 << 30
"""Of address space: a mutant may collect without end."""
_READ_AT_ONCE = 1 << 16
_UNUSED = ("request", "event_loop_policy")
"""Fixtures that pytest and its plugins give to every test, needed or not."""

Status = Literal["killed", "survived", "broken", "timeout"]


class Verdict(msgspec.Struct, frozen=True):
    """What became of a mutant. `by` is the failing test, or what went wrong outside any test."""

    status: Status
    by: str = ""


class Forks:
    """A pytest plugin that, in place of the loop over tests, forks once per mutant and runs the loop in the child.

    `done` is called in the parent with each mutant and its verdict, in the order in which children end; once it
    answers False no more are started.
    """

    def __init__(self, mutants: list[Mutant], jobs: int, done: Callable[[Mutant, Verdict], bool]) -> None:
        self._stopped = False
        self._mutants = mutants
        self._jobs = jobs
        self._done = done
        self._running: dict[int, tuple[Mutant, int]] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Replace pytest's own loop."""
        if session.testsfailed or not session.items:
            raise pytest.UsageError("the suite cannot be collected")
        for mutant in self._mutants:
            while len(self._running) >= self._jobs:
                self._wait()
            if self._stopped:
                break
            self._start(mutant, session)
        while self._running:
            self._wait()
        return True

    def _start(self, mutant: Mutant, session: pytest.Session) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            self._running[child] = (mutant, reading)
            return
        os.close(reading)
        verdict = Verdict("broken", "left the loop")
        try:
            _limit()
            verdict = _judge(mutant, session)
        except BaseException as problem:  # nothing may escape into the parent's loop
            verdict = Verdict("broken", repr(problem))
        finally:
            os.write(writing, msgspec.json.encode(verdict)[:_READ_AT_ONCE])
            os._exit(0)

    def _wait(self) -> None:
        child, status = os.wait()
        mutant, reading = self._running.pop(child)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read(_READ_AT_ONCE)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            late = number in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL)
            verdict = Verdict("timeout" if late else "broken", signal.Signals(number).name)
        else:
            verdict = msgspec.json.decode(told, type=Verdict)
        self._stopped = not self._done(mutant, verdict) or self._stopped


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(MAX_SECONDS)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _judge(mutant: Mutant, session: pytest.Session) -> Verdict:
    try:
        mutant.apply()
    except Exception as problem:
        return Verdict("broken", f"cannot be executed: {problem!r}")
    for item in sorted(session.items, key=lambda item: f"[{mutant.home}/" not in item.nodeid):
        failure = _failure(item)
        if failure is not None:
            return Verdict("killed", f"{item.nodeid} {type(failure).__name__}")
    return Verdict("survived")


def _failure(item: pytest.Item) -> BaseException | None:
    """Call the test itself: pytest's own protocol around it costs ten times what most of these tests do."""
    assert isinstance(item, pytest.Function)
    given = item.callspec.params if hasattr(item, "callspec") else {}
    assert set(item.fixturenames) <= {*given, *_UNUSED}, f"{item.nodeid} needs {item.fixturenames}"
    try:
        item.obj(**given)
    except (Exception, pytest.fail.Exception) as failure:  # the latter says that nothing was raised
        return failure
    return None
