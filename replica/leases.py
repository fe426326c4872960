"""One worker an object: claims are rows with leases, atomic on both databases."""

import sqlalchemy as sa

from replica.context import Replicas
from replica.tables import replica_object

_object = replica_object.c


def claim(replicas: Replicas, candidates: sa.Select[tuple[int]]) -> int | None:
    """Take the first object of `candidates` that nobody else works on; returns its row id.

    On PostgreSQL rows that another claim holds at this moment are skipped (FOR UPDATE SKIP LOCKED); SQLite
    has one writer at a time. A worker that dies loses the object when the lease runs out.

    Args:
        replicas: whose lease it will be.
        candidates: of `replica_object.id`, in the order of urgency.
    """
    now_ms = replicas.clock_ms()
    first = (
        candidates.where(_object.lease_until_ms <= now_ms)
        .limit(1)
        .with_for_update(skip_locked=True, of=replica_object)
        .scalar_subquery()
    )
    with replicas.engine.begin() as connection:
        claimed: int | None = connection.scalar(
            sa.update(replica_object)
            .where(_object.id == first, _object.lease_until_ms <= now_ms)
            .values(lease_owner=replicas.owner, lease_until_ms=now_ms + replicas.lease_ms)
            .returning(_object.id)
        )
    return claimed


def still_mine(connection: sa.Connection, replicas: Replicas, object_id: int) -> bool:
    """Renew the lease; False when it ran out and somebody else may be at work. Asked before a delete."""
    now_ms = replicas.clock_ms()
    renewed = connection.execute(
        sa.update(replica_object)
        .where(
            _object.id == object_id,
            _object.lease_owner == replicas.owner,
            _object.lease_until_ms > now_ms,
        )
        .values(lease_until_ms=now_ms + replicas.lease_ms)
    )
    return renewed.rowcount == 1


def release(connection: sa.Connection, replicas: Replicas, object_id: int, **values: object) -> bool:
    """Give an object back, with what was found out about it; False where somebody else took it over.

    It locks the object's row: in every transaction that comes before rows of copies, so that none waits for
    another crosswise.
    """
    released = connection.execute(
        sa.update(replica_object)
        .where(_object.id == object_id, _object.lease_owner == replicas.owner)
        .values(lease_owner=None, lease_until_ms=0, **values)
    )
    return released.rowcount == 1


def pause_ms(attempts: int) -> int:
    """Return how long to wait after so many failures: a minute, twice as long each time, up to an hour."""
    return min(60_000 << min(attempts, 16), 3_600_000)
