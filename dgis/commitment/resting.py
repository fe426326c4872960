"""Destinations that did not answer are left alone for a while, so that they keep no others waiting."""

from collections.abc import Callable

_FIRST_MS = 30_000
_LAST_MS = 600_000


class Resting:
    """Who rests, and until when; one thread at a time. Kept in memory: a new worker tries everybody."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._failures: dict[str, tuple[int, int]] = {}  # in a row, and when the rest ends

    def failed(self, title: str) -> None:
        """Let a destination rest: twice as long each time in a row, ten minutes at most."""
        count, _until_ms = self._failures.get(title, (0, 0))
        rest_ms = min(_FIRST_MS << min(count, 10), _LAST_MS)
        self._failures[title] = (count + 1, self._clock_ms() + rest_ms)

    def answered(self, title: str) -> None:
        """It is there again."""
        self._failures.pop(title, None)

    def titles(self) -> set[str]:
        """Return who rests now."""
        now_ms = self._clock_ms()
        return {title for title, (_count, until_ms) in self._failures.items() if until_ms > now_ms}
