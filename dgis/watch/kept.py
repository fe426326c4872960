"""Figures that are kept for a while: whoever asks without end does not make the gateway work without end."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The last answer of `read`, asked anew after `seconds`, or after `share` times what the asking took."""

    def __init__(
        self,
        read: Callable[[], Value],
        seconds: float,
        share: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._share = share
        self._clock = clock
        self._lock = threading.Lock()
        self._due = float("-inf")
        self._value: Value | None = None

    def get(self) -> Value:
        """Return the answer; raises what `read` raises, and asks again the next time then."""
        with self._lock:
            began = self._clock()
            if self._value is None or began >= self._due:
                self._value = None
                value = self._value = self._read()
                ended = self._clock()
                self._due = ended + max(self._seconds, (ended - began) * self._share)
                return value
            return self._value
