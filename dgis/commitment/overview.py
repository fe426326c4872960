"""What operators see of storage commitments: numbers, states and pseudonyms, no UID that was asked about."""

from typing import Any

import sqlalchemy as sa

from dgis.commitment.tables import commitment, commitment_instance
from dgis.commitment.values import State

_row = commitment.c
_instance = commitment_instance.c
_MOST_LISTED = 1_000
_COLUMNS = (
    _row.id,
    _row.calling_ae,
    _row.state,
    _row.requested_ms,
    _row.judged_ms,
    _row.over_ms,
    _row.due_ms,
    _row.attempts,
    _row.instances,
    _row.committed,
    _row.failed,
    _row.last_error,
    _row.gateway_id,
)
_OPEN = (State.WAITING.value, State.JUDGED.value)


def listed(
    connection: sa.Connection, *, every: bool = False, transaction_uid: str | None = None
) -> list[dict[str, Any]]:
    """Return transactions, newest first, the latest thousand: open ones, or all of them.

    `transaction_uid` asks for those of one UID; more than one requestor may have used it.
    """
    query = sa.select(*_COLUMNS).order_by(_row.id.desc()).limit(_MOST_LISTED)
    if transaction_uid is not None:
        query = query.where(_row.transaction_uid == transaction_uid)
    elif not every:
        query = query.where(_row.state.in_((*_OPEN, State.GIVEN_UP.value)))
    return [dict(row) for row in connection.execute(query).mappings()]


def shown(connection: sa.Connection, number: int) -> dict[str, Any] | None:
    """Return one transaction with its instances, by pseudonym where the requestor may see the original.

    They are there until it is reported.
    """
    row = connection.execute(sa.select(*_COLUMNS).where(_row.id == number)).mappings().one_or_none()
    if row is None:
        return None
    instances = sa.select(
        _instance.place, _instance.instance_key, _instance.state, _instance.reason, _instance.standing
    ).where(_instance.commitment_id == number)
    each = [dict(one) for one in connection.execute(instances.order_by(_instance.place)).mappings()]
    return {**row, "of": each}


def again(connection: sa.Connection, number: int, now_ms: int) -> bool:
    """Have a transaction looked at or reported now, one that was given up as well; False where it is over."""
    open_again = sa.and_(_row.id == number, _row.state.in_(_OPEN))
    given_up = sa.and_(_row.id == number, _row.state == State.GIVEN_UP.value, _kept())
    soon = {"due_ms": now_ms, "last_error": None}
    done = connection.execute(sa.update(commitment).where(open_again).values(soon)).rowcount
    anew = {**soon, "state": State.JUDGED.value, "judged_ms": now_ms, "over_ms": None, "attempts": 0}
    done += connection.execute(sa.update(commitment).where(given_up).values(anew)).rowcount
    return done == 1


def _kept() -> sa.ColumnElement[bool]:
    """Whether what a transaction is about is still known."""
    return sa.exists().where(_instance.commitment_id == _row.id)
