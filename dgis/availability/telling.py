"""What one destination may be told of a series, decided when it leaves; the trail says so first.

Original UIDs go to who may retrieve the originals. Pseudonymous ones go to who may retrieve the de-identified
form and asked to be told of it (`notify_deidentified`), where there are no originals for them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.callers import Caller
from catalog.query import Key, Level, Query, Root
from catalog.release import named
from catalog.retrieve import InstanceRef, instances
from catalog.tables import DEID, PHI, Family
from dgis.dimse.availability import Available
from dgis.dimse.references import Reference
from dgis.dimse.services import Destination


@dataclass(frozen=True, slots=True)
class Listener:
    """A destination that wants to be told; `deidentified`: also of what it may have in that form alone."""

    destination: Destination
    deidentified: bool


def tell(
    connection: sa.Connection, series_key: str, listener: Listener, writer: str, now_ms: int
) -> Available | None:
    """Return what is told, with its entry in the trail, in the caller's transaction; None: nothing is.

    Args:
        connection: in a transaction whose commit comes before the notice leaves.
        series_key: which series.
        listener: who receives.
        writer: of the trail.
        now_ms: the moment of the decision.
    """
    caller = listener.destination.caller
    for family in (PHI, DEID) if listener.deidentified else (PHI,):
        uids = _uids(connection, family, series_key)
        if uids is None:
            continue
        refs = _retrievable(connection, family, uids, caller, now_ms)
        if refs:
            trail.append(connection, writer, [_told(caller, refs)], now_ms)
            told = [Reference(ref.sop_class_uid, ref.sop_instance_uid) for ref in refs]
            return Available(*uids, told)
    return None


def _uids(connection: sa.Connection, family: Family, series_key: str) -> tuple[str, str] | None:
    """Return the UIDs of study and series."""
    row = connection.execute(
        sa.select(family.study.c.study_instance_uid, family.series.c.series_instance_uid)
        .join(family.series, family.series.c.study_row == family.study.c.id)
        .where(family.series.c.series_key == series_key)
        .order_by(family.series.c.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else (row.study_instance_uid, row.series_instance_uid)


def _retrievable(
    connection: sa.Connection, family: Family, uids: tuple[str, str], caller: Caller, now_ms: int
) -> list[InstanceRef]:
    """Return what of a series lies in the grid and may be retrieved by this caller."""
    study, series = uids
    keys = (Key("StudyInstanceUID", (study,)), Key("SeriesInstanceUID", (series,)))
    found = instances(connection, Query(Root.STUDY, Level.SERIES, keys), caller, None, now_ms)
    return [ref for ref in found if ref.original is family.original and ref.record_key is not None]


def _told(caller: Caller, refs: Sequence[InstanceRef]) -> Happening:
    counts = Counter(ref.sop_class_uid for ref in refs)
    patient, study = refs[0].patient_key, refs[0].study_key
    studies: list[Json] = [{"patient": patient, "study": study, "classes": {**counts}}]
    detail: dict[str, Json] = {
        "what": "original" if refs[0].original else "de-identified",
        "studies": studies,
    }
    return Happening(Event.AVAILABILITY, named(caller), patients=(patient,), count=len(refs), detail=detail)
