"""The publisher's queue: a part is claimed under a lease, until it is done or given back.

A part that keeps failing while it is packed is cut in halves, and they again, until what is wrong with one
instance holds up that instance alone. A part that packs, and fails for want of nodes or keys, stays whole.
"""

from typing import Any

import sqlalchemy as sa

from dgis.publisher.plan import retry_after_ms
from dgis.publisher.planning import add_part, drop_part, originals_of, settle
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.publisher.values import (
    UNFINISHED,
    Beginning,
    Failure,
    Job,
    Original,
    Owner,
    Part,
    PartState,
    Result,
    Step,
)
from dgis.review.carrying import decided_originals_of
from storage_nodes.names import RecordKey

_STRIKES = 4  # attempts that ended while packing, before a part is cut in halves
_Row = sa.Row[Any]


def claim(connection: sa.Connection, owner: Owner, now_ms: int, lease_ms: int) -> Part | None:
    """Take the part that has been due longest under a lease, or None; a lease that ran out is anybody's.

    What happens to a worker before it can say so, counts as a failed attempt.
    """
    while (row := _next(connection, owner, now_ms)) is not None:
        state = PartState(row.state)
        look_up = decided_originals_of if state is PartState.DECIDED else originals_of
        originals = look_up(connection, owner.gateway_id, row.id)
        if not originals:  # the cache has lost them (it says so), or they were replaced
            drop_part(connection, row.id)
            settle(connection, Job(owner.gateway_id, row.phi_series_id))
        elif row.strikes >= _STRIKES and len(originals) > 1:
            _halve(connection, row, originals, now_ms)
        else:
            _take(connection, owner, row, now_ms, lease_ms)
            key = RecordKey(row.record_key)
            return Part(row.id, row.phi_series_id, key, row.attempts + 1, originals, state, row.planned_ms)
    return None


def renew(
    connection: sa.Connection, part: Part, owner: Owner, until_ms: int, step: Step | None = None
) -> bool:
    """Keep the lease for longer; False where somebody else has taken the part over."""
    values: dict[str, object] = {"lease_until_ms": until_ms}
    if step is not None:
        values |= {"step": step.value, "strikes": 0}  # it is packed: what fails now is none of its instances
    held = sa.update(publish_part).where(_held(part, owner)).values(**values)
    return connection.execute(held).rowcount == 1


def failed(connection: sa.Connection, part: Part, owner: Owner, now_ms: int, failure: Failure) -> None:
    """Give a part back after an attempt that failed; it rests, the longer the more often it did."""
    strikes = publish_part.c.strikes
    excused = {"strikes": sa.case((strikes > 0, strikes - 1), else_=0)} if failure.outside else {}
    connection.execute(
        sa.update(publish_part)
        .where(_held(part, owner))
        .values(
            lease_owner=None,
            lease_until_ms=None,
            not_before_ms=now_ms + retry_after_ms(part.attempts),
            last_error=failure.words,
            **excused,
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
            removed="\n".join(result.removed),
            lease_owner=None,
            lease_until_ms=None,
            last_error=None,
        )
    )
    if connection.execute(held).rowcount != 1:
        return False
    connection.execute(sa.delete(publish_part_instance).where(publish_part_instance.c.part_id == part.id))
    return True


def _next(connection: sa.Connection, owner: Owner, now_ms: int) -> _Row | None:
    lease = publish_part.c.lease_until_ms
    return connection.execute(
        sa.select(publish_part)
        .where(
            publish_part.c.gateway_id == owner.gateway_id,
            publish_part.c.state.in_(UNFINISHED),
            publish_part.c.not_before_ms <= now_ms,
            sa.or_(lease.is_(None), lease < now_ms),
        )
        .order_by(publish_part.c.not_before_ms, publish_part.c.id)  # one that failed goes behind the others
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()


def _take(connection: sa.Connection, owner: Owner, row: _Row, now_ms: int, lease_ms: int) -> None:
    died = {"last_error": f"its worker ended, or was too slow, while {row.step}"} if row.lease_owner else {}
    connection.execute(
        sa.update(publish_part)
        .where(publish_part.c.id == row.id)
        .values(
            lease_owner=owner.name,
            lease_until_ms=now_ms + lease_ms,
            not_before_ms=now_ms + retry_after_ms(row.attempts + 1),  # should it take the worker down
            attempts=row.attempts + 1,
            strikes=row.strikes + 1,
            step=Step.PACKING.value,
            **died,
        )
    )


def _halve(connection: sa.Connection, row: _Row, originals: tuple[Original, ...], now_ms: int) -> None:
    drop_part(connection, row.id)
    middle = len(originals) // 2
    # the half with the bad instance in it is halved at its next failure
    beginning = Beginning(PartState(row.state), _STRIKES - 1, row.last_error)
    for half in (originals[:middle], originals[middle:]):
        add_part(connection, Job(row.gateway_id, row.phi_series_id), half, now_ms, beginning)


def _held(part: Part, owner: Owner) -> sa.ColumnElement[bool]:
    return sa.and_(
        publish_part.c.id == part.id,
        publish_part.c.state.in_(UNFINISHED),
        publish_part.c.lease_owner == owner.name,
        publish_part.c.attempts == part.attempts,
    )
