"""Forking, and signals as something to wait for: what supervising processes needs of the system."""

import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_STOPS = (signal.SIGTERM, signal.SIGINT)
_OURS = (*_STOPS, signal.SIGCHLD)
_DRAINED_BYTES = 4096


class Signals:
    """SIGTERM and SIGINT, which set `stopping`, and SIGCHLD: while it is entered each ends a `wait`."""

    def __init__(self) -> None:
        self.stopping = False
        self._reads = self._writes = -1

    def __enter__(self) -> Self:
        self._reads, self._writes = os.pipe()
        os.set_blocking(self._reads, False)
        os.set_blocking(self._writes, False)
        signal.set_wakeup_fd(self._writes, warn_on_full_buffer=False)
        for each in _OURS:
            signal.signal(each, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reads >= 0:  # not in a child
            signal.set_wakeup_fd(-1)
            self._close()

    def wait(self, descriptors: Iterable[int], until_s: float | None) -> list[int]:
        """Return which descriptors can be read, once one can, a signal came, or it is time (monotonic)."""
        poll = select.poll()
        for number in (self._reads, *descriptors):
            poll.register(number, select.POLLIN)
        left_ms = None if until_s is None else max(0, math.ceil((until_s - time.monotonic()) * 1000))
        found = [number for number, _events in poll.poll(left_ms)]
        with suppress(BlockingIOError):
            os.read(self._reads, _DRAINED_BYTES)
        return [number for number in found if number != self._reads]

    def fork(self) -> int:
        """Fork, and return the child's number; in the child return 0.

        The child leads a session, so that a Ctrl-C reaches this process alone. Signals do to it what they do
        to any process at its start; one that is sent to it earlier waits until then.
        """
        with suppress(OSError):
            sys.stdout.flush()  # or both would write it
            sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
        try:
            pid = os.fork()
            if pid == 0:
                os.setsid()
                signal.set_wakeup_fd(-1)
                self._close()
                for each in _OURS:
                    signal.signal(each, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid

    def _note(self, signum: int, _frame: object) -> None:
        self.stopping = self.stopping or signum in _STOPS

    def _close(self) -> None:
        os.close(self._reads)
        os.close(self._writes)
        self._reads = self._writes = -1


def name_process(name: str) -> None:
    """Let `ps` and `top` show a name (15 bytes at most); a fork has the command line of its parent."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name)
