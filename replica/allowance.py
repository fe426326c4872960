"""How many bytes a second work in the background may move: a bucket that fills with time."""

from collections.abc import Callable
from typing import Final

_BURST_SECONDS: Final = 2


class Allowance:
    """Bytes that may be spent; an object is spent whole, and the debt is waited for.

    Nobody sleeps here: a chore that is not ready gives its turn back. At most two seconds' worth is saved up.
    """

    def __init__(self, bytes_per_second: int, clock_ms: Callable[[], int]) -> None:
        self._rate = bytes_per_second
        self._clock_ms = clock_ms
        self._left = 0.0
        self._at_ms = clock_ms()

    def ready(self) -> bool:
        """Tell whether the next object may be begun."""
        now_ms = self._clock_ms()
        earned = max(now_ms - self._at_ms, 0) * self._rate / 1000
        self._left = min(self._left + earned, self._rate * _BURST_SECONDS)
        self._at_ms = now_ms
        return self._left >= 0

    def spend(self, size_bytes: int) -> None:
        """Note what was moved."""
        self._left -= size_bytes
