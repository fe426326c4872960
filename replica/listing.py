"""Where the copies of a record are, good ones and others: for people and scripts."""

from dataclasses import dataclass

import sqlalchemy as sa

from replica.tables import replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey

_object = replica_object.c
_copy = replica_copy.c


@dataclass(frozen=True, slots=True)
class CopyStanding:
    """One copy on one node; times are epoch milliseconds, `last_error` is words."""

    node: str
    state: CopyState
    verified_ms: int | None
    attempts: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ObjectStanding:
    """A record or a sealed companion, and its copies."""

    name: str
    kind: Kind
    size_bytes: int
    sha256: bytes
    committed_ms: int | None
    superseded_ms: int | None
    copies: tuple[CopyStanding, ...]


def objects_of(connection: sa.Connection, record_key: RecordKey) -> list[ObjectStanding]:
    """Return the objects of a record key, the record first, superseded and unfinished ones too."""
    statement = (
        sa.select(
            _object.id,
            _object.name,
            _object.kind,
            _object.size_bytes,
            _object.sha256,
            _object.committed_ms,
            _object.superseded_ms,
            _copy.node,
            _copy.state,
            _copy.verified_ms,
            _copy.attempts,
            _copy.last_error,
        )
        .select_from(replica_object.outerjoin(replica_copy, _copy.object_id == _object.id))
        .where(_object.record_key == record_key)
        .order_by(_object.kind, _object.id, _copy.node)
    )
    rows = connection.execute(statement).all()
    copies: dict[int, list[CopyStanding]] = {}
    for row in rows:
        found = copies.setdefault(row.id, [])
        if row.node is not None:
            state = CopyState(row.state)
            found.append(CopyStanding(row.node, state, row.verified_ms, row.attempts, row.last_error))
    objects = {
        row.id: ObjectStanding(
            name=row.name,
            kind=Kind(row.kind),
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            committed_ms=row.committed_ms,
            superseded_ms=row.superseded_ms,
            copies=tuple(copies[row.id]),
        )
        for row in rows
    }
    return list(objects.values())
