"""Counting what Python does: calls of functions, of its own and of C, on every thread begun meanwhile."""

import gc
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_CALLS = frozenset({"call", "c_call"})


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Yield a counter whose "calls" grows with each call: the same work counts the same on every machine."""
    count: Counter[str] = Counter()

    def note(_frame, event, _argument):
        if event in _CALLS:
            count["calls"] += 1

    before = sys.getprofile()
    gc.collect()  # finalizers of what tests before left would count here, whenever the collector came by
    gc.disable()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield count
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
        gc.enable()
