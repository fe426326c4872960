"""Putting patients, studies and series on hold, and taking that back; the trail keeps both.

A hold and a deletion of one patient exclude each other: both hold the patient's fence until they commit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from catalog.grants import What
from dgis.erasure import fence
from dgis.retention.tables import hold

EVERYBODY: Final = ""
"""In the place of a patient key: a hold on everything there is."""


@dataclass(frozen=True, slots=True)
class Held:
    """One hold: a patient, a study of it, or a series of that, or everything; keys are pseudonyms."""

    id: int
    patient_key: str
    study_key: str | None
    series_key: str | None
    reason: str
    held_by: str
    at_ms: int

    def covers(self, patient_key: str, study_key: str, series_key: str) -> bool:
        """Whether a series may not be deleted by it."""
        return (
            self.patient_key in {EVERYBODY, patient_key}
            and self.study_key in {None, study_key}
            and self.series_key in {None, series_key}
        )


def add(connection: sa.Connection, what: What, reason: str, held_by: str, now_ms: int) -> int:
    """Put a patient, or a study or series of one, on hold, in the caller's transaction; its number."""
    assert what.patient_key is not None, "whoever names a study or series names its patient"
    fence.hold(connection, what.patient_key)
    row = {
        "patient_key": what.patient_key,
        "study_key": what.study_key,
        "series_key": what.series_key,
        "reason": reason,
        "held_by": held_by,
        "at_ms": now_ms,
    }
    return int(connection.execute(sa.insert(hold).values(**row).returning(hold.c.id)).scalar_one())


def hold_everything(connection: sa.Connection, reason: str, held_by: str, now_ms: int) -> None:
    """Put everything on hold, in the caller's transaction."""
    row = {"patient_key": EVERYBODY, "reason": reason, "held_by": held_by, "at_ms": now_ms}
    connection.execute(sa.insert(hold).values(**row))


def end(connection: sa.Connection, hold_id: int) -> Held | None:
    """Take a hold back; returns what it was, None where there is none of that number."""
    gone = sa.delete(hold).where(hold.c.id == hold_id).returning(*hold.c)
    row = connection.execute(gone).mappings().one_or_none()
    return None if row is None else Held(**row)


def every(connection: sa.Connection, patients: Iterable[str] | None = None) -> list[Held]:
    """Return the holds, oldest first; of some patients alone where they are named, and on everything."""
    query = sa.select(hold).order_by(hold.c.id)
    if patients is not None:
        query = query.where(hold.c.patient_key.in_([EVERYBODY, *sorted(patients)]))
    return [Held(**row) for row in connection.execute(query).mappings()]
