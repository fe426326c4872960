"""What operators see of merging: numbers, times and pseudonyms."""

from typing import Any

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.merger.tables import merge_job, merged_part
from replica.tables import replica_object

_job, _object = merge_job.c, replica_object.c


def merges(connection: sa.Connection) -> dict[str, Any]:
    """Count series that wait to be merged, parts that were, and old objects that are not removed yet."""
    waiting, failing, due_ms = connection.execute(
        sa.select(sa.func.count(), sa.func.count(_job.last_error), sa.func.min(_job.due_ms))
    ).one()
    old = sa.select(sa.func.count()).select_from(replica_object).where(_object.superseded_by.is_not(None))
    return {
        "waiting": waiting,
        "failing": failing,
        "due_ms": due_ms,
        "merged_parts": connection.scalar(sa.select(sa.func.count()).select_from(merged_part)) or 0,
        "old_objects": connection.scalar(old) or 0,
    }


def merge_of(connection: sa.Connection, series_key: str) -> dict[str, Any] | None:
    """Return what waits to be merged of a series, by pseudonym; None where nothing does."""
    row = connection.execute(
        sa.select(_job.due_ms, _job.step, _job.attempts, _job.last_error)
        .join(PHI.series, PHI.series.c.id == _job.phi_series_id)
        .where(PHI.series.c.series_key == series_key)
        .order_by(_job.due_ms)
        .limit(1)
    ).one_or_none()
    return None if row is None else row._asdict()
