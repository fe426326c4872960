import queue
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Race(Generic[_Result]):
    """Runs calls at the same time and hands out their results as they come.

    Threads are daemons, one a call: a node that never returns holds its thread and nothing else, not the
    caller, not the end of the process. What is still running when the caller turns away goes on,
    unobserved.
    """

    def __init__(self) -> None:
        self._done: queue.SimpleQueue[tuple[str, _Result | BaseException]] = queue.SimpleQueue()
        self.running: set[str] = set()

    def start(self, name: str, call: Callable[[], _Result]) -> None:
        """Begin one call; the name says later which."""
        self.running.add(name)
        threading.Thread(target=self._run, args=(name, call), name=f"race-{name}", daemon=True).start()

    def start_all(self, calls: Mapping[str, Callable[[], _Result]]) -> None:
        """Begin several calls."""
        for name, call in calls.items():
            self.start(name, call)

    def next(self, timeout_seconds: float | None) -> tuple[str, _Result | BaseException] | None:
        """Return the next call that ended, by its result or its exception; None when the time is over."""
        try:
            name, outcome = self._done.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        self.running.discard(name)
        return name, outcome

    def _run(self, name: str, call: Callable[[], _Result]) -> None:
        try:
            self._done.put((name, call()))
        except BaseException as error:  # noqa: BLE001 (handed to the caller, who decides)
            self._done.put((name, error))
