"""From the UID that is asked for to the keys that a row keeps, and back when the job runs."""

import sqlalchemy as sa

from catalog.query import Key, Level, Query, Root
from catalog.release import Asker
from catalog.retrieve import instances
from catalog.tables import DEID, PHI
from dgis.jobs.values import Subject

_STUDY, _SERIES = "StudyInstanceUID", "SeriesInstanceUID"


Uids = tuple[str, str | None]
"""Of a study, and of a series of it or None: originals or pseudonyms."""


def subject_of(connection: sa.Connection, uids: Uids, asker: Asker, now_ms: int) -> Subject | None:
    """Return what UIDs mean to requester and receiver together; None: nothing that both may have."""
    found = instances(connection, _query(*uids), asker.caller, asker.receiver, now_ms)
    first = next(iter(found), None)
    if first is None:
        return None
    series_key = first.series_key if uids[1] is not None else None
    return Subject(first.patient_key, first.study_key, series_key, first.original)


def query_of(connection: sa.Connection, subject: Subject) -> Query | None:
    """Return the query that names a subject; None where it is no more, or erased."""
    family = PHI if subject.original else DEID
    study, series = family.study.c, family.series.c
    wanted = (
        sa.select(study.study_instance_uid, series.series_instance_uid)
        .join(family.series, series.study_row == study.id)
        .where(series.patient_key == subject.patient_key, series.study_key == subject.study_key)
        .order_by(series.id)
        .limit(1)
    )
    if subject.series_key is not None:
        wanted = wanted.where(series.series_key == subject.series_key)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        return None
    return _query(row.study_instance_uid, row.series_instance_uid if subject.series_key else None)


def _query(study_uid: str, series_uid: str | None) -> Query:
    keys = [Key(_STUDY, (study_uid,))]
    if series_uid is None:
        return Query(Root.STUDY, Level.STUDY, tuple(keys))
    return Query(Root.STUDY, Level.SERIES, (*keys, Key(_SERIES, (series_uid,))))
