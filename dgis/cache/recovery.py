"""At start: where disk and index disagree, the disk is right."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from dgis.cache.backlog import Tail
from dgis.cache.files import SegmentFiles, header_block
from dgis.cache.layout import SEGMENT_HEADER_BYTES, unpack_segment_header
from dgis.cache.rows import refresh_series
from dgis.cache.segment import lock_for_writing
from dgis.tables import cache_conflict, cache_instance, cache_segment

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _OnDisk:
    epoch: bytes | None  # None where the header block is damaged
    size: int


def reconcile(
    connection: sa.Connection, gateway_id: str, files: SegmentFiles, ours: Callable[[str], bool]
) -> list[Tail]:
    """Return what is on disk and not indexed; rows of bytes that are not there are dropped, loudly.

    `ours` tells segments this process writes. Segments another live process writes are left to it. Nothing is
    hashed here, and one block is read of each segment.
    """
    query = sa.select(cache_segment).where(cache_segment.c.gateway_id == gateway_id)
    marks = {row.id: (bytes(row.epoch), int(row.indexed_to)) for row in connection.execute(query)}
    tails: list[Tail] = []
    for segment_id in files.ids():
        epoch, indexed_to = marks.pop(segment_id, (None, SEGMENT_HEADER_BYTES))
        seen = None if ours(segment_id) else _inspect(files, segment_id)
        if seen is None:
            continue
        if seen.epoch is None:
            _log.error("cache_segment_header_damaged", segment=segment_id)
            if epoch is None:
                continue  # nothing says which entries would be its own
        found = seen.epoch or epoch
        assert found is not None
        if epoch is not None and found != epoch:
            _drop(connection, gateway_id, segment_id, 0, "other-epoch")
            indexed_to = SEGMENT_HEADER_BYTES
        elif seen.size < indexed_to:
            _drop(connection, gateway_id, segment_id, seen.size, "file-shorter")
            indexed_to = max(SEGMENT_HEADER_BYTES, seen.size)
            mark = sa.update(cache_segment).where(cache_segment.c.id == segment_id)
            connection.execute(mark.values(indexed_to=indexed_to))
        if seen.size > indexed_to:
            tails.append(Tail(segment_id, found, indexed_to))
    for segment_id in marks:
        if not ours(segment_id) and not files.path(segment_id).exists():
            _drop(connection, gateway_id, segment_id, 0, "file-missing")
            connection.execute(sa.delete(cache_segment).where(cache_segment.c.id == segment_id))
    return tails


def _inspect(files: SegmentFiles, segment_id: str) -> _OnDisk | None:
    """Return what a segment's file is; None where it is gone, or another process writes it."""
    path = files.path(segment_id)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if not lock_for_writing(descriptor):
            return None
        size = os.fstat(descriptor).st_size
        header = unpack_segment_header(header_block(descriptor))
        os.ftruncate(descriptor, size)  # what the dead writer had reserved beyond the end
        if size <= SEGMENT_HEADER_BYTES:
            path.unlink(missing_ok=True)  # made, and never used
            return None
    finally:
        os.close(descriptor)
    return _OnDisk(header.epoch if header and header.segment_id == segment_id else None, size)


def _drop(connection: sa.Connection, gateway_id: str, segment_id: str, size: int, why: str) -> None:
    """Drop the rows of entries that reach beyond a size."""
    counts = {}
    lost = sa.and_(
        cache_instance.c.segment_id == segment_id, cache_instance.c.position + cache_instance.c.span > size
    )
    series = connection.scalars(sa.select(cache_instance.c.phi_series_id).where(lost).distinct()).all()
    counts["unpublished"] = connection.execute(
        sa.delete(cache_instance).where(lost, cache_instance.c.published.is_(False))
    ).rowcount
    counts["published"] = connection.execute(sa.delete(cache_instance).where(lost)).rowcount
    counts["conflicts"] = connection.execute(
        sa.delete(cache_conflict).where(
            cache_conflict.c.segment_id == segment_id,
            cache_conflict.c.position + cache_conflict.c.span > size,
        )
    ).rowcount
    refresh_series(connection, gateway_id, series)
    if any(counts.values()):
        _log.error("cache_bytes_missing", segment=segment_id, why=why, **counts)
