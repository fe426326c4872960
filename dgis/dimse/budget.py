"""How much all associations of a door together may keep in memory of what peers send them."""

import threading

_FREE_BYTES = 65_536  # of every operation: what nearly all need, so that large ones never keep small ones out


class Budget:
    """A number of bytes that is shared out; thread-safe."""

    def __init__(self, most_bytes: int) -> None:
        self._left_bytes = most_bytes
        self._lock = threading.Lock()

    def allowance(self) -> "Allowance":
        """Return what one operation draws on; it gives back what it took when it is over."""
        return Allowance(self)

    def take(self, size: int) -> bool:
        """Take `size` bytes; False, and nothing is taken, where so many are not left."""
        with self._lock:
            if size > self._left_bytes:
                return False
            self._left_bytes -= size
            return True

    def give_back(self, size: int) -> None:
        """Give bytes back that were taken."""
        with self._lock:
            self._left_bytes += size


class Allowance:
    """What one operation keeps; one thread at a time."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._free_bytes = _FREE_BYTES
        self._taken_bytes = 0

    def take(self, size: int) -> bool:
        """Keep `size` bytes more; False where the door keeps too many already."""
        if size <= self._free_bytes:
            self._free_bytes -= size
            return True
        if not self._budget.take(size):
            return False
        self._taken_bytes += size
        return True

    def give_back(self) -> None:
        """Give everything back; a second time does nothing."""
        taken, self._taken_bytes = self._taken_bytes, 0
        if taken:
            self._budget.give_back(taken)
