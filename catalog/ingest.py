"""Received instances to rows of originals, in batches, within the caller's transaction.

The unique SOP Instance UID decides, between gateways too, which bytes are the instance: the first. The same
bytes again are a duplicate; other bytes are kept as a conflict until an operator chooses, and never served.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from catalog.callers import Assertions
from catalog.contributors import PublisherGrant, ensure_contributors
from catalog.extract import Attributes
from catalog.rows import Entry, write
from catalog.sql import OneOf, Statements, insert_ignoring, json_list
from catalog.tables import PHI, conflict


@dataclass(frozen=True, slots=True)
class Received:
    """One instance as it arrived; the keys are its pseudonyms, `location` says where its bytes lie."""

    attributes: Attributes = field(repr=False)
    contributor: Assertions
    facility: str
    patient_key: str
    study_key: str
    series_key: str
    instance_key: str
    sha256: bytes = field(repr=False)
    size_bytes: int
    transfer_syntax: str
    location: str
    received_ms: int

    @property
    def sop_instance_uid(self) -> str:
        """The original SOP Instance UID."""
        return self.attributes.sop_instance_uid


@dataclass(frozen=True, slots=True)
class New:
    """The instance was not known; its rows are these."""

    phi_instance_id: int
    phi_series_id: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same bytes lie there already; nothing was written."""

    phi_instance_id: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Other bytes lie there under the same SOP Instance UID; these are kept aside."""

    conflict_id: int


Outcome = New | Duplicate | Conflict

_FIRST_COME = PublisherGrant()


def ingest(
    connection: Connection, batch: Sequence[Received], grant: PublisherGrant = _FIRST_COME
) -> list[Outcome]:
    """Write a batch and return what became of each instance, in order.

    The commit of the caller's transaction is what makes the instances findable; nothing is left of a
    transaction that is rolled back, and the same batch may then come again.
    """
    if not batch:
        return []
    now_ms = max(each.received_ms for each in batch)
    contributions = {(each.facility, each.contributor) for each in batch}
    contributors = ensure_contributors(connection, contributions, grant, now_ms)
    ids = [contributors[each.facility, each.contributor] for each in batch]
    known = _known(connection, batch)
    first: dict[str, int] = {}
    for index, each in enumerate(batch):
        if each.sop_instance_uid not in known:
            first.setdefault(each.sop_instance_uid, index)
    entries = [_entry(batch[index], ids[index]) for index in first.values()]
    written = dict(zip(first.values(), write(connection, PHI, entries) if entries else [], strict=True))
    outcomes: dict[int, Outcome] = {
        index: New(done.instance_id, done.series_id) for index, done in written.items() if done is not None
    }
    rest = [index for index in range(len(batch)) if index not in outcomes]
    known = _known(connection, [batch[index] for index in rest]) if rest else {}
    for index in rest:
        row_id, sha256 = known[batch[index].sop_instance_uid]
        if sha256 == batch[index].sha256:
            outcomes[index] = Duplicate(row_id)
        else:
            outcomes[index] = Conflict(_keep_aside(connection, batch[index], ids[index]))
    return [outcomes[index] for index in range(len(batch))]


def _entry(each: Received, contributor_id: int) -> Entry:
    return Entry(
        contributor_id=contributor_id,
        patient_key=each.patient_key,
        study_key=each.study_key,
        series_key=each.series_key,
        instance_key=each.instance_key,
        attributes=each.attributes,
        extra={
            "transfer_syntax": each.transfer_syntax,
            "size_bytes": each.size_bytes,
            "sha256": each.sha256,
            "received_ms": each.received_ms,
            "location": each.location,
        },
    )


def _known(connection: Connection, batch: Sequence[Received]) -> dict[str, tuple[int, bytes]]:
    lookup = _STATEMENTS.get(connection, "known", _by_uid)
    found = lookup.run(connection, {"uids": json_list(each.sop_instance_uid for each in batch)})
    return {row.sop_instance_uid: (row.id, bytes(row.sha256)) for row in found}


_STATEMENTS = Statements(4)


def _by_uid() -> Select[Any]:
    columns = PHI.instance.c
    return select(columns.sop_instance_uid, columns.id, columns.sha256).where(
        OneOf(columns.sop_instance_uid, bindparam("uids"))
    )


def _keep_aside(connection: Connection, each: Received, contributor_id: int) -> int:
    """Write the conflict, once for the same bytes however often they come."""
    columns = conflict.c
    row = {
        "sop_instance_uid": each.sop_instance_uid,
        "sha256": each.sha256,
        "contributor_id": contributor_id,
        "transfer_syntax": each.transfer_syntax,
        "size_bytes": each.size_bytes,
        "received_ms": each.received_ms,
        "location": each.location,
    }
    connection.execute(insert_ignoring(connection, conflict), row)
    found = select(columns.id).where(
        columns.sop_instance_uid == each.sop_instance_uid, columns.sha256 == each.sha256
    )
    return int(connection.execute(found).scalar_one())
