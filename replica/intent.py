"""The life of an object's rows: intended, committed, superseded (by another, or by nothing).

The commit point is the transaction that calls `commit_copies`. A crash before it leaves an intent, its
COPYING rows and perhaps bytes on nodes: nobody reads them, the next attempt finds them equal and goes on,
or the clean worker removes them after a grace time. A crash after it leaves a committed object with at
least the write quorum of verified copies, and `fill_due_ms` set where there should be more.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from replica.rules import Labels
from replica.tables import replica_copy, replica_object
from replica.values import CopyState, NewObject, Stored
from storage_nodes.addresses import Kind
from storage_nodes.names import ObjectName, RecordKey

_object = replica_object.c
_copy = replica_copy.c


class IntentLost(Exception):  # noqa: N818 (reads as what happened)
    """The intent was cleaned away or taken over by another attempt; nothing may be committed: begin anew."""


@dataclass(frozen=True, slots=True)
class Intent:
    """The row of an object that is to be put.

    Attributes:
        held: nodes whose copies are AVAILABLE, where an earlier attempt committed the object; else None.
    """

    object_id: int
    token: str
    held: tuple[str, ...] | None = None


def intend(connection: sa.Connection, new: NewObject, nodes: Iterable[str], now_ms: int) -> Intent | None:
    """Write down that an object is about to be put on `nodes`; None while one of its name is being removed.

    Called in a short transaction of its own before the first byte is put, so that whatever is found on a
    node has a row. An attempt that repeats an earlier one takes its row over: the earlier one can no longer
    commit.
    """
    token = uuid.uuid4().hex
    connection.execute(_insert_or_nothing(connection, new, token, now_ms))
    row = connection.execute(
        sa.select(replica_object).where(_object.name == new.name).with_for_update()
    ).one_or_none()
    if row is None or row.removing_ms is not None:  # none: the cleaner's last step came in between
        return None
    if (
        row.superseded_ms is not None
    ):  # the same bytes are wanted again: begin as if new, reuse what lies there
        connection.execute(
            sa.update(replica_copy)
            .where(_copy.object_id == row.id, _copy.state == CopyState.OBSOLETE)
            .values(state=CopyState.COPYING)
        )
        connection.execute(
            sa.update(replica_object)
            .where(_object.id == row.id)
            .values(committed_ms=None, superseded_ms=None, superseded_by=None)
        )
    elif row.committed_ms is not None:
        return Intent(row.id, row.intent, tuple(connection.scalars(_available(row.id))))
    connection.execute(
        sa.update(replica_object)
        .where(_object.id == row.id)
        .values(intent=token, intended_ms=now_ms, facility=new.labels.facility, modality=new.labels.modality)
    )
    add_copies(connection, row.id, nodes)
    return Intent(row.id, token)


def add_copies(connection: sa.Connection, object_id: int, nodes: Iterable[str]) -> None:
    """Write down that copies are about to be put on `nodes`; those that have a row keep it."""
    have = set(connection.scalars(sa.select(_copy.node).where(_copy.object_id == object_id)))
    rows = [
        {"object_id": object_id, "node": node, "state": CopyState.COPYING}
        for node in nodes
        if node not in have
    ]
    if rows:
        connection.execute(sa.insert(replica_copy), rows)


def commit_copies(connection: sa.Connection, stored: Stored, now_ms: int) -> None:
    """Make an object real, inside the caller's transaction: the commit point is that transaction's commit.

    Copies not in `stored.held` stay COPYING, and the fill worker sees to them.

    Raises:
        IntentLost: the rows are not those of this attempt any more; roll back.
        sqlalchemy.exc.IntegrityError: another object of the same key and kind was committed; roll back.
    """
    row = connection.execute(
        sa.select(replica_object).where(_object.id == stored.object_id).with_for_update()
    ).one_or_none()
    if row is None or row.intent != stored.intent or row.removing_ms is not None:
        raise IntentLost("the object was removed or taken over while it was put")
    if row.superseded_ms is not None:
        raise IntentLost("the object was superseded while it was put")
    if row.committed_ms is not None:
        return
    flipped = connection.execute(
        sa.update(replica_copy)
        .where(_copy.object_id == row.id, _copy.node.in_(stored.held))
        .values(state=CopyState.AVAILABLE, verified_ms=now_ms, last_error=None, attempts=0)
    ).rowcount
    if flipped != len(stored.held):
        raise IntentLost("a copy was removed while others were put")
    fill_due_ms = None if stored.complete else now_ms
    connection.execute(
        sa.update(replica_object)
        .where(_object.id == row.id)
        .values(committed_ms=now_ms, fill_due_ms=fill_due_ms, attempts=0)
    )


def supersede(connection: sa.Connection, record_keys: Iterable[RecordKey], now_ms: int, *kinds: Kind) -> int:
    """Retire the objects of these keys, of all kinds or those named; returns how many.

    Inside the caller's transaction. From its commit on they are not located, nor is what they took the place
    of; the clean worker removes them after a grace time, in which readers that had located them come to an
    end.
    """
    keys = list(record_keys)
    ids = _live(connection, keys, kinds)
    _retire(connection, ids, now_ms, None)
    _forget_predecessors(connection, keys, kinds)
    return len(ids)


def replace(connection: sa.Connection, record_keys: Iterable[RecordKey], by: RecordKey, now_ms: int) -> int:
    """Retire the objects of these keys for those of another, that are committed with it; returns how many.

    Inside the caller's transaction. Whoever holds an old key still locates the old object, until the clean
    worker begins to remove it after the grace time.
    """
    ids = _live(connection, list(record_keys), ())
    # Copies that nobody knows to be good are not read from any more.
    doubtful = (_copy.object_id.in_(ids)) & (_copy.state != CopyState.AVAILABLE)
    connection.execute(sa.update(replica_copy).where(doubtful).values(verified_ms=None))
    _retire(connection, ids, now_ms, by)
    return len(ids)


def _live(connection: sa.Connection, keys: Sequence[RecordKey], kinds: Sequence[Kind]) -> list[int]:
    return list(
        connection.scalars(
            sa.select(_object.id).where(
                _object.record_key.in_(keys),
                _object.kind.in_(kinds or tuple(Kind)),
                _object.committed_ms.is_not(None),
                _object.superseded_ms.is_(None),
            )
        )
    )


def _retire(connection: sa.Connection, ids: Sequence[int], now_ms: int, by: RecordKey | None) -> None:
    connection.execute(
        sa.update(replica_object)
        .where(_object.id.in_(ids))
        .values(superseded_ms=now_ms, superseded_by=by, fill_due_ms=None, move_due_ms=None)
    )
    connection.execute(
        sa.update(replica_copy).where(_copy.object_id.in_(ids)).values(state=CopyState.OBSOLETE)
    )


def _forget_predecessors(connection: sa.Connection, keys: Sequence[RecordKey], kinds: Sequence[Kind]) -> None:
    """Have nobody locate what the objects of these keys took the place of, over any number of steps."""
    while keys:
        mine = _object.superseded_by.in_(keys) & _object.kind.in_(kinds or tuple(Kind))
        found = connection.scalars(sa.select(_object.record_key).where(mine).distinct()).all()
        connection.execute(sa.update(replica_object).where(mine).values(superseded_by=None))
        keys = [RecordKey(key) for key in found]


def _available(object_id: int) -> sa.Select[tuple[str]]:
    return (
        sa.select(_copy.node)
        .where(_copy.object_id == object_id, _copy.state == CopyState.AVAILABLE)
        .order_by(_copy.node)
    )


def _insert_or_nothing(connection: sa.Connection, new: NewObject, token: str, now_ms: int) -> sa.Executable:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return (
        insert(replica_object)
        .values(
            name=ObjectName(new.name),
            record_key=new.record_key,
            kind=new.kind,
            size_bytes=new.size_bytes,
            sha256=new.sha256,
            layout=dict(new.layout) if new.layout is not None else None,
            intent=token,
            intended_ms=now_ms,
            facility=new.labels.facility,
            modality=new.labels.modality,
        )
        .on_conflict_do_nothing(index_elements=["name"])
    )


def label(connection: sa.Connection, record_key: RecordKey, labels: Labels) -> None:
    """Note what rules look at, of objects of which nobody noted it."""
    unknown = (_object.record_key == record_key) & _object.facility.is_(None)
    noted = sa.update(replica_object).where(unknown)
    connection.execute(noted.values(facility=labels.facility, modality=labels.modality))
