"""Transactions in the database: taken, claimed under a lease, settled, over.

    taken (with its instances and the trail's entry)           <- the commit point: success is answered then
    -> judged, some instances at a time -> JUDGED              <- from here on a report is owed
    -> reported, as often as it takes -> REPORTED or GIVEN_UP  <- its instances are forgotten

Whoever dies between two of these loses its lease, and another goes on from the rows.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from catalog.sql import insert_ignoring
from dgis.cache.sql import in_lists
from dgis.commitment.tables import commitment, commitment_instance
from dgis.commitment.values import (
    Finding,
    InstanceState,
    Judged,
    Request,
    State,
    Transaction,
    Waiting,
    read_caller,
    written,
)
from dgis.dimse.references import Commitment, Reference

# Of one requestor, and not over: more is no modality's need.
MOST_OPEN = 1_000  # transactions
MOST_INSTANCES = 500_000  # of all of them together

_row = commitment.c
_instance = commitment_instance.c
_OPEN = (State.WAITING.value, State.JUDGED.value)


def take(
    connection: sa.Connection, gateway_id: str, request: Request, asked: Commitment, now_ms: int
) -> int | None:
    """Write a transaction down and return its number; None where this requestor used its UID before."""
    values = {
        "gateway_id": gateway_id,
        "requestor": request.requestor,
        "transaction_uid": asked.transaction_uid,
        "calling_ae": request.calling_ae,
        "called_ae": request.called_ae,
        "address": request.address,
        "caller": written(request.caller),
        "state": State.WAITING.value,
        "requested_ms": now_ms,
        "due_ms": now_ms,
        "instances": len(asked.references),
    }
    added = insert_ignoring(connection, commitment).values(values).returning(_row.id)
    number: int | None = connection.scalar(added)
    if number is None:
        return None
    rows = [
        {
            "commitment_id": number,
            "place": place,
            "sop_class_uid": each.sop_class_uid,
            "sop_instance_uid": each.sop_instance_uid,
            "state": InstanceState.WAITING.value,
        }
        for place, each in enumerate(asked.references)
    ]
    connection.execute(sa.insert(commitment_instance), rows)
    return number


def has_room(connection: sa.Connection, request: Request, instances: int) -> bool:
    """Whether a requestor may have another transaction of so many instances open."""
    counts = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_row.instances), 0))
    mine = counts.where(_row.requestor == request.requestor, _row.state.in_(_OPEN))
    transactions, named = connection.execute(mine).one()
    return bool(transactions < MOST_OPEN and named + instances <= MOST_INSTANCES)


def claim_to_judge(connection: sa.Connection, claim: str, now_ms: int, lease_ms: int) -> Transaction | None:
    """Take the transaction whose next look has been due longest."""
    return _claim(connection, claim, now_ms, lease_ms, _row.state == State.WAITING.value)


def claim_to_report(
    connection: sa.Connection, claim: str, now_ms: int, lease_ms: int, where: sa.ColumnElement[bool]
) -> Transaction | None:
    """Take the transaction, of those that fit, whose report has been due longest."""
    return _claim(connection, claim, now_ms, lease_ms, _row.state == State.JUDGED.value, where)


def by_another_association(
    gateway_id: str, titles: Collection[str], resting: Collection[str], now_ms: int
) -> sa.ColumnElement[bool]:
    """Transactions that this gateway's worker reports: nobody holds them, it knows where to, nobody rests."""
    known = sa.or_(_row.gateway_id == gateway_id, _row.calling_ae.in_(sorted(titles)))
    return sa.and_(known, _row.calling_ae.not_in(sorted(resting)), _row.held_until_ms <= now_ms)


def on_its_own_association(holder: str) -> sa.ColumnElement[bool]:
    """Transactions that are reported on the association which asked for them."""
    return _row.held_by == holder


