import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any

# A little more than one at work each: nobody waits for the parent, and little is held.
_AHEAD = 2

_handler: Callable[[Any], Any] | None = None


class Pool:
    """Runs tasks in this process, or in others that each keep one handler."""

    def __init__(
        self, make: Callable[[], Callable[[Any], Any]], executor: ProcessPoolExecutor | None, jobs: int
    ) -> None:
        """Use `workers`."""
        self._make = make
        self._executor = executor
        self._jobs = jobs
        self._here: Callable[[Any], Any] | None = None

    def run(self, tasks: Iterable[Any], *, one_by_one: bool = False) -> Iterator[Any]:
        """Yield what the handler makes of tasks, as it is done; tasks are taken as they can be worked on."""
        if self._executor is None:
            if self._here is None:
                self._here = self._make()
            yield from map(self._here, tasks)
            return
        remaining = iter(tasks)
        at_once = 1 if one_by_one else self._jobs + _AHEAD
        running = {self._executor.submit(_work, task) for task in islice(remaining, at_once)}
        while running:
            done, rest = wait(running, return_when=FIRST_COMPLETED)
            running = set[Future[Any]](rest)
            running |= {self._executor.submit(_work, task) for task in islice(remaining, len(done))}
            for future in done:
                yield future.result()


@contextmanager
def workers(make: Callable[[], Callable[[Any], Any]], jobs: int) -> Iterator[Pool]:
    """Open a pool of `jobs` processes; with one job everything is done in this process.

    `make` is called once in each and returns the handler of tasks; it, tasks and results are pickled. What is
    raised by a handler comes out of `run`. When the pool is left by an exception (Ctrl-C too) no further task
    is begun, those being worked on are finished. When this process dies the others end themselves.
    """
    if jobs == 1:
        yield Pool(make, None, 1)
        return
    executor = ProcessPoolExecutor(
        max_workers=jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(make,)
    )
    try:
        with _uninterrupted():
            for _ in range(jobs):
                executor.submit(os.getpid)
        yield Pool(make, executor, jobs)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Start processes so that they ignore Ctrl-C, which reaches the whole group: this one decides about it.

    They take over what is ignored here at their start.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin(make: Callable[[], Callable[[Any], Any]]) -> None:
    global _handler  # noqa: PLW0603 (a process of a pool has this one place to keep something)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _handler = make()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # nobody reads a result any more, and every write is whole or not there


def _work(task: Any) -> Any:  # noqa: ANN401 (what a pool carries is its caller's)
    assert _handler is not None, "the initializer of the pool runs first"
    return _handler(task)
