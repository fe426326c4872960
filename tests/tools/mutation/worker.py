"""The process a mutated file is judged in: it may hang, eat memory or die, and the test goes on to say so."""

import os
import resource
import signal
import traceback
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import FrameType

from tests.tools.mutation.cases import Case
from tests.tools.mutation.judge import Judged, judge
from tests.tools.processes import peak_rss_bytes

HANG_SECONDS = 5  # of processor time
MOST_BYTES = 500 << 20  # of the whole process
_PATIENCE_SECONDS = 60  # for what no signal interrupts


class Hang(BaseException):
    """Raised into a case that takes too long: nothing but the worker catches it."""


class Worker:
    """Judges cases in a process of its own; makes a new one where that ended."""

    def __init__(self) -> None:
        self._process = None
        self._pipe: Connection | None = None

    def judge(self, case: Case) -> Judged:
        """Return what became of a case; the end of the process is an answer, too."""
        pipe = self._started()
        try:
            pipe.send(case)
            if not pipe.poll(_PATIENCE_SECONDS):
                self.close()
                return Judged("ended", f"no answer in {_PATIENCE_SECONDS} s")
            return pipe.recv()
        except (EOFError, ConnectionError):
            self.close()
            return Judged("ended", "the process died")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None

    def _started(self) -> Connection:
        if self._pipe is None:
            context = get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe


def _serve(pipe: Connection) -> None:
    signal.signal(signal.SIGVTALRM, _hang)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    before = 0
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        try:
            judged = judge(case, _begin)
        except Hang:
            judged = Judged("hung", f"more than {HANG_SECONDS} s: {_where()}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            judged = Judged("raised", f"{type(error).__name__}: {_where()}")
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        peak = peak_rss_bytes(
            os.getpid()
        )  # ru_maxrss would begin with that of the process that made this one
        if judged.wrong is None and peak > MOST_BYTES and before <= MOST_BYTES:
            judged = Judged(judged.outcome, f"{peak >> 20} MB of memory")
        before = peak
        pipe.send(judged)


def _begin() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_SECONDS)


def _hang(_signal: int, _frame: FrameType | None) -> None:
    raise Hang


def _where() -> str:
    return "".join(traceback.format_exc(limit=-6)).replace("\n", "\n    ")
