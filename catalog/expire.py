"""Taking instances out of both families for good, rows above that nothing is left under included.

Run inside the caller's transaction. Rows of grants, links and the trail stay: they hold keys alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, or_, select

from catalog.remove import recount
from catalog.tables import DEID, FAMILIES, PHI, Family, conflict


@dataclass(frozen=True, slots=True)
class Expired:
    """What went: originals by row, de-identified forms, bytes of originals, series of theirs, records."""

    originals: tuple[int, ...]
    forms: int
    size_bytes: int
    series_gone: tuple[int, ...]
    series_left: tuple[int, ...]
    record_keys: tuple[str, ...]


def expire_series(connection: Connection, series_row: int, family: Family) -> Expired:
    """Remove a series of one contributor, both of its families; the row is one of `family`."""
    keys = ("series_key", "study_key", "patient_key", "contributor_id")
    own = family.series
    row = connection.execute(select(*(own.c[name] for name in keys)).where(own.c.id == series_row)).one()
    doomed = {
        each.series.name: select(each.series.c.id).where(
            *(each.series.c[name] == value for name, value in zip(keys, row, strict=True))
        )
        for each in FAMILIES
    }
    return _expire(
        connection,
        {each.original: each.instance.c.series_row.in_(doomed[each.series.name]) for each in FAMILIES},
    )


def expire_records(connection: Connection, record_keys: Sequence[str]) -> Expired:
    """Remove all instances that lie in some records."""
    return _expire(
        connection, {each.original: each.instance.c.record_key.in_(record_keys) for each in FAMILIES}
    )


def used_records(connection: Connection, record_keys: Iterable[str]) -> set[str]:
    """Return which of these records some instance still lies in."""
    wanted = sorted(record_keys)
    found: set[str] = set()
    for family in FAMILIES:
        key = family.instance.c.record_key
        found.update(connection.scalars(select(key).where(key.in_(wanted)).distinct()))
    return found


def _expire(connection: Connection, doomed: dict[bool, ColumnElement[bool]]) -> Expired:
    instance = PHI.instance.c
    gone = connection.execute(
        delete(PHI.instance)
        .where(doomed[True])
        .returning(
            instance.id,
            instance.series_row,
            instance.record_key,
            instance.size_bytes,
            instance.sop_instance_uid,
        )
    ).all()
    connection.execute(
        delete(conflict).where(conflict.c.sop_instance_uid.in_([row.sop_instance_uid for row in gone]))
    )
    form = DEID.instance.c
    forms = connection.execute(
        delete(DEID.instance).where(doomed[False]).returning(form.series_row, form.record_key)
    ).all()
    phi_series = {row.series_row for row in gone}
    series_gone = _clear_above(connection, PHI, phi_series)
    _clear_above(connection, DEID, {row.series_row for row in forms})
    records = {row.record_key for row in (*gone, *forms) if row.record_key}
    return Expired(
        originals=tuple(sorted(row.id for row in gone)),
        forms=len(forms),
        size_bytes=sum(row.size_bytes for row in gone),
        series_gone=tuple(sorted(series_gone)),
        series_left=tuple(sorted(phi_series - series_gone)),
        record_keys=tuple(sorted(records)),
    )


def _clear_above(connection: Connection, family: Family, series_rows: set[int]) -> set[int]:
    """Count anew above what went, then drop what is empty; returns the series that are gone."""
    for series_row in sorted(series_rows):
        recount(connection, family, series_row)
    studies = _above(connection, family.series, family.series.c.study_row, series_rows)
    patients = _above(connection, family.study, family.study.c.patient_row, studies)
    gone = _drop_empty(connection, family.series, family.instance.c.series_row, series_rows)
    _drop_empty(connection, family.study, family.series.c.study_row, studies)
    used = exists().where(family.study.c.patient_row == family.patient.c.id)
    empty = select(family.patient.c.id).where(family.patient.c.id.in_(sorted(patients)), ~used)
    going = connection.scalars(empty).all()
    connection.execute(delete(family.name_word).where(family.name_word.c.patient_row.in_(going)))
    connection.execute(delete(family.patient).where(or_(family.patient.c.id.in_(going))))
    return gone


def _above(connection: Connection, table: Table, above: ColumnElement[int], rows: set[int]) -> set[int]:
    return set(connection.scalars(select(above).where(table.c.id.in_(sorted(rows)))))


def _drop_empty(connection: Connection, table: Table, above: ColumnElement[int], rows: set[int]) -> set[int]:
    used = exists().where(above == table.c.id)
    empty = delete(table).where(table.c.id.in_(sorted(rows)), ~used).returning(table.c.id)
    return set(connection.scalars(empty))
