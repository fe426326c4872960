"""Freeing space where the file system cannot punch holes: live entries are copied, then the segment goes.

The copies go into a segment of their own. One transaction gives the segment its row and the instances their
new places: the commit point. A crash before it leaves a segment without a row, whose entries the indexer
takes for duplicates; a crash after it leaves a segment nobody needs, which the sweep removes.
"""

from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from dgis.cache.entry import CHUNK_BYTES, Entry
from dgis.cache.extent import EvictedError, open_extent
from dgis.cache.files import SegmentFiles
from dgis.cache.layout import pack_meta
from dgis.cache.reclaim import Reclaimer
from dgis.cache.rows import checkpoint
from dgis.cache.segment import Segment
from dgis.cache.sql import location_of, location_values, reading
from dgis.cache.values import Location, Refused, Stored
from dgis.tables import cache_conflict, cache_instance, cache_segment

_log = structlog.get_logger(__name__)
_WORTH_SHARE = 0.5  # of a segment's bytes without rows, from where on copying the rest pays


@dataclass(frozen=True, slots=True)
class _Moved:
    table: sa.Table
    row_id: int
    old: Location
    new: Location


class _AlwaysRoom:
    """Copying frees more than it takes; a disk that is really full refuses the write itself."""

    def refusal(self, wanted_bytes: int) -> Refused | None:  # noqa: ARG002 (the port asks it)
        return None


class Compactor:
    """Empties segments that are mostly garbage."""

    def __init__(self, files: SegmentFiles, engine: sa.Engine, gateway_id: str) -> None:
        self._files = files
        self._engine = engine
        self._gateway_id = gateway_id
        self._reclaimer = Reclaimer(files, engine, gateway_id)

    def run_once(self) -> int:
        """Empty the segments where it pays; returns how many were begun."""
        self._reclaimer.sweep()
        worth = [segment_id for segment_id in self._files.ids() if self._worth(segment_id)]
        for segment_id in worth:
            self._empty(segment_id)
        return len(worth)

    def _worth(self, segment_id: str) -> bool:
        try:
            size = self._files.path(segment_id).stat().st_size
        except FileNotFoundError:
            return False
        with reading(self._engine) as connection:
            indexed_to = connection.scalar(
                sa.select(cache_segment.c.indexed_to).where(cache_segment.c.id == segment_id)
            )
            live = sum(
                connection.scalar(
                    sa.select(sa.func.coalesce(sa.func.sum(table.c.span), 0)).where(
                        table.c.segment_id == segment_id
                    )
                )
                or 0
                for table in (cache_instance, cache_conflict)
            )
        # one that is still written or indexed has more bytes than rows for a good reason
        return indexed_to is not None and indexed_to >= size and 0 < live < size * _WORTH_SHARE

    def _empty(self, segment_id: str) -> None:
        target = self._files.create()
        try:
            moved = self._copy(segment_id, target)
            if moved:
                self._commit(moved)
        finally:
            if not target.has_entries:
                target.path.unlink(missing_ok=True)
            target.seal()
        self._reclaimer.free([each.old for each in moved])

    def _copy(self, segment_id: str, target: Segment) -> list[_Moved]:
        chunk = bytearray(CHUNK_BYTES)
        moved: list[_Moved] = []
        for table in (cache_instance, cache_conflict):
            query = sa.select(table).where(table.c.segment_id == segment_id).order_by(table.c.position)
            with reading(self._engine) as connection:
                rows = connection.execute(query).all()
            for row in rows:
                old = location_of(row)
                stored = self._copy_one(old, target, chunk)
                if stored is None:
                    return moved
                moved.append(_Moved(table, row.id, old, stored.location))
        return moved

    def _copy_one(self, old: Location, target: Segment, chunk: bytearray) -> Stored | None:
        try:
            with open_extent(self._files.path(old.segment_id), old) as extent:
                meta = pack_meta(extent.meta())
                with Entry(target, meta, chunk, _AlwaysRoom(), lambda _stored: None) as entry:
                    for piece in extent.chunks():
                        entry.write(piece)
                    outcome = entry.commit()
        except (EvictedError, OSError) as error:
            _log.warning("cache_copy_failed", segment=old.segment_id, error=type(error).__name__)
            return None
        return outcome if isinstance(outcome, Stored) and outcome.location.sha256 == old.sha256 else None

    def _commit(self, moved: list[_Moved]) -> None:
        with self._engine.begin() as connection:
            checkpoint(connection, self._gateway_id, (each.new for each in moved))
            for each in moved:
                table = each.table
                connection.execute(
                    sa.update(table)
                    .where(
                        table.c.id == each.row_id,
                        table.c.segment_id == each.old.segment_id,
                        table.c.position == each.old.position,
                    )
                    .values(location_values(self._gateway_id, each.new))
                )
