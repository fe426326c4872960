"""Taking over what a dead gateway had planned: what lies in this gateway's cache as well, and decisions.

An original is in one part only (a constraint of the database). While a gateway lives, others that hold the
same original wait for it. When it is dead, one that holds all of a part makes that part its own: its record
key stays, so what was put on nodes already is found equal. One that holds some takes those out and plans them
itself; what lies in the dead gateway's cache alone stays in its part.

The commit of that transaction is the commit point: before it the part is as it was. The lease is void with
it, so that a gateway which was only slow can no longer commit what it had packed.
"""

from collections.abc import Sequence

import sqlalchemy as sa
import structlog

from dgis.cache.publish_queue import State
from dgis.publisher.tables import publish_part, publish_part_instance
from dgis.publisher.values import UNFINISHED, PartState
from dgis.tables import cache_instance, publish_job

_log = structlog.get_logger(__name__)

_PARTS_A_ROUND = 50


def take_over(connection: sa.Connection, gateway_id: str, dead: Sequence[str], now_ms: int) -> int:
    """Take over what can be, one round; returns how many parts were changed, none when there is no more."""
    if not dead:
        return 0
    changed = 0
    for part in connection.execute(_candidates(gateway_id, dead)).all():
        if part.state == PartState.DECIDED.value or not _missing(connection, gateway_id, part.id):
            _adopt(connection, gateway_id, part.id)
        else:
            _take_out(connection, gateway_id, part.id)
        _look_again(connection, (gateway_id, part.gateway_id), part.phi_series_id, now_ms)
        changed += 1
        _log.info("part_taken_over", part=part.id, of=part.gateway_id, state=part.state)
    return changed


def _candidates(gateway_id: str, dead: Sequence[str]) -> sa.Select[tuple[int, str, str, int]]:
    here = sa.exists().where(
        publish_part_instance.c.part_id == publish_part.c.id,
        publish_part_instance.c.phi_instance_id.in_(_held(gateway_id)),
    )
    decided = publish_part.c.state == PartState.DECIDED.value
    return (
        sa.select(
            publish_part.c.id,
            publish_part.c.gateway_id,
            publish_part.c.state,
            publish_part.c.phi_series_id,
        )
        .where(
            publish_part.c.gateway_id.in_(dead),
            publish_part.c.state.in_(UNFINISHED),
            sa.or_(decided, here),
        )
        .order_by(publish_part.c.id)
        .limit(_PARTS_A_ROUND)
        .with_for_update(skip_locked=True)
    )


def _held(gateway_id: str) -> sa.Select[tuple[int]]:
    return sa.select(cache_instance.c.phi_instance_id).where(
        cache_instance.c.gateway_id == gateway_id, cache_instance.c.published.is_(False)
    )


def _missing(connection: sa.Connection, gateway_id: str, part_id: int) -> int:
    """Count the originals of a part that do not lie in this gateway's cache."""
    place = publish_part_instance.c
    return (
        connection.scalar(
            sa.select(sa.func.count()).where(
                place.part_id == part_id, place.phi_instance_id.not_in(_held(gateway_id))
            )
        )
        or 0
    )


def _adopt(connection: sa.Connection, gateway_id: str, part_id: int) -> None:
    """Make a part this gateway's; of a decision the originals lie sealed on the nodes."""
    of_part = publish_part.c.id == part_id
    connection.execute(sa.update(publish_part).where(of_part).values(gateway_id=gateway_id, **_VOID))


def _take_out(connection: sa.Connection, gateway_id: str, part_id: int) -> None:
    """Take what lies here out of a part, of which something is left."""
    place = publish_part_instance.c
    taken = connection.execute(
        sa.delete(publish_part_instance).where(
            place.part_id == part_id, place.phi_instance_id.in_(_held(gateway_id))
        )
    ).rowcount
    words = "another gateway has taken over the rest"
    connection.execute(
        sa.update(publish_part)
        .where(publish_part.c.id == part_id)
        .values(instances=publish_part.c.instances - taken, last_error=words, **_VOID)
    )


def _look_again(connection: sa.Connection, gateways: Sequence[str], series_id: int, now_ms: int) -> None:
    """Have both plan the series anew; the dead one when it is back: it may evict what was published."""
    of_both = sa.and_(publish_job.c.gateway_id.in_(gateways), publish_job.c.phi_series_id == series_id)
    connection.execute(sa.update(publish_job).where(of_both).values(state=State.CLAIMED.value, due_ms=now_ms))


_VOID = {
    "lease_owner": None,
    "lease_until_ms": None,
    "attempts": publish_part.c.attempts + 1,  # part of what a lease is known by
}
