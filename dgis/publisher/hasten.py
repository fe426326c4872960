"""Publishing at once what would wait until its series is quiet, or until a failed attempt has rested."""

import sqlalchemy as sa

from catalog.tables import PHI
from dgis.cache.publish_queue import State
from dgis.publisher.tables import publish_part
from dgis.publisher.values import UNFINISHED
from dgis.tables import publish_job


def hasten(connection: sa.Connection, gateway_id: str, series_key: str, now_ms: int) -> bool:
    """Make a series due now, in the caller's transaction; False: nothing of it waits in this gateway.

    Images that come later make another part, as ever.
    """
    series = sa.select(PHI.series.c.id).where(PHI.series.c.series_key == series_key)
    job, part = publish_job.c, publish_part.c
    waits = (
        sa.update(publish_job)
        .where(
            job.gateway_id == gateway_id,
            job.phi_series_id.in_(series),
            job.state != State.PUBLISHED.value,
            job.pending_instances > 0,
        )
        .values(due_ms=sa.case((job.due_ms > now_ms, now_ms), else_=job.due_ms))
    )
    rests = (
        sa.update(publish_part)
        .where(
            part.gateway_id == gateway_id,
            part.phi_series_id.in_(series),
            part.state.in_(UNFINISHED),
            part.not_before_ms > now_ms,
        )
        .values(not_before_ms=now_ms)
    )
    found = connection.execute(waits).rowcount + connection.execute(rests).rowcount
    return bool(found)
