"""Whether there is room for more bytes: the operator's limit, and a floor the disk is left with."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dgis.cache.values import RefusalReason, Refused

_MEASURE_SECONDS = 1.0
_MEASURE_SHARE = 100  # measuring may take one hundredth of the time, however many segments there are
_DISK_SECONDS = 1.0
_DISK_MARGIN_BYTES = 256 << 20


class Space:
    """Answers before every write; recovers by itself, because it asks the disk anew.

    The disk is asked once a second, and each time while less than a margin is left above the floor. What
    others write within a second may be more than that: then the write itself says that the disk is full.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int, free_floor_bytes: int, measure: Callable[[], int]
    ) -> None:
        self.max_bytes = max_bytes
        self.free_floor_bytes = free_floor_bytes
        self._folder = folder
        self._measure = measure
        self._lock = threading.Lock()
        self._used = 0
        self._measure_after = 0.0
        self._free = 0  # of the disk, when it was asked last, less what was taken since
        self._ask_after = 0.0

    def refusal(self, wanted_bytes: int) -> Refused | None:
        """Return why so many bytes cannot be taken now, or None; taken bytes count at once."""
        with self._lock:
            now = time.monotonic()
            left = self._free - wanted_bytes - self.free_floor_bytes
            if left < _DISK_MARGIN_BYTES or now >= self._ask_after:
                self._free, self._ask_after = self.free_bytes(), now + _DISK_SECONDS
                if self._free - wanted_bytes < self.free_floor_bytes:
                    return Refused(RefusalReason.NO_SPACE)
            if now >= self._measure_after:
                self._refresh()
            if self._used + wanted_bytes > self.max_bytes:
                return Refused(RefusalReason.CACHE_FULL)
            self._used += wanted_bytes
            self._free -= wanted_bytes
        return None

    def free_bytes(self) -> int:
        """Return what the file system has left for this process."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def used_bytes(self) -> int:
        """Return what the segments take."""
        with self._lock:
            self._refresh()
            return self._used

    def forget(self) -> None:
        """Measure anew at the next question: bytes were freed."""
        with self._lock:
            self._measure_after = 0.0

    def _refresh(self) -> None:
        begin = time.monotonic()
        if begin < self._measure_after:
            return
        self._used = self._measure()
        end = time.monotonic()
        self._measure_after = end + max(_MEASURE_SECONDS, (end - begin) * _MEASURE_SHARE)
