"""Writing over what has no row: freed bytes stay on a disk until something else takes their place.

Eviction frees bytes; an erasure destroys them. Everything below the mark of a segment that no row speaks of
is made zeros and given back. A crash anywhere leaves bytes without rows, which the next call writes over.
"""

import errno
import os

import sqlalchemy as sa

from dgis import failpoints
from dgis.cache import blocks, locks
from dgis.cache.files import SegmentFiles, made_ms
from dgis.cache.layout import BLOCK, SEGMENT_HEADER_BYTES
from dgis.cache.reclaim import Reclaimer, extents, gaps
from dgis.cache.sql import reading
from dgis.tables import cache_segment

_FINEST_BYTES = 16 * BLOCK  # a range that is partly read is cut in halves down to this


class Wiper:
    """Destroys, of one gateway's cache, what its rows do not hold; several processes may do so at once."""

    def __init__(self, files: SegmentFiles, engine: sa.Engine, gateway_id: str) -> None:
        self._files = files
        self._engine = engine
        self._reclaimer = Reclaimer(files, engine, gateway_id)

    def wipe(self) -> int:
        """Write over every freed byte; returns the bytes somebody still reads, to be asked for again."""
        return sum(self._wipe_segment(segment_id) for segment_id in self._files.ids())

    def wipe_spares(self) -> int:
        """Write over the files kept for new segments; returns their bytes."""
        return self._files.wipe_spares()

    def settled(self, made_until_ms: int) -> bool:
        """Whether every segment made until then is ended, and indexed to its end."""
        return all(
            self._is_settled(segment_id)
            for segment_id in self._files.ids()
            if made_ms(segment_id) <= made_until_ms
        )

    def _wipe_segment(self, segment_id: str) -> int:
        try:
            descriptor = os.open(self._files.path(segment_id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            with reading(self._engine) as connection:
                indexed_to = _mark(connection, segment_id)  # first: rows may only be added after it
                used = extents(connection, segment_id)
            freed = () if indexed_to is None else gaps(used, SEGMENT_HEADER_BYTES, indexed_to)
            opened = _Opened(self._files, segment_id, descriptor)
            in_use = sum(opened.wipe(begin, end) for begin, end in freed)
        finally:
            os.close(descriptor)
        if indexed_to is not None and not used and not in_use:
            self._reclaimer.sweep_segment(segment_id)
        return in_use

    def _is_settled(self, segment_id: str) -> bool:
        try:
            descriptor = os.open(self._files.path(segment_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            if locks.is_held(descriptor, 0, SEGMENT_HEADER_BYTES):
                return False  # somebody writes it, or has yet to index it
            with reading(self._engine) as connection:
                indexed_to = _mark(connection, segment_id)
            return indexed_to is not None and indexed_to >= os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)


class _Opened:
    """One segment while what is freed in it is written over."""

    def __init__(self, files: SegmentFiles, segment_id: str, descriptor: int) -> None:
        self._files = files
        self._segment_id = segment_id
        self._descriptor = descriptor

    def wipe(self, begin: int, end: int) -> int:
        """Destroy a range that is held by nobody else, or the parts of it that are not; the rest is returned.

        Lengths in bytes.
        """
        if not _is_written(self._descriptor, begin, end):
            return 0
        if locks.hold(self._descriptor, begin, end - begin):
            if self._files.is_still(self._segment_id, self._descriptor):
                self._destroy(begin, end)
            locks.release(self._descriptor, begin, end - begin)
            return 0
        if end - begin <= _FINEST_BYTES:
            return end - begin
        middle = begin + (end - begin) // 2 // BLOCK * BLOCK
        return self.wipe(begin, middle) + self.wipe(middle, end)

    def _destroy(self, begin: int, end: int) -> None:
        if blocks.overwrite(self._descriptor, begin, end):
            os.fdatasync(self._descriptor)
            failpoints.hit("erase.overwritten")
        if blocks.punch(self._descriptor, begin, end - begin):
            os.fsync(self._descriptor)


def _mark(connection: sa.Connection, segment_id: str) -> int | None:
    """Return up to where a segment is indexed; None where it is not at all."""
    query = sa.select(cache_segment.c.indexed_to).where(cache_segment.c.id == segment_id)
    indexed_to: int | None = connection.execute(query).scalar_one_or_none()
    return indexed_to


def _is_written(descriptor: int, begin: int, end: int) -> bool:
    """Return whether a range has blocks: holes need not be locked and read."""
    try:
        return os.lseek(descriptor, begin, os.SEEK_DATA) < end
    except OSError as error:
        return error.errno != errno.ENXIO  # a hole up to the end of the file