def _claim(
    connection: sa.Connection, claim: str, now_ms: int, lease_ms: int, *which: sa.ColumnElement[bool]
) -> Transaction | None:
    due = (
        sa.select(_row.id)
        .where(*which, _row.due_ms <= now_ms, _row.lease_until_ms <= now_ms)
        .order_by(_row.due_ms, _row.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = (
        sa.update(commitment)
        .where(_row.id == due)
        .values(lease_owner=claim, lease_until_ms=now_ms + lease_ms)
        .returning(commitment)
    )
    row = connection.execute(taken).one_or_none()
    return None if row is None else _transaction(row, claim)


def renew(connection: sa.Connection, transaction: Transaction, until_ms: int) -> bool:
    """Keep the lease for longer; False where somebody else has taken the transaction over."""
    return _changed(connection, transaction, lease_until_ms=until_ms)


def renew_for(transaction: Transaction, connection: sa.Connection, until_ms: int) -> bool:
    """Keep the lease as `renew`, the transaction first."""
    return renew(connection, transaction, until_ms)


def waiting(connection: sa.Connection, transaction: Transaction) -> list[Waiting]:
    """Return the instances that are not decided on."""
    undecided = (
        sa.select(_instance.place, _instance.sop_class_uid, _instance.sop_instance_uid)
        .where(_instance.commitment_id == transaction.id, _instance.state == InstanceState.WAITING.value)
        .order_by(_instance.place)
    )
    return [
        Waiting(row.place, Reference(row.sop_class_uid, row.sop_instance_uid))
        for row in connection.execute(undecided)
    ]


def settle(
    connection: sa.Connection, transaction: Transaction, judged: Judged, now_ms: int, until_ms: int
) -> bool:
    """Write down what was decided and what is waited for, the lease renewed; False where it was lost."""
    if not renew(connection, transaction, until_ms):
        return False
    rows = [
        {
            **_found(each.finding),
            "state": (InstanceState.COMMITTED if each.reason is None else InstanceState.FAILED).value,
            "reason": each.reason,
            "settled_ms": now_ms,
        }
        for each in judged.settled
    ]
    rows += [
        {**_found(each), "state": InstanceState.WAITING.value, "reason": None, "settled_ms": None}
        for each in judged.waiting
    ]
    if rows:
        one = sa.and_(_instance.commitment_id == transaction.id, _instance.place == sa.bindparam("at"))
        names = ("state", "reason", "settled_ms", "standing", "instance_key")
        values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names}
        connection.execute(
            sa.update(commitment_instance).where(one).values(values),
            [{"at": row["at"], **{f"new_{name}": row[name] for name in names}} for row in rows],
        )
    return True


def _found(finding: Finding) -> dict[str, Any]:
    known = finding.known
    return {
        "at": finding.place,
        "standing": finding.standing.value,
        "instance_key": None if known is None else known.instance_key,
    }


def look_again(connection: sa.Connection, transaction: Transaction, due_ms: int) -> bool:
    """Give a transaction back until its next look."""
    return _changed(connection, transaction, due_ms=due_ms, **_FREE)


def judged(connection: sa.Connection, transaction: Transaction, now_ms: int) -> bool:
    """Every instance is decided on: from this commit on a report is owed."""
    counts = {
        state: sa.select(sa.func.count())
        .where(_instance.commitment_id == transaction.id, _instance.state == state.value)
        .scalar_subquery()
        for state in (InstanceState.COMMITTED, InstanceState.FAILED)
    }
    return _changed(
        connection,
        transaction,
        state=State.JUDGED.value,
        judged_ms=now_ms,
        due_ms=now_ms,
        committed=counts[InstanceState.COMMITTED],
        failed=counts[InstanceState.FAILED],
        **_FREE,
    )


def decided(connection: sa.Connection, transaction: Transaction) -> Sequence[sa.Row[Any]]:
    """Return all instances of a judged transaction, in the order they were asked in."""
    mine = sa.select(commitment_instance).where(_instance.commitment_id == transaction.id)
    return connection.execute(mine.order_by(_instance.place)).all()


def report_failed(connection: sa.Connection, transaction: Transaction, due_ms: int, words: str) -> bool:
    """A report did not come through: it is sent again, over another association."""
    return _changed(
        connection,
        transaction,
        due_ms=due_ms,
        attempts=transaction.attempts + 1,
        last_error=words,
        held_by=None,
        held_until_ms=0,
        **_FREE,
    )


def over(
    connection: sa.Connection, transaction: Transaction, state: State, now_ms: int, words: str | None = None
) -> bool:
    """End a transaction; what it was about is forgotten once it is reported."""
    if not _changed(
        connection,
        transaction,
        state=state.value,
        over_ms=now_ms,
        last_error=words,
        held_by=None,
        held_until_ms=0,
        **_FREE,
    ):
        return False
    if state is State.REPORTED:
        _forget(connection, [transaction.id])
    return True


def hold(connection: sa.Connection, number: int, holder: str, until_ms: int) -> None:
    """Keep the report of a transaction for the association that asked for it."""
    mine = sa.update(commitment).where(_row.id == number)
    connection.execute(mine.values(held_by=holder, held_until_ms=until_ms))


def keep_holding(connection: sa.Connection, holder: str, claims: Collection[str], until_ms: int) -> int:
    """Hold for longer what an association holds, and the leases of reports under way; returns how many."""
    mine = sa.update(commitment).where(_row.held_by == holder, _row.state.in_(_OPEN))
    leased = sa.case((_row.lease_owner.in_(sorted(claims)), until_ms), else_=_row.lease_until_ms)
    return connection.execute(mine.values(held_until_ms=until_ms, lease_until_ms=leased)).rowcount


def let_go(connection: sa.Connection, holder: str) -> None:
    """The association is over: what it held is reported by others."""
    mine = sa.update(commitment).where(_row.held_by == holder)
    connection.execute(mine.values(held_by=None, held_until_ms=0))


def erase(connection: sa.Connection, uids: sa.Select[tuple[str]], now_ms: int) -> int:
    """End the transactions that name one of these instances, and forget all that they name.

    Args:
        connection: in the transaction that erases.
        uids: of the instances that are erased.
        now_ms: the time.

    Returns:
        How many there were.
    """
    naming = sa.select(_instance.commitment_id).where(_instance.sop_instance_uid.in_(uids)).distinct()
    named = sorted(connection.scalars(naming))
    for numbers in in_lists(named):
        ended = sa.update(commitment).where(_row.id.in_(numbers), _row.state.in_(_OPEN))
        connection.execute(
            ended.values(state=State.ERASED.value, over_ms=now_ms, held_by=None, held_until_ms=0, **_FREE)
        )
        _forget(connection, numbers)
    return len(named)


def clear(connection: sa.Connection, over_before_ms: int, given_up_before_ms: int) -> int:
    """Delete transactions that have long been over, and what was given up is about; returns how many went."""
    old = sa.and_(_row.state == State.GIVEN_UP.value, _row.over_ms < given_up_before_ms)
    connection.execute(
        sa.delete(commitment_instance).where(_instance.commitment_id.in_(sa.select(_row.id).where(old)))
    )
    gone = sa.delete(commitment).where(_row.over_ms < over_before_ms)
    return connection.execute(gone).rowcount


_FREE: dict[str, Any] = {"lease_owner": None, "lease_until_ms": 0}


def _changed(connection: sa.Connection, transaction: Transaction, **values: object) -> bool:
    """Change a transaction that is still claimed; False where it is not."""
    mine = sa.update(commitment).where(_row.id == transaction.id, _row.lease_owner == transaction.claim)
    return connection.execute(mine.values(**values)).rowcount == 1


def _forget(connection: sa.Connection, numbers: Sequence[int]) -> None:
    gone = sa.delete(commitment_instance).where(_instance.commitment_id.in_(list(numbers)))
    connection.execute(gone)


def _transaction(row: sa.Row[Any], claim: str) -> Transaction:
    return Transaction(
        id=row.id,
        claim=claim,
        transaction_uid=row.transaction_uid,
        request=Request(row.calling_ae, row.called_ae, row.address, read_caller(row.caller)),
        requested_ms=row.requested_ms,
        judged_ms=row.judged_ms,
        attempts=row.attempts,
    )
