"""The rows of jobs: asked for, taken under a lease, moved on, and over."""

import secrets
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from dgis.commitment.values import read_caller, written
from dgis.jobs.tables import job
from dgis.jobs.values import OVER, Counts, End, Job, Kind, Order, State, Subject, owner_of

_row = job.c
_SHOWN = (
    "id",
    "kind",
    "state",
    "destination",
    "study_key",
    "series_key",
    "total",
    "completed",
    "warning",
    "failed",
    "cancelled",
    "version",
    "asked_ms",
    "started_ms",
    "ended_ms",
    "last_error",
)
_UNFINISHED = [state.value for state in State if state not in OVER]


def ask(connection: sa.Connection, gateway_id: str, order: Order, now_ms: int) -> str:
    """Write a job down and return its id; the caller's commit is the commit point."""
    job_id = secrets.token_hex(16)
    row = {
        "id": job_id,
        "gateway_id": gateway_id,
        "kind": order.kind.value,
        "state": State.WAITING.value,
        "caller": written(order.caller),
        "owner": owner_of(order.caller),
        "address": order.address,
        "destination": order.destination,
        **asdict(order.subject),
        "asked_ms": now_ms,
    }
    connection.execute(sa.insert(job).values(row))
    return job_id


def claim(connection: sa.Connection, gateway_id: str, name: str, now_ms: int, lease_ms: int) -> Job | None:
    """Take the job that has waited longest, or whose runner died."""
    due = (
        sa.select(_row.id)
        .where(_row.gateway_id == gateway_id, _row.state.in_(_UNFINISHED), _row.lease_until_ms <= now_ms)
        .order_by(_row.asked_ms)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    first = connection.scalar(due)
    if first is None:
        return None
    taken = (
        sa.update(job)
        .where(_row.id == first)
        .values(
            state=State.RUNNING.value,
            lease_owner=name,
            lease_until_ms=now_ms + lease_ms,
            attempts=_row.attempts + 1,
            started_ms=sa.func.coalesce(_row.started_ms, now_ms),
            version=_row.version + 1,
        )
        .returning(job)
    )
    row = connection.execute(taken).one()
    subject = Subject(row.patient_key, row.study_key, row.series_key, row.original)
    order = Order(read_caller(row.caller), row.address, row.destination, subject, Kind(row.kind))
    return Job(row.id, name, order, row.attempts)


def renew(taken: Job, connection: sa.Connection, until_ms: int) -> None:
    """Keep the lease for longer."""
    connection.execute(sa.update(job).where(_mine(taken)).values(lease_until_ms=until_ms))


def progress(connection: sa.Connection, taken: Job, counts: Counts) -> bool:
    """Note how far it is; False where it is to stop: it was cancelled, or another runs it now."""
    moved = sa.update(job).where(_mine(taken)).values(**asdict(counts), version=_row.version + 1)
    wanted = connection.scalar(moved.returning(_row.cancelled))
    return wanted is not None and not wanted


def over(connection: sa.Connection, taken: Job, end: End, now_ms: int) -> bool:
    """Write its end down; False where another runs it now."""
    ended = (
        sa.update(job)
        .where(_mine(taken))
        .values(
            **asdict(end.counts),
            state=end.state.value,
            ended_ms=now_ms,
            last_error=end.words,
            lease_owner=None,
            lease_until_ms=0,
            version=_row.version + 1,
        )
    )
    return connection.execute(ended).rowcount == 1


def release(connection: sa.Connection, taken: Job) -> None:
    """Give it back, to be begun anew: whoever ran it stops."""
    free = {"state": State.WAITING.value, "lease_owner": None, "lease_until_ms": 0}
    values = {**free, "attempts": taken.attempts - 1, "version": _row.version + 1}
    connection.execute(sa.update(job).where(_mine(taken)).values(**values))


def cancel(connection: sa.Connection, job_id: str, now_ms: int) -> bool:
    """Ask for its end: at once where nobody runs it, else before its next instance. False: it is over."""
    waiting = (
        sa.update(job)
        .where(_row.id == job_id, _row.state == State.WAITING.value)
        .values(state=State.CANCELLED.value, cancelled=True, ended_ms=now_ms, version=_row.version + 1)
    )
    if connection.execute(waiting).rowcount:
        return True
    running = (
        sa.update(job)
        .where(_row.id == job_id, _row.state == State.RUNNING.value)
        .values(cancelled=True, version=_row.version + 1)
    )
    return connection.execute(running).rowcount == 1


def one(connection: sa.Connection, job_id: str, owner: str | None) -> dict[str, Any] | None:
    """Return a job as it is shown; `owner` None: whoever's it is."""
    found = _shown().where(_row.id == job_id)
    if owner is not None:
        found = found.where(_row.owner == owner)
    row = connection.execute(found).mappings().one_or_none()
    return None if row is None else dict(row)


def listed(connection: sa.Connection, owner: str | None, most: int) -> list[dict[str, Any]]:
    """Return the newest jobs, newest first."""
    found = _shown().order_by(_row.asked_ms.desc(), _row.id).limit(most)
    if owner is not None:
        found = found.where(_row.owner == owner)
    return [dict(row) for row in connection.execute(found).mappings()]


def unfinished(connection: sa.Connection, owner: str) -> int:
    """Count the jobs of a caller that are not over."""
    mine = sa.select(sa.func.count()).where(_row.owner == owner, _row.state.in_(_UNFINISHED))
    return connection.scalar(mine) or 0


def clear(connection: sa.Connection, before_ms: int) -> int:
    """Delete what has been over for long; returns how many went."""
    return connection.execute(sa.delete(job).where(_row.ended_ms < before_ms)).rowcount


def _shown() -> sa.Select[Any]:
    return sa.select(*(_row[name] for name in _SHOWN))


def _mine(taken: Job) -> sa.ColumnElement[bool]:
    return sa.and_(_row.id == taken.id, _row.lease_owner == taken.claim)
