"""The publisher's queue: due series become parts; a part is claimed under a lease until it is done."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.cache.publish_queue import State
from dgis.cache.sql import in_lists, location_of
from dgis.cache.values import Location
from dgis.publisher.plan import cut, retry_after_ms
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.tables import cache_instance, publish_job
from storage_nodes.names import RecordKey

_NEVER_MS = 2**62  # a job with nothing left to plan
_JOBS_A_ROUND = 50
_KEY_BYTES = 10


class PartState(StrEnum):
    """Where a part stands."""

    WAITING = "waiting"  # for a worker, or for its next attempt
    PUBLISHED = "published"


class Step(StrEnum):
    """How far the last attempt came; for people."""

    PLANNED = "planned"
    PACKING = "packing"
    PLACING = "placing"
    COMMITTING = "committing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Original:
    """One original of a part: its row and where its bytes lie."""

    phi_instance_id: int
    sop_instance_uid: str
    transfer_syntax: str
    location: Location

    @property
    def length(self) -> int:
        """Bytes of the data set."""
        return self.location.length


@dataclass(frozen=True, slots=True)
class Owner:
    """One worker of one gateway: who holds a lease."""

    gateway_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a published part came to: instances sealed whole, bytes of record and companion (one copy)."""

    withheld: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """A claimed part; `originals` in the order in which they were planned."""

    id: int
    phi_series_id: int
    record_key: RecordKey
    attempts: int
    originals: tuple[Original, ...]


def plan_due(connection: sa.Connection, gateway_id: str, now_ms: int, part_bytes: int) -> int:
    """Turn the pending instances of due series into parts; return how many parts were planned.

    The commit of the caller's transaction is the commit point: before it the series is still due.
    """
    due = (
        sa.select(publish_job.c.id, publish_job.c.phi_series_id)
        .where(
            publish_job.c.gateway_id == gateway_id,
            publish_job.c.state.in_([State.WAITING.value, State.CLAIMED.value]),
            publish_job.c.due_ms <= now_ms,
        )
        .order_by(publish_job.c.due_ms)
        .limit(_JOBS_A_ROUND)
        .with_for_update(skip_locked=True)
    )
    planned = 0
    for job_id, series_id in connection.execute(due).all():
        parts = list(cut(_unplanned(connection, gateway_id, series_id), part_bytes))
        for part in parts:
            _plan(connection, gateway_id, series_id, part, now_ms)
        planned += len(parts)
        connection.execute(
            sa.update(publish_job)
            .where(publish_job.c.id == job_id)
            .values(state=State.CLAIMED.value, due_ms=_NEVER_MS)
        )
        _settle_job(connection, gateway_id, series_id)
    return planned


