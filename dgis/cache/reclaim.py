"""Giving disk space back. Rows go first, bytes follow: what has no row is nobody's.

The commit point is the deletion of the rows. A crash after it leaves bytes without rows, which `sweep` finds
at the next start; a crash before it leaves everything as it was.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

import sqlalchemy as sa
import structlog

from dgis import failpoints
from dgis.cache import blocks, locks
from dgis.cache.files import SegmentFiles
from dgis.cache.layout import SEGMENT_HEADER_BYTES
from dgis.cache.sql import reading
from dgis.cache.values import Location
from dgis.tables import cache_conflict, cache_instance, cache_segment

_log = structlog.get_logger(__name__)
_SLACK_BYTES = 1 << 20  # less than this without rows is not worth reading a segment's rows for


def _in_use() -> sa.Select[tuple[int, int, int | None]]:
    """Select entries and bytes of `segment_id` that have rows, and how far it is indexed."""
    segment_id = sa.bindparam("segment_id", type_=sa.Text)
    spans = sa.union_all(  # one statement: a row that changes tables is seen in one of them
        *(
            sa.select(table.c.span).where(table.c.segment_id == segment_id)
            for table in (cache_instance, cache_conflict)
        )
    ).subquery()
    indexed_to = sa.select(cache_segment.c.indexed_to).where(cache_segment.c.id == segment_id)
    return sa.select(
        sa.func.count().label("entries"),
        sa.cast(sa.func.coalesce(sa.func.sum(spans.c.span), 0), sa.BigInteger).label("bytes"),
        indexed_to.scalar_subquery().label("indexed_to"),
    ).select_from(spans)


_IN_USE = _in_use()


class Claims:
    """Extents held alone, so that nobody reads them while their rows and then their bytes go."""

    def __init__(self, files: SegmentFiles) -> None:
        self._files = files
        self._descriptors: dict[str, int] = {}
        self.held: dict[str, list[Location]] = defaultdict(list)

    def claim(self, location: Location) -> bool:
        """Hold an extent; False where someone reads it now."""
        descriptor = self.descriptor(location.segment_id)
        if descriptor is not None:
            if not locks.hold(descriptor, location.position, location.span):
                return False
            if not self._files.is_still(location.segment_id, descriptor):
                os.close(self._descriptors.pop(location.segment_id))
        self.held[location.segment_id].append(location)
        return True

    def descriptor(self, segment_id: str) -> int | None:
        """Return the segment's file, opened once; None where it is gone."""
        if segment_id not in self._descriptors:
            try:
                path = self._files.path(segment_id)
                self._descriptors[segment_id] = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
        return self._descriptors[segment_id]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)


