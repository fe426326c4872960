"""What workers read and write of one object."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from replica.rules import NO_LABELS, Labels
from replica.tables import replica_copy, replica_object
from replica.values import CopyState
from storage_nodes.addresses import Kind
from storage_nodes.names import ObjectName

_object = replica_object.c
_copy = replica_copy.c

_THIS = sa.bindparam("object", type_=sa.BigInteger)
_OBJECT = sa.select(replica_object).where(_object.id == _THIS)
_COPIES = sa.select(_copy.node, _copy.state).where(_copy.object_id == _THIS).order_by(_copy.node)


@dataclass(frozen=True, slots=True)
class Entry:
    """An object and its copies as the index has them.

    Attributes:
        live: committed, not superseded, not being removed.
        copies: node -> state.
        attempts: at filling or moving it, since it last went well.
        labels: what decides under which rule it falls.
    """

    object_id: int
    name: ObjectName
    kind: Kind
    size_bytes: int
    sha256: bytes
    live: bool
    attempts: int
    copies: Mapping[str, CopyState]
    labels: Labels = NO_LABELS

    def nodes(self, *states: CopyState) -> tuple[str, ...]:
        """Return the nodes whose copies are in one of these states."""
        return tuple(node for node, state in self.copies.items() if state in states)


def read_entry(connection: sa.Connection, object_id: int) -> Entry | None:
    """Return an object with its copies; None when its row is gone."""
    this = {"object": object_id}
    row = connection.execute(_OBJECT, this).one_or_none()
    if row is None:
        return None
    copies = connection.execute(_COPIES, this)
    return Entry(
        object_id=row.id,
        name=ObjectName(row.name),
        kind=Kind(row.kind),
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        live=row.committed_ms is not None and row.superseded_ms is None and row.removing_ms is None,
        attempts=row.attempts,
        copies={node: CopyState(state) for node, state in copies},
        labels=Labels(row.facility or "", row.modality or ""),
    )


def set_state(
    connection: sa.Connection, object_id: int, node: str, state: CopyState, **values: object
) -> None:
    """Write the state of one copy, with further columns."""
    connection.execute(
        sa.update(replica_copy)
        .where(_copy.object_id == object_id, _copy.node == node)
        .values(state=state, **values)
    )


def set_verified(connection: sa.Connection, object_id: int, node: str, now_ms: int) -> None:
    """Write down that a copy was read back with the right digest."""
    set_state(
        connection, object_id, node, CopyState.AVAILABLE, verified_ms=now_ms, last_error=None, attempts=0
    )


def note_failure(connection: sa.Connection, object_id: int, node: str, trouble: str, due_ms: int) -> None:
    """Write down that work on one copy failed, and when to try again."""
    connection.execute(
        sa.update(replica_copy)
        .where(_copy.object_id == object_id, _copy.node == node)
        .values(last_error=trouble, attempts=_copy.attempts + 1, due_ms=due_ms)
    )


def drop_copy(connection: sa.Connection, object_id: int, node: str) -> None:
    """Forget a copy that is removed from its node."""
    connection.execute(sa.delete(replica_copy).where(_copy.object_id == object_id, _copy.node == node))
