from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from deid.elements import Buffer


class BodySource:
    """A companion held in memory, in one buffer or many, as a `Source`."""

    def __init__(self, body: Sequence[Buffer]) -> None:
        """Take the buffers in order; nothing is copied."""
        self._buffers = [memoryview(buffer) for buffer in body]
        self._starts = list(accumulate((len(buffer) for buffer in self._buffers), initial=0))
        self.size = self._starts.pop()

    def read(self, start: int, length: int) -> bytes:
        """Return the bytes asked for; fewer where the body ends."""
        out = bytearray()
        index = bisect_right(self._starts, start) - 1
        while len(out) < length and index < len(self._buffers):
            offset = start + len(out) - self._starts[index]
            out += self._buffers[index][offset : offset + length - len(out)]
            index += 1
        return bytes(out)
