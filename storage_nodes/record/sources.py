"""Where the bytes of a record come from."""

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from storage_nodes.record.values import Buffer, Extent


class Source(Protocol):
    """An object that can be read by ranges; safe for several threads at once."""

    @property
    def size(self) -> int:
        """Length of the object, bytes."""

    def read(self, start: int, length: int) -> Buffer:
        """Read `length` bytes from `start`; fewer only where the object ends."""


class BufferSource:
    """A record in memory."""

    def __init__(self, data: Buffer) -> None:
        self._data = memoryview(data).cast("B")

    @property
    def size(self) -> int:
        """Length, bytes."""
        return len(self._data)

    def read(self, start: int, length: int) -> Buffer:
        """Give a view; nothing is copied."""
        return self._data[start : start + length]


class RangeSource:
    """A record behind a function that reads ranges, as a node's `get_range` with the name filled in."""

    def __init__(self, size: int, read: Callable[[int, int], Buffer]) -> None:
        self._size = size
        self._read = read

    @property
    def size(self) -> int:
        """Length as the caller knows it, bytes."""
        return self._size

    def read(self, start: int, length: int) -> Buffer:
        """Ask the function."""
        return self._read(start, length)


class FileSource:
    """A record in a file, to be closed after use."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Length when it was opened, bytes."""
        return self._size

    def read(self, start: int, length: int) -> Buffer:
        """Read without moving a position that threads would share."""
        parts = []
        while length > 0 and (part := os.pread(self._file.fileno(), length, start)):
            parts.append(part)
            start += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class CountingSource:
    """Counts what is read of another source: how a test sees what one image costs."""

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self.reads: list[Extent] = []

    @property
    def size(self) -> int:
        """Length of the other source, bytes."""
        return self._inner.size

    @property
    def bytes_read(self) -> int:
        """All that was asked for so far, bytes."""
        return sum(extent.length for extent in self.reads)

    def read(self, start: int, length: int) -> Buffer:
        """Note the range and pass it on."""
        self.reads.append(Extent(start, length))
        return self._inner.read(start, length)
