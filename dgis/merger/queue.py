"""Which series are to be merged, and whose turn it is: jobs under a lease, one a series.

A series comes here in the transaction that publishes the part which makes its small parts many enough; so
nobody looks through all series for those that have some.
"""

import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from catalog.merge import places_in
from catalog.sql import insert_ignoring
from catalog.tables import PHI
from dgis.cache.sql import in_lists
from dgis.merger.tables import merge_job, merge_source, merged_part
from dgis.merger.values import Failure, Merge, Rule, SmallPart, Step, choose
from dgis.publisher.plan import retry_after_ms
from dgis.publisher.tables import publish_part
from dgis.publisher.values import PartState
from dgis.retention import holds
from storage_nodes.names import RecordKey

_KEY_BYTES = 10
_HELD_MS = 6 * 3_600_000  # until a series on hold is looked at again

_job, _source, _part = merge_job.c, merge_source.c, publish_part.c


def consider(connection: sa.Connection, phi_series_id: int, rule: Rule, now_ms: int) -> None:
    """Note a series of which a part is published, where its small parts are many enough by now."""
    if not rule.parts:
        return
    small = sa.select(sa.func.count()).where(
        _part.phi_series_id == phi_series_id,
        _part.state == PartState.PUBLISHED.value,
        _part.raw_bytes < rule.below_bytes,
    )
    if (connection.scalar(small) or 0) < max(rule.parts, 2):
        return
    due_ms = now_ms + rule.quiet_ms
    row = {"phi_series_id": phi_series_id, "due_ms": due_ms, "step": Step.WAITING.value, "attempts": 0}
    connection.execute(insert_ignoring(connection, merge_job), row)
    waits = sa.and_(_job.phi_series_id == phi_series_id, _job.record_key.is_(None), _job.due_ms < due_ms)
    connection.execute(sa.update(merge_job).where(waits).values(due_ms=due_ms))


def claim(connection: sa.Connection, owner: str, rule: Rule, now_ms: int, lease_ms: int) -> Merge | None:
    """Take the merge that is due longest under a lease, choosing its parts; None where there is none."""
    while (row := _next(connection, now_ms)) is not None:
        series, key = row.phi_series_id, row.record_key
        sources = () if key is None else _still_there(connection, series)
        if not sources:
            _unchoose(connection, series)
            key, sources, again_ms = _chosen(connection, series, rule, now_ms)
            if again_ms is not None:
                _rest(connection, series, again_ms)
                continue
        if not sources:
            connection.execute(sa.delete(merge_job).where(_job.phi_series_id == series))
            continue
        died = (
            {"last_error": f"its worker ended, or was too slow, while {row.step}"} if row.lease_owner else {}
        )
        connection.execute(
            sa.update(merge_job)
            .where(_job.phi_series_id == series)
            .values(
                record_key=key,
                lease_owner=owner,
                lease_until_ms=now_ms + lease_ms,
                due_ms=now_ms + retry_after_ms(row.attempts + 1),  # should it take the worker down
                attempts=row.attempts + 1,
                step=Step.PACKING.value,
                **died,
            )
        )
        return Merge(series, RecordKey(key), sources, row.attempts + 1)
    return None


def renew(
    connection: sa.Connection, merge: Merge, owner: str, until_ms: int, step: Step | None = None
) -> bool:
    """Keep the lease for longer; False where somebody else has the merge now."""
    values: dict[str, object] = {"lease_until_ms": until_ms}
    if step is not None:
        values["step"] = step.value
    return connection.execute(sa.update(merge_job).where(_held(merge, owner)).values(**values)).rowcount == 1


def failed(connection: sa.Connection, merge: Merge, owner: str, now_ms: int, failure: Failure) -> None:
    """Give a merge back after an attempt that failed; it rests, the longer the more often it did."""
    gone = connection.execute(
        sa.update(merge_job)
        .where(_held(merge, owner))
        .values(
            lease_owner=None,
            lease_until_ms=None,
            step=Step.WAITING.value,
            due_ms=now_ms + retry_after_ms(merge.attempts),
            last_error=failure.words,
        )
    ).rowcount
    if gone and failure.anew:
        _unchoose(connection, merge.phi_series_id)


def give_up(connection: sa.Connection, merge: Merge, owner: str) -> None:
    """Forget a series whose parts cannot be merged, until another part of it is published."""
    if connection.execute(sa.delete(merge_job).where(_held(merge, owner))).rowcount:
        connection.execute(sa.delete(merge_source).where(_source.phi_series_id == merge.phi_series_id))


def finished(connection: sa.Connection, merge: Merge, owner: str, now_ms: int) -> bool:
    """Note what took the place of what, in the transaction that does it; False where the lease was lost.

    The series is looked at once more: it may have more to merge.
    """
    done = (
        sa.update(merge_job)
        .where(_held(merge, owner))
        .values(
            record_key=None,
            lease_owner=None,
            lease_until_ms=None,
            step=Step.WAITING.value,
            due_ms=now_ms,
            attempts=0,
            last_error=None,
        )
    )
    if connection.execute(done).rowcount != 1:
        return False
    connection.execute(sa.delete(merge_source).where(_source.phi_series_id == merge.phi_series_id))
    note_merged(connection, merge.sources, merge.record_key, now_ms)
    return True


