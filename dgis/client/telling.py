"""A bar for what takes long: it appears after two seconds, on standard error, and only for people."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_AFTER_SECONDS = 2.0


class Bar:
    """Counts steps; shows them once it has taken long enough. Threads may share one."""

    def __init__(self, title: str, total: int, *, shown: bool) -> None:
        self._from = time.monotonic() + _AFTER_SECONDS if shown else float("inf")
        self._started = False
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(title, total=total, words="")

    def advance(self) -> None:
        """Say that a step is done."""
        self._progress.advance(self._task)
        self._look()

    def say(self, words: str) -> None:
        """Show words beside the bar."""
        self._progress.update(self._task, words=words)
        self._look()

    def close(self) -> None:
        """Take the bar away."""
        self._from = float("inf")
        if self._started:  # one that never ran would print an empty line
            self._progress.stop()

    def _look(self) -> None:
        if not self._started and time.monotonic() > self._from:
            self._started = True
            self._progress.start()


@contextmanager
def telling(title: str, total: int, *, shown: bool) -> Iterator[Bar]:
    """Give a bar of so many steps; on a terminal only."""
    bar = Bar(title, total, shown=shown and sys.stderr.isatty())
    try:
        yield bar
    finally:
        bar.close()
