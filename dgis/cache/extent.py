"""Reading the bytes of one cached instance, safe from being freed meanwhile, in this process or another."""

import contextlib
import hashlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from dgis.cache import locks
from dgis.cache.scan import data_digest, read_entry, read_meta
from dgis.cache.values import Location, StoreMeta

_CHUNK_BYTES = 256 << 10
_DAMAGED = "a cached instance does not match its SHA-256"


class EvictedError(Exception):
    """The bytes are no longer in the cache; look the instance up anew, or fetch it from the nodes."""


class DamagedError(Exception):
    """The bytes in the cache are not those that were received."""


class Extent:
    """The data set of one instance as it lies in its segment; valid inside `open_extent` only."""

    def __init__(self, descriptor: int, location: Location, stack: contextlib.ExitStack) -> None:
        self.location = location
        self._descriptor = descriptor
        self._stack = stack
        self._start = location.position + location.data_offset

    def __len__(self) -> int:
        return self.location.length

    def read(self, start: int, length: int) -> bytes:
        """Return bytes of the data set, fewer at its end.

        Raises:
            OSError: the disk does not give them.
        """
        length = min(length, self.location.length - start)
        return os.pread(self._descriptor, length, self._start + start) if length > 0 else b""

    def chunks(self, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
        """Yield the data set in pieces of at most `size` bytes."""
        position = 0
        while piece := self.read(position, size):
            yield piece
            position += len(piece)

    def whole(self) -> bytes:
        """Return the data set, read once and compared: what is returned is what was received.

        Raises:
            DamagedError: the bytes do not have the SHA-256 they were received with.
        """
        data = self.read(0, self.location.length)
        if hashlib.sha256(data).digest() != self.location.sha256:
            raise DamagedError(_DAMAGED)
        return data

    def view(self) -> memoryview:
        """Return the data set as a buffer that takes no memory of ours until it is touched.

        Let go of it and of everything sliced from it before the extent is closed: what is still held stays
        mapped, but its bytes may be freed and read as zeros. A disk that fails under a mapping ends the
        process with SIGBUS; a door that serves many reads with `read` or `chunks`.
        """
        if not self.location.length:
            return memoryview(b"")
        base = self._start // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        end = self._start + self.location.length
        mapped = mmap.mmap(self._descriptor, end - base, access=mmap.ACCESS_READ, offset=base)
        view = memoryview(mapped)[self._start - base :]
        self._stack.callback(_unmap, mapped)
        self._stack.callback(view.release)
        return view

    def meta(self) -> StoreMeta:
        """Return what was written beside the bytes when they were received."""
        return read_meta(self._descriptor, self.location)

    def check(self) -> None:
        """Re-read everything and compare.

        Raises:
            DamagedError: the bytes do not have the SHA-256 they were received with.
        """
        if data_digest(self._descriptor, self.location) != self.location.sha256:
            raise DamagedError(_DAMAGED)


def _unmap(mapped: mmap.mmap) -> None:
    # Someone may hold a slice for longer, as a put that is late: the mapping then goes with the last of them.
    with contextlib.suppress(BufferError):
        mapped.close()


@contextlib.contextmanager
def open_extent(path: Path, location: Location) -> Iterator[Extent]:
    """Open the bytes of a location in its segment file; they cannot be freed until this is left.

    Raises:
        EvictedError: they were freed before.
    """
    with contextlib.ExitStack() as stack:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise EvictedError("the instance is no longer in the cache") from None
        stack.callback(os.close, descriptor)
        # first the lock, then the look: what still stands there now will stand there until we leave
        shared = locks.share(descriptor, location.position, location.span)
        if not shared or not read_entry(descriptor, location):
            raise EvictedError("the instance is no longer in the cache")
        yield Extent(descriptor, location, stack)


def stands(path: Path, location: Location) -> bool:
    """Return whether the entry of a location is in its file still; says nothing of who uses it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return read_entry(descriptor, location)
    finally:
        os.close(descriptor)
