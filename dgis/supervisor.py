"""`dgis serve --role all`: one child process a role, restarted when it dies, stopped together within 10 s.

Children are forked: what a role needs is loaded here, once, and shared. Nothing is opened before a fork, and
no thread runs here (docs/decisions/0033-starting.md).
"""

import gc
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from dgis.forking import Signals

_log = structlog.get_logger(__name__)

STOP_SECONDS = 10.0  # docs/operations.md promises it; the doors get most of it to finish what is running
_RESTART_SECONDS = (0.2, 1.0, 5.0)  # after the first, the second, and every later death in a row
_STEADY_SECONDS = 60.0  # a child that lived this long starts over at the first delay
_READY_SECONDS = 60.0
_LATER_SECONDS = 2.0  # of the ten, kept for the role that stops after the others
_SAID_BYTES = 4096  # PIPE_BUF: what a child says at once arrives whole


@dataclass(frozen=True, slots=True)
class Born:
    """What `Supervisor.run` returns in a child: its role, and the descriptor on which it says it is ready."""

    role: str
    ready: int


@dataclass
class Child:
    """One supervised process and the read end of the pipe on which it says that it is ready."""

    role: str
    pid: int | None = None  # until it has been waited for, so the number is its own
    hears: int | None = None
    started_s: float = 0.0
    deaths: int = 0
    restart_s: float = 0.0  # when it is to be started again, by the monotonic clock
    ready: bool = False
    listens: dict[str, object] = field(default_factory=dict)

    def ended(self) -> int | None:
        """Return the exit code, minus the signal where that ended it, once; None while it runs."""
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def due(self) -> bool:
        """Whether it is to be started now."""
        return self.pid is None and time.monotonic() >= self.restart_s

    def hear(self) -> None:
        """Take what it says; at the end of it close the pipe."""
        assert self.hears is not None, "somebody waited for it"
        if said := os.read(self.hears, _SAID_BYTES):
            self.listens = {key: value for key, value in json.loads(said).items() if key != "pid"}
            self.ready = True
        else:
            self.close()

    def close(self) -> None:
        """Listen to it no longer."""
        if self.hears is not None:
            os.close(self.hears)
            self.hears = None


class Supervisor:
    """Runs the roles and keeps them running until it is told to stop; the last of them outlives the others.

    Args:
        roles: their names.
        load: imports what a role needs; it must open nothing and start no thread.
    """

    def __init__(self, roles: Sequence[str], load: Callable[[str], object]) -> None:
        self._children = [Child(role) for role in roles]
        self._load = load
        self._signals = Signals()

    def run(self, on_ready: Callable[[dict[str, object]], None]) -> int | Born:
        """Start every child, call `on_ready` once with what they listen on, and return when stopped.

        Returns:
            0 after a clean stop; 1 when a child never became ready. In a child: what it is to be.
        """
        own = os.getpid()
        with self._signals:
            try:
                return self._start_all() or self._watch(on_ready)
            finally:
                if os.getpid() == own:
                    self._stop_all()

    def _start_all(self) -> Born | None:
        for child in self._children:
            if not self._signals.stopping and (born := self._start(child)):
                return born
        return None

    def _watch(self, on_ready: Callable[[dict[str, object]], None]) -> int | Born:
        announced = False
        deadline = time.monotonic() + _READY_SECONDS
        while not self._signals.stopping:
            self._wait(None if announced else deadline)
            for child in self._children:
                if (code := child.ended()) is not None:
                    if not announced:
                        return 1  # it said why on standard error: a restart would only say it again
                    self._bury(child, code)
                elif child.due() and (born := self._start(child)):
                    return born
            if not announced and all(child.ready for child in self._children):
                announced = True
                on_ready({key: value for child in self._children for key, value in child.listens.items()})
            if not announced and time.monotonic() > deadline:
                _log.error("not_ready", roles=[child.role for child in self._children if not child.ready])
                return 1
        return 0

    def _wait(self, until_s: float | None) -> None:
        """Return when a signal came, a child said something, or it is time."""
        times = [child.restart_s for child in self._children if child.pid is None]
        times += [] if until_s is None else [until_s]
        hearing = {child.hears: child for child in self._children if child.hears is not None}
        for number in self._signals.wait(hearing, min(times, default=None)):
            hearing[number].hear()

    def _start(self, child: Child) -> Born | None:
        self._load(child.role)
        gc.freeze()  # the search for cycles would write into every page that is shared
        child.close()
        child.started_s = time.monotonic()
        child.hears, says = os.pipe()
        child.pid = self._signals.fork()
        if child.pid == 0:
            for each in self._children:
                each.close()
            return Born(child.role, says)
        os.close(says)
        return None

    def _bury(self, child: Child, code: int) -> None:
        now_s = time.monotonic()
        deaths = 0 if now_s - child.started_s > _STEADY_SECONDS else child.deaths
        delay = _RESTART_SECONDS[min(deaths, len(_RESTART_SECONDS) - 1)]
        child.deaths = deaths + 1
        _log.error("child_died", child=child.role, code=code, restart_in_seconds=delay)
        child.restart_s = now_s + delay

    def _stop_all(self) -> None:
        """Stop the doors together and the last role after them: what they still send may need it."""
        deadline = time.monotonic() + STOP_SECONDS
        self._end(self._children[:-1], deadline - _LATER_SECONDS)
        self._end(self._children[-1:], deadline)
        for child in self._children:
            child.close()
            if child.pid is not None:
                _log.error("killed_after_deadline", pid=child.pid)
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                child.pid = None

    def _end(self, children: Sequence[Child], deadline_s: float) -> None:
        for child in children:
            if child.pid is not None:
                os.kill(child.pid, signal.SIGTERM)
        while time.monotonic() < deadline_s:
            for child in children:
                child.ended()
            if all(child.pid is None for child in children):
                return
            self._signals.wait((), deadline_s)


def say_ready(descriptor: int | None, listens: Mapping[str, object], run_directory: Path, role: str) -> None:
    """Tell the supervisor, and whoever reads `<home>/run/ROLE.json`, what this process listens on."""
    run_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps({"pid": os.getpid(), **listens})
    temporary = run_directory / f".{role}.{os.getpid()}"
    temporary.write_text(text)
    temporary.rename(run_directory / f"{role}.json")
    if descriptor is not None:
        os.write(descriptor, text.encode())
        os.close(descriptor)