def note_merged(connection: sa.Connection, record_keys: Sequence[str], into_key: str, now_ms: int) -> None:
    """Note that one part took the place of others; what is noted already stays."""
    rows = [{"record_key": key, "into_key": into_key, "at_ms": now_ms} for key in record_keys]
    for some in in_lists(rows):
        connection.execute(insert_ignoring(connection, merged_part), some)


def _next(connection: sa.Connection, now_ms: int) -> Any:  # noqa: ANN401 (a row of the statement, or None)
    return connection.execute(
        sa.select(_job.phi_series_id, _job.record_key, _job.lease_owner, _job.step, _job.attempts)
        .where(_job.due_ms <= now_ms, sa.or_(_job.lease_until_ms.is_(None), _job.lease_until_ms < now_ms))
        .order_by(_job.due_ms, _job.phi_series_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()


def _still_there(connection: sa.Connection, phi_series_id: int) -> tuple[str, ...]:
    """Return the parts that were chosen, in the order they were planned; none where one of them is gone."""
    chosen = sa.select(_source.record_key).where(_source.phi_series_id == phi_series_id)
    there = connection.scalars(
        sa.select(_part.record_key)
        .where(_part.record_key.in_(chosen), _part.state == PartState.PUBLISHED.value)
        .order_by(_part.planned_ms, _part.record_key)
    ).all()
    count = connection.scalar(sa.select(sa.func.count()).select_from(chosen.subquery()))
    return tuple(there) if len(there) == count else ()


def _unchoose(connection: sa.Connection, phi_series_id: int) -> None:
    connection.execute(
        sa.update(merge_job).where(_job.phi_series_id == phi_series_id).values(record_key=None)
    )
    connection.execute(sa.delete(merge_source).where(_source.phi_series_id == phi_series_id))


def _rest(connection: sa.Connection, phi_series_id: int, until_ms: int) -> None:
    connection.execute(
        sa.update(merge_job)
        .where(_job.phi_series_id == phi_series_id)
        .values(due_ms=until_ms, lease_owner=None, lease_until_ms=None, step=Step.WAITING.value)
    )


def _chosen(
    connection: sa.Connection, phi_series_id: int, rule: Rule, now_ms: int
) -> tuple[str | None, tuple[str, ...], int | None]:
    """Choose parts and draw the key of their record; or return until when the series is to rest."""
    series = PHI.series.c
    keys = (series.patient_key, series.study_key, series.series_key)
    row = connection.execute(sa.select(*keys).where(series.id == phi_series_id)).one_or_none()
    if row is None:
        return None, (), None
    if any(each.covers(*row) for each in holds.every(connection, [row.patient_key])):
        return None, (), now_ms + _HELD_MS
    parts = choose(_small_parts(connection, phi_series_id), rule)
    if not parts:
        return None, (), None
    quiet_ms = max(part.published_ms for part in parts) + rule.quiet_ms
    if quiet_ms > now_ms:
        return None, (), quiet_ms
    key = f"{row.series_key}.{secrets.token_hex(_KEY_BYTES)}"
    sources = tuple(part.record_key for part in parts)
    rows = [{"record_key": each, "phi_series_id": phi_series_id} for each in sources]
    connection.execute(sa.insert(merge_source), rows)
    return key, sources, None


def _small_parts(connection: sa.Connection, phi_series_id: int) -> list[SmallPart]:
    """Return the published parts of a series whose every instance has its original."""
    instance = PHI.instance.c
    rows = connection.execute(
        sa.select(
            _part.record_key,
            _part.raw_bytes,
            _part.planned_ms,
            _part.published_ms,
            sa.func.sum(instance.size_bytes).label("length"),
            sa.func.count(instance.withheld_reason).label("withheld"),
        )
        .join(PHI.instance, instance.record_key == _part.record_key)
        .where(_part.phi_series_id == phi_series_id, _part.state == PartState.PUBLISHED.value)
        .group_by(_part.record_key, _part.raw_bytes, _part.planned_ms, _part.published_ms)
    ).all()
    return [
        SmallPart(
            row.record_key, _is_decided(row.raw_bytes), int(row.length), row.planned_ms, row.published_ms
        )
        for row in rows
        # What was withdrawn of a decided part waits for a reviewer where it is.
        if not (_is_decided(row.raw_bytes) and row.withheld) and places_in(connection, [row.record_key])
    ]


def _is_decided(raw_bytes: int) -> bool:
    """Whether a part is of instances that had been sealed whole: its originals were counted there."""
    return raw_bytes == 0


def _held(merge: Merge, owner: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        _job.phi_series_id == merge.phi_series_id,
        _job.record_key == merge.record_key,
        _job.lease_owner == owner,
        _job.attempts == merge.attempts,
    )
