"""What those concerned may retrieve of the originals that are named: the decision of a retrieve, no other.

What is not there and what is not for them look alike: by the answer, and by the statements that are run.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from catalog.callers import Caller
from catalog.query import Key, Level, Query, Root
from catalog.retrieve import InstanceRef, instances
from catalog.tables import PHI
from dgis.cache.sql import in_lists
from dgis.commitment.values import Known
from dgis.tables import cache_conflict


def visible(
    connection: sa.Connection, uids: Iterable[str], callers: Sequence[Caller], now_ms: int
) -> dict[str, InstanceRef]:
    """Return the originals that all of `callers` (one, or requestor and destination) may retrieve, by UID.

    A pseudonym names no original.
    """
    caller, *others = callers
    found: dict[str, InstanceRef] = {}
    for some in in_lists(sorted(set(uids))):
        query = Query(Root.STUDY, Level.IMAGE, (Key("SOPInstanceUID", tuple(some)),), relational=True)
        refs = instances(connection, query, caller, others[0] if others else None, now_ms)
        found |= {ref.sop_instance_uid: ref for ref in refs if ref.original}
    return found


def look(connection: sa.Connection, uids: Iterable[str], caller: Caller, now_ms: int) -> dict[str, Known]:
    """Return what is known of the originals that a caller may retrieve, by UID."""
    refs = visible(connection, uids, [caller], now_ms)
    ids = [ref.phi_instance_id for ref in refs.values() if ref.phi_instance_id is not None]
    rows = _rows(connection, ids)
    disputed = _disputed(connection, sorted(refs))
    return {
        uid: _known(ref, rows[ref.phi_instance_id], disputed=uid in disputed)
        for uid, ref in refs.items()
        if ref.phi_instance_id in rows
    }


def _known(ref: InstanceRef, row: sa.Row[Any], *, disputed: bool) -> Known:
    return Known(
        phi_instance_id=row.id,
        sop_class_uid=ref.sop_class_uid,
        instance_key=row.instance_key,
        patient_key=ref.patient_key,
        study_key=ref.study_key,
        record_key=ref.record_key,
        position=ref.position,
        withheld=row.withheld_reason is not None,
        disputed=disputed,
        sha256=bytes(row.sha256),
    )


def _rows(connection: sa.Connection, ids: Sequence[int]) -> dict[int, sa.Row[Any]]:
    columns = PHI.instance.c
    found: dict[int, sa.Row[Any]] = {}
    for some in in_lists(ids):
        said = sa.select(columns.id, columns.instance_key, columns.withheld_reason, columns.sha256)
        found |= {row.id: row for row in connection.execute(said.where(columns.id.in_(some)))}
    return found


def _disputed(connection: sa.Connection, uids: Sequence[str]) -> set[str]:
    """Return the UIDs under which other bytes lie in some cache: whose they are is an operator's to say."""
    columns = cache_conflict.c
    found: set[str] = set()
    for some in in_lists(uids):
        said = sa.select(columns.sop_instance_uid).where(
            columns.sop_instance_uid.in_(some), columns.resolved_ms.is_(None)
        )
        found.update(connection.scalars(said))
    return found
