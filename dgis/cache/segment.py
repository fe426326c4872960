"""One segment file while this process writes it."""

import os
import threading
from pathlib import Path

from dgis.cache import blocks, locks
from dgis.cache.layout import SEGMENT_HEADER_BYTES
from dgis.cache.values import Location

RESERVE_BYTES = 32 << 20  # how far ahead blocks are asked for: contiguous files, and no size change per entry


class Segment:
    """A file that one association at a time appends to; the first block stays locked while it is open.

    `tail` is where the next entry begins: everything below is durable. `written_to` is beyond it while an
    entry is on its way. Only the holder moves them, any thread reads them.
    """

    def __init__(self, segment_id: str, epoch: bytes, path: Path, descriptor: int) -> None:
        self.id = segment_id
        self.epoch = epoch
        self.path = path
        self.tail = SEGMENT_HEADER_BYTES
        self.written_to = SEGMENT_HEADER_BYTES
        self.sequence = 0
        self.failed = False
        self.sealed = False
        self.retired = False  # takes no further entry
        self._busy = threading.Lock()  # from the begin of an entry to its end
        self._descriptor = descriptor
        self._reserved_to = SEGMENT_HEADER_BYTES

    @property
    def has_entries(self) -> bool:
        """Whether the segment holds anything at all."""
        return self.tail > SEGMENT_HEADER_BYTES

    def write(self, position: int, data: memoryview) -> None:
        """Write whole blocks at a position at or beyond the tail.

        Raises:
            OSError: the disk is full or does not take writes.
        """
        self._reserve(position + len(data))
        while data:
            written = os.pwrite(self._descriptor, data, position)
            position, data = position + written, data[written:]
        self.written_to = max(self.written_to, position)

    def sync(self) -> None:
        """Make what was written durable; after a failure nothing in the page cache can be believed.

        Raises:
            OSError: it is not durable; the segment takes no further entry.
        """
        try:
            os.fdatasync(self._descriptor)
        except OSError:
            self.failed = True
            raise

    def advance(self, location: Location) -> None:
        """Take a durable entry into the log."""
        self.sequence += 1
        self.tail = location.end

    def give_back(self) -> None:
        """Free what a refused entry took beyond the tail."""
        os.ftruncate(self._descriptor, self.tail)
        self._reserved_to = self.written_to = self.tail

    def begin_entry(self) -> bool:
        """Take the segment for an entry; False where it was retired meanwhile."""
        self._busy.acquire()
        if self.retired:
            self._busy.release()
        return not self.retired

    def end_entry(self) -> None:
        """Give it back."""
        self._busy.release()

    def retire(self) -> bool:
        """Take no further entry, and end at the last one; False where one is on its way and ends it later."""
        self.retired = True
        if not self._busy.acquire(blocking=False):
            return False
        try:
            self.seal()
        finally:
            self._busy.release()
        return True

    def seal(self) -> None:
        """End the file at its tail and let go of it; readers and the reclaimer may now have it.

        What lies behind the tail of a retired segment, from an earlier life of the file, is written over
        first.
        """
        if self.sealed:
            return
        self.sealed = True
        try:
            if self.retired:
                blocks.overwrite(self._descriptor, self.tail, os.fstat(self._descriptor).st_size)
                os.fdatasync(self._descriptor)
            if not self.failed:
                os.ftruncate(self._descriptor, self.tail)
        finally:
            os.close(self._descriptor)

    def _reserve(self, end: int) -> None:
        if end <= self._reserved_to:
            return
        length = max(end - self._reserved_to, RESERVE_BYTES)
        try:
            blocks.reserve(self._descriptor, self._reserved_to, length)
        except OSError:
            return  # too little room to reserve ahead: the write itself tells whether there is enough
        self._reserved_to += length


def lock_for_writing(descriptor: int) -> bool:
    """Lock the header block, which says that someone writes this segment."""
    return locks.hold(descriptor, 0, SEGMENT_HEADER_BYTES)
