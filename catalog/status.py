"""How much there is, in numbers that say nothing of anybody: for `dgis status`."""

from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from catalog.tables import DEID, PHI, conflict


@dataclass(frozen=True, slots=True)
class CatalogStatus:
    """Counts over the whole catalog; `pending` instances are received but in no record yet."""

    patients: int
    studies: int
    series: int
    received: int
    pending: int
    pending_series: int
    published: int
    published_series: int
    withheld: int
    conflicts: int


def status(connection: Connection) -> CatalogStatus:
    """Count received, pending, published, withheld and conflicting instances.

    Totals are summed from the counts kept in the series rows, the rest read from partial indexes.
    """
    original, released = PHI.series.c, DEID.series.c
    instance = PHI.instance.c
    series, received = connection.execute(
        select(func.count(), func.coalesce(func.sum(original.instance_count), 0)).where(
            original.instance_count > 0
        )
    ).one()
    published_series, published = connection.execute(
        select(func.count(), func.coalesce(func.sum(released.instance_count), 0)).where(
            released.instance_count > 0
        )
    ).one()
    pending, pending_series = connection.execute(
        select(func.count(), func.count(instance.series_row.distinct())).where(instance.record_key.is_(None))
    ).one()
    withheld = select(func.count()).where(instance.withheld_reason.is_not(None))
    return CatalogStatus(
        patients=_count(connection, select(func.count(PHI.patient.c.patient_key.distinct()))),
        studies=_count(connection, select(func.count()).where(PHI.study.c.instance_count > 0)),
        series=series,
        received=int(received),
        pending=pending,
        pending_series=pending_series,
        published=int(published),
        published_series=published_series,
        withheld=_count(connection, withheld),
        conflicts=_count(connection, select(func.count()).where(conflict.c.resolved_ms.is_(None))),
    )


def _count(connection: Connection, statement: Select[int]) -> int:
    return int(connection.execute(statement).scalar_one())
