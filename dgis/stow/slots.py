"""How many requests may store at once: each holds a segment of the receive log and a piece of memory."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """Shares a number of places out, at most half of them to one caller; thread-safe."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._each = max(1, at_once // 2)
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, caller: str) -> Iterator[bool]:
        """Hold a place meanwhile; False where there is none."""
        with self._lock:
            free = self._taken.total() < self._at_once and self._taken[caller] < self._each
            if free:
                self._taken[caller] += 1
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._taken[caller] -= 1
                    self._taken += Counter()  # forgets who holds none
