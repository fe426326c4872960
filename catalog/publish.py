"""The rows of a published part: what makes its instances discoverable in the grid.

Run inside the transaction that also writes the replica rows: its commit is the commit point of publishing.
Before it nothing of the part exists for others; after it the part is found, and may be fetched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from catalog.extract import Attributes
from catalog.rows import Entry, write
from catalog.tables import DEID, PHI


@dataclass(frozen=True, slots=True)
class PublishedInstance:
    """One instance of the part in its de-identified form; `size_bytes` and syntax are of that form."""

    phi_instance_id: int
    position: int
    attributes: Attributes = field(repr=False)
    transfer_syntax: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class WithheldInstance:
    """One instance that is only in the sealed companion, whole; `position` is its place there."""

    phi_instance_id: int
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Part:
    """What lies in one record and its companion.

    A part that was `decided` on is of instances that were withheld, and lie in another record: those it
    publishes move to this one, the others stay withheld where they are.
    """

    record_key: str
    published: Sequence[PublishedInstance]
    withheld: Sequence[WithheldInstance]
    published_ms: int
    decided: bool = False


def publish(connection: Connection, part: Part) -> int:
    """Write the part's rows and return how many instances were not published before.

    Publishing the same part again changes nothing, and an instance that lies in another record already
    stays there: whoever was second has published nothing.
    """
    claimed = _claim(connection, part)
    originals = _originals(connection, claimed)
    entries = [
        _entry(part, each, originals[each.phi_instance_id])
        for each in part.published
        if each.phi_instance_id in claimed
    ]
    if entries:
        write(connection, DEID, entries)
    return len(claimed)


def _claim(connection: Connection, part: Part) -> set[int]:
    """Point the original rows that no record holds yet, or that wait for a decision, into this one."""
    columns = PHI.instance.c
    places: dict[int, tuple[int, str | None]]
    places = {each.phi_instance_id: (each.position, None) for each in part.published}
    if not part.decided:
        places |= {each.phi_instance_id: (each.position, each.reason) for each in part.withheld}
    takes = columns.withheld_reason.is_not(None) if part.decided else columns.record_key.is_(None)
    if not places:
        return set()
    free = (
        select(columns.id)
        .where(columns.id.in_(sorted(places)), takes)
        .order_by(columns.id)
        .with_for_update(key_share=True)
    )
    claimed = set(connection.execute(free).scalars())
    pointers = [{"row": row, "at": places[row][0], "why": places[row][1]} for row in sorted(claimed)]
    if pointers:
        statement = (
            update(PHI.instance)
            .where(columns.id == bindparam("row"))
            .values(record_key=part.record_key, position=bindparam("at"), withheld_reason=bindparam("why"))
        )
        connection.execute(statement, pointers)
    return claimed


def _originals(connection: Connection, instances: set[int]) -> dict[int, RowMapping]:
    """Return contributor and keys of original instances; the de-identified rows bear the same."""
    instance, series = PHI.instance.c, PHI.series.c
    statement = (
        select(
            instance.id,
            instance.instance_key,
            series.contributor_id,
            series.patient_key,
            series.study_key,
            series.series_key,
        )
        .join(PHI.series, series.id == instance.series_row)
        .where(instance.id.in_(sorted(instances)))
    )
    return {row["id"]: row for row in connection.execute(statement).mappings()}


def _entry(part: Part, each: PublishedInstance, original: RowMapping) -> Entry:
    return Entry(
        contributor_id=original["contributor_id"],
        patient_key=original["patient_key"],
        study_key=original["study_key"],
        series_key=original["series_key"],
        instance_key=original["instance_key"],
        attributes=each.attributes,
        extra={
            "transfer_syntax": each.transfer_syntax,
            "size_bytes": each.size_bytes,
            "record_key": part.record_key,
            "position": each.position,
            "published_ms": part.published_ms,
        },
    )