class Reclaimer:
    """Frees the bytes of entries whose rows are gone, and whole segments when nothing in them is needed."""

    def __init__(self, files: SegmentFiles, engine: sa.Engine, gateway_id: str) -> None:
        self._files = files
        self._engine = engine
        self._gateway_id = gateway_id
        self.can_punch = True  # until the file system says otherwise

    def free(self, locations: Iterable[Location]) -> None:
        """Free entries that have no row; one that is being read is left to the sweep."""
        with Claims(self._files) as claims:
            for location in locations:
                claims.claim(location)
            self.free_claimed(claims)

    def free_claimed(self, claims: Claims) -> None:
        """Free the bytes of claimed entries that have no row."""
        for segment_id, held in claims.held.items():
            descriptor = claims.descriptor(segment_id)
            if descriptor is None or self._put_away(segment_id, descriptor):
                continue
            for start, end in _joined((each.position, each.end) for each in held):
                self._punch(descriptor, start, end)

    def sweep(self) -> None:
        """Free whatever has no row, after a crash or a restored database; unindexed tails are not touched."""
        for segment_id in self.indexed_segments():
            self.sweep_segment(segment_id)

    def indexed_segments(self) -> list[str]:
        """Return the segments a sweep looks at."""
        mine = cache_segment.c.gateway_id == self._gateway_id
        with reading(self._engine) as connection:
            query = sa.select(cache_segment.c.id).where(mine).order_by(cache_segment.c.id)
            return list(connection.scalars(query))

    def sweep_segment(self, segment_id: str) -> None:
        """Free what of one segment has no row; segments without much of it are passed over.

        The database adds up what has rows: nearly every segment is passed over, and a cache has millions.
        """
        with reading(self._engine) as connection:
            row = connection.execute(_IN_USE, {"segment_id": segment_id}).one()
        spare = self._files.allocated_bytes(segment_id) - row.bytes
        if row.indexed_to is not None and (spare >= _SLACK_BYTES or not row.entries):
            self._sweep_segment(segment_id, row.indexed_to)

    def _sweep_segment(self, segment_id: str, indexed_to: int) -> None:
        with Claims(self._files) as claims:
            descriptor = claims.descriptor(segment_id)
            if descriptor is None or self._put_away(segment_id, descriptor):
                return
            with reading(self._engine) as connection:
                used = extents(connection, segment_id)
            for start, end in gaps(used, SEGMENT_HEADER_BYTES, indexed_to):
                # a reader that came before the rows went is let finish; the next sweep has it
                held = locks.hold(descriptor, start, end - start)
                if held and self._files.is_still(segment_id, descriptor):
                    self._punch(descriptor, start, end)

    def _put_away(self, segment_id: str, descriptor: int) -> bool:
        """Remove a segment nobody writes, reads or has rows in, and that is indexed to its end."""
        if self._needed(segment_id, descriptor) or not locks.hold(descriptor, 0, 0):
            return False
        if self._needed(segment_id, descriptor):  # its writer went on and left, just now
            locks.release(descriptor, 0, 0)
            return True  # nothing is held any more; the sweep frees what can be freed
        self._files.put_away(segment_id)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(cache_segment).where(cache_segment.c.id == segment_id))
        return True

    def _needed(self, segment_id: str, descriptor: int) -> bool:
        used = sa.union_all(  # one statement: a row that changes tables is seen in one of them
            *(
                sa.select(sa.literal(1)).where(table.c.segment_id == segment_id).limit(1).subquery().select()
                for table in (cache_instance, cache_conflict)
            )
        )
        query = sa.select(cache_segment.c.indexed_to, sa.exists(used.subquery().select()).label("used"))
        with reading(self._engine) as connection:
            row = connection.execute(query.where(cache_segment.c.id == segment_id)).one_or_none()
        return row is None or bool(row.used) or row.indexed_to < os.fstat(descriptor).st_size

    def _punch(self, descriptor: int, start: int, end: int) -> None:
        if self.can_punch and not blocks.punch(descriptor, start, end - start):
            self.can_punch = False
            _log.warning("cache_holes_unsupported")
        failpoints.hit("cache.extent_freed")


def extents(connection: sa.Connection, segment_id: str) -> list[tuple[int, int]]:
    """Return the (begin, end) of every entry of a segment that has a row, in order."""
    both = sa.union_all(  # one statement: a row that changes tables is seen in one of them
        *(
            sa.select(table.c.position, table.c.span).where(table.c.segment_id == segment_id)
            for table in (cache_instance, cache_conflict)
        )
    )
    return sorted((row.position, row.position + row.span) for row in connection.execute(both))


def _joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield ranges with those that touch made one."""
    begin = finish = -1
    for start, end in sorted(ranges):
        if start == finish:
            finish = end
            continue
        if finish > begin:
            yield begin, finish
        begin, finish = start, end
    if finish > begin:
        yield begin, finish


def gaps(used: Sequence[tuple[int, int]], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield what lies between sorted ranges."""
    for begin, end in used:
        if begin > start:
            yield start, min(begin, stop)
        start = max(start, end)
    if stop > start:
        yield start, stop
