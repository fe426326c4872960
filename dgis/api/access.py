"""Who may what at `/api`: numbers for everybody who is somebody, the rest for who administers the grid."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from catalog import grants, links
from catalog.callers import Caller, Right
from catalog.decision import Granted, Subject, decide
from catalog.grants import What
from catalog.tables import PHI, contributor
from dgis.web.problems import Problem

EVERYTHING = What()


def administers(connection: sa.Connection, caller: Caller, now_ms: int) -> bool:
    """Whether a caller administers the grid: its ceiling has the right, and a grant gives it on everything.

    Who administers a patient, a facility or a contributor does not administer the grid. A denial on
    everything wins, as anywhere.
    """
    if Right.ADMINISTER not in caller.may:
        return False
    speaking = [
        grant
        for grant in grants.held_by(connection, caller.assertions)
        if grant.holds_at(now_ms) and Right.ADMINISTER in grant.may and grant.what == EVERYTHING
    ]
    return bool(speaking) and all(grant.allow for grant in speaking)


@dataclass(frozen=True, slots=True)
class Access:
    """Decides for the routes of one door."""

    engine: sa.Engine
    clock_ms: Callable[[], int]

    def administers(self, caller: Caller) -> bool:
        """Whether a caller administers the grid now."""
        if Right.ADMINISTER not in caller.may:
            return False
        with self.reading() as connection:
            return administers(connection, caller, self.clock_ms())

    def demand(self, caller: Caller) -> None:
        """Let only administrators pass.

        Raises:
            Problem: 403.
        """
        if not self.administers(caller):
            raise Problem(403, "not_administrator", "only who administers the grid may have that")

    def reading(self) -> sa.Connection:
        """Connect for reading."""
        return self.engine.execution_options(read_only=True).connect()


def findable(
    connection: sa.Connection, caller: Caller, rows: Iterable[tuple[int, dict[str, Any]]], now_ms: int
) -> list[tuple[int, dict[str, Any]]]:
    """Return of a page of series those that a caller may find, by the one decision.

    A series of which nothing is published exists for who may see its originals alone.
    """
    page = list(rows)
    held = grants.held_by(connection, caller.assertions)
    follows = any(grant.what.linked for grant in held)
    subjects = _subjects(connection, [number for number, _told in page], follows=follows)
    found = []
    for number, told in page:
        subject = subjects.get(number)
        rights = frozenset({Right.FIND} if told["parts_published"] else {Right.FIND, Right.PHI})
        if subject and isinstance(decide(caller, rights, subject, held, now_ms), Granted):
            found.append((number, told))
    return found


def _subjects(connection: sa.Connection, numbers: list[int], *, follows: bool) -> dict[int, Subject]:
    series = PHI.series.c
    rows = connection.execute(
        sa.select(
            series.id,
            contributor.c.facility,
            series.contributor_id,
            series.patient_key,
            series.study_key,
            series.series_key,
        )
        .join(contributor, contributor.c.id == series.contributor_id)
        .where(series.id.in_(numbers))
    )
    found = rows.all()
    patients = {row.patient_key for row in found} if follows else set()
    linked = {patient: links.linked_with(connection, patient) for patient in patients}
    return {
        row.id: Subject(
            row.facility,
            row.contributor_id,
            row.patient_key,
            row.study_key,
            row.series_key,
            linked.get(row.patient_key, frozenset()),
        )
        for row in found
    }
