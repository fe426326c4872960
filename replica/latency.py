"""How long reads from each node take, learned from those that ended; when to ask a second node."""

import threading
from collections import deque
from typing import Final

from storage_nodes.addresses import Kind

_KEPT: Final = 64
_ENOUGH: Final = 8
_SHARE: Final = 0.95
_LEAST_SECONDS: Final = 0.02
_MOST_SECONDS: Final = 2.0
_UNKNOWN_SECONDS: Final = 1.0
_CLASS_BITS: Final = 4
"""Sizes within a factor of 16 are learned together: a header and a whole series take other times."""


class Latencies:
    """The latest durations of reads per node and class of size.

    The patience with a node is the 95th percentile of what its reads of such a size took: one read in twenty
    is then asked twice, and a node that stalls costs little more than one that is slow now and then (J. Dean
    and L. A. Barroso, The Tail at Scale, CACM 56(2), 2013).

    Args:
        unknown_seconds: the patience with a node of which too little is known.
    """

    def __init__(self, unknown_seconds: float = _UNKNOWN_SECONDS) -> None:
        self._unknown_seconds = unknown_seconds
        self._lock = threading.Lock()
        self._seen: dict[tuple[Kind, str, int], deque[float]] = {}

    def note(self, kind: Kind, node: str, size_bytes: int, seconds: float) -> None:
        """Note how long a read took."""
        with self._lock:
            kept = self._seen.setdefault((kind, node, _class_of(size_bytes)), deque(maxlen=_KEPT))
            kept.append(seconds)

    def patience_seconds(self, kind: Kind, node: str, size_bytes: int) -> float:
        """Return how long to wait for a read before another node is asked as well."""
        with self._lock:
            kept = sorted(self._seen.get((kind, node, _class_of(size_bytes)), ()))
        if len(kept) < _ENOUGH:
            return self._unknown_seconds
        return min(max(kept[int(len(kept) * _SHARE)], _LEAST_SECONDS), _MOST_SECONDS)


def _class_of(size_bytes: int) -> int:
    return size_bytes.bit_length() // _CLASS_BITS
