"""What lies in the cache, for `dgis cache status` and the metrics."""

import os
from dataclasses import dataclass

import sqlalchemy as sa

from dgis.cache.files import SegmentFiles, header_block
from dgis.cache.layout import SEGMENT_HEADER_BYTES, unpack_segment_header
from dgis.cache.publish_queue import State
from dgis.cache.scan import Stretch, entry_at
from dgis.cache.space import Space
from dgis.tables import cache_conflict, cache_instance, cache_segment, publish_job


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """Counts and bytes of one gateway's cache."""

    instances: int
    published_instances: int
    instance_bytes: int
    series_pending: int
    conflicts: int
    unindexed_instances: int
    segments: int
    used_bytes: int
    spare_bytes: int
    max_bytes: int
    free_bytes: int
    free_floor_bytes: int


def status(connection: sa.Connection, files: SegmentFiles, space: Space, gateway_id: str) -> CacheStatus:
    """Return what lies in the cache; works beside running doors, and without any."""
    counted = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(sa.case((cache_instance.c.published, 1), else_=0)), 0),
            sa.func.coalesce(sa.func.sum(cache_instance.c.length), 0),
        ).where(cache_instance.c.gateway_id == gateway_id)
    ).one()
    pending = sa.select(sa.func.count()).where(
        publish_job.c.gateway_id == gateway_id, publish_job.c.state != State.PUBLISHED.value
    )
    disputed = sa.select(sa.func.count()).where(
        cache_conflict.c.gateway_id == gateway_id, cache_conflict.c.resolved_ms.is_(None)
    )
    marks = sa.select(cache_segment.c.id, cache_segment.c.indexed_to).where(
        cache_segment.c.gateway_id == gateway_id
    )
    indexed = {row.id: int(row.indexed_to) for row in connection.execute(marks)}
    ids = files.ids()
    return CacheStatus(
        instances=counted[0],
        published_instances=int(counted[1]),
        instance_bytes=int(counted[2]),
        series_pending=connection.scalar(pending) or 0,
        conflicts=connection.scalar(disputed) or 0,
        unindexed_instances=sum(
            _unindexed(files, segment_id, indexed.get(segment_id, SEGMENT_HEADER_BYTES)) for segment_id in ids
        ),
        segments=len(ids),
        used_bytes=space.used_bytes(),
        spare_bytes=files.spare_bytes(),
        max_bytes=space.max_bytes,
        free_bytes=space.free_bytes(),
        free_floor_bytes=space.free_floor_bytes,
    )


def _unindexed(files: SegmentFiles, segment_id: str, indexed_to: int) -> int:
    """Count the entries from a mark on; one that is being written has no head and does not count."""
    try:
        descriptor = os.open(files.path(segment_id), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        header = unpack_segment_header(header_block(descriptor))
        size = os.fstat(descriptor).st_size
        if header is None or size <= indexed_to:
            return 0
        stretch = Stretch(segment_id, header.epoch, indexed_to, size)
        count = 0
        while (found := entry_at(descriptor, stretch, indexed_to)) is not None:
            count, indexed_to = count + 1, found.location.end
        return count
    finally:
        os.close(descriptor)
