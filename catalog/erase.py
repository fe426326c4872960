"""Taking the originals of a patient out of the catalog; the de-identified rows stay, and are found by all.

Run inside the transaction that also takes the rest of the patient's originals away: its commit is the commit
point of an erasure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, exists, func, select, update

from catalog import links
from catalog.callers import Right
from catalog.remove import recount
from catalog.tables import DEID, PHI, conflict, grants


@dataclass(frozen=True, slots=True)
class Originals:
    """How many original rows there are of a patient, over all contributors."""

    studies: int = 0
    series: int = 0
    instances: int = 0


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: instances by id, the series that are gone and those that stay, and the records behind."""

    counts: Originals
    instances: tuple[int, ...]
    series_gone: tuple[int, ...]
    series_left: tuple[int, ...]
    record_keys: tuple[str, ...]


def patients_named(connection: Connection, pseudonym: str) -> set[str]:
    """Return the patient keys a pseudonym means: the published Patient ID, or the key itself."""
    published = select(DEID.patient.c.patient_key).where(DEID.patient.c.patient_id == pseudonym)
    found = set(connection.scalars(published))
    for family in (PHI, DEID):
        own = select(family.patient.c.patient_key).where(family.patient.c.patient_key == pseudonym)
        found.update(connection.scalars(own))
    return found


def issuers_of(connection: Connection, patient_id: str) -> dict[str, str]:
    """Return issuer by patient key of everybody who has this original Patient ID."""
    table = PHI.patient.c
    rows = select(table.patient_key, table.issuer_of_patient_id).where(table.patient_id == patient_id)
    return {row.patient_key: row.issuer_of_patient_id for row in connection.execute(rows)}


def count_originals(connection: Connection, patient_key: str) -> Originals:
    """Count what is there."""
    return _counted(connection, patient_key, _of(patient_key))


def latest_received_ms(connection: Connection, patient_key: str) -> int:
    """Return when the last original of a patient came; 0 where there is none."""
    latest = select(func.coalesce(func.max(PHI.instance.c.received_ms), 0)).where(_of(patient_key))
    return int(connection.execute(latest).scalar_one())


def originals_of(patient_key: str, until_ms: int) -> Select[tuple[str]]:
    """Select the SOP Instance UIDs of what was received of a patient until then."""
    return select(PHI.instance.c.sop_instance_uid).where(
        _of(patient_key), PHI.instance.c.received_ms <= until_ms
    )


def erase_originals(connection: Connection, patient_key: str, until_ms: int) -> Erased:
    """Delete the original rows, at all levels, of what was received of a patient until then.

    Rows above are locked first, from the patient downwards as writers take them, so that nothing is added
    beneath a row that goes.
    """
    _lock(connection, patient_key)
    doomed = and_(_of(patient_key), PHI.instance.c.received_ms <= until_ms)
    counts = _counted(connection, patient_key, doomed)
    instance = PHI.instance.c
    gone = connection.execute(
        delete(PHI.instance).where(doomed).returning(instance.id, instance.series_row, instance.record_key)
    ).all()
    touched = {row.series_row for row in gone}
    series_gone = set(_drop_empty(connection, PHI.series, PHI.instance.c.series_row, patient_key))
    _drop_empty(connection, PHI.study, PHI.series.c.study_row, patient_key)
    _forget_patients(connection, patient_key)
    left = sorted(touched - series_gone)
    for series_row in left:
        recount(connection, PHI, series_row)
    return Erased(
        counts=counts,
        instances=tuple(sorted(row.id for row in gone)),
        series_gone=tuple(sorted(series_gone)),
        series_left=tuple(left),
        record_keys=tuple(sorted({row.record_key for row in gone if row.record_key})),
    )


def forget_conflict(connection: Connection, sop_instance_uid: str, sha256: bytes) -> None:
    """Delete the row of bytes that were held apart."""
    connection.execute(
        delete(conflict).where(conflict.c.sop_instance_uid == sop_instance_uid, conflict.c.sha256 == sha256)
    )


def withdraw_originals(connection: Connection, patient_key: str) -> int:
    """Take originals out of every grant that names the patient; returns how many did give them.

    What such a grant says of the de-identified form stays, and so does every denial: that a patient's
    originals are gone must not open what was closed; therefore links stay, too. Free text may name somebody
    and goes.
    """
    links.forget_reasons(connection, patient_key)
    named = grants.c.patient_key == patient_key
    connection.execute(update(grants).where(named).values(reason="the originals of the patient were erased"))
    allowed = and_(named, grants.c.allow.is_(True), grants.c.may_phi.is_(True))
    count = connection.execute(update(grants).where(allowed).values(may_phi=False)).rowcount
    nothing = [grants.c[f"may_{right.value}"].is_(False) for right in Right]
    connection.execute(delete(grants).where(named, grants.c.allow.is_(True), *nothing))
    return count


def _of(patient_key: str) -> ColumnElement[bool]:
    return PHI.instance.c.series_row.in_(_rows(PHI.series, patient_key))


def _rows(table: Table, patient_key: str) -> Select[tuple[int]]:
    """Select the ids of a patient's rows, by columns that are indexed."""
    if table is PHI.study:
        return select(table.c.id).where(table.c.patient_row.in_(_rows(PHI.patient, patient_key)))
    return select(table.c.id).where(table.c.patient_key == patient_key)


def _lock(connection: Connection, patient_key: str) -> None:
    for table in (PHI.patient, PHI.study, PHI.series):
        rows = _rows(table, patient_key).order_by(table.c.id).with_for_update()
        connection.execute(rows).all()


def _counted(connection: Connection, patient_key: str, which: ColumnElement[bool]) -> Originals:
    series = PHI.series
    row = connection.execute(
        select(
            func.count(series.c.study_row.distinct()).label("studies"),
            func.count(series.c.id.distinct()).label("series"),
            func.count().label("instances"),
        )
        .select_from(PHI.instance.join(series, series.c.id == PHI.instance.c.series_row))
        .where(series.c.patient_key == patient_key, which)
    ).one()
    return Originals(**row._asdict())


def _drop_empty(
    connection: Connection, table: Table, above: ColumnElement[int], patient_key: str
) -> Sequence[int]:
    """Delete the patient's rows of a table that no row points to as the one above; returns their ids."""
    used = exists().where(above == table.c.id)
    empty = delete(table).where(table.c.id.in_(_rows(table, patient_key)), ~used)
    return connection.scalars(empty.returning(table.c.id)).all()


def _forget_patients(connection: Connection, patient_key: str) -> None:
    empty = ~exists().where(PHI.study.c.patient_row == PHI.patient.c.id)
    going = select(PHI.patient.c.id).where(PHI.patient.c.patient_key == patient_key, empty)
    connection.execute(delete(PHI.name_word).where(PHI.name_word.c.patient_row.in_(going)))
    connection.execute(delete(PHI.patient).where(PHI.patient.c.id.in_(going)))
