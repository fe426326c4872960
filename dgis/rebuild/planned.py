"""What the gateways' own tables say of a part that turned out to be published: it is not planned any more."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from catalog.adopt import Adopted
from catalog.sql import insert_ignoring
from dgis.cache.publish_queue import State
from dgis.cache.rows import refresh_series
from dgis.cache.sql import in_lists
from dgis.publisher.planning import drop_part, settle
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.publisher.values import Job, PartState, Step
from dgis.rebuild.values import PartRead
from dgis.tables import cache_instance, publish_job

_NEVER_MS = 2**62


def settle_part(
    connection: sa.Connection, gateway_id: str, part: PartRead, adopted: Adopted, now_ms: int
) -> None:
    """Note that a part is published, let caches evict what lies in it, and plan anew what does not."""
    if not adopted.series:
        return
    gateway = part.gateway or gateway_id
    _note_published(connection, gateway, part, adopted, now_ms)
    jobs = {Job(gateway, series_id) for series_id in adopted.series}
    jobs |= _drop_others(connection, part.record_key, adopted, now_ms)
    jobs |= _mark_cached(connection, adopted)
    for job in sorted(jobs, key=lambda job: (job.gateway_id, job.phi_series_id)):
        connection.execute(insert_ignoring(connection, publish_job), _job(job, part, now_ms))
        settle(connection, job)


def _note_published(
    connection: sa.Connection, gateway_id: str, part: PartRead, adopted: Adopted, now_ms: int
) -> None:
    originals = part.originals or ()
    values: dict[str, Any] = {
        "state": PartState.PUBLISHED.value,
        "withheld": sum(each.withheld_reason is not None for each in originals),
        "stored_bytes": part.stored_bytes,
        "published_ms": min(now_ms, part.planned_ms),
        "step": Step.DONE.value,
        "lease_owner": None,
        "lease_until_ms": None,
        "last_error": None,
    }
    key = publish_part.c.record_key == part.record_key
    row = connection.execute(sa.select(publish_part.c.id).where(key).with_for_update()).one_or_none()
    if row is not None:
        still = sa.and_(key, publish_part.c.state != PartState.PUBLISHED.value)
        connection.execute(sa.update(publish_part).where(still).values(**values))
        mine = publish_part_instance.c.part_id == row.id
        connection.execute(sa.delete(publish_part_instance).where(mine))
        return
    connection.execute(
        sa.insert(publish_part).values(
            gateway_id=gateway_id,
            phi_series_id=adopted.series[0],
            record_key=part.record_key,
            instances=len(originals),
            raw_bytes=0 if part.decided else sum(each.size_bytes for each in originals),
            planned_ms=part.planned_ms,
            not_before_ms=part.planned_ms,
            **values,
        )
    )


def _drop_others(connection: sa.Connection, record_key: str, adopted: Adopted, now_ms: int) -> set[Job]:
    """Take back other parts that wait with instances of this one; what else is in them is planned anew."""
    jobs: dict[int, Job] = {}
    for some in in_lists(adopted.instances):
        planned = (
            sa.select(publish_part.c.id, publish_part.c.gateway_id, publish_part.c.phi_series_id)
            .join(publish_part_instance, publish_part_instance.c.part_id == publish_part.c.id)
            .where(
                publish_part_instance.c.phi_instance_id.in_(some),
                publish_part.c.state == PartState.WAITING.value,
                publish_part.c.record_key != record_key,
            )
            .distinct()
        )
        rows = connection.execute(planned)
        jobs |= {row.id: Job(row.gateway_id, row.phi_series_id) for row in rows}
    for part_id, job in jobs.items():
        drop_part(connection, part_id)
        due = sa.update(publish_job).where(
            publish_job.c.gateway_id == job.gateway_id, publish_job.c.phi_series_id == job.phi_series_id
        )
        connection.execute(due.values(state=State.WAITING.value, due_ms=now_ms))
    return set(jobs.values())


def _mark_cached(connection: sa.Connection, adopted: Adopted) -> set[Job]:
    """Let every cache that holds one of the originals evict it."""
    series: dict[str, set[int]] = defaultdict(set)
    for some in in_lists(adopted.instances):
        waiting = cache_instance.c.phi_instance_id.in_(some) & cache_instance.c.published.is_(False)
        noted = sa.update(cache_instance).where(waiting).values(published=True)
        returned = noted.returning(cache_instance.c.gateway_id, cache_instance.c.phi_series_id)
        for gateway_id, series_id in connection.execute(returned).all():
            series[gateway_id].add(series_id)
    for gateway_id, ids in series.items():
        refresh_series(connection, gateway_id, ids)
    return {Job(gateway_id, series_id) for gateway_id, ids in series.items() for series_id in ids}


def _job(job: Job, part: PartRead, now_ms: int) -> dict[str, Any]:
    times = [each.received_ms for each in part.originals or ()] or [min(now_ms, part.planned_ms)]
    return {
        "gateway_id": job.gateway_id,
        "phi_series_id": job.phi_series_id,
        "state": State.PUBLISHED.value,
        "pending_instances": 0,
        "first_received_ms": min(times),
        "last_received_ms": max(times),
        "due_ms": _NEVER_MS,
        "attempts": 0,
    }
