"""A switch for crash tests: a named point in the code at which the process kills itself."""

import os
import signal
import threading

_armed: dict[str, int] | None = None
_lock = threading.Lock()


def arm(specification: str) -> None:
    """Arm points written as `name:count,name:count`; the count-th passage kills; "" disarms all.

    Raises:
        ValueError: not a name with a positive count.
    """
    global _armed  # noqa: PLW0603 (one global is what makes an unarmed point cost nothing)
    points: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in specification.split(","))):
        name, _, count = item.partition(":")
        points[name] = int(count or "1")
        if not name or points[name] < 1:
            raise ValueError("a failpoint is written as name:count with a count of at least 1")
    _armed = points or None


def hit(name: str) -> None:
    """Kill this process with SIGKILL when the point is armed and its count is used up."""
    if _armed is None:
        return
    with _lock:
        left = _armed.get(name, 0)
        if not left:
            return
        _armed[name] = left - 1
        if left == 1:
            os.kill(os.getpid(), signal.SIGKILL)
