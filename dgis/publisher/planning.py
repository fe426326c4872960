"""Cutting what is due into parts, and keeping the count of what is still pending."""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.cache.publish_queue import State
from dgis.cache.rows import refresh_series
from dgis.cache.sql import in_lists, location_of
from dgis.publisher.plan import Planned, cut
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.publisher.values import Beginning, Job, Original, PartState, Step
from dgis.tables import cache_instance, publish_job
from storage_nodes.names import RecordKey

_NEVER_MS = 2**62  # a job with nothing left to plan
_ELSEWHERE_MS = 30_000  # until a series is looked at again whose images another gateway is publishing
_JOBS_A_ROUND = 8  # of one transaction: SQLite has one writer, and the door must not wait long for it
_KEY_BYTES = 10


def plan_due(connection: sa.Connection, gateway_id: str, now_ms: int, part_bytes: int) -> int:
    """Turn the pending instances of due series into parts; return how many series were looked at.

    The commit of the caller's transaction is the commit point: before it the series is still due.
    """
    due = (
        sa.select(publish_job.c.phi_series_id)
        .where(
            publish_job.c.gateway_id == gateway_id,
            publish_job.c.state.in_([State.WAITING.value, State.CLAIMED.value]),
            publish_job.c.due_ms <= now_ms,
        )
        .order_by(publish_job.c.due_ms)
        .limit(_JOBS_A_ROUND)
        .with_for_update(skip_locked=True)
    )
    series = connection.scalars(due).all()
    for job in (Job(gateway_id, series_id) for series_id in series):
        _note_published(connection, job)
        for part in cut(_unplanned(connection, job), part_bytes):
            add_part(connection, job, part, now_ms)
        due_ms = now_ms + _ELSEWHERE_MS if _elsewhere(connection, job) else _NEVER_MS
        connection.execute(
            sa.update(publish_job).where(_row_of(job)).values(state=State.CLAIMED.value, due_ms=due_ms)
        )
        settle(connection, job)
    return len(series)


def settle(connection: sa.Connection, job: Job) -> None:
    """Count anew what of a series is pending; without any it is published, until a late image comes."""
    # Locked by a statement of its own: the count must see what an indexer that held the row has committed.
    connection.execute(sa.select(publish_job.c.id).where(_row_of(job)).with_for_update())
    pending = connection.scalar(_unpublished(job, sa.func.count()))
    done = {} if pending else {"state": State.PUBLISHED.value, "due_ms": _NEVER_MS}
    connection.execute(sa.update(publish_job).where(_row_of(job)).values(pending_instances=pending, **done))


def add_part(
    connection: sa.Connection,
    job: Job,
    part: Sequence[Planned],
    now_ms: int,
    beginning: Beginning = Beginning(),  # noqa: B008 (frozen)
) -> None:
    """Write a part that is to be published, under a record key of its own."""
    series = connection.execute(
        sa.select(PHI.series.c.series_key).where(PHI.series.c.id == job.phi_series_id)
    ).scalar_one()
    key = RecordKey(f"{series}.{secrets.token_hex(_KEY_BYTES)}")
    part_id = connection.execute(
        sa.insert(publish_part)
        .values(
            gateway_id=job.gateway_id,
            phi_series_id=job.phi_series_id,
            record_key=str(key),
            state=beginning.state.value,
            instances=len(part),
            # Of a part that was decided on, the original was counted when it was sealed whole.
            raw_bytes=sum(each.length for each in part) if beginning.state is PartState.WAITING else 0,
            planned_ms=now_ms,
            not_before_ms=now_ms,
            step=Step.PLANNED.value,
            strikes=beginning.strikes,
            last_error=beginning.last_error,
        )
        .returning(publish_part.c.id)
    ).scalar_one()
    rows = [
        {"part_id": part_id, "phi_instance_id": original.phi_instance_id, "place": place}
        for place, original in enumerate(part)
    ]
    for some in in_lists(rows):
        connection.execute(sa.insert(publish_part_instance), some)


def originals_of(connection: sa.Connection, gateway_id: str, part_id: int) -> tuple[Original, ...]:
    """Return the originals of a part that lie in the cache, in the order in which they were planned."""
    rows = connection.execute(
        sa.select(cache_instance)
        .join(
            publish_part_instance,
            publish_part_instance.c.phi_instance_id == cache_instance.c.phi_instance_id,
        )
        .where(publish_part_instance.c.part_id == part_id, cache_instance.c.gateway_id == gateway_id)
        .order_by(publish_part_instance.c.place)
    )
    return tuple(map(_original, rows))


def drop_part(connection: sa.Connection, part_id: int) -> None:
    """Take a part back: what is in it is not planned any more."""
    connection.execute(sa.delete(publish_part_instance).where(publish_part_instance.c.part_id == part_id))
    connection.execute(sa.delete(publish_part).where(publish_part.c.id == part_id))


def _row_of(job: Job) -> sa.ColumnElement[bool]:
    return sa.and_(
        publish_job.c.gateway_id == job.gateway_id, publish_job.c.phi_series_id == job.phi_series_id
    )


def _unpublished(job: Job, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Select from what of a series lies in this cache and in no record."""
    instance = PHI.instance.c
    return (
        sa.select(*columns)
        .select_from(cache_instance)
        .join(PHI.instance, instance.id == cache_instance.c.phi_instance_id)
        .outerjoin(
            publish_part_instance,
            publish_part_instance.c.phi_instance_id == cache_instance.c.phi_instance_id,
        )
        .where(
            cache_instance.c.gateway_id == job.gateway_id,
            cache_instance.c.phi_series_id == job.phi_series_id,
            cache_instance.c.published.is_(False),
            instance.record_key.is_(None),
        )
    )


def _elsewhere(connection: sa.Connection, job: Job) -> bool:
    """Return whether another gateway has planned some of what lies here as well."""
    own = sa.select(publish_part.c.id).where(publish_part.c.gateway_id == job.gateway_id)
    theirs = _unpublished(job, cache_instance.c.id).where(publish_part_instance.c.part_id.not_in(own))
    return connection.execute(theirs.limit(1)).first() is not None


def _unplanned(connection: sa.Connection, job: Job) -> Iterator[Original]:
    instance = PHI.instance.c
    rows = connection.execute(
        _unpublished(job, *cache_instance.c)
        .where(publish_part_instance.c.part_id.is_(None))
        .order_by(instance.instance_number, instance.sop_instance_uid)
    ).all()
    return map(_original, rows)


def _note_published(connection: sa.Connection, job: Job) -> None:
    """Let go of what another gateway has published meanwhile: this cache may evict it as well."""
    in_a_record = sa.select(PHI.instance.c.id).where(
        PHI.instance.c.series_row == job.phi_series_id, PHI.instance.c.record_key.is_not(None)
    )
    noted = connection.execute(
        sa.update(cache_instance)
        .where(
            cache_instance.c.gateway_id == job.gateway_id,
            cache_instance.c.phi_series_id == job.phi_series_id,
            cache_instance.c.published.is_(False),
            cache_instance.c.phi_instance_id.in_(in_a_record),
        )
        .values(published=True)
    )
    if noted.rowcount:
        refresh_series(connection, job.gateway_id, [job.phi_series_id])


def _original(row: sa.Row[Any]) -> Original:
    return Original(row.phi_instance_id, row.sop_instance_uid, row.transfer_syntax, location_of(row))
