"""One worker an object: claims are rows with leases, atomic on both databases."""

import sqlalchemy as sa

from replica.context import Replicas
from replica.tables import replica_object

_object = replica_object.c


NOW: sa.BindParameter[int] = sa.bindparam("now_ms", type_=sa.BigInteger)
"""The time of a claim, for its candidates."""


class Claim:
    """A way to take an object to work on; its statement is built once, workers ask it all day.

    Args:
        candidates: of `replica_object.id`, in the order of urgency; `NOW` stands for the time of the claim.
    """

    def __init__(self, candidates: sa.Select[tuple[int]]) -> None:
        first = (
            candidates.where(_object.lease_until_ms <= NOW)
            .limit(1)
            .with_for_update(skip_locked=True, of=replica_object)
            .scalar_subquery()
        )
        self._statement = (
            sa.update(replica_object)
            .where(_object.id == first, _object.lease_until_ms <= NOW)
            .values(lease_owner=sa.bindparam("owner"), lease_until_ms=sa.bindparam("until_ms"))
            .returning(_object.id)
        )

    def take(self, replicas: Replicas, **values: object) -> int | None:
        """Take the first candidate that nobody else works on; returns its row id.

        On PostgreSQL rows that another claim holds at this moment are skipped (FOR UPDATE SKIP LOCKED);
        SQLite has one writer at a time. A worker that dies loses the object when the lease runs out.

        Args:
            replicas: whose lease it will be.
            values: of the parameters of the candidates, besides `NOW`.
        """
        now_ms = replicas.clock_ms()
        given = {"now_ms": now_ms, "owner": replicas.owner, "until_ms": now_ms + replicas.lease_ms}
        with replicas.engine.begin() as connection:
            claimed: int | None = connection.scalar(self._statement, {**given, **values})
        return claimed


_STILL_MINE = (
    sa.update(replica_object)
    .where(
        _object.id == sa.bindparam("object"),
        _object.lease_owner == sa.bindparam("owner"),
        _object.lease_until_ms > NOW,
    )
    .values(lease_until_ms=sa.bindparam("until_ms"))
)


def still_mine(connection: sa.Connection, replicas: Replicas, object_id: int) -> bool:
    """Renew the lease; False when it ran out and somebody else may be at work. Asked before a delete."""
    now_ms = replicas.clock_ms()
    given = {"object": object_id, "owner": replicas.owner, "now_ms": now_ms}
    renewed = connection.execute(_STILL_MINE, {**given, "until_ms": now_ms + replicas.lease_ms})
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
