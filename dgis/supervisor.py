"""`dgis serve --role all`: one child process a role, restarted when it dies, stopped together within 10 s."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from dgis import settings

_log = structlog.get_logger(__name__)

STOP_SECONDS = 10.0  # docs/operations.md promises it; the doors get most of it to finish what is running
_RESTART_SECONDS = (0.2, 1.0, 5.0)  # after the first, the second, and every later death in a row
_STEADY_SECONDS = 60.0  # a child that lived this long starts over at the first delay
_READY_SECONDS = 60.0
_LATER_SECONDS = 2.0  # of the ten, kept for the role that stops after the others


@dataclass
class Child:
    """One supervised process and the read end of the pipe on which it says that it is ready."""

    role: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    deaths: int = 0
    restart_s: float = 0.0  # when it is to be started again, by the monotonic clock
    ready: threading.Event = field(default_factory=threading.Event)
    listens: dict[str, object] = field(default_factory=dict)


class Supervisor:
    """Runs the roles and keeps them running until `stop`; the last of them outlives the others."""

    def __init__(self, roles: list[str], arguments: list[str]) -> None:
        self._children = [
            Child(role, [sys.executable, "-m", "dgis", "serve", *arguments, "--role", role]) for role in roles
        ]
        self._stopping = threading.Event()

    def run(self, on_ready: Callable[[dict[str, object]], None]) -> int:
        """Start every child, call `on_ready` once with what they listen on, and return when stopped.

        Returns:
            0 after a clean stop; 1 when a child never became ready.
        """
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: self._stopping.set())
        try:
            for child in self._children:
                self._start(child)
            return self._watch(on_ready)
        finally:
            self._stop_all()

    def _watch(self, on_ready: Callable[[dict[str, object]], None]) -> int:
        announced = False
        deadline = time.monotonic() + _READY_SECONDS
        while not self._stopping.wait(0.1):
            for child in self._children:
                process = child.process
                if process is None and time.monotonic() >= child.restart_s:
                    self._start(child)
                elif process is not None and process.poll() is not None:
                    if not announced:
                        return 1  # it said why on standard error: a restart would only say it again
                    self._bury(child, process.returncode)
            if not announced and all(child.ready.is_set() for child in self._children):
                announced = True
                on_ready({key: value for child in self._children for key, value in child.listens.items()})
            if not announced and time.monotonic() > deadline:
                _log.error("not_ready", roles=[c.role for c in self._children if not c.ready.is_set()])
                return 1
        return 0

    def _start(self, child: Child) -> None:
        read_end, write_end = os.pipe()
        child.started_s = time.monotonic()
        child.process = subprocess.Popen(  # noqa: S603 (our own interpreter and module, no shell)
            child.command,
            env=settings.child_environment(write_end),
            pass_fds=(write_end,),
            start_new_session=True,  # a Ctrl-C reaches the supervisor alone, which then stops them in order
        )
        os.close(write_end)
        threading.Thread(target=_await_ready, args=(child, read_end), daemon=True).start()

    def _bury(self, child: Child, code: int) -> None:
        now_s = time.monotonic()
        deaths = 0 if now_s - child.started_s > _STEADY_SECONDS else child.deaths
        delay = _RESTART_SECONDS[min(deaths, len(_RESTART_SECONDS) - 1)]
        child.deaths = deaths + 1
        _log.error("child_died", child=child.role, code=code, restart_in_seconds=delay)
        child.process, child.restart_s = None, now_s + delay

    def _stop_all(self) -> None:
        """Stop the doors together and the last role after them: what they still send may need it."""
        deadline = time.monotonic() + STOP_SECONDS
        running = [child.process for child in self._children if child.process is not None]
        _end(running[:-1], deadline - _LATER_SECONDS)
        _end(running[-1:], deadline)
        for process in running:
            if process.poll() is None:
                _log.error("killed_after_deadline", pid=process.pid)
                process.kill()
                process.wait()


def _end(processes: Sequence[subprocess.Popen[bytes]], deadline_s: float) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline_s - time.monotonic()))


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


def _await_ready(child: Child, read_end: int) -> None:
    with os.fdopen(read_end, "rb") as pipe:
        said = pipe.read()
    if said:
        child.listens = {key: value for key, value in json.loads(said).items() if key != "pid"}
        child.ready.set()