def claim(connection: sa.Connection, owner: Owner, now_ms: int, lease_ms: int) -> Part | None:
    """Take the oldest part that is due under a lease, or None; a lease that ran out is anybody's."""
    free = sa.or_(publish_part.c.lease_until_ms.is_(None), publish_part.c.lease_until_ms < now_ms)
    row = connection.execute(
        sa.select(publish_part)
        .where(
            publish_part.c.gateway_id == owner.gateway_id,
            publish_part.c.state == PartState.WAITING.value,
            publish_part.c.not_before_ms <= now_ms,
            free,
        )
        .order_by(publish_part.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    connection.execute(
        sa.update(publish_part)
        .where(publish_part.c.id == row.id)
        .values(
            lease_owner=owner.name,
            lease_until_ms=now_ms + lease_ms,
            attempts=row.attempts + 1,
            step=Step.PACKING.value,
        )
    )
    originals = _originals(connection, owner.gateway_id, row.id)
    return Part(row.id, row.phi_series_id, RecordKey(row.record_key), row.attempts + 1, originals)


def renew(
    connection: sa.Connection, part: Part, owner: Owner, until_ms: int, step: Step | None = None
) -> bool:
    """Keep the lease for longer; False where somebody else has taken the part over."""
    values = {"lease_until_ms": until_ms, **({"step": step.value} if step else {})}
    held = sa.update(publish_part).where(_held(part, owner)).values(**values)
    return connection.execute(held).rowcount == 1


def failed(connection: sa.Connection, part: Part, owner: Owner, now_ms: int, words: str) -> None:
    """Give a part back after an attempt that failed; `words` say why, without any value from the images."""
    connection.execute(
        sa.update(publish_part)
        .where(_held(part, owner))
        .values(
            lease_owner=None,
            lease_until_ms=None,
            not_before_ms=now_ms + retry_after_ms(part.attempts),
            last_error=words,
        )
    )


def finished(connection: sa.Connection, part: Part, owner: Owner, now_ms: int, result: Result) -> bool:
    """Mark a part as published, in the transaction that publishes it; False where the lease was lost."""
    held = (
        sa.update(publish_part)
        .where(_held(part, owner))
        .values(
            state=PartState.PUBLISHED.value,
            step=Step.DONE.value,
            published_ms=now_ms,
            withheld=result.withheld,
            stored_bytes=result.stored_bytes,
            lease_owner=None,
            lease_until_ms=None,
            last_error=None,
        )
    )
    if connection.execute(held).rowcount != 1:
        return False
    connection.execute(sa.delete(publish_part_instance).where(publish_part_instance.c.part_id == part.id))
    connection.execute(
        sa.update(publish_job)
        .where(_job(owner.gateway_id, part.phi_series_id))
        .values(pending_instances=publish_job.c.pending_instances - len(part.originals))
    )
    _settle_job(connection, owner.gateway_id, part.phi_series_id)
    return True


def _held(part: Part, owner: Owner) -> sa.ColumnElement[bool]:
    return sa.and_(
        publish_part.c.id == part.id,
        publish_part.c.state == PartState.WAITING.value,
        publish_part.c.lease_owner == owner.name,
        publish_part.c.attempts == part.attempts,
    )


def _job(gateway_id: str, series_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(publish_job.c.gateway_id == gateway_id, publish_job.c.phi_series_id == series_id)


def _settle_job(connection: sa.Connection, gateway_id: str, series_id: int) -> None:
    """A series of which nothing is pending is published, until a late image comes."""
    connection.execute(
        sa.update(publish_job)
        .where(_job(gateway_id, series_id), publish_job.c.pending_instances <= 0)
        .values(state=State.PUBLISHED.value, due_ms=_NEVER_MS)
    )


def _unplanned(connection: sa.Connection, gateway_id: str, series_id: int) -> Sequence[Original]:
    instance = PHI.instance.c
    rows = connection.execute(
        sa.select(cache_instance)
        .join(PHI.instance, instance.id == cache_instance.c.phi_instance_id)
        .outerjoin(
            publish_part_instance,
            publish_part_instance.c.phi_instance_id == cache_instance.c.phi_instance_id,
        )
        .where(
            cache_instance.c.gateway_id == gateway_id,
            cache_instance.c.phi_series_id == series_id,
            cache_instance.c.published.is_(False),
            instance.record_key.is_(None),
            publish_part_instance.c.part_id.is_(None),
        )
        .order_by(instance.instance_number, instance.sop_instance_uid)
    )
    return [_original(row) for row in rows]


def _originals(connection: sa.Connection, gateway_id: str, part_id: int) -> tuple[Original, ...]:
    rows = connection.execute(
        sa.select(cache_instance)
        .join(
            publish_part_instance,
            publish_part_instance.c.phi_instance_id == cache_instance.c.phi_instance_id,
        )
        .where(publish_part_instance.c.part_id == part_id, cache_instance.c.gateway_id == gateway_id)
        .order_by(publish_part_instance.c.place)
    )
    return tuple(_original(row) for row in rows)


def _original(row: sa.Row[tuple[object, ...]]) -> Original:
    return Original(row.phi_instance_id, row.sop_instance_uid, row.transfer_syntax, location_of(row))


def _plan(
    connection: sa.Connection, gateway_id: str, series_id: int, part: Sequence[Original], now_ms: int
) -> None:
    series = connection.execute(
        sa.select(PHI.series.c.series_key).where(PHI.series.c.id == series_id)
    ).scalar_one()
    key = RecordKey(f"{series}.{secrets.token_hex(_KEY_BYTES)}")
    part_id = connection.execute(
        sa.insert(publish_part)
        .values(
            gateway_id=gateway_id,
            phi_series_id=series_id,
            record_key=str(key),
            state=PartState.WAITING.value,
            instances=len(part),
            raw_bytes=sum(original.length for original in part),
            planned_ms=now_ms,
            not_before_ms=now_ms,
            step=Step.PLANNED.value,
        )
        .returning(publish_part.c.id)
    ).scalar_one()
    rows = [
        {"part_id": part_id, "phi_instance_id": original.phi_instance_id, "place": place}
        for place, original in enumerate(part)
    ]
    for some in in_lists(rows):
        connection.execute(sa.insert(publish_part_instance), some)
