"""Taking an instance out of the catalog: its rows of both families go, what counted it is counted anew."""

import json
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select, update

from catalog.tables import DEID, FAMILIES, PHI, Family


def remove_instance(connection: Connection, phi_instance_id: int) -> bool:
    """Remove an original and its de-identified form, in the caller's transaction; False: there is none.

    Rows above that no instance is left under stay, with a count of 0, and are found by nobody.
    """
    key = connection.execute(
        select(PHI.instance.c.instance_key).where(PHI.instance.c.id == phi_instance_id)
    ).scalar_one_or_none()
    if key is None:
        return False
    for family in FAMILIES:
        removed = delete(family.instance).where(family.instance.c.instance_key == key)
        for series_row in connection.execute(removed.returning(family.instance.c.series_row)).scalars().all():
            recount(connection, family, series_row)
    return True


def withdraw_published(connection: Connection, phi_instance_id: int, reason: str) -> bool:
    """Take the de-identified form of an instance out, in the caller's transaction; False: there is none.

    The original stays what it is, for the cleared; for others the instance does not exist any more, as if it
    had been withheld for the reason. What lies on the nodes is not touched.
    """
    key = connection.execute(
        select(PHI.instance.c.instance_key).where(PHI.instance.c.id == phi_instance_id)
    ).scalar_one_or_none()
    removed = delete(DEID.instance).where(DEID.instance.c.instance_key == key)
    rows = connection.execute(removed.returning(DEID.instance.c.series_row)).scalars().all()
    for series_row in rows:
        recount(connection, DEID, series_row)
    if rows:
        withheld = update(PHI.instance).where(PHI.instance.c.id == phi_instance_id)
        connection.execute(withheld.values(withheld_reason=reason))
    return bool(rows)


def recount(connection: Connection, family: Family, series_row: int) -> None:
    """Count anew from the series upwards; each row is locked first, to wait for who adds beneath it."""
    series, study, patient, instance = family.series, family.study, family.patient, family.instance
    _lock(connection, series, series_row)
    classes = select(instance.c.sop_class_uid).where(instance.c.series_row == series_row)
    _set(
        connection,
        series,
        series_row,
        instance_count=_one(connection, select(func.count()).where(instance.c.series_row == series_row)),
        sop_classes=_list(connection.execute(classes.distinct()).scalars()),
    )
    study_row = _one(connection, select(series.c.study_row).where(series.c.id == series_row))
    _lock(connection, study, study_row)
    below = connection.execute(
        select(series.c.instance_count, series.c.modality, series.c.sop_classes).where(
            series.c.study_row == study_row, series.c.instance_count > 0
        )
    ).all()
    _set(
        connection,
        study,
        study_row,
        series_count=len(below),
        instance_count=sum(row.instance_count for row in below),
        modalities=_list(row.modality for row in below),
        sop_classes=_list(each for row in below for each in json.loads(row.sop_classes)),
    )
    patient_row = _one(connection, select(study.c.patient_row).where(study.c.id == study_row))
    _lock(connection, patient, patient_row)
    totals = connection.execute(
        select(
            func.count().label("study_count"),
            func.coalesce(func.sum(study.c.series_count), 0).label("series_count"),
            func.coalesce(func.sum(study.c.instance_count), 0).label("instance_count"),
        ).where(study.c.patient_row == patient_row, study.c.instance_count > 0)
    ).one()
    _set(connection, patient, patient_row, **{name: int(value) for name, value in totals._asdict().items()})


def _lock(connection: Connection, table: Table, row_id: int) -> None:
    connection.execute(select(table.c.id).where(table.c.id == row_id).with_for_update(key_share=True))


def _one(connection: Connection, statement: Any) -> int:  # noqa: ANN401 - any select of one number
    return int(connection.execute(statement).scalar_one())


def _set(connection: Connection, table: Table, row_id: int, **values: int | str) -> None:
    connection.execute(update(table).where(table.c.id == row_id).values(values))


def _list(values: Any) -> str:  # noqa: ANN401 - any iterable of texts
    return json.dumps(sorted({value for value in values if value}), ensure_ascii=False)
