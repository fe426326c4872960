"""The de-identified form of a published original, by the place that both share in the grid."""

from sqlalchemy import Connection, bindparam, select

from catalog.tables import DEID


def deidentified_uids(connection: Connection, record_key: str, position: int) -> tuple[str, str, str] | None:
    """Return study, series and SOP Instance UID of what lies at a position of a record.

    None where nothing de-identified lies there: the instance is sealed whole. The UIDs are pseudonyms;
    whether a caller may have what they name is for the decision to say.
    """
    study, series, instance = DEID.study, DEID.series, DEID.instance
    statement = (
        select(study.c.study_instance_uid, series.c.series_instance_uid, instance.c.sop_instance_uid)
        .select_from(
            instance.join(series, series.c.id == instance.c.series_row).join(
                study, study.c.id == series.c.study_row
            )
        )
        .where(instance.c.record_key == bindparam("key"), instance.c.position == bindparam("position"))
    )
    row = connection.execute(statement, {"key": record_key, "position": position}).first()
    return None if row is None else (row[0], row[1], row[2])
